"""Channels, identity, and several readings in one message."""

import json

import pytest

from gateway.errors import DecodeError
from tests.compiled import TS, compiled
from tests.normalising import ANYTHING, block, message

# -- identity and channels -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["电表-7", "a b", "x" * 128])
def test_a_device_in_any_script_is_a_device(name):
    meter = compiled(block("device_id: {from: id}\nenergy_import: {from: ep, unit: kWh}"))
    assert meter.read(message(id=name, ep=1))[0].device_id == name


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "a\u0000b", "\u202e"])
def test_a_device_without_a_printable_name_is_refused(name):
    meter = compiled(block("device_id: {from: id}\nenergy_import: {from: ep, unit: kWh}"))
    assert meter.refusal(message(id=name, ep=1)).reason == "bad_device_id"
    channel = compiled(block("channel: {from: ch}\nenergy_import: {from: ep, unit: kWh}"))
    assert channel.refusal(message(ch=name, ep=1)).reason == "bad_channel"


def test_an_identity_falls_back_and_what_follows_is_still_read():
    text = 'match: {topic: "t/{device_id}/{display}"}\n' + block(
        'device_id: {from: a.id, unless: ["---", ""], otherwise: "{display}-{b.no}"}\n'
        "energy_import: {from: b.ep, unit: kWh}"
    )
    text = text.replace('match: {topic: "t/{device_id}/{display}"}\n', "")
    head = (
        "profile: under-test\nversion: 1.0.0\nextends: kinds/electricity-meter\n"
        'title: {en: a, zh: b}\nmatch: {topic: "t/{device_id}/{display}"}\n'
    )
    meter = compiled(head + text)
    body = {"no": 3, "ep": 5}
    for absent in ({}, {"id": "---"}, {"id": ""}, {"id": None}):
        (reading,) = meter.read(message(a=absent, b=body), display="d9")
        assert (reading.device_id, reading.values) == ("d9-3", (5.0,))
    (reading,) = meter.read(message(a={"id": "real"}, b={"ep": 5}), display="d9")
    assert (reading.device_id, reading.values) == ("real", (5.0,))


def test_channels_that_are_there_become_readings_and_the_others_do_not():
    meter = compiled(
        block(
            "energy_import: {channels: {total: e.t, T1: e.a, T2: e.b}, unit: kWh}\n"
            "power_active: {from: p, unit: kW, optional: true}"
        )
    )
    got = {r.channel: r.quantities for r in meter.read(message(e={"t": 3, "T1": 9, "b": 2}, p=1))}
    assert got == {
        "total": {"energy_import": 3.0, "power_active": 1.0},
        "T2": {"energy_import": 2.0},
    }


def test_one_of_the_channels_must_be_there_unless_they_are_optional():
    spec = "energy_import: {channels: {total: e.t, T1: e.a}, unit: kWh}\n"
    spec += "frequency: {from: f, unit: Hz}"
    refused = compiled(block(spec)).refusal(message(f=50, e={}))
    assert (refused.reason, "`$.e.t`, `$.e.a`" in refused.detail) == ("missing_field", True)
    optional = compiled(block(spec.replace("kWh}", "kWh, optional: true}")))
    assert optional.one(message(f=50)) == {"frequency": 50.0}


PHASES = "voltage: {each: u, channels: [L1, L2, L3], unit: V}"


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        ([230, 231, 232], {"L1": 230.0, "L2": 231.0, "L3": 232.0}),
        ([230], {"L1": 230.0}),
        ([230, None, 232], {"L1": 230.0, "L3": 232.0}),
        ([None, None, 232], {"L3": 232.0}),
    ],
)
def test_an_array_becomes_one_reading_for_each_channel_that_is_there(array, expected):
    readings = compiled(block(PHASES)).read(message(u=array))
    assert {r.channel: r.values[0] for r in readings} == expected


@pytest.mark.parametrize(
    ("array", "code"),
    [
        ([], "wrong_type"),
        ([1, 2, 3, 4], "wrong_type"),
        ([None, None, None], "missing_field"),
        (None, "missing_field"),
        ({}, "wrong_type"),
        (230, "wrong_type"),
        (["230"], "wrong_type"),
        ([True], "wrong_type"),
        ([[230]], "wrong_type"),
        ([1e400], "unparseable"),
    ],
)
def test_an_array_that_is_not_as_the_profile_says_is_refused(array, code):
    assert compiled(block(PHASES)).refusal(message(u=array)).reason == code


def test_an_optional_array_may_be_absent_or_empty():
    meter = compiled(
        block(PHASES.replace("V}", "V, optional: true}") + "\nfrequency: {from: f, unit: Hz}")
    )
    for body in ({}, {"u": None}, {"u": []}, {"u": [None]}):
        assert meter.one(message(f=50, **body)) == {"frequency": 50.0}


def test_a_position_in_an_array_is_read_and_may_be_absent():
    meter = compiled(block("energy_import: {from: 'a[1].ep', unit: kWh}"))
    assert meter.one(message(a=[{}, {"ep": 5}])) == {"energy_import": 5.0}
    for body in ({"a": []}, {"a": [{"ep": 1}]}, {}, {"a": [1, None]}, {"a": [{}, None]}):
        assert meter.refusal(message(**body)).reason in {"missing_field", "wrong_type"}


