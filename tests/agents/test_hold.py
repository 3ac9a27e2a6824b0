"""What is held back is handed on whole, or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections import namedtuple

import pytest

from selo.agents.bodies import Kind, Offer
from selo.agents.errors import DeliveryCut, HoldLimitExceeded, SinkFault
from selo.agents.hold import IN_MEMORY, HoldSink
from selo.agents.sinks import CallableSink
from selo.agents.sources import BytesSource, IterableSource

LIMIT = 1 << 30
STREAM = Offer(Kind.STREAM, None, None)


@pytest.fixture
def spool_folder(tmp_path, monkeypatch):
    """Where the streams of this test are held."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("size", [0, 1, IN_MEMORY - 1, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY + 7])
def test_everything_is_handed_on_at_the_commit(size, spool_folder) -> None:
    """In order, byte for byte, whether or not it touched a disk; nothing before."""
    out = bytearray()
    sink, data = HoldSink(CallableSink(out.extend), limit=LIMIT), os.urandom(size)
    sink.open(STREAM)
    for start in range(0, size, 100_000):
        sink.write(data[start : start + 100_000])
    assert out == b""
    assert not sink.hands_on
    assert os.listdir(spool_folder) == []
    sink.commit()
    assert out == data
    assert sink.hands_on


def test_security_a_cut_stream_releases_nothing(deliver, make_wire, spool_folder) -> None:
    """The session ends before FINAL: not one byte is handed on, and the error says so."""
    out = bytearray()

    def breaking():
        yield b"DROP TABLE users;" * 100_000
        raise RuntimeError

    run = deliver(
        make_wire(), IterableSource(breaking()), sink=HoldSink(CallableSink(out.extend), limit=LIMIT)
    )
    assert run.emitter.status == 1
    assert run.receiver.status == 1
    assert out == b""


def test_a_lost_link_says_that_nothing_was_kept(receive_from_rogue, spool_folder) -> None:
    """What is held counts as nothing: it is gone."""
    from selo.crypto.records import RecordType

    out = bytearray()

    def script(rogue) -> None:
        rogue.begin(STREAM)
        rogue.send(RecordType.DATA, b"data")
        rogue.take(RecordType.ACK)

    side = receive_from_rogue(script, HoldSink(CallableSink(out.extend), limit=LIMIT))
    assert isinstance(side.error, DeliveryCut)
    assert "nothing was kept" in str(side.error)
    assert out == b""


@pytest.mark.parametrize("known", [True, False])
def test_the_limit_is_told_to_both(known, deliver, make_wire, spool_folder) -> None:
    """A stream that is longer is refused, before its data if its size is known; nothing is handed on."""
    out = bytearray()
    data = os.urandom(200_000)
    source = BytesSource(data) if known else IterableSource([data])
    run = deliver(make_wire(), source, sink=HoldSink(CallableSink(out.extend), limit=len(data) - 1))
    assert isinstance(run.receiver.error, HoldLimitExceeded)
    assert (run.emitter.status, run.receiver.status) == (1, 1)
    assert "199,999 bytes" in str(run.emitter.error)
    assert out == b""


def test_a_stream_of_exactly_the_limit_passes(deliver, make_wire, spool_folder) -> None:
    """The limit itself is allowed."""
    data = os.urandom(1000)
    out = bytearray()
    run = deliver(make_wire(), BytesSource(data), sink=HoldSink(CallableSink(out.extend), limit=1000))
    assert run.receiver.status == run.emitter.status == 0
    assert out == data


def test_room_is_looked_at_before_data_travels(spool_folder, monkeypatch) -> None:
    """A stream whose size is known and for which the spool has no room is refused at its OPEN."""
    volume = namedtuple("volume", "f_bavail f_frsize f_blocks")(1, 4096, 100)
    monkeypatch.setattr(os, "statvfs", lambda _path: volume)
    sink = HoldSink(CallableSink(print), limit=LIMIT)
    with pytest.raises(SinkFault, match="are free"):
        sink.open(Offer(Kind.STREAM, None, IN_MEMORY + 1))
    sink.open(Offer(Kind.STREAM, None, IN_MEMORY))
    sink.discard()


def test_a_full_spool_is_a_fault_of_ours(spool_folder) -> None:
    """ENOSPC while holding names the place, with the variable that moves it, and hands on nothing."""
    out = bytearray()
    sink = HoldSink(CallableSink(out.extend), limit=LIMIT)

    def full(_data) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    sink._spool.write = full
    sink.open(STREAM)
    with pytest.raises(SinkFault, match="TMPDIR"):
        sink.write(b"x")
    sink.discard()
    assert out == b""


def test_security_what_is_released_is_what_was_held(spool_folder) -> None:
    """A spool that changed on its disk is a fault, and no receipt follows."""
    sink = HoldSink(CallableSink(lambda _data: None), limit=LIMIT)
    sink.open(STREAM)
    sink.write(b"0" * (IN_MEMORY + 1))
    sink._spool.seek(5)
    sink._spool.write(b"1")
    with pytest.raises(SinkFault, match="not what was put there"):
        sink.commit()
    sink.discard()


def test_a_reader_that_goes_away_is_a_fault(spool_folder) -> None:
    """The release fails like any write: the Emitter gets no receipt."""

    def gone(_data) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    sink = HoldSink(CallableSink(gone), limit=LIMIT)
    sink.open(STREAM)
    sink.write(b"x")
    with pytest.raises(SinkFault):
        sink.commit()
    sink.discard()


def test_a_tree_is_not_held(spool_folder) -> None:
    """One stream is held, and no folder: it is refused at its OPEN."""
    sink = HoldSink(CallableSink(print), limit=LIMIT)
    with pytest.raises(SinkFault, match="a folder, or several files"):
        sink.open(Offer(Kind.TREE, "folder", 0, bytes(16), items=1))
    sink.discard()
