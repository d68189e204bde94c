"""Enrollment into a collection of Rekognition's.

A face is indexed with the person_id as its ExternalImageId, so that FACE_SEARCH names it and any other
program can read whose it is; the display name is in the table, where it can change.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.rekognition.enrollment.collection import CollectionFaces
from services.rekognition.enrollment.face_removal import SingleRemoval
from services.rekognition.enrollment.indexing import Indexing
from services.rekognition.enrollment.removal import Removal
from services.rekognition.recognizer import RekognitionRecognizer
from services.rekognition.request import Request
from services.rekognition.settings import RekognitionSettings
from services.rekognition.table.faces import KnownFace
from services.rekognition.table.people import EnrolledPeople, EnrolledPerson
from services.runtime.errors import DomainError, NotOffered
from services.runtime.leaf.recognizer import Enrollment, FaceRemoval, Page, person_not_found
from services.runtime.people import check_page_token, start_of_page
from services.runtime.server.deadline import deadline

_SAVING_SECONDS = 0.3
"""Kept back of the caller's time, to save and report what was paid for."""


class RekognitionEnroller:
    """Enroller of a recognizer, and of all others that share its collection and table."""

    def __init__(self, recognizer: RekognitionRecognizer, settings: RekognitionSettings) -> None:
        self._recognizer = recognizer
        self._settings = settings
        self._users = settings.rekognition_search == "users"

    async def enroll(self, enrollment: Enrollment) -> pb.EnrollmentResult:
        """Index each picture's face that is good enough and nobody else's."""
        collection, people, request = self._open(enrollment.collection)
        await _check(collection, people)
        person = await asyncio.to_thread(people.get, collection.name, enrollment.person_id)
        name = _name(enrollment, person)
        indexing = Indexing(enrollment, collection, request, people, self._settings)
        faces = await indexing.run(person, self._recognizer.workers)
        result = pb.EnrollmentResult(faces=faces, model=self._recognizer.model)
        if not faces or any(face.state != pb.ENROLLMENT_STATE_REFUSED for face in faces):
            person = await asyncio.to_thread(_save, people, collection.name, enrollment.person_id, name, indexing)
            result.warnings.extend(await self._settle(collection, enrollment.person_id, faces))
        if person is not None:
            result.person.CopyFrom(_message(person))
        result.cost_micro_usd = request.usage.micro_usd
        return result

    async def remove(self, person_id: str, collection: str) -> pb.RemovalResult:
        """Remove the person: the user, and all faces that the table knows, whoever indexed them."""
        faces, people, _ = self._open(collection)
        removed, kept = await Removal(faces, people, person_id).run()
        result = pb.RemovalResult(removed_faces=removed)
        if kept:
            result.warnings.append(
                f"Faces of {person_id} that stay in the collection because other users of it have them: {len(kept)}. "
                "Disassociate them, and remove the person again."
            )
        return result

    async def people(self, page: Page) -> tuple[list[pb.Person], str]:
        """Return the people who were enrolled through Marquee; the token is the last person_id."""
        faces, people, _ = self._open(page.collection)
        check_page_token(page.token)
        entries = await asyncio.to_thread(people.page, faces.name, page.token, page.size + 1)
        shown = entries[: page.size]
        return [_message(one) for one in shown], shown[-1].person_id if len(entries) > page.size else ""

    async def remove_faces(self, removal: FaceRemoval) -> pb.FaceRemovalResult:
        """Remove faces, and whoever has none left. Without a person_id, pictures are looked for at everybody."""
        faces, people, _ = self._open(removal.collection)
        return await SingleRemoval(faces, people, removal).run()

    async def faces(self, person_id: str, page: Page) -> tuple[pb.FacesResult, str]:
        """Return a page of the person's faces, whoever indexed them, as the table knows them."""
        collection, people, _ = self._open(page.collection)
        person, known = await asyncio.to_thread(people.known, collection.name, person_id)
        faces = _distinct(known)
        start = start_of_page([face.face_id for face in faces], page.token)
        shown = faces[start : start + page.size]
        token = shown[-1].face_id if len(faces) > start + page.size else ""
        result = pb.FacesResult(person=_message(person) if person else None, faces=map(_face, shown))
        return result, token

    def _open(self, collection: str) -> tuple[CollectionFaces, EnrolledPeople, Request]:
        """Raise NotOffered, NotReady or InvalidRequest."""
        account = self._recognizer.account
        if not self._settings.rekognition_collection:
            raise NotOffered("rekognition enrolls only if an operator sets MARQUEE_REKOGNITION_COLLECTION.")
        if account.people is None:
            raise NotOffered(
                "rekognition enrolls only if an operator sets MARQUEE_REKOGNITION_TABLE, which keeps the names."
            )
        request = Request(account.calls, deadline() - _SAVING_SECONDS)
        return CollectionFaces(self._settings.collection_name(collection), request), account.people, request

    async def _settle(self, collection: CollectionFaces, person_id: str, faces: list[pb.EnrolledFace]) -> list[str]:
        """Wait until searches find the faces; return warnings."""
        ids = {face.face_id for face in faces if face.face_id}
        try:
            missing = await collection.wait(ids)
            refused = await self._associate(collection, person_id, ids) if self._users and not missing else []
        except DomainError as exc:
            return [f"Enrolled, but not completely: {exc.message} Send the call again."]
        late = [f"Rekognition does not list {len(missing)} of the faces yet; searches will find them soon."]
        return [*(late if missing else []), *refused]

    async def _associate(self, collection: CollectionFaces, person_id: str, ids: set[str]) -> list[str]:
        """Give the person's user the faces that no user has; return warnings."""
        faces = await collection.get(ids)
        free = [face_id for face_id, face in faces.items() if "UserId" not in face]
        if not free:
            return []
        await collection.create_user(person_id)
        refused = await collection.associate(person_id, free)
        await collection.wait([one for one in free if one not in refused], user=person_id)
        return [f"Searches by user skip face {one}: {', '.join(reasons)}." for one, reasons in refused.items()]


