"""Enrollment into the SVM's gallery, without training."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.runtime.errors import DomainError, FaceBlurred, FaceTooSmall, FaceTurned, NotOffered
from services.runtime.images.haar import Face
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import (
    Enrollment,
    FaceRemoval,
    Page,
    check_one_face,
    face_already_enrolled,
    person_not_found,
    refused_face,
)
from services.runtime.people import check_page_token
from services.svm.faces import FaceFinder, quality
from services.svm.gallery.people import EnrolledPerson, Snapshot
from services.svm.model import Model
from services.svm.networks.network import DLIB
from services.svm.recognizer import SvmRecognizer

MIN_SIDE = 48
"""Pixels. The embedding of a smaller face moves by more than 0.3, half of what separates people."""
MIN_SHARPNESS = 0.15
"""Blurred below this, it moves as much (bench/svm_portraits.py); faces of the measured photos have 0.26 and more."""
MAX_TURN = 40
"""Degrees sideways or up; those photos' faces have up to 30."""
_UNLIKE = 0.65 / DLIB.l2()
"""Distance to all others of its person, in distances of the network, beyond which a face gets a warning. 0.65 is for
dlib's: one person's faces, of 110 photos, have 0.63."""
Vector = npt.NDArray[np.float64]


class SvmEnroller:
    """Enroller of a recognizer, and of all others that share its gallery."""

    def __init__(self, recognizer: SvmRecognizer) -> None:
        self._recognizer = recognizer
        self._live_model = recognizer.live_model

    async def enroll(self, enrollment: Enrollment) -> pb.EnrollmentResult:
        """Learn the face of each picture that is good enough and nobody else's."""
        self._check(enrollment.collection)
        portraits = await self._recognizer.workers.map(self._portrait, enrollment.images)
        now = datetime.now(UTC)
        model, faces = await self._live_model.change(lambda model: add_faces(model, enrollment, portraits, now))
        return pb.EnrollmentResult(
            person=_person(model, enrollment.person_id), faces=faces, model=self._recognizer.describe_model(model)
        )

    async def remove(self, person_id: str, collection: str) -> pb.RemovalResult:
        """Remove an enrolled person. Whom the model was trained on stays known, and a warning says so."""
        self._check(collection)
        model, count = await self._live_model.change(lambda model: remove_person(model, person_id))
        result = pb.RemovalResult(removed_faces=count)
        if person_id in model.people:
            result.warnings.append(f"{person_id} is part of the trained model and stays known. Train without them.")
        return result

    async def people(self, page: Page) -> tuple[list[pb.Person], str]:
        """Return a page of all whom the model knows; the token is the last person_id."""
        self._check(page.collection)
        check_page_token(page.token)
        model = self._live_model.model
        later = sorted(person_id for person_id in model.people if person_id > page.token)
        ids = later[: page.size]
        people = [person for person_id in ids if (person := _person(model, person_id))]
        return people, ids[-1] if len(later) > page.size else ""

    async def remove_faces(self, removal: FaceRemoval) -> pb.FaceRemovalResult:
        """Raise NotOffered."""
        del removal
        raise NotOffered("svm does not remove single faces.")

    async def faces(self, person_id: str, page: Page) -> tuple[pb.FacesResult, str]:
        """Raise NotOffered."""
        del person_id, page
        raise NotOffered("svm does not list faces.")

    def _check(self, collection: str) -> None:
        if not self._live_model.can_change:
            raise NotOffered("svm enrolls only if an operator has set MARQUEE_SVM_GALLERY.")
        if collection:
            raise NotOffered("svm has one gallery and no collections. Leave the collection empty to use it.")

    def _portrait(self, image: Image) -> "Portrait | DomainError":
        try:
            return portrait_of(image, self._recognizer.finder, self._live_model.model)
        except DomainError as exc:
            return exc


@dataclass(frozen=True)
class Portrait:
    """The one face of a picture that somebody is enrolled from."""

    face_id: str
    """The same for the same file."""
    vector: Vector
    """[128]"""
    box: recognizer_pb2.BoundingBox
    quality: recognizer_pb2.FaceQuality


def portrait_of(image: Image, finder: FaceFinder, model: Model) -> Portrait:
    """Find and measure the picture's face. Raises UnfitFace with what to do about it, and what the image raises."""
    pixels = image.upright()
    faces = finder.find(pixels)
    check_one_face(faces)
    face = faces[0]
    measures = quality(face.crop(pixels))
    measures.pose.CopyFrom(finder.landmarks(pixels, face).pose())
    check_face(face, measures)
    return Portrait(
        face_id=hashlib.sha256(image.content).hexdigest()[:32],
        vector=model.views(pixels, face).mean(axis=0),
        box=face.box_in(pixels),
        quality=measures,
    )


