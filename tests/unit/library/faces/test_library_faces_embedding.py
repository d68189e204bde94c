"""Faces embedded again with a new model, beside the vectors of the old one; and which of both is used."""

import asyncio
from pathlib import Path

from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from marquee.v1 import recognizer_pb2
from services.runtime.errors import DependencyUnavailable
from tests.support.library import added, ended, refused, rows
from tests.support.library_faces import embedded, embedding
from tests.support.library_people import library_of
from tests.support.processes import PATIENCE
from tests.support.servers import LEFT, RIGHT, Scripted, face, picture, result

COUNTS = (
    "SELECT version, count(*) FROM face_vector JOIN vector_model USING (model_id) GROUP BY version ORDER BY version"
)


def networked(version: str = "1") -> Scripted:
    """Return a recognizer that embeds given faces: all pictures show two."""
    faces = embedded(LEFT, [1, 2], version=version), embedded(RIGHT, [3, 4], version=version)
    svm = embedding("svm", *faces, features=(recognizer_pb2.FEATURE_CELEBRITIES, recognizer_pb2.FEATURE_FACES))
    svm.listed.takes_face_boxes = True
    return svm


def new_version(svm: Scripted) -> None:
    for one in svm.result.faces:
        one.embedding.version = "2"


async def embedding_when(people: PeopleServiceStub, **expected: object) -> pb.EmbeddingRun:
    """Return how far the embedding is once it has these values."""
    async with asyncio.timeout(PATIENCE):
        while True:
            run = (await people.ListVectorModels(pb.ListVectorModelsRequest())).embedding
            if all(getattr(run, name) == value for name, value in expected.items()):
                return run
            await asyncio.sleep(0.05)


async def test_all_faces_are_embedded_beside(database_url: str, tmp_path: Path) -> None:
    """Every face has a vector of the new model, and still that of the old one, which is used until it is replaced."""
    svm = networked()
    async with library_of(database_url, tmp_path, svm) as (client, people):
        for width in (20, 30, 40):
            await ended(client, (await added(client, picture((width, 10)))).picture_id)
        new_version(svm)
        begun = (await people.EmbedFaces(pb.EmbedFacesRequest())).embedding
        assert (begun.recognizer, begun.running) == ("svm", True)
        run = await embedding_when(people, running=False)
        assert (run.done_count, run.left_count, run.failed_count, run.model.version) == (6, 0, 0, "2")
        assert await rows(database_url, COUNTS) == [("1", 6), ("2", 6)]
        listed = (await people.ListVectorModels(pb.ListVectorModelsRequest())).models
        assert [(one.version, one.face_count, one.used) for one in listed] == [("2", 6, False), ("1", 6, True)]
        used = await people.UseModel(pb.UseModelRequest(model_id=listed[0].model_id))
        assert (used.model.version, used.model.used) == ("2", True)
        unknown = people.UseModel(pb.UseModelRequest(model_id=99))
        assert await refused(unknown) == ("FAILED_PRECONDITION", "MODEL_NOT_FOUND")


async def test_embedding_goes_on_where_it_was(database_url: str, tmp_path: Path) -> None:
    """While the recognizer is away it waits and says why; a library that takes over embeds only what is left."""
    svm = networked()
    async with library_of(database_url, tmp_path, svm) as (client, people):
        for width in (20, 30):
            await ended(client, (await added(client, picture((width, 10)))).picture_id)
        new_version(svm)
        svm.error = DependencyUnavailable("away")
        await people.EmbedFaces(pb.EmbedFacesRequest())
        async with asyncio.timeout(PATIENCE):
            while not (await people.ListVectorModels(pb.ListVectorModelsRequest())).embedding.status.code:  # noqa: ASYNC110 - a library changes it
                await asyncio.sleep(0.05)
        assert (await embedding_when(people, running=True)).done_count == 0
    svm = networked("2")
    async with library_of(database_url, tmp_path, svm) as (_, people):
        run = await embedding_when(people, running=False)
        assert (run.done_count, run.status.code) == (4, 0)
        assert len(svm.calls) == 2
        await people.EmbedFaces(pb.EmbedFacesRequest())
        await embedding_when(people, running=False)
        assert len(svm.calls) == 3  # of which the first picture's tells the model


async def test_who_embeds_must_take_boxes(database_url: str, tmp_path: Path) -> None:
    """A recognizer that is not there, or takes no boxes, embeds nothing; without one the call fails."""
    async with library_of(database_url, tmp_path, Scripted("other")) as (_, people):
        assert (await refused(people.EmbedFaces(pb.EmbedFacesRequest())))[0] == "UNAVAILABLE"
    async with library_of(database_url, tmp_path, networked(), Scripted("other")) as (_, people):
        named = people.EmbedFaces(pb.EmbedFacesRequest(recognizer="other"))
        assert await refused(named) == ("INVALID_ARGUMENT", "UNKNOWN_RECOGNIZER")
    async with library_of(database_url, tmp_path) as (_, people):
        assert (await refused(people.EmbedFaces(pb.EmbedFacesRequest())))[0] == "UNAVAILABLE"


async def test_a_face_is_drawn(database_url: str, tmp_path: Path) -> None:
    """A drawn face is shown, embedded and named; it stays when the picture is recognized again; undoing takes it."""
    finder = Scripted("finder", result=result("finder", face(RIGHT)))
    svm = embedding("svm")
    svm.listed.takes_face_boxes = True
    box = recognizer_pb2.BoundingBox(left=0.1, top=0.2, width=0.2, height=0.3)
    async with library_of(database_url, tmp_path, finder, svm) as (client, people):
        picture_id = (await added(client, picture((200, 100)))).picture_id
        await ended(client, picture_id)
        anna = (await people.CreatePerson(pb.CreatePersonRequest(display_name="Anna"))).person.person_id
        svm.result.faces.append(embedded(LEFT, [1, 2]))
        request = pb.DrawFaceRequest(picture_id=picture_id, box=box, person_id=anna)
        drawn = await people.DrawFace(request)
        assert (drawn.face.drawn, drawn.face.display_name, drawn.face.person_id) == (True, "Anna", anna)
        assert await rows(database_url, "SELECT vector::text FROM face_vector") == [("[1,2]",)]
        again = people.DrawFace(request)
        assert await refused(again) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
        nowhere = people.DrawFace(pb.DrawFaceRequest(picture_id=picture_id))
        assert await refused(nowhere) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
        await people.UndoAction(pb.UndoActionRequest(action_id=drawn.action_id))
        assert await rows(database_url, "SELECT count(*) FROM face WHERE drawn") == [(0,)]
    async with library_of(database_url, tmp_path) as (_, people):
        assert (await refused(people.DrawFace(request)))[0] == "UNAVAILABLE"
