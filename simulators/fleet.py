"""A fleet: instruments of one or more kinds, who of them cheats, and their messages in order."""

from __future__ import annotations

from collections import Counter
from heapq import merge
from typing import TYPE_CHECKING, Any, Final

import msgspec

from simulators.catalogue import KINDS, Kind
from simulators.clock import DAY, rfc3339
from simulators.faults import Case, Event, Fault
from simulators.instrument import Setting, Versioned
from simulators.line import Line, Message, Troubles
from simulators.protocols.catalogue import PROTOCOLS, Protocol, shows
from simulators.windows import windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from simulators.instrument import Instrument

FIRST_OF_SITES: Final = 500_000
"""Where a protocol forces ids, those of sites' devices begin here, behind the lone ones."""

_GOLDEN: Final = 0.618_033_988_749_894_9
_PERIOD: Final = {
    # years between verifications, or to replacement (domain: JJG 443, 517, 596, 162, 577)
    "fuel_dispenser": 0.5,
    "taximeter": 1.0,
    "electricity_meter": 8.0,
    "water_meter": 6.0,
    "gas_meter": 10.0,
    "heat_meter": 3.0,
    "ev_charger": 3.0,
}


class Choice(msgspec.Struct, frozen=True):
    """A cheat that was asked for: in which kind, which, and the share of devices it hits.

    ``count`` is an exact number of devices in place of the share, ``begin`` a time of its own (ms).
    """

    kind: str
    cheat: str
    share: float
    count: int | None = None
    begin: int | None = None


class Group(msgspec.Struct, frozen=True):
    """Devices of one kind that were ordered together; None takes what the order says.

    ``models`` and ``protocols`` are shares by name; without protocols all speak reference JSON.
    """

    kind: str
    devices: int
    region: str
    interval: int | None = None
    choices: tuple[Choice, ...] = ()
    troubles: Troubles | None = None
    vendor: str = "Reference"
    models: tuple[tuple[str, float], ...] = ()
    protocols: tuple[tuple[str, float], ...] = ()


class Order(msgspec.Struct, frozen=True):
    """What to simulate.  Times are milliseconds; ``until`` None is a run without end.

    ``interval`` None takes each kind's usual one; ``lag`` is how far ``start`` lies behind the
    wall clock of the receiver (0 for a capture).  Each device's cheat begins at a time of its own
    within ``cheats_spread`` after ``cheats_from``.  With ``groups`` these are the devices; without,
    ``devices`` are spread over the kinds.
    """

    kinds: tuple[str, ...]
    devices: int
    seed: int
    start: int
    until: int | None
    cheats_from: int
    cheats_spread: int = 0
    region: str = "110000"
    interval: int | None = None
    lag: int = 0
    choices: tuple[Choice, ...] = ()
    troubles: Troubles = Troubles()
    groups: tuple[Group, ...] = ()

    def all_groups(self) -> tuple[Group, ...]:
        """The groups, or those that kinds and number of devices stand for."""
        if self.groups:
            return self.groups
        each, more = divmod(self.devices, len(self.kinds))
        return tuple(
            Group(
                kind,
                each + (number < more),
                self.region,
                choices=tuple(choice for choice in self.choices if choice.kind == kind),
            )
            for number, kind in enumerate(self.kinds)
        )


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


class UnseenCheat(ValueError):
    """None of a group's protocols can carry what a cheat would show."""

    def __init__(self, kind: str, cheat: str, code: str) -> None:
        super().__init__(f"no protocol of these {kind} carries what {cheat} ({code}) shows")
        self.kind = kind
        self.cheat = cheat
        self.code = code


def choose(kinds: tuple[str, ...], asked: list[tuple[str, float]]) -> tuple[Choice, ...]:
    """Finds the cheats asked for by name.

    Args:
        kinds: of the run.
        asked: pairs of a name and a share.  ``NAME`` is taken by every kind that has it,
            ``KIND.NAME`` by one; ``all`` stands for every cheat of every kind that is not named
            itself, and ``honest`` for every honest trouble.  Their shares become smaller where
            they would sum to more than the devices that are left.

    Raises:
        UnknownCheat: no kind of the run has it.
        TooManyCheats: one kind's shares sum to more than 1.
    """
    known = [(kind, cheat) for kind in kinds for cheat in KINDS[kind].cheats]
    named: dict[tuple[str, str], float] = {}
    groups = {name: share for name, share in asked if name in _GROUPS}
    for name, share in asked:
        found = [each for each in known if name in (each[1], ".".join(each))]
        if not found and name not in _GROUPS:
            raise UnknownCheat(name, sorted({cheat for _, cheat in known}))
        named.update(dict.fromkeys(found, share))
    chosen: list[Choice] = []
    for kind in kinds:
        mine = {cheat: share for (of, cheat), share in named.items() if of == kind}
        if sum(mine.values()) > 1 + 1e-9:
            raise TooManyCheats(kind, sum(mine.values()))
        rest = {
            cheat: groups[_group(made.code)]
            for cheat, made in KINDS[kind].cheats.items()
            if cheat not in mine and _group(made.code) in groups
        }
        room = 1 - sum(mine.values())
        fit = min(1.0, room / sum(rest.values())) if sum(rest.values()) else 1.0
        mine |= {cheat: share * fit for cheat, share in rest.items()}
        chosen += [
            Choice(kind, cheat, mine[cheat]) for cheat in KINDS[kind].cheats if cheat in mine
        ]
    return tuple(chosen)


