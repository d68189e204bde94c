"""Embedding: all faces of a collection by the model that a recognizer has now, beside the vectors of others.

A replica goes through the pictures in the order of their identifiers and notes up to which it came, so that another one
goes on there. What was embedded by that model before is passed over.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import grpc
import structlog
from google.rpc import status_pb2
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.change import Change, Changes
from services.library.database.people_tables import embedding
from services.library.database.tables import collection
from services.library.faces import models, vectors
from services.library.faces.embedder import Embedder
from services.library.grouping import grouping
from services.library.people.actions import hold
from services.library.people.faces import lock
from services.library.pictures.content import Content
from services.library.work.gateway import CallFailed, Gateway
from services.runtime import status
from services.runtime.doors.caller import current
from services.runtime.errors import DomainError

logger = structlog.get_logger()
_LOCK = 0x6D617277
"""Advisory lock of the replica that embeds."""
_SECONDS = 2.0
_LONGEST_SECONDS = 30.0
_MOST_BOXES = 64
"""That a recognizer describes in one call."""
_TRANSIENT = frozenset(
    (
        *(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED),
        *(grpc.StatusCode.ABORTED, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAUTHENTICATED),
        grpc.StatusCode.PERMISSION_DENIED,
    )
)
"""Codes of what is waited for, as no fault of a picture."""
_MAY_HAVE = "face.current AND NOT face.erased AND face.state <> 4"
_NEXT = text(f"""
SELECT picture.picture_id FROM picture
WHERE collection_id = :collection_id AND redirect_id IS NULL
  AND picture.picture_id > coalesce(:last, '00000000-0000-0000-0000-000000000000'::uuid)
  AND EXISTS (
    SELECT FROM face WHERE face.picture_id = picture.picture_id AND {_MAY_HAVE} AND NOT EXISTS (
      SELECT FROM face_vector WHERE face_vector.face_id = face.face_id AND model_id = :model_id
    )
  )
