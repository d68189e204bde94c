"""Signatures and help of the subcommands about faces."""

from typing import Any

import typer

from marquee.cli.library import options as shared
from marquee.cli.library.people import options
from marquee.cli.library.people.session import Session, calls_people, calls_people_long, finds_people
from marquee.cli.server import with_options

# ruff: noqa: B006, D301, PLC0415, PLR0913 - as in marquee.cli.commands

app = typer.Typer(rich_markup_mode=None)


@app.command()
@finds_people
def faces(
    *,
    person: options.OfPerson = "",
    cluster: options.OfCluster = "",
    picture: options.OfPicture = "",
    state: options.InState = None,
    unnamed: options.Unnamed = False,
    limit: shared.Limit = 50,
    session: Session,
) -> None:
    """Find faces, the newest first.

    \b
      marquee library people faces --person "Ada Lovelace"
      marquee library people faces --cluster ID -n 0 -o ids |
        marquee library people name "Ada Lovelace" --faces-from -

    What is given has to fit in all.
    """
    from marquee.cli.library.people.run.faces import find

    given: Any = {
        "person_id": person,
        "cluster_id": cluster,
        "picture_id": picture,
        "state": state or "",
        "unnamed": unnamed,
    }
    raise typer.Exit(find(session, given, limit))


@app.command(no_args_is_help=True)
@calls_people
def name(
    person: options.Person,
    faces: options.FacesOf = [],
    *,
    faces_from: options.FacesFrom = None,
    create: options.CreateThem = False,
    session: Session,
) -> None:
    """Decide that faces show a person.

    \b
      marquee library people name "Ada Lovelace" PICTURE_ID#1 PICTURE_ID#3 --create

    Whatever they were taken for before. Faces that are like them are named after
    them by the library, where it is sure.
    """
    from marquee.cli.library.people.run.faces import name as run
    from marquee.cli.library.people.run.names import face_ids_of

    raise typer.Exit(run(session, person, face_ids_of(session, faces, faces_from), create=create))


@app.command(no_args_is_help=True)
@calls_people
def refuse(
    person: options.Person,
    faces: options.FacesOf = [],
    *,
    faces_from: options.FacesFrom = None,
    session: Session,
) -> None:
    """Refuse that faces show a person, for ever.

    No machine names them so again.
    """
    from marquee.cli.library.people.run.faces import refuse as run
    from marquee.cli.library.people.run.names import face_ids_of

    raise typer.Exit(run(session, person, face_ids_of(session, faces, faces_from)))


@app.command(no_args_is_help=True)
@calls_people
def mark(
    faces: options.FacesOf = [],
    *,
    faces_from: options.FacesFrom = None,
    ignored: options.Ignored = False,
    not_a_face: options.NotAFace = False,
    undecided: options.Undecided = False,
    session: Session,
) -> None:
    """Mark faces as ignored, as no faces, or as undecided."""
    from marquee.cli.library.people.run.faces import mark as run
    from marquee.cli.library.people.run.names import face_ids_of

    if ignored + not_a_face + undecided != 1:
        raise typer.BadParameter("give exactly one.", param_hint="--ignored, --not-a-face, --undecided")
    mark, done = (
        ("IGNORED", "ignored")
        if ignored
        else ("NOT_A_FACE", "marked as no face")
        if not_a_face
        else ("UNSPECIFIED", "undecided")
    )
    raise typer.Exit(run(session, face_ids_of(session, faces, faces_from), mark, done))


@app.command(no_args_is_help=True)
@calls_people_long
def draw(picture_id: options.Picture, box: options.Drawn, *, person: options.WhoItIs = "", session: Session) -> None:
    """Add a face that no recognizer has found.

    \b
      marquee library people draw PICTURE_ID 0.4,0.1,0.2,0.3 --person "Ada Lovelace"
    """
    from marquee.cli.library.people.run.faces import draw as run

    raise typer.Exit(run(session, picture_id, box, person))


@app.command(no_args_is_help=True)
@calls_people
def crop(face: options.Face, file: options.CropFile, *, session: Session) -> None:
    """Write a face, cut out of its picture, into a file."""
    from marquee.cli.library.people.run.faces import crop as run

    raise typer.Exit(run(session, face, file))


