"""Trees as sources: real folders, written down and taken apart again."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from selo.agents.bodies import Kind, Offer
from selo.agents.errors import SourceFault
from selo.agents.sources import Source
from selo.agents.trees.entries import Entry, EntryReader, EntryType
from selo.agents.trees.rules import BadPattern, Rules
from selo.agents.trees.source import TreeSource
from selo.crypto.items import Item, ItemLog, ItemType
from tests.leaks import no_descriptor_left

BLOCK = 64
PATIENCE = 20.0
"""Seconds after which what should have come is missing; nothing waits that long when all is well."""

FOLDER, FILE, LINK = EntryType


@pytest.fixture(autouse=True)
def _no_descriptor_leaks() -> Iterator[None]:
    """Whatever a test did with a source, when the source is gone its descriptors are."""
    with no_descriptor_left():
        yield


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder with some of everything."""
    folder = tmp_path / "top"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "nothing").mkdir(mode=0o700)
    (folder / "empty").touch(mode=0o600)
    (folder / "small").write_bytes(b"small")
    (folder / "sub" / "large").write_bytes(os.urandom(10 * BLOCK + 7))
    (folder / "sub" / "deep" / "x").write_bytes(os.urandom(BLOCK))
    (folder / "sub" / "link").symlink_to("../small")
    os.chmod(folder / "small", 0o4751)
    os.utime(folder / "small", ns=(0, -123_456_789))
    os.utime(folder / "nothing", ns=(0, 1_000_000_001))
    return folder


def read_all(source: Source, block_size: int = BLOCK) -> bytes:
    """All bytes of a source; every block has a legal length."""
    blocks = [bytes(block) for block in source.blocks(block_size)]
    assert all(1 <= len(block) <= block_size for block in blocks)
    return b"".join(blocks)


def in_time(work: Callable[[], object]) -> None:
    """``work()``, in a thread that may hang: then the test fails instead."""
    errors: list[BaseException] = []

    def body() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it hangs"
    if errors:
        raise errors[0]


def taken_apart(raw: bytes) -> dict[bytes, tuple[Entry, bytes]]:
    """Path to entry and content, in order."""
    reader, path, parts = EntryReader(), [], {}
    for part in reader.feed(raw):
        if isinstance(part, Entry):
            path[part.depth :] = [part.name]
            parts[b"/".join(path)] = (part, b"")
        else:
            parts[b"/".join(path)] = (parts[b"/".join(path)][0], bytes(part))
    assert reader.at_boundary
    return parts


def assert_is_on_disk(parts: dict[bytes, tuple[Entry, bytes]], folder: Path) -> None:
    """Exactly what lies in ``folder``, which is the only top-level item, with modes and times."""
    there = {b"/".join([os.fsencode(folder.name)])} | {
        os.fsencode(os.path.relpath(os.path.join(where, name), folder.parent))
        for where, folders, files in os.walk(folder)
        for name in folders + files
    }
    assert set(parts) == there
    for path, (entry, content) in parts.items():
        full = os.path.join(os.fsencode(folder.parent), path)
        status = os.lstat(full)
        assert (entry.mode, entry.mtime) == (stat.S_IMODE(status.st_mode), status.st_mtime_ns)
        if entry.type is FILE:
            assert entry.size == status.st_size and content == Path(os.fsdecode(full)).read_bytes()
        elif entry.type is LINK:
            assert entry.target == os.readlink(full)
        else:
            assert stat.S_ISDIR(status.st_mode)


def test_a_folder_comes_exactly(top: Path) -> None:
    """Folders, files, links, empty ones, modes and times before 1970; nothing more and nothing less."""
    assert_is_on_disk(taken_apart(read_all(TreeSource([str(top)]))), top)


@pytest.mark.parametrize("block_size", [1, 2, 31, 32, 33, 64, 100, 1000, 1 << 18])
def test_the_bytes_do_not_depend_on_the_blocks(top: Path, block_size: int) -> None:
    """Any block size gives the same bytes, and no block is empty or too long."""
    assert read_all(TreeSource([str(top)]), block_size) == read_all(TreeSource([str(top)]), 1 << 20)


def test_small_files_share_blocks(tmp_path: Path) -> None:
    """A hundred files of ten bytes are not a hundred blocks."""
    top = tmp_path / "top"
    top.mkdir()
    for number in range(100):
        (top / f"{number:02}").write_bytes(b"0123456789")
    blocks = list(TreeSource([str(top)]).blocks(1000))
    assert all(len(block) > 900 for block in blocks[:-1])


