"""Ports of the loopback interface, claimed from their choice on, so that two systems that start at once differ."""

import errno
import socket
import sys
from itertools import islice
from random import SystemRandom

_HOSTS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
"""The addresses of the interface's name."""
_TAKEN_FROM = range(20_000, 32_000)
"""Below the ports that the kernel gives to clients."""
_claimed: set[int] = set()
"""The process's own."""


def take(count: int) -> list[int]:
    """Claim and return free ports that this process has not claimed before."""
    candidates = SystemRandom().sample(_TAKEN_FROM, len(_TAKEN_FROM))
    return list(islice((port for port in candidates if port not in _claimed and claim(port)), count))


def claim(port: int) -> bool:
    """Claim the port for this process's system; return whether it is free: nobody listens on it, no other claims it.

    A server begins to listen seconds after its system chose the port. On Linux, a name in the network's namespace is
    the claim: it lasts as long as the process, and while a server restarts. Elsewhere a port is free until it listens.
    """
    if not is_free(port):
        return False
    if sys.platform == "linux" and port not in _claimed and not _take_name(f"\0marquee-port-{port}"):
        return False
    _claimed.add(port)
    return True


def _take_name(name: str) -> bool:
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(name)
    except OSError:
        holder.close()
        return False
    holder.detach()  # it stays open
    return True


def is_free(port: int) -> bool:
    """Return whether nobody listens on the port of the loopback interface."""
    return all(_is_free_at(family, host, port) for family, host in _HOSTS)


def _is_free_at(family: socket.AddressFamily, host: str, port: int) -> bool:
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as exc:
        return exc.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # a machine without IPv6
    return True
