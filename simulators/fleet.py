"""A fleet: instruments of one or more kinds, who of them cheats, and their messages in order."""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, Any, Final

import msgspec

from simulators.catalogue import KINDS
from simulators.clock import DAY, rfc3339
from simulators.faults import Case, Event, Fault
from simulators.instrument import Setting
from simulators.line import Line, Message, Troubles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from simulators.instrument import Instrument

_GOLDEN: Final = 0.618_033_988_749_894_9
_PERIOD: Final = {
    # years between verifications, or to replacement (domain: JJG 443, 517, 596, 162, 577)
    "fuel_dispenser": 0.5,
    "taximeter": 1.0,
    "electricity_meter": 8.0,
    "water_meter": 6.0,
    "gas_meter": 10.0,
}


class Choice(msgspec.Struct, frozen=True):
    """A cheat that was asked for: in which kind, which, and the share of devices it hits."""

    kind: str
    cheat: str
    share: float


class Order(msgspec.Struct, frozen=True):
    """What to simulate.  Times are milliseconds; ``until`` None is a run without end.

    ``interval`` None takes each kind's usual one; ``lag`` is how far ``start`` lies behind the
    wall clock of the receiver (0 for a capture).
    """

    kinds: tuple[str, ...]
    devices: int
    seed: int
    start: int
    until: int | None
    cheats_from: int
    region: str = "110000"
    interval: int | None = None
    lag: int = 0
    choices: tuple[Choice, ...] = ()
    troubles: Troubles = Troubles()


class UnknownCheat(ValueError):
    """A cheat that no kind of the run has; ``known`` are those it could be."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no cheat {name!r} here; there are: {', '.join(known)}")
        self.name = name
        self.known = known


class TooManyCheats(ValueError):
    """The shares of one kind's cheats sum to more than all devices."""

    def __init__(self, kind: str, share: float) -> None:
        super().__init__(f"the shares of the cheats of {kind} sum to {share:g}, more than 1")
        self.kind = kind
        self.share = share


def choose(kinds: tuple[str, ...], asked: list[tuple[str, float]]) -> tuple[Choice, ...]:
    """Finds the cheats asked for by name.

    Args:
        kinds: of the run.
        asked: pairs of a name and a share.  ``NAME`` is taken by every kind that has it,
            ``KIND.NAME`` by one, and ``all`` stands for every cheat of every kind.

    Raises:
        UnknownCheat: no kind of the run has it.
        TooManyCheats: one kind's shares sum to more than 1.
    """
    known = [(kind, cheat) for kind in kinds for cheat in KINDS[kind].cheats]
    chosen: dict[tuple[str, str], Choice] = {}
    for name, share in asked:
        found = [
            (kind, cheat) for kind, cheat in known if name in ("all", cheat, f"{kind}.{cheat}")
        ]
        if not found:
            raise UnknownCheat(name, sorted({cheat for _, cheat in known}))
        chosen.update({each: Choice(*each, share) for each in found})
    for kind in kinds:
        share = sum(each.share for each in chosen.values() if each.kind == kind)
        if share > 1 + 1e-9:
            raise TooManyCheats(kind, share)
    return tuple(chosen.values())


