"""Measures the SVM service's resident memory over many mixed pictures.

usage: PYTHONPATH=. python bench/svm_memory.py ../shared/data/actors [--pictures 5000] [--recipes embedding hog-lbp]

Prints Markdown rows. A few minutes for each recipe.
"""

import argparse
import itertools
import os
import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from svm_actors import labelled, training_set_of

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.svm import artifact
from services.svm.model import Artifact
from services.svm.recipes.recipe import RECIPES
from services.svm.train.fit import fit
from tests.support.processes import memory_mib, server

_AT_ONCE = 4
_SETTLED = 0.2


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    asked = parser.parse_args()
    contents = mixed(asked.folder)
    print("| service | at the start | after a fifth | at the end | growth since the fifth |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.recipes:
            path = save_model(asked.folder, name, Path(folder))
            first, fifth, last = resident(path, contents, asked.pictures)
            row = f"{first:.0f} MiB | {fifth:.1f} MiB | {last:.1f} MiB | {last - fifth:+.1f} MiB"
            print(f"| {name}, {asked.pictures} pictures | {row} |", flush=True)


def save_model(actors: Path, name: str, folder: Path) -> Path:
    """Trains on the published crops."""
    fitted = fit(training_set_of(labelled(actors), name), false_accepts=0.01 if name == "embedding" else None)
    path = folder / f"{name}.skops"
    artifact.save(Artifact(name, fitted.pipeline, fitted.gallery, fitted.calibration, {}, ""), path)
    return path


def mixed(folder: Path) -> list[bytes]:
    """All photos and crops, of every size, in an order of their own."""
    paths = sorted(path for part in ("raw", "unlabelled", "crops") for path in (folder / part).rglob("*.*"))
    random.Random(0).shuffle(paths)  # noqa: S311 - an order, not a secret
    return [path.read_bytes() for path in paths]


def resident(model: Path, contents: list[bytes], count: int) -> tuple[float, float, float]:
    """MiB before the first picture, after a fifth of them, and at the end."""
    environment = dict(os.environ) | {"MARQUEE_SVM_MODEL": str(model), "MARQUEE_WORKERS": "2"}
    with server("services.svm", environment) as alone, grpc.insecure_channel(alone.address) as channel:
        stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
        begin = memory_mib(alone.process.pid)
        pictures = itertools.islice(itertools.cycle(contents), count)
        send(stub, itertools.islice(pictures, int(count * _SETTLED)))
        settled = memory_mib(alone.process.pid)
        send(stub, pictures)
        return begin, settled, memory_mib(alone.process.pid)


def send(stub: recognizer_pb2_grpc.RecognizerServiceStub, pictures: Iterator[bytes]) -> None:
    """Recognizes all, some at once; pictures that the service refuses count too."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for batch in iter(lambda: list(itertools.islice(pictures, 50)), []):
            list(threads.map(lambda content: _call(stub, content), batch))


def _call(stub: recognizer_pb2_grpc.RecognizerServiceStub, content: bytes) -> None:
    try:
        stub.RecognizeImage(pb.RecognizeImageRequest(image=pb.Image(content=content)), timeout=60)
    except grpc.RpcError as exc:
        if exc.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            raise


if __name__ == "__main__":
    main()
