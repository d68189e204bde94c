"""Tests of fonts for names of any script."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from marquee.draw.fonts import is_right_to_left
from tests.support.processes import ROOT, run

_PROGRAM = """
import sys
from marquee.draw.fonts import note_on, runs_of
print([run.text for run in runs_of(sys.argv[1])], note_on(sys.argv[1:]))
"""


def _make_font(file: Path, letters: str) -> None:
    """Write a font in which these letters are squares."""
    names = [".notdef", *(f"letter{index}" for index in range(len(letters)))]
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for point in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(point)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(dict(zip(map(ord, letters), names[1:], strict=True)))
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Bold"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(file)


@pytest.fixture
def fonts(tmp_path: Path) -> Path:
    """Return the only folder of fonts of programs that `_output` runs; one file in it is broken."""
    folder = tmp_path / "data" / "fonts"
    folder.mkdir(parents=True)
    (folder / "broken.ttf").write_bytes(b"no font")
    return folder


def _output(fonts: Path, name: str) -> str:
    environment = os.environ | {"XDG_DATA_DIRS": str(fonts.parent), "HOME": str(fonts), "PYTHONPATH": str(ROOT)}
    result: subprocess.CompletedProcess[str] = run([sys.executable, "-c", _PROGRAM, name], env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_a_font_that_has_the_letters_is_found(fonts: Path) -> None:
    """A font of the machine that has all letters writes the whole name."""
    _make_font(fonts / "squares.otf", "杨紫琼 98%")
    assert _output(fonts, "杨紫琼 98%") == "['杨紫琼 98%']"


def test_several_fonts_write_a_name_of_several_scripts(fonts: Path) -> None:
    """A name whose letters no font has all of is written with several."""
    _make_font(fonts / "one.ttf", "杨")
    _make_font(fonts / "other.ttf", "ท")
    assert _output(fonts, "杨 ท Bo") == "['杨 ', 'ท ', 'Bo']"


def test_letters_that_no_font_has_are_noted(fonts: Path) -> None:
    """The note has each missing letter once, and says what to do; letters of English are in Pillow."""
    output = _output(fonts, "杨杨 Bo")
    assert "No font on this machine has 杨, so" in output
    assert "install one that does" in output
    assert _output(fonts, "Bo") == "['Bo']"


@pytest.mark.parametrize(("text", "expected"), [("98% שרה", True), ("Sara שרה", False), ("98%", False)])
def test_the_first_letter_gives_the_direction(text: str, expected: bool) -> None:  # noqa: FBT001 - a case's result
    """A text runs from right to left if its first letter does, whatever digits stand before it."""
    assert is_right_to_left(text) is expected
