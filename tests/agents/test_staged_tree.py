"""A tree in its staging folder: cut at every byte, damaged, hostile, overtaken, finished."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from selo.agents.errors import PeerMisbehaved, SinkFault, TargetExists
from selo.agents.storage import naming, placing, staged, staged_tree
from selo.agents.storage.base import ResumableSink
from selo.agents.storage.placing import Place
from selo.agents.storage.removing import remove, remove_all_but
from selo.agents.storage.staged_tree import StagedTree
from selo.config.policy import Names
from selo.crypto.items import Item, ItemLog, ItemType
from tests.agents.storing import (
    FILE,
    FOLDER,
    LINK,
    MTIME,
    NEVER,
    OLD_THREE,
    RENAME,
    REPLACE,
    SEVERAL,
    STORED_THREE,
    STORED_TREE,
    THREE,
    TREE,
    TREE_OFFER,
    System,
    as_nobody,
    contents,
    crash_at,
    deliver,
    finish,
    kill,
    look,
    memory_folder,
    opened,
    partials,
    plant_old_three,
    rules,
    sink_for,
    summary_of,
    tree,
)


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


def log_of(stored: dict[str, Any], sha256: bool = False) -> ItemLog:
    """The list of a stored tree's items, made in another way: names of a folder sorted, as they were sent."""
    log = ItemLog()
    for name, (what, _mode, _time) in stored.items():
        path = name.encode()
        if what is FOLDER:
            log.add(Item(ItemType.FOLDER, path))
        elif isinstance(what, str):
            log.add(Item(ItemType.LINK, path, target=what.encode()))
        else:
            log.add(Item(ItemType.FILE, path, len(what), blake3(what).digest()))
    return log


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("fsync", [False, True])
def test_a_tree_is_stored_with_its_modes_times_and_links(step: int, fsync: bool, folder: Path) -> None:
    """Folders have the time that they had, though things came into them; nothing is left beside the tree."""
    assert deliver(folder, TREE_OFFER, TREE, step=step, fsync=fsync) == str(folder / "top")
    assert look(folder) == STORED_TREE
    assert partials(folder) == []


