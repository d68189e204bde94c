"""Open-set measures: how many known people are missed when no more than one of the strangers is named.

The terms are those of ISO/IEC 19795-1 and NIST's 1:N tests: FPIR is the share of searches with strangers that name
anybody, FNIR the share of searches with enrolled people that do not name the right one, at one threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from sklearn.covariance import ledoit_wolf

from services.svm.model import Calibration
from services.svm.recipes.recipe import RECIPES
from services.svm.train.calibration import Trial, best_scores, names
from services.svm.train.dataset import TrainingSet

GALLERIES = (10, 100, 1000)
"""People of the galleries that are measured, beside the gallery of all real people."""
FACES = 5
"""Most faces of a person in a gallery."""
_REPLICATES = 1000
_FACES_AT_ONCE = 500
_MOST_SEARCHES = 5000
"""More take minutes and gigabytes."""
Columns = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Identification:
    """What was measured with galleries of one size."""

    real: int
    """Real people in each gallery."""
    synthetic: int
    """Synthetic people beside them."""
    searches: int
    """Faces, one a moment, each of which is searched for both as a stranger's and as a known person's."""
    fnir: float
    """At the FPIR of 1 / searches: one stranger is named."""
    low: float
    """Lower end of the 95 % interval of FNIR."""
    high: float
    threshold: float
    """Nobody is named from this distance on; where scores are measured, up to this score."""

    @property
    def fpir(self) -> float:
        """The finest that these strangers support."""
        return 1 / self.searches

    @property
    def gallery(self) -> int:
        """People in each gallery."""
        return self.real + self.synthetic


def identifications(faces: TrainingSet, trials: Sequence[Trial], calibration: Calibration) -> list[Identification]:
    """Measure galleries of all real people, of as many synthetic ones in their place, and of GALLERIES.

    Each person is a stranger in turn to galleries without them, and real people come first. Faces are compared by
    distance, as enrolled ones are. Where a classifier's decisions are compared, it would have to be trained on the
    synthetic people: only the real ones are measured, by the scores that the model gives.
    """
    if RECIPES[faces.recipe].compares == "decisions":
        return [_by_score(faces, trials, calibration)] if trials else []
    chosen = _one_of_each_moment(faces)
    vectors = faces.features[chosen, : RECIPES[faces.recipe].view_count].mean(axis=1)
    owners = np.unique(faces.owners[chosen], return_inverse=True)[1]
    real = int(owners.max())  # one of them is the stranger
    runs = [(real, 0), (0, real), *((min(size, real), max(0, size - real)) for size in GALLERIES)]
    searches = _Searches(vectors, owners, max(synthetic for _, synthetic in runs))
    return [searches.identify(*run) for run in runs]


def _by_score(faces: TrainingSet, trials: Sequence[Trial], calibration: Calibration) -> Identification:
    """Measure the model's scores, of known people and strangers by the same models."""
    columns = np.full(len(faces.owners), -1)
    columns[_one_of_each_moment(faces)] = 0
    strange = np.concatenate([trial.faces[trial.strange] for trial in trials])  # of many people, not each is one
    chosen = np.array([face for face in strange if not columns[face]])
    columns[chosen] = np.arange(len(chosen))
    strangers, reached, known = np.empty(len(chosen)), [], []
    for trial in trials:
        distances = 1 - best_scores(calibration, trial)
        searched = columns[trial.faces] >= 0
        strangers[columns[trial.faces[trial.strange & searched]]] = distances[trial.strange & searched]
        right = names(calibration, trial) == trial.owners
        reached.append(np.where(right, distances, np.inf)[~trial.strange & searched])
        known.append(columns[trial.faces[~trial.strange & searched]])
    weights = _resampled(np.unique(faces.owners[chosen], return_inverse=True)[1])
    measured = _identification(
        (len(faces.people) - 1, 0), strangers, np.concatenate(reached), weights, np.concatenate(known)
    )
    return replace(measured, threshold=1 - measured.threshold)


def _one_of_each_moment(faces: TrainingSet) -> Columns:
    """Return a face of each moment, since near-duplicates are no searches of their own; of very many, some."""
    random = np.random.default_rng(0)
    _, first = np.unique(faces.groups, return_index=True)
    people = random.permutation(np.unique(faces.owners))[: max(GALLERIES) + 1]
    most = _MOST_SEARCHES // len(people)
    own = (random.permutation(first[faces.owners[first] == person])[:most] for person in people)
    return np.concatenate(list(own))


class _Searches:
    """Distances of every face to its own person, to the other real people and to synthetic ones."""

    def __init__(self, vectors: Numbers, owners: Columns, synthetic: int) -> None:
        self._owners = owners
        people = [vectors[owners == person] for person in range(owners.max() + 1)]
        self._own = np.empty(len(owners))
        for person, own in enumerate(people):
            self._own[owners == person] = _to_others(own)
        self._real = _to_each(vectors, [own[:FACES] for own in people])
        self._synthetic = _to_each(vectors, _synthetic_people(people, synthetic))
        self._weights = _resampled(owners)

    def identify(self, real: int, synthetic: int) -> Identification:
        """Measure galleries of so many real and synthetic people."""
        strangers = self._nearest(real, synthetic)
        others = self._nearest(real - 1, synthetic) if real else self._nearest(0, synthetic - 1)
        reached = np.where(self._own < others, self._own, np.inf)  # if another is nearer, no threshold helps
        return _identification((real, synthetic), strangers, reached, self._weights, np.arange(len(reached)))

    def _nearest(self, real: int, synthetic: int) -> Numbers:
        """Return [faces]: the distance to the nearest of so many others, the real ones after each face's own person."""
        people = self._real.shape[1]
        after = (self._owners[:, np.newaxis] + 1 + np.arange(real)) % people
        distances = [np.take_along_axis(self._real, after, axis=1), self._synthetic[:, :synthetic]]
        return np.asarray(np.hstack(distances).min(axis=1, initial=np.inf))


