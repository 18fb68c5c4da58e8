"""From a document to readings: exact values, nothing lost in silence, nothing made up."""

import datetime as dt
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigError, DecodeError
from gateway.profiles import load_profiles
from gateway.profiles.layout import Register
from gateway.quantities import BY_NAME
from gateway.records import Device, Reading
from tests.compiled import PROFILES, RECEIVED, TS, Compiled, compiled
from tests.normalising import ANYTHING, AT, SIMPLE, block, message

# -- a reading -----------------------------------------------------------------------------------


def test_a_reading_carries_everything_that_is_known():
    meter = compiled(SIMPLE)
    assert meter.read(message(ep=12.5)) == [
        Reading(
            device_id="m1",
            kind="electricity_meter",
            event="periodic",
            channel="total",
            measured_at=AT,
            received_at=RECEIVED,
            sequence=None,
            quality="raw",
            status=(),
            currency=None,
            profile="under-test@1.0.0",
            ledger_offset=7,
            names=("energy_import",),
            values=(12.5,),
        )
    ]


def test_a_whole_number_becomes_a_float_and_minus_zero_stays_zero():
    meter = compiled(SIMPLE)
    assert type(meter.one(message(ep=12))["energy_import"]) is float
    assert meter.one('{"ts":1767225600000,"ep":-0}')["energy_import"] == 0


def test_what_is_absent_is_not_zero():
    meter = compiled(
        block("energy_import: {from: ep, unit: kWh}\nvoltage: {from: u, unit: V, optional: true}")
    )
    assert meter.one(message(ep=1)) == {"energy_import": 1.0}
    assert meter.one(message(ep=1, u=None)) == {"energy_import": 1.0}
    assert meter.one(message(ep=1, u=0)) == {"energy_import": 1.0, "voltage": 0.0}


@pytest.mark.parametrize("body", [{}, {"ep": None}])
def test_what_must_be_there_is_missed(body):
    refused = compiled(SIMPLE).refusal(message(**body))
    assert refused.reason in {"missing_field", "wrong_type"}
    assert "ep" in refused.detail


def test_what_must_be_there_behind_a_condition_is_missed_too():
    meter = compiled(
        "read:\n  - when: {type: a}\n    measured_at: {from: ts, time: epoch_ms}\n"
        "    energy_import: {from: data.ep, unit: kWh}\n"
    )
    refused = meter.refusal(message(type="a", data={}))
    assert (refused.reason, refused.detail) == (
        "missing_field", "`$.data.ep` is missing ('optional: true' if it may be)",
    )  # fmt: skip
    assert meter.refusal(message(type="a")).reason == "missing_field"


# -- numbers -------------------------------------------------------------------------------------


@given(st.integers(0, 10**11))
def test_a_register_in_watt_hours_keeps_every_digit(hundredths):
    raw = hundredths / 100
    got = WATT_HOURS.one(f'{{"ts":{TS},"ep":{raw!r}}}')["energy_import"]
    assert repr(got) == repr(float(f"{hundredths}e-5"))


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_whole_watt_hours_keep_every_digit_up_to_fifteen(raw):
    got = WATT_HOURS.one(message(ep=raw))["energy_import"]
    assert repr(got) == repr(float(f"{raw}e-3"))


WATT_HOURS = compiled(SIMPLE.replace("kWh", "Wh"))
CENTS = compiled(block("event: transaction\namount: {from: a, scale: 0.01}"), "fuel-dispenser")


@given(st.integers(0, 10**12))
def test_cents_become_the_amount_that_was_sent(cents):
    assert repr(CENTS.one(message(a=cents))["amount"]) == repr(float(f"{cents}e-2"))


def test_a_register_beside_the_base_profiles_is_exact_too():
    meter = compiled(block("demand_max: {from: d, unit: W, register: true}"))
    assert meter.one(message(d=131881.85)) == {"demand_max": 131.88185}


def test_a_temperature_is_moved_by_its_zero_point():
    meter = compiled(
        block("temperature: {from: t, unit: '[degF]', optional: true}\nvolume: {from: v, unit: L}"),
        "water-meter",
    )
    assert meter.one(message(v=1, t=212)) == {"volume": 0.001, "temperature": pytest.approx(100)}


