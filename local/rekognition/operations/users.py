"""The operations on users: people of a collection, each with faces."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.rekognition.store.collections import FaceStore, StoredFace
from local.rekognition.store.index import IndexCache
from local.rekognition.store.users import UserStore
from local.rekognition.wire.tokens import ClientRequestTokens, page_start, paginate

_MIN_SIMILARITY = 75
_MAX_RESULTS = 500
Request = Mapping[str, Any]
Response = dict[str, Any]


class UserOperations:
    """Methods take checked parameters, block and raise AwsError. Safe to share between threads."""

    def __init__(self, indexes: IndexCache, faces: FaceStore, users: UserStore) -> None:
        self._indexes = indexes
        self._faces = faces
        self._users = users
        self._tokens = ClientRequestTokens()

    def create_user(self, request: Request) -> Response:
        """Create a user without faces."""
        return self._once("CreateUser", request, lambda: self._users.create(request["CollectionId"], request["UserId"]))

    def delete_user(self, request: Request) -> Response:
        """Delete the user. The faces stay in the collection."""
        return self._once("DeleteUser", request, lambda: self._users.delete(request["CollectionId"], request["UserId"]))

    def list_users(self, request: Request) -> Response:
        """Return the collection's users in alphabetical order."""
        limit = request.get("MaxResults", _MAX_RESULTS)
        users = self._users.page(request["CollectionId"], page_start(request), limit + 1)
        users, token = paginate(users, limit, lambda user: user.user_id)
        return {"Users": [{"UserId": user.user_id, "UserStatus": user.status} for user in users], **token}

    def associate_faces(self, request: Request) -> Response:
        """Give the user the faces that have no owner and, if the user has faces, are similar to those."""
        return self._once("AssociateFaces", request, lambda: self._associate(request))

    def disassociate_faces(self, request: Request) -> Response:
        """Take from the user those of the faces that the user owns."""
        return self._once("DisassociateFaces", request, lambda: self._disassociate(request))

    def _associate(self, request: Request) -> Response:
        collection, user = request["CollectionId"], request["UserId"]
        old = self._users.get(collection, user)
        faces = self._faces.by_id(collection, request["FaceIds"])
        free = [face for face in _face_ids(request) if face in faces and faces[face].user_id is None]
        unlike = self._unlike(request, free) if old.faces else {}
        failures = [_failure(face, "LOW_MATCH_CONFIDENCE", Confidence=value) for face, value in unlike.items()]
        new = [face for face in free if face not in unlike]
        self._users.associate(collection, user, new)
        return {
            "AssociatedFaces": [{"FaceId": face} for face in new],
            "UnsuccessfulFaceAssociations": _unavailable(request, faces) + failures,
            "UserStatus": "UPDATING" if new else old.status,
        }

    def _disassociate(self, request: Request) -> Response:
        collection, user = request["CollectionId"], request["UserId"]
        old = self._users.get(collection, user)
        faces = self._faces.by_id(collection, request["FaceIds"])
        own = [face for face in _face_ids(request) if face in faces and faces[face].user_id == user]
        self._users.disassociate(collection, user, own)
        return {
            "DisassociatedFaces": [{"FaceId": face} for face in own],
            "UnsuccessfulFaceDisassociations": _unavailable(request, faces),
            "UserStatus": "UPDATING" if own else old.status,
        }

    def _unlike(self, request: Request, face_ids: Sequence[str]) -> dict[str, float]:
        """Return the faces that are too little like the user's, and their similarities."""
        collection, user = request["CollectionId"], request["UserId"]
        threshold = request.get("UserMatchThreshold", _MIN_SIMILARITY)
        faces, users = self._indexes.faces(collection), self._indexes.users(collection)
        similarities = {face: users.similarity(user, faces.embedding(face)) for face in face_ids}
        return {face: value for face, value in similarities.items() if value < threshold}

    def _once(self, operation: str, request: Request, run: Callable[[], Response | None]) -> Response:
        return self._tokens.once(operation, request, lambda: run() or {})


def _unavailable(request: Request, faces: Mapping[str, StoredFace]) -> list[dict[str, Any]]:
    """Return the failures of faces that do not exist or belong to another user."""
    ids = _face_ids(request)
    failures = [_failure(face, "FACE_NOT_FOUND") for face in ids if face not in faces]
    owners = {face: faces[face].user_id for face in ids if face in faces}
    return failures + [
        _failure(face, "ASSOCIATED_TO_A_DIFFERENT_USER", UserId=owner)
        for face, owner in owners.items()
        if owner not in (None, request["UserId"])
    ]


def _face_ids(request: Request) -> list[str]:
    return list(dict.fromkeys(request["FaceIds"]))


def _failure(face_id: str, reason: str, **members: Any) -> dict[str, Any]:
    return {"FaceId": face_id, "Reasons": [reason], **members}
