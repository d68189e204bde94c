"""What all tests share."""

import os

import pytest

_REQUIRE_ALL = "MARQUEE_REQUIRE_ALL"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    """Under MARQUEE_REQUIRE_ALL=1 a test that skips has failed: CI installs everything."""
    report: pytest.TestReport = yield
    if report.skipped and os.environ.get(_REQUIRE_ALL) == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped under {_REQUIRE_ALL}=1: {report.longrepr}"
    return report