@pytest.mark.parametrize("each", [0, 1 << 20], ids=["one by one", "the file system"])
def test_few_items_are_synced_one_by_one_and_many_at_once(
    each: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways store the same, and say that it is durable."""
    monkeypatch.setattr(staged_tree, "SYNC_EACH", each)
    sink = sink_for(folder, TREE_OFFER, fsync=True)
    opened(sink, TREE_OFFER)
    finish(sink, TREE)
    assert look(folder) == STORED_TREE
    complete = opened(sink_for(folder, TREE_OFFER), TREE_OFFER).complete
    assert complete is not None and complete.durable and complete.target == str(folder / "top")


def test_the_log_is_the_list_of_items(folder: Path) -> None:
    """Count, bytes and hash are those of the items, each file with its own digest."""
    told: list[Item] = []
    sink = StagedTree(folder, rules(), on_item=told.append)
    opened(sink, TREE_OFFER)
    finish(sink, TREE)
    mine, log = log_of(STORED_TREE), sink.log
    assert log is not None
    assert (log.count, log.size, log.hash) == (mine.count, mine.size, mine.hash)
    assert [item.path.decode() for item in told] == list(STORED_TREE)


def test_every_file_has_a_sha256_where_that_was_offered(folder: Path) -> None:
    """And none where it was not."""
    for wanted in (False, True):
        told: list[Item] = []
        offer = replace(TREE_OFFER, sha256=wanted, name=None)
        sink = StagedTree(folder, rules(overwrite=RENAME), on_item=told.append)
        opened(sink, offer)
        finish(sink, TREE)
        sink.forget()
        assert [item.sha256 is not None for item in told if item.type is ItemType.FILE] == [wanted] * 4


# Cuts


def taken_up(folder: Path, choose: Callable[[list[int]], int]) -> tuple[int, list[int]]:
    """Take the tree up at one of the true marks, finish it, and compare; returns that place, and them all."""
    sink = sink_for(folder, TREE_OFFER)
    marks = opened(sink, TREE_OFFER).ladder.marks()
    good = [0] + [m.position for m in marks if blake3(TREE[: m.position]).digest() == m.digest]
    place = choose(good)
    sink.go_on(place)
    finish(sink, TREE, place, step=5)
    mine, log = log_of(STORED_TREE), sink.log
    assert log is not None and log.hash == mine.hash
    sink.forget()
    assert look(folder) == STORED_TREE
    assert partials(folder) == []
    return place, good


def cut_at(
    folder: Path, length: int, cut: Callable[[ResumableSink], None] = kill, data: bytes = TREE, step: int = 9
) -> Path:
    """A delivery that was cut; returns its staging folder."""
    sink = sink_for(folder, TREE_OFFER)
    opened(sink, TREE_OFFER)
    sink.go_on(0)
    for place in range(0, length, step):
        sink.write(data[place : min(place + step, length)])
    cut(sink)
    (staging,) = partials(folder)
    return staging


@pytest.mark.parametrize("cut", [kill, StagedTree.suspend], ids=["killed", "suspended"])
@pytest.mark.parametrize("length", range(1, len(TREE) + 1))
def test_a_tree_cut_at_every_byte_goes_on(
    length: int, cut: Callable[[ResumableSink], None], folder: Path
) -> None:
    """What was made is found again: the last mark is an entry back at most, and leads to the same tree."""
    cut_at(folder, length, cut)
    place, _ = taken_up(folder, lambda good: good[-1])
    assert place == length or TREE_ENDS[place] >= length


def _ends() -> list[int]:
    """For each place, where the entry that begins there ends: content can be cut anywhere, entries cannot."""
    ends, at = list(range(len(TREE) + 1)), 0
    while at < len(TREE):
        size = int.from_bytes(TREE[at + 18 : at + 26], "big")
        name_end = at + 28 + int.from_bytes(TREE[at + 26 : at + 28], "big")
        end = name_end + 2 + int.from_bytes(TREE[name_end : name_end + 2], "big")
        ends[at] = end
        at = end + size
    return ends


TREE_ENDS = _ends()


def test_every_mark_of_a_tree_leads_to_the_same_tree(folder: Path) -> None:
    """Also those far back: what came after them is dropped, and comes again."""
    for length in (len(TREE), TREE.index(b"second") + 3):
        number, count = 0, 1
        while number < count:
            cut_at(folder, length)
            _, good = taken_up(folder, lambda good, number=number: good[number])
            number, count = number + 1, len(good)
            discard_all(folder)
        assert count > 6


def test_a_tree_that_is_cut_twice_has_one_journal(folder: Path) -> None:
    """What the first cut left behind its mark is not taken for what came after it."""
    place = sorted(boundaries())[2]
    other = TREE[:place] + tree((1, b"other", b"content"), (1, b"folder", FOLDER), (2, b"more", b"of it"))
    for second in range(1, len(TREE) + 1, 3):
        cut_at(folder, len(other), data=other, step=1 << 20)
        sink = sink_for(folder, TREE_OFFER)
        opened(sink, TREE_OFFER)
        sink.go_on(place)
        sink.write(TREE[place : max(place, second)])
        kill(sink)
        again, _ = taken_up(folder, lambda good: good[-1])
        assert again >= place and (again >= second or TREE_ENDS[again] >= second)
        discard_all(folder)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES], ids=errno.errorcode.get)
def test_security_a_journal_that_cannot_be_opened_costs_nothing(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there, and with it all that came: the session fails, and the next one goes on."""
    cut_at(folder, len(TREE) // 2, step=1 << 20)
    true_open = os.open

    def failing(path, *arguments, **options):
        if path == "journal":
            raise OSError(number, os.strerror(number))
        return true_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(SinkFault):
        sink_for(folder, TREE_OFFER).open(TREE_OFFER)
    monkeypatch.undo()
    again, _ = taken_up(folder, lambda good: good[-1])
    assert again > 0


def test_entries_of_which_nothing_was_made_are_dropped_from_the_journal(folder: Path) -> None:
    """They were written down ahead, and the process died: they come again, and are written down again."""
    for name in ("top/closed/deep/b", "top/closed", "top/a"):
        staging = cut_at(folder, len(TREE), step=1 << 20)
        gone(staging / "items" / name)
        sink = sink_for(folder, TREE_OFFER)
        place = opened(sink, TREE_OFFER).ladder.marks()[-1].position
        sink.go_on(place)
        sink.write(TREE[place:-1])
        kill(sink)
        assert taken_up(folder, lambda good: good[-1])[0] == len(TREE) - 1
        discard_all(folder)


def discard_all(folder: Path) -> None:
    """Make room for the next."""
    number = os.open(folder, os.O_RDONLY)
    remove_all_but(number, ())
    os.close(number)


def test_a_tree_that_begins_anew_in_one_run(folder: Path) -> None:
    """go_on(0) at any time drops what came, and other things may come then."""
    sink = sink_for(folder, TREE_OFFER)
    opened(sink, TREE_OFFER)
    other = tree((0, b"top", FOLDER), (1, b"a", FOLDER), (2, b"x", b"something else"))
    sink.write(other[:-3])
    sink.go_on(0)
    finish(sink, TREE)
    sink.forget()
    assert look(folder) == STORED_TREE


CLOSED = tree(
    (0, b"top", FOLDER, 0o555), (1, b"in", FOLDER, 0o555), (2, b"x", b"abc", 0o400), (1, b"y", b"d")
)
STORED_CLOSED = {
    "top": (FOLDER, 0o555),
    "top/in": (FOLDER, 0o555),
    "top/in/x": (b"abc", 0o400),
    "top/y": (b"d", 0o644),
}


def modes_of(folder: Path) -> dict[str, Any]:
    return {name: (what, mode) for name, (what, mode, _) in look(folder).items()}


def test_a_folder_that_may_not_be_written_to_is_taken_up_by_its_owner(folder: Path) -> None:
    """Modes are set when a folder is left; whoever is not root must be able to go on all the same."""
    offer = replace(TREE_OFFER, size=len(CLOSED))
    with as_nobody(folder):
        for length in range(1, len(CLOSED) + 1):
            sink = sink_for(folder, offer)
            opened(sink, offer)
            sink.write(CLOSED[:length])
            kill(sink)
            deliver(folder, offer, CLOSED)
            assert modes_of(folder) == STORED_CLOSED
            assert partials(folder) == []
            discard_all(folder)


def test_a_tree_that_has_its_final_modes_is_taken_up_by_its_owner(folder: Path) -> None:
    """It was sealed, the process died, and the Emitter goes on from further back."""
    offer = replace(TREE_OFFER, size=len(CLOSED))
    number, count = 0, 1
    with as_nobody(folder):
        while number < count:
            sink = sink_for(folder, offer)
            opened(sink, offer)
            sink.write(CLOSED)
            sink.seal(summary_of(sink, CLOSED))
            kill(sink)
            sink = sink_for(folder, offer)
            places = [0] + [mark.position for mark in opened(sink, offer).ladder.marks()]
            sink.go_on(places[number])
            finish(sink, CLOSED, places[number])
            sink.forget()
            assert modes_of(folder) == STORED_CLOSED
            assert partials(folder) == []
            discard_all(folder)
            number, count = number + 1, len(places)
    assert count > 5


def test_what_is_missing_in_a_folder_with_its_final_mode_comes_again(folder: Path) -> None:
    """A power cut may keep a folder's mode and lose what was in it."""
    offer = replace(TREE_OFFER, size=len(CLOSED))
    with as_nobody(folder):
        sink = sink_for(folder, offer)
        opened(sink, offer)
        sink.write(CLOSED)
        sink.seal(summary_of(sink, CLOSED))
        kill(sink)
        (staging,) = partials(folder)
        inner = staging / "items" / "top" / "in"
        inner.chmod(0o700)
        (inner / "x").unlink()
        inner.chmod(0o555)
        deliver(folder, offer, CLOSED)
        assert modes_of(folder) == STORED_CLOSED
        assert partials(folder) == []


# Damage


def staged_files(staging: Path) -> list[Path]:
    return [path for path in staging.rglob("*") if path.is_file() and not path.is_symlink()]


def test_security_an_altered_byte_anywhere_never_makes_a_wrong_tree(folder: Path) -> None:
    """Every byte of every file, of the journal and of the state: the marks find it."""
    sizes = {
        path.relative_to(staging): path.stat().st_size
        for staging in [cut_at(folder, len(TREE))]
        for path in staged_files(staging)
    }
    assert {str(path) for path in sizes} >= {"journal", "state.json", "items/top/closed/deep/b"}
    for name, size in sizes.items():
        for at in range(size):
            discard_all(folder)
            path = cut_at(folder, len(TREE), step=1 << 20) / name
            raw = bytearray(path.read_bytes())
            if at >= len(raw):  # the state tells its time with more or fewer digits
                break
            raw[at] ^= 1
            path.write_bytes(raw)
            taken_up(folder, lambda good: good[-1])
        discard_all(folder)


def test_security_a_truncation_anywhere_never_makes_a_wrong_tree(folder: Path) -> None:
    """Every length of every file, of the journal and of the state, as a power cut may leave them."""
    for name in ("journal", "state.json", "items/top/a", "items/top/closed/deep/b", "items/top/z"):
        length = 0
        while True:
            path = cut_at(folder, len(TREE), step=1 << 20) / name
            if length > path.stat().st_size:
                break
            os.truncate(path, length)
            taken_up(folder, lambda good: good[-1])
            discard_all(folder)
            length += 1
        taken_up(folder, lambda good: good[-1])
        discard_all(folder)


def gone(path: Path) -> None:
    number = os.open(path.parent, os.O_RDONLY)
    remove(number, path.name)
    os.close(number)


def a_link(path: Path) -> None:
    gone(path)
    path.symlink_to("/etc")


def a_file(path: Path) -> None:
    gone(path)
    path.write_bytes(b"planted")


def a_folder(path: Path) -> None:
    gone(path)
    path.mkdir()
    (path / "planted").touch()


def a_fifo(path: Path) -> None:
    gone(path)
    os.mkfifo(path)


@pytest.mark.parametrize("plant", [gone, a_link, a_file, a_folder, a_fifo])
@pytest.mark.parametrize(
    "name", ["journal", "state.json", "items", *(f"items/{name}" for name in STORED_TREE)]
)
def test_security_what_was_put_in_place_of_anything_never_makes_a_wrong_tree(
    name: str, plant: Callable[[Path], None], folder: Path
) -> None:
    """A link, a file, a folder, a FIFO, or nothing: none is followed, and none is delivered."""
    plant(cut_at(folder, len(TREE)) / name)
    taken_up(folder, lambda good: good[-1])


def test_security_what_no_entry_says_is_not_delivered(folder: Path) -> None:
    """Files, folders and links beside those of the journal are removed, in left and in open folders."""
    for length in range(40, len(TREE) + 1, 7):
        staging = cut_at(folder, length)
        for below in [staging / "items", *(staging / "items").rglob("*")]:
            if below.is_dir() and not below.is_symlink():
                (below / "extra").mkdir()
                (below / "extra" / "file").touch()
                (below / "extra-link").symlink_to("/etc")
        taken_up(folder, lambda good: good[-1])
        discard_all(folder)


# Hostile trees


def refuse(folder: Path, data: bytes, error: type[Exception], words: str, **changes: Any) -> None:
    """A tree that is refused leaves nothing behind, neither there nor elsewhere."""
    before = look(folder)
    with pytest.raises(error, match=words):
        deliver(folder, SEVERAL, data, **changes)
    assert look(folder) == before
    assert partials(folder) == []


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("what", [FOLDER, b"content", "target"], ids=["folder", "file", "link"])
@pytest.mark.parametrize("name", [b"..", b".", b"a/b", b"/etc", b"../x", b"a\0", b""])
@pytest.mark.parametrize("rule", list(Names))
def test_security_a_name_that_leads_elsewhere_is_refused(
    name: bytes, what: Any, depth: int, rule: Names, folder: Path
) -> None:
    """Whatever kind has it, wherever it lies, whatever the rule for names."""
    refuse(folder, tree((0, b"top", FOLDER), (depth, name, what)), PeerMisbehaved, "name", names=rule)


@pytest.mark.parametrize("name", [b".ssh", b"-rf"])
@pytest.mark.parametrize("rule", list(Names))
def test_security_top_level_names_neither_hide_nor_look_like_options(
    name: bytes, rule: Names, folder: Path
) -> None:
    """They land in a folder of the user's; inside a tree such names are common."""
    refuse(folder, tree((0, name, FOLDER)), SinkFault, "refused", names=rule)
    assert deliver(folder, SEVERAL, tree((0, b"top", FOLDER), (1, name, b"x")), names=rule) is not None


@pytest.mark.parametrize("name", [b"NUL", b"aux.c", b"ab:c", b"x.", b"x ", b"what?"])
def test_reserved_names_are_refused_where_names_are_to_be_portable(name: bytes, folder: Path) -> None:
    """And only there."""
    data = tree((0, b"top", FOLDER), (1, name, b"x"))
    refuse(folder, data, SinkFault, "refused", names=Names.PORTABLE)
    assert deliver(folder, SEVERAL, data) == str(folder / "top")


COLLISIONS = [(b"a", b"A"), ("\u00e9".encode(), "e\u0301".encode()), ("\u00df".encode(), b"SS")]


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("what", [FOLDER, b"content"], ids=["folder", "file"])
@pytest.mark.parametrize(("first", "second"), COLLISIONS, ids=ascii)
def test_names_that_are_one_on_some_disks_are_refused_where_they_are_to_be_portable(
    first: bytes, second: bytes, what: Any, depth: int, folder: Path
) -> None:
    """Equal but for case or composition: on such a disk one would overwrite the other."""
    data = tree((0, b"top", FOLDER), (depth, first, what), (depth, second, what))
    refuse(folder, data, SinkFault, "something has this name already", names=Names.PORTABLE)
    deliver(folder, SEVERAL, data)
    assert len(look(folder)) == 3


@pytest.mark.parametrize("names", list(Names))
@pytest.mark.parametrize("second", [FOLDER, b"content", "target"], ids=["folder", "file", "link"])
@pytest.mark.parametrize("first", [FOLDER, b"content", "target"], ids=["folder", "file", "link"])
def test_security_a_second_item_of_one_name_is_refused(
    first: Any, second: Any, names: Names, folder: Path
) -> None:
    """A link and then a file of its name would be a way out; nothing is opened that exists."""
    data = tree((0, b"top", FOLDER), (1, b"x", first), (1, b"x", second))
    refuse(folder, data, SinkFault, "something has this name already", names=names)


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "../../outside", "a/../../..", ".."])
@pytest.mark.parametrize("rule", list(Names))
def test_security_a_link_that_leads_out_is_refused(target: str, rule: Names, folder: Path) -> None:
    """Absolute, or climbing further than its top-level folder."""
    (folder / "outside").mkdir()
    refuse(folder, tree((0, b"top", FOLDER), (1, b"link", target)), SinkFault, "leads out", names=rule)


