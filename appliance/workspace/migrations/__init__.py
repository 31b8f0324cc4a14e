"""How a catalogue of an earlier schema becomes one of this: alembic's revisions, one file a schema."""
