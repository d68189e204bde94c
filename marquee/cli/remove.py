"""`marquee remove`."""

import typer

from marquee.cli import options


def remove(  # noqa: PLR0913 - each is an option of the command
    person_id: options.PersonIdArgument,
    *,
    yes: options.Yes = False,
    collection: options.Collection = "",
    recognizer: options.Recognizers = [],  # noqa: B006 - typer reads it as the default
    address: options.Address = None,
    timeout: options.CallTimeout = 12.0,
    output: options.RemoveFormat = options.ListOutput.TABLE,
) -> None:
    """Makes the recognizers forget a person.

    All enrolled faces of theirs are forgotten. Asks before.

    \b
    Exit codes:
      0  the person is forgotten
      1  nobody is enrolled under that id, the person stays known from training,
         a recognizer or the call failed, or the answer was no
      2  wrong usage
      3  no server answers
    """  # noqa: D301 - \b keeps the lines apart in --help
    from marquee.cli.run.remove import Removing, run  # noqa: PLC0415 - --help need not wait for gRPC

    asked = Removing(
        person_id=person_id,
        sure=yes,
        address=address,
        timeout=timeout,
        output=output,
        call={"collection": collection, "recognizers": recognizer},
    )
    raise typer.Exit(run(asked))
