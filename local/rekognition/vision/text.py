"""Text as DetectText gives it."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from local.rekognition.vision import print_reader
from local.rekognition.vision.print_reader import Word
from local.rekognition.vision.vision import View

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import BoundingBoxTypeDef, TextDetectionTypeDef


MOST_WORDS = 100
"""AWS's limit."""


def read(view: View) -> "list[TextDetectionTypeDef]":
    """The clear print in the picture: lines, then their words."""
    lines = print_reader.read(view.pixels)
    told = [_told(view, number, Word.joined(words), Type="LINE") for number, words in enumerate(lines)]
    words = [(parent, word) for parent, line in enumerate(lines) for word in line][:MOST_WORDS]
    return told + [
        _told(view, number, word, Type="WORD", ParentId=parent)
        for number, (parent, word) in enumerate(words, len(lines))
    ]


def select(found: "Iterable[TextDetectionTypeDef]", filters: Mapping[str, Any]) -> "list[TextDetectionTypeDef]":
    """Those that the filters let through: by size, confidence and regions; a line stays while a word of it does."""
    found = list(found)
    words = [one for one in found if one.get("Type") == "WORD" and _passes(one, filters)]
    lines = {word.get("ParentId") for word in words}
    return [one for one in found if one.get("Type") == "LINE" and (not filters or one.get("Id") in lines)] + words


def _told(view: View, number: int, word: Word, **more: Any) -> "TextDetectionTypeDef":
    height, width = view.pixels.shape[:2]
    left, right, top, bottom = (
        word.place.left / width,
        word.place.right / width,
        word.place.top / height,
        word.place.bottom / height,
    )
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    box = {"Left": left, "Top": top, "Width": right - left, "Height": bottom - top}
    geometry = {"BoundingBox": box, "Polygon": [{"X": x, "Y": y} for x, y in corners]}
    return {"DetectedText": word.text, "Id": number, "Confidence": 100 * word.alike, "Geometry": geometry, **more}  # type: ignore[typeddict-item]  # Type and ParentId


def _passes(word: "TextDetectionTypeDef", filters: Mapping[str, Any]) -> bool:
    least = filters.get("WordFilter", {})
    box = word["Geometry"]["BoundingBox"]
    return (
        word["Confidence"] >= least.get("MinConfidence", 0)
        and box["Width"] >= least.get("MinBoundingBoxWidth", 0)
        and box["Height"] >= least.get("MinBoundingBoxHeight", 0)
        and _is_in(box, filters.get("RegionsOfInterest", ()))
    )


def _is_in(box: "BoundingBoxTypeDef", regions: Iterable[Mapping[str, Any]]) -> bool:
    boxes = [_bounds(region) for region in regions]
    x, y = box["Left"] + box["Width"] / 2, box["Top"] + box["Height"] / 2
    return not boxes or any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in boxes)


def _bounds(region: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom; of a polygon around all of it."""
    if "BoundingBox" in region:
        box = {"Left": 0.0, "Top": 0.0, "Width": 1.0, "Height": 1.0} | region["BoundingBox"]
        return box["Left"], box["Top"], box["Left"] + box["Width"], box["Top"] + box["Height"]
    xs, ys = ([point[axis] for point in region["Polygon"]] for axis in ("X", "Y"))
    return min(xs), min(ys), max(xs), max(ys)
