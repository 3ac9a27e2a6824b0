"""Names that a peer suggests are hostile until they pass this door. Pure.

A legal name is one component of a path: it cannot leave its folder, hide, move a
terminal's cursor or read backwards. A colon is legal, because names with a time in
them are common and only a drive letter's is dangerous anywhere.
"""

from __future__ import annotations

import re
import unicodedata

from selo.agents.bodies import NAME_MAX
from selo.agents.errors import SinkFault

_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_SEPARATORS = frozenset("/\\")
_DRIVE = re.compile(r"[A-Za-z]:")


def checked_name(name: str) -> str:
    """``name`` if it is fit to be a file's name, unchanged.

    Raises:
        SinkFault: it is not, and why. The name itself is shown escaped.
    """
    reason = _why_not(name)
    if reason:
        raise SinkFault(
            ascii(name), f"the name was refused: {reason}", hint="the Emitter can choose one with --as"
        )
    return name


def _why_not(name: str) -> str | None:
    if not name or len(name.encode(errors="surrogatepass")) > NAME_MAX:
        return f"it is empty or longer than {NAME_MAX} bytes"
    if name.startswith("."):
        return "it begins with a dot"
    if _SEPARATORS & set(name) or _DRIVE.match(name):
        return "it holds a path separator or a drive letter"
    if any(unicodedata.category(character) in _FORBIDDEN_CATEGORIES for character in name):
        return "it holds a control character"
    if _BIDI_CONTROLS & set(name):
        return "it holds a character that changes the direction of text"
    return None
