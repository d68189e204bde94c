"""Tests of how tests read pages: what is a command, what is its output, and which differences count."""

from pathlib import Path

import pytest

from tests.support import pages
from tests.support.pages import Step

_PAGE = """# Top

```console background
$ serve &&
> wait
ready
$ list \\
    --all
one

two
```

## Below

- In a list:

  ```sh aws
  # not a heading
  for name in a b; do aws s3 ls "s3://$name" | head -n 1; done
  ```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with two blocks."""
    path = tmp_path / "page.md"
    path.write_text(_PAGE)
    return path


def test_blocks_have_language_marks_and_heading(page: Path) -> None:
    """A block in a list, too, and without its indentation; a comment within is no heading."""
    first, second = pages.blocks(page)
    assert (first.language, first.marks, first.heading, first.line) == ("console", ("background",), "Top", 3)
    assert (second.language, second.marks, second.heading) == ("sh", ("aws",), "Below")
    assert second.text.startswith("# not a heading\nfor ")


def test_commands_have_their_output(page: Path) -> None:
    """A console's commands may go on in further lines; below each is what it prints."""
    (block,) = pages.blocks(page, "console")
    assert block.steps == [Step("serve &&\nwait", "ready"), Step("list \\\n    --all", "one\n\ntwo")]


def test_calls_are_found_within_commands(page: Path) -> None:
    """A call ends at an unquoted pipe or semicolon."""
    assert pages.calls(pages.blocks(page, "sh")[0].text, "aws") == ['aws s3 ls "s3://$name"']


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("Ada 0.97, $0.002", "Ada  0.93, $0.002 "),
        ("98.7 %", "96.1 %"),
        ("both.jpg  720x400, 424 ms\nsvm  ok  419  Ada", "both.jpg 720x400, 31 ms\nsvm ok 2 Ada"),
        ("at 127.0.0.1:28630 on 2026-11-26 01:56, c0664795", "at 127.0.0.1:5 on 2027-01-02 03:04, 0123abcd"),
        ("first\n…\nlast", "first\n2\n3\nlast\n"),
        ("from … to there", "from here to there"),
        ("┃ a   ┃\n┡━━━━━┩", "┃ a ┃\n┡━┩"),
    ],
)
def test_runs_differ(expected: str, printed: str) -> None:
    """Scores near by, times, ports, dates, digests and widths are no difference, nor is what the page leaves out."""
    assert pages.difference(expected, printed) == ""


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("Ada 0.97", "Ada 0.91"),
        ("Ada 0.97", "Bob 0.97"),
        ("98.7 %", "91.0 %"),
        ("costs $0.002", "costs $0.003"),
        ("2 faces", "3 faces"),
        ("one\ntwo", "one\ntwo\nthree"),
        ("first\n…\nlast", "first\n2\n3"),
        ("done", ""),
    ],
)
def test_faults_are_differences(expected: str, printed: str) -> None:
    """Another name, count, price or score is told, as is a line too many or too few."""
    assert pages.difference(expected, printed) != ""


def test_a_terminal_keeps_variables_and_folder(tmp_path: Path) -> None:
    """Commands are typed into one shell; one that fails says what it printed."""
    (tmp_path / "below").mkdir()
    with pages.terminal(tmp_path, tmp_path / "files") as terminal:
        terminal.follow(Step("cd below\nexport NAME=Ada"))
        assert terminal.follow(Step('echo "$NAME in $(basename "$PWD")"', "Ada in below")) == "Ada in below\n"
        with pytest.raises(AssertionError, match="no such"):
            terminal.follow(Step("echo no such >&2; false"))
