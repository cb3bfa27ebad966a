"""Write ``store/sql/new.sql``: a new SQLite database as the migrations leave one.

Run it whenever a migration is added: ``.venv/bin/python scripts/new_schema.py``.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import StaticPool, create_engine

from hasten.store.sql.migrate import NEW, migrate


def new_schema() -> str:
    """Return the statements that make our tables, and say at which revision they are."""
    raw = sqlite3.connect(":memory:")
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    with engine.begin() as connection:
        migrate(connection)
    raw.execute("DELETE FROM cache_generation")  # its row is one database's own
    statements = [one for one in raw.iterdump() if one not in {"BEGIN TRANSACTION;", "COMMIT;"}]
    return "\n".join(statements) + "\n"


if __name__ == "__main__":
    NEW.write_text(new_schema(), encoding="utf-8")
