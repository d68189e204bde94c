"""What becomes of pictures whose recognition fails: a gateway that is away, one that is busy, and dead letters."""

from pathlib import Path

import pytest

from marquee.library.v1 import library_pb2 as lib
from services.runtime.errors import InvalidImage, Overloaded
from tests.support.library import added, ended, library, refused, rows, shown_when
from tests.support.processes import free_port
from tests.support.servers import LEFT, Scripted, face, gateway, leaf, picture, result


async def test_a_gateway_that_is_away_is_waited_for(database_url: str, tmp_path: Path) -> None:
    """While the gateway is away pictures are PENDING, with a reason and a thumbnail; no attempt counts as a failure."""
    port = free_port()
    async with library(database_url, tmp_path, f"127.0.0.1:{port}", library_attempts=1) as client:
        picture_id = (await added(client)).picture_id
        waiting = await shown_when(client, picture_id, lambda shown: shown.job.status.code)
        assert waiting.state == lib.PICTURE_STATE_PENDING
        assert "cannot be reached" in waiting.job.status.message
        assert waiting.pixel_sha256
        async with leaf(Scripted("svm")) as target, gateway({"svm": target}, port=port):
            shown = await ended(client, picture_id)
    assert (shown.state, shown.job.repeated_calls) == (lib.PICTURE_STATE_RECOGNIZED, 0)
    assert not shown.job.status.code


async def test_a_busy_gateway_is_waited_for(database_url: str, tmp_path: Path) -> None:
    """A gateway that asks to come later is asked later, and the attempt counts as no failure."""
    recognizer = Scripted("svm", error=Overloaded("Too much to do.", retry_after=0.1))
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address, library_attempts=1) as client,
    ):
        picture_id = (await added(client)).picture_id
        waiting = await shown_when(client, picture_id, lambda shown: shown.job.status.code)
        assert waiting.state == lib.PICTURE_STATE_PENDING
        recognizer.error = None
        assert (await ended(client, picture_id)).state == lib.PICTURE_STATE_RECOGNIZED


async def test_a_dead_letter_has_its_reason_and_is_tried_again_when_asked(database_url: str, tmp_path: Path) -> None:
    """A picture that recognizers refuse is given up at once with their reason; RetryJobs tries it again."""
    recognizer = Scripted("svm", error=InvalidImage("It is no picture."))
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address) as client,
    ):
        dead = await ended(client, (await added(client)).picture_id)
        assert (dead.state, dead.job.state, dead.job.attempts) == (lib.PICTURE_STATE_FAILED, lib.JOB_STATE_DEAD, 1)
        assert dead.job.status.message == "It is no picture."
        listed = await client.ListJobs(lib.ListJobsRequest(state=lib.JOB_STATE_DEAD))
        assert (list(listed.jobs), listed.pending_count, listed.dead_count) == ([dead.job], 0, 1)
        recognizer.error = None
        again = lib.RetryJobsRequest(request_id="again", job_ids=[dead.job.job_id, "no id"])
        for _ in range(2):  # the second is the first repeated
            assert (await client.RetryJobs(again)).job_count == 1
        alive = await shown_when(client, dead.picture_id, lambda shown: shown.state == lib.PICTURE_STATE_RECOGNIZED)
        assert (alive.job.job_id, alive.job.state) == (dead.job.job_id, lib.JOB_STATE_DONE)
        assert (await client.RetryJobs(lib.RetryJobsRequest())).job_count == 0
    kinds = await rows(database_url, "SELECT type, data->>'reason' FROM event ORDER BY event_key")
    assert kinds[1:] == [("picture.failed", "INVALID_IMAGE"), ("picture.recognized", None)]


async def test_what_fails_again_and_again_is_given_up(database_url: str, tmp_path: Path) -> None:
    """A picture at which recognizers fail without a known reason is tried as often as the setting says."""
    recognizer = Scripted("svm", error=KeyError("no reason"))
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address, library_attempts=2) as client,
    ):
        dead = await ended(client, (await added(client)).picture_id)
    assert (dead.state, dead.job.state, dead.job.attempts) == (lib.PICTURE_STATE_FAILED, lib.JOB_STATE_DEAD, 2)
    assert len(recognizer.calls) == 2


async def test_a_part_of_the_answers_is_kept_at_last(database_url: str, tmp_path: Path) -> None:
    """A picture that some recognizers cannot read is PARTIAL, with the others' faces and each failure as an answer."""
    good = Scripted("svm", result=result("svm", face(LEFT, "Anna")))
    async with (
        leaf(good) as target,
        leaf(Scripted("other", error=InvalidImage("Not this one."))) as second,
        gateway({"svm": target, "other": second}) as address,
        library(database_url, tmp_path, address) as client,
    ):
        shown = await ended(client, (await added(client)).picture_id)
    assert (shown.state, shown.job.state) == (lib.PICTURE_STATE_PARTIAL, lib.JOB_STATE_DONE)
    assert "Not this one." in shown.job.status.message
    assert len(shown.faces) == 1
    assert len(shown.answers) == 2


async def test_a_damaged_picture_costs_nothing(database_url: str, tmp_path: Path) -> None:
    """A picture whose pixels are damaged is given up before any recognizer is called."""
    recognizer = Scripted("svm")
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address) as client,
    ):
        dead = await ended(client, (await added(client, picture((64, 64))[:-40])).picture_id)
    assert (dead.state, dead.job.state) == (lib.PICTURE_STATE_FAILED, lib.JOB_STATE_DEAD)
    assert "damaged" in dead.job.status.message
    assert not recognizer.calls


@pytest.mark.parametrize("fields", [{"page_size": -1}, {"page_token": "nonsense"}])
async def test_pages_of_jobs(database_url: str, tmp_path: Path, fields: dict[str, object]) -> None:
    """Jobs come newest first, in pages that miss none; a page that cannot be is refused."""
    async with library(database_url, tmp_path, "127.0.0.1:1", library_workers=0) as client:
        new = [await added(client, picture((8 + number, 8))) for number in range(5)]
        found, token = [], ""
        while not found or token:
            page = await client.ListJobs(lib.ListJobsRequest(page_size=2, page_token=token))
            found += [one.picture_id for one in page.jobs]
            token = page.next_page_token
        assert found == [one.picture_id for one in reversed(new)]
        assert page.pending_count == 5
        assert (await refused(client.ListJobs(lib.ListJobsRequest(**fields))))[0] == "INVALID_ARGUMENT"
