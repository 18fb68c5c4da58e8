"""The conditions that stand now, each as its flag with its latest end.

While a condition lasts its flag is handed out once a day; at the end of a capture it is told how
far each has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.checks.lasting import Lasting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.checks.state import State
    from gateway.records import Flag


def standing(state: State) -> Iterator[Flag]:
    """Every flag of a condition that has begun and not ended.

    What still lies as a snapshot had it has met no reading since, and was told then.
    """
    for device in state.devices.values():
        yield from device.conditions.values()
        for channel in device.channels.values():
            yield from channel.conditions.values()
        for kept in device.series.values():
            yield from _within(kept)
    for kept in state.groups.values():
        yield from _within(kept)


def _within(kept: object) -> Iterator[Flag]:
    if isinstance(kept, Lasting):
        if kept.flag is not None:
            yield kept.flag
    elif isinstance(kept, msgspec.Struct):
        for name in kept.__struct_fields__:
            yield from _within(getattr(kept, name))
    elif isinstance(kept, dict):
        for value in kept.values():
            yield from _within(value)