def test_security_a_top_level_link_is_refused(folder: Path) -> None:
    """It lies in the user's folder, so all it could lead to is not of this delivery."""
    refuse(folder, tree((0, b"link", "top")), SinkFault, "leads out")


def test_security_entries_below_a_link_are_none(folder: Path) -> None:
    """A link is no folder: what claims to lie in it breaks the format."""
    data = tree((0, b"top", FOLDER), (1, b"in", FOLDER), (1, b"link", "in"), (2, b"x", b"content"))
    refuse(folder, data, PeerMisbehaved, "deeper")


def test_security_a_tree_that_ends_in_the_middle_is_not_sealed(folder: Path) -> None:
    """Even if its digest agreed: half an entry, or content that is owed, is no tree."""
    for length in [n for n in range(len(TREE)) if n not in boundaries()]:
        sink = sink_for(folder, TREE_OFFER)
        opened(sink, TREE_OFFER)
        sink.write(TREE[:length])
        with pytest.raises(PeerMisbehaved):
            sink.seal(summary_of(sink, TREE[:length]))
        sink.discard()


def boundaries() -> set[int]:
    """The places at which an entry begins."""
    places = {place for place, end in enumerate(TREE_ENDS) if end - place >= 30}
    return places | {len(TREE)}


@pytest.mark.parametrize("name", ["top", "top/closed", "top/closed/deep"])
def test_security_an_inner_folder_that_is_replaced_meanwhile_is_not_followed(name: str, folder: Path) -> None:
    """A link where a folder of ours was: nothing is written through it, and nothing is delivered."""
    (folder / "into").mkdir()
    (folder / "elsewhere").mkdir()
    sink = sink_for(folder / "into", TREE_OFFER)
    opened(sink, TREE_OFFER)
    start = TREE.index(b"second")
    sink.write(TREE[:start])
    (staging,) = partials(folder / "into")
    (staging / "items" / name).rename(staging / "moved")
    (staging / "items" / name).symlink_to(folder / "elsewhere")
    with pytest.raises(SinkFault, match="taken away"):
        finish(sink, TREE, start)
    sink.discard()
    assert list((folder / "elsewhere").iterdir()) == []
    assert list((folder / "into").iterdir()) == []


