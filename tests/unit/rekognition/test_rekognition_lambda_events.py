"""The Lambda function's events in the forms that AWS documents: what each has recognized, and what it responds.

The forms are those of AWS's pages, named in the tables, with other buckets and keys. They run in AWS's own runtime
client against a Rekognition that only records.
"""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.stack import CREDENTIALS
from tests.support.aws import Answer, RuntimeApi, lambda_function, refusal, scripted_aws
from tests.support.rekognition import RESPONSES

pytestmark = pytest.mark.slow

HANDLER = "services.rekognition.lambda_function.lambda_handler"
REFUSALS = {
    "missing.jpg": "InvalidS3ObjectException",
    "broken.jpg": "InvalidImageFormatException",
    "b ad": "ValidationException",
    "slow.jpg": "ThrottlingException",
    "denied.jpg": "AccessDeniedException",
}


def s3(key: str, name: str = "ObjectCreated:Put", **item: object) -> dict[str, Any]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "1970-01-01T00:00:00.000Z",
        "eventName": name,
        "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "172.16.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "testConfigRule",
            "bucket": {
                "name": "photos",
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": "arn:aws:s3:::photos",
            },
            "object": {"key": key, "size": 1024, "eTag": "d41d8cd9", "sequencer": "0055AED6DCD90281E5", **item},
        },
    }


def bridge(kind: str, key: str, **item: object) -> dict[str, Any]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": kind,
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2021-11-12T00:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:s3:::photos"],
        "detail": {
            "version": "0",
            "bucket": {"name": "photos"},
            "object": {"key": key, "size": 5, "etag": "b1946ac92492d2347c6235b4d2611184", **item},
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            "reason": "PutObject",
        },
    }


def sns(message: object) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html."""
    body = sns_body(message)
    return {"EventVersion": "1.0", "EventSubscriptionArn": "arn:aws:sns:x", "EventSource": "aws:sns", "Sns": body}


def sns_body(message: object) -> dict[str, Any]:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html."""
    return {
        "Type": "Notification",
        "MessageId": "dc1e94d9-56c5-5e96-808d-cc7f68faa162",
        "TopicArn": "arn:aws:sns:us-east-1:111122223333:topic",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(message),
        "Timestamp": "2021-02-16T21:41:19.978Z",
        "SignatureVersion": "1",
    }


def sqs(body: object, number: int = 0) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html."""
    return {
        "messageId": f"m{number}",
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183"},
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:pictures",
        "awsRegion": "us-east-1",
    }


def records(*members: object) -> dict[str, Any]:
    return {"Records": list(members)}


def job(*tasks: dict[str, Any], schema: str = "1.0") -> dict[str, Any]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html."""
    own = {"userArguments": {"by": "me"}} if schema == "2.0" else {}
    return {
        "invocationSchemaVersion": schema,
        "invocationId": "YXNkbGZqYWRmaiBhc2RmdW9hZHNmZGpmaGFzbGtkaGZza2RmaAo",
        "job": {"id": "f3cc4f60-61f6-4a2b-8a21-d07600c373ce", **own},
        "tasks": [{"taskId": f"t{number}", **task} for number, task in enumerate(tasks)],
    }


def task(key: str, version: str | None = None, bucket: str = "arn:aws:s3:::photos") -> dict[str, Any]:
    return {"s3Key": key, "s3VersionId": version, "s3BucketArn": bucket}


