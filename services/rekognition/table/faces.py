"""The faces of a collection by person, in the table, since Rekognition cannot list the faces of a person.

One item a face: `pk` "face#" and the collection; `sk` the person_id, "/", and the digest of the file that was enrolled,
or the FaceId of a face that `collections index` found; `face_id`. A file's item also has its whole `sha256`, the S3
object that it was read from as `s3_object`, and when it was enrolled as `created`, unless an earlier version wrote it.
While IndexFaces may be running, `since` says since when, in seconds since 1970: if it was interrupted, the collection
may have a face whose `face_id` is not here.

One item a collection: `pk` "collection", `sk` its name; `created` as Rekognition has it, which tells it from an earlier
collection of that name; `indexed`, the start of the last complete reading of its faces; `started`, `next_page` and
`read` of a reading that is not complete.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.rekognition.table.client import ConditionFailed, Item, explained, query, query_prefix, write_batch

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CONTENT = "the faces of people"
_WRITING_SECONDS = 60
_PAGE = 1000


@dataclass(frozen=True)
class KnownFace:
    """A face of a person, or an IndexFaces whose outcome is not known."""

    key: str
    face_id: str
    """Empty if it is not known yet."""
    since: float
    """When the latest IndexFaces began, in seconds since 1970; 0 if its outcome is known."""
    sha256: str = ""
    """The file's SHA-256. Empty: unknown."""
    s3_object: Mapping[str, str] = field(default_factory=dict)
    """`bucket`, `key` and `version_id` of the S3 object that the file was read from. Empty: none, or unknown."""
    created: str = ""
    """When it was enrolled, in ISO 8601 with milliseconds, UTC. Empty: unknown."""

    @property
    def digest(self) -> str:
        """Digest of the file, or the FaceId of a face whose file is not known."""
        return self.key.partition("/")[2]


@dataclass(frozen=True)
class Reading:
    """How far a collection's faces have been read."""

    started: float
    """Seconds since 1970."""
    next_page: str = ""
    """Rekognition's token; empty: the first page."""
    read: int = 0
    is_complete: bool = False


