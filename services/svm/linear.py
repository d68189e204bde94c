"""A fitted scaler and LinearSVC in NumPy: importing scikit-learn takes a second and 60 MiB."""

from functools import reduce

import numpy as np
import numpy.typing as npt

from services.svm.archive import Stored

LINEAR_SVC = "sklearn.svm._classes.LinearSVC"
Numbers = npt.NDArray[np.float64]
_ZERO_LENGTH = 10 * np.finfo(np.float64).eps


class LinearPipeline:
    """What scikit-learn's Pipeline of the two is, with the same decisions to the last bit. Thread-safe."""

    def __init__(self, stored: Stored) -> None:
        (_, self._scaler), (_, classifier) = stored.state["steps"]
        self.stored = stored
        """scikit-learn's own, as it lies in the file."""
        self._weights = classifier.state["coef_"].T
        self._intercepts = classifier.state["intercept_"]
        self.classes_ = classifier.state["classes_"]
        self.n_features_in_ = classifier.state["n_features_in_"]

    def decision_function(self, features: Numbers) -> Numbers:
        """Return [n, people] for features [n, length]; for two people [n], above 0 for the second."""
        decisions = np.asarray(scaled(features, self._scaler) @ self._weights + self._intercepts)
        return decisions.ravel() if decisions.shape[1] == 1 else decisions


def scaled(features: Numbers, scaler: Stored) -> Numbers:
    """Return the features [n, length] as one of the trainer's scalers transforms them. Raises ValueError for others."""
    match scaler.type.rpartition(".")[2], scaler.state:
        case "StandardScaler", {"with_mean": True, "with_std": False, "mean_": mean}:
            return np.asarray(features - mean)
        case "StandardScaler", {"with_mean": True, "with_std": True, "mean_": mean, "scale_": scale}:
            return np.asarray((features - mean) / scale)
        case "MinMaxScaler", {"clip": False, "scale_": scale, "min_": least}:
            return np.asarray(features * scale + least)
        case "Normalizer", {"norm": "l2"}:
            return features / _lengths(features)
        case "Pipeline", {"steps": steps}:
            return reduce(lambda values, step: scaled(values, step[1]), steps, features)
        case "ColumnTransformer", {"transformers_": parts}:
            return np.hstack([scaled(features[:, columns], part) for _, part, columns in parts])
    raise ValueError(f"its scaler, {scaler.type}, is not one of the trainer's")


def _lengths(rows: Numbers) -> Numbers:
    """Return the lengths [n, 1] of rows [n, length], 1 for a row of zeros."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, np.newaxis]
    return np.where(lengths < _ZERO_LENGTH, 1, lengths)
