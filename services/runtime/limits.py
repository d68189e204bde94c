"""The limits of the contract. Every server enforces them, so they are not settings. Pure.

`TABLE` bounds every string and every repeated field. The protos' comments repeat its bounds, a test compares them,
and docs/limits.md is generated from it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

MIB = 1024 * 1024
MAX_IMAGE_BYTES = 15 * MIB
MAX_IMAGE_PIXELS = 50_000_000
MAX_MESSAGE_BYTES = 16 * MIB
MAX_ENVELOPE_BYTES = 64 * 1024
"""Of a request: all of it but the bytes of its pictures."""
MAX_ENVELOPE_FIELDS = 1024
"""Those of its pictures included, each entry of a repeated string or message counting as one."""
DEFAULT_DEADLINE_SECONDS = 12.0
MAX_DEADLINE_SECONDS = 24 * 3600.0
DEFAULT_MAX_LABELS = 10
MAX_MAX_LABELS = 1000
DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
MAX_HOPS = 4
MAX_NAME = 128
"""Characters of a name or an identifier."""
MAX_DISPLAY_NAME = 200
_PACKAGE = "marquee.v1."


class Limit(NamedTuple):
    """The bound of a string or a repeated field."""

    entries: int | None = None
    """Most entries of a repeated field or map. None: the field is not repeated."""
    length: int | None = None
    """Longest text, in `unit`, of the string, each string or each key. None: the field holds no text."""
    unit: str = "characters"

    def __str__(self) -> str:
        """Return the bound as the protos' comments state it."""
        length = f"{self.length} {self.unit}" if self.length else ""
        if self.entries is None:
            return f"At most {length}."
        return f"At most {self.entries} entries" + (f" of {length}." if length else ".")


class Excess(NamedTuple):
    """A field over its limit."""

    field: str
    """Path from the message, such as "image.s3_object.key"."""
    message: str
    """What is wrong, as a sentence for the caller."""


_NAME = Limit(length=MAX_NAME)
_TITLE = Limit(length=MAX_DISPLAY_NAME)
_TEXT = Limit(length=2000)
_TOKEN = Limit(length=32 * 1024)
_RECOGNIZERS = Limit(64, MAX_NAME)
_RESULTS = Limit(64)
_FEATURES = Limit(16)
_LABELS = Limit(MAX_MAX_LABELS)
_FACES = Limit(256)
_TITLES = Limit(16, MAX_DISPLAY_NAME)
_WARNINGS = Limit(64, 2000)
_IMAGES = Limit(32)
_PRICE_GROUPS = Limit(32)

