import json
from dataclasses import FrozenInstanceError, fields
from itertools import combinations
from pathlib import Path

import pytest

from selo.config.catalogue import CATALOGUE
from selo.config.errors import (
    Exposed,
    FileFault,
    SettingRefused,
    SettingsContradict,
    UnknownSetting,
)
from selo.config.home import Home
from selo.config.limits import LIMITS
from selo.config.policy import Names, Overwrite
from selo.config.settings import Settings, load, load_settings
from selo.crypto.suites import SUITES

NAMES = [field.name for field in fields(Settings)]
# Two legal values of every setting, as text and as read; the first is not the default. (suite has one only.)
LEGAL = {
    "suite": [("classic", "classic"), ("classic", "classic")],
    "passphrase_file": [("/run/secret", Path("/run/secret")), ("/b", Path("/b"))],
    "json": [("yes", True), ("no", False)],
    "quiet": [("on", True), ("off", False)],
    "verbose": [("1", True), ("0", False)],
    "receive_bind": [("tcp://[::1]:9", "tcp://[::1]:9"), ("ipc:///s", "ipc:///s")],
    "receive_connect": [("tcp://h:9", "tcp://h:9"), ("ipc:///s", "ipc:///s")],
    "receive_from": [("alice,bob", ("alice", "bob")), ("carol", ("carol",))],
    "receive_into": [("/box", Path("/box")), (".", Path("."))],
    "receive_output": [("-", "-"), ("./-", "./-")],
    "receive_overwrite": [("replace", Overwrite.REPLACE), ("never", Overwrite.NEVER)],
    "receive_names": [("portable", Names.PORTABLE), ("any", Names.ANY)],
    "receive_folders": [("no", False), ("yes", True)],
    "receive_max_bytes": [("10GiB", 10 << 30), ("unlimited", None)],
    "receive_max_items": [("1000", 1000), ("unlimited", None)],
    "receive_keep_free": [("1GiB", 1 << 30), ("0", 0)],
    "receive_rate": [("10MB/s", 10_000_000), ("unlimited", None)],
    "receive_no_fsync": [("yes", True), ("no", False)],
    "receive_hold": [("True", True), ("FALSE", False)],
    "hold_limit": [("2GiB", 2 << 30), ("1", 1)],
    "receive_wait": [("10m", 600.0), ("forever", None)],
    "resume_window": [("1h", 3600.0), ("0", 0.0)],
    "keep_partial": [("30d", 30 * 86400.0), ("1d", 86400.0)],
    "receive_forever": [("yes", True), ("no", False)],
    "receive_exec": [("run --it 'a b'", "run --it 'a b'"), ("/bin/true", "/bin/true")],
    "emit_to": [("bob", "bob"), ("carol", "carol")],
    "emit_connect": [("tcp://h:9", "tcp://h:9"), ("ipc:///s", "ipc:///s")],
    "emit_bind": [("tcp://*:9", "tcp://*:9"), ("ipc:///s", "ipc:///s")],
    "emit_wait": [("forever", None), ("0", 0.0)],
    "retry_for": [("forever", None), ("0", 0.0)],
    "resume_buffer": [("1MiB", 1 << 20), ("0", 0)],
    "emit_rate": [("64KiB/s", 65536), ("unlimited", None)],
    "emit_digest": [("sha256", "sha256"), ("blake3", "blake3")],
    "record_size": [("4KiB", 4096), ("64", 64)],
    "window_bytes": [("32MiB", 32 << 20), ("64MiB", 64 << 20)],
    "window_records": [("64", 64), ("1", 1)],
    "first_message_deadline": [("3s", 3.0), ("1500ms", 1.5)],
    "handshake_deadline": [("7s", 7.0), ("1m", 60.0)],
    "ping_interval": [("1s", 1.0), ("500ms", 0.5)],
    "idle_limit": [("1m", 60.0), ("1h", 3600.0)],
    "close_grace": [("100ms", 0.1), ("3s", 3.0)],
    "retry_min": [("500ms", 0.5), ("2s", 2.0)],
    "retry_max": [("3s", 3.0), ("4s", 4.0)],
    "message_max": [("1KiB", 1024), ("1GiB", 1 << 30)],
}
# What every setting refuses, in each way that it can be wrong: type, form, range.
REFUSED = {
    "suite": ["modern", "CLASSIC"],
    "passphrase_file": ["~nosuchuser/f", "a\0b"],
    "receive_bind": ["a\0b"],
    "receive_connect": ["a\0b"],
    "receive_from": ["-1", "alice,", ",", "a b", "alice,../bob"],
    "receive_into": ["~nosuchuser/f", "a\0b"],
    "receive_output": ["~nosuchuser/f", "a\0b"],
    "receive_overwrite": ["2", "-1", "maybe", "tru", "Never", "replace,rename", "a\0b"],
    "receive_names": ["Plain", "none", "yes", "plain,any", "a\0b"],
    "receive_exec": ["'", 'a "b', "  ", "a\0b", "a \\"],
    "emit_digest": ["BLAKE3", "md5", "blake3,sha256", "a\0b"],
    "emit_to": ["-1", "a b", "alice,bob", "../bob"],
    "emit_connect": ["a\0b"],
    "emit_bind": ["a\0b"],
}
SWITCHES = ["json", "quiet", "verbose", "receive_hold", "receive_folders", "receive_no_fsync"]
SWITCHES += ["receive_forever"]
REFUSED |= {name: ["2", "-1", "maybe", "tru"] for name in SWITCHES}
REFUSED |= {name: ["-1", "soon", "1e3", "nan", "99999999999999h", "5 w", "9e9GB/s"] for name in LIMITS}
TEXTS = [(name, text) for name in NAMES for text in REFUSED[name]]
OF_ANOTHER_TYPE = ["[1]", "[]", "{a = 1}", "1979-05-27", "nan", "[[]]"]
PAIRS = [  # of settings that decide one choice, each with a value that says something
    (("quiet", "yes"), ("verbose", "yes")),
    (("receive_bind", "tcp://*:1"), ("receive_connect", "tcp://h:1")),
    (("receive_into", "box"), ("receive_output", "file")),
    (("receive_into", "box"), ("receive_output", "-")),
    (("emit_bind", "tcp://*:1"), ("emit_connect", "tcp://h:1")),
]
SERVING = [  # and of those that have a meaning only beside some values of the other
    (("receive_overwrite", "replace"), ("receive_output", "-")),
    (("receive_overwrite", "rename"), ("receive_output", "-")),
    (("receive_hold", "yes"), ("receive_into", "box")),
    (("receive_forever", "yes"), ("receive_output", "-")),
    (("receive_forever", "yes"), ("receive_output", "file")),
]
SOURCES = ["file", "environment", "flag"]


