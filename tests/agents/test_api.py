"""What programs call, over real sockets: what can be sent, where it can go, and every way that it fails."""

from __future__ import annotations

import asyncio
import gzip
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

import selo
from selo.agents import api
from selo.agents.errors import SourceFault, TargetExists
from selo.agents.stop import Stop
from selo.agents.stream import Stream
from selo.config.policy import PeerPolicy
from tests.leaks import descriptors

DATA = os.urandom(200_000)
PATIENCE = 20


class Ends:
    """Alice, who sends, Bob, who receives, and an address."""

    def __init__(self, parties, settings, folder) -> None:
        folder.chmod(0o700)
        self.folder = folder
        self.address = f"ipc://{folder}/s"
        self.alice = {"identity": parties.emitter, "to": selo.Peer("bob", False, parties.receiver.public)}
        self.bob = {
            "identity": parties.receiver,
            "senders": selo.Peer("alice", False, parties.emitter.public),
        }
        self.settings = {"settings": settings}
        self.stranger = parties.stranger

    def emit(self, data=DATA, **options):
        """Alice's side."""
        return selo.emit(data, **(self.alice | self.settings | {"connect": self.address} | options))

    def receive(self, into, **options):
        """Bob's side."""
        return selo.receive(into, **(self.bob | self.settings | {"bind": self.address} | options))

    def both(self, data, into, emitting=None, receiving=None):
        """What became of each: its return, or its exception."""
        with ThreadPoolExecutor(2) as pool:
            calls = [
                pool.submit(self.receive, into, **(receiving or {})),
                pool.submit(self.emit, data, **(emitting or {})),
            ]
            received, emitted = (call.exception(PATIENCE) or call.result() for call in calls)
        return emitted, received


@pytest.fixture
def ends(parties, settings, tmp_path):
    """Two programs that trust each other."""
    return Ends(parties, settings, tmp_path)


def path_of(folder, data=DATA):
    """A file with the data."""
    (folder / "data.bin").write_bytes(data)
    return folder / "data.bin"


def in_pipe(folder):
    """A program's output."""
    return subprocess.Popen(["cat", path_of(folder)], stdout=subprocess.PIPE).stdout


def advanced(folder):
    """A buffered file whose start was read already."""
    path_of(folder, b"read" + DATA)
    file = open(folder / "data.bin", "rb")  # noqa: SIM115
    file.read(4)
    return file


def packed(folder):
    """A file that gives something else than its descriptor does."""
    with gzip.open(folder / "data.gz", "wb") as file:
        file.write(DATA)
    return gzip.open(folder / "data.gz", "rb")


KINDS = {
    "a path": path_of,
    "text": lambda folder: str(path_of(folder)),
    "bytes": lambda _folder: DATA,
    "bytearray": lambda _folder: bytearray(DATA),
    "memoryview": lambda _folder: memoryview(DATA),
    "an open file": lambda folder: open(path_of(folder), "rb"),  # noqa: SIM115
    "an unbuffered file": lambda folder: open(path_of(folder), "rb", buffering=0),  # noqa: SIM115
    "a file read in part": advanced,
    "BytesIO": lambda _folder: io.BytesIO(DATA),
    "a gzip file": packed,
    "a pipe": in_pipe,
    "a generator": lambda _folder: (DATA[start : start + 999] for start in range(0, len(DATA), 999)),
    "a list": lambda _folder: [DATA[:1], b"", DATA[1:]],
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())
def test_whatever_can_be_sent_arrives(ends, make):
    """Every kind of data arrives to the byte."""
    got = bytearray()
    data = make(ends.folder)
    emitted, received = ends.both(data, got.extend)
    if hasattr(data, "close"):
        data.close()
    assert isinstance(emitted, selo.Delivered) and isinstance(received, selo.Delivered)
    assert got == DATA
    assert emitted.blake3 == received.blake3


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: 5,
        lambda folder: None,
        lambda folder: io.StringIO("text"),
        lambda folder: open(path_of(folder)),  # noqa: SIM115
    ],
    ids=["int", "None", "StringIO", "text mode"],
)
def test_what_cannot_be_sent_is_misuse_at_once(ends, make):
    """A kind that is no bytes fails before anything is dialled, and nothing waits."""
    data = make(ends.folder)
    begun = time.monotonic()
    with pytest.raises(selo.MisuseError, match="cannot send"):
        ends.emit(data)
    assert time.monotonic() - begun < 1
    if hasattr(data, "close"):
        data.close()


def test_a_path_that_is_not_there_is_a_local_fault(ends):
    """A missing file is found before anything is dialled."""
    with pytest.raises(SourceFault, match="no such file"):
        ends.emit("missing")


