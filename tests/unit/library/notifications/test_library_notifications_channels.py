"""Mail, Slack and Apprise: real protocols on loopback; and the operator's file."""

import email
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from PIL import Image

from services.library.notifications.channels.channels import Channels
from services.library.notifications.channels.drawing import Mark, drawn, sample
from services.library.notifications.channels.message import Message, Undelivered
from services.library.notifications.channels.slack import text_of
from tests.support.notifications import Answer, Posted, Receiver, receiving, write_channels
from tests.support.processes import free_port
from tests.support.servers import LEFT, box, picture

TITLE = "Anna <b>& José</b> was seen"
MESSAGE = Message("0190-a", "notification.person", datetime.now(UTC), TITLE, ["One <!channel>", "Two"], {}, sample())


async def sent(folder: Path, channel: dict[str, Any], message: Message = MESSAGE) -> None:
    write_channels(folder / "channels.yaml", it=channel)
    channels = Channels(folder / "channels.yaml")
    await channels.send(channels.get("it", "pictures"), message, 20)


class Mailbox:
    """What a mail server got; it refuses who is named so."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.was_encrypted: list[bool] = []

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if address.startswith("nobody"):
            return "550 there is no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - likewise
        content: Any = email.message_from_bytes(envelope.content or b"", policy=policy.default)  # type: ignore[arg-type]
        self.mails.append(content)
        self.was_encrypted.append(session.ssl is not None)
        return "250 OK"


@contextmanager
def mail_server(folder: Path, mailbox: Mailbox, *, is_tls: bool) -> Iterator[dict[str, Any]]:
    """Yield a channel to a server that wants a password, over TLS from the start or from STARTTLS on."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"marquee", b"secret"), handled=False)

    tls: dict[str, Any] = {"ssl_context": context} if is_tls else {"tls_context": context, "require_starttls": True}
    port = free_port()
    options = {"authenticator": check, "auth_required": True, "auth_require_tls": not is_tls}
    server = Controller(mailbox, hostname="localhost", port=port, **tls, **options)
    server.start()
    try:
        yield {
            "type": "smtp",
            "host": "localhost",
            "port": port,
            "security": "tls" if is_tls else "starttls",
            "ca": str(folder / "ca.pem"),
            "username": "marquee",
            "password": "secret",
            "sender": "marquee@example.com",
            "recipients": ["ada@example.com", "grace@example.com"],
        }
    finally:
        server.stop()


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # it does not see that all is TLS
@pytest.mark.parametrize("is_tls", [True, False])
async def test_mail_has_the_picture(tmp_path: Path, *, is_tls: bool) -> None:
    """A mail goes over TLS, with text, the same in HTML, and the picture within; its identifier is the delivery's."""
    mailbox = Mailbox()
    with mail_server(tmp_path, mailbox, is_tls=is_tls) as channel:
        await sent(tmp_path, channel)
    (mail,) = mailbox.mails
    assert mailbox.was_encrypted == [not is_tls]  # of TLS from the start, the session does not know
    assert (mail["Subject"], mail["Message-ID"]) == (TITLE, "<0190-a@example.com>")
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert "One <!channel>\nTwo" in plain.get_content().replace("\r\n", "\n")
    assert html is not None
    assert "&lt;b&gt;" in html.get_content()
    (image,) = [part for part in mail.walk() if part.get_content_type() == "image/jpeg"]
    assert image["Content-ID"] == "<picture>"
    assert Image.open(BytesIO(image.get_payload(decode=True))).format == "JPEG"  # type: ignore[arg-type]


async def test_a_mail_server_refuses(tmp_path: Path) -> None:
    """A wrong password may be mended, and is tried again; recipients that there are not stay away for good."""
    with mail_server(tmp_path, Mailbox(), is_tls=False) as channel:
        with pytest.raises(Undelivered, match="535") as caught:
            await sent(tmp_path, {**channel, "password": "wrong"})
        assert not caught.value.is_hopeless
        with pytest.raises(Undelivered, match="recipients") as caught:
            await sent(tmp_path, {**channel, "recipients": ["nobody@example.com"]})
        assert caught.value.is_hopeless
        with pytest.raises(Undelivered, match="reached"):
            await sent(tmp_path, {key: value for key, value in channel.items() if key != "ca"})
    with pytest.raises(Undelivered, match="reached"):
        await sent(tmp_path, channel)


class SlackServer:
    """Slack's wire: a place to upload to, the file, and its post into a channel."""

    def __init__(self) -> None:
        self.receiver = Receiver(self.answer)
        self.error = ""

    def answer(self, posted: Posted) -> Answer:
        headers = {"Content-Type": "application/json"}
        if self.error == "ratelimited":
            limited = {"ok": False, "error": "ratelimited"}
            return Answer(429, {**headers, "Retry-After": "30"}, json.dumps(limited).encode())
        content: dict[str, Any] = {"ok": not self.error, "error": self.error}
        if posted.path.endswith("files.getUploadURLExternal"):
            content |= {"upload_url": f"{self.receiver.url}/upload", "file_id": "F1"}
        if posted.path.endswith("files.completeUploadExternal"):
            content |= {"files": [{"id": "F1"}]}
        return Answer(200, headers, b"OK" if posted.path == "/upload" else json.dumps(content).encode())

    @property
    def channel(self) -> dict[str, Any]:
        return {"type": "slack", "token": "xoxb-1", "channel": "C012AB3CD", "api_url": f"{self.receiver.url}/api/"}


