"""What all tests share."""

import os
from collections.abc import Iterator

import pytest

from tests.support.processes import LocalSystem, local_system

_REQUIRE_ALL = "MARQUEE_REQUIRE_ALL"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Under MARQUEE_REQUIRE_ALL=1 a test that skips has failed: CI installs everything."""
    report: pytest.TestReport = yield
    if report.skipped and os.environ.get(_REQUIRE_ALL) == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped under {_REQUIRE_ALL}=1: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """The whole system as processes, shared by all tests that leave it as it was."""
    with local_system(tmp_path_factory.mktemp("system")) as running:
        yield running