def failing():
    """Some data, then an error."""
    yield DATA
    raise ValueError("the sensor died")


@pytest.mark.parametrize("into", ["callable", "fifo"])
def test_security_what_is_handed_on_has_the_limit_of_its_sender(ends, tmp_path, into):
    """A stream says no length, so it is cut off there: not a byte beyond passes."""
    got = bytearray()
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    alice = replace(ends.bob["senders"], policy=PeerPolicy(max_bytes=10))
    target = got.extend if into == "callable" else tmp_path / "fifo"
    emitted, received = ends.both(iter([b"x" * 11]), target, receiving={"senders": alice})
    assert isinstance(received, selo.LocalFault) and isinstance(emitted, selo.PeerFault)
    assert "longer than the 10 bytes" in str(received)
    assert got + os.read(reader, 100) == b""
    os.close(reader)


@pytest.mark.parametrize(
    ("data", "word"),
    [(failing, "ValueError"), (lambda: [5, 6], "it gave int"), (lambda: iter(["text"]), "it gave str")],
    ids=["raises", "ints", "texts"],
)
def test_an_iterable_that_fails_is_never_a_whole(ends, data, word):
    """A generator that raises or yields no bytes fails both sides; no file appears, and no zeros."""
    emitted, received = ends.both(data(), ends.folder / "out")
    assert isinstance(emitted, selo.LocalFault) and word in str(emitted)
    assert isinstance(received, selo.PeerFault)
    assert not (ends.folder / "out").exists()


def test_into_a_folder_it_keeps_its_name(ends):
    """A folder takes the delivery under the Emitter's name for it."""
    (ends.folder / "inbox").mkdir()
    _, received = ends.both(path_of(ends.folder), ends.folder / "inbox", {"name": "other"})
    assert received.target == str(ends.folder / "inbox" / "other")
    assert (ends.folder / "inbox" / "other").read_bytes() == DATA


@pytest.mark.parametrize("shape", ["a folder", "its text", "a list", "a list of texts", "a tuple"])
def test_folders_and_several_paths_are_a_tree(ends, shape):
    """A folder, or several paths, arrive as they are, and the items are counted."""
    (ends.folder / "out" / "inner").mkdir(parents=True)
    (ends.folder / "out" / "inner" / "one").write_bytes(DATA)
    (ends.folder / "out" / "two").write_bytes(b"two")
    (ends.folder / "inbox").mkdir()
    folder, two = ends.folder / "out" / "inner", ends.folder / "out" / "two"
    data = {
        "a folder": folder,
        "its text": str(folder),
        "a list": [folder, two],
        "a list of texts": [str(folder), str(two)],
        "a tuple": (folder, two),
    }[shape]
    emitted, received = ends.both(data, ends.folder / "inbox")
    assert isinstance(emitted, selo.Delivered) and isinstance(received, selo.Delivered)
    assert (ends.folder / "inbox" / "inner" / "one").read_bytes() == DATA
    several = "list" in shape or "tuple" in shape
    assert (ends.folder / "inbox" / "two").exists() == several
    assert emitted.items == received.items == (3 if several else 2)
    assert emitted.bytes == len(DATA) + (3 if several else 0)


def test_a_file_that_exists_is_replaced_only_when_told(ends):
    """Without `overwrite` both sides fail and the file stays; with it, it is replaced."""
    target = ends.folder / "out"
    target.write_bytes(b"old")
    emitted, received = ends.both(DATA, target)
    assert isinstance(received, TargetExists) and isinstance(emitted, selo.PeerFault)
    assert target.read_bytes() == b"old"
    emitted, _ = ends.both(DATA, target, None, {"overwrite": True})
    assert isinstance(emitted, selo.Delivered)
    assert target.read_bytes() == DATA


def test_a_callable_that_raises_fails_both(ends):
    """The Receiver's fault is a LocalFault here and a PeerFault there."""

    def full(_block: bytes) -> None:
        raise OSError("full")

    emitted, received = ends.both(DATA, full)
    assert isinstance(received, selo.LocalFault) and isinstance(emitted, selo.PeerFault)


@pytest.mark.parametrize("side", ["emitting", "receiving"])
def test_a_report_that_raises_ends_both(ends, side):
    """The exception reaches its own caller as it is, and the other side is no success."""

    class Mine(Exception):
        pass

    def report(event):
        if event.name == "opened":
            raise Mine

    outcomes = ends.both(DATA, bytearray().extend, **{side: {"report": report}})
    mine, other = outcomes if side == "emitting" else reversed(outcomes)
    assert isinstance(mine, Mine)
    assert isinstance(other, selo.SeloError)


