"""The endpoint's command line."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_TRUTH = """
What is real: faces (dlib's detector, 5 points and 128-d embedding), similarity (0.6 apart is 80), celebrities
(people of --gallery), collections, users, head pose (estimated), brightness and sharpness, clear horizontal print,
and as labels: people by their faces, and cats.
What is not: other labels, moderation, age, gender, emotions, smiles, glasses, beards. They are told as --annotations
say. Otherwise labels and moderation are left out, and attributes that are asked for have confidence 0.
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The checked command line; exits with 2 where it cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m local.rekognition",
        description="Amazon Rekognition on this machine: boto3 works with endpoint_url alone changed.",
        epilog=_TRUTH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=9000, help="port to listen on (%(default)s)")
    _add_knowledge(parser)
    _add_access(parser)
    _add_faults(parser)
    _add_recordings(parser)
    told = parser.parse_args(arguments)
    _check(parser, told)
    return told


def _add_knowledge(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what it knows")
    group.add_argument("--gallery", metavar="DIR", type=_folder, help="celebrities: DIR/NAME/*.jpg, one face a picture")
    group.add_argument(
        "--annotations",
        metavar="DIR",
        type=_folder,
        help="what pictures show that cannot be seen here: DIR/PICTURE.json beside a picture, or DIR/SHA256.json, with "
        "Labels, ModerationLabels, ContentTypes, TextDetections, FaceDetails as in Rekognition's answers",
    )
    group.add_argument(
        "--collections", metavar="DIR", type=_folder_to_make, help="where collections are kept (in memory)"
    )
    group.add_argument("--s3-endpoint", metavar="URL", help="where S3 objects are read (Amazon S3)")
    group.add_argument("--region", default="us-east-1", help="the region it is in (%(default)s)")


def _add_access(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who may ask", "Without keys, every signature is good.")
    group.add_argument(
        "--key",
        metavar="ID=SECRET",
        action="append",
        default=[],
        type=_key,
        dest="keys",
        help="an access key; with any, signatures, dates and the region are checked",
    )
    group.add_argument(
        "--expired", metavar="ID", action="append", default=[], help="a key of these whose token has expired"
    )
    group.add_argument(
        "--deny", metavar="OPERATION", action="append", default=[], help="an operation that nobody may ask for"
    )


def _add_faults(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("trouble on purpose", "Rates are shares of all requests, 0 to 1.")
    group.add_argument("--throttle", metavar="RATE", type=_rate, default=0.0, help="throttled, half by each code")
    group.add_argument("--error", metavar="RATE", type=_rate, default=0.0, help="HTTP 500, InternalServerError")
    group.add_argument(
        "--reset", metavar="RATE", type=_rate, default=0.0, help="connection reset, half of them after it was done"
    )
    group.add_argument("--latency", metavar="SECONDS", type=_seconds, default=0.0, help="added to a request")
    group.add_argument(
        "--latency-rate", metavar="RATE", type=_rate, default=1.0, help="how many get --latency (%(default)s)"
    )
    group.add_argument("--seed", metavar="N", type=int, default=0, help="of the draws (%(default)s)")


def _add_recordings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("answers of Amazon's").add_mutually_exclusive_group()
    group.add_argument(
        "--record",
        metavar="DIR",
        type=_folder_to_make,
        help="ask Amazon with your own credentials, and keep what it answers",
    )
    group.add_argument("--replay", metavar="DIR", type=_folder, help="answer from what was recorded alone")
    parser.add_argument("--upstream", metavar="URL", help="who is asked for --record (Amazon)")


def _check(parser: argparse.ArgumentParser, told: argparse.Namespace) -> None:
    told.keys = dict(told.keys)
    unknown = [name for name in told.expired if name not in told.keys]
    if unknown:
        parser.error(f"--expired: {unknown[0]} is no --key")
    if told.throttle + told.error + told.reset > 1:
        parser.error("--throttle, --error and --reset are more than 1 together")
    if told.upstream and not told.record:
        parser.error("--upstream goes with --record")


def _key(text: str) -> tuple[str, str]:
    name, _, secret = text.partition("=")
    if not name or not secret:
        raise argparse.ArgumentTypeError("takes ID=SECRET")
    return name, secret


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder")
    return Path(text)


def _folder_to_make(text: str) -> Path:
    if Path(text).exists():
        return _folder(text)
    return Path(text)


def _rate(text: str) -> float:
    return _number(text, 1.0, "a rate is a number from 0 to 1")


def _seconds(text: str) -> float:
    return _number(text, 3600.0, "takes seconds, 0 to 3600")


def _number(text: str, most: float, wrong: str) -> float:
    try:
        value: Any = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(wrong) from None
    if not 0 <= value <= most:
        raise argparse.ArgumentTypeError(wrong)
    return float(value)
