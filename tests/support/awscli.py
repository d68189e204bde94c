"""The AWS CLI as pages use it, for the stand-ins: `python -m tests.support.awscli SERVICE OPERATION --option value`.

What operations exist, and which options of which form each takes, is botocore's description of AWS's services, against
which every call is checked. `s3 mb`, `rb`, `cp`, `ls` and `rm`, waiters, `--query` and `--output text` are there.
Lambda's functions run in AWS's own runtime client, and IAM's policy simulator knows actions and resources, not
conditions.
"""

import base64
import fnmatch
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import boto3
import jmespath
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError, WaiterError
from botocore.model import Shape

_EVERYWHERE = {"query", "output", "region", "cli-binary-format", "no-cli-pager"}
_ZIP = "zip-file"
"""The AWS CLI's own option for a function's code."""
_CUSTOM = {
    *(("s3", name) for name in ("mb", "rb", "cp", "ls", "rm", "sync")),
    ("ecr", "get-login-password"),
    ("cloudformation", "deploy"),
}
"""Commands that are the AWS CLI's own."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code: 252 if the command is wrong, 254 if the service refuses it."""
    try:
        service, operation, *rest = arguments
        if service == "s3":
            return _s3(operation, rest)
        if operation == "wait":
            return _wait(service, rest)
        return _call(service, operation, rest)
    except UsageError as exc:
        _say(f"aws: [ERROR]: {exc}", sys.stderr)
        return 252
    except (ClientError, WaiterError) as exc:
        _say(f"\n{exc}", sys.stderr)
        return 254
    except BotoCoreError as exc:
        _say(f"\n{exc}", sys.stderr)
        return 252


class UsageError(Exception):
    """The command has no such operation or option."""


def check(command: Sequence[str]) -> None:
    """Check a command's service, operation and options, whose values may still be variables. Raises UsageError."""
    _, service, *rest = command
    operation, *rest = rest or [""]
    if (service, operation) in _CUSTOM or service == "--version":
        return
    if operation == "wait":
        _waiter(service, *rest[:1])
        return
    if service == "s3":
        raise UsageError(f"s3 {operation} is not known")
    members = _members(service, operation)
    options, _ = _split(rest)
    if unknown := {option for option in options if option.removeprefix("no-") not in members} - _EVERYWHERE:
        raise UsageError(f"{service} {operation} has no option {', '.join(sorted(unknown))}")
    shape = _operation(service, operation).input_shape
    required = {xform_name(name, "-") for name in shape.required_members} if shape else set()
    required = {_ZIP if _ZIP in options and name == "code" else name for name in required}
    if missing := required - set(options):
        raise UsageError(f"{service} {operation} needs {', '.join(sorted(missing))}")


@cache
def _client(service: str) -> Any:
    try:
        return boto3.Session().client(
            service.removesuffix("api"), region_name=os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
        )
    except BotoCoreError as exc:
        raise UsageError(str(exc)) from None


def _operation(service: str, operation: str) -> Any:
    model = _client(service).meta.service_model
    named = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in named:
        raise UsageError(f"{service} has no operation {operation}")
    return model.operation_model(named[operation])


def _members(service: str, operation: str) -> dict[str, tuple[str, Shape]]:
    shape = _operation(service, operation).input_shape
    members = {xform_name(name, "-"): (name, member) for name, member in (shape.members if shape else {}).items()}
    if service == "lambda" and "code" in members:
        members[_ZIP] = members["code"]
    return members


