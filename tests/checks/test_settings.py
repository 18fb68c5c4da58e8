"""The checks section of a profile: what is wrong is told all at once, with what is allowed."""

import pytest

from gateway.checks import Judge
from gateway.errors import ProfileError
from tests.checks.support import water_layout

LAYOUT = water_layout()


def told(settings):
    with pytest.raises(ProfileError) as caught:
        Judge({}, {}).bind(LAYOUT, settings, "water/acme.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (
            {"sequence_gaps": True},
            ["checks.sequence_gaps: no such check", "did you mean 'sequence_gap'"],
        ),
        ({"fare_mismatch": True}, ["checks.fare_mismatch: does not apply to water_meter"]),
        (
            {"future_timestamp": {"minr": 3}},
            ["checks.future_timestamp.minr: no such parameter", "did you mean 'minor'?"],
        ),
        ({"future_timestamp": {"minor": "60 s"}}, ["checks.future_timestamp.minor", "'60 s'"]),
        ({"future_timestamp": {"minor": 900}}, ["`minor` must not be above `major`"]),
        (
            {"value_out_of_range": {"volum": {"low": 0}}},
            ["checks.value_out_of_range.volum: no number", "did you mean 'volume'?"],
        ),
        (
            {"value_out_of_range": {"volume": {"lo": 0}}},
            ["checks.value_out_of_range.volume.lo", "did you mean 'low'?"],
        ),
        ({"value_out_of_range": {"volume": {"low": 3, "high": 1}}}, ["`low` must be below `high`"]),
        ({"value_out_of_range": {"volume": {}}}, ["give `low`, `high` or both"]),
        ({"value_out_of_range": {"volume": {"low": float("nan")}}}, ["volume.low", "nan"]),
        ({"value_out_of_range": {"valve": {"low": 0}}}, ["value_out_of_range.valve: no number"]),
        ({"register_decrease": {"tolerance": {"volum": 1}}}, ["tolerance.volum", "volume"]),
        ({"register_rollover": {"span": 0.9}}, ["register_rollover.span", "0.9"]),
        ({"sequence_gap": 3}, ["checks.sequence_gap", "got 3"]),
    ],
)
def test_a_fault_is_told_with_its_place_and_what_may_be(settings, parts):
    message = told(settings)
    assert message.startswith("water/acme.yaml: checks.")
    for part in parts:
        assert part in message


def test_all_faults_are_told_at_once():
    message = told({"nonsense": True, "register_rollover": {"span": 0}, "fare_mismatch": True})
    assert len(message.splitlines()) == 3


def test_quantities_of_other_blocks_of_the_profile_may_have_limits():
    settings = {"value_out_of_range": {"battery_voltage": {"low": 2.0}}, "sequence_gap": True}
    assert Judge({}, {}).bind(LAYOUT, settings, "t").settings.ranges
