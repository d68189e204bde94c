"""The table of calibration: what it holds, and what a score is worth."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.v1 import recognizer_pb2 as pb
from services.gateway.fusion.calibration import Curve, ModelCurves, log_odds, read_table

SCORES = st.floats(0, 1)
CURVES = st.builds(Curve, slope=st.floats(0, 20), intercept=st.floats(-20, 20), most=st.floats(0, 20))


@given(CURVES, SCORES, SCORES)
def test_a_higher_score_is_never_worth_less(curve: Curve, one: float, other: float) -> None:
    """Evidence rises with the score, from 0 to the most that the table allows."""
    low, high = sorted((one, other))
    assert 0 <= curve.ratio(low) <= curve.ratio(high) <= curve.most


def test_known_ratios_are_recovered() -> None:
    """Scores whose log odds are normal, equally wide around -1 and 1, have the ratio that the densities have."""

    def density(x: float, mean: float) -> float:
        return math.exp(-((x - mean) ** 2) / 2)

    curve = Curve(slope=2, intercept=0, most=9)
    for score in (0.55, 0.7, 0.9, 0.97):
        x = log_odds(score)
        assert curve.ratio(score) == pytest.approx(math.log(density(x, 1) / density(x, -1)))


@pytest.mark.parametrize("score", [0, 1])
def test_certainty_has_an_end(score: float) -> None:
    """The log odds of 0 and 1 are finite."""
    assert abs(log_odds(score)) == pytest.approx(9.21, abs=0.01)


@pytest.mark.parametrize(("name", "version"), [("hog", "1"), ("hog", "1+7")])
def test_curves_are_of_a_model_whatever_its_gallery_holds(name: str, version: str) -> None:
    """Every enrollment changes what follows the version's plus sign, and no score's meaning."""
    assert ModelCurves(model="hog", version="1+3").are_of(pb.Model(name=name, version=version))


@pytest.mark.parametrize(("name", "version"), [("hog", "2"), ("hog", ""), ("cnn", "1")])
def test_curves_are_of_no_other_model(name: str, version: str) -> None:
    """Curves are for exactly one version of one model."""
    assert not ModelCurves(model="hog", version="1").are_of(pb.Model(name=name, version=version))


def test_the_enrolled_have_a_curve_of_their_own(tmp_path: Path) -> None:
    """A table, as a file has it, tells apart trained and enrolled people; what else is in it is left alone."""
    curve = {"slope": 2, "intercept": -1, "most": 3}
    entry = {"model": "hog", "version": "1", "enrolled": curve, "pictures": 80}
    (tmp_path / "table.json").write_text(json.dumps({"recognizers": {"svm": entry}, "made": "today"}))
    curves = read_table(tmp_path / "table.json").recognizers["svm"]
    assert curves.of(pb.Candidate(enrolled=True)) == Curve(**curve)
    assert curves.of(pb.Candidate()) is None


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "the file: Invalid JSON"),
        ('{"recognizers": {}}', "recognizers: "),
        ('{"recognizers": {"svm": {"model": "hog"}}}', "recognizers.svm.version: "),
        (
            '{"recognizers": {"svm": {"model": "hog", "version": "1", "trained": {"slope": -1}}}}',
            "recognizers.svm.trained.slope: ",
        ),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, text: str, mistake: str) -> None:
    """A file that is no table is refused with its name and the place of each mistake."""
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(ValueError, match=f"table.json: {mistake}"):
        read_table(tmp_path / "table.json")