def test_a_stranger_is_refused_on_both_sides(ends):
    """Who is not among the senders gets a TrustError; the Receiver, in time, too."""
    short = {"settings": replace(ends.settings["settings"], receive_wait=1.5)}
    emitted, received = ends.both(DATA, ends.folder / "out", {"identity": ends.stranger}, short)
    assert isinstance(emitted, selo.TrustError) and isinstance(received, selo.TrustError)
    assert not (ends.folder / "out").exists()


def test_nobody_is_found_out_in_time(ends):
    """Without a Receiver `emit` ends after `emit_wait`, and `receive` after `receive_wait`."""
    settings = replace(ends.settings["settings"], emit_wait=0.5, receive_wait=0.5)
    for call in (ends.emit, partial(ends.receive, ends.folder / "out")):
        begun = time.monotonic()
        with pytest.raises(selo.UnreachableError):
            call(settings=settings)
        assert time.monotonic() - begun < 3


@pytest.mark.parametrize("routes", [{}, {"connect": "tcp://[::1]:1", "bind": "tcp://[::1]:1"}])
def test_exactly_one_address_is_needed(ends, routes):
    """Both or neither of `connect` and `bind` is misuse, in every call."""
    ends.settings.pop("settings")
    with pytest.raises(selo.MisuseError):
        selo.emit(DATA, **ends.alice, **routes)
    with pytest.raises(selo.MisuseError):
        selo.receive("out", **ends.bob, **routes)
    with pytest.raises(selo.MisuseError):
        selo.open_stream(**ends.bob, **routes)


@pytest.mark.parametrize("address", ["nonsense", "tcp://host:99999", "http://host:1", ""])
@pytest.mark.parametrize("way", ["connect", "bind"])
def test_an_address_that_cannot_be_meant_is_a_usage_error(ends, address, way):
    """It fails at once, as the caller's own mistake."""
    with pytest.raises(selo.UsageError):
        selo.emit(DATA, **ends.alice, **{way: address})
    with pytest.raises(selo.UsageError):
        selo.receive("out", **ends.bob, **{way: address})


def test_nobody_who_may_send_is_misuse(ends):
    """An empty collection of senders could only wait for ever."""
    with pytest.raises(selo.MisuseError):
        ends.receive("out", senders=[])


def test_the_facts_are_the_same_on_both_sides(ends):
    """`on_session` is called on each with one transcript and one exported key."""
    facts = []
    ends.both(DATA, bytearray().extend, {"on_session": facts.append}, {"on_session": facts.append})
    assert {each.role for each in facts} == {"Emitter", "Receiver"}
    assert len({each.transcript for each in facts}) == 1
    assert len({each.export("EXAMPLE", b"", 32) for each in facts}) == 1


def test_several_run_at_once_and_leave_no_descriptor(ends):
    """Four deliveries at once, from asyncio; once collected, as many descriptors are open as before."""

    def pair(number):
        address = f"{ends.address}{number}"
        return ends.both(DATA, ends.folder / f"out{number}", {"connect": address}, {"bind": address})

    async def several():
        return await asyncio.gather(*(asyncio.to_thread(pair, number) for number in range(4)))

    ends.both(DATA, bytearray().extend)  # what a first use opens for good
    before = descriptors()
    outcomes = asyncio.run(several())
    assert all(isinstance(each, selo.Delivered) for pair in outcomes for each in pair)
    assert all((ends.folder / f"out{number}").read_bytes() == DATA for number in range(4))
    assert descriptors() <= before


def test_a_stop_ends_a_wait(ends):
    """A stop that another thread requests ends a `receive` that waits for ever, as Interrupted."""
    stop = Stop()
    timer = threading.Timer(0.3, stop.request)
    timer.start()
    with pytest.raises(selo.Interrupted):
        ends.receive("out", stop=stop)
    timer.join()


def send_it(key: bytes, text: str, address: str) -> None:
    """What a spawned child runs."""
    peer = selo.Peer.from_text("bob", text)
    selo.emit(DATA[:1000], identity=selo.Identity.from_bytes(key, None), to=peer, connect=address)


def test_a_spawned_child_can_emit(ends):
    """An identity crosses as bytes, a peer as text."""
    key = ends.alice["identity"].to_bytes(None, os.urandom)
    text = ends.alice["to"].identity.to_text(None)
    child = multiprocessing.get_context("spawn").Process(target=send_it, args=(key, text, ends.address))
    child.start()
    received = ends.receive(bytearray().extend)
    child.join(PATIENCE)
    assert child.exitcode == 0
    assert received.bytes == 1000


