"""Suggestions: the question that gains most, and what follows from its answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench.library.synthetic import Crowd, Faces
from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from tests.support.library import library_server, refused, rows
from tests.support.library_grouping import ASSIGN_AND_SUGGEST, fill, looked
from tests.support.library_people import people

SAME, NOT_SAME, SKIP = pb.SUGGESTION_ANSWER_SAME, pb.SUGGESTION_ANSWER_NOT_SAME, pb.SUGGESTION_ANSWER_SKIP
SHOWN = "SELECT face_id FROM face WHERE person_id <> '' ORDER BY face_id"


@dataclass
class Asking:
    """A library whose faces were grouped, and its people."""

    client: PeopleServiceStub
    url: str

    async def next(self, person_id: str = "") -> pb.Suggestion:
        """Return the next question, once all faces have been looked at."""
        await looked(self.url)
        return (await self.client.NextSuggestion(pb.NextSuggestionRequest(person_id=person_id))).suggestion

    async def answer(self, question: pb.Suggestion, answer: "pb.SuggestionAnswer.ValueType", **whom: str) -> str:
        """Answer it, and return the action's identifier."""
        request = pb.AnswerSuggestionRequest(suggestion_id=question.suggestion_id, answer=answer, **whom)
        return (await self.client.AnswerSuggestion(request)).action_id

    async def ask_until(self, kind: "pb.SuggestionKind.ValueType") -> pb.Suggestion:
        """Give each cluster that is asked about a name, until a question of the kind comes."""
        number = 0
        while (question := await self.next()).kind != kind:
            number += 1
            await self.answer(question, SAME, display_name=f"Person {number}")
        return question


@asynccontextmanager
async def asking(url: str, folder: Path, faces: Faces) -> AsyncIterator[Asking]:
    """Yield a library with these faces."""
    await fill(url, [faces], distances=ASSIGN_AND_SUGGEST)
    async with (
        library_server(url, folder / "store", "localhost:1", library_workers=0) as address,
        people(address) as client,
    ):
        yield Asking(client, url)


@pytest.fixture
async def library(database_url: str, tmp_path: Path) -> AsyncIterator[Asking]:
    """Yield a library with faces of a few people."""
    async with asking(database_url, tmp_path, Crowd(6, 0.03).faces(120)) as opened:
        yield opened


async def test_the_largest_cluster_is_asked_about_first(library: Asking) -> None:
    """With a face and its whole picture, and how many faces the answer names."""
    question = await library.next()
    (largest,) = (await rows(library.url, "SELECT max(size) FROM cluster"))[0]
    assert (question.kind, question.gain) == (pb.SUGGESTION_KIND_CLUSTER, largest)
    assert question.picture.picture_id == question.face.picture_id
    assert question.face.face.face_id in {face.face_id for face in question.picture.faces}


async def test_an_answer_names_the_cluster_and_undoing_it_takes_the_name_back(library: Asking) -> None:
    """All of its faces are decided at once, and asked about again once that is undone."""
    question = await library.next()
    action_id = await library.answer(question, SAME, display_name="Anna")
    assert len(await rows(library.url, SHOWN)) == question.gain
    await library.client.UndoAction(pb.UndoActionRequest(action_id=action_id))
    assert await rows(library.url, SHOWN) == []
    assert (await library.next()).suggestion_id == question.suggestion_id


async def test_a_cluster_without_a_name_needs_one(library: Asking) -> None:
    """SAME says who it is, and nobody was suggested whom it could not be."""
    question = await library.next()
    assert await refused(library.answer(question, SAME)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert await refused(library.answer(question, NOT_SAME)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_a_skipped_question_comes_last(library: Asking) -> None:
    """Others are asked before it, and it is not forgotten."""
    first = await library.next()
    await library.answer(first, SKIP)
    second = await library.next()
    assert second.suggestion_id != first.suggestion_id
    while (question := await library.next()).suggestion_id != first.suggestion_id:
        await library.answer(question, SKIP)


async def test_a_face_that_may_show_somebody_is_asked_about_and_its_answer_holds(library: Asking) -> None:
    """Same: it has the name. Not the same: it is never asked again, nor named so."""
    question = await library.ask_until(pb.SUGGESTION_KIND_FACE)
    await library.answer(question, NOT_SAME)
    other = await library.next()
    assert other.suggestion_id != question.suggestion_id
    if other.kind == pb.SUGGESTION_KIND_FACE:
        await library.answer(other, SAME)
        shown = dict(await rows(library.url, "SELECT face_id::text, person_id FROM face"))
        assert shown[other.face.face.face_id] == other.person.person_id
    never = (
        "SELECT face_id FROM face JOIN face_refusal USING (face_id) WHERE face.person_id = face_refusal.person_id::text"
    )
    assert await rows(library.url, never) == []


async def test_two_people_who_look_alike_may_be_one(database_url: str, tmp_path: Path) -> None:
    """Same: they are merged. Not the same: nobody is asked again."""
    one = Crowd(1, 0.01).faces(30)
    other = Faces(_turned(one.vectors), one.people, one.pictures + 1000)
    async with asking(database_url, tmp_path, _both(one, other)) as library:
        question = await library.ask_until(pb.SUGGESTION_KIND_PEOPLE)
        names = {question.person.display_name, question.other_person.display_name}
        assert names == {"Person 1", "Person 2"}
        action_id = await library.answer(question, NOT_SAME)
        assert (await library.next()).kind != pb.SUGGESTION_KIND_PEOPLE
        await library.client.UndoAction(pb.UndoActionRequest(action_id=action_id))
        again = await library.next()
        assert again.suggestion_id == question.suggestion_id
        await library.answer(again, SAME)
        assert len((await library.client.SearchPeople(pb.SearchPeopleRequest())).people) == 1


async def test_only_questions_about_one_person_are_asked_if_so_asked(library: Asking) -> None:
    """Others are left out."""
    question = await library.ask_until(pb.SUGGESTION_KIND_FACE)
    about = await library.next(question.person.person_id)
    assert about.person.person_id == question.person.person_id


@pytest.mark.parametrize("text", ["", "face", "face:x:y", "face:00000000-0000-0000-0000-000000000001", "wrong:1:2"])
async def test_what_is_no_question_is_refused(library: Asking, text: str) -> None:
    """A suggestion_id is one that was returned."""
    request = pb.AnswerSuggestionRequest(suggestion_id=text, answer=SKIP)
    assert await refused(library.client.AnswerSuggestion(request)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


def _turned(vectors: np.ndarray) -> np.ndarray:
    """Return faces that are as far from these as two people who look alike are."""
    step = np.zeros(vectors.shape[1], np.float32)
    step[-1] = 1.2
    moved = vectors + step
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), np.float32)


def _both(*faces: Faces) -> Faces:
    return Faces(*(np.concatenate(parts) for parts in zip(*faces, strict=True)))
