"""Rekognition's operations as botocore's service model has them, and what does not fit their shapes."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

_NOTHING = StructureShape("Nothing", {"type": "structure", "members": {}})


@cache
def service_model() -> ServiceModel:
    """Rekognition's operations and their shapes."""
    return ServiceModel(Loader().load_service_model("rekognition", "service-2"), "rekognition")


def input_shape(operation: str) -> StructureShape:
    """The shape of an operation's request. Raises OperationNotFoundError."""
    return service_model().operation_model(operation).input_shape or _NOTHING


def output_shape(operation: str) -> StructureShape:
    """The shape of an operation's answer. Raises OperationNotFoundError."""
    return service_model().operation_model(operation).output_shape or _NOTHING


def member_shape(operation: str, name: str) -> Shape:
    """The shape of a member of the operation's answer."""
    member: Shape = output_shape(operation).members[name]
    return member


def misfit(value: Any, shape: Shape) -> str:
    """What botocore finds missing, unknown or of another type; empty when nothing is."""
    report = str(ParamValidator().validate(value, shape).generate_report())
    # What is too small breaks a constraint, which broken_constraints tells in AWS's words.
    return "\n".join(line for line in report.splitlines() if "valid min" not in line)


def faults_of(value: Any, shape: Shape, path: str) -> list[str]:
    """All that is wrong with an answer: what botocore finds, or else what breaks a constraint.

    Empty lists are right: the model shares shapes that requests may not leave empty.
    """
    wrong = misfit(value, shape)
    broken = broken_constraints(value, shape, path)
    return [f"{path}: {wrong}"] if wrong else [fault for fault in broken if not fault.startswith("Value '[]'")]


def broken_constraints(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """The model's constraints that a value of the right type breaks, in AWS's words.

    botocore checks no enum, no pattern and nothing that is too large, because AWS does.
    """
    for rule in _broken_rules(value, shape):
        yield f"Value {_shown(value, shape)}at '{path}' failed to satisfy constraint: {rule}"
    if isinstance(shape, StructureShape):
        for name in shape.members.keys() & value.keys():
            yield from broken_constraints(value[name], shape.members[name], f"{path}.{_lower(name)}".lstrip("."))
    if isinstance(shape, ListShape):
        for number, one in enumerate(value, 1):
            yield from broken_constraints(one, shape.member, f"{path}.{number}.member")


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
