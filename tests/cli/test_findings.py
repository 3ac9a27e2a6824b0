import pytest

from selo.agents.cli.findings import Level, guarded, note, ok, problem, warning
from selo.errors import LocalFault, MisuseError


def test_only_what_is_well_has_no_fix():
    """Every other level names one, and `ok` none."""
    assert (ok("a", "b").fix, ok("a", "b").level) == ("", Level.OK)
    for make in (note, warning, problem):
        assert make("a", "b", "c").fix == "c"
        with pytest.raises(MisuseError):
            make("a", "b", "")


def test_what_stops_the_looking_is_a_finding():
    """What was found before stays, the error's hint is the fix, and any exception is told."""
    error = LocalFault("it went wrong")
    error.hint = "do this"

    def looking(failure):
        yield ok("a", "b")
        raise failure

    assert [*guarded("s", looking(error))] == [ok("a", "b"), problem("s", "it went wrong", "do this")]
    (_, found) = guarded("s", looking(KeyError("x")))
    assert (found.level, found.seen) == (Level.PROBLEM, "could not be looked at: KeyError: 'x'")
    assert "report" in found.fix
