"""A stub of the contract that speaks Connect, as the generated one speaks gRPC: the same tests hold for both."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
from google.protobuf import any_pb2, json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from services.runtime import status

_PREFIX = "type.googleapis.com/"
_END = 2


class ConnectStub:
    """RecognizerService or another one of the contract at a URL, with messages in `json` or `proto`."""

    def __init__(self, client: httpx.AsyncClient, service: Any, codec: str) -> None:
        self._client = client
        self._codec = codec
        for method in service.methods:
            call = self._stream if method.server_streaming else self._call
            setattr(self, method.name, _bound(call, method))

    def _call(self, method: MethodDescriptor, request: Message, timeout: float = 60) -> "asyncio.Task[Message]":
        return asyncio.create_task(self._unary(method, request, timeout))

    async def _unary(self, method: MethodDescriptor, request: Message, timeout: float) -> Message:
        answer = await self._client.post(
            _path(method), content=self._written(request), headers=self._headers("application/", timeout)
        )
        if answer.status_code != httpx.codes.OK:
            raise _error(answer.json())
        return self._read(method, answer.content)

    async def _stream(self, method: MethodDescriptor, request: Message, timeout: float = 60) -> AsyncIterator[Message]:
        content = self._written(request)
        answer = await self._client.post(
            _path(method),
            content=b"\0" + len(content).to_bytes(4, "big") + content,
            headers=self._headers("application/connect+", timeout),
        )
        body = answer.content
        while body:
            flags, end = body[0], 5 + int.from_bytes(body[1:5], "big")
            if flags & _END:
                if "error" in (last := json.loads(body[5:end])):
                    raise _error(last["error"])
                return
            yield self._read(method, body[5:end])
            body = body[end:]

    def _headers(self, prefix: str, timeout: float) -> dict[str, str]:
        return {"content-type": f"{prefix}{self._codec}", "connect-timeout-ms": str(round(timeout * 1000))}

    def _written(self, request: Message) -> bytes:
        return json_format.MessageToJson(request).encode() if self._codec == "json" else request.SerializeToString()

    def _read(self, method: MethodDescriptor, content: bytes) -> Message:
        response = GetMessageClass(method.output_type)()
        if self._codec == "json":
            return json_format.Parse(content, response)
        response.ParseFromString(content)
        return response


def _bound(call: Any, method: MethodDescriptor) -> Any:
    return lambda request, timeout=60: call(method, request, timeout)


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _error(content: dict[str, Any]) -> grpc.aio.AioRpcError:
    """Return the error as gRPC raises it."""
    code = grpc.StatusCode[content["code"].upper().replace("CANCELED", "CANCELLED")]
    details = [
        any_pb2.Any(type_url=f"{_PREFIX}{one['type']}", value=base64.b64decode(f"{one['value']}=="))
        for one in content.get("details", ())
    ]
    whole = status_pb2.Status(code=status.number(code), message=content["message"], details=details)
    trailing = grpc.aio.Metadata((status.DETAILS_KEY, whole.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, content["message"])
