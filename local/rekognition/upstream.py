"""Amazon Rekognition itself, or another endpoint that speaks its protocol."""

from functools import cached_property

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session

from local.rekognition.wire.errors import AwsError
from local.rekognition.wire.replies import Reply

_SECONDS = 60


class Upstream:
    """Sends requests on as they came, signed with the standard credential chain. Safe to share between threads."""

    def __init__(self, region: str, url: str | None = None) -> None:
        """Raises ValueError without credentials; asks Amazon where there is no url."""
        session = botocore.session.get_session()
        credentials = session.get_credentials()
        if credentials is None:
            raise ValueError("there are no AWS credentials to sign with: set AWS_ACCESS_KEY_ID or AWS_PROFILE")
        self._credentials = credentials
        client = session.create_client("rekognition", region_name=region, endpoint_url=url)
        self._url = f"{client.meta.endpoint_url}/"
        self._region = region

    def __call__(self, name: str, body: bytes) -> Reply:
        """The answer, whatever it is. Blocks; raises AwsError with 503 where there is none."""
        target = f"RekognitionService.{name}"
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
        request = AWSRequest("POST", self._url, headers, body)
        SigV4Auth(self._credentials.get_frozen_credentials(), "rekognition", self._region).add_auth(request)
        try:
            answer = self._http.send(request.prepare())
        except HTTPClientError as exc:
            raise AwsError("ServiceUnavailableException", f"{self._url} does not answer: {exc}", 503) from None
        return Reply(answer.status_code, answer.content)

    @cached_property
    def _http(self) -> URLLib3Session:
        return URLLib3Session(timeout=_SECONDS, max_pool_connections=64)
