"""Enrollment through the gateway: every recognizer that learns faces is told, each answers for itself."""

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from google.rpc import status_pb2
from structlog.contextvars import bind_contextvars

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import enrollment_pb2_grpc, recognizer_pb2
from services.gateway import metrics
from services.gateway.backend import Backend, CallFailed
from services.gateway.failure import raise_if_nobody_answered
from services.gateway.hops import hops_of
from services.gateway.plan import budget, chosen, inner_names
from services.runtime import enrollment_requests, status
from services.runtime.errors import InvalidRequest, NotOffered
from services.runtime.requests import request_id_of
from services.runtime.server.calls import Context, seconds_left

_NOT_OURS = "page_token is none that this gateway made."
_ANSWERS: dict[str, type[Any]] = {
    "EnrollFaces": pb.EnrollFacesResponse,
    "RemovePerson": pb.RemovePersonResponse,
    "ListPeople": pb.ListPeopleResponse,
}


class EnrollmentGateway(enrollment_pb2_grpc.EnrollmentServiceServicer):
    """Implements EnrollmentService over other servers of it."""

    def __init__(self, name: str, backends: Mapping[str, Backend], s3_allowed: Sequence[str]) -> None:
        self._name = name
        self._backends = backends
        self._s3_allowed = s3_allowed

    async def EnrollFaces(  # noqa: N802 - the contract's name
        self, request: pb.EnrollFacesRequest, context: Context
    ) -> pb.EnrollFacesResponse:
        """Tells all, under one person_id."""
        _bind(request)
        enrollment_requests.check_enrollment(request, self._s3_allowed)
        request.person_id = enrollment_requests.person_id_of(request)
        answers = await self._ask_all("EnrollFaces", request, context)
        return pb.EnrollFacesResponse(
            request_id=request.request_id,
            person_id=request.person_id,
            results=_all_results(answers, request.request_id),
            gateway=self._name,
        )

    async def RemovePerson(  # noqa: N802 - the contract's name
        self, request: pb.RemovePersonRequest, context: Context
    ) -> pb.RemovePersonResponse:
        """Tells all."""
        _bind(request)
        enrollment_requests.check_removal(request)
        answers = await self._ask_all("RemovePerson", request, context)
        results = _all_results(answers, request.request_id)
        return pb.RemovePersonResponse(request_id=request.request_id, results=results, gateway=self._name)

    async def ListPeople(  # noqa: N802 - the contract's name
        self, request: pb.ListPeopleRequest, context: Context
    ) -> pb.ListPeopleResponse:
        """Asks all, or those that have more to tell than on the page before."""
        enrollment_requests.page_size_of(request)
        tokens = _tokens(request.page_token)
        answers = await self._ask_all("ListPeople", request, context, tokens)
        more = {name: answer.next_page_token for name, answer in answers.items() if answer.next_page_token}
        return pb.ListPeopleResponse(
            results=_all_results(answers, ""), next_page_token=_token(more), gateway=self._name
        )

    async def _ask_all(
        self, method: str, request: Any, context: Context, tokens: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Every asked backend's answer by its name; with tokens: of those that have one, each with its own.

        Many pictures take their time: a recognizer gets all that the caller gives, not the time of one picture.
        """
        hops, left = hops_of(context), budget(seconds_left(context))
        backends = [one for one in chosen(request.recognizers, self._backends) if not tokens or one.name in tokens]
        if not backends:
            raise InvalidRequest(_NOT_OURS, field="page_token")
        calls = []
        for backend in backends:
            own = type(request)()
            own.CopyFrom(request)
            own.recognizers[:] = inner_names(request.recognizers, backend.name)
            if tokens:
                own.page_token = tokens[backend.name]
            calls.append(_ask(backend, method, own, left, hops))
        answers = await asyncio.gather(*calls)
        return {backend.name: one for backend, one in zip(backends, answers, strict=True)}


def _bind(request: pb.EnrollFacesRequest | pb.RemovePersonRequest) -> None:
    request.request_id = request_id_of(request.request_id)
    bind_contextvars(request_id=request.request_id)


async def _ask(backend: Backend, method: str, request: Any, timeout: float, hops: int) -> Any:
    """The backend's answer; where it failed, one that says so."""
    try:
        response = await backend.call(getattr(backend.enrollment, method), request, timeout, hops)
    except CallFailed as exc:
        response = _ANSWERS[method]()
        why, outcome = _skipped(exc, backend.name) or (exc.status, exc.outcome)
        response.results.add(recognizer=backend.name, status=why, outcome=outcome)
        return response
    for result in response.results:
        result.recognizer = backend.named(result.recognizer, response.gateway)
    return response


def _skipped(failed: CallFailed, name: str) -> tuple[status_pb2.Status, recognizer_pb2.Outcome.ValueType] | None:
    """That the recognizer does not enroll is no failure."""
    if status.code_of(failed.status) is not grpc.StatusCode.UNIMPLEMENTED:
        return None
    said = failed.status.message if status.reason_of(failed.status) == "NOT_OFFERED" else f"{name} does not enroll."
    return status_pb2.Status(message=said), recognizer_pb2.OUTCOME_SKIPPED


def _all_results(answers: Mapping[str, Any], request_id: str) -> list[Any]:
    """All that all answered. Raises StatusError where all failed, NotOffered where none of them enrolls."""
    results = [result for answer in answers.values() for result in answer.results]
    bind_contextvars(outcomes={result.recognizer: metrics.outcome_name(result.outcome) for result in results})
    raise_if_nobody_answered(results, request_id)
    if all(result.outcome == recognizer_pb2.OUTCOME_SKIPPED for result in results):
        reasons = " ".join(dict.fromkeys(result.status.message for result in results))
        raise NotOffered(f"No recognizer that was asked enrolls. {reasons}")
    return results


def _token(tokens: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(tokens).encode()).decode() if tokens else ""


def _tokens(token: str) -> dict[str, str]:
    """What `_token` made of. Raises InvalidRequest."""
    if not token:
        return {}
    try:
        tokens = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequest(_NOT_OURS, field="page_token") from exc
    if not isinstance(tokens, dict) or not all(isinstance(value, str) for value in tokens.values()):
        raise InvalidRequest(_NOT_OURS, field="page_token")
    return tokens