def test_a_temperature_difference_in_degrees_celsius_is_not_moved():
    meter = compiled(block("temperature_difference: {from: dt, unit: Cel}"), "heat-meter")
    assert meter.one(message(dt=15.5)) == {"temperature_difference": 15.5}


@pytest.mark.parametrize("raw", [1e11, -1e11, 9.9e14])
def test_money_that_no_till_takes_is_absurd(raw):
    pump = compiled(block("event: transaction\namount: {from: a}"), "fuel-dispenser")
    assert pump.refusal(message(a=raw)).reason == "absurd_number"


@pytest.mark.parametrize(
    ("raw", "value"),
    [("000123", 123.0), ("12.50", 12.5), (" 7 ", 7.0), ("-1", -1.0), (".5", 0.5), ("1e3", 1000.0)],
)
def test_a_number_as_text_is_read_where_the_profile_says_so(raw, value):
    meter = compiled(block("energy_import: {from: ep, unit: kWh, text: true}"))
    assert meter.one(message(ep=raw)) == {"energy_import": value}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", "wrong_type"), ("1_000", "wrong_type"), ("１２", "wrong_type"), ("٣", "wrong_type"),
        ("nan", "wrong_type"), ("inf", "wrong_type"), ("1,5", "wrong_type"), ("0x10", "wrong_type"),
        ("1 2", "wrong_type"), ("12E", "wrong_type"), ("9" * 4000, "absurd_number"),
        ("1e999", "absurd_number"), ("-1e15", "absurd_number"), (12, "wrong_type"),
        (True, "wrong_type"), ([1], "wrong_type"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_plain_number_is_refused(raw, code):
    meter = compiled(block("energy_import: {from: ep, unit: kWh, text: true}"))
    assert meter.refusal(message(ep=raw)).reason == code


def test_a_word_that_means_absent_does_not_open_the_door_to_other_texts():
    meter = compiled(
        block(
            "energy_import: {from: ep, unit: kWh}\n"
            "voltage: {from: u, unit: V, absent: ['---', 65535, false]}"
        )
    )
    for absent in ("---", 65535, 65535.0, False, None):
        assert meter.one(message(ep=1, u=absent)) == {"energy_import": 1.0}
    assert meter.one(message(ep=1, u=230))["voltage"] == 230.0
    for wrong in ("230", "", True, [230], {"a": 1}):
        assert meter.refusal(message(ep=1, u=wrong)).reason == "wrong_type"


def test_zero_and_false_are_different_and_so_are_one_and_true():
    taxi = compiled(
        block("total_distance: {from: d, unit: km}\noccupied: {from: o, map: {1: true, 0: false}}"),
        "taximeter",
    )
    assert taxi.one(message(d=1, o=1))["occupied"] is True
    assert taxi.one(message(d=1, o=0.0))["occupied"] is False
    for wrong in (True, False, "1", [1], {}):
        assert taxi.refusal(message(d=1, o=wrong)).reason == "unknown_word"


# -- a place that several parts of a profile read ------------------------------------------------

SHARED = compiled(
    "read:\n"
    "  - {when: {x: [a, b]}, event: alarm, measured_at: {from: ts, time: epoch_ms},"
    " status: {from: st, words: {ok: null}}}\n"
    "  - {when: {kind: number}, measured_at: {from: ts, time: epoch_ms},"
    " energy_import: {from: x, unit: Wh}}\n"
    "  - {when: {kind: id}, measured_at: {from: ts, time: epoch_ms}, device_id: {from: x},"
    " energy_import: {from: ep, unit: kWh}}\n"
    "  - {when: {kind: channel}, measured_at: {from: ts, time: epoch_ms}, channel: {from: x},"
    " energy_import: {from: ep, unit: kWh}}\n"
    "  - {when: {kind: seq}, measured_at: {from: ts, time: epoch_ms}, sequence: {from: x},"
    " energy_import: {from: ep, unit: kWh}}\n"
    "  - {when: {kind: time}, measured_at: {from: x}, energy_import: {from: ep, unit: kWh}}\n"
    "  - {when: {kind: bits}, measured_at: {from: ts, time: epoch_ms},"
    " status: {from: x, bits: {0: leak}}, energy_import: {from: ep, unit: kWh}}\n"
)


@pytest.mark.parametrize("kind", ["number", "id", "channel", "seq", "time", "bits", "none"])
@pytest.mark.parametrize("value", ANYTHING, ids=repr)
def test_no_value_at_a_shared_place_is_taken_for_what_it_is_not(kind, value):
    fits = {
        "number": type(value) in {int, float} and abs(value) < 1e15,
        "id": (type(value) is int and value < 2**63) or (type(value) is str and value != ""),
        "channel": (type(value) is int and value < 2**63) or (type(value) is str and value != ""),
        "seq": type(value) is int and 0 <= value < 2**63,
        "time": value == "2026-01-01T00:00:00Z",
        "bits": value is None or (type(value) is int and 0 <= value < 2**63),
        "none": False,
    }[kind]
    payload = message(kind=kind, x=value, ep=5)
    if not fits:
        with pytest.raises(DecodeError):
            SHARED.read(payload)
        return
    (reading,) = SHARED.read(payload)
    expected = value / 1000 if kind == "number" else 5.0
    assert reading.quantities == {"energy_import": expected}
    assert all(type(number) is float for number in reading.values)
    if kind in {"id", "channel"}:
        assert str(value) in {reading.device_id, reading.channel}
    if kind == "seq":
        assert (reading.sequence, type(reading.sequence)) == (value, int)


# -- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "raw", "expected"),
    [
        ("epoch_s", 1767225600, AT),
        ("epoch_s", 1767225600.25, AT + 250_000_000),
        ("epoch_ms", TS, AT),
        ("epoch_ms", TS + 0.5, AT + 500_000),
        ("epoch_us", TS * 1000 + 1, AT + 1000),
        ("epoch_ns", AT + 1, AT + 1),
        ("iso", "2026-01-01T00:00:00Z", AT),
        ("iso", "2026-01-01T08:00:00+08:00", AT),
        ('"%d.%m.%Y %H:%M"', "01.01.2026 00:00", AT),
    ],
)
def test_a_time_is_read_in_the_form_that_the_profile_says(form, raw, expected):
    meter = compiled(
        f"read: {{measured_at: {{from: t, time: {form}}}, energy_import: {{from: ep, unit: kWh}}}}"
    )
    (reading,) = meter.read(json.dumps({"t": raw, "ep": 1}))
    assert reading.measured_at == expected
    assert type(reading.measured_at) is int


