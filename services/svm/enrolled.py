"""Who was enrolled: people and their faces, apart from the trained model, as one file holds them."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.svm.dlib_faces import NETWORK
from services.svm.gallery import Gallery
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
    rows: tuple[npt.NDArray[np.float32], ...] = ()
    """Each person's embeddings [faces, 128]."""

    @cached_property
    def version(self) -> str:
        """12 digits of what it holds; empty for nobody."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:12] if self.people else ""

    def person(self, person_id: str) -> EnrolledPerson | None:
        """The person, if enrolled."""
        return next((one for one in self.people if one.person_id == person_id), None)

    def with_person(self, person: EnrolledPerson, added: Sequence[npt.NDArray[np.float64]]) -> "Enrolled":
        """Holds the person as told, whose faces are those from before and the added ones' [128]."""
        known = {one.person_id: (one, rows) for one, rows in self._pairs()}
        before = known[person.person_id][1] if person.person_id in known else np.empty((0, _LENGTH), np.float32)
        rows = np.vstack([before, *(vector[np.newaxis] for vector in added)]).astype(np.float32)
        known[person.person_id] = (person, rows)
        people, all_rows = zip(*(known[key] for key in sorted(known)), strict=True)
        return Enrolled(people, all_rows)

    def without(self, person_id: str) -> "Enrolled":
        """Holds everybody else."""
        kept = [(person, rows) for person, rows in self._pairs() if person.person_id != person_id]
        return Enrolled(tuple(person for person, _ in kept), tuple(rows for _, rows in kept))

    @cached_property
    def gallery(self) -> Gallery:
        """Their faces, to compare others with."""
        people = tuple(Person(one.person_id, one.display_name) for one in self.people)
        rows = np.concatenate([np.empty((0, _LENGTH)), *self.rows])
        return Gallery(people, rows, np.repeat(np.arange(len(people)), [len(one.faces) for one in self.people]))

    def to_bytes(self) -> bytes:
        """The file: NumPy's archive of `about`, JSON, and `rows`."""
        about = {"format": FORMAT, "network": NETWORK, "people": [asdict(person) for person in self.people]}
        rows = np.concatenate([np.empty((0, _LENGTH), np.float32), *self.rows])
        buffer = io.BytesIO()
        np.savez(buffer, about=np.array(json.dumps(about, ensure_ascii=False)), rows=rows)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Enrolled":
        """What `to_bytes` wrote; nobody, of no bytes. Raises ValueError for anything else; runs no code."""
        if not data:
            return cls()
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                about, rows = json.loads(str(archive["about"])), np.asarray(archive["rows"], np.float32)
            people = tuple(EnrolledPerson(**one | {"faces": tuple(one["faces"])}) for one in about["people"])
            _check(about, people, rows)
        except _UNREADABLE as exc:
            raise ValueError(f"it is no gallery of the SVM recognizer: {exc}") from exc
        ends = np.cumsum([len(person.faces) for person in people])[:-1]
        return cls(people, tuple(np.split(rows, ends)) if people else ())

    def _pairs(self) -> Iterator[tuple[EnrolledPerson, npt.NDArray[np.float32]]]:
        return zip(self.people, self.rows, strict=True)


def _check(about: dict[str, object], people: Sequence[EnrolledPerson], rows: npt.NDArray[np.float32]) -> None:
    if about["format"] != FORMAT or about["network"] != NETWORK:
        raise ValueError(f"it is {about['format']} of {about['network']}, not {FORMAT} of {NETWORK}")
    if rows.shape != (sum(len(person.faces) for person in people), _LENGTH) or not np.isfinite(rows).all():
        raise ValueError("its rows do not fit its people")
