# ruff: noqa: ARG002, N802 - names and parameters are the contract's
"""PeopleService: each method has its request checked, and passes it on to the part that knows."""

from dataclasses import dataclass

from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1 import people_pb2_grpc
from services.library.faces.comparison import Comparison
from services.library.faces.crops import Crops
from services.library.people.actions import Actions
from services.library.servicer import Checked
from services.runtime.server.calls import Context


@dataclass(frozen=True)
class PeopleParts:
    """What serves the methods."""

    actions: Actions
    crops: Crops
    comparison: Comparison


class PeopleServicer(people_pb2_grpc.PeopleServiceServicer, Checked):
    """PeopleService."""

    def __init__(self, parts: PeopleParts, collection: str) -> None:
        self._parts = parts
        self._collection = collection

    async def UndoAction(self, request: pb.UndoActionRequest, context: Context) -> pb.UndoActionResponse:
        """Answer as the contract says."""
        return await self._parts.actions.undo(self._checked(request))

    async def CompareModels(self, request: pb.CompareModelsRequest, context: Context) -> pb.CompareModelsResponse:
        """Answer as the contract says."""
        return await self._parts.comparison.compare(self._checked(request))

    async def GetFaceContent(self, request: pb.GetFaceContentRequest, context: Context) -> pb.GetFaceContentResponse:
        """Answer as the contract says."""
        return await self._parts.crops.get(self._checked(request))
