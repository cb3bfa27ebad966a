"""WHAT HAPPENED: spans, events, recording, the log of runs, reports and exports."""
