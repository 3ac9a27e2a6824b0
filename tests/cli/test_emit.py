"""`selo emit`: what goes wrong before anybody is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents.cli.main import main
from selo.agents.trees.source import TreeSource


@pytest.fixture
def alice(tmp_path: Path) -> Path:
    """A home that knows nobody."""
    home = tmp_path / "alice"
    assert main(["--home", str(home), "--quiet", "keygen"]) == 0
    return home


@pytest.fixture
def trusting(alice: Path, tmp_path: Path) -> Path:
    """A home that knows bob."""
    bob = tmp_path / "bob"
    assert main(["--home", str(bob), "--quiet", "keygen"]) == 0
    assert main(["--home", str(alice), "--quiet", "trust", "add", "bob", str(bob / "identity.pub")]) == 0
    return alice


def test_unknown_peer_is_usage(alice: Path, tmp_path: Path, capsys) -> None:
    """A peer that is not in the trust store is named, and nobody is called."""
    assert (
        main(["--home", str(alice), "emit", "--to", "bob", "--connect", "tcp://127.0.0.1:1", str(tmp_path)])
        == 2
    )
    assert "bob" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["127.0.0.1:7800", "http://host", "tcp://", "tcp://host:0", "ipc://relative"])
def test_address_that_is_none_is_usage(alice: Path, tmp_path: Path, capsys, url: str) -> None:
    """An address that cannot be meant ends with 2 and an example of one that can."""
    other = tmp_path / "bob"
    assert main(["--home", str(other), "--quiet", "keygen"]) == 0
    exported = other / "identity.pub"
    assert main(["--home", str(alice), "--quiet", "trust", "add", "bob", str(exported)]) == 0
    capsys.readouterr()
    assert main(["--home", str(alice), "emit", "--to", "bob", "--connect", url, str(exported)]) == 2
    assert "as in " in capsys.readouterr().err


def test_home_without_identity_says_keygen(tmp_path: Path, capsys) -> None:
    """The first thing that a new user may forget is told with its command."""
    assert main(["--home", str(tmp_path / "none"), "emit", "--to", "bob", "--connect", "tcp://h:1", "x"]) != 0
    assert "keygen" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ({}, "emit --to"),
        ({"SELO_EMIT_CONNECT": "tcp://h:1"}, "emit --to"),
        ({"SELO_EMIT_TO": "bob"}, "emit --connect"),
    ],
)
def test_what_is_said_nowhere_is_asked_for(alice: Path, capsys, monkeypatch, said, missing: str) -> None:
    """Without a peer or a place, the error tells the flag, the variable and the key that give it."""
    for variable, value in said.items():
        monkeypatch.setenv(variable, value)
    assert main(["--home", str(alice), "emit", "file"]) == 2
    error = capsys.readouterr().err
    assert missing in error
    assert "SELO_" in error
    assert "config.toml" in error


def test_what_cannot_be_sent_together_is_usage_or_a_sentence(trusting: Path, tmp_path: Path, capsys) -> None:
    """Standard input goes alone; two of one name, or one path twice, are told before anybody is called."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").touch()
    file, namesake = (str(tmp_path / folder / "file") for folder in ("one", "two"))
    line = ["--home", str(trusting), "emit", "--to", "bob", "--connect", "tcp://127.0.0.1:1"]
    for paths, status in ((["-", file], 2), ([file, "-"], 2), ([file, namesake], 1), ([file, file], 1)):
        assert main([*line, *paths]) == status
        assert "connection" not in capsys.readouterr().err


def test_a_delivery_that_failed_is_remembered_under_one_name(trusting: Path, tmp_path: Path, capsys) -> None:
    """The same command has the same name for it, another path or name another; standard input none."""
    (tmp_path / "file").touch()
    (tmp_path / "other").touch()
    line = ["--home", str(trusting), "emit", "--to", "bob", "--connect", "tcp://127.0.0.1:1", "--wait", "0s"]
    counts = []
    for words in (["file"], ["file"], ["file", "--as", "x"], ["other"], ["file", "other"], ["-"]):
        paths = [word if word in ("-", "--as", "x") else str(tmp_path / word) for word in words]
        assert main([*line, *paths]) == 5
        counts.append(len(list((trusting / "deliveries").iterdir())))
    assert counts == [1, 1, 2, 3, 4, 4]


