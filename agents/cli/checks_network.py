"""What Selo needs of the network of this machine: its port, and ZeroMQ with the gate in front."""

from __future__ import annotations

import os
import shlex
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from selo.agents.cli.findings import Finding, note, ok, problem
from selo.agents.establish import HandshakeLink, establish_as_emitter, establish_as_receiver
from selo.agents.events import ignore
from selo.agents.routes import dial, listen_on
from selo.agents.stop import Stop, join
from selo.config.settings import Settings
from selo.config.trust import Peer
from selo.crypto.handshake import Established
from selo.crypto.identity import Identity
from selo.crypto.suites import CLASSIC
from selo.errors import SeloError
from selo.transport.address import AddressError, TcpAddress, binding_address
from selo.transport.base import BindFailed, GateRefused, Leg, Listener

LOOPBACK = "tcp://127.0.0.1:0"
SECONDS = 5.0
_LISTEN = "0A"
_REINSTALL = "python -m pip install --force-reinstall pyzmq"


def port(settings: Settings) -> Iterator[Finding]:
    """Bind what `selo receive` would bind, for a moment."""
    if settings.receive_bind is None:
        yield ok("port", f"none: we connect to {settings.receive_connect}")
        return
    try:
        address = binding_address(settings.receive_bind)
        listen_on(settings.receive_bind, own_fingerprint=os.urandom(32), settings=settings).close()
    except AddressError as error:
        yield problem("port", str(error), f"export SELO_RECEIVE_BIND={error.example}")
    except BindFailed as error:
        number = address.port if isinstance(address, TcpAddress) else 0
        yield _taken(error, settings.receive_bind, number)
    else:
        local = isinstance(address, TcpAddress) and address.host in ("127.0.0.1", "localhost", "::1")
        yield ok("port", f"{address} is free" + (", and is for this machine alone" if local else ""))


def _taken(error: BindFailed, url: str, number: int) -> Finding:
    holder = holder_of(number) if number else None
    if holder is not None:
        pid, words = holder
        if any(Path(word).name == "selo" for word in words[:3]):
            return note(
                "port",
                f"{url} is held by Selo itself (process {pid}): well, if that is your service",
                f"kill {pid}",
            )
    who = f", held by {Path(holder[1][0]).name} (process {holder[0]})" if holder and holder[1] else ""
    # Not our place to end somebody else's program: another address does as well.
    free = f"tcp://127.0.0.1:{free_port()}" if not number else f"{url.rpartition(':')[0]}:{free_port()}"
    fix = f"export SELO_RECEIVE_BIND={shlex.quote(free if 'no such' not in error.reason else _any(free))}"
    return problem("port", f"{error}{who}", fix)


def _any(url: str) -> str:
    return f"tcp://127.0.0.1:{url.rpartition(':')[2]}"


def free_port() -> int:
    """A port above 1023 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        number: int = probe.getsockname()[1]
        return number


def holder_of(number: int) -> tuple[int, list[str]] | None:
    """The process that listens on a TCP port, and its command line; None where /proc does not tell."""
    wanted = {f"socket:[{inode}]" for inode in _listening(number)}
    for folder in Path("/proc").glob("[0-9]*/fd") if wanted else ():
        with suppress(OSError):
            for descriptor in folder.iterdir():
                if os.readlink(descriptor) in wanted:
                    line = (folder.parent / "cmdline").read_bytes().rstrip(b"\0")
                    return int(folder.parent.name), os.fsdecode(line).split("\0")
    return None


def _listening(number: int) -> Iterator[str]:
    """Inodes of the sockets that listen on a port (proc(5): net/tcp)."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == number:
                    yield fields[9]


def zeromq(settings: Settings) -> Iterator[Finding]:
    """On the loopback: the gate turns a wrong ticket away, a right one gets in, two agents agree on keys."""
    emitter, receiver = Identity.generate(os.urandom), Identity.generate(os.urandom)
    listener = listen_on(LOOPBACK, own_fingerprint=receiver.fingerprint, settings=settings)
    try:
        yield _gate(dial(listener.address, settings)(emitter.public, 0))
        yield _handshake(listener, emitter, receiver, settings)
    finally:
        listener.close()


def _gate(leg: Leg) -> Finding:
    """``leg`` dialled with a ticket for somebody else."""
    words = "let a wrong ticket in"
    try:
        if not any(leg.wait(SECONDS, want_write=True)):
            words = "did not answer"
        leg.try_receive()
    except GateRefused:
        return ok("zeromq", "a PAIR socket behind PLAIN and ZAP turns a wrong ticket away")
    except SeloError as error:
        words = f"failed: {error}"
    finally:
        leg.close()
    return problem("zeromq", f"the gate on this machine's loopback {words}", _REINSTALL)


def _handshake(listener: Listener, emitter: Identity, receiver: Identity, settings: Settings) -> Finding:
    """A whole one, between a thread of ours and this one."""
    results: list[Established | SeloError] = []

    def receive() -> None:
        try:
            leg = listener.accept(SECONDS)
            if leg is not None:
                with closing(leg):
                    senders = {emitter.fingerprint: Peer("emitter", True, emitter.public)}
                    link = HandshakeLink(leg, settings, Stop(), ignore)
                    done = establish_as_receiver(link, identity=receiver, senders=senders, suite=CLASSIC)
                    results.append(done)
                    leg.wait(SECONDS)  # the Emitter closes when it has our last message
        except SeloError as error:
            results.append(error)

    thread = threading.Thread(target=receive, name="selo-doctor", daemon=True)
    thread.start()
    try:
        with closing(dial(listener.address, settings)(receiver.public, 0)) as leg:
            link = HandshakeLink(leg, settings, Stop(), ignore)
            ours: Established | SeloError = establish_as_emitter(
                link, identity=emitter, peer=receiver.public, name="receiver", suite=CLASSIC
            )
    except SeloError as error:
        ours = error
    join(thread)
    return _judged(ours, results)


def _judged(ours: Established | SeloError, results: list[Established | SeloError]) -> Finding:
    theirs = results[0] if results else None
    if isinstance(ours, Established) and isinstance(theirs, Established):
        if ours.transcript == theirs.transcript:
            return ok("handshake", "two throw-away identities agreed on keys over the loopback")
        words = "the two sides saw different transcripts"
    else:
        words = f"failed: {ours if isinstance(ours, SeloError) else theirs or 'nobody answered'}"
    return problem("handshake", f"over this machine's loopback: {words}", "sudo ip link set lo up")
