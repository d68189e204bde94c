"""Files to draw to, checked before any call."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from marquee.cli.inputs import STDIN
from marquee.draw.s3 import Store
from marquee.errors import InvalidRequest
from marquee.sources import is_s3, s3_object_of

_SUFFIXES = (".png", ".svg")
_HINT = "--draw"


def targets_of(out: str | None, files: Sequence[str]) -> Mapping[str, Path]:
    """Return FILE → where to draw it; empty without --draw. Creates missing folders. Raises BadParameter."""
    if out is None:
        return {}
    pattern = _pattern(out)
    if len(files) > 1 and "{stem}" not in pattern:
        raise typer.BadParameter(
            f"{out} is one file for {len(files)} pictures: use {{stem}} in its name, or a folder/.", param_hint=_HINT
        )
    targets = {file: Path(pattern.replace("{stem}", _stem(file))) for file in files}
    _refuse_overwriting(targets)
    if any(map(is_s3, files)):
        _check_s3()
    for folder in {target.parent for target in targets.values()}:
        _create(folder)
    return targets


def _pattern(out: str) -> str:
    """Return a file name in which {stem} stands for the picture's."""
    if out.endswith("/") or os.path.isdir(out):  # noqa: PTH112 - Path's raises for a name that is too long
        return f"{out.rstrip('/') or '/'}/{{stem}}.png"
    if Path(out).suffix.lower() not in _SUFFIXES:
        raise typer.BadParameter(f"{out} ends in neither .png nor .svg, and is not a folder.", param_hint=_HINT)
    return out


def _stem(file: str) -> str:
    if file == STDIN:
        return "stdin"
    try:
        return Path(s3_object_of(file).key if is_s3(file) else file).stem
    except InvalidRequest as error:
        raise typer.BadParameter(str(error), param_hint="FILE") from None


def _check_s3() -> None:
    """Check that pictures can be fetched, before any call."""
    try:
        Store()
    except OSError as error:
        raise typer.BadParameter(f"a picture in S3 cannot be drawn: {error}", param_hint=_HINT) from None


def _create(folder: Path) -> None:
    """Create the folder before any call, whose cost would be lost if the drawing could not be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"{folder}: {error.strerror}.", param_hint=_HINT) from None
    if not os.access(folder, os.W_OK):
        raise typer.BadParameter(f"{folder} is not writable.", param_hint=_HINT)


def _refuse_overwriting(targets: Mapping[str, Path]) -> None:
    inputs = {Path(file).resolve() for file in targets if file != STDIN and not is_s3(file)}
    counts = Counter(target.resolve() for target in targets.values())
    for file, target in targets.items():
        if target.resolve() in inputs:
            raise typer.BadParameter(f"{target} is itself a picture to recognize.", param_hint=_HINT)
        if counts[target.resolve()] > 1:
            raise typer.BadParameter(f"{file} and another picture would both be drawn to {target}.", param_hint=_HINT)
