"""Numbers as Markdown: medians with their ends, tables, and what the machine is."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

MIB = 1 << 20


def spread(values: Sequence[float], digits: int = 2) -> str:
    """`median (min..max)`."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}..{max(values):.{digits}f})"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    rule = ["---"] + ["---:"] * (len(heads) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rule, *rows)) + "\n"


def peak(kib: Sequence[int], floor: int, processes: int = 1) -> str:
    """Peak MiB; the kernel charges a child with what its parent held, so that less cannot be seen."""
    value = median(kib)
    return f"≤ {value / 1024:.0f}" if value <= floor * processes * 1.05 else f"{value / 1024:.0f}"


def size_of(text: str) -> int:
    """`1GiB`, `256MiB`, `64KiB` or bytes."""
    match = re.fullmatch(r"(\d+)(B|KiB|MiB|GiB)?", text)
    if match is None or not int(match[1]):
        raise ValueError(f"no size: {text}")
    return int(match[1]) * {None: 1, "B": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30}[match[2]]


def size_text(size: int) -> str:
    """The largest unit that fits exactly."""
    for unit, name in ((1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def load() -> str:
    """The load averages of 1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def machine() -> str:
    """Cores, processor, memory, kernel and the versions of everybody who takes part."""
    cpu = next(
        (line.partition(":")[2] for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    versions = {
        "selo": version("selo"),
        "Python": platform.python_version(),
        "pyzmq": version("pyzmq"),
        "libzmq": _say(sys.executable, "-c", "import zmq; print(zmq.zmq_version())"),
        "cryptography": version("cryptography"),
        "ssh": _say("ssh", "-V"),
        "socat": _say("socat", "-V", find=r"socat version \S+"),
        "spiped": _say("spiped", "-v"),
    }
    return (
        f"- machine: {len(os.sched_getaffinity(0))} cores, {cpu.strip()}, {platform.machine()}, "
        f"Linux {platform.release()}\n- versions: {', '.join(f'{name} {v}' for name, v in versions.items())}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _say(*argv: str, find: str = r".+") -> str:
    """What a program says of its version."""
    if shutil.which(argv[0]) is None:
        return "not installed"
    done = subprocess.run(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=10,
    )
    match = re.search(find, done.stdout)
    name = Path(argv[0]).name
    return re.sub(rf"^{name}( version)? ", "", match[0]).strip() if match else "?"
