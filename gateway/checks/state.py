"""What the checks remember of each device, and its compact form for the checkpoint.

A device that has not been heard for a while sleeps: of it only its rhythm is at hand, and the rest
lies as the bytes of the snapshot until it is asked for.  So a million of them fit into memory, and
a snapshot is taken in without being looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gateway.checks.order import NEVER, Held, Line
from gateway.checks.rhythm import Rhythm
from gateway.checks.window import Memory, Window
from gateway.records import Flag, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

_Struct = TypeVar("_Struct", bound=msgspec.Struct)
_Live = TypeVar("_Live", "Numbering", "RegisterState")

VERSION = 4

_encoder = msgspec.msgpack.Encoder()
_buffer = bytearray()


class Gap(msgspec.Struct, array_like=True):
    """A run of missing numbers ``low..high`` (unwrapped), each bound by a message that came.

    ``since`` and ``until`` are the measured times of the messages before and after; ``offset`` is
    the ledger offset of the one after.
    """

    low: int
    high: int
    since: int
    until: int
    offset: int


class Numbering:
    """One counter of an instrument.

    ``extended`` is the highest number so far, unwrapped: it goes on growing where the instrument
    wraps or restarts, and stays congruent to the number shown.  ``at`` is that message's time.
    ``suspects`` are the readings that went back in number and forward in time: the last number,
    its time, and the flags raised for it, to be withdrawn if the counter goes on from there.
    """

    __slots__ = (
        "at", "extended", "following", "gaps", "last", "restart", "restarted_at", "suspect_at",
        "suspect_flags", "suspect_number",
    )  # fmt: skip

    def __init__(self) -> None:
        self.extended = -1
        self.last = -1
        self.following = -1
        self.at = NEVER
        self.gaps: list[Gap] = []
        self.restarted_at = NEVER
        self.restart: Flag | None = None
        self.suspect_number = -1
        self.suspect_at = NEVER
        self.suspect_flags: list[Flag] = []


class RegisterState:
    """A register's last good value, and the lower level that it may have fallen to.

    ``level_since``: readings older than this belong to an earlier level and are not compared.
    ``fall`` is the last fall that was told, also when it has ended: `register_spike` takes it back
    where the value before was the wrong one.  ``up``: it has returned, and its flag waits for a day
    without a fall.
    """

    __slots__ = ("at", "fall", "flag", "level_since", "low", "low_at", "offset", "up", "value")

    def __init__(self) -> None:
        self.value = float("-inf")
        self.at = NEVER
        self.offset = -1
        self.level_since = NEVER
        self.low = 0.0
        self.low_at = NEVER
        self.flag: Flag | None = None
        self.fall: Flag | None = None
        self.up = False


class Residual(msgspec.Struct, array_like=True):
    """Total minus tariffs as it was last: see ``tariff_sums``."""

    residual: float
    total: float
    at: int
    steady: int
    settled: bool


class TariffSums(msgspec.Struct, array_like=True):
    """The registers of the message being read: measured time, quantity, channel, value."""

    offset: int = -1
    groups: dict[int, dict[str, dict[str, float]]] = {}
    known: dict[str, list[str]] = {}
    residuals: dict[str, Residual] = {}


class ChannelState:
    """What is remembered of one channel; windows by event, registers and flags by quantity."""

    __slots__ = ("conditions", "registers", "windows")

    def __init__(self) -> None:
        self.windows: dict[str, Window] = {}
        self.registers: dict[str, RegisterState] = {}
        self.conditions: dict[str, Flag] = {}


class DeviceState:
    """What is remembered of one device; channels, numberings and lines by channel ("" without).

    ``series`` has the memory of the checks of a series: a struct, or its bytes until it is asked
    for (`gateway.checks.series.remembered`).  ``tracks`` are the places of references to it.
    """

    __slots__ = (
        "channels", "conditions", "lines", "numberings", "rhythm", "series", "sums", "tracks",
        "unregistered",
    )  # fmt: skip

    def __init__(self, rhythm: Rhythm) -> None:
        self.unregistered = False
        self.numberings: dict[str, Numbering] = {}
        self.channels: dict[str, ChannelState] = {}
        self.conditions: dict[str, Flag] = {}
        self.sums: TariffSums | None = None
        self.lines: dict[str, Line] = {}
        self.series: dict[str, Any] = {}
        self.rhythm = rhythm
        self.tracks: list[tuple[dict[Any, Any], Any]] = []

    @property
    def may_sleep(self) -> bool:
        """Whether nothing else holds on to a part of it."""
        return not any(line.held for line in self.lines.values()) and not any(
            window.crowded
            for channel in self.channels.values()
            for window in channel.windows.values()
        )


class State:
    """The whole memory of the checks.

    ``rhythms`` are those of all devices, in the order in which they were first heard; the rest of a
    device is in ``awake``, or as bytes in ``asleep``.  ``groups`` has what is remembered of several
    devices together (a tank and its nozzles, a feeder and its meters): a struct by code and group,
    or its bytes until it is asked for.  ``highest`` is the highest ledger offset known so far.
    """

    def __init__(self) -> None:
        self.rhythms: dict[str, Rhythm] = {}
        self.awake: dict[str, DeviceState] = {}
        self.asleep: dict[str, bytes] = {}
        self.groups: dict[str, Any] = {}
        self.not_judged: dict[tuple[str, str], int] = {}
        self.memory = Memory()
        self.clock = NEVER
        self.arrivals = 0
        self.highest = -1

    def device(self, device_id: str) -> DeviceState:
        """A device, woken where it sleeps, made where it was never heard."""
        device = self.awake.get(device_id)
        if device is not None:
            return device
        rhythm = self.rhythms.setdefault(device_id, Rhythm())
        kept = self.asleep.pop(device_id, None)
        device = DeviceState(rhythm) if kept is None else _unpacked_device(kept, rhythm)
        self.awake[device_id] = device
        for window in _windows([device]):
            self.memory.watch(window)
        return device

    def let_sleep(self, most: int) -> None:
        """Lets those sleep that were not heard for longest, until at most so many are awake."""
        newest = self.newest()
        by_age = sorted(self.awake, key=lambda name: self.rhythms[name].heard)
        for name in by_age[: max(0, len(by_age) - most)]:
            device = self.awake[name]
            if device.may_sleep:
                self.asleep[name] = _packed_device(device, newest)
                del self.awake[name]
                for places, key in device.tracks:
                    places.pop(key, None)

    def windows(self) -> list[Window]:
        """All windows of devices that are awake."""
        return _windows(self.awake.values())

    def newest(self) -> int:
        """The highest ledger offset of a reading."""
        newest = max((window.newest for window in self.windows()), default=-1)
        self.highest = max(self.highest, newest)
        return self.highest


def _windows(devices: Iterable[DeviceState]) -> list[Window]:
    return [
        window
        for device in devices
        for channel in device.channels.values()
        for window in channel.windows.values()
    ]


class _PackedNumbering(msgspec.Struct, array_like=True):
    extended: int
    last: int
    following: int
    at: int
    gaps: list[Gap]
    restarted_at: int
    restart: Flag | None
    suspect_number: int
    suspect_at: int
    suspect_flags: list[Flag]


class _PackedRegister(msgspec.Struct, array_like=True):
    value: float
    at: int
    offset: int
    level_since: int
    low: float
    low_at: int
    flag: Flag | None
    fall: Flag | None = None
    up: bool = False


class _PackedChannel(msgspec.Struct, array_like=True):
    windows: dict[str, bytes]
    registers: dict[str, _PackedRegister]
    conditions: dict[str, Flag]


class _PackedHeld(msgspec.Struct, array_like=True):
    at: int
    number: int
    channel: str
    arrival: int
    arrived: int
    reading: Reading


class _PackedLine(msgspec.Struct, array_like=True):
    judged: int
    uncertain: int
    held: list[_PackedHeld]
    doubt: int = NEVER
    doubt_ends: int = NEVER


class _PackedDevice(msgspec.Struct, array_like=True):
    unregistered: bool
    numberings: dict[str, _PackedNumbering]
    channels: dict[str, _PackedChannel]
    conditions: dict[str, Flag]
    sums: TariffSums | None
    lines: dict[str, _PackedLine]
    series: dict[str, bytes]


class _Packed(msgspec.Struct):
    version: int
    rhythms: dict[str, Rhythm]
    devices: dict[str, msgspec.Raw]
    waiting: list[str]
    newest: int
    not_judged: list[tuple[str, str, int]]
    clock: int
    groups: dict[str, bytes]
    arrivals: int = 0


class _Versioned(msgspec.Struct):
    version: Any = None


def _packed_channel(channel: ChannelState, newest: int) -> _PackedChannel:
    return _PackedChannel(
        {event: window.pack(newest) for event, window in channel.windows.items()},
        {name: _packed(register, _PackedRegister) for name, register in channel.registers.items()},
        channel.conditions,
    )


def _packed_line(line: Line) -> _PackedLine:
    held = [
        _PackedHeld(h.at, h.number, h.channel, h.arrival, h.arrived, h.reading) for h in line.held
    ]
    return _PackedLine(line.judged, line.uncertain, held, line.doubt, line.doubt_ends)


def _unpacked_line(kept: _PackedLine) -> Line:
    line = Line()
    line.judged, line.uncertain = kept.judged, kept.uncertain
    line.doubt, line.doubt_ends = kept.doubt, kept.doubt_ends
    line.held = [
        Held(h.at, h.number, h.channel, h.arrival, h.arrived, h.reading, None) for h in kept.held
    ]
    return line


def _bytes(kept: object) -> bytes:
    return kept if isinstance(kept, bytes) else msgspec.msgpack.encode(kept)


def _packed(source: Numbering | RegisterState, target: type[_Struct]) -> _Struct:
    """The fields of ``target``, read from ``source``."""
    return target(*(getattr(source, name) for name in target.__struct_fields__))


def _unpacked(source: msgspec.Struct, target: _Live) -> _Live:
    """``target`` with the fields of ``source``."""
    for name in source.__struct_fields__:
        setattr(target, name, getattr(source, name))
    return target


def _packed_device(device: DeviceState, newest: int) -> bytes:
    # By way of one buffer: bytes that were cut to their size would leave a hole behind them.
    _encoder.encode_into(
        _PackedDevice(
            device.unregistered,
            {
                channel: _packed(numbering, _PackedNumbering)
                for channel, numbering in device.numberings.items()
            },
            {key: _packed_channel(c, newest) for key, c in device.channels.items()},
            device.conditions,
            device.sums,
            {name: _packed_line(line) for name, line in device.lines.items()},
            {key: _bytes(kept) for key, kept in device.series.items()},
        ),
        _buffer,
    )
    return bytes(_buffer)


def _unpacked_device(packed: bytes, rhythm: Rhythm) -> DeviceState:
    kept = msgspec.msgpack.decode(packed, type=_PackedDevice)
    device = DeviceState(rhythm)
    device.unregistered = kept.unregistered
    device.conditions = kept.conditions
    device.sums = kept.sums
    device.series = dict(kept.series)
    device.lines = {name: _unpacked_line(line) for name, line in kept.lines.items()}
    for key, numbering in kept.numberings.items():
        device.numberings[key] = _unpacked(numbering, Numbering())
    for key, channel in kept.channels.items():
        made = device.channels[key] = ChannelState()
        made.conditions = channel.conditions
        made.windows = {event: Window.unpack(w) for event, w in channel.windows.items()}
        for name, register in channel.registers.items():
            made.registers[name] = _unpacked(register, RegisterState())
    return device


def pack(state: State) -> bytes:
    """The state as bytes: the same ledger gives the same bytes; reads only."""
    newest = state.newest()
    awake = {name: _packed_device(device, newest) for name, device in state.awake.items()}
    waiting = [
        name
        for name, device in state.awake.items()
        if any(line.held for line in device.lines.values())
    ]
    packed = _Packed(
        VERSION,
        state.rhythms,
        {name: msgspec.Raw(awake.get(name) or state.asleep[name]) for name in state.rhythms},
        sorted(waiting),
        newest,
        [(code, reason, count) for (code, reason), count in state.not_judged.items()],
        state.clock,
        {key: _bytes(kept) for key, kept in state.groups.items()},
        state.arrivals,
    )
    return msgspec.msgpack.encode(packed)


def unpack(blob: bytes) -> State:
    """The inverse of ``pack``.

    Raises:
        ValueError: the bytes are no snapshot, or of a version that this program does not read.
    """
    try:
        version = msgspec.msgpack.decode(blob, type=_Versioned).version
        if version != VERSION:
            raise ValueError(
                f"checks: snapshot has version {version!r}, this program reads {VERSION}: "
                "process the ledger again from its start, or use the program that wrote it"
            )
        packed = msgspec.msgpack.decode(blob, type=_Packed)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ValueError(
            f"checks: snapshot cannot be read ({error}): process the ledger again from its start"
        ) from error
    state = State()
    state.rhythms = packed.rhythms
    state.asleep = {name: bytes(raw) for name, raw in packed.devices.items()}
    state.highest = packed.newest
    state.clock = packed.clock
    state.arrivals = packed.arrivals
    state.groups = dict(packed.groups)
    state.not_judged = {(code, reason): count for code, reason, count in packed.not_judged}
    try:
        for name in packed.waiting:
            state.device(name)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ValueError(
            f"checks: snapshot cannot be read ({error}): process the ledger again from its start"
        ) from error
    return state
