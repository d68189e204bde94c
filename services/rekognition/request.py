"""One request's way to Rekognition: owner of its deadline, its cost and its shared DetectFaces."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from services.rekognition.aws import errors
from services.rekognition.aws.account import Account
from services.rekognition.aws.calls import Calls, Usage
from services.rekognition.budget.prices import Api
from services.rekognition.settings import RekognitionSettings
from services.runtime.errors import DependencyUnavailable
from services.runtime.storage.failures import ERRORS, code_of

if TYPE_CHECKING:  # both import NumPy and Pillow, which the Lambda function lacks
    from services.rekognition.picture import Picture
    from services.runtime.leaf.recognizer import Options

_RESPONSE_SECONDS = 0.05
"""Kept back of the caller's time, to respond with what other features returned when one is late."""


class Request:
    """One request; all that it asks of Rekognition goes through it."""

    def __init__(self, calls: Calls, deadline: float) -> None:
        self.usage = Usage()
        self.deadline = deadline
        """On time.monotonic()'s clock; nothing is sent after it."""
        self._calls = calls

    async def ask(
        self,
        api: Api,
        key: str,
        picture: "Picture | None" = None,
        *,
        pictures: "Mapping[str, Picture] | None" = None,
        ignore: str = "",
        **parameters: Any,
    ) -> Mapping[str, Any]:
        """Return the operation's response, which has the key; {} if AWS refuses with the code `ignore`.

        The picture, or several by the names of their parameters, go by reference or, if AWS refuses that, as bytes.
        Raises DomainErrors.
        """
        pictures = pictures or ({} if picture is None else {"Image": picture})
        while True:
            parameters |= {name: one.parameter for name, one in pictures.items()}
            try:
                response = await self._calls.call(api, self.usage, self.deadline, parameters)
            except ClientError as exc:
                code = code_of(exc)
                if code == ignore:
                    return {}
                fetched = [
                    await one.fetch(parameters[name], code, self._calls.region) for name, one in pictures.items()
                ]
                if not any(fetched):
                    raise errors.explain(exc) from exc
            except ERRORS as exc:
                raise errors.explain(exc) from exc
            else:
                return _checked(response, key)

    def part(self) -> "Request":
        """Return a part of this request, whose usage also counts by itself."""
        part = Request(self._calls, self.deadline)
        part.usage = Usage(self.usage)
        return part

    def check_budget(self, *apis: Api) -> None:
        """Raise BudgetExhausted if today's budget cannot pay for all of these."""
        self._calls.check_budget(*apis)

    async def pages(self, api: Api, key: str, **parameters: Any) -> AsyncIterator[Mapping[str, Any]]:
        """Yield all pages of a list. Raises DomainErrors."""
        token: dict[str, Any] = {}
        while True:
            page = await self.ask(api, key, **parameters, **token)
            yield page
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


class Recognition(Request):
    """A request to recognize one picture."""

    def __init__(self, account: Account, picture: "Picture", options: "Options", settings: RekognitionSettings) -> None:
        super().__init__(account.calls, options.deadline - _RESPONSE_SECONDS)
        self.picture = picture
        self.options = options
        self.settings = settings
        self.people = account.people
        self.collections = account.collections
        self._faces: asyncio.Task[Mapping[str, Any]] | None = None

    async def detect_faces(self, attributes: str) -> Mapping[str, Any]:
        """Return DetectFaces' response; FACES and FACE_SEARCH pay for one call together."""
        if self._faces is None:
            detection = self.ask("DetectFaces", "FaceDetails", self.picture, Attributes=[attributes])
            self._faces = asyncio.create_task(detection)
        return await asyncio.shield(self._faces)

    def cancel(self) -> None:
        """Stop retrying."""
        if self._faces is not None:
            self._faces.cancel()


def _checked(response: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Refuse what botocore takes for an empty response: any page with status 200. Rekognition always sends the key."""
    if key and key not in response:
        raise DependencyUnavailable("The server at Rekognition's address does not respond as Rekognition does.")
    return response
