"""States of the pages that a visitor may see, each with the way there: for tests that look at all of them."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from playwright.async_api import Locator, Page, Route

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import DependencyUnavailable, InvalidImage, Throttled
from tests.support.browser import drag, drop
from tests.support.servers import face
from tests.support.stage import EILEEN, GRACE, LABELS, Stage

Pictures = Mapping[str, Path]
Way = Callable[[Page, Stage, Pictures], Awaitable[object]]


async def recognize(page: Page, *files: Path) -> Locator:
    """Drop the pictures on the first page; return the article of the first, once all are done."""
    await drop(page, *files)
    articles = page.get_by_role("article")
    for index in range(len(files)):
        await done(articles.nth(index))
    return articles.first


async def done(article: Locator) -> None:
    """Wait until nothing more comes for the picture."""
    await article.and_(article.page.locator("[data-state=done], [data-state=failed]")).wait_for()


async def _first_view(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/")


async def _dragging(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/")
    await drag(page, pictures["both"])


async def _options(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/")
    await page.get_by_text("Options").click()


async def _camera(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/")
    await page.get_by_role("button", name="Camera").click()
    await page.get_by_role("button", name="Take picture").and_(page.locator(":enabled")).wait_for()


async def _asking(page: Page, stage: Stage, pictures: Pictures) -> None:
    for one in stage.recognizers.values():
        one.until = lambda: False
    await page.goto("/")
    await drop(page, pictures["both"])
    await page.locator("[data-recognizer][aria-busy=true]").nth(2).wait_for()


async def _half(page: Page, stage: Stage, pictures: Pictures) -> None:
    stage.recognizers["svm"].until = lambda: False
    await page.goto("/")
    await drop(page, pictures["both"])
    await page.locator("[data-recognizer=rekognition]:not([aria-busy])").wait_for()
    await page.locator("[data-recognizer=keras]:not([aria-busy])").wait_for()


async def _verdict(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/")
    await recognize(page, pictures["both"])


async def _details(page: Page, stage: Stage, pictures: Pictures) -> None:
    await _verdict(page, stage, pictures)
    await page.locator(".box").nth(1).click()


async def _unknown(page: Page, stage: Stage, pictures: Pictures) -> None:
    for name in ("rekognition", "svm"):
        stage.say(name, face(EILEEN), face(GRACE))
    await _verdict(page, stage, pictures)


async def _no_face(page: Page, stage: Stage, pictures: Pictures) -> None:
    for name in ("rekognition", "svm"):
        stage.say(name)
    await page.goto("/")
    await recognize(page, pictures["coffee"])


async def _one_fails(page: Page, stage: Stage, pictures: Pictures) -> None:
    stage.fail("svm", DependencyUnavailable("The gallery is away."))
    stage.fail("keras", Throttled("TensorFlow Serving takes no more."))
    await _verdict(page, stage, pictures)


async def _all_fail(page: Page, stage: Stage, pictures: Pictures) -> None:
    for name in stage.recognizers:
        stage.fail(name, InvalidImage("The picture does not decode."))
    await _verdict(page, stage, pictures)


async def _much(page: Page, stage: Stage, pictures: Pictures) -> None:
    """Bring about more of everything than fits."""
    labels = [pb.Label(name=f"Something with a rather long name, the {number}th", score=0.9) for number in range(12)]
    faces = [face((0.02 + 0.16 * n, 0.1 + 0.08 * n, 0.12, 0.3), f"Person Of A Long Name {n}", 0.9) for n in range(6)]
    stage.say("rekognition", *faces, labels=labels, performed_features=[LABELS], warnings=["A remark."] * 5)
    stage.say("svm", *faces)
    await _verdict(page, stage, pictures)


async def _two(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/")
    await recognize(page, pictures["both"], pictures["collins"])


async def _refused(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/")
    await drop(page, Path(__file__))
    await page.get_by_role("alert").wait_for()


async def _offline(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/")
    await page.context.set_offline(True)
    await drop(page, pictures["both"])
    await page.get_by_text("You are offline").wait_for()


async def _unreachable(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/")

    async def abort(route: Route) -> None:
        await route.abort()

    await page.route("**/recognize", abort)
    await recognize(page, pictures["both"])


async def _enrolling(page: Page, stage: Stage, pictures: Pictures) -> None:
    await _verdict(page, stage, pictures)
    await page.locator(".box").first.click()
    await page.get_by_text("Enroll this face").first.click()
    await page.get_by_role("dialog", name="Enroll this face").wait_for()


async def _enrolled(page: Page, stage: Stage, pictures: Pictures) -> None:
    await _enrolling(page, stage, pictures)
    await page.get_by_role("button", name="Enroll", exact=True).click()
    await page.get_by_role("button", name="Undo").wait_for()


async def _not_enrolled(page: Page, stage: Stage, pictures: Pictures) -> None:
    stage.enroller.refuse = {0: InvalidImage("The face is blurred: take a sharper picture.")}
    await _enrolling(page, stage, pictures)
    await page.get_by_role("button", name="Enroll", exact=True).click()
    await page.locator("#enroll-result > *").first.wait_for()


async def _enroll_page(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/enroll")


async def _status(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/status")


async def _missing(page: Page, stage: Stage, pictures: Pictures) -> None:
    await page.goto("/nothing-here")


STATES: Mapping[str, Way] = {
    "first-view": _first_view,
    "dragging": _dragging,
    "options": _options,
    "camera": _camera,
    "asking": _asking,
    "half": _half,
    "verdict": _verdict,
    "details": _details,
    "unknown": _unknown,
    "no-face": _no_face,
    "one-fails": _one_fails,
    "all-fail": _all_fail,
    "much": _much,
    "two": _two,
    "refused": _refused,
    "offline": _offline,
    "unreachable": _unreachable,
    "enrolling": _enrolling,
    "enrolled": _enrolled,
    "not-enrolled": _not_enrolled,
    "enroll-page": _enroll_page,
    "status": _status,
    "missing": _missing,
}
"""Name → the way there, on a page where everybody may do everything."""
COMPLAINTS: Mapping[str, str] = {"missing": "404", "unreachable": "ERR_FAILED", "offline": "ERR_INTERNET_DISCONNECTED"}
"""What Chromium's console says in some of them, as it should."""
