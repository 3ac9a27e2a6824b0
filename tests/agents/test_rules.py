"""What is left out of a tree, held against git itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selo.agents.errors import SourceFault
from selo.agents.trees.rules import BadPattern, Rules
from selo.agents.trees.walk import Root, walk

IGNORE = ".gitignore"

FILES = [
    *(
        "a.o",
        "keep.o",
        "x.c",
        "b/a.o",
        "b/keep.o",
        "b/x.c",
        "b/c/a.o",
        "b/c/x.c",
        "b/c/b/x.c",
        "c/x.c",
        "c/b/a.o",
    ),
    *("build/out", "b/build/out", "doc/build", "doc/frotz/a", "#hash", "!bang", " space", "end ", "b/#hash"),
    *("[x]", "b/[x]", "star*", "back\\slash", "\u00fcber/caf\u00e9", "deep/1/2/3/4/x.c", "UPPER.O"),
]


@pytest.fixture
def readable_by_all() -> Iterator[Path]:
    """An empty folder, seen by a user for whom permissions hold."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        user = os.geteuid()
        if user == 0:  # nothing is forbidden to root
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(user)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with files of many names."""
    top = tmp_path / "top"
    for name in FILES:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).touch()
    return top


def kept(top: Path, rules: Rules) -> set[str]:
    """The files that a walk finds, but for ignore files."""
    found = (os.fsdecode(found.below) for found in walk(Root(str(top), b"top"), rules) if found.below)
    return {name for name in found if (top / name).is_file() and Path(name).name not in (IGNORE, "other")}


@pytest.fixture(scope="module")
def kept_by_git(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., set[str]]:
    """The same, as git sees it."""
    if shutil.which("git") is None:
        pytest.skip("this machine has no git")
    repository = tmp_path_factory.mktemp("repository")
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    subprocess.run(["git", "init", "-q", "--bare", repository], env=environment, check=True)

    def run(top: Path, *options: str) -> set[str]:
        git = ["git", f"--git-dir={repository}", f"--work-tree={top}", "ls-files", "-z", "--others"]
        git += [f"--exclude-per-directory={IGNORE}", *options]
        done = subprocess.run(git, cwd=top, env=environment, check=True, capture_output=True)
        names = {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}
        return {name for name in names if Path(name).name != IGNORE}

    return run


LISTS = [
    *(["/*", "!#hash"], ["/*", "!!bang"], ["/*", "!\\!bang"], ["!!bang"]),
    *(
        ["*.o"],
        ["*.o", "!keep.o"],
        ["!keep.o", "*.o"],
        ["/a.o"],
        ["b/a.o"],
        ["/b/a.o"],
        ["b/"],
        ["/b/"],
        ["/b"],
    ),
    *(
        ["b/c"],
        ["c/b"],
        ["build"],
        ["build/"],
        ["doc/build/"],
        ["doc/frotz"],
        ["frotz/"],
        ["*"],
        ["/*"],
        ["*/"],
    ),
    *(
        ["*", "!*/", "!*.c"],
        ["/*", "!/b"],
        ["/*", "!/b", "/b/*", "!/b/c"],
        ["b/*", "!b/c/", "b/c/*", "!b/c/x.c"],
    ),
    *(
        ["b/", "!b/"],
        ["b", "!b/"],
        ["b/", "!b"],
        ["b/", "!b/x.c"],
        ["b/**", "!b/x.c"],
        ["**/b"],
        ["**/b/x.c"],
    ),
    *(
        ["deep/**/x.c"],
        ["deep/*/x.c"],
        ["deep/**"],
        ["**"],
        ["**/"],
        ["b/**/x.c"],
        ["!**"],
        ["?.c"],
        ["[abx].c"],
    ),
    *(
        ["[!a].o"],
        ["[a-x].c"],
        ["\\#hash"],
        ["#hash"],
        ["\\!bang"],
        ["!bang"],
        ["end\\ "],
        ["end "],
        [" space"],
    ),
    *(["\\[x\\]"], ["star\\*"], ["back\\\\slash"], ["\u00fcber"], ["caf\u00e9"], ["", "# only words", "*.o"]),
    *(
        ["*.o   "],
        ["upper.o"],
        ["*.c", "!b/", "!c/x.c"],
        ["c", "!b/c"],
        ["b*", "!build"],
        ["!*.o", "*.c"],
        ["/"],
    ),
]


@pytest.mark.parametrize("lines", LISTS, ids=" ".join)
def test_an_ignore_file_means_what_it_means_to_git(
    kept_by_git: Callable[..., set[str]], tree: Path, lines: list[str]
) -> None:
    """Every kind of pattern, alone and with those that take it back, at the top."""
    (tree / IGNORE).write_text("\n".join(lines))
    assert kept(tree, Rules(ignore_files=[IGNORE])) == kept_by_git(tree)


@pytest.mark.parametrize("lines", LISTS, ids=" ".join)
@pytest.mark.parametrize(
    "above", [["*.o"], ["!*.o", "!b/", "!c"], ["*", "!*/", "!*.c"], ["/c", "build/"]], ids=" ".join
)
def test_nearer_ignore_files_outweigh_those_above(
    kept_by_git: Callable[..., set[str]], tree: Path, lines: list[str], above: list[str]
) -> None:
    """The same lists one and two folders down, below other ones."""
    (tree / IGNORE).write_text("\n".join(above))
    (tree / "b" / IGNORE).write_text("\n".join(lines))
    (tree / "b" / "c" / IGNORE).write_text("\n".join(above[::-1]))
    (tree / "deep" / "1" / IGNORE).write_text("\n".join(lines))
    assert kept(tree, Rules(ignore_files=[IGNORE])) == kept_by_git(tree)


@pytest.mark.parametrize(
    "lines", [["*.o"], ["!*.o"], ["*.o", "!keep.o"], ["b/", "!*.c"], ["!b/", "*.c"]], ids=" ".join
)
@pytest.mark.parametrize("inner", [["!*.o"], ["*.c", "!*.o"], ["*"], ["!*/"]], ids=" ".join)
def test_the_command_line_outweighs_every_file(
    kept_by_git: Callable[..., set[str]], tree: Path, lines: list[str], inner: list[str]
) -> None:
    """As with ``git ls-files --exclude``."""
    for folder in (tree, tree / "b", tree / "b" / "c"):
        (folder / IGNORE).write_text("\n".join(inner))
    options = [f"--exclude={line}" for line in lines]
    assert kept(tree, Rules(lines, [IGNORE])) == kept_by_git(tree, *options)


def test_patterns_alone_and_without_git(tree: Path) -> None:
    """A folder that is left out is not entered, and nothing in it comes back."""
    everything = set(FILES)
    assert kept(tree, Rules()) == everything
    assert kept(tree, Rules(["*.o"])) == {name for name in everything if not name.endswith(".o")}
    assert kept(tree, Rules(["/b"])) == {name for name in everything if not name.startswith("b/")}
    assert kept(tree, Rules(["/b/", "!x.c", "!b/x.c"])) == {n for n in everything if not n.startswith("b/")}


def test_an_excluded_folder_may_be_unreadable_or_too_deep(tmp_path: Path) -> None:
    """It is not even looked into: a socket, or a folder that nobody may read, does no harm in it."""
    top = tmp_path / "top"
    (top / "run").mkdir(parents=True)
    os.mkfifo(top / "run" / "fifo")
    with pytest.raises(SourceFault, match="FIFO"):
        kept(top, Rules())
    assert kept(top, Rules(["run/"])) == set()
    assert kept(top, Rules(["fifo"])) == set()


def test_several_names_of_ignore_files(tree: Path) -> None:
    """Each is read; the one named later outweighs the other in one folder. A name that is nowhere is fine."""
    (tree / IGNORE).write_text("*.o\n")
    (tree / "other").write_text("!keep.o\n")
    got = kept(tree, Rules(ignore_files=[IGNORE, "other", "nowhere"]))
    assert {name for name in got if name.endswith(".o")} == {n for n in FILES if n.endswith("keep.o")}
    assert not [name for name in kept(tree, Rules(ignore_files=["other", IGNORE])) if name.endswith(".o")]


@pytest.mark.parametrize("raw", [b"*.o\r\nx.c\r\n", b"\xef\xbb\xbf*.o\nx.c", b"*.o\n\n\nx.c"])
def test_line_ends_and_marks_of_other_systems(tree: Path, raw: bytes) -> None:
    """CR LF, a byte order mark, and no line end at the end."""
    (tree / IGNORE).write_bytes(raw)
    got = kept(tree, Rules(ignore_files=[IGNORE]))
    assert not [name for name in got if name.endswith((".o", "x.c"))] and "build/out" in got


def test_names_that_are_not_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 match patterns of such bytes, and stars; so do names with a line's end."""
    top = tmp_path / "top"
    names = [b"caf\xe9.key", b"a\nb.key", b"\n.key", b"x.key\n", b"f\n/x.key", b"\xff\xfe"]
    for name in names:
        path = os.fsencode(top) + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    assert kept(top, Rules(["*.key"])) == {"x.key\n", "\udcff\udcfe"}
    (top / IGNORE).write_bytes(b"\xff*\n*.key\n")
    assert kept(top, Rules(ignore_files=[IGNORE])) == {"x.key\n"}