class Device(msgspec.Struct, frozen=True):
    """One simulated device of a fleet."""

    kind: str
    region: str
    setting: Setting
    instrument: Instrument
    line: Line
    fault: Fault | None

    def registration(self) -> dict[str, Any]:
        """The device's line of the registry file."""
        rng: Random = self.setting.random("registry")
        device_id, start = self.setting.device_id, self.setting.start
        period = round(_PERIOD[self.kind] * 365 * DAY)
        verified = start - rng.randint(5 * DAY, max(6 * DAY, period // 3))
        return {
            "device_id": device_id,
            "kind": self.kind,
            "profile": f"{self.kind.replace('_', '-')}-reference",
            "vendor": "Reference",
            "model": f"{KINDS[self.kind].prefix.upper()}-1",
            "serial_number": f"{rng.randrange(10**8):08d}",
            "owner": f"simulated-owner-{self.setting.index // 10 + 1:03d}",
            "site": f"simulated-site-{self.setting.index // 4 + 1:04d}",
            "region": self.region,
            "longitude": round(116.40 + rng.uniform(-0.3, 0.3), 6),
            "latitude": round(39.90 + rng.uniform(-0.25, 0.25), 6),
            "commissioned_at": rfc3339(verified - DAY),
            "verified_at": rfc3339(verified),
            "verified_until": rfc3339(verified + period),
            "certificate": f"SIM-{device_id}",
            "parameters": self.instrument.parameters(),
        }


class Fleet:
    """Simulated devices and their messages.

    A device's readings depend on seed, kind, region and its number alone, so a larger fleet holds
    the smaller one unchanged.

    Args:
        order: what to simulate.
        record: is told of each wrong thing once it is over.
    """

    def __init__(self, order: Order, record: Callable[[Event], None]) -> None:
        self.order = order
        self._record = record
        self.devices: list[Device] = []
        each, more = divmod(order.devices, len(order.kinds))
        for number, kind in enumerate(order.kinds):
            self._add(kind, each + (number < more))

    def _add(self, kind: str, count: int) -> None:
        order, made = self.order, KINDS[kind]
        cheats = self._cheats(kind, count)
        for index in range(count):
            setting = Setting(
                seed=order.seed,
                device_id=f"{made.prefix}-{order.region}-{index + 1:05d}",
                index=index,
                start=order.start,
                interval=order.interval or made.interval,
            )
            instrument = made.make(setting)
            fault = self._fault(setting, kind, cheats[index]) if index in cheats else None
            line = Line(
                setting, order.region, kind, instrument, fault=fault, troubles=order.troubles
            )
            self.devices.append(Device(kind, order.region, setting, instrument, line, fault))

    def _cheats(self, kind: str, count: int) -> dict[int, str]:
        """Which device does what: each at most one thing, each cheat at least one device.

        Devices are spread over [0, 1) by the golden ratio, which leaves every share exact to
        about one device, and cheats take adjoining parts of it.
        """
        offset = Setting(self.order.seed, kind, 0, 0, 1).random("cheats").random()
        places = [(offset + index * _GOLDEN) % 1 for index in range(count)]
        cheats: dict[int, str] = {}
        low = 0.0
        for choice in (each for each in self.order.choices if each.kind == kind and each.share):
            high = low + choice.share
            hit = [index for index, place in enumerate(places) if low <= place < high]
            cheats.update(dict.fromkeys(hit, choice.cheat))
            low = high
        for cheat in {each.cheat: 0 for each in self.order.choices if each.kind == kind}:
            free = [index for index in range(count) if index not in cheats]
            if free and cheat not in cheats.values():
                cheats[free[0]] = cheat
        return cheats

    def _fault(self, setting: Setting, kind: str, name: str) -> Fault:
        cheat = KINDS[kind].cheats[name]
        return cheat.make(
            Case(
                device_id=setting.device_id,
                cheat=name,
                code=cheat.code,
                begin=self.order.cheats_from,
                lag=self.order.lag,
                rng=setting.random(f"cheat/{name}"),
                record=self._record,
            )
        )

    def messages(self) -> Iterator[Message]:
        """All devices' messages in the order of arrival; memory is a message or two a device."""
        until = self.order.until
        return merge(
            *(device.line.messages(order, until) for order, device in enumerate(self.devices))
        )

    def finish(self, until: int) -> None:
        """Ends the run at ``until`` (ms): what was still under way is recorded."""
        for device in self.devices:
            if device.fault is not None:
                device.fault.finish(until)

    def registry(self) -> Iterator[dict[str, Any]]:
        """Registry lines of all devices that are registered."""
        for device in self.devices:
            if device.fault is None or device.fault.registered:
                yield device.registration()
