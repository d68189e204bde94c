"""Expressions: what a query asks of a picture's terms, as PostgreSQL's tsquery. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.search.folding import fold
from services.library.search.terms import TermKind, among, hash_of, term
from services.runtime.errors import InvalidRequest

_MOST_PEOPLE = 1000
"""In a picture, which has no more faces."""
_MOST_TOGETHER = 16
"""People of `only` of whom each two are looked for in an index."""
_UNKNOWN = "'0'"
"""What no picture has."""


@dataclass(frozen=True)
class Expression:
    """What terms are asked for."""

    of_rows: str
    """Empty: none."""
    of_index: str
    """What an index can look for; empty: no term must be there. Both find the same but for `only`, where the index is
    told more, since for a row it is cheaper to look at the people one by one."""


class Meant(NamedTuple):
    """What entries of a query mean besides themselves."""

    categories: Mapping[str, Sequence[str]]
    """category_ids."""
    people: Mapping[str, Sequence[str]] = MappingProxyType({})
    """person_ids; those of `only` are entries by themselves."""


def expression(query: pb.PictureQuery, collection_id: int, meant: Meant) -> Expression:
    """Return what the query asks of terms. Raises InvalidRequest."""
    terms = _Terms(collection_id)

    def somebody(entry: str) -> str:
        return _any(terms.person(one) for one in dict.fromkeys((entry, *meant.people.get(entry, ()))))

    wanted = [
        *_of_filter(query.people, somebody),
        *_of_filter(query.labels, lambda name: terms.folded(TermKind.LABEL, name)),
        *_of_filter(query.recognizers, lambda name: terms.folded(TermKind.RECOGNIZER, name)),
        *_of_filter(query.categories, lambda name: terms.any_of(TermKind.CATEGORY, meant.categories.get(name, ()))),
        *_verdicts(query, terms),
        *_counts(*_bounds(query.people), terms),
    ]
    people = query.people.only
    of_rows = [*wanted, *([_somebody(people, terms)] if people else [])]
    of_index = [*wanted, *([_nobody_else(people, terms)] if people else [])]
    is_positive = any(not part.startswith("!") for part in of_index)
    return Expression(" & ".join(of_rows), " & ".join(of_index) if is_positive else "")


def only_hashes(people: Sequence[str], collection_id: int) -> tuple[list[str], list[str]]:
    """Return what the person_ids and what the names in terms of identities may be, if nobody else is to be there."""
    ids = [hash_of(term(TermKind.PERSON, collection_id, entry)) for entry in people if entry]
    names = [hash_of(term(TermKind.NAME, collection_id, fold(entry))) for entry in people if fold(entry)]
    return ids, names


def words_expression(beginnings: Iterable[str]) -> str:
    """Return the tsquery of words that begin so."""
    return " & ".join(f"'{beginning}':*" for beginning in beginnings)


class _Terms:
    """Terms of a collection, quoted."""

    def __init__(self, collection_id: int) -> None:
        self._collection_id = collection_id

    def one(self, kind: TermKind, value: object) -> str:
        return f"'{term(kind, self._collection_id, value)}'"

    def any_of(self, kind: TermKind, values: Iterable[object]) -> str:
        return _any(self.one(kind, value) for value in values)

    def folded(self, kind: TermKind, name: str) -> str:
        return self.one(kind, fold(name)) if fold(name) else _UNKNOWN

    def person(self, entry: str, count: int = 0) -> str:
        """Return somebody with this person_id or name, perhaps among so many."""
        own = [term(TermKind.PERSON, self._collection_id, entry)] * bool(entry)
        own += [term(TermKind.NAME, self._collection_id, fold(entry))] * bool(fold(entry))
        return _any(f"'{among(count, one) if count else one}'" for one in own)


def _of_filter(one: pb.TermFilter | pb.PeopleFilter, made: Callable[[str], str]) -> list[str]:
    parts = [made(entry) for entry in one.all_of]
    if one.any_of:
        parts.append(_any(made(entry) for entry in one.any_of))
    return parts + [f"!{made(entry)}" for entry in one.none_of]


def _verdicts(query: pb.PictureQuery, terms: _Terms) -> list[str]:
    known = set(recognizer_pb2.VerdictState.values()) - {recognizer_pb2.VERDICT_STATE_UNSPECIFIED}
    check_values(query.verdict_states, known, "query.verdict_states")
    return [terms.any_of(TermKind.VERDICT, set(query.verdict_states))] if query.verdict_states else []


def check_values(values: Iterable[int], known: Iterable[int], field: str) -> None:
    """Raise InvalidRequest for a value of an enumeration that is not known."""
    for value in values:
        if value not in known:
            raise InvalidRequest(f"{field} contains {value}, which the library does not know.", field=field)


def _somebody(people: Sequence[str], terms: _Terms) -> str:
    """Return what a picture must have in which there are none but these; it is all that it must if this is one."""
    return _any(terms.person(entry, int(len(people) == 1)) for entry in people)


def _nobody_else(people: Sequence[str], terms: _Terms) -> str:
    """Return more of what such a picture must have: one of them alone, or, among several, two at least."""
    if len(people) > _MOST_TOGETHER:
        return _somebody(people, terms)
    alone = [terms.person(entry, 1) for entry in people]
    together = [
        f"({terms.person(one, count)} & {terms.person(other, count)})"
        for count in range(2, len(people) + 1)
        for one, other in combinations(people, 2)
    ]
    return _any([*alone, *together])


def _bounds(people: pb.PeopleFilter) -> tuple[int, int]:
    count = people.count
    least = max(0, count.min) if count.HasField("min") else 0
    most = count.max if count.HasField("max") else _MOST_PEOPLE
    return least, min(most, _MOST_PEOPLE)


def _counts(least: int, most: int, terms: _Terms) -> list[str]:
    if (least, most) == (0, _MOST_PEOPLE):
        return []
    if most < _MOST_PEOPLE:
        return [terms.any_of(TermKind.COUNT, range(least, most + 1))]
    fewer = terms.any_of(TermKind.COUNT, range(min(least, _MOST_PEOPLE + 1)))
    return [terms.one(TermKind.PICTURE, ""), f"!{fewer}"]


def _any(parts: Iterable[str]) -> str:
    found = list(parts)
    return f"({' | '.join(found)})" if found else _UNKNOWN