async def _check(collection: CollectionFaces, people: EnrolledPeople) -> None:
    """Raise CollectionNotFound. An empty collection needs no index: what it gets from now on is noted."""
    count, created = await collection.describe()
    if not count:
        await asyncio.to_thread(people.faces.mark_empty, collection.name, created)


def _save(people: EnrolledPeople, collection: str, person_id: str, name: str, indexing: Indexing) -> EnrolledPerson:
    if indexing.lost:
        people.remove_faces(collection, person_id, indexing.lost)
    return people.save(collection, person_id, name, indexing.added)


def _name(enrollment: Enrollment, person: EnrolledPerson | None) -> str:
    """Return the new display name, or the one until now. Raises PersonNotFound."""
    if person is None and not (enrollment.display_name and enrollment.images):
        raise person_not_found(enrollment.person_id)
    return enrollment.new_name(person.display_name if person else "")


def _distinct(faces: Sequence[KnownFace]) -> list[KnownFace]:
    """Return the faces in the order of enrollment, those of unknown time first; each once, as most is known of it."""
    by_id: dict[str, KnownFace] = {}
    for face in sorted(faces, key=lambda face: (face.created, face.sha256)):
        if face.face_id:
            by_id.pop(face.face_id, None)
            by_id[face.face_id] = face
    return list(by_id.values())


def _face(face: KnownFace) -> pb.PersonFace:
    message = pb.PersonFace(face_id=face.face_id, content_sha256=face.sha256)
    if face.s3_object:
        message.s3_object.CopyFrom(recognizer_pb2.S3Object(**face.s3_object))
    if face.created:
        message.create_time.FromDatetime(datetime.fromisoformat(face.created))
    return message


def _message(person: EnrolledPerson) -> pb.Person:
    message = pb.Person(
        person_id=person.person_id, display_name=person.display_name, face_count=len(set(person.faces.values()))
    )
    message.create_time.FromDatetime(person.created)
    return message
