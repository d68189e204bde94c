"""Estimate the cost of pictures from the prices that the server lists, and print it with the money spent."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from marquee.cli.exits import Exit, connect
from marquee.cli.options import ListOutput
from marquee.cli.output import count, dollars, words
from marquee.cli.run.recognizers import note_withheld
from marquee.cli.server import Server
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import print_json
from marquee.draw.text import clean
from marquee.enums import Feature
from marquee.records import Price
from marquee.results import Recognizer

_FLAT = ""
_DEFAULT_FEATURES = (Feature.CELEBRITIES, Feature.LABELS)


@dataclass(frozen=True, slots=True)
class CostArgs:
    """Pictures to estimate."""

    pictures: int
    features: Sequence[str]
    """Empty: the server's default."""
    recognizers: Sequence[str]
    """Empty: all."""
    faces: int
    """Per picture."""


def run(args: CostArgs, server: Server, timeout: float, output: ListOutput) -> Exit:
    """Print the estimate, if there are pictures, and the money spent. Raises typer.Exit, BadParameter."""
    with connect(server, output) as client:
        recognizers = client.recognizers(timeout=timeout)
    names = [recognizer.name for recognizer in recognizers]
    if unknown := set(args.recognizers) - set(names):
        raise typer.BadParameter(
            f"{min(unknown)!r} is unknown; choose from {', '.join(names)}.", param_hint="--recognizer"
        )
    chosen = [one for one in recognizers if not args.recognizers or one.name in args.recognizers]
    estimates = _estimates(args, chosen) if args.pictures else []
    if output is ListOutput.JSON:
        _print_object(args, estimates, chosen)
    else:
        _print_tables(args, estimates, chosen)
    note_withheld(chosen)
    return Exit.OK if all(estimate.fits for estimate in estimates) else Exit.FAILED


@dataclass(frozen=True, slots=True)
class _Item:
    """Cost of one feature of one recognizer, in millionths of a US dollar."""

    feature: Feature
    micro_usd_per_picture: int
    micro_usd: int


@dataclass(frozen=True, slots=True)
class _Estimate:
    """Cost of one recognizer."""

    recognizer: Recognizer
    items: tuple[_Item, ...]

    @property
    def micro_usd(self) -> int:
        return sum(item.micro_usd for item in self.items)

    @property
    def fits(self) -> bool:
        """Whether it may be spent today."""
        left = _left_today(self.recognizer)
        return left is None or self.micro_usd <= left


def _estimates(args: CostArgs, recognizers: Sequence[Recognizer]) -> list[_Estimate]:
    """Return one for each recognizer that charges for any of the features."""
    features = tuple(dict.fromkeys(Feature(feature) for feature in args.features)) or _DEFAULT_FEATURES
    estimates = [_Estimate(one, tuple(_items(one, args.pictures, features, args.faces))) for one in recognizers]
    return [estimate for estimate in estimates if estimate.items]


def _items(recognizer: Recognizer, pictures: int, features: Sequence[Feature], faces: int) -> Iterator[_Item]:
    volume = _Volume(recognizer)
    takes = {price.feature: volume.calls(price) for price in recognizer.prices}
    for feature in features:
        if feature in takes:
            calls = _face_search(takes, features, faces) if feature is Feature.FACE_SEARCH else takes[feature]
            micro_usd = sum(volume.add(group, number * pictures) for group, number in calls.items())
            yield _Item(feature, round(micro_usd / pictures), micro_usd)