def check_face(face: Face, measures: recognizer_pb2.FaceQuality) -> None:
    """Raise FaceTooSmall, FaceBlurred or FaceTurned unless the face is good enough to enroll."""
    if min(face.width, face.height) < MIN_SIDE:
        raise FaceTooSmall(
            f"The face is {face.width} pixels wide; the minimum is {MIN_SIDE}. Use a larger picture or come closer."
        )
    if measures.sharpness < MIN_SHARPNESS:
        raise FaceBlurred(
            f"The face is blurred: its sharpness is {measures.sharpness:.2f}; the minimum is {MIN_SHARPNESS}. "
            "Use a picture in focus."
        )
    aside, up = measures.pose.yaw, measures.pose.pitch
    if max(abs(aside), abs(up)) > MAX_TURN:
        raise FaceTurned(
            f"The face is turned {aside:.0f} degrees sideways and {up:.0f} up; the maximum is {MAX_TURN}. "
            "Use a picture in which the person looks into the camera."
        )


def add_faces(
    model: Model, enrollment: Enrollment, portraits: Sequence[Portrait | DomainError], now: datetime
) -> tuple[Snapshot, list[pb.EnrolledFace]]:
    """Return who is enrolled afterwards, and an entry per picture. Raises PersonNotFound. Pure."""
    person = _enrolled_person(model, enrollment, now)
    faces: list[pb.EnrolledFace] = []
    vectors: dict[str, Vector] = {}
    for portrait in portraits:
        if isinstance(portrait, DomainError):
            faces.append(refused_face(portrait))
            continue
        face = _enrolled_face(portrait, model, enrollment, person, vectors)
        if face.state == pb.ENROLLMENT_STATE_ENROLLED:
            vectors[face.face_id] = portrait.vector
        faces.append(face)
    if faces and all(face.state == pb.ENROLLMENT_STATE_REFUSED for face in faces):
        return model.enrolled, faces
    name = enrollment.display_name or person.display_name
    after = replace(person, display_name=name, faces=(*person.faces, *vectors))
    return model.enrolled if after == person else model.enrolled.with_person(after, list(vectors.values())), faces


def remove_person(model: Model, person_id: str) -> tuple[Snapshot, int]:
    """Return who is enrolled afterwards, and how many faces were removed. Pure."""
    person = model.enrolled.person(person_id)
    return (model.enrolled.without(person_id), len(person.faces)) if person else (model.enrolled, 0)


def _enrolled_person(model: Model, enrollment: Enrollment, now: datetime) -> EnrolledPerson:
    """Return the person as enrolled so far. Raises PersonNotFound."""
    person_id = enrollment.person_id
    if enrolled := model.enrolled.person(person_id):
        return enrolled
    trained = model.people.get(person_id)
    if not trained and not (enrollment.display_name and enrollment.images):
        raise person_not_found(person_id)
    name = trained.display_name if trained else enrollment.display_name
    return EnrolledPerson(person_id, name, now.isoformat(timespec="seconds"), ())


def _enrolled_face(
    portrait: Portrait,
    model: Model,
    enrollment: Enrollment,
    person: EnrolledPerson,
    vectors: Mapping[str, Vector],
) -> pb.EnrolledFace:
    """Return the entry of a picture; `vectors` are the call's faces before it, by face_id."""
    face = pb.EnrolledFace(face_id=portrait.face_id, box=portrait.box, quality=portrait.quality)
    distances = model.distances(portrait.vector)
    if portrait.face_id in person.faces or portrait.face_id in vectors:
        face.state = pb.ENROLLMENT_STATE_ALREADY_ENROLLED
    elif error := _other_owner(distances, model, enrollment):
        face.MergeFrom(refused_face(error))
        face.face_id = ""
    else:
        face.state = pb.ENROLLMENT_STATE_ENROLLED
        own = [distances.get(person.person_id, np.inf)]
        own += [float(np.linalg.norm(portrait.vector - vector)) for vector in vectors.values()]
        if _UNLIKE * model.network_distance < min(own) < np.inf:
            face.warnings.append("This face looks unlike the person's others. Does it show them?")
    return face


def _other_owner(distances: Mapping[str, float], model: Model, enrollment: Enrollment) -> DomainError | None:
    """Return what is wrong if the face is taken for another person's."""
    nearest = min(distances, key=lambda person_id: distances[person_id])
    if nearest == enrollment.person_id or enrollment.allow_similar or distances[nearest] > model.enrolled_distance:
        return None
    return face_already_enrolled(nearest, model.people[nearest].display_name)


def _person(model: Model, person_id: str) -> pb.Person | None:
    """Return the person as the model knows them; None if every picture of somebody new was refused."""
    if (known := model.people.get(person_id)) is None:
        return None
    person = pb.Person(person_id=person_id, display_name=known.display_name, trained=person_id in model.trained_ids)
    if enrolled := model.enrolled.person(person_id):
        person.face_count = len(enrolled.faces)
        person.create_time.FromDatetime(datetime.fromisoformat(enrolled.created))
    return person
