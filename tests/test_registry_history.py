"""What was true when it was measured counts: a later version of a device changes no judgement."""

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.assembly import DataDirectory, make_decider, read_devices, read_profiles
from gateway.casebook import Casebook
from gateway.checks import Judge
from gateway.deciding import Decided, Decider
from gateway.devices import EVER, Registry, having, related, since, valid_at, versions_of
from gateway.normalise.registered import ChangingZone
from gateway.profiles import load_profiles
from gateway.records import Batch, Device
from gateway.replay import replay
from gateway.reprocess import reprocess
from gateway.store.duckdb import DuckDBStore
from gateway.testing import ManualClock
from gateway.times import nanoseconds, rfc3339
from tests.checks.support import MINUTE, T0, judged, reading, water_layout
from tests.checks.test_fares import LAYOUT as TRIP
from tests.checks.test_fares import TARIFFS, taxi
from tests.compiled import KINDS, TS, compiled
from tests.profiles.test_language import FAMILY, HEAD

MARCH = nanoseconds("2026-03-01T00:00:00Z")
DAY = 86_400 * 10**9


def version(begin=None, *, name="m1", profile=None, **parameters):
    return Device(
        device_id=name,
        profile=profile,
        serial_number="S-1",
        valid_from=begin,
        parameters=parameters,
    )


def test_a_registry_is_a_mapping_of_the_latest_versions():
    old, new, other = version(), version(MARCH), version(name="m2")
    registry = Registry([new, other, old])
    assert registry == {"m1": new, "m2": other}
    assert list(registry.history()) == [old, new, other]
    assert registry.versions("nobody") == ()


@given(
    st.lists(st.integers(-5, 5), unique=True, max_size=5),
    st.booleans(),
    st.integers(-7, 7),
)
def test_the_version_of_a_time_is_the_last_that_began_before_it(begins, ever, moment):
    versions = [version(begin) for begin in begins] + ([version()] if ever else [])
    registry = Registry(versions)
    held = [each for each in versions if since(each) <= moment]
    expected = max(held, key=since, default=None)
    assert registry.at("m1", moment) is expected
    assert valid_at(registry, "m1", moment) is expected
    assert list(registry.versions("m1")) == sorted(versions, key=since)


def test_plain_devices_have_one_version_each():
    begun = {"m1": version(MARCH), "m2": version(name="m2")}
    assert valid_at(begun, "m1", MARCH - 1) is None
    assert valid_at(begun, "m1", MARCH) is begun["m1"]
    assert valid_at(begun, "m2", EVER) is begun["m2"]
    assert versions_of(begun, "m1") == (begun["m1"],)


def test_having_a_parameter_once_counts_and_relations_are_of_now():
    registry = Registry(
        [version(parent="f1"), version(MARCH, parent="f2"), version(name="f1", currency="EUR"),
         version(name="d1", tank={"1": "t1", "2": "t2", "3": "t1"})]
    )  # fmt: skip
    assert set(having(registry, "parent")) == {"m1"}
    assert len(having(registry, "parent")["m1"]) == 2
    assert related(registry, "parent") == {"f2": ("m1",)}
    assert related(registry, "tank") == {"t1": ("d1",), "t2": ("d1",)}


