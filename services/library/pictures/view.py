"""Pictures as callers see them, put together from their rows."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2
from sqlalchemy import ARRAY, Uuid, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.database import Database
from services.library.database.identifiers import uuid_of
from services.library.database.people_tables import DecisionKind
from services.library.database.tables import PlaceKind, picture
from services.runtime.errors import PictureNotFound

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_ANSWER_BYTES = 8 * 1024 * 1024
"""Of a picture's answers together, so that a response stays below the limit of a message."""
JOB = """
  job_id, picture_id, state, attempts, repeated_calls, status, caller, create_time,
  CASE WHEN state = 1 THEN next_attempt_time END, end_time
"""
"""Columns of a job that are shown, as `job_of` takes them."""
FACE = """
  face.face_id, face.verdict, face.create_time, face.person_id, face.display_name, face.score, face.source, face.erased,
  (SELECT decision.kind FROM decision WHERE decision.face_id = face.face_id), face.tried_time IS NOT NULL,
  face.cluster_id, face.drawn
"""
"""Columns of a face that are shown, as `picture_face` takes them."""
_SHOWN = """
SELECT picture.picture_id, state, sha256, pixel_sha256, format, width, height, size_bytes, file_name, taken_time_source,
  exif_time, cost_micro_usd, picture.create_time, update_time, taken_time, object_time, delete_time,
  collection.name AS collection,
  LEAST(expire_time, picture.create_time + make_interval(days => LEAST(collection.retention_days, days))) AS end_time,
  places, faces, labels, moderation_labels, texts, categories, job
FROM unnest(:ids) WITH ORDINALITY AS listed (picture_id, number)
JOIN picture USING (picture_id)
JOIN collection USING (collection_id)
CROSS JOIN LATERAL (
  SELECT (array_agg(
    ROW(kind, bucket, key, version_id, current, sequencer, object_time, create_time)
    ORDER BY current DESC, create_time DESC, place_id DESC
  ))[1 : 1000] AS places
  FROM place WHERE place.picture_id = picture.picture_id
) AS place
CROSS JOIN LATERAL (
  SELECT (array_agg(ROW(:face) ORDER BY position))[1 : 1000] AS faces
  FROM face WHERE face.picture_id = picture.picture_id AND current
) AS face
CROSS JOIN LATERAL (
  SELECT (array_agg(content ORDER BY position) FILTER (WHERE NOT moderation))[1 : 1000] AS labels,
    (array_agg(content ORDER BY position) FILTER (WHERE moderation))[1 : 1000] AS moderation_labels
  FROM label WHERE label.picture_id = picture.picture_id
) AS label
CROSS JOIN LATERAL (
  SELECT (array_agg(found ORDER BY position))[1 : 1000] AS texts
  FROM "text" WHERE "text".picture_id = picture.picture_id
) AS "text"
CROSS JOIN LATERAL (
  SELECT (array_agg(ROW(category_id, name, source) ORDER BY folded_name))[1 : 256] AS categories,
    min(retention_days) AS days
  FROM picture_category JOIN category USING (category_id)
  WHERE picture_category.picture_id = picture.picture_id AND present
) AS category
CROSS JOIN LATERAL (
  SELECT ARRAY(
    SELECT ROW(:job) FROM job WHERE job.picture_id = picture.picture_id ORDER BY create_time DESC, job_id DESC LIMIT 1
  ) AS job
) AS job
WHERE collection.name = :collection
ORDER BY number
""".replace(":job", JOB).replace(":face", FACE)
_ANSWERS = """
SELECT picture_id, answer_id, create_time, source, result FROM (
  SELECT *, row_number() OVER newest AS number, sum(length(result)) OVER newest AS bytes FROM answer
  WHERE picture_id = ANY(:ids)
  WINDOW newest AS (PARTITION BY picture_id ORDER BY create_time DESC, answer_id DESC)
) AS answer
WHERE number <= 1000 AND (number = 1 OR bytes <= :bytes)
ORDER BY picture_id, number
"""
_SAME_PIXELS = """
SELECT picture.picture_id, same.picture_id AS same_id
FROM picture CROSS JOIN LATERAL (
  SELECT picture_id FROM picture AS other
  WHERE other.collection_id = picture.collection_id AND other.pixel_sha256 = picture.pixel_sha256
    AND other.picture_id <> picture.picture_id AND other.redirect_id IS NULL AND other.delete_time IS NULL
  ORDER BY picture_id LIMIT 100
) AS same
WHERE picture.picture_id = ANY(:ids)
"""
_IDS = bindparam("ids", type_=ARRAY(Uuid))


