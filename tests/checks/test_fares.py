"""Fares by tariffs that are data, and what cannot be judged."""

import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.checks import Judge, read_tariffs
from gateway.checks.tariffs import Fare, Trip, fare, unrounded
from gateway.errors import ProfileError
from gateway.profiles.layout import Layout
from gateway.records import Device, Reading

FOLDER = Path(__file__).parents[2] / "device_profiles" / "reference" / "tariffs"
TARIFFS = read_tariffs(FOLDER.glob("*.yaml"))
BEIJING, NEW_YORK = TARIFFS["beijing-2013"], TARIFFS["nyc-2012"]
MILE = Decimal("1.609344")
LAYOUT = Layout(
    "taximeter",
    "trip",
    "t@1",
    ("distance", "waiting_time", "fare", "surcharge", "started_at", "ended_at", "tariff"),
    {},
    None,
    False,
    True,
)


def at(clock, zone="Asia/Shanghai", day="2024-05-06"):
    return (
        int(datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone)).timestamp())
        * 10**9
    )


def trip(km, waiting=0, start="10:00", end="10:40", one_way=None, **where):
    exact, seconds = Decimal(str(km)), Decimal(waiting)
    return Trip((exact, exact), (seconds, seconds), at(start, **where), at(end, **where), one_way)


def exactly(amount):
    return Fare(Decimal(amount), Decimal(amount))


@pytest.mark.parametrize(
    ("driven", "expected"),
    [
        (trip(8.4), "25.42"),
        (trip(8.4, 660), "30.02"),
        (trip(20, one_way=True), "57.85"),
        (trip(20, start="01:00", end="01:30", one_way=True), "66.82"),
        (trip(20, one_way=False), "52.10"),
        (trip(1.2), "13.00"),
        (trip(8.4, 660, start="07:30", end="08:00"), "34.62"),
        (trip(8.4, 299), "25.42"),
    ],
    ids=["day", "waiting", "one way", "night", "return", "short", "peak", "no full period"],
)
def test_beijing_worked_examples(driven, expected):
    assert unrounded(BEIJING, driven) == exactly(expected)


@pytest.mark.parametrize(
    ("driven", "low", "high"),
    [
        (trip(20), "52.10", "57.85"),
        (trip(10, start="22:50", end="23:10"), "29.10", "32.32"),
        (trip(10, start="04:50", end="05:10"), "29.10", "32.32"),
        (trip(8.4, 660, start="08:50", end="09:10"), "30.02", "34.62"),
    ],
    ids=["one way or return", "into the night", "out of the night", "out of the peak"],
)
def test_what_the_reading_leaves_open_makes_an_interval(driven, low, high):
    assert unrounded(BEIJING, driven) == Fare(Decimal(low), Decimal(high))


def test_the_shown_fare_is_rounded_to_a_yuan():
    assert fare(BEIJING, trip(8.4)) == exactly(25)
    assert fare(BEIJING, trip(20, one_way=True)) == exactly(58)


@pytest.mark.parametrize(
    ("miles", "waiting", "low", "high"),
    [
        ("0", 0, "2.50", "2.50"),
        ("0.19", 0, "2.50", "2.50"),
        ("0.2", 0, "3.00", "3.00"),
        ("1.0", 0, "5.00", "5.00"),
        ("0", 300, "5.00", "5.00"),
        ("1.0", 300, "5.00", "7.50"),
        ("2.0", 60, "7.50", "8.00"),
    ],
)
def test_new_york_counts_units_begun_of_distance_or_time(miles, waiting, low, high):
    driven = trip(Decimal(miles) * MILE, waiting)
    assert fare(NEW_YORK, driven) == Fare(Decimal(low), Decimal(high))


def taxi(km, money, *, waiting=0.0, start="10:00", end="10:40", currency="CNY", **other):
    values = {
        "distance": float(km),
        "waiting_time": float(waiting),
        "fare": float(money),
        "surcharge": 1.0,
        "started_at": at(start),
        "ended_at": at(end),
        "tariff": "beijing-2013",
        **other,
    }
    return Reading(
        "cab", "taximeter", "trip", None, at(end), at(end), None, "raw", (), currency, "t@1", 1,
        LAYOUT.names, tuple(values[name] for name in LAYOUT.names),
    )  # fmt: skip


