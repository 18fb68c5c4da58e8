"""A condition that lasts: one flag with a beginning, an end that grows, and an end.

Used by the checks of a series, whose readings come in order.  The flag is handed out when the
condition begins, when its severity rises, once a day of measured time while it lasts, and when it
ends; between that it is counted in memory only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.checks.findings import SEVERITIES, renewed
from gateway.records import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY = 86_400 * 10**9


class Lasting(msgspec.Struct, array_like=True):
    """The flag of a condition under way, and what a beginning or an end has gathered so far.

    ``since`` is when a beginning was first seen (0: none), ``seen`` how often in a row; the other
    way round while the flag stands.
    """

    flag: Flag | None = None
    since: int = 0
    seen: int = 0


def waits(lasting: Lasting, at: int, times: int) -> bool:
    """Whether a change of state must be seen again before it counts.

    Args:
        lasting: the memory.
        at: ns, of this reading.
        times: how many readings in a row tell it.
    """
    if not lasting.seen:
        lasting.since = at
    lasting.seen += 1
    if lasting.seen < times:
        return True
    lasting.seen = 0
    return False


def stays(lasting: Lasting) -> None:
    """The state is as before: a change that had begun was none."""
    lasting.seen = 0


def begin(lasting: Lasting, flag: Flag, flags: list[Flag]) -> None:
    """The condition is there; its evidence gets a ``count``."""
    lasting.flag = renewed(flag, {"count": 1})
    flags.append(lasting.flag)


def go_on(
    lasting: Lasting,
    at: int,
    changes: Mapping[str, Any],
    flags: list[Flag],
    severity: str | None = None,
) -> None:
    """It is still there.

    Args:
        lasting: of a condition that has begun.
        at: ns, of this reading.
        changes: of the evidence, such as a farther extreme.
        flags: a flag goes here where one is to be handed out.
        severity: what it is now; a lower one than before does not count.
    """
    flag = lasting.flag
    if flag is None:
        return
    worse = severity is not None and SEVERITIES.index(severity) > SEVERITIES.index(flag.severity)
    told = renewed(
        flag,
        {"count": flag.evidence["count"] + 1, **changes},
        until=max(flag.until, at),
        severity=severity if worse and severity is not None else flag.severity,
    )
    lasting.flag = told
    if worse or told.until // _DAY != flag.until // _DAY:
        flags.append(told)


def end(lasting: Lasting, flags: list[Flag], **fields: Any) -> None:  # noqa: ANN401 - fields of Flag
    """It is over, with its last ``until``."""
    if lasting.flag is not None:
        flags.append(msgspec.structs.replace(lasting.flag, status="ended", **fields))
        lasting.flag = None
    lasting.seen = 0
