"""Faces and who they may be."""

from dataclasses import dataclass

from marquee.records import Record


@dataclass(frozen=True, slots=True)
class Box(Record):
    """A part of a picture as shares, 0 to 1, of the upright picture's width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Candidate(Record):
    """A person whom a face may show."""

    person_id: str
    """The recognizer's stable identifier."""
    display_name: str
    score: float
    urls: tuple[str, ...]
    """Pages about the person."""


@dataclass(frozen=True, slots=True)
class Landmark(Record):
    """A point of a face, in shares of the upright picture."""

    type: str
    """ "eyeLeft", "nose" …"""
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Pose(Record):
    """Where a face looks, in degrees, -180 to 180; 0 looks into the camera."""

    roll: float
    yaw: float
    pitch: float


@dataclass(frozen=True, slots=True)
class FaceQuality(Record):
    """How good the picture of a face is."""

    sharpness: float | None
    """0 (blurred) to 1 (sharp)."""
    brightness: float | None
    """0 (dark) to 1 (bright)."""
    pose: Pose | None


@dataclass(frozen=True, slots=True)
class FaceAttribute(Record):
    """Something true of a face."""

    name: str
    """ "Smile", "AgeRange" …"""
    value: str
    """ "true", "false" or a text such as "31-39"."""
    score: float


@dataclass(frozen=True, slots=True)
class Embedding(Record):
    """A face as a vector. Vectors of one model can be compared with each other."""

    model: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Face(Record):
    """A face and who it may be."""

    box: Box
    detection_score: float
    """How sure the detector is that this is a face; 0 when not told."""
    candidates: tuple[Candidate, ...]
    """Best first. Empty: a face that the recognizer does not know."""
    landmarks: tuple[Landmark, ...]
    quality: FaceQuality | None
    attributes: tuple[FaceAttribute, ...]
    embedding: Embedding | None
    """Only with `include_embeddings`."""