def test_what_arrives_otherwise_is_another_delivery(trusting: Path, tmp_path: Path) -> None:
    """A link and what it leads to, by their names; other digests; what is left out: no two have one name."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for name in ("folder", "file"):
        (tmp_path / f"{name} link").symlink_to(name)
    line = ["--home", str(trusting), "emit", "--to", "bob", "--connect", "tcp://127.0.0.1:1", "--wait", "0s"]
    several = [
        ["file"],
        ["file link"],
        ["folder"],
        ["folder link"],
        ["folder link", "file"],
        ["folder", "file link"],
        ["file", "--digest", "sha256"],
        ["folder", "--exclude", "x"],
        ["folder", "--ignore-file", "x"],
        ["folder", "--exclude", "x", "--ignore-file", "x"],
        ["folder", "--as", "x"],
    ]
    for count, words in enumerate(several, start=1):
        paths = [str(tmp_path / word) if word.startswith("f") else word for word in words]
        for _ in range(2):
            assert main([*line, *paths]) == 5
            assert len(list((trusting / "deliveries").iterdir())) == count, words


HERE, ELSEWHERE = "tcp://127.0.0.1:1", "tcp://127.0.0.1:2"


def note_stored(home: Path, content: bytes, **said: object) -> None:
    """As a run leaves it that is killed when the receipt has verified: in the one file that there is."""
    (remembered,) = (home / "deliveries").iterdir()
    stored = {"to": HERE, "length": len(content), "blake3": blake3(content).hexdigest()}
    stored |= {"items": 1, "items_bytes": len(content), "durable": True, **said}
    remembered.write_text(json.dumps(json.loads(remembered.read_text()) | {"stored": stored}))


@pytest.mark.parametrize("receipt", [False, True], ids=["plain", "with --receipt"])
@pytest.mark.parametrize("changed", [False, True], ids=["as it was", "changed since"])
def test_what_the_last_run_had_the_receipt_of_is_not_sent_again(
    trusting: Path, tmp_path: Path, capsys, receipt: bool, changed: bool
) -> None:
    """Nobody is called for the same content, which is no success where a receipt was asked for; once only."""
    file = tmp_path / "file"
    file.write_bytes(b"content")
    line = ["--home", str(trusting), "emit", "--to", "bob", "--connect", HERE, "--wait", "0s"]
    line += [str(file), *(["--receipt", str(tmp_path / "receipt")] if receipt else [])]
    assert main(line) == 5
    note_stored(trusting, b"content")
    if changed:
        file.write_bytes(b"another")
    capsys.readouterr()
    assert main(line) == (5 if changed else 1 if receipt else 0)
    told = capsys.readouterr().err
    assert ("bob had stored it before" in told) == (not changed)
    assert ("cannot be had again" in told) == (receipt and not changed)
    assert main(line) == 5


@pytest.mark.parametrize("way", ["--connect", "--bind"])
def test_security_what_was_stored_elsewhere_is_asked_for(trusting: Path, tmp_path: Path, way: str) -> None:
    """Another place where bob waits may store for another folder: only the first one is taken at its word."""
    (tmp_path / "file").write_bytes(b"content")
    line = ["--home", str(trusting), "emit", "--to", "bob", "--wait", "0s", str(tmp_path / "file")]
    assert main([*line, "--connect", HERE]) == 5
    note_stored(trusting, b"content")
    other = ELSEWHERE if way == "--connect" else "tcp://127.0.0.1:0"
    for _ in range(2):
        assert main([*line, way, other]) == 5
    assert main([*line, "--connect", HERE]) == 0


def test_a_tree_that_was_stored_has_the_bytes_of_its_items(trusting: Path, tmp_path: Path, capsys) -> None:
    """As every other report of a delivery: not those of the stream that brought their names as well."""
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "file").write_bytes(b"content")
    line = ["--json", "--home", str(trusting), "emit", "--to", "bob", "--connect", HERE, "--wait", "0s"]
    line.append(str(tmp_path / "top"))
    assert main(line) == 5
    stream = b"".join(TreeSource([str(tmp_path / "top")]).blocks(1 << 20))
    note_stored(trusting, stream, items=2, items_bytes=7)
    capsys.readouterr()
    assert main(line) == 0
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (event,) = (event for event in said if event["event"] == "delivered")
    assert (event["bytes"], event["items"], event["durable"], event["earlier"]) == (7, 2, True, True)


def test_a_receipt_that_has_no_place_is_told_at_once(trusting: Path, tmp_path: Path, capsys) -> None:
    """Before anybody is called; and one that was not signed leaves no file."""
    (tmp_path / "file").touch()
    line = ["--home", str(trusting), "emit", "--to", "bob", "--connect", "tcp://127.0.0.1:1", "--wait", "0s"]
    assert main([*line, str(tmp_path / "file"), "--receipt", str(tmp_path / "missing" / "receipt")]) == 1
    assert main([*line, str(tmp_path / "file"), "--receipt", str(tmp_path / "receipt")]) == 5
    assert not (tmp_path / "receipt").exists()
    assert not list(tmp_path.glob(".*"))


def test_everything_can_come_from_the_settings(alice: Path, capsys, monkeypatch) -> None:
    """A service needs no flags: file and environment say to whom and where."""
    (alice / "config.toml").write_text('emit_to = "bob"\n')
    monkeypatch.setenv("SELO_EMIT_CONNECT", "tcp://127.0.0.1:1")
    assert main(["--home", str(alice), "emit", str(alice / "identity.pub")]) == 2
    assert "no peer is called 'bob'" in capsys.readouterr().err
