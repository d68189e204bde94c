"""The Lambda function in AWS's own runtime client, against the local endpoint, moto's S3 and moto's DynamoDB."""

import re
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

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
    for key, message in (("nothing.jpg", f"s3://{BUCKET}/nothing.jpg"), ("broken.jpg", "cannot read this picture")):
        kind, error = function.invoke(direct(key))
        assert (kind, error["errorType"]) == ("error", "RecognitionFailed")
        assert message in error["errorMessage"]


@pytest.mark.parametrize("key", ["broken.jpg", "nothing.jpg"])
def test_what_can_never_be_read_is_not_retried(function: RuntimeApi, aws: SimpleNamespace, key: str) -> None:
    """A retry would not help, so the event's result and the table contain the error."""
    kind, result = function.invoke(created(key))
    assert kind == "response"
    assert "cannot read" in result["results"][0]["error"]
    assert "cannot read" in stored_item(aws, key)["error"]["S"]


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
