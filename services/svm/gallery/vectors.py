"""The known faces that a new one is compared with."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.svm.people import Person

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Gallery:
    """People and their faces as vectors. Never changed: a new one takes its place."""

    people: tuple[Person, ...]
    rows: Numbers
    """[faces, length]: embeddings, or in other recipes the classifier's decisions."""
    owners: npt.NDArray[np.int64]
    """[faces]: whose each row is, as an index of `people`."""

    def distances(self, vectors: Numbers) -> Numbers:
        """[n, length] to [n, people]: how far (L2) each vector is from each person's nearest face; inf for no face."""
        rows, squares, present, starts = self._by_person
        nearest = np.full((len(vectors), len(self.people)), np.inf)
        if len(rows):
            apart = (vectors**2).sum(axis=1, keepdims=True) + squares - 2 * vectors @ rows.T
            nearest[:, present] = np.sqrt(np.maximum(np.minimum.reduceat(apart, starts, axis=1), 0))
        return nearest

    @cached_property
    def _by_person(self) -> tuple[Numbers, Numbers, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The rows person by person, their squared lengths, who has any, and where each of those's begin."""
        order = np.argsort(self.owners, kind="stable")
        rows = self.rows[order]
        present, starts = np.unique(self.owners[order], return_index=True)
        return rows, (rows**2).sum(axis=1), present, starts
