"""Tests of the layout of boxes and names."""

import pytest

from marquee import Box, Candidate, Support, Verdict, VerdictState
from marquee.draw.layout import Caption, Mark, caption_text, lay_out
from marquee.draw.style import DEFAULT_COLORS, LabelPosition, parse_colors, style_of, text_color

SIZE = (400, 300)


def _verdict(box: Box | None, name: str = "Eileen Collins") -> Verdict:
    return Verdict(box, VerdictState.IDENTIFIED, "p", name, 0.98, ())


def _marks(*verdicts: Verdict, position: LabelPosition = LabelPosition.TOP) -> list[Mark]:
    return lay_out(verdicts, SIZE, style_of({}, position))


def _caption(*verdicts: Verdict, position: LabelPosition) -> Caption:
    caption = _marks(*verdicts, position=position)[-1].caption
    assert caption is not None
    return caption


def test_boxes_are_fractions_of_the_upright_picture() -> None:
    """Fractions become pixels; a verdict without a box is not drawn."""
    marks = _marks(_verdict(Box(0.25, 0.5, 0.5, 0.25)), _verdict(None))
    assert [(m.box.left, m.box.top, m.box.width, m.box.height) for m in marks] == [(100, 150, 200, 75)]


@pytest.mark.parametrize(
    ("position", "expected"),
    [(LabelPosition.TOP, "above"), (LabelPosition.BOTTOM, "below"), (LabelPosition.INSIDE, "in")],
)
def test_the_name_is_at_the_requested_position(position: LabelPosition, expected: str) -> None:
    """The name is above, below or inside its box."""
    plate = _caption(_verdict(Box(0.2, 0.3, 0.5, 0.4)), position=position).plate
    where = "above" if plate.bottom <= 90 else "below" if plate.top >= 210 else "in"
    assert where == expected


def test_none_draws_no_names() -> None:
    """Position NONE draws only the boxes."""
    assert _marks(_verdict(Box(0.2, 0.3, 0.5, 0.4)), position=LabelPosition.NONE)[0].caption is None


@pytest.mark.parametrize("position", [LabelPosition.TOP, LabelPosition.BOTTOM, LabelPosition.INSIDE])
@pytest.mark.parametrize(
    "box", [Box(0, 0, 1, 1), Box(0.9, 0.9, 0.1, 0.1), Box(0, 0, 0.05, 0.05), Box(-0.1, -0.1, 1.3, 1.3)]
)
@pytest.mark.parametrize("name", ["Bo", "Wolfeschlegelsteinhausenbergerdorff the Elder of Somewhere"])
def test_plates_stay_in_the_picture(position: LabelPosition, box: Box, name: str) -> None:
    """A plate stays inside the picture, wherever the face is and however long the name."""
    plate = _caption(_verdict(box, name), position=position).plate
    assert plate.left >= 0
    assert plate.top >= 0
    assert plate.left + plate.width <= SIZE[0]
    assert plate.bottom <= SIZE[1]


def test_plates_of_close_faces_do_not_overlap() -> None:
    """The plate that comes later moves to the next position."""
    close = [_verdict(Box(0.3, 0.4, 0.3, 0.3)), _verdict(Box(0.35, 0.4, 0.3, 0.3))]
    first, second = (mark.caption for mark in _marks(*close))
    assert first is not None
    assert second is not None
    assert not first.plate.overlaps(second.plate)


def test_text_grows_with_the_picture() -> None:
    """A picture ten times as large has letters ten times as large."""
    large = lay_out([_verdict(Box(0, 0, 1, 1), "Bo")], (8000, 6000), style_of({}, LabelPosition.TOP))[0].caption
    small = lay_out([_verdict(Box(0, 0, 1, 1), "Bo")], (800, 600), style_of({}, LabelPosition.TOP))[0].caption
    assert large is not None
    assert small is not None
    assert large.font_size == pytest.approx(10 * small.font_size, rel=0.05)


def test_captions_by_state() -> None:
    """A known person has a score, a disagreement shows both names, and an unknown person is "unknown"."""
    support = tuple(Support("svm", Candidate("p", name, 0.9, ()), "") for name in ("Eve", "Ann", "Eve"))
    assert caption_text(_verdict(None)) == "Eileen Collins 98%"
    assert caption_text(Verdict(None, VerdictState.DISAGREE, "", "", 0, support)) == "Eve or Ann"
    assert caption_text(Verdict(None, VerdictState.UNKNOWN, "", "", 0, ())) == "unknown"


def test_colors_replace_the_defaults_of_their_states() -> None:
    """Hex, short hex and names are valid colors; other states keep their defaults."""
    style = style_of(parse_colors("identified=#2a2, Unknown=orange"), LabelPosition.TOP)
    assert style.color(VerdictState.IDENTIFIED) == "#22aa22"
    assert style.color(VerdictState.UNKNOWN) == "#ffa500"
    assert style.color(VerdictState.DISAGREE) == DEFAULT_COLORS[VerdictState.DISAGREE]


def test_text_is_legible_on_any_color() -> None:
    """Text is black on light plates and white on dark ones."""
    assert (text_color("#ffff00"), text_color("#000080")) == ("#000000", "#ffffff")
