"""The table that replicas share: what DynamoDB leaves out of a batch, and what nobody needs any more."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from services.rekognition.table.client import connect
from services.rekognition.table.faces import FaceIndex
from services.rekognition.table.people import EnrolledPeople
from services.rekognition.table.replicas import Replicas
from services.runtime.errors import DependencyUnavailable, InvalidRequest
from tests.support.aws import TABLE, Answer, Script, dynamodb, lambda_template, refusal, scripted_aws, settings
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.usefixtures("aws_credentials")


@contextmanager
def client_of(url: str) -> Iterator["DynamoDBClient"]:
    client = connect(settings("http://127.0.0.1:9", dynamodb_endpoint_url=url))
    yield client
    client.close()


class Batches:
    """A DynamoDB that takes `at_once` keys or items of a batch, and refuses every third request for its rate."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.sizes: list[int] = []
        self.written: list[str] = []

    def __call__(self, operation: str, body: dict[str, Any]) -> Answer:
        requests = body["RequestItems"][TABLE]
        is_read = operation.endswith("BatchGetItem")
        self.sizes.append(len(requests["Keys"] if is_read else requests))
        if len(self.sizes) % 3 == 0:
            return refusal("ProvisionedThroughputExceededException")
        return 200, self.get(requests) if is_read else self.write(requests)

    def get(self, requests: dict[str, Any]) -> object:
        keys, left = requests["Keys"][: self.at_once], requests["Keys"][self.at_once :]
        items = [{"sk": key["sk"], "display_name": {"S": key["sk"]["S"].upper()}} for key in keys]
        return {"Responses": {TABLE: items}, "UnprocessedKeys": {TABLE: requests | {"Keys": left}} if left else {}}

    def write(self, requests: list[Any]) -> object:
        self.written += [one["PutRequest"]["Item"]["sk"]["S"] for one in requests[: self.at_once]]
        left = requests[self.at_once :]
        return {"UnprocessedItems": {TABLE: left} if left else {}}


def test_keys_that_are_left_out_are_asked_again() -> None:
    """All names come, whatever part of them DynamoDB answers at once."""
    people = [f"person-{number}" for number in range(130)]
    with scripted_aws(script := Batches(40)) as aws, client_of(aws.url) as client:
        names = EnrolledPeople(client, TABLE).names("collection", people, seconds=60)
    assert names == {one: one.upper() for one in people}
    assert max(script.sizes) == 100


def test_items_that_are_left_out_are_written_again() -> None:
    """All faces are written, each once, in requests of at most 25."""
    faces = [("ada", f"face-{number}") for number in range(60)]
    with scripted_aws(script := Batches(10)) as aws, client_of(aws.url) as client:
        FaceIndex(client, TABLE).add("collection", faces)
    assert sorted(script.written) == sorted(f"ada/{face}" for _, face in faces)
    assert max(script.sizes) == 25


def nothing(_: str, body: dict[str, Any]) -> Answer:
    return 200, {"Responses": {}, "UnprocessedKeys": body["RequestItems"]}


@pytest.mark.parametrize("script", [nothing, lambda *_: refusal("ThrottlingException")], ids=["left out", "refused"])
def test_a_table_without_throughput_is_unavailable(script: Script) -> None:
    """Asking again ends with the time that is given, and callers learn when to try again."""
    began = time.monotonic()
    with scripted_aws(script) as aws, client_of(aws.url) as client:
        with pytest.raises(DependencyUnavailable) as failure:
            EnrolledPeople(client, TABLE).names("collection", ["ada"], seconds=3)
        assert len(aws.requests) > 1
    assert failure.value.retry_after == 1
    assert time.monotonic() - began < 60


def test_a_person_with_too_many_pictures_is_explained() -> None:
    """The item's limit is no missing table."""
    message = "Item size to update has exceeded the maximum allowed size"
    answer = 400, {"__type": "com.amazon.coral.validate#ValidationException", "message": message}
    explained = pytest.raises(InvalidRequest, match="5,000 pictures")
    with scripted_aws(lambda *_: answer) as aws, client_of(aws.url) as client, explained:
        EnrolledPeople(client, TABLE).save("collection", "ada", "Ada", {})


def test_dead_replicas_expire() -> None:
    """A replica that died is not counted, though its item is still there; DynamoDB deletes it by its time to live."""
    with dynamodb() as url, client_of(url) as client:
        dead = {"pk": {"S": "replica"}, "sk": {"S": "dead"}, "expires": {"N": str(int(time.time()) - 1)}}
        client.put_item(TableName=TABLE, Item=dead)
        replica = Replicas(client, TABLE)
        assert replica.beat() == 1
        expiry = {"Enabled": True, "AttributeName": "expires"}
        client.update_time_to_live(TableName=TABLE, TimeToLiveSpecification=expiry)
        items = client.scan(TableName=TABLE)["Items"]
    assert all(float(item["expires"]["N"]) < time.time() + 3600 for item in items)


@pytest.mark.parametrize("page", ["docs/eks.md", "docs/rekognition.md"])
def test_every_table_that_is_documented_lets_items_expire(page: str) -> None:
    """Wherever the table is created, its time to live is switched on."""
    text = Path(ROOT, page).read_text()
    tables = text.count("AttributeName=sk,KeyType=RANGE")
    assert tables == text.count("Enabled=true,AttributeName=expires") == 1


def test_the_lambda_functions_table_lets_items_expire() -> None:
    """Lambda ends its copies of the function without a word, so each leaves an item."""
    table = lambda_template()["Resources"]["Money"]["Properties"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
