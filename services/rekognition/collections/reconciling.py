"""Whom a collection knows against whom a listing names. Pure, but for reading the listing."""

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any


def read(listing: Path) -> set[str]:
    """The person_ids of a file of JSON lines, or of standard input for "-". Raises OSError, ValueError."""
    text = sys.stdin.read() if str(listing) == "-" else listing.read_text()
    return set(_person_ids(text))


def differences(kept: Mapping[str, int], listed: Collection[str]) -> list[dict[str, Any]]:
    """Those in one alone, by person_id; `kept` has the faces of each, those without a person_id under ""."""
    alone = {person_id: "collection" for person_id in kept if person_id not in listed}
    alone |= {person_id: "listing" for person_id in listed if person_id not in kept}
    return [
        {"person_id": person_id, "only_in": where, "faces": kept.get(person_id, 0)}
        for person_id, where in sorted(alone.items())
    ]


def _person_ids(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _person_id(line, number)


def _person_id(line: str, number: int) -> str:
    try:
        told = json.loads(line)
    except json.JSONDecodeError as exc:
        raise ValueError(f"Line {number} of the listing is no JSON: {exc}.") from exc
    person_id = told.get("person_id") if isinstance(told, dict) else told
    if not isinstance(person_id, str) or not person_id:
        raise ValueError(f'Line {number} of the listing has no person_id: it takes "ID" or {{"person_id": "ID"}}.')
    return person_id
