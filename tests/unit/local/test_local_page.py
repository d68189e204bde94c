"""The page as the launcher starts it: where it is reached, and how it reaches the gateway."""

from pathlib import Path

import pytest

from local import stack

_TLS = {"TLS_CERT": "chain.pem", "CA": "ca.pem"}


def _page(folder: Path, host: str) -> tuple[str, dict[str, str]]:
    """Return the page's URL, and its part of the environment."""
    system = stack.build(folder, port=50051, web_port=8080, host=host)
    (part,) = (part for part in system.parts if part.name == "web")
    return system.page_url, dict(part.environment)


@pytest.mark.parametrize(
    ("host", "environment", "url", "expected"),
    [
        ("127.0.0.1", {}, "http://127.0.0.1:8080", {"WEB_GATEWAY": "127.0.0.1:50051", "WEB_URL": None}),
        ("0.0.0.0", {}, "http://127.0.0.1:8080", {"HOST": "0.0.0.0", "WEB_URL": "http://127.0.0.1:8080"}),
        ("::", {}, "http://localhost:8080", {"HOST": "::", "WEB_GATEWAY": "localhost:50051"}),
        ("::1", {}, "http://[::1]:8080", {"WEB_GATEWAY": "[::1]:50051"}),
        ("192.0.2.7", {}, "http://192.0.2.7:8080", {"WEB_URL": "http://192.0.2.7:8080"}),
        (
            "0.0.0.0",
            {"WEB_URL": "https://faces.example"},
            "https://faces.example",
            {"WEB_URL": "https://faces.example"},
        ),
        ("127.0.0.1", _TLS, "https://localhost:8080", {"WEB_GATEWAY": "localhost:50051", "WEB_GATEWAY_CA": "ca.pem"}),
        ("127.0.0.1", _TLS | {"WEB_GATEWAY_CA": "own.pem"}, "https://localhost:8080", {"WEB_GATEWAY_CA": "own.pem"}),
        ("127.0.0.1", _TLS | {"CERT": "me.pem"}, "https://localhost:8080", {"WEB_GATEWAY_CERT": "me.pem"}),
    ],
)
def test_page_is_reached_and_reaches_the_gateway(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    host: str,
    environment: dict[str, str],
    url: str,
    expected: dict[str, str | None],
) -> None:
    """It listens where the gateway does, speaks TLS with it, and has its URL from the environment if that has one."""
    for name, value in environment.items():
        monkeypatch.setenv(f"MARQUEE_{name}", value)
    printed, given = _page(tmp_path, host)
    assert printed == url
    assert {name: given.get(f"MARQUEE_{name}") for name in expected} == expected
