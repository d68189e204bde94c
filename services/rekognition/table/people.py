"""The people of a collection's faces, in the table: their display names, and the pictures that were enrolled.

Rekognition keeps an identifier with a face, and nothing that could be changed later. So one item a person
(`pk` "person#" and the collection, `sk` the person_id) holds the display name, when it was first enrolled,
and `faces`: a set of "digest of the file/FaceId", which concurrent writers add to without reading it.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.rekognition.table.client import ConditionFailed, explained, query, query_each, read_batch
from services.rekognition.table.faces import FaceIndex, KnownFace
from services.rekognition.table.names import NameIndex
from services.runtime.people import person_id_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CONTENT = "the names of people"
_MAX_KEYS = 100
"""Limit of BatchGetItem."""
_FRESH_SECONDS = 10
_MAX_NAMES = 10_000


def digest_of(sha256: str) -> str:
    """Return what faces are kept under: the first digits of the file's SHA-256."""
    return sha256[:32]


@dataclass(frozen=True)
class EnrolledPerson:
    """A person who was enrolled."""

    person_id: str
    display_name: str
    created: datetime
    entries: frozenset[str] = frozenset()
    """The faces as they are stored: "digest of the file/FaceId"."""

    @property
    def faces(self) -> dict[str, str]:
        """FaceIds by the digests of the files that they came from."""
        return {digest: face_id for digest, _, face_id in (one.partition("/") for one in sorted(self.entries))}

    @property
    def face_ids(self) -> set[str]:
        """All FaceIds."""
        return {one.partition("/")[2] for one in self.entries}

    def entries_of(self, face_ids: Collection[str]) -> dict[str, str]:
        """Return those of the faces, by digest."""
        entries = (one.partition("/") for one in self.entries)
        return {digest: face_id for digest, _, face_id in entries if face_id in face_ids}


