"""The walk over real folders, also while somebody changes them."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selo.agents.errors import SourceFault
from selo.agents.trees.entries import DEPTH_MAX, link_stays_inside
from selo.agents.trees.rules import Rules
from selo.agents.trees.walk import Root, special, walk
from tests.leaks import descriptors, no_descriptor_left


@pytest.fixture(autouse=True)
def _no_descriptor_leaks() -> Iterator[None]:
    """However a walk ends, its descriptors are closed."""
    with no_descriptor_left():
        yield


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "top"
    folder.mkdir()
    return folder


def paths(top: Path, rules: Rules | None = None) -> list[bytes]:
    """The paths that a walk gives, in its order."""
    return [found.path for found in walk(Root(str(top), b"top"), rules or Rules())]


def test_the_order_is_that_of_the_bytes_of_names(top: Path) -> None:
    """A folder before its content, its content before what follows it; whoever was made first."""
    for name in ("b", "\u00fc", "a", "B", "a.b", "a-b", "\U0001f389", "\ufffd", "Z/z", "Z/a/c", "Z/b", "_"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).touch()
    os.close(os.open(os.fsencode(top) + b"/\xff", os.O_CREAT | os.O_WRONLY))
    names = [b"B", b"Z", b"Z/a", b"Z/a/c", b"Z/b", b"Z/z", b"_", b"a", b"a-b", b"a.b", b"b"]
    names += ["\u00fc".encode(), "\ufffd".encode(), "\U0001f389".encode(), b"\xff"]
    assert paths(top) == [b"top"] + [b"top/" + name for name in names]


def test_what_is_found_is_told_whole(top: Path) -> None:
    """Depth, names, the path for messages and the status of each."""
    (top / "sub").mkdir(mode=0o750)
    (top / "sub" / "file").write_bytes(b"12345")
    (top / "sub" / "link").symlink_to("file")
    first, sub, file, link = walk(Root(f"{top}/", b"other"), Rules())
    assert [found.depth for found in (first, sub, file, link)] == [0, 1, 2, 2]
    assert [found.path for found in (first, sub, file, link)] == [
        b"other",
        b"other/sub",
        b"other/sub/file",
        b"other/sub/link",
    ]
    assert first.where == f"{top}/" and file.where == str(top / "sub" / "file")
    assert stat.S_IMODE(sub.status.st_mode) == 0o750 and file.status.st_size == 5
    assert link.target == b"file" and stat.S_ISLNK(link.status.st_mode)


def test_a_file_can_be_a_top_level_item(tmp_path: Path) -> None:
    """One thing is found, and it opens."""
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        (found,) = walk(Root(str(tmp_path / name), b"f"), Rules())
        with open(found.open(), "rb") as opened:
            assert opened.read() == b"data"


def test_a_top_level_link_to_a_folder_is_followed(top: Path, tmp_path: Path) -> None:
    """It was named: what it leads to is meant."""
    (top / "file").touch()
    (tmp_path / "link").symlink_to("top")
    assert [found.path for found in walk(Root(str(tmp_path / "link"), b"link"), Rules())] == [
        b"link",
        b"link/file",
    ]


def test_links_inside_are_kept_and_not_followed(top: Path) -> None:
    """To a folder, to nothing, in a circle: each is one link."""
    (top / "folder").mkdir()
    (top / "folder" / "file").touch()
    for name, target in {
        "to": "folder",
        "nowhere": "missing",
        "circle": "circle",
        "up": "folder/file",
    }.items():
        (top / name).symlink_to(target)
    (top / "folder" / "back").symlink_to("..")
    assert len(paths(top)) == 8


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the address of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def make_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this user cannot make devices")


SPECIALS = [(make_fifo, "FIFO"), (make_socket, "socket"), (make_device, "device")]


@pytest.mark.parametrize(("make", "word"), SPECIALS)
@pytest.mark.parametrize("where", ["x", "sub/x", "sub/sub/x"])
def test_what_cannot_travel_is_refused_by_name(
    top: Path, make: Callable[[Path], None], word: str, where: str
) -> None:
    """Nothing is left out silently; --exclude leaves it out, and says so itself."""
    (top / where).parent.mkdir(parents=True, exist_ok=True)
    make(top / where)
    with pytest.raises(SourceFault, match=f"it is a {word}") as caught:
        paths(top)
    assert caught.value.source == str(top / where) and "--exclude" in caught.value.hint
    assert str(top) not in caught.value.for_peer
    assert not [path for path in paths(top, Rules(["x"])) if path.endswith(b"x")]


@pytest.mark.parametrize(("make", "word"), SPECIALS)
def test_a_special_top_level_item_is_refused(tmp_path: Path, make: Callable[[Path], None], word: str) -> None:
    """Also where it was named."""
    make(tmp_path / "x")
    with pytest.raises(SourceFault, match=f"it is a {word}"):
        list(walk(Root(str(tmp_path / "x"), b"x"), Rules()))


def test_every_type_of_file_has_words() -> None:
    """All sixteen that a mode can say."""
    words = {special(number << 12) for number in range(16)}
    assert words == {"it is a socket", "it is a FIFO", "it is a device", "it is neither a file nor a folder"}


TARGETS = [
    "a",
    ".",
    "./a",
    "a/b",
    "..",
    "../a",
    "../..",
    "../../a",
    "../../../a",
    "/",
    "/etc/passwd",
    "a/..",
    "a/../../..",
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_link_that_leads_out_is_refused(top: Path, target: str, depth: int) -> None:
    """Each target at each depth; link and target are named here, and the peer is told neither."""
    folder = top.joinpath(*["sub"] * (depth - 1))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "link").symlink_to(target)
    if link_stays_inside(depth, target.encode()):
        assert paths(top)[-1].endswith(b"/link")
        return
    with pytest.raises(SourceFault, match="leads out") as caught:
        paths(top)
    assert caught.value.source == f"{folder / 'link'} -> {target}" and "--exclude" in caught.value.hint
    assert str(top) not in caught.value.for_peer and target not in caught.value.for_peer.split()
    assert paths(top, Rules(["link"]))


def test_the_deepest_level_is_named(top: Path) -> None:
    """``DEPTH_MAX`` folders deep is fine, one more is refused; one descriptor is open for each."""
    here = os.open(top, os.O_RDONLY)
    try:
        for _ in range(DEPTH_MAX):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        before = descriptors()
        for found in walk(Root(str(top), b"top"), Rules()):
            assert descriptors(collect=False) == before + found.depth + 1
        assert found.depth == DEPTH_MAX
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        with pytest.raises(SourceFault, match=f"more than {DEPTH_MAX} folders deep"):
            paths(top)
    finally:
        os.close(here)
        shutil.rmtree(top)


def test_names_of_every_kind(top: Path) -> None:
    """255 bytes, any script, blanks, line ends, dots, and what is no text at all."""
    names = [
        b"n" * 255,
        "\u00e9".encode() * 127,
        "\U0001f389".encode() * 63,
        b" ",
        b"\n",
        b"...",
        b"-rf",
        b"\xff\xfe",
    ]
    names += [bytes([code]) for code in range(1, 256) if code not in b"./"]
    for name in names:
        os.close(os.open(os.fsencode(top) + b"/" + name, os.O_CREAT | os.O_WRONLY))
    assert paths(top) == [b"top", *sorted({b"top/" + name for name in names})]


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"n" * 256])
def test_a_name_that_the_format_does_not_take_is_refused(top: Path, name: bytes) -> None:
    """Some file systems have longer names than 255 bytes."""
    with pytest.raises(SourceFault, match="its name"):
        list(walk(Root(str(top), name), Rules()))


class Meanwhile(Rules):
    """Rules that hide nothing, and do something when a name is looked at: after its status was taken."""

    def __init__(self, name: bytes, act: Callable[[], object]) -> None:
        super().__init__()
        self._name = name
        self._act = act

    def within(self, path: bytes, descriptor: int, where: str) -> Rules:
        return self

    def hides(self, path: bytes, is_folder: bool) -> bool:
        if path.rpartition(b"/")[2] == self._name:
            self._act()
        return False


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder outside of what is sent."""
    folder = tmp_path / "secret"
    folder.mkdir()
    (folder / "key").write_bytes(b"secret")
    return folder


