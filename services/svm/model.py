"""Names faces with a trained artifact, and by those who were enrolled since."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images.image import Pixels
from services.svm.artifact import Artifact
from services.svm.calibration import Sigmoid
from services.svm.decisions import decide_with
from services.svm.faces.detector import Face
from services.svm.gallery.snapshot import Enrolled
from services.svm.people import Person
from services.svm.recipes.recipe import Recipe

MOST_CANDIDATES = 5
_ENROLLED_SCORES = Sigmoid(0.0, -20.0, 12.0)
"""Even at 0.6, where dlib's authors draw the line between two people; 0.95 at 0.45, the median of one person's."""
Numbers = npt.NDArray[np.float64]


class Model:
    """Never changed; safe to share between threads."""

    def __init__(
        self,
        artifact: Artifact,
        recipe: Recipe,
        enrolled: Enrolled | None = None,
        enrolled_distance: float = 0.0,
    ) -> None:
        self._artifact = artifact
        self._recipe = recipe
        self._decide = decide_with(artifact.pipeline)
        self.enrolled = enrolled or Enrolled()
        self.enrolled_distance = enrolled_distance
        """The distance from enrolled faces beyond which a face is none of theirs."""
        self.name = artifact.recipe
        self.version = "+".join(filter(None, (artifact.version, self.enrolled.version)))

    def knowing(self, enrolled: Enrolled) -> "Model":
        """The same with others enrolled; it has judged once, so that its first call is no slower than the next."""
        model = Model(self._artifact, self._recipe, enrolled, self.enrolled_distance)
        model.candidates(np.zeros((self._recipe.asked, self._recipe.length)))
        return model

    @cached_property
    def people(self) -> dict[str, Person]:
        """All whose names a face may get, by person_id; an enrolled person's name goes before the trained one's."""
        both = (*self._artifact.gallery.people, *self.enrolled.gallery.people)
        return {person.person_id: person for person in both}

    @cached_property
    def trained_ids(self) -> set[str]:
        """Those of the artifact."""
        return {person.person_id for person in self._artifact.gallery.people}

    def views(self, pixels: Pixels, face: Face) -> Numbers:
        """The features [views, length] of a face of an RGB picture."""
        return self._recipe.views(pixels, face)

    def distances(self, vector: Numbers) -> dict[str, float]:
        """How far a face's features [length] are from each person's nearest, by person_id."""
        nearest: dict[str, float] = {}
        for gallery in (self._artifact.gallery, self.enrolled.gallery):
            for person, distance in zip(gallery.people, gallery.distances(vector[np.newaxis])[0], strict=True):
                nearest[person.person_id] = min(float(distance), nearest.get(person.person_id, np.inf))
        return nearest

    def candidates(self, views: Numbers) -> list[pb.Candidate]:
        """The people that a face with these views may be, at most five, best first; none when nobody known."""
        scores: dict[str, float] = {}
        for person, score in (*self._trained(views), *self._enrolled(views)):
            scores[person.person_id] = max(score, scores.get(person.person_id, 0))
        best = sorted(scores, key=lambda person_id: -scores[person_id])[:MOST_CANDIDATES]
        people = self.people if best else {}
        return [pb.Candidate(person_id=one, display_name=people[one].display_name, score=scores[one]) for one in best]

    def _trained(self, views: Numbers) -> Iterator[tuple[Person, float]]:
        """The likeliest of the people that the classifier knows, where one of them is near."""
        gallery, calibration = self._artifact.gallery, self._artifact.calibration
        decisions = self._decide(views).mean(axis=0, keepdims=True)
        compared = decisions if self._recipe.compares == "decisions" else views.mean(axis=0, keepdims=True)
        distances = gallery.distances(compared)
        if distances.min() <= calibration.threshold:
            scores = calibration.scores(decisions, distances)[0]
            for index in np.argsort(-scores, kind="stable")[:MOST_CANDIDATES]:
                yield gallery.people[index], float(scores[index])

    def _enrolled(self, views: Numbers) -> Iterator[tuple[Person, float]]:
        """The enrolled people who are near, nearest first."""
        gallery = self.enrolled.gallery
        if not gallery.people:
            return
        distances = gallery.distances(views.mean(axis=0, keepdims=True))[0]
        scores = _ENROLLED_SCORES.scores(np.zeros_like(distances), distances)
        for index in np.argsort(distances, kind="stable")[:MOST_CANDIDATES]:
            if distances[index] <= self.enrolled_distance:
                yield gallery.people[index], float(scores[index])
