"""Trials: what a recognizer says of people who are in pictures, and of people who are not. Needs NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.evaluation.measures import Flags, Numbers
from services.gateway.evaluation.pictures import weights_of
from services.gateway.evaluation.survey import Answer, best_candidate, candidates_of, is_person, result_of

TRAINED, ENROLLED, EITHER = 0, 1, 2
"""Kinds of people: scores are made in different ways for those whom a model was trained on, and those enrolled since.
EITHER is nobody: silence counts for both."""
Columns = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Subject:
    """The answers to measure on."""

    answers: Sequence[Answer]

    @cached_property
    def weights(self) -> Numbers:
        """[answers]: one a moment."""
        return np.array(weights_of([answer.moment for answer in self.answers]))

    @cached_property
    def strange(self) -> Flags:
        """[answers]: which are strangers'."""
        return np.array([not answer.person for answer in self.answers])

    def moments(self, *, strange: bool) -> float:
        """Return the number of moments of strangers, or of known people."""
        return float(self.weights[self.strange == strange].sum())


@dataclass(frozen=True)
class Voice:
    """What one recognizer, or the fusion of all, says of each answer's picture."""

    scores: Numbers
    """[answers]: of the name; NaN for silence."""
    right: Flags
    """[answers]: whether the name is that of the person in the picture."""
    kinds: Columns
    """[answers]: of the person who is named."""
    own_kinds: Columns
    """[answers]: of the person who is in the picture."""

    @classmethod
    def of(cls, subject: Subject, recognizer: str) -> "Voice":
        """Return what a recognizer says."""
        results = [result_of(answer, recognizer) for answer in subject.answers]
        best = [best_candidate(result) if result else None for result in results]
        people = [answer.person for answer in subject.answers]
        enrolled = {
            person: candidate.enrolled
            for person, result in zip(people, results, strict=True)
            for candidate in (candidates_of(result) if person and result else ())
            if is_person(candidate, person)
        }
        return cls(
            np.array([one.score if one else np.nan for one in best]),
            np.array([one is not None and is_person(one, own) for one, own in zip(best, people, strict=True)]),
            np.array([int(one.enrolled) if one else EITHER for one in best]),
            np.array([int(enrolled[person]) if person in enrolled else EITHER for person in people]),
        )


@dataclass(frozen=True)
class Trials:
    """Whether scores are of people who are in the picture, [trials]."""

    scores: Numbers
    """NaN for silence."""
    targets: Flags
    """Whether the person is in the picture."""
    weights: Numbers
    """One a moment."""
    kinds: Columns
    answers: Columns
    """Numbers of the answers that they are about."""

    @classmethod
    def of(cls, subject: Subject, voice: Voice) -> "Trials":
        """Return the trials of a voice.

        A known person's picture is one of that person; taken for another, it is one of somebody not in it, too, as
        every stranger's is.
        """
        known = np.flatnonzero(~subject.strange)
        others = np.flatnonzero(subject.strange | (~np.isnan(voice.scores) & ~voice.right))
        answers = np.concatenate([known, others])
        own = np.where(voice.right[known], voice.scores[known], np.nan)
        return cls(
            scores=np.concatenate([own, voice.scores[others]]),
            targets=np.arange(len(answers)) < len(known),
            weights=subject.weights[answers],
            kinds=np.concatenate([voice.own_kinds[known], voice.kinds[others]]),
            answers=answers,
        )

    @property
    def named(self) -> Flags:
        """Which are no silence."""
        return ~np.isnan(self.scores)

    def part(self, chosen: Flags) -> "Trials":
        """Return some of the trials."""
        return Trials(*(values[chosen] for values in vars(self).values()))

    def of_kind(self, kind: int) -> "Trials":
        """Return those of one kind of people, and the silence that counts for it."""
        return self.part((self.kinds == kind) | (self.kinds == EITHER))


def without_person(answer: Answer) -> Answer:
    """Return what the recognizers would say if they did not know whom the picture shows: a stranger's answer."""
    response = pb.RecognizeImageResponse()
    response.CopyFrom(answer.response)
    for result in response.results:
        for candidates in (*(face.candidates for face in result.faces), result.image_candidates):
            kept = [one for one in candidates if not is_person(one, answer.person)]
            del candidates[:]
            candidates.extend(kept)
    return Answer(replace(answer.picture, person=""), response)
