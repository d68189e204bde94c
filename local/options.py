"""The launcher's command line."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from local import models, ports, stack
from services.runtime.errors import DomainError

_MAX_PORT = 65535
_BUCKET = re.compile(r"(?!(\d+\.){3}\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_COMMANDS = """
`python -m local env` prints the shell's commands that let other programs, such as the AWS CLI, use a running system's
gateway and stand-ins: eval "$(python -m local env)". With --state DIR, those of the system with that folder.

The gateway, the library and the page ask for what the servers' settings say, such as MARQUEE_CALLERS and
MARQUEE_TLS_CERT. Without these they answer everybody; off the loopback, MARQUEE_ALLOW_ANONYMOUS=true does. Where they
ask callers who they are, the page and the library need tokens of their own, MARQUEE_WEB_GATEWAY_TOKEN_FILE and
MARQUEE_LIBRARY_GATEWAY_TOKEN_FILE.
"""


def parse(args: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the checked command line; exit 2 if it is invalid."""
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="Start Marquee on this machine: stand-ins for S3, Rekognition and TensorFlow Serving, the "
        "recognizers, the gateway, the library with its PostgreSQL and the page, all on the loopback. Ctrl-C stops "
        "everything.",
        epilog=_COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=["env"], help="start nothing, and describe a running system")
    _add_run(parser)
    _add_models(parser)
    options = parser.parse_args(args)
    if options.port and options.port == options.web_port:
        parser.error(f"argument --web-port: {options.port} is the gateway's port; use another, or leave the option out")
    names = [stack.BUCKET, *(name for name, _ in options.buckets)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        parser.error(f"argument --bucket: there is a bucket {twice!r} already; use another name")
    if options.command is None:
        options.state = _state_folder(parser, options.state or Path(".local"))
    return options


def taken(port: int | str) -> str:
    """Say that the port is taken."""
    return f"port {port} is taken (`lsof -i :{port}` shows by whom)"


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--demo", action="store_true", help="recognize the demo pictures and print the results")
    parser.add_argument(
        "--once", action="store_true", help="run the demo and stop; exit 0 if every result is right, else 1"
    )
    parser.add_argument(
        "--port", type=_free_port, help="port of the gateway (default: 50051, or a free port if 50051 is taken)"
    )
    parser.add_argument(
        "--web-port", type=_free_port, help="port of the page (default: 8080, or a free port if 8080 is taken)"
    )
    parser.add_argument(
        "--host",
        default=stack.HOST,
        help="address on which the gateway, the library and the page listen (default: %(default)s)",
    )
    parser.add_argument(
        "--state",
        type=_path,
        metavar="DIR",
        help="folder for logs, pictures, the library, and whatever is enrolled (default: .local)",
    )


def _add_models(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("own models and people", "Without these, the demo's.")
    group.add_argument(
        "--svm-model", type=_svm_model, metavar="FILE", help="people.skops, as `python -m services.svm.train` writes it"
    )
    group.add_argument(
        "--keras-model",
        type=_keras_model,
        metavar="DIR",
        help="folder with DIR/1 and so on, as `python -m services.keras.convert FILE DIR/1` writes them; its name is "
        "the model's",
    )
    group.add_argument(
        "--gallery", type=_gallery, metavar="DIR", help="celebrities of the Rekognition stand-in: DIR/NAME/*.jpg"
    )
    group.add_argument(
        "--annotations",
        type=_annotations,
        metavar="DIR",
        help="labels, text and more that the Rekognition stand-in answers with: DIR/PICTURE.json beside DIR/PICTURE, "
        "or DIR/SHA256.json, as docs/rekognition-endpoint.md has them",
    )
    group.add_argument(
        "--collections",
        action="store_true",
        help=f"enroll into Rekognition, too, and search there (--feature face_search): the collection "
        f"{stack.COLLECTION!r}, kept in the --state folder",
    )
    group.add_argument(
        "--bucket",
        type=_bucket,
        metavar="NAME[=DIR]",
        action="append",
        default=[],
        dest="buckets",
        help="one more S3 bucket, with the files of the folder (repeatable); objects written later are lost at exit",
    )


def _free_port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: use 1 to {_MAX_PORT}")
    if not ports.claim(int(text)):
        raise argparse.ArgumentTypeError(f"{taken(text)}; use another, or leave the option out")
    return int(text)


def _path(text: str) -> Path:
    if not text:  # as an unset variable leaves it, which is not the working directory
        raise argparse.ArgumentTypeError("it is empty")
    return Path(text)


def _folder(text: str) -> Path:
    if not (folder := _path(text)).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return folder


def _state_folder(parser: argparse.ArgumentParser, folder: Path) -> Path:
    """Create the folder if need be, and check that it can be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as exc:
        parser.error(f"argument --state: {str(folder)!r} is no folder for files: {exc.strerror}")


def _svm_model(text: str) -> models.SvmModel:
    try:
        return models.svm_model(_path(text))
    except DomainError as exc:
        raise argparse.ArgumentTypeError(exc.message) from None


def _keras_model(text: str) -> Path:
    try:
        return models.keras_model(_path(text))
    except DomainError as exc:
        raise argparse.ArgumentTypeError(exc.message) from None


def _gallery(text: str) -> Path:
    folder = _folder(text)
    if not any(path.is_file() and path.suffix.lower() in models.PICTURES for path in folder.glob("[!.]*/[!.]*")):
        raise argparse.ArgumentTypeError(f"{text!r} has no pictures of people: put them into {text}/NAME/")
    return folder


def _annotations(text: str) -> Path:
    try:
        return models.annotations(_folder(text))
    except DomainError as exc:
        raise argparse.ArgumentTypeError(exc.message) from None


def _bucket(text: str) -> tuple[str, Path | None]:
    name, separator, folder = text.partition("=")
    if not _BUCKET.fullmatch(name):
        raise argparse.ArgumentTypeError(
            f"{name!r} is no bucket's name: use 3 to 63 of a-z 0-9 . -, no two dots in a row, "
            "and nothing like an IP address"
        )
    return name, _folder(folder) if separator else None