@pytest.fixture
def home(tmp_path):
    """A home as settings need it: private. To make an identity takes longer than all of a test here."""
    path = tmp_path / "home"
    path.mkdir(0o700)
    return Home(path)


@pytest.fixture
def load_from(home):
    """Loads settings that are given as text by source and name, so that every source can say anything."""

    def load_them(**sources):
        lines = [f"{name} = {json.dumps(text)}\n" for name, text in sources.get("file", {}).items()]
        home.settings_file.write_text("".join(lines))
        environ = {f"SELO_{name.upper()}": text for name, text in sources.get("environment", {}).items()}
        flags = sources.get("flag", {})
        if "receive_from" in flags:
            flags = flags | {"receive_from": flags["receive_from"].split(",")}
        return load(home, environ, flags)

    return load_them


def place_of(name, source, home, line=1):
    """What an error calls the place."""
    if source == "file":
        return f"{name} in {home.settings_file} line {line}"
    return f"SELO_{name.upper()}" if source == "environment" else CATALOGUE[name].flag or name


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
    assert settings.receive_bind == "tcp://127.0.0.1:7800"
    assert settings.receive_into == Path(".")
    assert settings.suite == "classic"
    assert settings.emit_digest == "blake3"
    assert (settings.receive_names, settings.receive_overwrite) == (Names.PLAIN, Overwrite.NEVER)
    assert settings.receive_folders is True
    named = {"receive_bind", "receive_into", "suite", "emit_digest"}
    named |= {"receive_names", "receive_overwrite", "receive_folders"}
    assert {getattr(settings, name) for name in set(NAMES) - set(LIMITS) - named} == {None, False, ()}


def test_settings_are_frozen():
    """Nothing that runs can change the settings it was given."""
    with pytest.raises(FrozenInstanceError):
        load_settings().suite = "other"


def test_the_examples_here_name_every_setting():
    """The tables of this file miss no setting, and the catalogue declares those that the model has."""
    assert set(LEGAL) == set(REFUSED) == set(NAMES)
    assert list(CATALOGUE) == NAMES
    assert [name for name, setting in CATALOGUE.items() if setting.name != name] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_a_default_that_says_so(name):
    """With nothing said, every origin is the default."""
    loaded = load()
    assert getattr(loaded.settings, name) == CATALOGUE[name].default
    assert str(loaded.origins[name]) == "default"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_read_from_every_source(name, source, load_from):
    """Each setting can stand in config.toml, in SELO_NAME and behind a flag, and its origin is that place."""
    text, value = LEGAL[name][0]
    loaded = load_from(**{source: {name: text}})
    assert getattr(loaded.settings, name) == value
    flag = CATALOGUE[name].flag or name
    origin = {"file": "config.toml line 1", "environment": f"SELO_{name.upper()}", "flag": flag}[source]
    assert str(loaded.origins[name]) == origin


