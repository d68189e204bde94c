"""People: created, found, changed, deleted."""

from uuid import UUID

import pytest

from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from services.library.database.change import Changes
from services.library.database.database import Database
from services.library.people.people import follow_some
from tests.support.library import refused, rows, run_sql
from tests.support.servers import LEFT, RIGHT
from tests.unit.library.people.conftest import Album


def update(person_id: str, **fields: object) -> pb.UpdatePersonRequest:
    return pb.UpdatePersonRequest(person_id=person_id, **fields)


async def person(album: Album, person_id: str) -> pb.LibraryPerson:
    return (await album.people.GetPerson(pb.GetPersonRequest(person_id=person_id))).person


async def found(album: Album, **fields: object) -> list[str]:
    response = await album.people.SearchPeople(pb.SearchPeopleRequest(**fields))
    return [one.display_name for one in response.people]


async def pictures(album: Album, **people: object) -> set[str]:
    """Return the pictures that are found by people."""
    query = library_pb2.PictureQuery(people=library_pb2.PeopleFilter(**people))
    response = await album.library.SearchPictures(library_pb2.SearchPicturesRequest(query=query))
    return {one.picture_id for one in response.pictures}


async def test_a_person_is_created_of_faces(album: Album) -> None:
    """The faces show them from then on, decided; aliases are kept once each, and the largest face is the cover."""
    one, other = await album.add((LEFT, "Ada"), (RIGHT, ""))
    request = pb.CreatePersonRequest(display_name="Cy", aliases=["Cyril", "CYRIL", "cy"], face_ids=[other])
    made = (await album.people.CreatePerson(request)).person
    assert (made.display_name, list(made.aliases), made.face_count, made.decided_count) == ("Cy", ["Cyril"], 1, 1)
    assert (made.cover_face_id, made.collection, UUID(made.person_id).version) == (other, "pictures", 7)
    assert await album.shows(one, other) == ["Ada", "Cy"]
    shown = await album.face(other)
    assert (shown.person_id, shown.score, shown.source) == (
        made.person_id,
        1,
        library_pb2.ASSIGNMENT_SOURCE_DECISION,
    )
    assert await person(album, made.person_id) == made


async def test_a_recognizer_s_person_is_one_of_the_library(album: Album) -> None:
    """Who is recognized becomes a person, once, who knows what the recognizer calls them."""
    (one,) = await album.add((LEFT, "Ada"))
    (other,) = await album.add((LEFT, "Ada"))
    shown = await album.face(one)
    assert (shown.display_name, shown.source) == ("Ada", library_pb2.ASSIGNMENT_SOURCE_RECOGNIZERS)
    ada = await person(album, shown.person_id)
    assert (ada.face_count, ada.decided_count) == (2, 0)
    assert [bool(one.external_id) for one in ada.identities] == [True]
    assert (await album.face(other)).person_id == ada.person_id


async def test_what_is_no_person_is_refused(album: Album) -> None:
    """A person needs a name and faces that are there; nothing is made of a call that is refused."""
    (face_id,) = await album.add((LEFT, ""))
    for fields, reason in (
        ({}, "INVALID_REQUEST"),
        ({"display_name": " \t"}, "INVALID_REQUEST"),
        ({"display_name": "A", "aliases": [""]}, "INVALID_REQUEST"),
        ({"display_name": "A", "face_ids": [face_id, "1"]}, "FACE_NOT_FOUND"),
        ({"display_name": "A", "face_ids": [face_id], "collection": "other"}, "FACE_NOT_FOUND"),
    ):
        assert (await refused(album.people.CreatePerson(pb.CreatePersonRequest(**fields))))[1] == reason
    for unknown in ("", "1", face_id):
        assert (await refused(album.people.GetPerson(pb.GetPersonRequest(person_id=unknown))))[1] == "PERSON_NOT_FOUND"
    assert await found(album) == []
    assert await rows(album.url, "SELECT 1 FROM action") == []