def test_the_offer_says_what_comes(top: Path) -> None:
    """Kind, name, number of entries and the exact length of what is read then."""
    source = TreeSource([str(top)])
    raw = read_all(source)
    assert source.offer == Offer(Kind.TREE, "top", len(raw), items=len(taken_apart(raw)))
    assert Offer.unpack(source.offer.pack()) == source.offer


def test_it_can_be_read_again(top: Path) -> None:
    """From the beginning, the same bytes and the same items; also while another reading was left halfway."""
    source = TreeSource([str(top)])
    first = read_all(source)
    assert source.restartable and source.log is not None
    counted = source.log.hash
    half = source.blocks(BLOCK)
    next(half)
    assert read_all(source) == first and source.log.hash == counted


def test_what_came_in_between_is_read_the_second_time(top: Path) -> None:
    """The second walk is a walk: new files come, and files that are gone do not."""
    source = TreeSource([str(top)])
    (top / "new").write_bytes(b"new")
    (top / "small").unlink()
    assert_is_on_disk(taken_apart(read_all(source)), top)


def test_what_was_there_at_first_and_did_not_come_is_told(top: Path) -> None:
    """What moves from a folder that is still to come into one that is through; a new name is no matter."""

    def move(item: Item) -> None:
        if item.path == b"top/small" and not (top / "a place before").exists():
            (top / "sub" / "large").rename(top / "a place before")
            (top / "sub" / "new").touch()

    source = TreeSource([str(top)], on_item=move)
    total = source.offer.items
    taken_apart(read_all(source))
    assert source.gone is not None
    assert (source.gone.missing, source.gone.total) == (1, total)
    # All of that is there at the second reading, but for what was moved: its path is not.
    taken_apart(read_all(source))
    assert source.gone is not None
    (top / "sub" / "large").hardlink_to(top / "a place before")
    taken_apart(read_all(source))
    assert source.gone is None


@pytest.mark.parametrize("sha256", [False, True])
def test_the_log_holds_the_items(top: Path, sha256: bool) -> None:
    """In the order of the stream, with digests of the files; kept and reported as they are read."""
    source = TreeSource([str(top)], on_item=(reported := []).append)
    kept = []
    source.make_log = lambda: ItemLog(kept.append)
    source.sha256 = sha256
    assert source.log is None
    parts = taken_apart(read_all(source))
    items = [
        Item(
            ItemType(entry.type),
            path,
            entry.size,
            **(
                {"blake3": blake3(content).digest()}
                | ({"sha256": hashlib.sha256(content).digest()} if sha256 else {})
                if entry.type is FILE
                else {}
            ),
            target=entry.target,
        )
        for path, (entry, content) in parts.items()
    ]
    expected = ItemLog()
    for item in items:
        expected.add(item)
    assert reported == items and kept == [item.pack() for item in items]
    assert source.log is not None
    assert (source.log.hash, source.log.count, source.log.size) == (
        expected.hash,
        expected.count,
        expected.size,
    )


def test_an_empty_folder_is_one_entry(tmp_path: Path) -> None:
    """And so is an empty file."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for name, of in (("folder", FOLDER), ("file", FILE)):
        source = TreeSource([str(tmp_path / name)])
        ((path, (entry, content)),) = taken_apart(read_all(source)).items()
        assert (path, entry.type, content, source.offer.items) == (name.encode(), of, b"", 1)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
TREES = st.recursive(
    st.binary(max_size=200),
    lambda below: st.dictionaries(NAMES.filter(lambda name: name not in (".", "..")), below, max_size=4),
    max_leaves=12,
)


def write(path: Path, content: object) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.mkdir()
        for name, below in content.items():  # type: ignore[attr-defined]
            write(path / name, below)


@settings(deadline=None)
@given(TREES, st.integers(1, 300))
def test_any_tree_comes_exactly(content: object, block_size: int) -> None:
    """Any folders and files with any names."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "top"
        write(path, content)
        assert_is_on_disk(taken_apart(read_all(TreeSource([str(path)]), block_size)), path)


# What may be named