def judge_one(one, devices=None, settings=None):
    judge = Judge(devices or {}, TARIFFS, registry_known=False)
    flags = []
    judge.judge(judge.bind(LAYOUT, settings or {}, "t"), one, flags)
    return flags, dict(judge.not_judged)


@pytest.mark.parametrize("money", [24, 25, 26])
def test_a_fare_within_one_unit_of_rounding_is_right(money):
    assert judge_one(taxi(8.4, money)) == ([], {})


def test_a_fare_above_the_tariff_is_critical_with_its_inputs():
    ((flag,), _) = judge_one(taxi(8.4, 31))
    assert (flag.code, flag.severity) == ("fare_mismatch", "critical")
    evidence = {
        "observed": 31.0,
        "expected": {"low": 25.0, "high": 25.0},
        "tolerance": 1.0,
        "unit": "CNY",
        "difference": 6.0,
        "tariff": "beijing-2013",
    }
    assert flag.evidence.items() >= evidence.items()
    assert flag.evidence["inputs"]["distance"] == 8.4
    assert flag.since == at("10:00")


def test_a_fare_below_the_tariff_is_wrong_but_not_critical():
    assert [f.severity for f in judge_one(taxi(8.4, 20))[0]] == ["major"]


def test_night_rate_by_day_is_flagged():
    assert [f.code for f in judge_one(taxi(14, 43))[0]] == ["fare_mismatch"]
    assert judge_one(taxi(14, 43, start="01:00", end="01:30"))[0] == []


def test_the_registrys_tariff_counts_before_the_one_that_the_meter_names():
    device = Device(device_id="cab", parameters={"tariff": "beijing-2013"})
    ((flag,), _) = judge_one(taxi(8.4, 31, tariff="cheaper-2020"), {"cab": device})
    assert (flag.evidence["tariff"], flag.evidence["tariff_named"]) == (
        "beijing-2013",
        "cheaper-2020",
    )


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (taxi(8.4, 99, waiting_time=None), "waiting_time is missing"),
        (taxi(8.4, 99, started_at=None), "started_at is missing"),
        (taxi(8.4, 99, tariff=None), "no tariff is named"),
        (taxi(8.4, 99, tariff="nowhere"), "the tariff is not known"),
        (taxi(8.4, 99, currency="USD"), "the tariff has another currency"),
        (taxi(8.4, 99, started_at=at("10:00", day="2012-01-01")), "the tariff was not in force"),
        (
            taxi(
                8.4, 52, tariff="nyc-2012", currency="USD", started_at=at("10:00", day="2019-03-04")
            ),
            "a flat fare: the reading does not tell the route",
        ),
    ],
    ids=["waiting", "start", "unnamed", "unknown", "currency", "not in force", "flat"],
)
def test_what_cannot_be_judged_is_counted_and_never_a_flag(one, reason):
    assert judge_one(one) == ([], {("fare_mismatch", reason): 1})


def test_a_fare_that_includes_the_surcharge_is_judged_without_it():
    settings = {"fare_mismatch": {"surcharge_included": True}}
    assert judge_one(taxi(8.4, 27), settings=settings)[0] == []
    assert len(judge_one(taxi(8.4, 27))[0]) == 1


def test_faults_of_all_tariff_files_are_told_at_once(tmp_path):
    whole = (FOLDER / "beijing-2013.yaml").read_text()
    (tmp_path / "renamed.yaml").write_text(whole)
    (tmp_path / "wrong.yaml").write_text(whole.replace("Asia/Shanghai", "Asia/Nowhere"))
    (tmp_path / "typo.yaml").write_text(whole.replace("flagfall:", "flagfal:"))
    (tmp_path / "torn.yaml").write_text("tariff: [")
    with pytest.raises(ProfileError) as caught:
        read_tariffs(tmp_path.glob("*.yaml"))
    told = str(caught.value)
    for part in ("renamed.yaml: tariff:", "Asia/Nowhere", "flagfal", "torn.yaml"):
        assert part in told


def test_clocks_without_quotes_are_read_as_clocks(tmp_path):
    bare = (FOLDER / "beijing-2013.yaml").read_text().replace("beijing-2013", "bare")
    bare = re.sub(r'"(\d\d:\d\d)"', r"\1", bare)
    (tmp_path / "bare.yaml").write_text(bare)
    (tariff,) = read_tariffs(tmp_path.glob("*.yaml")).values()
    assert tariff.night == BEIJING.night
