"""Erasure: nothing is left of a picture, and it does not come back."""

import hashlib
import json
import logging
import uuid
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from tests.support.library import added, refused
from tests.support.servers import picture

NAME = "Ada Zaphod.jpg"
_FILL = """
INSERT INTO answer (answer_id, picture_id, recognizer, source, outcome, result)
  VALUES (gen_random_uuid(), $1, 'svm', 1, 1, $2);
INSERT INTO face (face_id, picture_id, position, state, person_id, display_name, verdict)
  VALUES (gen_random_uuid(), $1, 0, 1, $3, $3, $2);
INSERT INTO label (picture_id, position, name, score, content) VALUES ($1, 0, $3, 1, $2);
INSERT INTO text (picture_id, position, content, score, found) VALUES ($1, 0, $3, 1, $2);
INSERT INTO category (category_id, collection_id, name, folded_name) VALUES ($1, $4, 'kept', 'kept');
INSERT INTO picture_category (picture_id, category_id, source) VALUES ($1, $1, 2)
"""

_MANY = 5000
"""Objects that are one picture: more than a statement has parameters for, with each of what is known of them."""
_COPIES = """
INSERT INTO picture (picture_id, collection_id, state, redirect_id, taken_time_source)
  SELECT gen_random_uuid(), 1, $2, $1, 4 FROM generate_series(1, $3);
INSERT INTO place (place_id, picture_id, collection_id, kind, bucket, key, version_id, location)
  SELECT gen_random_uuid(), $1, 1, 1, 'b', n || '.jpg', 'v', sha256(n::text::bytea) FROM generate_series(1, $3) AS n
"""


async def fill(database: asyncpg.Connection, picture_id: str) -> None:
    """Give the picture a row in each table that may have one."""
    number = await database.fetchval("SELECT collection_id FROM picture WHERE picture_id = $1", uuid.UUID(picture_id))
    values = {"$1": f"'{picture_id}'", "$2": f"'{NAME}'::bytea", "$3": f"'{NAME}'", "$4": str(number)}
    script = _FILL.replace("VALUES ($1, $4, 'kept'", f"VALUES ('{uuid.uuid4()}', $4, 'kept'")
    script = script.replace("VALUES ($1, $1, 2)", "SELECT $1, category_id, 2 FROM category")
    for key, value in values.items():
        script = script.replace(key, value)
    await database.execute(script)


async def traces(database: asyncpg.Connection, *marks: str) -> dict[str, int]:
    """Return the tables in which any of the texts is found, also as bytes, with the number of their rows."""
    tables = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    forms = [form for mark in marks for form in (mark, mark.encode().hex())]
    found = {}
    for table in (row["tablename"] for row in tables):
        rows = await database.fetch(f'SELECT t::text AS row FROM "{table}" AS t')  # noqa: S608 - a table's name
        if count := sum(any(form in row["row"] for form in forms) for row in rows):
            found[table] = count
    return found


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_nothing_of_an_erased_picture_is_left(
    client: LibraryServiceStub, database: asyncpg.Connection, tmp_path: Path
) -> None:
    """Its id, hash and name are in no table but the receipt, and the event that tells of it; its file is gone."""
    kept = await added(client, picture((9, 9)), path="other.jpg")
    shown = await added(client, path=f"folder/{NAME}", request_id="r")
    await fill(database, shown.picture_id)
    marks = (shown.picture_id, shown.sha256, NAME)
    everywhere = {"answer", "event", "face", "job", "label", "picture", "picture_category", "place", "request", "text"}
    assert set(await traces(database, *marks)) == everywhere
    receipt = (await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))).receipt
    assert await traces(database, *marks) == {"receipt": 1, "event": 1}
    assert await traces(database, NAME.partition(".")[0]) == {"receipt": 1}
    assert files(tmp_path / "store") == [kept.sha256]
    assert dict(receipt.erased) == dict.fromkeys(everywhere, 1)
    assert [one.rpartition("/")[2] for one in receipt.objects] == [shown.sha256]
    assert f"File: folder/{NAME}, where it was sent from." in receipt.beyond_reach
    assert (await client.GetPicture(pb.GetPictureRequest(picture_id=kept.picture_id))).picture == kept


