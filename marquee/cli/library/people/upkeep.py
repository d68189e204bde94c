"""Signatures and help of the subcommands that undo, enroll, erase, export and audit."""

import typer

from marquee.cli import options as common
from marquee.cli.library import options as shared
from marquee.cli.library.people import options
from marquee.cli.library.people.session import Session, calls_people, calls_people_long, finds_people, writes_file

# ruff: noqa: B006, D301, PLC0415 - as in marquee.cli.commands

app = typer.Typer(rich_markup_mode=None)


@app.command(no_args_is_help=True)
@calls_people
def undo(actions: options.ActionIds, *, session: Session) -> None:
    """Undo actions, one after another.

    What they changed is restored. An undo is an action, too: undoing it does the
    first one again. Where something has changed since, the message names what to
    undo first.
    """
    from marquee.cli.library.people.run.upkeep import undo as run

    raise typer.Exit(run(session, actions))


@app.command()
@finds_people
def actions(person: options.OptionalPerson = "", *, limit: shared.Limit = 50, session: Session) -> None:
    """List what was done, newest first."""
    from marquee.cli.library.people.run.upkeep import actions as run

    raise typer.Exit(run(session, person, limit))


@app.command(no_args_is_help=True)
@calls_people_long
def enroll(
    person: options.Person,
    faces: options.FacesOf = [],
    *,
    recognizer: options.Recognizers = [],
    allow_similar: options.AllowSimilar = False,
    session: Session,
) -> None:
    """Enroll a person's faces into the recognizers.

    \b
      marquee library people enroll "Ada Lovelace"

    Those decided faces that suit best, or those given. A face that is theirs no more
    is taken back by itself.
    """
    from marquee.cli.library.people.run.upkeep import enroll as run

    raise typer.Exit(run(session, person, faces, {"recognizers": recognizer, "allow_similar": allow_similar}))


@app.command()
@calls_people_long
def reconcile(
    person: options.OptionalPerson = "",
    *,
    mend: options.Mend = False,
    recognizer: options.Recognizers = [],
    session: Session,
) -> None:
    """Compare recognizers with the library, and mend them.

    Shows how what they have enrolled differs; --mend mends it.
    """
    from marquee.cli.library.people.run.upkeep import reconcile as run

    raise typer.Exit(run(session, person, recognizer, mend=mend))


@app.command()
@calls_people_long
def adopt(
    *,
    recognizer: options.Recognizers = [],
    recognizer_collection: options.RecognizerCollection = "",
    session: Session,
) -> None:
    """Take over the people whom recognizers know.

    Nobody is merged by name.
    """
    from marquee.cli.library.people.run.upkeep import adopt as run

    raise typer.Exit(run(session, recognizer_collection, recognizer))


@app.command(no_args_is_help=True)
@calls_people_long
def erase(
    person: options.Person,
    *,
    pictures: options.ErasePictures = False,
    objects: options.EraseObjects = False,
    yes: common.Yes = False,
    session: Session,
) -> None:
    """Erase a person for ever, here and at all recognizers.

    Asks for confirmation. Their faces keep boxes alone, and a new picture of them
    shows a stranger. Prints a receipt of what was erased, and of what the library
    cannot reach. It cannot be undone. Needs the scope erase.
    """
    from marquee.cli.library.people.run.upkeep import erase as run

    if objects and not pictures:
        raise typer.BadParameter("give --pictures, too: objects are deleted of pictures alone.", param_hint="--objects")
    raise typer.Exit(run(session, person, {"erase_pictures": pictures, "erase_objects": objects}, confirmed=yes))


@app.command(no_args_is_help=True)
@writes_file
def export(person: options.Person, *, output: options.TarFile, session: Session) -> None:
    """Write all that is held about a person into a tar file.

    \b
      marquee library people export "Ada Lovelace" -o ada.tar
    """
    from marquee.cli.library.people.run.upkeep import export as run

    raise typer.Exit(run(session, person, output))


@app.command()
@calls_people
def audits(person: options.OptionalPerson = "", *, limit: shared.Limit = 50, session: Session) -> None:
    """List who looked up whom, newest first.

    Changes and exports, too. -o json prints one object on each line.
    """
    from marquee.cli.library.people.run.upkeep import audits as run

    raise typer.Exit(run(session, person, limit))
