"""Add pictures in parallel, and print what became of each."""

import asyncio
import hashlib
import os
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat

from marquee.cli.exits import Exit, exit_of
from marquee.cli.inputs import STDIN, Pictures
from marquee.cli.library.run.search import exit_of_waiting, state_of
from marquee.cli.options import ListOutput
from marquee.cli.output import count, error_dict, print_file_error, words
from marquee.cli.run.parallel import BATCH_PATIENCE_SECONDS, Sources, in_order, patiently, run_until_interrupted
from marquee.cli.server import Server
from marquee.cli.table import Text, print_line
from marquee.cli.terminal import Progress, print_json, print_note
from marquee.draw.text import clean
from marquee.errors import (
    CollectionForbidden,
    InvalidImage,
    InvalidRequest,
    MarqueeError,
    ScopeMissing,
    TlsError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unreachable,
)
from marquee.library.async_client import AsyncLibraryClient
from marquee.library.requests import AddOptions, options_of_file
from marquee.library.results import Addition, Place
from marquee.sources import Source, is_s3, s3_object_of
from marquee.v1.recognizer_pb2 import S3Object

_SAME_FOR_ALL = (CollectionForbidden, InvalidRequest, ScopeMissing, Unauthenticated, Unimplemented, Unreachable)
_OWN_FIELDS = ("image", "path", "object_time")
"""Fields of a request that each picture has for itself."""
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds before the next try, where the library was there before and is not now."""
_STYLES = {"added": "green", "known": "dim", "new": "green"}
_WIDTH = 7
_ID_WIDTH = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class AddArgs:
    """Validated arguments of `marquee library add`."""

    pictures: Pictures
    server: Server
    timeout: float
    options: AddOptions
    output: ListOutput
    jobs: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of a FILE: one of these, or with --dry-run what would."""

    file: str
    addition: Addition | None = None
    error: MarqueeError | OSError | None = None
    picture_id: str = ""
    """With --dry-run: of the picture that is there already."""

    @property
    def word(self) -> str:
        if self.error is not None:
            return "refused"
        if self.addition is None:
            return "known" if self.picture_id else "new"
        return "added" if self.addition.created else "known"


def run(args: AddArgs) -> Exit:
    """Add the files. Returns the worst one's exit code."""
    for note in args.pictures.notes:
        print_note(note)
    return run_until_interrupted(_run(args, Sources(args.pictures.files)))


async def _run(args: AddArgs, sources: Sources) -> Exit:
    worst, counts, reasons = Exit.OK, Counter[str](), Counter[str]()
    files = args.pictures.files
    async with args.server.connect_library_async() as client:
        work = partial(_looked_up, client, args, sources) if args.dry_run else _Adding(client, args, sources).add
        with Progress(len(files)) as progress:
            async with aclosing(in_order(files, args.jobs, work, _is_last)) as results:
                async for result in results:
                    progress.advance()
                    with progress.paused():
                        _print(result, args)
                    counts[result.word] += 1
                    if result.error is not None:
                        reasons[_reason(result.error)] += 1
                        worst = max(worst, exit_of(result.error))
                    elif result.addition is not None and args.options.get("wait"):
                        worst = max(worst, exit_of_waiting(result.addition.picture))
    if args.output is ListOutput.TABLE and (args.dry_run or len(files) > 1):
        _print_summary(args, counts, reasons)
    return worst


class _Adding:
    """What adds each picture of a run."""

    def __init__(self, client: AsyncLibraryClient, args: AddArgs, sources: Sources) -> None:
        self._client = client
        self._args = args
        self._sources = sources
        self._was_reached = False

    async def add(self, file: str) -> _Result:
        """Add the picture."""
        try:
            source = await self._sources.read(file)
            options = _options(self._args.options, file)
            call = partial(self._add, source, options)
            timeout = self._args.timeout
            return _Result(file, await patiently(call, timeout, max(timeout, BATCH_PATIENCE_SECONDS)))
        except (MarqueeError, OSError) as error:
            return _Result(file, error=error)

    async def _add(self, source: Source, options: AddOptions, timeout: float) -> Addition:
        """Add it, also while the library is away for some time, such as for an update: its request_id is the same."""
        for pause in chain(_PAUSES, repeat(None)):
            try:
                addition = await self._client.add(source, timeout=timeout, **options)
            except Unavailable as error:
                if pause is None or not self._was_reached or isinstance(error, TlsError):
                    raise
                await asyncio.sleep(pause)
            else:
                self._was_reached = True
                return addition
        raise AssertionError  # repeat never ends


