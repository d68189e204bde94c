"""The operations on one picture or two: celebrities, faces, comparison, labels, text, moderation."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from local.rekognition.annotations import Annotations
from local.rekognition.gallery import Gallery
from local.rekognition.vision.faces import celebrity_face, compared_face, confidence, face_detail, good_faces
from local.rekognition.vision.loader import ImageLoader
from local.rekognition.vision.similarity import similarity
from local.rekognition.vision.view import View
from local.rekognition.wire import errors

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import (
        BoundingBoxTypeDef,
        InstanceTypeDef,
        LabelTypeDef,
        TextDetectionTypeDef,
    )

MODEL_VERSION = "local-1"
_MIN_MODERATION_CONFIDENCE = 50
_MIN_LABEL_CONFIDENCE = 55
_MAX_LABELS = 1000
_MIN_SIMILARITY = 80
_MAX_CELEBRITIES = 64
_MAX_FACES = 100
_PEOPLE: dict[str, tuple[str, ...]] = {"Person": (), "Head": ("Person",), "Face": ("Head", "Person")}
"""Names and parents of Rekognition's own labels; as there, a label's parents are labels of the picture, too."""
_ALIASES = {"Person": ("Human",)}
_WITH_BOXES = {"Person", "Face"}
_LABEL: Mapping[str, Any] = {"Instances": [], "Parents": [], "Aliases": [], "Categories": []}
_EVERYWHERE: Mapping[str, Any] = {"Left": 0.0, "Top": 0.0, "Width": 1.0, "Height": 1.0}
_MODERATION_LABEL: Mapping[str, Any] = {"ParentName": "", "TaxonomyLevel": 1}
"""Members that Amazon's responses always have, and programs read, though an annotation may leave them out."""
Request = Mapping[str, Any]
Response = dict[str, Any]


class ImageOperations:
    """Methods take checked parameters, block and raise AwsError. Safe to share between threads."""

    def __init__(self, loader: ImageLoader, gallery: Gallery, annotations: Annotations) -> None:
        self._loader = loader
        self._gallery = gallery
        self._annotations = annotations

    def recognize_celebrities(self, request: Request) -> Response:
        """Return the 64 largest faces, each as a person of the gallery or unrecognized."""
        view = self._loader.view(request["Image"])
        annotations = self._annotations.of_faces(view.digest, len(view.faces))
        faces = [self._celebrity(view, i, annotations[i]) for i in view.largest(_MAX_CELEBRITIES)]
        return {
            "CelebrityFaces": [face for face in faces if "Face" in face],
            "UnrecognizedFaces": [face for face in faces if "Face" not in face],
        }

    def get_celebrity_info(self, request: Request) -> Response:
        """Return a person of the gallery by the id from RecognizeCelebrities."""
        person = self._gallery.by_id(request["Id"])
        if person is None:
            raise errors.missing("celebrity", request["Id"])
        return {"Name": person.name, **person.about}

    def detect_faces(self, request: Request) -> Response:
        """Return the 100 largest faces, with attributes from their annotations."""
        view = self._loader.view(request["Image"])
        annotations = self._annotations.of_faces(view.digest, len(view.faces))
        attributes = request.get("Attributes", ())
        largest = view.largest(_MAX_FACES)
        return {"FaceDetails": [face_detail(view, i, attributes, annotations[i]) for i in largest]}

    def compare_faces(self, request: Request) -> Response:
        """Compare the source's largest face with the target's 100 largest."""
        quality_filter = request.get("QualityFilter", "NONE")
        source, target = (self._loader.view(request[name]) for name in ("SourceImage", "TargetImage"))
        largest = next(iter(good_faces(source, quality_filter)), None)
        others = good_faces(target, quality_filter)[:_MAX_FACES]
        if largest is None or not others:
            raise errors.no_face()
        similarities = {other: _similarity(source, largest, target, other) for other in others}
        threshold = request.get("SimilarityThreshold", _MIN_SIMILARITY)
        matches = sorted((i for i in others if similarities[i] >= threshold), key=lambda i: -similarities[i])
        face = source.faces[largest]
        return {
            "SourceImageFace": {"BoundingBox": source.box(face), "Confidence": confidence(face)},
            "FaceMatches": [{"Similarity": similarities[i], "Face": compared_face(target, i)} for i in matches],
            "UnmatchedFaces": [compared_face(target, i) for i in others if i not in matches],
        }

    def detect_labels(self, request: Request) -> Response:
        """Return the annotated labels, or those of the faces, as far as the request's filters allow."""
        if "IMAGE_PROPERTIES" in request.get("Features", ()):
            raise errors.invalid_parameter("IMAGE_PROPERTIES is not supported by this endpoint; use GENERAL_LABELS.")
        view = self._loader.view(request["Image"])
        annotation = self._annotations.of(view.digest).get("Labels")
        labels = _select_labels(_people_labels(view) if annotation is None else annotation, request)
        return {"Labels": [_complete_label(label) for label in labels], "LabelModelVersion": MODEL_VERSION}

    def detect_text(self, request: Request) -> Response:
        """Return the annotated text as far as the request's filters allow; without an annotation none."""
        view = self._loader.view(request["Image"])
        annotation = self._annotations.of(view.digest).get("TextDetections", ())
        texts = [_complete_text(number, text) for number, text in enumerate(annotation)]
        return {"TextDetections": _select_texts(texts, request.get("Filters", {})), "TextModelVersion": MODEL_VERSION}

    def detect_moderation_labels(self, request: Request) -> Response:
        """Return the annotated labels; without an annotation none."""
        if "HumanLoopConfig" in request or "ProjectVersion" in request:
            raise errors.invalid_parameter("Human review and adapters are not supported by this endpoint.")
        annotation = self._annotations.of(self._loader.view(request["Image"]).digest)
        minimum = request.get("MinConfidence", _MIN_MODERATION_CONFIDENCE)
        labels = [{**_MODERATION_LABEL, **label} for label in annotation.get("ModerationLabels", ())]
        return {
            "ModerationLabels": [label for label in labels if label["Confidence"] >= minimum],
            "ContentTypes": list(annotation.get("ContentTypes", ())),
            "ModerationModelVersion": MODEL_VERSION,
        }

    def _celebrity(self, view: View, index: int, annotation: Mapping[str, Any]) -> Response:
        face = dict(celebrity_face(view, index, annotation))
        match = self._gallery.find(view.embedding(index))
        if match is None:
            return face
        person = {"Name": match.person.name, "Id": match.person.id, **match.person.about}
        return {**person, "MatchConfidence": match.confidence, "Face": face}


