"""The statuses that domain errors become for callers."""

from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from services.runtime import errors, status
from tests.support.servers import Scripted, leaf, request, stub


def subclasses(kind: type[errors.DomainError]) -> Iterator[type[errors.DomainError]]:
    for one in kind.__subclasses__():
        if one.__module__ == errors.__name__:
            yield one
            yield from subclasses(one)


def test_every_error_has_a_status() -> None:
    """The table has a code and a reason for every domain error."""
    assert set(subclasses(errors.DomainError)) == set(status.TABLE)


def test_every_error_has_its_own_reason() -> None:
    """No two errors share a reason, so a reason identifies its error."""
    reasons = [reason for _, reason in status.TABLE.values()]
    assert len(reasons) == len(set(reasons))


def test_the_tree_shows_every_error() -> None:
    """The tree at the top of errors.py names every error."""
    tree = errors.__doc__ or ""
    assert [one.__name__ for one in subclasses(errors.DomainError) if one.__name__ not in tree] == []


@pytest.mark.parametrize("kind", status.TABLE, ids=lambda kind: kind.__name__)
def test_an_error_becomes_its_status(kind: type[errors.DomainError]) -> None:
    """A domain error's message reaches the caller unchanged, with code, reason, domain and metadata."""
    answer = status.from_exception(kind("What to do.", field="image"), request_id="r")
    code, reason = status.TABLE[kind]
    info = error_details_pb2.ErrorInfo()
    answer.details[0].Unpack(info)
    assert (status.code_of(answer), answer.message) == (code, "What to do.")
    assert (info.reason, info.domain) == (reason, "marquee")
    assert dict(info.metadata) == {"request_id": "r", "field": "image"}


def test_an_unforeseen_exception_never_shows_its_text() -> None:
    """An unforeseen exception becomes INTERNAL, whose message says where to look but not what happened."""
    answer = status.from_exception(KeyError("password=hunter2"), request_id="r")
    assert status.code_of(answer) is grpc.StatusCode.INTERNAL
    assert "hunter2" not in str(answer)


def test_a_ready_made_status_passes_unchanged() -> None:
    """Another server's status is passed on unchanged."""
    original = status.make(grpc.StatusCode.NOT_FOUND, "OBJECT_NOT_FOUND", "gone", bucket="b")
    assert status.from_exception(status.StatusError(original), request_id="r") == original


async def test_a_status_survives_a_failed_call() -> None:
    """A status that is read from a failed call equals the one that the server made."""
    error = errors.ObjectNotFound("There is no object s3://b/ä.jpg.", bucket="b")
    async with leaf(Scripted(error=error)) as address, stub(address) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.RecognizeImage(request(request_id="r"))
    assert status.from_rpc_error(caught.value) == status.from_exception(error, request_id="r")


async def test_a_failure_of_grpc_itself_becomes_a_status() -> None:
    """If no server answers, the status has gRPC's own code and no reason."""
    async with stub("127.0.0.1:1") as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.RecognizeImage(request())
    answer = status.from_rpc_error(caught.value)
    assert (status.code_of(answer), status.reason_of(answer)) == (grpc.StatusCode.UNAVAILABLE, "")


async def test_a_callers_long_words_do_not_hide_the_error() -> None:
    """An error about 20,000 characters of the request still arrives, though gRPC drops statuses over 8 KiB."""
    async with leaf(Scripted()) as address, stub(address) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.RecognizeImage(request(recognizers=["x" * 20_000]))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("faults", "whose"),
    [
        ([errors.InvalidImage, errors.ObjectNotFound, errors.ObjectForbidden], "caller"),
        ([errors.RateExceeded, errors.CallerBudgetExhausted, errors.CollectionNotIndexed], "caller"),
        ([errors.InvalidImage, errors.BudgetExhausted], "planned"),
        ([errors.BudgetExhausted, errors.InvalidImage, errors.DependencyTimeout], "server"),
        ([errors.Misconfigured], "server"),
        ([errors.NotPermitted], "server"),
        ([errors.CredentialsRefused], "server"),
        ([errors.Overloaded, errors.BudgetExhausted], "server"),
    ],
)
def test_a_failure_is_somebodys(faults: list[type[errors.DomainError]], whose: str) -> None:
    """A failure is its caller's, planned or the server's by its reason, and several are the server's if one is."""
    statuses = {kind.__name__: status.from_exception(kind("no")) for kind in faults}
    joined = status.join(statuses, "No recognizer answered.", (grpc.StatusCode.UNAVAILABLE, "NO_RECOGNIZER_ANSWERED"))
    assert status.fault_of(joined) == whose
    assert status.fault_of(status_pb2.Status(code=299)) == "server"


@pytest.mark.parametrize(
    ("code", "whose"),
    [("PERMISSION_DENIED", "server"), ("UNIMPLEMENTED", "server"), ("OK", "server"), ("INVALID_ARGUMENT", "caller")],
)
def test_what_keeps_a_gateway_out_is_no_callers_fault(code: str, whose: str) -> None:
    """A recognizer that a proxy does not let the gateway reach, or that is none, fails by its operator's fault."""
    failed = status.make(grpc.StatusCode[code], status.FOREIGN, "It failed.")
    assert status.fault_of(failed) == whose
    assert status.fault_of(status_pb2.Status(code=status.number(grpc.StatusCode.UNIMPLEMENTED))) == "caller"


def test_a_number_that_grpc_does_not_know_is_unknown() -> None:
    """A status whose code gRPC does not know, as another system may send, becomes UNKNOWN."""
    assert status.code_of(status_pb2.Status(code=299)) is grpc.StatusCode.UNKNOWN
