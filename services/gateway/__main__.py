"""Serve the gateway: `python -m services.gateway`."""

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # while the rest is imported; then it means to read files again

from services.gateway.config import ConfigError
from services.gateway.servicer import Gateway
from services.gateway.settings import GatewaySettings
from services.runtime.memory import give_back_freed_memory, spare_what_is_loaded
from services.runtime.server.server import run
from services.runtime.settings import load_settings


def main() -> None:
    """Read settings and configuration, then serve until SIGTERM."""
    settings = load_settings(GatewaySettings)
    try:
        gateway = Gateway(settings.gateway_config, settings)
    except ConfigError as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(2)
    give_back_freed_memory()
    spare_what_is_loaded()
    run(gateway, settings)


if __name__ == "__main__":
    main()
