"""Connections to a server, and what it means when they fail."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from marquee.errors import InternalError, InvalidAddress, InvalidRequest, MarqueeError, Unreachable, error_of
from marquee.records import Status, read_status

DEFAULT_PORT = 50051
DEFAULT_ADDRESS = f"localhost:{DEFAULT_PORT}"
DEFAULT_TIMEOUT = 12.0
"""Seconds."""
MAX_TIMEOUT = 366 * 86_400.0
"""Seconds: for more there is None, which sets no deadline. gRPC cannot count to infinity."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # By default gRPC waits up to two minutes before it reconnects.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # … and half a minute before it resolves DNS again.
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
)
M = TypeVar("M", bound=Message)
_DETAILS_KEY = "grpc-status-details-bin"
_SOCKET = re.compile(r"unix:(?!//[^/])[^\0]{1,100}|unix-abstract:[^\0]{1,100}")
_SCHEME = re.compile(r"dns:(//([0-9.]*|\[[0-9a-f:]*\])(:[0-9]+)?/)?|ipv4:|ipv6:|unix:|unix-abstract:")
"""Of gRPC's targets; that of DNS may name a server."""
_MAX_HOST = 253
"""Characters of a name in DNS."""
_HOST_AND_PORT = re.compile(r"(?P<host>[^\s/\\@?#:\[\]]+|\[[^\s\[\]]+\]):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65535
_FAULTS = (
    (r"\s*", "it is empty"),
    (r"https://.*", "a connection here is plaintext gRPC, without TLS"),
    (r".*://.*", "it is a URL"),
    (r".*@.*", "a user name has no meaning here"),
    (r".*[/?#\\].*", "it has a path"),
    (r".*\s.*", "it has a blank"),
    (r"[0-9a-f.]*:[0-9a-f.]*:[^\[]*", "an IPv6 address needs brackets"),
    (r":.*", "it has no host"),
    (r"[^:]*|\[.*\]", "it has no port"),
    (r".*", "its host or its port (1 to 65535) is invalid"),
)
"""Pattern of the whole address → what is wrong; the first that fits."""
_HINTS = (
    (r"errors resolving|DNS resolution failed", "Cannot find the host of {}: check the name, or set MARQUEE_ADDRESS."),
    (
        r"HTTP/2|http1|http2 header",
        "What answers at {} is no gRPC server, but perhaps a web server: use the port of Marquee's gRPC.",
    ),
    (
        r"last error.*(Socket closed|reset by peer)",
        "The server at {} closes the connection: perhaps it is not Marquee, or wants TLS, which is not offered yet.",
    ),
    (r"last error", "Cannot connect to {}: start a server with `make demo`, or set MARQUEE_ADDRESS."),
    (r"", "Lost the connection to {}."),
)
"""Pattern of gRPC's text → what to tell and to do; the first that fits."""
_UNREADABLE = "The server's response cannot be read: perhaps it is not Marquee, or its version does not fit."
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
_NO_PROXIES = ("no_grpc_proxy", "no_proxy")
_PROXY = re.compile(r"http://(?:[^/]*@)?(?P<address>[^/@]+).*", re.IGNORECASE)


def default_address() -> str:
    """Return the current MARQUEE_ADDRESS, else localhost:50051."""
    return os.environ.get("MARQUEE_ADDRESS") or DEFAULT_ADDRESS


def check_address(address: str) -> str:
    """Return the address: HOST:PORT or another target of gRPC. Raises InvalidAddress, which says what to write."""
    if _is_target(address):
        return address
    target = _SCHEME.sub("", address, count=1)
    fault = next(fault for pattern, fault in _FAULTS if re.fullmatch(pattern, target, re.DOTALL | re.IGNORECASE))
    shown = re.sub(r"(?<=//)[^/]*@|^[^/]*@", "…@", address)[:_MAX_HOST]  # a password is not for logs
    raise InvalidAddress(
        f"{shown!r} is not an address: {fault}. Write HOST:PORT, such as {_suggestion(target)}.",
        code="INVALID_ARGUMENT",
        reason="INVALID_ADDRESS",
    )


def check_timeout(timeout: float | None) -> float | None:
    """Return the timeout: seconds, or None for no deadline. Raises InvalidRequest for NaN, infinity and over a year."""
    if timeout is None or -MAX_TIMEOUT <= timeout <= MAX_TIMEOUT:
        return timeout
    raise InvalidRequest(
        f"The timeout is {timeout} s: give a number of seconds, at most {MAX_TIMEOUT:.0f}, or None for no deadline.",
        code="INVALID_ARGUMENT",
        reason="INVALID_REQUEST",
        metadata={"field": "timeout"},
    )


def service_config() -> str:
    """Return gRPC's service config, as JSON: how clients in any language balance and retry calls."""
    return resources.files(__package__).joinpath("service_config.json").read_text()


def open_channel(address: str) -> grpc.Channel:
    """Open a plaintext channel; it connects on the first call."""
    return grpc.insecure_channel(address, options=_options())


def open_aio_channel(address: str) -> grpc.aio.Channel:
    """Open the same for asyncio, inside the event loop that uses it."""
    return grpc.aio.insecure_channel(address, options=_options())


@contextmanager
def rpc_errors(address: str, request_id: str = "") -> Iterator[None]:
    """Turn gRPC errors within the block into MarqueeErrors."""
    try:
        yield
    except grpc.RpcError as error:
        raise _from_rpc_error(error, address, request_id) from error


def parsed(response: M | None) -> M:
    """Return the response. Raises InternalError for None, which is how grpc.aio delivers bytes that do not parse."""
    if response is None:
        raise InternalError(_UNREADABLE, code="INTERNAL")
    return response


class Proxy(NamedTuple):
    """An HTTP proxy, and the environment variable that names it."""

    variable: str
    address: str


def proxy_of(address: str) -> Proxy | None:
    """Return the proxy through which gRPC connects, if any: it obeys even for this machine's own addresses."""
    variable = _first_set(_PROXIES)
    proxy = _PROXY.fullmatch(os.environ.get(variable, ""))
    direct = os.environ.get(_first_set(_NO_PROXIES), "")
    is_direct = any(_covers(entry.strip(), _host_of(address)) for entry in direct.split(","))
    return None if proxy is None or is_direct or address.startswith("unix") else Proxy(variable, proxy["address"])


def _first_set(variables: Sequence[str]) -> str:
    """Return the first that is set, be it to nothing: to gRPC it counts, and hides the others. Empty without one."""
    return next((name for name in variables if name in os.environ), "")


def _options() -> list[tuple[str, str | int]]:
    return [("grpc.service_config", service_config()), *_OPTIONS]


def _is_target(address: str) -> bool:
    scheme, _, rest = address.partition(":")
    match scheme:
        case "unix" | "unix-abstract":
            return _SOCKET.fullmatch(address) is not None
        case "ipv4" | "ipv6":
            return all(_is_host_and_port(one) and _ip_version(_host_of(one)) == scheme for one in rest.split(","))
        case _:
            return _is_host_and_port(_SCHEME.sub("", address, count=1))


def _is_host_and_port(target: str) -> bool:
    parts = _HOST_AND_PORT.fullmatch(target)
    if parts is None or not target.isprintable() or not 1 <= int(parts["port"]) <= _MAX_PORT:
        return False
    host = parts["host"]
    return _ip_version(host.strip("[]")) == "ipv6" if host.startswith("[") else len(host) <= _MAX_HOST


def _suggestion(target: str) -> str:
    """Return the nearest HOST:PORT."""
    bare = re.split(r"[/?#\\]", target.rpartition("://")[2])[0].rpartition("@")[2].strip(" \t\r\n'\"")
    if bare.isdecimal():
        bare = f"localhost:{bare}"
    host, _, port = bare.rpartition(":")
    guesses = (f"[{host}]:{port}", f"[{bare}]", bare, host)
    with_ports = (guess if _is_host_and_port(guess) else f"{guess}:{DEFAULT_PORT}" for guess in guesses)
    return next(filter(_is_host_and_port, with_ports), DEFAULT_ADDRESS)


def _ip_version(host: str) -> str:
    """Return "ipv4" or "ipv6"; empty for a name."""
    with suppress(ValueError):
        return f"ipv{ip_address(host).version}"
    return ""


def _host_of(address: str) -> str:
    return _SCHEME.sub("", address, count=1).rpartition(":")[0].strip("[]")


def _covers(entry: str, host: str) -> bool:
    """Return whether an entry of no_proxy covers the host or a domain that it is in, as gRPC decides it."""
    with suppress(ValueError):
        return ip_address(host) in ip_network(entry, strict=False)
    domain = entry.removeprefix(".").lower()
    return bool(domain) and f".{host.lower()}".endswith(f".{domain}")


def _from_rpc_error(error: grpc.RpcError, address: str, request_id: str) -> MarqueeError:
    """Return the exception for the reason in the server's status, else for gRPC's code."""
    status = _status_of(error)
    return _from_grpc(error, address, request_id) if status is None else error_of(status, request_id)


def _status_of(error: grpc.RpcError) -> Status | None:
    trailing: Any = error.trailing_metadata() or ()  # pairs; the published types say otherwise
    details = next((value for key, value in trailing if key == _DETAILS_KEY), b"")
    try:
        status = status_pb2.Status.FromString(details)
    except DecodeError:
        return None
    return read_status(status) if status.code else None


def _from_grpc(error: grpc.RpcError, address: str, request_id: str) -> MarqueeError:
    code, details = error.code().name, error.details() or ""
    if code == "UNAVAILABLE" or "http2 header" in details:
        message = f"{_unreachable(address, details)} ({details})"
        return Unreachable(message, code="UNAVAILABLE", request_id=request_id)
    if details.startswith("Exception deserializing"):
        details = _UNREADABLE
    if code == "DEADLINE_EXCEEDED":
        details = f"No response from {address} in time; use a longer timeout.{_through(address)}"
    if code == "UNIMPLEMENTED":
        details = (
            f"The server at {address} does not support this call: perhaps it is not Marquee, or too old. "
            f"Use another one, such as the gateway.{_through(address)} ({details})"
        )
    return error_of(Status(code, details), request_id)


def _unreachable(address: str, details: str) -> str:
    if through := _through(address):
        return f"There is no connection to {address}.{through}"
    return next(hint for pattern, hint in _HINTS if re.search(pattern, details)).format(address)


def _through(address: str) -> str:
    """Return a sentence about the proxy, after a blank; empty without one."""
    if (proxy := proxy_of(address)) is None:
        return ""
    return (
        f" The variable {proxy.variable} names the proxy {proxy.address}, through which gRPC connects: "
        f"add {_host_of(address)} to no_proxy to connect directly."
    )
