"""Traits: what tells somebody in what recognizers have said, and taking them out of it. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from marquee.v1 import recognizer_pb2 as pb
from services.library.people.opinions import external_id
from services.library.search.folding import fold


class Traits(NamedTuple):
    """What somebody is told by."""

    person_ids: tuple[str, ...]
    """Theirs, and those of whom was merged into them."""
    external_ids: tuple[str, ...]
    """What recognizers call them."""
    names: tuple[str, ...]
    """As they were written, aliases and earlier ones among them."""
    namesakes: tuple[str, ...] = ()
    """What recognizers call others of the same name."""

    @classmethod
    def of(cls, kept: Mapping[str, Sequence[str]]) -> "Traits":
        """Return those that were kept as JSON."""
        return cls(*(tuple(kept[name]) for name in cls._fields))

    @property
    def needles(self) -> list[str]:
        """What rows that name them have in them."""
        ids = (one for one in self.external_ids if not one.startswith("="))
        return [one for one in dict.fromkeys((*self.person_ids, *ids, *self.names)) if one]

    def match(self, candidate: pb.Candidate) -> bool:
        """Return whether it is them: by their identifier, or by their name if that is nobody else's."""
        key = external_id(candidate)
        if key in self.person_ids or key in self.external_ids:
            return True
        folded = {fold(name) for name in self.names}
        return fold(candidate.display_name) in folded and key not in self.namesakes


IsTheirs = Callable[[pb.Candidate], bool]


def strip_result(result: pb.RecognizerResult, is_theirs: IsTheirs) -> bool:
    """Take somebody out of what a recognizer said; return whether they were in it."""
    changed = _drop(result.image_candidates, is_theirs)
    for face in result.faces:
        if _drop(face.candidates, is_theirs):
            face.ClearField("embedding")
            changed = True
    return changed


def strip_verdict(verdict: pb.Verdict, is_theirs: IsTheirs) -> bool:
    """Take somebody out of a verdict, which then names nobody; return whether they were in it."""
    kept = [one for one in verdict.support if not is_theirs(one.candidate)]
    changed = len(kept) < len(verdict.support)
    named = pb.Candidate(person_id=verdict.person_id, display_name=verdict.display_name)
    if (named.person_id or named.display_name) and is_theirs(named):
        verdict.CopyFrom(pb.Verdict(box=verdict.box if verdict.HasField("box") else None, state=_UNKNOWN))
        return True
    if changed:
        del verdict.support[:]
        verdict.support.extend(kept)
    return changed


def candidates_of(
    results: Iterable[pb.RecognizerResult], verdicts: Iterable[pb.Verdict] = ()
) -> Iterable[pb.Candidate]:
    """Yield all whom results and verdicts name."""
    for result in results:
        yield from result.image_candidates
        for face in result.faces:
            yield from face.candidates
    for verdict in verdicts:
        yield pb.Candidate(person_id=verdict.person_id, display_name=verdict.display_name)
        yield from (one.candidate for one in verdict.support)


_UNKNOWN = pb.VERDICT_STATE_UNKNOWN


def _drop(candidates: Any, is_theirs: IsTheirs) -> bool:
    kept = [one for one in candidates if not is_theirs(one)]
    if len(kept) == len(candidates):
        return False
    del candidates[:]
    candidates.extend(kept)
    return True
