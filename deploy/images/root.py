"""Copy into a folder what servers need of a Debian image with Python: no shell, no package manager, nothing setuid.

usage: python root.py FOLDER

That is the interpreter, its standard library without pip, the libraries that they and wheels load, certificates, time
zones, and the names of users and networks. var/lib/dpkg/status lists the Debian packages that these are of, so that
scanners find them.
"""

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

DATA = (
    "/etc/debian_version",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/share/common-licenses",
    "/usr/share/zoneinfo",
)
# Wheels load these of every Linux (manylinux); the rest of what they need they bring along.
LIBRARIES = (
    *("libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1"),
    *("libstdc++.so.6", "libutil.so.1"),
)
UNUSED = (
    *("site-packages", "dist-packages", "__pycache__", "config-*", "ensurepip", "venv", "test", "tests"),
    *("idlelib", "lib2to3", "pydoc_data", "tkinter", "turtledemo", "turtle.py", "_test*.so", "_xx*.so", "xx*.so"),
    # Modules for terminals and for databases and directories of old, which need ten libraries more.
    *(f"{name}.*.so" for name in ("_curses", "_curses_panel", "_dbm", "_gdbm", "_tkinter", "nis", "readline")),
    *("posix", "right"),  # time zones a second and a third time
)
USERS = """\
root:x:0:0:root:/root:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
marquee:x:65532:65532:marquee:/tmp:/usr/sbin/nologin
"""
GROUPS = "root:x:0:\nnogroup:x:65534:\nmarquee:x:65532:\n"
DPKG = Path("/var/lib/dpkg")


def main() -> None:
    """Copy the files, then add what describes them."""
    root = Path(sys.argv[1])
    for name in ("lib", "lib64"):
        if (link := Path("/", name)).is_symlink():
            root.mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(link.readlink())
    _copy_python(root)
    for path in DATA:
        if Path(path).exists():
            _copy(path, root)
    for path in _libraries(root):
        _copy(path, root)
    _write_packages(root)
    _write_users(root)


def _copy_python(root: Path) -> None:
    """Copy the interpreter with all its names, and its modules, compiled: a read-only root keeps no bytecode."""
    binary = Path(sys.executable).resolve()
    _copy(str(binary), root)
    for path in binary.parent.glob("python*"):
        if path.resolve() == binary != path:
            Path(f"{root}{path}").symlink_to(binary)
    modules = sysconfig.get_path("stdlib")
    _copy(modules, root)
    compileall.compile_dir(
        f"{root}{modules}",
        quiet=1,
        workers=2,
        stripdir=root,
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _libraries(root: Path) -> set[str]:
    """Return the libraries that the copied programs and wheels load, with the loader itself."""
    wheels = [str(path) for name in LIBRARIES for path in Path("/usr/lib").glob(f"*/{name}")]
    copied = [str(path) for path in root.rglob("*") if path.suffix == ".so" or path.parent.name == "bin"]
    command = ["/usr/bin/ldd", *copied, *wheels]  # it fails where one loads nothing
    loaded = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603 - Debian's
    return {word for word in (*loaded, *wheels) if word.startswith("/") and not word.endswith(":")}


def _copy(path: str, root: Path) -> None:
    """Copy what the path leads to, under its own name, to where its folder really is."""
    target = Path(f"{root}{_placed(path)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    if Path(path).is_dir():
        shutil.copytree(path, target, ignore=shutil.ignore_patterns(*UNUSED), ignore_dangling_symlinks=True)
    else:
        shutil.copy(path, target)


def _placed(path: str) -> str:
    """Return the path with its folder as it really is: /usr/lib where /lib is a link to it."""
    return os.path.realpath(os.path.dirname(path)) + "/" + os.path.basename(path)  # noqa: PTH119, PTH120 - 10,000 of them


def _write_users(root: Path) -> None:
    (root / "etc/passwd").write_text(USERS)
    (root / "etc/group").write_text(GROUPS)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)


def _write_packages(root: Path) -> None:
    """Write dpkg's entries of the packages that the files are of, with their licences."""
    files = {f"/{path.relative_to(root)}" for path in root.rglob("*") if not path.is_dir()}
    names = {package for path, package in _owners() if path in files}
    entries = (DPKG / "status").read_text().split("\n\n")
    kept = [entry for entry in entries if entry.partition("\n")[0].removeprefix("Package: ") in names]
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text("".join(f"{entry.strip()}\n\n" for entry in kept))
    for name in names:
        if Path(licence := f"/usr/share/doc/{name}/copyright").exists():
            _copy(licence, root)


def _owners() -> Iterator[tuple[str, str]]:
    """Yield real path and package of each file of a package."""
    yield "/etc/ssl/certs/ca-certificates.crt", "ca-certificates"  # made as that is installed
    for listing in (DPKG / "info").glob("*.list"):
        for path in listing.read_text().splitlines():
            yield _placed(path), listing.stem.partition(":")[0]


if __name__ == "__main__":
    main()
