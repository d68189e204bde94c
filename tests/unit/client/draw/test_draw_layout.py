"""Tests of where names stand, by the geometry of the SVG."""

import io
import itertools
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from marquee import Box, Recognition
from marquee.draw.drawing import Drawing
from marquee.draw.style import DEFAULT_COLORS, LabelPosition, Style, parse_colors, text_color
from marquee.enums import Findings, VerdictState
from marquee.records import read
from marquee.v1 import recognizer_pb2 as pb

SVG = "{http://www.w3.org/2000/svg}"
SIZE = (400, 300)
NAME = "Eileen Collins"


def _box(box: Box) -> pb.BoundingBox:
    return pb.BoundingBox(left=box.left, top=box.top, width=box.width, height=box.height)


def _verdict(box: Box, name: str = NAME, person_id: str = "p") -> pb.Verdict:
    state = pb.VERDICT_STATE_IDENTIFIED if name else pb.VERDICT_STATE_UNKNOWN
    return pb.Verdict(box=_box(box), state=state, display_name=name, person_id=person_id, score=0.98)


def _label(name: str, *boxes: Box) -> pb.Label:
    instances = [pb.LabelInstance(box=_box(box), score=0.75) for box in boxes]
    return pb.Label(name=name, score=0.875, instances=instances)


def _drawn(
    verdicts: Sequence[pb.Verdict] = (),
    labels: Sequence[pb.Label] = (),
    size: tuple[int, int] = SIZE,
    style: Style | None = None,
) -> ET.Element:
    picture = io.BytesIO()
    Image.new("L", size).save(picture, "PNG")
    recognition = read(Recognition, pb.RecognizeImageResponse(verdicts=verdicts, labels=labels))
    return ET.fromstring(Drawing(picture.getvalue(), recognition, style).svg())  # noqa: S314 - made here


def _areas(svg: ET.Element, *kinds: str) -> list[Box]:
    rects = (rect for rect in svg.iter(f"{SVG}rect") if rect.get("class") in kinds)
    return [Box(*(float(rect.get(name) or 0) for name in ("x", "y", "width", "height"))) for rect in rects]


def _texts(svg: ET.Element, *kinds: str) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text") if text.get("class") in (kinds or ("plate",))]


def _written(svg: ET.Element, *kinds: str) -> list[Box]:
    """Return where letters stand, those without a ground as well."""
    found = [text for text in svg.iter(f"{SVG}text") if text.get("class") in kinds]
    extents = [[float(text.get(name) or 0) for name in ("x", "y", "textLength", "font-size")] for text in found]
    return [Box(x - width / 2, y - 0.7 * size, width, 0.7 * size) for x, y, width, size in extents]


def _overlap(one: Box, other: Box) -> bool:
    beside = one.left + one.width <= other.left or other.left + other.width <= one.left
    return not beside and one.top < other.top + other.height and other.top < one.top + one.height


def _collisions(svg: ET.Element) -> Iterator[tuple[Box, Box]]:
    """Yield plates and the faces or other plates that they cover."""
    plates = _areas(svg, "plate", "number")
    pairs = itertools.chain(itertools.product(plates, _areas(svg, "face", "legend")), itertools.combinations(plates, 2))
    return ((one, other) for one, other in pairs if _overlap(one, other))


def _crowd(columns: int, rows: int, share: float) -> list[pb.Verdict]:
    """Return faces in a grid, of which they take a share of each side; every fifth is unknown."""
    names = ["Amy Farrah Fowler", "Bo", "Bernadette Rostenkowski", "Rajesh Koothrappali", ""]
    side = Box(0, 0, share / columns, share / rows)
    places = itertools.product(range(rows), range(columns))
    return [
        _verdict(Box(column / columns + 0.01, row / rows + 0.01, side.width, side.height), name)
        for (row, column), name in zip(places, itertools.cycle(names), strict=False)
    ]


