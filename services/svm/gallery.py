"""The known faces that a new one is compared with."""

from dataclasses import dataclass

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
        """[n, length] to [n, people]: how far (L2) each vector is from each person's nearest face."""
        apart = np.linalg.norm(vectors[:, np.newaxis] - self.rows, axis=2)
        each = [apart[:, self.owners == index].min(axis=1, initial=np.inf) for index in range(len(self.people))]
        return np.column_stack(each)

    def with_faces(self, person: Person, rows: Numbers) -> "Gallery":
        """A gallery that knows these faces of a person too, who may be new: a new one comes last."""
        known = [one.person_id for one in self.people]
        people = self.people if person.person_id in known else (*self.people, person)
        index = known.index(person.person_id) if person.person_id in known else len(known)
        owners = np.concatenate([self.owners, np.full(len(rows), index)])
        return Gallery(people, np.concatenate([self.rows, rows]), owners)
