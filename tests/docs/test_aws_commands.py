"""Tests that the pages' commands of the AWS CLI are those of version 2."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import awscli, pages
from tests.support.processes import ROOT

_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]


def _calls() -> Iterator[tuple[Path, str]]:
    for page in _PAGES:
        for block in pages.blocks(page, "sh", "console", "bash", ""):
            yield from ((page, call) for call in pages.calls(block.text, "aws"))


def test_aws_has_every_command() -> None:
    """Each page's operations and options are in AWS's own description of its services, which requires no others."""
    wrong = []
    for page, call in _calls():
        try:
            awscli.check(shlex.split(call))
        except awscli.UsageError as exc:
            wrong.append(f"{page.name}: {call}: {exc}")
    assert wrong == []


@pytest.mark.parametrize("page", ["rekognition.md", "eks.md", "lambda.md"])
def test_pages_with_commands_are_read(page: str) -> None:
    """The pages that call AWS most are among those."""
    assert page in {found.name for found, _ in _calls()}


def test_payloads_are_no_base64() -> None:
    """AWS CLI 2 takes a payload for base64 unless the command says otherwise."""
    payloads = [call for _, call in _calls() if "--payload" in call]
    assert payloads
    assert [call for call in payloads if "--cli-binary-format raw-in-base64-out" not in call] == []