CHILD = """
import os, sys, itertools, selo
key, text, address, call = sys.argv[1:]
me, peer = selo.Identity.from_bytes(key.encode(), None), selo.Peer.from_text("peer", text)
def endless():
    while True:
        yield b"x" * 1000
print("ready", flush=True)
try:
    if call == "emit":
        selo.emit(endless(), identity=me, to=peer, connect=address)
    elif call == "receive":
        selo.receive(lambda block: None, identity=me, senders=peer, bind=address)
    elif call == "open_stream":
        with selo.open_stream(identity=me, senders=peer, bind=address) as stream:
            for block in stream:
                pass
    else:
        with selo.converse(identity=me, peers=peer, connect=address) as talk:
            talk.send(b"hello")
            talk.receive()
except KeyboardInterrupt:
    sys.exit(77)
"""


class Child:
    """A process that makes one of the calls."""

    def __init__(self, ends: Ends, call: str) -> None:
        me, peer = ends.alice["identity"], ends.alice["to"].identity
        if call in ("receive", "open_stream"):
            me, peer = ends.bob["identity"], ends.bob["senders"].identity
        arguments = [me.to_bytes(None, os.urandom).decode(), peer.to_text(None), ends.address, call]
        self.process = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE)

    def __enter__(self):
        assert self.process.stdout.readline() == b"ready\n"
        return self.process

    def __exit__(self, *_error):
        self.process.kill()
        self.process.communicate()


def endless(process, number):
    """Data without end; after a while the process that takes it gets the signal."""
    for count in range(1 << 30):
        if count == 50:
            process.send_signal(number)
        yield b"y" * 10_000


@pytest.mark.parametrize("call", ["emit", "receive", "open_stream", "converse"])
def test_ctrl_c_ends_both_sides(ends, call):
    """KeyboardInterrupt reaches the program, and the other side is told at once: a SeloError, no success."""
    # Silence, or a record that cannot be read, would be waited out, and be seen as a hang.
    settings = replace(ends.settings["settings"], idle_limit=60.0, retry_for=60.0, resume_window=60.0)
    with Child(ends, call) as process:
        begun = time.monotonic()
        with pytest.raises(selo.SeloError) as caught:  # noqa: PT012
            if call == "emit":
                with selo.open_stream(**ends.bob, bind=ends.address, settings=settings) as stream:
                    for count, _ in enumerate(stream):
                        if count == 3:
                            process.send_signal(signal.SIGINT)
            elif call == "converse":
                with selo.converse(
                    identity=ends.bob["identity"],
                    peers=ends.bob["senders"],
                    bind=ends.address,
                    settings=settings,
                ) as talk:
                    assert talk.receive() == b"hello"
                    process.send_signal(signal.SIGINT)
                    talk.receive()
            else:
                ends.emit(endless(process, signal.SIGINT), settings=settings)
        assert process.wait(PATIENCE) == 77
        assert caught.value.exit_status in (1, 4)
        assert time.monotonic() - begun < 15


# A destructor, of pytest's or of ours, may be what is struck, and swallows it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("call", ["receive", "open_stream", "converse"])
def test_a_call_that_is_struck_as_it_begins_leaves_nothing(ends, call, monkeypatch):
    """Whenever a handler raises: no thread, and the address is free for the next."""
    streams = []

    class Kept(Stream):
        """One that was returned, and never reached its `with`, is the program's to close."""

        def __init__(self, *arguments):
            super().__init__(*arguments)
            streams.append(self)

    monkeypatch.setattr(api, "Stream", Kept)

    class TooLate(Exception):
        """Of a program with a deadline."""

    def late(_number, _frame):
        raise TooLate

    def begin():
        if call == "receive":
            ends.receive(ends.folder / "out")
        elif call == "open_stream":
            with selo.open_stream(**ends.bob, **ends.settings, bind=ends.address) as stream:
                next(stream)
        else:
            bob, alice = ends.bob["identity"], ends.bob["senders"]
            selo.converse(identity=bob, peers=alice, bind=ends.address, **ends.settings)

    before = signal.signal(signal.SIGALRM, late)
    try:
        for moment in range(60):
            with pytest.raises(TooLate):  # noqa: PT012
                signal.setitimer(signal.ITIMER_REAL, 0.0001 * (moment + 1), 3.0)  # and again
                begin()
            signal.setitimer(signal.ITIMER_REAL, 0)
            while streams:
                streams.pop().close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    ends.both(DATA, ends.folder / "out")
    assert (ends.folder / "out").read_bytes() == DATA


@pytest.mark.parametrize("buffering", [-1, 0])
def test_security_a_pause_of_a_non_blocking_pipe_is_no_end(ends, buffering):
    """A file in non-blocking mode is refused: nothing to read for a moment would pass for the end."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    with (
        os.fdopen(read, "rb", buffering=buffering) as file,
        pytest.raises(selo.MisuseError, match="non-blocking"),
    ):
        ends.emit(file)
    os.close(write)
