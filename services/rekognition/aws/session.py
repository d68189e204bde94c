"""Clients of AWS, with region and credentials of the standard chain."""

import os
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from services.rekognition.settings import RekognitionSettings
from services.runtime.errors import DependencyUnavailable, Misconfigured
from services.runtime.storage.failures import TRANSIENT, kind_of


def open_client(settings: RekognitionSettings, service: str, endpoint_url: str | None, config: Config) -> Any:
    """Return a client of the service. Blocks, and calls nothing that is billed.

    Raises Misconfigured if region or credentials are missing or broken, and DependencyUnavailable if the source of the
    credentials does not respond.
    """
    try:
        session: Any = _open_session(settings)
        return session.client(service, endpoint_url=endpoint_url, config=config)
    except BotoCoreError as exc:
        kind = DependencyUnavailable if kind_of(exc) in TRANSIENT else Misconfigured
        raise kind(f"The AWS configuration cannot be used: {exc}") from exc


def _open_session(settings: RekognitionSettings) -> boto3.Session:
    # botocore itself reads only AWS_DEFAULT_REGION; EKS and Lambda set AWS_REGION, which AWS's other SDKs read
    session = boto3.Session(region_name=settings.rekognition_region or os.environ.get("AWS_REGION") or None)
    if session.region_name is None:
        raise Misconfigured("There is no AWS region. Set AWS_REGION or MARQUEE_REKOGNITION_REGION.")
    if session.get_credentials() is None:
        raise Misconfigured(
            "There are no AWS credentials. Give the server a role (in a cluster: of its service account), "
            "or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    return session
