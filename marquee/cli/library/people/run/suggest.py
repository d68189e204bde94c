"""Ask whom faces show, one question at a time, and answer."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from marquee.cli.exits import Exit, call_errors
from marquee.cli.library.people.run.names import known_or_new, person_id_of
from marquee.cli.library.people.run.tables import print_action
from marquee.cli.library.people.session import Session
from marquee.cli.library.run.search import taken
from marquee.cli.output import count
from marquee.cli.table import Text, print_line
from marquee.cli.terminal import print_error, print_json
from marquee.draw.text import clean
from marquee.library.people.client import PeopleClient
from marquee.library.people.enums import SuggestionAnswer, SuggestionKind
from marquee.library.people.requests import AnswerOptions
from marquee.library.people.results import Suggestion

_KEYS = {"s": SuggestionAnswer.SAME, "n": SuggestionAnswer.NOT_SAME, "k": SuggestionAnswer.SKIP}
_PROMPT = "[s]ame, [n]ot the same, for ever, s[k]ip, [u]ndo, [q]uit"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestArgs:
    """Validated arguments of `marquee library people suggest`."""

    session: Session
    person: str
    draw: Path | None


def suggest(args: SuggestArgs) -> Exit:
    """Ask until there is no question left, or as JSON print one. Raises typer.Exit, BadParameter."""
    session = args.session
    if not session.is_json and not sys.stdin.isatty():
        raise typer.BadParameter(
            "cannot ask without a terminal: pass -o json, and answer with `marquee library people answer`.",
            param_hint="--output",
        )
    with session.people() as client:
        person_id = person_id_of(client, session, args.person)
        if session.is_json:
            print_json(client.next_suggestion(person_id, **session.own).to_dict())
            return Exit.OK
        return _ask_all(args, client, person_id)


def answer(session: Session, suggestion_id: str, text: str, who: AnswerOptions) -> Exit:
    """Answer a question. Raises typer.Exit."""
    with session.people() as client:
        person_id = person_id_of(client, session, who.get("person_id", ""))
        names: AnswerOptions = {"person_id": person_id, "display_name": who.get("display_name", "")}
        action_id = client.answer(suggestion_id, text.replace("-", "_"), **names, **session.own)
    print_action(session, action_id, "Answered.")
    return Exit.OK


def _ask_all(args: SuggestArgs, client: PeopleClient, person_id: str) -> Exit:
    actions: list[str] = []
    while True:
        found = client.next_suggestion(person_id, **args.session.own)
        if (question := found.suggestion) is None:
            print_line("There is no question left.")
            return Exit.OK
        for line in _lines(question, found.open_count):
            print_line(*line)
        if args.draw and not _draw(args.session, question, args.draw):
            return Exit.FAILED
        match _key():
            case "q":
                return Exit.OK
            case "u":
                _undo(args.session, client, actions)
            case key:
                actions += _answered(args.session, client, question, _KEYS[key])


def _key() -> str:
    while True:
        text: str = typer.prompt(_PROMPT, err=True, prompt_suffix=": ").strip().lower()[:1]
        if text in {*_KEYS, "u", "q"}:
            return text
        print_error("", "Type s, n, k, u or q.")


def _answered(session: Session, client: PeopleClient, question: Suggestion, given: SuggestionAnswer) -> list[str]:
    """Answer the question; return the action, none if nobody was named."""
    who: AnswerOptions = {}
    if question.kind is SuggestionKind.CLUSTER and question.person is None and given is SuggestionAnswer.SAME:
        name = typer.prompt("Who are they? Nothing: ask again", default="", show_default=False, err=True).strip()
        if not name:
            return []
        person = known_or_new(client, session, name)
        who = {"person_id": person.person_id} if person else {"display_name": name}
    return [client.answer(question.suggestion_id, given, **who, **session.own)]


def _undo(session: Session, client: PeopleClient, actions: list[str]) -> None:
    """Take the last answer back."""
    if not actions:
        print_error("", "Nothing was answered yet.")
        return
    client.undo(actions.pop(), **session.own)
    print_line("The last answer is undone.")


def _lines(question: Suggestion, open_count: int) -> Iterator[tuple[str | Text, ...]]:
    gain = f"  names {count(question.gain, 'face')}, score {question.score:.2f}; {open_count:,} open"
    yield Text(clean(_asked(question)), "bold"), Text(gain, "dim")
    if picture := question.picture:
        others = dict.fromkeys(one.display_name for one in picture.faces if one.display_name)
        beside = f", with {', '.join(others)}" if others else ""
        when = f", {taken(picture)}" if picture.taken_time else ""
        yield (clean(f"  {picture.file_name or picture.picture_id}{when}{beside}"),)
        place = next((one.location for one in picture.places if one.current), "")
        yield (Text(clean(f"  {place or picture.picture_id}"), "dim"),)
    if question.face:
        yield (Text(clean(f"  face {question.face.face.face_id}"), "dim"),)


def _asked(question: Suggestion) -> str:
    person = question.person.display_name if question.person else ""
    if question.kind is SuggestionKind.PEOPLE and question.other_person:
        return f"Are {person} and {question.other_person.display_name} one person?"
    if question.kind is SuggestionKind.CLUSTER:
        return f"Are these faces {person}?" if person else "Who is this?"
    return f"Is this {person}?"


def _draw(session: Session, question: Suggestion, target: Path) -> bool:
    """Draw the question's picture; return whether that went well."""
    from marquee.draw.drawing import Drawing  # noqa: PLC0415 - only drawing needs Pillow

    if question.picture is None:
        return True
    with call_errors(), session.server.connect_library() as library:
        picture = library.get(question.picture.picture_id, **session.own)
        content = library.content(picture.picture_id, **session.own).content
    try:
        Drawing(content, picture.recognition()).save(target)
    except OSError as error:
        print_error(error.filename or str(target), error.strerror or str(error))
        return False
    return True