# Final names


def plant_file(path: Path) -> None:
    path.write_bytes(b"old")


def plant_folder(path: Path) -> None:
    path.mkdir()
    (path / "old").write_bytes(b"old")
    (path / "old").chmod(0o400)
    path.chmod(0o500)


def plant_link(path: Path) -> None:
    path.symlink_to("victim")


PLANTS = {"file": plant_file, "folder": plant_folder, "link": plant_link}
TOPS: dict[str, Any] = {"file": b"new", "folder": FOLDER}


@pytest.mark.parametrize("when", ["before", "while it comes", "after it was sealed"])
@pytest.mark.parametrize("there", PLANTS)
@pytest.mark.parametrize("comes", TOPS)
@pytest.mark.parametrize("overwrite", [NEVER, RENAME, REPLACE])
def test_security_what_has_the_name_is_kept_or_replaced_as_a_whole(
    overwrite: Any, comes: str, there: str, when: str, folder: Path
) -> None:
    """Every mode, every kind that comes, every kind that is there, at every time; no link is followed."""
    (folder / "victim").mkdir()
    data = tree((0, b"top", TOPS[comes]), *([(1, b"new", b"new")] if comes == "folder" else []))
    kind_agrees = (comes == "folder") == (there == "folder")

    def attempt() -> str | None:
        sink = sink_for(folder, SEVERAL, overwrite=overwrite)
        try:
            if when == "before":
                PLANTS[there](folder / "top")
            opened(sink, SEVERAL)
            sink.write(data[:20])
            if when == "while it comes":
                PLANTS[there](folder / "top")
            sink.write(data[20:])
            sink.seal(summary_of(sink, data))
            if when == "after it was sealed":
                PLANTS[there](folder / "top")
            return sink.commit()
        finally:
            sink.discard()
            sink.forget()

    if overwrite == NEVER or (overwrite == REPLACE and not kind_agrees):
        with pytest.raises(SinkFault):
            attempt()
    else:
        name = "top (2)" if overwrite == RENAME else "top"
        assert attempt() == str(folder / name)
        new = folder / name / "new" if comes == "folder" else folder / name
        assert new.read_bytes() == b"new"
        assert not (folder / name / "old").exists()
    if overwrite != REPLACE or not kind_agrees:
        assert (
            stat.S_IFMT((folder / "top").lstat().st_mode)
            == {"file": stat.S_IFREG, "folder": stat.S_IFDIR, "link": stat.S_IFLNK}[there]
        )
        assert there != "folder" or (folder / "top" / "old").read_bytes() == b"old"
    assert list((folder / "victim").iterdir()) == []
    assert partials(folder) == []


