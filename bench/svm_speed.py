"""Measure how fast the SVM finds faces and answers whole calls, on one core and on two.

usage: PYTHONPATH=. python bench/svm_speed.py ../shared/data/actors

Prints Markdown rows: medians of ten interleaved pairs, with the smallest and the largest. Takes about four minutes.
"""

import argparse
import asyncio
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC
from svm_accuracy import published_features
from svm_actors import LabelledFace, labelled_faces, pixels_of
from svm_memory import save_model

from local.pictures import photo
from marquee.v1 import recognizer_pb2 as pb
from services.runtime.boxes import iou
from services.runtime.images.haar import HaarFaces
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Options
from services.svm import artifact
from services.svm.faces.finder import FaceFinder
from services.svm.model import Model
from services.svm.networks.dlib_resnet import DlibResNet
from services.svm.recipes.recipe import recipe_of
from services.svm.recognizer import SvmRecognizer
from services.svm.settings import SvmSettings

PAIRS = 10
_OPTIONS = Options("bench", (pb.FEATURE_CELEBRITIES,), 10, 0, "", include_embeddings=False, deadline=float("inf"))
_LEAST_IOU = 0.5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    actors = parser.parse_args().folder
    cores = os.sched_getaffinity(0)
    cv2.setNumThreads(1)
    print("| what | measured |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: save_model(actors, name, Path(folder)) for name in ("hog-lbp", "embedding")}
        os.sched_setaffinity(0, {min(cores)})
        time_calls(labelled_faces(actors), paths)
        time_detection(labelled_faces(actors))
        os.sched_setaffinity(0, cores)
        for name, path in paths.items():
            print(
                f"| {name}, two threads against one, pictures a second | {asyncio.run(compare_threads(path))} |",
                flush=True,
            )


def time_calls(faces: list[LabelledFace], paths: dict[str, Path]) -> None:
    """Time a whole call with a picture of 1280x960 and one face, for each recipe and as published."""
    content, published = one_face(), published_recipe(faces)
    for name, path in paths.items():
        ours = current_recipe(path)
        pairs = [(cpu_seconds(ours, content), cpu_seconds(published, content)) for _ in range(PAIRS + 1)][1:]
        print(f"| {name}, whole call / the published recipe's | {summary(pairs)} |", flush=True)


def one_face() -> bytes:
    """Return a JPEG of 1280x960 with one face."""
    buffer = io.BytesIO()
    photo("Eileen Collins").crop((0, 0, 512, 384)).resize((1280, 960)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def current_recipe(path: Path) -> Callable[[bytes], object]:
    """Return a function that processes a picture as the service does."""
    loaded = artifact.load(path)
    model, finder = Model(loaded, recipe_of(loaded.recipe, DlibResNet())), FaceFinder()

    def call(content: bytes) -> object:
        detection = finder.find(Image(content).upright(), model.detector)
        return model.candidates(np.array([model.views(detection.pixels, face) for face in detection.faces]))

    return call


def published_recipe(faces: list[LabelledFace]) -> Callable[[bytes], object]:
    """Return the recipe as published: full size, then PyWavelets, a scaler and an SVC."""
    features = [published_features(pixels_of(face.crop)) for face in faces]
    pipeline = make_pipeline(MinMaxScaler(), SVC(kernel="linear"))
    pipeline.fit(features, [face.actor for face in faces])
    haar = HaarFaces()

    def call(content: bytes) -> object:
        pixels = np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
        return [pipeline.predict([published_features(face.crop(pixels))]) for face in haar.find_as_published(pixels)]

    return call


def time_detection(faces: list[LabelledFace]) -> None:
    """Time the service's and the published face detection on the same photos, split into ten parts."""
    paths = sorted({face.photo for face in faces})
    finder, haar, hits, total, pairs = FaceFinder(), HaarFaces(), 0, 0, []
    for part in range(PAIRS):
        photos = {path: pixels_of(path) for path in paths[part::PAIRS]}
        begin = time.process_time()
        found = {path: finder.find(pixels).faces for path, pixels in photos.items()}
        middle = time.process_time()
        for pixels in photos.values():
            haar.find_as_published(pixels)
        pairs.append((middle - begin, time.process_time() - middle))
        own = [face for face in faces if face.photo in photos]
        boxes = {path: [face.framed("haar") for face in ones] for path, ones in found.items()}
        hits += sum(any(iou(face.box, box) >= _LEAST_IOU for box in boxes[face.photo]) for face in own)
        total += sum(map(len, boxes.values()))
    print(f"| crops found in their photos (IoU >= .5) | {hits} of {len(faces)} ({hits / len(faces):.1%}) |")
    print(f"| all faces found in {len(paths)} photos | {total} |")
    print(f"| finding / the published rule in full size, ten parts of the photos | {summary(pairs)} |", flush=True)


async def compare_threads(path: Path) -> str:
    """Compare the recognizer with two workers and with one, in this process."""
    content = one_face()
    one, two = (SvmRecognizer(SvmSettings(svm_model=str(path), workers=workers, queue=64)) for workers in (1, 2))
    await asyncio.gather(one.load(), two.load())
    pairs = [(await rate(two, content), await rate(one, content)) for _ in range(PAIRS)]
    await asyncio.gather(one.close(), two.close())
    return summary(pairs, "/s", 1)


async def rate(recognizer: SvmRecognizer, content: bytes, count: int = 40) -> float:
    """Return the pictures recognized per second."""
    begin = time.perf_counter()
    await asyncio.gather(*(recognizer.recognize(Image(content), _OPTIONS) for _ in range(count)))
    return count / (time.perf_counter() - begin)


def cpu_seconds(call: Callable[[bytes], object], content: bytes) -> float:
    """Return the least CPU time of three calls, because other work on the machine can only add to it."""
    return min(_once(call, content) for _ in range(3))


def _once(call: Callable[[bytes], object], content: bytes) -> float:
    begin = time.process_time()
    call(content)
    return time.process_time() - begin


def summary(pairs: Sequence[tuple[float, float]], unit: str = " ms", factor: float = 1000) -> str:
    """Return the median ratio, its spread and both medians, as text."""
    ratios = [ours / other for ours, other in pairs]
    first, second = (statistics.median(pair[side] for pair in pairs) * factor for side in (0, 1))
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return f"{statistics.median(ratios):.2f} ({spread}): {first:.1f}{unit} / {second:.1f}{unit}"


if __name__ == "__main__":
    main()
