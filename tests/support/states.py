"""States of the pages that a visitor may see, each with the way there: for tests that look at all of them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Locator, Page, Route

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import DependencyUnavailable, InvalidImage, Throttled
from tests.support.browser import drag, drop
from tests.support.servers import face
from tests.support.stage import EILEEN, GRACE, LABELS, Stage

Pictures = Mapping[str, Path]


@dataclass(frozen=True)
class Scene:
    """A visitor's page, what stands behind it, and pictures to send."""

    page: Page
    stage: Stage
    pictures: Pictures


Way = Callable[[Scene], Awaitable[object]]


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


async def _first_view(scene: Scene) -> None:
    await scene.page.goto("/")


async def _dragging(scene: Scene) -> None:
    await scene.page.goto("/")
    await drag(scene.page, scene.pictures["both"])


async def _options(scene: Scene) -> None:
    await scene.page.goto("/")
    await scene.page.get_by_text("Options").click()


async def _camera(scene: Scene) -> None:
    await scene.page.goto("/")
    await scene.page.get_by_role("button", name="Camera").click()
    await scene.page.get_by_role("button", name="Take picture").and_(scene.page.locator(":enabled")).wait_for()


async def _asking(scene: Scene) -> None:
    for one in scene.stage.recognizers.values():
        one.until = lambda: False
    await scene.page.goto("/")
    await drop(scene.page, scene.pictures["both"])
    await scene.page.locator("[data-recognizer][aria-busy=true]").nth(2).wait_for()


async def _half(scene: Scene) -> None:
    scene.stage.recognizers["svm"].until = lambda: False
    await scene.page.goto("/")
    await drop(scene.page, scene.pictures["both"])
    await scene.page.locator("[data-recognizer=rekognition]:not([aria-busy])").wait_for()
    await scene.page.locator("[data-recognizer=keras]:not([aria-busy])").wait_for()


async def _verdict(scene: Scene) -> None:
    await scene.page.goto("/")
    await recognize(scene.page, scene.pictures["both"])


async def _details(scene: Scene) -> None:
    await _verdict(scene)
    await scene.page.locator(".box").nth(1).click()


async def _unknown(scene: Scene) -> None:
    for name in ("rekognition", "svm"):
        scene.stage.say(name, face(EILEEN), face(GRACE))
    await _verdict(scene)


async def _no_face(scene: Scene) -> None:
    for name in ("rekognition", "svm"):
        scene.stage.say(name)
    await scene.page.goto("/")
    await recognize(scene.page, scene.pictures["coffee"])


async def _one_fails(scene: Scene) -> None:
    scene.stage.fail("svm", DependencyUnavailable("The gallery is away."))
    scene.stage.fail("keras", Throttled("TensorFlow Serving takes no more."))
    await _verdict(scene)


async def _all_fail(scene: Scene) -> None:
    for name in scene.stage.recognizers:
        scene.stage.fail(name, InvalidImage("The picture does not decode."))
    await _verdict(scene)


async def _much(scene: Scene) -> None:
    """Bring about more of everything than fits."""
    labels = [pb.Label(name=f"Something with a rather long name, the {number}th", score=0.9) for number in range(12)]
    faces = [face((0.02 + 0.16 * n, 0.1 + 0.08 * n, 0.12, 0.3), f"Person Of A Long Name {n}", 0.9) for n in range(6)]
    scene.stage.say("rekognition", *faces, labels=labels, performed_features=[LABELS], warnings=["A remark."] * 5)
    scene.stage.say("svm", *faces)
    await _verdict(scene)


async def _two(scene: Scene) -> None:
    await scene.page.goto("/")
    await recognize(scene.page, scene.pictures["both"], scene.pictures["collins"])


async def _refused(scene: Scene) -> None:
    await scene.page.goto("/")
    await drop(scene.page, Path(__file__))
    await scene.page.get_by_role("alert").wait_for()


async def _offline(scene: Scene) -> None:
    await scene.page.goto("/")
    await scene.page.context.set_offline(True)
    await drop(scene.page, scene.pictures["both"])
    await scene.page.get_by_text("You are offline").wait_for()


async def _unreachable(scene: Scene) -> None:
    await scene.page.goto("/")

    async def abort(route: Route) -> None:
        await route.abort()

    await scene.page.route("**/recognize", abort)
    await recognize(scene.page, scene.pictures["both"])


async def _enrolling(scene: Scene) -> None:
    await _verdict(scene)
    await scene.page.locator(".box").first.click()
    await scene.page.get_by_text("Enroll this face").first.click()
    await scene.page.get_by_role("dialog", name="Enroll this face").wait_for()


async def _enrolled(scene: Scene) -> None:
    await _enrolling(scene)
    await scene.page.get_by_role("button", name="Enroll", exact=True).click()
    await scene.page.get_by_role("button", name="Undo").wait_for()


async def _not_enrolled(scene: Scene) -> None:
    scene.stage.enroller.refuse = {0: InvalidImage("The face is blurred: take a sharper picture.")}
    await _enrolling(scene)
    await scene.page.get_by_role("button", name="Enroll", exact=True).click()
    await scene.page.locator("#enroll-result > *").first.wait_for()


async def _enroll_page(scene: Scene) -> None:
    await scene.page.goto("/enroll")


async def _status(scene: Scene) -> None:
    await scene.page.goto("/status")


async def _missing(scene: Scene) -> None:
    await scene.page.goto("/nothing-here")


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
COMPLAINTS: Mapping[str, str] = {
    "missing": "404",
    "unreachable": "ERR_FAILED|Failed to fetch",
    "offline": "ERR_INTERNET_DISCONNECTED",
}
"""What Chromium's console says in some of them, as it should."""
