"""People, whom faces show, and what was done about it."""

from pathlib import Path

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"
_TABLES = (
    *("action", "action_row", "audit", "cluster", "decision", "embedding", "enrollment", "face_refusal", "face_vector"),
    *("identity", "opinion", "people_refusal", "person", "person_alias", "person_receipt", "skip", "stale_face"),
    *("stale_picture", "used_model", "vector_model"),
)
_COLUMNS = ("source", "drawn", "erased", "cluster_id", "tried_time")


def upgrade() -> None:
    """Add them."""
    for statement in Path(__file__).with_suffix(".sql").read_text("utf-8").split(";\n\n"):
        op.execute(text(statement.strip().removesuffix(";").replace(":", r"\:")))


def downgrade() -> None:
    """Take them back."""
    for function in ("record_change", "mark_stale", "mark_gone", "mark_enrollments", "mark_enrollments_of_person"):
        op.execute(f"DROP FUNCTION {function} CASCADE")
    for name in _TABLES:
        op.execute(f'DROP TABLE "{name}" CASCADE')
    for name in _COLUMNS:
        op.execute(f"ALTER TABLE face DROP COLUMN {name}")
