"""Drawing: faces that no recognizer has found, added by hand and embedded like others."""

from uuid import UUID

from sqlalchemy import func, insert, select
from uuid6 import uuid7

from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.database.change import Change, Changes
from services.library.database.tables import face
from services.library.faces import vectors
from services.library.faces.embedder import Embedder
from services.library.people import decisions, opinions
from services.library.people.actions import act, hold
from services.library.people.faces import refresh
from services.library.people.view import found_faces, person_of
from services.library.pictures.content import Content
from services.library.pictures.view import find
from services.library.work.matching import Known, match
from services.runtime.boxes import is_inside
from services.runtime.errors import InvalidRequest

_MOST = 1000
"""Faces of a picture."""


class Drawing:
    """DrawFace."""

    def __init__(self, changes: Changes, content: Content, embedder: Embedder) -> None:
        self._changes = changes
        self._content = content
        self._embedder = embedder

    async def draw(self, request: pb.DrawFaceRequest) -> pb.DrawFaceResponse:
        """Add the face.

        Raises InvalidRequest, PictureNotFound, PersonNotFound, PersonTwice, ContentMissing, and what the embedder does.
        """
        if not is_inside(request.box):
            raise InvalidRequest("box is no part of the picture: its sides are fractions of it, 0 to 1.", field="box")
        database = self._changes.database
        collection_id = await database.collection_id(request.collection, make=False)
        async with database.begin() as connection:
            picture_id = await find(connection, collection_id, request.picture_id)
        image = recognizer_pb2.Image(content=await self._content.original(picture_id))
        response = await self._embedder.recognize(image, await self._embedder.names(of_boxes=True), [request.box])

        async def make(change: Change) -> pb.DrawFaceResponse:
            return await _draw(change, request, response)

        return await self._changes.once(request, pb.DrawFaceResponse, make)


async def _draw(
    change: Change, request: pb.DrawFaceRequest, response: recognizer_pb2.RecognizeImageResponse
) -> pb.DrawFaceResponse:
    connection, collection_id = change.connection, change.collection_id
    await hold(connection, collection_id)
    person_id = await person_of(connection, collection_id, request.person_id) if request.person_id else None
    picture_id = await find(connection, collection_id, request.picture_id, lock=True)
    await _check_free(change, picture_id, request.box)
    verdict = next((one for one in response.verdicts if one.HasField("box")), recognizer_pb2.Verdict())
    verdict.box.CopyFrom(request.box)
    verdict.state = verdict.state or recognizer_pb2.VERDICT_STATE_UNKNOWN
    async with act(change, "DrawFace", "Drew a face") as action_id:
        face_id = await _add(change, picture_id, verdict)
        await opinions.write(change, {face_id: verdict})
        found = [(face_id, one.embedding) for result in response.results for one in result.faces[:1]]
        await vectors.write(change, picture_id, [pair for pair in found if pair[1].values])
        if person_id:
            await decisions.name(change, [str(face_id)], person_id)
    await refresh(change, [picture_id])
    (shown,) = await found_faces(connection, collection_id, [face_id])
    return pb.DrawFaceResponse(face=shown.face, action_id=action_id)


async def _check_free(change: Change, picture_id: UUID, box: recognizer_pb2.BoundingBox) -> None:
    """Raise InvalidRequest if there is a face at the place, or no room for another."""
    its = select(face.c.face_id, face.c.verdict).where(face.c.picture_id == picture_id, face.c.current)
    rows = (await change.connection.execute(its)).all()
    known = [Known(row.face_id, True, recognizer_pb2.Verdict.FromString(row.verdict)) for row in rows]  # noqa: FBT003
    boxed = [one for one in known if one.verdict.HasField("box")]
    if found := match(boxed, [recognizer_pb2.Verdict(box=box)]):
        raise InvalidRequest(f"There is a face already: {found[0]}.", field="box")
    if len(rows) >= _MOST:
        raise InvalidRequest(f"The picture has {len(rows)} faces, and can have no more.", field="picture_id")


async def _add(change: Change, picture_id: UUID, verdict: recognizer_pb2.Verdict) -> UUID:
    face_id, columns = UUID(bytes=uuid7().bytes), face.c
    last = select(func.coalesce(func.max(columns.position), -1)).where(columns.picture_id == picture_id)
    values = {
        "face_id": face_id,
        "picture_id": picture_id,
        "position": last.scalar_subquery() + 1,
        "drawn": True,
        "state": verdict.state,
        "verdict": verdict.SerializeToString(),
    }
    await change.connection.execute(insert(face).values(values))
    return face_id
