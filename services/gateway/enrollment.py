"""EnrollmentService over several recognizers, each of which answers for itself."""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import grpc
from google.rpc import status_pb2
from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import enrollment_pb2_grpc, recognizer_pb2
from services.gateway.backends import answer
from services.gateway.backends.backend import (
    ENROLL_FACES,
    LIST_FACES,
    LIST_PEOPLE,
    REMOVE_PERSON,
    Backend,
    Method,
    Result,
    bind_outcomes,
    check_answered,
    count,
    hops_of,
)
from services.gateway.plan import BackendCall, inner_key, plan_enrollment, plan_face_removal
from services.gateway.reserve import Reserve
from services.runtime import requests, status
from services.runtime.errors import InvalidAnswer, InvalidRequest, NotOffered
from services.runtime.messages.envelope import Envelope, takes_envelope
from services.runtime.server.calls import Context, metadata
from services.runtime.server.deadline import seconds_left

_MAX_TOKENS_BYTES = 20 * 1024
"""Maximum size of the tokens of all recognizers, which make one page_token of at most 32 KiB."""


class EnrollmentGateway(enrollment_pb2_grpc.EnrollmentServiceServicer):
    """EnrollmentService, implemented by calling other servers of it."""

    def __init__(self, name: str, backends: Mapping[str, Backend], s3_allowed: Sequence[str], reserve: Reserve) -> None:
        self._name = name
        self._backends = backends
        self._s3_allowed = s3_allowed
        self._reserve = reserve

    @takes_envelope
    async def EnrollFaces(  # noqa: N802 - the contract's name
        self, envelope: Envelope[pb.EnrollFacesRequest], context: Context
    ) -> pb.EnrollFacesResponse:
        """Enroll the person with every recognizer under one person_id."""
        request = envelope.request
        _bind(request)
        requests.check_enrollment(request, self._s3_allowed, envelope.sizes)
        person_id = requests.person_id_of(request)
        calls = self._plan(ENROLL_FACES, envelope, context)
        del envelope  # the calls have the pictures
        results = _all(await _send(calls))
        for result in results:
            answer.check_enrolled(result, person_id, len(request.images))
        return pb.EnrollFacesResponse(
            request_id=request.request_id,
            person_id=person_id,
            results=_settled(results, request.request_id),
            gateway=self._name,
        )

    async def RemoveFaces(  # noqa: N802 - the contract's name
        self, request: pb.RemoveFacesRequest, context: Context
    ) -> pb.RemoveFacesResponse:
        """Remove each face from its recognizer, and each picture's from all."""
        _bind(request)
        requests.check_face_removal(request)
        calls = plan_face_removal(request, self._backends, self._usable(context), hops_of(metadata()))
        results = _all(await _send(calls))
        for result in results:
            keys = [key for key in request.faces if key.face.recognizer in ("", result.recognizer)]
            answer.check_removed(result, [inner_key(key) for key in keys])
            for face, key in zip(result.faces, keys, strict=False):  # a refused result has none
                face.key.CopyFrom(key)
        settled = _settled(results, request.request_id)
        return pb.RemoveFacesResponse(request_id=request.request_id, results=settled, gateway=self._name)

    async def RemovePerson(  # noqa: N802 - the contract's name
        self, request: pb.RemovePersonRequest, context: Context
    ) -> pb.RemovePersonResponse:
        """Remove the person from every recognizer."""
        _bind(request)
        requests.check_removal(request)
        results = _settled(
            _all(await _send(self._plan(REMOVE_PERSON, Envelope(request, ()), context))), request.request_id
        )
        return pb.RemovePersonResponse(request_id=request.request_id, results=results, gateway=self._name)

    async def ListPeople(  # noqa: N802 - the contract's name
        self, request: pb.ListPeopleRequest, context: Context
    ) -> pb.ListPeopleResponse:
        """Return the next page of every recognizer that has one."""
        requests.check_listing(request)
        results, token = await self._page(LIST_PEOPLE, request, context)
        return pb.ListPeopleResponse(results=_settled(results), next_page_token=token, gateway=self._name)

    async def ListFaces(  # noqa: N802 - the contract's name
        self, request: pb.ListFacesRequest, context: Context
    ) -> pb.ListFacesResponse:
        """Return the next page of every recognizer that has one."""
        requests.check_listing(request)
        results, token = await self._page(LIST_FACES, request, context)
        for result in results:
            answer.check_listed(result, request.person_id)
        return pb.ListFacesResponse(results=_settled(results), next_page_token=token, gateway=self._name)

    async def _page(self, method: Method, request: Any, context: Context) -> tuple[list[Any], str]:
        """Return the results of every recognizer that has a next page, and the token of the one after it."""
        request.page_size = requests.page_size_of(request)
        pages = _decode(request)
        request.ClearField("page_token")
        calls = self._plan(method, Envelope(request, ()), context)
        if pages is not None:
            calls = _paged(calls, pages)
        responses = await _send(calls)
        names = (call.backend.name for call in calls)
        next_tokens = {name: _token_of(one, len(calls)) for name, one in zip(names, responses, strict=True)}
        return _all(responses), _encode(next_tokens)

    def _plan(self, method: Method, envelope: Envelope[Any], context: Context) -> list[BackendCall]:
        return plan_enrollment(method, envelope, self._backends, self._usable(context), hops_of(metadata()))

    def _usable(self, context: Context) -> float:
        left = seconds_left(context)
        return left - self._reserve.of(left)


