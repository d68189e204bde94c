"""The removal of single faces: from their users, then from the collection, and only then from the table.

What failed on the way is found again by the same keys, so the call is safe to repeat.
"""

import asyncio
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.rpc import status_pb2

from marquee.v1 import enrollment_pb2 as pb
from services.rekognition.enrollment.collection import CollectionFaces
from services.rekognition.table.faces import KnownFace
from services.rekognition.table.people import EnrolledPeople, EnrolledPerson, digest_of
from services.runtime import status
from services.runtime.errors import DomainError, GalleryBusy, Misconfigured, OutOfTime
from services.runtime.leaf.recognizer import FaceRemoval, no_longer_known

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import FaceTypeDef

_FACE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Rekognition refuses all else, for all faces of the call."""
_Failures = dict[str, DomainError]
"""By FaceId."""


class SingleRemoval:
    """The removal of some faces, of one person or of anybody."""

    def __init__(self, collection: CollectionFaces, people: EnrolledPeople, removal: FaceRemoval) -> None:
        self._collection = collection
        self._people = people
        self._removal = removal
        self._existing: dict[str, FaceTypeDef] = {}
        """Faces that Rekognition lists, by FaceId."""

    async def run(self) -> pb.FaceRemovalResult:
        """Return an entry per key; what keeps one face leaves the others. Raises DomainErrors if nothing is tried."""
        await self._collection.describe()
        named = {key.face.face_id for key in self._removal.faces if _FACE_ID.fullmatch(key.face.face_id)}
        self._existing = await self._collection.get(named)
        owners = [await asyncio.to_thread(self._owner, one) for one in sorted(await self._owner_ids(named))]
        found = [self._find(key, owners) for key in self._removal.faces]
        leaving = {face_id for one in found if not isinstance(one, DomainError) for face_id in one}
        self._existing |= await self._collection.get(leaving - named)
        failures = await self._remove(leaving)
        lost = [one for owner in owners for one in await self._forget(owner, leaving, failures)]
        warnings = [no_longer_known(one) for one in lost]
        return pb.FaceRemovalResult(faces=_entries(self._removal.faces, found, failures), warnings=warnings)

    async def _owner_ids(self, named: Collection[str]) -> set[str]:
        """Return whose the faces may be, of those whose faces the call may remove."""
        if self._removal.person_id:
            return {self._removal.person_id}
        owners = {one for face in self._existing.values() for one in _owners(face)}
        missing = [face_id for face_id in named if face_id not in self._existing]
        sha256s = {key.content_sha256 for key in self._removal.faces} - {""}
        if missing or sha256s:
            owners |= await asyncio.to_thread(self._people.owners, self._collection.name, missing, sha256s)
        return owners

    def _owner(self, person_id: str) -> "_Owner":
        return _Owner(person_id, *self._people.known(self._collection.name, person_id))

    def _find(self, key: pb.FaceKey, owners: Sequence["_Owner"]) -> set[str] | DomainError:
        """Return the FaceIds of the key's faces, or what is wrong."""
        if face_id := key.face.face_id:
            is_known = any(face_id in owner.face_ids for owner in owners) or self._may_remove(face_id)
            return {face_id} if is_known else set()
        faces = [face for owner in owners for face in owner.of_file(key.content_sha256)]
        if not all(face.face_id for face in faces):
            return GalleryBusy(
                "This picture is being enrolled, or its enrollment was interrupted. Try again in a minute; if that "
                "does not help, enroll the picture again first."
            )
        return {face.face_id for face in faces}

    def _may_remove(self, face_id: str) -> bool:
        face = self._existing.get(face_id)
        return face is not None and self._removal.person_id in ("", *_owners(face))

    async def _remove(self, face_ids: Collection[str]) -> _Failures:
        """Remove the faces from the collection; return what keeps those that stay."""
        failures: _Failures = {}
        for user in sorted({self._user(face_id) for face_id in face_ids} - {""}):
            failures |= await self._release(user, face_ids)
        leaving = [face_id for face_id in face_ids if face_id not in failures]
        failures |= await self._delete(leaving) if leaving else {}
        try:
            left = await self._collection.wait_until_gone([one for one in leaving if one not in failures])
        except DomainError as exc:
            return failures | dict.fromkeys((one for one in leaving if one not in failures), exc)
        return failures | dict.fromkeys(
            left, OutOfTime("Rekognition still lists the deleted face. Send the call again.")
        )

    async def _release(self, user: str, face_ids: Collection[str]) -> _Failures:
        """Take the faces from the user, or remove a user who has no others: that costs nothing."""
        own = [face_id for face_id in face_ids if self._user(face_id) == user]
        if self._removal.person_id not in ("", user):
            return dict.fromkeys(own, self._kept_by(user))
        try:
            if await self._collection.faces_of(user) <= set(own):
                await self._collection.delete_user(user)
            else:
                await self._collection.disassociate(user, own)
        except DomainError as exc:
            return dict.fromkeys(own, exc)
        return {}

    async def _delete(self, face_ids: Collection[str]) -> _Failures:
        """Delete the faces together, or one by one if that fails; return what keeps those that stay."""
        try:
            _, kept = await self._collection.delete(face_ids)
        except DomainError as exc:
            if len(face_ids) == 1:
                return dict.fromkeys(face_ids, exc)
            return {one: error for face_id in face_ids for one, error in (await self._delete([face_id])).items()}
        busy = "Rekognition has not released the face from its user yet. Try again in a moment."
        return dict.fromkeys(kept, GalleryBusy(busy))

    async def _forget(self, owner: "_Owner", face_ids: Collection[str], failures: _Failures) -> list[str]:
        """Remove the faces that are gone from the table; return the person_id if the person is not known any more."""
        gone = owner.face_ids.intersection(face_ids).difference(failures)
        try:
            is_lost = await asyncio.to_thread(owner.forget, self._people, self._collection.name, gone)
        except DomainError as exc:
            failures.update(dict.fromkeys(gone, exc))
            return []
        return [owner.person_id] if is_lost else []

    def _user(self, face_id: str) -> str:
        return self._existing[face_id].get("UserId", "") if face_id in self._existing else ""

    def _kept_by(self, user: str) -> DomainError:
        return Misconfigured(f"Another user of the collection, {user}, has this face. Disassociate it first.")


