"""Do it later: jobs that start when they are submitted, and survive what befalls a process."""