@pytest.mark.parametrize("form", ["epoch_s", "epoch_ms", "epoch_us", "epoch_ns"])
@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_an_epoch_in_another_unit_is_noticed(form, factor):
    meter = compiled(
        f"read: {{measured_at: {{from: t, time: {form}}}, energy_import: {{from: ep, unit: kWh}}}}"
    )
    right = factor == {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}[form]
    payload = json.dumps({"t": 1767225600 * factor, "ep": 1})
    if right:
        assert meter.read(payload)[0].measured_at == AT
    else:
        assert meter.refusal(payload).reason == "bad_time"


@pytest.mark.parametrize(
    "raw", [0, -1, 1e300, -1e300, 2**70, 1e18, "1767225600000", True, None, []]
)
@pytest.mark.parametrize("form", ["epoch_s", "epoch_ns"])
def test_what_is_no_epoch_is_refused(raw, form):
    meter = compiled(
        f"read: {{measured_at: {{from: t, time: {form}}}, energy_import: {{from: ep, unit: kWh}}}}"
    )
    if raw == 1e18 and form == "epoch_ns":
        assert meter.read(json.dumps({"t": raw, "ep": 1}))[0].measured_at == 10**18
    else:
        assert meter.refusal(json.dumps({"t": raw, "ep": 1})).reason in {
            "bad_time", "wrong_type", "absurd_number", "missing_field",
        }  # fmt: skip


