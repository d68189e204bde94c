"""Enrolls people into a collection of Rekognition's.

A face is indexed with the person_id as its ExternalImageId, so that FACE_SEARCH names it and any other
program can read whose it is; the name for people stands in the table, where it can change.
"""

import asyncio

from marquee.v1 import enrollment_pb2 as pb
from services.rekognition.asking import Asking
from services.rekognition.collection_name import collection_of
from services.rekognition.enrollment.collection import CollectionFaces
from services.rekognition.enrollment.indexing import Enrolling
from services.rekognition.recognizer import RekognitionRecognizer
from services.rekognition.settings import RekognitionSettings
from services.rekognition.table.people import KnownPeople, KnownPerson
from services.runtime import people as person_ids
from services.runtime.errors import DomainError, InvalidRequest, NotOffered
from services.runtime.leaf.recognizer import Enrollment, Page, person_not_found
from services.runtime.server.calls import deadline

_SAVING_SECONDS = 0.3
"""Kept back of the caller's time: what was paid for is saved, and told."""


class RekognitionEnroller:
    """Learns faces for a recognizer, and for all others that share its collection and table."""

    def __init__(self, recognizer: RekognitionRecognizer, settings: RekognitionSettings) -> None:
        self._recognizer = recognizer
        self._settings = settings
        self._users = settings.rekognition_search == "users"

    async def enroll(self, enrollment: Enrollment) -> pb.EnrollmentResult:
        """Indexes each picture's face that is good enough and nobody else's."""
        collection, people, asking = self._open(enrollment.collection)
        await collection.check()
        before = await asyncio.to_thread(people.get, collection.name, enrollment.person_id)
        name = _name(enrollment, before)
        enrolling = Enrolling(enrollment, collection, asking, people, self._settings)
        faces = await enrolling.run(before.faces if before else {}, self._recognizer.pictures)
        result = pb.EnrollmentResult(faces=faces, model=self._recognizer.model)
        if not faces or any(face.state != pb.ENROLLMENT_STATE_REFUSED for face in faces):
            before = await asyncio.to_thread(_save, people, collection.name, enrollment.person_id, name, enrolling)
            result.warnings.extend(await self._settle(collection, enrollment.person_id, faces))
        if before is not None:
            result.person.CopyFrom(_person(before))
        result.cost_micro_usd = asking.tab.micro_usd
        return result

    async def remove(self, person_id: str, collection: str) -> pb.RemovalResult:
        """Forgets all faces of that name, also those that others have indexed, and the user."""
        faces, people, _ = self._open(collection)
        await faces.check()
        known = await asyncio.to_thread(people.get, faces.name, person_id)
        await faces.delete_user(person_id)
        removed, _ = await faces.delete(list(known.faces.values()) if known else [])
        more, kept = await faces.delete(await faces.of_person(person_id))
        await asyncio.to_thread(people.forget, faces.name, person_id)
        result = pb.RemovalResult(removed_faces=removed + more)
        if kept:
            result.warnings.append(
                f"{len(kept)} faces of {person_id} stay in the collection, since other users of it have them. "
                "Disassociate them, and remove the person again."
            )
        return result

    async def people(self, page: Page) -> tuple[list[pb.Person], str]:
        """All who were enrolled through Marquee; the token is the last person_id."""
        faces, people, _ = self._open(page.collection)
        if page.token:
            _check_token(page.token)
        found = await asyncio.to_thread(people.page, faces.name, page.token, page.size + 1)
        shown = found[: page.size]
        return [_person(one) for one in shown], shown[-1].person_id if len(found) > page.size else ""

    def _open(self, collection: str) -> tuple[CollectionFaces, KnownPeople, Asking]:
        """Raises NotOffered, NotReady, InvalidRequest."""
        account = self._recognizer.account
        if not self._settings.rekognition_collection:
            raise NotOffered("rekognition enrolls only where an operator has set MARQUEE_REKOGNITION_COLLECTION.")
        if account.people is None:
            raise NotOffered(
                "rekognition enrolls only where an operator has set MARQUEE_REKOGNITION_TABLE: it keeps the names."
            )
        asking = Asking(account.calls, deadline() - _SAVING_SECONDS)
        return CollectionFaces(collection_of(collection, self._settings), asking), account.people, asking

    async def _settle(self, collection: CollectionFaces, person_id: str, faces: list[pb.EnrolledFace]) -> list[str]:
        """Waits until the faces are found in searches; returns what a person should know about it."""
        ids = {face.face_id for face in faces if face.face_id}
        try:
            missing = await collection.wait(ids)
            refused = await self._associate(collection, person_id, ids) if self._users and not missing else []
        except DomainError as exc:
            return [f"Enrolled, but not all is done: {exc.message} Send the call again."]
        late = [f"Rekognition does not list {len(missing)} of the faces yet; they will be found soon."]
        return [*(late if missing else []), *refused]

    async def _associate(self, collection: CollectionFaces, person_id: str, ids: set[str]) -> list[str]:
        """Makes the faces that are nobody's the user's of the person."""
        there = await collection.among(ids)
        free = [face_id for face_id, face in there.items() if "UserId" not in face]
        if not free:
            return []
        await collection.create_user(person_id)
        refused = await collection.associate(person_id, free)
        await collection.wait([one for one in free if one not in refused], user=person_id)
        return [f"Face {one} is not searched under users: {', '.join(why)}." for one, why in refused.items()]


def _save(people: KnownPeople, collection: str, person_id: str, name: str, enrolling: Enrolling) -> KnownPerson:
    if enrolling.lost:
        people.drop(collection, person_id, enrolling.lost)
    return people.save(collection, person_id, name, enrolling.added)


def _name(enrollment: Enrollment, before: KnownPerson | None) -> str:
    """The display name from now on. Raises PersonNotFound."""
    if before is None and not (enrollment.display_name and enrollment.images):
        raise person_not_found(enrollment.person_id)
    return enrollment.display_name or (before.display_name if before else "")


def _check_token(token: str) -> None:
    try:
        person_ids.check_person_id(token)
    except InvalidRequest:
        raise InvalidRequest("page_token is none that this server made.", field="page_token") from None


def _person(known: KnownPerson) -> pb.Person:
    person = pb.Person(
        person_id=known.person_id, display_name=known.display_name, face_count=len(set(known.faces.values()))
    )
    person.create_time.FromDatetime(known.created)
    return person
