"""Which permissions of IAM the code needs: recorded from botocore's own events as its calls are made."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.session

REGION, ACCOUNT = "us-east-1", "123456789012"
Permission = tuple[str, str]
"""An action, "rekognition:IndexFaces", and the resource's ARN, or "*" where the action knows none."""


class Permissions(set[Permission]):
    """The permissions that calls have needed."""

    def take(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """A handler of `provide-client-params`."""
        service, operation = str(model.service_model.service_name), str(model.name)
        self.update({"rekognition": _rekognition, "s3": _s3, "dynamodb": _dynamodb}[service](operation, params))


@contextmanager
def recorded() -> Iterator[Permissions]:
    """All calls of all clients that are made in here."""
    calls = Permissions()
    create = botocore.session.Session.create_client

    def create_client(self: Any, *args: Any, **kwargs: Any) -> Any:
        client = create(self, *args, **kwargs)
        client.meta.events.register("provide-client-params.*.*", calls.take)
        return client

    botocore.session.Session.create_client = create_client
    try:
        yield calls
    finally:
        botocore.session.Session.create_client = create


def _rekognition(operation: str, params: dict[str, Any]) -> Iterator[Permission]:
    """Rekognition reads S3 objects with the caller's own permissions."""
    named = params.get("CollectionId")
    collection = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:collection/{named}"
    yield f"rekognition:{operation}", collection if named and operation != "CreateCollection" else "*"
    for picture in ("Image", "SourceImage", "TargetImage"):
        if reference := params.get(picture, {}).get("S3Object"):
            yield _read(reference["Bucket"], reference["Name"], versioned="Version" in reference)


def _s3(operation: str, params: dict[str, Any]) -> Iterator[Permission]:
    assert operation in ("GetObject", "HeadObject")
    yield _read(params["Bucket"], params["Key"], versioned="VersionId" in params)


def _read(bucket: str, key: str, *, versioned: bool) -> Permission:
    return f"s3:GetObject{'Version' if versioned else ''}", f"arn:aws:s3:::{bucket}/{key}"


def _dynamodb(operation: str, params: dict[str, Any]) -> Iterator[Permission]:
    for table in params.get("RequestItems", [params.get("TableName")]):
        yield f"dynamodb:{operation}", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"
