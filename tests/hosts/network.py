"""Hosts of their own on one machine: Linux network namespaces on one switch, with cables that can be cut.

Needs root and iproute2. Names hold the process's id, so that runs do not meet, and whoever comes
later can tell what a run that was killed has left.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

PREFIX = "selo"
SWITCH = "switch"
PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
NAMED = Path("/run/netns")

_serial = itertools.count()


class Unavailable(Exception):
    """This machine, or this user, cannot have such a network; the words say what is missing."""


def find(tool: str, package: str) -> str:
    """Where a tool is.

    Raises:
        Unavailable: it is nowhere.
    """
    path = shutil.which(tool, path=PATH)
    if path is None:
        raise Unavailable(f"`{tool}` is missing: apt-get install {package}")
    return path


class Network:
    """Hosts on one switch. Host number n has 10.78.0.n and fd78::n; both are private ranges.

    Raises:
        Unavailable: there are no namespaces to be had.
    """

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise Unavailable("only root may make network namespaces: run it with sudo")
        self._ip = find("ip", "iproute2")
        if not Path("/proc/net/if_inet6").exists():
            raise Unavailable("this machine has no IPv6")
        _sweep(self._ip)
        self._names: list[str] = []
        self._prefix = f"{PREFIX}-{os.getpid()}-{next(_serial)}"
        try:
            self.add_namespace(SWITCH)
            # Without snooping: a switch that learns who listens to which group delays the first neighbours.
            self.ip(SWITCH, "link add br0 type bridge mcast_snooping 0", "link set br0 up")
        except BaseException as error:
            self.close()
            if isinstance(error, subprocess.CalledProcessError):
                raise Unavailable(f"`{' '.join(error.cmd)}` failed: {error.stderr.strip()}") from error
            raise

    def add_namespace(self, name: str) -> None:
        """A namespace with nothing in it but its loopback."""
        self._names.append(name)
        _run(self._ip, "netns", "add", self.namespace(name))
        self.ip(name, "link set lo up")

    def add_host(self, name: str, number: int) -> None:
        """A host that is plugged into the switch."""
        self.add_namespace(name)
        self.plug(name, name)
        self.ip(name, f"addr add {ip4(number)}/24 dev eth0", f"addr add {ip6(number)}/64 dev eth0 nodad")

    def plug(self, name: str, port: str, interface: str = "eth0") -> None:
        """A cable from the host's interface to a port of the switch."""
        self.ip(
            name,
            f"link add {interface} type veth peer name {port} netns {self.namespace(SWITCH)}",
            f"link set {interface} up",
        )
        self.ip(SWITCH, f"link set {port} master br0", f"link set {port} up")

    def cut(self, name: str) -> None:
        """Pull the cable at the switch: whoever talks to the host is not told, frames get lost."""
        self.ip(SWITCH, f"link set {name} down")

    def restore(self, name: str) -> None:
        """Plug the cable in again."""
        self.ip(SWITCH, f"link set {name} up")

    def sent_bytes(self, name: str) -> int:
        """What the host has sent so far, headers included."""
        counter = "/sys/class/net/eth0/statistics/tx_bytes"
        return int(_run(*self.inside(name), "cat", counter))

    def ip(self, name: str, *commands: str) -> None:
        """Run commands of `ip` in a namespace."""
        _run(self._ip, "-n", self.namespace(name), "-batch", "-", stdin="\n".join(commands))

    def inside(self, name: str) -> list[str]:
        """What to put before a command so that it runs on that host, as the same process."""
        return [self._ip, "netns", "exec", self.namespace(name)]

    def run(self, name: str, *command: str, stdin: str = "") -> str:
        """Run a command on a host to its end; its output."""
        return _run(*self.inside(name), *command, stdin=stdin)

    def namespace(self, name: str) -> str:
        """What the machine calls the host."""
        return f"{self._prefix}-{name}"

    def close(self) -> None:
        """Take it all down; what still runs on a host is killed."""
        for name in self._names:
            _remove(self._ip, self.namespace(name))
        self._names.clear()


def ip4(number: int) -> str:
    """The IPv4 address of the host with that number."""
    return f"10.78.0.{number}"


def ip6(number: int) -> str:
    """The IPv6 address of the host with that number."""
    return f"fd78::{number}"


def _sweep(ip: str) -> None:
    """Remove what runs that are no more have left."""
    left = os.listdir(NAMED) if NAMED.is_dir() else []
    for name in left:
        owner = re.fullmatch(rf"{PREFIX}-(\d+)-\d+-\w+", name)
        if owner and not Path("/proc", owner[1]).exists():
            _remove(ip, name)


def _remove(ip: str, namespace: str) -> None:
    # Two may be sweeping at the same time, and processes end by themselves.
    with suppress(subprocess.CalledProcessError):
        for process in _run(ip, "netns", "pids", namespace).split():
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
    with suppress(subprocess.CalledProcessError):
        _run(ip, "netns", "del", namespace)


def _run(*command: str, stdin: str = "") -> str:
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        env={**os.environ, "PATH": PATH},
    ).stdout
