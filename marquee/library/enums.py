"""Enums of the library's contract as strings. UNSPECIFIED stands for a value unknown to this version."""

from enum import StrEnum


class PictureState(StrEnum):
    """How far the library is with a picture."""

    UNSPECIFIED = "UNSPECIFIED"
    PENDING = "PENDING"
    """Waiting to be recognized, or being recognized."""
    RECOGNIZED = "RECOGNIZED"
    """All recognizers that were asked have answered."""
    PARTIAL = "PARTIAL"
    """Some recognizers have answered; the others failed after all attempts."""
    FAILED = "FAILED"
    """Given up: the job's status says why."""
    IMPORTED = "IMPORTED"
    """Known by an imported answer alone; there is no file."""


class AnswerSource(StrEnum):
    """Where an answer comes from."""

    UNSPECIFIED = "UNSPECIFIED"
    CALL = "CALL"
    """A recognizer was called."""
    CACHE = "CACHE"
    """The gateway's cache."""
    IMPORT = "IMPORT"
    """Given elsewhere, and imported."""


class TimeSource(StrEnum):
    """Where the time comes from at which a picture was taken."""

    UNSPECIFIED = "UNSPECIFIED"
    EXIF = "EXIF"
    """EXIF, with an offset from UTC."""
    EXIF_LOCAL = "EXIF_LOCAL"
    """EXIF without an offset, read as UTC."""
    OBJECT = "OBJECT"
    """The file's or object's own time."""
    ADDED = "ADDED"
    """When the picture was added."""


class CategorySource(StrEnum):
    """Who put a picture into a category."""

    UNSPECIFIED = "UNSPECIFIED"
    RULE = "RULE"
    """One of the category's rules."""
    HAND = "HAND"
    """A person."""


class FaceState(StrEnum):
    """How far the library is with a face."""

    UNSPECIFIED = "UNSPECIFIED"
    """In a filter: any."""
    NEW = "NEW"
    """Not compared with others yet."""
    TRIED = "TRIED"
    """Compared with others."""
    IGNORED = "IGNORED"
    """Decided: of nobody who matters, and not to be asked about."""
    NOT_A_FACE = "NOT_A_FACE"
    """Decided."""
    ERASED = "ERASED"
    """Of a person who was erased: neither compared nor named any more."""


class AssignmentSource(StrEnum):
    """Who says whom a face shows."""

    UNSPECIFIED = "UNSPECIFIED"
    """Nobody does."""
    DECISION = "DECISION"
    """Somebody decided it."""
    RECOGNIZERS = "RECOGNIZERS"
    """The gateway's verdict."""
    NEIGHBOURS = "NEIGHBOURS"
    """Faces that are near it."""


class JobState(StrEnum):
    """State of a job."""

    UNSPECIFIED = "UNSPECIFIED"
    """In a filter: any."""
    QUEUED = "QUEUED"
    """Waiting for its turn or its next attempt."""
    RUNNING = "RUNNING"
    DONE = "DONE"
    DEAD = "DEAD"
    """Given up: its status says why. `retry` tries it again."""


class ExportFormat(StrEnum):
    """Form of an exported file."""

    UNSPECIFIED = "UNSPECIFIED"
    """Same as JSON_LINES."""
    JSON_LINES = "JSON_LINES"
    """One JSON object a line."""
    CSV = "CSV"
    """RFC 4180 with a line of titles."""


class PictureOrder(StrEnum):
    """Order of found pictures."""

    UNSPECIFIED = "UNSPECIFIED"
    """Same as TAKEN_NEWEST."""
    TAKEN_NEWEST = "TAKEN_NEWEST"
    """By when they were taken, the newest first."""
    TAKEN_OLDEST = "TAKEN_OLDEST"
    ADDED_NEWEST = "ADDED_NEWEST"
    """By when they were added, the newest first."""
    ADDED_OLDEST = "ADDED_OLDEST"


class ContentVariant(StrEnum):
    """A file of a picture."""

    UNSPECIFIED = "UNSPECIFIED"
    """Same as ORIGINAL."""
    ORIGINAL = "ORIGINAL"
    """The file as it was added."""
    THUMBNAIL = "THUMBNAIL"
    """WebP of at most 512 pixels on the longer side, upright, without metadata."""
