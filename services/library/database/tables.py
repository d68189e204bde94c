"""The tables, as the last migration leaves them.

A picture is a file in a collection. What machines said of it is kept as answers, which never change; faces, labels and
texts are what the newest of them amount to, and `terms` and `words` are what search looks at. An event is written in
the transaction that it tells of, and gets its position once that has ended.
"""

from enum import IntEnum
from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR, UUID

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)


class PlaceKind(IntEnum):
    """What a place is."""

    S3 = 1
    """bucket, key and version of an object."""
    PATH = 2
    """A name or path on a client's machine, in `key`."""


class RuleKind(IntEnum):
    """What a rule of a category looks at."""

    LABEL = 1
    PERSON = 2


class TombstoneKind(IntEnum):
    """What of an erased picture is recognized again."""

    CONTENT = 1
    """Its bytes, by their SHA-256."""
    PLACE = 2
    """An object with its version."""
    PERSON = 3
    """What a recognizer calls somebody who was erased."""


def time(name: str, *, optional: bool = False, now: bool = False) -> Column[Any]:
    """Return a column of a time; `now`: that of the row, unless it says otherwise."""
    return Column(name, DateTime(timezone=True), nullable=optional, server_default=func.now() if now else None)


def picture_id(*, primary: bool = False, index: bool = False) -> Column[Any]:
    """Return a column of pictures with which their rows go."""
    key = ForeignKey("picture.picture_id", ondelete="CASCADE")
    return Column("picture_id", UUID(as_uuid=True), key, nullable=False, primary_key=primary, index=index)


def collection_id() -> Column[Any]:
    """Return a column of collections."""
    return Column("collection_id", Integer, ForeignKey("collection.collection_id"), nullable=False)


