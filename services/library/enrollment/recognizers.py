"""The recognizers that enroll, as the library calls them through the gateway."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.library.work.gateway import LIST_RECOGNIZERS, CallFailed, Gateway, Method
from services.runtime import status
from services.runtime.doors.caller import current
from services.runtime.errors import InvalidAnswer, NotOffered, UnknownRecognizer
from services.runtime.server.server import ENROLLMENT_SERVICE
from services.runtime.status import StatusError

R = TypeVar("R", bound=Message)
_ENROLL = Method(f"/{ENROLLMENT_SERVICE}/EnrollFaces", pb.EnrollFacesResponse)
_REMOVE_FACES = Method(f"/{ENROLLMENT_SERVICE}/RemoveFaces", pb.RemoveFacesResponse)
_REMOVE_PERSON = Method(f"/{ENROLLMENT_SERVICE}/RemovePerson", pb.RemovePersonResponse)
_PEOPLE = Method(f"/{ENROLLMENT_SERVICE}/ListPeople", pb.ListPeopleResponse)
_FACES = Method(f"/{ENROLLMENT_SERVICE}/ListFaces", pb.ListFacesResponse)
_PAGE = 1000
_DONE = (recognizer_pb2.OUTCOME_OK, recognizer_pb2.OUTCOME_PARTIAL)
_NOT_OFFERED = (grpc.StatusCode.UNIMPLEMENTED,)


class NotEnrolling(Exception):
    """A recognizer does not enroll, and will not when it is asked again."""

    def __init__(self, failure: Status) -> None:
        super().__init__(failure.message)
        self.status = failure


@dataclass(frozen=True)
class Recognizers:
    """The recognizers behind the gateway. Methods raise StatusError with what a call failed with."""

    gateway: Gateway
    caller: str = ""
    """For whom they are called; empty: for the library itself."""
    daily_micro_usd: int | None = None
    """What the caller may spend a day, in millionths of a US dollar; None: no limit of their own."""

    @classmethod
    def for_caller(cls, gateway: Gateway) -> "Recognizers":
        """Return them as called for who makes the current call."""
        return cls(gateway, current().name, current().daily_micro_usd)

    async def enrolling(self, names: Iterable[str]) -> tuple[list[str], dict[str, Status]]:
        """Return which of the named recognizers enroll, of no names which there are, and why the others do not.

        One that is away may.
        """
        listed = {
            one.name: one
            for one in (await self._call(LIST_RECOGNIZERS, recognizer_pb2.ListRecognizersRequest())).recognizers
        }
        failures: dict[str, Status] = {}
        found = []
        for name in dict.fromkeys(names) or listed:
            one = listed.get(name)
            if one is None:
                message = f"There is no recognizer {name!r} here. Available: {', '.join(listed)}."
                failures[name] = status.from_exception(UnknownRecognizer(message, field="recognizers"))
            elif one.can_enroll or one.state == recognizer_pb2.RECOGNIZER_STATE_UNAVAILABLE:
                found.append(name)
            else:
                failures[name] = status.from_exception(NotOffered(f"{name} does not enroll."))
        return found, failures

    async def enroll(self, request: pb.EnrollFacesRequest) -> dict[str, pb.EnrollmentResult | Status | NotEnrolling]:
        """Return what each of the request's recognizers did with a person's pictures, or why nothing."""
        return await self._each(_ENROLL, request, request.recognizers)

    async def remove_faces(self, request: pb.RemoveFacesRequest) -> list[Status]:
        """Return a status for each face, of one recognizer: OK if it is gone."""
        (name,) = request.recognizers
        result = (await self._each(_REMOVE_FACES, request, [name]))[name]
        if isinstance(result, NotEnrolling):
            return [Status()] * len(request.faces)  # it has none
        if isinstance(result, Status):
            return [result] * len(request.faces)
        if len(result.faces) != len(request.faces):
            return [_senseless(name)] * len(request.faces)
        return [one.status for one in result.faces]

    async def remove_person(self, name: str, person_id: str, collection: str = "") -> Status:
        """Remove a person from a recognizer; return OK, or why they are still there."""
        request = pb.RemovePersonRequest(person_id=person_id, recognizers=[name], collection=collection)
        result = (await self._each(_REMOVE_PERSON, request, [name]))[name]
        if isinstance(result, Status):
            return result
        if isinstance(result, NotEnrolling) or result.outcome == recognizer_pb2.OUTCOME_OK:
            return Status()
        return status.make(grpc.StatusCode.FAILED_PRECONDITION, status.FOREIGN, " ".join(result.warnings))

    async def people(self, name: str, collection: str = "") -> AsyncIterator[Sequence[pb.Person]]:
        """Yield the people whom a recognizer knows, a page at a time. Raises NotEnrolling, too."""
        request = pb.ListPeopleRequest(page_size=_PAGE, collection=collection, recognizers=[name])
        async for result in self._pages(_PEOPLE, request):
            yield result.people

    async def faces(self, name: str, person_id: str) -> tuple[pb.Person | None, list[pb.PersonFace]]:
        """Return a person as a recognizer knows them, and their faces there. Raises NotEnrolling, too."""
        request = pb.ListFacesRequest(page_size=_PAGE, person_id=person_id, recognizers=[name])
        pages = [page async for page in self._pages(_FACES, request)]
        known = next((page.person for page in pages if page.HasField("person")), None)
        return known, [face for page in pages for face in page.faces]

    async def _pages(self, method: Method[Any], request: Any) -> AsyncIterator[Any]:
        """Yield the result of each page of the request's one recognizer."""
        while True:
            response = await self._call(method, request)
            for result in response.results:
                if result.outcome == recognizer_pb2.OUTCOME_SKIPPED:
                    raise NotEnrolling(result.status)
                if result.outcome not in _DONE:
                    raise StatusError(result.status)
                yield result
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def _each(self, method: Method[Any], request: Message, names: Iterable[str]) -> dict[str, Any]:
        """Return each recognizer's result, or its status if it failed, or NotEnrolling."""
        try:
            results = (await self._call(method, request)).results
        except NotEnrolling as exc:
            return dict.fromkeys(names, exc)
        except StatusError as exc:
            return dict.fromkeys(names, exc.status)
        found: Mapping[str, Any] = {one.recognizer: one for one in results}
        return {name: _outcome(name, found.get(name)) for name in names}

    async def _call(self, method: Method[R], request: Message) -> R:
        try:
            return await self.gateway.call(method, request, self.caller, self.daily_micro_usd)
        except CallFailed as exc:
            if status.code_of(exc.status) in _NOT_OFFERED:
                raise NotEnrolling(exc.status) from None
            raise StatusError(exc.status) from None


def _outcome(name: str, result: Any) -> Any:
    if result is None:
        return _senseless(name)
    if result.outcome == recognizer_pb2.OUTCOME_SKIPPED:
        return NotEnrolling(status.from_exception(NotOffered(result.status.message or f"{name} does not enroll.")))
    return result if result.outcome in _DONE else result.status


def _senseless(name: str) -> Status:
    return status.from_exception(InvalidAnswer(f"{name} gave an answer that makes no sense."))