class FaceIndex:
    """The faces of all collections. Methods block, and raise Misconfigured and DependencyUnavailable.

    Safe to share between threads and replicas: what one writes, the others read at once.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def begin(
        self, collection: str, person_id: str, digest: str, sha256: str = "", s3_object: Mapping[str, str] | None = None
    ) -> float:
        """Note that the file is being indexed, and where it comes from, before it is; return the time, for `cancel`."""
        now = round(time.time(), 3)
        values = {":since": _number(now), ":sha256": {"S": sha256}, ":s3_object": _map(s3_object or {})}
        update = "SET since = :since, sha256 = :sha256, s3_object = :s3_object"
        self._update(_face_key(collection, f"{person_id}/{digest}"), update, values)
        return now

    def record(self, collection: str, person_id: str, digest: str, face_id: str) -> None:
        """Note the face that the file became."""
        key = _face_key(collection, f"{person_id}/{digest}")
        values = {":face_id": {"S": face_id}, ":now": {"S": datetime.now(UTC).isoformat(timespec="milliseconds")}}
        self._update(key, "SET face_id = :face_id, created = :now REMOVE since", values)

    def cancel(self, collection: str, person_id: str, digest: str, since: float) -> None:
        """Note that the file became no face; what another call has noted of it since stays."""
        key = _face_key(collection, f"{person_id}/{digest}")
        mine = {":since": _number(since)}
        try:
            self._delete(key, "since = :since AND attribute_not_exists(face_id)", mine)
        except ConditionFailed:
            with suppress(ConditionFailed):
                self._update(key, "REMOVE since", mine, ConditionExpression="since = :since")

    def of_person(self, collection: str, person_id: str) -> list[KnownFace]:
        """Return all faces of the person."""
        return [_known(item) for item in self._faces(collection, f"{person_id}/")]

    def owners(self, collection: str, face_ids: Collection[str], sha256s: Collection[str]) -> set[str]:
        """Return the person_ids of all who have one of the faces, or one of a file. Reads all faces in the table."""
        values = {f":face{number}": {"S": one} for number, one in enumerate(face_ids)}
        values |= {f":file{number}": {"S": one} for number, one in enumerate(sha256s)}
        conditions = (f"{'face_id' if name.startswith(':face') else 'sha256'} = {name}" for name in values)
        with explained(self._table, _CONTENT):
            items = query(
                self._client,
                self._table,
                KeyConditionExpression="pk = :pk",
                FilterExpression=" OR ".join(conditions),
                ExpressionAttributeValues=values | {":pk": _face_key(collection, "")["pk"]},
                ConsistentRead=True,
            )
        return {item["sk"]["S"].partition("/")[0] for item in items}

    def forget(self, collection: str, face: KnownFace) -> bool:
        """Remove the face unless it has changed since it was read; return whether it is gone."""
        conditions = {"face_id": {"S": face.face_id} if face.face_id else None}
        conditions["since"] = _number(face.since) if face.since else None
        expression = " AND ".join(
            f"{name} = :{name}" if value else f"attribute_not_exists({name})" for name, value in conditions.items()
        )
        values = {f":{name}": value for name, value in conditions.items() if value}
        try:
            self._delete(_face_key(collection, face.key), expression, values)
        except ConditionFailed:
            return False
        return True

    def add(self, collection: str, faces: Iterable[tuple[str, str]]) -> None:
        """Add faces, each a person_id and a FaceId."""
        keys = dict.fromkeys(faces)
        self._write(
            {"PutRequest": {"Item": _face_key(collection, f"{person}/{face}") | {"face_id": {"S": face}}}}
            for person, face in keys
        )

    def indexed(self, collection: str, created: str) -> float | None:
        """Return when the last complete reading of the collection's faces began; None if there was none."""
        item = self._collection(collection, created)
        return float(item["indexed"]["N"]) if "indexed" in item else None

    def mark_empty(self, collection: str, created: str) -> None:
        """Note that the collection has no face but those that will be noted here."""
        item = _collection_key(collection) | {"created": {"S": created}, "indexed": _number(time.time())}
        with suppress(ConditionFailed):
            self._put(item, "attribute_not_exists(created) OR created <> :created", {":created": {"S": created}})

    def reading(self, collection: str, created: str) -> Reading:
        """Return the reading to go on with, or a new one."""
        item = self._collection(collection, created)
        if not item.get("next_page", {}).get("S"):
            return Reading(time.time())
        return Reading(float(item["started"]["N"]), item["next_page"]["S"], int(item["read"]["N"]))

    def save(self, collection: str, created: str, reading: Reading) -> None:
        """Note how far the faces have been read."""
        item = self._collection(collection, created) | _collection_key(collection)
        item |= {"created": {"S": created}, "started": _number(reading.started), "read": _number(reading.read)}
        item["next_page"] = {"S": reading.next_page}
        if reading.is_complete:
            item["indexed"] = item["started"]
        with explained(self._table, _CONTENT):
            self._client.put_item(TableName=self._table, Item=item)

    def remove_all(self, collection: str) -> None:
        """Remove all faces of the collection, and what is noted of it."""
        while items := self._faces(collection, "", _PAGE):
            self._write({"DeleteRequest": {"Key": _face_key(collection, item["sk"]["S"])}} for item in items)
        with explained(self._table, _CONTENT):
            self._client.delete_item(TableName=self._table, Key=_collection_key(collection))

    def _faces(self, collection: str, prefix: str, limit: int | None = None) -> list[Item]:
        with explained(self._table, _CONTENT):
            return query_prefix(
                self._client,
                self._table,
                _face_key(collection, "")["pk"],
                prefix,
                ConsistentRead=True,
                PaginationConfig={"MaxItems": limit, "PageSize": _PAGE},
            )

    def _collection(self, collection: str, created: str) -> Item:
        """Return what is noted of the collection; {} if it is of an earlier one of that name."""
        with explained(self._table, _CONTENT):
            response = self._client.get_item(
                TableName=self._table, Key=_collection_key(collection), ConsistentRead=True
            )
        item = dict(response.get("Item", {}))
        return item if item.get("created") == {"S": created} else {}

    def _put(self, item: Item, condition: str, values: Item) -> None:
        with explained(self._table, _CONTENT):
            self._client.put_item(
                TableName=self._table, Item=item, ConditionExpression=condition, ExpressionAttributeValues=values
            )

    def _update(self, key: Item, update: str, values: Item, **condition: Any) -> None:
        with explained(self._table, _CONTENT):
            self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression=update,
                ExpressionAttributeValues=values,
                **condition,
            )

    def _delete(self, key: Item, condition: str, values: Item) -> None:
        with explained(self._table, _CONTENT):
            self._client.delete_item(
                TableName=self._table, Key=key, ConditionExpression=condition, ExpressionAttributeValues=values
            )

    def _write(self, requests: Iterable[Mapping[str, Any]]) -> None:
        with explained(self._table, _CONTENT):
            write_batch(self._client, self._table, [dict(one) for one in requests], _WRITING_SECONDS)


def _known(item: Item) -> KnownFace:
    return KnownFace(
        key=item["sk"]["S"],
        face_id=item.get("face_id", {}).get("S", ""),
        since=float(item.get("since", {}).get("N", 0)),
        sha256=item.get("sha256", {}).get("S", ""),
        s3_object={name: value["S"] for name, value in item.get("s3_object", {}).get("M", {}).items()},
        created=item.get("created", {}).get("S", ""),
    )


def _map(values: Mapping[str, str]) -> Item:
    return {"M": {name: {"S": value} for name, value in values.items()}}


def _face_key(collection: str, face: str) -> Item:
    return {"pk": {"S": f"face#{collection}"}, "sk": {"S": face}}


def _collection_key(collection: str) -> Item:
    return {"pk": {"S": "collection"}, "sk": {"S": collection}}


def _number(value: float) -> Item:
    return {"N": str(value)}
