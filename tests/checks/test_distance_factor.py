"""The distance a meter counts, against its track and its pulses, over many trips."""

from __future__ import annotations

from math import exp, log
from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.devices import Registry
from gateway.profiles.layout import Layout, Register
from gateway.records import Device
from tests.checks.runs import found, the_same_however_it_comes
from tests.checks.support import MINUTE, T0, reading

MINE = {"distance_factor_shift"}
TRIPS = Layout(
    "taximeter", "trip", "test@1.0.0",
    ("started_at", "ended_at", "distance", "gps_distance", "k_constant"), {}, 65536, False, True,
)  # fmt: skip
WAY = Layout(
    "taximeter", "periodic", "test@1.0.0", ("total_distance", "pulses"),
    {"total_distance": Register(1e7, 0.01)}, 65536, False, True,
)  # fmt: skip
DAY = 1440.0


def trips(count, *, seed=1, scatter=0.01, shift=lambda _: 0.0, hours=1.0, first=0):
    """One an hour; the track is 1.4 % short and scatters, the meter is by ``shift(n)`` off."""
    rng = Random(seed)
    made = []
    for n in range(first, first + count):
        road = rng.uniform(1.2, 14.0)
        end = n * 60.0 * hours
        made.append(
            (
                TRIPS,
                reading(
                    TRIPS, n % 65536, end, offset=n, late=0.1,
                    started_at=T0 + round((end - 20) * MINUTE), ended_at=T0 + round(end * MINUTE),
                    distance=int(road * exp(shift(n)) * 100) / 100,
                    gps_distance=round(road * (1 - 0.014 - rng.gauss(0, scatter)), 2),
                ),
            )
        )  # fmt: skip
    return made


def flags_of(readings, **given):
    return found(readings, only=MINE, **given)


@pytest.mark.parametrize("scatter", [0.002, 0.01, 0.02])
def test_an_honest_taxi_is_never_flagged(scatter):
    for seed in range(15):
        assert flags_of(trips(700, seed=seed, scatter=scatter)) == []


@pytest.mark.parametrize("scatter", [0.002, 0.01])
@pytest.mark.parametrize("shift", [0.03, 0.05, 0.10])
def test_a_constant_that_was_lowered_is_seen_within_forty_trips(shift, scatter):
    for seed in range(10):
        run = trips(300, seed=seed, scatter=scatter, shift=lambda n: shift if n >= 120 else 0.0)
        (flag,) = flags_of(run)
        if shift >= 0.05 or scatter < 0.01:
            assert run[120][1].measured_at <= flag.since <= run[160][1].measured_at
        assert (flag.severity, flag.status) == ("critical", "open")


def test_the_evidence_is_enough_to_compute_it_again():
    run = trips(200, shift=lambda n: 0.06 if n >= 120 else 0.0)
    (flag,) = flags_of(run)
    told = flag.evidence
    assert told["observed"] == pytest.approx(median(told["inputs"]["ratios"]))
    assert told["difference"] == pytest.approx(told["observed"] - told["expected"])
    assert told["difference"] > told["tolerance"] == told["detectable"]
    x = {round(log(o.values[2] / o.values[3]), 5) for _, o in run}
    assert set(told["inputs"]["ratios"]) <= x


def test_a_shift_that_is_taken_back_ends_the_flag():
    run = trips(400, shift=lambda n: 0.08 if 120 <= n < 250 else 0.0)
    (flag,) = flags_of(run)
    assert flag.status == "ended"
    assert run[249][1].measured_at <= flag.until <= run[290][1].measured_at


def test_a_shift_in_a_third_of_the_trips_does_not_move_the_median():
    assert flags_of(trips(400, shift=lambda n: 0.08 if n > 120 and n % 3 == 0 else 0.0)) == []


def test_tyre_wear_of_two_years_and_new_tyres_are_honest():
    year = 365.0

    def worn(n):
        days = n * 6 / 24
        return 0.02 * (days / year) - (0.027 if days > 500 else 0.0)

    for seed in range(5):
        assert flags_of(trips(2900, seed=seed, shift=worn, hours=6.0)) == []


def test_a_meter_that_is_wrong_from_the_first_day_is_beyond_the_limits():
    (flag,) = flags_of(trips(100, shift=lambda _: 0.08))
    assert (flag.evidence["against"], flag.severity) == ("limits", "critical")
    (flag,) = flags_of(trips(100, shift=lambda _: -0.14))
    assert (flag.evidence["against"], flag.severity) == ("limits", "major")
    assert flags_of(trips(100, shift=lambda _: 0.01)) == []


