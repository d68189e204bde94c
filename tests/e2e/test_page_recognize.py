"""The Recognize page in Chromium: pictures come in, answers come out, and a visitor takes them away."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image as Pillow
from playwright.async_api import Download, Page, expect

from services.runtime.errors import DependencyUnavailable
from tests.support.browser import Visit, drop, layout_shift
from tests.support.pictures import encode
from tests.support.servers import face
from tests.support.stage import EILEEN, Stage
from tests.support.states import Pictures, done, recognize

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
NAMES = ("rekognition", "keras", "svm")
_HEARD = """() => {
  window.heard = [];
  const note = text => text.trim() && window.heard.push(text.trim().replace(/\\s+/g, " "));
  new MutationObserver(changes => {
    for (const {addedNodes, oldValue, target} of changes) {
      if (!target.parentElement?.closest("[role=log]") && !target.matches?.("[role=log]")) continue;
      addedNodes.forEach(node => note(node.textContent));
      if (oldValue !== null && oldValue !== target.textContent) note(target.textContent);
    }
  }).observe(document.getElementById("pictures"),
    {subtree: true, childList: true, characterData: true, characterDataOldValue: true});
}"""
"""Notes what a screen reader is given to say: what comes into a live region that is there already."""


async def test_cards_fill_as_results_come(visit: Visit, stage: Stage, pictures: Pictures) -> None:
    """All cards stand there at once, each fills when its recognizer answers, nothing moves, and each is told once."""
    answered: set[str] = set()
    for name, one in stage.recognizers.items():
        one.until = lambda name=name: name in answered
    async with visit() as page:
        await page.goto("/")
        await page.evaluate(_HEARD)
        await drop(page, pictures["both"])
        await expect(page.locator("[data-recognizer][data-state=pending]")).to_have_count(3)
        await expect(page.get_by_role("img", name="both.jpg")).to_be_visible()
        for name in NAMES:
            answered.add(name)
            await page.locator(f"[data-recognizer={name}][data-state=ok]").wait_for()
            await expect(page.locator("[data-recognizer][data-state=pending]")).to_have_count(3 - len(answered))
        await done(page.get_by_role("article"))
        assert await layout_shift(page) == 0
        heard = await page.evaluate("window.heard")
        assert [sum(text.startswith(name) for text in heard) for name in NAMES] == [1, 1, 1], heard
        assert len(heard) == len(set(heard)), heard


async def test_faces_are_named_buttons(visit: Visit, pictures: Pictures) -> None:
    """A face is a button, whose name says who it is, how sure that is and how many agree."""
    async with visit() as page:
        await page.goto("/")
        await recognize(page, pictures["both"])
        boxes = page.get_by_role("group", name="Faces").get_by_role("button")
        left, right = [await box.get_attribute("aria-label") for box in await boxes.all()]
        assert left == "Eileen Collins, 97 %, 2 of 2 agree"
        assert right
        assert {"Grace Hopper", "Ada Lovelace"} <= {name for name in ("Grace Hopper", "Ada Lovelace") if name in right}
        await boxes.first.hover()
        lit = page.locator("[data-live-lit]", has_text="Eileen Collins")
        await expect(lit.and_(page.locator(".finding"))).to_have_count(2)
        await boxes.nth(1).click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("svm")
        await expect(dialog).to_contain_text("Ada Lovelace")


async def test_labels_show_where_they_are(visit: Visit, pictures: Pictures) -> None:
    """A label that is somewhere in the picture shows its places when a visitor comes near it."""
    async with visit() as page:
        await page.goto("/")
        await recognize(page, pictures["both"])
        await page.get_by_role("group", name="Verdict").get_by_role("button", name="Person").focus()
        await expect(page.locator(".mark:visible")).to_have_count(2)


async def test_a_recognizer_that_fails_says_so_in_words(visit: Visit, stage: Stage, pictures: Pictures) -> None:
    """A recognizer that is away says so in its card; the others' answers are there, and it is asked again."""
    stage.fail("svm", DependencyUnavailable("The gallery is away."))
    async with visit() as page:
        await page.goto("/")
        article = await recognize(page, pictures["both"])
        card = article.locator("[data-recognizer=svm]")
        await expect(card).to_have_attribute("data-state", "error")
        await expect(card).to_contain_text("cannot be reached")
        await expect(article.locator("[data-recognizer=rekognition]")).to_contain_text("Grace Hopper")
        stage.recognizers["svm"].error = None
        await article.get_by_role("button", name="again").click()
        await expect(card).to_contain_text("Ada Lovelace")


