"""Train a model for the SVM recognizer: `python -m services.svm.train DIR --out MODEL.skops`.

DIR, or s3://BUCKET/PREFIX, has a folder of pictures per person. Every picture should show one face.
Unusable pictures are left out and listed, and a page beside the model reports what was measured.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from services.runtime.errors import DomainError
from services.runtime.images.detector import FaceDetector
from services.runtime.images.folder import LeftOut, lines
from services.runtime.images.haar import HaarFaces
from services.svm import artifact
from services.svm.classifiers import SCALERS
from services.svm.model import Artifact
from services.svm.networks.network import Embedder, Network
from services.svm.networks.onnx_network import DLIB_SETTING, embedder_of
from services.svm.recipes.recipe import RECIPES, Recipe, recipe_of
from services.svm.train import report
from services.svm.train.cleaning import clean
from services.svm.train.dataset import TrainingSet, training_set, warnings
from services.svm.train.fit import Fit, fit, held_out_report
from services.svm.train.pictures import NO_FACE, FeatureExtractor, Picture, TrainingError, find_pictures, local_folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Train; exit 2 and say what to change if that is impossible."""
    args = _parse(arguments)
    try:
        _check(args)
        with local_folder(args.source, args.s3_endpoint_url) as (folder, left_out):
            _train(folder, left_out, args, Console(soft_wrap=True))
    except (TrainingError, OSError) as exc:
        Console(stderr=True, soft_wrap=True).print(f"[red]Not trained.[/] {escape(str(exc))}", highlight=False)
        sys.exit(2)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.svm.train", description="Train an SVM on faces.")
    parser.add_argument("source", metavar="DIR", help="pictures in a folder per person, or s3://BUCKET/PREFIX")
    parser.add_argument("--recipe", choices=RECIPES, default="embedding", help="features (default: %(default)s)")
    parser.add_argument(
        "--embedding",
        default=DLIB_SETTING,
        metavar="NETWORK",
        help="network of the embedding recipe, as in MARQUEE_SVM_EMBEDDING: dlib, or onnx:URL (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, default=Path("model.skops"), help="output file (default: %(default)s)")
    parser.add_argument("--report", type=Path, help="report page (default: the model's name with .html)")
    parser.add_argument(
        "--scaler", choices=SCALERS, default="minmax", help="scaler of the wavelet recipe (default: %(default)s)"
    )
    parser.add_argument(
        "--detector",
        choices=("yunet", "haar"),
        help="face detector: haar finds frontal faces with two eyes, as published (default for the wavelet recipe), "
        "yunet all (default for the others)",
    )
    parser.add_argument(
        "--false-accepts",
        type=float,
        metavar="SHARE",
        help="maximum share of held-out strangers' faces that may be taken for a known person (default: 0.01 for the "
        "embedding recipe; for the others, which detect strangers poorly, whatever lets 95 %% of known faces through)",
    )
    parser.add_argument("--s3-endpoint-url", help="URL of an S3-compatible server (default: Amazon S3)")
    args = parser.parse_args(arguments)
    args.detector = args.detector or ("haar" if args.recipe == "wavelet" else "yunet")
    if args.recipe == "embedding" and args.false_accepts is None:
        args.false_accepts = 0.01
    return args


def _train(folder: Path, not_copied: Sequence[LeftOut], args: argparse.Namespace, console: Console) -> None:
    embedder = _embedder(args)
    begin = time.perf_counter()
    found, others = find_pictures(folder)
    pictures = clean(_extract(found, recipe_of(args.recipe, embedder), args, console))
    seconds = {"seconds_looking": round(time.perf_counter() - begin, 1)}
    left_out = [*not_copied, *others, *_unused(pictures, folder)]
    _show(pictures, left_out, console)
    faces = training_set(pictures, args.recipe)
    with console.status("Cross-validating"):
        begin = time.perf_counter()
        fitted = fit(faces, args.scaler, args.false_accepts)
        held_out = held_out_report(faces, args.scaler, args.false_accepts)
        seconds["seconds_fitting"] = round(time.perf_counter() - begin, 1)
    fitted.report.update(seconds | held_out)
    _save(faces, fitted, embedder.network, args.detector, args.out)
    page = args.report or args.out.with_suffix(".html")
    report.write(page, [picture for picture in pictures if picture.usable], left_out, faces, fitted)
    _summarize(fitted, args.out, page, console)


def _check(args: argparse.Namespace) -> None:
    """Check before minutes are spent on the pictures."""
    if args.false_accepts is not None and not 0 <= args.false_accepts < 1:
        raise TrainingError(f"--false-accepts is {args.false_accepts}; it must be at least 0 and below 1.")
    for path in filter(None, (args.out, args.report)):
        if path.parts[:1] == ("s3:",):
            raise TrainingError(f"{path} must be on this machine's disk. Copy it to S3 afterwards.")
        if path.is_dir():
            raise TrainingError(f"{path} is a folder. Name a file in it, such as {path / 'model.skops'}.")
        path.parent.mkdir(parents=True, exist_ok=True)


def _embedder(args: argparse.Namespace) -> Embedder:
    if args.embedding != DLIB_SETTING and args.recipe != "embedding":
        raise TrainingError(f"--embedding is for the embedding recipe; {args.recipe} has no network.")
    try:
        return embedder_of(args.embedding, args.s3_endpoint_url)
    except DomainError as exc:
        raise TrainingError(f"--embedding: {exc}") from exc


def _extract(found: Sequence[Picture], recipe: Recipe, args: argparse.Namespace, console: Console) -> list[Picture]:
    haar, yunet = HaarFaces(), FaceDetector(turn=False)
    find = haar.find_as_published if args.detector == "haar" else lambda pixels: yunet.find(pixels).faces
    extractor = FeatureExtractor(find, recipe)
    pictures = track(found, "Finding faces", console=console, transient=True)
    return [extractor.extract(picture) for picture in pictures]


def _unused(pictures: Sequence[Picture], folder: Path) -> list[LeftOut]:
    reasons = ((picture.path.relative_to(folder), picture.problem or picture.unreadable) for picture in pictures)
    return [LeftOut(path, reason) for path, reason in reasons if reason]


def _show(pictures: Sequence[Picture], left_out: Sequence[LeftOut], console: Console) -> None:
    """Print what is left out, warnings, and how many pictures are used."""
    for line in (*lines(left_out), *warnings(pictures)):
        console.print(escape(line), highlight=False)
    table = Table("person", "pictures", "used", "of different moments", "no face", "other problems", "unreadable")
    for name in sorted({picture.folder for picture in pictures}):
        table.add_row(escape(name), *_counts([picture for picture in pictures if picture.folder == name]))
    console.print(table)


def _counts(pictures: Sequence[Picture]) -> list[str]:
    usable = [picture for picture in pictures if picture.usable]
    no_face = sum(picture.problem == NO_FACE for picture in pictures)
    other = sum(bool(picture.problem) for picture in pictures) - no_face
    unreadable = sum(bool(picture.unreadable) for picture in pictures)
    moments = len({picture.group for picture in usable})
    return [str(count) for count in (len(pictures), len(usable), moments, no_face, other, unreadable)]


def _save(faces: TrainingSet, fitted: Fit, network: Network, detector: str, path: Path) -> None:
    trained = Artifact(
        recipe=faces.recipe,
        pipeline=fitted.pipeline,
        gallery=fitted.gallery,
        calibration=fitted.calibration,
        report=fitted.report,
        data_sha256=faces.sha256,
        network=network.id,
        aligner=network.aligner,
        detector=detector,
    )
    artifact.save(trained, path)


def _summarize(fitted: Fit, path: Path, page: Path, console: Console) -> None:
    for name, value in fitted.report.items():
        console.print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}", highlight=False)
    console.print(f"Wrote {escape(str(path))}, {path.stat().st_size / 1e6:.2f} MB, and {escape(str(page))}")


if __name__ == "__main__":
    main()
