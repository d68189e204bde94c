"""The tables of notifications: rules, what they found, and what is to be sent, as the last migration leaves them.

No text of a message is kept: a row has identifiers, and what a message says is looked up as it is sent. So whatever is
erased from the library is in no message that is still to be sent.
"""

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from services.library.database.tables import metadata

notification_rule = Table(
    "notification_rule",
    metadata,
    Column("rule_id", UUID(as_uuid=True), primary_key=True),
    Column("collection_id", Integer, ForeignKey("collection.collection_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    Column("trigger", SmallInteger, nullable=False),  # NotificationTrigger
    Column("subject", Text, nullable=False, server_default=""),
    Column("folded_subject", Text, nullable=False, server_default=""),
    Column("min_score", REAL, nullable=False, server_default="0"),
    Column("budget_share", REAL, nullable=False, server_default="0"),
    Column("channels", ARRAY(Text), nullable=False),
    Column("quiet_seconds", Integer, nullable=False, server_default="0"),
    Column("digest_seconds", Integer, nullable=False, server_default="0"),
    Column("enabled", Boolean, nullable=False, server_default="true"),
    Column("caller", Text, nullable=False, server_default=""),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column(
        "begin_time", DateTime(timezone=True), nullable=False, server_default=func.now()
    ),  # it tells of what is later
    UniqueConstraint("collection_id", "folded_name"),
)

notification_occurrence = Table(
    "notification_occurrence",
    metadata,
    Column("occurrence_id", UUID(as_uuid=True), primary_key=True),
    Column("rule_id", UUID(as_uuid=True), ForeignKey("notification_rule.rule_id", ondelete="CASCADE"), nullable=False),
    Column("subject", Text, nullable=False, server_default=""),  # a person's identifier, a label, a recognizer and day
    Column("picture_count", BigInteger, nullable=False, server_default="0"),
    Column("first_time", DateTime(timezone=True), nullable=False),
    Column("last_time", DateTime(timezone=True), nullable=False),
    Column("end_time", DateTime(timezone=True), nullable=False),  # what is later is another occurrence
    Column("data", JSONB, nullable=False, server_default="{}"),  # of a budget: what was spent
    Index("notification_occurrence_rule_idx", "rule_id", "subject", "end_time"),
    Index("notification_occurrence_end_idx", "end_time"),
)

notification_sighting = Table(
    "notification_sighting",
    metadata,
    Column("picture_id", UUID(as_uuid=True), ForeignKey("picture.picture_id", ondelete="CASCADE"), nullable=False),
    Column("rule_id", UUID(as_uuid=True), ForeignKey("notification_rule.rule_id", ondelete="CASCADE"), nullable=False),
    Column("subject", Text, nullable=False, server_default=""),
    Column(
        "occurrence_id",
        UUID(as_uuid=True),
        ForeignKey("notification_occurrence.occurrence_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("position", BigInteger, nullable=False),  # of the event
    PrimaryKeyConstraint("picture_id", "rule_id", "subject"),
    Index("notification_sighting_occurrence_idx", "occurrence_id", "position"),
    Index("notification_sighting_rule_idx", "rule_id"),
)
"""Pictures of occurrences. One that is recognized again is not told of again."""

notification_delivery = Table(
    "notification_delivery",
    metadata,
    Column("delivery_id", UUID(as_uuid=True), primary_key=True),
    Column(
        "occurrence_id",
        UUID(as_uuid=True),
        ForeignKey("notification_occurrence.occurrence_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("collection_id", Integer, ForeignKey("collection.collection_id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),  # DeliveryState
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_token", UUID(as_uuid=True)),
    Column("lease_time", DateTime(timezone=True)),  # until when the sender with the token has it
    Column("status", LargeBinary, nullable=False, server_default=text("''")),  # google.rpc.Status
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("next_attempt_time", DateTime(timezone=True)),
    Column("end_time", DateTime(timezone=True)),
    CheckConstraint("(state = 2) = (lease_token IS NOT NULL)", name="lease"),
    Index("notification_delivery_due_idx", "channel", "next_attempt_time", postgresql_where=text("state = 1")),
    Index("notification_delivery_lease_idx", "lease_time", postgresql_where=text("state = 2")),
    Index("notification_delivery_dead_idx", "end_time", postgresql_where=text("state = 4")),
    Index("notification_delivery_collection_idx", "collection_id", "state", "delivery_id"),
)

notification_cursor = Table(
    "notification_cursor",
    metadata,
    Column("cursor_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)
"""Up to which event rules were asked: one row."""