async def test_people_are_found_by_beginnings_of_names(album: Album) -> None:
    """Words of a name or an alias in any case and order find people; the hidden ones only if asked for."""
    for name, aliases in (("Änne O'Brien", ["Mrs. Smith-Jones"]), ("王秀英", []), ("100% Bob_", []), ("Анна", ["A"])):
        await album.create(name, aliases=aliases)
    for text, names in (
        ("brien ann", ["Änne O'Brien"]),
        ("jones", ["Änne O'Brien"]),
        ("smith obr", []),
        ("nne", []),
        ("秀英", ["王秀英"]),
        ("анн", ["Анна"]),
        ("%", []),
        ("100", ["100% Bob_"]),
        ("bob", ["100% Bob_"]),
    ):
        assert (text, await found(album, text=text)) == (text, names)
    everybody = ["100% Bob_", "Änne O'Brien", "Анна", "王秀英"]
    assert await found(album) == everybody
    first = await album.people.SearchPeople(pb.SearchPeopleRequest(page_size=3))
    rest = await album.people.SearchPeople(pb.SearchPeopleRequest(page_size=3, page_token=first.next_page_token))
    assert [one.display_name for one in (*first.people, *rest.people)] == everybody
    await album.people.UpdatePerson(update(first.people[0].person_id, hidden=True))
    assert await found(album) == everybody[1:]
    assert await found(album, include_hidden=True) == everybody


async def test_a_renamed_person_has_the_name_in_all_pictures(album: Album) -> None:
    """Pictures are found by the new name and the aliases, and by the identifiers as before; not by the old name."""
    (face_id,) = await album.add((LEFT, "Ada"))
    shown = await album.face(face_id)
    picture_id = await album.picture_of(face_id)
    (called,) = [one.external_id for one in (await person(album, shown.person_id)).identities]
    fields = {"display_name": "Countess", "aliases": pb.Aliases(names=["Lovelace"])}
    await album.people.UpdatePerson(update(shown.person_id, **fields))
    assert await album.shows(face_id) == ["Countess"]
    for entry in ("countess", "LOVELACE", shown.person_id, called):
        for name in ("all_of", "any_of", "only"):
            assert (entry, name, await pictures(album, **{name: [entry]})) == (entry, name, {picture_id})
        assert await pictures(album, none_of=[entry]) == set()
    for text, count in (("lovel", 1), ("countess", 1), ("ada", 0)):
        request = library_pb2.SearchPicturesRequest(query=library_pb2.PictureQuery(text=text))
        assert (text, len((await album.library.SearchPictures(request)).pictures)) == (text, count)
    assert await pictures(album, only=["nobody"]) == set()
    assert called == "Ada" or await pictures(album, all_of=["Ada"]) == set()


async def test_a_stale_etag_changes_nothing(album: Album) -> None:
    """Who has seen an earlier state is ABORTED; the etag follows name, aliases, cover and hidden."""
    (face_id,) = await album.add((LEFT, ""))
    cy = await person(album, await album.create("Cy", face_id))
    etags = {cy.etag}
    for fields in (
        {"display_name": "Cyril"},
        {"aliases": pb.Aliases(names=["C"])},
        {"hidden": True},
        {"cover_face_id": face_id},
    ):
        etags.add((await album.people.UpdatePerson(update(cy.person_id, **fields))).person.etag)
    assert len(etags) == 5
    for call in (
        album.people.UpdatePerson(update(cy.person_id, etag=cy.etag, hidden=False)),
        album.people.DeletePerson(pb.DeletePersonRequest(person_id=cy.person_id, etag=cy.etag)),
        album.people.MergePeople(
            pb.MergePeopleRequest(person_id=cy.person_id, etag=cy.etag, merged_ids=[cy.person_id])
        ),
    ):
        assert await refused(call) == ("ABORTED", "ETAG_STALE")
    assert (await person(album, cy.person_id)).hidden


