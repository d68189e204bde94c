"""The held-out test: a fifth of the faces, never shown to the model that names them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold

from services.svm.artifact import Artifact
from services.svm.model import Model
from services.svm.recipes.recipe import RECIPES
from services.svm.train.dataset import TrainingError, TrainingSet
from services.svm.train.fit import fit

_PARTS = 5


@dataclass(frozen=True)
class HeldOut:
    """How a model of the other faces named these."""

    owners: list[str]
    names: list[str]
    """person_ids; "" where the face was nobody's."""

    def report(self) -> dict[str, Any]:
        """Numbers for the artifact."""
        named = [name == owner for name, owner in zip(self.names, self.owners, strict=True)]
        macro = f1_score(self.owners, self.names, labels=sorted(set(self.owners)), average="macro", zero_division=0)
        return {
            "held_out_faces": len(named),
            "held_out_accuracy": float(np.mean(named)),
            "held_out_macro_f1": float(macro),
            "held_out_unknown": float(np.mean([not name for name in self.names])),
        }


def held_out_test(faces: TrainingSet, scaler: str, false_accepts: float | None) -> HeldOut | None:
    """Fits on four fifths of the groups and names the rest. None where too few groups are there for it."""
    splitter = StratifiedGroupKFold(_PARTS, shuffle=True, random_state=0)
    if min(len(np.unique(faces.groups[faces.owners == one])) for one in np.unique(faces.owners)) < _PARTS:
        return None
    train, test = next(splitter.split(faces.owners, faces.owners, faces.groups))
    try:
        fitted = fit(faces.part(train), scaler, false_accepts)
    except TrainingError:
        return None
    model = Model(
        Artifact(faces.recipe, fitted.pipeline, fitted.gallery, fitted.calibration, {}, ""), RECIPES[faces.recipe]()
    )
    asked = RECIPES[faces.recipe].asked
    best = [model.candidates(faces.features[one, :asked])[:1] for one in test]
    owners = [faces.people[owner].person_id for owner in faces.owners[test]]
    return HeldOut(owners, [found[0].person_id if found else "" for found in best])
