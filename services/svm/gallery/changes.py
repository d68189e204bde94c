"""What enrolling and removing make of a model: pure, so that they can be made again on a newer one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from marquee.v1 import enrollment_pb2 as pb
from services.runtime.errors import DomainError
from services.runtime.leaf.recognizer import Enrollment, face_already_enrolled, person_not_found, refused_face
from services.svm.gallery.portrait import Portrait
from services.svm.gallery.snapshot import Enrolled, EnrolledPerson
from services.svm.model import Model

Vector: TypeAlias = npt.NDArray[np.float64]
Look: TypeAlias = Portrait | DomainError
"""A picture that was looked at, or why it will not do."""
_UNLIKE = 0.65
"""A face farther from all others of its person is told of; one person's, of 110 photos, are at most 0.63 apart."""


class Enrolling:
    """What an enrollment makes of a model, and afterwards what became of each picture."""

    def __init__(self, enrollment: Enrollment, looks: Sequence[Look]) -> None:
        self._asked = enrollment
        self._looks = looks
        self.faces: list[pb.EnrolledFace] = []

    def __call__(self, model: Model) -> Enrolled:
        """Whoever is enrolled afterwards. Raises PersonNotFound."""
        self.faces = []
        before = self._before(model)
        added: dict[str, Vector] = {}
        for look in self._looks:
            self._take(look, model, before, added)
        if self.faces and all(face.state == pb.ENROLLMENT_STATE_REFUSED for face in self.faces):
            return model.enrolled
        name = self._asked.display_name or before.display_name
        after = replace(before, display_name=name, faces=(*before.faces, *added))
        return model.enrolled if after == before else model.enrolled.with_person(after, list(added.values()))

    def _before(self, model: Model) -> EnrolledPerson:
        """The person as known until now. Raises PersonNotFound."""
        person_id = self._asked.person_id
        if enrolled := model.enrolled.person(person_id):
            return enrolled
        trained = model.people.get(person_id)
        if not trained and not (self._asked.display_name and self._looks):
            raise person_not_found(person_id)
        name = trained.display_name if trained else self._asked.display_name
        return EnrolledPerson(person_id, name, datetime.now(UTC).isoformat(timespec="seconds"), ())

    def _take(self, look: Look, model: Model, before: EnrolledPerson, added: dict[str, Vector]) -> None:
        """Adds the picture's face, or tells why not."""
        if isinstance(look, DomainError):
            self.faces.append(refused_face(look))
            return
        face = pb.EnrolledFace(face_id=look.face_id, box=look.box, quality=look.quality)
        self.faces.append(face)
        distances = model.distances(look.vector)
        if look.face_id in before.faces or look.face_id in added:
            face.state = pb.ENROLLMENT_STATE_ALREADY_ENROLLED
        elif other := self._other(distances, model):
            face.MergeFrom(refused_face(other))
            face.face_id = ""
        else:
            face.state = pb.ENROLLMENT_STATE_ENROLLED
            own = [distances.get(before.person_id, np.inf)]
            own += [float(np.linalg.norm(look.vector - vector)) for vector in added.values()]
            if _UNLIKE < min(own) < np.inf:
                face.warnings.append("This face looks unlike the person's others. Does it show them?")
            added[look.face_id] = look.vector

    def _other(self, distances: Mapping[str, float], model: Model) -> DomainError | None:
        """What is wrong where the face is taken for another person's."""
        nearest = min(distances, key=lambda person_id: distances[person_id])
        mine = nearest == self._asked.person_id
        if mine or self._asked.allow_similar or distances[nearest] > model.enrolled_distance:
            return None
        return face_already_enrolled(nearest, model.people[nearest].display_name)


class Removing:
    """What a removal makes of a model, and afterwards how many faces it cost."""

    def __init__(self, person_id: str) -> None:
        self._person_id = person_id
        self.removed = 0

    def __call__(self, model: Model) -> Enrolled:
        """Whoever is enrolled afterwards."""
        person = model.enrolled.person(self._person_id)
        self.removed = len(person.faces) if person else 0
        return model.enrolled.without(self._person_id) if person else model.enrolled
