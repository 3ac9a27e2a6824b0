"""The path to a peer, step by step: its name, TCP, ZMTP's greeting, the gate. No handshake is begun."""

from __future__ import annotations

import errno
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from selo.agents.cli.findings import Finding, ok, problem, warning
from selo.agents.routes import dial
from selo.config.settings import Settings
from selo.config.trust import Peer
from selo.crypto.identity import PublicIdentity
from selo.errors import SeloError
from selo.transport.address import AddressError, HostUnknown, IpcAddress, connecting_address
from selo.transport.base import GateBusy, GateRefused

SECONDS: Final = 3.0
"""For each step; a path that is slower than that carries no session."""

_SIGNATURE: Final = b"\xff" + bytes(8) + b"\x7f"
_VERSION: Final = bytes((3, 1))
_GREETING_LENGTH: Final = 64
"""Of ZMTP 3 (ZeroMQ RFC 37): signature[10] | version[2] | mechanism[20] | as-server[1] | filler[31]. We send
the first two alone: whoever saw our mechanism and has another one would hang up before telling its own."""

_MEANING: Final = {
    errno.ECONNREFUSED: "refused: nothing listens there, or a firewall rejects",
    errno.ENETUNREACH: "unreachable: this machine has no route there",
    errno.EHOSTUNREACH: "unreachable: the machine is off, or a router refuses",
    errno.ECONNRESET: "reset: a firewall or a proxy cuts connections",
    errno.ENOENT: "there is no such socket: nothing listens there",
    errno.EACCES: "not permitted",
}


def path(url: str, peer: Peer | None, settings: Settings, seconds: float = SECONDS) -> Iterator[Finding]:
    """What stands between us and whoever listens at ``url``; ``peer`` is who should."""
    try:
        address = connecting_address(url)
    except AddressError as error:
        yield problem("address", str(error), f"selo doctor --connect {error.example}")
        return
    if isinstance(address, IpcAddress):
        yield from _endpoint(str(address), address.path, peer, settings, seconds)
        return
    try:
        endpoints = address.connecting_endpoints()
    except HostUnknown as error:
        yield problem("name", str(error), f"getent ahosts {shlex.quote(address.host)}  # is it spelled so?")
        return
    yield ok("name", f"{address.host} is {', '.join(each[6:].rpartition(':')[0] for each in endpoints)}")
    for endpoint in endpoints:
        host = endpoint[6:].rpartition(":")[0].strip("[]")
        yield from _endpoint(endpoint, (host, address.port), peer, settings, seconds)


def _endpoint(
    endpoint: str, place: str | tuple[str, int], peer: Peer | None, settings: Settings, seconds: float
) -> Iterator[Finding]:
    try:
        connection = _connected(place, seconds)
    except OSError as error:
        yield _unconnected(endpoint, place, error, seconds)
        return
    yield ok("connection", f"{endpoint} accepts")
    with connection:
        answer = _greeting(connection, seconds)
    finding = _judged(endpoint, place, answer, seconds)
    yield finding
    if not finding.fix and peer is not None:
        for identity in peer.identities:
            yield _gate(endpoint, peer.name, identity, settings)


def _connected(place: str | tuple[str, int], seconds: float) -> socket.socket:
    if isinstance(place, tuple):
        return socket.create_connection(place, seconds)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(seconds)
        connection.connect(place)
    except OSError:
        connection.close()
        raise
    return connection


def _unconnected(endpoint: str, place: str | tuple[str, int], error: OSError, seconds: float) -> Finding:
    there = _listen(endpoint)
    if isinstance(error, TimeoutError):
        words = f"no answer in {seconds:g} s: a firewall on the way drops, or the machine is off"
        fix = f"on the other machine: sudo ufw allow {place[1]}/tcp  # or what its firewall has"
        return problem("connection", f"{endpoint}: {words}", fix)
    words = _MEANING.get(error.errno or 0, error.strerror or str(error))
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        fix = f"ip route get {place[0]}"
    elif error.errno == errno.EACCES and isinstance(place, str):
        fix = f"ls -l {shlex.quote(place)}"
    else:
        fix = there
    return problem("connection", f"{endpoint}: {words}", fix)


def _listen(endpoint: str) -> str:
    bind = endpoint
    if endpoint.startswith("tcp://"):
        bind = f"tcp://0.0.0.0:{endpoint.rpartition(':')[2]}"
    return f"on the other machine: selo receive --bind {shlex.quote(bind)}"


def _greeting(connection: socket.socket, seconds: float) -> bytes | None:
    """What comes first, at most 64 bytes; None where it is cut off before anything came."""
    deadline, answer = time.monotonic() + seconds, b""
    try:
        connection.sendall(_SIGNATURE + _VERSION)
        while len(answer) < _GREETING_LENGTH:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            part = connection.recv(_GREETING_LENGTH - len(answer))
            if not part:
                return answer or None
            answer += part
            if not _SIGNATURE.startswith(answer[:1]):
                break
    except TimeoutError:
        pass
    except OSError:
        return answer or None
    return answer


def _judged(endpoint: str, place: str | tuple[str, int], answer: bytes | None, seconds: float) -> Finding:
    """Whether that is ZMTP 3 with the mechanism PLAIN."""
    port = f"'sport = :{place[1]}'" if isinstance(place, tuple) else "-x"
    fix = f"on the other machine: ss -ltnp {port}  # who answers there?"
    if answer is None:
        words = "connects, and is closed without a greeting: a firewall, a proxy or another program answers"
    elif not answer:
        words = f"connects, but no greeting in {seconds:g} s: a firewall, a proxy or another program answers"
    elif answer[:1] != b"\xff" or answer[9:10] not in (b"", b"\x7f"):
        words = f"another program answers there, with {answer[:24]!r}"
    elif len(answer) < _GREETING_LENGTH:
        words = f"the greeting stops after {len(answer)} of {_GREETING_LENGTH} bytes"
    elif answer[10] < 3:
        words = f"it speaks version {answer[10]} of ZMTP; Selo needs 3"
    elif answer[12:32].rstrip(b"\0") != b"PLAIN":
        mechanism = answer[12:32].rstrip(b"\0").decode("ascii", "replace")
        words = f"another ZeroMQ program answers, with the mechanism {mechanism!r} and not PLAIN"
    else:
        return ok("greeting", f"{endpoint} speaks ZMTP {answer[10]}.{answer[11]} with PLAIN")
    return problem("greeting", f"{endpoint}: {words}", fix)


def _gate(endpoint: str, name: str, identity: PublicIdentity, settings: Settings) -> Finding:
    """Show a ticket for ``identity``, and leave before the handshake."""
    try:
        with closing(dial(endpoint, settings)(identity, 0)) as leg:
            ready = leg.wait(settings.handshake_deadline + 1.0, want_write=True)
            leg.try_receive()  # raises what kept us out
        if ready.writable:
            return ok("gate", f"{endpoint} takes a ticket for {name}'s key")
        words = "no answer to our ticket"
    except GateRefused:
        words = f"it does not answer to {name}'s key (400): another identity listens there"
        fix = f"on {name}'s machine: selo id; here: selo trust show {name}, and compare"
        return problem("gate", f"{endpoint}: {words}", fix)
    except GateBusy:
        words = f"{name} is busy with another peer (500)"
        return warning("gate", f"{endpoint}: {words}", "try again in a moment: sleep 10; selo doctor ...")
    except SeloError as error:
        words = str(error)
    return problem("gate", f"{endpoint}: {words}", _listen(endpoint))
