"""Requests of the library's contract, built from the arguments of the client's methods."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from marquee.enums import Feature, VerdictState
from marquee.errors import InvalidRequest
from marquee.library.enums import ContentVariant, ExportFormat, JobState, PictureOrder, PictureState
from marquee.library.results import CategoryRule
from marquee.library.v1 import library_pb2 as pb
from marquee.requests import member_of, names_of
from marquee.sources import Source, image_of, is_s3
from marquee.v1 import recognizer_pb2

K = TypeVar("K")

TimeSpan = tuple[datetime | None, datetime | None]
"""Earliest time, inclusive, and latest, exclusive; None: no bound. One without a time zone is in UTC."""


@dataclass(frozen=True, slots=True)
class TermFilter:
    """Terms that pictures have. Case and accents do not matter."""

    all_of: Sequence[str] = ()
    any_of: Sequence[str] = ()
    none_of: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PeopleFilter:
    """Who is named in a picture, by person_id or display name. Case and accents of names do not matter."""

    all_of: Sequence[str] = ()
    any_of: Sequence[str] = ()
    none_of: Sequence[str] = ()
    only: Sequence[str] = ()
    """Somebody is, and nobody but these."""
    min_count: int | None = None
    """Number of named people, at least."""
    max_count: int | None = None
    """At most."""


class PictureOptions(TypedDict, total=False):
    """Options of methods that change something about a picture, or more."""

    collection: str
    """Empty: the operator's default."""
    request_id: str
    """A call that is repeated with it, within 24 hours, changes nothing and gets the first answer. Empty: generated, so
    that only retries within the call are safe."""


class RecognitionOptions(PictureOptions, total=False):
    """Options of `recognize`."""

    recognizers: Sequence[str]
    """Names. Empty: all."""
    features: Sequence[Feature | str]
    """What to recognize. Empty: CELEBRITIES and LABELS, or what was recognized before."""
    wait: bool
    """Whether to return only once the picture is recognized, or given up. If the deadline passes before, it is
    returned PENDING."""


class AddOptions(RecognitionOptions, total=False):
    """Options of `add`."""

    path: str
    """Name or path of the file, kept as it is. Default: the file's absolute path, the object's key."""
    object_time: datetime | None
    """The file's own time. None: when the file was changed last, the object's time."""
    categories: Sequence[str]
    """Names of categories to put it into; those that do not exist are created."""
    sequencer: str
    """S3's, of the event that told of the object."""


class PictureQuery(TypedDict, total=False):
    """What pictures to find: those that everything fits that is set. A text, or a sequence, is a filter's `all_of`."""

    people: PeopleFilter | Sequence[str]
    labels: TermFilter | Sequence[str]
    """Names of labels, or of their parents."""
    categories: TermFilter | Sequence[str]
    """Names or ids."""
    recognizers: TermFilter | Sequence[str]
    """Recognizers with an answer that is no failure."""
    verdict_states: Sequence[VerdictState | str]
    """States of faces' verdicts, one of which is enough."""
    states: Sequence[PictureState | str]
    """States of pictures. Empty: any."""
    taken: TimeSpan
    """When they were taken."""
    added: TimeSpan
    """When they were added."""
    min_score: float | None
    """Of the surest named face, 0 to 1."""
    max_score: float | None
    text: str
    """Words, each the beginning of a word of a name, a label, a text in the picture, a category or the file's name."""
    file_name: str
    """Beginning of the file's name."""
    min_cost_micro_usd: int | None
    """Of all answers, in millionths of a US dollar."""
    max_cost_micro_usd: int | None
    in_trash: bool
    """Pictures in the trash instead of all others."""
    sha256: str
    """Of the file's bytes."""
    place_prefix: str
    """Where they were found: the beginning of "s3://bucket/key", or of a path."""