def replace_by_link(path: Path, target: Path) -> None:
    path.rename(path.with_name(path.name + "-moved"))
    path.symlink_to(target)


@pytest.mark.parametrize("place", ["sub", "sub/sub", "sub/sub/sub"])
def test_a_folder_replaced_by_a_link_is_not_entered(top: Path, secret: Path, place: str) -> None:
    """Between being seen and being opened, on every level: an error, and nothing of the other folder."""
    (top / "sub" / "sub" / "sub").mkdir(parents=True)
    swapped = top / place
    seen: list[bytes] = []

    def act() -> None:
        if len(seen) == place.count("/") + 1 and not swapped.is_symlink():
            replace_by_link(swapped, secret)

    def run() -> None:
        for found in walk(Root(str(top), b"top"), Meanwhile(b"sub", act)):
            seen.append(found.path)

    with pytest.raises(SourceFault, match="replaced while") as caught:
        run()
    assert caught.value.source == str(swapped)
    assert not [path for path in seen if path.endswith(b"key")]


def test_a_folder_replaced_after_it_was_opened_is_read_on_as_it_was(top: Path, secret: Path) -> None:
    """The walk holds the folder itself and not its name; also where one further up was exchanged."""
    (top / "a" / "b").mkdir(parents=True)
    for place in ("a/b/file", "a/file", "a/key"):
        (top / place).write_bytes(b"mine")
    contents = []
    for found in walk(Root(str(top), b"top"), Rules()):
        if found.name == b"b":
            replace_by_link(top / "a" / "b", secret)
            replace_by_link(top / "a", secret)
        if stat.S_ISREG(found.status.st_mode):
            with open(found.open(), "rb") as file:
                contents.append((found.path, file.read()))
    assert contents == [(b"top/a/b/file", b"mine"), (b"top/a/file", b"mine"), (b"top/a/key", b"mine")]


