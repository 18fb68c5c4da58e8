"""Meters below a master: a feeder of electricity meters, a district of water meters.

A group's last device is its master; it measures what all members truly draw, and what is lost on
the way.  All of a group freeze their registers at the same full intervals, so that they can be
compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators.clock import DAY, SECOND
from simulators.electricity_meter import ElectricityMeter, generates, has_three_phases
from simulators.instrument import Body, Setting
from simulators.water_meter import WaterMeter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simulators.instrument import Instrument

SIZE: Final = 13
"""Devices of a group: twelve members and their master."""

_SENT_WITHIN: Final = 40 * SECOND
"""Less than a clock may be off: a constant delay looks like a clock that is behind."""
_PER_KWH: Final = 100_000


def is_member(index: int) -> bool:
    """Whether a device's number is that of a member, not of a master."""
    return index % SIZE != SIZE - 1


def is_master(index: int) -> bool:
    """Whether a device's number is that of a master."""
    return not is_member(index)


def is_residential(index: int) -> bool:
    """Whether a device's number puts it on a feeder of homes alone: every other feeder."""
    return index // SIZE % 2 == 1


def may_steal(index: int) -> bool:
    """Whether theft by this device can be seen: it takes more than a hundredth of its feeder.

    That is a shop where there are shops, else any home without panels.
    """
    if is_residential(index):
        return is_member(index) and not generates(index)
    return is_member(index) and has_three_phases(index)


class _Absences:
    """When people are away: a week of holiday, or of a home some weeks; one member in five."""

    def __init__(self, setting: Setting, *, shop: bool) -> None:
        rng = setting.random("absences")
        self._part = 1.0
        self._since = self._until = 0
        if rng.random() < 0.2:
            self._since = setting.start + rng.randrange(60 * DAY)
            holiday = rng.random() < 0.6 or shop
            self._until = self._since + rng.randint(*((5, 10) if holiday else (14, 40))) * DAY
            self._part = rng.uniform(0.15, 0.35) if holiday else 0.04

    def part(self, at: int) -> float:
        """The part of the usual load that is drawn at a time."""
        return self._part if self._since <= at < self._until else 1.0


