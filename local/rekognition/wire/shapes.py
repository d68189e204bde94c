"""The shapes of Rekognition's operations from botocore's service model, and checks of values against them."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

_EMPTY = StructureShape("Empty", {"type": "structure", "members": {}})


@cache
def service_model() -> ServiceModel:
    """Return Rekognition's operations and their shapes."""
    return ServiceModel(Loader().load_service_model("rekognition", "service-2"), "rekognition")


def input_shape(operation: str) -> StructureShape:
    """Return the shape of an operation's request. Raises OperationNotFoundError."""
    return service_model().operation_model(operation).input_shape or _EMPTY


def output_shape(operation: str) -> StructureShape:
    """Return the shape of an operation's response. Raises OperationNotFoundError."""
    return service_model().operation_model(operation).output_shape or _EMPTY


def member_shape(operation: str, name: str) -> Shape:
    """Return the shape of a member of the operation's response."""
    member: Shape = output_shape(operation).members[name]
    return member


def faults_of(value: Any, shape: Shape, path: str) -> list[str]:
    """Return all faults of a response: botocore's report, or the constraints that it breaks.

    Empty lists are valid: the model reuses shapes that must not be empty in requests.
    """
    report = misfit(value, shape)
    broken = constraint_faults(value, shape, path)
    return [f"{path}: {report}"] if report else [fault for fault in broken if not fault.startswith("Value '[]'")]


def misfit(value: Any, shape: Shape) -> str:
    """Return botocore's report of missing and unknown members and wrong types; empty if there are none."""
    report = str(ParamValidator().validate(value, shape).generate_report())
    # Values that are too small break a constraint, which constraint_faults reports in AWS's words.
    return "\n".join(line for line in report.splitlines() if "valid min" not in line)


def constraint_faults(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Yield the model's constraints that a value of the right type breaks, in AWS's words.

    botocore checks no enum, no pattern and no maximum, because AWS does.
    """
    for rule in _broken_rules(value, shape):
        yield f"Value {_shown(value, shape)}at '{path}' failed to satisfy constraint: {rule}"
    if isinstance(shape, StructureShape):
        for name in shape.members.keys() & value.keys():
            yield from constraint_faults(value[name], shape.members[name], f"{path}.{_lower(name)}".lstrip("."))
    if isinstance(shape, ListShape):
        for number, item in enumerate(value, 1):
            yield from constraint_faults(item, shape.member, f"{path}.{number}.member")


def _broken_rules(value: Any, shape: Shape) -> Iterator[str]:
    rules = shape.metadata
    if "enum" in rules and value not in rules["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]"
    if "pattern" in rules and not _pattern(rules["pattern"]).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {rules['pattern']}"
    kind, size = ("length", len(value)) if hasattr(value, "__len__") else ("value", value)
    if "min" in rules and size < rules["min"]:
        yield f"Member must have {kind} greater than or equal to {rules['min']}"
    if "max" in rules and size > rules["max"]:
        yield f"Member must have {kind} less than or equal to {rules['max']}"


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _shown(value: Any, shape: Shape) -> str:
    return "" if shape.type_name == "blob" else f"'{value}' "


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
