"""What one call asks of Rekognition, and how each operation is asked."""

import asyncio
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from services.rekognition import aws_errors
from services.rekognition.calls import Calls, Tab
from services.rekognition.prices import Api
from services.rekognition.settings import RekognitionSettings
from services.rekognition.source import Source
from services.runtime.errors import DependencyUnavailable
from services.runtime.recognizer import Options

_ANSWER_SECONDS = 0.05
"""Kept back of the caller's time: to answer with what other features have found when one is late."""


class Question:
    """A picture, what is to be found in it, and what that has cost so far."""

    def __init__(self, calls: Calls, source: Source, options: Options, settings: RekognitionSettings) -> None:
        self.source = source
        self.options = options
        self.settings = settings
        self.tab = Tab()
        self.deadline = options.deadline - _ANSWER_SECONDS
        self._calls = calls
        self._detecting: asyncio.Task[Mapping[str, Any]] | None = None

    async def ask(self, api: Api, key: str, **parameters: Any) -> Mapping[str, Any]:
        """The operation's answer about the whole picture, which has the key. Raises DomainErrors."""
        try:
            answer = await self._send(api, Image=self.source.parameter, **parameters)
        except ClientError as exc:
            if not await self.source.instead_of_reference(aws_errors.code_of(exc), self._calls.region):
                raise aws_errors.explain(exc) from exc
            answer = await self._explained(api, Image=self.source.parameter, **parameters)
        return _checked(answer, key)

    async def ask_about(self, content: bytes, api: Api, key: str, **parameters: Any) -> Mapping[str, Any]:
        """The operation's answer about a part of the picture. Raises DomainErrors."""
        return _checked(await self._explained(api, Image={"Bytes": content}, **parameters), key)

    async def detect_faces(self, attributes: str) -> Mapping[str, Any]:
        """DetectFaces' answer; FACES and FACE_SEARCH pay for one call together."""
        if self._detecting is None:
            ask = self.ask("DetectFaces", "FaceDetails", Attributes=[attributes])
            self._detecting = asyncio.create_task(ask)
        return await asyncio.shield(self._detecting)

    def drop(self) -> None:
        """Tries nothing again."""
        if self._detecting is not None:
            self._detecting.cancel()

    async def _explained(self, api: Api, **parameters: Any) -> Mapping[str, Any]:
        try:
            return await self._send(api, **parameters)
        except ClientError as exc:
            raise aws_errors.explain(exc) from exc

    async def _send(self, api: Api, **parameters: Any) -> Mapping[str, Any]:
        try:
            return await self._calls.call(api, self.tab, self.deadline, **parameters)
        except BotoCoreError as exc:
            raise aws_errors.explain(exc) from exc


def _checked(answer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Refuses what botocore takes for an empty answer: any page that says 200. Rekognition always sends the key."""
    if key not in answer:
        raise DependencyUnavailable("What listens at Rekognition's address does not answer as Rekognition does.")
    return answer
