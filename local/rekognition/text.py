"""Text as DetectText gives it."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from local.rekognition.vision import View

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import BoundingBoxTypeDef, TextDetectionTypeDef


def read(view: View) -> "list[TextDetectionTypeDef]":
    """Lines, then words."""
    return []


def select(found: "Iterable[TextDetectionTypeDef]", filters: Mapping[str, Any]) -> "list[TextDetectionTypeDef]":
    """Those that the filters let through: by size, confidence and regions; a line stays while a word of it does."""
    found = list(found)
    words = [one for one in found if one.get("Type") == "WORD" and _passes(one, filters)]
    lines = {word.get("ParentId") for word in words}
    return [one for one in found if one.get("Type") == "LINE" and (not filters or one.get("Id") in lines)] + words


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
