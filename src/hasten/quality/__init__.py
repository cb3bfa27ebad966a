"""Is it still good: stated figures, experiments, judges, and rules that raise an alert."""
