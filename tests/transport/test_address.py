"""What is an address, and what is said about what is none."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.errors import SeloError, UsageError
from selo.transport.address import (
    DEFAULT_PORT,
    AddressError,
    HostUnknown,
    IpcAddress,
    PipeAddress,
    TcpAddress,
    binding_address,
    connecting_address,
    parse_address,
    printable,
)

GOOD = {
    "tcp://127.0.0.1:7800": TcpAddress("127.0.0.1", 7800),
    "tcp://127.0.0.1": TcpAddress("127.0.0.1", DEFAULT_PORT),
    "tcp://localhost:1": TcpAddress("localhost", 1),
    "tcp://a-b.c_d.example.:65535": TcpAddress("a-b.c_d.example.", 65535),
    "tcp://[::1]:7800": TcpAddress("::1", 7800),
    "tcp://[::1]": TcpAddress("::1", DEFAULT_PORT),
    "tcp://[2001:DB8:0:0::7]:9": TcpAddress("2001:db8::7", 9),
    "tcp://*:0": TcpAddress("*", 0),
    "tcp://0.0.0.0:0": TcpAddress("0.0.0.0", 0),
    "ipc:///run/selo/door": IpcAddress("/run/selo/door"),
    "ipc:///" + "x" * 106: IpcAddress("/" + "x" * 106),
    "pipe:": PipeAddress(),
}

BAD = [
    "", "tcp", "tcp:", "tcp:/127.0.0.1:1", "TCP://127.0.0.1:1", "udp://127.0.0.1:1", "127.0.0.1:7800",
    "localhost", "tcp://", "tcp://:7800", "tcp://127.0.0.1:", "tcp://127.0.0.1:x", "tcp://127.0.0.1:-1",
    "tcp://127.0.0.1:65536", "tcp://127.0.0.1:007800", "tcp://127.0.0.1:\u0667", "tcp://127.0.0.1:7800/",
    "tcp://127.0.0.1:7800:1", "tcp://127.0.0.1 :7800", "tcp://127.0.0.1:7800 ", " tcp://127.0.0.1:7800",
    "tcp://127.1:7800", "tcp://1:1", "tcp://256.0.0.1:1", "tcp://127.0.0.01:1", "tcp://::1:7800",
    "tcp://[::1:7800", "tcp://::1]:7800", "tcp://[::g]:1", "tcp://[127.0.0.1]:1", "tcp://[]:1",
    "tcp://[fe80::1%lo]:1", "tcp://-a:1", "tcp://a..b:1", "tcp://a@b:1", "tcp://ex\u00e4mple:1",
    "tcp://" + "a" * 64 + ":1", "tcp://" + "a." * 127 + ":1", "tcp://a\n:1", "tcp://a:1\n", "tcp://**:1",
    "tcp://a/b", "ipc://", "ipc://x", "ipc:///", "ipc:///x/", "ipc://@x", "ipc:///" + "x" * 107,
    "ipc:///" + "\u00e4" * 54, "ipc:///a\x00b", "ipc:///a\nb", "ipc:///a\udc80b", "pipe", "pipe:x",
    "pipe://", "inproc://x", "\x1b[31mtcp://x",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_good_addresses(text: str) -> None:
    """Each is read as what it means, and what it means is written as an address of the same meaning."""
    address = parse_address(text)
    assert address == GOOD[text]
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", BAD, ids=ascii)
def test_bad_addresses(text: str) -> None:
    """Each is refused with a sentence that shows an example and contains no control character."""
    with pytest.raises(AddressError, match="as in (tcp|ipc)://") as caught:
        parse_address(text)
    assert isinstance(caught.value, UsageError)
    assert str(caught.value).isprintable()


@given(st.text() | st.text().map(lambda rest: f"tcp://{rest}") | st.text().map(lambda rest: f"ipc:///{rest}"))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    """Nothing else is raised, and whatever is read is printable and reads back the same."""
    try:
        address = parse_address(text)
    except AddressError as refused:
        said = str(refused)
    else:
        said = str(address)
        assert parse_address(said) == address
    assert said.isprintable()


@pytest.mark.parametrize(
    "text", ["tcp://127.0.0.1:0", "tcp://*:1", "tcp://0.0.0.0:1", "tcp://[::]:1", "pipe:"]
)
def test_not_for_connecting(text: str) -> None:
    """Any port, any address and pipes are for listening or for neither."""
    parse_address(text)
    with pytest.raises(AddressError):
        connecting_address(text)


def test_not_for_binding() -> None:
    """A pipe is not listened on; everything else can be."""
    for text, address in GOOD.items():
        if text != "pipe:":
            assert binding_address(text) == address
    with pytest.raises(AddressError):
        binding_address("pipe:")


class TestLookingUp:
    """Host names become numbers here, never in ZeroMQ, which would take one for an interface."""

    @pytest.fixture
    def found(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[socket.AddressFamily, str]]:
        """What the resolver finds, in this order."""
        places: list[tuple[socket.AddressFamily, str]] = []

        def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
            if not places:
                raise socket.gaierror(-2, "Name or service not known")
            return [(family, socket.SOCK_STREAM, 6, "", (place, 0)) for family, place in places]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return places

    def test_all_addresses_in_order(self, found: list[tuple[socket.AddressFamily, str]]) -> None:
        """Each once, IPv6 in brackets, without what has a zone."""
        found += [
            (socket.AF_INET6, "::1"),
            (socket.AF_INET6, "fe80::1%eth0"),
            (socket.AF_INET, "127.0.0.1"),
            (socket.AF_INET6, "::1"),
        ]
        address = TcpAddress("localhost", 5)
        assert address.connecting_endpoints() == ["tcp://[::1]:5", "tcp://127.0.0.1:5"]
        assert address.binding_endpoint() == "tcp://[::1]:5"

    def test_unknown(self, found: list[tuple[socket.AddressFamily, str]]) -> None:
        """A name without an address is an error of ours that names it."""
        for look_up in (
            TcpAddress("no.such", 5).connecting_endpoints,
            TcpAddress("no.such", 5).binding_endpoint,
        ):
            with pytest.raises(HostUnknown, match="no address is known for the name no.such") as caught:
                look_up()
            assert isinstance(caught.value, SeloError)
        found.append((socket.AF_INET6, "fe80::1%eth0"))
        with pytest.raises(HostUnknown):
            TcpAddress("link.local", 5).connecting_endpoints()

    def test_wildcard_is_not_looked_up(self, found: list[tuple[socket.AddressFamily, str]]) -> None:
        """``*`` goes to ZeroMQ as it is."""
        assert TcpAddress("*", 5).binding_endpoint() == "tcp://*:5"
        assert found == []


def test_printable() -> None:
    """Everything that a terminal might obey is spelled out; the rest stays."""
    assert printable("tcp://h\u00f6st") == "tcp://h\u00f6st"
    assert printable("\x1b[31m\n\u202e\udc80") == "\\x1b[31m\\n\\u202e\\udc80"
