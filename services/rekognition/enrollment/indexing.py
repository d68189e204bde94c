"""The indexing of one enrollment's pictures: from pictures to faces of the collection."""

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from marquee.v1 import enrollment_pb2 as pb
from services.rekognition import results
from services.rekognition.budget.prices import Api
from services.rekognition.enrollment.collection import CollectionFaces
from services.rekognition.picture import Picture, prepare
from services.rekognition.request import Request
from services.rekognition.settings import RekognitionSettings
from services.rekognition.table.people import EnrolledPeople, EnrolledPerson, digest_of
from services.runtime.errors import (
    DomainError,
    FaceBlurred,
    FaceTooSmall,
    FaceTurned,
    InvalidImage,
    NoFace,
    SeveralFaces,
    UnfitFace,
)
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Enrollment, check_one_face, face_already_enrolled, name_taken, refused_face
from services.runtime.workers import Workers

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import FaceTypeDef

T = TypeVar("T")
_MAX_MATCHES = 100
"""Faces that a search returns, at the price of one."""
_running: set["asyncio.Task[Any]"] = set()
"""asyncio itself keeps no task alive."""
_Refusal: TypeAlias = tuple[type[DomainError], str]
_REFUSALS: Mapping[str, _Refusal] = {
    "EXCEEDS_MAX_FACES": (SeveralFaces, "There is more than one face in the picture. Crop it to the person's face."),
    "EXTREME_POSE": (
        FaceTurned,
        "The face is turned too far away. Use a picture in which the person looks into the camera.",
    ),
    "SMALL_BOUNDING_BOX": (FaceTooSmall, "The face is too small. Use a larger picture or come closer."),
    "LOW_SHARPNESS": (FaceBlurred, "The face is blurred. Use a picture in focus."),
    "LOW_BRIGHTNESS": (UnfitFace, "The face is too dark. Use a brighter picture."),
    "LOW_CONFIDENCE": (UnfitFace, "Rekognition is not sure that this is a face. Use a clearer picture."),
    "LOW_FACE_QUALITY": (UnfitFace, "The face is not clearly visible. Use a clear picture."),
}
"""Rekognition's reasons; the first that applies is reported."""


@dataclass(frozen=True)
class _Portrait:
    """A picture to enroll a face from."""

    picture: Picture
    sha256: str
    """The file's SHA-256, in hexadecimal digits."""

    @property
    def digest(self) -> str:
        """What the table keeps the face under."""
        return digest_of(self.sha256)

    @property
    def s3_object(self) -> Mapping[str, str]:
        """Where the file was read from; empty if it came as bytes."""
        place = self.picture.image.s3_object
        if place is None or not place.bucket:
            return {}
        return {"bucket": place.bucket, "key": place.key, "version_id": place.version_id}