@pytest.mark.parametrize(("farther", "nearer"), [*combinations(SOURCES, 2)])
@pytest.mark.parametrize("name", NAMES)
def test_the_nearer_source_decides(name, farther, nearer, load_from):
    """Defaults < file < environment < flags, for every setting and every two sources, either way round."""
    for first, second in (LEGAL[name], reversed(LEGAL[name])):
        loaded = load_from(**{farther: {name: first[0]}, nearer: {name: second[0]}})
        assert getattr(loaded.settings, name) == second[1]
        assert str(loaded.origins[name]) == str(load_from(**{nearer: {name: second[0]}}).origins[name])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_set_overrides_nothing(name, load_from):
    """A flag that was not given, an empty variable and an empty text in the file leave what is farther."""
    text, value = LEGAL[name][0]
    loaded = load_from(
        file={name: text}, environment={name: ""}, flag={} if name == "receive_from" else {name: None}
    )
    assert getattr(loaded.settings, name) == value
    assert load_from(file={name: ""}).settings == load_settings()
    assert str(load_from(file={name: ""}).origins[name]) == "default"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("name", "text"), TEXTS)
def test_a_bad_value_is_named_with_its_place(name, text, source, load_from, home):
    """Each setting refuses each wrong text wherever it is read, and says where and what was expected."""
    given = text.split(",") if (name, source) == ("receive_from", "flag") else text
    with pytest.raises(SettingRefused) as refused:
        load_from(**{source: {name: text}})
    error = refused.value
    assert str(error) == f"{place_of(name, source, home)}: expected {CATALOGUE[name].expected}, not {given!r}"
    assert error.exit_status == 2


@pytest.mark.parametrize("value", OF_ANOTHER_TYPE)
@pytest.mark.parametrize("name", NAMES)
def test_a_value_of_another_type_is_named_with_its_line(name, value, home, write_settings):
    """Every type of TOML that a setting cannot take is refused with the line on which the value ends."""
    write_settings(f"# a comment about {name}\n\n{name} = {value}\n")
    with pytest.raises(SettingRefused, match=rf"^{name} in .*config\.toml line 3: expected "):
        load_settings(home)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LIMITS])
def test_a_number_is_no_text_and_no_switch(name, home, write_settings):
    """Only quantities can be bare numbers, which are seconds, bytes or records."""
    write_settings(f"{name} = 1\n")
    with pytest.raises(SettingRefused, match=f"^{name} in "):
        load_settings(home)


def test_toml_has_switches_and_lists_of_its_own(home, write_settings):
    """A bare true, a list of names over several lines, and a bare number are read as they are."""
    write_settings('receive_from = [\n  "alice",\n  "bob", # him too\n]\njson = true\nidle_limit = 30\n')
    loaded = load(home)
    settings = loaded.settings
    assert (settings.receive_from, settings.json, settings.idle_limit) == (("alice", "bob"), True, 30.0)
    assert [str(loaded.origins[name]) for name in ("receive_from", "json", "idle_limit")] == [
        "config.toml line 4",
        "config.toml line 5",
        "config.toml line 6",
    ]


@pytest.mark.parametrize("value", ["[1]", '["a b"]', '["alice", 1]', '[["alice"]]', '["alice,bob"]', '[""]'])
def test_a_list_holds_names_only(value, home, write_settings):
    """Each of several senders is a name."""
    write_settings(f"receive_from = {value}\n")
    with pytest.raises(SettingRefused, match="^receive_from in "):
        load_settings(home)


def test_a_name_that_is_given_twice_counts_once():
    """Senders are a set, in the order of their first mention."""
    assert load_settings(None, {"SELO_RECEIVE_FROM": "bob, alice,bob"}).receive_from == ("bob", "alice")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("one", "other"), [*PAIRS, *SERVING])
def test_one_source_must_not_contradict_itself(one, other, source, load_from, home):
    """Two values of one source that cannot both be meant are an error that names both places."""
    with pytest.raises(SettingsContradict) as refused:
        load_from(**{source: dict([one, other])})
    places = {place_of(each[0], source, home, line) for line, each in enumerate((one, other), start=1)}
    assert set(refused.value.places) == places
    assert all(place in str(refused.value) for place in places)
    assert refused.value.exit_status == 2


