"""Webhooks, signed as https://www.standardwebhooks.com has it."""

import base64
import binascii
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import httpcore
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from services.library.notifications.channels.addresses import CheckedBackend, Forbidden, Network
from services.library.notifications.channels.message import Message, Undelivered

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_GONE = 410
_OK = range(200, 300)
_MOVED = range(300, 400)
_MAX_REASON = 200


def _url(value: SecretStr) -> SecretStr:
    """Check a URL, which is secret, since many have a token in their path."""
    try:
        parts = urlsplit(value.get_secret_value())
        is_fine = parts.scheme in {"http", "https"} and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine or not value.get_secret_value().isascii():
        raise ValueError("a webhook's URL is https://HOST[:PORT]/PATH, without a user")
    return value


def _secret(value: SecretStr) -> SecretStr:
    if _key(value) is None:
        raise ValueError(f"a secret is {_PREFIX} and 24 to 64 bytes in base64, as `openssl rand -base64 32` makes them")
    return value


class Webhook(BaseModel):
    """A URL to post to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["webhook"]
    url: Annotated[SecretStr, AfterValidator(_url)]
    secrets: tuple[Annotated[SecretStr, AfterValidator(_secret)], ...] = Field(min_length=1, max_length=8)
    """Each signs; so one is changed by having both for a while."""
    ca: Path | None = None
    """Certificates, PEM, that vouch for it; None: the public ones."""
    collections: tuple[str, ...] = ()
    """Which may use it; none: all."""

    @property
    def takes_picture(self) -> bool:
        """Whether the picture is sent, too."""
        return False

    async def send(self, message: Message, private: Sequence[Network] = ()) -> None:
        """Post the message, once. Raises Undelivered."""
        url = self.url.get_secret_value()
        backend = CheckedBackend(private, is_plaintext=urlsplit(url).scheme == "http")
        body = payload(message)
        headers = {"content-type": "application/json", "user-agent": "marquee", **signed(message, body, self.secrets)}
        try:
            async with (
                httpcore.AsyncConnectionPool(
                    ssl_context=_context(self.ca), max_keepalive_connections=0, network_backend=backend
                ) as client,
                client.stream("POST", url, headers=list(headers.items()), content=body) as response,
            ):
                _check(response)  # whose body nobody reads
        except Forbidden as exc:
            raise Undelivered(str(exc)) from None
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as exc:
            reason = str(exc)[:_MAX_REASON] or type(exc).__name__
            raise Undelivered(f"The webhook cannot be reached: {reason}.") from None
        except OSError as exc:
            raise Undelivered(f"The webhook cannot be called: {exc.strerror}.") from None


def payload(message: Message) -> bytes:
    """Return what is posted."""
    content = {"type": message.type, "timestamp": message.time.isoformat(), "data": dict(message.data)}
    return json.dumps(content, separators=(",", ":")).encode()


def signed(message: Message, body: bytes, secrets: Sequence[SecretStr], now: float | None = None) -> dict[str, str]:
    """Return the headers by which a receiver knows who posts, and what it has had before."""
    when = str(int(time.time() if now is None else now))
    signed_text = f"{message.delivery_id}.{when}.".encode() + body
    signatures = []
    for secret in secrets:
        digest = hmac.digest(_key(secret) or b"", signed_text, hashlib.sha256)
        signatures.append(f"v1,{base64.b64encode(digest).decode()}")
    return {
        "webhook-id": message.delivery_id,
        "webhook-timestamp": when,
        "webhook-signature": " ".join(signatures),
    }


def retry_after(text: str, now: datetime | None = None) -> float | None:
    """Return the seconds of a Retry-After, a number or a date; None: it says nothing that makes sense."""
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds())


def _check(response: httpcore.Response) -> None:
    """Raise Undelivered for what is no success. A redirect is none: it would lead past the check of addresses."""
    if response.status in _OK:
        return
    named = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
    asked = retry_after(named.decode("latin-1").strip())
    if response.status in _MOVED:
        raise Undelivered(f"The webhook redirects ({response.status}), which is not followed.", retry_after=asked)
    is_gone = response.status == _GONE
    raise Undelivered(f"The webhook answered {response.status}.", retry_after=asked, is_hopeless=is_gone)


def _key(secret: SecretStr) -> bytes | None:
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if text.startswith(_PREFIX) and len(key) in _KEY_BYTES else None


def _context(ca: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=None if ca is None else str(ca))
