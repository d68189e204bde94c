"""The AWS session: region and credentials of the standard chain."""

import os

import boto3

from services.rekognition.settings import RekognitionSettings
from services.runtime.errors import Misconfigured


def open_session(settings: RekognitionSettings) -> boto3.Session:
    """Open a session. Raises Misconfigured if region or credentials are missing, BotoCoreError if they are broken."""
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
