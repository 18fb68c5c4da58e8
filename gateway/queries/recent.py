"""Answers that stand for some seconds: many look at the same page, and it costs a second of a core.

Kept by who sees what, so that nobody is given what another one sees.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_MOST: Final = 200

Made = TypeVar("Made")


class Recent:
    """The latest answers.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    def get(self, key: Hashable, seconds: float, make: Callable[[], Made]) -> Made:
        """The answer of a key where it is not older than this, else a new one.

        Args:
            key: with all that the answer hangs on, the scope of who asks first of all.
            seconds: for which it stands.
            make: makes it; two who ask at once may both do so.
        """
        now = self._clock()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and now < kept[0]:
            found: Made = kept[1]
            return found
        made = make()
        with self._lock:
            self._kept[key] = self._clock() + seconds, made
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return made
