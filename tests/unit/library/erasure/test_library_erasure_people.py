"""Erasing a person: nothing of them is found, and they come back neither by recognizers nor by a backup."""

import io
import json
import tarfile
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from local import postgres as server
from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from tests.support.library import added, ended, get, refused, rows
from tests.support.library_faces import embedded, embedding
from tests.support.library_people import library_of
from tests.support.servers import Scripted, picture

ADA, GRACE = "Ada Lovelace", "Grace Hopper"
VECTOR = [0.123, -0.456, 0.789, 0.321]
LEFT, RIGHT = (0.1, 0.2, 0.3, 0.5), (0.6, 0.2, 0.3, 0.5)


def recognizer() -> Scripted:
    """Return a recognizer that always sees both."""
    return embedding("svm", embedded(LEFT, VECTOR, ADA), embedded(RIGHT, [0.9, 0.1, 0.2, 0.3], GRACE))


async def person(people: PeopleServiceStub, name: str) -> pb.LibraryPerson:
    (found,) = (await people.SearchPeople(pb.SearchPeopleRequest(text=name))).people
    return found


async def dump(url: str) -> dict[str, bytes]:
    """Return all rows as text, with the bytes of those columns that are bytes."""
    connection = await asyncpg.connect(url)
    found = {}
    try:
        for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            name = row["tablename"]
            records = await connection.fetch(f'SELECT t.*, to_jsonb(t)::text AS whole FROM "{name}" AS t')  # noqa: S608
            parts = [one if isinstance(one, bytes) else str(one).encode() for record in records for one in record]
            found[name] = b"\n".join(parts)
    finally:
        await connection.close()
    return found


async def test_nothing_of_an_erased_person_is_found(database_url: str, tmp_path: Path) -> None:
    """No table and no file has their name, identifiers or vector; others stay, and a new picture shows a stranger."""
    async with library_of(database_url, tmp_path / "store", recognizer()) as (client, people):
        shown = await ended(client, (await added(client)).picture_id)
        ada = await person(people, "ada")
        change = pb.UpdatePersonRequest(person_id=ada.person_id, aliases=pb.Aliases(names=["Enchantress"]))
        await people.UpdatePerson(change)
        face_id = next(one.face_id for one in shown.faces if one.display_name == ADA)
        await people.NameFaces(pb.NameFacesRequest(person_id=ada.person_id, face_ids=[face_id], request_id="n"))
        await people.GetPerson(pb.GetPersonRequest(person_id=ada.person_id))
        query = f"SELECT vector::text FROM face_vector WHERE face_id = '{face_id}'"  # noqa: S608
        ((vector,),) = await rows(database_url, query)
        receipt = (await people.ErasePerson(pb.ErasePersonRequest(person_id=ada.person_id))).receipt
        assert receipt.complete, receipt
        found = await dump(database_url)
        for needle in (ADA, "Enchantress", "ada-lovelace", ada.person_id, vector):
            where = {name for name, content in found.items() if str(needle).encode() in content}
            assert where <= {"person_receipt"}, (needle, where)
        after = await get(client, shown.picture_id)
        assert sorted(one.display_name for one in after.faces) == ["", GRACE]
        erased = next(one for one in after.faces if one.face_id == face_id)
        assert erased.state == library_pb2.FACE_STATE_ERASED
        assert erased.verdict.HasField("box")
        other = await ended(client, (await added(client, picture((50, 40)))).picture_id)
        assert sorted(one.display_name for one in other.faces) == ["", GRACE]
        again = (await people.ErasePerson(pb.ErasePersonRequest(person_id=ada.person_id))).receipt
        assert again == receipt
        query = library_pb2.SearchPicturesRequest(query=library_pb2.PictureQuery(text="lovelace"))
        assert not (await client.SearchPictures(query)).pictures


async def test_a_restored_backup_has_no_erased_person(database_url: str, postgres: Path, tmp_path: Path) -> None:
    """Who was erased since a backup is erased again before the restored library serves, and so are pictures."""
    log = {"library_erasure_log": (tmp_path / "log").as_uri()}
    name = f"r{uuid.uuid4().hex}"
    async with library_of(database_url, tmp_path / "store", recognizer(), **log) as (client, people):
        await ended(client, (await added(client)).picture_id)
        gone = await ended(client, (await added(client, picture((50, 40)))).picture_id)
        ada = await person(people, "ada")
    own = urlsplit(database_url).path.removeprefix("/")
    await execute(server.url(postgres), f"CREATE DATABASE {name} TEMPLATE {own}")
    try:
        async with library_of(database_url, tmp_path / "store", recognizer(), **log) as (client, people):
            await people.ErasePerson(pb.ErasePersonRequest(person_id=ada.person_id))
            await client.ErasePicture(library_pb2.ErasePictureRequest(picture_id=gone.picture_id))
        logged = b"".join(one.read_bytes() for one in (tmp_path / "log").rglob("*") if one.is_file())
        assert logged
        assert ADA.encode() not in logged
        assert ada.person_id.encode() not in logged
        url = server.url(postgres, name)
        async with library_of(url, tmp_path / "store", recognizer(), **log) as (client, people):
            assert not (await people.SearchPeople(pb.SearchPeopleRequest(text="ada"))).people
            assert await refused(get(client, gone.picture_id)) == ("NOT_FOUND", "PICTURE_NOT_FOUND")
            found = await dump(url)
            assert not {name for name, content in found.items() if ADA.encode() in content} - {"person_receipt"}
    finally:
        await execute(server.url(postgres), f"DROP DATABASE {name} WITH (FORCE)")


async def test_all_that_is_held_is_exported_and_audited(database_url: str, tmp_path: Path) -> None:
    """An export has the person, their faces and what was said of them; the audit says who had it."""
    async with library_of(database_url, tmp_path / "store", recognizer()) as (client, people):
        await ended(client, (await added(client)).picture_id)
        ada = await person(people, "ada")
        call = people.ExportPerson(pb.ExportPersonRequest(person_id=ada.person_id))
        content = b"".join([one.content async for one in call])
        with tarfile.open(fileobj=io.BytesIO(content)) as file:
            names = file.getnames()
            whole = json.load(file.extractfile("person.json"))  # type: ignore[arg-type]
            assert whole["person"]["display_name"] == ADA
            (answer,) = file.extractfile("answers.jsonl").read().splitlines()  # type: ignore[union-attr]
        assert json.loads(answer)["candidates"][0]["display_name"] == ADA
        assert len([one for one in names if one.startswith("faces/")]) == 1
        (audit,) = (await people.ListAudits(pb.ListAuditsRequest(person_id=ada.person_id))).audits
        assert (audit.method, audit.person_id) == ("ExportPerson", ada.person_id)


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()
