"""Measure what a cascade saves: hog-lbp, which is free, before the local Rekognition endpoint at Amazon's price.

usage: PYTHONPATH=. python bench/fusion/cascade.py ../shared/data/actors [--false-accepts 0.99] [--page PAGE.html]

Real servers, as processes: an endpoint with a gallery, both recognizers, and a gateway. Five rounds with known people
alone: gallery and SVM have four grouped folds, and the gateway is asked about the fifth. Then four in which one actor
is a stranger to both. Every policy is played on the answers. Prints Markdown tables; PAGE shows the one with strangers.
--false-accepts is the trainer's: nearly 1 names everybody whom it takes for anybody, as is right where no strangers
come. Takes some minutes.
"""

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

sys.path.append(str(Path(__file__).parents[1]))
from recognizers import Columns, only, parts_of
from svm_actors import LabelledFace, labelled_faces, training_set_of

from marquee.channels.connection import Connection
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.evaluation.pictures import STRANGERS, read_pictures
from services.gateway.evaluation.survey import Answer, Survey
from services.gateway.evaluation.verdicts import Rule
from services.gateway.policy_report import report
from services.gateway.policy_report.curve import Point, curve
from services.gateway.policy_report.replay import Operation, members_of, prices_of
from services.runtime.images.detector import FaceDetector
from services.runtime.images.folder import LeftOut
from services.svm import artifact
from services.svm.model import Artifact, Numbers
from services.svm.recipes.recipe import RECIPES
from services.svm.train.dataset import TrainingSet
from services.svm.train.fit import fit
from tests.support.aws import endpoint
from tests.support.processes import server

_MARGIN = 0.8
"""Of a face's box, on each side: detectors want to see more than the face."""
_ACTORS, _NOBODY = 4, -1
_MODEL = "model.skops"
_SCORES = (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)
_SURE = 0.98
"""Share of pictures that must have the names that ALL gives."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--false-accepts", type=float, default=0.99)
    parser.add_argument("--page", type=Path)
    args = parser.parse_args()
    faces = labelled_faces(args.folder)
    training = replace(published := training_set_of(faces, "hog-lbp"), features=found(faces, published.features))
    parts = [part.tolist() for part in parts_of(training)]
    work = Work(faces, training, args.false_accepts)
    closed, left_out, operation = work.answers([(part, _NOBODY) for part in parts])
    print_curve(f"Known people alone, {len(closed)} answers", points := curve(closed, operation, _SCORES))
    print_cheapest(points)
    opened, missing, operation = work.answers(list(zip(parts, range(_ACTORS), strict=False)))
    print_curve(f"With strangers, {len(opened)} answers", points := curve(opened, operation, _SCORES))
    left_out += missing
    print(f"\n{len(left_out)} pictures left out:", *sorted({one.reason for one in left_out}))
    if args.page:
        report.write(args.page, points, len(opened), left_out)


@dataclass(frozen=True)
class Work:
    """The faces, and how to train on them."""

    faces: Sequence[LabelledFace]
    training: TrainingSet
    false_accepts: float

    def answers(self, rounds: Sequence[tuple[list[int], int]]) -> tuple[list[Answer], list[LeftOut], Operation]:
        """Return the answers of some rounds: each has the faces to test with, and who is a stranger."""
        answers: list[Answer] = []
        left_out: list[LeftOut] = []
        for number, (part, stranger) in enumerate(rounds, 1):
            say(f"round {number} of {len(rounds)}")
            strange = self.training.owners == stranger
            tested = {*part, *np.flatnonzero(strange).tolist()}
            with tempfile.TemporaryDirectory() as name:
                write(Path(name), self.faces, tested, strange)
                rest = np.setdiff1d(np.arange(len(self.faces)), list(tested))
                train(self.training, rest, self.false_accepts, Path(name) / _MODEL)
                told, listed, missing = asked(Path(name))
            answers += told
            left_out += missing
        return answers, left_out, Operation(members_of(listed), prices_of(listed), Rule(), {})


def found(faces: Sequence[LabelledFace], published: Numbers) -> Numbers:
    """Return the features of the faces as the service finds them, or as published where it finds none, or several."""
    detector, recipe = FaceDetector(turn=False), RECIPES["hog-lbp"]()
    features = published.copy()
    for number, face in enumerate(faces):
        pixels = np.asarray(cut(face))
        if len(own := detector.find(pixels).faces) == 1:
            features[number] = recipe.training_views(pixels, own[0])
    return features


def write(folder: Path, faces: Sequence[LabelledFace], tested: set[int], strange: Sequence[bool]) -> None:
    """Write the pictures to train on, to test with, and the latter's groups."""
    rows = []
    for number, face in enumerate(faces):
        picture = f"{STRANGERS if strange[number] else face.actor}/{number}.jpg"
        path = folder / ("test" if number in tested else "train") / picture
        path.parent.mkdir(parents=True, exist_ok=True)
        cut(face).save(path, quality=95)
        rows.append((picture, face.group))
    with (folder / "groups.tsv").open("w", newline="") as lines:
        csv.writer(lines, delimiter="\t").writerows(rows)


