"""Enrolls faces into the SVM's gallery, without training."""

import asyncio
from datetime import datetime

from marquee.v1 import enrollment_pb2 as pb
from services.runtime.errors import DomainError, NotOffered
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Enrollment, Page
from services.svm.gallery.changes import Enrolling, Look, Removing
from services.svm.gallery.portrait import portrait
from services.svm.model import Model
from services.svm.recognizer import SvmRecognizer


class SvmEnroller:
    """Learns faces for a recognizer, and for all others that share its gallery."""

    def __init__(self, recognizer: SvmRecognizer) -> None:
        self._recognizer = recognizer
        self._current = recognizer.current
        # The queue before the threads is for calls: pictures of one call would fill it.
        self._places = asyncio.Semaphore(recognizer.workers.threads)

    async def enroll(self, enrollment: Enrollment) -> pb.EnrollmentResult:
        """Learns each picture's face that is good enough and nobody else's."""
        self._check(enrollment.collection)
        change = Enrolling(enrollment, await asyncio.gather(*map(self._looked, enrollment.images)))
        model = await self._current.change(change)
        return pb.EnrollmentResult(
            person=_person(model, enrollment.person_id),
            faces=change.faces,
            model=self._recognizer.describe_model(model),
        )

    async def remove(self, person_id: str, collection: str) -> pb.RemovalResult:
        """Forgets whoever was enrolled; whom the model was trained on stays known, and the result says so."""
        self._check(collection)
        change = Removing(person_id)
        model = await self._current.change(change)
        result = pb.RemovalResult(removed_faces=change.removed)
        if person_id in model.people:
            result.warnings.append(f"{person_id} is part of the trained model and stays known. Train without them.")
        return result

    async def people(self, page: Page) -> tuple[list[pb.Person], str]:
        """All whom the model knows; the token is the last person_id."""
        self._check(page.collection)
        model = self._current.model
        later = sorted(person_id for person_id in model.people if person_id > page.token)
        shown = later[: page.size]
        people = [person for one in shown if (person := _person(model, one))]
        return people, shown[-1] if len(later) > page.size else ""

    def _check(self, collection: str) -> None:
        if not self._current.can_change:
            raise NotOffered("svm enrolls only where an operator has set MARQUEE_SVM_GALLERY.")
        if collection:
            raise NotOffered("svm has one gallery and no collections: leave the collection empty to use it.")

    async def _looked(self, image: Image) -> Look:
        async with self._places:
            look, _ = await self._recognizer.workers.run(self._look, image)
        return look

    def _look(self, image: Image) -> Look:
        try:
            return portrait(image, self._recognizer.finder, self._current.model)
        except DomainError as exc:
            return exc


def _person(model: Model, person_id: str) -> pb.Person | None:
    """As the model knows them; None for somebody of whom every picture was refused."""
    if (named := model.people.get(person_id)) is None:
        return None
    answer = pb.Person(person_id=person_id, display_name=named.display_name, trained=person_id in model.trained_ids)
    if enrolled := model.enrolled.person(person_id):
        answer.face_count = len(enrolled.faces)
        answer.create_time.FromDatetime(datetime.fromisoformat(enrolled.created))
    return answer