@pytest.mark.parametrize("source", SOURCES[:-1])
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_contradiction_is_not_hidden_by_a_flag(one, other, source, load_from):
    """What one source says against itself is an error even where a nearer one decides."""
    with pytest.raises(SettingsContradict):
        load_from(**{source: dict([one, other]), "flag": dict([one])})


@pytest.mark.parametrize(("farther", "nearer"), [*combinations(SOURCES, 2)])
@pytest.mark.parametrize(
    ("one", "other"), [*PAIRS, *((b, a) for a, b in PAIRS), *((b, a) for a, b in SERVING)]
)
def test_the_nearer_source_wins_the_choice(one, other, farther, nearer, load_from):
    """`--bind` overrules a receive_connect of the file, and so on; what lost says what it lost to."""
    loaded = load_from(**{nearer: dict([one]), farther: dict([other])})
    alone = load_from(**{nearer: dict([one])})
    assert loaded.settings == alone.settings
    origin = str(loaded.origins[other[0]])
    assert origin.endswith(f", overruled by {loaded.origins[one[0]]}")
    assert origin.startswith(str(load_from(**{farther: dict([other])}).origins[other[0]]))


@pytest.mark.parametrize(("farther", "nearer"), [*combinations(SOURCES, 2)])
@pytest.mark.parametrize(("one", "other"), SERVING)
def test_what_only_serves_overrules_nothing(one, other, farther, nearer, load_from):
    """--overwrite and --hold redirect no delivery: nearer than what they contradict, they are an error."""
    with pytest.raises(SettingsContradict):
        load_from(**{nearer: dict([one]), farther: dict([other])})


def test_a_flag_resolves_what_serves_against_a_farther_source(load_from):
    """Only what is left after every choice is judged: a target on the line ends the quarrel of the others."""
    quarrel = {"environment": {"receive_overwrite": "yes"}, "file": {"receive_output": "-"}}
    settings = load_from(**quarrel, flag={"receive_into": "box"}).settings
    assert (settings.receive_overwrite, settings.receive_output) == (Overwrite.REPLACE, None)


def test_what_serves_and_lost_has_its_default(load_from):
    """A service that replaces for ever does not keep a person from one delivery to standard output."""
    service = {"receive_overwrite": "rename", "receive_forever": "yes"}
    settings = load_from(file=service, flag={"receive_output": "-"}).settings
    assert (settings.receive_overwrite, settings.receive_forever) == (Overwrite.NEVER, False)


@pytest.mark.parametrize("source", SOURCES)
def test_a_default_is_no_contradiction(source, load_from):
    """Each value of a choice can be said alone: the default gives way, or stays beside what only serves."""
    for each in {each for pair in PAIRS for each in pair}:
        assert getattr(load_from(**{source: dict([each])}).settings, each[0])
    settings = load_from(**{source: {"receive_connect": "tcp://h:1", "receive_output": "-"}}).settings
    assert (settings.receive_bind, settings.receive_into) == (None, None)
    settings = load_from(**{source: {"receive_hold": "yes"}}).settings
    assert (settings.receive_hold, settings.receive_into) == (True, Path("."))


@pytest.mark.parametrize(
    ("variable", "likely"),
    [
        ("SELO_IDLE_LIMT", "SELO_IDLE_LIMIT"),
        ("SELO_LISTEN", None),
        ("SELO_HOM", "SELO_HOME"),
        ("SELO_idle_limit", None),
    ],
)
def test_an_unknown_variable_is_told_with_the_nearest(variable, likely):
    """A variable that sets nothing is no error, as it may be somebody else's; a likely name is proposed."""
    environ = {variable: "x", "SELO_HOME": "/h", "SELO_PASSPHRASE_FILE": "/p", "PATH": "/bin"}
    ((told, nearest),) = load(None, environ).unknown
    assert told == variable
    assert likely is None or nearest == likely


def test_every_variable_is_known():
    """No setting, and not the home, is told to be unknown."""
    environ = {setting.variable: "" for setting in CATALOGUE.values()} | {"SELO_HOME": ""}
    assert load(None, environ).unknown == ()


def test_what_a_hook_is_told_is_no_setting():
    """A `selo` that a hook runs does not wonder at the variables of that hook."""
    environ = {"SELO_DELIVERY_PEER": "alice", "SELO_DELIVERY_OF_A_LATER_VERSION": "", "SELO_DELIVER": "x"}
    assert [name for name, _ in load(None, environ).unknown] == ["SELO_DELIVER"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        *((word, Overwrite.REPLACE) for word in ("true", "yes", "on", "1", "TRUE", True)),
        *((word, Overwrite.NEVER) for word in ("false", "no", "off", "0", False)),
        *((str(way), way) for way in Overwrite),
    ],
)
def test_overwriting_can_be_said_as_a_switch(said, meant):
    """As it was when there were two ways: yes replaces, no refuses."""
    assert load_settings(None, {}, {"receive_overwrite": said}).receive_overwrite is meant


