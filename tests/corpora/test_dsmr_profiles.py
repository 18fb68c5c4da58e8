"""Published P1 telegrams, read by their profiles: each quantity against the origin's reading."""

import json

import pytest

from gateway.deciding import Decided, Decider
from gateway.profiles import load_profiles
from gateway.records import Batch
from gateway.times import nanoseconds
from tests.compiled import PROFILES
from tests.corpora import corpora

FOLDER = corpora()
CASES = {
    case["id"].removeprefix("dsmr-telegram_"): case
    for line in (
        (FOLDER / "dsmr" / "cases.jsonl").read_text("utf-8").splitlines() if FOLDER else []
    )
    if (case := json.loads(line))
}
pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CASES, reason="corpora not here"),
]

SET = load_profiles([PROFILES])
RECEIVED = nanoseconds("2026-06-01T00:00:00Z")
PROFILE = {
    "esy5q3db1024_v304": "dsmr-easymeter-q3d",
    "fluvius_v171": "dsmr-be",
    "iskra_ie": "dsmr-ie",
    "sagemcom_t210_d_r": "dsmr-sagemcom-t210-d-r",
    "v2_2": "dsmr-nl-2",
    "v3": "dsmr-nl-2",
    "v4_2": "dsmr-nl",
    "v5": "dsmr-nl",
    "v5_eon_hu": "dsmr-hu",
}
"""The profile of each telegram."""

SAID = {
    "ELECTRICITY_USED_TARIFF_1": ("T1", "energy_import"),
    "ELECTRICITY_USED_TARIFF_2": ("T2", "energy_import"),
    "ELECTRICITY_DELIVERED_TARIFF_1": ("T1", "energy_export"),
    "ELECTRICITY_DELIVERED_TARIFF_2": ("T2", "energy_export"),
    "BELGIUM_MAXIMUM_DEMAND_MONTH": ("total", "demand_max"),
} | {
    f"INSTANTANEOUS_{name}_L{phase}": (f"L{phase}", quantity)
    for phase in (1, 2, 3)
    for name, quantity in [("VOLTAGE", "voltage"), ("CURRENT", "amperage")]
}
"""Channel and quantity by the origin's names."""

NET = {"total": ("CURRENT_ELECTRICITY_USAGE", "CURRENT_ELECTRICITY_DELIVERY")} | {
    f"L{phase}": tuple(
        f"INSTANTANEOUS_ACTIVE_POWER_L{phase}_{way}" for way in ("POSITIVE", "NEGATIVE")
    )
    for phase in (1, 2, 3)
}
"""Power is import less export: the origin's two names by channel."""

WITHOUT_READING = {
    "esy5q3db1024_v304": {
        ("total", "energy_import"): 52185.7825309,
        ("total", "energy_export"): 19949.3221493,
        ("total", "power_active"): 2.12486,
        ("L1", "power_active"): 0.74785,
        ("L2", "power_active"): 0.73728,
        ("L3", "power_active"): 0.63973,
    },
    "sagemcom_t210_d_r": {
        ("total", "energy_import"): 6545.766,
        ("T1", "energy_import"): 5017.12,
        ("T2", "energy_import"): 1528.646,
        ("total", "energy_export"): 0.058,
        ("T1", "energy_export"): 0,
        ("T2", "energy_export"): 0.058,
        ("total", "energy_reactive_import"): 0.747,
        ("T1", "energy_reactive_import"): 0,
        ("T2", "energy_reactive_import"): 0.747,
        ("total", "energy_reactive_export"): 3897.726,
        ("T1", "energy_reactive_export"): 2692.848,
        ("T2", "energy_reactive_export"): 1204.878,
        ("total", "power_active"): 0.286,
        ("total", "power_reactive"): -0.166,
    },
    "v5_eon_hu": {
        ("total", "energy_import"): 173.64,
        ("T1", "energy_import"): 47.719,
        ("T2", "energy_import"): 125.921,
        ("T3", "energy_import"): 0,
        ("T4", "energy_import"): 0,
        ("total", "energy_export"): 627.177,
        ("T1", "energy_export"): 401.829,
        ("T2", "energy_export"): 225.348,
        ("T3", "energy_export"): 0,
        ("T4", "energy_export"): 0,
        ("total", "energy_reactive_import"): 0.123,
        ("total", "energy_reactive_export"): 303.131,
        ("total", "power_active"): -2.601,
        ("total", "power_factor"): 4.556,
        ("total", "frequency"): 50,
        ("L1", "voltage"): 240.4,
        ("L2", "voltage"): 239.1,
        ("L3", "voltage"): 241.2,
        ("L1", "amperage"): 3,
        ("L2", "amperage"): 4,
        ("L3", "amperage"): 3,
        ("L1", "power_factor"): 4.591,
        ("L2", "power_factor"): 4.542,
        ("L3", "power_factor"): 4.552,
    },
}
"""Telegrams of which the origin has no reading: what is printed in them."""

MEASURED_AT = {
    # The origin takes every clock for Amsterdam's; an Irish one shows Dublin's, an hour less.
    "iskra_ie": "2023-02-02T13:27:47Z",
    "sagemcom_t210_d_r": "2022-10-06T13:50:14Z",
    "v5_eon_hu": "2023-07-24T13:07:30Z",
}


DECIDER = Decider(SET, {}, {}, registry_known=False)
FRESH = DECIDER.snapshot()


