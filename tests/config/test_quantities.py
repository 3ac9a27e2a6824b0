import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.config.quantities import (
    parse_count,
    parse_duration,
    parse_rate,
    parse_size,
    parse_switch,
    show_duration,
    show_rate,
    show_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("10m", 600.0),
        ("1h", 3600.0),
        ("7d", 604800.0),
        ("0.5d", 43200.0),
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
        ("32 bytes", 32),
        ("1 byte", 1),
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
@pytest.mark.parametrize("parse", [parse_duration, parse_size, parse_rate, parse_count])
def test_no_other_spelling_of_a_number_is_read(parse, value):
    """Signs, exponents, foreign digits, infinities, booleans and other types are refused by each parser."""
    with pytest.raises(ValueError):
        parse(value)


@pytest.mark.parametrize("unit", ["D", "w", "day", "d/s", "s/s", "/s", "S", "M", "min", "sec", "KiB"])
def test_no_other_unit_of_time_is_read(unit):
    """Only ms, s, m, h and d are units of time."""
    with pytest.raises(ValueError):
        parse_duration(f"1{unit}")


@pytest.mark.parametrize("unit", ["K", "k", "kB", "KB", "MB", "M", "kib", "TiB", "s", "B/s", "MiB/s", "/s"])
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
    assert parse_size(show_size(size)) == size


@given(st.integers(0, 100_000_000))
def test_a_shown_duration_reads_back(milliseconds):
    """What `show_duration` writes means the same duration."""
    seconds = milliseconds / 1000
    assert parse_duration(show_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10MB/s", 10_000_000),
        ("500kB/s", 500_000),
        ("1GB/s", 1_000_000_000),
        ("64KiB/s", 65536),
        ("1MiB/s", 1 << 20),
        ("2 GiB/s", 2 << 30),
        ("1.5MB/s", 1_500_000),
        ("1.001GB/s", 1_001_000_000),  # as a product of floats it is a little less
        ("0.3B/s", 0),
        ("9B/s", 9),
        ("4096", 4096),
        (4096, 4096),
        (0, 0),
    ],
)
def test_rates_are_bytes_a_second(text, rate):
    """Every documented form of a rate is read as whole bytes per second, the nearest."""
    assert parse_rate(text) == rate
    assert type(parse_rate(text)) is int


@pytest.mark.parametrize(
    "unit",
    ["MB", "kB", "KiB", "B", "KB/s", "mB/s", "Mb/s", "Mbit/s", "k/s", "TB/s", "/s", "s", "MB/m", "MB/ s"],
)
def test_no_other_unit_of_a_rate_is_read(unit):
    """A rate with a unit says per second; bits, and a kilo in capitals, are refused."""
    with pytest.raises(ValueError):
        parse_rate(f"1{unit}")


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0, "0B/s"),
        (1, "1B/s"),
        (999, "999B/s"),
        (1000, "1kB/s"),
        (1024, "1KiB/s"),
        (64_000, "64kB/s"),
        (65_536, "64KiB/s"),
        (1_000_000, "1MB/s"),
        (1 << 20, "1MiB/s"),
        (10**9, "1GB/s"),
        (1 << 30, "1GiB/s"),
        (100 * 10**9, "100GB/s"),
    ],
)
def test_a_rate_is_shown_in_the_unit_that_fits(rate, words):
    """Decimal or binary, whichever leaves a whole number; else in bytes."""
    assert show_rate(rate) == words


@given(st.integers(0, 1 << 40))
def test_a_shown_rate_reads_back(rate):
    """What `show_rate` writes means the same rate."""
    assert parse_rate(show_rate(rate)) == rate


@pytest.mark.parametrize(
    ("seconds", "words"), [(86400, "1d"), (604800, "7d"), (90000, "25h"), (86460, "1441m"), (86401, "86401s")]
)
def test_days_are_shown_where_they_are_whole(seconds, words):
    """A week is `7d`, and a day and an hour are `25h`."""
    assert show_duration(seconds) == words


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
