"""What Selo stands on: libraries, the clock, descriptors, disks. Imports none of the libraries by itself."""

from __future__ import annotations

import os
import platform
import resource
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path

from selo import __version__
from selo.agents.cli.findings import Finding, ok, problem, warning

LIBRARIES = ("cryptography", "pyzmq", "msgpack", "blake3", "mnemonic", "rich")
_MODULES = {"pyzmq": "zmq"}

YEARS = range(2026, 2100)
"""What a clock can show that somebody has set."""

DESCRIPTORS_NEEDED = 64
DESCRIPTORS_WANTED = 256
"""One session opens about 30; strangers who knock take more for a moment."""

HOME_BYTES = 1 << 20
INTO_BYTES = 256 << 20
"""Free bytes below which a disk is soon in the way."""


def libraries() -> Iterator[Finding]:
    """Selo, Python, and each library that Selo cannot do without."""
    yield ok("selo", __version__)
    yield ok("python", f"{platform.python_version()} ({sys.executable})")
    for name in LIBRARIES:
        try:
            module = import_module(_MODULES.get(name, name))
        except Exception as error:  # a library that is half there fails in any way it likes
            words = f"cannot be loaded: {type(error).__name__}: {error}"
            yield problem(name, words, _install(name))
        else:
            yield ok(name, _version(name, module) + _beneath(name))


def _version(name: str, module: object) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return str(getattr(module, "__version__", "of an unknown version"))


def _beneath(name: str) -> str:
    if name == "cryptography":
        backend = import_module("cryptography.hazmat.backends.openssl").backend
        return f", with {backend.openssl_version_text()}"
    if name == "pyzmq":
        return f", with libzmq {import_module('zmq').zmq_version()}"
    return ""


def _install(name: str) -> str:
    """The range that this Selo asks for, where its metadata are at hand."""
    try:
        wanted = next(each for each in metadata.requires("selo") or () if each.startswith(name))
    except (metadata.PackageNotFoundError, StopIteration):
        wanted = name
    return f"{shlex.quote(sys.executable)} -m pip install --force-reinstall {shlex.quote(wanted)}"


def clock(now: float) -> Iterator[Finding]:
    """``now`` is in seconds since 1970. Selo measures with the monotonic clock; no two clocks must agree."""
    first, year = time.monotonic(), time.gmtime(now).tm_year
    if time.monotonic() < first or time.get_clock_info("monotonic").adjustable:
        yield problem("clock", "the monotonic clock can go backwards; deadlines cannot be kept", "reboot")
    elif year in YEARS:
        yield ok("clock", f"the year {year}; deadlines are measured by a clock that nobody can set")
    else:
        yield warning(
            "clock",
            f"the year {year}: deliveries work, file times are wrong",
            "sudo timedatectl set-ntp true",
        )


def descriptors() -> Iterator[Finding]:
    """How many files this process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    if soft == endless or soft >= DESCRIPTORS_WANTED:
        yield ok("descriptors", f"{'any number of' if soft == endless else soft} files may be open")
        return
    reachable = hard == endless or hard >= DESCRIPTORS_WANTED
    fix = f"ulimit -n {DESCRIPTORS_WANTED if reachable else hard}"
    if hard != endless and hard <= soft:
        fix = f"sudo prlimit --pid $$ --nofile={DESCRIPTORS_WANTED}"
    tell = problem if soft < DESCRIPTORS_NEEDED else warning
    yield tell("descriptors", f"only {soft} files may be open; strangers who knock take some", fix)


def disk(subject: str, folder: Path, wanted: int) -> Iterator[Finding]:
    """Whether ``folder`` is there, can be written to, and has ``wanted`` bytes free."""
    quoted = shlex.quote(str(folder))
    try:
        free = shutil.disk_usage(folder).free
    except FileNotFoundError:
        yield problem(subject, f"there is no folder {folder}", f"mkdir -p {quoted}")
        return
    except OSError as error:
        yield problem(subject, f"{folder} cannot be looked at: {error.strerror}", f"ls -ld {quoted}")
        return
    if not folder.is_dir():
        yield problem(subject, f"{folder} is not a folder", f"mv {quoted} {quoted}.old && mkdir {quoted}")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield problem(subject, f"we may not write into {folder}", f"sudo chown $(id -u) {quoted}")
    elif free < wanted:
        fix = f"du -xah {quoted} | sort -h | tail"
        yield warning(subject, f"only {free >> 20:,} MiB are free in {folder}", fix)
    else:
        yield ok(subject, f"{free >> 20:,} MiB are free in {folder}")