@pytest.mark.parametrize("name", [name for name, limit in LIMITS.items() if limit.endless])
def test_a_limit_of_the_file_can_be_lifted_on_the_line(name, load_from):
    """Each limit that need not be has its word for none, which overrules; the other's word is none."""
    setting = CATALOGUE[name]
    word, other = ("forever", "unlimited") if setting.unit == "seconds" else ("unlimited", "forever")
    assert (setting.endless, setting.in_words(None)) == (word, word)
    loaded = load_from(file={name: LEGAL[name][0][0]}, flag={name: word})
    assert getattr(loaded.settings, name) is None
    with pytest.raises(SettingRefused):
        load_from(flag={name: other})


def test_a_key_in_a_table_is_unknown(home, write_settings):
    """Settings stand in no table."""
    write_settings("[receive]\nbind = 'tcp://*:1'\n")
    with pytest.raises(UnknownSetting, match="line 1: unknown setting 'receive'"):
        load_settings(home)


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
    widest |= {"keep_partial": "365d"}
    narrowest = {"record_size": 32, "first_message_deadline": 0.1, "ping_interval": 0.05, "retry_min": 0.001}
    narrowest |= {"resume_window": 0}
    return getattr(load_settings(None, {}, widest | narrowest | {name: value}), name)


@pytest.mark.parametrize(
    "limit", [limit for limit in LIMITS.values() if not limit.endless], ids=lambda limit: limit.name
)
def test_only_what_says_so_can_be_endless(limit):
    """`forever` and `unlimited` are no values of a limit that protects somebody."""
    with pytest.raises(SettingRefused):
        load_settings(None, {}, {limit.name: "forever"})
    with pytest.raises(SettingRefused):
        load_settings(None, {}, {limit.name: "unlimited"})


@pytest.mark.parametrize(
    "flags",
    [
        {"record_size": "1MiB", "window_bytes": "512KiB"},
        {"first_message_deadline": "6s"},
        {"ping_interval": "5001ms"},
        {"idle_limit": "3999ms"},
        {"retry_min": "3s"},
        {"keep_partial": "899s"},
        {"resume_window": "8d"},
    ],
    ids=lambda flags: next(iter(flags)),
)
def test_settings_that_do_not_fit_together_are_refused(flags):
    """A record larger than its window, and a time longer than the one around it, cannot be meant."""
    with pytest.raises(SettingRefused, match="expected at least (twice )?what"):
        load_settings(None, {}, flags)


TOO_SHORT = r"^idle_limit \(idle_limit\): expected at least twice what ping_interval is \(500ms, "


def test_one_late_ping_ends_no_session():
    """The idle limit is at least twice the interval of the pings, and twice is enough."""
    with pytest.raises(SettingRefused, match=TOO_SHORT):
        load_settings(None, {}, {"idle_limit": "999ms", "ping_interval": "500ms"})
    assert load_settings(None, {}, {"idle_limit": "1s", "ping_interval": "500ms"}).idle_limit == 1.0


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
    assert str(refused.value) == f"{home.settings_file} line 1: unknown setting 'idle_limt'"
    assert "idle_limit" in refused.value.hint


def test_a_key_near_to_none_is_refused_without_a_guess(home, write_settings):
    """Where no key is near, none is proposed."""
    write_settings("colour = 3\n")
    with pytest.raises(UnknownSetting) as refused:
        load_settings(home)
    assert refused.value.nearest is None
    assert "selo config" in refused.value.hint


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
    loaded = load(Home(tmp_path / "none"))
    assert loaded.settings == load_settings()
    assert not loaded.has_file


def test_a_file_is_told_to_be_there(home, write_settings):
    """Also an empty one."""
    write_settings("")
    assert load(home).has_file


def test_a_path_may_begin_at_home(monkeypatch):
    """`~` stands for the user's own folder."""
    monkeypatch.setenv("HOME", "/home/alice")
    told = {"passphrase_file": "~/secret", "receive_into": "~/box"}
    settings = load_settings(None, {}, told)
    assert settings.passphrase_file == Path("/home/alice/secret")
    assert settings.receive_into == Path("/home/alice/box")
    assert load_settings(None, {}, {"receive_output": "~/out"}).receive_output == "/home/alice/out"