@pytest.mark.parametrize(("columns", "rows"), [(2, 1), (4, 2), (5, 4), (10, 6)])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("size", [(1600, 1000), (720, 1280), (2800, 700)])
def test_no_plate_is_on_a_face_or_another_plate(columns: int, rows: int, share: float, size: tuple[int, int]) -> None:
    """Of 2 to 60 faces, close or apart, each that has a name has it beside it or in the legend, and no two touch."""
    verdicts = _crowd(columns, rows, share)
    svg = _drawn(verdicts, size=size)
    assert list(_collisions(svg)) == []
    assert len(_areas(svg, "face")) == len(verdicts)
    named = sum(bool(verdict.display_name) for verdict in verdicts)
    unknown = _texts(svg).count("unknown")
    assert len(_texts(svg, "plate", "number")) - unknown == named


_SHARES = st.floats(0, 1, width=32)
_BOXES = st.builds(Box, _SHARES, _SHARES, st.floats(0.001, 1), st.floats(0.001, 1))


@pytest.mark.slow
@given(
    faces=st.lists(st.tuples(_BOXES, st.text(max_size=40)), max_size=30),
    labels=st.lists(st.tuples(st.text(min_size=1, max_size=20), st.lists(_BOXES, max_size=4)), max_size=5),
    size=st.tuples(st.integers(1, 1500), st.integers(1, 1500)),
    boxes=st.sampled_from([None, *Findings]),
    position=st.sampled_from([LabelPosition.TOP, LabelPosition.BOTTOM]),
)
@settings(max_examples=40, deadline=None)
def test_plates_are_in_the_picture_and_on_nothing(
    faces: list[tuple[Box, str]],
    labels: list[tuple[str, list[Box]]],
    size: tuple[int, int],
    boxes: Findings | None,
    position: LabelPosition,
) -> None:
    """Whatever the boxes, names and size: plates are in the picture, and on no face, no legend and no other plate."""
    verdicts = [_verdict(box, name) for box, name in faces]
    found = [_label(name, *places) for name, places in labels]
    svg = _drawn(verdicts, found, size, Style(position=position, boxes=boxes))
    assert list(_collisions(svg)) == []
    for plate in _areas(svg, "plate", "number"):
        assert plate.left >= 0
        assert plate.top >= 0
        assert plate.left + plate.width <= size[0] + 0.2
        assert plate.top + plate.height <= size[1] + 0.2
    for kinds in (("plate", "number"), ("legend",)):
        written = _written(svg, *kinds)
        assert not [pair for pair in itertools.combinations(written, 2) if _overlap(*pair)]
        assert all(text.left >= -1 and text.left + text.width <= size[0] + 1 for text in written)


def test_boxes_are_fractions_of_the_upright_picture() -> None:
    """Fractions become pixels; a verdict without a box is not drawn."""
    svg = _drawn([_verdict(Box(0.25, 0.5, 0.5, 0.25)), pb.Verdict(state=pb.VERDICT_STATE_NO_FACE)])
    assert _areas(svg, "face") == [Box(100, 150, 200, 75)]


@pytest.mark.parametrize(
    ("position", "expected"),
    [(LabelPosition.TOP, "above"), (LabelPosition.BOTTOM, "below"), (LabelPosition.INSIDE, "in")],
)
def test_the_name_is_at_the_requested_position(position: LabelPosition, expected: str) -> None:
    """The name is above, below or inside its box."""
    (plate,) = _areas(_drawn([_verdict(Box(0.2, 0.3, 0.5, 0.4))], style=Style(position=position)), "plate")
    where = "above" if plate.top + plate.height <= 90 else "below" if plate.top >= 210 else "in"
    assert where == expected