async def _looked_up(client: AsyncLibraryClient, args: AddArgs, sources: Sources, file: str) -> _Result:
    """Return whether the library has the picture; an object in S3 counts by where it is."""
    try:
        source = await sources.read(file)
        known = await _found(client, args, source)
    except (MarqueeError, OSError) as error:
        return _Result(file, error=error)
    return _Result(file, picture_id=known)


async def _found(client: AsyncLibraryClient, args: AddArgs, source: Source) -> str:
    collection = args.options.get("collection", "")
    if isinstance(source, bytes):
        digest = await asyncio.to_thread(lambda: hashlib.sha256(source).hexdigest())
        found = client.search(sha256=digest, page_size=1, collection=collection, timeout=args.timeout)
        return await anext((picture.picture_id async for picture in found), "")
    wanted = s3_object_of(str(source))
    prefix = f"s3://{wanted.bucket}/{wanted.key}"
    found = client.search(place_prefix=prefix, collection=collection, timeout=args.timeout)
    same = (picture.picture_id async for picture in found if any(_is_there(place, wanted) for place in picture.places))
    return await anext(same, "")


def _is_there(place: Place, wanted: S3Object) -> bool:
    """Return whether the object is at the place: the version that is wanted, or else the current one."""
    known = place.s3_object
    if known is None or (known.bucket, known.key) != (wanted.bucket, wanted.key):
        return False
    return known.version_id == wanted.version_id if wanted.version_id else place.current


def _options(options: AddOptions, file: str) -> AddOptions:
    """Return the options with what the file is called and when it was changed, and a request_id for all its tries."""
    own: AddOptions = {} if file == STDIN or is_s3(file) else options_of_file(file)
    return {**options, **own, "request_id": os.urandom(16).hex()}


def _is_last(result: _Result) -> bool:
    """Return whether the error would apply to every other file."""
    error = result.error
    if not isinstance(error, _SAME_FOR_ALL) or isinstance(error, InvalidImage):
        return False
    return not error.metadata.get("field", "").startswith(_OWN_FIELDS)


def _reason(error: MarqueeError | OSError) -> str:
    if isinstance(error, OSError):
        return "a file that cannot be read"
    return words(error.reason or error.code)


def _print(result: _Result, args: AddArgs) -> None:
    if args.output is ListOutput.JSON:
        _print_object(result, args)
    elif result.error is None:
        picture = result.addition.picture if result.addition else None
        picture_id = picture.picture_id if picture else result.picture_id
        facts = []
        if picture is not None:
            facts += [", ".join(picture.people)] if picture.people else []
            facts += [state_of(picture)] if args.options.get("wait") and not picture.people else []
            facts += ["in the trash"] if picture.delete_time else []
        print_line(
            Text(f"{result.word:<{_WIDTH}}", _STYLES.get(result.word, "")),
            f"{picture_id:<{_ID_WIDTH}}  {clean(result.file)}",
            Text(clean(f"  {'; '.join(facts)}") if facts else "", "dim"),
        )
    if result.error is not None:
        print_file_error(result.file, result.error)


def _print_object(result: _Result, args: AddArgs) -> None:
    content = result.addition.to_dict() if result.addition else {}
    if args.dry_run and result.error is None:
        content = {"created": not result.picture_id, "picture_id": result.picture_id or None}
    error = {"error": error_dict(result.error)} if result.error else {}
    print_json({"file": result.file, **content, **error}, one_line=not args.pictures.is_single)


def _print_summary(args: AddArgs, counts: Counter[str], reasons: Counter[str]) -> None:
    new = f"{counts['new']:,} would be added" if args.dry_run else f"{counts['added']:,} added"
    facts = [new, f"{counts['known']:,} there already"]
    if counts["refused"]:
        why = ", ".join(f"{clean(reason)} {number:,}" for reason, number in reasons.most_common())
        facts.append(f"{counts['refused']:,} refused ({why})")
    left = len(args.pictures.files) - counts.total()
    facts += [f"{left:,} not tried"] if left else []
    print_line(Text(f"{count(len(args.pictures.files), 'picture')}: ", "bold"), ", ".join(facts))
    if args.dry_run:
        print_line("Nothing was sent. `marquee cost` estimates what it costs to recognize pictures.")
