"""Values for every option of the chart: the files in options/, and which options they leave as they are."""

from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML

from helm import schema
from helm.generate import CHART, ROOT

Object = dict[str, Any]
FILES = sorted((ROOT / "tests" / "deploy" / "options").glob("*.yaml"))
_MANY = 5
"""An enum of more values is a number or a name, of which one is as good as another."""
_REFUSED = {"ingress.type=nginx", "web.ingress.type=nginx", "ip.familyPolicy=RequireDualStack"}
"""The schema lets it through, so that a template can tell what to do instead, or some clusters take it."""


def values(path: object) -> Object:
    """Return a file's values."""
    loaded: Object = YAML(typ="safe", pure=True).load(path)
    return loaded


def unset() -> list[str]:
    """Return the options that no file sets to another value than the default, each value of a choice by itself."""
    options = dict(_options(schema.schema(), ()))
    default = values(CHART / "values.yaml")
    choices = {
        (path, choice)
        for path, option in options.items()
        for choice in _choices(option)
        if choice is None or choice != _at(default, path)
    }
    made = {
        (_shared(path), value if _choices(options[_shared(path)]) != [None] else None)
        for file in FILES
        for path, value in _values(values(file), (), options)
        if value != _at(default, path)
    }
    missing = {".".join(path) + (f"={choice}" if choice else "") for path, choice in choices - made}
    return sorted(missing - _REFUSED)


def _options(schema: Object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Object]]:
    """Yield each option, as a path, with its schema; those of all components once."""
    if "properties" not in schema:
        yield _shared(path), schema
        return
    for name, inner in schema["properties"].items():
        yield from _options(inner, (*path, name))
    if isinstance(other := schema.get("additionalProperties"), dict):
        yield from _options(other, (*path, "*"))


def _shared(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return where the option is described: for one of every component in `defaults`, for one of recognizers in `*`."""
    match path:
        case ("gateway" | "library" | "web", name, *inner) | ("recognizers", _, name, *inner) if name in _WORKLOAD:
            return ("defaults", name, *inner)
        case ("recognizers", _, *inner):
            return ("recognizers", "*", *inner)
    return path


def _values(values: Any, path: tuple[str, ...], options: Object) -> Iterator[tuple[tuple[str, ...], Any]]:
    if _shared(path) in options:
        yield path, values
    elif isinstance(values, dict):
        for name, value in values.items():
            yield from _values(value, (*path, name), options)


def _choices(option: Object) -> list[Any]:
    choices = option.get("enum", [None])
    return choices if len(choices) < _MANY else [None]


def _at(values: Any, path: tuple[str, ...]) -> Any:
    """Return the value there; for a component that says nothing of it, the one of all components."""
    found = _found(values, path)
    return _found(values, _shared(path)) if found is None else found


def _found(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        values = values.get(name) if isinstance(values, dict) else None
    return values


_WORKLOAD = schema.schema()["properties"]["defaults"]["properties"].keys()