async def test_two_pictures_at_once(visit: Visit, stage: Stage, pictures: Pictures) -> None:
    """Each of several pictures has its own article and answer."""
    async with visit() as page:
        await page.goto("/")
        await recognize(page, pictures["both"], pictures["collins"], pictures["coffee"])
        names = await page.get_by_role("article").get_by_role("heading", level=2).all_text_contents()
        assert names == ["both.jpg", "collins.jpg", "coffee.jpg"]
        assert len(stage.recognizers["svm"].calls) == 3


async def test_a_pasted_picture_is_recognized(visit: Visit) -> None:
    """A picture in the clipboard is recognized when it is pasted."""
    async with visit(permissions=["clipboard-read", "clipboard-write"]) as page:
        await page.goto("/")
        await page.evaluate(
            """async () => {
                 const canvas = document.createElement("canvas");
                 const blob = await new Promise(resolve => canvas.toBlob(resolve, "image/png"));
                 await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
               }"""
        )
        await page.keyboard.press("Control+V")
        await done(page.get_by_role("article"))
        await expect(page.get_by_role("article")).to_contain_text("Eileen Collins")


async def test_the_camera_takes_a_picture(visit: Visit) -> None:
    """What the camera sees is recognized, and the camera is off afterwards."""
    async with visit() as page:
        await page.goto("/")
        await page.get_by_role("button", name="Camera").click()
        await page.get_by_role("button", name="Take picture").click()
        await done(page.get_by_role("article"))
        assert await page.evaluate("document.querySelector('video').srcObject") is None


async def test_a_double_click_cancels(visit: Visit, stage: Stage, pictures: Pictures) -> None:
    """The second click of two does not ask again."""
    stage.recognizers["svm"].until = lambda: False
    async with visit() as page:
        await page.goto("/")
        await drop(page, pictures["both"])
        await page.locator("[data-recognizer=svm][aria-busy=true]").wait_for()
        await page.get_by_role("button", name="Cancel").dblclick()
        await expect(page.get_by_role("article")).to_have_attribute("data-state", "cancelled")


async def test_a_dismissed_message_hands_on_the_focus(visit: Visit, tmp_path: Path) -> None:
    """Who dismisses messages by keyboard goes from one to the next, and then back to the page."""
    names = ("first.pdf", "second.pdf")
    for name in names:
        (tmp_path / name).write_bytes(b"%PDF-1.7")
    async with visit() as page:
        await page.goto("/")
        await drop(page, *(tmp_path / name for name in names))
        await page.get_by_role("alert").filter(has_text="first.pdf").get_by_role("button").press("Enter")
        second = page.get_by_role("alert").filter(has_text="second.pdf").get_by_role("button", name="Dismiss")
        await expect(second).to_be_focused()
        await second.press("Enter")
        await expect(page.get_by_role("main")).to_be_focused()


