"""The constants against the layouts and sentences of docs/PROTOCOL.md."""

from __future__ import annotations

from selo.crypto import limits, messages
from selo.crypto.protection import HEADER
from selo.crypto.suites import CLASSIC


def test_message_lengths_are_the_sums_of_their_fields() -> None:
    """Section 6 adds up: 493, 581, 161, 81, and every layout has its length."""
    tag = limits.TAG_LENGTH
    assert messages.M1_PREFIX.size == limits.M1_PREFIX_LENGTH == 13
    assert messages.M1_PREFIX.size + messages.M1_BODY.size == limits.M1_LENGTH == 493
    assert messages.M2_PREFIX.size + messages.M2_CLEAR.size == limits.M2_CLEAR_LENGTH == 421
    assert limits.M2_CLEAR_LENGTH + messages.AUTH.size + tag == limits.M2_LENGTH == 581
    assert 1 + messages.AUTH.size + tag == limits.M3_LENGTH == 161
    assert 1 + messages.ACCEPT.size + tag == limits.M4_LENGTH == 81
    lengths = (
        CLASSIC.m1_length,
        CLASSIC.m2_length,
        CLASSIC.m2_clear_length,
        CLASSIC.m3_length,
        CLASSIC.m4_length,
    )
    assert lengths == (493, 581, 421, 161, 81)
    framing = len(b"\x93\x00\xc4\x00\xc5\xff\xff")  # section 4
    assert max(lengths) + framing <= limits.HANDSHAKE_FRAME_MAX


def test_record_constants() -> None:
    """Sections 8 and 13: sizes, epochs and the end of the numbers."""
    assert HEADER.size == limits.HEADER_LENGTH == 16
    assert limits.MAX_PLAINTEXT == 1_048_576
    assert limits.MIN_MAX_PLAINTEXT == limits.STRUCTURED_BODY_MAX == 4096
    assert 1 << limits.EPOCH_BITS == 65_536
    assert limits.SEQUENCE_END == 1_099_511_627_776
    assert limits.SEQUENCE_END % (1 << limits.EPOCH_BITS) == 0
    assert limits.TOTALS_LENGTH == 8 + 8 + 32 + 32
    assert limits.ACK_LENGTH == 8 + 8
    assert limits.TICKET_LENGTH == 48
    assert (ord("E"), ord("R")) == (limits.DIRECTION_EMITTER, limits.DIRECTION_RECEIVER)
    assert bytes.fromhex("53454c4f0d0a1a0a") == limits.MAGIC
