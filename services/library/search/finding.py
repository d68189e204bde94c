"""Finding: a page of a query's pictures in an order, in bounded time whatever the query.

Where many pictures fit, the first of them are met soon on a walk through all in their order. Where few do, an index
leads to them, and they are sorted. Which of both it is, no statistics tell: terms are not independent of each other.
So both are tried, each with a bound on the rows that it reads. Where neither ends, such as for what nearly every
picture lacks, a page may be short; the next one goes on from where the walk ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from services.library.database.tables import picture
from services.library.search.conditions import Conditions, conditions
from services.library.search.paging import Order, Place

PROBE = 4_000
"""Pictures that are walked through before an index is asked."""
FURTHER = 5
"""Times as many that are walked through if that has found as large a part of a page."""
WALK = 20_000
"""Pictures that are walked through for a page."""
MOST_SORTED = 120_000
"""Pictures that an index may lead to."""


@dataclass(frozen=True)
class Paging:
    """Which page."""

    order: Order
    size: int
    """Pictures that it has at most."""
    after: Place | None = None
    """What it follows; None: it is the first."""


@dataclass(frozen=True)
class Page:
    """Pictures in their order."""

    places: Sequence[Place]
    end: Place | None
    """What the next page follows; None: there is none."""


async def find(
    connection: AsyncConnection,
    collection_id: int,
    query: pb.PictureQuery,
    pages: Paging,
) -> Page:
    """Return a page of pictures. Raises InvalidRequest.

    A page with fewer pictures, even none, is the last only if it has no `end`. All calls for one page need a
    connection that sees the database as it was at one moment.
    """
    wanted = await conditions(connection, collection_id, query, pages.order)
    return await _Search(connection, wanted, pages.order, pages.size).page(pages.after)


class _Search:
    def __init__(self, connection: AsyncConnection, wanted: Conditions, order: Order, size: int) -> None:
        self._connection = connection
        self._wanted = wanted
        self._order = order
        self._size = size

    async def page(self, after: Place | None) -> Page:
        if self._wanted.in_trash:
            return self._page(await self._places(self._all(after)))
        if not self._wanted.indexed:
            return await self._walk(after, WALK)
        if self._wanted.is_single and (page := await self._sorted(after)):
            return page
        probe = await self._walk(after, max(PROBE, 10 * self._size))
        if not self._is_whole(probe) and len(probe.places) * FURTHER >= self._size:
            probe = await self._walk(probe.end, PROBE * FURTHER, probe.places)
        if self._is_whole(probe):
            return probe
        return await self._sorted(after) or await self._walk(probe.end, WALK, probe.places)

    def _is_whole(self, page: Page) -> bool:
        return page.end is None or len(page.places) == self._size

    async def _walk(self, after: Place | None, most: int, before: Sequence[Place] = ()) -> Page:
        """Return the page that a walk over so many pictures finds, together with those found before."""
        walked = self._walked(after, most).limit(self._size + 1 - len(before))
        found = [*before, *await self._places(walked)]
        if len(found) > self._size:
            return self._page(found)
        ends = await self._places(self._in_order(after).offset(most - 1).limit(1))
        return Page(found, ends[0] if ends else None)

    async def _sorted(self, after: Place | None) -> Page | None:
        """Return the page of those that indexes lead to; None: there are too many."""
        fits = self._fits(after)
        found = self._selection(fits).where(*self._wanted.shown, *self._wanted.indexed).limit(MOST_SORTED + 1)
        candidates = found.cte("candidates").prefix_with("MATERIALIZED")
        total = select(func.count().label("total")).select_from(candidates).subquery("counted")
        own = candidates.c
        best = select(own.time, own.picture_id).where(own.fits).order_by(*self._order.by(own.time, own.picture_id))
        page = best.limit(self._size + 1).subquery("page")
        both = select(total.c.total, page.c.time, page.c.picture_id).select_from(
            total.outerjoin(page, literal(value=True))
        )
        rows = (await self._connection.execute(both.order_by(*self._order.by(page.c.time, page.c.picture_id)))).all()
        if rows[0].total > MOST_SORTED:
            return None
        return self._page([Place(row.time, UUID(int=row.picture_id.int)) for row in rows if row.time is not None])

    def _all(self, after: Place | None) -> Select[Any]:
        own = self._selection(None).where(self._fits(after), *self._wanted.shown)
        return own.order_by(*self._order.by(self._order.column, picture.c.picture_id)).limit(self._size + 1)

    def _walked(self, after: Place | None, most: int) -> Select[Any]:
        """Select what fits of the next pictures, in their order; no more of them are read than it takes."""
        walked = self._in_order(after, and_(literal(value=True), *self._wanted.filters)).limit(most).subquery("walked")
        own = walked.c
        fitting = select(own.time, own.picture_id).where(own.fits)
        return fitting.order_by(*self._order.by(own.time, own.picture_id))

    def _in_order(self, after: Place | None, fits: ColumnElement[bool] | None = None) -> Select[Any]:
        own = self._selection(fits).where(*self._wanted.shown, *self._wanted.span, *self._following(after))
        return own.order_by(*self._order.by(self._order.column, picture.c.picture_id))

    def _selection(self, fits: ColumnElement[bool] | None) -> Select[Any]:
        columns = [self._order.column.label("time"), picture.c.picture_id]
        return select(*columns) if fits is None else select(*columns, fits.label("fits"))

    def _fits(self, after: Place | None) -> ColumnElement[bool]:
        return and_(literal(value=True), *self._wanted.span, *self._wanted.filters, *self._following(after))

    def _following(self, after: Place | None) -> list[ColumnElement[bool]]:
        return [] if after is None else [self._order.after(after)]

    async def _places(self, statement: Select[Any]) -> list[Place]:
        rows = await self._connection.execute(statement)
        return [Place(row.time, UUID(int=row.picture_id.int)) for row in rows]

    def _page(self, found: Sequence[Place]) -> Page:
        """Return the page, of places of which one more than it holds tells that there is a next one."""
        places = found[: self._size]
        return Page(places, places[-1] if len(found) > self._size else None)