def _split(arguments: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the options with their values, and what belongs to none."""
    options: dict[str, list[str]] = {}
    values: list[str] = []
    alone = values
    for argument in arguments:
        if re.match(r"--[a-z]", argument):
            name, equals, value = argument[2:].partition("=")
            values = options[name] = [value] if equals else []
        else:
            values.append(argument)
    return options, alone


def _call(service: str, operation: str, arguments: Sequence[str]) -> int:
    options, alone = _split(arguments)
    members = _members(service, operation)
    if service == "lambda" and operation == "invoke":
        for name in list(options):  # the file's name comes after any option
            if len(options[name]) > 1:
                alone += options[name][1:]
                options[name] = options[name][:1]
    elif alone:
        raise UsageError(f"Unknown options: {' '.join(alone)}")
    check(["aws", service, operation, *arguments])
    params = dict(_param(members, name, values, options) for name, values in options.items() if name not in _EVERYWHERE)
    if service == "iam" and operation.startswith("simulate-custom"):
        _show({"EvaluationResults": list(_simulated(params))}, options)
    elif service == "lambda" and operation == "invoke":
        _show(_invoked(params, Path(alone[0])), options)
    else:
        method = getattr(_client(service), xform_name(_operation(service, operation).name))
        response = method(**params)
        response.pop("ResponseMetadata", None)
        _show(response, options)
    return 0


def _param(
    members: dict[str, tuple[str, Shape]], option: str, values: Sequence[str], options: dict[str, list[str]]
) -> tuple[str, Any]:
    if option not in members:
        return members[option.removeprefix("no-")][0], False
    name, shape = members[option]
    if option == _ZIP:
        return name, {"ZipFile": _loaded(values[0])}
    raw = options.get("cli-binary-format") == ["raw-in-base64-out"]
    return name, _value(shape, [_loaded(value) for value in values], raw=raw)


def _loaded(value: str) -> str | bytes:
    if value.startswith("fileb://"):
        return Path(value.removeprefix("fileb://")).read_bytes()
    return Path(value.removeprefix("file://")).read_text("utf-8") if value.startswith("file://") else value


def _value(shape: Shape, values: Sequence[str | bytes], *, raw: bool) -> Any:
    if shape.type_name == "boolean":
        return not values or values[0] == "true"
    if shape.type_name == "list":
        if len(values) == 1 and str(values[0]).lstrip().startswith("["):
            return json.loads(values[0])
        return [_value(shape.member, [value], raw=raw) for value in values]
    (value,) = values
    if shape.type_name == "blob":
        return _blob(shape, value, raw=raw)
    assert isinstance(value, str)
    if shape.type_name in ("structure", "map"):
        return json.loads(value) if value.lstrip().startswith("{") else _shorthand(value)
    return {"integer": int, "long": int, "float": float, "double": float}.get(shape.type_name, str)(value)


def _blob(shape: Shape, value: str | bytes, *, raw: bool) -> bytes:
    if shape.serialization.get("streaming"):  # the name of a file
        return Path(os.fsdecode(value)).read_bytes()
    return value if isinstance(value, bytes) else value.encode() if raw else base64.b64decode(value)


def _shorthand(text: str) -> dict[str, Any]:
    """Return what A=b,C={D=e} stands for."""
    pairs = re.findall(r"(\w+)=(\{[^}]*\}|[^,]*)", text)
    return {key: _shorthand(value[1:-1]) if value.startswith("{") else _literal(value) for key, value in pairs}


def _literal(text: str) -> str | bool:
    return {"true": True, "false": False}.get(text, text)


def _say(text: object, stream: TextIO | None = None) -> None:
    (stream or sys.stdout).write(f"{text}\n")


def _show(response: Any, options: dict[str, list[str]]) -> None:
    if "query" in options:
        response = jmespath.search(options["query"][0], response)
    if options.get("output") == ["text"]:
        for line in _lines(response):
            _say(line)
    elif response not in ({}, None):
        _say(json.dumps(response, indent=4, default=str))


def _lines(response: Any) -> Iterator[str]:
    rows = response if isinstance(response, list) else [response]
    if all(isinstance(row, list) for row in rows):
        yield from ("\t".join(map(str, row)) for row in rows)
    else:
        yield "\t".join(map(str, rows))


def _wait(service: str, arguments: Sequence[str]) -> int:
    waiter, *rest = arguments
    members = _members(service, xform_name(_waiter(service, waiter), "-"))
    options, _ = _split(rest)
    params = dict(_param(members, name, values, options) for name, values in options.items())
    _client(service).get_waiter(waiter.replace("-", "_")).wait(**params)
    return 0


def _waiter(service: str, waiter: str = "") -> str:
    """Return the operation that the waiter calls. Raises UsageError."""
    known = boto3.Session()._session.get_waiter_model(service.removesuffix("api"))
    named = {xform_name(name, "-"): name for name in known.waiter_names}
    if waiter not in named:
        raise UsageError(f"{service} has no waiter {waiter}")
    return str(known.get_waiter(named[waiter]).operation)


def _s3(operation: str, arguments: Sequence[str]) -> int:
    check(["aws", "s3", operation])
    options, alone = _split(arguments)
    paths = [*alone, *(value for values in options.values() for value in values)]
    client = _client("s3")
    if operation == "mb":
        client.create_bucket(Bucket=_place(paths[0])[0])
        _say(f"make_bucket: {_place(paths[0])[0]}")
    elif operation == "cp":
        _copy(client, *paths, recursive="recursive" in options)
    else:
        bucket, key = _place(paths[0])
        for entry in client.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", ()):
            if operation == "rm" or "force" in options:
                client.delete_object(Bucket=bucket, Key=entry["Key"])
                _say(f"delete: s3://{bucket}/{entry['Key']}")
                continue
            _say(f"{entry['LastModified']:%Y-%m-%d %H:%M:%S} {entry['Size']:10} {entry['Key']}")
        if operation == "rb":
            client.delete_bucket(Bucket=bucket)
            _say(f"remove_bucket: {bucket}")
    return 0


def _place(url: str) -> tuple[str, str]:
    if not url.startswith("s3://"):
        raise UsageError(f"{url} must be s3://BUCKET/KEY")
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def _copy(client: Any, source: str, target: str, *, recursive: bool) -> None:
    if source.startswith("s3://"):
        bucket, key = _place(source)
        path = Path(target) / Path(key).name if target.endswith(("/", ".")) else Path(target)
        client.download_file(bucket, key, str(path))
        _say(f"download: {source} to {path}")
        return
    bucket, key = _place(target)
    root = Path(source)
    if not root.exists():
        raise UsageError(f"The user-provided path {source} does not exist.")
    for path in sorted(root.rglob("*")) if recursive else [root]:
        if path.is_file():
            inside = path.relative_to(root).as_posix() if recursive else path.name
            name = f"{key.rstrip('/')}/{inside}".lstrip("/") if recursive or not key or key.endswith("/") else key
            client.upload_file(str(path), bucket, name)
            _say(f"upload: {os.path.relpath(path.parent)}/{path.name} to s3://{bucket}/{name}")


def _simulated(params: dict[str, Any]) -> Iterator[dict[str, str]]:
    statements = [one for text in params["PolicyInputList"] for one in json.loads(text)["Statement"]]
    for action in params["ActionNames"]:
        for resource in params.get("ResourceArns", ["*"]):
            allowed = any(_matches(one["Action"], action) and _matches(one["Resource"], resource) for one in statements)
            decision = "allowed" if allowed else "implicitDeny"
            yield {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decision}


def _matches(patterns: str | list[str], name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, one) for one in ([patterns] if isinstance(patterns, str) else patterns))


@contextmanager
def _silence() -> Iterator[None]:
    """Send what processes write elsewhere: a function's log is not what the caller sees."""
    kept = [os.dup(stream) for stream in (1, 2)]
    with Path(os.devnull).open("w") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
        try:
            yield
        finally:
            for stream, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, stream)
                os.close(copy)


def _invoked(params: dict[str, Any], file: Path) -> dict[str, Any]:
    """Run the function as it was created; write its response into the file."""
    from tests.support import aws  # noqa: PLC0415 - seconds that no other command waits for

    function = _client("lambda").get_function_configuration(FunctionName=params["FunctionName"])
    variables = function.get("Environment", {}).get("Variables", {})
    with _silence(), aws.lambda_function(function["Handler"], **variables) as api:
        kind, answer = api.invoke(json.loads(params["Payload"]))
    file.write_text(json.dumps(answer))
    return {"StatusCode": 200, "ExecutedVersion": "$LATEST"} | (
        {"FunctionError": "Unhandled"} if kind == "error" else {}
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
