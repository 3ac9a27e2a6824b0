"""Names that a peer suggests are hostile until they pass this door. Pure.

A legal name is one component of a path: it cannot leave its folder, hide, look like an
option to a program that is given it, move a terminal's cursor or read backwards. A
colon is legal, because names with a time in them are common and only a drive letter's
is dangerous anywhere.
"""

from __future__ import annotations

import re
import unicodedata

from selo.agents.bodies import NAME_MAX
from selo.agents.errors import SinkFault

_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")  # of category Cf too, and needed by several scripts and by emoji
_SEPARATORS = frozenset("/\\")
_DRIVE = re.compile(r"[A-Za-z]:")


def checked_file_name(name: str) -> str:
    """``name`` if it is fit to be a file's name, unchanged.

    Raises:
        SinkFault: it is not, and why. The name itself is shown escaped.
    """
    reason = _why_not(name)
    if reason:
        hint = "the Emitter can choose one with --as, or send the folder that it lies in"
        raise SinkFault(ascii(name), f"the name was refused: {reason}", hint)
    return name


def _why_not(name: str) -> str | None:
    if not name or len(name.encode(errors="surrogatepass")) > NAME_MAX:
        return f"it is empty or longer than {NAME_MAX} bytes"
    if name[0] in ".-":
        return "it begins with a dot or a hyphen"
    if name != name.strip():
        return "it begins or ends with a space"
    if _SEPARATORS & set(name) or _DRIVE.match(name):
        return "it holds a path separator or a drive letter"
    if holds_unseen(name):
        return "it holds a control character or one that cannot be seen"
    return None


def holds_unseen(text: str) -> bool:
    """Whether a character of it cannot be seen, moves a cursor, or turns the line around."""
    return any(unicodedata.category(character) in _FORBIDDEN_CATEGORIES for character in set(text) - _JOINERS)
