"""What the tests of the page share: Chromium, and a page in front of recognizers that do as a test says."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from marquee.v1 import recognizer_pb2 as pb
from tests.support.browser import chromium, visitor
from tests.support.enrollers import ScriptedEnroller
from tests.support.pictures import demo
from tests.support.servers import LEFT, NEAR_LEFT, RIGHT, Scripted, box, face, result
from tests.support.web import recognizing, web

CELEBRITIES, LABELS = pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS


@dataclass
class Stage:
    """Three recognizers, a gateway and a page. Raj is on the left; on the right they disagree."""

    browser: Browser
    url: str = ""
    gateway: str = ""
    recognizers: dict[str, Scripted] = field(default_factory=dict)
    enroller: ScriptedEnroller = field(default_factory=lambda: ScriptedEnroller("svm"))

    def visitor(self, **options: Any) -> AbstractAsyncContextManager[Page]:
        """Return a new visitor of the page; see tests.support.browser."""
        return visitor(self.browser, self.url, **options)

    def reset(self) -> None:
        """Let every recognizer do again as at first."""
        for name, first in _results().items():
            one = self.recognizers[name]
            one.result, one.error, one.seconds, one.until = first, None, 0, lambda: True
            one.calls.clear()
        vars(self.enroller).update(vars(ScriptedEnroller("svm")))


def _results() -> dict[str, pb.RecognizerResult]:
    boat = pb.Label(name="Boat", score=0.81, instances=[pb.LabelInstance(box=box(RIGHT), score=0.8)])
    return {
        "rekognition": result(
            "rekognition",
            face(LEFT, "Raj", 0.93),
            face(RIGHT, "Ada", 0.9),
            labels=[pb.Label(name="Person", score=0.99), boat],
            performed_features=[LABELS],
            cost_micro_usd=2000,
            warnings=["The picture was shrunk to fit 5 MB."],
        ),
        "svm": result("svm", face(NEAR_LEFT, "Raj", 0.88), face(RIGHT, "Mia", 0.85)),
        "keras": pb.RecognizerResult(
            recognizer="keras", outcome=pb.OUTCOME_OK, labels=[pb.Label(name="Celebrity", score=0.7)],
            performed_features=[LABELS],
        ),
    }  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    recognizers = [
        Scripted(name, features=(LABELS,) if name == "keras" else (CELEBRITIES, LABELS)) for name in _results()
    ]
    stage = Stage(browser, recognizers={one.name: one for one in recognizers})
    log = tmp_path_factory.mktemp("page") / "log"
    async with (
        recognizing(*recognizers, enrollers={"svm": stage.enroller}) as stage.gateway,
        web(stage.gateway, log) as stage.url,
    ):
        yield stage


@pytest.fixture
def stage(shared_stage: Stage) -> Stage:
    shared_stage.reset()
    return shared_stage


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the demo's pictures; return their files by name: collins, hopper, both and coffee."""
    folder = tmp_path_factory.mktemp("pictures")
    files = {name: folder / f"{name}.jpg" for name in demo()}
    for name, content in demo().items():
        files[name].write_bytes(content)
    return files
