"""How many gateways a call comes through."""

from services.runtime.errors import TooManyHops
from services.runtime.limits import MAX_HOPS
from services.runtime.server.calls import Context

HOPS_KEY = "marquee-hops"
"""The metadata that counts them."""


def hops_of(context: Context) -> int:
    """How many gateways the call has come through, this one included. Raises TooManyHops."""
    came = dict(context.invocation_metadata() or ()).get(HOPS_KEY, "0")
    hops = int(str(came)[:3]) + 1 if str(came).isdecimal() else 1
    if hops > MAX_HOPS:
        raise TooManyHops(f"The call came through more than {MAX_HOPS} gateways. Do they ask each other in a ring?")
    return hops
