"""Text around keys: one spelling, but for what a clipboard does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.crypto import armor
from selo.crypto.errors import MalformedIdentity

BODY = bytes(range(200))
TEXT = armor.wrap("PUBLIC", BODY, "ana.laptop")
NAMES = st.from_regex("[ABCabc012][ABCabc012._-]{0,63}", fullmatch=True)


def refused(text: str, kind: str = "PUBLIC") -> bool:
    try:
        armor.unwrap(kind, text)
    except MalformedIdentity:
        return True
    return False


@given(st.binary(min_size=1, max_size=3000), st.none() | NAMES)
def test_what_is_wrapped_unwraps(body: bytes, name: str | None) -> None:
    """Any body with any legal name, or none."""
    assert armor.unwrap("PUBLIC", armor.wrap("PUBLIC", body, name)) == (body, name)


def test_the_form_of_section_3() -> None:
    """BEGIN, name, empty line, lines of 64, END, and a line end after it."""
    lines = TEXT.split("\n")
    assert lines[0] == "-----BEGIN SELO PUBLIC IDENTITY-----"
    assert lines[1:3] == ["Name: ana.laptop", ""]
    assert [len(line) for line in lines[3:-2]] == [64, 64, 64, 64, 12]
    assert lines[-2:] == ["-----END SELO PUBLIC IDENTITY-----", ""]
    assert armor.wrap("PUBLIC", BODY).split("\n")[1] == ""


@pytest.mark.parametrize(
    "text",
    [TEXT.replace("\n", "\r\n"), TEXT.rstrip(), f"\n\n  {TEXT}\t \n", f"\r\n{TEXT}\r\n\r\n"],
    ids=["CRLF", "no last line end", "white space around", "empty CRLF lines around"],
)
def test_what_a_clipboard_does_is_forgiven(text: str) -> None:
    """Line ends and white space around the block."""
    assert armor.unwrap("PUBLIC", text) == (BODY, "ana.laptop")


LINES = TEXT.rstrip("\n").split("\n")
OTHERS = {
    "empty": "",
    "only edges": f"{LINES[0]}\n{LINES[-1]}",
    "no body": "\n".join([*LINES[:3], LINES[-1]]),
    "no END": "\n".join(LINES[:-1]),
    "no BEGIN": "\n".join(LINES[1:]),
    "text before": f"hello\n{TEXT}",
    "text after": f"{TEXT}hello",
    "two blocks": TEXT + TEXT,
    "no empty line": "\n".join([*LINES[:2], *LINES[3:]]),
    "two empty lines": "\n".join([*LINES[:3], "", *LINES[3:]]),
    "an empty line inside": "\n".join([*LINES[:4], "", *LINES[4:]]),
    "two names": "\n".join([*LINES[:2], *LINES[1:]]),
    "another field": TEXT.replace("Name: ", "Comment: "),
    "name in small letters": TEXT.replace("Name: ", "name: "),
    "name without a space": TEXT.replace("Name: ", "Name:"),
    "name with two spaces": TEXT.replace("Name: ", "Name:  "),
    "a short line": TEXT.replace(LINES[4], LINES[4][:-4]),
    "a long line": TEXT.replace(f"{LINES[4]}\n{LINES[5]}", f"{LINES[4]}{LINES[5][:4]}\n{LINES[5][4:]}"),
    "a space in a line": TEXT.replace(LINES[4], f"{LINES[4]} "),
    "a lone CR": TEXT.replace("\n", "\r"),
    "no base64": TEXT.replace(LINES[4], "*" + LINES[4][1:]),
    "not ASCII": TEXT.replace(LINES[4], "é" + LINES[4][1:]),
    "URL-safe base64": TEXT.replace(LINES[4], "_" + LINES[4][1:]),
    "no padding": TEXT.replace("=", ""),
    "padding inside": TEXT.replace(LINES[4], LINES[4][:-1] + "="),
    "unused bits set": TEXT.replace("xsc=", "xsd="),
    "a control character in the name": TEXT.replace("ana.laptop", "ana\x1b[2J"),
    "too long": TEXT + "\n" * 9000,
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_security_nothing_else_is_read(text: str) -> None:
    """Strict lines, strict base64 in its canonical form, nothing before, between or after."""
    assert text != TEXT
    assert refused(text)


def test_security_the_unused_bits_case_is_real() -> None:
    """The case above is a second base64 spelling of the same bytes, which a lenient decoder takes."""
    assert "xsc=" in TEXT


def test_security_a_public_text_is_no_private_one() -> None:
    """The kind is part of both edges."""
    assert refused(TEXT, "PRIVATE")
    assert refused(TEXT.replace("BEGIN SELO PUBLIC", "BEGIN SELO PRIVATE"), "PRIVATE")
    assert refused(TEXT.replace("END SELO PUBLIC", "END SELO PRIVATE"))


@pytest.mark.parametrize(
    "name",
    ["", "x" * 65, "a b", "a/b", "a\n", "ä", "a\x00", "\u202eabc", "Name:", "a\\", ".hidden", "-rf", "_"],
)
def test_security_a_name_is_checked_both_ways(name: str) -> None:
    """1 to 64 letters, digits, dots, hyphens and underscores, the first a letter or digit: neither
    written nor read otherwise."""
    with pytest.raises(MalformedIdentity):
        armor.wrap("PUBLIC", BODY, name)
    assert refused(TEXT.replace("ana.laptop", name))


@pytest.mark.parametrize("name", ["x", "x" * 64, "A-z_0.9", "0"])
def test_names_at_the_edges(name: str) -> None:
    """What the character set allows is allowed: a name is a suggestion, no path."""
    assert armor.unwrap("PUBLIC", armor.wrap("PUBLIC", BODY, name))[1] == name
