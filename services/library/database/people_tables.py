"""The tables of people.

What a machine thinks (`opinion`, `cluster`), what somebody decided (`decision`) and what somebody refused
(`face_refusal`, `people_refusal`) are three things. A face's own columns are what these amount to. Rows that an action
changes are written down by a trigger, as they were and as they are then, and that is how an action is undone.
"""

from enum import IntEnum
from typing import Any

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from services.library.database.tables import collection_id, metadata, picture_id, time


class DecisionKind(IntEnum):
    """What was decided of a face."""

    PERSON = 1
    IGNORED = 2
    NOT_A_FACE = 3


class PersonSource(IntEnum):
    """How a person came into the library."""

    HAND = 1
    RECOGNIZER = 2
    """A verdict named them."""
    ADOPTED = 3
    """A recognizer had them enrolled."""


def _face_id(*, primary: bool = False) -> Column[Any]:
    key = ForeignKey("face.face_id", ondelete="CASCADE")
    return Column("face_id", UUID(as_uuid=True), key, nullable=False, primary_key=primary)


def _person_id(name: str = "person_id", *, optional: bool = False, index: bool = False) -> Column[Any]:
    key = ForeignKey("person.person_id", ondelete="CASCADE")
    return Column(name, UUID(as_uuid=True), key, nullable=optional, index=index)


