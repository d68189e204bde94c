"""Labels as DetectLabels gives them, for what the detectors really find: people by their faces, and cats.

Names, parents and categories are of Rekognition's own tree; as there, a label's parents are labels
of the picture too. The box of an instance is that of the face by which it was found.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from local.rekognition.vision.faces import confidence
from local.rekognition.vision.vision import View

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import InstanceTypeDef, LabelTypeDef

DEFAULT_MIN_CONFIDENCE = 55
DEFAULT_MAX_LABELS = 1000
_PEOPLE: dict[str, tuple[str, ...]] = {"Person": (), "Head": ("Person",), "Face": ("Head", "Person")}
_CATS: dict[str, tuple[str, ...]] = {
    "Animal": (),
    "Mammal": ("Animal",),
    "Pet": ("Animal", "Mammal"),
    "Cat": ("Animal", "Mammal", "Pet"),
}
_ALIASES = {"Person": ("Human",)}
_WITH_BOXES = {"Person", "Face", "Cat"}


def labels_of(view: View) -> "list[LabelTypeDef]":
    """What the view shows, surest first."""
    people: list[InstanceTypeDef] = [
        {"BoundingBox": view.box(face), "Confidence": confidence(face)} for face in view.faces
    ]
    cats: list[InstanceTypeDef] = [{"BoundingBox": view.box(cat), "Confidence": cat.confidence} for cat in view.cats]
    labels = [*_tree(_PEOPLE, "Person Description", people), *_tree(_CATS, "Animals and Pets", cats)]
    return surest_first(labels)


def surest_first(labels: "Iterable[LabelTypeDef]") -> "list[LabelTypeDef]":
    """The labels as Rekognition orders them."""
    return sorted(labels, key=lambda label: -label["Confidence"])


def select(labels: "Sequence[LabelTypeDef]", request: Mapping[str, Any]) -> "list[LabelTypeDef]":
    """Those labels that a request's MinConfidence, MaxLabels and filters let through."""
    filters = request.get("Settings", {}).get("GeneralLabels", {})
    least = request.get("MinConfidence", DEFAULT_MIN_CONFIDENCE)
    kept = [label for label in labels if label["Confidence"] >= least and _passes(label, filters)]
    return kept[: request.get("MaxLabels", DEFAULT_MAX_LABELS)]


def _tree(
    names: Mapping[str, Sequence[str]], category: str, found: "Sequence[InstanceTypeDef]"
) -> "Iterator[LabelTypeDef]":
    if not found:
        return
    for name, parents in names.items():
        yield {
            "Name": name,
            "Confidence": max(instance["Confidence"] for instance in found),
            "Instances": list(found) if name in _WITH_BOXES else [],
            "Parents": [{"Name": parent} for parent in parents],
            "Aliases": [{"Name": alias} for alias in _ALIASES.get(name, ())],
            "Categories": [{"Name": category}],
        }


def _passes(label: "LabelTypeDef", filters: Mapping[str, Sequence[str]]) -> bool:
    categories = {category["Name"] for category in label.get("Categories", ())}
    return _allowed({label["Name"]}, filters, "Label") and _allowed(categories, filters, "LabelCategory")


def _allowed(names: set[str], filters: Mapping[str, Sequence[str]], kind: str) -> bool:
    included, excluded = filters.get(f"{kind}InclusionFilters"), filters.get(f"{kind}ExclusionFilters", ())
    return (not included or not names.isdisjoint(included)) and names.isdisjoint(excluded)