def cut(face: LabelledFace) -> Pillow.Image:
    """Return the face with what is around it in the photo."""
    photo = ImageOps.exif_transpose(Pillow.open(face.photo)).convert("RGB")
    x, y, box = _MARGIN * face.box.width, _MARGIN * face.box.height, face.box
    left, top = max(0, round(box.left - x)), max(0, round(box.top - y))
    right, bottom = round(box.left + box.width + x), round(box.top + box.height + y)
    return photo.crop((left, top, min(photo.width, right), min(photo.height, bottom)))


def train(training: TrainingSet, faces: Columns, false_accepts: float, path: Path) -> None:
    """Write the model of these faces' crops, as the trainer does."""
    done = fit(only(training, faces), false_accepts=false_accepts)
    made = Artifact(done.recipe, done.pipeline, done.gallery, done.calibration, {}, "", detector="yunet", aligner="")
    artifact.save(made, path)


def asked(folder: Path) -> tuple[list[Answer], list[pb.Recognizer], list[LeftOut]]:
    """Start everything, and return what the gateway answers about the folder's test pictures."""
    pictures, _ = read_pictures(folder / "test", folder / "groups.tsv")
    with gateway(folder) as address:
        survey = Survey(Connection(address), timeout=60)
        answers, left_out = survey.ask(pictures, 2, lambda every, _: every)
        return answers, survey.recognizers(), left_out


@contextmanager
def gateway(folder: Path) -> Iterator[str]:
    """Serve the endpoint, both recognizers and a gateway; yield its address."""
    with ExitStack() as stack:
        url = stack.enter_context(endpoint(folder / "train"))
        own = {
            "MARQUEE_REKOGNITION_ENDPOINT_URL": url,
            "MARQUEE_REKOGNITION_REGION": "us-east-1",
            "MARQUEE_SVM_MODEL": str(folder / _MODEL),
            "MARQUEE_GATEWAY_CONFIG": str(folder / "gateway.yaml"),
        }
        targets = {
            name: stack.enter_context(server(f"services.{name}", os.environ | own)).address
            for name in ("svm", "rekognition")
        }
        lines = [f"  {name}: {{target: '{address}', timeout: 60}}\n" for name, address in targets.items()]
        (folder / "gateway.yaml").write_text("recognizers:\n" + "".join(lines))
        yield stack.enter_context(server("services.gateway", os.environ | own)).address


def print_curve(title: str, points: Sequence[Point]) -> None:
    """Print a Markdown table."""
    print(f"\n{title}:\n")
    print("| " + " | ".join(report.HEAD) + " |")
    print("|" + "---|" * len(report.HEAD))
    for row in report.rows(points):
        print("| " + " | ".join(row) + " |")


def print_cheapest(points: Sequence[Point]) -> None:
    """Print the cheapest cascade that gives the names that ALL gives."""
    sure = [one for one in points if one.policy == pb.POLICY_CASCADE and one.equal >= _SURE]
    if not sure:
        print(f"\nNo cascade gives the names of ALL in {_SURE:.0%}.")
        return
    best = min(sure, key=lambda one: one.dollars)
    share = best.dollars_share or 0.0
    print(f"\nCASCADE at {best.score}: {share:.1%} of ALL's dollars, its names in {best.equal:.1%} of the pictures.")


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
