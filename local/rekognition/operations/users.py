"""The operations on users: people of a collection, each with faces."""

from collections.abc import Callable, Sequence
from typing import Any

from local.rekognition.operations.pictures import Answer, Request
from local.rekognition.store.faces import FaceStore, KnownFace
from local.rekognition.store.index_cache import IndexCache
from local.rekognition.store.users import UserStore
from local.rekognition.wire import pages
from local.rekognition.wire.request_tokens import RequestTokens

_LEAST_SIMILARITY = 75
_MOST_LISTED = 500


class UserOperations:
    """They take checked parameters, block and raise AwsError. Safe to share between threads."""

    def __init__(self, indexes: IndexCache, known: FaceStore, users: UserStore) -> None:
        self._indexes = indexes
        self._faces = known
        self._users = users
        self._tokens = RequestTokens()

    def create_user(self, request: Request) -> Answer:
        """A user without faces."""
        return self._once("CreateUser", request, lambda: self._users.create(request["CollectionId"], request["UserId"]))

    def delete_user(self, request: Request) -> Answer:
        """Its faces stay in the collection."""
        return self._once("DeleteUser", request, lambda: self._users.delete(request["CollectionId"], request["UserId"]))

    def list_users(self, request: Request) -> Answer:
        """In alphabetical order."""
        most = request.get("MaxResults", _MOST_LISTED)
        found = self._users.page(request["CollectionId"], pages.start(request), most + 1)
        listed, more = pages.cut(found, most, lambda user: user.user_id)
        return {"Users": [{"UserId": user.user_id, "UserStatus": user.status} for user in listed], **more}

    def associate_faces(self, request: Request) -> Answer:
        """Those faces that are nobody's, and like the user's where it has any."""
        return self._once("AssociateFaces", request, lambda: self._associate(request))

    def disassociate_faces(self, request: Request) -> Answer:
        """Those faces that are the user's."""
        return self._once("DisassociateFaces", request, lambda: self._disassociate(request))

    def _associate(self, request: Request) -> Answer:
        collection, user = request["CollectionId"], request["UserId"]
        before = self._users.get(collection, user)
        known = self._faces.by_id(collection, request["FaceIds"])
        failed = _strangers(request, known)
        free = [face for face in _distinct(request) if face in known and known[face].user_id is None]
        unlike = {} if not before.faces else self._unlike(request, free)
        failed += [_failure(face, "LOW_MATCH_CONFIDENCE", Confidence=alike) for face, alike in unlike.items()]
        added = [face for face in free if face not in unlike]
        self._users.associate(collection, user, added)
        return {
            "AssociatedFaces": [{"FaceId": face} for face in added],
            "UnsuccessfulFaceAssociations": failed,
            "UserStatus": "UPDATING" if added else before.status,
        }

    def _disassociate(self, request: Request) -> Answer:
        collection, user = request["CollectionId"], request["UserId"]
        before = self._users.get(collection, user)
        known = self._faces.by_id(collection, request["FaceIds"])
        removed = [face for face in _distinct(request) if face in known and known[face].user_id == user]
        self._users.disassociate(collection, user, removed)
        return {
            "DisassociatedFaces": [{"FaceId": face} for face in removed],
            "UnsuccessfulFaceDisassociations": _strangers(request, known),
            "UserStatus": "UPDATING" if removed else before.status,
        }

    def _unlike(self, request: Request, free: Sequence[str]) -> dict[str, float]:
        """The faces that are too little like the user's, and how alike they are."""
        collection, user = request["CollectionId"], request["UserId"]
        least = request.get("UserMatchThreshold", _LEAST_SIMILARITY)
        index, users = self._indexes.faces(collection), self._indexes.users(collection)
        alike = {face: users.similarity(user, index.embedding(face)) for face in free}
        return {face: value for face, value in alike.items() if value < least}

    def _once(self, operation: str, request: Request, do: Callable[[], Answer | None]) -> Answer:
        return self._tokens.once(operation, request, lambda: do() or {})


def _strangers(request: Request, known: dict[str, KnownFace]) -> list[dict[str, Any]]:
    """Failures of the faces that are not there or another user's."""
    failed = [_failure(face, "FACE_NOT_FOUND") for face in _distinct(request) if face not in known]
    others = [known[face] for face in _distinct(request) if face in known]
    return failed + [
        _failure(face.face_id, "ASSOCIATED_TO_A_DIFFERENT_USER", UserId=face.user_id)
        for face in others
        if face.user_id not in (None, request["UserId"])
    ]


def _distinct(request: Request) -> list[str]:
    return list(dict.fromkeys(request["FaceIds"]))


def _failure(face_id: str, reason: str, **more: Any) -> dict[str, Any]:
    return {"FaceId": face_id, "Reasons": [reason], **more}
