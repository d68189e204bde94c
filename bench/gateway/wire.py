"""How a picture is sent, and the answer read: the project's contract, or that of a serving platform."""

from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from marquee.v1 import recognizer_pb2 as pb


class Wire:
    """The project's contract."""

    method = "marquee.v1.RecognizerService/RecognizeImage"
    contract: Path | None = None
    """The compiled contract, if it is another."""

    def request(self, content: bytes) -> Message:
        """Return the request."""
        return pb.RecognizeImageRequest(image=pb.Image(content=content))

    def answer(self, data: bytes) -> pb.RecognizeImageResponse:
        """Read the answer."""
        return pb.RecognizeImageResponse.FromString(data)

    def recognize(self, address: str, content: bytes) -> pb.RecognizeImageResponse:
        """Call once."""
        with grpc.insecure_channel(address) as channel:
            call: Any = channel.unary_unary(f"/{self.method}")
            return self.answer(call(self.request(content).SerializeToString(), timeout=60))


OURS = Wire()


class InferenceWire(Wire):
    """The Open Inference Protocol, with the project's messages as bytes in it."""

    method = "inference.GRPCInferenceService/ModelInfer"

    def __init__(self, contract: Path, model: str) -> None:
        self.contract = contract
        self._model = model
        self._pool = descriptor_pool.DescriptorPool()
        for file in FileDescriptorSet.FromString(contract.read_bytes()).file:
            self._pool.Add(file)

    def request(self, content: bytes) -> Message:
        """Return the request."""
        request = self._kind("ModelInferRequest")(model_name=self._model)
        picture = request.inputs.add(name="request", datatype="BYTES", shape=[1])
        picture.contents.bytes_contents.append(super().request(content).SerializeToString())
        return request  # type: ignore[no-any-return]

    def answer(self, data: bytes) -> pb.RecognizeImageResponse:
        """Read the answer."""
        response = self._kind("ModelInferResponse").FromString(data)
        return super().answer(response.outputs[0].contents.bytes_contents[0])

    def _kind(self, name: str) -> Any:
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"inference.{name}"))
