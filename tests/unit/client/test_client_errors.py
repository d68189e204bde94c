"""Tests of the exceptions that failed calls raise."""

import pickle
from collections.abc import Iterator

import pytest
from google.rpc import code_pb2, status_pb2

import marquee
from marquee import Client, MarqueeError
from tests.support.client import Peer, refusal, serving

CASES = [
    (code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", marquee.InvalidRequest),
    (code_pb2.INVALID_ARGUMENT, "UNKNOWN_RECOGNIZER", marquee.UnknownRecognizer),
    (code_pb2.INVALID_ARGUMENT, "INVALID_IMAGE", marquee.InvalidImage),
    (code_pb2.INVALID_ARGUMENT, "IMAGE_MISSING", marquee.InvalidImage),
    (code_pb2.INVALID_ARGUMENT, "IMAGE_TOO_LARGE", marquee.ImageTooLarge),
    (code_pb2.INVALID_ARGUMENT, "A_NEWER_REASON", marquee.InvalidRequest),
    (code_pb2.UNAUTHENTICATED, "TOKEN", marquee.Unauthenticated),
    (code_pb2.UNAUTHENTICATED, "TOKEN_INVALID", marquee.TokenInvalid),
    (code_pb2.UNAUTHENTICATED, "CERTIFICATE_UNKNOWN", marquee.CertificateUnknown),
    (code_pb2.PERMISSION_DENIED, "BUCKET_NOT_ALLOWED", marquee.PermissionDenied),
    (code_pb2.PERMISSION_DENIED, "RELAY_FORBIDDEN", marquee.RelayForbidden),
    (code_pb2.RESOURCE_EXHAUSTED, "BUDGET_EXHAUSTED", marquee.BudgetExhausted),
    (code_pb2.RESOURCE_EXHAUSTED, "CALLER_BUDGET_EXHAUSTED", marquee.CallerBudgetExhausted),
    (code_pb2.NOT_FOUND, "OBJECT_NOT_FOUND", marquee.NotFound),
    (code_pb2.FAILED_PRECONDITION, "TOO_MANY_HOPS", marquee.FailedPrecondition),
    (code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED", marquee.ResourceExhausted),
    (code_pb2.UNIMPLEMENTED, "UNSUPPORTED_POLICY", marquee.Unimplemented),
    (code_pb2.DEADLINE_EXCEEDED, "DEPENDENCY_TIMEOUT", marquee.DeadlineExceeded),
    (code_pb2.CANCELLED, "", marquee.Cancelled),
    (code_pb2.UNAVAILABLE, "MODEL_NOT_READY", marquee.Unavailable),
    (code_pb2.INTERNAL, "INTERNAL", marquee.InternalError),
    (code_pb2.ABORTED, "GALLERY_BUSY", marquee.Aborted),
    (code_pb2.ALREADY_EXISTS, "FACE_ALREADY_ENROLLED", marquee.FaceAlreadyEnrolled),
    (code_pb2.ALREADY_EXISTS, "A_NEWER_REASON", marquee.AlreadyExists),
    (code_pb2.NOT_FOUND, "PERSON_NOT_FOUND", marquee.PersonNotFound),
    (code_pb2.INVALID_ARGUMENT, "FACE_TURNED", marquee.UnfitFace),
    (code_pb2.INVALID_ARGUMENT, "NO_FACE_ENROLLED", marquee.UnfitFace),
    (code_pb2.UNKNOWN, "ANYTHING", MarqueeError),
]


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with serving(Peer()) as peer:
        yield peer


def _failure(peer: Peer, status: status_pb2.Status) -> MarqueeError:
    peer.refusals[b""] = status
    with Client(peer.address) as client, pytest.raises(MarqueeError) as raised:
        client.recognize(b"picture", request_id="r-1")
    return raised.value


@pytest.mark.parametrize(("code", "reason", "expected"), CASES)
def test_the_exception_follows_reason_and_code(
    peer: Peer, code: "code_pb2.Code.ValueType", reason: str, expected: type[MarqueeError]
) -> None:
    """A known reason decides the exception's type, otherwise the code does; the server's message is kept."""
    error = _failure(peer, refusal(code, reason, "what is wrong"))
    assert type(error) is expected
    assert (error.code, error.reason, error.message) == (code_pb2.Code.Name(code), reason, "what is wrong")
    assert error.request_id == "r-1"


def test_each_failed_recognizer_is_a_cause(peer: Peer) -> None:
    """If no recognizer answered, each recognizer's status is a cause and the error has the summary's reason."""
    causes = [refusal(code_pb2.UNAVAILABLE, "", "svm: gone"), refusal(code_pb2.NOT_FOUND, "OBJECT_NOT_FOUND", "keras")]
    error = _failure(peer, refusal(code_pb2.UNAVAILABLE, "NO_RECOGNIZER_ANSWERED", "Nobody.", *causes))
    assert type(error) is marquee.Unavailable
    assert error.reason == "NO_RECOGNIZER_ANSWERED"
    assert [(cause.code, cause.message) for cause in error.causes] == [
        ("UNAVAILABLE", "svm: gone"),
        ("NOT_FOUND", "keras"),
    ]


def test_causes_of_one_kind_raise_that_kind(peer: Peer) -> None:
    """If recognizers refuse a picture for different reasons, the error is still about the picture."""

    def joined(code: "code_pb2.Code.ValueType", *reasons: str) -> type[MarqueeError]:
        causes = [refusal(code, reason, "svm: why") for reason in reasons]
        return type(_failure(peer, refusal(code, "NO_RECOGNIZER_ANSWERED", "Nobody.", *causes)))

    assert joined(code_pb2.INVALID_ARGUMENT, "NO_FACE", "FACE_TURNED") is marquee.UnfitFace
    assert joined(code_pb2.INVALID_ARGUMENT, "NO_FACE", "IMAGE_TOO_LARGE") is marquee.InvalidImage
    assert joined(code_pb2.INVALID_ARGUMENT, "NO_FACE", "INVALID_REQUEST") is marquee.InvalidRequest
    assert joined(code_pb2.UNAVAILABLE, "NO_FACE", "NOT_READY") is marquee.Unavailable


def test_causes_may_have_causes(peer: Peer) -> None:
    """A cause keeps its own causes."""
    pictures = [refusal(code_pb2.INVALID_ARGUMENT, "NO_FACE", f"picture {number}: none") for number in (1, 2)]
    svm = refusal(code_pb2.INVALID_ARGUMENT, "NO_FACE", "svm: none", *pictures)
    error = _failure(peer, refusal(code_pb2.INVALID_ARGUMENT, "NO_FACE", "none", svm))
    assert [cause.message for cause in error.causes[0].causes] == ["picture 1: none", "picture 2: none"]


def test_errors_can_be_pickled() -> None:
    """An error can be pickled with all its attributes."""
    error = marquee.NotFound("gone", code="NOT_FOUND", reason="OBJECT_NOT_FOUND", metadata={"a": "b"}, request_id="r")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - generated above
    assert (type(copy), str(copy), vars(copy)) == (marquee.NotFound, "gone", vars(error))
