"""The gateway's settings."""

from pathlib import Path

from pydantic import Field

from services.runtime.settings import Settings


class GatewaySettings(Settings):
    """Settings of the gateway."""

    gateway_config: Path = Field(Path("gateway.yaml"), description="The YAML file that names the recognizers.")
    gateway_name: str = Field("gateway", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="How answers name it.")
