"""HTTP proxies, through which gRPC connects where the environment names one."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from marquee.channels.address import Address

_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
_NO_PROXIES = ("no_grpc_proxy", "no_proxy")
_PROXY = re.compile(r"http://(?:[^/]*@)?(?P<address>[^/@]+).*", re.IGNORECASE)


class Proxy(NamedTuple):
    """An HTTP proxy, and the environment variable that names it."""

    variable: str
    address: str


def proxy_of(address: Address) -> Proxy | None:
    """Return the proxy through which gRPC connects, if any: it obeys even for this machine's own addresses."""
    variable = _first_set(_PROXIES)
    proxy = _PROXY.fullmatch(os.environ.get(variable, ""))
    direct = os.environ.get(_first_set(_NO_PROXIES), "")
    is_direct = any(_covers(entry.strip(), address.host) for entry in direct.split(","))
    return None if proxy is None or is_direct or address.is_socket else Proxy(variable, proxy["address"])


def _first_set(variables: Sequence[str]) -> str:
    """Return the first that is set, be it to nothing: to gRPC it counts, and hides the others. Empty without one."""
    return next((name for name in variables if name in os.environ), "")


def _covers(entry: str, host: str) -> bool:
    """Return whether an entry of no_proxy covers the host or a domain that it is in, as gRPC decides it."""
    with suppress(ValueError):
        return ip_address(host) in ip_network(entry, strict=False)
    domain = entry.removeprefix(".").lower()
    return bool(domain) and f".{host.lower()}".endswith(f".{domain}")
