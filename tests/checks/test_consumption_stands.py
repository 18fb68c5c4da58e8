"""Registers that stand, flows that never stop, and the other direction."""

from __future__ import annotations

import pytest

from tests.checks.metering import Meter, codes, found, registered
from tests.checks.support import MINUTE, T0

PLATE = registered({"q3": 2.5, "q4": 3.125})
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def stopped(from_number, field, *others, to_number=10**9):
    """The register stands; so do flow and power where they are named."""
    held = {}

    def change(number, body):
        if number == from_number - 1:
            held[field] = body[field]
        if from_number <= number < to_number:
            body[field] = held[field]
            for other in others:
                body[other] = 0.0
        elif number >= to_number:
            body[field] = round(body[field] - 0.0, 3)

    return change


def test_a_register_that_stands_under_power_is_stuck_within_the_hour():
    meter = Meter("electricity_meter", interval=15)
    at = 10 * 96
    readings = meter.readings(14, change=stopped(at, "energy_import"))
    (flag,) = [f for f in found(readings, meter.layout, PLATE) if f.code == "register_stuck"]
    assert (flag.severity, flag.status) == ("minor", "open")
    assert flag.since <= readings[at].measured_at
    told = flag.evidence["inputs"]
    assert told["readings"] >= 3
    first = next(r for r in readings if r.ledger_offset == flag.ledger_offset)
    assert first.measured_at - flag.since <= 2 * HOUR


def test_the_evidence_of_a_stuck_register_can_be_recomputed():
    meter = Meter("electricity_meter", interval=15)
    at = 10 * 96
    readings = meter.readings(11, change=stopped(at, "energy_import", to_number=at + 5))
    (flag,) = [f for f in found(readings, meter.layout, PLATE) if f.code == "register_stuck"]
    assert flag.status == "ended"
    power = meter.layout.names.index("power_active")
    least = flag.evidence["inputs"]["least_rate"]
    stands = [r for r in readings if flag.since < r.measured_at <= flag.until]
    flowed = sum(0.25 * r.values[power] for r in stands if r.values[power] > least)
    assert flag.evidence["observed"] == readings[at - 1].values[0]
    assert flag.evidence["expected"] == pytest.approx(readings[at - 1].values[0] + flowed)


def test_a_water_register_that_stands_under_flow_is_stuck_in_a_few_days():
    meter = Meter()
    flags = found(meter.readings(20, change=stopped(240, "volume")), meter.layout, PLATE)
    stuck = [f for f in flags if f.code == "register_stuck"]
    assert len(stuck) == 1
    assert codes(flags) == ["register_stuck"]


def test_the_zero_error_of_a_sensor_is_no_flow():
    meter = Meter("electricity_meter", interval=15)
    hold = stopped(960, "energy_import")

    def change(number, body):
        hold(number, body)
        if number >= 960:
            body["power_active"] = 0.02

    flags = found(meter.readings(30, change=change), meter.layout)
    assert "register_stuck" not in codes(flags)


@pytest.mark.parametrize("kind", ["electricity_meter", "water_meter", "gas_meter", "heat_meter"])
def test_an_empty_house_is_told_of_as_information_only(kind):
    meter = Meter(kind, interval=60)
    field, rate = meter.layout.names[0], meter.layout.names[-1]
    flags = found(meter.readings(55, change=stopped(240, field, rate)), meter.layout, PLATE)
    (zero,) = [f for f in flags if f.code == "zero_consumption"]
    assert (zero.severity, zero.status) == ("info", "open")
    assert zero.evidence["observed"] > 24
    assert codes(flags) == []


def test_a_pause_that_ends_ends_the_flag_and_is_not_usual():
    meter = Meter("electricity_meter", interval=60)
    readings = meter.readings(
        40, share=lambda day: 0.0 if 10 <= day < 15 or 25 <= day < 30 else 1.0
    )
    zero = [f for f in found(readings, meter.layout) if f.code == "zero_consumption"]
    assert [f.status for f in zero] == ["ended", "ended"]
    assert all(4.9 * DAY < f.until - f.since < 5.1 * DAY for f in zero)


