"""Slack, as a bot that posts into a channel."""

import asyncio
import logging
from typing import Any, Literal
from urllib.error import URLError

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from services.library.notifications.channels.message import Message, Undelivered
from services.library.notifications.channels.webhook import retry_after

_quiet = logging.getLogger("marquee.slack")  # slack-sdk logs what it sends
_quiet.setLevel(logging.CRITICAL)


class Slack(BaseModel):
    """A channel of Slack."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["slack"]
    token: SecretStr = Field(min_length=1)
    """Of a bot with the scopes chat:write and files:write."""
    channel: str = Field(pattern=r"^[A-Z0-9]{1,32}$")
    """Its identifier, such as C012AB3CD, which the bot was invited to."""
    picture: bool = True
    """Whether the picture is posted, too."""
    api_url: str = Field("https://slack.com/api/", pattern=r"^https?://[!-~]+/$")
    collections: tuple[str, ...] = ()
    """Which may use it; none: all."""

    @property
    def takes_picture(self) -> bool:
        """Whether the picture is sent, too."""
        return self.picture

    async def send(self, message: Message, timeout: float) -> None:
        """Post the message. Raises Undelivered."""
        await asyncio.to_thread(self._post, message, max(1, int(timeout)))

    def _post(self, message: Message, timeout: int) -> None:
        options: dict[str, Any] = {"base_url": self.api_url, "timeout": timeout, "retry_handlers": []}
        client = WebClient(self.token.get_secret_value(), logger=_quiet, **options)
        try:
            if message.picture is None:
                client.chat_postMessage(channel=self.channel, text=text_of(message), unfurl_links=False)
                return
            client.files_upload_v2(
                channel=self.channel,
                content=message.picture,
                filename="picture.jpg",
                title=message.title,
                alt_txt=message.title,
                initial_comment=text_of(message),
            )
        except SlackApiError as exc:
            raise _refused(exc) from None
        except (SlackClientError, URLError, OSError, ValueError) as exc:
            raise Undelivered(f"Slack cannot be reached: {type(exc).__name__}.") from None


def text_of(message: Message) -> str:
    """Return the text, in which nothing is a mention or a link that nobody meant."""
    title, body = (_escaped(text) for text in (message.title, message.body))
    return f"*{title}*\n{body}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _refused(error: SlackApiError) -> Undelivered:
    response: Any = error.response
    data, headers = getattr(response, "data", response), getattr(response, "headers", {}) or {}
    name = str(data.get("error", "")) if isinstance(data, dict) else ""
    reason = name if name.isascii() and name.isprintable() else ""
    asked = next((retry_after(str(value)) for key, value in headers.items() if key.lower() == "retry-after"), None)
    return Undelivered(f"Slack refuses the message: {reason or 'its answer makes no sense'}.", retry_after=asked)
