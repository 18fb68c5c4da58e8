"""What the profile language can say beyond plain fields, each by a message and its reading."""

import json
import re
from pathlib import Path

import pytest

from gateway.deciding import Decided, Decider
from gateway.errors import ProfileError
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


DAY = 86_400 * 10**9
MARCH = "2026-03-01T00:00:00+08:00"
MARCH_NS = 1_772_294_400 * 10**9


@pytest.fixture
def by_date(tmp_path: Path) -> Path:
    (tmp_path / "families").mkdir()
    (tmp_path / "families" / "acme.yaml").write_text(FAMILY)
    since, until = (f'valid: {{{word}: "{MARCH}"}}\n' for word in ("from", "until"))
    (tmp_path / "acme.yaml").write_text(HEAD.format(version="2.0.0", unit="m3") + since)
    (tmp_path / "acme@1.0.0.yaml").write_text(HEAD.format(version="1.0.0", unit="L") + until)
    return tmp_path


@pytest.mark.parametrize("named", [None, "acme"])
def test_versions_part_their_messages_by_the_time_of_receipt(by_date: Path, named):
    devices = {"a": Device(device_id="a", profile=named)} if named else {}
    decider = Decider(load_profiles([KINDS, by_date]), devices, {}, registry_known=False)
    decided = Decided()
    times = [MARCH_NS - DAY, MARCH_NS - 1, MARCH_NS, MARCH_NS + DAY]
    decider.decide(Batch(["acme/a"] * 4, [b'{"v":5}'] * 4, times, 0), decided)
    assert [(r.profile, r.quantities["volume"]) for r in decided.readings] == [
        ("acme@1.0.0", 0.005), ("acme@1.0.0", 0.005), ("acme@2.0.0", 5.0), ("acme@2.0.0", 5.0),
    ]  # fmt: skip


def test_a_message_from_when_no_version_holds_is_told_so(by_date: Path):
    (by_date / "acme@1.0.0.yaml").unlink()
    decider = Decider(load_profiles([KINDS, by_date]), {}, {}, registry_known=False)
    decided = Decided()
    decider.decide(Batch(["acme/a"], [b'{"v":5}'], [MARCH_NS - 1], 0), decided)
    (refused,) = decided.quarantined
    assert refused.reason == "no_profile"
    assert "received when none of acme@2.0.0 is 'valid'" in refused.detail


LEVELS = """\
match: {topic: "shop/{device_id}/{side}/{metric}"}
read:
  - when: {"{metric}": [total, energy]}
    channel: "nozzle-{side}"
    totaliser_volume: {from: $, unit: L}
  - when: {"{metric}": price}
    channel: "{side}"
    unit_price: {from: $, scale: 0.01}
ignore: {when: {"{metric}": state}}
"""


def test_topic_levels_choose_the_block_and_name_the_channel():
    head = "profile: under-test\nversion: 1.0.0\nextends: kinds/fuel-dispenser\n"
    profile = compiled(f"{head}title: {{en: a, zh: a}}\n{LEVELS}", "fuel-dispenser")
    (total,) = profile.read("1234.5", side="left", metric="total") or ()
    assert (total.channel, total.quantities) == ("nozzle-left", {"totaliser_volume": 1234.5})
    (price,) = profile.read("789", side="right", metric="price") or ()
    assert (price.channel, price.quantities) == ("right", {"unit_price": 7.89})
    assert profile.read("0", side="left", metric="state") is None
    assert profile.refusal("1", side="left", metric="else").reason == "no_reading"


