"""The endpoint's command line."""

import argparse
from collections.abc import Sequence
from pathlib import Path

_SOURCES = """
Computed: faces and 5 points (YuNet), similarity (80 at a distance of 0.6 of dlib's 128-d embedding), celebrities (the
people of --gallery), collections, users, head pose (estimated), brightness, sharpness, and the labels Person, Head
and Face.
From --annotations only: text, moderation, other labels, age, gender, emotions, smiles, glasses and beards. Without
an annotation there is no text and no moderation label, and requested attributes have confidence 0.
"""


def parse(args: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the checked command line; exit 2 if it is invalid."""
    parser = argparse.ArgumentParser(
        prog="python -m local.rekognition",
        description="Amazon Rekognition on this machine: boto3 needs no change but endpoint_url.",
        epilog=_SOURCES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9000, help="port to listen on (default: %(default)s)")
    _add_data(parser)
    _add_access(parser)
    _add_faults(parser)
    _add_recordings(parser)
    options = parser.parse_args(args)
    _check(parser, options)
    return options


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument("--gallery", metavar="DIR", type=_folder, help="celebrities: DIR/NAME/*.jpg, one face a picture")
    group.add_argument(
        "--annotations",
        metavar="DIR",
        type=_folder,
        help="what cannot be computed about pictures: DIR/PICTURE.json beside a picture, or DIR/SHA256.json, with "
        "Labels, ModerationLabels, ContentTypes, TextDetections, FaceDetails as in Rekognition's responses",
    )
    group.add_argument(
        "--collections", metavar="DIR", type=_new_folder, help="folder for collections (default: in memory)"
    )
    group.add_argument(
        "--collection",
        metavar="NAME",
        action="append",
        default=[],
        dest="created",
        help="collection to create unless it is there (repeatable)",
    )
    group.add_argument(
        "--smallest-face",
        metavar="SHARE",
        type=_face_share,
        default=0.02,
        help="side of the smallest face to find, as a share of the longer side (default: %(default)s, as Amazon's 40 "
        "pixels of 1920); time and memory grow with the square",
    )
    group.add_argument("--s3-endpoint", metavar="URL", help="S3 endpoint for pictures (default: Amazon S3)")
    group.add_argument("--region", default="us-east-1", help="AWS region (default: %(default)s)")


def _add_access(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("access", "Without --key, every signature is accepted.")
    group.add_argument(
        "--key",
        metavar="ID=SECRET",
        action="append",
        default=[],
        type=_key,
        dest="keys",
        help="access key; turns on checks of signature, date and region (repeatable)",
    )
    group.add_argument(
        "--expired", metavar="ID", action="append", default=[], help="key whose token has expired (repeatable)"
    )
    group.add_argument(
        "--deny", metavar="OPERATION", action="append", default=[], help="operation that is denied to all (repeatable)"
    )


def _add_faults(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("fault injection", "Rates are shares of all requests, 0 to 1.")
    group.add_argument(
        "--throttle", metavar="RATE", type=_rate, default=0.0, help="throttling errors, half with each of AWS's codes"
    )
    group.add_argument(
        "--quotas", action="store_true", help="throttle what exceeds Amazon's default quotas in --region, by operation"
    )
    group.add_argument("--error", metavar="RATE", type=_rate, default=0.0, help="HTTP 500, InternalServerError")
    group.add_argument(
        "--reset", metavar="RATE", type=_rate, default=0.0, help="connection resets, half of them after the request ran"
    )
    group.add_argument("--latency", metavar="SECONDS", type=_seconds, default=0.0, help="latency added to a request")
    group.add_argument(
        "--latency-rate",
        metavar="RATE",
        type=_rate,
        default=1.0,
        help="requests that get --latency (default: %(default)s)",
    )
    group.add_argument("--seed", metavar="N", type=int, default=0, help="random seed (default: %(default)s)")


def _add_recordings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Amazon's own responses")
    mode = group.add_mutually_exclusive_group()
    mode.add_argument(
        "--record",
        metavar="DIR",
        type=_new_folder,
        help="forward requests to Amazon with your own credentials, and record its responses",
    )
    mode.add_argument("--replay", metavar="DIR", type=_folder, help="replay recorded responses and nothing else")
    group.add_argument("--upstream", metavar="URL", help="endpoint for --record (default: Amazon)")


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    options.keys = dict(options.keys)
    unknown = [name for name in options.expired if name not in options.keys]
    if unknown:
        parser.error(f"--expired: {unknown[0]} is not a --key")
    if options.throttle + options.error + options.reset > 1:
        parser.error("--throttle, --error and --reset must add up to at most 1")
    if options.upstream and not options.record:
        parser.error("--upstream requires --record")


def _key(text: str) -> tuple[str, str]:
    name, _, secret = text.partition("=")
    if not name or not secret:
        raise argparse.ArgumentTypeError("must be ID=SECRET")
    return name, secret


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return Path(text)


def _new_folder(text: str) -> Path:
    if Path(text).exists():
        return _folder(text)
    return Path(text)


def _rate(text: str) -> float:
    return _number(text, 1.0, "must be a number from 0 to 1")


def _face_share(text: str) -> float:
    return _number(text, 0.5, "must be a number from 0.002 to 0.5", minimum=0.002)


def _seconds(text: str) -> float:
    return _number(text, 3600.0, "must be seconds, 0 to 3600")


def _number(text: str, maximum: float, message: str, minimum: float = 0) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(message) from None
    if not minimum <= value <= maximum:
        raise argparse.ArgumentTypeError(message)
    return value
