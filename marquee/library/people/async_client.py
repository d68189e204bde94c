"""Client of the library's people for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Unpack

from marquee.channels.connection import DEFAULT_TIMEOUT
from marquee.library.client import MAX_PAGE_SIZE
from marquee.library.people.async_upkeep import AsyncUpkeepClient
from marquee.library.people.enums import FaceMark, SuggestionAnswer
from marquee.library.people.requests import (
    AnswerOptions,
    FaceFilter,
    PersonOptions,
    PersonUpdate,
    SimilarOptions,
    build_answer,
    build_face_search,
    build_mark,
    build_similar,
    build_update,
)
from marquee.library.people.results import (
    Action,
    Cluster,
    DrawnFace,
    FaceExplanation,
    FoundFace,
    LibraryPerson,
    NextSuggestion,
    PersonChange,
    SimilarFaces,
    SplitProposal,
    Undo,
)
from marquee.library.requests import PictureOptions, build_change
from marquee.library.results import PictureContent
from marquee.library.v1 import people_pb2 as pb
from marquee.records import read
from marquee.requests import box_of, names_of
from marquee.results import Box
from marquee.sources import Source


class AsyncPeopleClient(AsyncUpkeepClient):
    """Client for asyncio; see PeopleClient, whose methods it has."""

    async def create(
        self,
        display_name: str,
        face_ids: Sequence[str] = (),
        *,
        aliases: Sequence[str] = (),
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> PersonChange:
        """Create a person, of the given faces, which are decided to be theirs."""
        names = {"aliases": names_of(aliases), "face_ids": names_of(face_ids)}
        request = build_change(pb.CreatePersonRequest, options, display_name=display_name, **names)
        return read(PersonChange, await self._call(self._people.CreatePerson, request, timeout))

    async def get(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = ""
    ) -> LibraryPerson:
        """Return a person, or the one with whom they were merged. Raises PersonNotFound."""
        request = pb.GetPersonRequest(person_id=person_id, collection=collection)
        response = await self._call(self._people.GetPerson, request, timeout)
        return read(LibraryPerson, response.person)

    def search(
        self,
        text: str = "",
        *,
        include_hidden: bool = False,
        page_size: int = MAX_PAGE_SIZE,
        timeout: float | None = DEFAULT_TIMEOUT,
        collection: str = "",
    ) -> AsyncIterator[LibraryPerson]:
        """Yield people by name, with words of whose name or alias the text's words begin; `timeout` is per page."""
        request = pb.SearchPeopleRequest(
            text=text, include_hidden=include_hidden, page_size=page_size, collection=collection
        )
        return self._pages(self._people.SearchPeople, request, timeout, LibraryPerson, "people")

    async def update(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **update: Unpack[PersonUpdate]
    ) -> PersonChange:
        """Change what is given of a person: name, aliases, cover, or whether they are hidden. Raises EtagStale."""
        request = build_update(person_id, update)
        return read(PersonChange, await self._call(self._people.UpdatePerson, request, timeout))

    async def merge(
        self,
        person_id: str,
        merged_ids: Sequence[str],
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PersonOptions],
    ) -> PersonChange:
        """Merge other people into one, who gets their faces, and their names as aliases.

        Raises PeopleSeparated, PersonTwice, EtagStale.
        """
        fields = {"person_id": person_id, "etag": options.get("etag", "")}
        request = build_change(pb.MergePeopleRequest, options, merged_ids=names_of(merged_ids), **fields)
        return read(PersonChange, await self._call(self._people.MergePeople, request, timeout))

    async def separate(
        self,
        person_id: str,
        other_person_id: str,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> str:
        """Say that two people are not one: they are never suggested to be. Returns the action_id."""
        fields = {"person_id": person_id, "other_person_id": other_person_id}
        request = build_change(pb.SeparatePeopleRequest, options, **fields)
        response = await self._call(self._people.SeparatePeople, request, timeout)
        return response.action_id

    async def delete(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PersonOptions]
    ) -> str:
        """Delete a person: their faces are nobody's again. Returns the action_id. Raises EtagStale.

        What is known of them stays; `erase` takes it.
        """
        fields = {"person_id": person_id, "etag": options.get("etag", "")}
        request = build_change(pb.DeletePersonRequest, options, **fields)
        response = await self._call(self._people.DeletePerson, request, timeout)
        return response.action_id

    async def propose_split(
        self, person_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = ""
    ) -> SplitProposal:
        """Propose how to split a person whose faces are of several people; change nothing.

        `create` or `name_faces` with a group's faces splits.
        """
        request = pb.ProposeSplitRequest(person_id=person_id, collection=collection)
        return read(SplitProposal, await self._call(self._people.ProposeSplit, request, timeout))

    def faces(
        self,
        *,
        page_size: int = MAX_PAGE_SIZE,
        timeout: float | None = DEFAULT_TIMEOUT,
        collection: str = "",
        **faces: Unpack[FaceFilter],
    ) -> AsyncIterator[FoundFace]:
        """Yield faces by person, cluster, state or picture, newest first; `timeout` is per page."""
        request = build_face_search(faces, page_size, collection)
        return self._pages(self._people.FindFaces, request, timeout, FoundFace, "faces")

    async def face_content(
        self, face_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = ""
    ) -> PictureContent:
        """Return a face cut out of its picture, with some of what is around it. Raises ContentMissing, FaceNotFound."""
        request = pb.GetFaceContentRequest(face_id=face_id, collection=collection)
        return read(PictureContent, await self._call(self._people.GetFaceContent, request, timeout))

    async def name_faces(
        self,
        face_ids: Sequence[str],
        person_id: str,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> PersonChange:
        """Decide that faces show a person, whatever they were taken for before. Raises PersonTwice, FaceNotFound."""
        request = build_change(pb.NameFacesRequest, options, face_ids=names_of(face_ids), person_id=person_id)
        return read(PersonChange, await self._call(self._people.NameFaces, request, timeout))

    async def refuse_faces(
        self,
        face_ids: Sequence[str],
        person_id: str,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> str:
        """Refuse that faces show a person: no machine names them so again. Returns the action_id."""
        request = build_change(pb.RefuseFacesRequest, options, face_ids=names_of(face_ids), person_id=person_id)
        response = await self._call(self._people.RefuseFaces, request, timeout)
        return response.action_id

    async def mark_faces(
        self,
        face_ids: Sequence[str],
        mark: FaceMark | str = FaceMark.UNSPECIFIED,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> str:
        """Mark faces as ignored or as no faces; by default take their decisions back. Returns the action_id."""
        request = build_mark(face_ids, mark, options)
        response = await self._call(self._people.MarkFaces, request, timeout)
        return response.action_id

    async def draw_face(
        self,
        picture_id: str,
        box: Box | tuple[float, float, float, float],
        person_id: str = "",
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> DrawnFace:
        """Add a face that no recognizer has found: left, top, width, height in fractions of the upright picture."""
        fields = {"picture_id": picture_id, "person_id": person_id}
        request = build_change(pb.DrawFaceRequest, options, box=box_of(box), **fields)
        return read(DrawnFace, await self._call(self._people.DrawFace, request, timeout))

    async def next_suggestion(
        self, person_id: str = "", *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = ""
    ) -> NextSuggestion:
        """Return the question whose answer names most faces, about a person or anybody."""
        request = pb.NextSuggestionRequest(person_id=person_id, collection=collection)
        return read(NextSuggestion, await self._call(self._people.NextSuggestion, request, timeout))

    async def answer(
        self,
        suggestion_id: str,
        answer: SuggestionAnswer | str,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[AnswerOptions],
    ) -> str:
        """Answer a question: SAME, NOT_SAME for ever, or SKIP. Returns the action_id."""
        request = build_answer(suggestion_id, answer, options)
        response = await self._call(self._people.AnswerSuggestion, request, timeout)
        return response.action_id

    def clusters(
        self, *, page_size: int = MAX_PAGE_SIZE, timeout: float | None = DEFAULT_TIMEOUT, collection: str = ""
    ) -> AsyncIterator[Cluster]:
        """Yield groups of faces that a machine takes for one person's and that have no name yet, the largest first."""
        request = pb.ListClustersRequest(page_size=page_size, collection=collection)
        return self._pages(self._people.ListClusters, request, timeout, Cluster, "clusters")

    async def explain(
        self, face_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = ""
    ) -> FaceExplanation:
        """Explain a face's name: who says it, what was decided and refused, and what undoing that would change."""
        request = pb.ExplainFaceRequest(face_id=face_id, collection=collection)
        return read(FaceExplanation, await self._call(self._people.ExplainFace, request, timeout))

    async def undo(
        self, action_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PictureOptions]
    ) -> Undo:
        """Undo an action, which restores what it changed. Raises ActionConflict, ActionNotFound.

        The undo is an action, too: undoing it does the first one again.
        """
        request = build_change(pb.UndoActionRequest, options, action_id=action_id)
        return read(Undo, await self._call(self._people.UndoAction, request, timeout))

    def actions(
        self,
        person_id: str = "",
        *,
        page_size: int = MAX_PAGE_SIZE,
        timeout: float | None = DEFAULT_TIMEOUT,
        collection: str = "",
    ) -> AsyncIterator[Action]:
        """Yield what was done, to a person or to anybody, newest first; `timeout` is per page."""
        request = pb.ListActionsRequest(person_id=person_id, page_size=page_size, collection=collection)
        return self._pages(self._people.ListActions, request, timeout, Action, "actions")

    async def similar(
        self,
        face_id: str = "",
        *,
        person_id: str = "",
        source: Source | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[SimilarOptions],
    ) -> SimilarFaces:
        """Find the faces that look like a face, any decided face of a person, or a picture with one face.

        The picture is not kept. Raises ModelNotFound, UnfitFace.
        """
        request = await asyncio.to_thread(build_similar, face_id, person_id, source, options)
        return read(SimilarFaces, await self._call(self._people.FindSimilarFaces, request, timeout))
