"""Fixtures of the Rekognition tests."""

from typing import Any

import pytest
from botocore.config import Config

from tests.support.processes import PATIENCE


@pytest.fixture(autouse=True)
def _patient_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise DynamoDB's timeouts from two seconds: its stand-in shares the processor with all other tests."""

    def config(**options: Any) -> Config:
        return Config(**options | {"connect_timeout": PATIENCE, "read_timeout": PATIENCE})

    monkeypatch.setattr("services.rekognition.table.client.Config", config)
