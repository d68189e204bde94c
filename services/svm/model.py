"""A trained model, and how it names faces together with those enrolled since."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.faces import Face
from services.runtime.images.image import Pixels
from services.svm.gallery.people import Gallery, Person, Snapshot
from services.svm.networks.network import DLIB, NetworkId
from services.svm.recipes.recipe import Recipe

MAX_CANDIDATES = 5
Numbers = npt.NDArray[np.float64]
Scored = tuple[Person, float]


@dataclass(frozen=True)
class Sigmoid:
    """1 / (1 + exp(-(decision * d + distance * x + intercept)))."""

    decision: float
    distance: float
    intercept: float

    def scores(self, decisions: Numbers, distances: Numbers) -> Numbers:
        """Return the scores, in the arrays' common shape."""
        # 10 is as far as the scores of some hundred faces can be trusted, and an infinite distance stays one.
        sums = self.decision * decisions + self.distance * np.minimum(distances, 1e6) + self.intercept
        return np.asarray(1 / (1 + np.exp(-np.clip(sums, -10, 10))))


_ENROLLED_SCORES = Sigmoid(0.0, -11.0, 12.0)
"""Of distances in distances of the network, which score 0.73. For dlib's: 0.5 at 0.6, where its authors draw the line
between two people, and 0.95 at 0.45, the median of one person's."""


@dataclass(frozen=True)
class Calibration:
    """How certain a name is. Scores mean the same in every recipe: how often a name with this score is right."""

    sigmoid: Sigmoid
    threshold: float
    """Distance beyond which a face is nobody's."""
    identify_score: float = 0.5
    """Score from which a candidate counts as identified: few strangers' reach it."""

    def scores(self, decisions: Numbers, distances: Numbers) -> Numbers:
        """Return the scores of decisions and distances [faces, people]."""
        return self.sigmoid.scores(decisions, distances)


@dataclass(frozen=True)
class Artifact:
    """A trained model and the report of its training."""

    recipe: str
    pipeline: Any
    """Scaler and classifier, scikit-learn's or a LinearPipeline; takes [faces, length], and its classes are 0, 1 …"""
    gallery: Gallery
    """Its people are the classifier's classes, in their order."""
    calibration: Calibration
    report: dict[str, Any]
    """What the trainer measured: faces, folds, accuracy, macro_f1 …"""
    data_sha256: str
    """SHA-256 of the training pictures and of whom they show."""
    version: str = ""
    """The first 12 digits of the file's SHA-256; empty before it is in a file."""
    network: NetworkId = DLIB.id
    """What the features of an embedding model come from."""
    detector: str = "haar"
    """What found the faces that it was trained on: "yunet" or "haar"."""
    aligner: str = "dlib"
    """What aligned them for the network: "dlib", "points" of the detector, or "" for recipes without a network."""