def _bind(request: pb.EnrollFacesRequest | pb.RemoveFacesRequest | pb.RemovePersonRequest) -> None:
    request.request_id = requests.request_id_of(request.request_id)
    bind_contextvars(request_id=request.request_id)


async def _send(calls: Sequence[BackendCall]) -> list[Any]:
    return await asyncio.gather(*(call.send() for call in calls))


def _all(responses: Sequence[Any]) -> list[Any]:
    return [result for response in responses for result in response.results]


def _settled(results: list[Any], request_id: str = "") -> list[Any]:
    """Return the results, counted. Raises StatusError if all recognizers failed, NotOffered if none of them enrolls."""
    answer.make_room(results)
    for result in results:
        _skip_unimplemented(result)
        if result.outcome not in answer.SUCCESSES:
            count(result.recognizer, result.outcome, result.status)
    bind_outcomes(results)
    check_answered(results, request_id)
    if all(result.outcome == recognizer_pb2.OUTCOME_SKIPPED for result in results):
        reasons = " ".join(dict.fromkeys(result.status.message for result in results))
        raise NotOffered(f"None of the requested recognizers enrolls. {reasons}")
    return results


def _skip_unimplemented(result: Result) -> None:
    """Turn the failure of a recognizer that does not enroll into SKIPPED."""
    if status.code_of(result.status) is not grpc.StatusCode.UNIMPLEMENTED:
        return
    is_explained = status.reason_of(result.status) == "NOT_OFFERED"
    message = result.status.message if is_explained else f"{result.recognizer} does not enroll."
    result.status.CopyFrom(status_pb2.Status(message=message))
    result.outcome = recognizer_pb2.OUTCOME_SKIPPED


def _paged(calls: Sequence[BackendCall], pages: Mapping[str, bytes]) -> list[BackendCall]:
    """Return the calls of the recognizers that have a next page, each with its own token. Raises InvalidRequest."""
    calls = [call for call in calls if call.backend.name in pages]
    if not calls:
        raise _invalid_token()
    return [replace(call, request=call.request + pages[call.backend.name]) for call in calls]


def _token_of(response: pb.ListPeopleResponse | pb.ListFacesResponse, recognizers: int) -> str:
    """Return the token of a recognizer's next page; fail its results if it leaves no room for the others' tokens."""
    room = _MAX_TOKENS_BYTES // recognizers
    if len(response.next_page_token.encode()) <= room:
        return response.next_page_token
    error = InvalidAnswer(f"The next_page_token has more than {room} bytes.")
    for result in response.results:
        answer.fail(result, result.recognizer, status.from_exception(error))
    return ""


def _encode(tokens: Mapping[str, str]) -> str:
    """Return one page_token that holds those of all recognizers; empty if none has a next page."""
    pages = {name: token for name, token in tokens.items() if token}
    return base64.urlsafe_b64encode(json.dumps(pages, ensure_ascii=False).encode()).decode() if pages else ""


def _decode(request: pb.ListPeopleRequest | pb.ListFacesRequest) -> dict[str, bytes] | None:
    """Return the token of each recognizer as a serialized field of its request; None for the first page.

    Raises InvalidRequest for a page_token that `_encode` did not make.
    """
    if not request.page_token:
        return None
    try:
        tokens = json.loads(base64.b64decode(request.page_token, altchars=b"-_", validate=True))
        return {name: type(request)(page_token=token).SerializeToString() for name, token in tokens.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):  # JSON nests without end, and has no surrogates
        raise _invalid_token() from None


def _invalid_token() -> InvalidRequest:
    return InvalidRequest("Invalid page_token. Send the previous response's next_page_token.", field="page_token")
