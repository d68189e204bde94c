"""Generate docs/settings.md, errors.md and limits.md, and the HTTP API's openapi.json, or check that they are current.

usage: PYTHONPATH=. python docs/generate.py [--check]
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import status_pb2
from grpc_tools import protoc
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from services.names import SERVICES, settings_of
from services.runtime.doors.settings import DoorSettings, HostSettings
from services.runtime.limits import (
    DEFAULT_DEADLINE_SECONDS,
    DEFAULT_MAX_LABELS,
    DEFAULT_PAGE_SIZE,
    LONG_METHODS,
    MAX_DEADLINE_SECONDS,
    MAX_ENVELOPE_BYTES,
    MAX_ENVELOPE_FIELDS,
    MAX_HOPS,
    MAX_IMAGE_BYTES,
    MAX_IMAGE_PIXELS,
    MAX_IMPORT_BYTES,
    MAX_MAX_LABELS,
    MAX_MESSAGE_BYTES,
    MAX_PAGE_SIZE,
    MIB,
)
from services.runtime.limits import TABLE as FIELDS
from services.runtime.server.server import LIMITS
from services.runtime.settings import PREFIX, FaceSettings, LeafSettings, ProcessSettings, Settings
from services.runtime.status import TABLE
from services.web.api import openapi

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
API = ROOT / "services" / "web" / "api"
KINDS: tuple[type[BaseSettings], ...] = (
    *(HostSettings, ProcessSettings, DoorSettings, Settings, LeafSettings, FaceSettings),
    *(kind for name in SERVICES for kind in settings_of(name)),
)


def main() -> None:
    """Write the files; with --check exit 1 if any is stale."""
    fresh = {
        DOCS / "settings.md": settings(),
        DOCS / "errors.md": errors(),
        DOCS / "limits.md": limits(),
        API / "openapi.json": f"{json.dumps(openapi.document(contract()), indent=1, ensure_ascii=False)}\n",
    }
    stale = [
        str(path.relative_to(ROOT))
        for path, text in fresh.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    if "--check" not in sys.argv[1:]:
        for path, text in fresh.items():
            path.write_text(text, "utf-8")
    elif stale:
        sys.exit(f"{', '.join(stale)}: not what the code says. Run `make docs`.")


def settings() -> str:
    """Return all settings as Markdown tables."""
    lines = [
        "# Settings",
        "",
        "Servers read these environment variables at startup. An invalid value is reported on standard error with exit",
        "code 2; an empty value counts as unset. This page is generated: `make docs`.",
    ]
    for kind in KINDS:
        title = _first_line(kind).removeprefix("Settings of ").rstrip(".")
        lines += [
            "",
            f"## {title[:1].upper()}{title[1:]}",
            "",
            "| variable | default | description |",
            "|---|---|---|",
        ]
        lines += _rows(kind)
    return "\n".join([*lines, ""])


def errors() -> str:
    """Return the error table as Markdown."""
    lines = [
        "# Errors",
        "",
        "Every error that Marquee raises is a `google.rpc.Status` whose first detail is a `google.rpc.ErrorInfo`",
        "with domain `marquee`, one of these reasons, and the `request_id` in its metadata if the call has one.",
        "The message says what to do. A recognizer's `status` in a response is built the same way.",
        "This page is generated: `make docs`.",
        "",
        "| reason | code | when |",
        "|---|---|---|",
    ]
    for error, (code, reason) in TABLE.items():
        lines.append(f"| `{reason}` | `{code.name}` | {_first_line(error)} |")
    lines += [
        "| `RECOGNIZER_UNAVAILABLE` | `UNAVAILABLE` | The gateway cannot reach the recognizer. |",
        "| `RECOGNIZER_TIMEOUT` | `DEADLINE_EXCEEDED` | The recognizer exceeded its share of the deadline. |",
        "| `RECOGNIZER_FAILED` | as gRPC reports | The call to the recognizer failed in another way. |",
        "| `GATEWAY_REFUSED` | `FAILED_PRECONDITION` | The recognizer does not let the gateway in; its log says why. |",
        "| `NO_RECOGNIZER_ANSWERED` | theirs, or `UNAVAILABLE` | All failed; the details hold each status. |",
        "| `INTERNAL` | `INTERNAL` | A bug in the server; its log has the traceback under the request_id. |",
        "",
        "gRPC itself refuses a message over 16 MiB with `RESOURCE_EXHAUSTED` and no details.",
    ]
    return "\n".join([*lines, ""])


def limits() -> str:
    """Return the limits of the contract as Markdown."""
    lines = [
        "# Limits",
        "",
        "Every server enforces these, the gateway and the recognizers alike; they are no settings. What is over a",
        "limit is refused with `INVALID_ARGUMENT` unless said otherwise, before any work is done on it, and the",
        "message names the field, what it has and its limit. This page is generated: `make docs`.",
        "",
        "## Calls",
        "",
        "| what | limit |",
        "|---|---|",
        *(f"| {what} | {limit} |" for what, limit in _CALLS.items()),
        "",
        "Clients and recognizers in other languages have to allow messages of 16 MiB: gRPC itself receives 4 MiB at",
        "most. In Go that is `grpc.MaxCallRecvMsgSize` and `grpc.MaxRecvMsgSize`, in Java `maxInboundMessageSize`,",
        "elsewhere the channel argument `grpc.max_receive_message_length` or its namesake. Marquee's own client,",
        "command and servers do.",
        "",
        "A server receives a request only where there is room for it: the rest waits at the client, and a request that",
        "arrives slowly while others wait gives way to them with `RESOURCE_EXHAUSTED`. How much room there is says",
        "`MARQUEE_MAX_IN_FLIGHT_MIB` in the [settings](settings.md).",
        "",
        "## Fields",
        "",
        "A request over one of these is refused. To the gateway, an answer over one is a failed recognizer; only",
        "faces past their limit are left out, with a warning. A map's length is its keys'.",
        "",
        "| message | field | limit |",
        "|---|---|---|",
        *(
            f"| {message} | `{field}` | {str(limit).removeprefix('At most ').rstrip('.')} |"
            for message, fields in FIELDS.items()
            for field, limit in fields.items()
        ),
    ]
    return "\n".join([*lines, ""])


def contract() -> FileDescriptorSet:
    """Return the contract with its comments. Raises OSError if protoc fails."""
    googleapis = Path(status_pb2.__file__).parents[2]
    sources = sorted(str(path.relative_to(ROOT / "protos")) for path in (ROOT / "protos/marquee").rglob("*.proto"))
    with tempfile.NamedTemporaryFile(suffix=".binpb") as file:
        include = [f"-I{folder}" for folder in (ROOT / "protos", googleapis, files("grpc_tools") / "_proto")]
        content = ["--include_imports", "--include_source_info", f"--descriptor_set_out={file.name}"]
        if protoc.main(["protoc", *include, *content, *sources]):
            raise OSError("protoc failed")
        return FileDescriptorSet.FromString(file.read())


_BY_GRPC = "gRPC answers `RESOURCE_EXHAUSTED` without details"
_TRANSPORT = dict(LIMITS)
_CALLS = {
    "message, either way": f"{MAX_MESSAGE_BYTES // MIB} MiB; {_BY_GRPC}",
    "request besides the bytes of its pictures": f"{MAX_ENVELOPE_BYTES // 1024} KiB and {MAX_ENVELOPE_FIELDS} fields; "
    f"ImportAnswers {MAX_IMPORT_BYTES // MIB} MiB",
    "picture": f"{MAX_IMAGE_BYTES // MIB} MiB and {MAX_IMAGE_PIXELS // 1_000_000} megapixels",
    "`max_labels`": f"1 to {MAX_MAX_LABELS}; default {DEFAULT_MAX_LABELS}",
    "`page_size`": f"lowered to {MAX_PAGE_SIZE}; 0 is the default, {DEFAULT_PAGE_SIZE}",
    "deadline": f"{DEFAULT_DEADLINE_SECONDS:.0f} s without one, {MAX_DEADLINE_SECONDS / 3600:.0f} h at most; "
    f"{', '.join(LONG_METHODS)} {MAX_DEADLINE_SECONDS / 3600:.0f} h without one",
    "gateways behind one another": f"{MAX_HOPS}; more are `FAILED_PRECONDITION`",
    "metadata of a call": f"{_TRANSPORT['grpc.max_metadata_size'] // 1024} KiB; {_BY_GRPC}",
    "calls at a time on a connection": f"{_TRANSPORT['grpc.max_concurrent_streams']}; others wait at the client",
}


def _rows(kind: type[BaseSettings]) -> Iterator[str]:
    inherited = {name for base in kind.__bases__ for name in getattr(base, "model_fields", {})}
    for name, field in kind.model_fields.items():
        if name not in inherited:
            yield f"| `{PREFIX}{name.upper()}` | {_default(field)} | {field.description or ''} |"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "CPU cores"
    if field.default is PydanticUndefined:
        return "required"
    default = ",".join(map(str, field.default)) if isinstance(field.default, tuple | frozenset) else field.default
    return "-" if default is None or not str(default) else f"`{default}`"


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0].replace("; metadata `field` names it", "")


if __name__ == "__main__":
    main()
