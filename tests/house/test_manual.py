"""The man pages and the shell completions say what the command line's grammar says, and work."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys

import pytest

PEERS = ("alice", "bob", "bob.home")
# A line, where the cursor is at its end, and all that may follow; every shell says the same.
LINES = {
    "selo tr": {"trust"},
    "selo trust ": {"add", "list", "show", "remove", "rename", "rotate", "import", "allow", "deny", "policy"},
    "selo --json trust s": {"show"},
    "selo trust show ": set(PEERS),
    "selo trust remove b": {"bob", "bob.home"},
    "selo emit --to a": {"alice"},
    "selo receive --from bob --from a": {"alice"},
    "selo emit --to bob --connect tcp://bob.example:7800 rep": {"report.pdf"},
    "selo trust add bob rep": {"report.pdf"},
    "selo trust add ": set(),
    "selo demo --transport ": {"pair", "pipe"},
    "selo emit report.pdf rep": {"report.pdf"},
    "selo receipt ": {"show", "verify"},
    "selo receipt verify rep": {"report.pdf"},
    "selo receive --names ": {"plain", "portable", "any"},
    "selo emit --digest s": {"sha256"},
    "selo trust policy b": {"bob", "bob.home"},
    "selo trust policy bob --folders ": {"yes", "no"},
    "selo trust policy bob --overwrite re": {"rename", "replace"},
    "selo config window_bytes record_": {"record_size"},
    "selo receive --bind tcp://0.0.0.0:7800 --ov": {"--overwrite"},
    "selo receive --passphrase-file rep": {"report.pdf"},
    "selo keygen --name ": set(),
}
# bash alone completes what follows a `=` or a `:` as a word of its own.
BASH_LINES = {
    "selo emit --to=b": {"bob", "bob.home"},
    "selo demo --transport=": {"pair", "pipe"},
    "selo emit time:": {"12"},
    "selo emit time:1": {"12"},
    "selo receive --into ": {"inbox"},
}
BASH = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
$(complete -p selo | sed 's/.*-F \\([^ ]*\\).*/\\1/') 2>/dev/null  # it may say that no readline runs
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def tools(root):
    """A function that imports one of the modules that make the manual."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root / "docs")
        yield importlib.import_module


@pytest.fixture(scope="module")
def commands(tools):
    """Every command, `selo` itself and the actions of `trust` too."""
    found = list(tools("grammar_tree").command_tree().walk())
    assert {("receive",), ("trust", "add")} < {command.path for command in found}
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to stand in, and the environment of a user with three peers."""
    folder, home = tmp_path_factory.mktemp("place"), tmp_path_factory.mktemp("home")
    (folder / "inbox").mkdir()
    for name in ("report.pdf", "time:12", "my report"):
        (folder / name).touch()
    (home / "peers").mkdir()
    for name in PEERS:
        (home / "peers" / f"{name}.json").touch()
    return {"cwd": folder, "env": os.environ | {"SELO_HOME": str(home), "HOME": str(home)}}


@pytest.fixture(scope="module")
def complete(root, place):
    """A function from a shell's name and a line to the words that may follow."""

    def in_bash(line):
        # Readline makes words of `:` and `=`; a line that ends in a blank has begun an empty word.
        words = re.findall(r"[:=]|(?:\\.|[^\s:=])+", line) + [""] * line.endswith(" ")
        return ["bash", "--norc", "-c", BASH, "bash", root / "docs/completions/selo", *words]

    def in_fish(line):
        script = root / "docs/completions/selo.fish"
        return ["fish", "--no-config", "-c", f"source {script}; complete -C $argv", line]

    def words_after(shell, line):
        command = {"bash": in_bash, "fish": in_fish}[shell](line)
        process = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, **place)
        assert process.stderr == ""
        return {word.split("\t")[0].rstrip("/") for word in process.stdout.splitlines()} - {""}

    return words_after


def needs(program):
    """Skip where this machine lacks the program."""
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} on this machine")


