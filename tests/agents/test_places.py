"""Where deliveries go, by the settings and what is said of the peer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selo.agents import events
from selo.agents.bodies import Offer
from selo.agents.direct import DirectSink
from selo.agents.errors import SinkFault, TargetExists
from selo.agents.places import _is_empty_file, rules_for, sink_maker, sweep_places
from selo.agents.sinks import FileSink, FolderSink, Sink
from selo.agents.storage.base import ResumableSink, StorageRules
from selo.config.policy import Names, Overwrite, PeerPolicy
from selo.config.settings import Settings, load_settings
from selo.config.trust import Peer
from tests.agents.storing import CONTENT, FILE_OFFER, STREAM_OFFER, TREE, TREE_OFFER, finish, partials

DAY = 86_400.0


@pytest.fixture
def peer(parties: Any) -> Callable[..., Peer]:
    """Makes alice, with the policy that is said."""
    return lambda **said: Peer("alice", True, parties.emitter.public, policy=PeerPolicy(**said))


def settings(**flags: object) -> Settings:
    """The defaults and these."""
    return load_settings(None, {}, flags)


def take(sink: Sink, offer: Offer = FILE_OFFER, data: bytes = CONTENT) -> str | None:
    """A whole delivery into a staged sink."""
    assert isinstance(sink, ResumableSink)
    sink.open(offer)
    sink.go_on(0)
    target = finish(sink, data)
    sink.forget()
    return target


# Rules


def test_without_a_word_the_defaults_are_the_rules(peer) -> None:
    """Nothing is replaced, names are plain, everything is synced, and what was cut is kept."""
    assert rules_for(settings(), peer()) == StorageRules()


@pytest.mark.parametrize(
    ("flags", "rule", "value"),
    [
        ({"receive_overwrite": "rename"}, "overwrite", Overwrite.RENAME),
        ({"receive_names": "portable"}, "names", Names.PORTABLE),
        ({"receive_no_fsync": True}, "fsync", False),
        ({"resume_window": "0"}, "keep", False),
        ({"receive_keep_free": "1KiB"}, "keep_free", 1024),
        ({"receive_max_bytes": "2KiB"}, "max_bytes", 2048),
        ({"receive_max_items": "7"}, "max_items", 7),
    ],
)
def test_each_setting_is_a_rule(flags: dict[str, object], rule: str, value: object, peer) -> None:
    """And it changes that rule alone."""
    rules = rules_for(settings(**flags), peer())
    assert getattr(rules, rule) == value != getattr(StorageRules(), rule)
    assert {**vars(rules), rule: None} == {**vars(StorageRules()), rule: None}


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"overwrite": Overwrite.REPLACE}, "overwrite"),
        ({"names": Names.ANY}, "names"),
        ({"keep_free": 5}, "keep_free"),
        ({"max_bytes": 6}, "max_bytes"),
        ({"max_items": 7}, "max_items"),
    ],
)
def test_what_is_said_of_the_peer_comes_first(said: dict[str, Any], rule: str, peer) -> None:
    """Whatever the settings say of everybody."""
    (value,) = said.values()
    everybody = settings(
        receive_overwrite="rename",
        receive_names="portable",
        receive_keep_free="1KiB",
        receive_max_bytes="2KiB",
        receive_max_items="3",
    )
    assert getattr(rules_for(everybody, peer(**said)), rule) == value
    assert getattr(rules_for(everybody, peer()), rule) != value


# Sinks


def test_a_folder_takes_everything_under_its_own_name(peer, tmp_path: Path) -> None:
    """Files and trees; the items of a tree are told as events."""
    told: list[events.Event] = []
    make = sink_maker(settings(receive_into=str(tmp_path)), told.append)
    assert isinstance(make(peer()), FolderSink)
    assert take(make(peer())) == str(tmp_path / "name.bin")
    assert told == []
    assert take(make(peer()), TREE_OFFER, TREE) == str(tmp_path / "top")
    done = [event for event in told if isinstance(event, events.ItemDone)]
    started = [event for event in told if isinstance(event, events.ItemStarted)]
    assert len(done) == TREE_OFFER.items
    files = [(event.path, event.size) for event in done if event.kind == "file"]
    assert [(event.path, event.size) for event in started] == files
    assert len(told) == len(done) + len(started)


def test_the_folder_of_the_peer_comes_first(peer, tmp_path: Path) -> None:
    """Each peer's deliveries go where it was said of that peer; the rules are that peer's, too."""
    (tmp_path / "alice").mkdir()
    make = sink_maker(settings(receive_into=str(tmp_path)))
    alice = peer(into=tmp_path / "alice", overwrite=Overwrite.RENAME)
    assert take(make(alice)) == str(tmp_path / "alice" / "name.bin")
    assert take(make(alice)) == str(tmp_path / "alice" / "name (2).bin")
    assert take(make(peer())) == str(tmp_path / "name.bin")


def test_a_stream_without_a_name_is_called_after_our_name_for_the_peer(peer, tmp_path: Path) -> None:
    """Not after anything that the peer says."""
    make = sink_maker(settings(receive_into=str(tmp_path)))
    target = take(make(peer()), Offer(STREAM_OFFER.kind, None, None, STREAM_OFFER.delivery))
    assert target is not None and target.startswith(str(tmp_path / "alice-"))


def test_an_output_takes_one_file_whatever_it_is_called(peer, tmp_path: Path) -> None:
    """The user's path, by the rules of the peer; the folder of the peer has nothing to say."""
    make = sink_maker(settings(receive_output=str(tmp_path / "out")))
    alice = peer(into=tmp_path / "elsewhere", overwrite=Overwrite.REPLACE)
    assert isinstance(make(alice), FileSink)
    for _ in range(2):
        assert take(make(alice)) == str(tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("hold", [False, True])
def test_standard_output_and_devices_are_held_if_that_is_wanted(peer, hold: bool, tmp_path: Path) -> None:
    """What is out of our hands at once can be held back; a file that appears when it is whole need not be."""
    for output in ("-", "/dev/null"):
        sink = sink_maker(settings(receive_output=output, receive_hold=hold))(peer())
        assert isinstance(sink, DirectSink)
        sink.open(STREAM_OFFER)
        assert sink.hands_on != hold
        sink.discard()
    (tmp_path / "file").touch()
    for name in ("file", "new"):
        make = sink_maker(settings(receive_output=str(tmp_path / name), receive_hold=hold))
        assert isinstance(make(peer()), FileSink)


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize("output", ["-", "/dev/null", "fifo"])
def test_security_what_is_written_as_it_comes_has_its_limit_too(
    output: str, hold: bool, peer, tmp_path: Path
) -> None:
    """max_bytes, of the settings or of the peer: it is looked at before what is held back."""
    os.mkfifo(tmp_path / "fifo")
    where = str(tmp_path / "fifo") if output == "fifo" else output
    make = sink_maker(settings(receive_output=where, receive_hold=hold, receive_max_bytes="10KiB"))
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    for limit, alice in ((10_240, peer()), (10, peer(max_bytes=10))):
        sink = make(alice)
        sink.open(STREAM_OFFER)
        with pytest.raises(SinkFault, match=f"{limit:,} bytes"):
            sink.write(bytes(limit + 1))
        sink.discard()
    os.close(reader)


@pytest.mark.parametrize("overwrite", Overwrite)
def test_security_a_fifo_that_comes_after_the_start_gets_nothing(
    overwrite: Overwrite, peer, tmp_path: Path
) -> None:
    """What --output is, is settled at the start: neither --hold nor a limit is lost by exchanging it."""
    make = sink_maker(settings(receive_output=str(tmp_path / "out"), receive_hold=True))
    os.mkfifo(tmp_path / "out")
    reader = os.open(tmp_path / "out", os.O_RDONLY | os.O_NONBLOCK)
    sink = make(peer(overwrite=overwrite))
    with pytest.raises(TargetExists):
        sink.open(STREAM_OFFER)
    sink.discard()
    os.close(reader)


def test_what_was_handed_on_is_known_at_the_same_place_only(peer, tmp_path: Path) -> None:
    """The same output at the same address: elsewhere it may be that nothing of it came."""
    (tmp_path / "null").symlink_to("/dev/null")
    usual = {"receive_output": "/dev/null", "receive_bind": "tcp://127.0.0.1:7800"}

    def known(notes: Path | None = tmp_path / "stored", **changed: object) -> bool:
        sink = sink_maker(settings(**usual | changed), notes=notes)(peer())
        assert isinstance(sink, DirectSink)
        held = sink.open(STREAM_OFFER)
        if held.complete is None:
            finish(sink, CONTENT)
        return held.complete is not None

    assert [known(), known()] == [False, True]
    assert not known(None)
    assert not known(receive_output=str(tmp_path / "null"))
    assert not known(receive_bind="tcp://127.0.0.1:7801")
    assert not known(receive_bind=None, receive_connect="tcp://127.0.0.1:7800")
    assert not known(resume_window="0")
    assert known()


def test_security_an_emptied_file_has_nothing_of_what_was_handed_on(tmp_path: Path) -> None:
    """`selo receive - > file` given again: the shell has emptied the file, so all is to come again."""
    (tmp_path / "file").touch()
    for data, empty in ((b"", True), (b"x", False)):
        (tmp_path / "file").write_bytes(data)
        with (tmp_path / "file").open("ab") as file:
            assert _is_empty_file(file.fileno()) == empty
    reader, writer = os.pipe()
    assert not _is_empty_file(writer)
    os.close(reader)
    os.close(writer)
    assert not _is_empty_file(writer)


def test_each_delivery_has_a_sink_of_its_own(peer, tmp_path: Path) -> None:
    """Two at once share nothing."""
    make = sink_maker(settings(receive_into=str(tmp_path)))
    assert make(peer()) is not make(peer())


# Sweeping


def leave_behind(folder: Path, age: float) -> Path:
    """A cut delivery, which nobody has come back for."""
    sink = FolderSink(folder, StorageRules(fsync=False), sender="alice")
    sink.open(FILE_OFFER)
    sink.go_on(0)
    sink.write(CONTENT[:10])
    sink.suspend()
    (left,) = partials(folder)
    then = time.time() - age
    for path in (*left.iterdir(), left):
        os.utime(path, (then, then))
    return left


@pytest.mark.parametrize(("age", "stays"), [(6 * DAY, True), (8 * DAY, False)])
@pytest.mark.parametrize("where", ["into", "output", "peer"])
def test_what_lies_too_long_is_removed(age: float, stays: bool, where: str, peer, tmp_path: Path) -> None:
    """In every folder that a delivery of this run can go to, after keep_partial seconds (a week)."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "theirs").touch()
    left = leave_behind(inbox, age)
    said = {
        "into": {"receive_into": str(inbox)},
        "output": {"receive_output": str(inbox / "file")},
        "peer": {"receive_into": str(tmp_path)},
    }[where]
    sweep_places(settings(**said), [peer(), peer(into=inbox)] if where == "peer" else [peer()])
    assert left.exists() == stays
    assert (inbox / "theirs").exists()


def test_nothing_is_swept_for_standard_output(peer, tmp_path: Path, monkeypatch) -> None:
    """A stream leaves nothing anywhere; the folder that we stand in is none of its business."""
    left = leave_behind(tmp_path, 30 * DAY)
    monkeypatch.chdir(tmp_path)
    sweep_places(settings(receive_output="-"), [peer(into=tmp_path)])
    assert left.exists()


def test_a_folder_that_is_missing_is_not_swept(peer, tmp_path: Path) -> None:
    """It may be made until somebody delivers."""
    sweep_places(settings(receive_into=str(tmp_path / "missing")), [peer()])
    assert list(tmp_path.iterdir()) == []
