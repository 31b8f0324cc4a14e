"""Schema 4: one wrapped key for each patient."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """An empty table: what was sealed before has no key of its own."""
    op.create_table(
        "subject_keys",
        Column("subject", Text, primary_key=True, nullable=False),
        Column("wrapped", Text, nullable=False),
    )
