import pytest

from selo.config.catalogue import CATALOGUE
from selo.config.choices import CLASHES, Chosen, Origin, Source, settle
from selo.config.errors import SettingsContradict
from selo.config.policy import Overwrite


def chosen(source, **values):
    """One layer: what one source says."""
    return {name: Chosen(value, Origin(source, name)) for name, value in values.items()}


def values_of(settled):
    """Values alone."""
    return {name: each.value for name, each in settled.items()}


def test_every_clash_is_between_settings_and_has_a_reason():
    """No rule speaks of a setting that there is not."""
    for clash in CLASHES:
        assert {clash.first, clash.second} <= set(CATALOGUE)
        assert clash.first != clash.second
        assert clash.reason


def test_the_origin_of_what_lost_names_the_winner():
    """Both places stay visible."""
    settled = settle(
        [
            chosen(Source.ENVIRONMENT, receive_connect="tcp://h:1"),
            chosen(Source.FLAG, receive_bind="tcp://*:1"),
        ]
    )
    assert values_of(settled) == {"receive_connect": None, "receive_bind": "tcp://*:1"}
    assert str(settled["receive_connect"].origin) == "SELO_RECEIVE_CONNECT, overruled by --bind"


def test_what_says_nothing_overrules_nothing():
    """A nearer `no` leaves a farther `yes` of the other setting alone."""
    settled = settle([chosen(Source.FILE, verbose=True), chosen(Source.ENVIRONMENT, quiet=False)])
    assert values_of(settled) == {"verbose": True, "quiet": False}


def test_overwriting_clashes_with_standard_output_alone():
    """A file can be overwritten, also one that is called `-` in this folder."""
    for way in (Overwrite.REPLACE, Overwrite.RENAME):
        for output in ("file", "./-"):
            layer = chosen(Source.FLAG, receive_overwrite=way, receive_output=output)
            assert settle([layer]) == layer
        with pytest.raises(SettingsContradict, match="^--overwrite contradicts --output: "):
            settle([chosen(Source.FLAG, receive_overwrite=way, receive_output="-")])
    layer = chosen(Source.FLAG, receive_overwrite=Overwrite.NEVER, receive_output="-")
    assert settle([layer]) == layer


def test_a_setting_without_a_flag_is_named_by_itself():
    """Programs may give any setting where flags stand."""
    assert str(Origin(Source.FLAG, "idle_limit")) == "idle_limit"
    assert Origin(Source.DEFAULT, "idle_limit").place == "idle_limit"
