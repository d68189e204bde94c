"""Who was enrolled: people and their faces, apart from the trained model, as one file holds them."""

import hashlib
import io
import json
import zipfile
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.svm.faces.dlib_faces import NETWORK
from services.svm.gallery.vectors import Gallery
from services.svm.people import Person

FORMAT = "marquee-gallery/1"
_LENGTH = 128
_UNREADABLE = (zipfile.BadZipFile, EOFError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class EnrolledPerson:
    """Somebody who was enrolled."""

    person_id: str
    display_name: str
    created: str
    """ISO 8601, UTC."""
    faces: tuple[str, ...]
    """The faces' ids, in the order of their rows; none for a trained person who was only renamed."""


@dataclass(frozen=True)
class Enrolled:
    """All who were enrolled. Never changed: each change makes a new one."""

    people: tuple[EnrolledPerson, ...] = ()
    """By person_id."""
    rows: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, _LENGTH), np.float32))
    """Their embeddings [faces, 128], person by person."""

    @cached_property
    def version(self) -> str:
        """12 digits of what it holds; empty for nobody."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:12] if self.people else ""

    def person(self, person_id: str) -> EnrolledPerson | None:
        """The person, if enrolled."""
        place = self._place(person_id)
        return self.people[place] if self._is_at(place, person_id) else None

    def with_person(self, person: EnrolledPerson, added: Sequence[npt.NDArray[np.float64]]) -> "Enrolled":
        """Holds the person as told, whose faces are those from before and the added ones' [128]."""
        place = self._place(person.person_id)
        after = place + self._is_at(place, person.person_id)
        people = (*self.people[:place], person, *self.people[after:])
        end = sum(len(one.faces) for one in self.people[:after])
        return Enrolled(people, np.vstack([self.rows[:end], *added, self.rows[end:]]).astype(np.float32))

    def without(self, person_id: str) -> "Enrolled":
        """Holds everybody else."""
        place = self._place(person_id)
        if not self._is_at(place, person_id):
            return self
        begin = sum(len(one.faces) for one in self.people[:place])
        end = begin + len(self.people[place].faces)
        people = (*self.people[:place], *self.people[place + 1 :])
        return Enrolled(people, np.delete(self.rows, slice(begin, end), axis=0))

    @cached_property
    def gallery(self) -> Gallery:
        """Their faces, to compare others with."""
        people = tuple(Person(one.person_id, one.display_name) for one in self.people)
        owners = np.repeat(np.arange(len(people)), [len(one.faces) for one in self.people])
        return Gallery(people, self.rows.astype(np.float64), owners)

    def to_bytes(self) -> bytes:
        """The file: NumPy's archive of `about`, which is JSON, and `rows`."""
        about = {"format": FORMAT, "network": NETWORK, "people": [vars(person) for person in self.people]}
        buffer = io.BytesIO()
        np.savez(buffer, about=np.frombuffer(json.dumps(about).encode(), np.uint8), rows=self.rows)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Enrolled":
        """What `to_bytes` wrote; nobody, of no bytes. Raises ValueError for anything else; runs no code."""
        if not data:
            return cls()
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                about, rows = json.loads(archive["about"].tobytes()), np.asarray(archive["rows"], np.float32)
            people = tuple(EnrolledPerson(**one | {"faces": tuple(one["faces"])}) for one in about["people"])
            _check(about, people, rows)
        except _UNREADABLE as exc:
            raise ValueError(f"it is no gallery of the SVM recognizer: {exc}") from exc
        return cls(people, rows)

    def _place(self, person_id: str) -> int:
        return bisect_left(self.people, person_id, key=lambda person: person.person_id)

    def _is_at(self, place: int, person_id: str) -> bool:
        return place < len(self.people) and self.people[place].person_id == person_id


def _check(about: dict[str, object], people: Sequence[EnrolledPerson], rows: npt.NDArray[np.float32]) -> None:
    if about["format"] != FORMAT or about["network"] != NETWORK:
        raise ValueError(f"it is {about['format']} of {about['network']}, not {FORMAT} of {NETWORK}")
    if rows.shape != (sum(len(person.faces) for person in people), _LENGTH) or not np.isfinite(rows).all():
        raise ValueError("its rows do not fit its people")
    names = [person.person_id for person in people]
    if names != sorted(set(names)):
        raise ValueError("its people are not in order")