async def test_an_erased_picture_does_not_come_back(client: LibraryServiceStub, tmp_path: Path) -> None:
    """Its bytes are refused, by whatever name and with the request_id of before; in another collection they are not."""
    shown = await added(client, request_id="r", path=NAME)
    await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))
    image = recognizer_pb2.Image(content=picture())
    for fields in ({"request_id": "r", "path": NAME}, {"path": "renamed.jpg"}):
        code = await refused(client.AddImage(pb.AddImageRequest(image=image, **fields)))
        assert code == ("FAILED_PRECONDITION", "PICTURE_ERASED")
    assert files(tmp_path / "store") == []
    assert (await added(client, collection="other")).sha256 == shown.sha256


async def test_erasing_twice_returns_the_receipt(client: LibraryServiceStub) -> None:
    """Whoever asks again, with the same request_id or another, learns what was erased the first time."""
    key = {"picture_id": (await added(client)).picture_id}
    first = await client.ErasePicture(pb.ErasePictureRequest(request_id="a", **key))
    assert first.receipt.objects
    assert await client.ErasePicture(pb.ErasePictureRequest(request_id="a", **key)) == first
    assert await client.ErasePicture(pb.ErasePictureRequest(request_id="b", **key)) == first
    assert await refused(client.GetPicture(pb.GetPictureRequest(**key))) == ("NOT_FOUND", "PICTURE_NOT_FOUND")
    assert await refused(client.UndeletePicture(pb.UndeletePictureRequest(**key))) == ("NOT_FOUND", "PICTURE_NOT_FOUND")


async def test_erasing_skips_the_trash_and_empties_it(client: LibraryServiceStub) -> None:
    """A picture in the trash is erased like any other."""
    key = {"picture_id": (await added(client)).picture_id}
    await client.DeletePicture(pb.DeletePictureRequest(**key))
    receipt = (await client.ErasePicture(pb.ErasePictureRequest(**key))).receipt
    assert receipt.picture_id == key["picture_id"]


async def test_redirects_go_with_what_they_lead_to(client: LibraryServiceStub, database: asyncpg.Connection) -> None:
    """A picture is erased by any id that it was given, and none of them leads anywhere after."""
    shown, other = await added(client), await added(client, picture((9, 9)))
    await database.execute(
        "UPDATE picture SET redirect_id = $1, sha256 = NULL WHERE picture_id = $2",
        uuid.UUID(shown.picture_id),
        uuid.UUID(other.picture_id),
    )
    receipt = (await client.ErasePicture(pb.ErasePictureRequest(picture_id=other.picture_id))).receipt
    assert receipt.picture_id == shown.picture_id
    assert receipt.erased["picture"] == 2
    for one in (shown, other):
        code = await refused(client.GetPicture(pb.GetPictureRequest(picture_id=one.picture_id)))
        assert code == ("NOT_FOUND", "PICTURE_NOT_FOUND")


async def test_a_picture_that_is_found_everywhere_is_erased(
    client: LibraryServiceStub, database: asyncpg.Connection
) -> None:
    """However many objects are one picture, it is erased with all of them, and none comes back."""
    shown = await added(client)
    own = {"$1": f"'{shown.picture_id}'::uuid", "$2": str(pb.PICTURE_STATE_PENDING), "$3": str(_MANY)}
    script = _COPIES
    for key, value in own.items():
        script = script.replace(key, value)
    await database.execute(script)
    receipt = (await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))).receipt
    assert (receipt.erased["picture"], receipt.erased["place"]) == (_MANY + 1, _MANY)
    assert await database.fetchval("SELECT count(*) FROM tombstone") == 1 + 2 * _MANY
    assert await database.fetchval("SELECT count(*) FROM picture") == 0


async def test_events_stay_without_the_picture(client: LibraryServiceStub, database: asyncpg.Connection) -> None:
    """Events before are empty; the last one names the picture, so that whoever follows them erases their copies."""
    shown = await added(client)
    receipt = (await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))).receipt
    events = [(row["type"], row["picture_id"], row["data"]) for row in await database.fetch("SELECT * FROM event")]
    data = {"receipt_id": receipt.receipt_id, "reason": "request"}
    assert events == [
        ("picture.added", None, {}),
        ("picture.erased", uuid.UUID(shown.picture_id), data),
    ]


