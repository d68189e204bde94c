"""Responses of the library: pictures, categories, jobs, events and receipts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marquee.enrollment import S3Object
from marquee.library.enums import (
    AnswerSource,
    AssignmentSource,
    CategorySource,
    FaceState,
    JobState,
    PictureState,
    TimeSource,
)
from marquee.library.v1 import library_pb2 as pb
from marquee.records import Cell, Record, Status, Tabular, read
from marquee.results import Label, ModerationLabel, Recognition, RecognizerResult, Text, Verdict
from marquee.v1.recognizer_pb2 import (
    VERDICT_STATE_IDENTIFIED,
    VERDICT_STATE_UNKNOWN,
    ImageInfo,
    RecognizeImageResponse,
)
from marquee.v1.recognizer_pb2 import Verdict as RecognizedVerdict


@dataclass(frozen=True, slots=True)
class LibraryPicture(Tabular):
    """A picture in the library."""

    picture_id: str
    """Permanent identifier, a UUIDv7."""
    collection: str
    state: PictureState
    sha256: str
    """Of the file's bytes, 64 lowercase hexadecimal digits; empty while an object in S3 has not been read."""
    pixel_sha256: str
    """Of the upright picture's pixels; empty until recognized."""
    format: str
    """ "JPEG", "PNG" or "WEBP"; empty while unknown."""
    width: int
    """Pixels, of the upright picture; 0 while unknown."""
    height: int
    """Likewise."""
    size_bytes: int
    """0 while unknown."""
    file_name: str
    """As it was given first."""
    create_time: datetime | None
    """When it was added."""
    update_time: datetime | None
    """When anything about it changed last."""
    taken_time: datetime | None
    """When it was taken, as well as that is known."""
    taken_time_source: TimeSource
    exif_time: str
    """What EXIF says, such as "2024:02:29 23:59:59+02:00"; may be empty."""
    object_time: datetime | None
    """The file's or object's own time."""
    delete_time: datetime | None
    """When it was put into the trash; None: it is not there."""
    expire_time: datetime | None
    """When it will be erased, by the trash or by retention; None: never."""
    places: tuple[Place, ...]
    """Where it was found, the current places first."""
    faces: tuple[PictureFace, ...]
    """From left to right."""
    labels: tuple[Label, ...]
    """Of all recognizers, best score first."""
    texts: tuple[Text, ...]
    moderation_labels: tuple[ModerationLabel, ...]
    """Best score first."""
    categories: tuple[PictureCategory, ...]
    """By name."""
    answers: tuple[Answer, ...]
    """Newest first, of which the newest of each recognizer counts. Only from `get`."""
    cost_micro_usd: int
    """Of all answers, in millionths of a US dollar."""
    same_pixels: tuple[str, ...]
    """Other pictures of the collection with the same pixels. Only from `get`."""
    job: Job | None
    """The job that recognizes it, or did last."""
    raw: pb.Picture = field(repr=False, compare=False)
    """The message itself."""

    @property
    def people(self) -> tuple[str, ...]:
        """Names of the people whom its faces show, each once."""
        return tuple(dict.fromkeys(face.display_name for face in self.faces if face.person_id))

    @property
    def score(self) -> float | None:
        """Score of the surest named face; None: there is none."""
        return max((face.score for face in self.faces if face.person_id), default=None)

    def recognition(self) -> Recognition:
        """Return what is known of it as an answer to `recognize`, which draws itself, given its file.

        Its verdicts name whom the library knows the faces to show. Results of single recognizers are only those of a
        picture from `get`.
        """
        answers: dict[str, Any] = {}
        for answer in self.raw.answers:
            answers.setdefault(answer.result.recognizer, answer.result)
        response = RecognizeImageResponse(
            image=ImageInfo(width=self.width, height=self.height, sha256=self.sha256, format=self.format),
            results=answers.values(),
            labels=self.raw.labels,
            verdicts=[_shown(face) for face in self.raw.faces if face.state != pb.FACE_STATE_NOT_A_FACE],
            cost_micro_usd=self.cost_micro_usd,
        )
        return read(Recognition, response)

    def rows(self) -> list[dict[str, Cell]]:
        """Return its row: people, labels and categories are "one; another", the cost is in dollars."""
        return [
            {
                "picture_id": self.picture_id,
                "state": str(self.state),
                "file_name": self.file_name,
                "taken_time": self.taken_time,
                "people": "; ".join(self.people),
                "score": self.score,
                "labels": "; ".join(label.name for label in self.labels),
                "categories": "; ".join(category.name for category in self.categories),
                "width": self.width or None,
                "height": self.height or None,
                "cost": self.cost_micro_usd / 1e6,
                "create_time": self.create_time,
            }
        ]


@dataclass(frozen=True, slots=True)
class Place(Record):
    """Where a picture was found: an object in S3, or a file on a client's machine."""

    s3_object: S3Object | None
    path: str
    """Name or path on the client's machine; empty for an object."""
    current: bool
    """Whether the picture is still there, as far as is known."""
    object_time: datetime | None
    """The object's or file's own time."""
    create_time: datetime | None
    """When the library learned of it."""
    sequencer: str

    @property
    def location(self) -> str:
        """The path, or s3://bucket/key?versionId=…."""
        if self.s3_object is None:
            return self.path
        version = f"?versionId={self.s3_object.version_id}" if self.s3_object.version_id else ""
        return f"s3://{self.s3_object.bucket}/{self.s3_object.key}{version}"


