"""The least that a server in Python can be, with grpc.aio and generated code.

usage: PYTHONPATH=. python -m bench.gateway.aio LISTEN [RECOGNIZER ...]

Calls all recognizers with the same request and joins their results. Without recognizers, an echo that hashes the
picture: what a hit in a cache by content has to do.
"""

import asyncio
import hashlib
import sys
from collections.abc import Sequence
from typing import Any

import grpc

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc

_MAX_MESSAGE_BYTES = 16 << 20
_SIZES = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
)


class _Fanout(recognizer_pb2_grpc.RecognizerServiceServicer):
    def __init__(self, targets: Sequence[str]) -> None:
        channels = [grpc.aio.insecure_channel(target, options=_SIZES) for target in targets]
        self._stubs = [recognizer_pb2_grpc.RecognizerServiceStub(channel) for channel in channels]

    async def RecognizeImage(  # noqa: N802 - the contract's name
        self, request: pb.RecognizeImageRequest, context: Any
    ) -> pb.RecognizeImageResponse:
        """Return the results of all recognizers."""
        timeout = context.time_remaining()
        answers = await asyncio.gather(*(stub.RecognizeImage(request, timeout=timeout) for stub in self._stubs))
        results = [result for answer in answers for result in answer.results]
        return pb.RecognizeImageResponse(request_id=request.request_id, results=results)


class _Echo(recognizer_pb2_grpc.RecognizerServiceServicer):
    async def RecognizeImage(  # noqa: N802 - the contract's name
        self,
        request: pb.RecognizeImageRequest,
        context: Any,  # noqa: ARG002 - gRPC's signature
    ) -> pb.RecognizeImageResponse:
        """Return the picture's SHA-256."""
        digest = hashlib.sha256(request.image.content).hexdigest()
        return pb.RecognizeImageResponse(request_id=request.request_id, image=pb.ImageInfo(sha256=digest))


async def _serve(listen: str, targets: Sequence[str]) -> None:
    server = grpc.aio.server(options=_SIZES)
    servicer = _Fanout(targets) if targets else _Echo()  # type: ignore[abstract] # gRPC answers the other methods
    recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(servicer, server)
    server.add_insecure_port(listen)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2:]))
