"""Durations, sizes, rates, counts and switches as a person writes them.

All parsers take text, a TOML value or a flag's value alike, and raise
``ValueError`` without words: the caller knows what to name (config/settings.py).
"""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*(?:/s)?)", re.ASCII)
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# Only the unambiguous units: `64K` and `64kB` mean 64,000 to some and 65,536 to others.
_BYTES = {"": 1, "B": 1, "byte": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
# Of a rate the decimal ones are unambiguous as well: lines are sold in them. The largest unit first.
_RATES = {"GiB/s": 1 << 30, "GB/s": 10**9, "MiB/s": 1 << 20, "MB/s": 10**6, "KiB/s": 1 << 10, "kB/s": 1000}
_BYTES_PER_SECOND = {**_RATES, "B/s": 1, "": 1}

DURATION_FORM = "a duration such as 500ms, 30s, 10m, 1h or 7d"
SIZE_FORM = "a size such as 4096, 64KiB or 1MiB"
RATE_FORM = "a rate such as 10MB/s, 500kB/s or 1MiB/s"
COUNT_FORM = "a whole number"
SWITCH_FORM = "true or false (1 or 0, yes or no, on or off)"

_SWITCHES = {"true": True, "1": True, "yes": True, "on": True} | dict.fromkeys(
    ("false", "0", "no", "off"), False
)


def parse_duration(value: object) -> float:
    """Seconds, from `500ms`, `30s`, `10m`, `1h`, `7d`, or a plain number of seconds.

    Raises:
        ValueError: it is none of these.
    """
    number, scale = _split(value, _SECONDS)
    return number * scale


def parse_size(value: object) -> int:
    """Bytes, from `64KiB`, `1.5MiB`, `1GiB`, or a plain number of bytes.

    Raises:
        ValueError: it is none of these, or not a whole number of bytes.
    """
    number, scale = _split(value, _BYTES)
    return _whole(number * scale)


def parse_rate(value: object) -> int:
    """Bytes per second, from `10MB/s`, `1MiB/s`, or a plain number of them; the nearest whole number.

    Raises:
        ValueError: it is none of these.
    """
    number, scale = _split(value, _BYTES_PER_SECOND)
    return round(number * scale)


def parse_count(value: object) -> int:
    """A whole number of things, without a unit.

    Raises:
        ValueError: it is none.
    """
    number, _ = _split(value, {"": 1})
    return _whole(number)


def parse_switch(value: object) -> bool:
    """Yes or no, from `true`, `1`, `yes`, `on` and their opposites, in capitals or not.

    Raises:
        ValueError: it is none of these; a number is none either.
    """
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in _SWITCHES:
        raise ValueError(value)
    return _SWITCHES[value.lower()]


def show_duration(seconds: float) -> str:
    """The duration in its largest whole unit: `90` is `90s`, `3600` is `1h`, `0.5` is `500ms`."""
    for unit, scale in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= scale and seconds % scale == 0:
            return f"{seconds // scale:.0f}{unit}"
    return f"{seconds * 1000:.12g}ms" if 0 < seconds < 1 else f"{seconds:.12g}s"


def show_size(size: int) -> str:
    """The size in its largest whole unit: `65536` is `64KiB`."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale and size % scale == 0:
            return f"{size // scale}{unit}"
    return f"{size} byte" if size == 1 else f"{size} bytes"


def show_rate(rate: int) -> str:
    """The rate in its largest whole unit: `1000000` is `1MB/s`, `1048576` is `1MiB/s`."""
    for unit, scale in _RATES.items():
        if rate >= scale and rate % scale == 0:
            return f"{rate // scale}{unit}"
    return f"{rate}B/s"


def _split(value: object, units: dict[str, float] | dict[str, int]) -> tuple[float, float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number, unit = _finite(value), ""
    elif isinstance(value, str) and (match := _NUMBER.fullmatch(value)):
        number, unit = float(match[1]), match[2]
    else:
        raise ValueError(value)
    if not math.isfinite(number) or number < 0 or unit not in units:
        raise ValueError(value)
    return number, units[unit]


def _finite(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # TOML's whole numbers have no end
        raise ValueError(value) from None


def _whole(number: float) -> int:
    if number != int(number):
        raise ValueError(number)
    return int(number)
