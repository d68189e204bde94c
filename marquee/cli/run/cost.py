"""Asks for prices and money spent, and prints what pictures would cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from marquee.cli import terminal
from marquee.cli.options import ListOutput
from marquee.cli.run.attempts import Exit
from marquee.cli.run.calls import connected
from marquee.cli.run.estimates import Estimate, estimates
from marquee.cli.tables import dollars, table_of, words
from marquee.cli.terminal import clean, print_error, print_json
from marquee.recognizers import Recognizer


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures that may be recognized."""

    pictures: int
    features: Sequence[str]
    """Empty: the server's default."""
    recognizers: Sequence[str]
    """Empty: all."""
    faces: int
    """In each picture."""


def print_cost(batch: Batch, address: str | None, timeout: float, output: ListOutput) -> Exit:
    """Prints the estimate, if there are pictures, and the money spent."""
    with connected(address) as client:
        listed = client.recognizers(timeout=timeout)
    if wrong := set(batch.recognizers) - {recognizer.name for recognizer in listed}:
        print_error("", f"There is no recognizer {wrong.pop()!r}; there is: {', '.join(one.name for one in listed)}.")
        return Exit.USAGE
    asked = [one for one in listed if not batch.recognizers or one.name in batch.recognizers]
    made = estimates(asked, batch.pictures, batch.features, batch.faces) if batch.pictures else []
    _print_object(batch, made, asked) if output is ListOutput.JSON else _print_tables(batch, made, asked)
    return Exit.OK if all(estimate.fits for estimate in made) else Exit.FAILED


def _print_tables(batch: Batch, made: Sequence[Estimate], asked: Sequence[Recognizer]) -> None:
    console = terminal.stdout()
    if batch.pictures:
        console.print(Text.assemble((f"{batch.pictures:,} pictures: ", "bold"), dollars(_total(made))))
        if made:
            console.print(_estimate_table(made))
        for estimate in made:
            if not estimate.fits:
                console.print(Text(_too_much(batch, estimate), "red"))
        console.print()
    spenders = [recognizer for recognizer in asked if recognizer.spending is not None]
    console.print(_spending_table(spenders) if spenders else "No recognizer here costs money.")


def _estimate_table(made: Sequence[Estimate]) -> Any:
    table = table_of("Recognizer", "Feature", ">A picture", ">All", "Prices of")
    for estimate in made:
        dates = {price.feature: price for price in estimate.recognizer.prices}
        for item in estimate.items:
            price = dates[item.feature]
            when = f" {price.effective_time:%Y-%m-%d}" if price.effective_time else ""
            name = clean(estimate.recognizer.name)
            each, every = dollars(item.micro_usd_a_picture), dollars(item.micro_usd)
            table.add_row(name, words(item.feature), each, every, clean(price.region + when))
    return table


def _spending_table(spenders: Sequence[Recognizer]) -> Any:
    table = table_of("Recognizer", ">Spent today", ">This month", ">Cap a day", ">Left today")
    for recognizer in spenders:
        if (spending := recognizer.spending) is not None:
            cap, left = spending.daily_cap_micro_usd, Estimate(recognizer, ()).left_micro_usd
            table.add_row(
                clean(recognizer.name),
                dollars(spending.today_micro_usd),
                dollars(spending.month_micro_usd),
                "none" if cap is None else dollars(cap),
                "" if left is None else dollars(left),
            )
    return table


def _too_much(batch: Batch, estimate: Estimate) -> str:
    left = estimate.left_micro_usd or 0
    pictures = left * batch.pictures // estimate.micro_usd
    return (
        f"{clean(estimate.recognizer.name)}: {dollars(left)} may still be spent today, "
        f"enough for about {pictures:,} of these pictures."
    )


def _print_object(batch: Batch, made: Sequence[Estimate], asked: Sequence[Recognizer]) -> None:
    told = {
        "pictures": batch.pictures,
        "micro_usd": _total(made),
        "fits": all(estimate.fits for estimate in made),
        "estimates": [_estimate(estimate) for estimate in made],
        "spending": [
            {"recognizer": one.name, **one.spending.to_dict(), "left_today_micro_usd": Estimate(one, ()).left_micro_usd}
            for one in asked
            if one.spending is not None
        ],
    }
    print_json(told)


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "recognizer": estimate.recognizer.name,
        "micro_usd": estimate.micro_usd,
        "fits": estimate.fits,
        "features": [
            {
                "feature": str(item.feature),
                "micro_usd_a_picture": item.micro_usd_a_picture,
                "micro_usd": item.micro_usd,
            }
            for item in estimate.items
        ],
        "prices": [price.to_dict() for price in estimate.recognizer.prices],
    }


def _total(made: Sequence[Estimate]) -> int:
    return sum(estimate.micro_usd for estimate in made)