collection = Table(
    "collection",
    metadata,
    Column("collection_id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("retention_days", Integer),  # as the settings say; NULL: for ever
    time("create_time", now=True),
)

_SHOWN = text("delete_time IS NULL AND redirect_id IS NULL")

picture = Table(
    "picture",
    metadata,
    Column("picture_id", UUID(as_uuid=True), primary_key=True),
    collection_id(),
    Column("state", SmallInteger, nullable=False),  # PictureState
    Column("sha256", LargeBinary),
    Column("pixel_sha256", LargeBinary),
    Column("redirect_id", UUID(as_uuid=True), ForeignKey("picture.picture_id", ondelete="CASCADE"), index=True),
    Column("format", Text, nullable=False, server_default=""),
    Column("width", Integer, nullable=False, server_default="0"),
    Column("height", Integer, nullable=False, server_default="0"),
    Column("size_bytes", BigInteger, nullable=False, server_default="0"),
    Column("stored", Boolean, nullable=False, server_default="false"),  # whether the object store has its file
    Column("thumbnail", Boolean, nullable=False, server_default="false"),  # … and its thumbnail
    Column("file_name", Text, nullable=False, server_default=""),
    Column("folded_name", Text, nullable=False, server_default=""),
    time("create_time", now=True),
    time("update_time", now=True),
    time("taken_time", now=True),
    Column("taken_time_source", SmallInteger, nullable=False),  # TimeSource
    Column("exif_time", Text, nullable=False, server_default=""),
    time("object_time", optional=True),
    time("delete_time", optional=True),
    time("expire_time", optional=True),
    Column("cost_micro_usd", BigInteger, nullable=False, server_default="0"),
    Column("score", REAL),  # of the surest named face
    Column("terms", TSVECTOR, nullable=False, server_default=""),  # search/terms.py writes both
    Column("words", TSVECTOR, nullable=False, server_default=""),
    Index(
        "picture_content_key",
        "collection_id",
        "sha256",
        unique=True,
        postgresql_where=text("sha256 IS NOT NULL AND redirect_id IS NULL"),
    ),
    Index("picture_pixels_idx", "collection_id", "pixel_sha256", postgresql_where=text("pixel_sha256 IS NOT NULL")),
    Index("picture_taken_idx", "collection_id", "taken_time", "picture_id", postgresql_where=_SHOWN),
    Index("picture_added_idx", "collection_id", "create_time", "picture_id", postgresql_where=_SHOWN),
    Index("picture_state_idx", "collection_id", "state", "taken_time", "picture_id", postgresql_where=_SHOWN),
    Index(
        "picture_name_idx", "collection_id", text("left(folded_name, 256) text_pattern_ops"), postgresql_where=_SHOWN
    ),
    Index("picture_trash_idx", "collection_id", "delete_time", postgresql_where=text("delete_time IS NOT NULL")),
    Index("picture_expire_idx", "expire_time", postgresql_where=text("expire_time IS NOT NULL")),
    # Entries that wait in a list until a vacuum would make each search read the list.
    Index(
        "picture_search_idx",
        "terms",
        "words",
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
        postgresql_where=_SHOWN,
    ),
)

place = Table(
    "place",
    metadata,
    Column("place_id", UUID(as_uuid=True), primary_key=True),
    picture_id(),
    collection_id(),
    Column("kind", SmallInteger, nullable=False),  # PlaceKind
    Column("bucket", Text, nullable=False, server_default=""),
    Column("key", Text, nullable=False),
    Column("version_id", Text, nullable=False, server_default=""),
    Column("location", LargeBinary, nullable=False),  # SHA-256 of kind, bucket and key, which may be long
    Column("sequencer", Text, nullable=False, server_default=""),
    Column("current", Boolean, nullable=False, server_default="true"),
    time("object_time", optional=True),
    time("create_time", now=True),
    UniqueConstraint("picture_id", "location", "version_id"),
    Index("place_location_idx", "collection_id", "location"),
    Index("place_prefix_idx", "collection_id", "kind", "bucket", text("left(key, 256) text_pattern_ops")),
)

answer = Table(
    "answer",
    metadata,
    Column("answer_id", UUID(as_uuid=True), primary_key=True),
    picture_id(),
    Column("recognizer", Text, nullable=False),
    Column("model", Text, nullable=False, server_default=""),
    Column("version", Text, nullable=False, server_default=""),
    Column("source", SmallInteger, nullable=False),  # AnswerSource
    Column("outcome", SmallInteger, nullable=False),  # marquee.v1.Outcome
    Column("cost_micro_usd", BigInteger, nullable=False, server_default="0"),
    Column("result", LargeBinary, nullable=False),  # marquee.v1.RecognizerResult
    time("create_time", now=True),
    Index("answer_picture_idx", "picture_id", "create_time"),
)
"""A trigger refuses changes, but for those of an erasure."""

face = Table(
    "face",
    metadata,
    Column("face_id", UUID(as_uuid=True), primary_key=True),
    picture_id(),
    Column("position", SmallInteger, nullable=False),
    Column("current", Boolean, nullable=False, server_default="true"),  # not: the last recognition did not find it
    # What it is found by, from opinions, decisions and refusals: people/faces.py writes these five.
    Column("state", SmallInteger, nullable=False),  # marquee.v1.VerdictState
    Column("person_id", Text, nullable=False, server_default=""),  # of `person` as text, else a recognizer's
    Column("display_name", Text, nullable=False, server_default=""),
    Column("score", REAL, nullable=False, server_default="0"),
    Column("source", SmallInteger, nullable=False, server_default="0"),  # AssignmentSource
    Column("verdict", LargeBinary, nullable=False),  # marquee.v1.Verdict, with the box
    Column("drawn", Boolean, nullable=False, server_default="false"),
    Column("erased", Boolean, nullable=False, server_default="false"),  # its person was
    Column("cluster_id", UUID(as_uuid=True)),
    time("tried_time", optional=True),  # when it was compared with others; NULL: it is to be
    time("create_time", now=True),
    Index("face_picture_idx", "picture_id", "position"),
    Index("face_person_idx", "person_id", postgresql_where=text("source <> 0")),
    Index("face_cluster_idx", "cluster_id", postgresql_where=text("cluster_id IS NOT NULL")),
    Index("face_new_idx", "create_time", postgresql_where=text("tried_time IS NULL")),
)

label = Table(
    "label",
    metadata,
    picture_id(),
    Column("moderation", Boolean, nullable=False, server_default="false"),
    Column("position", SmallInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("score", REAL, nullable=False),
    Column("content", LargeBinary, nullable=False),  # marquee.v1.Label, or ModerationLabel
    PrimaryKeyConstraint("picture_id", "moderation", "position"),
)

text_ = Table(
    "text",
    metadata,
    picture_id(),
    Column("position", SmallInteger, nullable=False),
    Column("content", Text, nullable=False),
    Column("score", REAL, nullable=False),
    Column("found", LargeBinary, nullable=False),  # marquee.v1.Text
    PrimaryKeyConstraint("picture_id", "position"),
)

category = Table(
    "category",
    metadata,
    Column("category_id", UUID(as_uuid=True), primary_key=True),
    collection_id(),
    Column("name", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    Column("revision", Integer, nullable=False, server_default="1"),  # of its name and rules
    Column("applied", Boolean, nullable=False, server_default="true"),  # whether all pictures follow it
    Column("applied_id", UUID(as_uuid=True)),  # not: those up to this one do
    Column("retention_days", Integer),  # as the settings say; NULL: no longer than others
    time("create_time", now=True),
    UniqueConstraint("collection_id", "folded_name"),
)

deleted_category = Table(
    "deleted_category",
    metadata,
    Column("category_id", UUID(as_uuid=True), primary_key=True),
    collection_id(),
)
"""Categories by whose names pictures may still be found."""

category_rule = Table(
    "category_rule",
    metadata,
    Column("category_id", UUID(as_uuid=True), ForeignKey("category.category_id", ondelete="CASCADE"), nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),  # RuleKind
    Column("value", Text, nullable=False),
    Column("folded_value", Text, nullable=False),
    Column("min_score", REAL, nullable=False, server_default="0"),
    PrimaryKeyConstraint("category_id", "position"),
)

picture_category = Table(
    "picture_category",
    metadata,
    picture_id(),
    Column(
        "category_id",
        UUID(as_uuid=True),
        ForeignKey("category.category_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("source", SmallInteger, nullable=False),  # CategorySource
    Column("present", Boolean, nullable=False, server_default="true"),  # not: taken out by hand, against the rules
    PrimaryKeyConstraint("picture_id", "category_id"),
)

event = Table(
    "event",
    metadata,
    Column("event_key", BigInteger, Identity(always=True), primary_key=True),
    Column("position", BigInteger, unique=True),
    collection_id(),
    Column("picture_id", UUID(as_uuid=True), index=True),  # no foreign key: an event outlives its picture
    Column("type", Text, nullable=False),
    Column("caller", Text, nullable=False, server_default=""),
    Column("data", JSONB, nullable=False, server_default="{}"),
    time("create_time", now=True),
    Index("event_collection_idx", "collection_id", "position"),
    Index("event_new_idx", "event_key", postgresql_where=text("position IS NULL")),
)
"""What happened. Positions are given one transaction after the other, so that readers, who go by them, miss nothing."""

job = Table(
    "job",
    metadata,
    Column("job_id", UUID(as_uuid=True), primary_key=True),
    collection_id(),
    picture_id(),
    Column("state", SmallInteger, nullable=False),  # JobState
    Column("features", ARRAY(SmallInteger), nullable=False, server_default="{}"),
    Column("recognizers", ARRAY(Text), nullable=False, server_default="{}"),
    Column("caller", Text, nullable=False, server_default=""),
    Column("daily_micro_usd", BigInteger),  # what the caller may spend a day
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),  # attempts that count against the limit
    Column("calling", Boolean, nullable=False, server_default="false"),  # whether the gateway was called, and has not
    Column("repeated_calls", Integer, nullable=False, server_default="0"),  # answered as far as is known
    Column("lease_token", UUID(as_uuid=True)),
    time("lease_time", optional=True),  # until when the worker with the token has it
    Column("status", LargeBinary, nullable=False, server_default=text("''")),  # google.rpc.Status
    time("create_time", now=True),
    time("next_attempt_time", optional=True),
    time("end_time", optional=True),
    CheckConstraint("(state = 2) = (lease_token IS NOT NULL)", name="lease"),
    Index("job_due_idx", "next_attempt_time", postgresql_where=text("state = 1")),
    Index("job_lease_idx", "lease_time", postgresql_where=text("state = 2")),
    Index("job_open_key", "picture_id", unique=True, postgresql_where=text("state IN (1, 2)")),
    Index("job_open_idx", "create_time", postgresql_where=text("state IN (1, 2)")),
    Index("job_dead_idx", "end_time", postgresql_where=text("state = 4")),
    Index("job_picture_idx", "picture_id", "create_time"),
    Index("job_collection_idx", "collection_id", "state", "job_id"),
)

tombstone = Table(
    "tombstone",
    metadata,
    collection_id(),
    Column("digest", LargeBinary, nullable=False),  # HMAC-SHA-256, since a hash alone can be guessed
    Column("kind", SmallInteger, nullable=False),  # TombstoneKind
    Column("sequencer", Text, nullable=False, server_default=""),  # of a place: later ones are of other content
    time("create_time", now=True),
    PrimaryKeyConstraint("collection_id", "digest"),
)

_key = Column("key", LargeBinary, primary_key=True)
tombstone_key = Table("tombstone_key", metadata, _key, time("create_time", now=True))
"""The random key that a migration makes, for a library to which none is given in a file."""

receipt = Table(
    "receipt",
    metadata,
    Column("receipt_id", UUID(as_uuid=True), primary_key=True),
    collection_id(),
    Column("picture_id", UUID(as_uuid=True), nullable=False, index=True),
    Column("caller", Text, nullable=False, server_default=""),
    Column("complete", Boolean, nullable=False, server_default="false"),  # not: files are still to be erased
    Column("brief", Boolean, nullable=False, server_default="false"),  # whether it names files and places no more
    Column("files", ARRAY(Text), nullable=False, server_default="{}"),  # still to be erased
    Column("content", LargeBinary, nullable=False),  # ErasureReceipt
    time("create_time", now=True),
    Index("receipt_open_idx", "create_time", postgresql_where=text("NOT (complete AND brief)")),
)

request = Table(
    "request",
    metadata,
    collection_id(),
    Column("caller", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of method and request
    Column("response", LargeBinary),
    Column("picture_id", UUID(as_uuid=True), index=True),
    time("create_time", now=True),
    PrimaryKeyConstraint("collection_id", "caller", "request_id"),
    Index("request_age_idx", "create_time"),
)
"""Calls that changed something, kept for 24 hours."""

export = Table(
    "export",
    metadata,
    Column("export_id", UUID(as_uuid=True), primary_key=True),
    collection_id(),
    Column("caller", Text, nullable=False, server_default=""),
    Column("query", LargeBinary, nullable=False, server_default=text("''")),  # PictureQuery
    Column("picture_count", BigInteger, nullable=False, server_default="0"),
    time("create_time", now=True),
    time("end_time", optional=True),
    Index("export_collection_idx", "collection_id", "create_time"),
)