TEST = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014-10-13T15:57:02.089Z", "Bucket": "photos"}
CREATED: dict[str, tuple[Any, list[str]]] = {
    "direct": ({"bucket": "photos", "object_name": "a+b%20c.jpg"}, ["a+b%20c.jpg"]),
    "direct, a version": ({"bucket": "photos", "object_name": "a.jpg", "version": "v1"}, ["a.jpg@v1"]),
    "direct, no version": ({"bucket": "photos", "object_name": "a.jpg", "version": None}, ["a.jpg"]),
    "S3 put": (records(s3("a+b%20c%2B.jpg")), ["a b c+.jpg"]),
    "S3, not ASCII": (records(s3("%E5%86%99%E7%9C%9F.jpg")), ["写真.jpg"]),
    "S3 copy": (records(s3("a.jpg", "ObjectCreated:Copy", versionId="v1")), ["a.jpg@v1"]),
    "S3 multipart": (records(s3("a.jpg", "ObjectCreated:CompleteMultipartUpload")), ["a.jpg"]),
    "S3, some kinds": (records(s3("a.jpg"), s3("b.jpg", "ObjectRemoved:Delete"), s3("c.jpg")), ["a.jpg", "c.jpg"]),
    "EventBridge": (bridge("Object Created", "a+b%20c.jpg"), ["a+b%20c.jpg"]),
    "EventBridge, a version": (bridge("Object Created", "a.jpg", **{"version-id": "v1"}), ["a.jpg@v1"]),
    "SNS": (records(sns(records(s3("a+b+c.jpg")))), ["a b c.jpg"]),
    "SNS of EventBridge": (records(sns(bridge("Object Created", "a+b.jpg"))), ["a+b.jpg"]),
    "SQS": (records(sqs(records(s3("a+b.jpg")))), ["a b.jpg"]),
    "SQS, from a caller": (records(sqs({"bucket": "photos", "object_name": "a+b.jpg"})), ["a+b.jpg"]),
    "SQS of EventBridge": (records(sqs(bridge("Object Created", "a+b.jpg"))), ["a+b.jpg"]),
    "SQS of SNS": (records(sqs(sns_body(records(s3("a+b+c.jpg"))))), ["a b c.jpg"]),
    "SQS of SNS, raw": (records(sqs(records(s3("a.jpg"), s3("b.jpg")))), ["a.jpg", "b.jpg"]),
    "SQS, several": (records(sqs(bridge("Object Created", "a"), 0), sqs(records(s3("b")), 1)), ["a", "b"]),
    "EventBridge Pipes": ([sqs(records(s3("a.jpg")))], ["a.jpg"]),
    "S3 Batch Operations 1.0": (job(task("a+b%20c.jpg", "v1")), ["a b c.jpg@v1"]),
    "S3 Batch Operations, old ARN": (job(task("a.jpg", "", "arn:aws:s3:us-east-1:0123456788:photos")), ["a.jpg"]),
    "S3 Batch Operations 2.0": (
        job({"s3Key": "a+b.jpg", "s3VersionId": None, "s3Bucket": "photos"}, schema="2.0"),
        ["a b.jpg"],
    ),
}
_NOT_CREATED = (
    *("Object Deleted", "Object Restore Initiated", "Object Restore Completed", "Object Restore Expired"),
    *("Object Tags Added", "Object Tags Deleted", "Object ACL Updated", "Object Storage Class Changed"),
    *("Object Access Tier Changed", "Async Copy Completion", "AWS API Call via CloudTrail"),
)
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html."""
_NOT_CREATED_NAMES = (
    *("ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "ObjectRestore:Completed", "ObjectTagging:Put"),
    *("ObjectTagging:Delete", "ObjectAcl:Put", "LifecycleExpiration:Delete", "LifecycleTransition"),
    *("IntelligentTiering", "ReducedRedundancyLostObject", "Replication:OperationFailedReplication"),
)
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html."""
NOTHING: dict[str, Any] = {
    **{f"EventBridge: {kind}": bridge(kind, "a.jpg") for kind in _NOT_CREATED},
    **{f"S3: {name}": records(s3("a.jpg", name)) for name in _NOT_CREATED_NAMES},
    "S3's test": TEST,
    "S3's test through SNS": records(sns(TEST)),
    "S3's test through SQS": records(sqs(TEST)),
    "SQS, a deletion": records(sqs(bridge("Object Deleted", "a.jpg"))),
    "SQS of SNS, tags": records(sqs(sns_body(bridge("Object Tags Added", "a.jpg")))),
    "no records": records(),
}


@pytest.fixture(scope="module")
def aws() -> Iterator[SimpleNamespace]:
    asked: list[str] = []

    def respond(_: str, body: dict[str, Any]) -> Answer:
        reference = body["Image"]["S3Object"]
        assert reference["Bucket"] == "photos"
        asked.append("@".join(reference[name] for name in ("Name", "Version") if name in reference))
        code = REFUSALS.get(reference["Name"])
        return refusal(code) if code else (200, RESPONSES["RecognizeCelebrities"])

    with scripted_aws(respond) as server:
        yield SimpleNamespace(url=server.url, asked=asked)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lambda") / "log"


@pytest.fixture(scope="module")
def function(aws: SimpleNamespace, log: Path) -> Iterator[RuntimeApi]:
    own = {"MARQUEE_REKOGNITION_ENDPOINT_URL": aws.url, "MARQUEE_REKOGNITION_ATTEMPTS": "1", "AWS_REGION": "eu-west-1"}
    with lambda_function(HANDLER, log, **CREDENTIALS | own) as api:
        yield api


@pytest.mark.parametrize("kind", CREATED)
def test_a_created_object_is_recognized(function: RuntimeApi, aws: SimpleNamespace, kind: str) -> None:
    """Every form in which AWS says that an object was created leads to one paid call for it, and to a response."""
    event, expected = CREATED[kind]
    aws.asked.clear()
    outcome, response = function.invoke(event)
    assert outcome == "response"
    assert sorted(aws.asked) == sorted(expected)
    assert response.get("batchItemFailures", []) == []


@pytest.mark.parametrize(
    ("kind", "sender"),
    [
        ("direct", None),
        ("S3 put", "arn:aws:s3:::photos"),
        ("EventBridge", "arn:aws:s3:::photos"),
        ("SNS", "arn:aws:sns:x"),
        ("SQS", "arn:aws:sqs:us-east-1:123456789012:pictures"),
        ("EventBridge Pipes", "arn:aws:sqs:us-east-1:123456789012:pictures"),
        ("S3 Batch Operations 1.0", "f3cc4f60-61f6-4a2b-8a21-d07600c373ce"),
    ],
)
def test_every_line_says_what_sent_its_event(function: RuntimeApi, log: Path, kind: str, sender: str | None) -> None:
    """The queue, topic, bucket or job is the caller, and the request ID is that of Lambda's own lines."""
    before = log.stat().st_size
    function.invoke(CREATED[kind][0])
    (line,) = (json.loads(line) for line in log.read_bytes()[before:].splitlines() if b'"recognized"' in line)
    assert line["caller"] == sender
    assert re.fullmatch("[0-9a-f]{32}", line["request_id"])


