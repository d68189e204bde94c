"""The curve in figures: the command's table and object, and its page."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.policy_report.curve import Point
from services.runtime.images.folder import LeftOut
from services.runtime.report import page
from services.runtime.report.page import Block, Chart, Line, Table, Text

HEAD = (
    "policy",
    "confident score",
    "$ per 1,000",
    "of ALL's",
    "calls",
    "identified",
    "strangers named",
    "wrong names",
    "errors",
    "names as ALL",
    "median",
)
_MEANING = Text(
    "Each picture was asked about once, of all recognizers; every policy was then played on their answers. "
    "FIRST_CONFIDENT hears them in the order in which they answered, and pays for calls that it cancels. Identified: "
    "the share of known people who are identified as who they are. Strangers named: the share of strangers who get any "
    "name. Wrong names: their share among all names. Errors: the share of pictures whose known person is not "
    "identified, or whose stranger is. Near-duplicates count as one picture."
)
_CHOICE = Text(
    "A confident score is a promise to be kept by the recognizers that are asked first. Choose the cheapest line whose "
    "errors you can live with: `confident_score` in gateway.yaml is that of all recognizers, and one of them may have "
    "its own. A veto, a calibration table and scores of recognizers' own are taken from --config."
)
_POLICIES = (pb.POLICY_ALL, pb.POLICY_FIRST_CONFIDENT, pb.POLICY_CASCADE)


def rows(points: Sequence[Point]) -> list[Sequence[str]]:
    """Return a row for each point; HEAD names the columns."""
    return [
        (
            policy_name(one.policy),
            "" if one.score is None else f"{one.score:g}",
            f"{one.dollars:.2f}",
            _percent(one.dollars_share),
            f"{one.calls:.2f}",
            *map(_percent, (one.identified, one.strangers_named, one.wrong, one.errors, one.equal)),
            f"{one.seconds * 1000:.0f} ms",
        )
        for one in points
    ]


def facts(points: Sequence[Point]) -> dict[str, Any]:
    """Return the points for programs."""
    return {"points": [asdict(one) | {"policy": policy_name(one.policy)} for one in points]}


def write(path: Path, points: Sequence[Point], pictures: int, left_out: Sequence[LeftOut]) -> None:
    """Write the page."""
    summary: list[Block] = [_chart(points), _CHOICE, Table(HEAD, rows(points)), _MEANING]
    page.write(path, f"Policies: dollars against errors, {pictures} pictures", summary, [page.left_out(left_out)])


def policy_name(policy: pb.Policy.ValueType) -> str:
    """Return the policy as the command names it."""
    return pb.Policy.Name(policy).removeprefix("POLICY_")


def _chart(points: Sequence[Point]) -> Chart:
    """Draw errors over dollars, up to the most of each; lines go from one confident score to the next."""
    dollars = max(one.dollars for one in points) or 1
    errors = max(one.errors for one in points) or 1
    lines = []
    for policy in _POLICIES:
        own = [(one.dollars / dollars, one.errors / errors) for one in points if one.policy == policy]
        lines.append(Line(own if len(own) > 1 else _cross(*own[0]), policy_name(policy)))
    return Chart(f"$ per 1,000, up to {dollars:.2f}", f"errors, up to {errors:.1%}", lines)


def _cross(x: float, y: float) -> list[tuple[float, float]]:
    """Return the strokes of a mark, since a line of one point is not seen."""
    return [(x - 0.02, y), (x + 0.02, y), (x, y), (x, y - 0.03), (x, y + 0.03)]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
