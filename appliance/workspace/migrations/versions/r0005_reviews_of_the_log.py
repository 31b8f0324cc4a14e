"""Schema 5: what reviewers of the log found, where everybody who may review opens it."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """An empty table: the words lay in the vault before, which an auditor's key does not open."""
    op.create_table(
        "reviews",
        Column("digest", Text, primary_key=True, nullable=False),
        Column("content", Text, nullable=False),
    )