def test_several_paths_are_several_items(top: Path, tmp_path: Path) -> None:
    """In the order given, folders and files; the delivery has no name of its own."""
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "z").mkdir()
    source = TreeSource(
        [str(tmp_path / "z"), str(top / "sub"), str(tmp_path / "a"), top / "small"], exclude=["link"]
    )
    parts = taken_apart(read_all(source))
    assert [path for path, (entry, _) in parts.items() if entry.depth == 0] == [b"z", b"sub", b"a", b"small"]
    assert source.offer.name is None and source.offer.items == len(parts)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        *(
            ("top", "top"),
            ("top/", "top"),
            ("top//", "top"),
            ("./top", "top"),
            ("top/.", "top"),
            ("top/sub/..", "top"),
        ),
        *(("top/sub/../", "top"), ("link", "link"), ("link/", "link"), ("link/.", "top"), ("top/sub", "sub")),
    ],
)
def test_a_path_gives_its_item_a_name(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, name: str
) -> None:
    """The last name of the path; dots mean the real folder, and a slash at the end means nothing."""
    (tmp_path / "link").symlink_to("top")
    monkeypatch.chdir(tmp_path)
    source = TreeSource([given], exclude=["/link"])
    assert source.offer.name == name
    assert next(iter(taken_apart(read_all(source)))) == name.encode()


@pytest.mark.parametrize(("given", "name"), [(".", "sub"), ("..", "top"), ("./", "sub"), ("../.", "top")])
def test_the_folder_where_one_is_has_a_name(
    top: Path, monkeypatch: pytest.MonkeyPatch, given: str, name: str
) -> None:
    """`selo emit .` sends the folder under the name it has."""
    monkeypatch.chdir(top / "sub")
    assert TreeSource([given], exclude=["link"]).offer.name == name


def test_a_single_path_can_have_another_name(top: Path) -> None:
    """The name of the top-level item is the caller's, where there is one; several have none in common."""
    source = TreeSource([str(top)], name="other")
    assert source.offer.name == "other"
    assert all(path.startswith(b"other") for path in taken_apart(read_all(source)))
    with pytest.raises(SourceFault, match="several"):
        TreeSource([str(top), str(top / "sub")], name="other")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\0b", "n" * 256, "\u00e9" * 128])
def test_a_name_that_no_item_can_have_is_refused(top: Path, name: str) -> None:
    """What the format does not take, the source does not offer."""
    with pytest.raises(SourceFault, match="--as|name") as caught:
        TreeSource([str(top)], name=name)
    assert "--as" in caught.value.hint


def test_the_root_has_no_name() -> None:
    """It needs one; nothing is walked before."""
    with pytest.raises(SourceFault, match="its name"):
        TreeSource(["/"])


def test_a_name_that_is_not_utf8_needs_another(tmp_path: Path) -> None:
    """An offer's name is UTF-8; inside the tree, and among several, names are bytes."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    os.mkdir(path)
    os.mkdir(os.fsdecode(os.fsencode(path) + b"/\xff"))
    with pytest.raises(SourceFault, match="not UTF-8") as caught:
        TreeSource([path])
    assert "--as" in caught.value.hint
    assert list(taken_apart(read_all(TreeSource([path], name="x")))) == [b"x", b"x/\xff"]
    (tmp_path / "b").touch()
    assert b"caf\xe9/\xff" in taken_apart(read_all(TreeSource([path, str(tmp_path / "b")])))


def test_two_paths_of_one_name_are_refused(top: Path, tmp_path: Path) -> None:
    """They would be one item at the other side; the words say whether they are one here as well."""
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "top").mkdir()
    with pytest.raises(SourceFault, match="the same name") as caught:
        TreeSource([str(top), str(tmp_path / "else" / "top")])
    assert caught.value.source == str(tmp_path / "else" / "top")
    for again in (f"{top}", f"{top}/", f"{top}/sub/.."):
        with pytest.raises(SourceFault, match="given twice"):
            TreeSource([str(top), again])


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_a_device_is_refused(top: Path, path: str) -> None:
    """Alone and among others."""
    for paths in ([path], [str(top), path]):
        with pytest.raises(SourceFault, match="it is a device"):
            TreeSource(paths)


def test_nothing_is_no_delivery() -> None:
    """No path at all."""
    with pytest.raises(SourceFault, match="nothing is left"):
        TreeSource([])


def test_what_is_excluded_does_not_come(top: Path, tmp_path: Path) -> None:
    """Patterns and ignore files reach the walk; a named path that is left out is told, all are refused."""
    (top / "sub" / ".gitignore").write_text("large\n")
    (tmp_path / "my.key").touch()
    warnings: list[str] = []
    source = TreeSource(
        [str(top), str(tmp_path / "my.key")],
        exclude=["*.key", "deep/"],
        ignore_files=[".gitignore"],
        warn=warnings.append,
    )
    assert list(taken_apart(read_all(source))) == [
        *(
            b"top",
            b"top/empty",
            b"top/nothing",
            b"top/small",
            b"top/sub",
            b"top/sub/.gitignore",
            b"top/sub/link",
        )
    ]
    assert warnings == [f"{tmp_path / 'my.key'} is excluded"]
    with pytest.raises(SourceFault, match="nothing is left"):
        TreeSource([str(tmp_path / "my.key")], exclude=["*.key"])
    with pytest.raises(BadPattern):
        TreeSource([str(top)], exclude=["!"])


def test_what_cannot_travel_costs_no_session(top: Path) -> None:
    """A FIFO and a link that leads out are refused at construction."""
    os.mkfifo(top / "sub" / "fifo")
    with pytest.raises(SourceFault, match="FIFO"):
        TreeSource([str(top)])
    os.unlink(top / "sub" / "fifo")
    (top / "out").symlink_to("../secret")
    with pytest.raises(SourceFault, match="leads out"):
        TreeSource([str(top)])


def test_a_file_without_permission_costs_no_session() -> None:
    """What this user may not read is named at construction, on every level."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        os.chmod(top, 0o755)
        (top / "sub").mkdir(mode=0o755)
        user = os.geteuid()
        for secret in (top / "secret", top / "sub" / "secret"):
            secret.touch(mode=0o000)
            if user == 0:  # nothing is forbidden to root
                os.seteuid(65534)
            try:
                for given in (top, secret):
                    with pytest.raises(SourceFault, match="permission denied") as caught:
                        TreeSource([str(given)])
                    assert caught.value.source == str(secret)
                TreeSource([str(top)], exclude=["secret"])
            finally:
                os.seteuid(user)
            secret.unlink()


