"""People and their faces as vectors: to compare others with, and as the file of the enrolled holds them."""

import hashlib
import io
import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.svm.networks.network import DLIB, Network, NetworkId

FORMAT = "marquee-gallery/1"
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Person:
    """A person whom a model knows."""

    person_id: str
    """Stays the same however the name is written: "eileen-collins"."""
    display_name: str


@dataclass(frozen=True)
class Gallery:
    """Known faces that others are compared with. Immutable."""

    people: tuple[Person, ...]
    rows: Numbers
    """[faces, length]: embeddings, or in other recipes the classifier's decisions."""
    owners: npt.NDArray[np.int64]
    """[faces]: whose each row is, as an index of `people`."""

    def distances(self, vectors: Numbers) -> Numbers:
        """Return [n, people] for vectors [n, length]: the distance (L2) to each person's nearest face; inf for none."""
        rows, squares, present, starts = self._by_person
        nearest = np.full((len(vectors), len(self.people)), np.inf)
        if len(rows):
            apart = (vectors**2).sum(axis=1, keepdims=True) + squares - 2 * vectors @ rows.T
            nearest[:, present] = np.sqrt(np.maximum(np.minimum.reduceat(apart, starts, axis=1), 0))
        return nearest

    @cached_property
    def _by_person(self) -> tuple[Numbers, Numbers, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows sorted by person, their squared lengths, the people who have any, and where the rows of each begin."""
        order = np.argsort(self.owners, kind="stable")
        rows = self.rows[order]
        present, starts = np.unique(self.owners[order], return_index=True)
        return rows, (rows**2).sum(axis=1), present, starts


@dataclass(frozen=True)
class EnrolledPerson:
    """A person who was enrolled."""

    person_id: str
    display_name: str
    created: str
    """ISO 8601, UTC."""
    faces: tuple[str, ...]
    """IDs of the faces, in the order of their rows; empty for a trained person who was only renamed."""


@dataclass(frozen=True)
class Snapshot:
    """Everybody enrolled at one moment, as the gallery's file holds them. Immutable: each change makes a new one."""

    people: tuple[EnrolledPerson, ...] = ()
    """Sorted by person_id."""
    rows: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, DLIB.length), np.float32))
    """Their embeddings [faces, length], person by person."""
    network: NetworkId = DLIB.id
    """What computed the embeddings."""

    @classmethod
    def nobody(cls, network: Network) -> "Snapshot":
        """Return a snapshot to enroll this network's faces into."""
        return cls((), np.empty((0, network.length), np.float32), network.id)

    @cached_property
    def version(self) -> str:
        """12 digits of the content's SHA-256; empty if nobody is enrolled."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:12] if self.people else ""

    def person(self, person_id: str) -> EnrolledPerson | None:
        """Return the person, if enrolled."""
        index = self._index(person_id)
        return self.people[index] if self._is_at(index, person_id) else None

    def with_person(self, person: EnrolledPerson, vectors: Sequence[Numbers]) -> "Snapshot":
        """Return a snapshot with the person as given, their rows followed by the vectors' [length]."""
        index = self._index(person.person_id)
        after = index + self._is_at(index, person.person_id)
        people = (*self.people[:index], person, *self.people[after:])
        end = sum(len(one.faces) for one in self.people[:after])
        rows = np.vstack([self.rows[:end], *vectors, self.rows[end:]]).astype(np.float32)
        return replace(self, people=people, rows=rows)

    def without(self, person_id: str) -> "Snapshot":
        """Return a snapshot of everybody else."""
        index = self._index(person_id)
        if not self._is_at(index, person_id):
            return self
        begin = sum(len(one.faces) for one in self.people[:index])
        end = begin + len(self.people[index].faces)
        people = (*self.people[:index], *self.people[index + 1 :])
        return replace(self, people=people, rows=np.delete(self.rows, slice(begin, end), axis=0))

    @cached_property
    def gallery(self) -> Gallery:
        """The enrolled faces, to compare others with."""
        people = tuple(Person(one.person_id, one.display_name) for one in self.people)
        owners = np.repeat(np.arange(len(people)), [len(one.faces) for one in self.people])
        return Gallery(people, self.rows.astype(np.float64), owners)

    def to_bytes(self) -> bytes:
        """Return the file's content: NumPy's archive of `about`, which is JSON, and `rows`."""
        people = [vars(person) for person in self.people]
        about = {"format": FORMAT, "network": self.network._asdict(), "people": people}
        buffer = io.BytesIO()
        np.savez(buffer, about=np.frombuffer(json.dumps(about).encode(), np.uint8), rows=self.rows)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, network: Network = DLIB) -> "Snapshot":
        """Read what `to_bytes` wrote for this network; no bytes are nobody. Runs no code of it.

        Raises ValueError for anything else.
        """
        if not data:
            return cls.nobody(network)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                about, rows = json.loads(archive["about"].tobytes()), np.asarray(archive["rows"], np.float32)
            people = tuple(EnrolledPerson(**one | {"faces": tuple(one["faces"])}) for one in about["people"])
            own = NetworkId.of(about["network"])
            _check(about, people, rows)
        except Exception as exc:  # whatever a damaged file makes zipfile, zlib, NumPy's tokenizer or json stumble over
            reason = " ".join(str(exc).split()) or type(exc).__name__
            raise ValueError(f"it is not a gallery of the SVM recognizer, or damaged: {reason}") from exc
        if (own, rows.shape[1:]) != (network.id, (network.length,)):
            raise ValueError(
                f"it is not a gallery of the SVM recognizer's network ({network}), but of another "
                f"({own}, {rows.shape[-1]} numbers)"
            )
        return cls(people, rows, own)

    def _index(self, person_id: str) -> int:
        return bisect_left(self.people, person_id, key=lambda person: person.person_id)

    def _is_at(self, index: int, person_id: str) -> bool:
        return index < len(self.people) and self.people[index].person_id == person_id


def _check(about: dict[str, object], people: Sequence[EnrolledPerson], rows: npt.NDArray[np.float32]) -> None:
    if about["format"] != FORMAT:
        raise ValueError(f"it is {about['format']}, not {FORMAT}")
    if rows.shape[:1] != (sum(len(person.faces) for person in people),) or not np.isfinite(rows).all():
        raise ValueError("its rows do not match its people")
    ids = [person.person_id for person in people]
    if ids != sorted(set(ids)):
        raise ValueError("its people are not sorted")
