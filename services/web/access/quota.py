"""How often visitors may do what costs something: send pictures, call, and try to sign in."""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from services.runtime.doors.caller import Caller
from services.runtime.doors.door import Pace
from services.runtime.errors import RateExceeded
from services.web.settings import WebSettings

_MINUTE = 60.0
_NETWORK_BITS = 64
"""An IPv6 host has all addresses of such a network."""
_FREE = frozenset({"/marquee.v1.RecognizerService/ListRecognizers"})
"""Methods that send no picture."""


class Quota:
    """What each visitor has done in the last minute."""

    def __init__(self, settings: WebSettings) -> None:
        self._pictures_per_minute = settings.web_pictures_per_minute
        self._attempts_per_minute = settings.web_sign_ins_per_minute
        self._counts_anonymous = not settings.is_on_loopback
        self._calls = Pace()
        self._pictures = Pace(seconds=_MINUTE)
        self._attempts = Pace(seconds=_MINUTE)

    def counter(self, caller: Caller, address: str) -> Callable[[str], None]:
        """Return what counts a call of the visitor by its path, and raises RateExceeded."""

        def count(path: str) -> None:
            if caller.calls_per_second is not None:
                self._calls.check(caller)
            elif path not in _FREE and (self._counts_anonymous or not caller.is_anonymous):
                name = f"{caller.name} {network(address)}" if caller.is_anonymous else caller.name
                self._count(self._pictures, name, self._pictures_per_minute, "send", "pictures")

        return count

    def attempt(self, address: str) -> None:
        """Count an attempt to sign in. Raises RateExceeded."""
        self._count(self._attempts, network(address), self._attempts_per_minute, "make", "attempts to sign in")

    @staticmethod
    def _count(pace: Pace, name: str, per_minute: float, verb: str, things: str) -> None:
        try:
            pace.check(Caller(name, frozenset(), calls_per_second=per_minute / _MINUTE))
        except RateExceeded as exc:
            words = f"You may {verb} {per_minute:g} {things} a minute, and {verb} more."
            raise RateExceeded(words, retry_after=exc.retry_after) from None


def network(address: str) -> str:
    """Return the address, or the network of an IPv6 address."""
    try:
        ip = ip_address(address)
    except ValueError:
        return ""
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(IPv6Address(int(ip) >> _NETWORK_BITS << _NETWORK_BITS))
