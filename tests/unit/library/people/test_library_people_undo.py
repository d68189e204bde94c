"""Whatever somebody does of people is undone, bit for bit, and done again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from tests.support.library import refused
from tests.support.servers import LEFT, RIGHT
from tests.unit.library.people.conftest import Album


class Cast(NamedTuple):
    """Who is there: Ada and Ben, whom a recognizer names, Cy, who was made by hand, and faces."""

    ada: str
    ben: str
    cy: str
    adas: str
    bens: str
    cys: str
    nobodys: str


async def cast(album: Album) -> Cast:
    """Return people with faces: Ada's and Ben's are a recognizer's, Cy's is decided, one is nobody's."""
    adas, bens = await album.add((LEFT, "Ada"), (RIGHT, "Ben"))
    cys, nobodys = await album.add((LEFT, ""), (RIGHT, ""))
    cy = await album.create("Cy", cys, aliases=["Cyril"])
    ada, ben = [(await album.face(one)).person_id for one in (adas, bens)]
    return Cast(ada, ben, cy, adas, bens, cys, nobodys)


def mark(mark: "pb.FaceMark.ValueType") -> Callable[[Album, Cast], Awaitable[Any]]:
    return lambda album, who: album.people.MarkFaces(
        pb.MarkFacesRequest(face_ids=[who.adas, who.bens, who.cys], mark=mark)
    )


ACTIONS: dict[str, Callable[[Album, Cast], Awaitable[Any]]] = {
    "create": lambda album, who: album.people.CreatePerson(
        pb.CreatePersonRequest(display_name="Di", aliases=["D"], face_ids=[who.adas, who.nobodys])
    ),
    "rename": lambda album, who: album.people.UpdatePerson(
        pb.UpdatePersonRequest(person_id=who.ada, display_name="Ada L.")
    ),
    "alias": lambda album, who: album.people.UpdatePerson(
        pb.UpdatePersonRequest(person_id=who.cy, aliases=pb.Aliases(names=["C", "Cyrus"]))
    ),
    "hide": lambda album, who: album.people.UpdatePerson(pb.UpdatePersonRequest(person_id=who.ada, hidden=True)),
    "cover": lambda album, who: album.people.UpdatePerson(
        pb.UpdatePersonRequest(person_id=who.ada, cover_face_id=who.adas)
    ),
    "merge": lambda album, who: album.people.MergePeople(pb.MergePeopleRequest(person_id=who.cy, merged_ids=[who.ada])),
    "separate": lambda album, who: album.people.SeparatePeople(
        pb.SeparatePeopleRequest(person_id=who.ada, other_person_id=who.cy)
    ),
    "delete": lambda album, who: album.people.DeletePerson(pb.DeletePersonRequest(person_id=who.cy)),
    "delete whom a recognizer names": lambda album, who: album.people.DeletePerson(
        pb.DeletePersonRequest(person_id=who.ada)
    ),
    "name": lambda album, who: album.people.NameFaces(
        pb.NameFacesRequest(person_id=who.ada, face_ids=[who.bens, who.cys])
    ),
    "refuse": lambda album, who: album.people.RefuseFaces(
        pb.RefuseFacesRequest(person_id=who.ada, face_ids=[who.adas, who.nobodys])
    ),
    "refuse what was decided": lambda album, who: album.people.RefuseFaces(
        pb.RefuseFacesRequest(person_id=who.cy, face_ids=[who.cys])
    ),
    "ignore": mark(pb.FACE_MARK_IGNORED),
    "no face": mark(pb.FACE_MARK_NOT_A_FACE),
    "take back": mark(pb.FACE_MARK_UNSPECIFIED),
}


@pytest.mark.parametrize("name", ACTIONS)
async def test_an_action_is_undone_and_done_again(album: Album, name: str) -> None:
    """Undoing restores all facts, faces and terms bit for bit; undoing that does it again, as often as wanted."""
    who = await cast(album)
    before = await album.facts()
    action_id = (await ACTIONS[name](album, who)).action_id
    after = await album.facts()
    assert after != before
    undoing = await album.undo(action_id)
    assert await album.facts() == before
    again = await album.undo(undoing)
    assert await album.facts() == after
    await album.undo(again)
    assert await album.facts() == before


