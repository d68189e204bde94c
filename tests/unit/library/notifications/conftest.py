"""What the tests of notifications share."""

import pytest

from services.library.notifications import feed, sender


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have feed and sender look ten times a second, so that no test waits for them."""
    for module in (feed, sender):
        monkeypatch.setattr(module, "_SECONDS", 0.1)
