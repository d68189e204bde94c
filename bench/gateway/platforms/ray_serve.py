"""The fan-out as a deployment of Ray Serve, behind its gRPC proxy: for an interpreter that has `ray[serve]`.

usage: PYTHONPATH=. python -m bench.gateway.platforms.ray_serve PORT HTTP_PORT RECOGNIZER ...
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import grpc
import ray  # type: ignore[import-not-found] # in an environment of its own
from ray import serve
from ray.serve.config import gRPCOptions  # type: ignore[import-not-found]

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc

_SERVICER = "marquee.v1.recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server"


@serve.deployment(max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0}, logging_config={"log_level": "ERROR"})
class Fanout:
    """Calls all recognizers with the same request."""

    def __init__(self, targets: Sequence[str]) -> None:
        self._targets = targets
        self._stubs: list[Any] = []

    async def RecognizeImage(self, request: pb.RecognizeImageRequest) -> pb.RecognizeImageResponse:  # noqa: N802
        """Return the results of all recognizers."""
        if not self._stubs:  # here, and not before, is the loop that they belong to
            channels = [grpc.aio.insecure_channel(target) for target in self._targets]
            self._stubs = [recognizer_pb2_grpc.RecognizerServiceStub(channel) for channel in channels]
        answers = await asyncio.gather(*(stub.RecognizeImage(request) for stub in self._stubs))
        results = [result for answer in answers for result in answer.results]
        return pb.RecognizeImageResponse(request_id=request.request_id, results=results)


def main() -> None:
    """Serve until the process ends."""
    port, http_port, *targets = sys.argv[1:]
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(
        grpc_options=gRPCOptions(port=int(port), grpc_servicer_functions=[_SERVICER]),
        http_options={"host": "127.0.0.1", "port": int(http_port)},
        proxy_location="HeadOnly",
    )
    serve.run(Fanout.bind(targets))  # type: ignore[attr-defined]
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
