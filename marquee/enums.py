"""The contract's enums as strings. UNSPECIFIED stands for a value that this version does not know."""

from enum import StrEnum


class Feature(StrEnum):
    """What to find in a picture."""

    UNSPECIFIED = "UNSPECIFIED"
    CELEBRITIES = "CELEBRITIES"
    """Faces, each with the people it may be, from what the recognizer knows."""
    LABELS = "LABELS"
    """What the picture shows."""
    FACES = "FACES"
    """Faces with landmarks, quality and attributes, without names."""
    FACE_SEARCH = "FACE_SEARCH"
    """Faces, each searched in a collection."""
    TEXT = "TEXT"
    """Written text."""
    MODERATION = "MODERATION"
    """Labels that a moderator wants to see."""


class Policy(StrEnum):
    """In which order recognizers are asked and when the answer is complete."""

    UNSPECIFIED = "UNSPECIFIED"
    """The same as ALL."""
    ALL = "ALL"
    """Ask all at once and wait for all."""
    FIRST_CONFIDENT = "FIRST_CONFIDENT"
    """Ask all at once, answer with the first confident verdict."""
    CASCADE = "CASCADE"
    """Ask one after another, cheapest first, until a verdict is confident."""


class Outcome(StrEnum):
    """How a recognizer's part of a call ended."""

    UNSPECIFIED = "UNSPECIFIED"
    OK = "OK"
    PARTIAL = "PARTIAL"
    """Some features, or some pictures, failed; the rest is valid."""
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"
    SHED = "SHED"
    """Not asked: too many calls were in flight to it."""
    SKIPPED = "SKIPPED"
    """Not asked, or not able to do any of what was asked."""


class VerdictState(StrEnum):
    """What is known about one face."""

    UNSPECIFIED = "UNSPECIFIED"
    IDENTIFIED = "IDENTIFIED"
    """Every recognizer that names this face names the same person."""
    UNKNOWN = "UNKNOWN"
    """There is a face, and nobody knows it."""
    DISAGREE = "DISAGREE"
    """Recognizers name different people."""
    NO_FACE = "NO_FACE"
    """Nobody found a face."""


class EnrollmentState(StrEnum):
    """What became of a picture that was to be enrolled."""

    UNSPECIFIED = "UNSPECIFIED"
    ENROLLED = "ENROLLED"
    """Its face is known from now on."""
    ALREADY_ENROLLED = "ALREADY_ENROLLED"
    """This very picture was enrolled for this person before; nothing was done."""
    REFUSED = "REFUSED"
    """Not enrolled; the status tells why and what to do."""


class RecognizerState(StrEnum):
    """Whether a recognizer can be used now."""

    UNSPECIFIED = "UNSPECIFIED"
    READY = "READY"
    LOADING = "LOADING"
    UNAVAILABLE = "UNAVAILABLE"


class TextType(StrEnum):
    """What a text is."""

    UNSPECIFIED = "UNSPECIFIED"
    LINE = "LINE"
    WORD = "WORD"
