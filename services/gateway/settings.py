"""Settings of the gateway."""

from pathlib import Path

from pydantic import Field

from services.runtime.settings import Settings


class GatewaySettings(Settings):
    """Settings of the gateway."""

    gateway_config: Path = Field(Path("gateway.yaml"), description="Path of the YAML file that lists the recognizers.")
    gateway_name: str = Field(
        "gateway", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Name of this gateway in responses."
    )
