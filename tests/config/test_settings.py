from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from selo.config.errors import Exposed, FileFault, SettingRefused, SettingsFileRefused, UnknownSetting
from selo.config.home import Home
from selo.config.limits import LIMITS
from selo.config.settings import Settings, load_settings
from selo.crypto.suites import SUITES

NAMES = [field.name for field in fields(Settings)]
# One legal value that is not the default, and one that is refused, for every setting.
LEGAL = {
    "listen": ("tcp://[::1]:9", "tcp://[::1]:9"),
    "passphrase_file": ("/run/secret", Path("/run/secret")),
    "record_size": ("4KiB", 4096),
    "window_bytes": ("32MiB", 32 << 20),
    "window_records": ("64", 64),
    "first_message_deadline": ("3s", 3.0),
    "handshake_deadline": ("7s", 7.0),
    "ping_interval": ("1s", 1.0),
    "idle_limit": ("1m", 60.0),
    "close_grace": ("100ms", 0.1),
    "emit_wait": ("forever", None),
    "receive_wait": ("10m", 600.0),
    "retry_min": ("500ms", 0.5),
    "retry_max": ("3s", 3.0),
}
REFUSED = dict.fromkeys(NAMES, "-1") | {"listen": 5, "passphrase_file": 5}


@pytest.fixture
def write_settings(home: Home):
    """Writes the home's config.toml."""
    return lambda text: home.settings_file.write_text(text)


def test_the_defaults_are_the_limits():
    """With nothing said, every limit has its default from config/limits.py, and none lacks a setting."""
    settings = load_settings()
    assert {name: getattr(settings, name) for name in LIMITS} == {
        name: limit.default for name, limit in LIMITS.items()
    }
    assert settings.listen == "tcp://127.0.0.1:7800"
    assert settings.suite == "classic"
    assert settings.passphrase_file is None


def test_settings_are_frozen():
    """Nothing that runs can change the settings it was given."""
    with pytest.raises(FrozenInstanceError):
        load_settings().suite = "other"


def test_the_examples_here_name_every_setting():
    """The tables of this file miss no setting (suite has one value only)."""
    assert set(LEGAL) | {"suite"} == set(NAMES)


@pytest.mark.parametrize("name", LEGAL)
def test_every_setting_is_read_from_the_file(name, home, write_settings):
    """Each setting can stand in config.toml."""
    text, value = LEGAL[name]
    write_settings(f'{name} = "{text}"\n')
    assert getattr(load_settings(home), name) == value


@pytest.mark.parametrize("name", LEGAL)
def test_every_setting_is_read_from_the_environment(name):
    """Each setting can stand in SELO_NAME."""
    text, value = LEGAL[name]
    assert getattr(load_settings(None, {f"SELO_{name.upper()}": text}), name) == value


@pytest.mark.parametrize("name", LEGAL)
def test_every_setting_is_read_from_the_flags(name):
    """Each setting can come from a flag."""
    text, value = LEGAL[name]
    assert getattr(load_settings(None, {}, {name: text}), name) == value


def test_flags_override_the_environment_which_overrides_the_file(home, write_settings):
    """Defaults < file < environment < flags."""
    write_settings("retry_max = 3\nwindow_records = 3\nidle_limit = 30\n")
    environ = {"SELO_WINDOW_RECORDS": "4", "SELO_IDLE_LIMIT": "40"}
    settings = load_settings(home, environ, {"idle_limit": "50"})
    assert (settings.retry_max, settings.window_records, settings.idle_limit) == (3, 4, 50)


def test_what_is_not_set_overrides_nothing(home, write_settings):
    """A flag that was not given and an empty variable leave the file's value."""
    write_settings("idle_limit = 30\n")
    assert load_settings(home, {"SELO_IDLE_LIMIT": ""}, {"idle_limit": None}).idle_limit == 30


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_value_is_named_with_its_place(name, home, write_settings):
    """Each setting refuses a wrong value wherever it is read, and says where, what and what was expected."""
    value = REFUSED[name]
    write_settings(f"{name} = {value!r}\n".replace("'", '"'))
    with pytest.raises(SettingRefused) as from_file:
        load_settings(home)
    assert str(home.settings_file) in str(from_file.value)
    assert name in str(from_file.value)
    with pytest.raises(SettingRefused) as from_flag:
        load_settings(None, {}, {name: value})
    assert repr(value) in str(from_flag.value)
    assert from_flag.value.expected
    assert from_flag.value.exit_status == 2


@pytest.mark.parametrize(
    "name", [name for name in NAMES if REFUSED[name] == "-1" and name not in ("listen",)]
)
def test_a_bad_variable_is_named(name):
    """A refused variable is named as it is spelt in the environment."""
    with pytest.raises(SettingRefused, match=f"^SELO_{name.upper()}: expected .*, not '-1'$"):
        load_settings(None, {f"SELO_{name.upper()}": "-1"})


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_both_ends_of_a_range_are_in_it_and_nothing_beyond(limit):
    """Each limit accepts its ends and refuses what lies just outside."""
    step = 1 if float(limit.low).is_integer() else limit.low / 2
    for value in (limit.low, limit.high):
        # Through the parser of this one setting: how settings fit together is another test.
        assert _read(limit.name, value) == value
    for value in (limit.low - step, limit.high + 1):
        with pytest.raises(SettingRefused):
            _read(limit.name, value)


