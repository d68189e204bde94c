"""Every method of the contract is in the list of who may call it."""

import re
from collections.abc import Iterator
from importlib import import_module

import pytest

from services.runtime.doors.scopes import TABLE, Scope
from tests.support.processes import ROOT

PROTOS = ROOT / "protos"


def methods() -> Iterator[str]:
    for path in (PROTOS / "marquee").rglob("*.proto"):
        module = import_module(".".join(path.relative_to(PROTOS).with_suffix("").parts) + "_pb2")
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from (f"/{service.full_name}/{method.name}" for method in service.methods)


def test_every_method_has_its_scope() -> None:
    """A method that is added to the protos and forgotten in the table would be denied to everybody."""
    assert set(methods()) == set(TABLE)


@pytest.mark.parametrize("scope", sorted(set(TABLE.values())), ids=str)
def test_the_documented_scopes_are_those_of_the_table(scope: Scope) -> None:
    """docs/security.md lists under each scope exactly its methods."""
    rows = (ROOT / "docs/security.md").read_text().splitlines()
    (row,) = (row for row in rows if row.startswith(f"| `{scope}` |"))
    assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == {
        path.rpartition("/")[2] for path, needed in TABLE.items() if needed is scope
    }