person = Table(
    "person",
    metadata,
    Column("person_id", UUID(as_uuid=True), primary_key=True),
    collection_id(),
    Column("display_name", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    Column("hidden", Boolean, nullable=False, server_default="false"),
    Column("cover_face_id", UUID(as_uuid=True)),  # no foreign key: a face may go, and undoing may bring it back
    Column("source", SmallInteger, nullable=False),  # PersonSource
    Column("merged_id", UUID(as_uuid=True), ForeignKey("person.person_id", ondelete="CASCADE"), index=True),
    time("delete_time", optional=True),
    time("create_time", now=True),
    Index("person_name_idx", "collection_id", "folded_name", "person_id"),
)
"""A merged person is read as the other one wherever a row names them; a deleted one names nobody."""

person_alias = Table(
    "person_alias",
    metadata,
    _person_id(),
    collection_id(),
    Column("position", SmallInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    PrimaryKeyConstraint("person_id", "folded_name"),
    Index("person_alias_name_idx", "collection_id", "folded_name"),
)

identity = Table(
    "identity",
    metadata,
    collection_id(),
    Column("recognizer", Text, nullable=False, server_default=""),  # empty: the gateway's verdicts
    Column("recognizer_collection", Text, nullable=False, server_default=""),
    Column("external_id", Text, nullable=False),
    _person_id(index=True),
    PrimaryKeyConstraint("collection_id", "external_id", "recognizer", "recognizer_collection"),
)

opinion = Table(
    "opinion",
    metadata,
    _face_id(),
    Column("source", Text, nullable=False),  # a recognizer, or "neighbours"
    _person_id(index=True),
    Column("score", REAL, nullable=False),
    Column("band", SmallInteger, nullable=False),  # Band
    Column("model", Text, nullable=False, server_default=""),
    Column("version", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("face_id", "source", "person_id"),
    Index("opinion_suggest_idx", "score", postgresql_where=text("band = 2")),
)

decision = Table(
    "decision",
    metadata,
    _face_id(primary=True),
    Column("kind", SmallInteger, nullable=False),  # DecisionKind
    _person_id(optional=True, index=True),
    Column("caller", Text, nullable=False, server_default=""),
    time("create_time", now=True),
    CheckConstraint("(kind = 1) = (person_id IS NOT NULL)", name="person"),
)

face_refusal = Table(
    "face_refusal",
    metadata,
    _face_id(),
    _person_id(index=True),
    Column("caller", Text, nullable=False, server_default=""),
    time("create_time", now=True),
    PrimaryKeyConstraint("face_id", "person_id"),
)
"""Whom a face does not show."""

people_refusal = Table(
    "people_refusal",
    metadata,
    _person_id(),
    _person_id("other_id", index=True),
    Column("caller", Text, nullable=False, server_default=""),
    time("create_time", now=True),
    PrimaryKeyConstraint("person_id", "other_id"),
    CheckConstraint("person_id < other_id", name="order"),
)
"""Who are two."""

skip = Table(
    "skip",
    metadata,
    collection_id(),
    Column("suggestion_id", Text, nullable=False),
    time("create_time", now=True),
    PrimaryKeyConstraint("collection_id", "suggestion_id"),
)
"""Questions that nobody could answer."""

vector_model = Table(
    "vector_model",
    metadata,
    Column("model_id", SmallInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("metric", Text, nullable=False),  # "l2" or "cosine"
    Column("dimensions", Integer, nullable=False),
    Column("indexed", Boolean, nullable=False, server_default="false"),  # whether there is an HNSW index of its vectors
    time("create_time", now=True),
    UniqueConstraint("name", "version", "metric", "dimensions"),
)

used_model = Table(
    "used_model",
    metadata,
    Column("collection_id", Integer, ForeignKey("collection.collection_id"), primary_key=True, autoincrement=False),
    Column("model_id", SmallInteger, ForeignKey("vector_model.model_id"), nullable=False),
    Column("assign_distance", REAL),  # measured on decisions; NULL: that of the settings, or the model's
    Column("suggest_distance", REAL),
)
"""By which model a collection's people are compared."""

face_vector = Table(
    "face_vector",
    metadata,
    _face_id(),
    Column("model_id", SmallInteger, ForeignKey("vector_model.model_id"), nullable=False),
    collection_id(),
    picture_id(index=True),
    Column("vector", HALFVEC, nullable=False),
    PrimaryKeyConstraint("face_id", "model_id"),
    Index("face_vector_collection_idx", "collection_id", "model_id"),
)
"""Vectors of several models are of several lengths, so that each model has a partial index of its own."""

cluster = Table(
    "cluster",
    metadata,
    Column("cluster_id", UUID(as_uuid=True), primary_key=True),
    collection_id(),
    Column("model_id", SmallInteger, ForeignKey("vector_model.model_id"), nullable=False),
    Column("size", Integer, nullable=False, server_default="0"),
    Column("mean", HALFVEC, nullable=False),  # of its faces' vectors
    time("create_time", now=True),
    Index("cluster_size_idx", "collection_id", "size", "cluster_id"),
)
"""What a machine takes for one person's faces. Nobody's decision changes it."""

embedding = Table(
    "embedding",
    metadata,
    Column("collection_id", Integer, ForeignKey("collection.collection_id"), primary_key=True, autoincrement=False),
    Column("recognizer", Text, nullable=False),
    Column("model_id", SmallInteger, ForeignKey("vector_model.model_id")),  # NULL: it has embedded nothing yet
    Column("last_picture_id", UUID(as_uuid=True)),  # up to which all were embedded
    Column("failed_count", BigInteger, nullable=False, server_default="0"),
    Column("running", Boolean, nullable=False, server_default="true"),
    Column("caller", Text, nullable=False, server_default=""),
    Column("status", LargeBinary, nullable=False, server_default=text("''")),  # google.rpc.Status
    time("create_time", now=True),
)

enrollment = Table(
    "enrollment",
    metadata,
    Column("recognizer", Text, nullable=False),
    Column("recognizer_collection", Text, nullable=False, server_default=""),
    _person_id(index=True),
    Column("face_id", UUID(as_uuid=True), nullable=False),  # no foreign key: an enrolled face outlives its picture
    Column("external_face_id", Text, nullable=False, server_default=""),
    Column("content_sha256", LargeBinary, nullable=False),  # of the crop that was sent
    Column("state", SmallInteger, nullable=False),  # FaceEnrollmentState
    Column("status", LargeBinary, nullable=False, server_default=text("''")),  # google.rpc.Status
    Column("allow_similar", Boolean, nullable=False, server_default="false"),
    Column("attempts", Integer, nullable=False, server_default="0"),  # that failed, one after another
    time("next_attempt_time", optional=True),  # to do what is to be done; NULL: nothing
    time("create_time", now=True),
    PrimaryKeyConstraint("face_id", "recognizer", "recognizer_collection"),
    Index("enrollment_due_idx", "next_attempt_time", postgresql_where=text("next_attempt_time IS NOT NULL")),
)
"""Faces at recognizers. Triggers have those looked at again of which a decision, or a person, has changed."""

action = Table(
    "action",
    metadata,
    Column("action_id", UUID(as_uuid=True), primary_key=True),
    collection_id(),
    Column("type", Text, nullable=False),
    Column("summary", Text, nullable=False, server_default=""),
    Column("caller", Text, nullable=False, server_default=""),
    Column("undone_by", UUID(as_uuid=True)),
    time("create_time", now=True),
    Index("action_collection_idx", "collection_id", "action_id"),
)

action_row = Table(
    "action_row",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "action_id", UUID(as_uuid=True), ForeignKey("action.action_id", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("table_name", Text, nullable=False),
    Column("face_id", UUID(as_uuid=True), index=True),
    Column("person_id", UUID(as_uuid=True), index=True),
    Column("before", JSONB),  # NULL: there was none
    Column("after", JSONB),  # NULL: there is none
)
"""What an action changed: a trigger writes these while the setting `marquee.action_id` names an action."""

audit = Table(
    "audit",
    metadata,
    Column("audit_id", BigInteger, Identity(always=True), primary_key=True),
    collection_id(),
    Column("caller", Text, nullable=False, server_default=""),
    Column("method", Text, nullable=False),
    Column("person_id", UUID(as_uuid=True), index=True),
    time("create_time", now=True),
    Index("audit_collection_idx", "collection_id", "audit_id"),
)

stale_picture = Table(
    "stale_picture",
    metadata,
    picture_id(primary=True),
    collection_id(),
)
"""Pictures whose faces are to be settled again, as a change of a person with many of them leaves them."""

stale_face = Table(
    "stale_face",
    metadata,
    Column("stale_id", BigInteger, Identity(always=True), primary_key=True),
    Column("face_id", UUID(as_uuid=True), nullable=False, index=True),  # no foreign key: it may be gone
    Column("cluster_id", UUID(as_uuid=True)),  # of a face that is gone
    Column("spread", Boolean, nullable=False, server_default="false"),  # whether those near it are looked at again, too
)
"""Faces to be compared with others again: triggers add those of which a fact has changed, and those that are gone."""

person_receipt = Table(
    "person_receipt",
    metadata,
    Column("receipt_id", UUID(as_uuid=True), primary_key=True),
    collection_id(),
    Column("person_id", UUID(as_uuid=True), nullable=False, index=True),
    Column("caller", Text, nullable=False, server_default=""),
    Column("complete", Boolean, nullable=False, server_default="false"),
    Column("pending", JSONB, nullable=False, server_default="{}"),  # what is still to be erased, until it is
    Column("content", LargeBinary, nullable=False),  # PersonReceipt
    time("next_attempt_time", optional=True),
    time("create_time", now=True),
    Index("person_receipt_open_idx", "create_time", postgresql_where=text("NOT complete")),
)
