"""`marquee library import`: the answers of the Lambda function's table."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.aws import dynamodb, table
from tests.support.client import lines_of
from tests.unit.library.client.conftest import Command

_URL = "dynamodb://results"


@pytest.fixture
def items(aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:  # noqa: ARG001 - sets the environment
    """Run DynamoDB with a table of two answers, one that is none, and one of a bucket that is not allowed."""
    with dynamodb() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        client = boto3.Session().client("dynamodb")
        with table(client, "results", object="HASH", version="RANGE"):
            for place in ("photos/a.jpg", "photos/b.jpg", "secret/c.jpg", "nowhere"):
                client.put_item(TableName="results", Item=_item(place))
            yield client
        client.close()


def _item(place: str) -> dict[str, Any]:
    anna = {"M": {"name": {"S": "Anna"}, "confidence": {"N": "99.5"}}}
    return {
        "object": {"S": f"s3://{place}"},
        "version": {"S": "null"},
        "names": {"L": [anna]},
        "recognized": {"S": "2024-02-29T12:00:00+00:00"},
    }


async def test_a_table_is_imported_once(command: Command, items: Any) -> None:  # noqa: ARG001 - runs the table
    """Answers are imported, again they are known, and what is refused or unreadable is named and makes the code 1."""
    looked = await command("import", _URL, "--dry-run")
    assert lines_of(looked) == ["4 items: 3 would be sent, 1 cannot be read. Nothing was sent."]
    first = await command("import", _URL)
    assert first.exit_code == 1
    assert lines_of(first) == ["4 items: 2 imported, 0 known or older, 1 refused, 1 cannot be read"]
    assert "s3://nowhere" in first.stderr
    assert "s3://secret/c.jpg: " in first.stderr
    again = json.loads((await command("import", _URL, "-o", "json")).stdout)
    assert (again["imported"], again["known"]) == (0, 2)
    found = await command("search", "--person", "anna", "--state", "imported", "-o", "json")
    assert sorted(json.loads(line)["file_name"] for line in found.stdout.splitlines()) == ["a.jpg", "b.jpg"]
    assert await asyncio.to_thread(lambda: list(Path().iterdir())) == []


async def test_an_import_goes_on_where_it_was(command: Command, items: Any, address: str) -> None:  # noqa: ARG001 - likewise
    """A file of progress is used for the same import alone; a table that is not there is said."""
    purpose = f"{_URL} as answers of rekognition to the default collection of {address}"
    kept = {"purpose": purpose, "position": None, "items": 7}
    await asyncio.to_thread(Path("kept.json").write_text, json.dumps(kept))
    on = await command("import", _URL, "--progress", "kept.json")
    assert on.stderr.startswith("Going on after 7 items, as kept.json says.")
    await asyncio.to_thread(Path("kept.json").write_text, json.dumps(kept | {"purpose": "another"}))
    other = await command("import", _URL, "--progress", "kept.json")
    assert (other.exit_code, "kept.json is of another import" in other.stderr) == (1, True)
    for option in (("--collection", "a"), ("--recognizer", "svm"), ("--fetch",), ("--address", "127.0.0.1:1")):
        await asyncio.to_thread(Path("kept.json").write_text, json.dumps(kept))
        other = await command("import", _URL, "--progress", "kept.json", *option)
        assert (other.exit_code, "kept.json is of another import" in other.stderr) == (1, True), option
    missing = await command("import", "dynamodb://nothing")
    assert (missing.exit_code, "your account has no such table" in missing.stderr) == (1, True)
