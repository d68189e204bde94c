"""A collection of Rekognition's that a test scripts, and an enroller of it."""

import json
import uuid
from typing import Any

from botocore import xform_name

from services.rekognition.enrollment.enroller import RekognitionEnroller
from tests.support.aws import Answer, ScriptedAws

CREATED = {"CreationTimestamp": 1_700_000_000.0}


class Collection:
    """A scripted collection: `faces` by FaceId, with their person_ids; answers of `extra` come first."""

    def __init__(self, **faces: str) -> None:
        self.faces = faces
        self.extra: dict[str, Any] = {}

    def __call__(self, operation: str, body: dict[str, Any]) -> Answer:
        if operation in self.extra:
            return self.extra[operation](body)
        return 200, getattr(self, xform_name(operation))(body)

    def describe_collection(self, _: Any) -> object:
        return {"FaceCount": len(self.faces), "FaceModelVersion": "7.0", **CREATED}

    def create_user(self, _: Any) -> object:
        return {}

    def delete_user(self, _: Any) -> object:
        return {}

    def detect_faces(self, _: Any) -> object:
        return {"FaceDetails": [{}]}

    def search_faces_by_image(self, _: Any) -> object:
        return {"FaceMatches": []}

    def index_faces(self, body: dict[str, Any]) -> object:
        """Answer the same picture with the same FaceId."""
        face_id = str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body)))
        self.faces[face_id] = body["ExternalImageId"]
        return {"FaceRecords": [{"Face": {"FaceId": face_id}, "FaceDetail": {}}]}

    def list_faces(self, body: dict[str, Any]) -> object:
        """List faces by id, or in pages of two."""
        ids = [one for one in body["FaceIds"] if one in self.faces] if "FaceIds" in body else sorted(self.faces)
        start = int(body.get("NextToken", 0))
        end = len(ids) if "FaceIds" in body else start + 2
        page = [{"FaceId": one, "ExternalImageId": self.faces[one]} for one in ids[start:end]]
        return {"Faces": page, **({"NextToken": str(end)} if end < len(ids) else {})}

    def delete_faces(self, body: dict[str, Any]) -> object:
        gone = [one for one in body["FaceIds"] if self.faces.pop(one, None)]
        missing = [one for one in body["FaceIds"] if one not in gone]
        failures = [{"FaceId": one, "Reasons": ["FACE_NOT_FOUND"]} for one in missing]
        return {"DeletedFaces": gone, "UnsuccessfulFaceDeletions": failures}


class Scripted:
    """An enroller of a scripted collection, and what it asked of it."""

    def __init__(self, aws: ScriptedAws, collection: Collection, name: str, enroller: RekognitionEnroller) -> None:
        self.aws, self.collection, self.name, self.enroller = aws, collection, name, enroller

    def listings(self) -> list[dict[str, Any]]:
        """Return the requests that read the collection, instead of naming faces."""
        return [body for name, body, _ in self.aws.requests if name == "ListFaces" and "FaceIds" not in body]
