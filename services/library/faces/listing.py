"""Listing: faces and clusters, a page at a time."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from marquee.v1.recognizer_pb2 import VERDICT_STATE_NO_FACE
from services.library.database import tokens
from services.library.database.database import Database
from services.library.database.identifiers import uuid_of
from services.library.database.people_tables import DecisionKind, cluster, decision
from services.library.database.tables import face, picture
from services.library.people.faces import is_shown
from services.library.people.view import found_faces, person_of
from services.library.pictures import view
from services.runtime import requests

_SHOWN_FACES = 12
"""Faces of a cluster that are named."""


class Listing:
    """FindFaces and ListClusters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def faces(self, request: pb.FindFacesRequest) -> pb.FindFacesResponse:
        """Return a page of faces, newest first. Raises PersonNotFound, PictureNotFound and InvalidRequest."""
        after, size = tokens.decode_id(request.page_token), requests.page_size_of(request)
        collection_id = await self._database.collection_id(request.collection, make=False)
        columns = face.c
        async with self._database.snapshot() as connection:
            its = [picture.c.collection_id == collection_id, is_shown(), columns.current]
            its.append(_is_face())
            its += await _asked(connection, collection_id, request)
            its += [columns.face_id < after] if after else []
            found = select(columns.face_id).join(picture).where(*its)
            rows = await connection.execute(found.order_by(columns.face_id.desc()).limit(size + 1))
            ids = list(rows.scalars())
            faces = await found_faces(connection, collection_id, ids[:size])
        token = tokens.encode(ids[size - 1]) if len(ids) > size else ""
        return pb.FindFacesResponse(faces=faces, next_page_token=token)

    async def clusters(self, request: pb.ListClustersRequest) -> pb.ListClustersResponse:
        """Return a page of clusters with faces that have no name, the largest first. Raises InvalidRequest."""
        size, columns = requests.page_size_of(request), cluster.c
        collection_id = await self._database.collection_id(request.collection, make=False)
        its: list[Any] = [columns.collection_id == collection_id, _open(func.count()).scalar_subquery() > 0]
        if request.page_token:
            last, cluster_id = tokens.decode(request.page_token, 2)
            its.append(
                tuple_(columns.size, columns.cluster_id) < tuple_(tokens.number_of(last), tokens.uuid_of(cluster_id))
            )
        some = _open(face.c.face_id).order_by(face.c.face_id).limit(_SHOWN_FACES).scalar_subquery()
        found = select(
            columns.cluster_id, columns.size, _open(func.count()).scalar_subquery().label("count"), func.array(some)
        )
        ordered = found.where(*its).order_by(columns.size.desc(), columns.cluster_id.desc()).limit(size + 1)
        async with self._database.snapshot() as connection:
            rows = (await connection.execute(ordered)).all()
        page = rows[:size]
        token = tokens.encode(page[-1].size, page[-1].cluster_id) if len(rows) > size else ""
        return pb.ListClustersResponse(clusters=[_cluster(row) for row in page], next_page_token=token)


async def _asked(connection: AsyncConnection, collection_id: int, request: pb.FindFacesRequest) -> list[Any]:
    """Return the conditions of what the request has set."""
    columns = face.c
    found: list[Any] = []
    if request.person_id:
        person_id = await person_of(connection, collection_id, request.person_id)
        found.append(and_(columns.person_id == str(person_id), columns.source != 0))
    if request.cluster_id:
        cluster_id = uuid_of(request.cluster_id)
        found.append(columns.cluster_id == cluster_id if cluster_id else literal(value=False))
    if request.picture_id:
        found.append(columns.picture_id == await view.find(connection, collection_id, request.picture_id))
    if request.state:
        found.append(_in_state(request.state))
    if request.unnamed:
        found.append(columns.source == 0 if request.state else _is_open())
    return found


def _in_state(state: "library_pb2.FaceState.ValueType") -> ColumnElement[bool]:
    columns = face.c
    kinds = {
        library_pb2.FACE_STATE_IGNORED: DecisionKind.IGNORED,
        library_pb2.FACE_STATE_NOT_A_FACE: DecisionKind.NOT_A_FACE,
    }
    if state == library_pb2.FACE_STATE_ERASED:
        return columns.erased
    if state in kinds:
        return and_(~columns.erased, _decided(decision.c.kind == kinds[state]))
    is_new = columns.tried_time.is_(None) == (state == library_pb2.FACE_STATE_NEW)
    return and_(~columns.erased, ~_decided(decision.c.kind != DecisionKind.PERSON), is_new)


def _is_face() -> ColumnElement[bool]:
    """Return the condition that a row is of a face: that there is none is told by a row, too."""
    return or_(face.c.state != VERDICT_STATE_NO_FACE, _decided(decision.c.kind == DecisionKind.NOT_A_FACE))


def _decided(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(literal(1)).where(decision.c.face_id == face.c.face_id, *which).exists()


def _is_open() -> ColumnElement[bool]:
    """Return the condition that a face has no name, and may get one."""
    return and_(face.c.source == 0, ~face.c.erased, ~_decided())


def _open(selected: Any) -> Select[Any]:
    """Select of a cluster's faces without a name."""
    own = select(selected).select_from(face.join(picture))
    return own.where(face.c.cluster_id == cluster.c.cluster_id, face.c.current, is_shown(), _is_open())


def _cluster(row: Any) -> pb.Cluster:
    cluster_id, _, count, face_ids = row
    return pb.Cluster(cluster_id=str(cluster_id), face_count=count, face_ids=[str(one) for one in face_ids])
