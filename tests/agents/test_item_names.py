"""Which names of a tree are taken, under each rule."""

from __future__ import annotations

import pytest

from selo.agents.errors import SinkFault
from selo.agents.names import checked_file_name
from selo.agents.trees.item_names import check_item_name, why_not, why_not_target
from selo.config.policy import Names

PLAIN, PORTABLE, ANY = Names.PLAIN, Names.PORTABLE, Names.ANY

NEVER = [b"", b".", b"..", b"/", b"a/b", b"../a", b"\0", b"a\0b", b"n" * 256]
NOT_PLAIN = [
    b"\xff",
    b"caf\xe9",
    b"\xed\xa0\x80",  # a surrogate, which is no UTF-8
    b"C:",
    b"c:x",
    b"Z:\\x",
    *(bytes([code]) for code in range(1, 0x20)),
    *(f"a{chr(code)}b".encode() for code in (0x7F, *range(0x80, 0xA0))),
    *(
        f"a{char}b".encode()
        for char in "\u061c\u200b\u200e\u200f\u202a\u202e\u2028\u2029\u2066\ufeff\U000e0041"
    ),
]
DEVICES = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"] + [
    port + number for port in ("COM", "LPT") for number in "123456789\u00b9\u00b2\u00b3"
]
NOT_PORTABLE = [
    *(f"{before}{char}{after}" for char in '<>:"|?*\\' for before in ("", "ab") for after in ("", "ab")),
    *("a.", "a ", "...", " ", "a. ."),
    *(
        f"{name}{rest}"
        for device in DEVICES
        for name in (device, device.lower(), device.title())
        for rest in ("", ".txt", ".tar.gz", " .txt", "..x")
    ),
]
PORTABLE_NAMES = [
    *(
        "a",
        "a.b",
        ".hidden",
        "-option",
        " space before",
        "~",
        "$x",
        "%x%",
        "a'b",
        "n" * 255,
        "\U0001f389" * 63,
    ),
    *(
        "\u00fcber",
        "e\u0301",
        "\u5831\u544a.pdf",
        "\u0441\u0447\u0451\u0442",
        "\u05d3\u05d5\u05d7",
        "a\u200db",
    ),
    *("CONSOLE", "COM", "COM0", "COM10", "LPTX", "a.CON", "xNUL", "NULL", "CO N", ".con"),
]


@pytest.mark.parametrize("name", NEVER)
@pytest.mark.parametrize("rule", Names)
@pytest.mark.parametrize("depth", [0, 1])
def test_what_the_format_forbids_no_rule_takes(name: bytes, rule: Names, depth: int) -> None:
    """No component of a path is none, whatever is allowed."""
    assert why_not(name, rule)
    with pytest.raises(SinkFault):
        check_item_name(name, depth, rule)


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_cannot_be_seen_or_is_a_place_is_not_plain(name: bytes) -> None:
    """Not UTF-8, drive letters, controls and characters that nobody sees: only ``any`` takes them."""
    assert why_not(name, PLAIN) and why_not(name, PORTABLE)
    assert why_not(name, ANY) is None
    check_item_name(name, 1, ANY)
    for rule in (PLAIN, PORTABLE):
        with pytest.raises(SinkFault) as caught:
            check_item_name(name, 1, rule)
        assert f"{caught.value} {caught.value.for_peer}".isprintable()
        assert str(caught.value).isascii()


@pytest.mark.parametrize("name", NOT_PORTABLE)
def test_what_windows_cannot_store_is_not_portable(name: str) -> None:
    """Its characters, ends and device names, with any extension and in any case."""
    assert why_not(name.encode(), PORTABLE)
    if name[1:2] != ":" or not name[0].isalpha():
        assert why_not(name.encode(), PLAIN) is None


@pytest.mark.parametrize("name", PORTABLE_NAMES)
def test_ordinary_names_pass_every_rule(name: str) -> None:
    """Any script, joiners, leading dots, hyphens and spaces inside a tree; what only resembles a device."""
    for rule in Names:
        assert why_not(name.encode(), rule) is None
        check_item_name(name.encode(), 1, rule)


@pytest.mark.parametrize("rule", Names)
@pytest.mark.parametrize("name", [b".a", b"-a", b".ssh", b"--help", b"..."])
def test_a_top_level_item_never_hides_nor_looks_like_an_option(rule: Names, name: bytes) -> None:
    """Under every rule, though inside a folder it may, where the rule lets it."""
    with pytest.raises(SinkFault, match="a dot or a hyphen|ends with a dot"):
        check_item_name(name, 0, rule)
    if name != b"...":
        check_item_name(name, 1, rule)


@pytest.mark.parametrize("name", [" a", "a ", "a\\b", "\\", "\u00a0a"])
def test_a_top_level_item_passes_the_strict_door(name: str) -> None:
    """What the door for files refuses, ``plain`` refuses at the top, and inside it does not."""
    with pytest.raises(SinkFault):
        checked_file_name(name)
    with pytest.raises(SinkFault):
        check_item_name(name.encode(), 0, PLAIN)
    check_item_name(name.encode(), 1, PLAIN)
    check_item_name(name.encode(), 0, ANY)


def test_the_refused_name_is_shown_escaped() -> None:
    """The words hold the name only so that no terminal obeys it, and the peer is told which one it was."""
    with pytest.raises(SinkFault) as caught:
        check_item_name(b"\x1b[2J\xff", 1, PLAIN)
    assert "\\x1b[2J\\udcff" in str(caught.value) and "\\x1b[2J\\udcff" in caught.value.for_peer


@pytest.mark.parametrize("target", ["a", "../a/b", "./..//a", ".hidden", "\u00e9\u200dx", "user@host.12"])
def test_ordinary_targets_of_links_pass_every_rule(target: str) -> None:
    """Steps up, dots and double slashes are no names."""
    assert [why_not_target(target.encode(), rule) for rule in Names] == [None] * 3


@pytest.mark.parametrize("target", [b"\xff", b"a/\x1b[2J", "a\u202eb".encode(), b"a\n", "\u2028".encode()])
def test_security_targets_that_cannot_be_seen_pass_only_where_any_do(target: bytes) -> None:
    """What harms a terminal as a name harms it as a target."""
    assert [why_not_target(target, rule) is None for rule in Names] == [rule == ANY for rule in Names]


@pytest.mark.parametrize("target", ["a/NUL", "../con.txt", "b?", "a./b", "c:x", "a\\b"])
def test_what_windows_cannot_store_is_no_portable_target(target: str) -> None:
    """Each step is the name of something."""
    assert why_not_target(target.encode(), PORTABLE)
    assert why_not_target(target.encode(), PLAIN) is None