def test_a_topic_that_is_ignored_by_its_level_is_not_even_decoded(tmp_path: Path):
    head = "profile: x\nversion: 1.0.0\nextends: kinds/fuel-dispenser\ntitle: {en: x, zh: x}\n"
    (tmp_path / "x.yaml").write_text(head + LEVELS)
    decider = Decider(load_profiles([KINDS, tmp_path]), {}, {}, registry_known=False)
    decided = Decided()
    topics = ["shop/d/left/state", "shop/d/left/total", "shop/d/left/state"]
    decider.decide(Batch(topics, [b"on", b"7", b"off"], [0, 0, 0], 0), decided)
    assert (decided.counters.ignored, decided.counters.stored) == (2, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("match: {when: {'{device_id}': a}}\nread: {volume: {from: v, unit: L}}",
         "match.when.{device_id}: which topics are this profile's, 'topic' says"),
        ("read: {when: {'{side}': a}, volume: {from: v, unit: L}}",
         "read.when.{side}: not every topic of 'match' has a level {side}; they have {device_id}"),
        ("read: {when: {'{device_id}': {is: present}}, volume: {from: v, unit: L}}",
         "read.when.{device_id}: a level of the topic is always there"),
    ],
)  # fmt: skip
def test_a_condition_on_a_level_that_is_not_there_is_told(tmp_path: Path, text, said):
    topic = 'match: {topic: "a/{device_id}"}\n'
    text = text.replace("match: {", 'match: {topic: "a/{device_id}", ')
    head = "profile: x\nversion: 1.0.0\nextends: kinds/water-meter\ntitle: {en: x, zh: x}\n"
    file = tmp_path / "x.yaml"
    file.write_text(head + ("" if text.startswith("match") else topic) + text)
    with pytest.raises(ProfileError) as refused:
        load_profiles([KINDS, file])
    assert said in str(refused.value)


TEXTS = compiled(
    """
read:
  measured_at: {from: date, then: clock, time: "%d.%m.%Y %H:%M", zone: Asia/Shanghai}
  quality: {from: q, map: {A: valid, E: estimated, 7: questionable}}
  sequence: {from: n, modulus: 256, text: hex}
  status:
    - {from: st, bits: {0: battery_low, 6: leak}, text: hex}
    - {from: code, words: {0: null, 3: tilt}}
  volume: {from: v, unit: L, text: hex}
""",
    "water-meter",
)


def test_numbers_in_texts_and_a_time_in_two_fields():
    (reading,) = (
        TEXTS.read(
            '{"date":"02.01.2026","clock":"08:30","q":"E","n":"ff","st":"0x41","code":3,"v":"0004e2"}'
        )
        or ()
    )
    assert reading.measured_at == 1_767_313_800 * 10**9
    assert (reading.sequence, reading.quality) == (255, "estimated")
    assert reading.status == ("battery_low", "leak", "tilt")
    assert reading.quantities == {"volume": 1.25}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"clock": 5}, "wrong_type"), ({"clock": None}, "missing_field"),
        ({"clock": "25:00"}, "bad_time"), ({"q": "X"}, "unknown_word"), ({"n": "xy"}, "wrong_type"),
        ({"st": "0x"}, "wrong_type"), ({"st": "f" * 16}, "wrong_type"),
        ({"code": 4}, "unknown_word"),
        ({"code": {}}, "unknown_word"), ({"v": "12.5"}, "wrong_type"),
        ({"v": "ffffffffffffff"}, "absurd_number"),
    ],
)  # fmt: skip
def test_what_those_texts_cannot_mean_is_refused(change, reason):
    message = {"date": "02.01.2026", "clock": "08:30", "n": "1", "v": "1"} | change
    assert TEXTS.refusal(json.dumps(message)).reason == reason


def test_an_epoch_may_come_as_text():
    profile = compiled(
        "read: {measured_at: {from: t, time: epoch_ms, text: true}, volume: {from: v, unit: m3}}",
        "water-meter",
    )
    for text in ("1767225600000", "1767225600000.0"):
        (reading,) = profile.read(json.dumps({"t": text, "v": 1})) or ()
        assert reading.measured_at == 1_767_225_600 * 10**9
    assert profile.refusal('{"t":"1.7e12","v":1}').reason == "bad_time"
    assert profile.refusal('{"t":1767225600000,"v":1}').reason == "wrong_type"


