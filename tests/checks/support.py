"""Readings and layouts for the tests of the checks, in the shortest form that says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.checks import Judge
from gateway.checks.order import HOLD
from gateway.profiles.layout import Layout, Register
from gateway.quantities import BY_NAME
from gateway.records import Flag, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.checks import BoundChecks

T0 = 1_760_000_000 * 10**9
MINUTE = 60 * 10**9


def water_layout(
    *,
    modulus: int | None = 2**32,
    per_channel: bool = False,
    measured: bool = True,
    full_scale: float | None = 100_000.0,
    resolution: float | None = 0.001,
    names: tuple[str, ...] = ("volume", "flow_rate"),
    event: str = "periodic",
) -> Layout:
    """A water meter with one register."""
    return Layout(
        "water_meter",
        event,
        "test@1.0.0",
        names,
        {"volume": Register(full_scale, resolution)},
        modulus,
        per_channel,
        measured,
    )


def reading(
    layout: Layout,
    number: int | None,
    minute: float,
    *,
    offset: int,
    device_id: str = "d1",
    channel: str | None = None,
    late: float = 0.0,
    status: tuple[str, ...] = (),
    currency: str | None = None,
    **quantities: Any,
) -> Reading:
    """A reading measured ``minute`` minutes after T0 and received ``late`` minutes later."""
    unknown = set(quantities) - BY_NAME[layout.kind].keys()
    assert not unknown, unknown
    measured = T0 + round(minute * MINUTE)
    return Reading(
        device_id,
        layout.kind,
        layout.event,
        channel,
        measured,
        measured + round(late * MINUTE),
        number,
        "raw",
        status,
        currency,
        layout.profile,
        offset,
        layout.names,
        tuple(quantities.get(name) for name in layout.names),
    )


def judged(
    judge: Judge, bound: BoundChecks, readings: Iterable[Reading]
) -> tuple[list[bool], list[Flag]]:
    """What the judge says of each reading, and all flags it handed out, in order."""
    flags: list[Flag] = []
    new = [judge.judge(bound, one, flags) for one in readings]
    return new, flags


def in_the_end(judge: Judge, bound: BoundChecks, readings: Sequence[Reading]) -> list[Flag]:
    """All flags, when so much time has passed that no reading waits for others any more."""
    _, flags = judged(judge, bound, readings)
    judge.order.advance(max(one.received_at for one in readings) + HOLD, flags)
    return flags


def flags_of(
    readings: Iterable[Reading], layout: Layout, settings: dict[str, Any] | None = None
) -> list[Flag]:
    """Flags handed out by a fresh judge."""
    judge = Judge({}, {})
    return judged(judge, judge.bind(layout, settings or {}, "test.yaml"), readings)[1]


def final(flags: Iterable[Flag]) -> dict[str, Flag]:
    """The last version of each flag that is not withdrawn, as a store would hold it."""
    last = {flag.id: flag for flag in flags}
    return {id_: flag for id_, flag in last.items() if flag.status != "withdrawn"}
