"""The page as the launcher starts it: where it is reached, and how it reaches the gateway."""

from pathlib import Path

import pytest

from local import stack

_TLS = {"TLS_CERT": "chain.pem", "CA": "ca.pem"}
_PUBLIC = "https://faces.example"


@pytest.mark.parametrize(
    ("host", "environment", "expected"),
    [
        ("127.0.0.1", {}, {"page": "http://127.0.0.1:8080", "WEB_GATEWAY": "127.0.0.1:50051", "WEB_URL": None}),
        ("0.0.0.0", {}, {"page": "http://127.0.0.1:8080", "HOST": "0.0.0.0", "WEB_URL": "http://127.0.0.1:8080"}),
        ("::", {}, {"page": "http://localhost:8080", "HOST": "::", "WEB_GATEWAY": "localhost:50051"}),
        ("::1", {}, {"page": "http://[::1]:8080", "WEB_GATEWAY": "[::1]:50051"}),
        ("192.0.2.7", {}, {"page": "http://192.0.2.7:8080", "WEB_URL": "http://192.0.2.7:8080"}),
        ("0.0.0.0", {"WEB_URL": _PUBLIC}, {"page": _PUBLIC, "WEB_URL": _PUBLIC}),
        ("127.0.0.1", _TLS, {"page": "https://localhost:8080", "WEB_GATEWAY": "localhost:50051"}),
        ("127.0.0.1", _TLS, {"WEB_GATEWAY_TLS": "true", "WEB_GATEWAY_CA": "ca.pem", "WEB_GATEWAY_CERT": ""}),
        ("127.0.0.1", _TLS | {"WEB_GATEWAY_CA": "own.pem"}, {"WEB_GATEWAY_CA": "own.pem"}),
        ("127.0.0.1", _TLS | {"CERT": "me.pem"}, {"WEB_GATEWAY_CERT": "me.pem"}),
    ],
)
def test_page_is_reached_and_reaches_the_gateway(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    host: str,
    environment: dict[str, str],
    expected: dict[str, str | None],
) -> None:
    """It listens where the gateway does, speaks TLS with it, and has its URL from the environment if that has one."""
    for name, value in environment.items():
        monkeypatch.setenv(f"MARQUEE_{name}", value)
    system = stack.build(tmp_path, port=50051, web_port=8080, host=host)
    (part,) = (part for part in system.parts if part.name == "web")
    given = {name.removeprefix("MARQUEE_"): value for name, value in part.environment.items()}
    assert expected.items() <= (dict.fromkeys(expected) | given | {"page": system.page_url}).items()


@pytest.mark.parametrize(("port", "web_port"), [(8080, None), (None, 50051)])
def test_page_and_gateway_share_no_port(tmp_path: Path, port: int | None, web_port: int | None) -> None:
    """One that is asked for on the other's usual port gets it, and the other gets a free one."""
    system = stack.build(tmp_path, port=port, web_port=web_port)
    ports = [address.rpartition(":")[2] for address in (system.servers["gateway"], system.page)]
    assert str(port or web_port) in ports
    assert len({*ports}) == 2