def test_a_quality_that_the_message_does_not_say_is_the_default():
    profile = compiled(
        "read:\n  measured_at: {from: t, time: epoch_s, optional: true}\n"
        "  quality: {from: q, map: {ok: valid}, default: estimated}\n"
        "  volume: {from: v, unit: m3}",
        "water-meter",
    )
    told = {'"q":"ok"': "valid", '"x":1': "estimated"}
    for text, quality in told.items():
        (reading,) = profile.read(f'{{"t":1767225600,"v":1,{text}}}') or ()
        assert reading.quality == quality
    (reading,) = profile.read('{"v":1,"q":"ok"}') or ()
    assert reading.quality == "questionable"


def test_a_type_approval_is_a_number_or_all_that_is_known_of_it():
    said = "{number: 2024F123-32, authority: SAMR, issued: 2024-05-01, until: '2029-04-30'}"
    profile = compiled(
        f"instrument: {{type_approval: {said}}}\nread: {{volume: {{from: v, unit: L}}}}",
        "water-meter",
    )
    assert profile.profile.model.instrument.type_approval.until == "2029-04-30"


def test_an_envelope_of_text_is_nothing_but_the_payload(tmp_path: Path):
    file = tmp_path / "x.yaml"
    file.write_text(
        "profile: x\nversion: 1.0.0\nextends: kinds/water-meter\ntitle: {en: x, zh: x}\n"
        'match: {topic: "a/{device_id}"}\n'
        "decode: {format: binary, envelope: {format: text, encoding: hex}, "
        "seq: [{id: v, type: u4}]}\nread: {volume: {from: v, unit: L}}\n"
    )
    decider = Decider(load_profiles([KINDS, file]), {}, {}, registry_known=False)
    decided = Decided()
    payloads = [b"000003e8", b" 0x00 00 07 d0\r\n", b"zz", b"\xff"]
    decider.decide(Batch(["a/b"] * 4, payloads, [0] * 4, 0), decided)
    assert [reading.quantities["volume"] for reading in decided.readings] == [1.0, 2.0]
    assert [row.reason for row in decided.quarantined] == ["unparseable"] * 2


def test_an_envelope_says_where_the_payload_stands(tmp_path: Path):
    for said in ("{encoding: hex}", "{format: text, payload: a}"):
        file = tmp_path / "x.yaml"
        file.write_text(
            "profile: x\nversion: 1.0.0\nextends: kinds/water-meter\ntitle: {en: x, zh: x}\n"
            f'match: {{topic: "a/{{device_id}}"}}\ndecode: {{format: cbor, envelope: {said}}}\n'
            "read: {volume: {from: v, unit: L}}\n"
        )
        with pytest.raises(ProfileError, match=r"decode\.envelope: say where the payload stands"):
            load_profiles([KINDS, file])


NOZZLES = compiled(
    """
read:
  each: pumps[].nozzles
  when: {tot: {is: present}}
  device_id: "{$.station}-{^.pump}"
  channel: {from: no}
  measured_at: {from: $.ts, time: epoch_s}
  totaliser_volume: {from: tot, unit: {from: ^.unit, default: L}}
ignore: {each: "pumps[].nozzles", when: {state: off}}
""",
    "fuel-dispenser",
)


