"""Who takes part: how each contender is prepared, and the processes that make one delivery."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import Command, Failed, free_port

HERE = Path(__file__).parent
SELO = Path(sys.executable).with_name("selo")
MIB = 1 << 20
Word = str | os.PathLike[str]


@dataclass(frozen=True)
class Job:
    """One delivery: from ``source`` to ``target``, as files or (``pipes``) through pipes at both ends."""

    source: Path
    target: Path
    pipes: bool = False


Commands = tuple[list[Command], Command]


@dataclass(frozen=True)
class Contender:
    """``needs``: programs. ``prepare`` makes keys in a folder, once. ``commands`` makes the processes of one
    delivery: those that listen, in order of their start, and the one that sends.
    """

    name: str
    needs: tuple[str, ...]
    prepare: Callable[[Path], None]
    commands: Callable[[Path, Job], Commands]

    def missing(self) -> list[str]:
        """The programs that are not installed."""
        return [name for name in self.needs if find(name) is None]


def find(name: str) -> str | None:
    """A program's path; the servers of a system are not on everybody's PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def quietly(*argv: Word, standard_input: bytes | None = None) -> bytes:
    """Run a preparation to its end; what it writes.

    Raises:
        Failed: with what the program said.
    """
    where: dict[str, Any] = (
        {"stdin": subprocess.DEVNULL} if standard_input is None else {"input": standard_input}
    )
    done = subprocess.run(argv, check=False, timeout=60, capture_output=True, **where)
    if done.returncode:
        raise Failed(f"cannot be prepared: {done.stderr.decode(errors='replace').strip()}")
    output: bytes = done.stdout
    return output


def nothing(_folder: Path) -> None:
    """For contenders without keys."""


def selo(record_size: int, name: str) -> Contender:
    """`selo receive` and `selo emit`."""

    def commands(folder: Path, job: Job) -> Commands:
        port = free_port()
        address = f"tcp://127.0.0.1:{port}"
        receive: list[Word] = [SELO, "--home", folder / "bob", "receive", "--quiet", "--bind", address]
        emit: list[Word] = [SELO, "--home", folder / "alice", "emit", "--quiet", "--to", "bob"]
        emit += ["--connect", address, "--record-size", str(record_size)]
        receive += ["-"] if job.pipes else ["--output", job.target]
        emit += ["-"] if job.pipes else [job.source]
        return (
            [Command(receive, "receiver", writes=job.pipes, port=port)],
            Command(emit, "sender", reads=job.pipes),
        )

    return Contender(name, (str(SELO),), selo_keys, commands)


def selo_keys(folder: Path) -> None:
    """Two identities that know each other."""
    alice, bob = folder / "alice", folder / "bob"
    for home in (alice, bob):
        quietly(SELO, "--home", home, "keygen", "--name", home.name, "--quiet")
    for home, peer, flags in ((alice, bob, ()), (bob, alice, ("--may-send",))):
        public = quietly(SELO, "--home", peer, "id", "--export")
        quietly(SELO, "--home", home, "trust", "add", peer.name, *flags, "--quiet", standard_input=public)


def pair(frame: int, name: str, *, curve: bool = False) -> Contender:
    """The plain ZeroMQ peer of peers_zmq.py."""

    def commands(folder: Path, job: Job) -> Commands:
        port = free_port()
        words = [str(port), str(frame), *([str(folder)] if curve else [])]
        peer = [sys.executable, str(HERE / "peers_zmq.py")]
        return (
            [Command([*peer, "receive", *words], "receiver", writes=True, port=port)],
            Command([*peer, "send", *words], "sender", reads=True),
        )

    def prepare(folder: Path) -> None:
        quietly(sys.executable, HERE / "peers_zmq.py", "keys", folder)

    return Contender(name, (), prepare if curve else nothing, commands)


