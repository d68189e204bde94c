"""Measure the local Rekognition endpoint: CPU for each picture, and memory after many.

usage: PYTHONPATH=. python bench/rekognition/endpoint.py ../shared/data/actors [--root CHECKOUT] [--pictures 440]

Sends the photos of `raw` and `unlabelled`, over and over, as the rekognition service does: all operations on a picture
at once, two pictures at a time. First RecognizeCelebrities and DetectLabels, which a plain call needs; then DetectFaces
and SearchFacesByImage besides. Prints Markdown rows; --root measures another checkout's endpoint.
"""

import argparse
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from PIL import Image

from tests.support.processes import ROOT, cpu_seconds, free_port, memory_mib, run, spawn, wait_until

AT_ONCE = 2
STEPS = 4
PLAIN = ("RecognizeCelebrities", "DetectLabels")
EVERYTHING = (*PLAIN, "DetectFaces", "SearchFacesByImage")
KEYS = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench", "region_name": "us-east-1"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--pictures", type=int, default=440)
    args = parser.parse_args()
    paths = sorted(path for part in ("raw", "unlabelled") for path in (args.folder / part).rglob("*.*"))
    contents = itertools.cycle([path.read_bytes() for path in paths if Image.open(path).format in {"JPEG", "PNG"}])
    with endpoint(args.root) as (client, pid):
        send(client, itertools.islice(contents, 2 * AT_ONCE), EVERYTHING)
        memory = [memory_mib(pid)]
        milliseconds = cpu(client, pid, list(itertools.islice(contents, args.pictures // STEPS)), PLAIN)
        print(f"| {' + '.join(PLAIN)}: CPU a picture | {milliseconds:.0f} ms |", flush=True)
        for _ in range(STEPS):
            milliseconds = cpu(client, pid, list(itertools.islice(contents, args.pictures // STEPS)), EVERYTHING)
            memory.append(memory_mib(pid))
        print(f"| {' + '.join(EVERYTHING)}: CPU a picture | {milliseconds:.0f} ms |")
        print(f"| resident at the start, after each {args.pictures // STEPS} | {rounded(memory)} MiB |")


@contextmanager
def endpoint(root: Path) -> Iterator[tuple[Any, int]]:
    """Start the checkout's endpoint with the demo's gallery, also as a collection; yield a client and its process."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    with tempfile.TemporaryDirectory() as folder:
        run([sys.executable, "-m", "local.pictures", "gallery", folder], cwd=root, env=environment)
        port = free_port()
        command = [sys.executable, "-m", "local.rekognition", "--port", str(port), "--gallery", folder]
        with spawn(command, cwd=root, env=environment) as process:
            pool = Config(max_pool_connections=16, retries={"total_max_attempts": 1})
            client = boto3.client("rekognition", endpoint_url=f"http://127.0.0.1:{port}", config=pool, **KEYS)
            wait_until(lambda: lists(client))
            client.create_collection(CollectionId="people")
            for path in Path(folder).rglob("*.jpg"):
                client.index_faces(CollectionId="people", Image={"Bytes": path.read_bytes()})
            yield client, process.pid


def lists(client: Any) -> bool:
    """Return whether the endpoint serves."""
    try:
        client.list_collections()
    except Exception:  # noqa: BLE001 - whatever it is, the endpoint does not serve yet
        return False
    return True


def cpu(client: Any, pid: int, contents: Sequence[bytes], operations: Sequence[str]) -> float:
    """Return the milliseconds of CPU that the endpoint takes for each picture."""
    begin = cpu_seconds(pid)
    send(client, iter(contents), operations)
    return 1000 * (cpu_seconds(pid) - begin) / len(contents)


def send(client: Any, contents: Iterator[bytes], operations: Sequence[str]) -> None:
    """Send all pictures, some at once."""
    with ThreadPoolExecutor(AT_ONCE * len(operations)) as calls, ThreadPoolExecutor(AT_ONCE) as pictures:
        list(pictures.map(lambda content: list(calls.map(partial(call, client, content), operations)), contents))


def call(client: Any, content: bytes, operation: str) -> None:
    """Call the operation; a picture that it refuses, such as one without a face to search for, counts too."""
    collection = {"CollectionId": "people"} if "Search" in operation else {}
    try:
        getattr(client, METHODS[operation])(Image={"Bytes": content}, **collection)
    except ClientError as exc:
        if exc.response["ResponseMetadata"]["HTTPStatusCode"] != 400:  # noqa: PLR2004 - HTTP's bad request
            raise


METHODS = {
    "RecognizeCelebrities": "recognize_celebrities",
    "DetectLabels": "detect_labels",
    "DetectFaces": "detect_faces",
    "SearchFacesByImage": "search_faces_by_image",
}


def rounded(numbers: Sequence[float]) -> str:
    """Return the numbers without decimals, in a row."""
    return " → ".join(f"{number:.0f}" for number in numbers)


if __name__ == "__main__":
    main()