@app.command()
@finds_people
def clusters(*, limit: shared.Limit = 50, session: Session) -> None:
    """List groups of like faces that have no name.

    The largest first. `marquee library people faces --cluster ID` shows one.
    """
    from marquee.cli.library.people.run.faces import clusters as run

    raise typer.Exit(run(session, limit))


@app.command()
@calls_people
def suggest(person: options.OptionalPerson = "", *, draw: options.DrawQuestion = "", session: Session) -> None:
    """Ask whom faces show, one question at a time.

    \b
      marquee library people suggest
      marquee library people suggest "Ada Lovelace" --draw question.png

    Those come first whose answer names most faces. Each has the picture, its date
    and who else is in it. s: it is them; n:
    not, for ever; k: skip; u: undo the last answer; q: quit. -o json prints the next
    question alone, which `marquee library people answer` answers.
    """
    from pathlib import Path

    from marquee.cli.library.people.run.suggest import SuggestArgs
    from marquee.cli.library.people.run.suggest import suggest as run

    if draw and not draw.lower().endswith((".png", ".svg")):
        raise typer.BadParameter(f"{draw} ends in neither .png nor .svg.", param_hint="--draw")
    raise typer.Exit(run(SuggestArgs(session=session, person=person, draw=Path(draw) if draw else None)))


@app.command(no_args_is_help=True)
@calls_people
def answer(
    question: options.SuggestionId,
    answer: options.Answer,
    *,
    person: options.ClusterPerson = "",
    name: options.ClusterName = "",
    session: Session,
) -> None:
    """Answer a question of `suggest -o json`."""
    from marquee.cli.library.people.run.suggest import answer as run

    if answer not in {"same", "not-same", "skip"}:
        raise typer.BadParameter(f"{answer!r} is none of same, not-same and skip.", param_hint="same|not-same|skip")
    raise typer.Exit(run(session, question, answer, {"person_id": person, "display_name": name}))


@app.command(no_args_is_help=True)
@calls_people
@lambda command: with_options(command, "query", shared.query)
def similar(
    face: options.OptionalFace = "",
    *,
    like_person: options.LikePerson = "",
    like_picture: options.LikePicture = "",
    limit: options.Nearest = 20,
    max_distance: options.MaxDistance = None,
    query: Any,
    session: Session,
) -> None:
    """Find faces that look like a face, a person or a picture.

    \b
      marquee library people similar PICTURE_ID#1
      marquee library people similar --like-person "Ada Lovelace" --taken-before 2000
      marquee library people similar --like-picture stranger.jpg

    The other options are those of `marquee library search`: the faces are in
    pictures that these find.
    """
    from marquee.cli.library.people.run.faces import similar as run

    subject = {"face_id": face, "person_id": like_person, "source": like_picture}
    given = {key: value for key, value in subject.items() if value}
    if len(given) != 1:
        raise typer.BadParameter("give one of a face, --like-person and --like-picture.", param_hint="FACE")
    raise typer.Exit(run(session, given, query, {"limit": limit, "max_distance": max_distance}))


lookups = typer.Typer(rich_markup_mode=None)
"""What stands beside `marquee library people`."""


@lookups.command(no_args_is_help=True)
@calls_people
def why(face: options.Face, *, session: Session) -> None:
    """Explain a face's name, and what undoing it would change.

    \b
      marquee library why PICTURE_ID#1

    Shows what machines say, what was decided and refused, and which faces are near.

    \b
    Exit codes:
      0  it is explained
      1  there is no such face, or a call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.people.run.why import why as run

    raise typer.Exit(run(session, face))


@lookups.command()
@calls_people_long
def check_index(*, faces: options.SampleSize = 100, neighbours: options.Neighbours = 10, session: Session) -> None:
    """Measure how many of the nearest faces the index finds.

    Against comparing with all, once for each of the --faces. It only reads, so that
    it may be used in production.

    \b
    Exit codes:
      0  it is measured
      1  there are no vectors, or the call failed
      2  usage error
      3  the library is unreachable
    """
    from marquee.cli.library.people.run.models import check_index as run

    raise typer.Exit(run(session, faces, neighbours))