def _similarity(one: View, first: int, other: View, second: int) -> float:
    return similarity(float(np.linalg.norm(one.embedding(first) - other.embedding(second))))


def _people_labels(view: View) -> "list[LabelTypeDef]":
    """Return Person, Head and Face if there are faces; an instance has its face's box."""
    people: list[InstanceTypeDef] = [
        {"BoundingBox": view.box(face), "Confidence": confidence(face)} for face in view.faces
    ]
    names = _PEOPLE if people else {}
    return [
        {
            "Name": name,
            "Confidence": max(person["Confidence"] for person in people),
            "Instances": people if name in _WITH_BOXES else [],
            "Parents": [{"Name": parent} for parent in parents],
            "Aliases": [{"Name": alias} for alias in _ALIASES.get(name, ())],
            "Categories": [{"Name": "Person Description"}],
        }
        for name, parents in names.items()
    ]


def _select_labels(labels: "Sequence[LabelTypeDef]", request: Request) -> "list[LabelTypeDef]":
    """Apply MinConfidence, MaxLabels and the filters; like Rekognition, return the surest label first."""
    filters = request.get("Settings", {}).get("GeneralLabels", {})
    minimum = request.get("MinConfidence", _MIN_LABEL_CONFIDENCE)
    passing = [label for label in labels if label["Confidence"] >= minimum and _label_passes(label, filters)]
    return sorted(passing, key=lambda label: -label["Confidence"])[: request.get("MaxLabels", _MAX_LABELS)]


def _label_passes(label: "LabelTypeDef", filters: Mapping[str, Sequence[str]]) -> bool:
    categories = {category["Name"] for category in label.get("Categories", ())}
    return _allows({label["Name"]}, filters, "Label") and _allows(categories, filters, "LabelCategory")


def _allows(names: set[str], filters: Mapping[str, Sequence[str]], kind: str) -> bool:
    include, exclude = filters.get(f"{kind}InclusionFilters"), filters.get(f"{kind}ExclusionFilters", ())
    return (not include or not names.isdisjoint(include)) and names.isdisjoint(exclude)


def _complete_label(label: "LabelTypeDef") -> dict[str, Any]:
    instances = [
        {
            "Confidence": label["Confidence"],
            **instance,
            "BoundingBox": {**_EVERYWHERE, **instance.get("BoundingBox", {})},
        }
        for instance in label.get("Instances", ())
    ]
    return {**_LABEL, **dict(label), "Instances": instances}


def _complete_text(number: int, text: "TextDetectionTypeDef") -> "TextDetectionTypeDef":
    """Return the text with its place in the list as Id and its box's corners as polygon, unless it has its own."""
    geometry = text["Geometry"]
    box = geometry["BoundingBox"]
    xs, ys = (box["Left"], box["Left"] + box["Width"]), (box["Top"], box["Top"] + box["Height"])
    corners = [{"X": xs[right], "Y": ys[down]} for right, down in ((0, 0), (1, 0), (1, 1), (0, 1))]
    return {"Id": number, **text, "Geometry": {"Polygon": corners, **geometry}}  # type: ignore[typeddict-item]  # checked when it leaves


def _select_texts(texts: "Iterable[TextDetectionTypeDef]", filters: Mapping[str, Any]) -> "list[TextDetectionTypeDef]":
    """Filter words by confidence, size and region; a line passes if one of its words does."""
    texts = list(texts)
    words = [text for text in texts if text.get("Type") == "WORD" and _word_passes(text, filters)]
    lines = {word.get("ParentId") for word in words}
    return [text for text in texts if text.get("Type") == "LINE" and (not filters or text.get("Id") in lines)] + words


def _word_passes(word: "TextDetectionTypeDef", filters: Mapping[str, Any]) -> bool:
    minimum = filters.get("WordFilter", {})
    box = word["Geometry"]["BoundingBox"]
    return (
        word["Confidence"] >= minimum.get("MinConfidence", 0)
        and box["Width"] >= minimum.get("MinBoundingBoxWidth", 0)
        and box["Height"] >= minimum.get("MinBoundingBoxHeight", 0)
        and _is_in(box, filters.get("RegionsOfInterest", ()))
    )


def _is_in(box: "BoundingBoxTypeDef", regions: Iterable[Mapping[str, Any]]) -> bool:
    bounds = [_bounds(region) for region in regions]
    x, y = box["Left"] + box["Width"] / 2, box["Top"] + box["Height"] / 2
    return not bounds or any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in bounds)


def _bounds(region: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of the region, or around its polygon."""
    if "BoundingBox" in region:
        box = {**_EVERYWHERE, **region["BoundingBox"]}
        return box["Left"], box["Top"], box["Left"] + box["Width"], box["Top"] + box["Height"]
    xs, ys = ([point[axis] for point in region["Polygon"]] for axis in ("X", "Y"))
    return min(xs), min(ys), max(xs), max(ys)
