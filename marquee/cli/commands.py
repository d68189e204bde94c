"""Signatures and help of the command and its subcommands. Imports gRPC only to run one of them."""

from collections.abc import Mapping
from typing import Annotated

import typer

import marquee
from marquee.cli import options
from marquee.cli.environment import Commands, prepare
from marquee.cli.library.commands import app as library_app
from marquee.cli.notify.commands import app as notify_app
from marquee.cli.server import Server, calls_server
from marquee.draw.style import LabelPosition, Style
from marquee.enums import Findings

# ruff: noqa: B006, D301, PLC0415, PLR0913 - typer reads [] as a default and \b as "do not wrap"; --help is
# quick since imports wait for a run; every parameter is an option of the command

app = typer.Typer(
    name="marquee", cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)


def _print_version(requested: bool) -> None:  # noqa: FBT001 - typer passes the flag's value
    if requested:
        typer.echo(f"marquee {marquee.__version__}")
        raise typer.Exit


def _refuse_without(needed: str, is_given: bool, given: Mapping[str, object]) -> None:  # noqa: FBT001 - a fact
    """Raise BadParameter if an option is given without the one that gives it something to do."""
    for option, value in given.items():
        if value and not is_given:
            raise typer.BadParameter(f"give {needed}, too.", param_hint=option)


