"""Changes of who is enrolled: from a model to the next snapshot and to what the caller is told. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from google.rpc import status_pb2

from marquee.v1 import enrollment_pb2 as pb
from services.runtime.errors import DomainError
from services.runtime.leaf.recognizer import (
    Enrollment,
    FaceRemoval,
    face_already_enrolled,
    name_taken,
    no_longer_known,
    person_not_found,
    refused_face,
)
from services.runtime.people import person_id_of
from services.svm.gallery.people import EnrolledPerson, Snapshot, face_id_of
from services.svm.gallery.portrait import Portrait
from services.svm.model import Model
from services.svm.networks.network import DLIB

_MATCH = 0.6 / DLIB.l2()
"""Distance from a known person's nearest face, in distances of the network, up to which a face of that name is theirs.

0.6 is for dlib's, whose authors draw the line between two people there. Of the faces of 110 photos, 0.2 % are farther
from one other of their person, none from two; fewer than 0.1 % of other people's are nearer (bench/svm_names.py).
"""
_UNLIKE = 0.65 / DLIB.l2()
"""Distance to all others of its person, in distances of the network, beyond which a face gets a warning. 0.65 is for
dlib's: one person's faces, of 110 photos, have 0.63."""


def add_faces(
    model: Model, enrollment: Enrollment, portraits: Sequence[Portrait | DomainError], now: str
) -> tuple[Snapshot, list[pb.EnrolledFace]]:
    """Return who is enrolled afterwards, and an entry per picture; `now` is in ISO 8601. Raises PersonNotFound."""
    person = _enrolled_person(model, enrollment, now)
    admission = _Admission(model, enrollment, person)
    faces: list[pb.EnrolledFace] = []
    added: dict[str, Portrait] = {}
    for portrait in portraits:
        if isinstance(portrait, DomainError):
            faces.append(refused_face(portrait))
            continue
        face = admission.entry(portrait, added)
        if face.state == pb.ENROLLMENT_STATE_ENROLLED:
            added[face.face_id] = portrait
        faces.append(face)
    if faces and all(face.state == pb.ENROLLMENT_STATE_REFUSED for face in faces):
        return model.enrolled, faces
    after = replace(
        person,
        display_name=enrollment.new_name(person.display_name),
        faces=(*person.faces, *(portrait.enrolled(now) for portrait in added.values())),
    )
    if after == person:
        return model.enrolled, faces
    return model.enrolled.with_person(after, [portrait.vector for portrait in added.values()]), faces


def remove_person(model: Model, person_id: str) -> tuple[Snapshot, int]:
    """Return who is enrolled afterwards, and how many faces were removed."""
    person = model.enrolled.person(person_id)
    return (model.enrolled.without(person_id), len(person.faces)) if person else (model.enrolled, 0)


def remove_faces(model: Model, removal: FaceRemoval) -> tuple[Snapshot, pb.FaceRemovalResult]:
    """Return who is enrolled afterwards, trained people without a face included, and an entry per key."""
    result = pb.FaceRemovalResult()
    gone: set[tuple[str, str]] = set()
    for key in removal.faces:
        face_id = key.face.face_id or face_id_of(key.content_sha256)
        owners = model.enrolled.owners.get(face_id, ())
        found = {(owner, face_id) for owner in owners if removal.person_id in ("", owner)} - gone
        gone |= found
        result.faces.add(key=key, status=status_pb2.Status(), removed_faces=len(found))
    enrolled = model.enrolled.without_faces(gone, keep=model.trained_ids) if gone else model.enrolled
    result.warnings.extend(_losses(model, enrolled, sorted({owner for owner, _ in gone})))
    if removal.person_id in model.trained_ids and not all(face.removed_faces for face in result.faces):
        result.warnings.append(f"Faces that the model was trained on stay. Train without {removal.person_id}'s.")
    return enrolled, result


def _losses(model: Model, enrolled: Snapshot, changed: Sequence[str]) -> Iterator[str]:
    """Yield a warning for each of the changed people who has no enrolled face left."""
    for person_id in changed:
        person = enrolled.person(person_id)
        if person_id in model.trained_ids and not (person and person.faces):
            yield f"{person_id} has no enrolled face left, and stays known because the model was trained on them."
        elif person is None:
            yield no_longer_known(person_id)


def _enrolled_person(model: Model, enrollment: Enrollment, now: str) -> EnrolledPerson:
    """Return the person as enrolled so far. Raises PersonNotFound."""
    person_id = enrollment.person_id
    if enrolled := model.enrolled.person(person_id):
        return enrolled
    trained = model.people.get(person_id)
    if not trained and not (enrollment.display_name and enrollment.images):
        raise person_not_found(person_id)
    return EnrolledPerson(person_id, trained.display_name if trained else enrollment.display_name, now, ())


class _Admission:
    """What happens to each picture of a call."""

    def __init__(self, model: Model, enrollment: Enrollment, person: EnrolledPerson) -> None:
        self._model = model
        self._enrollment = enrollment
        self._face_ids = {face.face_id for face in person.faces}
        self._namesakes = _namesakes(model, enrollment)

    def entry(self, portrait: Portrait, added: Mapping[str, Portrait]) -> pb.EnrolledFace:
        """Return the entry of a picture; `added` are the call's faces that were taken before it, by face_id."""
        face = pb.EnrolledFace(face_id=portrait.face_id, box=portrait.box, quality=portrait.quality)
        if portrait.face_id in added or portrait.face_id in self._face_ids:
            face.state = pb.ENROLLMENT_STATE_ALREADY_ENROLLED
            return face
        distances = self._model.distances(portrait.vector)
        before = min((portrait.distance(other) for other in added.values()), default=np.inf)
        if error := self._other_owner(distances) or self._mismatch(distances, before):
            face.MergeFrom(refused_face(error))
            face.face_id = ""
            return face
        face.state = pb.ENROLLMENT_STATE_ENROLLED
        nearest = min(before, distances.get(self._enrollment.person_id, np.inf))
        if _UNLIKE * self._model.network_distance < nearest < np.inf:
            face.warnings.append("This face looks unlike the person's others. Does it show them?")
        return face

    def _other_owner(self, distances: Mapping[str, float]) -> DomainError | None:
        """Return what is wrong if the face is taken for another person's."""
        nearest = min(distances, key=lambda person_id: distances[person_id])
        return self._already(nearest) if distances[nearest] <= self._model.enrolled_distance else None

    def _mismatch(self, distances: Mapping[str, float], before: float) -> DomainError | None:
        """Return what is wrong if the face is not that of the known person whose name it comes under.

        A known person without any face takes any. `before` is the distance to the call's faces before it.
        """
        known = min(self._namesakes, key=lambda person_id: distances[person_id], default=None)
        if known is None or distances[known] == np.inf:
            return None
        if min(before, distances[known]) > _MATCH * self._model.network_distance:
            return name_taken(known, self._model.people[known].display_name)
        return self._already(known)

    def _already(self, owner: str) -> DomainError | None:
        """Return what is wrong with a face of this owner's, if it is another person and the call does not allow it."""
        if owner == self._enrollment.person_id or self._enrollment.allow_similar:
            return None
        return face_already_enrolled(owner, self._model.people[owner].display_name)


def _namesakes(model: Model, enrollment: Enrollment) -> Collection[str]:
    """Return the ids of the known people who may be meant, if nothing but the name says who is."""
    if not enrollment.is_derived or enrollment.allow_different:
        return ()
    if enrollment.person_id in model.people:
        return (enrollment.person_id,)
    return [one.person_id for one in model.people.values() if person_id_of(one.display_name) == enrollment.person_id]
