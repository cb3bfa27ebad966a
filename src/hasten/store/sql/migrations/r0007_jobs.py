"""Jobs, the steps they have done, and which process a run belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables and the column; runs kept so far belong to no process."""
    op.add_column("runs", sa.Column("worker", sa.Text, nullable=False, server_default=""))
    op.create_index("runs_by_worker", "runs", ["worker", "status"])
    _create_jobs()
    op.create_table(
        "job_steps",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("speed", sa.Double, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("created_s", sa.Double, nullable=False),
        sa.Column("due_s", sa.Double, nullable=False),
        sa.Column("started_s", sa.Double),
        sa.Column("ended_s", sa.Double),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("interruptions", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("lease_s", sa.Double),
        sa.Column("error", sa.Text),
    )
    op.create_index("jobs_by_turn", "jobs", ["status", "priority", "due_s", "job_id"])
    op.create_index("jobs_by_due", "jobs", ["status", "due_s"])
    op.create_index("jobs_by_run", "jobs", ["run_id"], unique=True)
    op.create_index("jobs_by_key", "jobs", ["tenant", "user", "key"], unique=True)
    op.create_index("jobs_by_tenant", "jobs", ["tenant", "created_s", "job_id"])
    op.create_index("jobs_by_user", "jobs", ["tenant", "user", "created_s", "job_id"])
