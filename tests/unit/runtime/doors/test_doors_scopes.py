"""Every method of the contract is in the list of who may call it."""

from collections.abc import Iterator
from importlib import import_module

from services.runtime.doors.scopes import TABLE
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
