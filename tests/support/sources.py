"""Where the names in pages of Markdown are defined: settings, parsers, metrics, errors, the contract, the chart."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args, get_type_hints

import grpc
import typer
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FileDescriptor
from prometheus_client import REGISTRY
from pydantic_settings import BaseSettings
from ruamel.yaml import YAML

from helm import schema
from marquee import AsyncClient
from marquee.cli.commands import app
from marquee.library.v1 import library_pb2
from marquee.v1 import enrollment_pb2, recognizer_pb2
from services.names import SERVICES, settings_of
from services.runtime import status
from services.runtime.doors.settings import DoorSettings
from services.runtime.settings import PREFIX, FaceSettings, LeafSettings, ProcessSettings, Settings
from tests.support.processes import ROOT

PACKAGES = ("services", "local", "marquee", "helm")
_CODE = (*PACKAGES, "bench", "deploy", "docs", "examples", "protos", "tests")
_IGNORED = {"node_modules", "__pycache__", "generated"}
_RECOGNIZERS = (("recognizers", "keras"), ("recognizers", "svm"), ("recognizers", "NAME"))
_WRONG = ROOT / "tests" / "docs"
"""Holds wrong names on purpose."""
_ALERT = re.compile(r"^alert: (\w+)", re.MULTILINE)
_OWNERS = {"marquee": "marquee", "client": "marquee.AsyncClient"}
_OPTION = re.compile(r"--?[A-Za-z][\w-]*")


@cache
def variables() -> frozenset[str]:
    """Environment variables of ours: settings of the servers, and those that client, launcher, tests and make read."""
    kinds: list[type[BaseSettings]] = [ProcessSettings, DoorSettings, Settings, LeafSettings, FaceSettings]
    kinds += [kind for service in SERVICES for kind in settings_of(service)]
    fields = {f"{PREFIX}{name.upper()}" for kind in kinds for name in kind.model_fields}
    readers = [*_files("marquee", ".py"), *_files("local", ".py"), *_files("tests/support", ".py"), ROOT / "Makefile"]
    quoted = {name for path in readers for name in re.findall(rf'"({PREFIX}[A-Z0-9_]+)"', _text(path))}
    return frozenset(fields | quoted | {"MARQUEE_REQUIRE_ALL", "MARQUEE_TRAIN_PYTHON"})


@cache
def commands() -> Any:
    """The `marquee` command."""
    return typer.main.get_command(app)


def options_of_command(words: Sequence[str]) -> set[str] | None:
    """Return the options of the subcommand that the words begin with; None if there is no such subcommand."""
    found = commands()
    names = {"--help", *_names(found)}
    for word in words:
        if not hasattr(found, "commands") or word.startswith("-"):
            break
        if word not in found.commands:
            return None
        found = found.commands[word]
        names |= _names(found)
    return names


@cache
def every_option() -> set[str]:
    """Return the options of all our programs."""
    modules = {name for name in _modules() if _options(name)}
    return set().union(*map(_options, modules), _all_names(commands())) | {"--help"}


def options_of_module(module: str) -> set[str]:
    """Return what `python -m module` takes: the options that it, or a module beside its __main__, adds to a parser."""
    return _options(module) | {"--help", "-h"}


def commands_of_module(module: str) -> set[str]:
    """Return the subcommands of `python -m module`."""
    path = ROOT.joinpath(*module.split("."))
    main = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    return set(re.findall(r'(?:\b_add|add_parser)\(\s*(?:sub,\s*)?"([a-z]+)"', _text(main))) if main.exists() else set()


def unknown_in(code: str) -> Iterator[str]:
    """Yield what Python code imports of our packages, or asks of marquee or a client of it, that is not there."""
    for node in ast.walk(ast.parse(code, mode="exec")):
        match node:
            case ast.ImportFrom(module=str(module), names=found) if module.split(".")[0] in PACKAGES:
                yield from (f"{module}.{each.name}" for each in found if not resolves(f"{module}.{each.name}"))
            case ast.Attribute(value=ast.Name(id="marquee" | "client" as owner), attr=name):
                if not resolves(f"{_OWNERS[owner]}.{name}"):
                    yield f"{owner}.{name}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="client"), attr=name), keywords=given):
                known = _arguments(getattr(AsyncClient, name, object))
                yield from (f"client.{name} … {each.arg}" for each in given if each.arg not in known)


def _arguments(method: Any) -> set[str]:
    hints = get_type_hints(method)
    packed = [each for hint in hints.values() for each in get_args(hint)]
    return {*hints}.union(*(getattr(each, "__annotations__", {}) for each in packed))


def is_module(name: str) -> bool:
    """Return whether `python -m name` finds it."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def resolves(name: str) -> bool:
    """Return whether a dotted name is a module, or something in one."""
    if is_module(name):
        return True
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:cut])
        if is_module(module):
            found: Any = import_module(module)
            for part in parts[cut:]:
                if not hasattr(found, part):
                    return False
                found = getattr(found, part)
            return True
    return False


