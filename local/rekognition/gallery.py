"""The endpoint's celebrities, from a folder of pictures: GALLERY/NAME/*.jpg.

A person's `about.json` may hold what GetCelebrityInfo returns beside the name: `Urls` and `KnownGender`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from local.rekognition.vision.similarity import similarity
from local.rekognition.vision.view import Embedding, Vision
from local.rekognition.wire.shapes import faults_of, output_shape
from services.runtime.errors import InvalidImage
from services.runtime.images.image import Image
from services.svm.networks.network import DLIB

MAX_DISTANCE = 0.55
"""The distance from which two faces are two people's. dlib's author gives 0.6 for comparing two
pictures; a gallery holds many people, so its limit is stricter. The demo's people differ by 0.66
and more from each other and by 0.21 at most from themselves."""
ABOUT = "about.json"
_UNKNOWN: Mapping[str, Any] = {"Urls": [], "KnownGender": {"Type": "Unlisted"}}


@dataclass(frozen=True)
class Person:
    """A person in the gallery."""

    name: str
    about: Mapping[str, Any] = field(default_factory=lambda: _UNKNOWN, compare=False)
    """`Urls` and `KnownGender`: Amazon always tells both, and its samples read them."""

    @property
    def id(self) -> str:
        """Eight letters and digits, always the same for a name."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Match:
    """A person of the gallery, and the distance of their nearest picture."""

    person: Person
    distance: float

    @property
    def confidence(self) -> float:
        """The similarity, 0 to 100."""
        return similarity(self.distance)


class Gallery:
    """Faces, each with its person."""

    def __init__(self, faces: Iterable[tuple[Person, Embedding]] = ()) -> None:
        faces = list(faces)
        self._people = [person for person, _ in faces]
        self._by_id = {person.id: person for person in self._people}
        self._embeddings = np.array([embedding for _, embedding in faces], np.float32).reshape(-1, DLIB.length)

    def __len__(self) -> int:
        return len(self._people)

    def by_id(self, person_id: str) -> Person | None:
        """Return the person with the id, None if there is none."""
        return self._by_id.get(person_id)

    def find(self, embedding: Embedding) -> Match | None:
        """Return the nearest person, None if nobody is near enough."""
        if not self._people:
            return None
        distances = np.linalg.norm(self._embeddings - embedding, axis=1)
        nearest = int(distances.argmin())
        match = Match(self._people[nearest], float(distances[nearest]))
        return match if match.distance < MAX_DISTANCE else None


def read(folder: Path, vision: Vision) -> tuple[Gallery, list[str]]:
    """Return the folder's gallery, and what is wrong with each picture and about.json that it leaves out."""
    faces, problems = [], []
    for directory in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        person = Person(directory.name)
        try:
            person = Person(directory.name, _about(directory / ABOUT))
        except (OSError, ValueError) as exc:
            problems.append(f"{directory / ABOUT}: {exc}")
        for path in _pictures(directory):
            try:
                faces.append((person, _only_face(path, vision)))
            except (InvalidImage, OSError, ValueError) as exc:
                problems.append(f"{path}: {exc}")
    return Gallery(faces), problems


def _about(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return _UNKNOWN
    about = json.loads(path.read_bytes())
    if not isinstance(about, dict) or not about.keys() <= {"Urls", "KnownGender"}:
        raise ValueError("must be an object with Urls and KnownGender")
    faults = faults_of(about, output_shape("GetCelebrityInfo"), "about")
    if faults:
        raise ValueError(faults[0])
    return {**_UNKNOWN, **about, "KnownGender": {**_UNKNOWN["KnownGender"], **about.get("KnownGender", {})}}


def _pictures(folder: Path) -> Iterator[Path]:
    hidden = (".", ABOUT)
    return (path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(hidden))


def _only_face(path: Path, vision: Vision) -> Embedding:
    view = vision.view(Image(path.read_bytes()).upright())
    if len(view.faces) != 1:
        raise ValueError(f"shows {len(view.faces)} faces; a gallery picture must show one")
    return view.embedding(0)
