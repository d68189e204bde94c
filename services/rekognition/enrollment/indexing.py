"""One enrollment: from pictures to faces of the collection."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from marquee.v1 import enrollment_pb2 as pb
from services.rekognition import results
from services.rekognition.asking import Asking
from services.rekognition.enrollment.collection import CollectionFaces
from services.rekognition.enrollment.portrait import check_not_another, indexed
from services.rekognition.question import about
from services.rekognition.settings import RekognitionSettings
from services.rekognition.source import Source
from services.rekognition.table.people import KnownPeople
from services.runtime.errors import DomainError
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Enrollment, check_one_face, refused_face
from services.runtime.workers import Workers

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import FaceTypeDef

_REFUSED = pb.ENROLLMENT_STATE_REFUSED
_ALREADY = pb.ENROLLMENT_STATE_ALREADY_ENROLLED


@dataclass(frozen=True)
class Look:
    """A picture that was read."""

    source: Source
    digest: str
    """32 digits of the file's SHA-256."""


_Read: TypeAlias = Look | DomainError


class Enrolling:
    """Indexes the pictures of one call, each new one alone: DetectFaces, SearchFacesByImage, IndexFaces.

    Nothing gets into the collection that would have to be taken out: who and how many are in a picture
    is found out before. What was enrolled already costs nothing.
    """

    def __init__(
        self,
        asked: Enrollment,
        collection: CollectionFaces,
        asking: Asking,
        people: KnownPeople,
        settings: RekognitionSettings,
    ) -> None:
        self._asked = asked
        self._collection = collection
        self._asking = asking
        self._people = people
        self._settings = settings
        self._parallel = asyncio.Semaphore(settings.rekognition_search_parallel)
        self.added: dict[str, str] = {}
        """FaceIds by digests."""
        self.lost: dict[str, str] = {}
        """Likewise: what somebody has deleted from the collection since."""

    async def run(self, before: Mapping[str, str], workers: Workers) -> list[pb.EnrolledFace]:
        """What became of each picture; `before` are the FaceIds by digests until now."""
        read = await asyncio.gather(*(_read(image, workers) for image in self._asked.images))
        looks = {look.digest: look for look in read if isinstance(look, Look)}
        known = {digest: before[digest] for digest in looks if digest in before}
        there = await self._collection.among(set(known.values()))
        self.lost = {digest: face_id for digest, face_id in known.items() if face_id not in there}
        faces = {digest: _already(there[face_id]) for digest, face_id in known.items() if face_id in there}
        fresh = [look for digest, look in looks.items() if digest not in faces]
        taken = await asyncio.gather(*(self._take(look) for look in fresh))
        faces |= {look.digest: face for look, face in zip(fresh, taken, strict=True)}
        return _in_order(read, faces)

    async def _take(self, look: Look) -> pb.EnrolledFace:
        async with self._parallel:
            try:
                return await self._index(look)
            except DomainError as exc:
                return refused_face(exc)

    async def _index(self, look: Look) -> pb.EnrolledFace:
        seen = await self._ask(look, "DetectFaces", "FaceDetails", Attributes=["DEFAULT"])
        check_one_face(seen["FaceDetails"])
        if not self._asked.allow_similar:
            await self._check_not_another(look)
        answer = await self._ask(
            look,
            "IndexFaces",
            "FaceRecords",
            CollectionId=self._collection.name,
            ExternalImageId=self._asked.person_id,
            MaxFaces=1,
            QualityFilter=self._settings.rekognition_quality_filter,
        )
        return self._indexed(look, indexed(answer))

    def _indexed(self, look: Look, record: Mapping[str, Any]) -> pb.EnrolledFace:
        face_id = record["Face"]["FaceId"]
        self.added[look.digest] = face_id
        face = results.detected_face(record["FaceDetail"])
        return pb.EnrolledFace(face_id=face_id, state=pb.ENROLLMENT_STATE_ENROLLED, box=face.box, quality=face.quality)

    async def _check_not_another(self, look: Look) -> None:
        found: Any = await self._ask(
            look,
            "SearchFacesByImage",
            "FaceMatches",
            CollectionId=self._collection.name,
            MaxFaces=1,
            FaceMatchThreshold=100 * self._settings.rekognition_match_score,
        )
        nearest = next((one.person_id for one in results.candidates(found)), "")
        names = await asyncio.to_thread(self._people.names, self._collection.name, [nearest] if nearest else [])
        check_not_another(self._asked.person_id, nearest, names)

    async def _ask(self, look: Look, api: Any, key: str, **parameters: Any) -> Mapping[str, Any]:
        return await about(look.source, self._asking, api, key, **parameters)


async def _read(image: Image, workers: Workers) -> _Read:
    source = Source(image, workers)
    try:
        digest = await source.work(lambda: hashlib.sha256(image.content).hexdigest()[:32])
        await source.prepare()
    except DomainError as exc:
        return exc
    return Look(source, digest)


def _in_order(read: Sequence[_Read], faces: Mapping[str, pb.EnrolledFace]) -> list[pb.EnrolledFace]:
    """A face a picture; a picture that comes twice was enrolled already the second time."""
    ordered, told = [], set()
    for look in read:
        face = refused_face(look) if isinstance(look, DomainError) else pb.EnrolledFace()
        if isinstance(look, Look):
            face.CopyFrom(faces[look.digest])
            if look.digest in told and face.state != _REFUSED:
                face.state = _ALREADY
            told.add(look.digest)
        ordered.append(face)
    return ordered


def _already(face: "FaceTypeDef") -> pb.EnrolledFace:
    return pb.EnrolledFace(face_id=face["FaceId"], state=_ALREADY, box=results.box(face.get("BoundingBox", {})))
