import os
import subprocess
import sys
import time

import pytest

from selo.agents.cli.checks_network import free_port
from selo.agents.cli.main import main
from selo.config.trust import TrustStore
from tests.cli.lines import event_of


@pytest.fixture
def well(home, make_home, tmp_path, monkeypatch):
    """The line that looks at a home where all is well."""
    TrustStore(home).add("bob", make_home("bob").load_identity().public, may_send=True)
    monkeypatch.setenv("SELO_RECEIVE_BIND", f"tcp://127.0.0.1:{free_port()}")
    monkeypatch.chdir(tmp_path)
    return ["--home", str(home.path), "doctor"]


def findings(capsys):
    output, error = capsys.readouterr()
    assert output == ""
    return [event_of(line) for line in error.splitlines()]


def test_when_all_is_well_it_ends_with_0_and_soon(well, capsys):
    """Only `ok`, no fix, a verdict, in less than 2 s of this process's work."""
    began = time.process_time()
    assert main(well) == 0
    assert time.process_time() - began < 2
    output, error = capsys.readouterr()
    *lines, verdict = output.splitlines()
    assert error == ""
    assert verdict == "Selo works here"
    assert all(line.startswith("ok    ") for line in lines)
    assert len({len(line) - len(line[6:].lstrip()) for line in lines}) == 1


def test_a_note_leaves_0_and_stands_in_the_verdict(well, home, capsys):
    """A fix is indented below its finding; --quiet keeps what is not well."""
    TrustStore(home).remove("bob")
    assert main([*well, "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:10] for line in lines] == ["note  trus", "      fix:", "Selo works"]
    assert lines[-1] == "Selo works here: 1 note"


def test_a_settings_file_that_does_not_parse_is_a_finding(well, home, capsys):
    """The rest is looked at all the same, with the defaults; the fix mends it."""
    home.settings_file.write_text("= no")
    assert main([*well, "--json"]) == 1
    *told, verdict = findings(capsys)
    (found,) = [each for each in told if each["level"] == "problem"]
    assert (found["event"], found["subject"]) == ("finding", "settings")
    assert {each["subject"] for each in told} >= {"identity", "trust", "port", "handshake"}
    assert (verdict["event"], verdict["status"]) == ("verdict", 1)
    subprocess.run(["bash", "-c", found["fix"]], check=True, timeout=10)
    assert main([*well, "--json"]) == 0
    assert all(each["fix"] is None for each in findings(capsys)[:-1])


def test_a_home_that_is_a_file_is_a_finding(well, home, tmp_path, capsys):
    """What lies in it is not asked for; the rest is."""
    well[1] = str(tmp_path / "file")
    (tmp_path / "file").write_text("x")
    assert main([*well, "--json"]) == 1
    told = findings(capsys)
    assert [each["subject"] for each in told if each.get("level") == "problem"] == ["home"]
    assert "handshake" in {each.get("subject") for each in told}


@pytest.mark.parametrize("library", ["zmq", "cryptography", "msgpack", "blake3"])
def test_a_missing_library_is_a_finding(library, tmp_path):
    """In a process that cannot import it: the fix installs it, and nothing ends in a traceback."""
    folder = tmp_path / "broken" / library
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('it is half there')\n")
    done = subprocess.run(
        [sys.executable, "-m", "selo", "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(folder.parent)},
    )
    told = [event_of(line) for line in done.stderr.splitlines()]
    (found,) = [each for each in told if each.get("level") == "problem"]
    assert done.returncode == 1
    assert "it is half there" in found["seen"]
    assert f"pip install --force-reinstall '{found['subject']}" in found["fix"]


def test_the_path_to_a_peer_is_part_of_the_report(well, capsys):
    """--connect looks there; --to needs a peer that is known."""
    url = f"tcp://127.0.0.1:{free_port()}"
    assert main([*well, "--connect", url, "--json"]) == 1
    (found,) = [each for each in findings(capsys) if each.get("level") == "problem"]
    assert found["subject"] == "connection"
    assert main([*well, "--connect", url, "--to", "nobody", "--json"]) == 1
    (found,) = [each for each in findings(capsys) if each.get("level") == "problem"]
    assert (found["subject"], found["fix"]) == ("path", "known peers: bob")
