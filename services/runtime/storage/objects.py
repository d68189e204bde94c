"""Pictures out of S3, or out of a server that speaks its protocol."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import DependencyUnavailable, ObjectForbidden, ObjectNotFound
from services.runtime.limits import check_size
from services.runtime.storage.s3 import s3_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING = {"404", "NoSuchBucket", "NoSuchKey", "NoSuchVersion", "NotFound"}
_FORBIDDEN = {"403", "AccessDenied", "AllAccessDisabled", "Forbidden"}


class ObjectStore:
    """Reads objects with the standard credential chain. Safe to share between threads."""

    def __init__(self, endpoint_url: str | None = None) -> None:
        self._endpoint_url = endpoint_url

    def fetch(self, s3_object: pb.S3Object) -> bytes:
        """The object's bytes, at most 15 MiB.

        Raises ObjectNotFound, ObjectForbidden, ImageTooLarge, DependencyUnavailable. Blocks.
        """
        answer = self._call("get_object", s3_object)
        with closing(answer["Body"]) as body, _explained(s3_object):
            check_size(answer["ContentLength"])
            return bytes(body.read())  # read(amount) would take half an object for the whole

    def check(self, s3_object: pb.S3Object) -> None:
        """Raises what `fetch` would raise, without reading the object."""
        check_size(self._call("head_object", s3_object)["ContentLength"])

    def _call(self, operation: str, s3_object: pb.S3Object) -> Any:
        where = {"Bucket": s3_object.bucket, "Key": s3_object.key}
        if s3_object.version_id:
            where["VersionId"] = s3_object.version_id
        with _explained(s3_object):
            return getattr(self._client, operation)(**where)

    @cached_property
    def _client(self) -> "S3Client":
        return s3_client(
            self._endpoint_url,
            connect_timeout=2,
            read_timeout=5,
            max_pool_connections=64,
            retries={"total_max_attempts": 2, "mode": "standard"},
        )


@contextmanager
def _explained(s3_object: pb.S3Object) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as late as boto3

    try:
        yield
    except ClientError as exc:
        raise _explain(exc, s3_object) from exc
    except BotoCoreError as exc:
        raise DependencyUnavailable(f"S3 cannot be used: {type(exc).__name__}.") from exc


def _explain(exc: Any, s3_object: pb.S3Object) -> Exception:
    code = exc.response["Error"].get("Code", "")
    where = f"s3://{s3_object.bucket}/{s3_object.key}"
    if code in _MISSING:
        return ObjectNotFound(f"There is no object {where}.", bucket=s3_object.bucket)
    if code in _FORBIDDEN:
        return ObjectForbidden(f"The servers may not read {where}.", bucket=s3_object.bucket)
    return DependencyUnavailable(f"S3 did not give {where}: {code}.")
