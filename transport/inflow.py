"""How many bytes a TCP connection has received so far, as the kernel counts them.

libzmq does not bound what an admitted peer can make it hold: the parts of an
unfinished multipart message count against no limit, and its own bound on whole
messages cannot be used (see ``RCVHWM`` in pair_leg.py). The kernel's counter sees
everything that came in, so what came in and was not yet read can be bounded.
"""

from __future__ import annotations

import socket
import struct
import sys

_TCP_INFO = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
_BYTES_RECEIVED = struct.Struct("=128xQ")
"""``tcpi_bytes_received`` in the kernel's ``struct tcp_info`` (Linux 4.1 and later)."""


def bytes_received(descriptor: int) -> int | None:
    """Bytes received on a TCP connection that libzmq owns; None if that cannot be told.

    libzmq may close the descriptor at any time and the number may come to mean another
    file. That is harmless here: nothing is changed through it, and the leg whose
    connection it was is over anyway.
    """
    if _TCP_INFO is None:
        return None
    try:
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=descriptor)
    except OSError:
        return None
    try:
        info = borrowed.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_RECEIVED.size)
    except OSError:
        return None
    finally:
        borrowed.detach()
    return int(_BYTES_RECEIVED.unpack(info)[0]) if len(info) == _BYTES_RECEIVED.size else None


def cut(descriptor: int) -> None:
    """Shut a connection down at once, so that libzmq reads no more of it while its end is being arranged."""
    try:
        borrowed = socket.socket(fileno=descriptor)
    except OSError:
        return
    try:
        borrowed.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    finally:
        borrowed.detach()


def peer_host(descriptor: int) -> str | None:
    """The numeric address of a connection's other end, for reports; "" if it is local, None if gone."""
    try:
        borrowed = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        name = borrowed.getpeername()
    except OSError:
        return None
    finally:
        borrowed.detach()
    return str(name[0]) if isinstance(name, tuple) else ""
