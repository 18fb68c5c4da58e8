"""Two ways to the same quantity, summed over windows: what the checks of balances share.

One window that is off is not yet told, unless it is far off: two in a row are.  One window that is
right ends the condition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.checks.lasting import Lasting, begin, end, go_on, stays, waits
from gateway.checks.steps import Registers
from gateway.devices import valid_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.checks.bound import Bound
    from gateway.records import Device, Flag


class Balance(msgspec.Struct, array_like=True):
    """A window under way.

    ``observed`` and ``expected`` are the sums of the two ways, ``volume`` what ran through,
    ``weighted`` a mean's numerator, ``steps`` how many were summed, ``slack`` what rounding may
    have made.
    """

    registers: Registers = msgspec.field(default_factory=Registers)
    since: int = 0
    observed: float = 0.0
    expected: float = 0.0
    volume: float = 0.0
    weighted: float = 0.0
    slack: float = 0.0
    steps: int = 0
    lasting: Lasting = msgspec.field(default_factory=Lasting)


def begin_window(balance: Balance, at: int) -> None:
    """Empties the window; it begins here."""
    balance.since, balance.steps = at, 0
    balance.observed = balance.expected = balance.volume = balance.weighted = balance.slack = 0.0


def judge_window(
    lasting: Lasting,
    since: int,
    until: int,
    *,
    off: bool,
    far: bool,
    times: int,
    make: Callable[[int], Flag],
    changes: Callable[[], Mapping[str, Any]],
    flags: list[Flag],
) -> None:
    """What a window that is over means for the condition.

    Args:
        lasting: of the condition.
        since: ns, where the window began.
        until: ns, where it ended.
        off: whether the two ways differ by more than the tolerance.
        far: whether by so much that one window tells it.
        times: how many windows in a row tell it otherwise.
        make: makes the flag that begins at a time.
        changes: the evidence of a window while the condition goes on.
        flags: what is found is added to it.
    """
    if not off:
        stays(lasting)
        if lasting.flag is not None:
            end(lasting, flags)
    elif lasting.flag is not None:
        go_on(lasting, until, changes(), flags)
    else:
        waiting = waits(lasting, since, times)
        if not waiting or far:
            lasting.seen = 0
            begin(lasting, make(lasting.since), flags)


def version_of(device: Device | None) -> int:
    """Which version of a device it is: when it begins, 0 where it has but one."""
    return (device.valid_from or 0) if device is not None else 0


def known_at(bound: Bound, device_id: str, at: int) -> Device | None:
    """What the registry says of a device at a time."""
    return valid_at(bound.devices, device_id, at)
