"""Enums of the contract about people as strings. UNSPECIFIED stands for a value unknown to this version."""

from enum import StrEnum


class FaceMark(StrEnum):
    """What is decided of a face besides a name."""

    UNSPECIFIED = "UNSPECIFIED"
    """Nothing: a decision is taken back, and machines name the face again."""
    IGNORED = "IGNORED"
    """Of nobody who matters."""
    NOT_A_FACE = "NOT_A_FACE"


class SuggestionKind(StrEnum):
    """What a question asks."""

    UNSPECIFIED = "UNSPECIFIED"
    FACE = "FACE"
    """Whether a face shows a person."""
    CLUSTER = "CLUSTER"
    """Who the faces of a cluster are."""
    PEOPLE = "PEOPLE"
    """Whether two people are one."""


class SuggestionAnswer(StrEnum):
    """An answer to a question."""

    UNSPECIFIED = "UNSPECIFIED"
    SAME = "SAME"
    """It is the person; of a cluster, a person_id or a display_name says who."""
    NOT_SAME = "NOT_SAME"
    """It is not, for ever."""
    SKIP = "SKIP"
    """Nobody knows: the question comes last from now on."""


class Band(StrEnum):
    """How sure a machine is."""

    UNSPECIFIED = "UNSPECIFIED"
    ASSIGN = "ASSIGN"
    """Sure enough to name the face."""
    SUGGEST = "SUGGEST"
    """Sure enough to ask."""
    LEAVE = "LEAVE"
    """Not sure."""


class DecisionForm(StrEnum):
    """What exported decisions are for."""

    UNSPECIFIED = "UNSPECIFIED"
    """Same as TRAINING."""
    TRAINING = "TRAINING"
    """A folder of each person with their faces, as Marquee's trainers take it."""
    CALIBRATION = "CALIBRATION"
    """Pictures with a table of whom their faces show, as calibration takes it."""


class FaceEnrollmentState(StrEnum):
    """State of a face at a recognizer."""

    UNSPECIFIED = "UNSPECIFIED"
    ENROLLED = "ENROLLED"
    """The recognizer has it."""
    REFUSED = "REFUSED"
    """The recognizer refused it."""
    REMOVING = "REMOVING"
    """It is the person's no longer, and is being taken back."""
    WAITING = "WAITING"
    """It is sent as soon as the recognizer answers."""


class DifferenceKind(StrEnum):
    """What differs between the library and a recognizer."""

    UNSPECIFIED = "UNSPECIFIED"
    FACE_MISSING = "FACE_MISSING"
    """The recognizer lacks a face that was enrolled. Mended by enrolling it."""
    FACE_FOREIGN = "FACE_FOREIGN"
    """The recognizer has a face of the person that the library did not enroll. It stays."""
    FACE_LEFT = "FACE_LEFT"
    """The recognizer still has a face that is the person's no longer. Mended by taking it back."""
    NAME = "NAME"
    """The recognizer has another name. Mended by renaming."""
    PERSON_FOREIGN = "PERSON_FOREIGN"
    """The recognizer knows a person whom the library does not. `adopt` takes them over."""
    PERSON_LEFT = "PERSON_LEFT"
    """The recognizer knows a person who was erased or deleted. Mended by removing them."""
