"""The faces and users of a collection. All operations here but AssociateFaces are free of charge."""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from services.rekognition.request import Request

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import FaceTypeDef

_MAX_FACES = 4096
"""Limit of ListFaces and DeleteFaces."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_DELETE_PAUSES = (0.1, 0.3, 1.0)


class CollectionFaces:
    """One collection, for one request. Methods raise DomainErrors."""

    def __init__(self, name: str, request: Request) -> None:
        self.name = name
        self._request = request

    async def check(self) -> None:
        """Raise CollectionNotFound if there is no such collection."""
        await self._request.ask("DescribeCollection", "FaceCount", CollectionId=self.name)

    async def get(self, face_ids: Collection[str]) -> dict[str, "FaceTypeDef"]:
        """Return those of the faces, at most 4096, that exist, by their ids."""
        if not face_ids:
            return {}
        response = await self._request.ask("ListFaces", "Faces", CollectionId=self.name, FaceIds=list(face_ids))
        return {face["FaceId"]: face for face in response["Faces"]}

    async def wait(self, face_ids: Collection[str], user: str = "") -> Sequence[str]:
        """Wait until Rekognition lists all of the faces, as the user's if one is given; return those still missing."""
        pause = _FIRST_PAUSE
        while True:
            faces = await self.get(face_ids)
            missing = [one for one in face_ids if one not in faces or (user and faces[one].get("UserId") != user)]
            if not missing or time.monotonic() + pause > self._request.deadline:
                return missing
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    async def of_person(self, person_id: str) -> list[str]:
        """Return the ids of all faces with the person's identifier, whoever indexed them.

        Rekognition cannot list by ExternalImageId, so this reads the whole collection: 4096 faces a call.
        """
        pages = self._request.pages("ListFaces", "Faces", CollectionId=self.name, MaxResults=_MAX_FACES)
        faces: list[Any] = [face async for page in pages for face in page["Faces"]]
        return [face["FaceId"] for face in faces if person_id in (face.get("ExternalImageId"), face.get("UserId"))]

    async def delete(self, face_ids: Sequence[str]) -> tuple[int, list[str]]:
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

    async def _delete(self, face_ids: Sequence[str]) -> tuple[int, list[str]]:
        deleted, kept = 0, []
        for start in range(0, len(face_ids), _MAX_FACES):
            part = face_ids[start : start + _MAX_FACES]
            response = await self._request.ask("DeleteFaces", "DeletedFaces", CollectionId=self.name, FaceIds=part)
            deleted += len(response["DeletedFaces"])
            failures = response.get("UnsuccessfulFaceDeletions", [])
            kept += [one["FaceId"] for one in failures if "ASSOCIATED_TO_AN_EXISTING_USER" in one["Reasons"]]
        return deleted, kept