async def pictures_of(
    connection: AsyncConnection, collection: str, ids: Sequence[UUID], *, full: bool = False
) -> list[pb.Picture]:
    """Return the collection's pictures in the order of the ids, leaving out those that it does not have.

    Takes one statement; if `full`, with answers and same_pixels, three.
    """
    values = {"ids": list(ids), "collection": collection}
    rows = (await connection.execute(text(_SHOWN).bindparams(_IDS), values)).mappings()
    pictures = {row["picture_id"]: _picture(row) for row in rows}
    if full and pictures:
        await _complete(connection, pictures)
    return list(pictures.values())


async def show(database: Database, collection: str, picture_id: str, *, full: bool = False) -> pb.Picture:
    """Return the picture, or the one that it turned out to be. Raises PictureNotFound."""
    collection_id = await database.collection_id(collection, make=False)
    async with database.begin() as connection:
        found = await find(connection, collection_id, picture_id)
        pictures = await pictures_of(connection, collection, [found], full=full)
    if not pictures:  # erased in between
        raise not_found(picture_id)
    return pictures[0]


async def find(connection: AsyncConnection, collection_id: int, picture_id: str, *, lock: bool = False) -> UUID:
    """Return the identifier of the picture, or of the one that it turned out to be.

    `lock` keeps others from changing it until the transaction ends. Raises PictureNotFound, also for a text that is no
    identifier.
    """
    columns = picture.c
    own = select(func.coalesce(columns.redirect_id, columns.picture_id)).where(columns.collection_id == collection_id)
    found = (await connection.execute(own.where(columns.picture_id == _parsed(picture_id)))).scalar_one_or_none()
    held = None
    while lock and found not in {None, held}:  # again if it turns out to be another one while it is waited for
        held, row = found, own.where(columns.picture_id == found).with_for_update(key_share=True)
        found = (await connection.execute(row)).scalar_one_or_none()
    if found is None:
        raise not_found(picture_id)
    return UUID(int=found.int)


def not_found(picture_id: str) -> PictureNotFound:
    """Return the error for a picture that there is not, or in another collection alone."""
    return PictureNotFound(f"The collection has no picture {picture_id!r}.", field="picture_id")


def job_of(row: Sequence[Any]) -> pb.Job:
    """Return the job that has these values of the columns `JOB`."""
    job_id, picture_id, state, attempts, repeated_calls, status, caller, create_time, next_attempt_time, end_time = row
    return pb.Job(
        job_id=str(job_id),
        picture_id=str(picture_id),
        state=state,
        attempts=attempts,
        repeated_calls=repeated_calls,
        status=status_pb2.Status.FromString(status) if status else None,
        caller=caller,
        create_time=timestamp(create_time),
        next_attempt_time=timestamp(next_attempt_time),
        end_time=timestamp(end_time),
    )


def picture_face(row: Sequence[Any]) -> pb.PictureFace:
    """Return the face that has these values of the columns `FACE`."""
    face_id, verdict, create_time, person_id, display_name, score, source, erased, kind, tried, cluster_id, drawn = row
    shown = {"person_id": person_id, "display_name": display_name, "score": score, "source": source} if source else {}
    return pb.PictureFace(
        face_id=str(face_id),
        verdict=recognizer_pb2.Verdict.FromString(verdict),
        create_time=timestamp(create_time),
        state=_face_state(kind, is_erased=erased, is_tried=tried),
        cluster_id=str(cluster_id or ""),
        drawn=drawn,
        **shown,
    )


