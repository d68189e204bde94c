"""`marquee recognizers`."""

import typer

from marquee.cli import options


def recognizers(
    *,
    address: options.Address = None,
    timeout: options.Timeout = 12.0,
    output: options.ListFormat = options.ListOutput.TABLE,
) -> None:
    """Lists the recognizers: state, features, models, prices.

    \b
    Exit codes:
      0  they are listed, whatever their state
      1  the call failed
      2  wrong usage
      3  no server answers
    """  # noqa: D301 - \b keeps the lines apart in --help
    from marquee.cli.run.recognizers import print_catalog  # noqa: PLC0415 - --help need not wait for gRPC

    raise typer.Exit(print_catalog(address, timeout, output))
