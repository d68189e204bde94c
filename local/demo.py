"""The demo: its pictures, recognized by the running system, and a check of the results."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from marquee import (
    Client,
    LibraryClient,
    MarqueeError,
    Outcome,
    PermissionDenied,
    Recognition,
    RecognizerResult,
    VerdictState,
)
from marquee.draw.text import clean
from services.names import RECOGNIZERS

EXPECTED = {
    "collins.jpg": ["Eileen Collins"],
    "hopper.jpg": ["Grace Hopper"],
    "both.jpg": ["Eileen Collins", "Grace Hopper"],
    "coffee.jpg": [],
}
"""The people in each picture, from left to right."""
_PEOPLE = {
    person: {name for name in EXPECTED if person in EXPECTED[name]} for person in ("Eileen Collins", "Grace Hopper")
}
"""The pictures that each is in."""


def show(address: str, folder: Path, *, names: bool = True) -> bool:
    """Recognize each picture through the gateway and print a table; return whether all results are right.

    Without `names`, whoever the pictures show may have any name: the system has models of its own.
    """
    table = Table("picture", "verdict", *RECOGNIZERS, "ms", title="One RecognizeImage call per picture", title_style="")
    wrong: list[str] = []
    with Client(address) as client:
        for name, people in EXPECTED.items():
            try:
                recognition = client.recognize(folder / name, no_cache=True)
            except MarqueeError as exc:
                wrong.append(f"{name}: {exc}")
                continue
            table.add_row(name, *("\n".join(map(clean, cell.split("\n"))) for cell in _row(recognition)))
            wrong += [f"{name}: {fault}" for fault in _failures(recognition)]
            wrong += [f"{name}: {fault}" for fault in _mistakes(recognition, people)] if names else []
    console = Console(width=None if Console().is_terminal else 110, highlight=False, markup=False, emoji=False)
    console.print(table)
    for fault in wrong:
        console.print(f"WRONG  {clean(fault)}", style="red")
    return not wrong


def keep(address: str, folder: Path, *, names: bool = True) -> bool:
    """Add each picture to the library, find people there, and print it; return whether they are in the right ones."""
    with LibraryClient(address) as library:
        try:
            with ThreadPoolExecutor(len(EXPECTED)) as pool:
                added = list(pool.map(lambda name: library.add(folder / name, path=name, wait=True), EXPECTED))
            found = {name: {one.file_name for one in library.search(people=name)} for name in _PEOPLE}
        except PermissionDenied as exc:
            print(f"The library is left out: {clean(str(exc))}")
            return True
        except MarqueeError as exc:
            print(f"WRONG  library: {clean(str(exc))}")
            return False
    people = "; ".join(f"{name} in {', '.join(sorted(files)) or 'none'}" for name, files in found.items())
    is_right = not names or all(found[name] >= files for name, files in _PEOPLE.items())
    print(f"{'' if is_right else 'WRONG  '}The library keeps {len(added)} pictures, and finds {clean(people)}.")
    return is_right


def _row(recognition: Recognition) -> list[str]:
    cells = {result.recognizer: _cell(result) for result in recognition.results}
    verdicts = "\n".join(_verdict_text(verdict.state, verdict.display_name) for verdict in recognition.verdicts)
    milliseconds = f"{recognition.timings.total * 1000:.0f}"
    return [verdicts, *(cells.get(name, "-") for name in RECOGNIZERS), milliseconds]


def _verdict_text(state: VerdictState, name: str) -> str:
    return name if state is VerdictState.IDENTIFIED else state.name.replace("_", " ").lower()


def _cell(result: RecognizerResult) -> str:
    if result.outcome is not Outcome.OK:
        return f"{result.outcome.name} {result.status.message}"
    people = [
        _with_score(face.candidates[0].display_name, face.candidates[0].score)
        for face in result.faces
        if face.candidates
    ]
    unknown = sum(not face.candidates for face in result.faces)
    people += [f"{unknown} unknown"] if unknown else []
    labels = [_with_score(label.name, label.score) for label in result.labels[:2]]
    return (
        "\n".join([*people, *labels] or [warning.partition(":")[0].lower() for warning in result.warnings]) or "nothing"
    )


def _with_score(name: str, score: float) -> str:
    return f"{name} {score:.2f}"


def _failures(recognition: Recognition) -> list[str]:
    """Return which recognizers failed."""
    results = {result.recognizer: result for result in recognition.results}
    return [f"{name} returned no result" for name in RECOGNIZERS if name not in results] + [
        f"{result.recognizer} is {result.outcome.name}: {result.status.message}"
        for result in results.values()
        if result.outcome is not Outcome.OK
    ]


def _mistakes(recognition: Recognition, people: list[str]) -> list[str]:
    """Return the verdicts, if they do not name these people from left to right."""
    names = [verdict.display_name for verdict in recognition.verdicts if verdict.state is VerdictState.IDENTIFIED]
    states = {verdict.state for verdict in recognition.verdicts}
    if names == people and (people or states == {VerdictState.NO_FACE}):
        return []
    return [f"the verdicts are {[_verdict_text(v.state, v.display_name) for v in recognition.verdicts]}"]
