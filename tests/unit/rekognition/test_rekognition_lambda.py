"""The Lambda function in AWS's own runtime client, against the local endpoint, moto's S3 and moto's DynamoDB."""

import json
import re
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from services.rekognition.lambda_function import objects_of
from tests.support.aws import BUCKET, TABLE, RuntimeApi, demo_aws, dynamodb, lambda_function, table
from tests.support.pictures import demo, printed
from tests.support.processes import ROOT, run

pytestmark = pytest.mark.slow

HANDLER = "services.rekognition.lambda_function.lambda_handler"
AWKWARD = "Sports-celebrity images/Ronaldo/ronaldo_(18).jpg"
ENCODED = "Sports-celebrity+images/Ronaldo/ronaldo_%2818%29.jpg"
RESULTS = "results"


@pytest.fixture(scope="module")
def aws() -> Iterator[SimpleNamespace]:
    with demo_aws() as running, dynamodb() as table_url:
        pictures = {AWKWARD: demo()["hopper"], "both.jpg": demo()["both"], "text.jpg": printed(["MARQUEE"])}
        for key, content in (pictures | {"broken.jpg": b"no picture"}).items():
            running.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        results = boto3.Session().client("dynamodb", endpoint_url=table_url)
        with table(results, RESULTS, object="HASH", version="RANGE"):
            yield SimpleNamespace(url=running.url, table_url=table_url, results=results)
        results.close()


@pytest.fixture(scope="module")
def function(aws: SimpleNamespace) -> Iterator[RuntimeApi]:
    tables = {"MARQUEE_REKOGNITION_TABLE": TABLE, "MARQUEE_REKOGNITION_RESULTS_TABLE": RESULTS}
    where = {"MARQUEE_REKOGNITION_ENDPOINT_URL": aws.url, "MARQUEE_DYNAMODB_ENDPOINT_URL": aws.table_url}
    with lambda_function(HANDLER, **tables, **where, MARQUEE_REKOGNITION_ATTEMPTS="2") as api:
        yield api


def direct(key: str) -> dict[str, str]:
    return {"bucket": BUCKET, "object_name": key}