def test_a_file_replaced_by_a_link_is_not_opened(top: Path, secret: Path) -> None:
    """The link is not followed."""
    (top / "file").touch()
    walking = walk(Root(str(top), b"top"), Rules())
    next(walking)
    found = next(walking)
    replace_by_link(top / "file", secret / "key")
    with pytest.raises(SourceFault, match="replaced while"):
        found.open()


def test_what_vanishes_is_named(top: Path) -> None:
    """Between the list of names and a look at it: a file as well as a folder."""
    for name in ("a", "b"):
        (top / name).touch()
    with pytest.raises(SourceFault, match="no such file") as caught:
        list(walk(Root(str(top), b"top"), Meanwhile(b"a", (top / "b").unlink)))
    assert caught.value.source == str(top / "b")
    (top / "b").mkdir()
    with pytest.raises(SourceFault, match="no such file") as caught:
        list(walk(Root(str(top), b"top"), Meanwhile(b"b", (top / "b").rmdir)))
    assert caught.value.source == str(top / "b")


def test_a_walk_that_is_given_up_closes_its_folders(top: Path) -> None:
    """After any number of steps (see the fixture)."""
    (top / "a" / "b" / "c").mkdir(parents=True)
    for steps in range(5):
        walking = walk(Root(str(top), b"top"), Rules())
        for _ in range(steps):
            next(walking, None)
        walking.close()  # type: ignore[attr-defined]


def test_a_folder_without_permission_is_named() -> None:
    """The folder itself, and one below it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chmod(folder, 0o755)
        (folder / "closed").mkdir(mode=0o000)
        user = os.geteuid()
        if user == 0:  # nothing is forbidden to root
            os.seteuid(65534)
        try:
            for top in (folder, folder / "closed"):
                with pytest.raises(SourceFault, match="permission denied") as caught:
                    paths(top)
                assert caught.value.source == str(folder / "closed")
            assert paths(folder, Rules(["closed"])) == [b"top"]
        finally:
            os.seteuid(user)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("missing", "no such file"),
        ("loop", "symbolic links"),
        ("file/x", "not a directory"),
        ("file/", "not a directory"),
    ],
)
def test_a_top_level_item_that_is_not_there(tmp_path: Path, given: str, reason: str) -> None:
    """Missing, in a circle, or below a file."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    with pytest.raises(SourceFault, match=reason):
        list(walk(Root(f"{tmp_path}/{given}", b"x"), Rules()))


@pytest.mark.parametrize("given", ["a\0b", "\ud800"])
def test_what_cannot_be_a_path(given: str) -> None:
    """A zero byte, and what no name on a disk can be."""
    with pytest.raises(SourceFault, match="cannot be a path"):
        Root(given, b"x").status()
