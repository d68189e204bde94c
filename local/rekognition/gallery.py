"""The people whom the endpoint takes for celebrities, from a folder of pictures: GALLERY/NAME/*.jpg.

A person's `about.json` may hold what GetCelebrityInfo tells beside the name: `Urls` and `KnownGender`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from local.rekognition.vision.similarity import similarity
from local.rekognition.vision.vision import Embedding, Vision
from local.rekognition.wire.shapes import faults_of, output_shape
from services.runtime.errors import InvalidImage
from services.runtime.images.image import Image
from services.svm.faces.resnet import LENGTH

FARTHEST = 0.55
"""The distance at which two faces stop being one person's. dlib's author gives 0.6 for comparing two
pictures; a gallery is searched for many people, so it is stricter. The demo's people differ by 0.66
and more from each other and by 0.21 at most from themselves."""
ABOUT = "about.json"


@dataclass(frozen=True)
class Person:
    """Somebody in the gallery."""

    name: str
    about: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """`Urls` and `KnownGender`, where they are told."""

    @property
    def id(self) -> str:
        """Eight letters and digits, the same for a name everywhere and always."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Match:
    """A person of the gallery, and how far the nearest of their pictures is."""

    person: Person
    distance: float

    @property
    def confidence(self) -> float:
        """The similarity, 0 to 100."""
        return similarity(self.distance)


class Gallery:
    """Known faces, each with its person."""

    def __init__(self, known: Iterable[tuple[Person, Embedding]] = ()) -> None:
        known = list(known)
        self._people = [person for person, _ in known]
        self._by_id = {person.id: person for person in self._people}
        self._embeddings = np.array([embedding for _, embedding in known], np.float32).reshape(-1, LENGTH)

    def __len__(self) -> int:
        return len(self._people)

    def by_id(self, person_id: str) -> Person | None:
        """The person with the id, where there is one."""
        return self._by_id.get(person_id)

    def find(self, embedding: Embedding) -> Match | None:
        """The nearest person, if near enough."""
        if not self._people:
            return None
        distances = np.linalg.norm(self._embeddings - embedding, axis=1)
        nearest = int(distances.argmin())
        match = Match(self._people[nearest], float(distances[nearest]))
        return match if match.distance < FARTHEST else None


def read(folder: Path, vision: Vision) -> tuple[Gallery, list[str]]:
    """The gallery in the folder, and what is wrong with the pictures and about.json that were left out."""
    known, problems = [], []
    for one in sorted(path for path in folder.iterdir() if path.is_dir()):
        person = Person(one.name)
        try:
            person = Person(one.name, _about(one / ABOUT))
        except ValueError as exc:
            problems.append(f"{one / ABOUT}: {exc}")
        for path in _pictures(one):
            try:
                known.append((person, _only_face(path, vision)))
            except (InvalidImage, OSError, ValueError) as exc:
                problems.append(f"{path}: {exc}")
    return Gallery(known), problems


def _about(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    told = json.loads(path.read_bytes())
    if not isinstance(told, dict) or not told.keys() <= {"Urls", "KnownGender"}:
        raise ValueError("takes an object with Urls and KnownGender")
    faults = faults_of(told, output_shape("GetCelebrityInfo"), "about")
    if faults:
        raise ValueError(faults[0])
    return told


def _pictures(folder: Path) -> Iterator[Path]:
    hidden = (".", ABOUT)
    return (path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(hidden))


def _only_face(path: Path, vision: Vision) -> Embedding:
    content = path.read_bytes()
    view = vision.look(content, Image(content).upright())
    if len(view.faces) != 1:
        raise ValueError(f"shows {len(view.faces)} faces; a gallery's picture shows one")
    (embedding,) = view.embeddings
    return np.asarray(embedding, np.float32)
