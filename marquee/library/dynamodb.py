"""The answers that the Lambda function wrote into a table of DynamoDB, read for the library to import.

An item is a version of an object: `object` is s3://BUCKET/KEY, `version` S3's or "null", `names` a list of `name` and
`confidence`, 0 to 100, `recognized` when, and `error` why not.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2, status_pb2

from marquee.draw.s3 import open_session, without_password
from marquee.library.v1 import library_pb2 as pb
from marquee.v1 import recognizer_pb2 as v1

SCHEME = "dynamodb://"
PAGE_SIZE = 100
"""Items, which are as many answers as one call imports."""
_OBJECT = re.compile(r"s3://(?P<bucket>[^/\0]{1,63})/(?P<key>.+)", re.DOTALL)
_MOST_NAMES, _MOST_LETTERS, _MOST_MESSAGE = 256, 200, 2000
_MOST_KEY = 1024
"""Bytes of an object's key or version."""
_REASONS = {
    "ResourceNotFoundException": "your account has no such table in this region",
    "AccessDeniedException": "your credentials do not allow it: dynamodb:Scan is needed",
    "UnrecognizedClientException": "AWS does not know your access key",
    "InvalidSignatureException": "your secret access key is wrong",
    "ExpiredTokenException": "your credentials have expired: sign in again",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a table's items, read in one go."""

    answers: Sequence[pb.ImportedAnswer]
    unreadable: Sequence[str]
    """Why the other items are no answers, each with its object."""
    position: Mapping[str, Any] | None
    """Where the next page begins; None: this is the last."""


@dataclass(slots=True)
class Progress:
    """How far an import came, in a file, so that one that was interrupted goes on there."""

    path: Path
    purpose: str
    """What is imported, and where to: the file of another import is not used."""
    position: Mapping[str, Any] | None = None
    """Where to begin; None: at the first item."""
    items: int = 0
    """Items before."""

    def load(self) -> None:
        """Read the file, if there is one. Raises OSError for one that cannot be read, or is another import's."""
        try:
            kept = json.loads(self.path.read_bytes())
            purpose, position, items = kept["purpose"], kept["position"], int(kept["items"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            raise OSError(f"{self.path} is no file of an import's progress. Delete it, or name another.") from None
        if purpose != self.purpose:
            raise OSError(f"{self.path} is of another import: {purpose}. Delete it, or name another.")
        self.position, self.items = position, items

    def save(self, page: Page) -> None:
        """Keep that the page was imported; after the last one there is nothing to go on with."""
        self.position, self.items = page.position, self.items + len(page.answers) + len(page.unreadable)
        if self.position is None:
            self.path.unlink(missing_ok=True)
            return
        kept = {"purpose": self.purpose, "position": self.position, "items": self.items}
        partial = self.path.with_name(f"{self.path.name}.part")
        partial.write_text(json.dumps(kept), "utf-8")
        partial.replace(self.path)


class ResultsTable:
    """The table, as boto3 reaches it: with credentials, region and endpoint from the environment or AWS's files."""

    def __init__(self, url: str, recognizer: str = "rekognition") -> None:
        """Open dynamodb://TABLE. `recognizer` is whose answers they are. Raises OSError."""
        self._name = url.removeprefix(SCHEME)
        self._recognizer = recognizer
        if not url.startswith(SCHEME) or not self._name or "/" in self._name:
            raise OSError(f"{url} needs the name of a table: dynamodb://TABLE.")
        self._client = self._connect()

    def pages(self, position: Mapping[str, Any] | None = None) -> Iterator[Page]:
        """Yield all items from a position on, each once, in no order. Raises OSError."""
        while True:
            page = self._page(position)
            yield page
            if (position := page.position) is None:
                return

    def count(self) -> int:
        """Return about how many items there are, as AWS counts them every six hours; 0: unknown."""
        with suppress(OSError):  # a permission that the import needs not
            return int(self._ask("describe_table")["Table"].get("ItemCount", 0))
        return 0

    def _connect(self) -> Any:
        session = open_session("reads the table")
        from botocore.config import Config  # noqa: PLC0415 - an extra
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - likewise

        retries: Any = {"total_max_attempts": 8, "mode": "standard"}
        try:
            return session.client("dynamodb", config=Config(connect_timeout=5, read_timeout=20, retries=retries))
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise OSError(without_password(error)) from None

    def _page(self, position: Mapping[str, Any] | None) -> Page:
        start = {"ExclusiveStartKey": position} if position else {}
        response = self._ask("scan", Limit=PAGE_SIZE, **start)
        answers, unreadable = list[pb.ImportedAnswer](), list[str]()
        for item in response["Items"]:
            try:
                answers.append(answer_of(item, self._recognizer))
            except ValueError as error:
                unreadable.append(str(error))
        return Page(answers, unreadable, response.get("LastEvaluatedKey"))

    def _ask(self, operation: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra

        try:
            return getattr(self._client, operation)(TableName=self._name, **arguments)
        except ClientError as error:
            details = error.response.get("Error", {})
            code = details.get("Code", "")
            reason = _REASONS.get(code, f"DynamoDB answers {code}: {details.get('Message', '')}")
            raise OSError(f"{SCHEME}{self._name} cannot be read: {reason}.") from None
        except BotoCoreError as error:
            raise OSError(f"{SCHEME}{self._name} cannot be read: {without_password(error)}") from None


def answer_of(item: Mapping[str, Any], recognizer: str) -> pb.ImportedAnswer:
    """Return an item as an answer. Raises ValueError for an item that is none of the function's, and says which."""
    url = _text(item, "object") or ""
    version = _text(item, "version") or "null"
    place = _OBJECT.fullmatch(url)
    if not place or any("\0" in text or len(text.encode()) > _MOST_KEY for text in (place["key"], version)):
        raise ValueError(f"{url or 'An item'}: object is not of the form s3://BUCKET/KEY")
    s3_object = v1.S3Object(**place.groupdict(), version_id="" if version == "null" else version)
    try:
        result, when = _result(item, recognizer), _time(item)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(f"{url} ({version}): names or recognized are not the function's") from None
    return pb.ImportedAnswer(s3_object=s3_object, result=result, create_time=when)


def _result(item: Mapping[str, Any], recognizer: str) -> v1.RecognizerResult:
    result = v1.RecognizerResult(recognizer=recognizer, model=v1.Model(name=recognizer))
    if error := _whole(_text(item, "error") or ""):
        result.outcome = v1.OUTCOME_ERROR
        result.status.CopyFrom(status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message=error[:_MOST_MESSAGE]))
        return result
    candidates = [_candidate(one["M"]) for one in item["names"]["L"]]
    result.outcome = v1.OUTCOME_OK
    result.performed_features.append(v1.FEATURE_CELEBRITIES)
    result.image_candidates.extend(sorted(candidates, key=lambda one: -one.score)[:_MOST_NAMES])
    return result


def _candidate(entry: Mapping[str, Any]) -> v1.Candidate:
    score = float(entry["confidence"]["N"]) / 100
    if not 0 <= score <= 1:
        raise ValueError(f"confidence is {score}")
    return v1.Candidate(display_name=_whole(entry["name"]["S"])[:_MOST_LETTERS], score=score)


def _time(item: Mapping[str, Any]) -> Timestamp:
    when, stamp = datetime.fromisoformat(item["recognized"]["S"]), Timestamp()
    stamp.FromDatetime(when if when.tzinfo else when.replace(tzinfo=UTC))
    return stamp


def _whole(text: str) -> str:
    """Return the text. Raises ValueError if the library refuses it, and whatever comes along with it."""
    if "\0" in text:
        raise ValueError("a NUL character")
    return text


def _text(item: Mapping[str, Any], name: str) -> str | None:
    with suppress(AttributeError, KeyError, TypeError):
        text = item[name]["S"]
        return text if isinstance(text, str) else None
    return None
