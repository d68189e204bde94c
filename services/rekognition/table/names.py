"""The people by name, in the table, where their person_id was not made from it.

One item each: `pk` "name#" and the collection; `sk` the person_id that the name makes, "/", and the person's own. It is
a hint alone, written before the person and removed after them: the person's item says what they are called.
"""

from typing import TYPE_CHECKING

from services.rekognition.table.client import Item, explained, query_prefix, write_batch
from services.runtime.people import person_id_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CONTENT = "the names of people"
_WRITING_SECONDS = 60


class NameIndex:
    """The names of all collections. Methods block, and raise Misconfigured and DependencyUnavailable."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def add(self, collection: str, display_name: str, person_id: str) -> None:
        """Note the person's name, unless it makes their person_id."""
        if person_id_of(display_name) != person_id:
            with explained(self._table, _CONTENT):
                self._client.put_item(TableName=self._table, Item=_key(collection, display_name, person_id))

    def remove(self, collection: str, display_name: str, person_id: str) -> None:
        """Remove the person's name, if noted."""
        if person_id_of(display_name) != person_id:
            with explained(self._table, _CONTENT):
                self._client.delete_item(TableName=self._table, Key=_key(collection, display_name, person_id))

    def of(self, collection: str, name_id: str) -> list[str]:
        """Return the person_ids of those who may have a name that makes the person_id `name_id`."""
        return [item["sk"]["S"].partition("/")[2] for item in self._items(collection, f"{name_id}/")]

    def remove_all(self, collection: str) -> None:
        """Remove all names of the collection."""
        keys = [{"pk": item["pk"], "sk": item["sk"]} for item in self._items(collection, "")]
        with explained(self._table, _CONTENT):
            write_batch(self._client, self._table, [{"DeleteRequest": {"Key": key}} for key in keys], _WRITING_SECONDS)

    def _items(self, collection: str, prefix: str) -> list[Item]:
        with explained(self._table, _CONTENT):
            return query_prefix(self._client, self._table, _partition(collection), prefix, ConsistentRead=True)


def _partition(collection: str) -> Item:
    return {"S": f"name#{collection}"}


def _key(collection: str, display_name: str, person_id: str) -> Item:
    return {"pk": _partition(collection), "sk": {"S": f"{person_id_of(display_name)}/{person_id}"}}
