"""List the jobs that recognize pictures, and try those again that were given up."""

from collections.abc import Sequence
from itertools import islice

from marquee.cli.exits import Exit, call_errors
from marquee.cli.library.run.search import shown_time
from marquee.cli.options import ListOutput
from marquee.cli.output import count, words
from marquee.cli.server import Server
from marquee.cli.table import Table, Text, print_line
from marquee.cli.terminal import print_json
from marquee.draw.text import clean
from marquee.library.enums import JobState
from marquee.library.results import Job, JobCounts

_STYLES = {JobState.DONE: "green", JobState.RUNNING: "yellow", JobState.DEAD: "red"}


def list_some(  # noqa: PLR0913 - each is an option
    state: str, limit: int, *, server: Server, timeout: float, output: ListOutput, collection: str
) -> Exit:
    """Print the jobs, newest first. Raises typer.Exit if a call fails."""
    with call_errors(output), server.connect_library() as client:
        jobs = client.jobs(state, page_size=min(limit or 1000, 1000), collection=collection, timeout=timeout)
        if output is ListOutput.JSON:
            for job in islice(jobs, limit or None):
                print_json(job.to_dict(), one_line=True)
            return Exit.OK
        shown = list(islice(jobs, limit or None))
        counts = client.job_counts(collection=collection, timeout=timeout)
    _print_table(shown, counts)
    return Exit.OK


def retry(  # noqa: PLR0913 - each is an option
    job_ids: Sequence[str],
    *,
    server: Server,
    timeout: float,
    output: ListOutput,
    collection: str,
    dry_run: bool,
) -> Exit:
    """Try jobs again, or say how many would be. Raises typer.Exit if the call fails."""
    with call_errors(output), server.connect_library() as client:
        if dry_run:
            dead = client.job_counts(collection=collection, timeout=timeout).dead_count
            number = len(job_ids) or dead
        else:
            number = client.retry(job_ids, collection=collection, timeout=timeout)
    if output is ListOutput.JSON:
        print_json({"job_count": number})
    elif dry_run:
        print_line(f"{count(number, 'job')} would be tried again; each may call recognizers that cost money.")
    else:
        print_line(f"{count(number, 'job')} {'is' if number == 1 else 'are'} tried again.")
    return Exit.OK


def _print_table(jobs: Sequence[Job], counts: JobCounts) -> None:
    if jobs:
        table = Table("!Job", "!Picture", "State", ">Attempts", ">Repeats", "!Since", "Reason")
        for job in jobs:
            again = f" Again at {shown_time(job.next_attempt_time)}." if job.next_attempt_time else ""
            reason = f"{job.status.code}: {job.status.message}{again}" if job.status.code != "OK" else ""
            numbers = (f"{job.attempts:,}", f"{job.repeated_calls:,}" if job.repeated_calls else "")
            state = Text(words(job.state), _STYLES.get(job.state, ""))
            table.add_row(
                clean(job.job_id), clean(job.picture_id), state, *numbers, shown_time(job.create_time), clean(reason)
            )
        table.print()
    again = "; `marquee library retry` tries them again" if counts.dead_count else ""
    print_line(
        Text(f"{count(counts.pending_count, 'job')} waiting or running, {counts.dead_count:,} given up{again}", "dim")
    )
