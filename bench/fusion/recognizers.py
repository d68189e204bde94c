"""Train three recognizers that really differ, and keep what they answer about faces that none of them has seen.

usage: PYTHONPATH=. python bench/fusion/recognizers.py ../shared/data/actors ANSWERS.json [--train-python PYTHON]

Five grouped folds: in each run three are trained on and two are answered about, all pairs in turn, and one actor in
turn is a stranger to all three recognizers: an SVM on hog-lbp, one on wavelets, and a Keras network. Takes about ten
minutes; measure.py reads ANSWERS.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.append(str(Path(__file__).parents[1]))
from sklearn.model_selection import StratifiedGroupKFold
from svm_actors import labelled_faces, training_set_of

from services.keras.assets import Assets
from services.keras.results import result_of
from services.svm.model import Artifact, Model
from services.svm.recipes.recipe import RECIPES
from services.svm.train.dataset import TrainingSet
from services.svm.train.fit import fit

FOLDS = 5
_SVMS = ("hog-lbp", "wavelet")
_KERAS_SCORES = Path(__file__).with_name("keras_scores.py")
Columns = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """One division of the faces, and the actor whom the recognizers do not know."""

    folds: tuple[int, int]
    """Those that are not trained on."""
    stranger: int
    train: Columns
    rest: Columns


def main() -> None:
    """Train, answer and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--train-python", default=".venv-train/bin/python")
    args = parser.parse_args()
    faces = labelled_faces(args.folder)
    sets = {recipe: training_set_of(faces, recipe) for recipe in _SVMS}
    hog_lbp = sets["hog-lbp"]
    runs = list(runs_of(hog_lbp))
    with tempfile.TemporaryDirectory() as folder:
        keras = _start_keras(args.train_python, Path(folder), [str(face.crop) for face in faces], hog_lbp, runs)
        svms = [{recipe: _svm(training, run) for recipe, training in sets.items()} for run in _shown(runs)]
        if keras.wait():
            raise SystemExit("The Keras networks could not be trained.")
        networks = json.loads((Path(folder) / "scores.json").read_text())
    people = [person.display_name for person in hog_lbp.people]
    answers = [
        _told(run, {**own, "keras": _keras(scores, people, run)})
        for run, own, scores in zip(runs, svms, networks, strict=True)
    ]
    told = {"people": people, "owners": hog_lbp.owners.tolist(), "groups": hog_lbp.groups.tolist(), "runs": answers}
    args.answers.write_text(json.dumps(told | {"folds": [part.tolist() for part in parts_of(hog_lbp)]}))


def parts_of(faces: TrainingSet) -> list[Columns]:
    """Return the faces of each fold."""
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    return [test for _, test in splitter.split(faces.owners, faces.owners, faces.groups)]


def runs_of(faces: TrainingSet) -> Iterator[Run]:
    """Yield a run for each pair of folds and each stranger."""
    parts = parts_of(faces)
    for pair in combinations(range(FOLDS), 2):
        train = np.concatenate([part for number, part in enumerate(parts) if number not in pair])
        for stranger in range(len(faces.people)):
            known = np.sort(train[faces.owners[train] != stranger])
            yield Run(pair, stranger, known, np.concatenate([parts[fold] for fold in pair]))


def _svm(faces: TrainingSet, run: Run) -> dict[str, Any]:
    """Train on the run's part; return the candidates of the others."""
    fitted = fit(only(faces, run.train))
    recipe = RECIPES[faces.recipe]()
    model = Model(Artifact(faces.recipe, fitted.pipeline, fitted.gallery, fitted.calibration, {}, ""), recipe)
    views = faces.features[:, : recipe.view_count]
    candidates = {face: _pairs(model.candidates(views[face : face + 1])[0]) for face in run.rest.tolist()}
    return {"identify_score": model.identify_score, "candidates": candidates}


def only(faces: TrainingSet, chosen: Columns) -> TrainingSet:
    """Return some of the faces, and nobody who has none of them."""
    part = faces.part(chosen)
    known = sorted(set(part.owners.tolist()))
    return TrainingSet(
        faces.recipe,
        part.features,
        np.searchsorted(known, part.owners),
        np.unique(part.groups, return_inverse=True)[1],
        tuple(faces.people[person] for person in known),
    )


def _start_keras(
    python: str, folder: Path, crops: Sequence[str], faces: TrainingSet, runs: Sequence[Run]
) -> subprocess.Popen[bytes]:
    jobs = [
        [run.train[faces.owners[run.train] == person].tolist() for person in _known(run, len(faces.people))]
        for run in runs
    ]
    work = {"crops": crops, "groups": [str(group) for group in faces.groups], "jobs": jobs}
    (folder / "jobs.json").write_text(json.dumps(work))
    return subprocess.Popen([python, _KERAS_SCORES, folder / "jobs.json", folder / "scores.json"])


def _keras(network: Any, people: Sequence[str], run: Run) -> dict[str, Any]:
    labels = [people[person] for person in _known(run, len(people))]
    assets = Assets(labels=labels, threshold=network["threshold"], kind="identity")
    scores = np.array(network["scores"], np.float32)
    results = {face: result_of(scores[face : face + 1], None, assets) for face in run.rest.tolist()}
    return {
        "identify_score": network["threshold"],
        "candidates": {face: _pairs(result.image_candidates) for face, result in results.items()},
    }


def _known(run: Run, people: int) -> list[int]:
    return [person for person in range(people) if person != run.stranger]


def _pairs(candidates: Any) -> list[tuple[str, float]]:
    pairs = [(candidate.display_name, candidate.score) for candidate in candidates]
    return sorted(pairs, key=lambda pair: -pair[1])


def _told(run: Run, recognizers: dict[str, Any]) -> dict[str, Any]:
    return {"folds": run.folds, "stranger": run.stranger, "recognizers": recognizers}


def _shown(runs: Sequence[Run]) -> Iterator[Run]:
    for number, run in enumerate(runs, 1):
        print(f"SVMs of run {number} of {len(runs)}", file=sys.stderr, flush=True)
        yield run


if __name__ == "__main__":
    main()
