from pathlib import Path

import pytest

from selo.config.errors import SettingsFileRefused
from selo.config.settings_file import SettingsFile

FILE = Path("/h/config.toml")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"idle_limit ==", 1),
        (b"json = true\n\nidle_limit\n", 3),
        (b"json = true\n[idle_limit", 2),
        (b"idle_limit = 1\nidle_limit = 2\n", 2),
        (b"# one\n# two\n\xff\xfe", 3),
        (b'a = "b\n', 1),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(data, line):
    """Text that is no TOML, undecodable bytes and a key given twice name the file and the line."""
    with pytest.raises(
        SettingsFileRefused, match=rf"^/h/config\.toml is not a TOML file: .*at line {line}\b"
    ):
        SettingsFile.parse(FILE, data)


def test_values_in_too_many_lists_are_refused():
    """A file of brackets is a sentence, whatever the parser makes of its depth."""
    with pytest.raises(SettingsFileRefused):
        SettingsFile.parse(FILE, b"a = " + b"[" * 60_000)


LINES = """# receive_from stands below, and so does json
json = false # receive_from

verbose = true
receive_from = [
  "alice", # with = signs
  "bob",
]
idle_limit = \'\'\'
json = 3
\'\'\'
"quiet" = true
'emit_to' = "bob"
"emit_\\u0077ait" = 3
[record_size]
a = 1
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("json", 2),
        ("verbose", 4),
        ("receive_from", 8),
        ("idle_limit", 11),
        ("quiet", 12),
        ("emit_to", 13),
        ("record_size", 15),
    ],
)
def test_a_line_is_where_its_value_ends(key, line, ending):
    """Keys in comments and in other values mislead nobody; a value of several lines ends on its last."""
    assert SettingsFile.parse(FILE, LINES.replace("\n", ending).encode()).line_of(key) == line


def test_a_key_that_is_spelt_with_escapes_has_a_line():
    """A key whose letters are not in the file is told with some line of it rather than failing."""
    file = SettingsFile.parse(FILE, LINES.encode())
    assert file.values["emit_wait"] == 3
    assert 1 <= file.line_of("emit_wait") <= len(LINES.split("\n"))


def test_the_last_line_needs_no_end():
    """A file without a final line end has lines all the same."""
    assert SettingsFile.parse(FILE, b"quiet = true\njson = true").line_of("json") == 2