@cache
def targets() -> frozenset[str]:
    """Targets of the Makefile."""
    return frozenset(re.findall(r"^([a-z-]+):", _text(ROOT / "Makefile"), re.MULTILINE))


@cache
def metrics() -> frozenset[str]:
    """Series that servers export, and those that the chart's rules record."""
    for path in _files("services", ".py"):
        if "prometheus_client" in _text(path):
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    suffixes = {"counter": ("", "_total"), "histogram": ("", "_bucket", "_sum", "_count")}
    exported = {family.name + suffix for family in REGISTRY.collect() for suffix in suffixes.get(family.type, ("",))}
    rules = "".join(map(_text, _files("helm/marquee", ".yaml")))
    return frozenset(exported) | frozenset(re.findall(r'record: "?([\w:]+)', rules))


def labels(metric: str) -> set[str]:
    """Return the labels of the metric's series, with those that Prometheus and the chart add."""
    metrics()  # registers them
    exporter = REGISTRY._names_to_collectors.get(metric)
    return {*getattr(exporter, "_labelnames", ()), "le", "job", "namespace", "pod", "instance", "component"}


@cache
def alerts() -> frozenset[str]:
    """Names of the chart's alerts."""
    return frozenset(name for path in _files("helm/marquee/alerts", ".yaml") for name in _ALERT.findall(_text(path)))


@cache
def routes() -> frozenset[str]:
    """Paths of the page, of the HTTP API and of metrics."""
    text = "".join(map(_text, _files("services/web", ".py")))
    pages = set(re.findall(r'"(/[a-z/.-]+)"', text)) | {"/metrics"}
    below = {f"{path}{name}" for path in pages for name in re.findall(r'f"\{\w+\}(/[a-z-]+)"', text)}
    return frozenset(json.loads(_text(ROOT / "services/web/api/openapi.json"))["paths"]) | pages | below


@cache
def extras() -> frozenset[str]:
    """Extras of the package."""
    return frozenset(tomllib.loads(_text(ROOT / "pyproject.toml"))["project"]["optional-dependencies"])


@cache
def constants() -> frozenset[str]:
    """Reasons of errors, codes of gRPC, names of the contract's enums and what they are called for short."""
    reasons = {reason for _, reason in status.TABLE.values()} | {code.name for code in grpc.StatusCode}
    reasons |= set(re.findall(r"^\| `([A-Z_]+)` \|", _text(ROOT / "docs/errors.md"), re.MULTILINE))
    names = set()
    for enum in (enum for file in _contract() for enum in file.enum_types_by_name.values()):
        prefix = f"{re.sub(r'(?<=[a-z])(?=[A-Z])', '_', enum.name).upper()}_"
        names |= {name for value in enum.values for name in (value.name, value.name.removeprefix(prefix))}
    return frozenset(reasons | names)


def is_in_contract(name: str, member: str) -> bool:
    """Return whether the contract has the service or message, and in it the method or field."""
    for file in _contract():
        if service := file.services_by_name.get(name):
            return not member or member in service.methods_by_name
        if message := file.message_types_by_name.get(name):
            return not member or member in message.fields_by_name
        if name in file.enum_types_by_name:
            return not member
    return False


def unknown_fields(method: str, message: str) -> Iterator[str]:
    """Yield what JSON in a call of SERVICE/METHOD has that its request does not."""
    service, _, name = method.partition("/")
    for file in _contract():
        if service in file.services_by_name:
            kind = file.services_by_name[service].methods_by_name[name].input_type
            try:
                json_format.Parse(message, message_factory.GetMessageClass(kind)())
            except json_format.ParseError as error:
                yield from re.findall(r'no field named "(\w+)', str(error)) or [str(error)]


@cache
def chart() -> Mapping[str, Any]:
    """The schema of the chart's values."""
    return schema.schema()


