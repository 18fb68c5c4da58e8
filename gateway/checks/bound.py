"""The checks of one layout, compiled: what each reading of one block of a profile goes through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

import msgspec

from gateway.checks import numbering, ranges, registers
from gateway.checks.all_series import series_checks
from gateway.checks.amounts import amount_checks
from gateway.checks.fares import NEEDED, fare_check
from gateway.checks.order import LATENESS, NEVER
from gateway.checks.rhythm import pace_of
from gateway.checks.series import recalled
from gateway.checks.tariff_sums import QUANTITIES, tariff_sum_check
from gateway.checks.window import pack_entry
from gateway.devices import since

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.checks.order import Line, Order
    from gateway.checks.registers import Dial
    from gateway.checks.series import Run, SeriesCheck
    from gateway.checks.settings import CheckSettings
    from gateway.checks.state import DeviceState, Numbering, State
    from gateway.checks.tariffs import Tariff
    from gateway.checks.window import Window
    from gateway.profiles.layout import Layout
    from gateway.records import Device, Flag, Reading

Range = tuple[int, float, float]

_Struct = TypeVar("_Struct", bound=msgspec.Struct)

_encode = msgspec.msgpack.Encoder().encode
_SECOND = 10**9


class Track:
    """Direct references to what is remembered for one channel under one layout: one look-up."""

    __slots__ = (
        "bound", "conditions", "device", "device_conditions", "dials", "line", "numbering",
        "registers", "rhythm", "series", "sleeping", "versions", "wake", "window", "worded",
    )  # fmt: skip

    def __init__(
        self,
        bound: Bound,
        device: DeviceState,
        *,
        numbering: Numbering,
        window: Window,
        dials: tuple[Dial, ...],
        conditions: dict[str, Flag],
        line: Line | None,
        series: tuple[tuple[Run, Any], ...],
        worded: tuple[SeriesCheck, ...] = (),
        sleeping: tuple[SeriesCheck, ...] = (),
        versions: Sequence[Device] = (),
    ) -> None:
        self.bound = bound
        self.device = device
        self.device_conditions = device.conditions
        self.rhythm = device.rhythm
        self.numbering = numbering
        self.window = window
        self.dials = dials
        self.registers = tuple((dial.index, dial.state) for dial in dials)
        self.conditions = conditions
        self.line = line
        self.series = series
        self.worded = worded
        self.sleeping = sleeping
        self.wake = NEVER
        self.versions = tuple((since(version), version) for version in reversed(versions))

    def dial(self, index: int) -> Dial:
        """The register whose value stands at a place of the values."""
        return next(dial for dial in self.dials if dial.index == index)

    def registered(self, at: int) -> Device | None:
        """What the registry says of the device at a time, ns; None where it was not there."""
        for begin, version in self.versions:
            if begin <= at:
                return version
        return None

    def remembers(self, key: int, fingerprint: int, newest: int) -> bool:
        """Whether this content came under this key before."""
        return any(known.fingerprint == fingerprint for known in self.window.find(key, newest))


class Bound:
    """The settings of one layout in the form the judgement needs.

    ``modulus`` is 0 where the instrument does not number its messages.
    """

    def __init__(
        self,
        layout: Layout,
        settings: CheckSettings,
        *,
        state: Callable[[], State],
        devices: Mapping[str, Device],
        tariffs: Mapping[str, Tariff],
        order: Order,
    ) -> None:
        self.layout = layout
        self.settings = settings
        self.modulus = min(layout.sequence_modulus or 0, numbering.WIDEST)
        self.clock_minor = int(settings.future.minor * _SECOND)
        self.clock_major = int(settings.future.major * _SECOND)
        self.ranges: tuple[Range, ...] = tuple(
            (
                layout.names.index(name),
                float("-inf") if limits.low is None else limits.low,
                float("inf") if limits.high is None else limits.high,
            )
            for name, limits in settings.ranges.items()
            if name in layout.names
        )
        self._state = state
        self._order = order
        self.extras = self._extra_checks(devices, tariffs)
        self.devices = devices
        self.series = series_checks(self)
        self.pace = pace_of(self)

    def _extra_checks(
        self, devices: Mapping[str, Device], tariffs: Mapping[str, Tariff]
    ) -> tuple[Callable[[Track, Reading, list[Flag]], None], ...]:
        names, off = set(self.layout.names), self.settings.off
        checks: list[Callable[[Track, Reading, list[Flag]], None]] = []
        if "amount_mismatch" not in off:
            checks += amount_checks(self, self.settings.amount)
        if "fare_mismatch" not in off and self.layout.event == "trip" and NEEDED[0] in names:
            checks.append(fare_check(self, self.settings.fare, devices, tariffs))
        if (
            "tariff_sum_mismatch" not in off
            and self.layout.kind == "electricity_meter"
            and names & set(QUANTITIES)
        ):
            checks.append(tariff_sum_check(self, self.settings.tariff_sum))
        return tuple(checks)

    def emit(self, flag: Flag | None, flags: list[Flag]) -> None:
        """Hands a flag out, unless its check is off for this profile."""
        if flag is not None and flag.code not in self.settings.off:
            flags.append(flag)

    def not_judged(self, code: str, reason: str) -> None:
        """Counts what could not be judged."""
        counts = self._state().not_judged
        counts[code, reason] = counts.get((code, reason), 0) + 1

    @property
    def clock(self) -> int:
        """The ledger's clock: the latest time of receipt so far, in steps of `CLOCK_STEP`."""
        return self._order.clock

    def group(self, code: str, name: str, kind: type[_Struct]) -> _Struct:
        """What a check remembers of several devices together, made new at the first sight.

        Args:
            code: of the check.
            name: of the group, such as the id of the feeder.
            kind: the struct, made without arguments.
        """
        return recalled(self._state().groups, f"{code} {name}", kind)

    def numbered_channel(self, reading: Reading) -> str | None:
        """The channel whose messages are counted, None where the device counts them all."""
        return reading.channel if self.layout.sequence_per_channel else None


