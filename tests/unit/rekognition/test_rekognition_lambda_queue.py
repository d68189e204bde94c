"""The Lambda function behind moto's SQS: what becomes of messages that today's budget does not pay for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.backends import get_backend

from local.stack import CREDENTIALS
from tests.support.aws import ACCOUNT, REGION, RuntimeApi, lambda_function, lambda_template, s3_store, scripted_aws
from tests.support.rekognition import respond

pytestmark = pytest.mark.slow

HANDLER = "services.rekognition.lambda_function.lambda_handler"
QUEUE = "pictures"
HOUR = 3600


@pytest.fixture(scope="module")
def aws() -> Iterator[SimpleNamespace]:
    with s3_store() as url, scripted_aws(respond) as rekognition:
        sqs = boto3.Session().client("sqs", endpoint_url=url)
        queue = sqs.create_queue(QueueName=QUEUE, Attributes={"VisibilityTimeout": "360"})["QueueUrl"]
        yield SimpleNamespace(url=url, sqs=sqs, queue=queue, rekognition=rekognition)
        sqs.delete_queue(QueueUrl=queue)
        sqs.close()


@contextmanager
def function(aws: SimpleNamespace, cap: str, **own: str) -> Iterator[RuntimeApi]:
    """Run the function with a daily cap in US dollars."""
    where = {"MARQUEE_REKOGNITION_ENDPOINT_URL": aws.rekognition.url, "AWS_ENDPOINT_URL_SQS": aws.url}
    with lambda_function(HANDLER, MARQUEE_REKOGNITION_DAILY_CAP_USD=cap, **CREDENTIALS | where | own) as api:
        yield api


def received(aws: SimpleNamespace, count: int) -> list[dict[str, Any]]:
    """Send messages to the queue; return the records of the event in which Lambda receives them."""
    for number in range(count):
        body = f'{{"bucket": "photos", "object_name": "{number}.jpg"}}'
        aws.sqs.send_message(QueueUrl=aws.queue, MessageBody=body)
    messages = [
        message
        for _ in range(count)
        for message in aws.sqs.receive_message(QueueUrl=aws.queue, MaxNumberOfMessages=10).get("Messages", ())
    ]
    assert len(messages) == count
    return [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}",
            "awsRegion": REGION,
        }
        for message in messages
    ]


def hidden_seconds() -> dict[str, float]:
    """Return for how long each message in the queue will not be received."""
    queue = get_backend("sqs")[ACCOUNT][REGION].queues[QUEUE]
    return {message.id: message.visible_at / 1000 - time.time() for message in queue._messages}


def failed(response: Any) -> set[str]:
    outcome, result = response
    assert outcome == "response"
    return {one["itemIdentifier"] for one in result["batchItemFailures"]}


def seconds_to_midnight() -> float:
    now = datetime.now(UTC)
    return 24 * HOUR - (now.hour * HOUR + now.minute * 60 + now.second)


def test_messages_beyond_the_cap_wait_until_it_renews(aws: SimpleNamespace) -> None:
    """The cap pays for three of 25 pictures; 22 come back at midnight UTC, or 11:45 hours later if that is sooner."""
    records = received(aws, 25)
    calls = len(aws.rekognition.requests)
    with function(aws, "0.003") as api:
        waiting = failed(api.invoke({"Records": records}))
    assert len(waiting) == 22
    assert len(aws.rekognition.requests) == calls + 3
    hidden = hidden_seconds()
    expected = min(seconds_to_midnight(), 11.75 * HOUR)
    # After midnight, in case it struck during the test, the full time is granted.
    assert all(abs(hidden[one] - expected) < 300 or abs(hidden[one] - 11.75 * HOUR) < 300 for one in waiting)


def test_messages_come_back_soon_if_they_cannot_be_put_off(aws: SimpleNamespace) -> None:
    """If SQS does not respond, the messages stay in the queue all the same, for its own visibility timeout."""
    records = received(aws, 1)
    with function(aws, "0", AWS_ENDPOINT_URL_SQS="http://127.0.0.1:9") as api:
        (waiting,) = failed(api.invoke({"Records": records}))
    assert hidden_seconds()[waiting] < 400


def test_the_queue_outlasts_twelve_days_of_a_spent_budget() -> None:
    """Being hidden until midnight, for 11:45 hours at a time, uses up a message's receipts only after 12 days."""
    resources = lambda_template()["Resources"]
    queue, function = (resources[name]["Properties"] for name in ("Pictures", "Recognize"))
    receipts, clock = 0, 0.0
    while clock < 12 * 24 * HOUR:
        receipts += 1
        clock += min(24 * HOUR - clock % (24 * HOUR), 11.75 * HOUR)
    assert receipts <= queue["RedrivePolicy"]["maxReceiveCount"]
    assert queue["MessageRetentionPeriod"] == 14 * 24 * HOUR
    assert queue["VisibilityTimeout"] == 6 * function["Timeout"]


def test_dead_letters_ring_an_alarm() -> None:
    """The alarm watches the queue to which messages go in the end, and one message is enough."""
    resources = lambda_template()["Resources"]
    alarm = resources["FailedAlarm"]["Properties"]
    assert resources["Pictures"]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"] == "Failed.Arn"
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "Failed.QueueName"}]
    assert (alarm["MetricName"], alarm["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 0)
