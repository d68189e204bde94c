"""What somebody says of a picture that nothing here can see: moderation, general labels, attributes.

A folder of JSON files, each with members of Rekognition's own answers: `Labels` (DetectLabels),
`ModerationLabels` and `ContentTypes` (DetectModerationLabels), `TextDetections` (DetectText) and
`FaceDetails` (DetectFaces; one for each face from left to right, of which the attributes count).
`NAME.json` is about the picture NAME beside it (`party.jpg.json` about `party.jpg`), or about the
bytes whose SHA-256 is NAME.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.rekognition.wire.shapes import faults_of, member_shape

SAID_BY = {
    "Labels": "DetectLabels",
    "ModerationLabels": "DetectModerationLabels",
    "ContentTypes": "DetectModerationLabels",
    "TextDetections": "DetectText",
    "FaceDetails": "DetectFaces",
}
"""Each member, and the operation whose answer has it."""
_SHA256 = re.compile("[0-9a-f]{64}")
Annotation = Mapping[str, Any]


class InvalidAnnotation(ValueError):
    """A file of the folder cannot be used; the message tells which and why."""


class Annotations:
    """What is said, by a picture's SHA-256 in hexadecimal."""

    def __init__(self, said: Mapping[str, Annotation] | None = None) -> None:
        self._said = dict(said or {})

    def __len__(self) -> int:
        return len(self._said)

    def about(self, digest: str) -> Annotation:
        """The members said of the picture; none of one that nobody has spoken of."""
        return self._said.get(digest, {})


def read(folder: Path) -> Annotations:
    """The folder's annotations. Raises InvalidAnnotation."""
    return Annotations({_digest(path): _members(path) for path in sorted(folder.glob("*.json"))})


def _digest(path: Path) -> str:
    picture = path.with_suffix("")
    if picture.is_file():
        return hashlib.sha256(picture.read_bytes()).hexdigest()
    if _SHA256.fullmatch(picture.name):
        return picture.name
    raise InvalidAnnotation(f"{path}: there is no {picture.name} beside it, and the name is no SHA-256.")


def _members(path: Path) -> Annotation:
    try:
        members = json.loads(path.read_bytes())
    except ValueError as exc:
        raise InvalidAnnotation(f"{path}: {exc}") from None
    if not isinstance(members, dict) or not members.keys() <= SAID_BY.keys():
        raise InvalidAnnotation(f"{path}: takes an object with {', '.join(SAID_BY)}.")
    for name, value in members.items():
        faults = faults_of(value, member_shape(SAID_BY[name], name), name)
        if faults:
            raise InvalidAnnotation(f"{path}: {faults[0]}")
        if name != "FaceDetails" and any("Confidence" not in one for one in value):
            raise InvalidAnnotation(f"{path}: {name}: every one takes a Confidence, 0 to 100.")
    return members
