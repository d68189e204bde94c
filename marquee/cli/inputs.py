"""What a FILE on the command line is."""

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from marquee.sources import MAX_IMAGE_BYTES, Source, is_s3, read_file

STDIN = "-"


def check_files(files: Sequence[str]) -> None:
    """Refuses what cannot be read, before any call. Raises BadParameter."""
    if files.count(STDIN) > 1:
        raise typer.BadParameter("- can be read only once.", param_hint="FILE")
    for file in files:
        if file == STDIN or is_s3(file):
            continue
        if not Path(file).exists() or Path(file).is_dir():
            raise typer.BadParameter(f"{file} is no file.", param_hint="FILE")


def load(file: str) -> Source:
    """A FILE's bytes, or the URL of an S3 object as it is. Raises InvalidImage, OSError."""
    if file == STDIN:
        return sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1)
    return file if is_s3(file) else read_file(file)


def told(error: OSError) -> str:
    """What is wrong with which file."""
    named = f"{error.filename}: " if error.filename else ""
    return named + (error.strerror or str(error))
