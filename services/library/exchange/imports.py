"""Answers that were given elsewhere."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, or_, select, update
from uuid6 import uuid7

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1
from services.library.categories import rules
from services.library.database.change import Change, Changes
from services.library.database.tables import answer, picture, place
from services.library.erasure.person.strangers import hide
from services.library.erasure.tombstones import Tombstones
from services.library.exchange import results as given
from services.library.people import actions
from services.library.pictures import places
from services.library.pictures.places import Found
from services.library.search import terms
from services.library.settings import LibrarySettings
from services.library.work import answers, queue, recording
from services.library.work.answers import VALID
from services.runtime import requests, status
from services.runtime.errors import DomainError, InvalidRequest

_MOST_SECONDS_AHEAD = 3600
"""How far the clock of who gave an answer may be ahead of the library's."""
_MOST_ANSWERS = 1000
_MOST_NAME = 1024


class Imports:
    """ImportAnswers."""

    def __init__(self, changes: Changes, settings: LibrarySettings, tombstones: Tombstones) -> None:
        self._changes = changes
        self._tombstones = tombstones
        self._s3_allowed = settings.s3_allowed

    async def import_answers(self, request: pb.ImportAnswersRequest) -> pb.ImportAnswersResponse:
        """Import answers. One that is refused has a status, and fails no other."""
        return await self._changes.once(request, pb.ImportAnswersResponse, lambda change: self._all(change, request))

    async def _all(self, change: Change, request: pb.ImportAnswersRequest) -> pb.ImportAnswersResponse:
        results, changed = list[pb.ImportResult](), dict[UUID, list[str]]()
        await actions.hold(change.connection, change.collection_id)
        await _hold(change, request.answers)
        for one in request.answers:
            try:
                self._check(one)
                async with change.connection.begin_nested():
                    picture_id, is_new = await self._one(change, one, fetch=request.fetch)
            except DomainError as exc:
                results.append(pb.ImportResult(status=status.from_exception(exc)))
                continue
            results.append(pb.ImportResult(picture_id=str(picture_id), imported=is_new))
            if is_new:
                changed.setdefault(picture_id, []).append(one.result.recognizer)
        await _conclude(change, changed)
        return pb.ImportAnswersResponse(results=results)

    def _check(self, one: pb.ImportedAnswer) -> None:
        requests.check_object(one.s3_object, self._s3_allowed, "answers.s3_object")
        if not one.result.recognizer:
            raise InvalidRequest("The answer names no recognizer.", field="answers.result.recognizer")
        if not 0 < one.create_time.seconds <= time.time() + _MOST_SECONDS_AHEAD:
            raise InvalidRequest(
                "The answer needs a create_time since 1970 that is not in the future.", field="answers.create_time"
            )
        if one.result.cost_micro_usd < 0:
            raise InvalidRequest("The answer costs less than nothing.", field="answers.result.cost_micro_usd")
        if wrong := next(given.wrong_numbers(one.result), ""):
            raise InvalidRequest(f"The answer has a {wrong} outside of 0 to 1.", field="answers.result")

    async def _one(self, change: Change, one: pb.ImportedAnswer, *, fetch: bool) -> tuple[UUID, bool]:
        """Import an answer; return its picture, and whether the answer is new. Raises PictureErased."""
        found, when = Found.in_s3(one.s3_object), one.create_time.ToDatetime(UTC)
        beside = await places.hold(change, found)
        known = _same(found, beside, when)
        picture_id = await _add(change, found, beside) if known is None else UUID(int=known.picture_id.int)
        await self._tombstones.check(change.connection, change.collection_id, s3_object=one.s3_object)
        is_new = known is None or (not _is_later(known, when) and await _is_news(change, picture_id, one.result, when))
        if is_new:
            source = pb.ANSWER_SOURCE_IMPORT
            await hide(change, self._tombstones, [one.result])
            await answers.append(change.connection, picture_id, [one.result], source=source, create_time=when)
        if fetch:
            await _fetch(change, picture_id)
        return picture_id, is_new


async def _hold(change: Change, answers: Iterable[pb.ImportedAnswer]) -> None:
    """Keep others from changing the places, and then their pictures, until the transaction ends.

    They are held in an order that is the same for all imports, so that none waits for another that waits for it.
    """
    found = {one.location: one for one in (Found.in_s3(answer.s3_object) for answer in answers)}
    rows = [row for location in sorted(found) for row in await places.hold(change, found[location])]
    ids = {row.picture_id for row in rows}
    held = select(picture.c.picture_id).where(picture.c.picture_id.in_(ids)).order_by(picture.c.picture_id)
    await change.connection.execute(held.with_for_update())