async def test_the_cover_is_one_of_the_person_s_faces(album: Album) -> None:
    """Another face is refused; a cover that shows somebody else by now is chosen anew, and an empty one frees it."""
    faces = [(await album.add((LEFT, "")))[0] for _ in range(2)]
    (other,) = await album.add((LEFT, "Ada"))
    cy = await album.create("Cy", *faces)
    assert (await refused(album.people.UpdatePerson(update(cy, cover_face_id=other))))[1] == "INVALID_REQUEST"
    for face_id in faces:
        changed = await album.people.UpdatePerson(update(cy, cover_face_id=face_id))
        assert changed.person.cover_face_id == face_id
    await album.people.MarkFaces(pb.MarkFacesRequest(face_ids=[faces[1]], mark=pb.FACE_MARK_IGNORED))
    assert (await person(album, cy)).cover_face_id == faces[0]
    changed = await album.people.UpdatePerson(update(cy, cover_face_id=""))
    assert changed.person.cover_face_id == faces[0]


async def test_a_deleted_person_is_named_no_more(album: Album) -> None:
    """Their faces are nobody's, a recognizer that names them is not believed, and machines name the rest as before."""
    adas, bens = await album.add((LEFT, "Ada"), (RIGHT, "Ben"))
    ada = (await album.face(adas)).person_id
    await album.people.DeletePerson(pb.DeletePersonRequest(person_id=ada))
    assert await album.shows(adas, bens) == ["", "Ben"]
    (later,) = await album.add((LEFT, "Ada"))
    assert await album.shows(later) == [""]
    assert await found(album) == ["Ben"]
    assert await refused(album.people.GetPerson(pb.GetPersonRequest(person_id=ada))) == (
        "NOT_FOUND",
        "PERSON_NOT_FOUND",
    )


async def test_a_repeated_call_is_made_once(album: Album) -> None:
    """The same request_id answers the same; for another request it is refused."""
    request = pb.CreatePersonRequest(request_id="1", display_name="Cy")
    first = await album.people.CreatePerson(request)
    assert await album.people.CreatePerson(request) == first
    assert await found(album) == ["Cy"]
    other = pb.CreatePersonRequest(request_id="1", display_name="Di")
    assert (await refused(album.people.CreatePerson(other)))[1] == "REQUEST_REUSED"


async def test_many_pictures_follow_a_change_soon(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a change of many pictures the first follow at once, the rest by and by."""
    monkeypatch.setattr("services.library.people.faces.AT_ONCE", 2)
    faces = [(await album.add((LEFT, "Ada")))[0] for _ in range(5)]
    ada = (await album.face(faces[0])).person_id
    await album.people.UpdatePerson(update(ada, display_name="Eve"))
    assert (await album.shows(*faces)).count("Eve") >= 2
    database = Database(album.url, 1)
    while await follow_some(Changes(database)):
        pass
    await database.close()
    assert await album.shows(*faces) == ["Eve"] * 5
    assert len(await pictures(album, all_of=["eve"])) == 5


async def test_verdicts_from_before_there_were_people_name_them(album: Album) -> None:
    """What a library had recognized before it knew people is theirs once it was looked through."""
    (face_id,) = await album.add((LEFT, "Ada"))
    before = await album.face(face_id)
    for table in ("opinion", "identity", "person"):
        await run_sql(album.url, f"DELETE FROM {table}")  # noqa: S608
    await run_sql(album.url, "UPDATE face SET source = 0, person_id = 'Ada'")
    insert = "INSERT INTO stale_picture SELECT picture_id, collection_id FROM picture"
    await run_sql(album.url, insert)
    database = Database(album.url, 1)
    while await follow_some(Changes(database)):
        pass
    await database.close()
    shown = await album.face(face_id)
    assert (shown.display_name, shown.score, shown.source) == (before.display_name, before.score, before.source)
    assert await found(album) == ["Ada"]
