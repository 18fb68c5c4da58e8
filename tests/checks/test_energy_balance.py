"""A feeder's master against its meters: when they do not balance, and whom the loss follows."""

from __future__ import annotations

import itertools
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway.checks import Judge
from gateway.checks.register_steps import RegisterSteps, whole_hours
from gateway.checks.steps import Faces
from gateway.devices import Registry
from gateway.profiles.layout import Layout, Register
from gateway.records import Device, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.records import Flag

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
START = 1_760_054_400 * 10**9  # a midnight
NAMES = ("energy_import", "energy_export")
LAYOUT = Layout(
    "electricity_meter", "periodic", "test@1.0.0", NAMES,
    {"energy_import": Register(1_000_000.0, 0.01)}, 2**32, False, True,
)  # fmt: skip
MEMBERS = [f"m{n}" for n in range(8)]
NEW_AT = START + 12 * DAY


def registry(*more: Device) -> Registry:
    members = [Device(device_id=name, parameters={"parent": "f"}) for name in MEMBERS]
    return Registry([*members, Device(device_id="f"), *more])


def feeder(
    days: int, *, thief: str = "", tap: float = 0.0, since: int = 15, replaced: str = ""
) -> Iterator[Reading]:
    """Hourly registers; loss 2 % at the usual load and growing with its square."""
    rng = Random(5)
    registers = dict.fromkeys([*MEMBERS, "f"], 1000.0)
    numbers = itertools.count()
    for hour in range(days * 24 + 1):
        true = {m: rng.uniform(0.1, 1.0) * (1 + (hour % 24 > 17)) for m in MEMBERS}
        load = sum(true.values())
        stolen = hour > since * 24
        if hour:
            registers["f"] += load + 0.05 + 0.003 * load * load + (tap * load if stolen else 0.0)
            for name, energy in true.items():
                registers[name] += energy * (0.5 if name == thief and stolen else 1.0)
        at = START + hour * HOUR
        if replaced and at == NEW_AT:
            registers[replaced] = 3.0
        for name in registers:
            offset = next(numbers)
            yield Reading(
                name, "electricity_meter", "periodic", None, at, at + offset % 7 * 10**9, hour,
                "raw", (), None, LAYOUT.profile, offset, NAMES,
                (round(registers[name] % 1e6, 2), 0.0),
            )  # fmt: skip


def found(readings: Iterator[Reading] | list[Reading], devices: Registry) -> list[Flag]:
    judge, flags = Judge(devices, {}), []
    bound = judge.bind(LAYOUT, {}, "t")
    for reading in readings:
        if reading.received_at >= judge.next_advance:
            judge.advance(reading.received_at, flags)
        judge.judge(bound, reading, flags)
    latest = {flag.id: flag for flag in flags if flag.code == "energy_balance_mismatch"}
    return list(latest.values())


def test_an_honest_feeder_balances_with_its_technical_loss():
    assert found(feeder(40), registry()) == []


def test_who_takes_half_past_the_meter_is_found_and_named():
    (flag,) = found(feeder(25, thief="m3"), registry())
    assert flag.device_id == "f"
    assert flag.since == START + 15 * DAY
    assert flag.until == START + 25 * DAY
    (suspect,) = flag.evidence["suspects"]
    assert suspect["device_id"] == "m3"
    assert suspect["confidence"] > 0.99
    assert suspect["share"] == pytest.approx(1.0, abs=0.1)  # half is registered: as much again
    inputs = flag.evidence["inputs"]
    expected = inputs["c0"] * inputs["hours"] + inputs["c2"] * inputs["sum_p2t"]
    assert flag.evidence["expected"] == pytest.approx(expected)
    assert flag.evidence["observed"] - expected > flag.evidence["tolerance"]


def test_a_tap_that_follows_the_whole_feeder_blames_nobody():
    (flag,) = found(feeder(25, tap=0.1), registry())
    assert flag.evidence["suspects"] == []


def test_it_ends_with_the_first_good_day():
    honest = list(feeder(30, thief="m3", since=15))
    cured = [r for r in honest if r.measured_at <= START + 20 * DAY]
    jump = {r.device_id: r.values[0] for r in cured}
    after = []
    for r, o in zip(honest, feeder(30), strict=True):
        if r.measured_at > START + 20 * DAY:
            base = next(
                x.values[0]
                for x in feeder(30)
                if x.device_id == r.device_id and x.measured_at == START + 20 * DAY
            )
            step = o.values[0] - base
            after.append(msgspec.structs.replace(r, values=(jump[r.device_id] + step, 0.0)))
        if len(after) > 9 * 24 * 3:
            break
    (flag,) = found([*cured, *after], registry())
    assert flag.status == "ended"
    assert flag.until == START + 20 * DAY


def test_a_replaced_meter_is_no_theft():
    new = Device(device_id="m2", parameters={"parent": "f"}, valid_from=NEW_AT)
    assert found(feeder(30, replaced="m2"), registry(new)) == []


def test_what_comes_in_another_order_or_is_restored_gives_the_same():
    readings = list(feeder(22, thief="m3"))
    expected = found(readings, registry())
    rng = Random(1)
    late = {id(r): r.received_at + rng.randrange(600) * 10**9 for r in readings}
    shuffled = [
        msgspec.structs.replace(r, received_at=late[id(r)])
        for r in sorted(readings, key=lambda r: late[id(r)])
    ]
    told = found(shuffled, registry())
    assert [(f.id, f.since, f.until, f.evidence) for f in told] == [
        (f.id, f.since, f.until, f.evidence) for f in expected
    ]

    judge, flags = Judge(registry(), {}), []
    bound = judge.bind(LAYOUT, {}, "t")
    for index, reading in enumerate(readings):
        judge.judge(bound, reading, flags)
        if index % 500 == 0:
            judge.restore(judge.snapshot())
    latest = {flag.id: flag for flag in flags}
    assert list(latest.values()) == expected


def test_registers_at_whole_hours():
    registers = {"energy_import": Register(100.0, 0.01)}
    faces = Faces(msgspec.structs.replace(LAYOUT, registers=registers), ("energy_import",))
    steps = RegisterSteps()
    hour = 1000 * HOUR

    def take(minutes: float, value: float, version: int = 0) -> list[tuple[float, float, int]]:
        at = hour + round(minutes * 60) * 10**9
        given = whole_hours(steps, faces, at, [value], version)
        return [((when - hour) / HOUR, round(total, 6), epoch) for when, total, epoch in given]

    assert take(30, 10.0) == []
    assert take(90, 12.0) == [(1, 1.0, 1)]
    assert take(91, 0.0) == []  # one glitch
    assert take(150, 14.0) == [(2, 3.0, 1)]
    assert take(600, 90.0) == [(10, 80.0, 1)]  # of a hole only its end
    assert take(660, 99.0) == [(11, 89.0, 1)]
    assert take(720, 1.0) == [(12, 91.0, 1)]  # over its full scale
    assert take(720, 1.0) == []
    assert take(780, 50.0, version=1) == [(13, 0.0, 2)]  # another meter
    assert take(781, 20.0, version=1) == []  # fell for good
    assert take(782, 20.0, version=1) == []
    assert take(840, 21.0, version=1) == [(14, 0.0, 3)]
