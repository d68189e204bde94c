"""What people say about pictures that no detector here can see: labels, moderation, text, attributes.

A folder of JSON files, each with members of Rekognition's own responses: `Labels` (DetectLabels),
`ModerationLabels` and `ContentTypes` (DetectModerationLabels), `TextDetections` (DetectText) and
`FaceDetails` (DetectFaces; one per face from left to right, of which only the attributes are used).
`NAME.json` describes the picture NAME in the same folder (`party.jpg.json` describes `party.jpg`), or
the bytes whose SHA-256 is NAME.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any
from unicodedata import category

from local.rekognition.wire.shapes import faults_of, member_shape
from services.runtime.bounds.limit import MAX_DISPLAY_NAME

OPERATIONS = {
    "Labels": "DetectLabels",
    "ModerationLabels": "DetectModerationLabels",
    "ContentTypes": "DetectModerationLabels",
    "TextDetections": "DetectText",
    "FaceDetails": "DetectFaces",
}
"""The members of an annotation, and the operation whose response has them."""
_NAME = {"Name": "a Name"}
_CONFIDENCE = {"Confidence": "a Confidence, 0 to 100"}
_REQUIRED: Mapping[str, Mapping[str, str]] = {
    "Labels": {**_NAME, **_CONFIDENCE},
    "Parents": _NAME,
    "Aliases": _NAME,
    "Categories": _NAME,
    "ModerationLabels": {**_NAME, **_CONFIDENCE},
    "ContentTypes": {**_NAME, **_CONFIDENCE},
    "TextDetections": {
        "DetectedText": "a DetectedText",
        "Type": "a Type, LINE or WORD",
        **_CONFIDENCE,
        "Geometry": "a Geometry",
    },
    "Emotions": {"Type": "a Type, such as HAPPY", **_CONFIDENCE},
}
"""What every entry of a list needs: programs read it, and the endpoint cannot make it up."""
_BOX = ("Left", "Top", "Width", "Height")
_SHA256 = re.compile("[0-9a-f]{64}")
Annotation = Mapping[str, Any]


class InvalidAnnotation(ValueError):
    """A file cannot be used; the message names it and the reason."""


class Annotations:
    """Annotations by the picture's SHA-256 in hexadecimal."""

    def __init__(self, by_digest: Mapping[str, Annotation] | None = None) -> None:
        self._by_digest = dict(by_digest or {})

    def of(self, digest: str) -> Annotation:
        """Return the picture's annotation, empty if there is none."""
        return self._by_digest.get(digest, {})

    def of_faces(self, digest: str, count: int) -> Sequence[Annotation]:
        """Return an annotation for each of the picture's faces, empty if there is none."""
        return list(islice(chain(self.of(digest).get("FaceDetails", ()), repeat({})), count))


def read(folder: Path) -> Annotations:
    """Read the folder's annotations. Raises InvalidAnnotation."""
    return Annotations({_digest(path): _members(path) for path in files(folder)})


def files(folder: Path) -> list[Path]:
    """Return the folder's annotations, without hidden files, such as macOS leaves beside others."""
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))


def _digest(path: Path) -> str:
    picture = path.with_suffix("")
    if picture.is_file():
        return hashlib.sha256(picture.read_bytes()).hexdigest()
    if _SHA256.fullmatch(picture.name):
        return picture.name
    raise InvalidAnnotation(f"{path}: there is no {picture.name} beside it, and the name is not a SHA-256.")


def _has_box(text: Annotation) -> bool:
    return all(side in text["Geometry"].get("BoundingBox", {}) for side in _BOX)


def _is_name(text: str) -> bool:
    """Return whether callers would get the name: no gateway passes another on."""
    return 1 <= len(text) <= MAX_DISPLAY_NAME and not any(category(one) in {"Cc", "Cs"} for one in text)


def _needs(name: str, entries: Sequence[Annotation]) -> Iterator[str]:
    """Yield what entries of the list lack, and those of the lists within them."""
    required = _REQUIRED.get(name, {})
    for entry in entries:
        yield from (f"{name}: every entry needs {need}" for member, need in required.items() if member not in entry)
        if required.get("Name") and not _is_name(entry.get("Name", "")):
            yield f"{name}: every Name has 1 to {MAX_DISPLAY_NAME} characters, and no control character among them"
        for inner in entry.keys() & _REQUIRED.keys():
            yield from _needs(inner, entry[inner])


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _members(path: Path) -> Annotation:
    try:
        members = json.loads(path.read_bytes(), parse_constant=_no_number)
    except (ValueError, RecursionError) as exc:
        raise InvalidAnnotation(f"{path}: {exc}") from None
    if not isinstance(members, dict) or not members.keys() <= OPERATIONS.keys():
        raise InvalidAnnotation(f"{path}: must be an object with {', '.join(OPERATIONS)}.")
    for name, value in members.items():
        faults = faults_of(value, member_shape(OPERATIONS[name], name), name)
        if faults:
            raise InvalidAnnotation(f"{path}: {faults[0]}")
        if need := next(_needs(name, value), None):
            raise InvalidAnnotation(f"{path}: {need}.")
        if name == "TextDetections" and any(not _has_box(entry) for entry in value):
            raise InvalidAnnotation(f"{path}: {name}: every Geometry needs a BoundingBox of {', '.join(_BOX)}.")
    return members
