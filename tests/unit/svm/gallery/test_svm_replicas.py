"""Replicas that share one gallery."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from services.runtime.errors import Misconfigured
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
        while not condition():  # noqa: ASYNC110 - a recognizer has no event for a new gallery
            await asyncio.sleep(0.02)


async def people(enroller: SvmEnroller) -> dict[str, int]:
    return {one.person_id: one.face_count for one in (await enroller.people(Page(1000, "", "")))[0]}


async def test_an_enrollment_reaches_all_replicas(two: list[tuple[SvmRecognizer, SvmEnroller]]) -> None:
    """The other replica soon names the person too, under the same version."""
    (first, enroller), (second, _) = two
    await enroller.enroll(enrollment_of(portrait(COLLINS)))
    await until(lambda: version(second) == version(first))
    assert await names(second, other_picture(COLLINS)) == [COLLINS]
    assert REGISTRY.get_sample_value("marquee_model_info", {"model": "embedding", "version": version(first)}) == 1


async def test_concurrent_enrollments_lose_nothing(two: list[tuple[SvmRecognizer, SvmEnroller]]) -> None:
    """Two replicas that repeatedly write one gallery at the same time both keep what they enroll."""
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


async def test_one_face_is_not_enrolled_twice_concurrently(two: list[tuple[SvmRecognizer, SvmEnroller]]) -> None:
    """If two replicas enroll the same face under two person_ids at once, one of them refuses it."""
    (_, one), (_, other) = two
    both = (
        one.enroll(enrollment_of(portrait(HOPPER), person_id="a")),
        other.enroll(enrollment_of(portrait(HOPPER), person_id="b")),
    )
    results = await asyncio.gather(*both)
    assert sorted(result.person.face_count for result in results) == [0, 1]


async def test_concurrent_removing_and_enrolling(two: list[tuple[SvmRecognizer, SvmEnroller]]) -> None:
    """A person removed on one replica does not come back with the other replica's concurrent enrollment."""
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


async def test_a_damaged_gallery_leaves_the_old_one_in_use(model: Path, tmp_path: Path) -> None:
    """People stay known while the file is damaged; a complete one is loaded again."""
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


async def test_nothing_is_written_over_a_damaged_gallery(model: Path, tmp_path: Path) -> None:
    """With bytes wrong inside the file's compression, an enrollment says which file it is and leaves it as it is."""
    path = tmp_path / "gallery.npz"
    async with replica(model, path, svm_gallery_poll_seconds=0.05) as (recognizer, enroller):
        await enroller.enroll(enrollment_of(portrait(COLLINS)))
        known = version(recognizer)
        with np.load(path) as parts:
            np.savez_compressed(path, **parts)
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 255
        path.write_bytes(damaged)
        with pytest.raises(Misconfigured, match=r"gallery\.npz: it is not a gallery of the SVM recognizer, or damaged"):
            await enroller.enroll(enrollment_of(portrait(HOPPER), person_id="p2"))
        assert (version(recognizer), path.read_bytes()) == (known, damaged)


async def test_a_new_model_keeps_enrolled_people(tmp_path: Path) -> None:
    """Enrolled people stay known under a new model, because the gallery does not depend on it."""
    mine = write_model(tmp_path)
    async with replica(mine, tmp_path / "gallery.npz", svm_model_poll_seconds=0.05) as (recognizer, enroller):
        await enroller.enroll(enrollment_of(portrait(COLLINS)))
        before = version(recognizer)
        write_model(tmp_path, seed=1)
        await until(lambda: version(recognizer) != before)
        assert await names(recognizer, other_picture(COLLINS)) == [COLLINS]


async def test_recognition_continues_during_enrollment(model: Path, tmp_path: Path) -> None:
    """Recognition does not wait for a write, and each result is from before or after the enrollment."""
    async with replica(model, tmp_path / "gallery.npz") as (recognizer, enroller):
        begin = time.monotonic()
        enrolling = asyncio.create_task(enroller.enroll(enrollment_of(portrait(COLLINS))))
        results = []
        while not enrolling.done() and time.monotonic() < begin + PATIENCE:
            results.append(await names(recognizer, other_picture(COLLINS)))
        await enrolling
        results.append(await names(recognizer, other_picture(COLLINS)))
    assert results[-1] == [COLLINS]
    assert all(one in ([""], [COLLINS]) for one in results)