def test_the_zone_is_the_devices_then_the_fields_then_the_profiles():
    local = '{"t":"2026-01-01T08:00:00","ep":1}'

    def at(spec: str, devices: dict[str, Device] | None = None) -> dt.datetime:
        (reading,) = compiled(spec, devices=devices).read(local)
        return dt.datetime.fromtimestamp(reading.measured_at / 1e9, dt.UTC)

    energy = "energy_import: {from: ep, unit: kWh}"
    field = (
        f"zone: Europe/Berlin\nread: {{measured_at: {{from: t, zone: Asia/Shanghai}}, {energy}}}"
    )
    whole = f"zone: Europe/Berlin\nread: {{measured_at: {{from: t}}, {energy}}}"
    device = Device(device_id="m1", parameters={"time_zone": "America/New_York"})
    assert at(f"read: {{measured_at: {{from: t}}, {energy}}}").hour == 8
    assert at(whole).hour == 7
    assert at(field).hour == 0
    assert at(field, {"m1": device}).hour == 13
    assert at(field, {"other": device}).hour == 0


def test_a_message_without_time_is_taken_at_receipt_and_marked_where_the_profile_allows_it():
    meter = compiled(
        "read: {measured_at: {from: t, optional: true}, energy_import: {from: ep, unit: kWh}}"
    )
    (without,) = meter.read('{"ep":1}')
    (reading,) = meter.read('{"ep":1,"t":"2026-01-01T00:00:00Z"}')
    assert (without.measured_at, without.quality) == (RECEIVED, "questionable")
    assert (reading.measured_at, reading.quality) == (AT, "raw")
    (never,) = compiled("read: {energy_import: {from: ep, unit: kWh}}").read('{"ep":1}')
    assert (never.measured_at, never.quality) == (RECEIVED, "questionable")


def test_the_quality_is_the_profiles_word_but_not_where_receipt_stands_in_for_the_time():
    spec = "read: {quality: derived, measured_at: %s, energy_import: {from: ep, unit: kWh}}"
    told = compiled(spec % "{from: t}")
    maybe = compiled(spec % "{from: t, optional: true}")
    timed = '{"ep":1,"t":"2026-01-01T00:00:00Z"}'
    assert [told.read(timed)[0].quality, maybe.read(timed)[0].quality] == ["derived", "derived"]
    assert maybe.read('{"ep":1}')[0].quality == "questionable"


# -- status, words, money ------------------------------------------------------------------------


def test_status_words_that_are_mapped_to_nothing_mean_all_is_well():
    meter = compiled(
        block(
            "status: {from: st, words: {OK: null, LOW: battery_low, '': leak}}\n"
            "energy_import: {from: ep, unit: kWh}"
        )
    )
    got = [
        meter.read(message(ep=1, **body))[0].status
        for body in ({}, {"st": None}, {"st": "OK"}, {"st": "LOW"}, {"st": ""})
    ]
    assert got == [(), (), (), ("battery_low",), ("leak",)]
    assert meter.refusal(message(ep=1, st="HIGH")).reason == "unknown_word"


def test_the_words_on_and_off_are_texts():
    meter = compiled(
        block("volume: {from: v, unit: m3}\nvalve: {from: vv, map: {on: open, off: closed}}"),
        "water-meter",
    )
    assert meter.one(message(v=1, vv="off"))["valve"] == "closed"


@pytest.mark.parametrize(("parameters", "currency"), [({}, "EUR"), ({"currency": "GBP"}, "GBP")])
def test_money_carries_the_currency_of_the_device_or_of_the_profile(parameters, currency):
    devices = {"m1": Device(device_id="m1", parameters=parameters)}
    text = "currency: EUR\n" + block("event: transaction\namount: {from: a}")
    (reading,) = compiled(text, "fuel-dispenser", devices).read(message(a=1))
    assert reading.currency == currency


def test_faulty_parameters_of_devices_are_told_all_at_once():
    devices = {
        "a": Device(device_id="a", parameters={"time_zone": "Asia/Peking"}),
        "b": Device(device_id="b", parameters={"time_zone": "Asia", "currency": "yuan"}),
        "c": Device(device_id="c", parameters={"time_zone": "Asia/Shanghai", "currency": "CNY"}),
    }
    with pytest.raises(ConfigError) as refused:
        compiled(SIMPLE, devices=devices)
    assert str(refused.value).splitlines() == [
        "registry: device a: no time zone 'Asia/Peking', such as Asia/Shanghai",
        "registry: device b: currency 'yuan' is no code like CNY",
        "registry: device b: no time zone 'Asia', such as Asia/Shanghai",
    ]


