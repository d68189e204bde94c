"""`marquee people`."""

import typer

from marquee.cli import options


def people(
    *,
    collection: options.Collection = "",
    recognizer: options.Recognizers = [],  # noqa: B006 - typer reads it as the default
    address: options.Address = None,
    timeout: options.CallTimeout = 12.0,
    output: options.ListFormat = options.ListOutput.TABLE,
) -> None:
    """Lists the people whom the recognizers know.

    With the number of enrolled faces that each recognizer has of them.

    \b
    Exit codes:
      0  they are listed
      1  the call, or one of the recognizers, failed
      2  wrong usage
      3  no server answers
    """  # noqa: D301 - \b keeps the lines apart in --help
    from marquee.cli.run.people import print_people  # noqa: PLC0415 - --help need not wait for gRPC

    raise typer.Exit(print_people(address, timeout, output, {"collection": collection, "recognizers": recognizer}))
