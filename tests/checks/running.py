"""A judge as processing runs it: the clock goes on, and it may be restarted at any reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.checks import Judge
from gateway.checks.judge import CLOCK_STEP
from gateway.checks.order import HOLD, LATENESS
from tests.checks.support import final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from random import Random

    from gateway.profiles.layout import Layout
    from gateway.records import Device, Flag, Reading


class Running:
    """Judges readings of several layouts, told apart by their names and event.

    Args:
        layouts: whose readings come.
        devices: the registry.
        checks: settings of all of them.
        restart_every: readings after which the judge is made anew from its snapshot; 0 for never.
    """

    def __init__(
        self,
        layouts: Sequence[Layout],
        devices: Mapping[str, Device] | None = None,
        checks: dict[str, Any] | None = None,
        restart_every: int = 0,
    ) -> None:
        self._layouts = layouts
        self._devices = devices or {}
        self._checks = checks or {}
        self._restart_every = restart_every
        self.flags: list[Flag] = []
        self._begin()

    def _begin(self) -> None:
        self.judge = Judge(self._devices, {}, registry_known=False)
        self._bound = {
            (layout.event, layout.names): self.judge.bind(layout, self._checks, "test.yaml")
            for layout in self._layouts
        }

    def judged(self, readings: Iterable[Reading]) -> Running:
        """Takes readings in this order of arrival."""
        for number, one in enumerate(readings, 1):
            self.clock(one.received_at)
            self.judge.judge(self._bound[one.event, one.names], one, self.flags)
            if self._restart_every and number % self._restart_every == 0:
                blob = self.judge.snapshot()
                self._begin()
                self.judge.restore(blob)
                assert self.judge.snapshot() == blob
        return self

    def clock(self, at: int) -> Running:
        """Lets the ledger's clock go on, as a mark of the gateway does."""
        if at >= self.judge.next_advance:
            self.judge.advance(at, self.flags)
        return self

    def found(self, code: str | None = None) -> list[Flag]:
        """Flags as a store would hold them in the end, of one code, by their beginning."""
        self.judge.foresee(self.flags)
        self.clock(self.judge.order.clock + HOLD + CLOCK_STEP)
        return sorted(
            (flag for flag in final(self.flags).values() if code in (None, flag.code)),
            key=lambda flag: (flag.since, flag.device_id, flag.id),
        )


def shuffled(readings: Sequence[Reading], rng: Random) -> list[Reading]:
    """The readings as they may arrive: each displaced by the lateness at most.

    Readings of one message stay together.
    """
    delays: dict[tuple[str, int], int] = {}
    for one in readings:
        delays.setdefault((one.device_id, one.measured_at), rng.randrange(LATENESS))
    return sorted(
        readings, key=lambda one: one.received_at + delays[one.device_id, one.measured_at]
    )


def told(flags: Iterable[Flag]) -> list[tuple[object, ...]]:
    """What must not depend on the order of arrival."""
    return [(f.id, f.code, f.since, f.until, f.severity, f.status, f.evidence) for f in flags]
