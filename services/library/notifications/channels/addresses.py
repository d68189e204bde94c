# ruff: noqa: ARG002 - parameters are httpcore's
"""Where webhooks may lead: a name is resolved once, and the connection made to the very address that was checked."""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

import httpcore

Network: TypeAlias = IPv4Network | IPv6Network
_Address: TypeAlias = IPv4Address | IPv6Address
_NAT64 = ip_network("64:ff9b::/96")
_NO_SCOPE = "%"


class Forbidden(Exception):
    """The address is not to be called."""


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connections to public addresses, and to private ones of these networks."""

    def __init__(self, private: Sequence[Network], *, is_plaintext: bool) -> None:
        """Without TLS, only those of the networks are called: what is sent passes no other."""
        self._private = private
        self._is_plaintext = is_plaintext
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of the host that may be called. Raises Forbidden and httpcore's errors."""
        address = await self._resolve(host, port)
        return await self._backend.connect_tcp(str(address), port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Refuse it."""
        raise Forbidden("A webhook leads to no socket of a machine.")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _resolve(self, host: str, port: int) -> _Address:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError("its host is not known") from exc
        addresses = [ip_address(str(one[4][0]).partition(_NO_SCOPE)[0]) for one in found]
        for address in addresses:
            if self._may_call(address):
                return address
        raise Forbidden(
            "Its address may not be called: it is plaintext to where MARQUEE_LIBRARY_WEBHOOKS_PRIVATE does not allow."
            if self._is_plaintext
            else "Its address is none of the public network, and MARQUEE_LIBRARY_WEBHOOKS_PRIVATE does not allow it."
        )

    def _may_call(self, address: _Address) -> bool:
        real = _real(address)
        is_allowed = any(real.version == one.version and real in one for one in self._private)
        return is_allowed or (is_public(address) and not self._is_plaintext)


def is_public(address: _Address) -> bool:
    """Return whether the address is one of the public network, also once it is unwrapped."""
    real = _real(address)
    return real.is_global and not real.is_multicast and not real.is_reserved


def _real(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)
