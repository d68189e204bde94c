"""`marquee cost`."""

import typer

from marquee.cli import options


def cost(  # noqa: PLR0913 - each is an option of the command
    files: options.OptionalFiles = [],  # noqa: B006 - typer reads it as the default
    *,
    address: options.Address = None,
    pictures: options.Pictures = None,
    recognizer: options.Recognizers = [],  # noqa: B006 - likewise
    feature: options.Features = [],  # noqa: B006 - likewise
    faces: options.FacesAPicture = 1,
    timeout: options.Timeout = 12.0,
    output: options.ListFormat = options.ListOutput.TABLE,
) -> None:
    """Tells what pictures would cost, and what was spent.

    With FILEs or --pictures: what `marquee recognize` of them would cost at the prices that the
    server lists, if no call is made twice and nothing comes from a cache. Nothing is recognized.

    \b
    Exit codes:
      0  told; the pictures fit into what may be spent today
      1  they do not, or the call failed
      2  wrong usage
      3  no server answers
    """  # noqa: D301 - \b keeps the lines apart in --help
    from marquee.cli.inputs import check_files  # noqa: PLC0415 - likewise
    from marquee.cli.run.cost import Batch, print_cost  # noqa: PLC0415 - --help need not wait for gRPC

    check_files(files)
    if files and pictures is not None:
        raise typer.BadParameter("give FILEs or a number, not both.", param_hint="--pictures")
    batch = Batch(len(files) if files else pictures or 0, tuple(feature), tuple(recognizer), faces)
    raise typer.Exit(print_cost(batch, address, timeout, output))
