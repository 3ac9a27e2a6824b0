"""`selo config`: what is set, where it came from, and how to set it."""

from __future__ import annotations

import re
import tomllib

import pytest

from selo.agents.cli.config import example
from selo.agents.cli.main import main
from selo.config.catalogue import CATALOGUE
from selo.config.home import Home
from selo.config.settings import load, load_settings
from tests.cli.lines import event_of


@pytest.fixture
def config(home, capsys):
    """Runs `selo config` in the home; returns the status, standard output and standard error."""

    def run(*words):
        status = main(["--home", str(home.path), "config", *words])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_the_table_shows_every_setting_with_its_origin(home, config, monkeypatch):
    """Name, value with its unit and origin, from all four sources; then the file that was read."""
    home.settings_file.write_text('# mine\nidle_limit = "1m"\nreceive_connect = "tcp://h:1"\n')
    monkeypatch.setenv("SELO_RECORD_SIZE", "64KiB")
    status, out, err = config("--verbose")
    assert (status, err) == (0, "")
    *table, blank, file = out.splitlines()
    rows = [re.split(" {2,}", line) for line in table]
    assert [row[0] for row in rows] == list(CATALOGUE)
    assert len({line.index(row[2]) for line, row in zip(table, rows, strict=True)}) == 1  # aligned
    for row in (
        ["window_bytes", "16MiB", "default"],
        ["receive_wait", "forever", "default"],
        ["emit_to", "-", "default"],
        ["idle_limit", "1m", "config.toml line 2"],
        ["record_size", "64KiB", "SELO_RECORD_SIZE"],
        ["verbose", "true", "--verbose"],
        ["receive_bind", "-", "default, overruled by config.toml line 3"],
    ):
        assert row in rows
    assert (blank, file) == ("", f"settings file: {home.settings_file}")


def test_a_file_that_is_not_there_is_said(home, config):
    """The file that was looked for is named, and that there is none."""
    assert config()[1].endswith(f"settings file: {home.settings_file} (there is none)\n")


def test_no_home_is_needed(tmp_path, capsys):
    """Settings can be looked at before there is an identity."""
    assert main(["--home", str(tmp_path / "none"), "config"]) == 0
    assert "there is none" in capsys.readouterr().out


@pytest.mark.parametrize("setting", CATALOGUE.values(), ids=CATALOGUE)
def test_one_setting_is_explained(setting, config):
    """Value, origin, range, unit, reason, flag and variable."""
    status, out, _ = config(setting.name)
    assert status == 0
    for part in (setting.name, "default", setting.expected, setting.unit, setting.reason, setting.option):
        assert part in out
    assert f"SELO_{setting.name.upper()}" in out


def test_several_settings_are_explained_in_the_order_given(config):
    """Only those, one block each."""
    _, out, _ = config("retry_min", "suite")
    assert [block.splitlines()[0] for block in out.split("\n\n")] == ["retry_min", "suite"]


def test_an_unknown_name_is_usage_with_the_nearest(config):
    """A misspelt name is told with the likely one, and nothing is shown."""
    status, out, err = config("suite", "idle_limt")
    assert (status, out) == (2, "")
    assert err == "selo: selo config: unknown setting 'idle_limt'\nhint: did you mean `idle_limit`?\n"


def test_json_has_one_event_a_setting(home, config, monkeypatch):
    """Plain values (seconds, bytes), their words and their origins; then the file."""
    monkeypatch.setenv("SELO_RECEIVE_FROM", "alice,bob")
    status, out, err = config("--json")
    assert (status, out) == (0, "")
    *settings, file = map(event_of, err.splitlines())
    assert [each["name"] for each in settings] == list(CATALOGUE)
    assert {each["event"] for each in settings} == {"setting"}
    by_name = {each["name"]: each for each in settings}
    assert by_name["json"]["value"] is True
    assert by_name["json"]["origin"] == "--json"
    assert by_name["receive_from"]["value"] == ["alice", "bob"]
    assert by_name["receive_from"]["origin"] == "SELO_RECEIVE_FROM"
    assert (by_name["idle_limit"]["value"], by_name["idle_limit"]["shown"]) == (10.0, "10s")
    assert by_name["receive_into"]["value"] == "."
    assert by_name["emit_to"]["value"] is None
    assert (file["event"], file["file"], file["exists"]) == ("settings-file", str(home.settings_file), False)


def test_json_of_one_setting(config):
    """NAME chooses with --json as well."""
    _, _, err = config("--json", "suite")
    assert [event_of(line)["event"] for line in err.splitlines()] == ["setting", "settings-file"]


def test_the_example_says_the_defaults(home, config):
    """A file of it changes nothing; with every # before a setting removed it says every default."""
    status, out, _ = config("--example")
    assert (status, out) == (0, example())
    assert tomllib.loads(out) == {}
    said = re.sub("^#(?=[a-z_]+ = )", "", out, flags=re.MULTILINE)
    assert list(tomllib.loads(said)) == list(CATALOGUE)
    home.settings_file.write_text(said)
    loaded = load(home)
    assert loaded.settings == load_settings()
    assert str(loaded.origins["idle_limit"]).startswith("config.toml line ")


def test_the_example_explains_every_setting():
    """Reason, range and the other ways to set it stand above each one, in lines that fit a terminal."""
    prose = " ".join(line.removeprefix("# ") for line in example().splitlines())
    for setting in CATALOGUE.values():
        assert setting.reason in prose
        assert setting.expected in prose
        assert all(way in prose for way in setting.ways[:-1])
    assert max(map(len, example().splitlines())) <= 100


def test_no_secret_is_shown(home, config, tmp_path, monkeypatch):
    """Of the passphrase only the name of its file is a setting."""
    secret = tmp_path / "secret"
    secret.write_text("correct horse")
    monkeypatch.setenv("SELO_PASSPHRASE_FILE", str(secret))
    for words in ((), ("passphrase_file",), ("--json",), ("--example",)):
        assert "correct horse" not in "".join(map(str, config(*words)))
    assert str(secret) in config()[1]


def test_a_value_cannot_move_the_cursor(home, config):
    """What stands in the file is escaped before it reaches a terminal."""
    Home(home.path).settings_file.write_text('emit_connect = "tcp://\\u001b[2J"\n')
    assert "\x1b" not in config()[1] + config("emit_connect")[1]
