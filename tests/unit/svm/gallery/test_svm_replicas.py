"""Replicas that share a gallery."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.runtime.leaf.recognizer import Page
from services.svm.gallery.enroller import SvmEnroller
from services.svm.recognizer import SvmRecognizer
from tests.support.aws import s3_store
from tests.support.processes import PATIENCE
from tests.support.svm_enrollment import (
    COLLINS,
    HOPPER,
    enrollment_of,
    names,
    other_picture,
    portrait,
    replica,
    version,
    write_model,
)

pytestmark = pytest.mark.slow

_AT_ONCE = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_store("galleries") as url:
        yield url


@pytest.fixture(params=["file", "s3"])
def gallery(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path}/gallery.npz" if request.param == "file" else f"s3://galleries{tmp_path}/gallery.npz"


@pytest.fixture
async def two(model: Path, gallery: str, s3_url: str) -> AsyncIterator[list[tuple[SvmRecognizer, SvmEnroller]]]:
    async with AsyncExitStack() as stack:
        both = [await stack.enter_async_context(replica(model, gallery, s3_endpoint_url=s3_url)) for _ in range(2)]
        yield both


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - a recognizer tells nobody of its gallery
            await asyncio.sleep(0.02)


async def people(enroller: SvmEnroller) -> dict[str, int]:
    return {one.person_id: one.face_count for one in (await enroller.people(Page(1000, "", "")))[0]}


async def test_an_enrollment_is_seen_by_all(two: list[tuple[SvmRecognizer, SvmEnroller]]) -> None:
    """Soon the other names the person too, under the same version."""
    (first, enroller), (second, _) = two
    await enroller.enroll(enrollment_of(portrait(COLLINS)))
    await until(lambda: version(second) == version(first))
    assert await names(second, other_picture(COLLINS)) == [COLLINS]
    assert REGISTRY.get_sample_value("marquee_model_info", {"model": "embedding", "version": version(first)}) == 1


async def test_enrolling_at_once_loses_nothing(two: list[tuple[SvmRecognizer, SvmEnroller]]) -> None:
    """Two replicas that write one gallery in the same moment, again and again, both keep what they enrolled."""
    (first, one), (second, other) = two
    picture = portrait(COLLINS)
    calls = [
        enroller.enroll(enrollment_of(picture, person_id=f"{side}-{number}", allow_similar=True))
        for number in range(_AT_ONCE)
        for side, enroller in (("one", one), ("other", other))
    ]
    results = await asyncio.gather(*calls)
    assert all(result.person.face_count == 1 for result in results)
    await until(lambda: version(second) == version(first))
    assert len(await people(one)) == len(await people(other)) == 2 * _AT_ONCE + 2


async def test_one_face_is_not_given_to_two_at_once(two: list[tuple[SvmRecognizer, SvmEnroller]]) -> None:
    """If two replicas enroll the same face under two names, one learns that the other was faster."""
    (_, one), (_, other) = two
    both = (
        one.enroll(enrollment_of(portrait(HOPPER), person_id="a")),
        other.enroll(enrollment_of(portrait(HOPPER), person_id="b")),
    )
    results = await asyncio.gather(*both)
    assert sorted(result.person.face_count for result in results) == [0, 1]


async def test_removing_and_enrolling_meet(two: list[tuple[SvmRecognizer, SvmEnroller]]) -> None:
    """A removal on one replica does not bring back what the other replica's next enrollment builds on."""
    (_, one), (_, other) = two
    await one.enroll(enrollment_of(portrait(COLLINS), person_id="gone"))
    await asyncio.gather(one.remove("gone", ""), other.enroll(enrollment_of(portrait(HOPPER), person_id="stays")))
    await one.enroll(enrollment_of(other_picture(HOPPER), person_id="stays"))
    assert await people(one) == {"ada": 0, "bea": 0, "stays": 2}


async def test_the_gallery_outlives_the_server(model: Path, gallery: str, s3_url: str) -> None:
    """A new server knows who was enrolled before, under the same version."""
    async with replica(model, gallery, s3_endpoint_url=s3_url) as (recognizer, enroller):
        await enroller.enroll(enrollment_of(portrait(COLLINS)))
        before = version(recognizer)
    async with replica(model, gallery, s3_endpoint_url=s3_url) as (recognizer, _):
        assert version(recognizer) == before
        assert await names(recognizer, other_picture(COLLINS)) == [COLLINS]


async def test_a_gallery_that_gets_spoilt_leaves_the_old_one_in_use(model: Path, tmp_path: Path) -> None:
    """Reading it fails, and the people stay known; a complete one is loaded again."""
    path = tmp_path / "gallery.npz"
    async with replica(model, path, svm_gallery_poll_seconds=0.05) as (recognizer, enroller):
        await enroller.enroll(enrollment_of(portrait(COLLINS)))
        whole, known = path.read_bytes(), version(recognizer)
        path.write_bytes(b"half")
        await asyncio.sleep(0.3)
        assert version(recognizer) == known
        path.write_bytes(whole)
        await enroller.enroll(enrollment_of(portrait(HOPPER), person_id="p2"))
        assert version(recognizer) != known


async def test_a_new_model_keeps_the_enrolled(tmp_path: Path) -> None:
    """The gallery does not depend on the artifact."""
    mine = write_model(tmp_path)
    async with replica(mine, tmp_path / "gallery.npz", svm_model_poll_seconds=0.05) as (recognizer, enroller):
        await enroller.enroll(enrollment_of(portrait(COLLINS)))
        before = version(recognizer)
        write_model(tmp_path, seed=1)
        await until(lambda: version(recognizer) != before)
        assert await names(recognizer, other_picture(COLLINS)) == [COLLINS]


async def test_calls_go_on_while_others_enroll(model: Path, tmp_path: Path) -> None:
    """Recognizing waits for no write; each result has the version that made it."""
    async with replica(model, tmp_path / "gallery.npz") as (recognizer, enroller):
        begin = time.monotonic()
        enrolling = asyncio.create_task(enroller.enroll(enrollment_of(portrait(COLLINS))))
        found = []
        while not enrolling.done() and time.monotonic() < begin + PATIENCE:
            found.append(await names(recognizer, other_picture(COLLINS)))
        await enrolling
        found.append(await names(recognizer, other_picture(COLLINS)))
    assert found[-1] == [COLLINS]
    assert all(one in ([""], [COLLINS]) for one in found)
