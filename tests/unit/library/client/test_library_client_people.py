# ruff: noqa: ASYNC240 - the files are small
"""The library's people called from Python and from the command line."""

import asyncio
import json
from pathlib import Path

import pytest

import marquee
from tests.support.client import lines_of
from tests.support.servers import picture
from tests.unit.library.client.conftest import Command

_NOBODY = "0195f3a0-0000-7000-8000-000000000000"


async def _added(library: marquee.AsyncLibraryClient, width: int = 8) -> marquee.LibraryPicture:
    """Add a picture of Anna and somebody unknown."""
    return (await library.add(picture((width, 6)), wait=True)).picture


async def test_people_are_created_changed_and_undone(address: str) -> None:
    """A decision names a face, an update renames it in its picture, and undoing both leaves what machines say."""
    async with marquee.AsyncLibraryClient(address) as library, marquee.AsyncPeopleClient(address) as people:
        shown = await _added(library)
        made = await people.create("Berta", [shown.faces[1].face_id], aliases=["Bee"])
        assert (made.person.display_name, made.person.aliases, made.person.decided_count) == ("Berta", ("Bee",), 1)
        renamed = await people.update(made.person.person_id, display_name="Berta B.", etag=made.person.etag)
        assert (await library.get(shown.picture_id)).people == ("Anna", "Berta B.")
        with pytest.raises(marquee.EtagStale):
            await people.update(made.person.person_id, hidden=True, etag=made.person.etag)
        with pytest.raises(marquee.ActionConflict):
            await people.undo(made.action_id)
        undone = await people.undo(renamed.action_id)
        assert undone.action.action_id == renamed.action_id
        await people.undo(undone.action_id)
        assert (await people.get(made.person.person_id)).display_name == "Berta B."
        assert [one.display_name async for one in people.search("ber")] == ["Berta B."]
        assert [one.type async for one in people.actions()][:2] == ["UndoAction", "UndoAction"]


def test_the_same_without_asyncio() -> None:
    """PeopleClient and AsyncPeopleClient have the same methods."""
    kinds = (marquee.PeopleClient, marquee.AsyncPeopleClient)
    names = [{name for name in dir(kind) if not name.startswith("_")} for kind in kinds]
    assert names[0] == names[1]


async def test_what_is_decided_and_refused_is_kept_apart(address: str) -> None:
    """A refused face is nobody's, a named one somebody's, a marked one neither; each can be taken back."""

    def correct() -> None:
        with marquee.LibraryClient(address) as library, marquee.PeopleClient(address) as people:
            shown = library.add(picture(), wait=True).picture
            anna, other = shown.faces
            (person,) = people.search()
            refused = people.refuse_faces([anna.face_id], person.person_id)
            assert library.get(shown.picture_id).people == ()
            people.undo(refused)
            assert [one.face.face_id for one in people.faces(person_id=person.person_id)] == [anna.face_id]
            with pytest.raises(marquee.PersonTwice):
                people.name_faces([anna.face_id, other.face_id], person.person_id)
            people.mark_faces([other.face_id], "ignored")
            assert [one.face.face_id for one in people.faces(state="ignored")] == [other.face_id]
            people.mark_faces([other.face_id])
            assert [one.face.face_id for one in people.faces(unnamed=True)] == [other.face_id]

    await asyncio.to_thread(correct)


async def test_refusals_about_people_are_exceptions(address: str) -> None:
    """Who and what is not there, and options that there are not, are exceptions of their own."""
    async with marquee.AsyncPeopleClient(address) as people:
        with pytest.raises(marquee.PersonNotFound):
            await people.get(_NOBODY)
        with pytest.raises(marquee.FaceNotFound):
            await people.create("Anna", [_NOBODY])
        with pytest.raises(marquee.ActionNotFound):
            await people.undo(_NOBODY)
        with pytest.raises(marquee.InvalidRequest, match="choose from IGNORED, NOT_A_FACE"):
            await people.mark_faces([_NOBODY], "nobody")
        with pytest.raises(marquee.InvalidRequest, match="exactly one"):
            await people.similar()


