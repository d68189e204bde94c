"""Jobs: asked for, listed and tried again."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Change, Changes
from services.library.database.database import Database, announce
from services.library.database.tables import job, picture
from services.library.pictures.view import JOB, find, job_of, pictures_of, show
from services.library.work.queue import OPEN, QUEUED, enqueue
from services.library.work.signals import Signals
from services.runtime import requests
from services.runtime.errors import ContentMissing, InvalidRequest


class Jobs:
    """RecognizePicture, ListJobs and RetryJobs."""

    def __init__(self, database: Database, changes: Changes, signals: Signals) -> None:
        self._database = database
        self._changes = changes
        self._signals = signals

    async def recognize(self, request: pb.RecognizePictureRequest) -> pb.RecognizePictureResponse:
        """Queue a picture again. Raises InvalidRequest, PictureNotFound and ContentMissing."""
        requests.check_features(request)

        async def make(change: Change) -> pb.RecognizePictureResponse:
            picture_id = await find(change.connection, change.collection_id, request.picture_id, lock=True)
            await _queue(change, picture_id, request)
            (shown,) = await pictures_of(change.connection, change.collection, [picture_id])
            return pb.RecognizePictureResponse(picture=shown)

        response = await self._changes.once(request, pb.RecognizePictureResponse, make)
        if not request.wait:
            return response
        await self._signals.until_ended(UUID(response.picture.picture_id))
        return pb.RecognizePictureResponse(picture=await show(self._database, request.collection, request.picture_id))

    async def list(self, request: pb.ListJobsRequest) -> pb.ListJobsResponse:
        """Return a page of jobs."""
        size = requests.page_size_of(request)
        collection_id = await self._database.collection_id(request.collection, make=False)
        columns = job.c
        states = [request.state] if request.state else list(pb.JobState.values())
        page = (
            select(text(JOB)).select_from(job).where(columns.collection_id == collection_id, columns.state.in_(states))
        )
        if request.page_token:
            page = page.where(columns.job_id < _position(request.page_token))
        async with self._database.begin() as connection:
            rows = (await connection.execute(page.order_by(columns.job_id.desc()).limit(size + 1))).all()
            pending = await _count(connection, collection_id, OPEN)
            dead = await _count(connection, collection_id, [pb.JOB_STATE_DEAD])
        jobs = [job_of(row) for row in rows[:size]]
        token = jobs[-1].job_id if len(rows) > size else ""
        return pb.ListJobsResponse(jobs=jobs, next_page_token=token, pending_count=pending, dead_count=dead)

    async def retry(self, request: pb.RetryJobsRequest) -> pb.RetryJobsResponse:
        """Queue jobs again that were given up."""

        async def make(change: Change) -> pb.RetryJobsResponse:
            return pb.RetryJobsResponse(job_count=await _revive(change, request.job_ids))

        return await self._changes.once(request, pb.RetryJobsResponse, make)


async def _queue(change: Change, picture_id: UUID, request: pb.RecognizePictureRequest) -> None:
    """Queue the picture, for the features of the job before unless others are asked for. Raises ContentMissing."""
    columns = job.c
    last = select(columns.features).where(columns.picture_id == picture_id).order_by(columns.create_time.desc())
    features = request.features or (await change.connection.execute(last.limit(1))).scalar_one_or_none() or ()
    its = update(picture).where(picture.c.picture_id == picture_id)
    state = (
        await change.connection.execute(select(picture.c.state).where(picture.c.picture_id == picture_id))
    ).scalar()
    if state == pb.PICTURE_STATE_IMPORTED:
        raise ContentMissing("Only an imported answer is known of this picture. Add the object to have it recognized.")
    await change.connection.execute(its.values(state=pb.PICTURE_STATE_PENDING, update_time=func.now()))
    recognizers = request.recognizers
    await enqueue(change.connection, change.collection_id, picture_id, features=features, recognizers=recognizers)


async def _revive(change: Change, job_ids: Sequence[str]) -> int:
    """Queue the jobs again, or all, that were given up; not those whose picture has another job by now.

    Their pictures are held before, as whoever queues or erases one holds it, so that nobody waits in a circle.
    """
    columns, newer = job.c, job.alias()
    others = (newer.c.picture_id == columns.picture_id, (newer.c.job_id > columns.job_id) | newer.c.state.in_(OPEN))
    dead = (columns.collection_id == change.collection_id, columns.state == pb.JOB_STATE_DEAD)
    found = (*dead, ~exists().where(*others), *((columns.job_id.in_(_ids(job_ids)),) if job_ids else ()))
    its = select(picture.c.picture_id).where(picture.c.picture_id.in_(select(columns.picture_id).where(*found)))
    held = its.order_by(picture.c.picture_id).with_for_update(key_share=True)
    await change.connection.execute(select(func.count()).select_from(held.subquery()))
    fresh = {"failures": 0, "attempts": 0, "end_time": None, "next_attempt_time": func.now()}
    queued = update(job).where(*found).values(state=pb.JOB_STATE_QUEUED, **fresh)
    revived = queued.returning(columns.picture_id).cte("revived")
    pending = update(picture).where(picture.c.picture_id == revived.c.picture_id)
    shown = pending.values(state=pb.PICTURE_STATE_PENDING, update_time=func.now())
    count = (await change.connection.execute(shown)).rowcount
    if count:
        announce(change.connection, QUEUED)
    return count


async def _count(connection: AsyncConnection, collection_id: int, states: Sequence[int]) -> int:
    columns = job.c
    statement = select(func.count()).where(columns.collection_id == collection_id, columns.state.in_(states))
    return int((await connection.execute(statement)).scalar_one())


def _position(token: str) -> UUID:
    try:
        return UUID(token)
    except ValueError:
        raise InvalidRequest("page_token is none of this method's.", field="page_token") from None


def _ids(job_ids: Sequence[str]) -> list[UUID]:
    found = []
    for one in job_ids:
        try:
            found.append(UUID(one))
        except ValueError:
            continue  # as one of another collection: not given up here
    return found
