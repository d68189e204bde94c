"""The connections to Rekognition and DynamoDB."""

import os
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from services.rekognition.aws import bodies
from services.rekognition.settings import RekognitionSettings
from services.runtime.errors import Misconfigured

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_rekognition import RekognitionClient


def connect(settings: RekognitionSettings) -> "RekognitionClient":
    """A client with region and credentials of the standard chain, safe to share between threads.

    Raises Misconfigured where either is missing. Blocks, and calls nothing that is billed.
    """
    try:
        client = _client(_session(settings), settings)
    except BotoCoreError as exc:
        raise Misconfigured(f"The AWS configuration cannot be used: {exc}") from exc
    bodies.register(client.meta.events)
    return client


def connect_table(settings: RekognitionSettings) -> "DynamoDBClient":
    """A client of DynamoDB in Rekognition's region, as `connect`; a request is sent once and given up soon."""
    config = Config(
        connect_timeout=1,
        read_timeout=2,
        max_pool_connections=settings.rekognition_calls,
        retries={"total_max_attempts": 1},  # adding a second time would count money twice
    )
    try:
        return _session(settings).client("dynamodb", endpoint_url=settings.dynamodb_endpoint_url, config=config)
    except BotoCoreError as exc:
        raise Misconfigured(f"The AWS configuration cannot be used: {exc}") from exc


def _session(settings: RekognitionSettings) -> boto3.Session:
    # botocore knows AWS_DEFAULT_REGION alone; EKS and Lambda set AWS_REGION, as AWS's other SDKs read it
    session = boto3.Session(region_name=settings.rekognition_region or os.environ.get("AWS_REGION") or None)
    if session.region_name is None:
        raise Misconfigured("There is no AWS region. Set AWS_REGION or MARQUEE_REKOGNITION_REGION.")
    if session.get_credentials() is None:
        raise Misconfigured(
            "There are no AWS credentials. Give the server a role (in a cluster: of its service account), "
            "or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    return session


def _client(session: boto3.Session, settings: RekognitionSettings) -> "RekognitionClient":
    config = Config(
        connect_timeout=settings.rekognition_connect_timeout_seconds,
        read_timeout=settings.rekognition_read_timeout_seconds,
        max_pool_connections=settings.rekognition_calls,
        retries={"total_max_attempts": 1},  # botocore's own sleep past deadlines and are billed unseen
        parameter_validation=False,  # AWS refuses what it does not take unbilled
        user_agent=f"Boto3/{boto3.__version__} marquee",  # botocore's own is made anew, twice a call
    )
    return session.client("rekognition", endpoint_url=settings.rekognition_endpoint_url, config=config)