def test_three_times_the_longest_usual_pause_are_needed():
    # a shop that is closed from Friday to Monday consumes nothing for 60 hours a week
    meter = Meter("electricity_meter", interval=60)
    weekly = meter.readings(35, share=lambda day: 0.0 if day % 7 < 2.5 else 1.0, start=500)
    assert len([f for f in found(weekly, meter.layout) if f.code == "zero_consumption"]) <= 1


def test_where_no_flow_is_sent_a_register_is_stuck_after_zero_consumption_and_two_months():
    meter = Meter(names=("volume", "volume_reverse"))
    flags = found(meter.readings(90, change=stopped(240, "volume")), meter.layout, PLATE)
    by_code = {f.code: f for f in flags}
    assert set(by_code) == {"zero_consumption", "register_stuck", "consumption_drop"}
    stuck, zero = by_code["register_stuck"], by_code["zero_consumption"]
    assert zero.ledger_offset < stuck.ledger_offset
    assert stuck.ledger_offset - 240 == pytest.approx(60 * 24, abs=24)
    assert by_code["consumption_drop"].severity == "info"


def test_a_leak_is_seen_after_five_nights():
    meter = Meter()
    readings = meter.readings(25, more=lambda day: 8.0 if day >= 10 else 0.0)
    (flag,) = found(readings, meter.layout, PLATE)
    assert (flag.code, flag.severity, flag.status) == ("leak_suspected", "minor", "open")
    assert flag.evidence["observed"] == pytest.approx(0.0075, abs=0.001)
    assert flag.evidence["inputs"]["nights"] == 5
    assert 9.4 <= (flag.since - T0) / DAY <= 11


@pytest.mark.parametrize(
    ("litres", "kind", "flags"),
    [
        (2.0, "water_meter", 0),
        (4.5, "water_meter", 1),
        (40.0, "gas_meter", 1),
        (400, "gas_meter", 0),
    ],
    ids=["too small", "just seen", "gas", "a boiler that never rests"],
)
def test_how_small_and_how_large_a_leak_is(litres, kind, flags):
    meter = Meter(kind, seed=2)
    one = meter.readings(25, share=lambda _: 0.5, more=lambda day: litres if day >= 10 else 0.0)
    assert len(found(one, meter.layout, PLATE)) == flags


def test_a_leak_that_grew_after_its_first_night_is_seen():
    meter = Meter()
    readings = meter.readings(
        25, more=lambda day: 5.0 if 10 <= day < 11 else 25.0 if day >= 11 else 0.0
    )
    (flag,) = found(readings, meter.layout, PLATE)
    assert flag.code == "leak_suspected"
    assert flag.evidence["observed"] == pytest.approx(0.025, abs=0.002)


def test_a_night_with_more_in_it_does_not_hide_a_leak():
    meter = Meter()
    readings = meter.readings(
        25, more=lambda day: (40.0 if int(day) % 4 == 0 else 8.0) if day >= 10 else 0.0
    )
    (flag,) = found(readings, meter.layout, PLATE)
    assert flag.code == "leak_suspected"
    assert flag.evidence["observed"] == pytest.approx(0.0075, abs=0.001)


def test_a_leak_that_is_mended_ends():
    meter = Meter()
    readings = meter.readings(30, more=lambda day: 8.0 if 10 <= day < 20 else 0.0)
    (flag,) = found(readings, meter.layout, PLATE)
    assert flag.status == "ended"
    assert 9 <= (flag.until - flag.since) / DAY <= 11


def test_a_boiler_that_burns_at_night_is_no_leak():
    meter = Meter("gas_meter")
    night = meter.readings(40, more=lambda day: 150.0 if not 0.6 < day % 1 < 0.95 else 0.0)
    assert found(night, meter.layout, PLATE) == []