def created(*keys: str) -> dict[str, Any]:
    """Return an S3 notification of new objects, whose keys are URL-encoded."""
    records = [{"s3": {"bucket": {"name": BUCKET}, "object": {"key": key}}} for key in keys]
    return {"Records": [one | {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"} for one in records]}


def queued(**bodies: object) -> dict[str, Any]:
    """Return an SQS event with these bodies by message id."""
    messages = {name: body if isinstance(body, str) else json.dumps(body) for name, body in bodies.items()}
    return {"Records": [{"messageId": name, "eventSource": "aws:sqs", "body": body} for name, body in messages.items()]}


def stored_item(aws: SimpleNamespace, key: str) -> Any:
    item = {"object": {"S": f"s3://{BUCKET}/{key}"}, "version": {"S": "null"}}
    return aws.results.get_item(TableName=RESULTS, Key=item).get("Item")


def names(result: dict[str, Any]) -> set[str]:
    return {one["name"] for one in result["names"]}


def test_a_direct_call_returns_names(function: RuntimeApi, aws: SimpleNamespace) -> None:
    """The result has names and confidence and is written to the table; the key is not decoded."""
    kind, result = function.invoke(direct(AWKWARD))
    assert kind == "response"
    assert (result["bucket"], result["object_name"]) == (BUCKET, AWKWARD)
    (one,) = result["names"]
    assert one["name"] == "Grace Hopper"
    assert 80 < one["confidence"] <= 100
    assert result["cost_micro_usd"] == 1000
    item = stored_item(aws, AWKWARD)
    assert item["names"]["L"][0]["M"]["name"] == {"S": "Grace Hopper"}
    assert item["recognized"]["S"].endswith("+00:00")


def test_keys_of_notifications_are_decoded(function: RuntimeApi) -> None:
    """A plus becomes a space and percent-codes become brackets; two objects give two results."""
    kind, result = function.invoke(created(ENCODED, "both.jpg"))
    assert kind == "response"
    assert [one["object_name"] for one in result["results"]] == [AWKWARD, "both.jpg"]
    assert [names(one) for one in result["results"]] == [{"Grace Hopper"}, {"Grace Hopper", "Eileen Collins"}]


def test_a_picture_of_nobody_is_a_result(function: RuntimeApi) -> None:
    """A picture without a face gives an empty list of names."""
    assert function.invoke(direct("text.jpg"))[1]["names"] == []


def test_a_failing_direct_call_raises(function: RuntimeApi) -> None:
    """The error names the object or says what is wrong with it."""
    for key, message in (("nothing.jpg", "nothing.jpg"), ("broken.jpg", "cannot read this picture")):
        kind, error = function.invoke(direct(key))
        assert (kind, error["errorType"]) == ("error", "RecognitionFailed")
        assert message in error["errorMessage"]


def test_an_unreadable_picture_is_not_retried(function: RuntimeApi, aws: SimpleNamespace) -> None:
    """A retry would not help, so the event's result and the table contain the error."""
    kind, result = function.invoke(created("broken.jpg"))
    assert kind == "response"
    assert "cannot read" in result["results"][0]["error"]
    assert "cannot read" in stored_item(aws, "broken.jpg")["error"]["S"]


def test_a_passing_failure_fails_the_event(function: RuntimeApi) -> None:
    """The event fails so that Lambda sends it again; the message names only the object that failed."""
    kind, error = function.invoke(created("both.jpg", "nothing.jpg"))
    assert kind == "error"
    assert "nothing.jpg" in error["errorMessage"]
    assert "both.jpg" not in error["errorMessage"]


def test_only_failed_messages_go_back(function: RuntimeApi) -> None:
    """An SQS batch returns the messages that fail or are not understood; S3's test message counts as processed."""
    batch = queued(
        good=created(ENCODED),
        half=created("both.jpg", "nothing.jpg"),
        plain=direct(AWKWARD),
        broken=created("broken.jpg"),
        trial={"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET},
        strange={"hello": 1},
        text="no JSON",
    )
    kind, result = function.invoke(batch)
    assert kind == "response"
    failed = [one["itemIdentifier"] for one in result["batchItemFailures"]]
    assert sorted(failed) == ["half", "strange", "text"]


def test_eventbridge_keys_are_not_decoded() -> None:
    """EventBridge does not encode keys, so they are used unchanged, with their versions."""
    detail = {"bucket": {"name": BUCKET}, "object": {"key": "a+b%20c.jpg", "version-id": "v1"}}
    (url,) = objects_of({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    assert (url.key, url.version) == ("a+b%20c.jpg", "v1")


def test_deleted_objects_are_ignored() -> None:
    """A notification of a removal leads to no recognition."""
    event = created("gone.jpg")
    event["Records"][0]["eventName"] = "ObjectRemoved:Delete"
    assert objects_of(event) == []


@pytest.mark.parametrize("event", [{}, {"bucket": "b"}, {"bucket": "b", "object_name": 1}, {"Records": [{}]}])
def test_other_events_are_refused(function: RuntimeApi, event: object) -> None:
    """The error shows the forms that an event may have."""
    kind, error = function.invoke(event)
    assert (kind, error["errorType"]) == ("error", "ValueError")
    assert "S3" in error["errorMessage"] or "object_name" in error["errorMessage"]


def test_the_cap_holds(aws: SimpleNamespace) -> None:
    """A call beyond today's budget fails with a message that says until when."""
    where = {"MARQUEE_REKOGNITION_ENDPOINT_URL": aws.url, "MARQUEE_REKOGNITION_DAILY_CAP_USD": "0.001"}
    with lambda_function(HANDLER, **where) as api:
        assert api.invoke(direct(AWKWARD))[0] == "response"
        kind, error = api.invoke(direct(AWKWARD))
    assert kind == "error"
    assert "midnight" in error["errorMessage"]


def test_the_package_contains_all_imports() -> None:
    """The function loads with only the packages of the zip and those of boto3, which Lambda's Python has."""
    script = (ROOT / "deploy/lambda/package").read_text()
    packages = re.search(r'packages="([^"]*)"', script)
    assert packages
    packed = set(packages[1].split())
    runtime = {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}
    code = """
import importlib.metadata, sys
kept, own = set(sys.argv[1:]), {"marquee", "google", "services"}
for name, packages in importlib.metadata.packages_distributions().items():
    if name not in own and not kept & {package.lower().replace("_", "-") for package in packages}:
        sys.modules[name] = None
import services.rekognition.lambda_function
"""
    command = [sys.executable, "-c", code, *(packed | runtime)]
    result = run(command)
    assert result.returncode == 0, result.stderr
