"""A device that measures after its certificate has expired."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.checks import Judge
from gateway.devices import Registry
from gateway.records import Device
from tests.checks.runs import found, the_same_however_it_comes
from tests.checks.support import MINUTE, T0, reading, water_layout

MINE = {"verification_expired"}
WATER = water_layout(modulus=65536)
DAY = 1440 * MINUTE


def after(days, **more):
    return Device(device_id="d1", verified_until=T0 + round(days * DAY), **more)


def daily(*days, late=1.0):
    return [
        (WATER, reading(WATER, n, day * 1440, offset=n, late=late, volume=float(n)))
        for n, day in enumerate(days)
    ]


def flags_of(readings, *versions, **given):
    return found(readings, only=MINE, devices=Registry(versions), **given)


def span(flag):
    return (flag.since - T0) / DAY, (flag.until - T0) / DAY, flag.status


def test_an_expired_device_is_one_flag_from_the_expiry_on():
    (flag,) = flags_of(daily(*range(60)), after(29.5, certificate="C-1"))
    assert (flag.since, flag.status, flag.severity) == (T0 + round(29.5 * DAY), "open", "major")
    told = flag.evidence
    assert told["inputs"]["certificate"] == "C-1"
    assert told["observed"] > told["expected"] == told["inputs"]["verified_until"]
    assert told["inputs"]["registry_valid_from"] is None


def test_a_device_is_verified_until_the_last_moment():
    assert flags_of(daily(*range(31)), after(30)) == []
    assert len(flags_of(daily(*range(32)), after(30))) == 1


def test_a_new_certificate_ends_it():
    flags = flags_of(daily(*range(60)), after(29.5), after(400, valid_from=T0 + 44 * DAY))
    assert [span(f) for f in flags] == [(29.5, 43.0, "ended")]


def test_a_certificate_in_time_is_no_finding():
    assert flags_of(daily(*range(60)), after(30), after(400, valid_from=T0 + 25 * DAY)) == []


def test_each_expiry_is_a_flag_of_its_own():
    versions = [after(10.5), after(30.5, valid_from=T0 + 20 * DAY)]
    flags = flags_of(daily(*range(40)), *versions)
    assert [span(f)[0] for f in flags] == [10.5, 30.5]
    assert [f.status for f in flags] == ["ended", "open"]


def test_a_device_that_is_not_in_use_yet_is_not_judged():
    (flag,) = flags_of(daily(*range(60)), after(5, commissioned_at=T0 + 40 * DAY))
    assert flag.since == T0 + 40 * DAY
    assert flags_of(daily(*range(40)), after(5, commissioned_at=T0 + 40 * DAY)) == []


def test_a_grace_can_be_set():
    checks = {"verification_expired": {"grace": 7 * 86_400.0}}
    assert flags_of(daily(*range(37)), after(30), checks=checks) == []
    (flag,) = flags_of(daily(*range(39)), after(30), checks=checks)
    assert (flag.since, flag.evidence["tolerance"]) == (T0 + 30 * DAY, 7 * 86_400.0)


def test_a_device_without_a_certificate_is_not_judged_and_counted_once():
    judge = Judge(Registry([Device(device_id="d1")]), {})
    bound = judge.bind(WATER, {}, "test.yaml")
    flags = []
    for _, one in daily(*range(20)):
        judge.judge(bound, one, flags)
    judge.advance(T0 + 60 * DAY, flags)
    counted = {reason: n for (code, reason), n in judge.not_judged.items() if code in MINE}
    assert counted == {"the registry has no end of the verification": 1}
    assert [f for f in flags if f.code in MINE] == []


def test_a_backfill_is_judged_by_the_certificate_of_its_day():
    # A month of readings comes when the certificate has expired: those before it are right.
    readings = daily(*range(40))
    backfill = [
        (WATER, reading(WATER, 100 + n, n * 1440 + 700, offset=100 + n, late=60 * 1440, volume=1.0))
        for n in range(28)
    ]
    flags = flags_of([*readings, *backfill], after(29.5))
    assert [span(f)[0] for f in flags] == [29.5]


def test_what_comes_late_and_was_expired_belongs_to_its_flag():
    readings = [one for one in daily(*range(60)) if one[1].sequence != 35]
    late = (WATER, reading(WATER, 35, 35 * 1440, offset=99, late=30 * 1440, volume=35.0))
    flags = flags_of([*readings, late], after(29.5), after(400, valid_from=T0 + 44 * DAY))
    assert [span(f) for f in flags] == [(29.5, 43.0, "ended")]


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_the_order_of_arrival_and_restarts_change_nothing(seed, expires, renewed, again):
    readings = [
        (WATER, reading(WATER, n, n * 5, offset=n, late=0.1, volume=float(n))) for n in range(80)
    ]
    until = T0 + (expires * 5 + 1) * MINUTE
    versions = [Device(device_id="d1", verified_until=until)]
    if again:
        versions.append(after(90, valid_from=T0 + (renewed * 5 + 2) * MINUTE))
    flags = the_same_however_it_comes(readings, seed, only=MINE, devices=Registry(versions))
    assert len(flags) == int(not again or renewed > expires)