def message(at, **fields):
    return json.dumps({"ts": at // 10**6, **fields})


AT = "read:\n  measured_at: {{from: ts, time: epoch_ms}}\n  {}\n"


def test_a_factor_is_the_one_of_the_time_of_measurement():
    text = AT.format("volume: {from: p, unit: L, scale: {parameter: pulse_weight}}")
    registry = Registry([version(pulse_weight=10), version(MARCH, pulse_weight=1)])
    profile = compiled(text, "water-meter", registry)
    assert profile.one(message(MARCH - DAY, p=100)) == {"volume": 1.0}
    assert profile.one(message(MARCH, p=100)) == {"volume": 0.1}
    before = Registry([version(MARCH, pulse_weight=10)])
    refused = compiled(text, "water-meter", before).refusal(message(MARCH - DAY, p=100))
    assert refused.reason == "missing_parameter"


def test_money_is_in_the_currency_of_the_time_of_measurement():
    text = "event: transaction\n  amount: {from: a}"
    registry = Registry(
        [version(), version(MARCH, currency="EUR"), version(MARCH + DAY, currency="CNY"),
         version(name="m2", currency="USD")]
    )  # fmt: skip
    profile = compiled("currency: GBP\n" + AT.format(text), "fuel-dispenser", registry)

    def currency(at, name="m1"):
        (one,) = profile.read(message(at, a=1), device_id=name)
        return one.currency

    assert [currency(at) for at in (MARCH - 10**9, MARCH, MARCH + DAY)] == ["GBP", "EUR", "CNY"]
    assert currency(MARCH, "m2") == "USD"
    assert currency(MARCH, "m3") == "GBP"


def test_a_local_time_is_of_the_zone_that_the_clock_was_set_to():
    text = "read:\n  measured_at: {from: ts, time: iso}\n"
    text += "  energy_import: {from: e, unit: kWh}\n"
    moved = nanoseconds("2026-03-01T00:00:00+08:00")
    registry = Registry(
        [version(time_zone="Europe/Berlin"), version(moved, time_zone="Asia/Shanghai")]
    )
    profile = compiled(text, devices=registry)

    def measured(local):
        (one,) = profile.read(json.dumps({"ts": local, "e": 1}), device_id="m1")
        return rfc3339(one.measured_at)

    assert measured("2026-02-28T12:00:00") == "2026-02-28T11:00:00Z"
    assert measured("2026-02-28T16:59:59") == "2026-02-28T15:59:59Z"
    # From here on the clock in China: its first hours are those that it has in common with Berlin.
    assert measured("2026-03-01T00:00:00") == "2026-02-28T16:00:00Z"
    assert measured("2026-03-01T12:00:00") == "2026-03-01T04:00:00Z"


def test_a_changing_zone_answers_as_a_zone_must():
    zone = ChangingZone([(0, dt.timezone(dt.timedelta(hours=8), "CST")), (-DAY, None)], dt.UTC)
    assert dt.datetime(1970, 1, 2, tzinfo=zone).tzname() == "CST"
    assert dt.datetime(1969, 12, 31, 12, tzinfo=zone).utcoffset() == dt.timedelta(0)
    assert dt.datetime(1960, 1, 1, tzinfo=zone).dst() is None
    assert zone.utcoffset(None) == dt.timedelta(0)


def test_a_register_has_the_digits_of_its_time():
    layout = water_layout()
    change = T0 + 10 * MINUTE
    registry = Registry([version(name="d1", register_digits=4),
                         version(change, name="d1", register_digits=6)])  # fmt: skip

    def codes(first, second, minute):
        judge = Judge(registry, {}, registry_known=False)
        pair = [
            reading(layout, 1, minute, offset=0, volume=first),
            reading(layout, 2, minute + 1, offset=1, volume=second),
        ]
        return [flag.code for flag in judged(judge, judge.bind(layout, {}, "t"), pair)[1]]

    assert codes(9_998.0, 1.0, 2) == ["register_rollover"]
    assert codes(9_998.0, 1.0, 20) == ["register_decrease"]
    assert codes(999_998.0, 1.0, 20) == ["register_rollover"]


def test_a_trip_is_judged_by_the_tariff_of_its_time():
    one = taxi(8.4, 31, tariff="cheaper-2020")
    registry = Registry([
        version(name="cab", tariff="beijing-2013"),
        version(one.measured_at + 1, name="cab", tariff="cheaper-2020"),
    ])  # fmt: skip
    judge, flags = Judge(registry, TARIFFS, registry_known=False), []
    judge.judge(judge.bind(TRIP, {}, "t"), one, flags)
    assert [flag.evidence["tariff"] for flag in flags] == ["beijing-2013"]


def test_a_message_is_read_by_the_profile_that_the_device_had_when_it_came(tmp_path):
    (tmp_path / "families").mkdir()
    (tmp_path / "families" / "acme.yaml").write_text(FAMILY)
    (tmp_path / "acme.yaml").write_text(HEAD.format(version="2.0.0", unit="m3"))
    (tmp_path / "acme@1.0.0.yaml").write_text(HEAD.format(version="1.0.0", unit="L"))
    registry = Registry(
        [version(name="a", profile="acme@1.0.0"), version(MARCH, name="a", profile="acme")]
    )
    decider = Decider(load_profiles([KINDS, tmp_path]), registry, {}, registry_known=False)
    times = [MARCH - DAY, MARCH, MARCH - 1, MARCH + DAY]
    for _ in range(2):  # the second time from memory
        decided = Decided()
        decider.decide(Batch(["acme/a"] * 4, [b'{"v":5}'] * 4, times, 0), decided)
        assert [one.profile for one in decided.readings] == [
            "acme@1.0.0", "acme@2.0.0", "acme@1.0.0", "acme@2.0.0",
        ]  # fmt: skip
    assert decider.route("acme/a")[0][0].profile.name == "acme"


# What is judged does not change when a later import adds a version.

SALES = """\
{"device_id": "f1", "kind": "fuel_dispenser", "parameters": {"currency": "EUR"}}
{"device_id": "c1", "kind": "taximeter", "parameters": {"tariff": "beijing-2013"}}
{"device_id": "w1", "kind": "water_meter", "parameters": {"register_digits": 4}}
"""


def trip_line(number, fare):
    at = TS * 10**6 + number * 3_600 * 10**9
    payload = {
        "type": "trip", "seq": number, "started_at": at // 10**6,
        "ended_at": at // 10**6 + 1_800_000, "ts": at // 10**6 + 1_800_000, "distance": 8.4,
        "waiting_time": 0, "fare": fare, "surcharge": 1.0, "k_constant": 1000,
        "tariff": "beijing-2013",
    }  # fmt: skip
    return "taximeter/c1", at + 1_900 * 10**9, payload


def water_line(number, volume):
    at = TS * 10**6 + number * 3_600 * 10**9
    payload = {"type": "periodic", "seq": number, "ts": at // 10**6, "volume": volume}
    return "water_meter/w1", at, payload


@pytest.fixture
def judged_once(tmp_path):
    """A data directory with trips and a register that rolls over, judged by its first registry."""
    lines = [trip_line(i, fare) for i, fare in enumerate((25, 31, 25, 40))]
    lines += [water_line(i, volume) for i, volume in enumerate((9_990.0, 9_998.0, 2.0, 3.0, 1.0))]
    capture = tmp_path / "capture.jsonl"
    capture.write_text(
        "".join(
            json.dumps({"received_at": rfc3339(at), "topic": f"meters/110105/{topic}/up",
                        "payload": json.dumps(payload)}) + "\n"
            for topic, at, payload in lines
        )
    )  # fmt: skip
    registry = tmp_path / "registry.jsonl"
    registry.write_text(SALES)
    replay([capture], tmp_path / "data", registry=registry)
    return tmp_path / "data"


def outcome(data):
    store = DuckDBStore(data / "store.duckdb")
    try:
        readings = sorted(store.readings(), key=lambda one: (one.ledger_offset, one.channel or ""))
        return readings, sorted(store.flags(), key=lambda flag: flag.id)
    finally:
        store.close()


LATER = [
    Device(device_id="c1", kind="taximeter", parameters={"tariff": "no-such"}),
    Device(device_id="w1", kind="water_meter", parameters={"register_digits": 8}),
]


def test_a_later_import_changes_no_judgement_of_what_was_measured_before(judged_once):
    readings, flags = outcome(judged_once)
    assert {flag.code for flag in flags} >= {"fare_mismatch", "register_rollover"}
    with Casebook(judged_once) as casebook:
        assert casebook.import_devices(LATER, source="later", actor="me").changed == 2
    reprocess(judged_once)
    assert outcome(judged_once) == (readings, flags)


def test_a_correction_does_change_it(judged_once):
    _, flags = outcome(judged_once)
    with Casebook(judged_once) as casebook:
        casebook.import_devices(LATER, source="mended", actor="me", correct=True)
    reprocess(judged_once)
    _, after = outcome(judged_once)
    assert "fare_mismatch" not in {flag.code for flag in after}
    assert {flag.code for flag in after} != {flag.code for flag in flags}


def test_a_version_that_says_since_when_changes_what_was_measured_since_then(judged_once):
    _, flags = outcome(judged_once)
    begin = TS * 10**6 + 3 * 3_600 * 10**9
    mended = [
        Device(device_id="c1", kind="taximeter", valid_from=begin, parameters={"tariff": "none"})
    ]
    with Casebook(judged_once, clock=ManualClock(begin + DAY)) as casebook:
        casebook.import_devices(mended, source="later", actor="me")
    reprocess(judged_once)
    _, after = outcome(judged_once)

    def fares(found):
        return [flag.measured_at for flag in found if flag.code == "fare_mismatch"]

    assert fares(after) == [at for at in fares(flags) if at < begin]
    assert len(fares(after)) == 1


def test_a_decider_takes_the_registry_of_the_casebook(judged_once):
    registry = read_devices(DataDirectory(judged_once), None)
    assert isinstance(registry, Registry)
    decider = make_decider(read_profiles([]), registry, [])
    assert decider.devices is registry
