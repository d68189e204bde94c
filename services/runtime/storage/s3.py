"""How S3, or a server that speaks its protocol, is reached. Light: a downloader imports this and no server."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def s3_client(endpoint_url: str | None = None, **config: Any) -> "S3Client":
    """A client with the standard credential chain and botocore's Config. Safe to share between threads."""
    import boto3  # noqa: PLC0415 - 0.3 s and 35 MiB that a process without S3 objects does not pay
    from botocore.config import Config  # noqa: PLC0415 - as late as boto3

    # Amazon alone can be counted on to have a host name for each bucket.
    settled = Config(s3={"addressing_style": "path"} if endpoint_url else {}, **config)
    return boto3.client("s3", endpoint_url=endpoint_url, config=settled)