async def test_slack_gets_the_picture(tmp_path: Path) -> None:
    """The picture is uploaded and posted with the text, in which nothing is a mention; without one, text alone is."""
    slack = SlackServer()
    with receiving(slack.receiver):
        await sent(tmp_path, slack.channel)
        await sent(tmp_path, {**slack.channel, "picture": False}, Message("0", "t", MESSAGE.time, TITLE, ["One"]))
    paths = [one.path.rpartition("/")[2] for one in slack.receiver.posted]
    assert paths == [
        *("files.getUploadURLExternal", "upload", "files.completeUploadExternal"),
        "chat.postMessage",
    ]
    assert MESSAGE.picture is not None
    assert MESSAGE.picture in slack.receiver.posted[1].body
    assert {one.headers.get("authorization") for one in slack.receiver.posted if one.path != "/upload"} == {
        "Bearer xoxb-1"
    }
    form = parse_qs(slack.receiver.posted[2].body.decode())
    assert form["channel_id"] == ["C012AB3CD"]
    assert form["initial_comment"] == [text_of(MESSAGE)]
    assert "<" not in text_of(MESSAGE)


async def test_slack_refuses(tmp_path: Path) -> None:
    """Slack's reason is told, its wish to wait is kept, and an answer that makes no sense is no success."""
    slack = SlackServer()
    with receiving(slack.receiver):
        slack.error = "channel_not_found"
        with pytest.raises(Undelivered, match="channel_not_found"):
            await sent(tmp_path, slack.channel)
        slack.error = "ratelimited"
        with pytest.raises(Undelivered) as caught:
            await sent(tmp_path, slack.channel)
        assert caught.value.retry_after == 30
        slack.receiver.answer = lambda _: Answer(200, {}, b"<html>")
        with pytest.raises(Undelivered):
            await sent(tmp_path, slack.channel)
    with pytest.raises(Undelivered):
        await sent(tmp_path, slack.channel)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of modules that Apprise imports
async def test_all_else_goes_through_apprise(tmp_path: Path) -> None:
    """A URL of Apprise's gets title, text and, if it is wanted, the picture; a refusal is told."""
    answers = [Answer(500)]
    with receiving(Receiver(lambda _: answers.pop() if answers else Answer())) as receiver:
        channel = {"type": "apprise", "url": f"json://{receiver.url.removeprefix('http://')}/", "picture": True}
        with pytest.raises(Undelivered, match="log"):
            await sent(tmp_path, channel)
        await sent(tmp_path, channel)
    content = receiver.posted[-1].content
    assert (content["title"], content["message"]) == (TITLE, "One <!channel>\nTwo")
    assert [one["mimetype"] for one in content["attachments"]] == ["image/jpeg"]


@pytest.mark.parametrize(
    ("channel", "place"),
    [
        ({"type": "webhook", "url": "https://user:hidden@hook.example/", "secrets": ["whsec_hidden"]}, "it.webhook"),
        ({"type": "webhook", "url": "ftp://hidden/", "secrets": []}, "secrets"),
        ({"type": "smtp", "host": "mail", "sender": "a@b.c", "recipients": ["two@a.b, c@d.e"]}, "recipients"),
        (
            {"type": "smtp", "host": "m", "sender": "a@b.c", "recipients": ["d@e.f"], "security": "none"}
            | {"username": "u", "password": "hidden"},
            "over TLS",
        ),
        ({"type": "slack", "token": "hidden", "channel": "#general"}, "channel"),
        ({"type": "apprise", "url": "nothing://hidden"}, "Apprise"),
        ({"type": "pigeon"}, "webhook"),
        ({"type": "slack", "token": "hidden", "channel": "C1", "tokens": "hidden"}, "tokens"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of modules that Apprise imports
def test_a_mistake_in_the_file_is_named_without_its_secrets(
    tmp_path: Path, channel: dict[str, Any], place: str
) -> None:
    """An operator reads where the mistake is, and no log has what is secret."""
    write_channels(tmp_path / "channels.yaml", it=channel)
    with pytest.raises(ValueError, match=place) as caught:
        Channels(tmp_path / "channels.yaml")
    assert "hidden" not in str(caught.value).replace("nothing://hidden", "")


async def test_a_broken_file_leaves_the_old_channels(tmp_path: Path) -> None:
    """A file that changes is read again; one that breaks changes nothing."""
    path = tmp_path / "channels.yaml"
    slack = {"type": "slack", "token": "x", "channel": "C1", "collections": ["a"]}
    write_channels(path, one=slack)
    channels = Channels(path)
    (file,) = channels.files()
    path.write_text("channels: [")
    await file.refresh()
    assert list(channels.of("a")) == ["one"]
    write_channels(path, one=slack, two={**slack, "collections": []})
    await file.refresh()
    assert (list(channels.of("a")), list(channels.of("b"))) == (["one", "two"], ["two"])


def test_boxes_are_drawn() -> None:
    """Faces are framed and named, also where a box makes no sense or the font has no such letters."""
    marks = [
        Mark(box(LEFT), "José"),
        Mark(box(LEFT), "Зоя"),
        Mark(box((-5, 2, float("nan"), 9)), "x"),
        Mark(box(LEFT), ""),
    ]
    plain = drawn(picture((64, 48)), [])
    for mark in marks:
        assert drawn(picture((64, 48)), [mark]) != plain