class _Frozen:
    """When a group's messages are measured and sent."""

    def __init__(self, setting: Setting) -> None:
        self._interval = setting.interval
        self._first = -(-setting.start // setting.interval) * setting.interval
        self._delay = setting.random("delay").randrange(min(_SENT_WITHIN, setting.interval))

    def times(self) -> Iterator[tuple[int, int]]:
        """Pairs of the time measured, a multiple of the interval, and the time sent."""
        at = self._first
        while True:
            yield at, at + self._delay
            at += self._interval


class FeederMember(ElectricityMeter):
    """A meter of a feeder.

    Args:
        setting: its own.
        parent: device id of the master.
    """

    def __init__(self, setting: Setting, parent: str) -> None:
        homes = is_residential(setting.index)
        super().__init__(setting, three=False if homes else None)
        if homes:
            self.mean_kw = setting.random("home").uniform(0.35, 0.7)
        self._parent = parent
        self._absences = _Absences(setting, shop=len(self._phases) > 1)

    def parameters(self) -> Body:
        """As every meter's, and the master above it."""
        return super().parameters() | {"parent": self._parent}

    def presence(self, at: int) -> float:
        """Part of the usual load: people go away."""
        return self._absences.part(at)

    def readings(self) -> Iterator[tuple[int, Body]]:
        """As every meter's, at full intervals."""
        interval = self._setting.interval
        for at, sent in _Frozen(self._setting).times():
            yield sent, self.report(at, *self.consume(at - interval, at))


class FeederMaster(ElectricityMeter):
    """The three-phase meter at the head of a feeder.

    Technical loss is a constant (the transformer's iron) and a part by the square of the load
    (copper); both together are 1 to 5 % of a usual day.

    Args:
        setting: its own.
        members: their settings: it draws what they truly draw, whatever they show.
    """

    def __init__(self, setting: Setting, members: Sequence[Setting]) -> None:
        super().__init__(setting, three=True)
        rng = setting.random("feeder")
        self._members = [FeederMember(each, setting.device_id) for each in members]
        self._panels = 0.0
        self._sag = 0.06
        usual = sum(member.mean_kw for member in self._members)
        self._iron = rng.uniform(0.004, 0.008) * usual
        self._copper = rng.uniform(0.008, 0.022) / usual
        self._hours = setting.interval / 3_600_000

    def parameters(self) -> Body:
        """As every meter's, and what it is."""
        return super().parameters() | {"role": "feeder_master", "generates": True}

    def readings(self) -> Iterator[tuple[int, Body]]:
        """What all members took and gave in the interval, and the loss."""
        interval = self._setting.interval
        for at, sent in _Frozen(self._setting).times():
            net = 0
            for member in self._members:
                imported, exported = member.consume(at - interval, at)
                net += imported - exported
            power = net / _PER_KWH / self._hours
            loss = self._iron + self._copper * power * power
            yield sent, self.report(at, *self._take(at, net + round(loss * self._hours * _PER_KWH)))

    def _take(self, at: int, net: int) -> tuple[int, int]:
        """Moves the registers by the net energy; what was imported and exported."""
        hour = (at - 1) // 3_600_000
        if hour != self._hour:
            self._turn(hour)
        if net >= 0:
            self._tariffs[self._tariff] += net
            return net, 0
        self._exported -= net
        return 0, -net


def feeder(settings: Sequence[Setting]) -> list[Instrument]:
    """The instruments of one feeder: members, and the master last."""
    *members, master = settings
    made: list[Instrument] = [FeederMember(each, master.device_id) for each in members]
    return [*made, FeederMaster(master, members)]


class DistrictMember(WaterMeter):
    """A meter of a water district.

    Args:
        setting: its own.
        parent: device id of the master.
    """

    def __init__(self, setting: Setting, parent: str) -> None:
        super().__init__(setting)
        self._parent = parent

    def parameters(self) -> Body:
        """As every meter's, and the master above it."""
        return super().parameters() | {"parent": self._parent}

    def readings(self) -> Iterator[tuple[int, Body]]:
        """As every meter's, at full intervals."""
        interval = self._setting.interval
        for at, sent in _Frozen(self._setting).times():
            self.consume(at - interval, at)
            yield sent, self.report(at)


class DistrictMaster(WaterMeter):
    """The DN50 meter at the inlet of a district; joints of the pipes lose 0.5 to 3 %.

    Args:
        setting: its own.
        members: their settings: it measures what they truly draw, whatever they show.
    """

    def __init__(self, setting: Setting, members: Sequence[Setting]) -> None:
        super().__init__(setting)
        rng = setting.random("district")
        self._members = [DistrictMember(each, setting.device_id) for each in members]
        # a household draws about 0.35 m3 a day
        self._loss = rng.uniform(0.005, 0.03) * len(members) * 350 / 24
        self._hours = setting.interval / 3_600_000
        self._rest = 0.0
        self._flow = 0.0

    def parameters(self) -> Body:
        """Flow rates of a DN50 meter of R 160, and what it is."""
        rates = {"q1": 0.156, "q2": 0.25, "q3": 25.0, "q4": 31.25}
        return super().parameters() | rates | {"role": "district_master"}

    def readings(self) -> Iterator[tuple[int, Body]]:
        """What all members drew in the interval, and the loss."""
        interval = self._setting.interval
        for at, sent in _Frozen(self._setting).times():
            drawn = sum(member.consume(at - interval, at) for member in self._members)
            self._rest += self._loss * self._hours
            lost = int(self._rest)
            self._rest -= lost
            self._register += drawn + lost
            flow = round((drawn + lost) / self._hours / 1000, 3)
            yield sent, self.report(at) | {"flow_rate": flow}


def district(settings: Sequence[Setting]) -> list[Instrument]:
    """The instruments of one water district: members, and the master last."""
    *members, master = settings
    made: list[Instrument] = [DistrictMember(each, master.device_id) for each in members]
    return [*made, DistrictMaster(master, members)]
