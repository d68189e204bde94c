"""Enums of the contract as strings. UNSPECIFIED stands for a value unknown to this version."""

from enum import StrEnum


class Feature(StrEnum):
    """What to find in a picture."""

    UNSPECIFIED = "UNSPECIFIED"
    CELEBRITIES = "CELEBRITIES"
    """Faces, each with the known people it may show."""
    LABELS = "LABELS"
    """What the picture shows."""
    FACES = "FACES"
    """Faces with landmarks, quality and attributes, without names."""
    FACE_SEARCH = "FACE_SEARCH"
    """Faces, each searched for in a collection."""
    TEXT = "TEXT"
    """Written text."""
    MODERATION = "MODERATION"
    """Labels of interest to moderators."""


class Policy(StrEnum):
    """In which order to call recognizers, and when the response is complete."""

    UNSPECIFIED = "UNSPECIFIED"
    """Same as ALL."""
    ALL = "ALL"
    """Call all at once and wait for all."""
    FIRST_CONFIDENT = "FIRST_CONFIDENT"
    """Call all at once, respond once every face is identified confidently, and cancel the rest."""
    CASCADE = "CASCADE"
    """Call one after another, in the operator's order, until every face is identified confidently."""


class Outcome(StrEnum):
    """Outcome of one recognizer's part of a call."""

    UNSPECIFIED = "UNSPECIFIED"
    OK = "OK"
    PARTIAL = "PARTIAL"
    """Some features failed, or pictures were refused; the rest is valid."""
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"
    SHED = "SHED"
    """Not called: it had too many calls in flight."""
    SKIPPED = "SKIPPED"
    """Left out by the policy, or unable to do any of what was requested."""


class VerdictState(StrEnum):
    """What is known about one face."""

    UNSPECIFIED = "UNSPECIFIED"
    IDENTIFIED = "IDENTIFIED"
    """The evidence is for one person."""
    UNKNOWN = "UNKNOWN"
    """A face that no recognizer knows, or knows well enough, or whose person is named for another face."""
    DISAGREE = "DISAGREE"
    """The evidence is for different people."""
    NO_FACE = "NO_FACE"
    """No recognizer found a face."""


class VerdictBasis(StrEnum):
    """What a verdict was made from."""

    UNSPECIFIED = "UNSPECIFIED"
    SCORES = "SCORES"
    """Scores, as the recognizers give them."""
    CALIBRATED = "CALIBRATED"
    """Likelihood ratios, from the gateway's table for these model versions."""
    STALE_CALIBRATION = "STALE_CALIBRATION"
    """Scores: the gateway's table is for other model versions."""


class EnrollmentState(StrEnum):
    """What happened to a picture to enroll."""

    UNSPECIFIED = "UNSPECIFIED"
    ENROLLED = "ENROLLED"
    """Its face is known from now on."""
    ALREADY_ENROLLED = "ALREADY_ENROLLED"
    """The same picture was enrolled for this person before; nothing changed."""
    REFUSED = "REFUSED"
    """Not enrolled; the status says why and what to do."""


class RecognizerState(StrEnum):
    """Whether a recognizer can be used now."""

    UNSPECIFIED = "UNSPECIFIED"
    READY = "READY"
    LOADING = "LOADING"
    UNAVAILABLE = "UNAVAILABLE"


class TextType(StrEnum):
    """Kind of text."""

    UNSPECIFIED = "UNSPECIFIED"
    LINE = "LINE"
    WORD = "WORD"


class Findings(StrEnum):
    """Which of an answer's findings to show; not of the contract."""

    FACES = "faces"
    LABELS = "labels"
    ALL = "all"
