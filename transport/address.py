"""Addresses as people type them: ``tcp://host:port``, ``ipc:///path``, ``pipe:``.

Reading an address touches nothing; looking a host name up is a step of its own,
done when a socket is about to be bound or connected.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from dataclasses import dataclass

from selo.errors import UnreachableError, UsageError

DEFAULT_PORT = 7800

IPC_PATH_MAX = 107
"""Bytes: what a socket address of the ``AF_UNIX`` family holds on Linux, less its closing zero."""

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_DOTTED_NUMBERS = re.compile(r"[0-9.]+")
_TCP = re.compile(r"(\[[^\[\]]*\]|[^\[\]:/]*)(?::(.*))?", re.DOTALL)
_WILDCARD = "*"


class AddressError(UsageError):
    """``text`` is no address that can be meant; ``problem`` says what was expected."""

    def __init__(self, text: str, problem: str, example: str) -> None:
        super().__init__(text, problem, example)
        self.text = text
        self.problem = problem
        self.example = example

    def __str__(self) -> str:
        return f"'{printable(self.text)}' is not an address: {self.problem}, as in {self.example}"


class HostUnknown(UnreachableError):
    """A host name has no address, as far as this machine can find out."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def __str__(self) -> str:
        return f"no address is known for the name {self.host}"


@dataclass(frozen=True)
class TcpAddress:
    """``host`` is an IPv4 or IPv6 address, a host name, or ``*``; port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp://{_bracketed(self.host)}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        """Whether it names every address of this machine, not one."""
        return self.host in (_WILDCARD, "0.0.0.0", "::")

    def binding_endpoint(self) -> str:
        """The numeric endpoint for ZeroMQ to bind; a name that ZeroMQ sees might be an interface's.

        Raises:
            HostUnknown: the host name has no address.
        """
        if self.host == _WILDCARD:
            return str(self)
        return _endpoint(_lookup(self.host, socket.AI_PASSIVE)[0], self.port)

    def connecting_endpoints(self) -> list[str]:
        """Every numeric endpoint to try, in the order that the system prefers; never empty.

        Raises:
            HostUnknown: the host name has no address.
        """
        return [_endpoint(host, self.port) for host in _lookup(self.host)]


@dataclass(frozen=True)
class IpcAddress:
    """A socket in the file system; ``path`` is absolute."""

    path: str

    def __str__(self) -> str:
        return f"ipc://{self.path}"


@dataclass(frozen=True)
class PipeAddress:
    """Two processes that were started together."""

    def __str__(self) -> str:
        return "pipe:"


Address = TcpAddress | IpcAddress | PipeAddress


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        AddressError: it is none.
    """
    if text.startswith("tcp://"):
        return _tcp(text)
    if text.startswith("ipc://"):
        return _ipc(text)
    if text == "pipe:":
        return PipeAddress()
    raise AddressError(
        text, "it starts with tcp://, ipc:// or is pipe:", "tcp://127.0.0.1:7800 or ipc:///run/selo/door"
    )


def connecting_address(text: str) -> TcpAddress | IpcAddress:
    """Read an address to connect to.

    Raises:
        AddressError: it is none, or nothing can be connected to it.
    """
    address = parse_address(text)
    if isinstance(address, TcpAddress):
        if address.port == 0:
            raise AddressError(text, "port 0 is only for listening", f"tcp://192.0.2.7:{DEFAULT_PORT}")
        if address.is_wildcard:
            raise AddressError(
                text, "it means every address of a listener; name one", f"tcp://192.0.2.7:{DEFAULT_PORT}"
            )
    return _on_a_socket(address, text)


def binding_address(text: str) -> TcpAddress | IpcAddress:
    """Read an address to listen on.

    Raises:
        AddressError: it is none, or nothing can listen there.
    """
    return _on_a_socket(parse_address(text), text)


def printable(text: str) -> str:
    """The text without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _on_a_socket(address: Address, text: str) -> TcpAddress | IpcAddress:
    if isinstance(address, PipeAddress):
        raise AddressError(
            text,
            "a pipe joins two processes that start together; give an address that others can find",
            f"tcp://127.0.0.1:{DEFAULT_PORT}",
        )
    return address


def _tcp(text: str) -> TcpAddress:
    match = _TCP.fullmatch(text.removeprefix("tcp://"))
    if match is None:
        raise AddressError(text, "tcp:// is followed by a host and a port", "tcp://host.example:7800")
    host, port = match.groups()
    return TcpAddress(_host(host, text), DEFAULT_PORT if port is None else _port(port, text))


def _host(host: str, text: str) -> str:
    if host.startswith("["):
        return _numeric(ipaddress.IPv6Address, host[1:-1], text, "IPv6", "tcp://[2001:db8::7]:7800")
    if _DOTTED_NUMBERS.fullmatch(host):
        return _numeric(ipaddress.IPv4Address, host, text, "IPv4", "tcp://192.0.2.7:7800")
    if host == _WILDCARD or (len(host) <= 253 and _HOST_NAME.fullmatch(host)):
        return host
    raise AddressError(
        text, "the host is a name, an IPv4 address or [an IPv6 address]", "tcp://host.example:7800"
    )


def _numeric(
    kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address],
    host: str,
    text: str,
    name: str,
    example: str,
) -> str:
    try:
        address = kind(host)
    except ValueError:
        raise AddressError(text, f"the host is a complete {name} address", example) from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise AddressError(text, "an IPv6 address comes without a zone here", example)
    return str(address)


def _port(port: str, text: str) -> int:
    if port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535:
        return int(port)
    raise AddressError(text, "the port is a number from 1 to 65535", "tcp://127.0.0.1:7800")


def _ipc(text: str) -> IpcAddress:
    path = text.removeprefix("ipc://")
    example = "ipc:///run/selo/door"
    if not path.startswith("/") or path.endswith("/"):
        raise AddressError(text, "ipc:// is followed by the absolute path of a socket", example)
    if not path.isprintable():
        raise AddressError(text, "the path holds no control characters", example)
    if len(os.fsencode(path)) > IPC_PATH_MAX:
        raise AddressError(text, f"the path of a socket has at most {IPC_PATH_MAX} bytes", example)
    return IpcAddress(path)


def _lookup(host: str, flags: int = 0) -> list[str]:
    """Numeric addresses of a host, without repetition; a zone, which libzmq spells otherwise, is left out."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        raise HostUnknown(host) from None
    usable = [
        str(place[0])
        for family, _, _, _, place in found
        if family in (socket.AF_INET, socket.AF_INET6) and "%" not in str(place[0])
    ]
    if not usable:
        raise HostUnknown(host)
    return list(dict.fromkeys(usable))


def _endpoint(host: str, port: int) -> str:
    return f"tcp://{_bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
