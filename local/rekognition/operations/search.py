"""The operations that look for faces and users in a collection."""

from typing import Any

from local.rekognition.operations.collections import FACE_MODEL_VERSION, told
from local.rekognition.operations.pictures import Answer, Request, searchable
from local.rekognition.store.face_index import FaceIndex, Match
from local.rekognition.store.faces import FaceStore
from local.rekognition.store.index_cache import IndexCache
from local.rekognition.store.users import UserStore
from local.rekognition.vision import faces
from local.rekognition.vision.pictures import Pictures
from local.rekognition.vision.vision import Embedding, View
from local.rekognition.wire import errors

_LEAST_SIMILARITY = 80
_MOST_FACES = 80
_MOST_USERS = 5


class SearchOperations:
    """They take checked parameters, block and raise AwsError. Safe to share between threads."""

    def __init__(self, pictures: Pictures, indexes: IndexCache, known: FaceStore, users: UserStore) -> None:
        self._pictures = pictures
        self._indexes = indexes
        self._faces = known
        self._users = users

    def search_faces(self, request: Request) -> Answer:
        """The faces most like one of the collection, without it."""
        face_id = request["FaceId"]
        index = self._indexes.faces(request["CollectionId"])
        matches = self._face_matches(request, index, _known(index, face_id), but=face_id)
        return {"SearchedFaceId": face_id, "FaceMatches": matches, "FaceModelVersion": FACE_MODEL_VERSION}

    def search_faces_by_image(self, request: Request) -> Answer:
        """The faces most like the picture's largest."""
        index = self._indexes.faces(request["CollectionId"])
        view = self._pictures.view(request["Image"])
        largest = next(iter(searchable(view, request.get("QualityFilter", "NONE"))), None)
        if largest is None:
            raise errors.no_face()
        return {
            "SearchedFaceBoundingBox": view.box(view.faces[largest]),
            "SearchedFaceConfidence": faces.confidence(view.faces[largest]),
            "FaceMatches": self._face_matches(request, index, view.embeddings[largest]),
            "FaceModelVersion": FACE_MODEL_VERSION,
        }

    def search_users(self, request: Request) -> Answer:
        """The users most like a face of the collection, or like another user."""
        if ("FaceId" in request) == ("UserId" in request):
            raise errors.invalid_parameter("Set one of FaceId and UserId.")
        collection = request["CollectionId"]
        index = self._indexes.users(collection)
        embedding: Embedding | None
        if "FaceId" in request:
            embedding = _known(self._indexes.faces(collection), request["FaceId"])
            searched = {"SearchedFace": {"FaceId": request["FaceId"]}}
        else:
            self._users.get(collection, request["UserId"])
            embedding = index.embedding(request["UserId"])
            searched = {"SearchedUser": {"UserId": request["UserId"]}}
        matches = [] if embedding is None else self._user_matches(request, index, embedding)
        return {"UserMatches": matches, **searched, "FaceModelVersion": FACE_MODEL_VERSION}

    def search_users_by_image(self, request: Request) -> Answer:
        """The users most like the picture's largest face; no face is no match."""
        index = self._indexes.users(request["CollectionId"])
        view = self._pictures.view(request["Image"])
        good = searchable(view, request.get("QualityFilter", "NONE"))
        unsearched = [_unsearched(view, i, good) for i in range(len(view.faces)) if i not in good[:1]]
        answer: Answer = {
            "UserMatches": [],
            "UnsearchedFaces": unsearched,
            "FaceModelVersion": FACE_MODEL_VERSION,
        }
        if good:
            answer["UserMatches"] = self._user_matches(request, index, view.embeddings[good[0]])
            answer["SearchedFace"] = {"FaceDetail": faces.detailed(view, good[0])}
        return answer

    def _face_matches(
        self, request: Request, index: FaceIndex, embedding: Embedding, but: str | None = None
    ) -> list[dict[str, Any]]:
        least = request.get("FaceMatchThreshold", _LEAST_SIMILARITY)
        matches = index.search(embedding, request.get("MaxFaces", _MOST_FACES), least, but)
        known = self._faces.by_id(request["CollectionId"], [face_id for face_id, _ in matches])
        return [{"Similarity": alike, "Face": told(known[one])} for one, alike in matches if one in known]

    def _user_matches(self, request: Request, index: FaceIndex, embedding: Embedding) -> list[dict[str, Any]]:
        least = request.get("UserMatchThreshold", _LEAST_SIMILARITY)
        matches = index.search(embedding, request.get("MaxUsers", _MOST_USERS), least, request.get("UserId"))
        return [_user_match(match) for match in matches]


def _known(index: FaceIndex, face_id: str) -> Embedding:
    embedding = index.embedding(face_id)
    if embedding is None:
        raise errors.missing("face", face_id)
    return embedding


def _user_match(match: Match) -> dict[str, Any]:
    return {"Similarity": match[1], "User": {"UserId": match[0], "UserStatus": "ACTIVE"}}


def _unsearched(view: View, index: int, good: list[int]) -> dict[str, Any]:
    reasons = ["FACE_NOT_LARGEST"] if index in good else ["LOW_FACE_QUALITY"]
    return {"FaceDetails": faces.detailed(view, index), "Reasons": reasons}