TABLE: Mapping[str, Mapping[str, Limit]] = {
    "RecognizeImageRequest": {
        "request_id": _NAME,
        "recognizers": _RECOGNIZERS,
        "features": _FEATURES,
        "collection": _NAME,
        "recognizer_options": _RECOGNIZERS,
        "face_boxes": Limit(64),
        "required": _RECOGNIZERS,
    },
    "S3Object": {
        "bucket": Limit(length=63),
        "key": Limit(length=1024, unit="bytes"),
        "version_id": Limit(length=1024, unit="bytes"),
    },
    "RecognizeImageResponse": {
        "request_id": _NAME,
        "results": _RESULTS,
        "labels": _LABELS,
        "verdicts": Limit(2 * 256 * 64),
        "gateway": _NAME,
    },
    "ImageInfo": {"sha256": Limit(length=64), "format": Limit(length=16)},
    "RecognizerResult": {
        "recognizer": _NAME,
        "faces": _FACES,
        "image_candidates": _FACES,
        "labels": _LABELS,
        "texts": _LABELS,
        "moderation_labels": _LABELS,
        "feature_errors": _FEATURES,
        "warnings": Limit(10_000, 2000),
        "performed_features": _FEATURES,
    },
    "Model": {"name": _NAME, "version": _NAME, "evidence_group": _NAME},
    "Face": {"candidates": Limit(64), "landmarks": Limit(128), "attributes": Limit(64)},
    "Candidate": {"person_id": _NAME, "display_name": _TITLE, "urls": Limit(16, 2000)},
    "Landmark": {"type": _NAME},
    "FaceAttribute": {"name": _NAME, "value": _TITLE},
    "Embedding": {"model": _NAME, "values": Limit(4096), "version": _NAME, "metric": Limit(length=16)},
    "Label": {"name": _TITLE, "parents": _TITLES, "categories": _TITLES, "instances": _FACES},
    "Text": {"content": _TEXT},
    "ModerationLabel": {"name": _TITLE, "parent": _TITLE},
    "Verdict": {"person_id": _NAME, "display_name": _TITLE, "support": _RESULTS},
    "Support": {"recognizer": _NAME, "evidence_group": _NAME},
    "ListRecognizersResponse": {"recognizers": _RESULTS, "gateway": _NAME},
    "Recognizer": {
        "name": _NAME,
        "features": _FEATURES,
        "models": Limit(16),
        "prices": Limit(16),
        "evidence_group": _NAME,
        "price_groups": _PRICE_GROUPS,
    },
    "Price": {"region": _NAME, "calls": _PRICE_GROUPS},
    "PriceGroup": {"name": _NAME, "tiers": Limit(16)},
    "GroupCalls": {"group": _NAME},
    "Spending": {"month_calls": _PRICE_GROUPS},
    "EnrollFacesRequest": {
        "request_id": _NAME,
        "person_id": _NAME,
        "display_name": _TITLE,
        "images": _IMAGES,
        "collection": _NAME,
        "recognizers": _RECOGNIZERS,
    },
    "EnrollFacesResponse": {"request_id": _NAME, "person_id": _NAME, "results": _RESULTS, "gateway": _NAME},
    "EnrollmentResult": {"recognizer": _NAME, "faces": _IMAGES, "warnings": _WARNINGS},
    "EnrolledFace": {"face_id": _NAME, "warnings": _WARNINGS},
    "Person": {"person_id": _NAME, "display_name": _TITLE},
    "RemovePersonRequest": {
        "request_id": _NAME,
        "person_id": _NAME,
        "collection": _NAME,
        "recognizers": _RECOGNIZERS,
    },
    "RemovePersonResponse": {"request_id": _NAME, "results": _RESULTS, "gateway": _NAME},
    "RemovalResult": {"recognizer": _NAME, "warnings": _WARNINGS},
    "ListPeopleRequest": {"page_token": _TOKEN, "collection": _NAME, "recognizers": _RECOGNIZERS},
    "ListPeopleResponse": {"results": _RESULTS, "next_page_token": _TOKEN, "gateway": _NAME},
    "PeopleResult": {"recognizer": _NAME, "people": Limit(MAX_PAGE_SIZE)},
    "RemoveFacesRequest": {
        "request_id": _NAME,
        "faces": Limit(64),
        "person_id": _NAME,
        "collection": _NAME,
        "recognizers": _RECOGNIZERS,
    },
    "FaceKey": {"content_sha256": Limit(length=64)},
    "FaceId": {"recognizer": _NAME, "face_id": _NAME},
    "RemoveFacesResponse": {"request_id": _NAME, "results": _RESULTS, "gateway": _NAME},
    "FaceRemovalResult": {"recognizer": _NAME, "faces": Limit(64), "warnings": _WARNINGS},
    "ListFacesRequest": {
        "person_id": _NAME,
        "page_token": _TOKEN,
        "collection": _NAME,
        "recognizers": _RECOGNIZERS,
    },
    "ListFacesResponse": {"results": _RESULTS, "next_page_token": _TOKEN, "gateway": _NAME},
    "FacesResult": {"recognizer": _NAME, "faces": Limit(MAX_PAGE_SIZE)},
    "PersonFace": {"face_id": _NAME, "content_sha256": Limit(length=64)},
}


def limit_of(message: Descriptor, field: str) -> Limit:
    """Return the field's bound, one without numbers for a field that needs none or belongs to another package."""
    return TABLE.get(message.full_name.removeprefix(_PACKAGE), {}).get(field, Limit())


def excess(message: Message) -> Excess | None:
    """Return the first field of the message, or of one inside it, that is over its limit; None if none is.

    Entries are counted before any of them is looked at, so a message with millions of them costs nothing.
    """
    return next(_excesses(message, ""), None)


def _excesses(message: Message, path: str) -> Iterator[Excess]:
    for field in _fields(message.DESCRIPTOR):
        if field.may_be_absent and not message.HasField(field.name):
            continue
        values, limit = getattr(message, field.name), field.limit
        if not values:  # quick, and nearly always so
            continue
        name = f"{path}{field.name}"
        if limit.entries is None:
            values = (values,)
        elif len(values) > limit.entries:
            yield Excess(name, f"{name} has {len(values)} entries; the limit is {limit.entries}.")
        if limit.length is not None:
            yield from _long(values, limit, name)
        if field.has_messages:
            for value in values.values() if field.is_map else values:
                yield from _excesses(value, f"{name}.")


def _long(texts: Iterable[str], limit: Limit, name: str) -> Iterator[Excess]:
    has = "has" if limit.entries is None else "has an entry of"
    for text in texts:
        length = len(text.encode() if limit.unit == "bytes" else text)
        if length > (limit.length or 0):
            yield Excess(name, f"{name} {has} {length} {limit.unit}; the limit is {limit.length}.")


class _Field(NamedTuple):
    """A field to look at."""

    name: str
    limit: Limit
    is_map: bool
    has_messages: bool
    may_be_absent: bool
    """Whether it is a message, which reads as an empty one when it is absent."""


@cache
def _fields(message: Descriptor) -> Sequence[_Field]:
    """Return the fields with a limit, or with messages that may have some.

    All others are left alone: reading a picture's bytes copies them.
    """
    fields = []
    for field in message.fields:
        kind, limit = field.message_type, limit_of(message, field.name)
        value = kind.fields_by_name.get("value") if kind is not None and kind.GetOptions().map_entry else None
        inner = value.message_type if value is not None else kind
        has_messages = inner is not None and inner.full_name.startswith(_PACKAGE)
        if has_messages or limit != Limit():
            may_be_absent = has_messages and field.has_presence
            fields.append(_Field(field.name, limit, value is not None, has_messages, may_be_absent))
    return fields
