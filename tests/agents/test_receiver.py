"""What a Receiver does with sinks that fail, users who interrupt, and nobody at all."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from selo.agents.errors import DeliveryCut, NobodyCame, PeerFailed, SinkFault, TargetExists
from selo.agents.meeting import Listening, Terms
from selo.agents.receiver import Receiver
from selo.agents.sinks import CallableSink, FileSink, FolderSink
from selo.agents.sources import BytesSource, IterableSource
from selo.agents.stop import Stop
from selo.config.settings import Settings
from selo.config.trust import Peer


def test_file_appears_whole_under_its_name(make_wire, deliver, no_stray_files: Path) -> None:
    """A file goes into the folder under the name it brought, for its owner alone."""
    data = os.urandom(100_000)
    run = deliver(
        make_wire(), BytesSource(data, "report.pdf"), sink=FolderSink(no_stray_files, sender="alice")
    )
    assert run.emitter.status == run.receiver.status == 0
    assert (no_stray_files / "report.pdf").read_bytes() == data
    assert (no_stray_files / "report.pdf").stat().st_mode & 0o777 == 0o600
    assert run.receiver.outcome.target == str(no_stray_files / "report.pdf")


def test_existing_target_ends_both_sides_with_1_and_is_kept(make_wire, deliver, no_stray_files: Path) -> None:
    """Nothing is replaced silently; the Emitter is told why."""
    target = no_stray_files / "kept"
    target.write_text("old")
    run = deliver(make_wire(), BytesSource(b"new", "kept"), sink=FolderSink(no_stray_files, sender="alice"))
    assert isinstance(run.receiver.error, TargetExists)
    assert isinstance(run.emitter.error, PeerFailed)
    assert (run.emitter.status, run.receiver.status) == (1, 1)
    assert "exists" in str(run.emitter.error)
    assert target.read_text() == "old"


def test_security_abort_text_holds_no_local_path(make_wire, deliver, no_stray_files: Path) -> None:
    """What the Emitter is told of a failing sink does not show where the Receiver keeps things."""
    run = deliver(make_wire(), BytesSource(b"new"), sink=FileSink(no_stray_files / "missing" / "file"))
    assert (run.emitter.status, run.receiver.status) == (1, 1)
    assert str(no_stray_files) in str(run.receiver.error)
    assert str(no_stray_files) not in str(run.emitter.error)


def test_sink_that_fails_in_the_middle_ends_both_sides_with_1(
    make_wire, deliver, no_stray_files: Path
) -> None:
    """A disk that fills up half-way is a sentence on both sides, and no file."""

    class Full(FileSink):
        count = 0

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.count += len(data)
            if self.count > 100_000:
                raise SinkFault("file", "no space left on device")
            super().write(data)

    target = no_stray_files / "file"
    run = deliver(make_wire(), BytesSource(os.urandom(1 << 20)), sink=Full(target))
    assert (run.emitter.status, run.receiver.status) == (1, 1)
    assert "no space left" in str(run.emitter.error)
    assert not target.exists()


def test_interrupted_receiver_tells_the_emitter(make_wire, deliver, no_stray_files: Path) -> None:
    """Ctrl-C at the Receiver: it ends with 130, the Emitter with 4, and no file is left."""
    target = no_stray_files / "file"
    gate = threading.Event()

    def chunks():
        yield b"begin"
        gate.wait(10)

    def interrupt_when_written(run):
        class Noticing(FileSink):
            def write(self, data):
                super().write(data)
                run.receiver.stop.request(15)

        sinks.append(Noticing(target))

    sinks: list = []

    class Late:
        def __getattr__(self, name):
            return getattr(sinks[0], name)

    run = deliver(make_wire(), IterableSource(chunks()), sink=Late(), before=interrupt_when_written)
    gate.set()
    assert (run.emitter.status, run.receiver.status) == (4, 143)
    assert isinstance(run.emitter.error, DeliveryCut)
    assert not target.exists()


def test_slow_sink_is_not_a_dead_peer(make_wire, deliver, settings: Settings) -> None:
    """A sink slower than the idle limit keeps the session: PINGs show that both sides live."""
    release = threading.Event()
    timer = threading.Timer(1.5, release.set)
    taken = bytearray()

    def slow(data: bytes) -> None:
        release.wait(20)
        taken.extend(data)

    impatient = replace(settings, idle_limit=0.6, ping_interval=0.1, window_bytes=4096, record_size=1024)
    timer.start()
    run = deliver(
        make_wire(),
        BytesSource(b"x" * 20_000),
        sink=CallableSink(slow),
        emitter_settings=impatient,
        receiver_settings=impatient,
    )
    timer.cancel()
    assert run.emitter.status == run.receiver.status == 0
    assert taken == b"x" * 20_000


def test_nobody_came_ends_with_5(make_wire, parties, settings: Settings) -> None:
    """``--wait`` ends with 5 when nobody knocked."""
    wire = make_wire("tcp")
    receiver = Receiver(
        identity=parties.receiver,
        senders={parties.emitter.fingerprint: Peer("alice", may_send=True, identity=parties.emitter.public)},
        make_sink=lambda _sender: CallableSink(lambda _data: None),
        terms=Terms(settings=replace(settings, receive_wait=0.3), stop=Stop()),
    )
    with pytest.raises(NobodyCame) as caught:
        receiver.run(Listening(wire.listener, ("alice",)))
    assert caught.value.exit_status == 5