def _face_state(kind: int | None, *, is_erased: bool, is_tried: bool) -> "pb.FaceState.ValueType":
    if is_erased:
        return pb.FACE_STATE_ERASED
    marked = {DecisionKind.IGNORED: pb.FACE_STATE_IGNORED, DecisionKind.NOT_A_FACE: pb.FACE_STATE_NOT_A_FACE}
    if kind in marked:
        return marked[DecisionKind(kind)]
    return pb.FACE_STATE_TRIED if is_tried else pb.FACE_STATE_NEW


def timestamp(when: datetime | None) -> Timestamp | None:
    """Return the time as the contract has it; None: absent. A page has thousands of them: FromDatetime is slower."""
    if when is None:
        return None
    since = when - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def _parsed(picture_id: str) -> UUID:
    if (parsed := uuid_of(picture_id)) is None:
        raise not_found(picture_id)
    return parsed


def _picture(row: Mapping[Any, Any]) -> pb.Picture:
    return pb.Picture(
        picture_id=str(row["picture_id"]),
        collection=row["collection"],
        state=row["state"],
        sha256=(row["sha256"] or b"").hex(),
        pixel_sha256=(row["pixel_sha256"] or b"").hex(),
        **{name: row[name] for name in _AS_THEY_ARE},
        **_times(row),
        places=[_place(one) for one in row["places"] or ()],
        faces=[picture_face(one) for one in row["faces"] or ()],
        labels=[recognizer_pb2.Label.FromString(one) for one in row["labels"] or ()],
        texts=[recognizer_pb2.Text.FromString(one) for one in row["texts"] or ()],
        moderation_labels=[recognizer_pb2.ModerationLabel.FromString(one) for one in row["moderation_labels"] or ()],
        categories=[_category(one) for one in row["categories"] or ()],
        job=next(map(job_of, row["job"]), None),
    )


_AS_THEY_ARE = (
    *("format", "width", "height", "size_bytes", "file_name", "taken_time_source", "exif_time"),
    "cost_micro_usd",
)
_TIMES = ("create_time", "update_time", "taken_time", "object_time", "delete_time")


def _times(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: timestamp(row[name]) for name in _TIMES} | {"expire_time": timestamp(row["end_time"])}


def _place(row: Sequence[Any]) -> pb.Place:
    kind, bucket, key, version_id, current, sequencer, object_time, create_time = row
    times: Any = {"object_time": timestamp(object_time), "create_time": timestamp(create_time)}
    if kind == PlaceKind.PATH:
        return pb.Place(path=key, current=current, sequencer=sequencer, **times)
    found = recognizer_pb2.S3Object(bucket=bucket, key=key, version_id=version_id)
    return pb.Place(s3_object=found, current=current, sequencer=sequencer, **times)


def _category(row: Sequence[Any]) -> pb.PictureCategory:
    category_id, name, source = row
    return pb.PictureCategory(category_id=str(category_id), name=name, source=source)


async def _complete(connection: AsyncConnection, pictures: Mapping[UUID, pb.Picture]) -> None:
    values = {"ids": list(pictures), "bytes": _MOST_ANSWER_BYTES}
    for row in await connection.execute(text(_ANSWERS).bindparams(_IDS), values):
        pictures[row.picture_id].answers.add(
            answer_id=str(row.answer_id),
            create_time=timestamp(row.create_time),
            source=row.source,
            result=recognizer_pb2.RecognizerResult.FromString(row.result),
        )
    for row in await connection.execute(text(_SAME_PIXELS).bindparams(_IDS), {"ids": list(pictures)}):
        pictures[row.picture_id].same_pixels.append(str(row.same_id))