def test_the_name_of_the_only_item_is_looked_at_before_anything_comes(folder: Path) -> None:
    """The Emitter hears of it before it sends its data."""
    (folder / "top").touch()
    with pytest.raises(TargetExists):
        sink_for(folder, TREE_OFFER).open(TREE_OFFER)
    assert partials(folder) == []


def test_several_items_get_their_names_or_none_does(folder: Path) -> None:
    """The last name is taken at the last moment: those before are taken back."""
    sink = sink_for(folder, SEVERAL)
    opened(sink, SEVERAL)
    sink.write(THREE)
    sink.seal(summary_of(sink, THREE))
    (folder / "c.txt").write_bytes(b"faster")
    with pytest.raises(TargetExists, match="c.txt"):
        sink.commit()
    sink.discard()
    assert {name: what for name, (what, *_) in look(folder).items()} == {"c.txt": b"faster"}
    assert partials(folder) == []


def test_several_items_are_renamed_each_for_itself(folder: Path) -> None:
    """Also where an item is called as another one would be."""
    for name in ("a", "c.txt"):
        (folder / name).write_bytes(b"old")
    data = THREE + tree((0, b"a (2)", b"fourth"))
    assert deliver(folder, SEVERAL, data, overwrite=RENAME) == str(folder)
    assert {name: what for name, (what, *_) in look(folder).items()} == {
        "a": b"old",
        "a (2)": b"first",
        "a (2) (2)": b"fourth",
        "b": FOLDER,
        "b/x": b"content",
        "c (2).txt": b"third",
        "c.txt": b"old",
    }