def test_none_draws_no_names() -> None:
    """Position NONE draws only the boxes, of whatever is asked for."""
    style = Style(position=LabelPosition.NONE, boxes=Findings.ALL)
    svg = _drawn([_verdict(Box(0.2, 0.3, 0.5, 0.4))], [_label("Sky"), _label("Car", Box(0, 0, 1, 1))], style=style)
    assert (len(_areas(svg, "face", "label")), list(svg.iter(f"{SVG}text"))) == (2, [])


def test_letters_grow_with_the_picture_and_the_face() -> None:
    """A picture four times as large has letters four times as large, and a larger face larger ones."""

    def letters(width: float, *size: int) -> float:
        svg = _drawn([_verdict(Box(0.1, 0.3, width, width), "Bo")], size=(size[0], size[1]))
        return float(next(svg.iter(f"{SVG}text")).get("font-size") or 0)

    assert letters(0.5, 3200, 2400) == pytest.approx(4 * letters(0.5, 800, 600), rel=0.05)
    assert letters(0.4, 800, 600) > letters(0.1, 800, 600)


def test_a_face_that_fills_the_picture_is_in_the_legend() -> None:
    """Where there is no room for a name, a number stands for it, and a strip below the picture says for whom."""
    svg = _drawn([_verdict(Box(0, 0, 1, 1))])
    assert _areas(svg, "plate", "number") == []
    assert (_texts(svg, "number"), _texts(svg, "legend")) == (["1"], ["1", "Eileen Collins 98%"])
    strip = _areas(svg, "legend")[0]
    assert (strip.top, strip.width) == (300, 400)
    assert int(svg.get("height") or 0) == 300 + strip.height


@pytest.mark.parametrize("count", [2, 12])
def test_faces_that_fill_the_picture_have_numbers_on_them(count: int) -> None:
    """Each face of a grid without a gap has its number on itself alone, and its name in the legend."""
    boxes = [Box(column / count, row / 2, 1 / count, 0.5) for column in range(count) for row in range(2)]
    svg = _drawn([_verdict(box) for box in boxes], size=(800, 600))
    faces, numbers = _areas(svg, "face"), _written(svg, "number")
    assert [[_overlap(face, number) for face in faces].count(True) for number in numbers] == [1] * 2 * count
    assert _texts(svg, "legend").count("Eileen Collins 98%") == 2 * count


def test_what_has_no_room_for_a_number_is_in_the_legend() -> None:
    """Of many faces in one place, those for which there is no room at all are in the legend without a number."""
    svg = _drawn([_verdict(Box(0.5, 0.5, 0.02, 0.02), f"Twin {index}") for index in range(42)])
    texts = _texts(svg, "plate", "legend")
    assert len(_texts(svg, "plate", "number")) < 42
    assert all(any(f"Twin {index} 98%" in text for text in texts) for index in range(42))


def test_a_label_that_is_wider_than_the_picture_is_shortened() -> None:
    """Labels without a box are in lines below the picture, each no wider than it."""
    svg = _drawn(labels=[_label("Pneumonoultramicroscopicsilicovolcanoconiosis"), _label("Sky")], size=(120, 300))
    assert [text[-1] for text in _texts(svg, "legend")] == [",", "%"]
    assert all(text.left + text.width <= 120 for text in _written(svg, "legend"))


@pytest.mark.parametrize(("others", "expected"), [(1, ["unknown"]), (12, [])])
def test_what_is_unknown_has_no_plate_in_crowds(others: int, expected: list[str]) -> None:
    """Among few faces one that nobody knows says so; among many its box does."""
    known = [_verdict(Box(index / 20, 0.1, 0.02, 0.04), "Bo") for index in range(others)]
    texts = _texts(_drawn([_verdict(Box(0.4, 0.5, 0.2, 0.3), ""), *known], size=(1600, 1200)))
    assert [text for text in texts if text == "unknown"] == expected