@dataclass(frozen=True)
class _Owner:
    """Somebody who may have some of the faces, as the table knows them."""

    person_id: str
    person: EnrolledPerson | None
    faces: Sequence[KnownFace]

    @property
    def face_ids(self) -> set[str]:
        """All FaceIds."""
        return {face.face_id for face in self.faces} - {""}

    def of_file(self, sha256: str) -> list[KnownFace]:
        """Return the faces that come from the file."""
        return [face for face in self.faces if face.digest == digest_of(sha256)]

    def forget(self, people: EnrolledPeople, collection: str, gone: Collection[str]) -> bool:
        """Remove the faces, the person first; return whether the person is not known any more."""
        if not gone:
            return False
        is_lost = self.person is not None and all(face.face_id in gone for face in self.faces)
        if self.person is not None and not (is_lost and people.remove(collection, self.person)):
            people.remove_faces(collection, self.person_id, self.person.entries_of(gone))
            is_lost = False
        for face in self.faces:
            if face.face_id in gone:
                people.faces.forget(collection, face)
        return is_lost


def _owners(face: "FaceTypeDef") -> set[str]:
    """Return whose the face is for Rekognition."""
    return {face.get("ExternalImageId", ""), face.get("UserId", "")} - {""}


def _entries(
    keys: Sequence[pb.FaceKey], found: Sequence[set[str] | DomainError], failures: Mapping[str, DomainError]
) -> Iterator[pb.RemovedFace]:
    """Yield an entry per key; a face that several keys name counts for the first."""
    counted: set[str] = set()
    for key, faces in zip(keys, found, strict=True):
        if isinstance(faces, DomainError):
            yield pb.RemovedFace(key=key, status=status.from_exception(faces))
            continue
        error = next((failures[one] for one in sorted(faces) if one in failures), None)
        removed = faces - counted - failures.keys()
        counted |= removed
        outcome = status.from_exception(error) if error else status_pb2.Status()
        yield pb.RemovedFace(key=key, status=outcome, removed_faces=len(removed))
