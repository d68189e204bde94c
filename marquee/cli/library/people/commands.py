"""Signatures and help of the subcommands about people. Imports gRPC only to run one of them."""

from typing import Any

import typer

from marquee.cli.library import options as shared
from marquee.cli.library.people import faces, models, options, upkeep
from marquee.cli.library.people.session import Session, calls_people, calls_people_long, finds_people

# ruff: noqa: B006, D301, PLC0415 - as in marquee.cli.commands

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def people() -> None:
    """Name people, correct whom faces show, and undo it.

    \b
      marquee library people list
      marquee library people name "Ada Lovelace" PICTURE_ID#1 --create
      marquee library people suggest

    What machines think, what somebody decided and what somebody refused are kept
    apart: no machine changes a decision, or names a face whom it was refused. Each
    change prints how to undo it. `marquee library why FACE` explains a name, and
    `marquee people` are those whom the recognizers know.

    \b
    Exit codes of the subcommands:
      0  it is done
      1  there is no such person, face or action, several people have the name,
         something has changed meanwhile, or a call failed
      2  usage error
      3  the library is unreachable
    """


@app.command("list")
@finds_people
def list_(
    words: options.Words = "",
    *,
    hidden: options.Hidden = False,
    limit: shared.Limit = 50,
    session: Session,
) -> None:
    """List who is known, by name.

    \b
      marquee library people list "ada lov"
    """
    from marquee.cli.library.people.run.people import list_some

    raise typer.Exit(list_some(session, words, limit, hidden=hidden))


@app.command(no_args_is_help=True)
@calls_people
def show(person: options.Person, *, session: Session) -> None:
    """Show a person, and what recognizers call them."""
    from marquee.cli.library.people.run.people import show as run

    raise typer.Exit(run(session, person))


@app.command(no_args_is_help=True)
@calls_people
def create(
    name: options.NewName,
    *,
    face: options.TheirFaces = [],
    alias: options.Aliases = [],
    session: Session,
) -> None:
    """Create a person, of the faces that are theirs.

    \b
      marquee library people create "Ada Lovelace" --face PICTURE_ID#1

    Several people may have one name.
    """
    from marquee.cli.library.people.run.people import create as run

    raise typer.Exit(run(session, name, face, alias))


def _update(session: Session, person: str, change: Any, done: str) -> typer.Exit:
    from marquee.cli.library.people.run.people import update

    return typer.Exit(update(session, person, change, done))


@app.command(no_args_is_help=True)
@calls_people
def rename(person: options.Person, name: options.NewName, *, session: Session) -> None:
    """Give a person another name, in all their pictures."""
    raise _update(session, person, {"display_name": name}, "renamed")


@app.command(no_args_is_help=True)
@calls_people
def alias(
    person: options.Person,
    *,
    add: options.AddAliases = [],
    remove: options.RemoveAliases = [],
    session: Session,
) -> None:
    """Add and remove other names of a person.

    By these they are found, too.

    \b
      marquee library people alias "Ada Lovelace" --add "Countess of Lovelace"
    """
    from marquee.cli.library.people.run.people import alias as run

    if not (add or remove):
        raise typer.BadParameter("say which alias.", param_hint="--add, --remove")
    raise typer.Exit(run(session, person, add, remove))


@app.command(no_args_is_help=True)
@calls_people
def hide(person: options.Person, *, session: Session) -> None:
    """Leave a person out of lists and questions."""
    raise _update(session, person, {"hidden": True}, "hidden")


@app.command(no_args_is_help=True)
@calls_people
def unhide(person: options.Person, *, session: Session) -> None:
    """List a hidden person again."""
    raise _update(session, person, {"hidden": False}, "hidden no more")


@app.command(no_args_is_help=True)
@calls_people
def cover(
    person: options.Person, face: options.OptionalFace = "", *, auto: options.AutoCover = False, session: Session
) -> None:
    """Choose the face that stands for a person.

    With --auto it is left to the library.
    """
    from marquee.cli.library.people.run.people import cover as run

    if bool(face) == auto:
        raise typer.BadParameter("give a face, or --auto.", param_hint="FACE")
    raise typer.Exit(run(session, person, face))


@app.command(no_args_is_help=True)
@calls_people
def merge(person: options.Person, others: options.Others, *, session: Session) -> None:
    """Merge others into the first person.

    \b
      marquee library people merge "Ada Lovelace" "A. Lovelace" Ada

    The first gets the others' faces, and their names as aliases.
    """
    from marquee.cli.library.people.run.people import merge as run

    raise typer.Exit(run(session, person, others))


@app.command(no_args_is_help=True)
@calls_people
def separate(person: options.Person, other: options.Other, *, session: Session) -> None:
    """Say that two people are not one, for ever."""
    from marquee.cli.library.people.run.people import separate as run

    raise typer.Exit(run(session, person, other))


@app.command(no_args_is_help=True)
@calls_people_long
def split(
    person: options.Person,
    *,
    group: options.Group = 0,
    to: options.ToWhom = "",
    crops: options.Crops = "",
    session: Session,
) -> None:
    """Split a person whose faces are of several people.

    \b
      marquee library people split "Ada Lovelace" --crops groups
      marquee library people split "Ada Lovelace" --group 2 --to "Annabella Byron"

    Shows groups of faces that belong together, side by side, and moves one of them.
    Single faces are moved by `marquee library people name`.
    """
    from marquee.cli.library.people.run.people import move_group
    from marquee.cli.library.people.run.people import split as run

    if bool(group) != bool(to):
        raise typer.BadParameter("give both: which group, and who gets its faces.", param_hint="--group, --to")
    raise typer.Exit(move_group(session, person, group, to) if group else run(session, person, crops))


@app.command(no_args_is_help=True)
@calls_people
def delete(person: options.Person, *, session: Session) -> None:
    """Delete a person: their faces are nobody's again.

    Recognizers that name them are not believed any more. It can be undone; `erase`
    takes all that is known of a person for ever.
    """
    from marquee.cli.library.people.run.people import delete as run

    raise typer.Exit(run(session, person))


for room in (faces, upkeep, models):
    app.add_typer(room.app)
