import pytest

from selo.agents.cli.checks_settings import settings
from selo.agents.cli.findings import Level


@pytest.mark.parametrize(
    "text",
    ["not toml", 'record_size = "5 bananas"\n', 'recordsize = "1MiB"\n', "quiet = true\nverbose = true\n"],
)
def test_a_settings_file_that_cannot_be_meant_is_a_problem(text, home, mend):
    """Not TOML, a value, a name or a contradiction; with the file put aside all is well."""
    home.settings_file.write_text(text)
    (found,) = settings(home, {}, {})
    assert found.level is Level.PROBLEM
    assert str(home.settings_file) in found.seen
    mend(found)
    assert [each.level for each in settings(home, {}, {})] == [Level.OK]
    assert home.settings_file.with_name("config.toml.old").read_text() == text


def test_a_variable_that_cannot_be_meant_is_the_one_to_unset(home):
    """The fix names it, and without it all is well."""
    (found,) = settings(home, {"SELO_RECORD_SIZE": "banana"}, {})
    assert (found.level, found.fix) == (Level.PROBLEM, "unset SELO_RECORD_SIZE")
    (found,) = settings(home, {}, {})
    assert found.level is Level.OK


def test_a_flag_that_cannot_be_meant_is_a_problem(home):
    """The line is at fault, not file or environment."""
    (found,) = settings(home, {}, {"suite": "roman"})
    assert (found.level, found.fix) == (Level.PROBLEM, "selo doctor, without the option")


def test_a_variable_that_sets_nothing_is_a_warning(home):
    """With the likely name; the settings themselves are well."""
    found, well = settings(home, {"SELO_RECORD_SIZ": "1MiB"}, {})
    assert (found.level, found.fix) == (Level.WARNING, "unset SELO_RECORD_SIZ")
    assert "SELO_RECORD_SIZE" in found.seen
    assert well.level is Level.OK


def test_settings_that_read_are_counted(home):
    """What the file and the variables say."""
    home.settings_file.write_text('record_size = "64KiB"\n')
    (found,) = settings(home, {"SELO_QUIET": "true"}, {})
    assert f"{home.settings_file} reads; 2 of" in found.seen
