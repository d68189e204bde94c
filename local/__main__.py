"""Starts the whole system on this machine: `python -m local`."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from local import demo, stack
from local.supervisor import PartFailed, Supervisor

_START_SECONDS = 90


def main() -> None:
    """Runs until Ctrl-C; with --once until the demo has been shown."""
    arguments = _parser().parse_args()
    try:
        sys.exit(asyncio.run(_run(arguments)))
    except PartFailed as exc:
        sys.exit(str(exc))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="Starts Marquee on this machine: S3, Rekognition and TensorFlow Serving stand-ins, the three "
        "recognizers and the gateway, all on the loopback. Ctrl-C stops all of it.",
    )
    parser.add_argument("--demo", action="store_true", help="recognize the demo's pictures and print what was found")
    parser.add_argument(
        "--once", action="store_true", help="the same, then stop: 0 when every answer was right, else 1"
    )
    parser.add_argument("--port", type=int, help="the gateway's port (default: 50051, or a free one where it is taken)")
    parser.add_argument("--gallery", type=Path, help="a folder NAME/*.jpg of people whom Rekognition's stand-in knows")
    parser.add_argument("--state", type=Path, default=Path(".local"), help="folder for logs and pictures (%(default)s)")
    return parser


async def _run(arguments: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    arguments.state.mkdir(parents=True, exist_ok=True)
    built = stack.build(arguments.state, arguments.gallery, arguments.port)

    def tell(line: str) -> None:
        print(f"* {line}", flush=True)
        built.write(arguments.state / "stack.json")

    supervisor = Supervisor(built.parts, arguments.state / "logs", tell)
    print(f"Starting {', '.join(part.name for part in built.parts)} on the loopback …", flush=True)
    try:
        if not await _started(supervisor, stop):
            return 1
        built.write(arguments.state / "stack.json")
        return await _serve(arguments, built, stop)
    finally:
        await supervisor.close()


async def _started(supervisor: Supervisor, stop: asyncio.Event) -> bool:
    """Whether all parts got ready before somebody asked to stop. Raises PartFailed."""
    starting, stopping = asyncio.ensure_future(supervisor.start(_START_SECONDS)), asyncio.ensure_future(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        starting.result()
        return True
    starting.cancel()
    return False


async def _serve(arguments: argparse.Namespace, built: stack.Stack, stop: asyncio.Event) -> int:
    right = True
    if arguments.demo or arguments.once:
        right = await asyncio.to_thread(demo.show, built.servers["gateway"], arguments.state / "pictures")
    if not arguments.once:
        print(_addresses(built, arguments.state), flush=True)
        await stop.wait()
    return 0 if right else 1


def _addresses(built: stack.Stack, state: Path) -> str:
    lines = [f"  {name:12} {address}" for name, address in built.servers.items()]
    gateway = built.servers["gateway"]
    return "\n".join(
        [
            "Marquee is running (gRPC, plaintext):",
            *lines,
            f"Try: marquee recognize --address {gateway} {state}/pictures/both.jpg",
            f"     marquee recognize --address {gateway} s3://{stack.BUCKET}/hopper.jpg",
            f"Logs are in {state}/logs. Ctrl-C stops everything.",
        ]
    )


if __name__ == "__main__":
    main()
