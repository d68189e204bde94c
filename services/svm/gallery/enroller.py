"""Enrollment into the SVM's gallery, without training."""

from datetime import UTC, datetime

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.runtime.errors import DomainError, NotOffered
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Enrollment, FaceRemoval, Page
from services.runtime.people import check_page_token, start_of_page
from services.svm.gallery.changes import add_faces, remove_faces, remove_person
from services.svm.gallery.people import EnrolledFace
from services.svm.gallery.portrait import Portrait, portrait_of
from services.svm.model import Model
from services.svm.recognizer import SvmRecognizer


class SvmEnroller:
    """Enroller of a recognizer, and of all others that share its gallery."""

    def __init__(self, recognizer: SvmRecognizer) -> None:
        self._recognizer = recognizer
        self._live_model = recognizer.live_model

    async def enroll(self, enrollment: Enrollment) -> pb.EnrollmentResult:
        """Learn the face of each picture that is good enough and nobody else's."""
        self._check(enrollment.collection)
        portraits = await self._recognizer.workers.map(self._portrait, enrollment.images)
        now = datetime.now(UTC).isoformat(timespec="seconds")
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
        """Remove enrolled faces. Those that the model was trained on stay, and a warning says so."""
        self._check(removal.collection)
        _, result = await self._live_model.change(lambda model: remove_faces(model, removal))
        return result

    async def faces(self, person_id: str, page: Page) -> tuple[pb.FacesResult, str]:
        """Return a page of the person's enrolled faces; the token is the last face_id."""
        self._check(page.collection)
        model = self._live_model.model
        enrolled = model.enrolled.person(person_id)
        known = enrolled.faces if enrolled else ()
        later = known[start_of_page([face.face_id for face in known], page.token) :]
        faces = [_face(one) for one in later[: page.size]]
        token = faces[-1].face_id if len(later) > page.size else ""
        return pb.FacesResult(person=_person(model, person_id), faces=faces), token

    def _check(self, collection: str) -> None:
        if not self._live_model.can_change:
            raise NotOffered("svm enrolls only if an operator has set MARQUEE_SVM_GALLERY.")
        if collection:
            raise NotOffered("svm has one gallery and no collections. Leave the collection empty to use it.")

    def _portrait(self, image: Image) -> Portrait | DomainError:
        try:
            return portrait_of(image, self._recognizer.finder, self._live_model.model)
        except DomainError as exc:
            return exc


def _person(model: Model, person_id: str) -> pb.Person | None:
    """Return the person as the model knows them; None if every picture of somebody new was refused."""
    if (known := model.people.get(person_id)) is None:
        return None
    person = pb.Person(person_id=person_id, display_name=known.display_name, trained=person_id in model.trained_ids)
    if enrolled := model.enrolled.person(person_id):
        person.face_count = len(enrolled.faces)
        person.create_time.FromDatetime(datetime.fromisoformat(enrolled.created))
    return person


def _face(face: EnrolledFace) -> pb.PersonFace:
    message = pb.PersonFace(face_id=face.face_id, content_sha256=face.content_sha256)
    if face.source:
        message.s3_object.CopyFrom(recognizer_pb2.S3Object(**face.source._asdict()))
    if face.created:
        message.create_time.FromDatetime(datetime.fromisoformat(face.created))
    return message