def build_addition(source: Source, options: AddOptions) -> pb.AddImageRequest:
    """Build the request to add a picture. Raises InvalidRequest, InvalidImage, ImageTooLarge, OSError."""
    own: AddOptions = {}
    if not (is_s3(source) or isinstance(source, bytes | bytearray | memoryview)):
        own = options_of_file(os.fspath(source))
    return pb.AddImageRequest(
        image=image_of(source),
        path=options.get("path") or own.get("path", ""),
        object_time=_timestamp(options.get("object_time") or own.get("object_time")),
        categories=names_of(options.get("categories", ())),
        sequencer=options.get("sequencer", ""),
        wait=options.get("wait", False),
        **_recognition(options),
        **_change(options),
    )


def build_recognition(picture_id: str, options: RecognitionOptions) -> pb.RecognizePictureRequest:
    """Build the request to recognize a picture again. Raises InvalidRequest."""
    return pb.RecognizePictureRequest(
        picture_id=picture_id, wait=options.get("wait", False), **_recognition(options), **_change(options)
    )


def build_search(
    query: PictureQuery, order: PictureOrder | str, page_size: int, collection: str
) -> pb.SearchPicturesRequest:
    """Build the request for the first page of pictures. Raises InvalidRequest."""
    return pb.SearchPicturesRequest(
        collection=collection,
        query=build_query(query),
        order=pb.PictureOrder.Value(f"PICTURE_ORDER_{member_of(PictureOrder, order)}"),
        page_size=page_size,
    )


def build_export(query: PictureQuery, form: ExportFormat | str, collection: str) -> pb.ExportPicturesRequest:
    """Build the request for an export. Raises InvalidRequest."""
    return pb.ExportPicturesRequest(
        request_id=new_request_id(),
        collection=collection,
        query=build_query(query),
        format=pb.ExportFormat.Value(f"EXPORT_FORMAT_{member_of(ExportFormat, form)}"),
    )


def build_content(picture_id: str, variant: ContentVariant | str, collection: str) -> pb.GetPictureContentRequest:
    """Build the request for a picture's file. Raises InvalidRequest."""
    return pb.GetPictureContentRequest(
        picture_id=picture_id,
        collection=collection,
        variant=pb.ContentVariant.Value(f"CONTENT_VARIANT_{member_of(ContentVariant, variant)}"),
    )


def build_jobs(state: JobState | str, page_size: int, collection: str) -> pb.ListJobsRequest:
    """Build the request for the first page of jobs. Raises InvalidRequest."""
    name = JobState.UNSPECIFIED if state == JobState.UNSPECIFIED else member_of(JobState, state)
    number = pb.JobState.Value(f"JOB_STATE_{name}")
    return pb.ListJobsRequest(collection=collection, state=number, page_size=page_size)


def build_change(kind: type[K], options: PictureOptions, **fields: Any) -> K:
    """Build a request of that kind, which has a collection and a request_id."""
    return kind(**fields, **_change(options))


def build_category(
    name: str, rules: Sequence[CategoryRule], category_id: str, options: PictureOptions
) -> pb.SetCategoryRequest:
    """Build the request to create or change a category. Raises InvalidRequest."""
    category = pb.Category(category_id=category_id, name=name, rules=map(_rule, rules))
    return pb.SetCategoryRequest(category=category, **_change(options))


def build_query(query: PictureQuery) -> pb.PictureQuery:
    """Build a query. Raises InvalidRequest."""
    given: dict[str, Any] = dict(query)
    message = pb.PictureQuery(
        people=_people(given.pop("people", ())),
        verdict_states=[
            recognizer_pb2.VerdictState.Value(f"VERDICT_STATE_{member_of(VerdictState, name)}")
            for name in names_of(given.pop("verdict_states", ()))
        ],
        states=[
            pb.PictureState.Value(f"PICTURE_STATE_{member_of(PictureState, name)}")
            for name in names_of(given.pop("states", ()))
        ],
        taken=_span(given.pop("taken", None)),
        added=_span(given.pop("added", None)),
        score=_range(pb.ScoreRange, min=given.pop("min_score", None), max=given.pop("max_score", None)),
        cost=_range(
            pb.CostRange,
            min_micro_usd=given.pop("min_cost_micro_usd", None),
            max_micro_usd=given.pop("max_cost_micro_usd", None),
        ),
        labels=_terms(given.pop("labels", ())),
        categories=_terms(given.pop("categories", ())),
        recognizers=_terms(given.pop("recognizers", ())),
    )
    for name in ("text", "file_name", "in_trash", "sha256", "place_prefix"):
        setattr(message, name, given.pop(name, type(getattr(message, name))()))
    if given:
        raise TypeError(f"A query has no {', '.join(given)}.")
    return message


