"""The description of the HTTP API, and whether something fits it."""

import json
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.support.processes import ROOT

DOCUMENT = json.loads((ROOT / "services/web/api/openapi.json").read_text())
_REGISTRY: Registry[Any] = Registry().with_resource("urn:api", Resource(DOCUMENT, DRAFT202012))


def check(schema: str, content: object) -> None:
    """Raise jsonschema's ValidationError for what does not fit the schema of that name."""
    Draft202012Validator({"$ref": f"urn:api#/components/schemas/{schema}"}, registry=_REGISTRY).validate(content)
