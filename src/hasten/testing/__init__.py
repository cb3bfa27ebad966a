"""For tests: models that do as told, faults on purpose, contract suites, a pytest plugin."""
