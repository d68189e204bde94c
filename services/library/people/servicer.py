# ruff: noqa: ARG002, N802 - names and parameters are the contract's
"""PeopleService: each method has its request checked, and passes it on to the part that knows."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1 import people_pb2_grpc
from services.library.enrollment.adoption import Adoption
from services.library.enrollment.enrolling import Enrolling
from services.library.enrollment.reconciliation import Reconciliation
from services.library.erasure.person.audits import Audits
from services.library.erasure.person.erasure import PersonErasure
from services.library.erasure.person.export import PersonExport
from services.library.exchange.decisions import DecisionExport
from services.library.faces.comparison import Comparison
from services.library.faces.crops import Crops
from services.library.faces.drawing import Drawing
from services.library.faces.embedding import Embedding
from services.library.faces.listing import Listing
from services.library.faces.similar import Similar
from services.library.grouping.explanation import Explanation
from services.library.grouping.splitting import Splitting
from services.library.grouping.suggestions import Suggestions
from services.library.people.actions import Actions
from services.library.people.decisions import Decisions
from services.library.people.merging import Merging
from services.library.people.people import People
from services.library.servicer import Checked
from services.runtime.server.calls import Context

R = TypeVar("R")


@dataclass(frozen=True)
class PeopleParts:
    """What serves the methods."""

    people: People
    decisions: Decisions
    merging: Merging
    splitting: Splitting
    listing: Listing
    suggestions: Suggestions
    actions: Actions
    crops: Crops
    similar: Similar
    drawing: Drawing
    embedding: Embedding
    comparison: Comparison
    explanation: Explanation
    decision_export: DecisionExport
    enrolling: Enrolling
    reconciliation: Reconciliation
    adoption: Adoption
    erasure: PersonErasure
    export: PersonExport
    audits: Audits


class PeopleServicer(people_pb2_grpc.PeopleServiceServicer, Checked):
    """PeopleService."""

    def __init__(self, parts: PeopleParts, collection: str) -> None:
        self._parts = parts
        self._collection = collection

    async def CreatePerson(self, request: pb.CreatePersonRequest, context: Context) -> pb.CreatePersonResponse:
        """Answer as the contract says."""
        return await self._parts.people.create(self._checked(request))

    async def GetPerson(self, request: pb.GetPersonRequest, context: Context) -> pb.GetPersonResponse:
        """Answer as the contract says."""
        return await self._parts.people.get(await self._audited(request))

    async def SearchPeople(self, request: pb.SearchPeopleRequest, context: Context) -> pb.SearchPeopleResponse:
        """Answer as the contract says."""
        return await self._parts.people.search(self._checked(request))

    async def UpdatePerson(self, request: pb.UpdatePersonRequest, context: Context) -> pb.UpdatePersonResponse:
        """Answer as the contract says."""
        return await self._parts.people.update(await self._audited(request))

    async def MergePeople(self, request: pb.MergePeopleRequest, context: Context) -> pb.MergePeopleResponse:
        """Answer as the contract says."""
        return await self._parts.merging.merge(await self._audited(request))

    async def SeparatePeople(self, request: pb.SeparatePeopleRequest, context: Context) -> pb.SeparatePeopleResponse:
        """Answer as the contract says."""
        return await self._parts.merging.separate(await self._audited(request))

    async def DeletePerson(self, request: pb.DeletePersonRequest, context: Context) -> pb.DeletePersonResponse:
        """Answer as the contract says."""
        return await self._parts.people.delete(await self._audited(request))

    async def ProposeSplit(self, request: pb.ProposeSplitRequest, context: Context) -> pb.ProposeSplitResponse:
        """Answer as the contract says."""
        return await self._parts.splitting.propose(await self._audited(request))

    async def FindFaces(self, request: pb.FindFacesRequest, context: Context) -> pb.FindFacesResponse:
        """Answer as the contract says."""
        return await self._parts.listing.faces(await self._audited(request))

    async def GetFaceContent(self, request: pb.GetFaceContentRequest, context: Context) -> pb.GetFaceContentResponse:
        """Answer as the contract says."""
        return await self._parts.crops.get(self._checked(request))

    async def NameFaces(self, request: pb.NameFacesRequest, context: Context) -> pb.NameFacesResponse:
        """Answer as the contract says."""
        return await self._parts.decisions.name(await self._audited(request))

    async def RefuseFaces(self, request: pb.RefuseFacesRequest, context: Context) -> pb.RefuseFacesResponse:
        """Answer as the contract says."""
        return await self._parts.decisions.refuse(await self._audited(request))

    async def MarkFaces(self, request: pb.MarkFacesRequest, context: Context) -> pb.MarkFacesResponse:
        """Answer as the contract says."""
        return await self._parts.decisions.mark(self._checked(request))

    async def NextSuggestion(self, request: pb.NextSuggestionRequest, context: Context) -> pb.NextSuggestionResponse:
        """Answer as the contract says."""
        response = await self._parts.suggestions.next(self._checked(request))
        people = response.suggestion.person.person_id, response.suggestion.other_person.person_id
        await self._parts.audits.record("NextSuggestion", request.collection, [one for one in people if one])
        return response

    async def AnswerSuggestion(
        self, request: pb.AnswerSuggestionRequest, context: Context
    ) -> pb.AnswerSuggestionResponse:
        """Answer as the contract says."""
        return await self._parts.suggestions.answer(self._checked(request))

    async def ListClusters(self, request: pb.ListClustersRequest, context: Context) -> pb.ListClustersResponse:
        """Answer as the contract says."""
        return await self._parts.listing.clusters(self._checked(request))

    async def UndoAction(self, request: pb.UndoActionRequest, context: Context) -> pb.UndoActionResponse:
        """Answer as the contract says."""
        return await self._parts.actions.undo(self._checked(request))

    async def ListActions(self, request: pb.ListActionsRequest, context: Context) -> pb.ListActionsResponse:
        """Answer as the contract says."""
        return await self._parts.actions.list(self._checked(request))

    async def CompareModels(self, request: pb.CompareModelsRequest, context: Context) -> pb.CompareModelsResponse:
        """Answer as the contract says."""
        return await self._parts.comparison.compare(self._checked(request))

    async def ExplainFace(self, request: pb.ExplainFaceRequest, context: Context) -> pb.ExplainFaceResponse:
        """Answer as the contract says."""
        return await self._parts.explanation.explain(await self._audited(request))

    async def ExportDecisions(
        self, request: pb.ExportDecisionsRequest, context: Context
    ) -> AsyncIterator[pb.ExportDecisionsResponse]:
        """Answer as the contract says."""
        async with aclosing(self._parts.decision_export.export(self._checked(request))) as pieces:
            async for piece in pieces:
                yield piece

    async def DrawFace(self, request: pb.DrawFaceRequest, context: Context) -> pb.DrawFaceResponse:
        """Answer as the contract says."""
        return await self._parts.drawing.draw(self._checked(request))

    async def ListVectorModels(
        self, request: pb.ListVectorModelsRequest, context: Context
    ) -> pb.ListVectorModelsResponse:
        """Answer as the contract says."""
        return await self._parts.embedding.models(self._checked(request))

    async def EmbedFaces(self, request: pb.EmbedFacesRequest, context: Context) -> pb.EmbedFacesResponse:
        """Answer as the contract says."""
        return await self._parts.embedding.embed(self._checked(request))

    async def UseModel(self, request: pb.UseModelRequest, context: Context) -> pb.UseModelResponse:
        """Answer as the contract says."""
        return await self._parts.embedding.use(self._checked(request))

    async def FindSimilarFaces(
        self, request: pb.FindSimilarFacesRequest, context: Context
    ) -> pb.FindSimilarFacesResponse:
        """Answer as the contract says."""
        return await self._parts.similar.find(await self._audited(request))

    async def CheckIndex(self, request: pb.CheckIndexRequest, context: Context) -> pb.CheckIndexResponse:
        """Answer as the contract says."""
        return await self._parts.similar.check(self._checked(request))

    async def EnrollPerson(self, request: pb.EnrollPersonRequest, context: Context) -> pb.EnrollPersonResponse:
        """Answer as the contract says."""
        return await self._parts.enrolling.enroll(self._checked(request))

    async def ReconcilePeople(self, request: pb.ReconcilePeopleRequest, context: Context) -> pb.ReconcilePeopleResponse:
        """Answer as the contract says."""
        return await self._parts.reconciliation.reconcile(self._checked(request))

    async def AdoptPeople(self, request: pb.AdoptPeopleRequest, context: Context) -> pb.AdoptPeopleResponse:
        """Answer as the contract says."""
        return await self._parts.adoption.adopt(self._checked(request))

    async def ErasePerson(self, request: pb.ErasePersonRequest, context: Context) -> pb.ErasePersonResponse:
        """Answer as the contract says."""
        return await self._parts.erasure.erase(self._checked(request))

    async def ExportPerson(
        self, request: pb.ExportPersonRequest, context: Context
    ) -> AsyncIterator[pb.ExportPersonResponse]:
        """Answer as the contract says."""
        async with aclosing(self._parts.export.export(await self._audited(request))) as pieces:
            async for piece in pieces:
                yield piece

    async def ListAudits(self, request: pb.ListAuditsRequest, context: Context) -> pb.ListAuditsResponse:
        """Answer as the contract says."""
        return await self._parts.audits.list(self._checked(request))

    async def _audited(self, request: R) -> R:
        """Return the request, checked, once it is written down whom it is about. Raises InvalidRequest."""
        checked = self._checked(request)
        await self._parts.audits.note(checked)
        return checked