def decided(topic: str, *payloads: bytes) -> Decided:
    decider = DECIDER
    decider.restore(FRESH)  # to compile all profiles anew would take seconds
    outcome, count = Decided(), len(payloads)
    decider.decide(Batch([topic] * count, list(payloads), [RECEIVED] * count, 0), outcome)
    return outcome


def read(name: str, profile: str) -> Decided:
    (topic,) = SET.profiles[profile].model.match.topic
    outcome = decided(topic.replace("{gateway}", "house"), CASES[name]["payload_text"].encode())
    assert [refused.detail for refused in outcome.quarantined] == []
    assert {reading.profile.partition("@")[0] for reading in outcome.readings} == {profile}
    return outcome


def wanted(name: str) -> dict[tuple[str, str], float]:
    """The origin's reading, by channel and quantity."""
    expected = CASES[name]["expected"]
    if expected is None:
        return WITHOUT_READING[name]
    found = {place: expected[key]["value"] for key, place in SAID.items() if key in expected}
    for channel, (used, delivered) in NET.items():
        if used in expected and delivered in expected:
            net = expected[used]["value"] - expected[delivered]["value"]
            found[channel, "power_active"] = net
    return found


def got(name: str) -> dict[tuple[str, str], float]:
    """What the gateway reads, by channel and quantity."""
    return {
        (reading.channel, quantity): value
        for reading in read(name, PROFILE[name]).readings
        for quantity, value in reading.quantities.items()
    }


def same(found: dict[tuple[str, str], float], right: dict[tuple[str, str], float]) -> bool:
    """Equal but for the last binary digit, which a difference or a change of unit may move."""
    return found == pytest.approx(right, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("name", PROFILE)
def test_every_quantity_is_what_the_origin_reads(name):
    found, right = got(name), wanted(name)
    assert found.keys() == right.keys()
    assert same(found, right)


@pytest.mark.parametrize("name", PROFILE)
def test_the_comparison_can_fail(name):
    found, right = got(name), wanted(name)
    for place, value in right.items():
        assert not same(found, {**right, place: value + 0.001})
        assert not same({key: found[key] for key in found if key != place}, right)


@pytest.mark.parametrize("name", PROFILE)
def test_the_time_is_the_telegrams_or_that_of_receipt(name):
    readings = read(name, PROFILE[name]).readings
    said = (CASES[name]["expected"] or {}).get("P1_MESSAGE_TIMESTAMP", {}).get("value")
    at = MEASURED_AT.get(name) or said
    for reading in readings:
        assert reading.measured_at == (nanoseconds(at) if at else RECEIVED)
        assert reading.quality == ("raw" if at else "questionable")


@pytest.mark.parametrize("name", PROFILE)
def test_the_device_is_the_telegrams_number_or_the_bridge(name):
    expected = CASES[name]["expected"] or {}
    numbers = {
        "esy5q3db1024_v304": "1ESY1313002565",
        "v2_2": "house",  # its number is all zeros
        "sagemcom_t210_d_r": "house",
        "v5_eon_hu": "890082200002160",
        "iskra_ie": "09610",
    }
    told = next((expected[key]["value"] for key in IDENTIFIERS if key in expected), "")
    device = numbers.get(name) or as_text(told)
    assert {reading.device_id for reading in read(name, PROFILE[name]).readings} == {device}


IDENTIFIERS = ("EQUIPMENT_IDENTIFIER", "BELGIUM_EQUIPMENT_IDENTIFIER")


def as_text(digits: str) -> str:
    """Octets that the origin leaves in hexadecimal."""
    data = bytes.fromhex(digits)
    return data.decode() if all(0x20 <= byte < 0x7F for byte in data) else digits


@pytest.mark.parametrize("name", ["fluvius_v171", "v2_2", "v3", "v4_2", "v5"])
def test_the_gas_meter_behind_the_port(name):
    (reading,) = read(name, "dsmr-gas-meter").readings
    gas = CASES[name]["expected"]["MBUS_DEVICES"][0]
    said = next(field for key, field in gas.items() if key.endswith("METER_READING"))
    number = next(field["value"] for key, field in gas.items() if "IDENTIFIER" in key)
    assert reading.quantities["volume"] == said["value"]
    assert reading.measured_at == nanoseconds(said["datetime"])
    assert reading.device_id == ("house-1" if not number.strip("0") else as_text(number))
    valve = next((field["value"] for key, field in gas.items() if "VALVE" in key), None)
    assert reading.quantities.get("valve") == (None if valve is None else "open")


@pytest.mark.parametrize("name", ["sagemcom_t210_d_r", "v5_eon_hu", "esy5q3db1024_v304"])
def test_a_port_without_a_gas_meter_is_no_fault(name):
    (topic,) = SET.profiles["dsmr-gas-meter"].model.match.topic
    outcome = decided(topic.replace("{gateway}", "house"), CASES[name]["payload_text"].encode())
    assert (outcome.readings, outcome.quarantined) == ([], [])


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, profile in PROFILE.items()
        if profile not in {"dsmr-nl-2", "dsmr-easymeter-q3d"}
    ],
)
def test_a_telegram_cut_or_changed_anywhere_is_quarantined_whole(name):
    payload = CASES[name]["payload_text"].encode()
    mark = payload.index(b"\n!") + 1
    damaged = [payload[:end] for end in range(0, mark + 5, 37)]
    for place in range(0, mark + 5, 37):
        changed = bytearray(payload)
        changed[place] ^= 0x01
        damaged.append(bytes(changed))
    outcome = decided(f"{PROFILE[name]}/house/up", *damaged)
    assert (len(outcome.readings), len(outcome.quarantined)) == (0, len(damaged))
