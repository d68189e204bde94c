"""The operations that search a collection for faces and users."""

from collections.abc import Mapping
from typing import Any

from local.rekognition.operations.collections import FACE_MODEL_VERSION, face_response
from local.rekognition.store.collections import FaceStore
from local.rekognition.store.index import FaceIndex, IndexCache
from local.rekognition.store.users import UserStore
from local.rekognition.vision.faces import confidence, face_detail, good_faces
from local.rekognition.vision.loader import ImageLoader
from local.rekognition.vision.view import Embedding, View
from local.rekognition.wire import errors

_MIN_SIMILARITY = 80
_MAX_FACES = 80
_MAX_USERS = 5
Request = Mapping[str, Any]
Response = dict[str, Any]


class SearchOperations:
    """Methods take checked parameters, block and raise AwsError. Safe to share between threads."""

    def __init__(self, loader: ImageLoader, indexes: IndexCache, faces: FaceStore, users: UserStore) -> None:
        self._loader = loader
        self._indexes = indexes
        self._faces = faces
        self._users = users

    def search_faces(self, request: Request) -> Response:
        """Return the faces most similar to one of the collection, without itself."""
        face_id = request["FaceId"]
        index = self._indexes.faces(request["CollectionId"])
        matches = self._face_matches(request, index, _embedding(index, face_id), exclude=face_id)
        return {"SearchedFaceId": face_id, "FaceMatches": matches, "FaceModelVersion": FACE_MODEL_VERSION}

    def search_faces_by_image(self, request: Request) -> Response:
        """Return the faces most similar to the picture's largest."""
        index = self._indexes.faces(request["CollectionId"])
        view = self._loader.view(request["Image"])
        largest = next(iter(good_faces(view, request.get("QualityFilter", "NONE"))), None)
        if largest is None:
            raise errors.no_face()
        return {
            "SearchedFaceBoundingBox": view.box(view.faces[largest]),
            "SearchedFaceConfidence": confidence(view.faces[largest]),
            "FaceMatches": self._face_matches(request, index, view.embedding(largest)),
            "FaceModelVersion": FACE_MODEL_VERSION,
        }

    def search_users(self, request: Request) -> Response:
        """Return the users most similar to a face of the collection or to another user."""
        if ("FaceId" in request) == ("UserId" in request):
            raise errors.invalid_parameter("Set exactly one of FaceId and UserId.")
        collection = request["CollectionId"]
        index = self._indexes.users(collection)
        embedding: Embedding | None
        if "FaceId" in request:
            embedding = _embedding(self._indexes.faces(collection), request["FaceId"])
            source = {"SearchedFace": {"FaceId": request["FaceId"]}}
        else:
            self._users.get(collection, request["UserId"])
            embedding = index.embedding(request["UserId"])
            source = {"SearchedUser": {"UserId": request["UserId"]}}
        matches = [] if embedding is None else _user_matches(request, index, embedding)
        return {"UserMatches": matches, **source, "FaceModelVersion": FACE_MODEL_VERSION}

    def search_users_by_image(self, request: Request) -> Response:
        """Return the users most similar to the picture's largest face; none without a face."""
        index = self._indexes.users(request["CollectionId"])
        view = self._loader.view(request["Image"])
        good = good_faces(view, request.get("QualityFilter", "NONE"))
        response: Response = {
            "UserMatches": [],
            "UnsearchedFaces": [_other_face(view, i, good) for i in range(len(view.faces)) if i not in good[:1]],
            "FaceModelVersion": FACE_MODEL_VERSION,
        }
        if good:
            response["UserMatches"] = _user_matches(request, index, view.embedding(good[0]))
            response["SearchedFace"] = {"FaceDetail": face_detail(view, good[0])}
        return response

    def _face_matches(
        self, request: Request, index: FaceIndex, embedding: Embedding, exclude: str | None = None
    ) -> list[dict[str, Any]]:
        threshold = request.get("FaceMatchThreshold", _MIN_SIMILARITY)
        matches = index.search(embedding, request.get("MaxFaces", _MAX_FACES), threshold, exclude)
        faces = self._faces.by_id(request["CollectionId"], [face_id for face_id, _ in matches])
        return [{"Similarity": value, "Face": face_response(faces[one])} for one, value in matches if one in faces]


def _user_matches(request: Request, index: FaceIndex, embedding: Embedding) -> list[dict[str, Any]]:
    threshold = request.get("UserMatchThreshold", _MIN_SIMILARITY)
    matches = index.search(embedding, request.get("MaxUsers", _MAX_USERS), threshold, exclude=request.get("UserId"))
    return [{"Similarity": value, "User": {"UserId": user, "UserStatus": "ACTIVE"}} for user, value in matches]


def _embedding(index: FaceIndex, face_id: str) -> Embedding:
    embedding = index.embedding(face_id)
    if embedding is None:
        raise errors.missing("face", face_id)
    return embedding


def _other_face(view: View, index: int, good: list[int]) -> dict[str, Any]:
    reason = "FACE_NOT_LARGEST" if index in good else "LOW_FACE_QUALITY"
    return {"FaceDetails": face_detail(view, index), "Reasons": [reason]}