@app.callback()
def marquee_(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Recognize people in pictures, enroll new ones, and keep what was recognized.

    The server's address is --address, else MARQUEE_ADDRESS in the environment,
    else in the file .env of the working directory, else that of the local system
    that you run (`python -m local`), else localhost:50051. Of .env, only MARQUEE_
    variables and AWS's credentials, profile and region are read.
    https://HOST is TLS; HOST:PORT is plaintext unless --tls, --ca, --cert or
    --server-name is given. A token is never sent in plaintext to another machine.
    """
    prepare()


@app.command(no_args_is_help=True)
@calls_server
def recognize(
    files: options.Files = [],
    *,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    server: Server,
    recognizer: options.Recognizers = [],
    feature: options.Features = [],
    policy: options.PolicyOption = "all",
    require: options.Required = [],
    max_labels: options.MaxLabels = None,
    min_score: options.MinScore = None,
    face_box: options.FaceBoxes = [],
    no_cache: options.NoCache = False,
    timeout: options.Timeout = 12.0,
    output: options.OutputFormat = options.Output.TABLE,
    rows: options.Rows = None,
    draw: options.Draw = None,
    boxes: options.Boxes = None,
    colors: options.Colors = None,
    label_position: options.Position = None,
    jobs: options.Jobs = 4,
    batch: options.Batch = None,
    timings: options.Timings = False,
    strict: options.Strict = False,
) -> None:
    """Recognize people in pictures.

    \b
    Exit codes:
      0  every picture was recognized
      1  a picture or a call failed; with --strict: or any recognizer
      2  usage error, or a file does not exist
      3  the server is unreachable
    """
    from marquee.cli.inputs import pictures_of
    from marquee.cli.run.recognize import RecognizeArgs, run
    from marquee.cli.targets import targets_of

    _refuse_without("--output table", output is options.Output.TABLE, {"--timings": timings})
    _refuse_without("--output csv", output is options.Output.CSV, {"--rows": rows})
    drawn = {"--boxes": boxes, "--colors": colors, "--label-position": label_position}
    _refuse_without("--draw", draw is not None, drawn)
    pictures = pictures_of(files, files_from, null=null)
    if not pictures.files:
        raise typer.BadParameter(
            "there is none: give pictures, folders of them, or --files-from with their names.", param_hint="FILE"
        )
    args = RecognizeArgs(
        pictures=pictures,
        server=server,
        timeout=timeout,
        options={
            "recognizers": recognizer,
            "features": feature,
            "policy": policy,
            "required": require,
            "max_labels": max_labels,
            "min_score": min_score,
            "face_boxes": face_box,
            "no_cache": no_cache,
        },
        targets=targets_of(draw, pictures.files),
        style=Style(colors or {}, label_position or LabelPosition.TOP, boxes),
        output=output,
        rows=rows or Findings.FACES,
        jobs=jobs,
        batch=not pictures.is_single if batch is None else batch,
        timings=timings,
        strict=strict,
    )
    raise typer.Exit(run(args))


@app.command()
@calls_server
def recognizers(
    *,
    server: Server,
    timeout: options.CallTimeout = 12.0,
    output: options.ListFormat = options.ListOutput.TABLE,
) -> None:
    """List the recognizers: state, features, models, prices.

    \b
    Exit codes:
      0  the recognizers are listed, whatever their state
      1  the call failed
      2  usage error
      3  the server is unreachable
    """
    from marquee.cli.run.recognizers import run

    raise typer.Exit(run(server, timeout, output))


@app.command()
@calls_server
def cost(
    files: options.Files = [],
    *,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    server: Server,
    pictures: options.Pictures = None,
    recognizer: options.Recognizers = [],
    feature: options.Features = [],
    faces: options.FacesPerPicture = 1,
    timeout: options.CallTimeout = 12.0,
    output: options.ObjectFormat = options.ListOutput.TABLE,
) -> None:
    """Estimate the cost of pictures, and show what was spent.

    With FILEs or --pictures: the cost of `marquee recognize` for them at the prices
    that the server lists, without retries and cache hits. Nothing is recognized.

    \b
    Exit codes:
      0  the estimate is within what is left to spend today
      1  it is not, or the call failed
      2  usage error
      3  the server is unreachable
    """
    from marquee.cli.inputs import pictures_of
    from marquee.cli.run.cost import CostArgs, run

    listed = pictures_of(files, files_from, null=null).files
    if listed and pictures is not None:
        raise typer.BadParameter("give FILEs or a number, not both.", param_hint="--pictures")
    args = CostArgs(len(listed) or pictures or 0, tuple(feature), tuple(recognizer), faces)
    raise typer.Exit(run(args, server, timeout, output))


@app.command(no_args_is_help=True)
@calls_server
def enroll(
    sources: options.Sources = [],
    *,
    name: options.Name = "",
    person_id: options.PersonId = "",
    allow_similar: options.AllowSimilar = False,
    allow_different: options.AllowDifferent = False,
    collection: options.Collection = "",
    recognizer: options.Recognizers = [],
    server: Server,
    timeout: options.EnrollTimeout = 30.0,
    output: options.EnrollFormat = options.ListOutput.TABLE,
) -> None:
    """Enroll people's faces in the recognizers, without training.

    \b
      marquee enroll --name "Grace Hopper" a.jpg b.jpg
      marquee enroll people/*/
      marquee enroll --person-id grace-hopper --name "Adm. Hopper"   (renames)

    Each picture must show one person's face and nobody else's. A picture that is
    not good enough is refused with advice; the others count. Repeating is safe:
    faces that are enrolled already stay as they are.

    Two people may have one name: a picture that does not show the known person of
    that name is refused, unless --person-id says who it is.

    \b
    Exit codes:
      0  every picture is enrolled
      1  a picture was refused, or a recognizer or a call failed
      2  usage error, or a file does not exist
      3  the server is unreachable
    """
    from marquee.cli.inputs import enrollees_of
    from marquee.cli.run.enroll import EnrollArgs, run

    args = EnrollArgs(
        enrollees=enrollees_of(sources, name, person_id),
        server=server,
        timeout=timeout,
        options={
            "allow_similar": allow_similar,
            "allow_different": allow_different,
            "collection": collection,
            "recognizers": recognizer,
        },
        output=output,
    )
    raise typer.Exit(run(args))


people_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
app.add_typer(people_app, name="people")


@people_app.callback()
@calls_server
def people(
    context: typer.Context,
    *,
    collection: options.Collection = "",
    recognizer: options.Recognizers = [],
    server: Server,
    timeout: options.CallTimeout = 12.0,
    output: options.ListFormat = options.ListOutput.TABLE,
) -> None:
    """List the people whom the recognizers know.

    Shows how many faces of each person every recognizer has enrolled.

    \b
    Exit codes:
      0  the people are listed
      1  the call or any recognizer failed
      2  usage error
      3  the server is unreachable
    """
    from marquee.cli.run.people import run

    if context.invoked_subcommand is None:
        raise typer.Exit(run(server, timeout, output, {"collection": collection, "recognizers": recognizer}))
    options.check_none_given(context)


@people_app.command(no_args_is_help=True)
@calls_server
def show(
    person_id: options.PersonIdArgument,
    *,
    collection: options.Collection = "",
    recognizer: options.Recognizers = [],
    server: Server,
    timeout: options.CallTimeout = 12.0,
    output: options.ListFormat = options.ListOutput.TABLE,
) -> None:
    """Show a person's enrolled faces: where each came from, and when.

    `marquee remove PERSON_ID --face ID` takes one of them back.

    \b
    Exit codes:
      0  the faces are listed
      1  nobody is known under that ID, or the call or any recognizer failed
      2  usage error
      3  the server is unreachable
    """
    from marquee.cli.run.faces import run

    raise typer.Exit(run(person_id, server, timeout, output, {"collection": collection, "recognizers": recognizer}))


@app.command(no_args_is_help=True)
@calls_server
def remove(
    person_id: options.PersonIdArgument,
    *,
    face: options.FaceIds = [],
    sha256: options.Sha256s = [],
    yes: options.Yes = False,
    collection: options.Collection = "",
    recognizer: options.Recognizers = [],
    server: Server,
    timeout: options.CallTimeout = 12.0,
    output: options.ObjectFormat = options.ListOutput.TABLE,
) -> None:
    """Remove a person, or single faces, from the recognizers.

    \b
      marquee remove grace-hopper                    (all enrolled faces)
      marquee remove grace-hopper --face 9aaa25c1    (one of them)

    Asks for confirmation. Whose last face is removed is no longer known.

    \b
    Exit codes:
      0  the person or the faces were removed
      1  nobody is enrolled under that ID, or there is no such face; the person
         remains known from training; a recognizer or the call failed; or the
         confirmation was declined
      2  usage error
      3  the server is unreachable
    """
    from marquee.cli.run.remove import RemoveArgs, run

    args = RemoveArgs(
        person_id=person_id,
        face_ids=face,
        sha256s=sha256,
        confirmed=yes,
        server=server,
        timeout=timeout,
        output=output,
        options={"collection": collection, "recognizers": recognizer},
    )
    raise typer.Exit(run(args))


app.add_typer(library_app, name="library")
app.add_typer(notify_app, name="notify")
auth_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make tokens for callers.")
app.add_typer(auth_app, name="auth")


@auth_app.command(no_args_is_help=True)
def token(
    name: options.CallerName,
    *,
    scope: options.Scopes = ["recognize"],
    collection: options.Collections = [],
    expires: options.Expiry = None,
    calls: options.CallRate = None,
    usd: options.DailyDollars = None,
    register: options.Register = None,
    token_stdin: options.TokenStdin = False,
    output: options.ObjectFormat = options.ListOutput.TABLE,
) -> None:
    """Make a token, and the line with which servers know it.

    \b
      marquee auth token first-team --scope recognize --scope enroll --expires 90d
      marquee auth token first-team --register callers

    Prints the token, then the line for the file that MARQUEE_CALLERS names at the
    server. The line holds the token's SHA-256 alone. Two lines may have one name:
    the new token is valid beside the old one until the old line is removed.

    \b
    Exit codes:
      0  the token is made
      1  the file cannot be written, or has a line for this token already
      2  usage error
    """
    from marquee.cli.run.token import Grant, run

    grant = Grant(name, scope, collection, expires, calls, usd)
    raise typer.Exit(run(grant, register, output, token_stdin=token_stdin))