async def test_a_receipt_names_exports(client: LibraryServiceStub, database: asyncpg.Connection) -> None:
    """Exports since the picture was added are named, unless their query cannot have found it; hashes leave them."""
    shown = await added(client)
    own = pb.PictureQuery(sha256=shown.sha256).SerializeToString()
    other = pb.PictureQuery(sha256=hashlib.sha256(b"").hexdigest()).SerializeToString()
    late = pb.PictureQuery(added=pb.TimeRange(begin={"seconds": shown.create_time.seconds + 1})).SerializeToString()
    add = "INSERT INTO export (export_id, collection_id, query, end_time, caller) VALUES ($1, 1, $2, now() + $3, 'ada')"
    ids = [uuid.uuid4() for _ in range(5)]
    for export_id, query, age in zip(ids, (own, other, late, b"", b""), (0, 0, 0, 0, -3600), strict=True):
        await database.execute(add, export_id, query, timedelta(seconds=age))
    receipt = (await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))).receipt
    assert {(one.export_id, one.caller) for one in receipt.exports} == {(str(ids[n]), "ada") for n in (0, 3)}
    assert "export" not in await traces(database, shown.sha256)


async def test_a_receipt_names_exports_of_redirects(client: LibraryServiceStub, database: asyncpg.Connection) -> None:
    """An export that had one of a picture's redirects before the picture was added is named, too."""
    shown, other = await added(client), await added(client, picture((9, 9)))
    await database.execute(
        "UPDATE picture SET redirect_id = $1, sha256 = NULL, create_time = now() - interval '2 days' "
        "WHERE picture_id = $2",
        uuid.UUID(shown.picture_id),
        uuid.UUID(other.picture_id),
    )
    add = "INSERT INTO export (export_id, collection_id, query, end_time) VALUES ($1, 1, $2, now() - $3::interval)"
    then = {"seconds": shown.create_time.seconds - 3600}
    early = pb.PictureQuery(added=pb.TimeRange(end=then)).SerializeToString()
    late = pb.PictureQuery(added=pb.TimeRange(begin={"seconds": shown.create_time.seconds + 1})).SerializeToString()
    ids = [uuid.uuid4() for _ in range(4)]
    for export_id, query, age in zip(ids, (b"", early, late, b""), (1, 0, 0, 3), strict=True):
        await database.execute(add, export_id, query, timedelta(days=age))
    receipt = (await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))).receipt
    assert {one.export_id for one in receipt.exports} == {str(ids[0]), str(ids[1])}


async def test_a_hash_in_capitals_is_a_hash(client: LibraryServiceStub, database: asyncpg.Connection) -> None:
    """An export of one picture by its hash is named, and forgets the hash, however that was written."""
    shown = await added(client)
    request = pb.ExportPicturesRequest(query=pb.PictureQuery(sha256=shown.sha256.upper()))
    (piece,) = [piece async for piece in client.ExportPictures(request)]
    assert piece.picture_count == 1
    receipt = (await client.ErasePicture(pb.ErasePictureRequest(picture_id=shown.picture_id))).receipt
    assert [one.export_id for one in receipt.exports] == [piece.export_id]
    assert "export" not in await traces(database, shown.sha256.upper())


async def test_erasures_are_in_the_audit_log(client: LibraryServiceStub, caplog: pytest.LogCaptureFixture) -> None:
    """A line says who erased what, by ids alone, and which receipt tells the rest."""
    shown = await added(client, path=NAME)
    with caplog.at_level(logging.INFO, "marquee.audit"):
        request = pb.ErasePictureRequest(picture_id=shown.picture_id)
        receipt = (await client.ErasePicture(request)).receipt
    (line,) = [json.loads(one.getMessage()) for one in caplog.records if one.name == "marquee.audit"]
    expected = {"action": "erased", "caller": "anonymous", "collection": "pictures", "reason": "request"}
    assert line.items() >= (expected | {"picture_id": shown.picture_id, "receipt_id": receipt.receipt_id}).items()
    assert NAME not in str(line)
