"""The faces and users of a collection. All operations here but AssociateFaces and DisassociateFaces are free."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from services.rekognition.request import Request

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import FaceTypeDef

_MAX_FACES = 4096
"""Limit of ListFaces and DeleteFaces."""
_MISSING = "FACE_NOT_FOUND"
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_DELETE_PAUSES = (0.1, 0.3, 1.0)


class CollectionFaces:
    """One collection, for one request. Methods raise DomainErrors."""

    def __init__(self, name: str, request: Request) -> None:
        self.name = name
        self._request = request

    async def describe(self) -> tuple[int, str]:
        """Return the number of faces, and the creation in seconds since 1970, as text. Raises CollectionNotFound."""
        response = await self._request.ask("DescribeCollection", "FaceCount", CollectionId=self.name)
        created = response.get("CreationTimestamp")
        return response["FaceCount"], f"{created.timestamp():.3f}" if created else ""

    async def get(self, face_ids: Collection[str]) -> dict[str, "FaceTypeDef"]:
        """Return those of the faces that exist, by their ids."""
        faces: dict[str, FaceTypeDef] = {}
        for part in _parts(face_ids):
            response = await self._request.ask(
                "ListFaces", "Faces", CollectionId=self.name, FaceIds=part, MaxResults=_MAX_FACES
            )
            faces |= {face["FaceId"]: face for face in response["Faces"]}
        return faces

    async def wait(self, face_ids: Collection[str], user: str = "") -> Sequence[str]:
        """Wait until Rekognition lists all of the faces, as the user's if one is given; return those still missing."""

        def missing(faces: Mapping[str, "FaceTypeDef"]) -> list[str]:
            return [one for one in face_ids if one not in faces or (user and faces[one].get("UserId") != user)]

        return await self._poll(face_ids, missing)

    async def wait_until_gone(self, face_ids: Collection[str]) -> list[str]:
        """Wait until Rekognition lists none of the faces; return those that it still lists."""
        return await self._poll(face_ids, list)

    async def _poll(
        self, face_ids: Collection[str], find: Callable[[Mapping[str, "FaceTypeDef"]], list[str]]
    ) -> list[str]:
        """Look at the faces until there is nothing to find, or the time is over; return what was found last."""
        pause = _FIRST_PAUSE
        while True:
            found = find(await self.get(face_ids))
            if not found or time.monotonic() + pause > self._request.deadline:
                return found
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    async def delete(self, face_ids: Collection[str]) -> tuple[int, list[str]]:
        """Return how many faces were deleted, and the ids of those that stay because a user has them.

        Rekognition takes a while to release the faces of a deleted user, so those are tried again.
        """
        deleted, kept = await self._delete(face_ids)
        for pause in _DELETE_PAUSES:
            if not kept or time.monotonic() + pause > self._request.deadline:
                break
            await asyncio.sleep(pause)
            more, kept = await self._delete(kept)
            deleted += more
        return deleted, kept

    async def create_user(self, user: str) -> None:
        """Create the user if there is none."""
        await self._request.ask("CreateUser", "", ignore="ConflictException", CollectionId=self.name, UserId=user)

    async def delete_user(self, user: str) -> None:
        """Delete the user if there is one; its faces stay."""
        ignore = "ResourceNotFoundException"
        await self._request.ask("DeleteUser", "", ignore=ignore, CollectionId=self.name, UserId=user)

    async def associate(self, user: str, face_ids: Sequence[str]) -> dict[str, list[str]]:
        """Give the user the faces, at most 100; return Rekognition's reasons for those that it refuses."""
        response = await self._request.ask(
            "AssociateFaces", "AssociatedFaces", CollectionId=self.name, UserId=user, FaceIds=list(face_ids)
        )
        return {one["FaceId"]: one["Reasons"] for one in response.get("UnsuccessfulFaceAssociations", [])}

    async def faces_of(self, user: str) -> set[str]:
        """Return the ids of all faces that the user has."""
        pages = self._request.pages("ListFaces", "Faces", CollectionId=self.name, UserId=user, MaxResults=_MAX_FACES)
        return {face["FaceId"] async for page in pages for face in page["Faces"]}

    async def disassociate(self, user: str, face_ids: Sequence[str]) -> None:
        """Take the faces, at most 100, from the user, if there is one."""
        await self._request.ask(
            "DisassociateFaces",
            "DisassociatedFaces",
            ignore="ResourceNotFoundException",
            CollectionId=self.name,
            UserId=user,
            FaceIds=list(face_ids),
        )

    async def _delete(self, face_ids: Collection[str]) -> tuple[int, list[str]]:
        deleted, kept = 0, []
        for part in _parts(face_ids):
            response = await self._request.ask("DeleteFaces", "DeletedFaces", CollectionId=self.name, FaceIds=part)
            deleted += len(response["DeletedFaces"])
            failures = response.get("UnsuccessfulFaceDeletions", [])
            kept += [one["FaceId"] for one in failures if _MISSING not in one["Reasons"]]
        return deleted, kept


def _parts(face_ids: Collection[str]) -> Iterator[list[str]]:
    ids = list(face_ids)
    return (ids[start : start + _MAX_FACES] for start in range(0, len(ids), _MAX_FACES))