@pytest.mark.parametrize(
    ("words", "name", "content"),
    [
        ("not a picture", "page.jpg", b"<!doctype html><script>alert(1)</script>"),
        ("SVG", "drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("empty", "empty.jpg", b""),
        ("too large", "huge.jpg", b"\xff\xd8\xff" + bytes(15 * 1024 * 1024)),
    ],
    ids=["html", "svg", "empty", "huge"],
)
async def test_what_is_no_picture_is_refused_at_once(
    visit: Visit, tmp_path: Path, words: str, name: str, content: bytes
) -> None:
    """A file that cannot work is refused in words, and is not sent."""
    file = tmp_path / name
    file.write_bytes(content)
    async with visit() as page:
        await page.goto("/")
        await drop(page, file)
        await expect(page.get_by_role("alert")).to_contain_text(words)
        await expect(page.get_by_role("article")).to_have_count(0)


async def test_takes_away_png_json_and_csv(visit: Visit, stage: Stage, pictures: Pictures) -> None:
    """The picture with its boxes, the answer, and a table without formulas can be taken away."""
    stage.say("svm", face(EILEEN, "=HYPERLINK(0)", 0.99))
    stage.say("rekognition", face(EILEEN, "=HYPERLINK(0)", 0.98))
    async with visit() as page:
        await page.goto("/")
        await recognize(page, pictures["both"])
        drawn, answer, table = [await _taken(page, kind) for kind in ("PNG", "JSON", "CSV")]
    with Pillow.open(io.BytesIO(drawn)) as after, Pillow.open(pictures["both"]) as before:
        assert (after.format, after.size) == ("PNG", before.size)
        inside, edge = _pixel(EILEEN, 0.5, 0.5), _pixel(EILEEN, 0.5, 0)
        assert after.convert("RGB").getpixel(edge) == (255, 255, 255)
        assert _distance(after, before, inside) < 30
    assert json.loads(answer)["verdicts"][0]["displayName"] == "=HYPERLINK(0)"
    cells = [cell for row in csv.reader(io.StringIO(table.decode("utf-8-sig"))) for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    assert [cell for cell in cells if cell.strip().startswith(("=", "+", "@"))] == []


async def _taken(page: Page, kind: str) -> bytes:
    async with page.expect_download() as waiting:
        await page.get_by_text(kind, exact=True).click()
    download: Download = await waiting.value
    assert download.suggested_filename == f"both.{kind.lower()}"
    return Path(await download.path()).read_bytes()  # noqa: ASYNC240 - a file on this machine


def _pixel(place: tuple[float, float, float, float], right: float, down: float) -> tuple[int, int]:
    left, top, width, height = place
    return round((left + right * width) * 720), round((top + down * height) * 400)


def _distance(one: Pillow.Image, other: Pillow.Image, place: tuple[int, int]) -> int:
    pair = [picture.convert("RGB").getpixel(place) for picture in (one, other)]
    return max(abs(here - there) for here, there in zip(*pair, strict=True))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("width", [390, 1280])
async def test_boxes_sit_on_the_faces(visit: Visit, stage: Stage, tmp_path: Path, orientation: int, width: int) -> None:
    """Boxes lie where the recognizers say on the upright picture, however the file turns it and the window is."""
    upright = Pillow.new("RGB", (300, 400), "navy")
    place = (0.5, 0.25, 0.2, 0.15)
    upright.paste("red", (150, 100, 210, 160))
    stored = upright.rotate(90, expand=True) if orientation == 6 else upright
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "turned.jpg"
    file.write_bytes(encode(stored, quality=95, exif=exif))
    for name in ("rekognition", "svm"):
        stage.say(name, face(place, "Raj"))
    async with visit(viewport={"width": width, "height": 800}) as page:
        await page.goto("/")
        await recognize(page, file)
        await page.locator(".box-tag").evaluate("tag => tag.remove()")
        shot = await page.locator(".box").screenshot()
    with Pillow.open(io.BytesIO(shot)) as box:
        red, green, blue = box.convert("RGB").getpixel((box.width // 2, box.height // 2))
        near = [box.convert("RGB").getpixel((x, y)) for x in (6, box.width - 7) for y in (6, box.height - 7)]
    assert (red > 200, green < 60, blue < 60) == (True, True, True)
    assert min(pixel[0] for pixel in near) > 150, near


async def test_waits_while_the_visitor_is_offline(visit: Visit, pictures: Pictures) -> None:
    """A picture that is dropped offline waits, and is sent as soon as there is a connection."""
    async with visit(tolerate="ERR_INTERNET_DISCONNECTED") as page:
        await page.goto("/")
        await page.context.set_offline(True)
        await drop(page, pictures["both"])
        await expect(page.get_by_role("article")).to_have_attribute("data-state", "offline")
        await page.context.set_offline(False)
        await done(page.get_by_role("article"))
        await expect(page.get_by_role("article")).to_contain_text("Eileen Collins")


async def test_says_who_is_awaited(visit: Visit, stage: Stage, pictures: Pictures) -> None:
    """After three seconds the page says who has not answered yet; a visitor may give up, and try again."""
    stage.recognizers["svm"].until = lambda: False
    async with visit() as page:
        await page.goto("/")
        await drop(page, pictures["both"])
        article = page.get_by_role("article")
        await expect(article).to_contain_text("waiting for svm", timeout=60_000)
        await article.get_by_role("button", name="Cancel").click()
        await expect(article).to_have_attribute("data-state", "cancelled")
        stage.reset()
        await article.get_by_role("button", name="again").click()
        await done(article)
        await expect(article.locator("[data-recognizer=svm]")).to_contain_text("Ada Lovelace")


async def test_enrolls_a_face_and_takes_it_back(visit: Visit, stage: Stage, pictures: Pictures) -> None:
    """The face that a visitor points to is enrolled under the name that they give, and removed again."""
    async with visit() as page:
        await page.goto("/")
        await recognize(page, pictures["both"])
        await page.locator(".box").nth(1).click()
        await page.get_by_text("Enroll this face").locator("visible=true").click()
        dialog = page.get_by_role("dialog", name="Enroll this face")
        await dialog.get_by_label("Name", exact=True).fill("Grace Hopper")
        await dialog.get_by_role("button", name="Enroll", exact=True).click()
        await expect(dialog).to_contain_text("Grace Hopper is enrolled")
        await dialog.get_by_role("button", name="Undo").click()
        await expect(dialog.get_by_role("button", name="Undo")).to_have_count(0)
    (enrollment,) = stage.enroller.enrolled
    with Pillow.open(io.BytesIO(enrollment.images[0].content)) as crop, Pillow.open(pictures["both"]) as whole:
        assert crop.width < whole.width / 2
    assert [key.face.face_id for removal in stage.enroller.face_removals for key in removal.faces] == ["0"]


async def test_first_view_is_light(visit: Visit, stage: Stage) -> None:
    """A first visit loads at most 150 KB in at most 25 requests, from this site alone."""
    async with visit() as page:
        urls: list[str] = []
        page.on("request", lambda request: urls.append(request.url))
        await page.goto("/", wait_until="networkidle")
        size = await page.evaluate(
            """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
                 .reduce((sum, one) => sum + one.transferSize, 0)"""
        )
    assert (len(urls) <= 25, size <= 150_000) == (True, True), (len(urls), size)
    assert [url for url in urls if not url.startswith(stage.url)] == []


async def test_works_without_javascript(visit: Visit, pictures: Pictures) -> None:
    """A browser without scripts sends a form, and gets a page with the picture, its boxes, the cards and files."""
    async with visit(java_script_enabled=False) as page:
        await page.goto("/")
        await page.get_by_label("Choose pictures").set_input_files(pictures["both"])
        await page.get_by_role("button", name="Recognize", exact=True).locator("visible=true").click()
        article = page.get_by_role("article")
        await expect(article.locator("[data-recognizer]")).to_have_count(3)
        await expect(article).to_contain_text("2 of 2 agree")
        box, image = [await article.locator(css).bounding_box() for css in (".box >> nth=0", ".preview img")]
        assert box is not None
        assert image is not None
        share = (box["x"] - image["x"]) / image["width"], box["width"] / image["width"]
        assert share == pytest.approx((EILEEN[0], EILEEN[2]), abs=0.01)
        await expect(article.get_by_text("CSV", exact=True)).to_have_attribute("href", re.compile("^data:text/csv"))