@pytest.mark.parametrize("overwrite", [NEVER, RENAME, REPLACE])
@pytest.mark.parametrize("linkless", [False, True], ids=["renameat2", "without"])
def test_security_a_crash_between_two_names_is_made_good(
    overwrite: Any, linkless: bool, folder: Path
) -> None:
    """Some items have their names and others not: the next time all have, once, and nothing is sent again."""
    number, partly = 0, 0
    while True:
        place = folder / str(number)
        place.mkdir()
        (place / "b").mkdir()
        if overwrite != REPLACE:
            (place / "b").rmdir()
        died = crash_at(number, place, SEVERAL, THREE, linkless, overwrite=overwrite)
        after = contents(place)
        if {} != after != {"b": FOLDER} and after != STORED_THREE:
            partly += 1
            assert opened(sink_for(place, SEVERAL, overwrite=overwrite), SEVERAL).complete is not None
        deliver(place, SEVERAL, THREE, overwrite=overwrite)
        assert contents(place) == STORED_THREE
        assert partials(place) == []
        number += 1
        if not died:
            break
    assert partly > 1


def test_half_a_tree_that_cannot_be_taken_back_is_made_good_the_next_time(folder: Path) -> None:
    """The disk fails after the first name, and goes on failing: what is needed to finish is kept."""
    with pytest.MonkeyPatch.context() as patch:

        def on_call(name: str) -> None:
            if name == "renameat2" and system.calls.count(name) > 1:
                raise OSError(errno.EIO, "input/output error")

        system = System(patch, on_call)
        with pytest.raises(SinkFault, match="input/output"):
            deliver(folder, SEVERAL, THREE)
    assert list(look(folder)) == ["a"]
    deliver(folder, SEVERAL, THREE)
    assert list(look(folder)) == ["a", "b", "b/x", "c.txt"]
    assert partials(folder) == []


