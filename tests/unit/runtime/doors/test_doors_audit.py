"""The audit log: who changed what."""

import asyncio
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from services.runtime.doors import audit
from services.runtime.errors import GalleryBusy
from services.runtime.leaf.recognizer import Enrollment
from tests.support.enrollers import ScriptedEnroller, client, enrolling, enrollment
from tests.support.servers import until


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """Yield the path of the audit log, in a folder of its own."""
    folder = tmp_path / "log"
    folder.mkdir()
    own = logging.getLogger("marquee.audit")
    before = own.handlers[:], own.level, own.propagate
    audit.configure(folder / "audit")
    yield folder / "audit"
    for handler in own.handlers:
        with suppress(OSError):  # its disk is full
            handler.close()
    own.handlers[:], own.level, own.propagate = before


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


REMOVAL = pb.RemovePersonRequest(request_id="r1", person_id="ada", collection="staff")
FACES = pb.RemoveFacesRequest(request_id="r1", person_id="ada", faces=[pb.FaceKey(content_sha256="0" * 64)])


@pytest.mark.parametrize(
    ("method", "request_", "facts"),
    [
        (
            "EnrollFaces",
            enrollment(2, request_id="r1", collection="staff"),
            {"action": "enrolled", "images": 2, "person_id": "ada-lovelace", "collection": "staff"},
        ),
        ("RemovePerson", REMOVAL, {"action": "removed", "person_id": "ada", "collection": "staff"}),
        ("RemoveFaces", FACES, {"action": "removed", "faces": 1, "person_id": "ada"}),
    ],
)
async def test_changes_are_recorded(
    svm: EnrollmentServiceStub, log: Path, method: str, request_: Any, facts: dict[str, Any]
) -> None:
    """A line says who changed whom, how much of them, where, and what became of it."""
    await getattr(svm, method)(request_)
    (line,) = lines(log)
    expected = {"event": "audit", "method": method, "caller": "anonymous", "request_id": "r1", "error": None}
    assert line.items() >= (expected | facts).items()
    assert line["outcomes"].keys() == {"svm"}
    assert set(line) - set(expected | facts) == {"timestamp", "outcomes", "peer"}
    assert line["peer"].startswith("127.0.0.1:")


async def test_reading_is_not_recorded(svm: EnrollmentServiceStub, log: Path) -> None:
    """Lists change nothing."""
    await svm.ListPeople(pb.ListPeopleRequest())
    assert lines(log) == []


async def test_a_change_that_failed_is_recorded(
    svm: EnrollmentServiceStub, enroller: ScriptedEnroller, log: Path
) -> None:
    """Some of it may have been made, so the line says that it failed, and why."""
    enroller.error = GalleryBusy("Another change is being made.")
    with pytest.raises(grpc.aio.AioRpcError):
        await svm.RemovePerson(REMOVAL)
    assert [(line["action"], line["error"], line["outcomes"]) for line in lines(log)] == [
        ("removed", "GalleryBusy", {})
    ]


class Slow(ScriptedEnroller):
    """Enrolls for ten minutes; `begun` is set meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    async def enroll(self, enrollment: Enrollment) -> pb.EnrollmentResult:
        self.begun.set()
        await asyncio.sleep(600)
        return await super().enroll(enrollment)


async def test_a_caller_who_goes_away_is_recorded(log: Path) -> None:
    """Whoever cancels a call to leave no trace of it leaves one."""
    enroller = Slow()
    async with enrolling(enroller) as address, client(address) as svm:
        call = svm.EnrollFaces(enrollment(1))
        await enroller.begun.wait()
        call.cancel()
        await until(lambda: lines(log))
    assert [(line["action"], line["images"], line["error"]) for line in lines(log)] == [
        ("enrolled", 1, "CancelledError")
    ]


def test_a_refusal_is_one_short_line(log: Path) -> None:
    """What callers choose fills no disk and begins no line."""
    audit.refusal("RecognizeImage", "TOKEN_UNKNOWN", "\u2028" * 9000)
    (line,) = log.read_text().splitlines()
    assert len(line) < 4000


async def test_a_log_that_is_moved_away_begins_anew(svm: EnrollmentServiceStub, log: Path) -> None:
    """The file may be rotated at any time, without a signal."""
    await svm.RemovePerson(REMOVAL)
    await asyncio.to_thread(log.rename, log.with_name("audit.1"))
    await svm.RemovePerson(REMOVAL)
    assert len(lines(log)) == len(lines(log.with_name("audit.1"))) == 1


@pytest.mark.parametrize(
    "spoil",
    [lambda log: shutil.rmtree(log.parent), lambda log: (log.unlink(), log.symlink_to("/dev/full"))],
    ids=["no folder", "full"],
)
async def test_a_log_that_cannot_be_written_loses_nothing(
    svm: EnrollmentServiceStub, log: Path, spoil: Callable[[Path], object]
) -> None:
    """Without the file, or on a full disk, the line is in the server's own log, and the call is answered."""
    spoil(log)
    with capture_logs() as logs:
        await svm.RemovePerson(REMOVAL)
    (failure,) = (line for line in logs if line["event"] == "audit log cannot be written")
    assert failure["line"]["person_id"] == "ada"
