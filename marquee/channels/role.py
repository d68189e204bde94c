"""What servers are called for. Imports nothing that --help would wait for."""

import os
from typing import NamedTuple


class Role(NamedTuple):
    """What a client calls a server for, and so where it looks for one."""

    variable: str
    """Environment variable with the address."""
    port: int
    """Of a server on this machine, if nobody names one."""
    other: str
    """What to call instead of a server that does not support a call."""

    @property
    def default(self) -> str:
        """The variable's current value, else this machine."""
        return os.environ.get(self.variable) or self.local

    @property
    def local(self) -> str:
        """The address on this machine."""
        return f"localhost:{self.port}"


RECOGNITION = Role("MARQUEE_ADDRESS", 50051, "another one, such as the gateway")
LIBRARY = Role("MARQUEE_LIBRARY_ADDRESS", 50052, "the library, which is a server of its own beside the gateway")
