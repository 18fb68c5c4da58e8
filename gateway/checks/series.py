"""Checks of a series: each reading of a device against those before it, in measured order.

A check is made for one layout by a function that looks at its names and settings, and returns a
`SeriesCheck`, or None where the layout has nothing for it.  What it remembers is one struct a
device, or one a channel, which goes into the snapshot; its code names it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from gateway.checks.bound import Bound, Track
    from gateway.checks.state import DeviceState
    from gateway.records import Device, Flag, Reading

    Run = Callable[[Any, Track, Reading, int, bool, list[Flag]], None]
    Make = Callable[[Bound], "SeriesCheck | None"]

_State = TypeVar("_State", bound=msgspec.Struct)


class SeriesCheck(NamedTuple):
    """One check of one layout.

    Attributes:
        code: the name of its memory; of the flag, where it gives one only.
        state: the struct that it remembers; made without arguments.
        per_channel: whether each channel has a memory of its own, or the device one.
        run: ``run(state, track, reading, at, late, flags)``; ``at`` is the measured time in order,
            ``late`` says that the readings after it were judged already.
        wants: which channels it judges; it neither runs nor remembers for the others.
        stands: of a check of status words: whether something stands by its memory.  It is asked
            only for a reading with a status, and while something stands.
        quiet: of a check of what the registry says: the time (ns) up to which no reading matters
            to it, by its memory and the versions of the device.
    """

    code: str
    state: type[msgspec.Struct]
    per_channel: bool
    run: Run
    wants: Callable[[str], bool] | None = None
    stands: Callable[[Any], bool] | None = None
    quiet: Callable[[Any, tuple[tuple[int, Device], ...]], int] | None = None


class Series(NamedTuple):
    """A check of a series as it is registered: its code, its parameters, and how it is made.

    One that has no flag of its own code (it feeds another) is not registered.
    """

    code: str
    settings: type[BaseModel]
    make: Make


def memory_of(device: DeviceState, check: SeriesCheck, channel: str) -> msgspec.Struct:
    """What a check remembers of a device or a channel of it, made new at the first sight."""
    return remembered(device, _key(check, channel), check.state)


def known_of(device: DeviceState, check: SeriesCheck, channel: str) -> msgspec.Struct:
    """The same, to be looked at only: nothing is remembered where nothing was."""
    if _key(check, channel) in device.series:
        return memory_of(device, check, channel)
    return check.state()


def _key(check: SeriesCheck, channel: str) -> str:
    return f"{check.code} {channel}" if check.per_channel else check.code


def remembered(device: DeviceState, key: str, kind: type[_State]) -> _State:
    """A struct of the memory, decoded where it still lies as the snapshot had it."""
    return recalled(device.series, key, kind)


def recalled(kept: dict[str, Any], key: str, kind: type[_State]) -> _State:
    """A struct of what is kept, made new where there is none."""
    found = kept.get(key)
    if isinstance(found, kind):
        return found
    state = kind() if found is None else msgspec.msgpack.decode(found, type=kind)
    kept[key] = state
    return state