class Model:
    """Model that names faces. Immutable and thread-safe."""

    def __init__(
        self,
        artifact: Artifact,
        recipe: Recipe,
        enrolled: Snapshot | None = None,
        enrolled_distance: float = 0.0,
    ) -> None:
        self._artifact = artifact
        self._recipe = recipe
        self.enrolled = enrolled or Snapshot()
        self.enrolled_distance = enrolled_distance
        """Distance (L2) from enrolled faces beyond which a face is none of theirs."""
        self.name = artifact.recipe
        self.detector = artifact.detector if recipe.keeps_detector else "yunet"
        self.identify_score = artifact.calibration.identify_score
        self.network = recipe.network
        """What the features come from, if they are embeddings."""
        self.network_distance = recipe.network.l2() if recipe.network else np.inf
        """Distance (L2) beyond which the network takes two faces for two people's."""
        self.version = "+".join(filter(None, (artifact.version, self.enrolled.version)))

    def with_enrolled(self, enrolled: Snapshot) -> "Model":
        """Return the same model with others enrolled, warmed up so that its first call is no slower than the next."""
        model = Model(self._artifact, self._recipe, enrolled, self.enrolled_distance)
        model.candidates(np.zeros((1, self._recipe.view_count, self._recipe.length)))
        return model

    @cached_property
    def people(self) -> dict[str, Person]:
        """Everybody whom a face may show, by person_id; an enrolled person's name overrides the trained one's."""
        people = (*self._artifact.gallery.people, *self.enrolled.gallery.people)
        return {person.person_id: person for person in people}

    @cached_property
    def trained_ids(self) -> set[str]:
        """IDs of the people whom the artifact was trained on."""
        return {person.person_id for person in self._artifact.gallery.people}

    @cached_property
    def enrolled_ids(self) -> set[str]:
        """IDs of the people who were enrolled, be they trained, too."""
        return {person.person_id for person in self.enrolled.gallery.people}

    def views(self, pixels: Pixels, face: Face) -> Numbers:
        """Return the features [views, length] of a face in an RGB picture."""
        return self._recipe.views(pixels, face)

    def distances(self, vector: Numbers) -> dict[str, float]:
        """Return the distance of a face's features [length] to each person's nearest, by person_id."""
        nearest: dict[str, float] = {}
        for gallery in (self._artifact.gallery, self.enrolled.gallery):
            for person, distance in zip(gallery.people, gallery.distances(vector[np.newaxis])[0], strict=True):
                nearest[person.person_id] = min(float(distance), nearest.get(person.person_id, np.inf))
        return nearest

    def candidates(self, views: Numbers) -> list[list[pb.Candidate]]:
        """Return whom each face with these views [faces, views, length] may show, at most five people, best first.

        A stranger's face has none. All faces of a picture together, since scikit-learn takes 1 ms a call.
        """
        if not len(views):
            return []
        return [self._best(chain(*scores)) for scores in zip(self._trained(views), self._enrolled(views), strict=True)]

    def _best(self, scored: Iterable[Scored]) -> list[pb.Candidate]:
        scores: dict[str, float] = {}
        for person, score in scored:
            scores[person.person_id] = max(score, scores.get(person.person_id, 0))
        best = sorted(scores, key=lambda person_id: -scores[person_id])[:MAX_CANDIDATES]
        people = self.people if best else {}
        return [
            pb.Candidate(
                person_id=one,
                display_name=people[one].display_name,
                score=scores[one],
                enrolled=one in self.enrolled_ids,
            )
            for one in best
        ]

    def _trained(self, views: Numbers) -> Iterator[list[Scored]]:
        """Yield for each face the likeliest of the people whom the classifier knows, if any of them is near."""
        gallery, calibration = self._artifact.gallery, self._artifact.calibration
        decisions = mean_decisions(self._artifact.pipeline, views)
        distances = gallery.distances(decisions if self._recipe.compares == "decisions" else views.mean(axis=1))
        scores = calibration.scores(decisions, distances)
        for face, nearest in enumerate(distances.min(axis=1)):
            best = np.argsort(-scores[face], kind="stable")[:MAX_CANDIDATES] if nearest <= calibration.threshold else ()
            yield [(gallery.people[person], float(scores[face, person])) for person in best]

    def _enrolled(self, views: Numbers) -> Iterator[list[Scored]]:
        """Yield for each face the enrolled people who are near, nearest first."""
        gallery = self.enrolled.gallery
        distances = gallery.distances(views.mean(axis=1)) if gallery.people else np.empty((len(views), 0))
        scores = _ENROLLED_SCORES.scores(np.zeros_like(distances), distances / self.network_distance)
        for face, row in enumerate(distances):
            nearest = np.argsort(row, kind="stable")[:MAX_CANDIDATES]
            near = nearest[row[nearest] <= self.enrolled_distance]
            yield [(gallery.people[person], float(scores[face, person])) for person in near]


def mean_decisions(pipeline: Any, views: Numbers) -> Numbers:
    """Return [faces, people] for faces with views [faces, views, length]: the mean of their views' decisions."""
    decisions = decisions_of(pipeline, views.reshape(-1, views.shape[2]))
    return np.asarray(decisions.reshape(*views.shape[:2], -1).mean(axis=1))


def decisions_of(pipeline: Any, features: Numbers) -> Numbers:
    """Return [n, people] for features [n, length], higher for a likelier person; a forest's are probabilities."""
    if hasattr(pipeline, "decision_function"):
        return by_person(np.asarray(pipeline.decision_function(features)))
    return np.asarray(pipeline.predict_proba(features))


def by_person(decisions: Numbers) -> Numbers:
    """Return one column per person. For two people scikit-learn gives one number: above 0 is the second."""
    return np.column_stack([-decisions, decisions]) if decisions.ndim == 1 else decisions
