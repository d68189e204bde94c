"""Measure the SVM service's resident memory over many mixed pictures.

usage: PYTHONPATH=. python bench/svm_memory.py ../shared/data/actors [--pictures 5000] [--recipes embedding hog-lbp]

Prints Markdown rows. Takes a few minutes for each recipe.
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
from svm_actors import labelled_faces, training_set_of

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc
from services.svm import artifact
from services.svm.model import Artifact
from services.svm.recipes.recipe import RECIPES
from services.svm.train.fit import fit
from tests.support.processes import memory_mib, server

_AT_ONCE = 4
_WARM_UP = 0.2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    args = parser.parse_args()
    contents = mixed_pictures(args.folder)
    print("| service | at the start | after a fifth | at the end | growth since the fifth |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.recipes:
            path = save_model(args.folder, name, Path(folder))
            first, fifth, last = measure(path, contents, args.pictures)
            row = f"{first:.0f} MiB | {fifth:.1f} MiB | {last:.1f} MiB | {last - fifth:+.1f} MiB"
            print(f"| {name}, {args.pictures} pictures | {row} |", flush=True)


def save_model(actors: Path, name: str, folder: Path) -> Path:
    """Train the recipe on the published crops; return the path of the saved model."""
    fitted = fit(training_set_of(labelled_faces(actors), name), false_accepts=0.01 if name == "embedding" else None)
    path = folder / f"{name}.skops"
    artifact.save(Artifact(name, fitted.pipeline, fitted.gallery, fitted.calibration, {}, "", detector="yunet"), path)
    return path


def mixed_pictures(folder: Path) -> list[bytes]:
    """Return all photos and crops, of every size, in a random but fixed order."""
    paths = sorted(path for part in ("raw", "unlabelled", "crops") for path in (folder / part).rglob("*.*"))
    random.Random(0).shuffle(paths)  # noqa: S311 - an order, not a secret
    return [path.read_bytes() for path in paths]


def measure(model: Path, contents: list[bytes], count: int) -> tuple[float, float, float]:
    """Return the MiB before the first picture, after a fifth of them and at the end."""
    environment = dict(os.environ) | {"MARQUEE_SVM_MODEL": str(model), "MARQUEE_WORKERS": "2"}
    with server("services.svm", environment) as service, grpc.insecure_channel(service.address) as channel:
        stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
        begin = memory_mib(service.process.pid)
        pictures = itertools.islice(itertools.cycle(contents), count)
        send(stub, itertools.islice(pictures, int(count * _WARM_UP)))
        settled = memory_mib(service.process.pid)
        send(stub, pictures)
        return begin, settled, memory_mib(service.process.pid)


def send(stub: recognizer_pb2_grpc.RecognizerServiceStub, pictures: Iterator[bytes]) -> None:
    """Recognize all pictures, several at once; pictures that the service refuses count too."""
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
