"""What visitors may do, by their role, in which collections, and how often."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from marquee.v1 import recognizer_pb2 as pb
from services.web.access.quota import network
from tests.support.doors import line
from tests.support.enrollers import ScriptedEnroller
from tests.support.servers import Scripted, picture
from tests.support.web import Page, csrf_token, page, recognizing, sign_in

SPENT = 123_456_789
LINES = {
    "viewer": line("viewer", name="viewer", scopes="recognize", collections="staff"),
    "editor": line("editor", name="editor", scopes="recognize,enroll"),
    "admin": line("admin", name="admin", scopes="recognize,enroll,admin"),
    "often": line("often", name="often", scopes="recognize", calls="3"),
    "poor": line("poor", name="poor", scopes="recognize", usd="0.25"),
    "odd": line("odd", name="%0d%0aa:b|c~+", scopes="recognize,relay"),
    "page": line("page", name="page", scopes="recognize,enroll,admin,relay"),
}
SERVICES = {
    "ListRecognizers": "marquee.v1.RecognizerService",
    "EnrollFaces": "marquee.v1.EnrollmentService",
    "RemoveFaces": "marquee.v1.EnrollmentService",
    "RemovePerson": "marquee.v1.EnrollmentService",
    "ListPeople": "marquee.v1.EnrollmentService",
    "ListFaces": "marquee.v1.EnrollmentService",
}


class Spender(Scripted):
    """A recognizer that says what it has spent."""

    def describe(self) -> pb.Recognizer:
        described = super().describe()
        described.spending.CopyFrom(pb.Spending(today_micro_usd=SPENT))
        return described


@pytest.fixture
def enroller() -> ScriptedEnroller:
    return ScriptedEnroller("svm")


@pytest_asyncio.fixture
async def closed(tmp_path: Path, enroller: ScriptedEnroller) -> AsyncIterator[Page]:
    callers, own = tmp_path / "callers", tmp_path / "token"
    callers.write_text("".join(LINES.values()))
    own.write_text("page")
    settings = {"callers": callers, "web_gateway_token_file": own, "web_pictures_per_minute": 5}
    async with AsyncExitStack() as stack:
        one = recognizing(Spender("svm"), enrollers={"svm": enroller}, callers=callers)
        yield await stack.enter_async_context(page(await stack.enter_async_context(one), **settings))


async def signed_in(client: httpx.AsyncClient, token: str) -> None:
    """Sign in; each later request shows the session's token."""
    assert (await sign_in(client, token)).status_code == 303
    client.headers["X-CSRF-Token"] = csrf_token(await client.get("/status"))


async def call(client: httpx.AsyncClient, method: str, **fields: object) -> httpx.Response:
    return await client.post(f"/{SERVICES[method]}/{method}", json=fields)


async def test_a_viewer_changes_nothing(closed: Page, enroller: ScriptedEnroller) -> None:
    """Neither by the page nor by the API, whatever a form says of roles; and is told which right is missing."""
    async with closed.client() as client:
        await signed_in(client, "viewer")
        for method in SERVICES.keys() - {"ListRecognizers"}:
            answer = await call(client, method, collection="staff")
            assert answer.status_code == 403, method
            assert "enroll" in answer.json()["message"], method
        files = {"image": ("a.jpg", picture(), "image/jpeg")}
        for path in ("/enroll", "/enroll/undo"):
            data = {"name": "x", "role": "admin", "recognizer": "svm", "face_id": "f"}
            answer = await client.post(path, data=data, files=files if path == "/enroll" else None)
            assert answer.status_code == 403, path
        assert (await client.get("/enroll")).status_code == 403
    assert not enroller.enrolled
    assert not enroller.removed


async def test_only_admins_see_money(closed: Page) -> None:
    """An editor sees how recognizers are, and not what is spent, on the page and by the API."""
    for token, sees in (("viewer", False), ("editor", False), ("admin", True)):
        async with closed.client() as client:
            await signed_in(client, token)
            listed = (await call(client, "ListRecognizers")).json()
            assert ("spending" in listed["recognizers"][0]) == sees, token
            assert bool(listed.get("spendingWithheld")) != sees, token
            assert ("123.4" in (await client.get("/status")).text) == sees, token


async def test_an_editor_enrolls_in_their_own_name(closed: Page, enroller: ScriptedEnroller) -> None:
    """The gateway's log has the visitor, not the page."""
    async with closed.client() as client:
        await signed_in(client, "editor")
        files = {"image": ("a.jpg", picture(), "image/jpeg")}
        with capture_logs([merge_contextvars]) as logs:
            assert (await client.post("/enroll", data={"name": "Ada"}, files=files)).status_code == 200
    assert len(enroller.enrolled) == 1
    assert {"editor"} == {one["caller"] for one in logs if one["event"] == "call" and "outcomes" in one}


async def test_collections_are_those_of_the_visitor(closed: Page) -> None:
    """Others are refused, and so is the default one if it is not theirs."""
    async with closed.client() as client:
        await signed_in(client, "viewer")
        for collection, code in (("staff", 200), ("board", 403), ("", 403), ("Staff", 403)):
            answer = await client.post("/v1/recognize", params={"collection": collection}, files={"image": picture()})
            assert answer.status_code == code, (collection, answer.text)
        choice = (await client.get("/")).text.partition('<select id="collection"')[2].partition("</select>")[0]
        assert re.findall("<option.*>", choice) == ["<option>staff</option>"]


async def test_a_name_breaks_no_header(closed: Page) -> None:
    """Names that look like line ends reach the gateway as they are, and no visitor may relay."""
    async with closed.client() as client:
        await signed_in(client, "odd")
        with capture_logs([merge_contextvars]) as logs:
            assert (await call(client, "ListRecognizers")).status_code == 200
    assert "%0d%0aa:b|c~+" in {one.get("caller") for one in logs}


async def test_the_limit_of_a_line_is_kept(closed: Page) -> None:
    """Whose line has `calls=` may call that often, and is told when to come back."""
    async with closed.client() as client:
        await signed_in(client, "often")
        answers = [await client.get("/v1/recognizers") for _ in range(9)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert int(refused[0].headers["retry-after"]) >= 1


async def test_pictures_are_counted_a_minute(closed: Page) -> None:
    """A visitor may send so many at once; looking at the status is free; another visitor has their own."""
    for token in ("admin", "editor"):
        async with closed.client() as client:
            await signed_in(client, token)
            codes = [(await client.post("/v1/recognize", content=picture())).status_code for _ in range(6)]
            assert codes == [200] * 5 + [429], token
            answer = await client.post("/recognize", files={"image": ("a.jpg", picture(), "image/jpeg")})
            assert answer.status_code == 429
            assert "pictures a minute" in answer.text
            assert (await call(client, "ListRecognizers")).status_code == 200


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("", ""),
        ("unix:", ""),
    ],
)
def test_a_host_is_one_whatever_its_addresses(address: str, counted: str) -> None:
    """An IPv6 host has a network of addresses, which count as one."""
    assert network(address) == counted


async def test_a_page_that_the_gateway_refuses_blames_no_visitor(closed: Page, tmp_path: Path) -> None:
    """If the page's own token is wrong, nobody is asked to sign in again, nor told it."""
    (tmp_path / "token").write_text("wrong")
    await closed.refresh()
    async with closed.client() as client:
        await sign_in(client, "poor")
        token = csrf_token(await client.get("/sign-out"))
        answer = await client.post("/v1/recognize", content=picture(), headers={"X-CSRF-Token": token})
        assert answer.status_code == 503
        assert "refuses this page" in answer.json()["message"]
