"""What to draw: boxes of faces and labels, and what to say about each."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from marquee.draw.layout.geometry import Rectangle, pixels_of
from marquee.draw.style import Style
from marquee.draw.text import clean
from marquee.enums import Findings, VerdictState
from marquee.results import Candidate, Label, Recognition, Verdict
from marquee.rows import labels_of, name_of, verdicts_of

_CROWD = 8
"""Faces beyond which one that is unknown has a box alone."""
_MAX_CHARACTERS = 60
"""Of a name on a plate."""
_SHORT = 10
"""Characters below which a name is not shortened."""
MAX_LABEL_BOXES = 5000
_HAS_CAPTION = (VerdictState.IDENTIFIED, VerdictState.DISAGREE)


@dataclass(frozen=True, slots=True)
class Item:
    """A box to draw."""

    kind: str
    """face or label."""
    box: Rectangle
    color: str
    title: str
    """What it is, in full."""
    texts: tuple[str, ...]
    """What its plate may say, from long to short; empty: it has none."""
    entry: str = ""
    """What a legend says; items of the same entry share a number. Empty: it has no entry."""


@dataclass(frozen=True, slots=True)
class Content:
    """What to draw into a picture."""

    items: Sequence[Item]
    faces: Sequence[Rectangle]
    """Those of the picture, drawn or not: nothing covers them."""
    remarks: Sequence[str]
    """People and labels without a box."""
    notes: Sequence[str]
    """About what is left out."""


def content_of(recognition: Recognition, size: tuple[int, int], style: Style) -> Content:
    """Return what the style draws of a recognition into a picture of that size in pixels."""
    verdicts, labels = verdicts_of(recognition), labels_of(recognition)
    faces = [(verdict, box) for verdict in verdicts if (box := pixels_of(verdict.box, size))]
    boxes = style.boxes or (Findings.FACES if faces else Findings.LABELS)
    namesakes = _namesakes(verdicts)
    items: list[Item] = []
    remarks: list[str] = []
    notes: list[str] = []
    if style.boxes is not Findings.LABELS:
        people = [verdict for verdict in verdicts if verdict.state in _HAS_CAPTION and not pixels_of(verdict.box, size)]
        remarks += filter(None, (_title(verdict, namesakes) for verdict in people))
    if boxes is not Findings.FACES:
        places = [list(_label_items(label, index, size, style)) for index, label in enumerate(labels)]
        found = sorted(chain.from_iterable(places), key=lambda item: -item.box.width * item.box.height)
        items += found[:MAX_LABEL_BOXES]
        if len(found) > MAX_LABEL_BOXES:
            notes.append(f"Only the {MAX_LABEL_BOXES:,} largest of {len(found):,} boxes of labels are drawn.")
        remarks += [
            _scored(_label_name(label), label.score) for label, own in zip(labels, places, strict=True) if not own
        ]
    if boxes is not Findings.LABELS:
        items += [_face_item(verdict, box, style, namesakes, crowd=len(faces) > _CROWD) for verdict, box in faces]
    return Content(items, [box for _, box in faces], remarks, notes)


def _face_item(verdict: Verdict, box: Rectangle, style: Style, namesakes: dict[str, set[str]], *, crowd: bool) -> Item:
    name, title = _short_name(verdict, namesakes), _title(verdict, namesakes)
    state = verdict.state.replace("_", " ").lower()
    color = style.color(verdict.state)
    if verdict.state not in _HAS_CAPTION or not name:
        texts = () if crowd else (title or state,)
        return Item("face", box, color, title or state, texts)
    half = () if len(name) <= _SHORT or "(" in name else (_shortened(name, max(_SHORT, len(name) // 2)),)
    return Item("face", box, color, title, (*dict.fromkeys((title, name)), *half), title)


def _title(verdict: Verdict, namesakes: dict[str, set[str]]) -> str:
    """Return the name, with the score if it is of one person."""
    name = _short_name(verdict, namesakes)
    return _scored(name, verdict.score) if name and verdict.state is VerdictState.IDENTIFIED else name


def _short_name(verdict: Verdict, namesakes: dict[str, set[str]]) -> str:
    return _shortened(_name(verdict, namesakes), _MAX_CHARACTERS)


def _name(verdict: Verdict, namesakes: dict[str, set[str]]) -> str:
    """Return the person's name, or for DISAGREE each of them, with their ids where two share a name."""
    if verdict.state is VerdictState.DISAGREE:
        candidates = (support.candidate for support in verdict.support)
        return " or ".join(dict.fromkeys(_with_id(one, namesakes) for one in candidates))
    return _with_id(Candidate(verdict.person_id, name_of(verdict), 0, ()), namesakes)


def _with_id(candidate: Candidate, namesakes: dict[str, set[str]]) -> str:
    name = candidate.display_name
    shares = candidate.person_id and len(namesakes.get(name, ())) > 1
    return clean(f"{name} ({candidate.person_id})" if shares else name)


def _namesakes(verdicts: Sequence[Verdict]) -> dict[str, set[str]]:
    """Return name → ids of the people in the picture who have it."""
    ids: dict[str, set[str]] = defaultdict(set)
    for verdict in verdicts:
        if verdict.state is VerdictState.IDENTIFIED:
            ids[verdict.display_name].add(verdict.person_id)
        elif verdict.state is VerdictState.DISAGREE:
            for support in verdict.support:
                ids[support.candidate.display_name].add(support.candidate.person_id)
    return ids


def _label_items(label: Label, index: int, size: tuple[int, int], style: Style) -> Iterator[Item]:
    name, color = _label_name(label), style.label_color(index)
    for instance in islice(label.instances, MAX_LABEL_BOXES):
        if box := pixels_of(instance.box, size):
            title = _scored(name, instance.score)
            yield Item("label", box, color, title, tuple(dict.fromkeys((title, name))), name)


def _label_name(label: Label) -> str:
    return _shortened(clean(label.name), _MAX_CHARACTERS)


def _scored(name: str, score: float) -> str:
    return f"{name} {score:.0%}" if math.isfinite(score) else name


def _shortened(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 1].rstrip()}…"