def test_an_array_in_an_array_gives_a_reading_for_each_inner_item():
    readings = NOZZLES.read(
        '{"station":"S7","ts":1767225600,"pumps":['
        '{"pump":1,"nozzles":[{"no":1,"tot":5},{"no":2,"state":"off"}]},'
        '{"pump":2,"unit":"m3","nozzles":[{"no":1,"tot":7.5}]},{"pump":3,"nozzles":[]}]}'
    )
    assert readings is not None
    assert [(r.device_id, r.channel, r.quantities) for r in readings] == [
        ("S7-1", "1", {"totaliser_volume": 5.0}), ("S7-2", "1", {"totaliser_volume": 7500.0}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "reason", "said"),
    [
        ('{"ts":1767225600,"pumps":[{"pump":1,"nozzles":[{"no":1,"tot":5}]}]}',
         "missing_field", "`$.station`"),
        ('{"station":"S","ts":1767225600,"pumps":[{"nozzles":[{"no":1,"tot":5}]}]}',
         "missing_field", "`$.pumps[].pump`"),
        ('{"station":"S","ts":1767225600,"pumps":[{"pump":1,"nozzles":{"no":1}}]}',
         "wrong_type", "`$.pumps[0].nozzles` is an object, expected an array"),
        ('{"station":"S","ts":1767225600,"pumps":[]}', "no_reading", "fits no block"),
        ('{"station":"S","ts":1767225600,"pumps":[{"pump":1,"nozzles":[{"no":1}]}]}',
         "no_reading", "an item of the array fits no block"),
    ],
)  # fmt: skip
def test_what_an_inner_item_lacks_is_told_with_its_place(message, reason, said):
    refused = NOZZLES.refusal(message)
    assert (refused.reason, said in refused.detail) == (reason, True)


def test_a_mapping_of_any_keys_gives_a_reading_for_each_value():
    profile = compiled(
        'read: {each: "data.*", device_id: {from: "*"}, measured_at: {from: $.ts, time: epoch_s}, '
        "volume: {from: m3, unit: m3}}",
        "water-meter",
    )
    readings = profile.read('{"ts":1767225600,"data":{"W1":{"m3":1.5},"W2":{"m3":2.5,"x":[]}}}')
    assert [(r.device_id, r.quantities["volume"]) for r in readings or ()] == [
        ("W1", 1.5), ("W2", 2.5),
    ]  # fmt: skip
    assert profile.refusal('{"ts":1767225600,"data":[]}').reason == "wrong_type"
    assert profile.refusal('{"ts":1767225600,"data":{"W1":{}}}').reason == "missing_field"
    assert profile.refusal('{"ts":1767225600,"data":{"W1":{"m3":1},"W1":{"m3":2}}}').reason == (
        "duplicate_key"
    )


def test_a_key_may_be_the_time_and_the_item_itself_the_value():
    profile = compiled(
        'read: {each: "hist.*", measured_at: {from: "*", zone: Asia/Shanghai}, '
        "volume: {from: ., unit: m3}}",
        "water-meter",
    )
    readings = profile.read('{"hist":{"2026-01-01 08:00:00":1.5,"2026-01-02 08:00:00":2.5}}')
    assert [(r.measured_at, r.quantities["volume"]) for r in readings or ()] == [
        (1_767_225_600 * 10**9, 1.5), (1_767_312_000 * 10**9, 2.5),
    ]  # fmt: skip
    assert profile.refusal('{"hist":{"today":1.5}}').reason == "bad_time"


def test_the_key_of_the_item_around_is_reached_too():
    profile = compiled(
        'read: {each: "*.regs", device_id: {from: "^.*"}, channel: {from: n}, '
        "energy_import: {from: v, unit: kWh}}"
    )
    readings = profile.read(
        '{"E1":{"regs":[{"n":"T1","v":1}]},"E2":{"regs":[{"n":"T1","v":3},{"n":"T2","v":4}]}}'
    )
    assert [(r.device_id, r.channel, r.values[0]) for r in readings or ()] == [
        ("E1", "T1", 1.0), ("E2", "T1", 3.0), ("E2", "T2", 4.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("read: {each: a, volume: {from: 'b[].c', unit: L}}", "which only 'each' does"),
        ("read: {each: a, volume: {from: b.*, unit: L}}", "which only 'each' does"),
        ("read: [{each: a, volume: {from: b, unit: L}}, {each: a.*, volume: {from: b, unit: L}}]",
         "read as an array and as a mapping of any keys"),
    ],
)  # fmt: skip
def test_marks_of_each_elsewhere_are_told(text, said):
    with pytest.raises(ProfileError, match=re.escape(said)):
        compiled(text, "water-meter")
