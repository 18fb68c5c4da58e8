"""What the profile language can say beyond plain fields, each by a message and its reading."""

from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.pipeline import Decided, Decider
from gateway.profiles import load_profiles
from gateway.profiles.meaning import limits_in_canonical_units
from gateway.profiles.notation import Select, parse_path
from gateway.records import Batch, Device
from tests.compiled import KINDS, compiled

SAMPLES = compiled(
    """
read:
  energy_import:
    from: samples[name=energy,phase=0].value
    unit: {from: "samples[name=energy,phase=0].unit", units: {wh: Wh, kwh: kWh}, default: kWh}
  voltage:
    channels: {L1: "samples[name=u,phase=1].value", L2: "samples[name=u,phase=2].value"}
    unit: V
"""
)


def test_a_selection_takes_the_item_with_these_values():
    readings = SAMPLES.read(
        '{"samples":[{"name":"u","phase":2,"value":231},null,{"name":"energy","phase":1,"value":9},'
        '{"name":"energy","phase":"0","value":1500,"unit":"wh"},{"name":"u","phase":1,"value":230}]}'
    )
    assert readings is not None
    assert {r.channel: r.quantities for r in readings} == {
        "total": {"energy_import": 1.5}, "L1": {"voltage": 230.0}, "L2": {"voltage": 231.0},
    }  # fmt: skip


def test_a_selection_that_finds_nothing_is_a_missing_field():
    refused = SAMPLES.refusal('{"samples":[{"name":"u","phase":1,"value":230}]}')
    assert refused.reason == "missing_field"
    assert "samples[]" in refused.detail


@pytest.mark.parametrize(("unit", "value"), [("kwh", 1500.0), ("wh", 1.5), (None, 1500.0)])
def test_the_message_tells_the_unit(unit, value):
    said = f',"unit":"{unit}"' if unit else ""
    readings = SAMPLES.read(
        f'{{"samples":[{{"name":"energy","phase":0,"value":1500{said}}},'
        '{"name":"u","phase":1,"value":230}]}'
    )
    assert readings is not None
    assert readings[0].quantities == {"energy_import": value}


def test_a_unit_that_the_profile_does_not_name_is_refused():
    refused = SAMPLES.refusal(
        '{"samples":[{"name":"energy","phase":0,"value":1,"unit":"J"},'
        '{"name":"u","phase":1,"value":230}]}'
    )
    assert refused.reason == "unknown_word"
    assert "'J' is none of 'wh', 'kwh'" in refused.detail


def test_a_unit_may_be_ucum_in_the_message_itself():
    profile = compiled("read: {energy_import: {from: v, unit: {from: u}}}")
    assert profile.one('{"v":3.6,"u":"MJ"}') == {"energy_import": 1.0}
    assert profile.refusal('{"v":3.6,"u":"L"}').reason == "unknown_word"
    assert profile.refusal('{"v":3.6}').reason == "missing_field"


@pytest.mark.parametrize(
    ("operation", "result"),
    [("sum", 9.0), ("difference", 3.0), ("product", 18.0), ("quotient", 2.0)],
)
def test_a_quantity_is_derived_from_several_places(operation, result):
    profile = compiled(f"read: {{energy_import: {{{operation}: [a, b.c], unit: kWh}}}}")
    assert profile.one('{"a":6,"b":{"c":3}}') == {"energy_import": result}
    assert profile.refusal('{"a":6,"b":{}}').reason == "missing_field"


def test_a_derived_quantity_may_be_absent_and_is_converted_once():
    profile = compiled(
        "read: {energy_import: {sum: [a, b], unit: Wh, scale: 10, optional: true},"
        " energy_export: {quotient: [a, n], unit: kWh, optional: true}}"
    )
    assert profile.one('{"a":6,"b":3,"n":0}') == {"energy_import": 0.09}
    assert profile.one('{"a":6,"n":4}') == {"energy_export": 1.5}


