"""Signatures and help of the subcommands about models, and about what they learn from."""

import typer

from marquee.cli.library.people import options
from marquee.cli.library.people.session import Session, calls_people, calls_people_long, writes_file

# ruff: noqa: D301, PLC0415 - as in marquee.cli.commands

app = typer.Typer(rich_markup_mode=None)


@app.command()
@calls_people
def models(*, session: Session) -> None:
    """List the models whose vectors the library has.

    The newest first, with their bands: a face whose neighbours are within `Assign` is
    named after them; within `Suggest`, somebody is asked.
    """
    from marquee.cli.library.people.run.models import list_all

    raise typer.Exit(list_all(session))


@app.command()
@calls_people
def embed(
    *,
    recognizer: options.EmbedRecognizer = "",
    wait: options.WaitForAll = False,
    stop: options.Stop = False,
    session: Session,
) -> None:
    """Have all faces embedded by a recognizer's model of now.

    Beside the vectors of other models; every name is kept. Interrupted, it goes on
    where it was; `models` says how far it is, and `use-model` has people compared by
    the new one.
    """
    from marquee.cli.library.people.run.models import embed as run

    raise typer.Exit(run(session, recognizer, stop=stop, wait=wait))


@app.command(no_args_is_help=True)
@calls_people_long
def compare(new: options.ModelId, old: options.OldModelId = 0, *, session: Session) -> None:
    """Compare two models on what was decided.

    Before the new one is used: what it does better, what worse, and who it is.
    """
    from marquee.cli.library.people.run.models import compare as run

    raise typer.Exit(run(session, new, old))


@app.command("use-model", no_args_is_help=True)
@calls_people
def use_model(model: options.ModelId, *, session: Session) -> None:
    """Have people compared by a model's vectors."""
    from marquee.cli.library.people.run.models import use

    raise typer.Exit(use(session, model))


@app.command("export-decisions", no_args_is_help=True)
@writes_file
def export_decisions(
    *,
    output: options.TarFile,
    form: options.Form = "TRAINING",
    min_faces: options.LeastFaces = 1,
    session: Session,
) -> None:
    """Write decided faces into a tar file.

    \b
      marquee library people export-decisions -o faces.tar --min-faces 5

    To train recognizers with, or to calibrate them.
    """
    from marquee.cli.library.people.run.models import export_decisions as run

    raise typer.Exit(run(session, output, form, min_faces))