def _identification(
    people: tuple[int, int], strangers: Numbers, reached: Numbers, weights: Numbers, known: Columns
) -> Identification:
    """Find the threshold, and FNIR there, for galleries of so many real and synthetic people.

    `strangers` [n] and `reached` [m] are distances to the nearest person and to oneself, `weights` [rows, n] how often
    each of the n faces is drawn, and `known` [m] whose of those faces `reached` are.
    """
    (threshold,), (fnir,) = _miss_rates(strangers, reached, np.ones((1, len(strangers))), known)
    low, high = np.quantile(_miss_rates(strangers, reached, weights, known)[1], [0.025, 0.975]).tolist()
    return Identification(*people, len(strangers), fnir, low, high, threshold)


def _miss_rates(
    strangers: Numbers, reached: Numbers, weights: Numbers, known: Columns
) -> tuple[list[float], list[float]]:
    """Return the threshold, nearer than which strangers weigh 1 in n at most, and FNIR, for each row of weights."""
    order = np.argsort(strangers)
    allowed = np.maximum(1, weights.mean(axis=1, keepdims=True)) + 1e-9
    passed = np.cumsum(weights[:, order], axis=1) > allowed
    thresholds = np.where(passed.any(axis=1), strangers[order][passed.argmax(axis=1)], np.inf)
    order = np.argsort(reached)
    found = np.pad(np.cumsum(weights[:, known[order]], axis=1), ((0, 0), (1, 0)))
    hits = found[np.arange(len(weights)), np.searchsorted(reached[order], thresholds)]
    return thresholds.tolist(), (1 - hits / np.maximum(1, found[:, -1])).tolist()


def _resampled(owners: Columns) -> Numbers:
    """Return [replicates, faces]: how often each is drawn, first people with replacement, then faces of each."""
    random = np.random.default_rng(0)
    counts = np.bincount(owners)
    people = random.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), _REPLICATES)
    weights = np.empty((_REPLICATES, len(owners)))
    for person, count in enumerate(counts):
        weights[:, owners == person] = random.multinomial(people[:, person] * count, np.full(count, 1 / count))
    return weights


def _to_others(own: Numbers) -> Numbers:
    """Return the distance of each of a person's faces to the nearest of the first others; inf if it is the only one."""
    distances = cdist(own, own)
    np.fill_diagonal(distances, np.inf)
    order = np.arange(len(own))
    distances[:, FACES:] = np.where(
        (order[FACES:] == FACES) & (order[:, np.newaxis] < FACES), distances[:, FACES:], np.inf
    )
    return np.asarray(distances.min(axis=1))


def _to_each(vectors: Numbers, people: Sequence[Numbers]) -> Numbers:
    """Return [faces, people]: the distance to each person's nearest face."""
    if not people:
        return np.empty((len(vectors), 0))
    starts = np.cumsum([0, *(len(own) for own in people[:-1])])
    rows = np.vstack(people)
    parts = np.array_split(vectors, max(1, len(vectors) // _FACES_AT_ONCE))
    return np.vstack([np.minimum.reduceat(cdist(part, rows), starts, axis=1) for part in parts])


def _synthetic_people(people: Sequence[Numbers], count: int) -> list[Numbers]:
    """Draw people whose means spread like the real ones', and whose faces lie around them like a real person's.

    The means of a few people span few directions of the space: the fewer they are, the more of the spread between
    people goes into the directions of the spread within one, which is known from many more faces.
    """
    random = np.random.default_rng(0)
    sizes = np.array([len(own) for own in people])
    means = np.array([own.mean(axis=0) for own in people])
    around = np.vstack([own - mean for own, mean in zip(people, means, strict=True)])
    within = ledoit_wolf(around, assume_centered=True)[0] * len(around) / max(1, len(around) - len(people))
    raw, total = np.cov(means.T), float(np.trace(within))
    spread = max(0.0, float(np.trace(raw)) - total * float(np.mean(1 / sizes)))  # means of few faces spread by chance
    spread *= 1 + 1 / len(people)  # and so does their middle
    share = (len(people) - 1) / (len(people) - 1 + total**2 / float((within**2).sum()))
    between = spread * (share * raw / np.trace(raw) + (1 - share) * within / total)
    centres = random.multivariate_normal(means.mean(axis=0), between, count, method="eigh")
    shape = (count, int(np.median(np.minimum(sizes, FACES))))
    return list(centres[:, np.newaxis] + random.multivariate_normal(0 * centres[0], within, shape, method="eigh"))