@dataclass(frozen=True, slots=True)
class PictureFace(Record):
    """A face in a picture."""

    face_id: str
    """It stays when the picture is recognized again and the face is found at the same place."""
    verdict: Verdict
    """What the recognizers found."""
    create_time: datetime | None
    """When it was found first."""
    person_id: str
    """Person of the library whom it shows: as was decided, or else as machines say; empty: nobody is known."""
    display_name: str
    """Of that person."""
    score: float
    """With which it is that person, 0 to 1; 1 if it was decided."""
    source: AssignmentSource
    """Who says so."""
    state: FaceState
    cluster_id: str
    """Group of faces that a machine takes for one person's; empty: none."""
    drawn: bool
    """Whether somebody drew it, since no recognizer had found it."""


@dataclass(frozen=True, slots=True)
class Answer(Record):
    """A recognizer's answer. It never changes."""

    answer_id: str
    create_time: datetime | None
    source: AnswerSource
    result: RecognizerResult


@dataclass(frozen=True, slots=True)
class PictureCategory(Record):
    """A category that a picture is in."""

    category_id: str
    name: str
    source: CategorySource


@dataclass(frozen=True, slots=True)
class Category(Record):
    """A category of pictures."""

    category_id: str
    collection: str
    name: str
    """Unique in the collection but for case and accents."""
    rules: tuple[CategoryRule, ...]
    """Pictures that any of these fits are in the category."""
    picture_count: int
    """Those in the trash left out."""
    create_time: datetime | None


@dataclass(frozen=True, slots=True)
class CategoryRule(Record):
    """What puts pictures into a category: a label or a person."""

    label: str = ""
    """Name of a label, or of one of its parents."""
    person: str = ""
    """person_id or display name of somebody who is IDENTIFIED."""
    min_score: float = 0
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class Job(Record):
    """Work on a picture."""

    job_id: str
    picture_id: str
    state: JobState
    attempts: int
    repeated_calls: int
    """How often a call was given up without an answer, so that recognizers may have been paid twice."""
    status: Status
    """What the last attempt failed with; OK: it did not."""
    caller: str
    """Who added the picture."""
    create_time: datetime | None
    next_attempt_time: datetime | None
    """None: none is due."""
    end_time: datetime | None
    """None: it did not end."""


@dataclass(frozen=True, slots=True)
class JobCounts(Record):
    """How many jobs of a collection there are to care for."""

    pending_count: int
    """Queued or running."""
    dead_count: int
    """Given up."""


@dataclass(frozen=True, slots=True)
class Addition(Record):
    """Result of adding a picture."""

    picture: LibraryPicture
    """It may be in the trash: adding it again does not take it out."""
    created: bool
    """Whether the collection did not have it before."""
    request_id: str


@dataclass(frozen=True, slots=True)
class PictureContent(Record):
    """A file of a picture."""

    content: bytes = field(repr=False)
    media_type: str
    """ "image/jpeg", "image/png" or "image/webp"."""


@dataclass(frozen=True, slots=True)
class ExportSummary(Record):
    """A finished export."""

    export_id: str
    """By which the receipt of an erasure names it."""
    picture_count: int


@dataclass(frozen=True, slots=True)
class Event(Record):
    """Something that happened in a collection."""

    event_id: int
    """Rises, but with gaps."""
    type: str
    """ "picture.added", "picture.recognized" …; docs/library.md has all."""
    create_time: datetime | None
    picture_id: str
    """Empty: none, or erased."""
    caller: str
    """Empty: the library itself."""
    data: Mapping[str, Any]
    """What else there is to say, by type."""


@dataclass(frozen=True, slots=True)
class EventPage(Record):
    """Events, oldest first."""

    events: tuple[Event, ...]
    next_cursor: str
    """Where the next call goes on, also when there are no events now."""


@dataclass(frozen=True, slots=True)
class ErasureReceipt(Record):
    """What an erasure reached, and what it cannot reach."""

    receipt_id: str
    picture_id: str
    erase_time: datetime | None
    erased: Mapping[str, int]
    """What was erased, each with how many."""
    objects: tuple[str, ...]
    """Files and their versions that were erased from the object store."""
    exports: tuple[ExportRecord, ...]
    """Exports that had the picture, or may have had it."""
    beyond_reach: tuple[str, ...]
    """What is beyond the library's reach, and what to do about it."""


@dataclass(frozen=True, slots=True)
class ExportRecord(Record):
    """An export that was made."""

    export_id: str
    create_time: datetime | None
    caller: str


@dataclass(frozen=True, slots=True)
class ImportResult(Record):
    """What became of an imported answer."""

    status: Status
    """OK, or why it was refused."""
    picture_id: str
    imported: bool
    """Whether it is new: one that was imported before, or is older than what the library knows, is left out."""


def _shown(face: pb.PictureFace) -> RecognizedVerdict:
    """Return the recognizers' verdict of a face, with the person whom the library knows it to show."""
    verdict = RecognizedVerdict()
    verdict.CopyFrom(face.verdict)
    if face.person_id:
        verdict.state = VERDICT_STATE_IDENTIFIED
    elif verdict.state == VERDICT_STATE_IDENTIFIED:
        verdict.state = VERDICT_STATE_UNKNOWN
    verdict.person_id, verdict.display_name, verdict.score = face.person_id, face.display_name, face.score
    return verdict
