"""`marquee recognize`."""

import typer

from marquee.cli import options
from marquee.cli.draw.style import LabelPosition, style_of


def recognize(  # noqa: PLR0913 - each is an option of the command
    files: options.Files,
    *,
    address: options.Address = None,
    recognizer: options.Recognizers = [],  # noqa: B006 - typer reads it as the default
    feature: options.Features = [],  # noqa: B006 - likewise
    max_labels: options.MaxLabels = None,
    min_score: options.MinScore = None,
    timeout: options.Timeout = 12.0,
    output: options.OutputFormat = options.Output.TABLE,
    draw: options.Draw = None,
    colors: options.Colors = None,
    label_position: options.Position = LabelPosition.TOP,
    jobs: options.Jobs = 4,
    strict: options.Strict = False,
) -> None:
    """Tells who is in pictures.

    \b
    Exit codes:
      0  every picture was recognized
      1  a picture or a call failed; with --strict: or a single recognizer
      2  wrong usage, or a file that is not there
      3  no server answers
    """  # noqa: D301 - \b keeps the lines apart in --help
    from marquee.cli.draw.targets import targets_of  # noqa: PLC0415 - likewise
    from marquee.cli.inputs import check_files  # noqa: PLC0415 - --help need not wait for gRPC
    from marquee.cli.run.recognize import Run, run  # noqa: PLC0415 - likewise

    check_files(files)
    asked = Run(
        files=files,
        address=address,
        timeout=timeout,
        call={"recognizers": recognizer, "features": feature, "max_labels": max_labels, "min_score": min_score},
        targets=targets_of(draw, files),
        style=style_of(colors, label_position),
        output=output,
        jobs=jobs,
        strict=strict,
    )
    raise typer.Exit(run(asked))
