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
MAX_IMPORT_BYTES = MIB
"""Of an ImportAnswersRequest, which has answers in place of pictures."""
DEFAULT_DEADLINE_SECONDS = 12.0
MAX_DEADLINE_SECONDS = 24 * 3600.0
LONG_METHODS = frozenset(("ExportPictures",))
"""Methods whose default deadline is the longest: they take as long as there is something to send."""
DEFAULT_MAX_LABELS = 10
MAX_MAX_LABELS = 1000
DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
MAX_HOPS = 4
MAX_NAME = 128
"""Characters of a name or an identifier."""
MAX_DISPLAY_NAME = 200
_PACKAGES = ("marquee.v1", "marquee.library.v1")
"""Those of the contract, in which no two messages have one name."""


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
_ID = Limit(length=36)
_HASH = Limit(length=64)
_CALLER = Limit(length=255)
_FILE = Limit(length=1024)
_PATH = Limit(length=10_000)
_CATEGORIES = Limit(64, MAX_DISPLAY_NAME)
_PAGE = Limit(MAX_PAGE_SIZE)

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
    "Picture": {
        "picture_id": _ID,
        "collection": _NAME,
        "sha256": _HASH,
        "pixel_sha256": _HASH,
        "format": Limit(length=16),
        "file_name": _FILE,
        "exif_time": Limit(length=64),
        "places": _LABELS,
        "faces": _LABELS,
        "labels": _LABELS,
        "texts": _LABELS,
        "moderation_labels": _LABELS,
        "categories": Limit(256),
        "answers": _LABELS,
        "same_pixels": Limit(100, 36),
    },
    "Place": {"path": _PATH, "sequencer": _NAME},
    "PictureFace": {"face_id": _ID},
    "Answer": {"answer_id": _ID},
    "PictureCategory": {"category_id": _ID, "name": _TITLE},
    "Category": {"category_id": _ID, "collection": _NAME, "name": _TITLE, "rules": Limit(256)},
    "CategoryRule": {"label": _TITLE, "person": _TITLE},
    "Job": {"job_id": _ID, "picture_id": _ID, "caller": _CALLER},
    "AddImageRequest": {
        "request_id": _NAME,
        "collection": _NAME,
        "path": _PATH,
        "recognizers": _RECOGNIZERS,
        "features": _FEATURES,
        "categories": _CATEGORIES,
        "sequencer": _NAME,
    },
    "AddImageResponse": {"request_id": _NAME},
    "GetPictureRequest": {"picture_id": _ID, "collection": _NAME},
    "GetPictureContentRequest": {"picture_id": _ID, "collection": _NAME},
    "GetPictureContentResponse": {"media_type": Limit(length=64)},
    "PictureQuery": {
        "verdict_states": _FEATURES,
        "states": _FEATURES,
        "text": Limit(length=500),
        "file_name": _FILE,
        "sha256": _HASH,
        "place_prefix": _FILE,
    },
    "PeopleFilter": {"all_of": _TITLES, "any_of": _CATEGORIES, "none_of": _CATEGORIES, "only": Limit(8, 200)},
    "TermFilter": {"all_of": _TITLES, "any_of": _CATEGORIES, "none_of": _CATEGORIES},
    "SearchPicturesRequest": {"collection": _NAME, "page_token": _TOKEN},
    "SearchPicturesResponse": {"pictures": _PAGE, "next_page_token": _TOKEN},
    "ExportPicturesRequest": {"request_id": _NAME, "collection": _NAME},
    "ExportPicturesResponse": {"export_id": _ID},
    "RecognizePictureRequest": {
        "request_id": _NAME,
        "picture_id": _ID,
        "collection": _NAME,
        "recognizers": _RECOGNIZERS,
        "features": _FEATURES,
    },
    "DeletePictureRequest": {"request_id": _NAME, "picture_id": _ID, "collection": _NAME},
    "UndeletePictureRequest": {"request_id": _NAME, "picture_id": _ID, "collection": _NAME},
    "ErasePictureRequest": {"request_id": _NAME, "picture_id": _ID, "collection": _NAME},
    "ErasureReceipt": {
        "receipt_id": _ID,
        "picture_id": _ID,
        "erased": _RECOGNIZERS,
        "objects": Limit(1000, 2000),
        "exports": _PAGE,
        "beyond_reach": Limit(1000, 2000),
    },
    "ExportRecord": {"export_id": _ID, "caller": _CALLER},
    "SetCategoryRequest": {"request_id": _NAME, "collection": _NAME},
    "ListCategoriesRequest": {"collection": _NAME, "page_token": _TOKEN},
    "ListCategoriesResponse": {"categories": _PAGE, "next_page_token": _TOKEN},
    "DeleteCategoryRequest": {"request_id": _NAME, "collection": _NAME, "category_id": _ID},
    "CategorizePictureRequest": {
        "request_id": _NAME,
        "picture_id": _ID,
        "collection": _NAME,
        "add": _CATEGORIES,
        "remove": _CATEGORIES,
    },
    "ListEventsRequest": {"collection": _NAME, "cursor": _NAME},
    "ListEventsResponse": {"events": _PAGE, "next_cursor": _NAME},
    "Event": {"type": _NAME, "picture_id": _ID, "caller": _CALLER},
    "ListJobsRequest": {"collection": _NAME, "page_token": _TOKEN},
    "ListJobsResponse": {"jobs": _PAGE, "next_page_token": _TOKEN},
    "RetryJobsRequest": {"request_id": _NAME, "collection": _NAME, "job_ids": Limit(500, 36)},
    "ImportAnswersRequest": {"request_id": _NAME, "collection": _NAME, "answers": Limit(100)},
    "ImportAnswersResponse": {"results": Limit(100)},
    "ImportResult": {"picture_id": _ID},
}


def limit_of(message: Descriptor, field: str) -> Limit:
    """Return the field's bound, one without numbers for a field that needs none or belongs to another package."""
    return TABLE.get(message.name, {}).get(field, Limit()) if _is_ours(message) else Limit()


def _is_ours(message: Descriptor) -> bool:
    return message.file.package in _PACKAGES


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
        has_messages = inner is not None and _is_ours(inner)
        if has_messages or limit != Limit():
            may_be_absent = has_messages and field.has_presence
            fields.append(_Field(field.name, limit, value is not None, has_messages, may_be_absent))
    return fields
