"""Text from elsewhere on its way to a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with every character escaped that could move a cursor, hide, or turn the line around.

    What is escaped becomes `\\x1b`, `\\u202e` and the like; a backslash becomes two, so that no
    text can pretend to hold an escape. Line ends are escaped as well: the result is one line.
    """
    return "".join(character if _is_harmless(character) else _escaped(character) for character in text)


def _is_harmless(character: str) -> bool:
    # str.isprintable() is False for the Unicode categories Cc, Cf (direction and joining controls),
    # Cs, Co, Cn, Zl, Zp, and for every space but U+0020.
    return character.isprintable() and character != "\\"


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    point = ord(character)
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