def commit_failing_at(number: int, sink: ResumableSink, linkless: bool) -> bool:
    """Commit while one call of the system fails, counted from 0; whether it came so far."""

    def on_call(name: str) -> None:
        if linkless and name == "renameat2":
            raise OSError(errno.ENOSYS, "no such call")
        if len(system.calls) == number + 1:
            raise OSError(errno.EBUSY, "busy")

    with pytest.MonkeyPatch.context() as patch:
        system = System(patch, on_call)
        try:
            sink.commit()
        except SinkFault:
            sink.discard()
    return len(system.calls) > number


@pytest.mark.parametrize("linkless", [False, True], ids=["renameat2", "without"])
def test_security_several_are_replaced_or_none_is(linkless: bool, folder: Path) -> None:
    """Whatever step fails: each name has what it had, or each what came; and the next attempt succeeds."""
    number, failed, seen = 0, True, set()
    while failed:
        place = folder / str(number)
        place.mkdir()
        plant_old_three(place)
        sink = sink_for(place, SEVERAL, overwrite=REPLACE)
        opened(sink, SEVERAL)
        sink.write(THREE)
        sink.seal(summary_of(sink, THREE))
        failed = commit_failing_at(number, sink, linkless)
        seen.add("new" if contents(place) == STORED_THREE else "old")
        assert contents(place) in (OLD_THREE, STORED_THREE), number
        deliver(place, SEVERAL, THREE, overwrite=REPLACE)
        assert contents(place) == STORED_THREE
        assert partials(place) == []
        number += 1
    assert number > 10
    assert seen == {"old", "new"}


