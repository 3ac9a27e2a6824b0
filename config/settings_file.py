"""The home's config.toml: its values, and on which line each of them stands."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from selo.config.errors import SettingsFileRefused


@dataclass(frozen=True)
class SettingsFile:
    """A settings file that was read: ``values`` are what TOML made of it, unchecked."""

    path: Path
    text: str
    values: dict[str, object]

    @classmethod
    def parse(cls, path: Path, data: bytes) -> SettingsFile:
        """The file of this content.

        Raises:
            SettingsFileRefused: it is not TOML; the reason names the line.
        """
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise SettingsFileRefused(path, f"it is not UTF-8 text (at line {line})") from None
        try:
            return cls(path, text, tomllib.loads(text))
        except ValueError as error:
            last = text.rstrip("\n").count("\n") + 1
            words = str(error).replace("at end of document", f"at line {last}, the end of the file")
            raise SettingsFileRefused(path, words[:1].lower() + words[1:]) from None
        except RecursionError:
            raise SettingsFileRefused(path, "its values are nested too deeply") from None

    def line_of(self, key: str) -> int:
        """The number of the line on which the value of ``key`` ends.

        TOML's parser keeps no lines, so this is the shortest beginning of the file that parses and
        has the key. No beginning is tried that does not hold the key's letters.
        """
        lines = self.text.replace("\r\n", "\n").split("\n")
        for number, line in enumerate(lines, start=1):
            if key in line or number == len(lines):
                break
        for end in range(number, len(lines)):
            try:
                if key in tomllib.loads("\n".join(lines[:end])):
                    return end
            except ValueError:  # the middle of a value
                continue
        return len(lines)
