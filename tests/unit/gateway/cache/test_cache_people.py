"""Enrolled and erased people, as two gateways that keep answers see them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.offices import Office, hopper, office
from tests.support.svm_enrollment import HOPPER, write_model


@pytest.fixture
async def offices(tmp_path: Path) -> AsyncIterator[tuple[Office, Office]]:
    write_model(tmp_path)
    async with office(tmp_path) as here, office(tmp_path) as there:
        yield here, there


async def test_people_come_and_go_everywhere(offices: tuple[Office, Office]) -> None:
    """Who is enrolled or removed through one gateway is so at the next call there, and soon at another, too.

    Both have kept answers from before. That of before somebody was enrolled is right again once they are removed.
    """
    here, there = offices
    picture = hopper()
    assert [await here.named(picture), await here.named(picture)] == [([""], False), ([""], True)]
    assert await there.named(picture) == ([""], False)

    await here.enroll(picture)
    assert await here.named(picture) == ([HOPPER], False)
    await there.sees(picture, [HOPPER])
    assert await there.named(picture) == ([HOPPER], True)

    await there.remove()
    assert await there.named(picture) == ([""], False)
    await here.sees(picture, [""])
