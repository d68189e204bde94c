"""Print what happened in a collection, as it happens."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from marquee.cli.exits import Exit, call_errors
from marquee.cli.options import ListOutput
from marquee.cli.server import Server
from marquee.cli.table import Text, print_line
from marquee.cli.terminal import print_json, print_note
from marquee.draw.text import clean
from marquee.library.client import FOLLOW_SECONDS, MAX_PAGE_SIZE, LibraryClient
from marquee.library.results import Event, EventPage

_TYPE_WIDTH = 19
_ID_WIDTH = 36


def run(  # noqa: PLR0913 - each is an option
    cursor: str, limit: int, *, server: Server, timeout: float, output: ListOutput, collection: str, follow: bool
) -> Exit:
    """Print events, oldest first, then where to go on. Raises typer.Exit if a call fails."""
    shown = 0
    with call_errors(output), server.connect_library() as client, suppress(KeyboardInterrupt):
        for page in _pages(client, cursor, limit, timeout, collection, follow=follow):
            for event in page.events:
                _print(event, output)
            sys.stdout.flush()
            cursor, shown = page.next_cursor, shown + len(page.events)
            if limit and shown >= limit:
                break
    print_note(f"Go on with --cursor {cursor}")
    return Exit.OK


def _pages(  # noqa: PLR0913 - each is an option
    client: LibraryClient, cursor: str, limit: int, timeout: float, collection: str, *, follow: bool
) -> Iterator[EventPage]:
    """Yield pages of events up to now, or for ever; none has more events than are still to be shown."""
    shown = 0
    while True:
        size = min(limit - shown, MAX_PAGE_SIZE) if limit else MAX_PAGE_SIZE
        page = client.event_page(cursor, page_size=size, collection=collection, timeout=timeout)
        yield page
        cursor, shown = page.next_cursor, shown + len(page.events)
        if not page.events:
            if not follow:
                return
            time.sleep(FOLLOW_SECONDS)


def _print(event: Event, output: ListOutput) -> None:
    if output is ListOutput.JSON:
        print_json(event.to_dict(), one_line=True)
        return
    when = f"{event.create_time.astimezone():%Y-%m-%d %H:%M:%S}" if event.create_time else ""
    by = f"  by {event.caller}" if event.caller else ""
    data = f"  {json.dumps(event.data, ensure_ascii=False)}" if event.data else ""
    print_line(
        Text(f"{when:<19}  ", "dim"),
        Text(f"{clean(event.type):<{_TYPE_WIDTH}}  ", "bold"),
        f"{clean(event.picture_id):<{_ID_WIDTH}}{clean(by)}",
        Text(clean(data), "dim"),
    )
