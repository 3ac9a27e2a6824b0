import pytest

from selo.config.limits import (
    CLOSE_GRACE,
    FIRST_MESSAGE_DEADLINE,
    HANDSHAKE_DEADLINE,
    HOLD_LIMIT,
    IDLE_LIMIT,
    KEEP_PARTIAL,
    LIMITS,
    MESSAGE_MAX,
    PING_INTERVAL,
    RECORD_SIZE,
    RESUME_BUFFER,
    RESUME_WINDOW,
    RETRY_FOR,
    WINDOW_BYTES,
    WINDOW_RECORDS,
)


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_every_default_is_within_its_range(limit):
    """A default lies in its range; only an endless limit may have none."""
    assert limit.low <= limit.high
    if limit.default is None:
        assert limit.endless
    else:
        assert limit.low <= limit.default <= limit.high


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_every_limit_has_a_reason(limit):
    """Nobody has to guess why a limit is what it is."""
    assert len(limit.reason.split()) >= 8


@pytest.mark.parametrize(
    ("limit", "default"),
    [
        (FIRST_MESSAGE_DEADLINE, 2),
        (HANDSHAKE_DEADLINE, 5),
        (PING_INTERVAL, 2),
        (IDLE_LIMIT, 10),
        (CLOSE_GRACE, 2),
        (RECORD_SIZE, 1 << 20),
        (WINDOW_BYTES, 16 << 20),
        (WINDOW_RECORDS, 4096),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_defaults_are_those_of_the_protocol(limit, default):
    """docs/PROTOCOL.md, sections 11 and 13, and the window of 16 MiB and 4,096 records."""
    assert limit.default == default


def test_no_record_can_exceed_the_protocol():
    """The largest record and windows that an operator can set are the protocol's own (section 13)."""
    assert RECORD_SIZE.high == 1_048_576
    assert (WINDOW_RECORDS.low, WINDOW_RECORDS.high) == (1, 1_048_576)
    assert RECORD_SIZE.high <= WINDOW_BYTES.high <= 2**32


def test_one_session_never_costs_more_than_a_gibibyte():
    """A window is memory: no setting lets a peer fill more of it."""
    assert WINDOW_BYTES.high == 2**30


def test_a_receiver_always_waits_for_the_close():
    """A Receiver that closes at once can destroy the RECEIPT that it has just sent (section 11)."""
    assert CLOSE_GRACE.low == 0.1


def test_a_message_fits_into_memory_and_a_held_delivery_onto_a_disk():
    """A message is 16 MiB unless said otherwise and never over 1 GiB; a held delivery is 16 GiB."""
    assert (MESSAGE_MAX.default, MESSAGE_MAX.low, MESSAGE_MAX.high) == (16 << 20, 1, 1 << 30)
    assert HOLD_LIMIT.default == 16 << 30


def test_a_receiver_waits_longer_than_an_emitter_tries():
    """By default an Emitter that tries until its last moment finds its partial delivery waited for."""
    assert RESUME_WINDOW.default > RETRY_FOR.default
    assert RESUME_WINDOW.default <= KEEP_PARTIAL.default


def test_a_stream_can_be_repeated_from_what_is_not_acknowledged():
    """By default everything under way is in the buffer, of which the window is a part."""
    assert RESUME_BUFFER.default >= 2 * WINDOW_BYTES.default