def compile_run(  # noqa: C901, PLR0915 - see run
    bound: Bound,
    tracks: dict[str | tuple[str, str], Track],
    open_track: Callable[[Reading, list[Flag]], Track],
    trim: Callable[[Window, int], None],
    *,
    order: Order,
    hear: Callable[[Track, Reading, list[Flag]], None],
    elsewhere: Callable[[Reading], Callable[[Reading, list[Flag]], bool] | None] | None = None,
) -> Callable[[Reading, list[Flag]], bool]:
    """The judgement of one reading as one function over value indexes.

    A reading in order costs one look-up, one fingerprint, four appends, and a comparison for each
    register and limit; everything else is behind a condition that honest data seldom meet.
    """
    layout = bound.layout
    clock, modulus, behind = layout.measured, bound.modulus, -bound.clock_minor
    limits, extras = bound.ranges, bound.extras
    place, recall, judge_series = numbering.place, _recall, order.judge
    judge_registers, out_of_range = registers.judge, ranges.out_of_range

    # One function, not five: each call would cost a tenth of the whole judgement.
    def run(reading: Reading, flags: list[Flag]) -> bool:  # noqa: C901, PLR0912, PLR0915
        channel = reading.channel
        track = tracks.get(reading.device_id if channel is None else (reading.device_id, channel))
        if track is None:
            other = elsewhere(reading) if elsewhere is not None else None
            if other is not None:
                return other(reading, flags)
            track = open_track(reading, flags)
        measured = at = reading.measured_at
        values: tuple[Any, ...] = reading.values
        offset = reading.ledger_offset
        received = reading.received_at
        delay = received - measured
        # Time of a clock that is ahead would make all that follows look late.
        future = delay < behind
        if future:
            at = received
        number = reading.sequence if modulus else None
        key, follows = 0, False
        if number is not None or clock:
            content = (measured if clock else 0, values, reading.status)
            fingerprint = crc32(_encode(content))
            counter = track.numbering
            if number is None:
                key = measured
            elif number == counter.following:
                key = counter.extended = counter.extended + 1
                follows = True
                counter.last = number
                counter.following = number + 1 if number + 1 < modulus else 0
                # A number in order tells the order where a clock was set back.
                if at >= counter.at:
                    counter.at = at
                else:
                    at = _set_back(track, at, received)
            else:
                # The same number again is another channel of the message, or a redelivery.
                key = counter.extended
                if number == counter.last:
                    follows = True
                else:
                    # Before the first number of a device there is nothing that could come late.
                    follows = key < 0 and number == 0
                    key = place(track, reading, at, fingerprint, flags)
                if key == counter.extended and at < counter.at:
                    at = _set_back(track, at, received)
                elif future and key < counter.extended:
                    at = counter.at - track.window.ahead(key, measured)
            window = track.window
            if key > window.highest:
                window.highest = key
                window.entries += pack_entry(key, fingerprint, measured, offset)
            elif not recall(track, reading, key, fingerprint, flags):
                return False
            if len(window.entries) > window.limit:
                trim(window, offset)
        rhythm = track.rhythm
        gap = received - rhythm.heard
        if gap > rhythm.pause or delay > rhythm.late:
            hear(track, reading, flags)
        elif gap > 0:
            rhythm.heard = received
        line = track.line
        if line is None or not line.doubt <= received < line.doubt_ends:
            judge_registers(track, reading, at, flags)
        if track.conditions:
            ranges.back_in_range(track, reading, flags)
        for index, low, high in limits:
            value = values[index]
            if value is not None and not low <= value <= high:
                out_of_range(track, (index, low, high), reading, value, flags)
        if future:
            ranges.clock_ahead(track, reading, flags)
        elif track.device_conditions:
            ranges.clock_back(track, flags)
        for check in extras:
            check(track, reading, flags)
        if line is None:
            return True
        if follows and received >= line.uncertain and not line.held:
            line.judged = max(line.judged, at)
            judge_series(track, reading, at, False, flags)
        else:
            order.take(line, track, reading, at, flags, number=key, follows=follows)
        return True

    return run


def _set_back(track: Track, at: int, received: int) -> int:
    """The time of a reading that is before the number before it: its clock was set back.

    Where two may count under one name, it may be the other's, and a little late.
    """
    line, before = track.line, track.numbering.at
    other = line is not None and line.doubted(received) and at >= before - LATENESS
    return at if other else before


def _recall(track: Track, reading: Reading, key: int, fingerprint: int, flags: list[Flag]) -> bool:
    """Whether a reading whose key is not the highest is new; remembers it if so."""
    window = track.window
    if window.recognise(key, fingerprint, reading.ledger_offset):
        return False
    known = window.find(key, reading.ledger_offset)
    window.insert(key, reading.measured_at, fingerprint, reading.ledger_offset)
    if known:
        numbering.conflict(track, reading, fingerprint, known, flags)
    return True
