"""Two devices under one identity, and what only looks like it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec

from gateway.checks import Judge
from tests.checks.support import MINUTE, reading, water_layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.records import Flag, Reading

LAYOUT = water_layout()


def messages(numbers: Iterable[int | None], every: float = 10.0) -> list[Reading]:
    return [
        reading(LAYOUT, number, index * every, offset=index, volume=float(index))
        for index, number in enumerate(numbers)
    ]


def found(readings: Iterable[Reading], again: int = 0) -> list[Flag]:
    judge, flags = Judge({}, {}), []
    bound = judge.bind(LAYOUT, {}, "t")
    for index, each in enumerate(readings):
        if each.received_at >= judge.next_advance:
            judge.advance(each.received_at, flags)
        judge.judge(bound, each, flags)
        if again and index % again == 0:
            judge.restore(judge.snapshot())
    judge.foresee(flags)
    return list({f.id: f for f in flags if f.code == "identity_clash"}.values())


def clones(count: int) -> list[int | None]:
    return [1000 + index // 2 if index % 2 else 77_000_000 + index // 2 for index in range(count)]


def test_two_counters_that_both_go_on_are_two_devices():
    readings = messages(clones(400))
    (flag,) = found(readings)
    assert flag.severity == "major"
    assert flag.since == readings[2].measured_at
    # Handed out when it begins and once a day while it lasts.
    assert readings[-1].measured_at - flag.until < 24 * 60 * MINUTE
    assert flag.evidence["count"] == flag.evidence["alternations"] - 3 > 200


def test_it_ends_when_one_of_them_is_silent():
    numbers = [*clones(20), *(1010 + index for index in range(200))]
    (flag,) = found(messages(numbers))
    assert flag.status == "ended"
    assert flag.until < messages(numbers)[-1].measured_at


def test_lost_late_and_restarted_counters_are_one_device():
    late: list[int | None] = [*range(50), 52, 51, 53, 54, 58, 57, 56, 55, *range(59, 80)]
    assert found(messages(late)) == []
    lost = [*range(20), *range(500, 520), *range(900, 920)]
    assert found(messages(lost)) == []
    restarts = [n for _ in range(6) for n in range(9)]
    assert found(messages(restarts)) == []
    assert found(messages([None] * 30)) == []
    wrapped = [(2**32 - 20 + index) % 2**32 for index in range(40)]
    assert found(messages(wrapped)) == []


def test_another_order_and_a_restart_change_nothing():
    readings = messages(clones(60))
    expected = found(readings)
    assert expected
    assert found(readings, again=7) == expected
    rng = Random(3)
    when = {id(r): r.received_at + rng.randrange(10) * MINUTE for r in readings}
    moved = [
        msgspec.structs.replace(r, received_at=when[id(r)])
        for r in sorted(readings, key=lambda r: when[id(r)])
    ]
    assert [(f.id, f.since, f.until) for f in found(moved)] == [
        (f.id, f.since, f.until) for f in expected
    ]
