"""RUN STEPS: steps, graphs, the pure schedule, attempts and runs."""
