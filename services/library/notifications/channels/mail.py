"""Mail, by an SMTP server."""

import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import aiosmtplib
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from services.library.notifications.channels.message import Message, Undelivered

_PORTS = {"tls": 465, "starttls": 587, "none": 25}
_PERMANENT = 500
_CONTENT_ID = "picture"


def _address(value: str) -> str:
    try:
        address = Address(addr_spec=value)
    except (ValueError, IndexError):
        address = Address()
    if not (address.username and address.domain and value.isprintable()):
        raise ValueError(f"{value!r} is no address of mail")
    return value


_MailAddress = Annotated[str, AfterValidator(_address)]


class Smtp(BaseModel):
    """An SMTP server, and who gets mail by it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["smtp"]
    host: str = Field(min_length=1, max_length=253)
    port: int | None = Field(None, ge=1, le=65535)
    """None: that of `security`."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    ca: Path | None = None
    """Certificates, PEM, that vouch for it; None: the public ones."""
    username: str = ""
    password: SecretStr = SecretStr("")
    sender: _MailAddress
    recipients: tuple[_MailAddress, ...] = Field(min_length=1, max_length=64)
    picture: bool = True
    """Whether mails show the picture."""
    collections: tuple[str, ...] = ()
    """Which may use it; none: all."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.username and self.security == "none":
            raise ValueError("username: a password goes over TLS only: set security")
        return self

    @property
    def takes_picture(self) -> bool:
        """Whether the picture is sent, too."""
        return self.picture

    async def send(self, message: Message, timeout: float) -> None:
        """Hand the mail to the server. Raises Undelivered."""
        context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        try:
            await aiosmtplib.send(
                self.mail(message),
                hostname=self.host,
                port=self.port or _PORTS[self.security],
                username=self.username or None,
                password=self.password.get_secret_value() or None,
                use_tls=self.security == "tls",
                start_tls=self.security == "starttls",
                tls_context=None if self.security == "none" else context,
                timeout=timeout,
            )
        except aiosmtplib.SMTPRecipientsRefused as exc:
            codes = {one.code for one in exc.recipients}
            is_hopeless = all(code >= _PERMANENT for code in codes)
            raise Undelivered("The mail server refuses all recipients.", is_hopeless=is_hopeless) from None
        except aiosmtplib.SMTPResponseException as exc:
            raise Undelivered(f"The mail server answered {exc.code}.") from None
        except (aiosmtplib.SMTPException, OSError) as exc:
            raise Undelivered(f"The mail server cannot be reached: {type(exc).__name__}.") from None

    def mail(self, message: Message) -> EmailMessage:
        """Return the mail: text, and the same in HTML with the picture."""
        mail = EmailMessage()
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.recipients)
        mail["Subject"] = message.title
        mail["Date"] = format_datetime(message.time)
        mail["Message-ID"] = f"<{message.delivery_id}@{self.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # nobody's holiday answers it
        mail.set_content(f"{message.title}\n\n{message.body}\n")
        mail.add_alternative(_html(message), subtype="html")
        if message.picture is not None:
            *_, html = mail.iter_parts()
            name: dict[str, Any] = {"cid": f"<{_CONTENT_ID}>", "filename": "picture.jpg", "disposition": "inline"}
            html.add_related(message.picture, "image", "jpeg", **name)
        return mail


def _html(message: Message) -> str:
    lines = "".join(f"<p>{escape(line)}</p>" for line in message.lines)
    picture = f'<p><img src="cid:{_CONTENT_ID}" alt="The picture"></p>' if message.picture is not None else ""
    return f"<!doctype html><html><body><h2>{escape(message.title)}</h2>{picture}{lines}</body></html>"
