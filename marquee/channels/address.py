"""Addresses of servers: HOST:PORT, https://HOST, or another target of gRPC."""

import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from marquee.channels.role import RECOGNITION, Role
from marquee.errors import InvalidAddress

_TLS_PORT = 443
_SOCKET = re.compile(r"unix:(?!//[^/])[^\0]{1,100}|unix-abstract:[^\0]{1,100}")
_SCHEME = re.compile(r"dns:(//([0-9.]*|\[[0-9a-f:]*\])(:[0-9]+)?/)?|ipv4:|ipv6:|unix:|unix-abstract:")
"""Of gRPC's targets; that of DNS may name a server."""
_NUMBERS = re.compile("ipv[46]:")
"""Schemes whose targets may be several addresses, with commas."""
_TLS_SCHEME = re.compile("https://", re.IGNORECASE)
_MAX_HOST = 253
"""Characters of a name in DNS."""
_HOST_AND_PORT = re.compile(r"(?P<host>[^\s/\\@?#:\[\]]+|\[[^\s\[\]]+\]):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65535
_FAULTS = (
    (r"\s*", "it is empty"),
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


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is."""

    text: str
    """As it was given, for messages."""
    target: str
    """As gRPC takes it."""
    is_tls: bool
    """Whether it says that the connection is TLS: https://."""
    role: Role = RECOGNITION

    @property
    def is_socket(self) -> bool:
        """Whether it is a Unix domain socket."""
        return _SOCKET.fullmatch(self.target) is not None

    @property
    def is_local(self) -> bool:
        """Whether it is this machine, by a name or number that cannot mean another."""
        return self.is_socket or all(_is_loopback(host) for host, _ in self.endpoints)

    @property
    def host(self) -> str:
        """The host, or the first of several; empty for a socket."""
        return self.endpoints[0][0] if self.endpoints else ""

    @property
    def endpoints(self) -> tuple[tuple[str, int], ...]:
        """Hosts, without brackets, and ports; none for a socket."""
        if self.is_socket:
            return ()
        bare = _SCHEME.sub("", self.target, count=1)
        several = bare.split(",") if _NUMBERS.match(self.target) else [bare]
        return tuple((host.strip("[]"), int(port)) for host, _, port in (one.rpartition(":") for one in several))


def parse_address(text: str, role: Role = RECOGNITION) -> Address:
    """Return the address that the text names. Raises InvalidAddress, which says what to write."""
    if _TLS_SCHEME.match(text):
        return _parse_url(text, role)
    if _is_target(text):
        return Address(text, text, is_tls=False, role=role)
    target = _SCHEME.sub("", text, count=1)
    raise _invalid(text, target, f"HOST:PORT, such as {_suggestion(target, role.port)}")


def is_host(text: str) -> bool:
    """Return whether the text is a host: a name or a number, without brackets."""
    return _ip_version(text) == "ipv6" or (_is_host_and_port(f"{text}:1") and not text.startswith("["))


def _parse_url(text: str, role: Role) -> Address:
    rest = _TLS_SCHEME.sub("", text, count=1).removesuffix("/")
    for target in (rest, f"{rest}:{_TLS_PORT}"):
        if _is_host_and_port(target):
            return Address(text, target, is_tls=True, role=role)
    suggestion = _suggestion(rest, _TLS_PORT).removesuffix(f":{_TLS_PORT}")
    raise _invalid(text, rest, f"https://HOST:PORT, such as https://{suggestion}")


def _invalid(text: str, target: str, remedy: str) -> InvalidAddress:
    fault = next(fault for pattern, fault in _FAULTS if re.fullmatch(pattern, target, re.DOTALL | re.IGNORECASE))
    shown = re.sub(r"(?<=//).*@|^.*@", "…@", text, flags=re.DOTALL)  # a password is not for logs,
    shown = re.sub(r"\?.*", "?…", shown, flags=re.DOTALL)[:_MAX_HOST]  # nor is a token
    return InvalidAddress(
        f"{shown!r} is not an address: {fault}. Write {remedy}.", code="INVALID_ARGUMENT", reason="INVALID_ADDRESS"
    )


def _is_target(text: str) -> bool:
    scheme, _, rest = text.partition(":")
    match scheme:
        case "unix" | "unix-abstract":
            return _SOCKET.fullmatch(text) is not None
        case "ipv4" | "ipv6":
            hosts_and_ports = rest.split(",")
            hosts = (one.rpartition(":")[0].strip("[]") for one in hosts_and_ports)
            return all(map(_is_host_and_port, hosts_and_ports)) and all(_ip_version(host) == scheme for host in hosts)
        case _:
            return _is_host_and_port(_SCHEME.sub("", text, count=1))


def _is_host_and_port(target: str) -> bool:
    parts = _HOST_AND_PORT.fullmatch(target)
    if parts is None or not target.isprintable() or not 1 <= int(parts["port"]) <= _MAX_PORT:
        return False
    host = parts["host"]
    return _ip_version(host.strip("[]")) == "ipv6" if host.startswith("[") else len(host) <= _MAX_HOST


def _suggestion(target: str, port: int) -> str:
    """Return the nearest HOST:PORT; `port` is for a host without one."""
    bare = re.split(r"[/?#\\]", target.rpartition("://")[2].rpartition("@")[2])[0].strip(" \t\r\n'\"")
    if bare.isdecimal():
        bare = f"localhost:{bare}"
    host, _, number = bare.rpartition(":")
    guesses = (f"[{host}]:{number}", f"[{bare}]", bare, host)
    with_ports = (guess if _is_host_and_port(guess) else f"{guess}:{port}" for guess in guesses)
    return next(filter(_is_host_and_port, with_ports), f"localhost:{port}")


def _ip_version(host: str) -> str:
    """Return "ipv4" or "ipv6"; empty for a name."""
    with suppress(ValueError):
        return f"ipv{ip_address(host).version}"
    return ""


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host.lower().removesuffix(".") == "localhost"
