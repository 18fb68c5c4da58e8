"""Readings of a device through a judge as a pipeline would do it, also shuffled and restarted."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from gateway.checks import Judge
from gateway.checks.judge import CLOCK_STEP
from gateway.checks.order import HOLD, LATENESS
from tests.checks.support import final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from gateway.profiles.layout import Layout
    from gateway.records import Device, Flag, Reading

Made = tuple["Layout", "Reading"]


def found(
    readings: Iterable[Made],
    *,
    devices: Mapping[str, Device] | None = None,
    checks: Mapping[str, Any] | None = None,
    only: Collection[str] = (),
    restart: Callable[[int], bool] = lambda _: False,
) -> list[Flag]:
    """The last version of each flag, of ``only`` these codes if any; ``restart`` tells when."""
    known = {} if devices is None else devices
    given = list(readings)
    layouts = {layout.names: layout for layout, _ in given}
    judge, bound = _made(layouts.values(), known, checks)
    flags: list[Flag] = []
    for index, (layout, one) in enumerate(given):
        if one.received_at >= judge.next_advance:
            judge.advance(one.received_at, flags)
        judge.judge(bound[layout.names], one, flags)
        if restart(index):
            blob = judge.snapshot()
            judge, bound = _made(layouts.values(), known, checks)
            judge.restore(blob)
            assert judge.snapshot() == blob
    judge.foresee(flags)
    judge.advance(judge.order.clock + HOLD + CLOCK_STEP, flags)
    last = [flag for flag in final(flags).values() if not only or flag.code in only]
    return sorted(last, key=lambda flag: (flag.since, flag.id))


def _made(
    layouts: Iterable[Layout], known: Mapping[str, Device], checks: Mapping[str, Any] | None
) -> tuple[Judge, dict[tuple[str, ...], Any]]:
    judge = Judge(known, {}, registry_known=False)
    return judge, {
        layout.names: judge.bind(layout, dict(checks or {}), "test.yaml") for layout in layouts
    }


def codes(flags: Iterable[Flag]) -> list[str]:
    return [flag.code for flag in flags]


def told(flags: Iterable[Flag]) -> list[tuple[Any, ...]]:
    """Everything of the flags but where their readings lie."""
    return sorted(
        (f.id, f.code, f.severity, f.status, f.since, f.until, repr(f.evidence)) for f in flags
    )


def shuffled(readings: Sequence[Made], seed: int) -> list[Made]:
    """In an order of arrival that displaces each by the lateness at most."""
    rng = Random(seed)
    delays = [
        (one.received_at + rng.randint(0, LATENESS), i) for i, (_, one) in enumerate(readings)
    ]
    return [readings[i] for _, i in sorted(delays)]


def the_same_however_it_comes(readings: Sequence[Made], seed: int, **given: Any) -> list[Flag]:
    """The flags in order; fails where a shuffle or restarts give others."""
    in_order = found(readings, **given)
    mixed = shuffled(readings, seed)
    assert told(found(mixed, **given)) == told(in_order)
    rng = Random(seed)
    assert told(found(mixed, restart=lambda _: rng.random() < 0.2, **given)) == told(in_order)
    return in_order
