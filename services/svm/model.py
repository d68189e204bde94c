"""Names faces with a trained artifact."""

import numpy as np
import numpy.typing as npt

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images import Pixels
from services.svm.artifact import Artifact
from services.svm.decisions import decide_with
from services.svm.faces import Face
from services.svm.gallery import Gallery
from services.svm.recipes import Recipe

MOST_CANDIDATES = 5
Numbers = npt.NDArray[np.float64]


class Model:
    """An artifact in use. Safe to share between threads."""

    def __init__(self, artifact: Artifact, recipe: Recipe) -> None:
        self._artifact = artifact
        self._recipe = recipe
        self._decide = decide_with(artifact.pipeline)
        self.name = artifact.recipe
        self.version = artifact.version
        self.gallery = artifact.gallery
        """May be replaced by one that knows more people, behind those of the artifact."""

    def views(self, pixels: Pixels, face: Face) -> Numbers:
        """The features [views, length] of a face of an RGB picture."""
        return self._recipe.views(pixels, face)

    def candidates(self, views: Numbers) -> list[pb.Candidate]:
        """The people that a face with these views may be, at most five, best first; none when nobody known."""
        gallery = self.gallery
        scores, nearest = self.judge(views, gallery)
        if nearest > self._artifact.calibration.threshold:
            return []
        best = np.argsort(-scores, kind="stable")[:MOST_CANDIDATES]
        return [_candidate(gallery, index, scores[index]) for index in best]

    def judge(self, views: Numbers, gallery: Gallery) -> tuple[Numbers, float]:
        """Every person's score, and the distance to the nearest known face."""
        decisions = self._decide(views).mean(axis=0, keepdims=True)
        compared = decisions if self._recipe.compares == "decisions" else views.mean(axis=0, keepdims=True)
        distances = gallery.distances(compared)
        return self._artifact.calibration.scores(decisions, distances)[0], float(distances.min())


def _candidate(gallery: Gallery, index: int, score: float) -> pb.Candidate:
    person = gallery.people[index]
    return pb.Candidate(person_id=person.person_id, display_name=person.display_name, score=score)
