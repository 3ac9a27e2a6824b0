import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.agents.cli.terminal import printable

HOSTILE = {
    "\x1b[2J\x1b[H": "\\x1b[2J\\x1b[H",  # clears the screen
    "a\rb": "a\\x0db",  # writes over the beginning of the line
    "a\nselo: delivered": "a\\x0aselo: delivered",  # forges a line of ours
    "\x07": "\\x07",
    "\x9b31m": "\\x9b31m",  # the one-byte form of ESC [
    "a\u202egpj.exe": "a\\u202egpj.exe",  # shown as aexe.jpg
    "\u2066x\u2069": "\\u2066x\\u2069",
    "\u200b": "\\u200b",  # has no width
    "\u2028": "\\u2028",
    "\ud800": "\\ud800",
    "\U000e0041": "\\U000e0041",  # an invisible tag
    "\\x1b": "\\\\x1b",  # pretends to be escaped
    "\xa0": "\\xa0",
}


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_nothing_hostile_reaches_a_terminal(text):
    """Controls, line ends, direction marks, invisible characters and forged escapes are shown as such."""
    assert printable(text) == HOSTILE[text]


@pytest.mark.parametrize("text", ["", "report 2.pdf", "Größe", "日本語", "naïve café", "🙂"])
def test_what_people_write_stays_readable(text):
    """Letters of any script, marks and ordinary spaces are left alone."""
    assert printable(text) == text


def test_every_character_is_safe_or_escaped():
    """Over all of Unicode: what is left is printable, and what is escaped is ASCII."""
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        shown = printable(character)
        if shown == character:
            assert unicodedata.category(character)[0] in "LMNPSZ"
        else:
            assert re.fullmatch(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})", shown)


@given(st.text() | st.text("\\\x1bxu0123456789abcdef"))
def test_two_texts_never_look_alike(text):
    """Escaping loses nothing: what is shown tells what the text was."""
    escape = re.compile(r"\\(?:(\\)|x(..)|u(....)|U(........))")
    assert text == escape.sub(
        lambda match: match[1] or chr(int(match[2] or match[3] or match[4], 16)), printable(text)
    )