class Indexing:
    """Indexing of one call's pictures, each new one by DetectFaces, SearchFacesByImage and IndexFaces.

    Who and how many people are in a picture is checked first, so that nothing enters the collection that
    would have to be removed. Pictures that were enrolled before cost nothing.
    """

    def __init__(
        self,
        enrollment: Enrollment,
        collection: CollectionFaces,
        request: Request,
        people: EnrolledPeople,
        settings: RekognitionSettings,
    ) -> None:
        self._enrollment = enrollment
        self._namesakes: Sequence[EnrolledPerson] = ()
        """Known people whose faces a new one has to match, or those of one of them."""
        self._collection = collection
        self._request = request
        self._people = people
        self._settings = settings
        self._parallel = asyncio.Semaphore(settings.rekognition_search_parallel)
        self.added: dict[str, str] = {}
        """FaceIds by digests."""
        self.lost: dict[str, str] = {}
        """FaceIds, by digests, that someone has deleted from the collection since."""

    async def run(self, person: EnrolledPerson | None, workers: Workers) -> list[pb.EnrolledFace]:
        """Return a face for each picture; `person` is who is enrolled under the person_id until now."""
        self._namesakes = await asyncio.to_thread(self._people_of_that_name, person)
        enrolled = person.faces if person else {}
        portraits = await workers.map(partial(_portrait, workers), self._enrollment.images)
        by_digest = {one.digest: one for one in portraits if isinstance(one, _Portrait)}
        faces = await self._enrolled({digest: enrolled[digest] for digest in by_digest if digest in enrolled})
        fresh = [portrait for digest, portrait in by_digest.items() if digest not in faces]
        async with asyncio.TaskGroup() as group:
            indexed = {portrait.digest: group.create_task(self._index_or_refuse(portrait)) for portrait in fresh}
        faces |= {digest: task.result() for digest, task in indexed.items()}
        return _in_order(portraits, faces)

    def _people_of_that_name(self, person: EnrolledPerson | None) -> Sequence[EnrolledPerson]:
        """Return the known people who may be meant, if nothing but the name says who is."""
        if not self._enrollment.is_derived or self._enrollment.allow_different:
            return ()
        return [person] if person else self._people.namesakes(self._collection.name, self._enrollment.person_id)

    async def _enrolled(self, enrolled: Mapping[str, str]) -> dict[str, pb.EnrolledFace]:
        """Return those of the faces that are still in the collection, by digests."""
        existing = await self._collection.get(set(enrolled.values()))
        self.lost = {digest: face_id for digest, face_id in enrolled.items() if face_id not in existing}
        return {digest: _already(existing[face_id]) for digest, face_id in enrolled.items() if face_id in existing}

    async def _index_or_refuse(self, portrait: _Portrait) -> pb.EnrolledFace:
        async with self._parallel:
            try:
                return await self._index(portrait)
            except DomainError as exc:
                return refused_face(exc)

    async def _index(self, portrait: _Portrait) -> pb.EnrolledFace:
        must_search = bool(self._namesakes) or not self._enrollment.allow_similar
        searches: tuple[Api, ...] = ("SearchFacesByImage",) if must_search else ()
        self._request.check_budget("DetectFaces", *searches, "IndexFaces")
        detection = await self._request.ask("DetectFaces", "FaceDetails", portrait.picture, Attributes=["DEFAULT"])
        check_one_face(detection["FaceDetails"])
        if must_search:
            await self._check_owner(portrait)
        record = await _finish(self._add(portrait))
        self.added[portrait.digest] = record["Face"]["FaceId"]
        face = results.detected_face(record["FaceDetail"])
        state = pb.ENROLLMENT_STATE_ENROLLED
        return pb.EnrolledFace(face_id=record["Face"]["FaceId"], state=state, box=face.box, quality=face.quality)

    async def _add(self, portrait: _Portrait) -> Mapping[str, Any]:
        """Return the FaceRecord of the new face, which the table has from then on.

        The table knows of the attempt before AWS does: a face whose FaceId got lost is never taken for none.
        """
        request, place = self._request.part(), (self._collection.name, self._enrollment.person_id, portrait.digest)
        since = await asyncio.to_thread(self._people.faces.begin, *place, portrait.sha256, portrait.s3_object)
        try:
            record = await self._index_faces(portrait, request)
        except DomainError as exc:
            # a refusal by name follows a response; without one, only what was paid for may have been done
            if isinstance(exc, InvalidImage) or not request.usage.micro_usd:
                await asyncio.to_thread(self._people.faces.cancel, *place, since)
            raise
        await asyncio.to_thread(self._people.faces.record, *place, record["Face"]["FaceId"])
        return record

    async def _index_faces(self, portrait: _Portrait, request: Request) -> Mapping[str, Any]:
        response = await request.ask(
            "IndexFaces",
            "FaceRecords",
            portrait.picture,
            CollectionId=self._collection.name,
            ExternalImageId=self._enrollment.person_id,
            MaxFaces=1,
            QualityFilter=self._settings.rekognition_quality_filter,
        )
        return _record(response)

    async def _check_owner(self, portrait: _Portrait) -> None:
        """Raise FaceAlreadyEnrolled if the face is taken for another person's, NameTaken if not for a namesake's."""
        response: Any = await self._request.ask(
            "SearchFacesByImage",
            "FaceMatches",
            portrait.picture,
            CollectionId=self._collection.name,
            MaxFaces=_MAX_MATCHES,
            FaceMatchThreshold=100 * self._settings.rekognition_match_score,
        )
        matches = [one.person_id for one in results.candidates(response)]
        nearest = next(iter(matches), self._enrollment.person_id)
        if nearest != self._enrollment.person_id and not self._enrollment.allow_similar:
            names = await asyncio.to_thread(self._people.names, self._collection.name, [nearest])
            raise face_already_enrolled(nearest, names.get(nearest, nearest))
        if not any(one.person_id in matches for one in self._namesakes):
            await self._check_namesakes()

    async def _check_namesakes(self) -> None:
        """Raise NameTaken if a namesake has any face: one without takes any."""
        for one in self._namesakes:
            if await self._collection.get(one.face_ids):
                raise name_taken(one.person_id, one.display_name)


async def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Return the work's result; it runs to its end even if the caller goes, so that what it paid for is noted."""
    task = asyncio.create_task(work)
    _running.add(task)
    task.add_done_callback(_end)
    return await asyncio.shield(task)


def _end(task: "asyncio.Task[Any]") -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # the caller, if still there, has it; asyncio should not log it as lost


def _portrait(workers: Workers, image: Image) -> _Portrait | DomainError:
    try:
        sha256 = hashlib.sha256(image.content).hexdigest()
        return _Portrait(Picture(image, workers, prepare(image)), sha256)
    except DomainError as exc:
        return exc


def _record(response: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the FaceRecord of IndexFaces' response. Raises the UnfitFace that says why there is none."""
    if response["FaceRecords"]:
        record: Mapping[str, Any] = response["FaceRecords"][0]
        return record
    reasons = [reason for one in response.get("UnindexedFaces", []) for reason in one.get("Reasons", [])]
    kind, message = next((refusal for reason, refusal in _REFUSALS.items() if reason in reasons), _unknown(reasons))
    raise kind(message)


def _unknown(reasons: Sequence[str]) -> _Refusal:
    if not reasons:
        return NoFace, "Rekognition finds no face in the picture that it could enroll."
    return UnfitFace, f"Rekognition does not enroll this face: {', '.join(reasons)}. Use a clearer picture."


def _in_order(
    portraits: Sequence[_Portrait | DomainError], faces: Mapping[str, pb.EnrolledFace]
) -> list[pb.EnrolledFace]:
    """Return one face per picture; a picture that comes twice is already enrolled the second time."""
    ordered, digests = [], set()
    for portrait in portraits:
        face = refused_face(portrait) if isinstance(portrait, DomainError) else pb.EnrolledFace()
        if isinstance(portrait, _Portrait):
            face.CopyFrom(faces[portrait.digest])
            if portrait.digest in digests and face.state != pb.ENROLLMENT_STATE_REFUSED:
                face.state = pb.ENROLLMENT_STATE_ALREADY_ENROLLED
            digests.add(portrait.digest)
        ordered.append(face)
    return ordered


def _already(face: "FaceTypeDef") -> pb.EnrolledFace:
    box = results.box(face.get("BoundingBox", {}))
    return pb.EnrolledFace(face_id=face["FaceId"], state=pb.ENROLLMENT_STATE_ALREADY_ENROLLED, box=box)
