"""The operator's channels: one YAML file.

    channels:
      door:
        type: webhook
        url: https://door.example/marquee
        secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]
        collections: [entrance]

A mistake is reported with its place and without the value, which may be secret.
"""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    SecretStr,
    StringConstraints,
    ValidationError,
)

from services.library.notifications.channels.addresses import Network
from services.library.notifications.channels.mail import Smtp
from services.library.notifications.channels.message import Message, Undelivered
from services.library.notifications.channels.slack import Slack
from services.library.notifications.channels.webhook import Webhook
from services.runtime.doors.watch import Watched
from services.runtime.errors import InvalidRequest


def _known(value: SecretStr) -> SecretStr:
    import apprise  # noqa: PLC0415 - it is large, and few have such a channel

    if apprise.Apprise.instantiate(value.get_secret_value(), suppress_exceptions=True) is None:
        raise ValueError("Apprise knows no such URL; https://github.com/caronc/apprise/wiki lists them")
    return value


class AppriseUrl(BaseModel):
    """A URL of Apprise's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["apprise"]
    url: Annotated[SecretStr, AfterValidator(_known)]
    picture: bool = False
    """Whether the picture is sent, too, to services that take files."""
    collections: tuple[str, ...] = ()
    """Which may use it; none: all."""

    @property
    def takes_picture(self) -> bool:
        """Whether the picture is sent, too."""
        return self.picture

    async def send(self, message: Message) -> None:
        """Send the message. Raises Undelivered."""
        if not await asyncio.to_thread(self._notify, message):
            raise Undelivered("Apprise could not send the message; the library's log says why.")

    def _notify(self, message: Message) -> bool:
        import apprise  # noqa: PLC0415

        asset = apprise.AppriseAsset(app_id="Marquee", async_mode=False)
        sender = apprise.Apprise(asset=asset)
        sender.add(self.url.get_secret_value())
        content: dict[str, Any] = {"title": message.title, "body": message.body}
        if message.picture is None:
            return bool(sender.notify(**content))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "picture.jpg")
            path.write_bytes(message.picture)
            return bool(sender.notify(attach=str(path), **content))


Channel: TypeAlias = Webhook | Smtp | Slack | AppriseUrl
TYPES = ("webhook", "smtp", "slack", "apprise")
SEND_SECONDS = 20.0
"""Within which a message is taken, or it is tried again."""
_MOST = 256
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    channels: dict[_Name, Annotated[Channel, Discriminator("type")]] = {}


class Channels:
    """The channels of the file, or none. Raises ValueError and OSError for a file that cannot be used."""

    def __init__(self, path: Path | None, private: Sequence[Network] = ()) -> None:
        """Have webhooks call these private networks, too."""
        self._file = None if path is None else Watched("channels", [path], lambda: read(path))
        self._private = private

    def files(self) -> Sequence[Watched[Any]]:
        """Return what to read again when it changes."""
        return () if self._file is None else (self._file,)

    @property
    def all(self) -> Mapping[str, Channel]:
        """All channels by name."""
        return {} if self._file is None else self._file.value

    def of(self, collection: str) -> dict[str, Channel]:
        """Return the channels that the collection may use, by name, in their order."""
        return {name: one for name, one in sorted(self.all.items()) if _may_use(one, collection)}

    def get(self, name: str, collection: str, field: str = "channel") -> Channel:
        """Return a channel. Raises InvalidRequest if the collection may use none of this name."""
        found = self.of(collection)
        if name not in found:
            there = (
                f"There are: {', '.join(found)}." if found else "An operator sets them, by MARQUEE_LIBRARY_CHANNELS."
            )
            raise InvalidRequest(f"The collection has no channel {name!r}. {there}", field=field)
        return found[name]

    async def send(self, channel: Channel, message: Message, seconds: float = SEND_SECONDS) -> None:
        """Send the message by the channel within the time. Raises Undelivered."""
        try:
            async with asyncio.timeout(seconds):
                match channel:
                    case Webhook():
                        await channel.send(message, self._private)
                    case AppriseUrl():
                        await channel.send(message)
                    case _:
                        await channel.send(message, seconds)
        except TimeoutError:
            raise Undelivered(f"The other side has not taken it within {seconds:.0f} s.") from None


def read(path: Path) -> Mapping[str, Channel]:
    """Return the channels in the file. Raises ValueError, whose text names no secret, and OSError."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        mark = getattr(exc, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark is not None else ""
        raise ValueError(f"{path} is no YAML{place}.") from None
    try:
        channels = _File.model_validate(content or {}).channels
    except ValidationError as exc:
        raise ValueError("\n".join(f"{path}: {line}" for line in _mistakes(exc))) from None
    if len(channels) > _MOST:
        raise ValueError(f"{path} has {len(channels)} channels; the limit is {_MOST}.")
    return channels


def _mistakes(error: ValidationError) -> list[str]:
    details = error.errors(include_input=False, include_url=False, include_context=False)
    return [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in details]


def _may_use(channel: Channel, collection: str) -> bool:
    return not channel.collections or collection in channel.collections
