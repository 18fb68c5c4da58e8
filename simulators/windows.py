"""Many devices' messages in the order of arrival, made by one device after the other.

A merge by the heap takes one message from each device in turn, and no device's state stays in the
processor's caches: with a thousand devices that doubles the time of a message.  So each device
makes all of a window of time at once, and the window is sorted.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final

from simulators.clock import DAY, MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simulators.line import Message

_FEW: Final = 10_000
_MANY: Final = 60_000
_BY_ARRIVAL: Final = itemgetter(0, 1)


def windows(lines: Iterable[Iterator[Message]], start: int) -> Iterator[list[Message]]:
    """Lists of messages in the order of arrival, each list after the one before.

    A window grows or shrinks until it has some ten thousand messages, however many devices there
    are, and is a day at most.

    Args:
        lines: each device's messages in the order of arrival.
        start: the first moment of the run, ms.
    """
    heads = [(first, line) for line in lines if (first := next(line, None)) is not None]
    end, span = start, 10 * MINUTE
    while heads:
        end += span
        window: list[Message] = []
        left = []
        for head, line in heads:
            message: Message | None = head
            while message is not None and message[0] < end:
                window.append(message)
                message = next(line, None)
            if message is not None:
                left.append((message, line))
        heads = left
        window.sort(key=_BY_ARRIVAL)
        yield window
        if len(window) < _FEW:
            span = min(2 * span, DAY)
        elif len(window) > _MANY:
            span = max(span // 2, MINUTE)
