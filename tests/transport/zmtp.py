"""A raw ZMTP 3.1 client (ZeroMQ RFC 37), to say what no library would say."""

from __future__ import annotations

import socket
import struct

SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
MORE = 1


def greeting(mechanism: bytes = b"PLAIN", version: tuple[int, int] = (3, 1)) -> bytes:
    """The 64 bytes that start a connection."""
    return SIGNATURE + bytes(version) + mechanism.ljust(20, b"\0") + bytes(32)


def command(name: bytes, body: bytes = b"") -> bytes:
    """A ZMTP command."""
    content = bytes([len(name)]) + name + body
    if len(content) < 256:
        return bytes([4, len(content)]) + content
    return b"\x06" + struct.pack(">Q", len(content)) + content


def metadata(socket_type: bytes = b"PAIR") -> bytes:
    """The properties of INITIATE and READY."""
    properties = ((b"Socket-Type", socket_type), (b"Identity", b""))
    return b"".join(
        bytes([len(name)]) + name + struct.pack(">I", len(value)) + value for name, value in properties
    )


def hello(user: bytes, password: bytes) -> bytes:
    """PLAIN's first command."""
    return command(b"HELLO", bytes([len(user)]) + user + bytes([len(password)]) + password)


def message(body: bytes, flags: int = 0) -> bytes:
    """One part of a message; ``flags=MORE`` announces another."""
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body


def dial(address: str) -> socket.socket:
    """A bare connection to a listener's address."""
    if address.startswith("ipc://"):
        unix = socket.socket(socket.AF_UNIX)
        unix.settimeout(10)
        unix.connect(address.removeprefix("ipc://"))
        return unix
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=10)


def admitted(address: str, ticket: bytes) -> socket.socket:
    """A connection that went through the whole PLAIN handshake.

    Raises:
        ConnectionError: it was not let in.
    """
    raw = dial(address)
    raw.sendall(greeting())
    read_exactly(raw, 64)
    raw.sendall(hello(b"selo/1", ticket))
    expect(raw, b"WELCOME")
    raw.sendall(command(b"INITIATE", metadata()))
    expect(raw, b"READY")
    return raw


def expect(raw: socket.socket, name: bytes) -> bytes:
    """Read one short command of that name; gives its body."""
    flags, length = read_exactly(raw, 2)
    content = read_exactly(raw, length)
    found = content[1 : 1 + content[0]]
    if flags != 4 or found != name:
        raise ConnectionError(f"{found!r} instead of {name!r}")
    return content[1 + content[0] :]


def read_exactly(raw: socket.socket, length: int) -> bytes:
    """That many bytes.

    Raises:
        ConnectionError: the other side closed first.
    """
    data = b""
    while len(data) < length:
        more = raw.recv(length - len(data))
        if not more:
            raise ConnectionError("closed by the listener")
        data += more
    return data


def ends(raw: socket.socket, timeout: float = 10.0) -> bool:
    """Read and drop until the other side closes; False after ``timeout`` seconds of silence."""
    raw.settimeout(timeout)
    try:
        while raw.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def reset(raw: socket.socket) -> None:
    """Close with an RST."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
