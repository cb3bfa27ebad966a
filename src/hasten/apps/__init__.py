"""The applications: each runs on the public names of ``hasten`` alone, as a user's own would."""
