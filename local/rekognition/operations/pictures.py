"""The operations on one picture or two: celebrities, labels, faces, text, moderation, comparison."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from local.rekognition.annotations import Annotations
from local.rekognition.gallery import Gallery
from local.rekognition.vision import faces, labels, quality_bar, text
from local.rekognition.vision.pictures import Pictures
from local.rekognition.vision.similarity import similarity
from local.rekognition.vision.vision import View
from local.rekognition.wire import errors

MODEL_VERSION = "local-1"
_LEAST_MODERATION = 50
_LEAST_SIMILARITY = 80
_MOST_COMPARED = 100
Request = Mapping[str, Any]
Answer = dict[str, Any]


class PictureOperations:
    """They take checked parameters, block and raise AwsError. Safe to share between threads."""

    def __init__(self, pictures: Pictures, gallery: Gallery, annotations: Annotations) -> None:
        self._pictures = pictures
        self._gallery = gallery
        self._annotations = annotations

    def recognize_celebrities(self, request: Request) -> Answer:
        """Every face: of somebody in the gallery, or unrecognized."""
        view = self._pictures.view(request["Image"])
        told = [self._tell(view, index) for index in range(len(view.faces))]
        return {
            "CelebrityFaces": [one for one in told if "Face" in one],
            "UnrecognizedFaces": [one for one in told if "Face" not in one],
        }

    def get_celebrity_info(self, request: Request) -> Answer:
        """Somebody in the gallery, by the id that RecognizeCelebrities gives."""
        person = self._gallery.by_id(request["Id"])
        if person is None:
            raise errors.missing("celebrity", request["Id"])
        return {"Name": person.name, **person.about}

    def detect_labels(self, request: Request) -> Answer:
        """The annotated labels, or else those of what the detectors find, that the request lets through."""
        if "IMAGE_PROPERTIES" in request.get("Features", ()):
            raise errors.invalid_parameter("IMAGE_PROPERTIES is not built into this endpoint; ask for GENERAL_LABELS.")
        view = self._pictures.view(request["Image"])
        said = self._annotations.about(view.digest).get("Labels")
        found = labels.labels_of(view) if said is None else labels.surest_first(said)
        return {"Labels": labels.select(found, request), "LabelModelVersion": MODEL_VERSION}

    def detect_faces(self, request: Request) -> Answer:
        """Every face; attributes as annotated."""
        view = self._pictures.view(request["Image"])
        said = self._annotations.about(view.digest).get("FaceDetails", [])
        asked = request.get("Attributes", ())
        return {"FaceDetails": [faces.detailed(view, i, asked, _nth(said, i)) for i in range(len(view.faces))]}

    def detect_text(self, request: Request) -> Answer:
        """The annotated text, or else the print that is found, that the request lets through."""
        view = self._pictures.view(request["Image"])
        said = self._annotations.about(view.digest).get("TextDetections")
        found = text.read(view) if said is None else list(said)
        return {"TextDetections": text.select(found, request.get("Filters", {})), "TextModelVersion": MODEL_VERSION}

    def detect_moderation_labels(self, request: Request) -> Answer:
        """What annotations say, and of a picture without any: nothing."""
        if "HumanLoopConfig" in request or "ProjectVersion" in request:
            raise errors.invalid_parameter("This endpoint has neither human review nor adapters.")
        said = self._annotations.about(self._pictures.view(request["Image"]).digest)
        least = request.get("MinConfidence", _LEAST_MODERATION)
        return {
            "ModerationLabels": [one for one in said.get("ModerationLabels", ()) if one["Confidence"] >= least],
            "ContentTypes": list(said.get("ContentTypes", ())),
            "ModerationModelVersion": MODEL_VERSION,
        }

    def compare_faces(self, request: Request) -> Answer:
        """The source's largest face against the 100 largest of the target."""
        quality_filter = request.get("QualityFilter", "NONE")
        source, target = (self._pictures.view(request[name]) for name in ("SourceImage", "TargetImage"))
        mine = next(iter(searchable(source, quality_filter)), None)
        theirs = searchable(target, quality_filter)[:_MOST_COMPARED]
        if mine is None or not theirs:
            raise errors.no_face()
        likeness = {index: _alike(source, mine, target, index) for index in theirs}
        least = request.get("SimilarityThreshold", _LEAST_SIMILARITY)
        matching = sorted((i for i in theirs if likeness[i] >= least), key=lambda i: -likeness[i])
        face = source.faces[mine]
        return {
            "SourceImageFace": {"BoundingBox": source.box(face), "Confidence": faces.confidence(face)},
            "FaceMatches": [{"Similarity": likeness[i], "Face": faces.compared(target, i)} for i in matching],
            "UnmatchedFaces": [faces.compared(target, i) for i in theirs if i not in matching],
        }

    def _tell(self, view: View, index: int) -> Answer:
        described = dict(faces.compared(view, index))
        match = self._gallery.find(view.embeddings[index])
        if match is None:
            return described
        person = {"Name": match.person.name, "Id": match.person.id, "Urls": [], **match.person.about}
        return {**person, "MatchConfidence": match.confidence, "Face": described}


def searchable(view: View, quality_filter: str) -> list[int]:
    """The indexes of the faces that are good enough, the largest first."""
    by_size = sorted(range(len(view.faces)), key=view.area, reverse=True)
    return [index for index in by_size if not quality_bar.faults(view, index, quality_filter)]


def _alike(one: View, first: int, other: View, second: int) -> float:
    return similarity(float(np.linalg.norm(one.embeddings[first] - other.embeddings[second])))


def _nth(told: list[Any], index: int) -> Mapping[str, Any]:
    return told[index] if index < len(told) else {}