def run_make_manual(folder, *words):
    return subprocess.run(
        [sys.executable, folder / "make_manual.py", *words],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_what_is_committed_is_what_the_grammar_makes_now(root):
    """`make docs` would change nothing."""
    checked = run_make_manual(root / "docs", "--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_check_names_every_old_file_and_writing_mends_it(root, tmp_path):
    """A page that is changed, missing or no longer made is named; nothing else is."""
    shutil.copytree(root / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(root / "README.md", tmp_path / "README.md")
    docs = tmp_path / "docs"
    assert run_make_manual(docs).returncode == 0
    (docs / "man" / "selo.1").write_text("")
    (docs / "man" / "selo-gone.1").touch()
    (docs / "completions" / "_selo").unlink()
    checked = run_make_manual(docs, "--check")
    assert checked.returncode == 1
    named = [line.split()[0] for line in checked.stdout.splitlines()]
    assert named == ["completions/_selo", "man/selo-gone.1", "man/selo.1"]
    assert run_make_manual(docs).returncode == 0
    assert run_make_manual(docs, "--check").returncode == 0


def test_every_command_and_option_has_its_place_in_a_man_page(root, commands):
    """Each command has its page or, as an action, its heading there; each option and argument its entry."""
    for command in commands:
        name = "-".join(("selo", *command.path[:1]))
        page = (root / "docs" / "man" / f"{name}.1").read_text().replace(r"\-", "-")
        assert f".SH NAME\n{name} - " in page
        assert len(command.path) < 2 or f'.SS "selo {" ".join(command.path)}"\n' in page
        entries = "\n".join(re.findall(r"^\.TP\n(.*)$", page, re.MULTILINE))
        for action in [*command.own, *([] if command.path else command.general)]:
            for word in action.option_strings or [action.metavar]:
                assert rf"{word}\f" in entries


def test_the_main_page_has_every_setting_and_every_status(root):
    """selo(1) names each variable of the catalogue, and the statuses of the errors' families."""
    from selo import errors
    from selo.config.catalogue import CATALOGUE

    page = (root / "docs" / "man" / "selo.1").read_text()
    assert re.findall(r"^\\fBSELO_(\w+)\\fR$", page, re.MULTILINE) == [
        "HOME",
        *(name.upper() for name in CATALOGUE),
    ]
    families = [each for each in vars(errors).values() if isinstance(each, type)]
    statuses = page.partition(".SH EXIT STATUS")[2].partition(".SH ")[0]
    for status in {0, *(family.exit_status for family in families)}:
        assert f".TP\n\\fB{status}\\fR\n" in statuses


def test_the_man_pages_render_without_a_warning(root):
    """groff and mandoc find nothing to say about any page."""
    pages = sorted((root / "docs" / "man").glob("*.1"))
    checks = {
        "groff": ["groff", "-man", "-ww", "-Tutf8", "-z"],
        "mandoc": ["mandoc", "-T", "lint", "-W", "warning"],
    }
    there = [program for program in checks if shutil.which(program)]
    if not there:
        pytest.skip("there is neither groff nor mandoc on this machine")
    for program in there:
        process = subprocess.run([*checks[program], *pages], capture_output=True, text=True, timeout=60)
        lines = (process.stdout + process.stderr).splitlines()
        # Without a date a page is the same whenever it is made.
        assert [line for line in lines if 'missing date, using ""' not in line] == []


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_every_command_completes_all_of_its_options(shell, commands, complete):
    """After each command `--` offers exactly the long options that argparse takes there."""
    needs(shell)
    for command in commands:
        wanted = {word for word in command.parser._option_string_actions if word.startswith("--")}
        assert wanted > {"--help", "--home"}
        assert complete(shell, " ".join(("selo", *command.path, "--"))) == wanted


@pytest.mark.parametrize("shell", ["bash", "fish"])
@pytest.mark.parametrize("line", LINES)
def test_a_shell_completes(shell, line, complete):
    """Commands, choices, peers, settings and files, each in its place."""
    needs(shell)
    assert complete(shell, line) == LINES[line]


@pytest.mark.parametrize("line", BASH_LINES)
def test_bash_completes_a_part_of_a_word(line, complete):
    """What readline takes for words of their own completes as the argument that it is a part of."""
    assert complete("bash", line) == BASH_LINES[line]


def test_bash_completes_a_name_with_a_blank(complete):
    """A file whose name readline has escaped is found, and is one word."""
    assert complete("bash", r"selo emit my\ r") == {"my report"}


def test_peers_are_none_without_a_home(complete, place):
    """A shell says nothing, not an error, before the first peer is trusted."""
    peers = place["env"]["SELO_HOME"]
    place["env"]["SELO_HOME"] = f"{peers}/none"
    try:
        for shell in filter(shutil.which, ("bash", "fish")):
            assert complete(shell, "selo emit --to ") == set()
    finally:
        place["env"]["SELO_HOME"] = peers


@pytest.mark.parametrize(
    ("shell", "script"), [("bash", "selo"), ("zsh", "_selo"), ("fish", "selo.fish")], ids=str
)
def test_a_shell_can_read_its_script(shell, script, root):
    """The shell itself finds no fault in the syntax."""
    needs(shell)
    command = [shell, "-n", root / "docs" / "completions" / script]
    process = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (process.returncode, process.stdout + process.stderr) == (0, "")


def test_every_option_is_in_the_script_of_zsh(root, commands):
    """Each command's list there has exactly the options that argparse takes, also where there is no zsh."""
    script = (root / "docs" / "completions" / "_selo").read_text()
    lists = dict(re.findall(r"^_shtab_(\w+)_options=\(\n(.*?)^\)", script, re.MULTILINE | re.DOTALL))
    assert set(lists) == {"_".join(("selo", *command.path)) for command in commands}
    for command in commands:
        specifications = re.sub(r"\[.*", "", lists["_".join(("selo", *command.path))])
        words = set(re.findall(r"--[a-z-]+", specifications))
        assert words == {word for word in command.parser._option_string_actions if word.startswith("--")}


def test_nothing_is_said_of_values_that_do_not_exist(tools, commands):
    """What completes a value is said by metavar or by place, and every such line is needed."""
    scripts = tools("completion_scripts")
    values = [
        (" ".join(command.path), action)
        for command in commands
        for action in (*command.general, *command.own)
        if action.nargs != 0
    ]
    assert set(scripts.BY_PLACE) <= {(path, action.dest) for path, action in values}
    assert set(scripts.BY_METAVAR) <= {action.metavar for _, action in values}


def test_a_value_of_which_nothing_is_said_is_refused(tools, monkeypatch):
    """A new kind of value cannot go without a decision."""
    scripts = tools("completion_scripts")
    monkeypatch.delitem(scripts.BY_METAVAR, "URL")
    with pytest.raises(LookupError, match="URL"):
        scripts.completion_scripts()
