"""A server whose responses a test chooses, for tests of the client and its command."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from typer.testing import CliRunner, Result

from marquee.cli.commands import app
from marquee.v1 import recognizer_pb2 as pb
from marquee.v1.recognizer_pb2_grpc import RecognizerServiceServicer, add_RecognizerServiceServicer_to_server
from tests.support.processes import PATIENCE

_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass
class Peer(RecognizerServiceServicer):
    """Gives every call the same response and records the requests."""

    answer: pb.RecognizeImageResponse = field(default_factory=pb.RecognizeImageResponse)
    listing: pb.ListRecognizersResponse = field(default_factory=pb.ListRecognizersResponse)
    refusals: dict[bytes, status_pb2.Status] = field(default_factory=dict)
    """Picture → status to refuse it with; b"" means every other picture."""
    requests: list[pb.RecognizeImageRequest] = field(default_factory=list)
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    """Of each call."""
    hold: threading.Event | None = None
    """Event that delays responses until it is set."""
    address: str = "127.0.0.1:0"
    """Address to listen on; port 0 becomes a free one."""

    def RecognizeImage(  # noqa: N802 - the contract's name
        self, request: pb.RecognizeImageRequest, context: grpc.ServicerContext
    ) -> pb.RecognizeImageResponse:
        self._receive(request, context)
        answer = pb.RecognizeImageResponse(request_id=request.request_id)
        answer.MergeFrom(self.answer)
        return answer

    def StreamRecognizeImage(  # noqa: N802 - likewise
        self, request: pb.RecognizeImageRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.RecognizeImageResponse]:
        self._receive(request, context)
        for result in self.answer.results:
            yield pb.RecognizeImageResponse(request_id=request.request_id, results=[result])
        last = pb.RecognizeImageResponse()
        last.CopyFrom(self.answer)
        last.ClearField("results")
        yield last

    def ListRecognizers(  # noqa: N802 - likewise
        self,
        request: pb.ListRecognizersRequest,  # noqa: ARG002 - likewise
        context: grpc.ServicerContext,
    ) -> pb.ListRecognizersResponse:
        self.metadata.append(dict(context.invocation_metadata()))
        return self.listing

    def _receive(self, request: pb.RecognizeImageRequest, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        if self.hold:
            self.hold.wait(PATIENCE)
        refusal = self.refusals.get(request.image.content, self.refusals.get(b""))
        if refusal:
            context.set_trailing_metadata((("grpc-status-details-bin", refusal.SerializeToString()),))
            context.abort(_CODES[refusal.code], refusal.message)


@contextmanager
def serving(peer: Peer) -> Iterator[Peer]:
    """Serve the peer at its `address`."""
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 16 * 1024 * 1024)])
    add_RecognizerServiceServicer_to_server(peer, server)
    host, _, _ = peer.address.partition(":")
    peer.address = f"{host}:{server.add_insecure_port(peer.address)}"
    server.start()
    try:
        yield peer
    finally:
        server.stop(0).wait()


def refusal(code: int, reason: str, message: str, *causes: status_pb2.Status, **metadata: str) -> status_pb2.Status:
    """Return a status as Marquee's servers send it."""
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="marquee", metadata=metadata), *causes]
    packed = [any_pb2.Any() for _ in details]
    for target, detail in zip(packed, details, strict=True):
        target.Pack(detail)
    return status_pb2.Status(code=code, message=message, details=packed)


def two_people() -> pb.RecognizeImageResponse:
    """Return a gateway's response with a known and an unknown face, and one failed recognizer."""
    left = pb.BoundingBox(left=0.1, top=0.2, width=0.25, height=0.4)
    right = pb.BoundingBox(left=0.6, top=0.1, width=0.2, height=0.3)
    eileen = pb.Candidate(person_id="p-1", display_name="Eileen Collins", score=0.97, urls=["www.nasa.gov"])
    person = pb.Label(name="Person", score=0.99)
    return pb.RecognizeImageResponse(
        image=pb.ImageInfo(width=640, height=480, sha256="0" * 64, format="JPEG"),
        results=[
            pb.RecognizerResult(
                recognizer="rekognition",
                outcome=pb.OUTCOME_OK,
                model=pb.Model(name="celebrity", version="1"),
                faces=[pb.Face(box=left, candidates=[eileen]), pb.Face(box=right)],
                labels=[person],
                timings=pb.RecognizerTimings(recognizer=_milliseconds(120), network=_milliseconds(3)),
                performed_features=[pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS],
                cost_micro_usd=2000,
                warnings=["shrunk to fit 5 MB"],
            ),
            pb.RecognizerResult(
                recognizer="svm",
                outcome=pb.OUTCOME_ERROR,
                status=refusal(code_pb2.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", "svm does not answer."),
            ),
        ],
        labels=[person],
        verdicts=[
            pb.Verdict(
                box=left,
                state=pb.VERDICT_STATE_IDENTIFIED,
                person_id="p-1",
                display_name="Eileen Collins",
                score=0.97,
                support=[pb.Support(recognizer="rekognition", candidate=eileen)],
            ),
            pb.Verdict(box=right, state=pb.VERDICT_STATE_UNKNOWN),
        ],
        timings=pb.CallTimings(total=_milliseconds(130)),
        cost_micro_usd=2000,
        gateway="gateway",
    )


def _milliseconds(count: int) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(count)
    return duration


def marquee(*arguments: str, stdin: bytes | None = None) -> Result:
    """Run the command, with tables that do not depend on the terminal's width; return its result.

    What the command itself sets in the environment is not left to other tests.
    """
    return CliRunner(env={"COLUMNS": None, "GRPC_VERBOSITY": "NONE"}).invoke(app, arguments, input=stdin)


def lines_of(result: Result) -> list[str]:
    """Return the lines of standard output, with single blanks."""
    return [" ".join(line.split()) for line in result.stdout.splitlines()]
