"""Whom a collection's faces belong to, in the table: names for people to read, and which pictures were enrolled.

Rekognition keeps an identifier with a face, and nothing that could be changed later. So one item a person
(`pk` "person#" and the collection, `sk` the person_id) holds the display name, when it was first enrolled,
and `faces`: a set of "digest of the file/FaceId", which concurrent writers add to without reading it.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.rekognition.table.client import explained, query

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEEPS = "the names of people"
_MOST_KEYS = 100
"""That BatchGetItem takes at once."""
_FRESH_SECONDS = 10
_MOST_NAMES = 10_000


@dataclass(frozen=True)
class KnownPerson:
    """Somebody who was enrolled."""

    person_id: str
    display_name: str
    created: datetime
    faces: Mapping[str, str] = field(default_factory=dict)
    """FaceIds by the digests of the files that they came from."""


class KnownPeople:
    """All who were enrolled. Methods block, and raise Misconfigured and DependencyUnavailable.

    Safe to share between threads; all replicas that share the table see the same people.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._names: dict[tuple[str, str], tuple[str, float]] = {}

    def get(self, collection: str, person_id: str) -> KnownPerson | None:
        """The person, if enrolled."""
        with explained(self._table, _KEEPS):
            answer = self._client.get_item(TableName=self._table, Key=_key(collection, person_id), ConsistentRead=True)
        return _person(answer["Item"]) if "Item" in answer else None

    def save(self, collection: str, person_id: str, display_name: str, faces: Mapping[str, str]) -> KnownPerson:
        """Adds the faces, and takes the name; returns the person as known from now on."""
        change: dict[str, Any] = {
            "UpdateExpression": "SET display_name = :name, created = if_not_exists(created, :now)",
            "ExpressionAttributeValues": {":name": {"S": display_name}, ":now": {"S": _now()}},
        }
        if faces:
            change["UpdateExpression"] += " ADD faces :faces"
            change["ExpressionAttributeValues"][":faces"] = _set(faces)
        with explained(self._table, _KEEPS):
            answer = self._client.update_item(
                TableName=self._table, Key=_key(collection, person_id), ReturnValues="ALL_NEW", **change
            )
        self._names.pop((collection, person_id), None)
        return _person(answer["Attributes"])

    def drop(self, collection: str, person_id: str, faces: Mapping[str, str]) -> None:
        """Knows the faces no longer."""
        with explained(self._table, _KEEPS):
            self._client.update_item(
                TableName=self._table,
                Key=_key(collection, person_id),
                UpdateExpression="DELETE faces :faces",
                ExpressionAttributeValues={":faces": _set(faces)},
            )

    def forget(self, collection: str, person_id: str) -> None:
        """Knows nothing of the person any longer."""
        with explained(self._table, _KEEPS):
            self._client.delete_item(TableName=self._table, Key=_key(collection, person_id))
        self._names.pop((collection, person_id), None)

    def forget_all(self, collection: str) -> None:
        """Knows nobody of the collection any longer."""
        while people := self.page(collection, "", _MOST_KEYS):
            for person in people:
                self.forget(collection, person.person_id)

    def page(self, collection: str, after: str, most: int) -> list[KnownPerson]:
        """So many at most, by person_id, behind `after`."""
        condition, values = "pk = :pk", {":pk": {"S": _partition(collection)}}
        if after:
            condition, values = f"{condition} AND sk > :after", values | {":after": {"S": after}}
        with explained(self._table, _KEEPS):
            items = query(
                self._client,
                self._table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
                PaginationConfig={"MaxItems": most, "PageSize": most},
            )
        return [_person(item) for item in items]

    def names(self, collection: str, person_ids: Iterable[str]) -> dict[str, str]:
        """The display names of those of them who were enrolled, as they were at most 10 seconds ago."""
        asked = dict.fromkeys(person_ids)
        unsure = [one for one in asked if self._names.get((collection, one), ("", 0.0))[1] < time.monotonic()]
        with explained(self._table, _KEEPS):
            for keys in _parts(unsure):
                self._look_up(collection, keys)
        known = {one: self._names.get((collection, one), ("", 0.0))[0] for one in asked}
        return {one: name for one, name in known.items() if name}

    def _look_up(self, collection: str, person_ids: list[str]) -> None:
        if len(self._names) > _MOST_NAMES:
            self._names = {}
        keys = [_key(collection, one) for one in person_ids]
        asked: Any = {self._table: {"Keys": keys, "ProjectionExpression": "sk, display_name"}}
        found = self._client.batch_get_item(RequestItems=asked)["Responses"].get(self._table, [])
        names = {item["sk"]["S"]: item["display_name"]["S"] for item in found}
        until = time.monotonic() + _FRESH_SECONDS
        self._names |= {(collection, one): (names.get(one, ""), until) for one in person_ids}


def _partition(collection: str) -> str:
    return f"person#{collection}"


def _key(collection: str, person_id: str) -> dict[str, Any]:
    return {"pk": {"S": _partition(collection)}, "sk": {"S": person_id}}


def _set(faces: Mapping[str, str]) -> dict[str, Any]:
    return {"SS": [f"{digest}/{face_id}" for digest, face_id in faces.items()]}


def _person(item: Mapping[str, Any]) -> KnownPerson:
    faces = (one.partition("/") for one in sorted(item.get("faces", {}).get("SS", [])))
    return KnownPerson(
        person_id=item["sk"]["S"],
        display_name=item["display_name"]["S"],
        created=datetime.fromisoformat(item["created"]["S"]),
        faces={digest: face_id for digest, _, face_id in faces},
    )


def _parts(keys: list[str]) -> Iterator[list[str]]:
    return (keys[start : start + _MOST_KEYS] for start in range(0, len(keys), _MOST_KEYS))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