async def test_actions_are_undone_in_the_reverse_order(album: Album) -> None:
    """Of a row of actions each is undone once those after it are; all of them undone lead to the beginning."""
    who = await cast(album)
    states, done = [await album.facts()], []
    for name in ("refuse", "name", "rename", "hide", "merge", "create", "no face", "take back"):
        done.append((await ACTIONS[name](album, who)).action_id)
        states.append(await album.facts())
    for action_id in reversed(done):
        states.pop()
        await album.undo(action_id)
        assert await album.facts() == states[-1]


async def test_what_has_changed_since_is_undone_first(album: Album) -> None:
    """An action whose rows another one has changed is ABORTED, and the message names that one."""
    who = await cast(album)
    first = await album.name(who.ada, who.nobodys)
    second = await album.name(who.ben, who.nobodys)
    before = await album.facts()
    with pytest.raises(Exception, match=f"Undo NameFaces {second} first"):
        await album.undo(first)
    assert await refused(album.people.UndoAction(pb.UndoActionRequest(action_id=first))) == (
        "ABORTED",
        "ACTION_CONFLICT",
    )
    assert await album.facts() == before
    await album.undo(second)
    await album.undo(first)


async def test_an_action_is_undone_once(album: Album) -> None:
    """What was undone before is ABORTED, and what there is not is NOT_FOUND, as in another collection."""
    who = await cast(album)
    action_id = await album.name(who.ada, who.nobodys)
    for unknown in ("", "1", who.ada):
        request = pb.UndoActionRequest(action_id=unknown)
        assert await refused(album.people.UndoAction(request)) == ("NOT_FOUND", "ACTION_NOT_FOUND")
    other = pb.UndoActionRequest(action_id=action_id, collection="other")
    assert await refused(album.people.UndoAction(other)) == ("NOT_FOUND", "ACTION_NOT_FOUND")
    await album.undo(action_id)
    again = pb.UndoActionRequest(action_id=action_id)
    assert await refused(album.people.UndoAction(again)) == ("ABORTED", "ACTION_CONFLICT")


async def test_a_picture_that_was_erased_meanwhile_stays_away(album: Album) -> None:
    """What was decided of the other faces is undone; a face that is gone does not come back."""
    who = await cast(album)
    action_id = await album.name(who.ada, who.nobodys, who.adas)
    erased = library_pb2.ErasePictureRequest(picture_id=await album.picture_of(who.nobodys))
    receipt = (await album.library.ErasePicture(erased)).receipt
    assert (receipt.erased["face"], receipt.erased["decision"]) == (2, 2)
    await album.undo(action_id)
    assert (await album.face(who.adas)).source == library_pb2.ASSIGNMENT_SOURCE_RECOGNIZERS
    found = await album.people.FindFaces(pb.FindFacesRequest())
    assert {one.face.face_id for one in found.faces} == {who.adas, who.bens}


async def test_the_same_action_is_undone_by_one_of_two_callers(album: Album) -> None:
    """One succeeds, the other is ABORTED, and the facts are those before the action."""
    who = await cast(album)
    before = await album.facts()
    action_id = await album.name(who.ada, who.nobodys)
    request = pb.UndoActionRequest(action_id=action_id)
    calls = [album.people.UndoAction(request) for _ in range(4)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in outcomes) == 1
    assert await album.facts() == before


async def test_actions_are_listed_newest_first(album: Album) -> None:
    """Each with what it was, by pages; those of one person alone if so asked, and what undid them."""
    who = await cast(album)
    action_id = await album.name(who.ada, who.nobodys)
    undoing = await album.undo(action_id)
    listed = (await album.people.ListActions(pb.ListActionsRequest())).actions
    assert [one.type for one in listed] == ["UndoAction", "NameFaces", "CreatePerson"]
    assert [one.summary for one in listed] == ['Undo: Name a face "Ada".', 'Name a face "Ada".', 'Create "Cy".']
    assert [one.undone_by for one in listed] == ["", undoing, ""]
    own = (await album.people.ListActions(pb.ListActionsRequest(person_id=who.cy))).actions
    assert [one.type for one in own] == ["CreatePerson"]
    first = await album.people.ListActions(pb.ListActionsRequest(page_size=2))
    rest = await album.people.ListActions(pb.ListActionsRequest(page_size=2, page_token=first.next_page_token))
    assert [*first.actions, *rest.actions] == list(listed)
    assert not rest.next_page_token
    wrong = pb.ListActionsRequest(page_token="W10=")  # noqa: S106 - no password
    assert await refused(album.people.ListActions(wrong)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