def test_people_who_share_a_name_have_their_ids() -> None:
    """Where two people of a picture share a name, their ids tell them apart; others go without."""
    left, middle, right = (Box(x, 0.4, 0.15, 0.2) for x in (0.05, 0.4, 0.75))
    verdicts = [_verdict(left, "Eve", "eve-1"), _verdict(middle, "Eve", "eve-2"), _verdict(right, "Ann", "ann")]
    assert _texts(_drawn(verdicts, size=(1600, 1200))) == ["Eve (eve-1) 98%", "Eve (eve-2) 98%", "Ann 98%"]


def test_a_disagreement_has_all_names() -> None:
    """A disagreement shows each name once."""
    candidates = [pb.Candidate(person_id=name, display_name=name) for name in ("Eve", "Ann", "Eve")]
    verdict = pb.Verdict(
        box=_box(Box(0.3, 0.4, 0.3, 0.3)),
        state=pb.VERDICT_STATE_DISAGREE,
        support=[pb.Support(recognizer="svm", candidate=candidate) for candidate in candidates],
    )
    assert _texts(_drawn([verdict])) == ["Eve or Ann"]


@pytest.mark.parametrize(
    ("boxes", "faces", "cars"),
    [(None, 1, 0), (Findings.FACES, 1, 0), (Findings.LABELS, 0, 2), (Findings.ALL, 1, 2)],
)
def test_boxes_are_those_that_are_asked_for(boxes: Findings | None, faces: int, cars: int) -> None:
    """Labels have a dashed box with name and score for each of their places, and a line below without one."""
    labels = [_label("Car", Box(0.1, 0.6, 0.2, 0.2), Box(0.6, 0.6, 0.3, 0.3)), _label("Street")]
    svg = _drawn([_verdict(Box(0.4, 0.2, 0.2, 0.2))], labels, (800, 600), Style(boxes=boxes))
    assert (len(_areas(svg, "face")), len(_areas(svg, "label"))) == (faces, cars)
    assert _texts(svg).count("Car 75%") == cars
    assert _texts(svg, "legend") == (["Street 88%"] if cars else [])


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        (None, "Ada 98%, Car 88%, Sky 88%"),
        (Findings.FACES, "Ada 98%"),
        (Findings.LABELS, "Car 88%, Sky 88%"),
        (Findings.ALL, "Ada 98%, Car 88%, Sky 88%"),
    ],
)
def test_what_has_no_place_is_listed_below(boxes: Findings | None, expected: str) -> None:
    """Beneath the picture stand a person and labels without a box, or with one that is outside the picture."""
    ada = pb.Verdict(state=pb.VERDICT_STATE_IDENTIFIED, display_name="Ada", person_id="ada", score=0.98)
    svg = _drawn([ada], [_label("Car", Box(2, 2, 1, 1)), _label("Sky")], style=Style(boxes=boxes))
    assert _texts(svg, "legend") == [expected]


def test_labels_are_drawn_where_there_is_no_face() -> None:
    """Without a face, the default is labels."""
    assert len(_areas(_drawn(labels=[_label("Car", Box(0.1, 0.6, 0.2, 0.2))]), "label")) == 1


def test_colors_replace_the_defaults_of_their_states() -> None:
    """Hex, short hex and names are valid colors; other states keep their defaults."""
    style = Style(parse_colors("identified=#2a2, Unknown=orange,label=navy"))
    assert style.color(VerdictState.IDENTIFIED) == "#22aa22"
    assert style.color(VerdictState.UNKNOWN) == "#ffa500"
    assert style.color(VerdictState.DISAGREE) == DEFAULT_COLORS[VerdictState.DISAGREE]
    assert style.label_color(1) == "#000080"


@pytest.mark.parametrize(
    ("ground", "letters"), [("#ffff00", "#000000"), ("#000080", "#ffffff"), ("#237b34", "#ffffff")]
)
def test_text_is_legible_on_any_color(ground: str, letters: str) -> None:
    """Text is black on light plates and white on dark ones."""
    assert text_color(ground) == letters