def options_of_file(path: str | bytes) -> AddOptions:
    """Return where the file is, with backslashes for bytes that are not UTF-8, and its own time. Raises OSError."""
    place = os.path.abspath(path)  # noqa: PTH100 - for bytes, too
    return {"path": os.fsencode(place).decode("utf-8", "backslashreplace"), "object_time": _changed(path)}


def new_request_id() -> str:
    """Return an identifier that no other call has."""
    return os.urandom(16).hex()


def _recognition(options: RecognitionOptions) -> dict[str, Any]:
    return {
        "recognizers": names_of(options.get("recognizers", ())),
        "features": [
            recognizer_pb2.Feature.Value(f"FEATURE_{member_of(Feature, name)}")
            for name in names_of(options.get("features", ()))
        ],
    }


def _change(options: PictureOptions) -> dict[str, Any]:
    return {
        "collection": options.get("collection", ""),
        "request_id": options.get("request_id") or new_request_id(),
    }


def _people(people: PeopleFilter | Sequence[str]) -> pb.PeopleFilter | None:
    if not isinstance(people, PeopleFilter):
        return pb.PeopleFilter(all_of=names_of(people)) if people else None
    message = pb.PeopleFilter(
        all_of=names_of(people.all_of),
        any_of=names_of(people.any_of),
        none_of=names_of(people.none_of),
        only=names_of(people.only),
        count=_range(pb.CountRange, min=people.min_count, max=people.max_count),
    )
    return message if message.ByteSize() else None


def _terms(terms: TermFilter | Sequence[str]) -> pb.TermFilter | None:
    if not isinstance(terms, TermFilter):
        return pb.TermFilter(all_of=names_of(terms)) if terms else None
    message = pb.TermFilter(
        all_of=names_of(terms.all_of), any_of=names_of(terms.any_of), none_of=names_of(terms.none_of)
    )
    return message if message.ByteSize() else None


def _span(span: TimeSpan | None) -> pb.TimeRange | None:
    if span is None or span == (None, None):
        return None
    begin, end = span
    return pb.TimeRange(begin=_timestamp(begin), end=_timestamp(end))


def _range(kind: type[K], **bounds: float | None) -> K | None:
    return None if all(bound is None for bound in bounds.values()) else kind(**bounds)


def _rule(rule: CategoryRule) -> pb.CategoryRule:
    if bool(rule.label) == bool(rule.person):
        raise InvalidRequest(
            "A rule of a category has a label or a person: give exactly one.",
            code="INVALID_ARGUMENT",
            reason="INVALID_REQUEST",
            metadata={"field": "category.rules"},
        )
    condition = {"label": rule.label} if rule.label else {"person": rule.person}
    return pb.CategoryRule(**condition, min_score=rule.min_score)


def _timestamp(when: datetime | None) -> Timestamp | None:
    if when is None:
        return None
    message = Timestamp()
    message.FromDatetime(when.astimezone(UTC) if when.tzinfo else when)
    return message


def _changed(path: str | bytes) -> datetime | None:
    seconds = os.stat(path).st_mtime  # noqa: PTH116 - for bytes, too
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OSError, OverflowError, ValueError):  # before the year 1 or after 9999, as some file systems have it
        return None