def test_the_layout_says_what_the_checks_may_rely_on():
    meter = compiled(
        "registers: [energy_import]\n"
        + block(
            "sequence: {from: n, modulus: 65536, scope: channel}\n"
            "energy_import: {from: ep, unit: Wh, register: {digits: 9, decimals: 0}}\n"
            "energy_export: {from: ee, unit: Wh, register: false}\n"
            "demand_max: {from: d, unit: kW, register: {full_scale: 100}}"
        )
    )
    (layout,) = meter.normaliser.layouts
    assert layout.registers == {
        "energy_import": Register(full_scale=1e6, resolution=0.001),
        "demand_max": Register(full_scale=100.0, resolution=None),
    }
    assert (layout.sequence_modulus, layout.sequence_per_channel, layout.measured) == (
        65536,
        True,
        True,
    )


# -- a profile's text is data --------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        "'); import os; os.abort(); ('",
        "__import__('os')",
        "{0.__class__}",
        "%s%n",
        "\\n",
        "\u2028",
        "f0",
        "d",
    ],
)
def test_no_text_of_a_profile_reaches_the_generated_source(word):
    quoted = json.dumps(word)
    safe = not any(sign in word for sign in '"\\')
    path = f"[{quoted}]" if safe else "ep"
    meter = compiled(
        block(
            f"channel: {{from: st, map: {{{quoted}: {quoted}}}}}\n"
            f"energy_import: {{from: {path}, unit: kWh}}\n"
            f"power_factor: {{from: pf, map: {{{quoted}: 0.5}}, absent: [{quoted}]}}\n"
            f"status: {{from: st, words: {{{quoted}: leak}}}}"
        )
    )
    assert word in {"d", "f0"} or word not in meter.normaliser.source
    body = {word if safe else "ep": 3, "st": word}
    (reading,) = meter.read(message(**body))
    assert (reading.channel, reading.values[0], reading.status) == (word, 3.0, ("leak",))


# -- any document --------------------------------------------------------------------------------

PLANS = [Compiled(profile) for profile in load_profiles([PROFILES]).profiles.values()]
SAMPLES = [
    (plan, case.payload if isinstance(case.payload, str) else json.dumps(case.payload))
    for plan in PLANS
    if plan.profile.model.decode.format == "json" and plan.profile.model.decode.envelope is None
    for case in plan.profile.model.tests
    if case.quarantine is None
]
values = st.sampled_from([*ANYTHING, 1e308, 2**64, -0.0, [None], [[]], "x" * 5000, {"": None}])


@settings(max_examples=200)
@given(sample=st.sampled_from(SAMPLES), seed=st.randoms(use_true_random=False), value=values)
def test_any_value_at_any_place_of_a_real_message_is_read_or_refused(sample, seed, value):
    plan, payload = sample
    document = json.loads(payload)
    places = list(walk(document))
    holder, key = places[seed.randrange(len(places))]
    holder[key] = value
    levels = dict.fromkeys(plan.levels, "x")
    try:
        readings = plan.read(json.dumps(document), **levels)
    except DecodeError as error:
        assert error.detail  # noqa: PT017 - both outcomes are allowed
    else:
        for reading in readings or []:
            assert_sound(reading)


def walk(document):
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(items):
        yield document, key
        if isinstance(value, dict | list):
            yield from walk(value)


def assert_sound(reading):
    assert type(reading.device_id) is str
    assert type(reading.measured_at) is int
    assert reading.sequence is None or type(reading.sequence) is int
    assert reading.channel is None or type(reading.channel) is str
    types = {"number": {float}, "money": {float}, "text": {str}, "flag": {bool}, "time": {int}}
    known = BY_NAME[reading.kind]
    for name, value in reading.quantities.items():
        assert type(value) in types[known[name].type], (name, value)
        assert value == value, name  # noqa: PLR0124 - no NaN
