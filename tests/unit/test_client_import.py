"""What `import marquee` costs and offers."""

import subprocess
import sys

import pytest

import marquee

HEAVY = ("boto3", "cv2", "sklearn", "tensorflow", "numpy", "PIL", "rich", "typer")
MEASURE = """
import sys, time
start = time.process_time()
{statement}
print(time.process_time() - start, *[name for name in {heavy} if name in sys.modules])
"""


def _measured(statement: str) -> tuple[float, list[str]]:
    code = MEASURE.format(statement=statement, heavy=HEAVY)
    seconds, *loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    return float(seconds), loaded


def test_importing_marquee_is_quick() -> None:
    """`import marquee` takes less than 0.3 s of a processor, whatever else runs."""
    assert _measured("import marquee")[0] < 0.3


@pytest.mark.parametrize("statement", ["import marquee", "from marquee import Client, AsyncClient, MarqueeError"])
def test_importing_the_client_loads_nothing_heavy(statement: str) -> None:
    """Neither a recognizer's libraries nor the command's are loaded by the client."""
    assert _measured(statement)[1] == []


def test_every_public_name_is_there() -> None:
    """Each name of `__all__` is an object of that name."""
    assert [name for name in marquee.__all__ if getattr(marquee, name).__name__ != name] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as it does in any module."""
    with pytest.raises(AttributeError, match="Cleint"):
        _ = marquee.Cleint