def is_value(keys: Sequence[str]) -> bool:
    """Return whether the chart takes a value of that name, also if the page leaves out whose recognizer's it is."""
    return any(_is_within(chart(), [*below, *keys]) for below in ((), *_RECOGNIZERS))


def values_of(text: str) -> Iterator[list[str]]:
    """Yield the keys of each value in YAML, if it is for the chart; the gateway's file looks alike."""
    tree = YAML(typ="safe", pure=True).load(text)
    if isinstance(tree, dict) and set(tree) <= set(chart()["properties"]):
        recognizers = tree.get("recognizers") or {}
        if not any("target" in (each or {}) for each in recognizers.values()):
            yield from _leaves(tree)


def _leaves(tree: dict[str, Any]) -> Iterator[list[str]]:
    for key, value in tree.items():
        yield from ([key, *path] for path in (_leaves(value) if isinstance(value, dict) and value else ([],)))


def begins_value(key: str) -> bool:
    """Return whether names of the chart's values begin so."""
    return is_value([key])


def _is_within(node: Any, keys: list[str]) -> bool:
    if not keys or node is True:
        return True
    if "$ref" in node:
        node = chart()["definitions"][node["$ref"].rpartition("/")[2]]
    if any(_is_within(each, keys) for each in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ()))):
        return True
    if keys[0] in node.get("properties", {}):
        return _is_within(node["properties"][keys[0]], keys[1:])
    further = node.get("additionalProperties", "properties" not in node and "object" in str(node.get("type", "object")))
    return _is_within(further, keys[1:]) if further is not False else False


@cache
def words() -> frozenset[str]:
    """All words of the repository's files that are no Markdown."""
    texts = (f"{path.name} {_text(path)}" for path in _sources())
    return frozenset(word for text in texts for word in re.findall(r"[A-Za-z_]\w*", text))


@cache
def dashed() -> frozenset[str]:
    """Names that begin with marquee- in the repository's files."""
    return frozenset(name for path in _sources() for name in re.findall(r"marquee-[a-z-]*[a-z]", _text(path)))


@cache
def folders() -> frozenset[str]:
    """Names of the repository's folders."""
    return frozenset(part for path in _sources() for part in path.relative_to(ROOT).parts[:-1])


@cache
def file_names() -> frozenset[str]:
    """Names of the repository's files."""
    return frozenset(path.name for path in _sources()) | frozenset(path.name for path in ROOT.glob("*"))


def tops() -> set[str]:
    """Return the repository's folders at its top."""
    return {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}


@cache
def _sources() -> tuple[Path, ...]:
    found = [path for top in (*_CODE, "k8s", "models", "requirements", ".github") for path in _files(top)]
    found = [path for path in found if not path.is_relative_to(_WRONG)]
    return (*found, *(path for path in ROOT.glob("*") if path.is_file() and path.suffix != ".md"))


def _files(top: str, suffix: str = "") -> Iterator[Path]:
    for path in sorted((ROOT / top).rglob(f"*{suffix}")):
        if path.is_file() and not _IGNORED & set(path.parts) and path.suffix != ".md":
            yield path


@cache
def _text(path: Path) -> str:
    return path.read_text("utf-8", "ignore")


@cache
def _modules() -> frozenset[str]:
    mains = [path for top in PACKAGES for path in _files(top, ".py") if "__main__" in _text(path)]
    return frozenset(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__") for path in mains)


@cache
def _options(module: str) -> set[str]:
    path = ROOT.joinpath(*module.split("."))
    files = sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    main = path / "__main__.py"
    if main.exists() and "command.parser_of(" in _text(main):
        files.append(path.parent / "evaluation/command.py")  # the options that all studies have
    return {name for file in files if "add_argument" in _text(file) for name in _added(ast.parse(_text(file)))}


def _added(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("add", "add_argument"):
            given = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            names = [name for name in given if _OPTION.fullmatch(name)]
            yield from names
            if "BooleanOptionalAction" in ast.unparse(node):
                yield from (f"--no-{name.removeprefix('--')}" for name in names)


def _names(found: Any) -> set[str]:
    return {name for each in found.params for name in (*each.opts, *each.secondary_opts)}


def _all_names(found: Any) -> set[str]:
    return _names(found).union(*map(_all_names, getattr(found, "commands", {}).values()))


def _contract() -> tuple[FileDescriptor, ...]:
    return recognizer_pb2.DESCRIPTOR, enrollment_pb2.DESCRIPTOR, library_pb2.DESCRIPTOR
