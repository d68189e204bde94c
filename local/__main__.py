"""Start the whole system on this machine: `python -m local`."""

import argparse
import asyncio
import fcntl
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from local import demo, options, stack
from local.supervisor import PartFailed, Supervisor
from marquee.channels.local_system import LocalSystem, find
from services.runtime.doors.settings import is_loopback
from services.runtime.settings import PREFIX, Settings, load_settings

_AWS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
_NO_PROXY = ("no_proxy", "no_grpc_proxy")
_START_SECONDS = 180
"""A ceiling for a busy machine; a part that exits is noticed at once."""


def main() -> None:
    """Run until Ctrl-C, or with --once until the demo has been shown; or print what `env` asks for."""
    args = options.parse()
    if args.command == "env":
        sys.exit(_print_env(args.state))
    os.environ["MARQUEE_HOST"] = args.host
    load_settings(Settings)  # exits if anybody could call by mistake
    os.environ.update(_unproxied())
    try:
        with _held(args.state):
            code = asyncio.run(_run(args))
        sys.exit(code)
    except PartFailed as exc:
        sys.exit(str(exc))


def _print_env(state: Path | None) -> int:
    """Print the commands of a shell that let programs started from it use the system; return the exit code."""
    system = find(str(state) if state else "")
    if system is None:
        where = f" in {state}" if state else ""
        print(f"You run no local system{where}: start one with `python -m local`.", file=sys.stderr)
        return 1
    print("unset", *sorted(_misleading(system) - system.exports.keys()))
    for name, value in {**system.exports, **_unproxied()}.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _misleading(system: LocalSystem) -> set[str]:
    """Return the variables by which the environment leads elsewhere, or shows the system what is for other servers."""
    takes_token = system.asks and not system.token_file
    credentials = ("CA", "CERT", "KEY", *(() if takes_token else ("TOKEN", "TOKEN_FILE")))
    services = (name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_") and name.isidentifier())
    return {*_AWS, *services, *(f"{PREFIX}{name}" for name in credentials)}


def _unproxied() -> dict[str, str]:
    """Return the variables by which programs ask no proxy for what is on the loopback, where none finds it."""
    return {name: ",".join(dict.fromkeys((*_listed(name), stack.HOST, "localhost"))) for name in _NO_PROXY}


def _listed(name: str) -> list[str]:
    text = os.environ.get(name) or os.environ.get(name.upper(), "")
    return [entry.strip() for entry in text.split(",") if entry.strip()]


@contextmanager
def _held(state: Path) -> Iterator[None]:
    """Hold the folder, whose files two systems would take from each other. Exits if another holds it."""
    folder = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        sys.exit(f"A system is running with {state}: stop it, or start this one with a --state folder of its own.")
    finally:
        os.close(folder)


async def _run(args: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    own = stack.Own(args.svm_model, args.keras_model, args.gallery, args.annotations, args.collections, args.buckets)
    system = stack.build(args.state, args.port, args.web_port, args.host, own)
    for note in _notes(args, system):
        print(note)

    def report(event: str) -> None:
        print(f"* {event}", flush=True)
        system.write(args.state / "stack.json")

    supervisor = Supervisor(system.parts, args.state / "logs", report)
    print(f"Starting {', '.join(part.name for part in system.parts)} on the loopback …", flush=True)
    try:
        if not await _start(supervisor, stop):
            return 1
        system.write(args.state / "stack.json")
        with _published(system, args.state):
            return await _serve(args, system, stop)
    finally:
        await supervisor.close()


def _notes(args: argparse.Namespace, system: stack.Stack) -> Iterator[str]:
    """Yield what is otherwise than one would expect."""
    if args.port is None and not system.servers["gateway"].endswith(f":{stack.GATEWAY_PORT}"):
        yield f"The {options.taken(stack.GATEWAY_PORT)}: the gateway gets {system.servers['gateway']}."
    if args.web_port is None and not system.page.endswith(f":{stack.WEB_PORT}"):
        yield f"The {options.taken(stack.WEB_PORT)}: the page gets {system.page}."
    for name in system.unknown:
        service = "page" if name == "web" else name
        yield (
            f"The gateway asks who calls it, and does not know the {service}: "
            f"set MARQUEE_{name.upper()}_GATEWAY_TOKEN_FILE."
        )
    if not is_loopback(args.host) and is_loopback(str(urlsplit(system.page_url).hostname)):
        yield f"The page answers for {system.page_url} alone: set MARQUEE_WEB_URL to where others reach it."


@contextmanager
def _published(system: stack.Stack, state: Path) -> Iterator[None]:
    """Let the user's commands find the system, if there is a folder where they look."""
    with ExitStack() as publication:
        try:
            publication.enter_context(system.local_system(state).published())
        except (OSError, RuntimeError) as exc:
            print(f"`marquee` needs --address, since it cannot find this system by itself: {exc}")
        yield


async def _start(supervisor: Supervisor, stop: asyncio.Event) -> bool:
    """Start all parts; return False if stopped before they are ready. Raises PartFailed."""
    ready, stopped = asyncio.ensure_future(supervisor.start(_START_SECONDS)), asyncio.ensure_future(stop.wait())
    await asyncio.wait((ready, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if ready.done():
        ready.result()
        return True
    ready.cancel()
    return False


async def _serve(args: argparse.Namespace, system: stack.Stack, stop: asyncio.Event) -> int:
    is_right = True
    if args.demo or args.once:
        folder, names = args.state / "pictures", args.svm_model is None  # one's own knows other people
        is_right = await asyncio.to_thread(demo.show, system.gateway_url, folder, names=names)
        if "library" not in system.unknown:
            is_right &= await asyncio.to_thread(demo.keep, system.library_url, folder, names=names)
    if not args.once:
        print(_addresses(system, args.state), flush=True)
        await stop.wait()
    return 0 if is_right else 1


def _addresses(system: stack.Stack, state: Path) -> str:
    lines = [f"  {name:12} {address}" for name, address in system.servers.items()]
    gateway = system.gateway_url
    return "\n".join(
        [
            f"\nOpen {system.page_url} and drop a picture on the page.\n",
            f"Servers (gRPC, {'the gateway and the library with TLS' if '://' in gateway else 'plaintext'}):",
            *lines,
            f"Try: {_command('recognize', '--address', gateway, f'{state}/pictures/both.jpg')}",
            f"     {_command('recognize', '--address', gateway, f's3://{stack.BUCKET}/hopper.jpg')}",
            f"     {_command('library', 'search', '--address', system.library_url, '--person', 'Grace Hopper')}",
            f"     {_command('library', 'people', 'list', '--address', system.library_url)}",
            f"Logs are in {state}/logs. Ctrl-C stops everything.",
        ]
    )


def _command(*arguments: str) -> str:
    """Return the `marquee` command as it can be typed here, whether or not this virtual environment is active."""
    script = Path(sys.executable).with_name("marquee")
    if not script.exists():
        return shlex.join((sys.executable, "-m", "marquee", *arguments))
    if shutil.which("marquee") == str(script):
        return shlex.join(("marquee", *arguments))
    here = Path.cwd()
    return shlex.join((str(script.relative_to(here) if script.is_relative_to(here) else script), *arguments))


if __name__ == "__main__":
    main()