def test_the_first_walk_can_be_ended(top: Path) -> None:
    """``check`` is asked for every item, and its error ends the walk."""

    class Enough(Exception):
        pass

    for limit in range(9):
        asked: list[None] = []

        def check(limit: int = limit, asked: list[None] = asked) -> None:
            asked.append(None)
            if len(asked) > limit:
                raise Enough

        with pytest.raises(Enough):
            TreeSource([str(top)], check=check)


# Files that change


def shrink(path: Path) -> None:
    os.truncate(path, BLOCK + 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def rewrite(path: Path) -> None:
    """Other bytes of the same length, in place, at another time."""
    with path.open("r+b") as written:
        written.write(b"other")
    before = path.stat()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def touch(path: Path) -> None:
    os.utime(path, ns=(0, 1_000_000_000))


def grow(path: Path) -> None:
    with path.open("ab") as written:
        written.write(b"more")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The only file in a folder, of three blocks."""
    path = tmp_path / "top" / "file"
    path.parent.mkdir()
    path.write_bytes(os.urandom(3 * BLOCK))
    return path


def change_after(source: TreeSource, pieces: int, change: Callable[[], object]) -> Iterator[bytes]:
    """The bytes, piece by piece as they are read, changed after so many: the first are two entries."""
    assert source.log is None
    reading = source._pieces(BLOCK, ItemLog())  # blocks would join them, and so hide when the file is opened
    for number, piece in enumerate(reading):
        yield bytes(piece)
        if number + 1 == pieces:
            change()


@pytest.mark.parametrize("change", [shrink, empty, rewrite, touch])
@pytest.mark.parametrize("pieces", range(2, 6))
def test_a_file_that_changes_while_it_is_read_fails(
    file: Path, change: Callable[[Path], None], pieces: int
) -> None:
    """From its opening until after its last block: the source fails and names it."""
    source = TreeSource([str(file.parent)])
    reason = "shrank" if change in (shrink, empty) else "changed"
    with pytest.raises(SourceFault, match=f"it {reason} while") as caught:
        list(change_after(source, pieces, lambda: change(file)))
    assert caught.value.source == str(file) and str(file) not in caught.value.for_peer
    assert caught.value.hint


@pytest.mark.parametrize("pieces", range(2, 6))
def test_a_file_that_grows_is_sent_as_it_was(file: Path, pieces: int) -> None:
    """What it held when it was opened comes, and a warning says so."""
    before, warnings = file.read_bytes(), []
    source = TreeSource([str(file.parent)], warn=warnings.append)
    parts = taken_apart(b"".join(change_after(source, pieces, lambda: grow(file))))
    assert parts[b"top/file"][1] == before and file.stat().st_size > len(before)
    assert len(warnings) == 1 and str(file) in warnings[0] and "192 bytes" in warnings[0]


def rewrite_and_grow(path: Path) -> None:
    """Other bytes at its beginning, and more at its end."""
    with path.open("r+b") as written:
        written.write(b"other")
    grow(path)


def rewrite_secretly(path: Path) -> None:
    """Other bytes of the same length, and the time of the last change put back."""
    before = path.stat()
    with path.open("r+b") as written:
        written.write(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [rewrite_and_grow, rewrite_secretly])
@pytest.mark.parametrize("pieces", range(3, 6))
def test_security_a_mixture_of_two_states_is_not_sent(
    file: Path, change: Callable[[Path], None], pieces: int
) -> None:
    """Though it grew as a log does, or its time was put back: what was read of it is not there any more."""
    source, warnings = TreeSource([str(file.parent)]), []
    source._warn = warnings.append
    probe = file.parent.parent / "probe"
    while not probe.exists() or probe.stat().st_ctime_ns <= file.stat().st_ctime_ns:  # its clock has steps
        probe.touch()
    with pytest.raises(SourceFault, match="it changed while") as caught:
        list(change_after(source, pieces, lambda: change(file)))
    assert caught.value.source == str(file) and caught.value.hint
    assert warnings == []


@pytest.mark.parametrize("pieces", range(2, 6))
def test_a_file_that_gets_another_name_or_mode_comes_as_it_is(file: Path, pieces: int) -> None:
    """Its ctime is another one, its bytes are not; no warning is due."""
    data, warnings = file.read_bytes(), []
    source = TreeSource([str(file.parent)], warn=warnings.append)

    def change() -> None:
        os.link(file, file.parent.parent / "linked")
        file.chmod(0o600)

    assert taken_apart(b"".join(change_after(source, pieces, change)))[b"top/file"][1] == data
    assert warnings == []


@pytest.mark.parametrize("change", [shrink, empty, rewrite, touch, grow])
def test_a_file_that_changed_before_it_is_opened_comes_as_it_is(
    file: Path, change: Callable[[Path], None]
) -> None:
    """Only a change during the reading could mix two states."""
    source = TreeSource([str(file.parent)])
    change(file)
    assert_is_on_disk(taken_apart(read_all(source)), file.parent)


def test_an_empty_file_that_grows_is_told(tmp_path: Path) -> None:
    """Also where there was nothing to read."""
    (tmp_path / "empty").touch()
    warnings: list[str] = []
    source = TreeSource([str(tmp_path / "empty")], warn=warnings.append)
    parts = taken_apart(b"".join(change_after(source, 1, lambda: grow(tmp_path / "empty"))))
    assert parts[b"empty"][1] == b"" and len(warnings) == 1


def test_a_file_that_is_replaced_after_opening_comes_as_it_was(file: Path, tmp_path: Path) -> None:
    """Renaming another over it, or removing it, is no change of the file that was opened."""
    data = file.read_bytes()
    (tmp_path / "new").write_bytes(b"new")
    source = TreeSource([str(file.parent)])
    raw = b"".join(change_after(source, 2, lambda: os.replace(tmp_path / "new", file)))
    assert taken_apart(raw)[b"top/file"][1] == data
    source = TreeSource([str(file.parent)])
    raw = b"".join(change_after(source, 2, file.unlink))
    assert taken_apart(raw)[b"top/file"][1] == b"new"


def test_a_file_that_vanishes_fails(top: Path) -> None:
    """Once its folder was listed: it is named."""
    missing = top / "sub" / "link"

    def vanish(item: Item) -> None:
        if item.path == b"top/sub/large":
            missing.unlink()

    source = TreeSource([str(top)], on_item=vanish)
    with pytest.raises(SourceFault, match="no such file") as caught:
        read_all(source)
    assert caught.value.source == str(missing)


def as_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("change", "reason"), [(as_fifo, "FIFO"), (as_link, "leads out"), (Path.unlink, "no such")]
)
@pytest.mark.parametrize("place", ["small", "sub/large"])
def test_what_is_exchanged_between_the_walks_is_refused(
    top: Path, change: Callable[[Path], None], reason: str, place: str
) -> None:
    """A FIFO does not hang, a link is not followed; what is gone before it is listed does not come."""
    source = TreeSource([str(top)])
    change(top / place)
    if reason == "no such":
        assert f"top/{place}".encode() not in taken_apart(read_all(source))
        return
    with pytest.raises(SourceFault, match=reason) as caught:
        read_all(source)
    assert str(top / place) in caught.value.source


class Exchanging(Rules):
    """Rules that hide nothing, and exchange a file that was looked at and is about to be opened."""

    def __init__(self, exchange: Callable[[], object]) -> None:
        super().__init__()
        self._exchange = exchange

    def within(self, path: bytes, descriptor: int, where: str) -> Rules:
        return self

    def hides(self, path: bytes, is_folder: bool) -> bool:
        if path == b"small":
            self._exchange()
        return False


@pytest.mark.parametrize(
    ("change", "reason"), [(as_fifo, "FIFO"), (as_link, "replaced"), (Path.unlink, "no such")]
)
def test_what_is_exchanged_just_before_it_is_opened_is_refused(
    top: Path, change: Callable[[Path], None], reason: str
) -> None:
    """After its status said that it is a file: a FIFO without a writer does not hang either."""
    source = TreeSource([str(top)])
    source._rules = Exchanging(lambda: change(top / "small"))
    with pytest.raises(SourceFault, match=reason) as caught:
        in_time(lambda: read_all(source))
    assert caught.value.source == str(top / "small")


def test_a_top_level_file_that_became_something_else_is_refused(tmp_path: Path) -> None:
    """A FIFO, a folder, nothing."""
    path = tmp_path / "file"
    path.touch()
    source = TreeSource([str(path)])
    as_fifo(path)
    with pytest.raises(SourceFault, match="FIFO"):
        read_all(source)
    path.unlink()
    with pytest.raises(SourceFault, match="no such file"):
        read_all(source)


def test_a_file_that_holds_more_than_its_size_is_not_cut() -> None:
    """Files of /proc say that they are empty: such a file fails rather than arrive as nothing."""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("this system has no /proc")
    with pytest.raises(SourceFault, match="more than its size"):
        read_all(TreeSource(["/proc/self/status"]))


def test_sparse_files_are_marked(tmp_path: Path) -> None:
    """A hole of a page or more is; a full file and an empty one are not. The content is the same."""
    top = tmp_path / "top"
    top.mkdir()
    with (top / "hole").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"data")
    (top / "full").write_bytes(os.urandom(1 << 16))
    (top / "empty").touch()
    os.sync()  # some file systems count blocks when they are written
    source = TreeSource([str(top)])
    assert source.offer.sparse
    assert not TreeSource([str(top / "full"), str(top / "empty")]).offer.sparse
    parts = taken_apart(read_all(source, 1 << 22))
    assert {path: entry.sparse for path, (entry, _) in parts.items() if entry.type is FILE} == {
        b"top/empty": False,
        b"top/full": False,
        b"top/hole": True,
    }
    assert_is_on_disk(parts, top)


def test_hard_links_come_as_files_of_their_own(top: Path) -> None:
    """Both whole."""
    os.link(top / "small", top / "again")
    parts = taken_apart(read_all(TreeSource([str(top)])))
    assert parts[b"top/small"][1] == parts[b"top/again"][1] == b"small"


# Cancel


@pytest.mark.parametrize("blocks", range(20))
def test_cancel_ends_a_reading_at_any_place(top: Path, blocks: int) -> None:
    """It fails and does not end in order: what came is not all there was."""
    source = TreeSource([str(top)])
    reading = source.blocks(BLOCK)
    came = [next(reading) for _ in range(blocks)]
    source.cancel()
    source.cancel()
    with pytest.raises(SourceFault, match="cancelled"):
        came.extend(reading)
    assert sum(map(len, came)) < (source.offer.size or 0)


@pytest.mark.parametrize("blocks", range(1, 4))
def test_cancel_ends_a_reading_within_a_file(file: Path, blocks: int) -> None:
    """Also where nothing comes after it that could fail."""
    source = TreeSource([str(file)])
    reading = source.blocks(BLOCK)
    for _ in range(blocks):
        next(reading)
    source.cancel()
    with pytest.raises(SourceFault, match="cancelled"):
        list(reading)


def test_cancel_before_a_reading(top: Path) -> None:
    """None begins."""
    source = TreeSource([str(top)])
    source.cancel()
    with pytest.raises(SourceFault, match="cancelled"):
        read_all(source)


def test_any_thread_may_cancel(top: Path) -> None:
    """While another one reads."""
    source = TreeSource([str(top)])
    ended: list[SourceFault] = []

    def read() -> None:
        try:
            while True:
                read_all(source, 1)
        except SourceFault as fault:
            ended.append(fault)

    thread = threading.Thread(target=read)
    thread.start()
    source.cancel()
    thread.join(PATIENCE)
    assert ended and "cancelled" in str(ended[0])
