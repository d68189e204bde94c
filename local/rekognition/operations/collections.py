"""The operations on collections and the faces in them."""

from collections.abc import Mapping
from typing import Any

from local.rekognition.annotations import Annotations
from local.rekognition.operations.pictures import Answer, Request
from local.rekognition.store.collections import CollectionStore
from local.rekognition.store.faces import FaceStore, KnownFace, NewFace
from local.rekognition.vision import faces, quality_bar
from local.rekognition.vision.pictures import Pictures
from local.rekognition.vision.vision import View
from local.rekognition.wire import pages

FACE_MODEL_VERSION = "7.0"
"""Amazon's that has users and quality filters, which programs ask for; the embeddings are dlib's."""
ACCOUNT = "123456789012"
_MOST_INDEXED = 100
_MOST_LISTED = 4096


class CollectionOperations:
    """They take checked parameters, block and raise AwsError. Safe to share between threads."""

    def __init__(
        self, pictures: Pictures, collections: CollectionStore, known: FaceStore, annotations: Annotations, region: str
    ) -> None:
        self._pictures = pictures
        self._collections = collections
        self._faces = known
        self._annotations = annotations
        self._region = region

    def create_collection(self, request: Request) -> Answer:
        """An empty collection; tags are taken and forgotten."""
        name = request["CollectionId"]
        self._collections.create(name)
        return {
            "StatusCode": 200,
            "CollectionArn": f"aws:rekognition:{self._region}:{ACCOUNT}:collection/{name}",
            "FaceModelVersion": FACE_MODEL_VERSION,
        }

    def describe_collection(self, request: Request) -> Answer:
        """How much is in it."""
        name = request["CollectionId"]
        described = self._collections.describe(name)
        return {
            "FaceCount": described.faces,
            "UserCount": described.users,
            "FaceModelVersion": FACE_MODEL_VERSION,
            "CollectionARN": f"arn:aws:rekognition:{self._region}:{ACCOUNT}:collection/{name}",
            "CreationTimestamp": described.created,
        }

    def list_collections(self, request: Request) -> Answer:
        """In alphabetical order."""
        most = request.get("MaxResults") or _MOST_LISTED
        names, more = pages.cut(self._collections.names(pages.start(request), most + 1), most, str)
        return {"CollectionIds": names, "FaceModelVersions": [FACE_MODEL_VERSION] * len(names), **more}

    def delete_collection(self, request: Request) -> Answer:
        """With all that is in it."""
        self._collections.delete(request["CollectionId"])
        return {"StatusCode": 200}

    def index_faces(self, request: Request) -> Answer:
        """Keeps the largest faces that are good enough, and tells why the others are not kept."""
        collection = request["CollectionId"]
        self._collections.describe(collection)
        view = self._pictures.view(request["Image"])
        taken, refused = _choose(view, request.get("MaxFaces", _MOST_INDEXED), request.get("QualityFilter", "AUTO"))
        kept = self._faces.add(collection, view.digest, request.get("ExternalImageId"), [_new(view, i) for i in taken])
        asked = request.get("DetectionAttributes", ())
        return {
            "FaceRecords": [
                {"Face": told(face), "FaceDetail": self._detail(view, i, asked)}
                for i, face in zip(taken, kept, strict=True)
            ],
            "UnindexedFaces": [
                {"Reasons": reasons, "FaceDetail": self._detail(view, i, asked)} for i, reasons in refused.items()
            ],
            "FaceModelVersion": FACE_MODEL_VERSION,
        }

    def list_faces(self, request: Request) -> Answer:
        """In the order in which they came; of a user, or among ids, where the request says so."""
        most = request.get("MaxResults") or _MOST_LISTED
        after = pages.number(request)
        found = self._faces.page(
            request["CollectionId"], after, most + 1, request.get("UserId"), request.get("FaceIds")
        )
        listed, more = pages.cut(found, most, lambda face: str(face.number))
        return {"Faces": [told(face) for face in listed], "FaceModelVersion": FACE_MODEL_VERSION, **more}

    def delete_faces(self, request: Request) -> Answer:
        """Faces that users own stay, as do their users."""
        ids = request["FaceIds"]
        deleted, owned = self._faces.delete(request["CollectionId"], ids)
        gone = set(deleted) | {face.face_id for face in owned}
        failed = [_kept(face.face_id, "ASSOCIATED_TO_AN_EXISTING_USER", face.user_id) for face in owned]
        failed += [_kept(one, "FACE_NOT_FOUND") for one in dict.fromkeys(ids) if one not in gone]
        return {"DeletedFaces": deleted, "UnsuccessfulFaceDeletions": failed}

    def _detail(self, view: View, index: int, asked: Any) -> Mapping[str, Any]:
        said = self._annotations.about(view.digest).get("FaceDetails", [])
        return faces.detailed(view, index, asked, said[index] if index < len(said) else None)


def told(face: KnownFace) -> dict[str, Any]:
    """A face of a collection as Rekognition's `Face`."""
    optional = {"ExternalImageId": face.external_id, "UserId": face.user_id}
    return {
        "FaceId": face.face_id,
        "BoundingBox": dict(zip(("Left", "Top", "Width", "Height"), face.box, strict=True)),
        "ImageId": face.image_id,
        "Confidence": face.confidence,
        "IndexFacesModelVersion": FACE_MODEL_VERSION,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _choose(view: View, most: int, quality_filter: str) -> tuple[list[int], dict[int, list[str]]]:
    """The indexes of the faces to keep, the largest first, and the reasons against the others."""
    by_size = sorted(range(len(view.faces)), key=view.area, reverse=True)
    refused = {i: reasons for i in by_size if (reasons := quality_bar.faults(view, i, quality_filter))}
    good = [i for i in by_size if i not in refused]
    return good[:most], refused | {i: ["EXCEEDS_MAX_FACES"] for i in good[most:]}


def _new(view: View, index: int) -> NewFace:
    box = view.box(view.faces[index])
    place = (box["Left"], box["Top"], box["Width"], box["Height"])
    return NewFace(place, faces.confidence(view.faces[index]), view.embeddings[index])


def _kept(face_id: str, reason: str, user: str | None = None) -> dict[str, Any]:
    return {"FaceId": face_id, "Reasons": [reason], **({"UserId": user} if user else {})}