@pytest.mark.parametrize("kind", NOTHING)
def test_anything_else_is_done_at_once(function: RuntimeApi, aws: SimpleNamespace, kind: str) -> None:
    """What else befalls an object costs no call and is no error."""
    aws.asked.clear()
    outcome, response = function.invoke(NOTHING[kind])
    assert (outcome, aws.asked) == ("response", [])
    assert response in ({"results": []}, {"batchItemFailures": []})


@pytest.mark.parametrize(
    "event",
    [
        *(None, "text", 5, {}, {"hello": "world"}, [{"hello": 1}], {"source": "aws.ec2", "detail-type": "x"}),
        {"bucket": "photos"},
        {"bucket": "photos", "object_name": 1},
        *({"bucket": "photos", "object_name": "a", "version": version} for version in (7, 0, False, [])),
        records({}),
        records(sns("Hello")),
        records(sqs(TEST), {"eventSource": "aws:sqs"}),
        job({"taskId": "t"}),
        {"invocationSchemaVersion": "3.0"},
    ],
    ids=str,
)
def test_other_events_are_refused(function: RuntimeApi, aws: SimpleNamespace, event: object) -> None:
    """An event of no known form is a ValueError that says which forms are known, or what its own form lacks."""
    aws.asked.clear()
    outcome, error = function.invoke(event)
    assert (outcome, error["errorType"], aws.asked) == ("error", "ValueError", [])
    assert any(hint in error["errorMessage"] for hint in ('"object_name": "KEY"', "messageId", "S3 Batch Operations"))


def test_one_missing_object_fails_no_other(function: RuntimeApi) -> None:
    """An object that S3 does not have is a result with an error; the others are recognized, and none is tried again."""
    outcome, response = function.invoke(records(s3("a.jpg"), s3("missing.jpg", versionId="v9"), s3("c.jpg")))
    assert outcome == "response"
    first, missing, last = response["results"]
    assert first["names"] == last["names"] != []
    for part in ("s3://photos/missing.jpg", "v9", "eu-west-1", "s3:GetObjectVersion"):
        assert part in missing["error"]


def test_a_passing_failure_fails_the_event(function: RuntimeApi) -> None:
    """The event fails so that Lambda sends it again; the message names only the object that failed."""
    outcome, error = function.invoke(records(s3("a.jpg"), s3("slow.jpg"), s3("missing.jpg")))
    assert (outcome, error["errorType"]) == ("error", "RecognitionFailed")
    assert "s3://photos/slow.jpg" in error["errorMessage"]
    assert "a.jpg" not in error["errorMessage"]


def test_only_messages_that_may_succeed_stay_in_the_queue(function: RuntimeApi) -> None:
    """Done are missing, unreadable and misnamed objects; throttling, permissions and riddles come back."""
    bodies = [records(s3(key)) for key in ("a.jpg", *(name.replace(" ", "+") for name in REFUSALS))]
    bodies += ["no JSON", "[" * 50_000, {"hello": 1}, records(s3("c.jpg"), s3("slow.jpg"))]
    _, response = function.invoke(records(*(sqs(body, number) for number, body in enumerate(bodies))))
    failed = {one["itemIdentifier"] for one in response["batchItemFailures"]}
    assert failed == {"m4", "m5", "m6", "m7", "m8", "m9"}


def test_a_job_gets_a_result_for_each_task(function: RuntimeApi) -> None:
    """A job learns the names, which failures are final, and that it may repeat the others."""
    event = job(*(task(key) for key in ("a.jpg", "missing.jpg", "broken.jpg", "slow.jpg", "denied.jpg")))
    _, response = function.invoke(copy.deepcopy(event))
    results = response.pop("results")
    assert response == {
        "invocationSchemaVersion": "1.0",
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": event["invocationId"],
    }
    assert [(one["taskId"], one["resultCode"]) for one in results] == [
        ("t0", "Succeeded"),
        ("t1", "PermanentFailure"),
        ("t2", "PermanentFailure"),
        ("t3", "TemporaryFailure"),
        ("t4", "PermanentFailure"),
    ]
    assert json.loads(results[0]["resultString"]) == ["Somebody"]
    assert "s3://photos/missing.jpg" in results[1]["resultString"]


def test_a_direct_call_says_what_to_check(function: RuntimeApi) -> None:
    """Whoever asks for an object that cannot be read learns its key, the region and the permission."""
    outcome, error = function.invoke({"bucket": "photos", "object_name": "missing.jpg"})
    assert (outcome, error["errorType"]) == ("error", "RecognitionFailed")
    for part in ("s3://photos/missing.jpg", "eu-west-1", "s3:GetObject "):
        assert part in error["errorMessage"]
