"""Schema 6: what people did about cases, where everybody who may read cases opens it."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """An empty table: no case had a step before."""
    op.create_table(
        "case_steps",
        Column("digest", Text, primary_key=True, nullable=False),
        Column("content", Text, nullable=False),
    )
