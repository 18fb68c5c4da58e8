"""Meters of a small seeded kind, and a gateway's judge around their readings."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from gateway.checks import Judge
from gateway.checks.judge import CLOCK_STEP
from gateway.checks.order import HOLD
from gateway.devices import Registry
from gateway.profiles.layout import Layout, Register
from gateway.records import Device
from tests.checks.support import T0, final, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gateway.records import Flag, Reading

DAY_MINUTES = 1440
MIDNIGHT = (T0 // (60 * 10**9) + 480) // 1440 * 1440 + 1440 - 480 - T0 / (60 * 10**9)
"""Minutes from T0 to the next midnight in Beijing."""
_WATER = (1, 0, 0, 0, 0.5, 2, 6, 10, 8, 5, 4, 5, 6, 4, 3, 3, 4, 7, 10, 11, 10, 8, 5, 2)
_POWER = (4, 3, 3, 3, 3, 3, 4, 7, 7, 5, 5, 6, 7, 6, 5, 5, 6, 9, 12, 14, 14, 12, 9, 6)

Change = "Callable[[int, dict[str, Any]], None]"


def layout_of(kind: str, **changes: Any) -> Layout:
    """The layout of the reference format."""
    names: tuple[str, ...]
    if kind == "electricity_meter":
        names = ("energy_import", "energy_export", "power_active")
        faces = {"energy_import": Register(1e6, 0.01), "energy_export": Register(1e6, 0.01)}
    elif kind == "heat_meter":
        names, faces = ("energy", "power"), {"energy": Register(1e6, 0.01)}
    elif kind == "gas_meter":
        names, faces = ("volume", "flow_rate"), {"volume": Register(1e6, 0.001)}
    else:
        names = ("volume", "volume_reverse", "flow_rate")
        faces = {"volume": Register(1e6, 0.001), "volume_reverse": Register(1e6, 0.001)}
    names = changes.get("names", names)
    return Layout(
        kind, "periodic", "test@1.0.0", names, faces, changes.get("modulus", 2**32), False, True
    )


class Meter:
    """A meter's use by the hour: its own size, its own noise, a curve of the day.

    ``rates`` gives the use per hour at a minute since T0, before noise; a test alters ``body``.
    """

    def __init__(
        self, kind: str = "water_meter", *, seed: int = 1, interval: int = 60, **changes: Any
    ) -> None:
        self.kind = kind
        self.layout = layout_of(kind, **changes)
        self.interval = interval
        self.device_id = changes.get("device_id", "d1")
        self._rng = Random(f"{kind}/{seed}")
        self.first = self._rng.randrange(interval) if "first" not in changes else changes["first"]
        self._size = self._rng.uniform(0.7, 1.4)

    def use(self, minute: float) -> float:
        """What is used in the interval before a minute, in units of the last digit."""
        hour = int((minute - MIDNIGHT) // 60 % 24)
        rng, share = self._rng, self.interval / 60
        if self.kind == "electricity_meter":
            return 8 * _POWER[hour] * self._size * share * max(0.2, rng.gauss(1, 0.3))
        if self.kind == "heat_meter":
            return 500 * self._size * share * rng.uniform(0.8, 1.2)
        draws = sum(rng.random() < _WATER[hour] * share / 12 for _ in range(4))
        return sum(rng.uniform(3, 60) for _ in range(draws))

    def readings(
        self,
        days: float,
        *,
        share: Callable[[float], float] = lambda _: 1.0,
        more: Callable[[float], float] = lambda _: 0.0,
        change: Callable[[int, dict[str, Any]], None] = lambda _n, _body: None,
        start: float = 123_000,
        late: float = 0.1,
    ) -> list[Reading]:
        """Readings of some days.

        Args:
            days: how many.
            share: part of the use that is measured, by the day.
            more: what flows besides, digits an hour, by the day.
            change: what is sent otherwise, by number and body; ``status`` and ``minute`` too.
            start: where the register stands, in digits.
            late: minutes from measurement to receipt.
        """
        total, digit = start, 0.001 if "volume" in self.layout.names else 0.01
        made = []
        for number in range(int(days * DAY_MINUTES / self.interval)):
            minute = self.first + number * self.interval
            day = minute / DAY_MINUTES
            step = self.use(minute) * share(day) + more(day) * self.interval / 60
            total += step
            rate = step * digit / (self.interval / 60)
            body: dict[str, Any] = {"minute": minute, "status": ()}
            register = self.layout.names[0]
            body[register] = int(total) % 10**9 * digit
            for name in self.layout.names[1:]:
                body[name] = rate if name in {"flow_rate", "power_active", "power"} else 0.0
            body[register] = round(body[register], 3)
            change(number, body)
            minute, status = body.pop("minute"), body.pop("status")
            made.append(
                reading(
                    self.layout, number if self.layout.sequence_modulus else None, minute,
                    offset=number, late=late, device_id=self.device_id, status=status, **body,
                )
            )  # fmt: skip
        return made


def registered(*versions: Mapping[str, Any], device_id: str = "d1") -> Registry:
    """A registry of one device: parameters, or whole versions."""
    return Registry(
        [
            Device(device_id=device_id, region="110000", **version)
            if "parameters" in version or "serial_number" in version
            else Device(device_id=device_id, region="110000", parameters=dict(version))
            for version in versions
        ]
    )


def found(
    readings: Iterable[Reading],
    layout: Layout,
    registry: Mapping[str, Device] | None = None,
    *,
    checks: dict[str, Any] | None = None,
    restart: int = 0,
) -> list[Flag]:
    """The flags in the end, by code; the gateway restarts after every ``restart`` readings."""
    registry = {} if registry is None else registry
    judge = Judge(registry, {}, registry_known=bool(registry))
    bound = judge.bind(layout, checks or {}, "test.yaml")
    flags: list[Flag] = []
    for number, one in enumerate(readings, 1):
        if one.received_at >= judge.next_advance:
            judge.advance(one.received_at, flags)
        judge.judge(bound, one, flags)
        if restart and number % restart == 0:
            blob = judge.snapshot()
            judge = Judge(registry, {}, registry_known=bool(registry))
            bound = judge.bind(layout, checks or {}, "test.yaml")
            judge.restore(blob)
            assert judge.snapshot() == blob
    judge.advance(judge.order.clock + HOLD + CLOCK_STEP, flags)
    return sorted(final(flags).values(), key=lambda flag: (flag.code, flag.since))


def codes(flags: Iterable[Flag]) -> list[str]:
    """What was found, without what is only information."""
    return [flag.code for flag in flags if flag.severity != "info"]