@pytest.mark.parametrize("pattern", ["", " ", "/", "//", "!", "!/", "#comment", "a\\", "[z-a]", "[a", "a["])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    """Whoever wrote it meant to leave something out; it would be sent."""
    with pytest.raises(BadPattern) as caught:
        Rules([pattern])
    assert caught.value.exit_status == 2
    assert str(caught.value).isascii() and caught.value.text == pattern


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\0b"])
def test_ignore_files_have_names_and_not_paths(name: str) -> None:
    """It is one name, looked for in each folder."""
    with pytest.raises(BadPattern, match="name of a file"):
        Rules(ignore_files=[name])


def test_a_line_that_is_no_pattern_is_named(tree: Path) -> None:
    """The file and the number of the line: better no copy than one with what was to be left out."""
    (tree / "b" / IGNORE).write_text("*.o\nfoo\\\n")
    with pytest.raises(SourceFault, match="line 2: it is no pattern") as caught:
        kept(tree, Rules(ignore_files=[IGNORE]))
    assert str(tree / "b" / IGNORE) in caught.value.source and str(tree) not in caught.value.for_peer


def as_link(path: Path) -> None:
    path.symlink_to("other")


def as_secret(path: Path) -> None:
    path.touch(mode=0o000)


@pytest.mark.parametrize("make", [as_link, as_secret])
def test_an_ignore_file_that_cannot_be_read_is_no_empty_one(
    make: Callable[[Path], None], readable_by_all: Path
) -> None:
    """A link is not followed, and one without permission is not passed over."""
    (readable_by_all / "other").touch()
    make(readable_by_all / IGNORE)
    with pytest.raises(SourceFault, match=IGNORE):
        kept(readable_by_all, Rules(ignore_files=[IGNORE]))


def test_a_folder_named_like_an_ignore_file_holds_no_rules(tree: Path) -> None:
    """It is a folder."""
    (tree / IGNORE).mkdir()
    assert kept(tree, Rules(ignore_files=[IGNORE])) == set(FILES)


def test_top_level_items_are_left_out_by_name_only() -> None:
    """A pattern for any depth holds for what was named as well, one for a place below it does not."""
    rules = Rules(["*.key", "build/", "/src", "doc/x", "!public.key"])
    assert rules.hides_top(b"secret.key", False) and rules.hides_top(b"build", True)
    for name, is_folder in ((b"public.key", False), (b"build", False), (b"src", True), (b"x", False)):
        assert not rules.hides_top(name, is_folder)
