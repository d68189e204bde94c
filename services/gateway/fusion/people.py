"""Which candidates of different recognizers are one person. Pure.

Enrolled people are told apart by their IDs, which mean the same in all recognizers. The IDs of others may differ from
recognizer to recognizer, so that names count, too; and a name may fit several enrolled people.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence

from marquee.v1 import recognizer_pb2 as pb

Person = tuple[str, str]
"""An ID, or a name without one; equal for candidates who are one person."""


def people_of(candidates: Sequence[pb.Candidate]) -> list[frozenset[Person]]:
    """Return whom each candidate may be: one person, or all enrolled ones whom a name without their IDs fits."""
    ids = [one.person_id for one in candidates]
    if len(set(ids)) <= 1:
        return [frozenset({(ids[0], "")})] * len(ids) if ids else []
    names = [_plain(one.display_name) for one in candidates]
    own = _joined((i, name) for i, name, one in zip(ids, names, candidates, strict=True) if not one.enrolled)
    enrolled = {one.person_id for one in candidates if one.enrolled}
    bearers: dict[str, set[Person]] = {}
    for i, name in zip(ids, names, strict=True):
        if i in enrolled:
            bearers.setdefault(own(name), set()).add((i, ""))
    return [
        frozenset({(i, "")} if i in enrolled else bearers.get(own(name), {("", own(name))}))
        for i, name in zip(ids, names, strict=True)
    ]


def are_one(candidates: Sequence[pb.Candidate]) -> bool:
    """Return whether all of them may be one person."""
    return bool(frozenset.intersection(*people_of(candidates)))


def _joined(people: Iterable[tuple[str, str]]) -> Callable[[str], str]:
    """Return what gives names that have an ID in common the same name."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while (parent := parents.get(name, name)) != name:
            name = parent
        return name

    first: dict[str, str] = {}
    for person_id, name in people:
        one, other = sorted((root(first.setdefault(person_id, name)), root(name)))
        parents[other] = one
    return root


def _plain(display_name: str) -> str:
    """Return the name without what makes no other person: case, spaces, underscores and invisible characters."""
    name = display_name
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)  # file names on macOS decompose accents
    if not name.isprintable():
        name = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")  # such as zero-width spaces
    return " ".join(name.replace("_", " ").casefold().split())
