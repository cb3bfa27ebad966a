"""The history of the tables, one file a revision; applied by ``migrate``, oldest first."""
