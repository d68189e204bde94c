"""The removal of a person: of every face in the collection, the table's entries only after them."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from services.rekognition.enrollment.collection import CollectionFaces
from services.rekognition.table.faces import KnownFace
from services.rekognition.table.people import EnrolledPeople, EnrolledPerson
from services.runtime.errors import CollectionNotIndexed, GalleryBusy, OutOfTime

_ROUNDS = 5
_PARALLEL = 16
"""Requests to the table at once: a person with 5,000 faces is forgotten within a call."""
_INDEXING_SECONDS = 60
"""No IndexFaces runs longer."""


class Removal:
    """The removal of one person. It never reads the collection: the table knows whose its faces are."""

    def __init__(self, collection: CollectionFaces, people: EnrolledPeople, person_id: str) -> None:
        self._collection = collection
        self._people = people
        self._person_id = person_id

    async def run(self) -> tuple[int, list[str]]:
        """Return how many faces were deleted, and the ids of those that stay because other users have them.

        Raises CollectionNotIndexed, GalleryBusy while somebody enrolls the same person, and OutOfTime if Rekognition
        still lists a face. Safe to repeat.
        """
        indexed, removed = await self._indexed(), 0
        for _ in range(_ROUNDS):
            person, faces = await asyncio.to_thread(self._known)
            self._check(faces, indexed)
            await self._collection.delete_user(self._person_id)
            ids = {face.face_id for face in faces if face.face_id} | (person.face_ids if person else set())
            deleted, kept = await self._collection.delete(ids)
            removed += deleted
            if left := await self._collection.wait_until_gone(ids.difference(kept)):
                raise OutOfTime(f"Rekognition still lists {len(left)} of the deleted faces. Send the call again.")
            if await asyncio.to_thread(self._forget, person, faces, kept):
                return removed, kept
        raise GalleryBusy(f"{self._person_id} is being enrolled at the same time. Try again in a moment.")

    async def _indexed(self) -> float:
        """Return when the collection was last read, 0 if it never had a face. Raises CollectionNotIndexed."""
        count, created = await self._collection.describe()
        indexed = await asyncio.to_thread(self._people.faces.indexed, self._collection.name, created)
        if indexed is None and count:
            raise self._not_indexed("It has faces that were enrolled by an earlier version or by another program.")
        return indexed or 0.0

    def _known(self) -> tuple[EnrolledPerson | None, list[KnownFace]]:
        place = self._collection.name, self._person_id
        return self._people.get(*place), self._people.faces.of_person(*place)

    def _check(self, faces: Sequence[KnownFace], indexed: float) -> None:
        """Raise GalleryBusy or CollectionNotIndexed if the collection may have a face whose FaceId is not known."""
        latest = max((face.since for face in faces), default=0)
        if latest + _INDEXING_SECONDS > time.time():
            raise GalleryBusy(f"{self._person_id} is being enrolled, or was a moment ago. Try again in a minute.")
        if latest + _INDEXING_SECONDS > indexed and latest:
            raise self._not_indexed(f"An enrollment of {self._person_id} was interrupted; sending it again helps, too.")

    def _not_indexed(self, why: str) -> CollectionNotIndexed:
        name = self._collection.name
        return CollectionNotIndexed(
            f"It is not known which faces of collection {name} are whose. {why} "
            f"An operator has to run `python -m services.rekognition.collections index {name}`.",
            collection=name,
        )

    def _forget(self, person: EnrolledPerson | None, faces: Sequence[KnownFace], kept: Sequence[str]) -> bool:
        """Remove what is gone from the table; return whether nothing has been added to it meanwhile."""
        forget = partial(self._people.faces.forget, self._collection.name)
        with ThreadPoolExecutor(_PARALLEL) as threads:
            gone = list(threads.map(forget, (face for face in faces if face.face_id not in kept)))
        if person is None:
            return all(gone)
        if kept:
            lost = {digest: face_id for digest, face_id in person.faces.items() if face_id not in kept}
            self._people.remove_faces(self._collection.name, person.person_id, lost)
            return all(gone)
        return self._people.remove(self._collection.name, person) and all(gone)