ORDER BY picture.picture_id LIMIT 1
""")  # noqa: S608 - of this module alone
_FACES = text(f"""
SELECT face_id, verdict FROM face WHERE picture_id = :picture_id AND {_MAY_HAVE} AND NOT EXISTS (
  SELECT FROM face_vector WHERE face_vector.face_id = face.face_id AND model_id = :model_id
)
ORDER BY position, face_id
""")  # noqa: S608
_COUNT = text(f"""
SELECT count(*) AS faces, count(face_vector.face_id) AS done
FROM picture JOIN face USING (picture_id)
LEFT JOIN face_vector ON face_vector.face_id = face.face_id AND model_id = :model_id
WHERE picture.collection_id = :collection_id AND redirect_id IS NULL AND {_MAY_HAVE}
""")  # noqa: S608


class _Waits(Exception):
    """Something is away."""

    def __init__(self, failure: status_pb2.Status) -> None:
        super().__init__(failure.message)
        self.status = failure


class Embedding:
    """EmbedFaces, ListVectorModels and UseModel; and what embeds."""

    def __init__(self, changes: Changes, content: Content, gateway: Gateway) -> None:
        self._changes = changes
        self._content = content
        self._gateway = gateway
        self._embedder = Embedder(gateway)

    async def embed(self, request: pb.EmbedFacesRequest) -> pb.EmbedFacesResponse:
        """Have the collection's faces embedded, or stop it. Raises what `Embedder.name` raises."""
        name = "" if request.stop else await self._embedder.name(request.recognizer)

        async def make(change: Change) -> pb.EmbedFacesResponse:
            await (_stop(change) if request.stop else _start(change, name))
            return pb.EmbedFacesResponse(embedding=await _shown(change.connection, change.collection_id))

        return await self._changes.once(request, pb.EmbedFacesResponse, make)

    async def models(self, request: pb.ListVectorModelsRequest) -> pb.ListVectorModelsResponse:
        """Return the models whose vectors the collection has, and the embedding that is under way or ended last."""
        database = self._changes.database
        collection_id = await database.collection_id(request.collection, make=False)
        async with database.begin() as connection:
            found = await models.shown(connection, collection_id)
            return pb.ListVectorModelsResponse(models=found, embedding=await _shown(connection, collection_id))

    async def use(self, request: pb.UseModelRequest) -> pb.UseModelResponse:
        """Have the collection's people compared by a model. Raises ModelNotFound."""

        async def make(change: Change) -> pb.UseModelResponse:
            await hold(change.connection, change.collection_id, alone=True)
            await models.use(change.connection, change.collection_id, request.model_id)
            await grouping.restart(change.connection, change.collection_id)
            (shown,) = await models.shown(change.connection, change.collection_id, request.model_id)
            return pb.UseModelResponse(model=shown)

        return await self._changes.once(request, pb.UseModelResponse, make)

    async def run(self) -> None:
        """Embed what there is to embed, again and again, until cancelled."""
        pause = _SECONDS
        while True:
            try:
                done = await self.turn()
                pause = _SECONDS if done else min(2 * pause, _LONGEST_SECONDS)
            except DomainError as exc:
                logger.warning("embedding waits", error=exc.message)
            except Exception:
                logger.exception("embedding failed")
            await asyncio.sleep(pause)

    async def turn(self) -> bool:
        """Embed until nothing is left, unless another replica does; return whether nothing is waited for."""
        database, columns = self._changes.database, embedding.c
        own = select(embedding, collection.c.name).join(collection).where(columns.running).order_by(columns.create_time)
        async with database.begin() as connection:
            rows = (await connection.execute(own)).all()
        if not rows:
            return True
        async with database.driver() as driver:
            if not await driver.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                return True
            return all([await self._go_on(row) for row in rows])

    async def _go_on(self, row: Any) -> bool:
        """Embed a collection; return whether it has ended."""
        try:
            while await self._step(row.name):
                pass
        except _Waits as exc:
            async with self._changes.begin(row.name) as change:
                await _note(change, status=exc.status.SerializeToString())
            return False
        return True

    async def _step(self, name: str) -> bool:
        """Embed the next picture's faces; return whether there may be more."""
        async with self._changes.begin(name) as change:
            run = await _run(change, lock=True)
            if run is None or not run.running:
                return False
            values = {"collection_id": change.collection_id, "last": run.last_picture_id, "model_id": run.model_id or 0}
            found = (await change.connection.execute(_NEXT, values)).scalar_one_or_none()
            if found is None:
                await _note(change, running=False, last_picture_id=None, status=b"")
                return False
            picture_id = UUID(int=found.int)
            own = {"picture_id": picture_id, "model_id": run.model_id or 0}
            rows = (await change.connection.execute(_FACES, own)).all()
        await self._picture(name, run, picture_id, rows)
        return True

    async def _picture(self, name: str, run: Any, picture_id: UUID, rows: Sequence[Any]) -> None:
        boxes = [(row.face_id, recognizer_pb2.Verdict.FromString(row.verdict)) for row in rows]
        boxed = [(UUID(int=face_id.int), verdict.box) for face_id, verdict in boxes if verdict.HasField("box")]
        found: list[tuple[UUID, recognizer_pb2.Embedding]] = []
        try:
            image = recognizer_pb2.Image(content=await self._content.original(picture_id)) if boxed else None
            for start in range(0, len(boxed), _MOST_BOXES):
                part = boxed[start : start + _MOST_BOXES]
                embedded = await self._ask(run, image, [box for _, box in part])
                found += zip((face_id for face_id, _ in part), embedded, strict=False)
        except DomainError as exc:
            failure = status.from_exception(exc)
            if status.code_of(failure) in _TRANSIENT:
                raise _Waits(failure) from None
            logger.warning("faces cannot be embedded", picture_id=str(picture_id), error=exc.message)
        async with self._changes.begin(name) as change:
            await _write(change, run, picture_id, found, len(rows))

    async def _ask(
        self, run: Any, image: recognizer_pb2.Image | None, boxes: Sequence[recognizer_pb2.BoundingBox]
    ) -> list[recognizer_pb2.Embedding]:
        """Return the embeddings of the faces in the boxes; none if the picture cannot be recognized. Raises _Waits."""
        request = recognizer_pb2.RecognizeImageRequest(image=image, recognizers=[run.recognizer], face_boxes=boxes)
        request.features.append(recognizer_pb2.FEATURE_FACES)
        request.include_embeddings = request.no_cache = True
        try:
            await self._gateway.ready()
            results = (await self._gateway.recognize(request, run.caller, None)).results
        except CallFailed as exc:
            if not exc.is_answered or status.code_of(exc.status) in _TRANSIENT:
                raise _Waits(exc.status) from None
            return []
        for result in results:
            if result.outcome not in {recognizer_pb2.OUTCOME_OK, recognizer_pb2.OUTCOME_PARTIAL}:
                if status.code_of(result.status) in _TRANSIENT or result.outcome == recognizer_pb2.OUTCOME_SKIPPED:
                    raise _Waits(result.status)
                return []
            return [one.embedding for one in result.faces]
        return []


