"""The people whom the endpoint knows, from a folder of pictures: GALLERY/NAME/*.jpg."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from local.rekognition.vision import Embedding, Vision
from services.runtime.errors import InvalidImage
from services.runtime.images import Image

FARTHEST = 0.55
"""The distance at which two faces stop being one person's. dlib's author gives 0.6 for comparing two
pictures; a gallery is searched for many people, so it is stricter. The demo's people differ by 0.66
and more from each other and by 0.21 at most from themselves."""


@dataclass(frozen=True)
class Person:
    """Somebody in the gallery."""

    name: str

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
        """100 for the same picture, 50 for the farthest that counts."""
        return 100 - 50 * self.distance / FARTHEST


class Gallery:
    """Known faces, each with its person."""

    def __init__(self, known: Iterable[tuple[Person, Embedding]] = ()) -> None:
        known = list(known)
        self._people = [person for person, _ in known]
        self._embeddings = np.array([embedding for _, embedding in known]).reshape(-1, 128)

    def __len__(self) -> int:
        return len(self._people)

    def find(self, embedding: Embedding) -> Match | None:
        """The nearest person, if near enough."""
        if not self._people:
            return None
        distances = np.linalg.norm(self._embeddings - embedding, axis=1)
        nearest = int(distances.argmin())
        match = Match(self._people[nearest], float(distances[nearest]))
        return match if match.distance < FARTHEST else None


def read(folder: Path, vision: Vision) -> tuple[Gallery, list[str]]:
    """The gallery in the folder, and what is wrong with the pictures that were left out."""
    known, problems = [], []
    for path in _pictures(folder):
        try:
            known.append((Person(path.parent.name), _only_face(path, vision)))
        except (InvalidImage, OSError, ValueError) as exc:
            problems.append(f"{path}: {exc}")
    return Gallery(known), problems


def _pictures(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("*/*")) if path.is_file() and not path.name.startswith("."))


def _only_face(path: Path, vision: Vision) -> Embedding:
    view = vision.look(Image(path.read_bytes()).upright())
    if len(view.faces) != 1:
        raise ValueError(f"shows {len(view.faces)} faces; a gallery's picture shows one")
    return vision.embed(view, view.faces[0])