# -- several readings in one message -------------------------------------------------------------

PACKETS = compiled(
    "read:\n"
    "  - {each: packets, when: {type: e}, device_id: '{$.site}-{no}', "
    "measured_at: {from: $.ts, time: epoch_ms}, "
    "energy_import: {from: v, unit: kWh, optional: true}}\n"
    "  - {each: packets, when: {type: u}, measured_at: {from: $.ts, time: epoch_ms}, "
    "voltage: {from: v, unit: V}}\n"
    "ignore:\n"
    "  - {each: packets, when: {type: ping}}\n"
    "  - {when: {hello: true}}\n"
)


def packets(*items: object) -> str:
    return message(site="s", packets=list(items))


def test_each_item_becomes_its_own_reading():
    readings = PACKETS.read(
        packets({"type": "e", "no": 1, "v": 5}, {"type": "u", "v": 230}, {"type": "ping"})
    )
    assert [(r.device_id, r.names, r.values) for r in readings] == [
        ("s-1", ("energy_import",), (5.0,)),
        ("m1", ("voltage",), (230.0,)),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        {},
        {"type": "new"},
        {"type": None},
        {"type": "e", "no": 1},
        {"type": "e", "no": 1, "v": None},
        {"type": "e", "v": 1},
        {"type": "u"},
        {"type": "u", "v": "230"},
    ],
)
def test_one_bad_item_holds_back_the_whole_message(bad):
    good = {"type": "e", "no": 1, "v": 5}
    for items in ([good, bad], [bad, good], [bad]):
        with pytest.raises(DecodeError):
            PACKETS.read(packets(*items))


def test_an_item_that_fits_but_says_nothing_is_told_so():
    assert "none of its quantities" in PACKETS.refusal(packets({"type": "e", "no": 1})).detail
    assert "fits no block" in PACKETS.refusal(packets({"type": "new"})).detail


def test_what_is_ignored_on_purpose_is_no_fault():
    assert PACKETS.read(packets({"type": "ping"}, {"type": "ping"})) is None
    assert PACKETS.read(message(hello=True)) is None
    assert PACKETS.refusal(message(hello=1)).reason == "no_reading"
    assert PACKETS.refusal(packets()).reason == "no_reading"


def test_what_fits_a_block_but_says_nothing_is_not_ignored():
    meter = compiled(
        "read:\n"
        "  - {when: {type: a}, measured_at: {from: ts, time: epoch_ms}, "
        "energy_import: {from: ep, unit: kWh, optional: true}}\n"
        "  - {each: items, when: {type: b}, voltage: {from: u, unit: V}}\n"
        "ignore:\n"
        "  - {each: items, when: {type: ping}}\n"
        "  - {when: {type: a}}\n"
    )
    for body in ({"type": "a"}, {"type": "a", "items": [{"type": "ping"}]}):
        refused = meter.refusal(message(**body))
        assert (refused.reason, "none of its quantities" in refused.detail) == ("no_reading", True)


def test_a_message_that_is_an_array_is_read_item_by_item():
    meter = compiled(
        "read: {each: $, measured_at: {from: ts, time: epoch_ms}, "
        "energy_import: {from: ep, unit: kWh}}"
    )
    readings = meter.read(json.dumps([{"ts": TS, "ep": 1}, {"ts": TS + 1000, "ep": 2}]))
    assert [r.values for r in readings] == [(1.0,), (2.0,)]
    assert meter.refusal("[]").reason == "no_reading"
    assert meter.refusal("{}").reason == "wrong_type"
    assert meter.refusal('[{"ts":1,"ts":2}]').reason == "duplicate_key"


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ("{x: [1, a]}", [1, 1.0, "a"]),
        ("{x: true}", [True]),
        ("{x: 0}", [0, 0.0]),
        ("{x: 'true'}", ["true"]),
    ],
)
def test_a_condition_is_about_values_as_json_has_them(when, fits):
    meter = compiled(
        f"read: {{when: {when}, measured_at: {{from: ts, time: epoch_ms}}, "
        "energy_import: {from: ep, unit: kWh}}"
    )
    for value in [*ANYTHING, "a", "true", 1, 0.0, 1.0]:
        if any(value == each and type(value) is type(each) for each in fits):
            assert meter.one(message(x=value, ep=1))
        else:
            assert meter.refusal(message(x=value, ep=1)).reason == "no_reading", value


def test_present_is_whatever_is_not_null():
    meter = compiled(
        "read:\n"
        "  - {when: {x: {is: present}, y.z: {is: absent}}, "
        "measured_at: {from: ts, time: epoch_ms}, "
        "energy_import: {from: ep, unit: kWh}}\n"
        "  - {when: {x: {is: absent}}, measured_at: {from: ts, time: epoch_ms}, "
        "voltage: {from: ep, unit: V}}\n"
    )
    for value in ANYTHING:
        name = "voltage" if value is None else "energy_import"
        assert meter.one(message(x=value, ep=1)) == {name: 1.0}
        assert meter.refusal(message(x=value or 0, y={"z": False}, ep=1)).reason == "no_reading"
    assert meter.one(message(ep=1)) == {"voltage": 1.0}
    assert meter.refusal(f'{{"ts":{TS},"x":{{"a":1,"a":2}},"ep":1}}').reason == "duplicate_key"