def test_a_verification_begins_the_history_anew():
    run = trips(300, shift=lambda n: 0.025 if n >= 120 else 0.0, scatter=0.002)
    versions = [
        Device(device_id="d1", verified_at=T0 - 1),
        Device(device_id="d1", verified_at=T0 + 1, valid_from=run[120][1].measured_at),
    ]
    assert len(flags_of(run, devices=Registry(versions[:1]))) == 1
    assert flags_of(run, devices=Registry(versions)) == []


def test_short_trips_and_trips_without_a_track_are_passed_over():
    run = trips(100)
    short = [
        (TRIPS, reading(TRIPS, 100 + n, (100 + n) * 60, offset=100 + n, late=0.1, started_at=T0,
                        ended_at=T0, distance=0.9, gps_distance=g))
        for n, g in enumerate([0.3, None, 0.0] * 30)
    ]  # fmt: skip
    assert flags_of(run + short) == []


# -- pulses ------------------------------------------------------------------------------------


def way(count, *, constant=1000.0, counted=lambda _: 1000.0, speed=0.4, wrong=None):
    """A reading a minute; the meter shows whole steps of 10 m of what it drove."""
    made, pulses, shown_km = [], 5e8, 12345.67
    for n in range(count):
        now = counted(n)
        pulses += speed * constant
        shown_km += speed * constant / now
        values = {"total_distance": int(shown_km * 100) / 100, "pulses": float(int(pulses))}
        if wrong is not None:
            values = wrong(n, values)
        made.append((WAY, reading(WAY, n, n, offset=n, late=0.02, **values)))
    return made


def registered(**parameters):
    return {"d1": Device(device_id="d1", parameters=parameters)}


def test_pulses_a_kilometre_are_the_constant():
    assert flags_of(way(1000), devices=registered(k_constant=1000)) == []
    slow = way(1000, constant=623.0, counted=lambda _: 623.0, speed=0.013)
    assert flags_of(slow, devices=registered(k_constant=623)) == []


@pytest.mark.parametrize(
    ("used", "severity"), [(990.0, "critical"), (900.0, "critical"), (1010.0, "major")]
)
def test_another_constant_than_the_registry_has_is_flagged_while_it_lasts(used, severity):
    run = way(1000, counted=lambda n: used if 300 <= n < 600 else 1000.0)
    (flag,) = flags_of(run, devices=registered(k_constant=1000))
    assert (flag.severity, flag.status) == (severity, "ended")
    assert flag.since >= run[270][1].measured_at
    assert flag.until <= run[630][1].measured_at
    told, ends = flag.evidence, flag.evidence["inputs"]
    assert told["observed"] == pytest.approx(
        (ends["pulses"] - ends["other_pulses"])
        / (ends["total_distance"] - ends["other_total_distance"])
    )
    assert told["observed"] == pytest.approx(used, rel=0.004)


def test_a_device_whose_constant_is_not_known_is_not_judged():
    assert flags_of(way(500, counted=lambda _: 900.0), devices=registered()) == []


def test_a_new_constant_in_the_registry_counts_from_its_day_on():
    run = way(1000, counted=lambda n: 1000.0 if n < 500 else 950.0)
    versions = [
        Device(device_id="d1", parameters={"k_constant": 1000}),
        Device(device_id="d1", parameters={"k_constant": 950}, valid_from=run[500][1].measured_at),
    ]
    assert flags_of(run, devices=Registry(versions)) == []
    assert len(flags_of(run, devices=Registry(versions[:1]))) == 1


GLITCHES = [
    {"total_distance": 0.0},
    {"pulses": 0.0},
    {"pulses": 9e9},
    {"total_distance": 9e6},
    {"total_distance": 0.0, "pulses": 0.0},
]


@pytest.mark.parametrize("glitch", GLITCHES)
def test_one_glitch_is_no_finding(glitch):
    run = way(600, wrong=lambda n, values: values | glitch if n in {100, 350} else values)
    assert flags_of(run, devices=registered(k_constant=1000)) == []


def test_a_register_that_begins_anew_is_no_finding():
    def begins(n, values):
        fallen = {
            "total_distance": values["total_distance"] - 1e4,
            "pulses": values["pulses"] - 4e8,
        }
        return values if n < 300 else fallen

    assert flags_of(way(600, wrong=begins), devices=registered(k_constant=1000)) == []


@settings(max_examples=10)
@given(st.integers(0, 2**32))
def test_the_order_of_arrival_and_restarts_change_nothing(seed):
    run = trips(160, seed=seed % 7, shift=lambda n: 0.06 if n >= 60 else 0.0, hours=0.1)
    assert len(the_same_however_it_comes(run, seed, only=MINE)) == 1
    known = registered(k_constant=1000)
    run = way(200, counted=lambda n: 1000.0 if n < 60 else 950.0)
    assert len(the_same_however_it_comes(run, seed, only=MINE, devices=known)) == 1
