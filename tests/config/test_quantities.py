import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.config.quantities import (
    parse_count,
    parse_duration,
    parse_size,
    parse_switch,
    show_duration,
    show_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("10m", 600.0),
        ("1h", 3600.0),
        ("1.5h", 5400.0),
        ("30", 30.0),
        ("0.25", 0.25),
        ("0", 0.0),
        ("5 s", 5.0),
        (7, 7.0),
        (0.5, 0.5),
    ],
)
def test_durations_are_seconds(text, seconds):
    """Every documented form of a duration is read as seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("32", 32),
        ("32B", 32),
        ("64KiB", 65536),
        ("1MiB", 1 << 20),
        ("1.5MiB", 3 << 19),
        ("2 GiB", 2 << 30),
        (4096, 4096),
        (4096.0, 4096),
    ],
)
def test_sizes_are_bytes(text, size):
    """Every documented form of a size is read as whole bytes."""
    assert parse_size(text) == size


NO_NUMBERS = [
    "",
    " ",
    "s",
    "-1",
    "+1",
    "1e3",
    "1_000",
    "0x10",
    "nan",
    "inf",
    "\u0661",
    ".5",
    "5.",
    "1 2",
    "5s ",
    "5  s",
]
NO_NUMBERS += [None, True, False, [], {}, b"5", -1, -0.5, math.nan, math.inf, 10**400]


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("parse", [parse_duration, parse_size, parse_count])
def test_no_other_spelling_of_a_number_is_read(parse, value):
    """Signs, exponents, foreign digits, infinities, booleans and other types are refused by each parser."""
    with pytest.raises(ValueError):
        parse(value)


@pytest.mark.parametrize("unit", ["d", "S", "M", "min", "sec", "KiB"])
def test_no_other_unit_of_time_is_read(unit):
    """Only ms, s, m and h are units of time."""
    with pytest.raises(ValueError):
        parse_duration(f"1{unit}")


@pytest.mark.parametrize("unit", ["K", "k", "kB", "KB", "MB", "M", "kib", "TiB", "s"])
def test_no_ambiguous_unit_of_size_is_read(unit):
    """Units that mean 1000 to some and 1024 to others are refused."""
    with pytest.raises(ValueError):
        parse_size(f"1{unit}")


@pytest.mark.parametrize(
    ("parse", "value"), [(parse_size, "0.5"), (parse_size, 1.5), (parse_count, "1.5"), (parse_count, "3s")]
)
def test_parts_of_a_byte_or_a_record_are_refused(parse, value):
    """Sizes and counts are whole, and a count has no unit."""
    with pytest.raises(ValueError):
        parse(value)


@given(st.integers(0, 1 << 40))
def test_a_shown_size_reads_back(size):
    """What `show_size` writes means the same size."""
    assert parse_size(re.sub(" bytes?$", "", show_size(size))) == size


@given(st.integers(0, 100_000_000))
def test_a_shown_duration_reads_back(milliseconds):
    """What `show_duration` writes means the same duration."""
    seconds = milliseconds / 1000
    assert parse_duration(show_duration(seconds)) == pytest.approx(seconds)


YES = ["true", "1", "yes", "on", "TRUE", "On", True]
NO = ["false", "0", "no", "off", "FALSE", "oFF", False]


@pytest.mark.parametrize(("value", "meant"), [*((yes, True) for yes in YES), *((no, False) for no in NO)])
def test_a_switch_is_said_in_four_ways(value, meant):
    """true, 1, yes and on mean yes, their opposites no, in capitals or not."""
    assert parse_switch(value) is meant


@pytest.mark.parametrize("value", ["", " ", "2", "-1", "y", "n", "true ", "ja", 0, 1, 1.0, None, [], b"1"])
def test_nothing_else_is_a_switch(value):
    """No other text, no number and no other type says yes or no."""
    with pytest.raises(ValueError):
        parse_switch(value)