def ssh(name: str, *options: str) -> Contender:
    """`ssh` to a throw-away sshd; the remote command writes the target."""

    def commands(folder: Path, job: Job) -> Commands:
        port = free_port()
        server: list[Word] = [
            find("sshd") or "sshd",
            "-D",
            "-e",
            "-f",
            folder / "sshd_config",
            "-p",
            str(port),
        ]
        client = ["ssh", "-F", str(folder / "ssh_config"), "-p", str(port), *options, "127.0.0.1"]
        return (
            [Command(server, "receiver", port=port, daemon=True)],
            Command([*client, f"cat > {shlex.quote(str(job.target))}"], "sender", reads=True),
        )

    return Contender(name, ("ssh", "sshd", "ssh-keygen"), ssh_keys, commands)


def ssh_keys(folder: Path) -> None:
    """A host key, a user's key, and configurations that read nothing of the system's or the user's."""
    for name in ("host", "user"):
        quietly("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name)
    host = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"selo-bench {host}")
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n"
        "PidFile none\nUseDNS no\nPermitRootLogin prohibit-password\nLogLevel ERROR\n"
    )
    (folder / "ssh_config").write_text(
        f"IdentityFile {folder}/user\nIdentitiesOnly yes\nBatchMode yes\nUser {getpass.getuser()}\n"
        f"HostKeyAlias selo-bench\nUserKnownHostsFile {folder}/known_hosts\nStrictHostKeyChecking yes\n"
        "ConnectTimeout 10\nLogLevel ERROR\nControlPath none\nCompression no\n"
    )


def socat(name: str, *, tls: bool = False) -> Contender:
    """`socat` with 1 MiB blocks, over plain TCP or over TLS with both certificates checked."""

    def commands(folder: Path, job: Job) -> Commands:
        port = free_port()
        listen, connect = f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr", f"TCP:127.0.0.1:{port}"
        if tls:
            both = f",cafile={folder}/cert.pem,cert={folder}/cert.pem,key={folder}/key.pem,verify=1"
            listen = listen.replace("TCP", "OPENSSL") + both
            connect = connect.replace("TCP", "OPENSSL") + both + ",openssl-commonname=localhost"
        block = ["-b", str(MIB)]
        return (
            [Command(["socat", "-u", *block, listen, "STDOUT"], "receiver", writes=True, port=port)],
            Command(["socat", "-u", *block, "STDIN", connect], "sender", reads=True),
        )

    return Contender(
        name, ("socat", "openssl") if tls else ("socat",), certificate if tls else nothing, commands
    )


def certificate(folder: Path) -> None:
    """One self-signed certificate for both sides."""
    quietly(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
    )


def spiped(name: str) -> Contender:
    """`spipe` to `spiped -d`, which hands the data to a `socat` that stores it."""

    def commands(folder: Path, job: Job) -> Commands:
        inner, outer = free_port(), free_port()
        listen = f"TCP-LISTEN:{inner},bind=127.0.0.1,reuseaddr"
        key = ["-k", str(folder / "key")]
        server = ["spiped", "-d", "-F", "-s", f"[127.0.0.1]:{outer}", "-t", f"[127.0.0.1]:{inner}", *key]
        return (
            [
                Command(
                    ["socat", "-u", "-b", str(MIB), listen, "STDOUT"], "receiver", writes=True, port=inner
                ),
                Command(server, "receiver", port=outer, daemon=True),
            ],
            Command(["spipe", "-t", f"[127.0.0.1]:{outer}", *key], "sender", reads=True),
        )

    def prepare(folder: Path) -> None:
        (folder / "key").write_bytes(os.urandom(32))

    return Contender(name, ("spiped", "spipe", "socat"), prepare, commands)


RAW = "raw PAIR"

BULK: Sequence[Contender] = (
    selo(MIB, "selo"),
    selo(64 << 10, "selo, 64 KiB records"),
    pair(MIB, RAW),
    pair(MIB, "CURVE PAIR", curve=True),
    ssh("ssh"),
    ssh("ssh, aes128-gcm", "-c", "aes128-gcm@openssh.com"),
    socat("socat TCP"),
    socat("socat TLS", tls=True),
    spiped("spiped"),
)
SMALL: Sequence[Contender] = (
    selo(32, "selo"),
    pair(32, RAW),
    pair(32, "CURVE PAIR", curve=True),
)
ONE_BYTE: Sequence[Contender] = tuple(contender for contender in BULK if "," not in contender.name)
