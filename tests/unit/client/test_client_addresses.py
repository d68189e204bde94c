"""Addresses of servers: what is dialled, and what is refused with the address to write instead."""

import asyncio

import pytest

from marquee import AsyncClient, Client, InvalidAddress

VALID = (
    *("localhost:50051", "10.0.0.1:1", "a-b.example:65535", "[::1]:50051", "[fe80::1%eth0]:50051"),
    *("dns:///svm:50051", "dns:svm:50051", "dns://10.0.0.53/svm:50051", "ipv4:10.0.0.1:1,10.0.0.2:1", "unix:/tmp/s"),
    *("dns://[::1]:53/svm:50051", "ipv6:[::1]:50051", "unix:s", "unix:///tmp/s", "unix-abstract:s"),
    *("https://example.com", "HTTPS://example.com:443/", "https://[::1]", "https://[::1]:50051"),
)
INVALID = {
    "https://example.com/recognize": ("path", "https://example.com"),
    "https://example.com:7?tls=no": ("path", "https://example.com:7"),
    "https://ada:secret@example.com": ("user name", "https://example.com"),
    "https://ada:se/secret@example.com": ("user name", "https://example.com"),
    "https://example.com?token=secret": ("path", "https://example.com"),
    "https://::1": ("brackets", "https://[::1]"),
    "https://example.com:0": ("1 to 65535", "https://example.com"),
    "https://": ("empty", "https://localhost"),
    "http://localhost:50051/": ("URL", "localhost:50051"),
    "grpc://[::1]:7": ("URL", "[::1]:7"),
    "localhost": ("no port", "localhost:50051"),
    "[::1]": ("no port", "[::1]:50051"),
    "dns:///svm": ("no port", "svm:50051"),
    "::1": ("brackets", "[::1]:50051"),
    "::1:50051": ("brackets", "[::1]:50051"),
    "2001:db8::7:8080": ("brackets", "[2001:db8::7]:8080"),
    "localhost:50051/recognize": ("path", "localhost:50051"),
    "localhost:50051?tls=no": ("path", "localhost:50051"),
    "ada:secret@localhost:50051": ("user name", "localhost:50051"),
    ":50051": ("no host", "localhost:50051"),
    " localhost:7": ("blank", "localhost:7"),
    "\t": ("empty", "localhost:50051"),
    "svm:0": ("1 to 65535", "svm:50051"),
    "svm:65536": ("1 to 65535", "svm:50051"),
    "svm:99999999999": ("1 to 65535", "svm:50051"),
    "svm:grpc": ("1 to 65535", "svm:50051"),
    "svm:": ("1 to 65535", "svm:50051"),
    "svm:-1": ("1 to 65535", "svm:50051"),
    "[svm]:1": ("invalid", "localhost:50051"),
    "\x1b[31msvm:1": ("invalid", "localhost:50051"),
    "7000": ("no port", "localhost:7000"),
    "'svm:7'": ("invalid", "svm:7"),
    "svm." * 63 + "svm:1": ("invalid", "localhost:50051"),
    "unix:": ("empty", "localhost:50051"),
    "unix://tmp/s": ("path", "localhost:50051"),
    "ipv4:10.0.0.1": ("no port", "10.0.0.1:50051"),
    "ipv4:svm:7": ("invalid", "svm:7"),
    "ipv4:[::1]:7": ("invalid", "[::1]:7"),
    "ipv6:::1": ("brackets", "[::1]:50051"),
    "dns://resolver/svm:7": ("path", "localhost:50051"),
}


@pytest.mark.parametrize("address", VALID)
def test_targets_of_grpc_are_addresses(address: str) -> None:
    """HOST:PORT, IPv6 in brackets, https:// with or without a port and gRPC's own schemes are taken as they are."""
    with Client(address) as client:
        assert client.address == address


@pytest.mark.parametrize(("address", "fault", "remedy"), [(key, *case) for key, case in INVALID.items()], ids=INVALID)
def test_other_addresses_are_refused_with_what_to_write(address: str, fault: str, remedy: str) -> None:
    """The error says what is wrong and the nearest address; it never shows a password or a control character."""
    with pytest.raises(InvalidAddress) as refused:
        Client(address)
    assert fault in refused.value.message
    assert refused.value.message.endswith(f"such as {remedy}.")
    assert "secret" not in refused.value.message
    assert refused.value.message.isprintable()


def test_the_address_in_the_environment_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid MARQUEE_ADDRESS is refused when a client of either kind is created."""
    monkeypatch.setenv("MARQUEE_ADDRESS", "http://example.com")
    with pytest.raises(InvalidAddress, match="URL"):
        Client()

    async def create() -> AsyncClient:
        return AsyncClient()

    with pytest.raises(InvalidAddress, match="URL"):
        asyncio.run(create())
