"""People and their faces as vectors: to compare others with, and as the file of the enrolled holds them."""

import hashlib
import io
import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from services.svm.networks.network import DLIB, Network, NetworkId

FORMAT = "marquee-gallery/2"
FIRST_FORMAT = "marquee-gallery/1"
"""Of galleries that say nothing of a face but its id. They are read; the next change writes them in FORMAT."""
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


class Source(NamedTuple):
    """The S3 object that a picture was read from."""

    bucket: str
    key: str
    version_id: str


class EnrolledFace(NamedTuple):
    """A face, and the picture that it was enrolled from. What is unknown is empty.

    A tuple, since a gallery of 100,000 dataclasses takes seconds to read and to write.
    """

    face_id: str
    """The first digits of the picture's SHA-256."""
    content_sha256: str = ""
    source: Source | None = None
    """None if the picture came as bytes."""
    created: str = ""
    """ISO 8601, UTC."""
    detector: str = "haar"
    """What found the face."""


def face_id_of(content_sha256: str) -> str:
    """Return the id of the face in a picture, the same for the same file."""
    return content_sha256[:32]


@dataclass(frozen=True)
class EnrolledPerson:
    """A person who was enrolled."""

    person_id: str
    display_name: str
    created: str
    """ISO 8601, UTC."""
    faces: tuple[EnrolledFace, ...]
    """In the order of enrollment and of their rows; empty for a trained person who was only renamed."""


@dataclass(frozen=True)
class Snapshot:
    """Everybody enrolled at one moment, as the gallery's file holds them. Immutable: each change makes a new one."""

    people: tuple[EnrolledPerson, ...] = ()
    """Sorted by person_id."""
    rows: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, DLIB.length), np.float32))
    """Their embeddings [faces, length], person by person."""
    network: Network = DLIB
    """What computed the embeddings."""

    @classmethod
    def nobody(cls, network: Network) -> "Snapshot":
        """Return a snapshot to enroll this network's faces into."""
        return cls((), np.empty((0, network.length), np.float32), network)

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

    @cached_property
    def owners(self) -> Mapping[str, Sequence[str]]:
        """The people who have the face, by its id: usually one, several if a picture was enrolled for each."""
        owners = defaultdict(list)
        for person in self.people:
            for face in person.faces:
                owners[face.face_id].append(person.person_id)
        return owners

    def without(self, person_id: str) -> "Snapshot":
        """Return a snapshot of everybody else."""
        index = self._index(person_id)
        if not self._is_at(index, person_id):
            return self
        people = (*self.people[:index], *self.people[index + 1 :])
        return replace(self, people=people, rows=np.delete(self.rows, self._rows_of(index), axis=0))

    def without_faces(self, gone: Collection[tuple[str, str]], keep: Collection[str]) -> "Snapshot":
        """Return a snapshot without the faces, each a person_id and a face_id.

        Whoever has none left is left out, but for those to keep.
        """
        stay = [(person.person_id, face.face_id) not in gone for person in self.people for face in person.faces]
        changed = {person_id for person_id, _ in gone}
        people = (_without(person, gone) if person.person_id in changed else person for person in self.people)
        known = (one for one in people if one.faces or one.person_id not in changed or one.person_id in keep)
        return replace(self, people=tuple(known), rows=self.rows[stay])

    @cached_property
    def gallery(self) -> Gallery:
        """The enrolled faces, to compare others with."""
        people = tuple(Person(one.person_id, one.display_name) for one in self.people)
        owners = np.repeat(np.arange(len(people)), [len(one.faces) for one in self.people])
        return Gallery(people, self.rows.astype(np.float64), owners)

    def to_bytes(self) -> bytes:
        """Return the file's content: NumPy's archive of `about`, which is JSON, and `rows`."""
        people = [{**vars(one), "faces": [face._asdict() for face in one.faces]} for one in self.people]
        network = {"network": self.network.id._asdict(), "aligner": self.network.aligner}
        about = {"format": FORMAT, **network, "people": people}
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
            _check_format(about["format"])
            people = tuple(_person(one) for one in about["people"])
            _check(people, rows)
            aligner = about.get("aligner", DLIB.aligner)
            made = replace(network, id=NetworkId.of(about["network"]), length=rows.shape[1], aligner=aligner)
        except Exception as exc:  # whatever a damaged file makes zipfile, zlib, NumPy's tokenizer or json stumble over
            reason = " ".join(str(exc).split()) or type(exc).__name__
            raise ValueError(f"it is not a gallery of the SVM recognizer, or damaged: {reason}") from exc
        if made != network:
            raise ValueError(
                f"it is not a gallery of the SVM recognizer's network ({network}), but of another ({made})"
            )
        return cls(people, rows, network)

    def _index(self, person_id: str) -> int:
        return bisect_left(self.people, person_id, key=lambda person: person.person_id)

    def _is_at(self, index: int, person_id: str) -> bool:
        return index < len(self.people) and self.people[index].person_id == person_id

    def _rows_of(self, index: int) -> range:
        begin = sum(len(one.faces) for one in self.people[:index])
        return range(begin, begin + len(self.people[index].faces))


def _without(person: EnrolledPerson, gone: Collection[tuple[str, str]]) -> EnrolledPerson:
    return replace(person, faces=tuple(one for one in person.faces if (person.person_id, one.face_id) not in gone))


def _check_format(written: str) -> None:
    if written not in (FORMAT, FIRST_FORMAT):
        raise ValueError(f"it is {written}, not {FORMAT}")


def _person(one: Mapping[str, Any]) -> EnrolledPerson:
    return EnrolledPerson(**{**one, "faces": tuple(map(_face, one["faces"]))})


def _face(one: Mapping[str, Any] | str) -> EnrolledFace:
    """Return the face; one in FIRST_FORMAT is its id."""
    if isinstance(one, str):
        return EnrolledFace(one)
    face = EnrolledFace(**one)
    return face._replace(source=Source(*face.source)) if face.source else face


def _check(people: Sequence[EnrolledPerson], rows: npt.NDArray[np.float32]) -> None:
    if rows.shape[:1] != (sum(len(person.faces) for person in people),) or not np.isfinite(rows).all():
        raise ValueError("its rows do not match its people")
    ids = [person.person_id for person in people]
    if ids != sorted(set(ids)):
        raise ValueError("its people are not sorted")
