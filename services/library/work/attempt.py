"""One attempt to recognize a picture: its bytes, the gateway's answer, and what becomes of the job."""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import grpc
import structlog
from google.rpc import status_pb2
from sqlalchemy import select

from marquee.library.v1.library_pb2 import JOB_STATE_DEAD, JOB_STATE_DONE
from marquee.v1 import recognizer_pb2 as pb
from services.library.database.change import Changes
from services.library.database.tables import PlaceKind, collection, picture, place
from services.library.erasure.person.strangers import hide
from services.library.people import actions
from services.library.pictures.content import Content
from services.library.pictures.intake import Intake
from services.library.settings import LibrarySettings
from services.library.work import metrics, recording
from services.library.work.gateway import CallFailed, Gateway
from services.library.work.queue import Claim, LeaseLost, Queue, Setback, delay, end, hold
from services.runtime import status
from services.runtime.errors import AnswerTooLarge, ContentMissing, DependencyUnavailable, DomainError

logger = structlog.get_logger()
_Code = grpc.StatusCode
_HOPELESS = (_Code.INVALID_ARGUMENT, _Code.NOT_FOUND)
"""Codes of what fails the same way however often it is tried."""
_GONE = status.TABLE[ContentMissing][1]
_AWAY = frozenset((_Code.UNAVAILABLE, _Code.RESOURCE_EXHAUSTED))
"""Codes of what is away or overloaded, through no fault of the picture."""
_TOO_LARGE = status.TABLE[AnswerTooLarge][1]
_SOME_FAILED = "Some recognizers have not answered:"
_SOME_FAILED_AS = _Code.UNAVAILABLE, status.FOREIGN
_MAX_LABELS = 50
_WRITE_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Between attempts to write a response down, in seconds."""
_PAUSE_SECONDS = 0.5, 30.0
"""Before the second attempt; and at most, which each attempt comes nearer to."""


class _Picture(NamedTuple):
    """What an attempt needs to know of its picture."""

    row: Mapping[str, Any]
    collection: str
    s3_object: pb.S3Object | None


class _Ended(Exception):
    """The picture needs no call."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Attempt:
    """How claims are worked on."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that a picture passes through
        self,
        queue: Queue,
        changes: Changes,
        intake: Intake,
        content: Content,
        gateway: Gateway,
        settings: LibrarySettings,
    ) -> None:
        self._queue = queue
        self._intake = intake
        self._changes = changes
        self._content = content
        self._gateway = gateway
        self._settings = settings

    async def make(self, claim: Claim) -> str:
        """Work on the claim, and return what came of it, one of metrics.OUTCOMES.

        Raises LeaseLost, and DependencyUnavailable of the database; whatever else happens becomes the job's status.
        """
        shown = await self._load(claim)
        try:
            response = await self._recognize(claim, shown)
        except _Ended as exc:
            return exc.outcome
        except LeaseLost:
            raise
        except CallFailed as exc:
            counts, is_unanswered = not exc.is_answered or _counts(exc.status), not exc.is_answered
            return await self._fail(claim, shown, exc.status, counts=counts, is_unanswered=is_unanswered)
        except DomainError as exc:
            failure = status.from_exception(exc)
            return await self._fail(claim, shown, failure, counts=_counts(failure))
        except Exception as exc:
            logger.exception("attempt failed")
            return await self._fail(claim, shown, status.from_exception(exc), counts=True)
        return await self._write(claim, shown, response)

    async def _recognize(self, claim: Claim, shown: _Picture) -> pb.RecognizeImageResponse:
        """Return the gateway's response. Raises _Ended if the picture needs none."""
        if shown.row["delete_time"] is not None:
            await self._queue.drop(claim)
            raise _Ended("trashed")
        if claim.failures >= self._settings.library_attempts:
            raise RuntimeError("Every replica that worked on the picture has died.")
        taken = await self._intake.take(claim, shown.collection, shown.row, shown.s3_object)
        if taken.picture_id != claim.picture_id:
            await self._queue.drop(claim)
            raise _Ended("merged")
        await self._gateway.ready()
        return await self._call(claim, await self._image(claim, shown, taken.content))

    async def _write(self, claim: Claim, shown: _Picture, response: pb.RecognizeImageResponse) -> str:
        """Write the response down, which may have been paid for: again and again while the database is away."""
        for pause in _WRITE_PAUSES:
            try:
                return await self._record(claim, shown, response)
            except LeaseLost:
                raise
            except DependencyUnavailable as exc:
                logger.warning("cannot write a response yet", error=exc.message)
                await asyncio.sleep(pause)
            except Exception as exc:
                logger.exception("a response cannot be written")
                return await self._fail(claim, shown, status.from_exception(exc), counts=True, is_unanswered=True)
        return await self._record(claim, shown, response)

    async def _load(self, claim: Claim) -> _Picture:
        """Return the claim's picture. Raises LeaseLost if it is gone."""
        its = select(picture, collection.c.name.label("collection")).join(collection)
        found = its.where(picture.c.picture_id == claim.picture_id)
        places = select(place).where(place.c.picture_id == claim.picture_id, place.c.kind == PlaceKind.S3)
        newest = places.order_by(place.c.current.desc(), place.c.create_time.desc()).limit(1)
        async with self._queue.database.begin() as connection:
            row = (await connection.execute(found)).mappings().one_or_none()
            where = (await connection.execute(newest)).one_or_none()
        if row is None:
            raise LeaseLost
        if where is None:
            return _Picture(dict(row), row["collection"], None)
        s3_object = pb.S3Object(bucket=where.bucket, key=where.key, version_id=where.version_id)
        return _Picture(dict(row), row["collection"], s3_object)

    async def _image(self, claim: Claim, shown: _Picture, content: bytes | None) -> pb.Image:
        """Return the picture for the gateway: an object by its version, which stays what it is; else the bytes.

        They are what is sent after a failure, too: the gateway may not be allowed to read what the library is.
        """
        is_object = shown.s3_object is not None and shown.s3_object.version_id and not shown.row["stored"]
        if is_object and not claim.failures:
            return pb.Image(s3_object=shown.s3_object)
        return pb.Image(content=content or await self._content.original(claim.picture_id))

    async def _call(self, claim: Claim, image: pb.Image) -> pb.RecognizeImageResponse:
        request = pb.RecognizeImageRequest(
            request_id=str(claim.job_id),
            image=image,
            recognizers=claim.recognizers,
            features=[pb.Feature.ValueType(one) for one in claim.features],
            max_labels=_MAX_LABELS,
            include_embeddings=True,
        )
        await self._queue.begin_call(claim)
        begin = time.perf_counter()
        try:
            return await self._gateway.recognize(request, claim.caller, claim.daily_micro_usd)
        finally:
            metrics.seconds.observe(time.perf_counter() - begin)

    async def _record(self, claim: Claim, shown: _Picture, response: pb.RecognizeImageResponse) -> str:
        """Write the response down, and end the job unless some recognizers may do better at the next attempt."""
        failures = recording.failures(response)
        failure = status.join(failures, _SOME_FAILED, _SOME_FAILED_AS) if failures else None
        again = recording.failures(response, transient=True)
        is_last = not again or claim.failures + 1 >= self._settings.library_attempts
        async with self._changes.begin(shown.collection) as change:
            await actions.hold(change.connection, change.collection_id)
            await hold(change.connection, claim)
            await hide(change, self._intake.tombstones, response.results, response.verdicts)
            await recording.record(change, claim, response, is_last=is_last)
            if is_last or failure is None:
                await end(change.connection, claim, JOB_STATE_DONE, failure)
            else:
                await delay(change.connection, claim, Setback(failure, _pause(claim, failure)))
        return "recognized" if failure is None else "partial"

    async def _fail(
        self, claim: Claim, shown: _Picture, failure: status_pb2.Status, *, counts: bool, is_unanswered: bool = False
    ) -> str:
        """Have the picture tried again, or give it up."""
        is_last = counts and claim.failures + 1 >= self._settings.library_attempts
        is_hopeless = status.code_of(failure) in _HOPELESS or status.reason_of(failure) == _GONE
        if not is_last and not is_hopeless:
            setback = Setback(failure, _pause(claim, failure), counts, is_unanswered)
            await self._queue.delay(claim, setback)
            metrics.repeated.inc(int(is_unanswered))
            return "failed" if counts else "delayed"
        async with self._changes.begin(shown.collection) as change:
            await hold(change.connection, claim)
            await recording.give_up(change, claim, failure)
            await end(change.connection, claim, JOB_STATE_DEAD, failure)
        return "dead"


def _counts(failure: status_pb2.Status) -> bool:
    """Return whether the failure is the picture's, so that so many of them are enough."""
    return status.code_of(failure) not in _AWAY or status.reason_of(failure) == _TOO_LARGE


def _pause(claim: Claim, failure: status_pb2.Status) -> float:
    """Return the seconds until the next attempt: twice those before, and not those of other jobs; or as was asked."""
    first, most = _PAUSE_SECONDS
    pause = min(most, first * 2.0 ** min(claim.attempts - 1, 16)) * random.uniform(0.5, 1)  # noqa: S311 - no secret
    return max(pause, status.retry_after_of(failure) or 0.0)
