"""The faces that a collection keeps: which are there, whose they are, and how they go. All of it is free of charge."""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from services.rekognition.asking import Asking
from services.rekognition.aws import errors
from services.rekognition.budget.prices import Api

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import FaceTypeDef

_MOST = 4096
"""Faces that Rekognition lists or deletes at once."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_PAUSES = (0.1, 0.3, 1.0)


class CollectionFaces:
    """One collection, for one request. Methods raise DomainErrors."""

    def __init__(self, name: str, asking: Asking) -> None:
        self.name = name
        self._asking = asking

    async def check(self) -> None:
        """Raises CollectionNotFound."""
        await self._asking.ask("DescribeCollection", "FaceCount", CollectionId=self.name)

    async def among(self, face_ids: Collection[str]) -> dict[str, "FaceTypeDef"]:
        """Those of the faces that are there, by their ids; 4096 at most."""
        if not face_ids:
            return {}
        answer = await self._asking.ask("ListFaces", "Faces", CollectionId=self.name, FaceIds=list(face_ids))
        return {face["FaceId"]: face for face in answer["Faces"]}

    async def wait(self, face_ids: Collection[str], user: str = "") -> Sequence[str]:
        """Waits until all of the faces are there, the user's where one is named; returns those that still are not."""
        pause = _FIRST_PAUSE
        while True:
            found = await self.among(face_ids)
            missing = [one for one in face_ids if one not in found or (user and found[one].get("UserId") != user)]
            if not missing or time.monotonic() + pause > self._asking.deadline:
                return missing
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    async def of_person(self, person_id: str) -> list[str]:
        """The ids of all faces that are named so, by whomever they were indexed.

        Rekognition cannot list by ExternalImageId, so this reads the whole collection: 4096 faces a call.
        """
        pages = self._asking.pages("ListFaces", "Faces", CollectionId=self.name, MaxResults=_MOST)
        faces: list[Any] = [face async for page in pages for face in page["Faces"]]
        return [face["FaceId"] for face in faces if person_id in (face.get("ExternalImageId"), face.get("UserId"))]

    async def delete(self, face_ids: Sequence[str]) -> tuple[int, list[str]]:
        """How many faces went, and the ids of those that stay since a user has them.

        Rekognition takes its time to let a deleted user's faces go, so those are asked for again.
        """
        deleted, left = await self._delete(face_ids)
        for pause in _PAUSES:
            if not left or time.monotonic() + pause > self._asking.deadline:
                break
            await asyncio.sleep(pause)
            gone, left = await self._delete(left)
            deleted += gone
        return deleted, left

    async def create_user(self, user: str) -> None:
        """Makes sure that there is such a user."""
        await self._change("CreateUser", user, done="ConflictException")

    async def delete_user(self, user: str) -> None:
        """Makes sure that there is no such user; its faces stay."""
        await self._change("DeleteUser", user, done="ResourceNotFoundException")

    async def associate(self, user: str, face_ids: Sequence[str]) -> dict[str, list[str]]:
        """Gives the user the faces, at most 100; returns Rekognition's reasons for those that it does not give."""
        answer = await self._asking.ask(
            "AssociateFaces", "AssociatedFaces", CollectionId=self.name, UserId=user, FaceIds=list(face_ids)
        )
        return {one["FaceId"]: one["Reasons"] for one in answer.get("UnsuccessfulFaceAssociations", [])}

    async def _delete(self, face_ids: Sequence[str]) -> tuple[int, list[str]]:
        deleted, owned = 0, []
        for start in range(0, len(face_ids), _MOST):
            part = face_ids[start : start + _MOST]
            answer = await self._asking.ask("DeleteFaces", "DeletedFaces", CollectionId=self.name, FaceIds=part)
            deleted += len(answer["DeletedFaces"])
            failed = answer.get("UnsuccessfulFaceDeletions", [])
            owned += [one["FaceId"] for one in failed if "ASSOCIATED_TO_AN_EXISTING_USER" in one["Reasons"]]
        return deleted, owned

    async def _change(self, api: Api, user: str, done: str) -> None:
        """Asks for the change; that it is made already, which the code `done` says, is no error."""
        try:
            await self._asking.send(api, CollectionId=self.name, UserId=user)
        except ClientError as exc:
            if errors.code_of(exc) != done:
                raise errors.explain(exc) from exc