@pytest.mark.parametrize("busy", ["a", "b", "c.txt"])
def test_security_a_name_that_can_never_be_replaced_leaves_the_others_alone(
    busy: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where something is mounted there: however often it is tried, all is as it was."""
    plant_old_three(folder)
    real_rename, real_replace = placing.rename_with, os.replace

    def rename(source: Place, target: Place, flags: int) -> None:
        if target.name == busy:
            raise OSError(errno.EBUSY, "busy")
        real_rename(source, target, flags)

    def replace_unless_busy(source: str, target: str, **folders: int) -> None:
        if target == busy:
            raise OSError(errno.EBUSY, "busy")
        real_replace(source, target, **folders)

    monkeypatch.setattr(placing, "rename_with", rename)
    monkeypatch.setattr(os, "replace", replace_unless_busy)
    for _ in range(2):
        with pytest.raises(SinkFault, match="busy"):
            deliver(folder, SEVERAL, THREE, overwrite=REPLACE)
        assert contents(folder) == OLD_THREE
        assert partials(folder) == []


def test_a_mounted_folder_is_refused_before_anything_is_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot change places with another one."""
    (folder / "top").mkdir()
    monkeypatch.setattr(staged, "is_mounted", lambda _place: True)
    with pytest.raises(SinkFault, match="mounted"):
        sink_for(folder, TREE_OFFER, overwrite=REPLACE).open(TREE_OFFER)
    assert partials(folder) == []


@pytest.mark.parametrize("several", [False, True])
def test_a_folder_that_may_not_be_written_to_is_replaced_by_its_owner(several: bool, folder: Path) -> None:
    """Again and again, and alone or among others; and it has its mode again where that fails."""
    others = [(0, b"z", FOLDER), (1, b"v", b"other")] if several else []
    with as_nobody(folder):
        for text in (b"one", b"two", b"three"):
            data = tree((0, b"ro", FOLDER, 0o555), (1, b"v", text), *others)
            deliver(folder, replace(SEVERAL, delivery=text.ljust(16)), data, overwrite=REPLACE)
            assert (folder / "ro" / "v").read_bytes() == text
            assert stat.S_IMODE((folder / "ro").stat().st_mode) == 0o555
            assert partials(folder) == []


def test_a_mode_that_cannot_be_set_in_the_end_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All has its name by then: what it replaced is kept until the next attempt has set it."""
    (folder / "ro").mkdir()
    (folder / "ro" / "old").touch()
    data = tree((0, b"ro", FOLDER, 0o555), (1, b"v", b"new"))

    def fail(*_args: object, **_kw: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(naming, "set_folder_mode", fail)
        with pytest.raises(SinkFault, match="input/output"):
            deliver(folder, SEVERAL, data, overwrite=REPLACE)
    assert (folder / "ro" / "v").read_bytes() == b"new"
    (staging,) = partials(folder)
    assert (staging / "items" / "ro" / "old").exists()
    deliver(folder, SEVERAL, data, overwrite=REPLACE)
    assert modes_of(folder) == {"ro": (FOLDER, 0o555), "ro/v": (b"new", 0o644)}
    assert partials(folder) == []


def test_security_some_names_without_the_others_are_no_delivery(folder: Path) -> None:
    """One has its name, one waits, and one is nowhere: it is not said to be stored, and comes again."""
    sink = sink_for(folder, SEVERAL)
    opened(sink, SEVERAL)
    sink.write(THREE)
    sink.seal(summary_of(sink, THREE))
    (staging,) = partials(folder)
    (staging / "items" / "a").rename(folder / "a")
    (staging / "items" / "c.txt").unlink()
    kill(sink)
    again = sink_for(folder, SEVERAL)
    assert opened(again, SEVERAL).complete is None
    kill(again)
    (folder / "a").unlink()
    deliver(folder, SEVERAL, THREE)
    assert contents(folder) == STORED_THREE


def test_an_empty_tree_is_delivered(folder: Path) -> None:
    """Nothing came, and that is known."""
    sink = sink_for(folder, SEVERAL)
    opened(sink, SEVERAL)
    assert finish(sink, b"") == str(folder)
    assert opened(sink_for(folder, SEVERAL), SEVERAL).complete is not None


# Limits and sparse files


def test_what_must_stay_free_is_looked_at_though_few_bytes_come(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty files and folders take room too; and at the end it is looked at in any case."""
    monkeypatch.setattr(staged_tree, "LOOK_AFTER_ENTRIES", 10)
    data = tree((0, b"top", FOLDER), *((1, b"%d" % n, FOLDER) for n in range(30)))
    each = len(tree((1, b"0", FOLDER)))
    for count, early in ((5, False), (12, True)):
        sink = sink_for(folder, SEVERAL, keep_free=1)
        assert isinstance(sink, StagedTree)
        opened(sink, SEVERAL)
        sink.write(data[:each])
        sink._rules = rules(keep_free=1 << 62)
        if not early:
            sink.write(data[each : each * count])
        with pytest.raises(SinkFault, match="left free"):
            sink.write(data[each : each * count]) if early else sink.seal(summary_of(sink, data))
        sink.discard()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("target", ["\x1b[2J", "a\u202etxt", "a/\n"], ids=ascii)
def test_security_where_a_link_leads_is_text_that_can_be_seen(target: str, folder: Path) -> None:
    """It is shown wherever links are listed, as names are."""
    data = tree((0, b"top", FOLDER), (1, b"link", target))
    for rule in (Names.PLAIN, Names.PORTABLE):
        refuse(folder, data, SinkFault, "where it leads", names=rule)
    assert deliver(folder, SEVERAL, data, names=Names.ANY) is not None


def test_limits_are_looked_at_in_the_offer_and_while_it_comes(folder: Path) -> None:
    """What an offer says is believed only where it is too much."""
    for limit, words in (({"max_items": 8}, "8 items"), ({"max_bytes": 100}, "100 bytes")):
        with pytest.raises(SinkFault, match=words):
            sink_for(folder, TREE_OFFER, **limit).open(TREE_OFFER)
        refuse(folder, TREE, SinkFault, words, **limit)
    assert deliver(folder, TREE_OFFER, TREE, max_items=9, max_bytes=len(TREE)) is not None


@pytest.mark.parametrize("step", [1000, 4096, 5000, 1 << 20])
def test_zeros_of_a_sparse_file_take_no_room(step: int, tmp_path: Path) -> None:
    """Whatever the pieces in which it comes: the same bytes, and far fewer blocks."""
    content = bytes(1 << 19) + b"x" * 100 + bytes(1 << 19) + b"y" + bytes(1 << 18)
    entry = tree((0, b"sparse", content))
    data = entry[:1] + b"\1" + entry[2:]
    cut = sink_for(tmp_path, SEVERAL)
    opened(cut, SEVERAL)
    cut.write(data[: len(data) // 2])
    kill(cut)
    deliver(tmp_path, SEVERAL, data, step=step)
    assert (tmp_path / "sparse").read_bytes() == content
    assert (tmp_path / "sparse").stat().st_blocks * 512 < 1 << 18
    assert (tmp_path / "sparse").stat().st_mtime_ns == MTIME
    assert (FILE, LINK) == (2, 3)
