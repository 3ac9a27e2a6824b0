import pytest

from selo.config.catalogue import CATALOGUE, nearest
from selo.config.policy import Names

WITHOUT_VALUE = (None, ())


@pytest.mark.parametrize("setting", CATALOGUE.values(), ids=CATALOGUE)
def test_every_setting_says_what_it_is_for(setting):
    """Nobody has to guess what is expected and why, nor how to set it."""
    assert setting.expected
    assert len(setting.reason.split()) >= 4
    assert not setting.reason.endswith(".")
    assert setting.ways[-2:] == (f"SELO_{setting.name.upper()}", f"`{setting.name}` in config.toml")


@pytest.mark.parametrize("setting", CATALOGUE.values(), ids=CATALOGUE)
def test_a_default_in_words_reads_back(setting):
    """What is shown of a default means that default; one without a value is `-`."""
    words = setting.in_words(setting.default)
    if setting.default in WITHOUT_VALUE and not setting.endless:
        assert words == "-"
    else:
        assert setting.parse(words) == setting.default


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("window_bytes", 16 << 20, "16MiB"),
        ("idle_limit", 5.0, "5s"),
        ("emit_wait", None, "forever"),
        ("emit_to", None, "-"),
        ("receive_from", ("alice", "bob"), "alice,bob"),
        ("json", True, "true"),
        ("window_records", 3, "3"),
        ("message_max", 1, "1 byte"),
        ("keep_partial", 604800.0, "7d"),
        ("emit_rate", 10_000_000, "10MB/s"),
        ("emit_rate", None, "unlimited"),
        ("receive_max_items", 5, "5"),
        ("receive_max_items", None, "unlimited"),
        ("receive_names", Names.PORTABLE, "portable"),
        ("receive_exec", None, "-"),
    ],
)
def test_values_are_shown_with_their_units(name, value, words):
    """Sizes, durations, `forever`, `unlimited`, switches, lists, and `-` for none."""
    assert CATALOGUE[name].in_words(value) == words


def test_the_nearest_name_is_near():
    """A slip of the finger is found, and what resembles nothing finds nothing."""
    assert nearest("idle_limt", CATALOGUE) == "idle_limit"
    assert nearest("zzz", CATALOGUE) is None