class _Volume:
    """The month's calls, and what more of them cost."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._tiers = {group.name: group.tiers for group in recognizer.price_groups if group.tiers}
        spending = recognizer.spending
        self._calls = Counter({one.group: one.calls for one in spending.month_calls} if spending else {})

    def calls(self, price: Price) -> Counter[str]:
        """Return the calls that a picture takes, by group; those of _FLAT cost a millionth of a dollar each."""
        calls = {one.group: one.calls for one in price.calls}
        known = calls and calls.keys() <= self._tiers.keys()
        return Counter(calls if known else {_FLAT: price.micro_usd})

    def add(self, group: str, number: int) -> int:
        """Count further calls of the group; return what they cost, in millionths of a US dollar."""
        first = self._calls[group]
        self._calls[group] += number
        if group == _FLAT:
            return number
        tiers = sorted(self._tiers[group], key=lambda tier: tier.from_calls)
        ends = [*(tier.from_calls for tier in tiers[1:]), first + number]
        return sum(
            tier.micro_usd * max(0, min(end, first + number) - max(tier.from_calls, first))
            for tier, end in zip(tiers, ends, strict=True)
        )


def _face_search(takes: Mapping[Feature, Counter[str]], features: Sequence[Feature], faces: int) -> Counter[str]:
    """Return the calls of FACE_SEARCH per picture.

    The listed ones are for one face: one detection, which is all that FACES takes, and one search.
    If FACES is requested too, the detection is charged once.
    """
    calls, detection = Counter[str](), takes.get(Feature.FACES, takes[Feature.FACE_SEARCH])
    for group in takes[Feature.FACE_SEARCH] | detection:
        searches = faces * (takes[Feature.FACE_SEARCH][group] - detection[group])
        calls[group] = searches if Feature.FACES in features else detection[group] + searches
    return calls


def _left_today(recognizer: Recognizer) -> int | None:
    """Return what may still be spent today, in millionths of a US dollar; None: no cap."""
    spending = recognizer.spending
    if spending is None or spending.daily_cap_micro_usd is None:
        return None
    return max(0, spending.daily_cap_micro_usd - spending.today_micro_usd)


def _print_tables(args: CostArgs, estimates: Sequence[_Estimate], recognizers: Sequence[Recognizer]) -> None:
    if args.pictures:
        print_line(Text(f"{count(args.pictures, 'picture')}: ", "bold"), dollars(_total(estimates)))
        if estimates:
            _estimate_table(estimates).print()
        for estimate in estimates:
            if not estimate.fits:
                print_line(Text(_over_cap(args, estimate), "red"))
        print_line()
    charging = [recognizer for recognizer in recognizers if recognizer.spending is not None]
    if charging:
        _spending_table(charging).print()
    elif not any(recognizer.spending_withheld for recognizer in recognizers):
        print_line("No recognizer here costs money.")


def _estimate_table(estimates: Sequence[_Estimate]) -> Table:
    table = Table("Recognizer", "Feature", ">Per picture", ">Total", "Prices of")
    for estimate in estimates:
        prices = {price.feature: price for price in estimate.recognizer.prices}
        for item in estimate.items:
            price = prices[item.feature]
            date = f" {price.effective_time:%Y-%m-%d}" if price.effective_time else ""
            name = clean(estimate.recognizer.name)
            costs = dollars(item.micro_usd_per_picture), dollars(item.micro_usd)
            table.add_row(name, words(item.feature), *costs, clean(price.region + date))
    return table


def _spending_table(recognizers: Sequence[Recognizer]) -> Table:
    table = Table("Recognizer", ">Spent today", ">This month", ">Daily cap", ">Left today")
    for recognizer in recognizers:
        if (spending := recognizer.spending) is not None:
            cap, left = spending.daily_cap_micro_usd, _left_today(recognizer)
            limit = "none" if cap is None else dollars(cap)
            table.add_row(
                clean(recognizer.name),
                dollars(spending.today_micro_usd),
                dollars(spending.month_micro_usd),
                f"{limit}, one of {spending.replicas} replicas" if spending.replicas else limit,
                "" if left is None else dollars(left),
            )
    return table


def _over_cap(args: CostArgs, estimate: _Estimate) -> str:
    left = _left_today(estimate.recognizer) or 0
    pictures = left * args.pictures // estimate.micro_usd
    enough = f"enough for about {pictures:,} of these pictures" if pictures else "not enough for a picture"
    return f"{clean(estimate.recognizer.name)}: {dollars(left)} is left to spend today, {enough}."


def _print_object(args: CostArgs, estimates: Sequence[_Estimate], recognizers: Sequence[Recognizer]) -> None:
    print_json(
        {
            "pictures": args.pictures,
            "micro_usd": _total(estimates),
            "fits": all(estimate.fits for estimate in estimates),
            "estimates": [_estimate_dict(estimate) for estimate in estimates],
            "spending": [
                {"recognizer": one.name, **one.spending.to_dict(), "left_today_micro_usd": _left_today(one)}
                for one in recognizers
                if one.spending is not None
            ],
        }
    )


def _estimate_dict(estimate: _Estimate) -> dict[str, Any]:
    return {
        "recognizer": estimate.recognizer.name,
        "micro_usd": estimate.micro_usd,
        "fits": estimate.fits,
        "features": [
            {
                "feature": str(item.feature),
                "micro_usd_a_picture": item.micro_usd_per_picture,
                "micro_usd": item.micro_usd,
            }
            for item in estimate.items
        ],
        "prices": [price.to_dict() for price in estimate.recognizer.prices],
    }


def _total(estimates: Sequence[_Estimate]) -> int:
    return sum(estimate.micro_usd for estimate in estimates)