class EnrolledPeople:
    """All who were enrolled. Methods block, and raise Misconfigured and DependencyUnavailable.

    Safe to share between threads; all replicas that share the table see the same people.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._names: dict[tuple[str, str], tuple[str, float]] = {}
        self.faces = FaceIndex(client, table)
        self._name_index = NameIndex(client, table)

    def get(self, collection: str, person_id: str) -> EnrolledPerson | None:
        """Return the person, if enrolled."""
        key = _key(collection, person_id)
        with explained(self._table, _CONTENT):
            response = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return _person(response["Item"]) if "Item" in response else None

    def known(self, collection: str, person_id: str) -> tuple[EnrolledPerson | None, list[KnownFace]]:
        """Return the person, if enrolled, and all of their faces. The first version noted those with the person."""
        faces, person = self.faces.of_person(collection, person_id), self.get(collection, person_id)
        noted = {f"{face.digest}/{face.face_id}" for face in faces}
        older = (entry.partition("/") for entry in sorted(person.entries - noted if person else ()))
        return person, [*faces, *(KnownFace(f"{person_id}/{digest}", face_id, 0) for digest, _, face_id in older)]

    def namesakes(self, collection: str, name_id: str) -> list[EnrolledPerson]:
        """Return the people whose display name makes this person_id, though theirs is another."""
        people = (self.get(collection, one) for one in self._name_index.of(collection, name_id))
        return [one for one in people if one and person_id_of(one.display_name) == name_id]

    def owners(self, collection: str, face_ids: Collection[str], sha256s: Collection[str]) -> set[str]:
        """Return the person_ids of all who have one of the faces, or one of a file. Reads everybody in the table."""
        digests = {digest_of(one) for one in sha256s}
        owners = self.faces.owners(collection, face_ids, sha256s)
        with explained(self._table, _CONTENT):
            people = query_each(
                self._client,
                self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": _partition(collection)}},
                ConsistentRead=True,
            )
            for person in map(_person, people):
                if not (person.face_ids.isdisjoint(face_ids) and digests.isdisjoint(person.faces)):
                    owners.add(person.person_id)
        return owners

    def save(self, collection: str, person_id: str, display_name: str, faces: Mapping[str, str]) -> EnrolledPerson:
        """Set the name and add the faces; return the person as stored."""
        now = _now()
        update: dict[str, Any] = {
            "UpdateExpression": "SET display_name = :name, created = if_not_exists(created, :now)",
            "ExpressionAttributeValues": {":name": {"S": display_name}, ":now": {"S": now}},
        }
        if faces:
            update["UpdateExpression"] += " ADD faces :faces"
            update["ExpressionAttributeValues"][":faces"] = _set(faces)
        self._name_index.add(collection, display_name, person_id)
        key = _key(collection, person_id)
        with explained(self._table, _CONTENT):
            response = self._client.update_item(TableName=self._table, Key=key, ReturnValues="ALL_OLD", **update)
        self._names.pop((collection, person_id), None)
        first = {"display_name": {"S": display_name}, "created": {"S": now}}
        before = _person(key | first | response.get("Attributes", {}))
        if before.display_name != display_name:
            self._forget_name(collection, before, display_name)
        return replace(before, display_name=display_name, entries=before.entries.union(_entries(faces)))

    def remove_faces(self, collection: str, person_id: str, faces: Mapping[str, str]) -> None:
        """Remove faces of the person, who stays known."""
        if not faces:
            return  # DynamoDB refuses an empty set
        with suppress(ConditionFailed), explained(self._table, _CONTENT):
            self._client.update_item(
                TableName=self._table,
                Key=_key(collection, person_id),
                UpdateExpression="DELETE faces :faces",
                ExpressionAttributeValues={":faces": _set(faces)},
                ConditionExpression="attribute_exists(sk)",  # or it would create somebody without a name
            )

    def remove(self, collection: str, person: EnrolledPerson) -> bool:
        """Remove the person unless faces were added since they were read; return whether they are gone."""
        unchanged: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(faces)"}
        if person.entries:
            unchanged["ConditionExpression"] += " OR faces = :faces"
            unchanged["ExpressionAttributeValues"] = {":faces": {"SS": sorted(person.entries)}}
        try:
            with explained(self._table, _CONTENT):
                self._client.delete_item(TableName=self._table, Key=_key(collection, person.person_id), **unchanged)
        except ConditionFailed:
            return False
        self._names.pop((collection, person.person_id), None)
        self._name_index.remove(collection, person.display_name, person.person_id)
        return True

    def remove_all(self, collection: str) -> None:
        """Remove everyone in the collection, with their faces."""
        self.faces.remove_all(collection)
        while people := self.page(collection, "", _MAX_KEYS):
            for person in people:
                self.remove(collection, person)
        self._name_index.remove_all(collection)

    def page(self, collection: str, after: str, limit: int) -> list[EnrolledPerson]:
        """Return at most `limit` people, by person_id, that follow `after`."""
        condition, values = "pk = :pk", {":pk": {"S": _partition(collection)}}
        if after:
            condition, values = f"{condition} AND sk > :after", values | {":after": {"S": after}}
        with explained(self._table, _CONTENT):
            items = query(
                self._client,
                self._table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
                PaginationConfig={"MaxItems": limit, "PageSize": limit},
            )
        return [_person(item) for item in items]

    def names(self, collection: str, person_ids: Iterable[str], seconds: float = 5) -> dict[str, str]:
        """Return the display names, at most 10 seconds old, of those of the people who were enrolled.

        `seconds` limits how long a table without throughput is asked again.
        """
        ids = list(dict.fromkeys(person_ids))
        stale = [one for one in ids if self._cached(collection, one)[1] < time.monotonic()]
        with explained(self._table, _CONTENT):
            for part in _parts(stale):
                self._look_up(collection, part, seconds)
        names = {one: self._cached(collection, one)[0] for one in ids}
        return {one: name for one, name in names.items() if name}

    def _forget_name(self, collection: str, before: EnrolledPerson, display_name: str) -> None:
        """Remove the name that the person had before, unless the new one makes the same person_id."""
        if person_id_of(before.display_name) != person_id_of(display_name):
            self._name_index.remove(collection, before.display_name, before.person_id)

    def _cached(self, collection: str, person_id: str) -> tuple[str, float]:
        """Return the name, and until when it is fresh on time.monotonic()'s clock."""
        return self._names.get((collection, person_id), ("", 0.0))

    def _look_up(self, collection: str, person_ids: list[str], seconds: float) -> None:
        if len(self._names) > _MAX_NAMES:
            self._names = {}
        keys = [_key(collection, one) for one in person_ids]
        items = read_batch(self._client, self._table, keys, "sk, display_name", seconds)
        names = {item["sk"]["S"]: item["display_name"]["S"] for item in items}
        until = time.monotonic() + _FRESH_SECONDS
        self._names |= {(collection, one): (names.get(one, ""), until) for one in person_ids}


def _partition(collection: str) -> str:
    return f"person#{collection}"


def _key(collection: str, person_id: str) -> dict[str, Any]:
    return {"pk": {"S": _partition(collection)}, "sk": {"S": person_id}}


def _set(faces: Mapping[str, str]) -> dict[str, Any]:
    return {"SS": _entries(faces)}


def _entries(faces: Mapping[str, str]) -> list[str]:
    return [f"{digest}/{face_id}" for digest, face_id in faces.items()]


def _person(item: Mapping[str, Any]) -> EnrolledPerson:
    return EnrolledPerson(
        person_id=item["sk"]["S"],
        display_name=item["display_name"]["S"],
        created=datetime.fromisoformat(item["created"]["S"]),
        entries=frozenset(item.get("faces", {}).get("SS", [])),
    )


def _parts(keys: list[str]) -> Iterator[list[str]]:
    return (keys[start : start + _MAX_KEYS] for start in range(0, len(keys), _MAX_KEYS))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
