"""The operations on collections and the faces in them."""

from collections.abc import Mapping
from typing import Any

from local.rekognition.annotations import Annotations
from local.rekognition.store.collections import CollectionStore, FaceStore, NewFace, StoredFace
from local.rekognition.vision.faces import confidence, face_detail, quality_faults
from local.rekognition.vision.loader import ImageLoader
from local.rekognition.vision.view import View
from local.rekognition.wire.tokens import page_start, page_start_number, paginate

FACE_MODEL_VERSION = "7.0"
"""Amazon's version with users and quality filters, which programs require; the embeddings are dlib's."""
ACCOUNT = "123456789012"
_MAX_FACES = 100
_MAX_RESULTS = 4096
Request = Mapping[str, Any]
Response = dict[str, Any]


class CollectionOperations:
    """Methods take checked parameters, block and raise AwsError. Safe to share between threads."""

    def __init__(
        self,
        loader: ImageLoader,
        collections: CollectionStore,
        faces: FaceStore,
        annotations: Annotations,
        region: str,
    ) -> None:
        self._loader = loader
        self._collections = collections
        self._faces = faces
        self._annotations = annotations
        self._region = region

    def create_collection(self, request: Request) -> Response:
        """Create an empty collection. Tags are accepted and ignored."""
        name = request["CollectionId"]
        self._collections.create(name)
        return {
            "StatusCode": 200,
            "CollectionArn": f"aws:rekognition:{self._region}:{ACCOUNT}:collection/{name}",
            "FaceModelVersion": FACE_MODEL_VERSION,
        }

    def describe_collection(self, request: Request) -> Response:
        """Return the collection's numbers of faces and users."""
        name = request["CollectionId"]
        size = self._collections.size(name)
        return {
            "FaceCount": size.faces,
            "UserCount": size.users,
            "FaceModelVersion": FACE_MODEL_VERSION,
            "CollectionARN": f"arn:aws:rekognition:{self._region}:{ACCOUNT}:collection/{name}",
            "CreationTimestamp": size.created,
        }

    def list_collections(self, request: Request) -> Response:
        """Return the collections' names in alphabetical order."""
        limit = request.get("MaxResults") or _MAX_RESULTS
        names, token = paginate(self._collections.names(page_start(request), limit + 1), limit, str)
        return {"CollectionIds": names, "FaceModelVersions": [FACE_MODEL_VERSION] * len(names), **token}

    def delete_collection(self, request: Request) -> Response:
        """Delete the collection and everything in it."""
        self._collections.delete(request["CollectionId"])
        return {"StatusCode": 200}

    def index_faces(self, request: Request) -> Response:
        """Store the largest faces that pass the quality filter, and return why the others are not stored."""
        collection = request["CollectionId"]
        self._collections.size(collection)
        view = self._loader.view(request["Image"])
        details = self._details(view, request.get("DetectionAttributes", ()))
        good, refusals = _choose(view, request.get("MaxFaces", _MAX_FACES), request.get("QualityFilter", "AUTO"))
        new = [_new_face(view, index) for index in good]
        faces = self._faces.add(collection, view.digest, request.get("ExternalImageId"), new)
        return {
            "FaceRecords": [
                {"Face": face_response(face), "FaceDetail": details[i]} for i, face in zip(good, faces, strict=True)
            ],
            "UnindexedFaces": [{"Reasons": reasons, "FaceDetail": details[i]} for i, reasons in refusals.items()],
            "FaceModelVersion": FACE_MODEL_VERSION,
        }

    def list_faces(self, request: Request) -> Response:
        """Return faces in order of addition; only those of UserId or FaceIds if the request has them."""
        limit = request.get("MaxResults") or _MAX_RESULTS
        page = (request["CollectionId"], page_start_number(request), limit + 1)
        faces = self._faces.page(*page, request.get("UserId"), request.get("FaceIds"))
        faces, token = paginate(faces, limit, lambda face: str(face.number))
        return {"Faces": [face_response(face) for face in faces], "FaceModelVersion": FACE_MODEL_VERSION, **token}

    def delete_faces(self, request: Request) -> Response:
        """Delete faces. Those that users own stay."""
        ids = request["FaceIds"]
        deleted, owned = self._faces.delete(request["CollectionId"], ids)
        present = {*deleted, *(face.face_id for face in owned)}
        failures = [_failure(face.face_id, "ASSOCIATED_TO_AN_EXISTING_USER", face.user_id) for face in owned]
        failures += [_failure(face, "FACE_NOT_FOUND") for face in dict.fromkeys(ids) if face not in present]
        return {"DeletedFaces": deleted, "UnsuccessfulFaceDeletions": failures}

    def _details(self, view: View, attributes: Any) -> list[Mapping[str, Any]]:
        annotations = self._annotations.of_faces(view.digest, len(view.faces))
        return [face_detail(view, i, attributes, annotation) for i, annotation in enumerate(annotations)]


def face_response(face: StoredFace) -> dict[str, Any]:
    """Return a face of a collection as Rekognition's `Face`."""
    optional = {"ExternalImageId": face.external_id, "UserId": face.user_id}
    return {
        "FaceId": face.face_id,
        "BoundingBox": dict(zip(("Left", "Top", "Width", "Height"), face.box, strict=True)),
        "ImageId": face.image_id,
        "Confidence": face.confidence,
        "IndexFacesModelVersion": FACE_MODEL_VERSION,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _choose(view: View, limit: int, quality_filter: str) -> tuple[list[int], dict[int, list[str]]]:
    """Return the indexes of the faces to store, largest first, and the reasons against the others."""
    faults = {index: quality_faults(view, index, quality_filter) for index in view.by_area()}
    good = [index for index, reasons in faults.items() if not reasons]
    refusals = {index: reasons for index, reasons in faults.items() if reasons}
    return good[:limit], refusals | {index: ["EXCEEDS_MAX_FACES"] for index in good[limit:]}


def _new_face(view: View, index: int) -> NewFace:
    box = view.box(view.faces[index])
    edges = (box["Left"], box["Top"], box["Width"], box["Height"])
    return NewFace(edges, confidence(view.faces[index]), view.embedding(index))


def _failure(face_id: str, reason: str, user: str | None = None) -> dict[str, Any]:
    return {"FaceId": face_id, "Reasons": [reason], **({"UserId": user} if user else {})}
