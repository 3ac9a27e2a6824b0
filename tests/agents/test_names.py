"""What a peer may call a delivery."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.agents.errors import SinkFault
from selo.agents.names import checked_file_name

C0 = [chr(point) for point in range(0x20)]
C1 = [chr(point) for point in range(0x7F, 0xA0)]
BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
LINE_ENDS = "\u2028\u2029"
NEVER = [*C0, *C1, *BIDI_CONTROLS, *LINE_ENDS, "/", "\\", "\ud800", "\udcff", "\udfff"]

ORDINARY = [
    "a",
    "report.pdf",
    "no extension",
    "two  spaces",
    "trailing.dot.",
    "a..b",
    "backup 2024-01-02 12:30:45.tar",
    "12:30",
    "1:",
    "Übergrößenträger.txt",
    "e\u0301 decomposed",
    "報告書.pdf",
    "отчёт.csv",
    "تقرير.txt",
    "דוח.txt",
    "รายงาน",
    "🎉.png",
    "👩\u200d🚀 family with joiners.png",
    "a-b",
    "~",
    "$(touch x);`y` & 'z' \"w\" *?[]{}<>|!#%",
    "n" * 255,
    "é" * 127 + "n",
]


def assert_refused(name: str) -> None:
    """The name is refused, and the words hold it only escaped."""
    with pytest.raises(SinkFault) as caught:
        checked_file_name(name)
    words = f"{caught.value} {caught.value.for_peer} {caught.value.hint}"
    assert words.isascii()
    assert words.isprintable()


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_names_pass_unchanged(name: str) -> None:
    """Spaces, times, accents, every script and emoji are fine."""
    assert checked_file_name(name) == name


@pytest.mark.parametrize("character", NEVER, ids=lambda character: f"U+{ord(character):04X}")
def test_security_a_forbidden_character_is_refused_at_every_position(character: str) -> None:
    """Controls, line ends, direction controls, separators and lone surrogates make no name."""
    for position in range(5):
        assert_refused("name"[:position] + character + "name"[position:])
    assert_refused(character)


def test_every_control_that_unicode_knows_is_refused() -> None:
    """No control character or direction control was forgotten: Unicode's own tables name them."""
    forbidden = {"Cc", "Cs", "Zl", "Zp"}
    directions = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        if unicodedata.category(character) in forbidden or unicodedata.bidirectional(character) in directions:
            assert_refused(f"a{character}b")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "//server/share",
        "\\\\server\\share",
        "../x",
        "..\\x",
        "x/../../y",
        "folder/",
        "./x",
        ".",
        "..",
        "...",
        ".bashrc",
        ".ssh",
        ".selo-0000000000000000.part",
        "C:",
        "c:file",
        "C:\\x",
        "z:/x",
    ],
)
def test_security_paths_and_hidden_names_are_refused(name: str) -> None:
    """A name is one component: not absolute, not a parent, not hidden, on no drive."""
    assert_refused(name)


@pytest.mark.parametrize("letter", [chr(point) for point in range(0x41, 0x7B) if chr(point).isalpha()])
def test_security_every_drive_letter_is_refused(letter: str) -> None:
    """A letter and a colon at the beginning name a drive; later they are part of a time."""
    assert_refused(f"{letter}:x")
    assert checked_file_name(f"x{letter}:x")


@pytest.mark.parametrize("name", ["", "n" * 256, "é" * 128, "\U0001f600" * 64])
def test_names_of_no_or_too_many_bytes_are_refused(name: str) -> None:
    """1 to 255 bytes of UTF-8: what file systems can store."""
    assert_refused(name)


@given(st.text())
def test_security_what_passes_is_one_component(name: str) -> None:
    """Whatever text a peer sends, a name that passes stays in its folder and is what was sent."""
    try:
        passed = checked_file_name(name)
    except SinkFault:
        return
    assert passed == name
    assert not {"/", "\\", "\0"} & set(name)
    assert not name.startswith(".")
    assert 0 < len(name.encode()) <= 255
