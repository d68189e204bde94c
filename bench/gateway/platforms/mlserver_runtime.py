"""The fan-out as a model of MLServer, for an interpreter that has it: requests and answers are its bytes.

usage: PYTHONPATH=. python -m bench.gateway.platforms.mlserver_runtime CONTRACT
       PYTHONPATH=. mlserver start FOLDER

The first writes the contract that MLServer speaks, compiled; FOLDER has settings that name the model.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from mlserver import MLModel  # type: ignore[import-not-found] # in an environment of its own
from mlserver.grpc import dataplane_pb2  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput  # type: ignore[import-not-found]

from marquee.v1 import recognizer_pb2 as pb
from marquee.v1 import recognizer_pb2_grpc


class Fanout(MLModel):  # type: ignore[misc]
    """Calls all recognizers with the same request."""

    async def load(self) -> bool:
        """Connect."""
        channels = [grpc.aio.insecure_channel(target) for target in self.settings.parameters.extra["targets"]]
        self._stubs: list[Any] = [recognizer_pb2_grpc.RecognizerServiceStub(channel) for channel in channels]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the results of all recognizers."""
        request = pb.RecognizeImageRequest.FromString(payload.inputs[0].data[0])
        answers = await asyncio.gather(*(stub.RecognizeImage(request) for stub in self._stubs))
        results = [result for answer in answers for result in answer.results]
        response = pb.RecognizeImageResponse(request_id=request.request_id, results=results).SerializeToString()
        output = ResponseOutput(name="response", shape=[1], datatype="BYTES", data=[response])
        return InferenceResponse(model_name=self.name, outputs=[output])


if __name__ == "__main__":
    files = FileDescriptorSet()
    dataplane_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    Path(sys.argv[1]).write_bytes(files.SerializeToString())
