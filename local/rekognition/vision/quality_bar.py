"""Which faces are good enough for a QualityFilter, and why the others are not.

Amazon does not publish its bars; these are the endpoint's own, in what it measures itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from local.rekognition.vision import faces
from local.rekognition.vision.vision import View


@dataclass(frozen=True)
class Bar:
    """The least that a face has to be."""

    confidence: float
    side: int
    """Pixels of the face's shorter side in the picture as it was sent."""
    brightness: float
    sharpness: float
    turn: float
    """Degrees of yaw at most, to either side."""


_MEDIUM = Bar(confidence=75, side=40, brightness=15, sharpness=10, turn=60)
BARS = {
    "LOW": Bar(confidence=60, side=24, brightness=8, sharpness=4, turn=75),
    "MEDIUM": _MEDIUM,
    "AUTO": _MEDIUM,
    "HIGH": Bar(confidence=95, side=64, brightness=25, sharpness=30, turn=40),
}
"""NONE lets everything through."""


def faults(view: View, index: int, quality_filter: str) -> list[str]:
    """Rekognition's reasons against the face; none where it is good enough."""
    bar = BARS.get(quality_filter)
    return list(_faults(view, index, bar)) if bar else []


def _faults(view: View, index: int, bar: Bar) -> Iterator[str]:
    face = view.faces[index]
    quality = faces.measured_quality(view, face)
    if faces.confidence(face) < bar.confidence:
        yield "LOW_CONFIDENCE"
    if min(face.width, face.height) * view.scale < bar.side:
        yield "SMALL_BOUNDING_BOX"
    if quality["Brightness"] < bar.brightness:
        yield "LOW_BRIGHTNESS"
    if quality["Sharpness"] < bar.sharpness:
        yield "LOW_SHARPNESS"
    if abs(faces.pose(view.eyes[index])["Yaw"]) > bar.turn:
        yield "EXTREME_POSE"