_GROUPS: Final = ("all", "honest")


def _group(code: str | None) -> str:
    return "all" if code else "honest"


class Device(msgspec.Struct, frozen=True):
    """One simulated device of a fleet."""

    kind: str
    region: str
    vendor: str
    model: str
    protocol: Protocol
    setting: Setting
    instrument: Instrument
    line: Line
    fault: Fault | None
    made: Kind

    def registration(self) -> dict[str, Any]:
        """The device's line of the registry file, as it is at the start."""
        rng: Random = self.setting.random("registry")
        device_id, start = self.setting.device_id, self.setting.start
        period = round(_PERIOD[self.kind] * 365 * DAY)
        verified = start - rng.randint(5 * DAY, max(6 * DAY, period // 3))
        return {
            "device_id": device_id,
            "kind": self.kind,
            "profile": self.protocol.profiles[self.kind],
            "vendor": self.vendor,
            "model": self.model,
            "serial_number": f"{rng.randrange(10**8):08d}",
            "owner": f"simulated-owner-{self.setting.index // 10 + 1:03d}",
            "site": self._site(),
            "region": self.region,
            "longitude": round(116.40 + rng.uniform(-0.3, 0.3), 6),
            "latitude": round(39.90 + rng.uniform(-0.25, 0.25), 6),
            "commissioned_at": rfc3339(verified - DAY),
            "verified_at": rfc3339(verified),
            "verified_until": rfc3339(verified + period),
            "certificate": f"SIM-{device_id}",
            "parameters": self.instrument.parameters()
            | self.protocol.parameters(self.kind, self.setting),
        }

    def registrations(self) -> list[dict[str, Any]]:
        """All its lines: as it is at the start, and what the registry learns later."""
        first = self.registration()
        lines = [first]
        if isinstance(self.instrument, Versioned):
            for since, fields, parameters in self.instrument.versions():
                begins = {"valid_from": rfc3339(since)}
                known = parameters | self.protocol.parameters(self.kind, self.setting)
                lines.append(lines[-1] | fields | {"parameters": known} | begins)
        return lines

    def _site(self) -> str:
        if self.made.group == 1:
            return f"simulated-site-{self.setting.index // 4 + 1:04d}"
        return f"simulated-{self.made.prefix}-{self.setting.index // self.made.group + 1:04d}"


def _share(shares: tuple[tuple[str, float], ...], place: float) -> str:
    """The name whose part of [0, 1) has the place in it; shares are parts of their sum."""
    left = place * sum(share for _, share in shares)
    for name, share in shares:
        left -= share
        if left < 0:
            return name
    return shares[-1][0]


class Fleet:
    """Simulated devices and their messages.

    A device's readings depend on seed, kind, region and its number alone, so a larger fleet holds
    the smaller one unchanged.

    Args:
        order: what to simulate; kinds in groups are rounded up to whole ones.
        record: is told of each wrong thing once it is over.
    """

    def __init__(self, order: Order, record: Callable[[Event], None]) -> None:
        self.order = order
        self._record = record
        self._ahead: list[Event] | None = None
        self.devices: list[Device] = []
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._offsets: dict[str, float] = {}
        for group in order.all_groups():
            self._add(group)

    def _add(self, group: Group) -> None:
        """Numbers go on from one group to the next of the same kind and region."""
        order, made = self.order, KINDS[group.kind]
        kind = made.registered_as or group.kind
        first = self._numbers[group.kind, group.region]
        count = -(-group.devices // made.group) * made.group
        self._numbers[group.kind, group.region] += count
        numbers = range(first, first + count)
        cheats = self._cheats(group, numbers)
        protocols = {index: self._protocol(group, index, cheats.get(index)) for index in numbers}
        settings = []
        for index in numbers:
            origin = f"{made.prefix}-{group.region}-{index + 1:05d}"
            number = index if made.group == 1 else index + FIRST_OF_SITES
            forced = protocols[index].device_id(kind, group.region, number)
            settings.append(
                Setting(
                    seed=order.seed,
                    device_id=forced or origin,
                    index=index,
                    start=order.start,
                    interval=group.interval or order.interval or made.interval,
                    origin=origin,
                )
            )
        for setting, instrument in zip(settings, made.instruments(settings), strict=True):
            index, choice = setting.index, cheats.get(setting.index)
            protocol = protocols[index]
            fault = None if choice is None else self._fault(setting, choice, instrument)
            line = Line(
                setting,
                group.region,
                kind,
                instrument,
                fault=fault,
                troubles=order.troubles if group.troubles is None else group.troubles,
                encode=protocol.encoder(kind, group.region, setting),
            )
            models = group.models or ((f"{made.prefix.upper()}-1", 1.0),)
            model = _share(models, self._place(f"{group.kind}/model", index))
            self.devices.append(
                Device(
                    kind=kind,
                    region=group.region,
                    vendor=group.vendor,
                    model=model,
                    protocol=protocol,
                    setting=setting,
                    instrument=instrument,
                    line=line,
                    fault=fault,
                    made=made,
                )
            )

    def _place(self, purpose: str, index: int) -> float:
        """A device's place in [0, 1).

        The golden ratio spreads devices so that every share is exact to about one device.
        """
        if purpose not in self._offsets:
            drawn = Setting(self.order.seed, purpose, 0, 0, 1).random("cheats").random()
            self._offsets[purpose] = drawn
        return (self._offsets[purpose] + index * _GOLDEN) % 1

    def _protocol(self, group: Group, index: int, choice: Choice | None) -> Protocol:
        """The protocol of a device: one that can carry what its cheat shows.

        Where none was asked for, that is reference JSON, or else any that can.
        """
        shares = group.protocols or (("json", 1.0),)
        code = None
        if choice is not None:
            code = KINDS[group.kind].cheats[choice.cheat].code
        if choice is not None and code is not None:
            shares = tuple(each for each in shares if shows(PROTOCOLS[each[0]], code))
            if not shares and not group.protocols:
                kind = KINDS[group.kind].registered_as or group.kind
                shares = tuple(
                    (name, 1.0)
                    for name, each in PROTOCOLS.items()
                    if kind in each.profiles and shows(each, code)
                )
            if not shares:
                raise UnseenCheat(group.kind, choice.cheat, code)
        return PROTOCOLS[_share(shares, self._place(f"{group.kind}/protocol", index))]

    def _cheats(self, group: Group, numbers: range) -> dict[int, Choice]:
        """Which device does what: each at most one thing, each cheat at least one device.

        Cheats take adjoining parts of the places; exact counts take the places in their order.
        A share is one of the devices that the cheat is possible for.
        """
        made = KINDS[group.kind].cheats
        places = {index: self._place(group.kind, index) for index in numbers}
        cheats: dict[int, Choice] = {}
        low = 0.0
        for choice in (each for each in group.choices if each.count is None and each.share):
            high = low + choice.share
            fits = made[choice.cheat].fits
            hit = [i for i, place in places.items() if low <= place < high and fits(i)]
            cheats.update(dict.fromkeys(hit, choice))
            low = high
        for choice in group.choices:
            fits = made[choice.cheat].fits
            free = [index for index in numbers if index not in cheats and fits(index)]
            if choice.count is not None:
                free.sort(key=places.__getitem__)
                cheats.update(dict.fromkeys(free[: choice.count], choice))
            elif free and choice not in cheats.values():
                cheats[free[0]] = choice
        return cheats

    def _fault(self, setting: Setting, choice: Choice, instrument: Instrument) -> Fault:
        made = KINDS[choice.kind]
        cheat = made.cheats[choice.cheat]
        begin = choice.begin
        if begin is None:
            late = setting.random("begin").random() * self.order.cheats_spread
            begin = self.order.cheats_from + int(late)
        twin = msgspec.structs.replace(setting, origin=f"{setting.origin}/twin")
        fault = cheat.make(
            Case(
                device_id=setting.device_id,
                cheat=choice.cheat,
                code=cheat.code,
                begin=begin,
                lag=self.order.lag,
                rng=setting.random(f"cheat/{choice.cheat}"),
                record=self._note,
                also=cheat.also,
                twin=lambda: made.make(twin),
                until=self.order.until,
            )
        )
        fault.attach(instrument)
        return fault

    def messages(self, *, ahead: bool = False) -> Iterator[Message]:
        """All devices' messages in the order of arrival; memory is a message or two a device.

        Args:
            ahead: some ten thousand messages are made ahead, which takes half the time; only for
                runs of which nobody sees when a message is made.
        """
        until = self.order.until
        lines = (device.line.messages(order, until) for order, device in enumerate(self.devices))
        if not ahead:
            yield from merge(*lines)
            return
        self._ahead = []
        for window in windows(lines, self.order.start):
            yield from window
            self._tell()

    def _note(self, event: Event) -> None:
        """An event waits until the messages that show it have been taken."""
        if self._ahead is None:
            self._record(event)
        else:
            self._ahead.append(event)

    def _tell(self, until: int | None = None) -> None:
        waiting, self._ahead = self._ahead or [], [] if self._ahead is not None else None
        for event in waiting:
            if until is None or event.since <= until:
                self._record(event)

    def finish(self, until: int) -> None:
        """Ends the run at ``until`` (ms): what was still under way is recorded."""
        self._tell(until)
        self._ahead = None
        for device in self.devices:
            if device.fault is not None:
                device.fault.finish(until)

    def registry(self) -> Iterator[dict[str, Any]]:
        """Registry lines of all devices that are registered."""
        for device in self.devices:
            lines = device.registrations()
            if device.fault is None:
                yield from lines
            elif device.fault.registered:
                yield from device.fault.register(lines)
