"""What hostile names, answers and visitors cannot do to the page in Chromium."""

import base64
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from marquee.v1 import recognizer_pb2 as pb
from tests.support.browser import Visit
from tests.support.servers import face
from tests.support.stage import EILEEN, LABELS, Stage
from tests.support.states import Pictures, recognize

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
HOSTILE = (
    "<img src=x onerror=\"document.title='pwned'\">",
    "<script>document.title='pwned'</script>",
    "<div hx-get='/sign-out' hx-trigger='load' hx-nonce='x'></div>",
    '"><svg onload="document.title=\'pwned\'">',
    "javascript:document.title='pwned'",
    "{{ 7 * 7 }} ${7*7}",
)


@pytest.mark.parametrize("text", HOSTILE)
async def test_names_are_text(visit: Visit, stage: Stage, pictures: Pictures, text: str) -> None:
    """Whatever a recognizer calls a person or a label is shown as it is, and does nothing."""
    hostile = face(EILEEN, text, 0.9)
    hostile.candidates[0].urls.extend([text, "javascript:alert(1)"])
    stage.say("svm", hostile, labels=[pb.Label(name=text, score=0.9)], performed_features=[LABELS], warnings=[text])
    stage.say("rekognition", hostile)
    async with visit() as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto("/")
        article = await recognize(page, pictures["collins"])
        await page.locator(".box").first.click()
        await expect(article.get_by_role("heading", level=3).first).to_contain_text(text)
        made = await article.evaluate("node => node.querySelectorAll('script, [onerror], [onload], [hx-get]').length")
        links = await article.evaluate("node => [...node.querySelectorAll('a')].map(link => link.protocol)")
        assert ("pwned" in await page.title(), made) == (False, 0)
    assert {"javascript:"} & set(links) == set()
    assert [url for url in asked if "sign-out" in url or url.endswith("/x")] == []


async def test_events_carry_no_htmx(visit: Visit, pictures: Pictures) -> None:
    """What is sent as events has neither attributes of htmx nor the page's nonce, so that it can ask for nothing."""
    async with visit() as page:
        await page.goto("/")
        nonce = await page.evaluate("document.querySelector('script[nonce]').nonce")
        events = await page.evaluate(_ASK, base64.b64encode(pictures["both"].read_bytes()).decode())
    assert events.count("data-recognizer") >= 3
    assert nonce not in events
    assert re.findall(r"\s(?:data-)?hx-|\son\w+=|<script|nonce=", events) == []


ATTACKS = {
    "script": "add('script').textContent = 'window.pwned = true'",
    "address": "add('script').src = 'data:text/javascript,window.pwned = true'",
    "handler": "Object.assign(add('img'), {src: 'data:,x'}).setAttribute('onerror', 'window.pwned = true')",
    "markup": "document.body.innerHTML = '<img src=x onerror=\"window.pwned = true\">'",
    "htmx": 'window.htmx.swap({target: document.body, text: \'<div hx-get="/" hx-trigger="load"></div>\'})',
}
_ASK = """async picture => {
  const body = new FormData(document.getElementById("ask"));
  body.set("image", new Blob([Uint8Array.from(atob(picture), letter => letter.charCodeAt(0))]), "both.jpg");
  const answer = await fetch("/recognize", {method: "POST", body, headers: {Accept: "text/event-stream"}});
  return answer.text();
}"""
_COMPLAINT = "Content Security Policy|TrustedHTML|TrustedScript|hx-csp"


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_injected_script_does_not_run(visit: Visit, attack: str) -> None:
    """Were something of a stranger's to get into the page, its policy would stop it."""
    async with visit(tolerate=_COMPLAINT) as page:
        await page.goto("/")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        add = "const add = name => document.body.appendChild(document.createElement(name))"
        await page.evaluate(f"() => {{ {add}; try {{ {ATTACKS[attack]} }} catch {{ /* refused at once */ }} }}")
        await page.wait_for_timeout(100)
        assert await page.evaluate("window.pwned") is None
        assert [url for url in asked if url.endswith("/")] == []


async def test_a_file_name_is_text(visit: Visit, pictures: Pictures, tmp_path: Path) -> None:
    """A file's name is shown as it is, with what spells HTML in it."""
    picture = tmp_path / "<img src=x onerror=alert(1)>&amp;.jpg"
    picture.write_bytes(pictures["both"].read_bytes())
    async with visit() as page:
        await page.goto("/")
        article = await recognize(page, picture)
        await expect(article.get_by_role("heading", level=2)).to_have_text("<img src=x onerror=alert(1)>&amp;.jpg")
