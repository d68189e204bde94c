"""What one call asks of Rekognition, and how each operation is asked."""

import asyncio
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from services.rekognition.asking import Asking, checked
from services.rekognition.aws import errors
from services.rekognition.aws.account import Account
from services.rekognition.budget.prices import Api
from services.rekognition.settings import RekognitionSettings
from services.rekognition.source import Source
from services.runtime.leaf.recognizer import Options

_ANSWER_SECONDS = 0.05
"""Kept back of the caller's time: to answer with what other features have found when one is late."""


class Question:
    """A picture, what is to be found in it, and what that has cost so far."""

    def __init__(self, account: Account, source: Source, options: Options, settings: RekognitionSettings) -> None:
        self.source = source
        self.options = options
        self.settings = settings
        self.people = account.people
        self.deadline = options.deadline - _ANSWER_SECONDS
        self._asking = Asking(account.calls, self.deadline)
        self.tab = self._asking.tab
        self._detecting: asyncio.Task[Mapping[str, Any]] | None = None

    async def ask(self, api: Api, key: str, **parameters: Any) -> Mapping[str, Any]:
        """The operation's answer about the whole picture, which has the key. Raises DomainErrors."""
        return await about(self.source, self._asking, api, key, **parameters)

    async def ask_about(self, content: bytes, api: Api, key: str, **parameters: Any) -> Mapping[str, Any]:
        """The operation's answer about a part of the picture. Raises DomainErrors."""
        return await self._asking.ask(api, key, Image={"Bytes": content}, **parameters)

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


async def about(source: Source, asking: Asking, api: Api, key: str, **parameters: Any) -> Mapping[str, Any]:
    """The operation's answer about a picture, by reference or, that being refused, by bytes. Raises DomainErrors."""
    try:
        answer = await asking.send(api, Image=source.parameter, **parameters)
    except ClientError as exc:
        if not await source.instead_of_reference(errors.code_of(exc), asking.region):
            raise errors.explain(exc) from exc
        return await asking.ask(api, key, Image=source.parameter, **parameters)
    return checked(answer, key)
