"""Train a model for the SVM recognizer: `python -m services.svm.train DIR --out MODEL.skops`.

DIR, or s3://BUCKET/PREFIX, has a folder of pictures per person. Every picture should show one face.
Unusable pictures are left out and listed, and a page beside the model reports what was measured. Exit code 2: nothing
was written, and standard error says why.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from services.runtime.errors import DomainError
from services.runtime.images.detector import FaceDetector
from services.runtime.images.folder import LeftOut, lines
from services.runtime.images.haar import HaarFaces
from services.svm import artifact
from services.svm.classifiers import SCALERS
from services.svm.model import Artifact
from services.svm.networks.network import Embedder, Network
from services.svm.networks.onnx_network import DLIB_SETTING, embedder_of
from services.svm.recipes.embedding import Embedding
from services.svm.recipes.recipe import RECIPES, Recipe, recipe_of
from services.svm.train import report, strangers, summary
from services.svm.train.cleaning import clean
from services.svm.train.dataset import TrainingSet, training_set, warnings
from services.svm.train.fit import Fit, fit, held_out_report
from services.svm.train.pictures import (
    FeatureExtractor,
    Picture,
    TrainingError,
    crops_among,
    find_pictures,
    local_folder,
)
from services.svm.train.strangers import Identification
from services.svm.train.summary import Training


def main(arguments: Sequence[str] | None = None) -> None:
    """Train; exit 2 and say what to change if that is impossible."""
    args = _parse(arguments)
    try:
        _check(args)
        with local_folder(args.source, args.s3_endpoint_url) as (folder, left_out):
            _train(folder, left_out, args, summary.console_of())
    except (TrainingError, OSError) as exc:
        summary.console_of(stderr=True).print(f"[red]Not trained.[/] {escape(str(exc))}")
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the measurements as JSON")
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
        "--crops",
        action=argparse.BooleanOptionalAction,
        help="whether the pictures are crops of faces, so that the whole of each is the face (default: they are if "
        "most of those in which a face is found are filled by it)",
    )
    parser.add_argument("--strict", action="store_true", help="refuse to train if anything would be left out")
    parser.add_argument(
        "--false-accepts",
        type=float,
        metavar="SHARE",
        help="maximum share of held-out strangers' faces that may be taken for a known person (default: 0.01 for the "
        "embedding recipe; for the others, which detect strangers poorly, whatever lets 95 %% of known faces through, "
        "and 0.05 that may count as identified)",
    )
    parser.add_argument("--s3-endpoint-url", help="URL of an S3-compatible server (default: Amazon S3)")
    args = parser.parse_args(arguments)
    args.detector = args.detector or ("haar" if args.recipe == "wavelet" else "yunet")
    if args.recipe == "embedding" and args.false_accepts is None:
        args.false_accepts = 0.01
    return args


def _train(folder: Path, not_copied: Sequence[LeftOut], args: argparse.Namespace, console: Console) -> None:
    embedder = _embedder(args)
    found, others = find_pictures(folder)
    left_out = [*not_copied, *others]
    _list(left_out, args, console)
    begin = time.perf_counter()
    pictures = clean(_extract(found, recipe_of(args.recipe, embedder), args))
    seconds = {"seconds_looking": round(time.perf_counter() - begin, 1)}
    unused = _unused(pictures, folder)
    _list(unused, args, console)
    _show(pictures, console)
    faces = training_set(pictures, args.recipe)
    fitted, identifications = _fit(faces, args)
    fitted.report.update({"crops": sum(picture.is_crop for picture in pictures if picture.usable)} | seconds)
    _save(faces, fitted, embedder.network, args)
    people, left_out = [person.display_name for person in faces.people], [*left_out, *unused]
    training = Training(_provenance(faces, args), pictures, left_out, people, fitted, identifications)
    _report(training, args, console)


def _fit(faces: TrainingSet, args: argparse.Namespace) -> tuple[Fit, list[Identification]]:
    begin = time.perf_counter()
    with summary.console_of(stderr=True).status("Cross-validating"):
        fitted = fit(faces, args.scaler, args.false_accepts)
        fitted.report.update(held_out_report(faces, args.scaler, args.false_accepts))
        identifications = strangers.identifications(faces, fitted.trials, fitted.calibration)
    fitted.report["seconds_fitting"] = round(time.perf_counter() - begin, 1)
    return fitted, identifications


def _list(left_out: Sequence[LeftOut], args: argparse.Namespace, console: Console) -> None:
    """Print what is left out. Raises TrainingError instead if that is not allowed."""
    if left_out and args.strict:
        raise TrainingError("\n".join(["--strict allows nothing to be left out.", *lines(left_out)]))
    for line in lines(left_out):
        console.print(line, markup=False)


def _report(training: Training, args: argparse.Namespace, console: Console) -> None:
    page = args.report or args.out.with_suffix(".html")
    report.write(page, training)
    if args.json:
        summary.write_json(training, args.json)
    summary.show(training, console)
    written = " and ".join(str(path) for path in (page, args.json) if path)
    console.print(f"Wrote {args.out}, {args.out.stat().st_size / 1e6:.2f} MB, and {written}", markup=False)


def _provenance(faces: TrainingSet, args: argparse.Namespace) -> dict[str, str]:
    packages = {package: version(package) for package in ("scikit-learn", "numpy")}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "marquee": _marquee_version(),
        "packages": ", ".join(f"{package} {number}" for package, number in packages.items()),
        "parameters": ", ".join(f"{name}={value}" for name, value in vars(args).items() if value is not None),
        "data_sha256": faces.sha256,
    }


def _marquee_version() -> str:
    try:
        return version("marquee")
    except PackageNotFoundError:  # run from a checkout or an image, where only its requirements are installed
        return "not installed"


def _check(args: argparse.Namespace) -> None:
    """Check before minutes are spent on the pictures."""
    if args.false_accepts is not None and not 0 <= args.false_accepts < 1:
        raise TrainingError(f"--false-accepts is {args.false_accepts}; it must be at least 0 and below 1.")
    for path in filter(None, (args.out, args.report, args.json)):
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


def _extract(found: Sequence[Picture], recipe: Recipe, args: argparse.Namespace) -> list[Picture]:
    haar, yunet = HaarFaces(), FaceDetector(turn=False)
    find = haar.find_as_published if args.detector == "haar" else lambda pixels: yunet.find(pixels).faces
    extractor = FeatureExtractor(find, recipe)
    with summary.progress() as progress:
        looking = progress.track(found, description="Finding faces")
        pictures = [extractor.extract(picture, is_crop=bool(args.crops)) for picture in looking]
    crops = set(crops_among(pictures) if args.crops is None else ())
    return [extractor.extract(picture, is_crop=True) if picture in crops else picture for picture in pictures]


def _unused(pictures: Sequence[Picture], folder: Path) -> list[LeftOut]:
    reasons = ((picture.path.relative_to(folder), picture.problem or picture.unreadable) for picture in pictures)
    return [LeftOut(path, reason) for path, reason in reasons if reason]


def _show(pictures: Sequence[Picture], console: Console) -> None:
    crops = sum(picture.is_crop for picture in pictures)
    if crops:
        console.print(f"face crops, whose whole is the face: {crops} of {len(pictures)} pictures")
    for warning in warnings(pictures):
        console.print(warning, markup=False)
    summary.show_pictures(pictures, console)


def _save(faces: TrainingSet, fitted: Fit, network: Network, args: argparse.Namespace) -> None:
    trained = Artifact(
        recipe=faces.recipe,
        pipeline=fitted.pipeline,
        gallery=fitted.gallery,
        calibration=fitted.calibration,
        report=fitted.report,
        data_sha256=faces.sha256,
        network=network.id,
        detector=args.detector,
        aligner=network.aligner if faces.recipe == Embedding.name else "",
    )
    artifact.save(trained, args.out)


if __name__ == "__main__":
    main()
