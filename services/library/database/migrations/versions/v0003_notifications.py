"""Notifications."""

from pathlib import Path

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"
_TABLES = ("delivery", "sighting", "occurrence", "rule", "cursor")


def upgrade() -> None:
    """Add their tables."""
    for statement in Path(__file__).with_suffix(".sql").read_text("utf-8").split(";\n\n"):
        op.execute(text(statement.strip().removesuffix(";").replace(":", r"\:")))


def downgrade() -> None:
    """Take them back."""
    for name in _TABLES:
        op.execute(f"DROP TABLE notification_{name}")