def test_the_nights_of_many_homes_are_no_leak():
    homes = [Meter(seed=n) for n in range(60)]
    readings = [home.readings(30) for home in homes]
    litres = [0.0] * 720

    def change(number, body):
        litres[number] = sum(one[number].values[0] for one in readings)
        body["volume"] = round(litres[number], 3)
        body["flow_rate"] = 0.0

    master = Meter(seed=99)
    assert codes(found(master.readings(30, change=change), master.layout)) == []


def test_nights_that_were_not_seen_do_not_count():
    meter = Meter()
    readings = meter.readings(25, more=lambda day: 8.0 if day >= 10 else 0.0)
    by_day = [r for n, r in enumerate(readings) if 8 <= (r.measured_at // HOUR + 8) % 24 < 22]
    assert "leak_suspected" not in codes(found(by_day, meter.layout, PLATE))


def back(litres, first, last):
    def change(number, body):
        body["volume_reverse"] = round(
            0.123 + litres / 1000 * max(0, min(number, last) - first + 1), 3
        )

    return change


def test_backflow_is_one_flag_until_a_day_has_passed_without():
    meter = Meter()
    (flag,) = found(meter.readings(20, change=back(50, 240, 243)), meter.layout, PLATE)
    assert (flag.code, flag.severity, flag.status) == ("backflow", "minor", "ended")
    assert flag.evidence["observed"] == pytest.approx(0.2)
    assert (flag.until - flag.since) / HOUR == 4


def test_pressure_shocks_are_no_backflow():
    meter = Meter()

    def change(number, body):
        body["volume_reverse"] = round(number // 30 / 1000, 3)

    assert found(meter.readings(60, change=change), meter.layout, PLATE) == []


def test_a_register_that_falls_in_reverse_flow_is_backflow_and_no_decrease():
    meter = Meter()

    def change(number, body):
        if 240 <= number < 246:
            body["volume"] = round(body["volume"] - 0.3 * (number - 239), 3)
            body["status"], body["flow_rate"] = ("reverse_flow",), -0.3
        elif number >= 246:
            body["volume"] = round(body["volume"] - 1.8, 3)

    (flag,) = found(meter.readings(20, change=change), meter.layout, PLATE)
    assert (flag.code, flag.severity) == ("backflow", "major")
    assert 1.0 < flag.evidence["observed"] <= 1.8


def exported(kwh, first, last):
    def change(number, body):
        body["energy_export"] = round(2.0 + kwh * max(0, min(number, last) - first + 1), 2)

    return change


def test_export_where_nothing_generates_is_reverse_energy():
    meter = Meter("electricity_meter", interval=15)
    readings = meter.readings(14, change=exported(0.05, 960, 990))
    (flag,) = found(readings, meter.layout, registered({}))
    assert (flag.code, flag.severity, flag.status) == ("reverse_energy", "major", "ended")
    assert flag.evidence["observed"] == pytest.approx(31 * 0.05)
    assert flag.until == readings[990].measured_at


def test_export_of_who_generates_is_honest_and_of_who_is_not_known_is_not_judged():
    meter = Meter("electricity_meter", interval=15)
    readings = meter.readings(14, change=exported(0.05, 960, 990))
    assert found(readings, meter.layout, registered({"generates": True})) == []
    assert found(readings, meter.layout) == []


def test_a_lift_that_brakes_is_no_reverse_energy():
    meter = Meter("electricity_meter", interval=15)

    def change(number, body):
        body["energy_export"] = number // 200 / 100

    assert found(meter.readings(30, change=change), meter.layout, registered({})) == []


def test_tariffs_and_phases_are_not_judged_for_themselves():
    meter = Meter("electricity_meter", interval=15)
    readings = meter.readings(14, change=stopped(300, "energy_import"))
    tariffs = [
        type(r)(*(getattr(r, f) if f != "channel" else "T3" for f in r.__struct_fields__))
        for r in readings
    ]
    assert not {f.code for f in found(tariffs, meter.layout)} & {
        "register_stuck",
        "zero_consumption",
    }
