"""The first tables."""

from pathlib import Path

from alembic import op
from sqlalchemy import text

revision = "0001"
down_revision = None
_TABLES = (
    *(
        "answer",
        "category",
        "category_rule",
        "collection",
        "deleted_category",
        "event",
        "export",
        "face",
        "job",
        "label",
        "picture",
    ),
    *("picture_category", "place", "receipt", "request", "text", "tombstone", "tombstone_key"),
)


def upgrade() -> None:
    """Add them."""
    for statement in Path(__file__).with_suffix(".sql").read_text("utf-8").split(";\n\n"):
        op.execute(text(statement.strip().removesuffix(";").replace(":", r"\:")))


def downgrade() -> None:
    """Take them back."""
    for name in _TABLES:
        op.execute(f'DROP TABLE "{name}" CASCADE')
    op.execute("DROP FUNCTION refuse_change")