def _same(found: Found, beside: Sequence[Row[Any]], when: datetime) -> Row[Any] | None:
    """Return the place of the object that the answer is about.

    Without a version it is about the latest of then, which may be known by its version.
    """
    exact = (row for row in beside if row.version_id == found.version_id)
    latest = (row for row in beside if not found.version_id and row.current and row.object_time)
    return next(exact, None) or next((row for row in latest if not _is_later(row, when)), None)


def _is_later(known: Row[Any], when: datetime) -> bool:
    """Return whether the object was written after the answer, which was about another."""
    return not known.version_id and known.object_time is not None and known.object_time > when


async def _is_news(change: Change, picture_id: UUID, result: v1.RecognizerResult, when: datetime) -> bool:
    """Return whether neither this answer nor a newer one of the recognizer, which is no failure, is known."""
    columns = answer.c
    own = (columns.picture_id == picture_id, columns.recognizer == result.recognizer)
    newer = (columns.create_time > when) & columns.outcome.in_(VALID)
    found = select(columns.answer_id).where(*own, or_(newer, columns.create_time == when)).limit(1)
    return (await change.connection.execute(found)).first() is None


async def _add(change: Change, found: Found, beside: Sequence[Row[Any]]) -> UUID:
    """Add a picture that is known by answers alone. Where another object is, it is no more."""
    picture_id = UUID(bytes=uuid7().bytes)
    values = {
        "picture_id": picture_id,
        "collection_id": change.collection_id,
        "state": pb.PICTURE_STATE_IMPORTED,
        "file_name": found.key.rpartition("/")[2][:_MOST_NAME],
        "taken_time_source": pb.TIME_SOURCE_ADDED,
    }
    await change.connection.execute(insert(picture).values(values))
    await places.add(change, picture_id, found)
    if any(row.current for row in beside):
        await change.connection.execute(update(place).where(place.c.picture_id == picture_id).values(current=False))
    await change.record("picture.added", picture_id)
    return picture_id


async def _fetch(change: Change, picture_id: UUID) -> None:
    """Have the object fetched and recognized, unless it was before, or is going to be."""
    imported = (picture.c.picture_id == picture_id, picture.c.state == pb.PICTURE_STATE_IMPORTED)
    pending = update(picture).where(*imported).values(state=pb.PICTURE_STATE_PENDING, update_time=func.now())
    if (await change.connection.execute(pending.returning(picture.c.picture_id))).first() is not None:
        await queue.enqueue(change.connection, change.collection_id, picture_id)


async def _conclude(change: Change, changed: Mapping[UUID, Sequence[str]]) -> None:
    """Have pictures show their new answers, and be found by them."""
    for picture_id, recognizers in changed.items():
        if (results := await _imported(change, picture_id)) is not None:
            await recording.write_faces(change, picture_id, given.verdicts_of(results))
        await answers.conclude(change.connection, picture_id)
        data = {"state": await _state(change, picture_id), "recognizers": recognizers, "source": "IMPORT"}
        await change.record("picture.recognized", picture_id, data)
    await rules.apply(change.connection, change.collection_id, list(changed))
    await terms.index(change.connection, change.collection_id, list(changed))


async def _imported(change: Change, picture_id: UUID) -> list[v1.RecognizerResult] | None:
    """Return each recognizer's newest answer; None: there are those of a gateway, whose verdicts the faces are."""
    columns = answer.c
    valid = select(columns.source, columns.recognizer, columns.result).where(
        columns.picture_id == picture_id, columns.outcome.in_(VALID)
    )
    newest = valid.order_by(columns.create_time.desc(), columns.answer_id.desc()).limit(_MOST_ANSWERS)
    rows = (await change.connection.execute(newest)).all()
    if any(row.source != pb.ANSWER_SOURCE_IMPORT for row in rows):
        return None
    by_name = {row.recognizer: row.result for row in reversed(rows)}
    return [v1.RecognizerResult.FromString(result) for _, result in sorted(by_name.items())]


async def _state(change: Change, picture_id: UUID) -> str:
    """Return the picture's state by name; one that had failed has something now."""
    columns = picture.c
    failed = (columns.picture_id == picture_id, columns.state == pb.PICTURE_STATE_FAILED)
    await change.connection.execute(update(picture).where(*failed).values(state=pb.PICTURE_STATE_PARTIAL))
    values = {"update_time": func.now()}
    shown = update(picture).where(columns.picture_id == picture_id).values(values).returning(columns.state)
    number = (await change.connection.execute(shown)).scalar_one()
    return pb.PictureState.Name(number).removeprefix("PICTURE_STATE_")
