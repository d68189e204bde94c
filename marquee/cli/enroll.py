"""`marquee enroll`."""

import typer

from marquee.cli import options


def enroll(  # noqa: PLR0913 - each is an option of the command
    sources: options.Sources = [],  # noqa: B006 - typer reads it as the default
    *,
    name: options.Name = "",
    person_id: options.PersonId = "",
    allow_similar: options.AllowSimilar = False,
    collection: options.Collection = "",
    recognizer: options.Recognizers = [],  # noqa: B006 - likewise
    address: options.Address = None,
    timeout: options.EnrollTimeout = 30.0,
    output: options.EnrollFormat = options.ListOutput.TABLE,
) -> None:
    """Teaches people's faces to the recognizers, without training.

    \b
      marquee enroll --name "Grace Hopper" a.jpg b.jpg
      marquee enroll people/*/
      marquee enroll --person-id grace-hopper --name "Adm. Hopper"   (renames)

    Each picture shows one person's face and nobody else's. One that is not good
    enough is refused with what to do about it; the others count. Doing it again
    is safe: what is enrolled already stays as it is.

    \b
    Exit codes:
      0  every picture is enrolled
      1  a picture was refused, or a recognizer or a call failed
      2  wrong usage, or a file that is not there
      3  no server answers
    """  # noqa: D301 - \b keeps the lines apart in --help
    from marquee.cli.run.enroll import Enrolling, run  # noqa: PLC0415 - --help need not wait for gRPC
    from marquee.cli.subjects import subjects_of  # noqa: PLC0415 - likewise

    asked = Enrolling(
        subjects=subjects_of(sources, name, person_id),
        address=address,
        timeout=timeout,
        call={"allow_similar": allow_similar, "collection": collection, "recognizers": recognizer},
        output=output,
    )
    raise typer.Exit(run(asked))
