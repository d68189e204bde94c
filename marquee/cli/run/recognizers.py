"""List the recognizers behind the server."""

from collections.abc import Iterator, Sequence

from marquee.cli.exits import Exit, connect
from marquee.cli.options import ListOutput
from marquee.cli.output import dollars, words
from marquee.cli.server import Server
from marquee.cli.table import Table, Text
from marquee.cli.terminal import print_json, print_note
from marquee.draw.text import clean
from marquee.enums import RecognizerState
from marquee.records import Spending
from marquee.results import Recognizer

_STATE_STYLES = {RecognizerState.READY: "green", RecognizerState.LOADING: "yellow"}


def run(server: Server, timeout: float, output: ListOutput) -> Exit:
    """Print the recognizers. Raises typer.Exit if the call fails."""
    with connect(server, output) as client:
        recognizers = client.recognizers(timeout=timeout)
    server.print_origin()
    if output is ListOutput.JSON:
        print_json([recognizer.to_dict() for recognizer in recognizers])
    else:
        _print_table(recognizers)
    note_withheld(recognizers)
    return Exit.OK


def note_withheld(recognizers: Sequence[Recognizer]) -> None:
    """Say on standard error why it is not shown what is spent on some of them."""
    if names := [recognizer.name for recognizer in recognizers if recognizer.spending_withheld]:
        print_note(f"What is spent on {', '.join(names)} is not shown: that needs the scope admin.")


def _print_table(recognizers: Sequence[Recognizer]) -> None:
    table = Table("Recognizer", "State", "Features", "Models", "Smallest face", "Price per picture", "Enrolls", "Spent")
    for recognizer in recognizers:
        table.add_row(
            clean(recognizer.name),
            _state(recognizer),
            ", ".join(words(feature) for feature in recognizer.features),
            _models(recognizer),
            _smallest(recognizer),
            "\n".join(_prices(recognizer)) or "free",
            "yes" if recognizer.can_enroll else "no",
            "needs admin" if recognizer.spending_withheld else _spent(recognizer.spending),
        )
    table.print()


def _state(recognizer: Recognizer) -> Text:
    style = _STATE_STYLES.get(recognizer.state, "red")
    reason = f": {recognizer.status.message}" if recognizer.status and recognizer.status.message else ""
    return Text(clean(words(recognizer.state) + reason), style)


def _models(recognizer: Recognizer) -> str:
    return clean(", ".join(f"{model.name} {model.version}" for model in recognizer.models))


def _smallest(recognizer: Recognizer) -> str:
    share = recognizer.smallest_face
    return "" if share is None else f"{100 * share:.2g} %"


def _prices(recognizer: Recognizer) -> Iterator[str]:
    return (f"{words(price.feature)} {dollars(price.micro_usd)}" for price in recognizer.prices)


def _spent(spending: Spending | None) -> str:
    if spending is None:
        return ""
    cap = spending.daily_cap_micro_usd
    limit = "" if cap is None else f" of {dollars(cap)}"
    limit += f", one of {spending.replicas} replicas," if spending.replicas else ""
    return f"{dollars(spending.today_micro_usd)}{limit} today\n{dollars(spending.month_micro_usd)} this month"
