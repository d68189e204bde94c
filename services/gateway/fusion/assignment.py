"""Which row goes with which column, so that the weights of all pairs together are the most. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from heapq import nlargest
from itertools import chain

_MAX_ROWS = 8
"""Maximum number of entangled rows that are assigned at their best, in well under a millisecond."""

Weights = Mapping[int, float]
"""Weights, more than 0, of the columns that a row may go with."""


def assign(rows: Sequence[Weights]) -> list[int | None]:
    """Return each row's column, None for a row without one; no two rows have the same.

    Where more rows are entangled than in real pictures, they choose one after the other, the heaviest first.
    """
    if len(rows) == 1:  # one face, as in most pictures
        return [max(rows[0], key=rows[0].__getitem__, default=None)]
    columns = list(chain.from_iterable(rows))
    if len(set(columns)) == len(columns) and all(len(row) <= 1 for row in rows):
        return [next(iter(row), None) for row in rows]
    assigned: list[int | None] = [None] * len(rows)
    for part in _components(rows):
        pairs = _best_pairs(rows, part) if len(part) <= _MAX_ROWS else _heaviest_first(rows, part)
        for row, column in pairs:
            assigned[row] = column
    return assigned


def _components(rows: Sequence[Weights]) -> Iterator[list[int]]:
    """Yield rows that compete for columns, directly or through others."""
    takers: dict[int, list[int]] = {}
    for row, weights in enumerate(rows):
        for column in weights:
            takers.setdefault(column, []).append(row)
    seen: set[int] = set()
    for first in range(len(rows)):
        if first in seen:
            continue
        part, seen_columns = [first], set[int]()
        seen.add(first)
        for row in part:  # which grows meanwhile
            for column in rows[row].keys() - seen_columns:
                seen_columns.add(column)
                part += (new := [other for other in takers[column] if other not in seen])
                seen.update(new)
        yield sorted(part)


def _heaviest_first(rows: Sequence[Weights], part: Sequence[int]) -> Iterator[tuple[int, int]]:
    taken = set[int]()
    for row in sorted(part, key=lambda row: -max(rows[row].values(), default=0)):
        free = [column for column in rows[row] if column not in taken]
        if free:
            column = max(free, key=rows[row].__getitem__)
            taken.add(column)
            yield row, column


def _best_pairs(rows: Sequence[Weights], part: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of the best assignment, by the Hungarian method; every row may also go with nothing, for 0."""
    best = [nlargest(len(part), rows[row], key=rows[row].__getitem__) for row in part]  # others take no more of them
    columns = sorted(set(chain.from_iterable(best)))
    costs = [[-rows[row].get(column, 0.0) for column in columns] + [0.0] * len(part) for row in part]
    for place, owner in enumerate(_owners(costs)[: len(columns)]):
        if owner is not None and columns[place] in rows[part[owner]]:
            yield part[owner], columns[place]


def _owners(costs: Sequence[Sequence[float]]) -> list[int | None]:
    """Return for each column the row that has it when the costs of all rows are the least.

    Rows are added one by one, each along the cheapest way on which the ones before make room (Kuhn, Munkres). There
    are at least as many columns as rows.
    """
    width = len(costs[0])
    owners: list[int | None] = [None] * width
    row_prices, column_prices = [0.0] * len(costs), [0.0] * width
    for first in range(len(costs)):
        slack, before = [math.inf] * width, [-1] * width
        left, used, rows, at = set(range(width)), list[int](), [first], -1
        while True:
            for column in left:
                reduced = costs[rows[-1]][column] - row_prices[rows[-1]] - column_prices[column]
                if reduced < slack[column]:
                    slack[column], before[column] = reduced, at
            at = min(left, key=lambda column: (slack[column], column))
            step = slack[at]
            for row in rows:
                row_prices[row] += step
            for column in used:
                column_prices[column] -= step
            for column in left:
                slack[column] -= step
            if (owner := owners[at]) is None:
                break
            left.remove(at)
            used.append(at)
            rows.append(owner)
        while at >= 0:
            owners[at] = first if before[at] < 0 else owners[before[at]]
            at = before[at]
    return owners