def _read(name, value):
    widest = {"window_bytes": 1 << 30, "handshake_deadline": 300, "idle_limit": 86400, "retry_max": 3600}
    narrowest = {"record_size": 32, "first_message_deadline": 0.1, "ping_interval": 0.05, "retry_min": 0.001}
    return getattr(load_settings(None, {}, widest | narrowest | {name: value}), name)


@pytest.mark.parametrize(
    "limit", [limit for limit in LIMITS.values() if not limit.endless], ids=lambda limit: limit.name
)
def test_only_waiting_can_be_endless(limit):
    """`forever` is no value of a limit that protects somebody."""
    with pytest.raises(SettingRefused):
        load_settings(None, {}, {limit.name: "forever"})


@pytest.mark.parametrize(
    "flags",
    [
        {"record_size": "1MiB", "window_bytes": "512KiB"},
        {"first_message_deadline": "6s"},
        {"ping_interval": "5001ms"},
        {"idle_limit": "3999ms"},
        {"retry_min": "3s"},
    ],
    ids=lambda flags: next(iter(flags)),
)
def test_settings_that_do_not_fit_together_are_refused(flags):
    """A record larger than its window, and a time longer than the one around it, cannot be meant."""
    with pytest.raises(SettingRefused, match="expected at least (twice )?what"):
        load_settings(None, {}, flags)


def test_one_late_ping_ends_no_session():
    """The idle limit is at least twice the interval of the pings, and twice is enough."""
    with pytest.raises(SettingRefused, match="^idle_limit: expected at least twice what ping_interval is"):
        load_settings(None, {}, {"idle_limit": "999ms", "ping_interval": "500ms"})
    assert load_settings(None, {}, {"idle_limit": "1s", "ping_interval": "500ms"}).idle_limit == 1.0


@pytest.mark.parametrize("value", ["1", "true", "[1]", '["classic"]', "{a = 1}", "1979-05-27"])
@pytest.mark.parametrize("name", ["suite", "listen", "passphrase_file", "emit_wait"])
def test_a_value_of_another_type_is_refused(name, value, home, write_settings):
    """Every type of TOML where text is expected is a sentence (a number is a duration)."""
    if (name, value) == ("emit_wait", "1"):
        return
    write_settings(f"{name} = {value}\n")
    with pytest.raises(SettingRefused, match=f"^{name} in "):
        load_settings(home)


@pytest.mark.parametrize("text", ["~nosuchuser/f", "a\\u0000b"])
def test_what_cannot_be_a_path_is_refused(text, home, write_settings):
    """The folder of a user who does not exist, and a zero byte."""
    write_settings(f'passphrase_file = "{text}"\n')
    with pytest.raises(SettingRefused, match="^passphrase_file in .*: expected a path"):
        load_settings(home)


def test_the_suites_are_those_of_the_protocol():
    """Every suite that crypto has can be set."""
    for name in SUITES:
        assert load_settings(None, {}, {"suite": name}).suite == name


def test_an_unknown_key_is_refused_with_the_nearest_one(home, write_settings):
    """A misspelt key is an error that names the likely key, not a setting silently left at its default."""
    write_settings("idle_limt = 3\n")
    with pytest.raises(UnknownSetting) as refused:
        load_settings(home)
    assert "idle_limt" in str(refused.value)
    assert "idle_limit" in refused.value.hint


def test_a_key_near_to_none_is_refused_without_a_guess(home, write_settings):
    """Where no key is near, none is proposed."""
    write_settings("colour = 3\n")
    with pytest.raises(UnknownSetting) as refused:
        load_settings(home)
    assert refused.value.hint == ""


@pytest.mark.parametrize(
    "data", [b"idle_limit ==", b"\xff\xfe", b"[idle_limit", b"idle_limit = 1\nidle_limit = 2\n"]
)
def test_a_file_that_is_no_toml_is_refused(data, home):
    """Text that is no TOML, undecodable bytes and a key given twice are a sentence that names the file."""
    home.settings_file.write_bytes(data)
    with pytest.raises(SettingsFileRefused, match="config.toml"):
        load_settings(home)


def test_a_settings_file_that_cannot_be_read_is_a_local_fault(home):
    """A folder in its place is reported with its path."""
    home.settings_file.mkdir()
    with pytest.raises(FileFault, match="config.toml"):
        load_settings(home)


def test_settings_of_a_home_that_others_can_reach_are_refused(home, write_settings):
    """Whoever can write there could turn the limits off."""
    write_settings("idle_limit = 30\n")
    home.path.chmod(0o755)
    with pytest.raises(Exposed):
        load_settings(home)


def test_a_home_without_a_file_has_the_defaults(tmp_path):
    """Neither the file nor the home needs to exist."""
    assert load_settings(Home(tmp_path / "none")) == load_settings()


def test_a_path_may_begin_at_home(monkeypatch):
    """`~` stands for the user's own folder."""
    monkeypatch.setenv("HOME", "/home/alice")
    assert load_settings(None, {}, {"passphrase_file": "~/secret"}).passphrase_file == Path(
        "/home/alice/secret"
    )