def test_a_factor_comes_from_the_registry():
    text = "read: {volume: {from: pulses, unit: L, scale: {parameter: pulse_weight}}}"
    device = Device(device_id="m1", parameters={"pulse_weight": 10})
    profile = compiled(text, "water-meter", {"m1": device})
    assert profile.one('{"pulses":123}') == {"volume": 1.23}
    refused = compiled(text, "water-meter").refusal('{"pulses":123}')
    assert refused.reason == "missing_parameter"
    assert "'pulse_weight' of m1" in refused.detail
    default = text.replace("pulse_weight}", "pulse_weight, default: 2.5}")
    assert compiled(default, "water-meter").one('{"pulses":2}') == {"volume": 0.005}
    broken = Device(device_id="m1", parameters={"pulse_weight": "ten"})
    assert compiled(text, "water-meter", {"m1": broken}).refusal('{"pulses":1}').reason == (
        "missing_parameter"
    )


def test_status_stands_in_several_places():
    profile = compiled(
        """
read:
  energy_import: {from: e, unit: kWh}
  status:
    - {from: bits, bits: {0: cover_open, 1: battery_low}}
    - {flags: {"alarm.low": battery_low, "alarm.tilt": tilt}}
"""
    )
    (reading,) = profile.read('{"e":1,"bits":3,"alarm":{"low":true,"tilt":0}}') or []
    assert reading.status == ("cover_open", "battery_low")
    (reading,) = profile.read('{"e":1,"alarm":{"tilt":1}}') or []
    assert reading.status == ("tilt",)


def test_paths_as_text_and_as_list_say_the_same():
    assert parse_path("a[n=x].v")[1] == Select((("n", ("x",)),))
    assert parse_path(["a", {"n": 1}, "v"])[1] == Select((("n", (1,)),))
    with pytest.raises(ValueError, match="cannot read the path"):
        parse_path("a[n=].v")


def test_ratings_of_the_plate_bound_what_a_reading_may_be():
    profile = compiled(
        "instrument: {ratings: {q3: 2.5 m3/h, q4: 3125 L/h}}\n"
        "read: {flow_rate: {from: q, unit: L/h}}",
        "water-meter",
    )
    assert limits_in_canonical_units(profile.profile.model)["flow_rate"]["high"] == 3.125
    with pytest.raises(ProfileError, match=r"instrument.ratings.i_max: .*water_meter"):
        compiled("instrument: {ratings: {i_max: 60 A}}\nread: {flow_rate: {from: q, unit: L/h}}",
                 "water-meter")  # fmt: skip


HEAD = """\
profile: acme
version: {version}
extends: [kinds/water-meter, families/acme]
title: {{en: ACME, zh: ACME}}
read: {{volume: {{from: v, unit: {unit}}}}}
"""
FAMILY = """\
profile: families/acme
version: 1.0.0
abstract: true
title: {en: ACME family, zh: ACME 系列}
match: {topic: "acme/{device_id}"}
"""


@pytest.fixture
def two_versions(tmp_path: Path) -> Path:
    (tmp_path / "families").mkdir()
    (tmp_path / "families" / "acme.yaml").write_text(FAMILY)
    (tmp_path / "acme.yaml").write_text(HEAD.format(version="2.0.0", unit="m3"))
    (tmp_path / "acme@1.0.0.yaml").write_text(HEAD.format(version="1.0.0", unit="L"))
    return tmp_path


def test_two_versions_live_at_once(two_versions: Path):
    profiles = load_profiles([KINDS, two_versions])
    old = Device(device_id="old", profile="acme@1.0.0")
    decider = Decider(profiles, {"old": old}, {}, registry_known=False)
    decided = Decided()
    decider.decide(Batch(["acme/old", "acme/new"], [b'{"v":5}'] * 2, [0, 0], 0), decided)
    assert [(r.profile, r.quantities) for r in decided.readings] == [
        ("acme@1.0.0", {"volume": 0.005}), ("acme@2.0.0", {"volume": 5.0}),
    ]  # fmt: skip


def test_a_file_that_keeps_a_version_must_be_of_that_version(two_versions: Path):
    (two_versions / "acme@1.1.0.yaml").write_text(HEAD.format(version="1.0.0", unit="L"))
    with pytest.raises(ProfileError, match=r"acme@1\.1\.0\.yaml:2:1: version: must be the file's"):
        load_profiles([KINDS, two_versions])


def test_a_circle_of_families_is_told(two_versions: Path):
    with (two_versions / "families" / "acme.yaml").open("a") as file:
        file.write("extends: families/acme\n")
    with pytest.raises(ProfileError, match="circle: families/acme -> families/acme"):
        load_profiles([KINDS, two_versions])
