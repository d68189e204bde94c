"""What holds of people whatever happens: jobs, corrections, other vectors and other models, in any order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from bench.library.synthetic import Crowd
from marquee.library.v1 import people_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1
from services.library.database.change import Changes
from services.library.database.database import Database
from services.library.faces.vectors import as_text
from services.library.grouping.grouping import Grouping, restart
from services.library.grouping.suggestions import Suggestions
from services.library.people import actions
from services.library.people.actions import Actions
from services.library.people.decisions import Decisions
from services.library.people.faces import lock
from services.library.people.merging import Merging
from services.library.people.people import People
from services.library.work.recording import write_faces
from services.library.work.signals import Signals
from services.runtime.errors import DomainError
from tests.support.library import database, run_sql
from tests.support.library_grouping import ASSIGN_AND_SUGGEST, face_id, fill, picture_id, verdict

CROWD = Crowd(4, 0.01).faces(24)
PEOPLE = 4
FACTS = ("decision", "face_refusal", "people_refusal")
REFUSED = """
SELECT face.face_id FROM face JOIN face_refusal USING (face_id)
JOIN person AS refused ON refused.person_id = face_refusal.person_id
WHERE face.source NOT IN (0, 1) AND face.person_id = coalesce(refused.merged_id, refused.person_id)::text
"""
TWICE = """
SELECT picture_id FROM face WHERE current AND source <> 0 GROUP BY picture_id, person_id HAVING count(*) > 1
"""
UNDECIDED = """
SELECT face.face_id FROM decision JOIN face USING (face_id)
LEFT JOIN person ON person.person_id = decision.person_id
WHERE face.current AND face.person_id <> coalesce(coalesce(person.merged_id, person.person_id)::text, '')
"""
Step = tuple[str, int, int]


class Parts(NamedTuple):
    """The parts of a library that change what is known of people."""

    changes: Changes
    people: People
    decisions: Decisions
    merging: Merging
    actions: Actions
    suggestions: Suggestions
    grouping: Grouping


class World:
    """A library, and what has happened in it."""

    def __init__(self, url: str, opened: Database) -> None:
        changes = Changes(opened)
        merging = Merging(changes)
        self.url = url
        self.parts = Parts(
            changes,
            People(changes),
            Decisions(changes),
            merging,
            Actions(changes),
            Suggestions(changes, merging),
            Grouping(changes, Signals(opened)),
        )
        self.people: list[str] = []
        self.done: list[str] = []
        self.models = 1

    async def create(self) -> None:
        """Have some people."""
        for number in range(PEOPLE):
            request = pb.CreatePersonRequest(collection="pictures", display_name=f"Person {number}")
            self.people.append((await self.parts.people.create(request)).person.person_id)

    async def step(self, kind: str, one: int, other: int) -> None:
        """Do something; jobs leave what was decided and refused as it was."""
        before = await self.facts()
        try:
            action_id = await STEPS[kind](self, one, other)
        except DomainError:
            action_id = ""
        self.done += [action_id] if action_id else []
        if kind in JOBS:
            assert await self.facts() == before
        for query in (REFUSED, TWICE, UNDECIDED):
            assert await self.query(query) == [], (kind, query)

    async def facts(self) -> list[list[str]]:
        """Return all that was decided and refused."""
        return [await self.query(f"SELECT {name}::text FROM {name} ORDER BY 1") for name in FACTS]  # noqa: S608

    async def query(self, query: str) -> list[str]:
        """Return the first column of what the database answers."""
        async with self.parts.changes.database.begin() as connection:
            return [str(one) for one in (await connection.execute(text(query))).scalars()]

    async def name(self, one: int, other: int) -> str:
        """Decide whom a face shows."""
        request = pb.NameFacesRequest(collection="pictures", face_ids=[_face(one)], person_id=self._person(other))
        return (await self.parts.decisions.name(request)).action_id

    async def refuse(self, one: int, other: int) -> str:
        """Refuse it."""
        request = pb.RefuseFacesRequest(collection="pictures", face_ids=[_face(one)], person_id=self._person(other))
        return (await self.parts.decisions.refuse(request)).action_id

    async def mark(self, one: int, other: int) -> str:
        """Ignore a face, say that it is none, or take back what was decided."""
        marks = [value for value in pb.FaceMark.values() if value]
        request = pb.MarkFacesRequest(collection="pictures", face_ids=[_face(one)], mark=marks[other % len(marks)])
        return (await self.parts.decisions.mark(request)).action_id

    async def merge(self, one: int, other: int) -> str:
        """Say that two people are one."""
        own = {"person_id": self._person(one), "merged_ids": [self._person(other)]}
        return (await self.parts.merging.merge(pb.MergePeopleRequest(collection="pictures", **own))).action_id

    async def separate(self, one: int, other: int) -> str:
        """Say that they are not."""
        own = {"person_id": self._person(one), "other_person_id": self._person(other)}
        return (await self.parts.merging.separate(pb.SeparatePeopleRequest(collection="pictures", **own))).action_id

    async def delete(self, one: int, _other: int) -> str:
        """Delete a person."""
        request = pb.DeletePersonRequest(collection="pictures", person_id=self._person(one))
        return (await self.parts.people.delete(request)).action_id

    async def undo(self, one: int, _other: int) -> str:
        """Undo something."""
        if not self.done:
            return ""
        request = pb.UndoActionRequest(collection="pictures", action_id=self.done[one % len(self.done)])
        return (await self.parts.actions.undo(request)).action_id

    async def answer(self, one: int, other: int) -> str:
        """Answer the next question."""
        question = (await self.parts.suggestions.next(pb.NextSuggestionRequest(collection="pictures"))).suggestion
        request = pb.AnswerSuggestionRequest(collection="pictures", suggestion_id=question.suggestion_id)
        request.answer = pb.SuggestionAnswer.values()[1 + other % 3]
        request.person_id = self._person(one)
        return (await self.parts.suggestions.answer(request)).action_id

    async def look(self, one: int, _other: int) -> str:
        """Have some faces looked at, or all."""
        while await self.parts.grouping.step() and one % 2:
            pass
        return ""

    async def recognize(self, one: int, other: int) -> str:
        """Have a picture recognized again, by a recognizer that takes its faces for one or two people."""
        picture = int(CROWD.pictures[one % len(CROWD.pictures)])
        numbers = np.flatnonzero(CROWD.pictures == picture).tolist()
        verdicts = [_named(number, self._person(other + number % 2)) for number in numbers if (one + number) % 5]
        async with self.parts.changes.begin("pictures") as change:
            await actions.hold(change.connection, change.collection_id)
            await lock(change.connection, [picture_id(picture)])
            await write_faces(change, picture_id(picture), verdicts)
        return ""

    async def embed(self, one: int, _other: int) -> str:
        """Have people compared by another model, which sees other likenesses."""
        self.models += 1
        order = np.random.default_rng(one).permutation(len(CROWD.vectors))
        vectors = CROWD.vectors[order if one % 2 else np.arange(len(order))]
        model = "INSERT INTO vector_model (name, version, metric, dimensions)"
        await run_sql(self.url, f"{model} VALUES ('synthetic', '{self.models}', 'l2', 128)")
        rows = []
        for number, vector in enumerate(vectors):
            values = f"'{face_id(number)}', {self.models}, 1, '{picture_id(int(CROWD.pictures[number]))}'"
            rows.append(f"({values}, '{as_text(vector.tolist())}')")
        await run_sql(self.url, f"INSERT INTO face_vector VALUES {', '.join(rows)}")  # noqa: S608
        await run_sql(self.url, f"UPDATE used_model SET model_id = {self.models}")  # noqa: S608
        async with self.parts.changes.begin("pictures") as change:
            await restart(change.connection, change.collection_id)
        return ""

    def _person(self, number: int) -> str:
        return self.people[number % PEOPLE]


STEPS: dict[str, Callable[[World, int, int], Awaitable[str]]] = {
    name: getattr(World, name)
    for name in (
        *("name", "refuse", "mark", "merge", "separate", "delete", "undo", "answer"),
        *("look", "recognize", "embed"),
    )
}
JOBS = ("look", "recognize", "embed")
numbers = st.integers(0, 1000)
some = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), numbers, numbers), min_size=3, max_size=20)


def _face(number: int) -> str:
    return str(face_id(number % len(CROWD.people)))


def _named(number: int, person_id: str) -> v1.Verdict:
    candidate = v1.Candidate(person_id=person_id, display_name="somebody", score=0.9)
    support = v1.Support(recognizer="svm", candidate=candidate)
    named = {"person_id": person_id, "display_name": "somebody", "score": 0.9}
    return verdict(number, state=v1.VERDICT_STATE_IDENTIFIED, support=[support], **named)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=some)
def test_nothing_undoes_what_somebody_decided(postgres: Path, steps: Sequence[Step]) -> None:
    """No order of jobs, corrections, embeddings and models assigns a refused pair or changes a decision.

    Nor is anybody in a picture twice, at any time.
    """
    asyncio.run(_play(postgres, steps))


async def _play(postgres: Path, steps: Sequence[Step]) -> None:
    async with database(postgres) as url:
        await fill(url, [CROWD], distances=ASSIGN_AND_SUGGEST)
        opened = Database(url, 4)
        try:
            world = World(url, opened)
            await world.create()
            await world.step("look", 1, 0)
            for kind, one, other in (*steps, ("look", 1, 0)):
                await world.step(kind, one, other)
        finally:
            await opened.close()
