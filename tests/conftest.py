"""What all tests share: how they are spread over processes, and the local system."""

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import structlog

from tests.support.processes import LocalSystem, local_system

# The same examples each time, however slow the machine: a failure is always the change's.
hypothesis.settings.register_profile(
    "marquee", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("marquee")
_REQUIRE_ALL = "MARQUEE_REQUIRE_ALL"
_TOGETHER = {
    "the local system": (
        "tests/contract/",
        "tests/deploy/test_check_script.py",
        "tests/deploy/test_dashboards.py",
        "tests/docs/test_notebooks.py",
        "tests/e2e/test_local_system.py",
        "tests/e2e/test_page_demo.py",
    ),
    "the enrollment servers": (
        "tests/unit/client/test_client_enrollment.py",
        "tests/unit/client/cli/test_cli_enroll",
        "tests/unit/client/cli/test_cli_people.py",
    ),
}
"""Which files' tests run in one process, so that what they share is started once."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one process more than there are processors: some always wait."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep each file's tests in one process, as --dist=loadfile does, and files that share servers together."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - the tests run without xdist, too

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            shared = (name for name, files in _TOGETHER.items() if nodeid.startswith(files))
            return next(shared, nodeid.partition("::")[0])

    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow ones, so that none is left for the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Under MARQUEE_REQUIRE_ALL=1 a skipped test fails: CI installs everything."""
    report: pytest.TestReport = yield
    if report.skipped and os.environ.get(_REQUIRE_ALL) == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped under {_REQUIRE_ALL}=1: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def uncached_loggers() -> Iterator[None]:
    """Let loggers ask anew where they log: those that keep the first answer would log there in later tests, too."""
    configure = structlog.configure

    def configure_uncached(**settings: Any) -> None:  # structlog's own types
        configure(**settings | {"cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", configure_uncached)
        yield


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Restore where this process logs: commands of servers change it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the local systems that run beside the tests from commands that look for one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state-home")))
        yield


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """Return the whole system as processes, shared by all tests that leave it as it was."""
    with local_system(tmp_path_factory.mktemp("system")) as running:
        yield running