async def test_faces_are_named_by_their_place(command: Command) -> None:
    """A picture's ID with #2 is its second face, which `show` counts; each change says how it is undone."""
    picture_id = await _at(command)
    missing = await command("people", "name", "Berta", f"{picture_id}#2")
    assert (missing.exit_code, missing.stderr.startswith("Nobody is called Berta.")) == (1, True)
    named = lines_of(await command("people", "name", "Berta", f"{picture_id}#2", "--create"))
    assert named[0].startswith("Berta ")
    assert named[0].endswith(" created: 1 face, 1 decided")
    rows = lines_of(await command("show", picture_id))
    assert any(row.startswith("2 Berta 1.00 decided unknown ") for row in rows)
    await command(*named[1].removeprefix("undo: marquee library ").split())
    rows = lines_of(await command("show", picture_id))
    assert any(row.startswith("2 unknown ") for row in rows)
    beyond = await command("people", "name", "Anna", f"{picture_id}#3")
    assert beyond.stderr == f"{picture_id} has 2 faces, and no 3.\n"


async def test_people_are_found_by_a_name_that_one_has(command: Command) -> None:
    """Case, accents and aliases do not matter; of two with a name the IDs are told, in JSON, too."""
    await command("people", "create", "José Núñez", "--alias", "Pepe")
    assert lines_of(await command("people", "show", "jose nunez"))[0].startswith("José Núñez ")
    assert (await command("people", "show", "PEPE")).exit_code == 0
    await command("people", "create", "Jose Nunez")
    several = await command("people", "show", "jose nunez", "-o", "json")
    assert several.exit_code == 1
    assert several.stderr.startswith("2 people are called jose nunez: give an ID.")
    assert json.loads(several.stdout)["error"]["reason"] == "PERSON_AMBIGUOUS"
    ids = lines_of(await command("people", "list", "nun", "-o", "ids"))
    assert all(one in several.stderr for one in ids)
    assert len(ids) == 2


async def test_people_are_changed_merged_and_deleted(command: Command) -> None:
    """Aliases are added and removed, hidden people left out of lists, and others merged into one."""
    for name in ("Anna", "Berta", "Clara"):
        await command("people", "create", name)
    await command("people", "alias", "Anna", "--add", "Annie", "--add", "Ann")
    assert lines_of(await command("people", "alias", "Annie", "--remove", "Ann"))[0].split()[2:5] == [
        "also",
        "called",
        "Annie:",
    ]
    await command("people", "hide", "Berta")
    assert [
        json.loads(row)["display_name"] for row in (await command("people", "list", "-o", "json")).stdout.splitlines()
    ] == ["Anna", "Clara"]
    await command("people", "unhide", "Berta")
    await command("people", "separate", "Anna", "Berta")
    apart = await command("people", "merge", "Anna", "Berta")
    assert (
        apart.exit_code,
        json.loads((await command("people", "merge", "Anna", "Berta", "-o", "json")).stdout)["error"]["reason"],
    ) == (1, "PEOPLE_SEPARATED")
    merged = json.loads((await command("people", "merge", "Anna", "Clara", "-o", "json")).stdout)
    assert merged["person"]["aliases"] == ["Annie", "Clara"]
    assert lines_of(await command("people", "rename", "Clara", "Anna C."))[0].startswith("Anna C. ")
    assert lines_of(await command("people", "delete", "Berta"))[0].startswith("Berta is deleted; ")
    assert "DeletePerson" in (await command("people", "actions", "-o", "json")).stdout


async def test_faces_are_piped_from_one_command_into_another(command: Command) -> None:
    """`faces -o ids` lists what --faces-from reads; marks and refusals take as many as there are."""
    picture_id = await _at(command)
    ids = (await command("people", "faces", "--picture", picture_id, "--unnamed", "-o", "ids")).stdout
    marked = await command("people", "mark", "--ignored", "--faces-from", "-", stdin=ids.encode())
    assert lines_of(marked)[0] == "1 face ignored."
    assert "2 ignored" in " ".join(lines_of(await command("show", picture_id)))
    refused = await command("people", "refuse", "Anna", f"{picture_id}#1", "-o", "json")
    assert set(json.loads(refused.stdout)) == {"action_id"}
    assert lines_of(await command("people", "faces", "--person", "Anna")) == ["No face fits."]
    assert (await command("people", "mark", f"{picture_id}#1")).exit_code == 2


async def _at(command: Command) -> str:
    """Add a picture of Anna and somebody unknown; return its id."""
    Path("both.jpg").write_bytes(picture())
    return lines_of(await command("add", "both.jpg", "--wait"))[0].split()[1]
