"""What one request asks of Rekognition, until when, and what that has cost so far."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from services.rekognition.aws import errors as aws_errors
from services.rekognition.aws.calls import Calls, Tab
from services.rekognition.budget.prices import Api
from services.runtime.errors import DependencyUnavailable


class Asking:
    """One request's way to Rekognition."""

    def __init__(self, calls: Calls, deadline: float) -> None:
        self.tab = Tab()
        self.deadline = deadline
        """On time.monotonic()'s clock; nothing is asked after it."""
        self.region = calls.region
        self._calls = calls

    async def ask(self, api: Api, key: str, **parameters: Any) -> Mapping[str, Any]:
        """The operation's answer, which has the key. Raises DomainErrors."""
        try:
            return checked(await self.send(api, **parameters), key)
        except ClientError as exc:
            raise aws_errors.explain(exc) from exc

    async def send(self, api: Api, **parameters: Any) -> Mapping[str, Any]:
        """The operation's answer. Raises DomainErrors, and ClientError where AWS refuses the call."""
        try:
            return await self._calls.call(api, self.tab, self.deadline, **parameters)
        except BotoCoreError as exc:
            raise aws_errors.explain(exc) from exc

    async def pages(self, api: Api, key: str, **parameters: Any) -> AsyncIterator[Mapping[str, Any]]:
        """All pages of a list's answer. Raises DomainErrors."""
        token: dict[str, str] = {}
        while True:
            answer = await self.ask(api, key, **parameters, **token)
            yield answer
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}


def checked(answer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Refuses what botocore takes for an empty answer: any page that says 200. Rekognition always sends the key."""
    if key not in answer:
        raise DependencyUnavailable("What listens at Rekognition's address does not answer as Rekognition does.")
    return answer
