"""Suggestions: one question at a time, and what follows from its answer."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marquee.library.v1 import people_pb2 as pb
from services.library.database.change import Change, Changes
from services.library.database.people_tables import skip
from services.library.grouping import bands, questions
from services.library.grouping.questions import MOST, Asked, Question, asked
from services.library.people import decisions, faces
from services.library.people.actions import act, hold
from services.library.people.merging import Merging, separate
from services.library.people.people import made
from services.library.people.view import found_faces, people_of, person_of
from services.library.pictures.view import pictures_of
from services.runtime.errors import FaceNotFound, InvalidRequest

_KINDS = {
    "face": pb.SUGGESTION_KIND_FACE,
    "cluster": pb.SUGGESTION_KIND_CLUSTER,
    "people": pb.SUGGESTION_KIND_PEOPLE,
}


class Suggestions:
    """NextSuggestion and AnswerSuggestion."""

    def __init__(self, changes: Changes, merging: Merging) -> None:
        self._changes = changes
        self._merging = merging
        self._database = changes.database

    async def next(self, request: pb.NextSuggestionRequest) -> pb.NextSuggestionResponse:
        """Return the question whose answer names most faces. Raises PersonNotFound."""
        collection_id = await self._database.collection_id(request.collection, make=False)
        async with self._database.begin() as connection:
            person_id = None
            if request.person_id:
                person_id = await person_of(connection, collection_id, request.person_id)
            space = await bands.space_of(connection, collection_id)
            found = await questions.most_gaining(connection, collection_id, space, person_id)
            total = min(MOST, sum(one.total for one in found))
            for one in found:
                if (shown := await _shown(connection, collection_id, request.collection, one)) is not None:
                    return pb.NextSuggestionResponse(suggestion=shown, open_count=total)
        return pb.NextSuggestionResponse()

    async def answer(self, request: pb.AnswerSuggestionRequest) -> pb.AnswerSuggestionResponse:
        """Do what an answer means. Raises what naming, refusing, merging and separating do."""
        question = asked(request.suggestion_id)
        if request.answer == pb.SUGGESTION_ANSWER_UNSPECIFIED:
            raise InvalidRequest("answer is required.", field="answer")
        if question.kind == "people" and request.answer == pb.SUGGESTION_ANSWER_SAME:
            own = pb.MergePeopleRequest(
                request_id=request.request_id,
                collection=request.collection,
                person_id=str(question.own_id),
                merged_ids=[str(question.person_id)],
            )
            merged = await self._merging.merge(own)
            return pb.AnswerSuggestionResponse(action_id=merged.action_id)

        async def make(change: Change) -> pb.AnswerSuggestionResponse:
            await hold(change.connection, change.collection_id, alone=question.kind == "people")
            answer = pb.SuggestionAnswer.Name(request.answer).removeprefix("SUGGESTION_ANSWER_")
            async with act(change, "AnswerSuggestion", f"Answer {answer} to {request.suggestion_id}.") as action_id:
                pictures = await _answer(change, question, request)
            await faces.refresh(change, pictures)
            return pb.AnswerSuggestionResponse(action_id=action_id)

        return await self._changes.once(request, pb.AnswerSuggestionResponse, make)


async def _answer(change: Change, question: Asked, request: pb.AnswerSuggestionRequest) -> Sequence[UUID]:
    """Do what an answer means, in an action; return the pictures that may change by it."""
    if request.answer == pb.SUGGESTION_ANSWER_SKIP:
        statement = insert(skip).values(collection_id=change.collection_id, suggestion_id=request.suggestion_id)
        again = statement.on_conflict_do_update(
            index_elements=[skip.c.collection_id, skip.c.suggestion_id], set_={"create_time": func.now()}
        )
        await change.connection.execute(again)
        return ()
    if question.kind == "people":
        given = (str(question.own_id), str(question.person_id))
        one, other = [await person_of(change.connection, change.collection_id, key, "suggestion_id") for key in given]
        await separate(change, one, other)
        return ()
    is_same = request.answer == pb.SUGGESTION_ANSWER_SAME
    if question.person_id is None and not is_same:
        raise InvalidRequest("Say who the cluster is, or skip it: nobody was suggested.", field="answer")
    person_id = await _whom(change, question, request)
    own = [str(question.own_id)]
    if question.kind == "cluster":
        own = await questions.open_faces(change.connection, question.own_id, person_id)
    if not own:
        raise FaceNotFound("The cluster has no faces without a name any more.", field="suggestion_id")
    decide = decisions.name if is_same else decisions.refuse
    return await decide(change, own, person_id)


async def _whom(change: Change, question: Asked, request: pb.AnswerSuggestionRequest) -> UUID:
    """Return whom an answer is about: the person of the question, or whom the answer says."""
    is_open = question.kind == "cluster" and request.answer == pb.SUGGESTION_ANSWER_SAME
    if is_open and request.person_id:
        return await person_of(change.connection, change.collection_id, request.person_id)
    if is_open and request.display_name:
        return await made(change, request.display_name)
    if question.person_id is None:
        raise InvalidRequest("person_id or display_name is required: who the cluster is.", field="person_id")
    return await person_of(change.connection, change.collection_id, str(question.person_id), "suggestion_id")


async def _shown(connection: AsyncConnection, collection_id: int, name: str, one: Question) -> pb.Suggestion | None:
    """Return the question as callers see it; None: what it is about has gone meanwhile."""
    question = asked(one.suggestion_id)
    ids = [question.person_id] if question.person_id else []
    if question.kind == "people":
        ids = [question.own_id, *ids]
    people = await people_of(connection, collection_id, ids)
    face_id = await _face(connection, question, people)
    shown = await found_faces(connection, collection_id, [face_id] if face_id else [])
    if len(people) != len(ids) or not shown:
        return None
    return pb.Suggestion(
        kind=_KINDS[question.kind],
        suggestion_id=one.suggestion_id,
        face=shown[0],
        person=people[0] if people else None,
        other_person=people[1] if len(people) > 1 else None,
        score=one.score,
        gain=one.gain,
        picture=(await pictures_of(connection, name, [UUID(shown[0].picture_id)]))[0],
    )


async def _face(connection: AsyncConnection, question: Asked, people: Sequence[pb.LibraryPerson]) -> UUID | None:
    """Return the face that a question shows."""
    if question.kind == "face":
        return question.own_id
    if question.kind == "cluster":
        members = await questions.open_faces(connection, question.own_id, question.person_id)
        return UUID(members[0]) if members else None
    return UUID(people[0].cover_face_id) if people and people[0].cover_face_id else None
