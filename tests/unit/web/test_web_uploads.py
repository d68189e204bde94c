"""Hostile uploads: each is refused in words, or taken for the picture that it is, and none is ever served."""

import io
import re
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.support.processes import PATIENCE
from tests.support.servers import picture
from tests.support.stage import Stage, stage

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
PATHS = ("/recognize", "/v1/recognize")
HTML = b"<!doctype html><script>alert(document.domain)</script>"
DISPOSITION = b'Content-Disposition: form-data; name="image"; filename="x.jpg"\r\n'


def _zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("x.jpg", picture())
    return content.getvalue()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    async with stage(tmp_path_factory.mktemp("uploads")) as here, _client(here) as client:
        found = re.search(r'name="csrf_token" value="([^"]*)"', (await client.get("/")).text)
        client.headers["X-CSRF-Token"] = found.group(1) if found else ""
        yield client


def _client(here: Stage) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=here.url, timeout=PATIENCE, trust_env=False)


def _check(answer: httpx.Response, path: str) -> None:
    """Check that nothing of an answer is taken for something else, or shows what nobody should see."""
    expected = "application/json" if path.startswith("/v1/") else "text/html"
    assert answer.headers["content-type"].startswith(expected)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    assert "Traceback" not in answer.text
    assert "alert(" not in answer.text


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "content",
    [
        HTML,
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaa">]><svg onload="alert(1)">&a;</svg>',
        b"GIF89a/*\x01\x00\x01\x00*/=1;alert(1)//",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        b"MZ\x90\x00\x03",
        b"\x7fELF\x02\x01\x01",
        b"\x1f\x8b\x08\x00" + bytes(100),
        b"\xff\xd8\xff\xe0" + HTML,
        b"\x89PNG\r\n\x1a\n" + HTML,
        b"RIFF\x00\x00\x00\x00WEBP" + HTML,
        picture()[:100],
        bytes(1000),
        b"x",
        _zip(),
    ],
    ids=lambda content: content[:9].hex(),
)
async def test_what_is_no_picture_is_refused(browser: httpx.AsyncClient, path: str, content: bytes) -> None:
    """A file that only says that it is a picture is refused by what it is, whatever its name and type."""
    answer = await browser.post(path, files={"image": ("x.jpg", content, "image/jpeg")})
    assert answer.status_code == 400
    _check(answer, path)
    assert re.search("JPEG|picture", answer.text)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("content", [picture() + HTML, picture() + _zip()], ids=["html", "zip"])
async def test_picture_that_is_something_else_too_is_a_picture(
    browser: httpx.AsyncClient, path: str, content: bytes
) -> None:
    """A picture with a page or an archive behind it is recognized as a picture, and shown as nothing else."""
    answer = await browser.post(path, files={"image": ("x.jpg", content, "text/html")})
    assert answer.status_code == 200
    _check(answer, path)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../../etc/passwd", "passwd"),
        ("C:\\Windows\\x.jpg", "x.jpg"),
        ("/", ""),
        ("..", ".."),
        ("<img src=x onerror=alert(1)>.jpg", "&lt;img src=x onerror=alert(1)&gt;.jpg"),
        ("a\tb\x07\x1b[31m.jpg", "ab[31m.jpg"),
        ("ab\u202egpj.exe", "abgpj.exe"),
        ("x" * 4000, "x" * 100),
        ("\u6f22\u5b57\U0001f600.jpg", "\u6f22\u5b57\U0001f600.jpg"),
    ],
)
async def test_file_name_is_only_shown(browser: httpx.AsyncClient, name: str, shown: str) -> None:
    """A file's name is text: its folders and control characters are left out, it is cut, and escaped on the page."""
    head = f'Content-Disposition: form-data; name="image"; filename="{name}"\r\n'.encode()
    answer = await browser.post("/recognize", **_form(b"--x\r\n" + head + b"\r\n" + picture() + b"\r\n--x--\r\n"))
    assert answer.status_code == 200
    assert shown in answer.text
    assert "onerror=alert(1)>" not in answer.text
    assert "x" * 101 not in answer.text


def _form(body: bytes, kind: str = "multipart/form-data; boundary=x") -> dict[str, Any]:
    return {"content": body, "headers": {"content-type": kind}}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"--x--\r\n", "multipart/form-data; boundary=x"),
        (picture(), "multipart/form-data"),
        (picture(), "multipart/form-data; boundary="),
        (picture(), f"multipart/form-data; boundary={'x' * 300}"),
        (picture(), "multipart/form-data; boundary=x; boundary=y"),
        (picture(), "multipart/form-data; boundary=\xe9"),
        (b"--x\r\n" + DISPOSITION + b"\r\n" + picture(), "multipart/form-data; boundary=y"),
        (b"--x\r\n" + DISPOSITION + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\na\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\nA: " + b"b" * 100_000 + b"\r\n\r\n", "multipart/form-data; boundary=x"),
        ((b"--x\r\n" + DISPOSITION + b"\r\n\r\n") * 3 + b"--x--\r\n", "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 5000, "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="image"\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n'
            b"--y\r\n" + DISPOSITION + b"\r\n" + picture() + b"\r\n--y--\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="photo"; filename="x.jpg"\r\n\r\na\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (b"--x\r\n" + DISPOSITION + b"\r\na\r\n--x--\r\n", "multipart/form-data; boundary=x; charset=utf-7"),
        (b"--x\r\n" + DISPOSITION + b"\r\na\r\n--x--\r\n", "multipart/form-data; boundary=x; charset=undefined"),
        (b"image=@x.jpg", "application/x-www-form-urlencoded"),
        (b"s3=file:///etc/passwd", "application/x-www-form-urlencoded"),
        (b"s3=s3://../..", "application/x-www-form-urlencoded"),
        (b"&" * 60_000, "application/x-www-form-urlencoded"),
        (b"a=b&" * 10_000, "application/x-www-form-urlencoded"),
        (b"%" * 10_000, "application/x-www-form-urlencoded"),
    ],
)
async def test_malformed_form_is_refused(browser: httpx.AsyncClient, path: str, body: bytes, kind: str) -> None:
    """A form in which no picture can be found is refused in words, however it is put together."""
    answer = await browser.post(path, **_form(body, kind.encode("latin-1")))
    assert answer.status_code in {400, 403}
    _check(answer, path)


async def test_curl_sends_a_picture_as_a_form(browser: httpx.AsyncClient) -> None:
    """With --data-binary curl says that the body is a form: a picture is told by its bytes."""
    answer = await browser.post("/v1/recognize", **_form(picture(), "application/x-www-form-urlencoded"))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"data": {"image": "x.jpg"}}, "-F image=@picture.jpg"),
        ({"files": {"photo": ("x.jpg", b"a")}}, "Name the file `image`; it is named `photo`."),
        ({"content": b""}, "picture"),
        ({"data": {"s3": "s3://bucket"}}, "s3://bucket/key"),
    ],
)
async def test_missing_picture_is_told_in_words(browser: httpx.AsyncClient, body: dict[str, Any], words: str) -> None:
    """A request without a picture says how to send one."""
    answer = await browser.post("/v1/recognize", **body)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
