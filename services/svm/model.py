"""Names faces with a trained artifact."""

import numpy as np

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.images import Pixels
from services.svm import wavelet
from services.svm.artifact import Artifact
from services.svm.calibration import by_person

MOST_CANDIDATES = 5


class Model:
    """An artifact in use. Safe to share between threads."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        self.name = artifact.recipe
        self.version = artifact.version

    def candidates(self, face: Pixels) -> list[pb.Candidate]:
        """The people that an RGB face may be, at most five, best first; none when it is nobody known."""
        decisions = self._artifact.pipeline.decision_function([wavelet.features(face)])
        scores = self._artifact.calibration.scores(by_person(decisions)[0])
        if scores.max() < self._artifact.calibration.threshold:
            return []
        return [self._candidate(index, scores[index]) for index in np.argsort(-scores)[:MOST_CANDIDATES]]

    def _candidate(self, index: int, score: float) -> pb.Candidate:
        person = self._artifact.people[index]
        return pb.Candidate(person_id=person.person_id, display_name=person.display_name, score=score)