async def _start(change: Change, recognizer: str) -> None:
    """Begin, or go on where it was stopped; one that has ended, or was of another recognizer, begins anew."""
    run = await _run(change, lock=True)
    values = {"recognizer": recognizer, "caller": current().name, "running": True, "status": b""}
    anew = {"model_id": None, "last_picture_id": None, "failed_count": 0, "create_time": func.now()}
    if run is None or run.recognizer != recognizer or run.last_picture_id is None:
        values |= {} if run is not None and run.running and run.recognizer == recognizer else anew
    statement = insert(embedding).values(collection_id=change.collection_id, **values)
    own = statement.on_conflict_do_update(index_elements=[embedding.c.collection_id], set_=values)
    await change.connection.execute(own)


async def _stop(change: Change) -> None:
    await _note(change, running=False)


async def _run(change: Change, *, lock: bool = False) -> Any:
    own = select(embedding).where(embedding.c.collection_id == change.collection_id)
    return (await change.connection.execute(own.with_for_update() if lock else own)).one_or_none()


async def _note(change: Change, **values: Any) -> None:
    own = update(embedding).where(embedding.c.collection_id == change.collection_id)
    await change.connection.execute(own.values(values))


async def _write(
    change: Change, run: Any, picture_id: UUID, found: Sequence[tuple[UUID, recognizer_pb2.Embedding]], count: int
) -> None:
    """Write a picture's vectors, and how far the embedding came; by another model than before, it begins anew."""
    await hold(change.connection, change.collection_id)
    await lock(change.connection, [picture_id])
    alive = await _alive(change, picture_id)
    written = await vectors.write(change, picture_id, [pair for pair in found if pair[0] in alive])
    given = next((one for face_id, one in found if face_id in written), None)
    model_id = await models.number_of(change.connection, given) if given else run.model_id
    changed = run.model_id is not None and model_id != run.model_id
    values = {
        "model_id": model_id,
        "last_picture_id": None if changed else picture_id,
        "failed_count": 0 if changed else embedding.c.failed_count + count - len(written),
        "status": b"",
    }
    own = update(embedding).where(embedding.c.collection_id == change.collection_id)
    same = (embedding.c.recognizer == run.recognizer, embedding.c.create_time == run.create_time)
    await change.connection.execute(own.where(*same).values(values))


async def _alive(change: Change, picture_id: UUID) -> set[UUID]:
    """Return the picture's faces that may have vectors, erased ones left out."""
    rows = await change.connection.execute(_FACES, {"picture_id": picture_id, "model_id": 0})
    return {UUID(int=row.face_id.int) for row in rows}


async def _shown(connection: Any, collection_id: int) -> pb.EmbeddingRun | None:
    own = select(embedding).where(embedding.c.collection_id == collection_id)
    run = (await connection.execute(own)).one_or_none()
    if run is None:
        return None
    values = {"collection_id": collection_id, "model_id": run.model_id or 0}
    counted = (await connection.execute(_COUNT, values)).one()
    shown = pb.EmbeddingRun(
        recognizer=run.recognizer,
        done_count=counted.done,
        failed_count=run.failed_count,
        left_count=max(0, counted.faces - counted.done - run.failed_count),
        running=run.running,
        status=status_pb2.Status.FromString(run.status) if run.status else None,
    )
    if run.model_id is not None:
        shown.model.CopyFrom((await models.shown(connection, collection_id, run.model_id))[0])
    return shown
