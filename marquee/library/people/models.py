"""Responses about models, recognizers, erasures and audits of people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from marquee.library.people.enums import DifferenceKind, FaceEnrollmentState
from marquee.records import Cell, Record, Status, Tabular


@dataclass(frozen=True, slots=True)
class VectorModel(Record):
    """A model whose vectors of faces the library has."""

    model_id: int
    name: str
    version: str
    """With the alignment of faces before it."""
    metric: str
    """ "l2" or "cosine"."""
    dimensions: int
    """Components of a vector."""
    face_count: int
    """Number of the collection's faces that have a vector of it."""
    used: bool
    """Whether people are compared by it."""
    assign_distance: float | None
    """Greatest distance at which a face is named by its neighbours; None: none is."""
    suggest_distance: float | None
    """Greatest distance at which somebody is asked; None: nobody is."""
    distances_from: str
    """ "default", "decisions" or "settings"."""


@dataclass(frozen=True, slots=True)
class EmbeddingRun(Record):
    """How far the embedding of all faces is."""

    recognizer: str
    model: VectorModel | None
    """None: no face has been embedded yet."""
    done_count: int
    """Number of faces that have a vector of it."""
    left_count: int
    """Number of faces without one."""
    failed_count: int
    """Number of faces that could not be embedded, such as of pictures without a file."""
    running: bool
    status: Status
    """What it waits for; OK: nothing."""


@dataclass(frozen=True, slots=True)
class VectorModels(Record):
    """Models whose vectors the library has."""

    models: tuple[VectorModel, ...]
    """Newest first."""
    embedding: EmbeddingRun | None
    """Embedding that is under way, or ended last; None: there was none."""


@dataclass(frozen=True, slots=True)
class IndexCheck(Record):
    """How well the index finds the nearest faces, against comparing with all."""

    recall: float
    """Share of the nearest faces that it finds, 0 to 1."""
    sample_size: int
    """Number of faces that were looked for."""
    neighbour_count: int
    """Number of nearest faces of each."""
    index_milliseconds: float
    """That the index took for one, at the median."""
    exact_milliseconds: float
    """That comparing with all took for one, at the median."""
    model: VectorModel | None
    """Whose vectors were compared."""


@dataclass(frozen=True, slots=True)
class ModelComparison(Record):
    """How two models do on decided faces: each is named by the nearest decided face of another picture."""

    face_count: int
    """Number of decided faces that both models have vectors of, and whose person has another one."""
    old_accuracy: float
    """Share that the old model names right, 0 to 1."""
    new_accuracy: float
    """Share that the new model names right, 0 to 1."""
    old_equal_error_rate: float
    """Of the old model over pairs of faces, 0 to 1."""
    new_equal_error_rate: float
    """Of the new model over pairs of faces, 0 to 1."""
    better_count: int
    """Number of faces that the new model alone names right."""
    worse_count: int
    """Number of faces that the old model alone names right."""
    people: tuple[PersonComparison, ...]
    """Whom the models name differently, those who lose most first."""


@dataclass(frozen=True, slots=True)
class PersonComparison(Record):
    """How two models do on a person."""

    person_id: str
    display_name: str
    face_count: int
    """Number of faces that were compared."""
    better_face_ids: tuple[str, ...]
    """Faces that the new model alone names right."""
    worse_face_ids: tuple[str, ...]
    """Faces that the old model alone names right."""


@dataclass(frozen=True, slots=True)
class PersonEnrollment(Record):
    """What came of enrolling a person."""

    enrollments: tuple[FaceEnrollment, ...]
    """One for each face and recognizer."""
    failures: Mapping[str, Status]
    """Recognizers that failed or do not enroll, and why."""


@dataclass(frozen=True, slots=True)
class FaceEnrollment(Record):
    """A face at a recognizer."""

    face_id: str
    person_id: str
    recognizer: str
    external_face_id: str
    """The recognizer's identifier of the face; empty: it was refused."""
    state: FaceEnrollmentState
    status: Status
    """Why it was refused, or cannot be taken back yet."""


@dataclass(frozen=True, slots=True)
class Reconciliation(Record):
    """How recognizers and the library differ."""

    differences: tuple[Difference, ...]
    more: bool
    """Whether there are more: mend these, and reconcile again."""
    failures: Mapping[str, Status]
    """Recognizers that could not be compared, and why."""
    person_count: int
    """Number of people who were compared."""


@dataclass(frozen=True, slots=True)
class Difference(Record):
    """A difference between the library and a recognizer."""

    kind: DifferenceKind
    recognizer: str
    person_id: str
    """The library's person; empty: none."""
    external_id: str
    """The recognizer's identifier of the person."""
    display_name: str
    """The recognizer's name of the person."""
    face_id: str
    """Empty: none of the library."""
    external_face_id: str
    """The recognizer's identifier of the face."""
    mended: bool
    status: Status
    """Why it could not be mended."""


@dataclass(frozen=True, slots=True)
class Adoption(Record):
    """Who was taken over from recognizers."""

    adopted_count: int
    """Number of people who are new."""
    known_count: int
    """Number of people who were known."""
    same_names: tuple[str, ...]
    """Names that several people have now, who may be one."""
    failures: Mapping[str, Status]
    """Recognizers that failed, and why."""
    action_id: str
    """For `undo`."""


@dataclass(frozen=True, slots=True)
class PersonReceipt(Record):
    """What the erasure of a person reached, and what it cannot reach."""

    receipt_id: str
    person_id: str
    erase_time: datetime | None
    erased: Mapping[str, int]
    """Rows that were erased or emptied, by table."""
    recognizers: Mapping[str, Status]
    """What each recognizer removed: OK, or why it could not yet; it is tried again."""
    picture_receipt_ids: tuple[str, ...]
    """Receipts of pictures that were erased."""
    beyond_reach: tuple[str, ...]
    """What is beyond the library's reach, and what to do about it."""
    complete: bool
    """Whether all of it is done. Else the library goes on, and the same call says how far it is."""


@dataclass(frozen=True, slots=True)
class Audit(Tabular):
    """Who did what about a person."""

    create_time: datetime | None
    caller: str
    method: str
    """Such as "FindSimilarFaces"."""
    person_id: str
    """Empty: somebody who was erased since."""

    def rows(self) -> list[dict[str, Cell]]:
        """Return the audit's row."""
        return [self.to_dict() | {"create_time": self.create_time}]
