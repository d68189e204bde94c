"""Start the whole system on this machine: `python -m local`."""

import argparse
import asyncio
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import urlsplit

from local import demo, stack
from local.supervisor import PartFailed, Supervisor
from services.runtime.doors.settings import is_loopback
from services.runtime.settings import Settings, load_settings

_START_SECONDS = 180
"""A ceiling for a busy machine; a part that exits is noticed at once."""
_MAX_PORT = 65535


def main() -> None:
    """Run until Ctrl-C, or with --once until the demo has been shown."""
    parser = _parser()
    args = parser.parse_args()
    if args.port and args.port == args.web_port:
        parser.error(f"argument --web-port: {args.port} is the gateway's port; use another, or leave the option out")
    os.environ["MARQUEE_HOST"] = args.host
    load_settings(Settings)  # exits if anybody could call by mistake
    for name in ("no_proxy", "no_grpc_proxy"):  # everything here is on the loopback, where no proxy finds it
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), stack.HOST, "localhost")))
    try:
        sys.exit(asyncio.run(_run(args)))
    except PartFailed as exc:
        sys.exit(str(exc))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="Start Marquee on this machine: stand-ins for S3, Rekognition and TensorFlow Serving, the "
        "recognizers, the gateway and the page, all on the loopback. Ctrl-C stops everything.",
        epilog="The gateway and the page ask for what the servers' settings say, such as MARQUEE_CALLERS and "
        "MARQUEE_TLS_CERT. Without these they answer everybody; off the loopback, MARQUEE_ALLOW_ANONYMOUS=true does. "
        "Where callers are asked who they are, the page needs a token of its own, MARQUEE_WEB_GATEWAY_TOKEN_FILE.",
    )
    parser.add_argument("--demo", action="store_true", help="recognize the demo pictures and print the results")
    parser.add_argument(
        "--once", action="store_true", help="run the demo and stop; exit 0 if every result is right, else 1"
    )
    parser.add_argument(
        "--port", type=_free_port, help="port of the gateway (default: 50051, or a free port if 50051 is taken)"
    )
    parser.add_argument(
        "--web-port", type=_free_port, help="port of the page (default: 8080, or a free port if 8080 is taken)"
    )
    parser.add_argument(
        "--host", default=stack.HOST, help="address on which the gateway and the page listen (default: %(default)s)"
    )
    parser.add_argument(
        "--gallery",
        type=_folder,
        help="celebrities of the Rekognition stand-in: a folder with NAME/*.jpg (default: the demo's)",
    )
    parser.add_argument(
        "--state", type=_state_folder, default=".local", help="folder for logs and pictures (default: %(default)s)"
    )
    return parser


def _free_port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: use 1 to {_MAX_PORT}")
    if not stack.is_free(int(text)):
        raise argparse.ArgumentTypeError(f"{_taken(text)}; use another, or leave the option out")
    return int(text)


def _folder(text: str) -> Path:
    if not (folder := Path(text)).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return folder


def _state_folder(text: str) -> Path:
    """Create the folder if need be, and check that it can be written to."""
    folder = Path(text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is no folder for files: {exc.strerror}") from None


def _taken(port: int | str) -> str:
    return f"port {port} is taken (`lsof -i :{port}` shows by whom)"


async def _run(args: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    system = stack.build(args.state, args.gallery, args.port, args.web_port, args.host)
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
        return await _serve(args, system, stop)
    finally:
        await supervisor.close()


def _notes(args: argparse.Namespace, system: stack.Stack) -> Iterator[str]:
    """Yield what is otherwise than one would expect."""
    if args.port is None and not system.servers["gateway"].endswith(f":{stack.GATEWAY_PORT}"):
        yield f"The {_taken(stack.GATEWAY_PORT)}: the gateway gets {system.servers['gateway']}."
    if args.web_port is None and not system.page.endswith(f":{stack.WEB_PORT}"):
        yield f"The {_taken(stack.WEB_PORT)}: the page gets {system.page}."
    if load_settings(Settings).is_closed and not system.page_is_known:
        yield "The gateway asks who calls it, and does not know the page: set MARQUEE_WEB_GATEWAY_TOKEN_FILE."
    if not is_loopback(args.host) and is_loopback(str(urlsplit(system.page_url).hostname)):
        yield f"The page answers for {system.page_url} alone: set MARQUEE_WEB_URL to where others reach it."


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
        is_right = await asyncio.to_thread(demo.show, system.gateway_url, args.state / "pictures")
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
            f"Servers (gRPC, {'the gateway with TLS' if '://' in gateway else 'plaintext'}):",
            *lines,
            f"Try: {_command('recognize', '--address', gateway, f'{state}/pictures/both.jpg')}",
            f"     {_command('recognize', '--address', gateway, f's3://{stack.BUCKET}/hopper.jpg')}",
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
