"""From an SVC's decisions to scores of 0 to 1, and the score below which a face is nobody's."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """One sigmoid for all people: score = 1 / (1 + exp(-(slope * decision + intercept)))."""

    slope: float
    intercept: float
    threshold: float
    """A face whose best score is lower is nobody that the model knows."""

    def scores(self, decisions: Numbers) -> Numbers:
        """The scores of decisions of any shape. A person's score does not depend on the others'."""
        return 1 / (1 + np.exp(-np.clip(self.slope * decisions + self.intercept, -50, 50)))


def calibrate(decisions: Numbers, people: npt.NDArray[np.int64], keep: float) -> Calibration:
    """Fits the sigmoid on decisions [faces, people] of models that have not seen the faces.

    `people` holds each face's person as a column of the decisions. `keep` is the share of the rightly
    named faces whose score reaches the threshold. The threshold knows no strangers: it says how unlike
    its person a face may be, not how many strangers pass.
    """
    own = np.eye(decisions.shape[1], dtype=bool)[people]
    slope, intercept = _sigmoid(decisions.ravel(), own.ravel())
    right = decisions[own & (decisions.argmax(axis=1) == people)[:, np.newaxis]]
    scores = Calibration(slope, intercept, threshold=0).scores(right)
    return Calibration(slope, intercept, float(np.quantile(scores, 1 - keep)) if len(scores) else 1.0)


def by_person(decisions: Numbers) -> Numbers:
    """One column a person. Between two people scikit-learn gives one number: above 0 is the second."""
    return np.column_stack([-decisions, decisions]) if decisions.ndim == 1 else decisions


def _sigmoid(decisions: Numbers, own: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Platt's fit: targets a little inside 0 and 1, by the weights of a decision counted as both."""
    yes, no = int(own.sum()), int((~own).sum())
    share = np.where(own, (yes + 1) / (yes + 2), 1 / (no + 2))
    counted = np.concatenate([decisions, decisions]).reshape(-1, 1)
    target = np.repeat([1, 0], len(decisions))
    fit = LogisticRegression(C=1e6).fit(counted, target, sample_weight=np.concatenate([share, 1 - share]))
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])
