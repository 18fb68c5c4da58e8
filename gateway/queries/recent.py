"""Answers that stand for some seconds: many look at the same page, and it costs a second of a core.

Kept by who sees what, so that nobody is given what another one sees.  Where something can be done
beside the answers, an answer whose time is over is given a last while, and made anew meanwhile: who
looks now and then does not wait for it, and who looks again sees the new one.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import structlog

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

log = structlog.get_logger(__name__)

_MOST: Final = 200
_ROWS: Final = 1_000
_LATER: Final = 10
"""How many times its time an answer is still given while a new one is made."""

Made = TypeVar("Made")


def weight(answer: object) -> int:
    """What an answer counts for where others have to go for it: one, and one a thousand rows.

    Some are a handful of numbers, others a row of every device and day.
    """
    parts = answer.values() if isinstance(answer, dict) else (answer,)
    return 1 + sum(len(part) for part in parts if isinstance(part, dict | list)) // _ROWS


def beside(work: Callable[[], None]) -> None:
    """Does something in a thread of its own, which holds up no end of the process."""
    threading.Thread(target=work, name="renewing", daemon=True).start()


class _Kept(NamedTuple):
    until: float
    given_until: float
    answer: Any
    size: int


class Recent:
    """The latest answers.

    Args:
        clock: seconds.
        most: what is kept, in all, by ``size``.
        size: of an answer, one at least.
        beside: does something later, in another thread; None: an answer whose time is over is
            made anew by who asks.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        most: int = _MOST,
        size: Callable[[Any], int] = weight,
        beside: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self.beside = beside
        self._clock = clock
        self._most = most
        self._size = size
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._total = 0
        self._gates: dict[Hashable, threading.Lock] = {}
        self._renewing: set[Hashable] = set()

    def get(self, key: Hashable, seconds: float, make: Callable[[], Made]) -> Made:
        """The answer of a key where it is not older than this, else a new one.

        Args:
            key: with all that the answer hangs on, the scope of who asks first of all.
            seconds: for which it stands.
            make: makes it; who asks for the same meanwhile waits for it.
        """
        now = self._clock()
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            renew = (
                self.beside is not None
                and kept is not None
                and kept.until <= now < kept.given_until
                and key not in self._renewing
            )
            if renew:
                self._renewing.add(key)
        if renew and self.beside is not None:
            self.beside(lambda: self._renew(key, seconds, make))
        if kept is not None and now < (kept.until if self.beside is None else kept.given_until):
            found: Made = kept.answer
            return found
        return self._make(key, seconds, make)

    def _renew(self, key: Hashable, seconds: float, make: Callable[[], Made]) -> None:
        """Makes an answer anew, one after the other; where it fails, who asks next is told why."""
        made = False
        try:
            with self._turn:
                self._make(key, seconds, make)
            made = True
        except GatewayError as error:
            log.info("an answer could not be made anew", key=repr(key), error=str(error))
        finally:
            with self._lock:
                self._renewing.discard(key)
                if not made:
                    self._kept.pop(key, None)

    def _make(self, key: Hashable, seconds: float, make: Callable[[], Made]) -> Made:
        with self._lock:
            gate = self._gates.setdefault(key, threading.Lock())
        with gate:
            try:
                kept = self._kept.get(key)
                if kept is not None and self._clock() < kept.until:
                    found: Made = kept.answer
                    return found
                made = make()
                now = self._clock()
                with self._lock:
                    size = max(self._size(made), 1)
                    self._keep(key, _Kept(now + seconds, now + seconds * _LATER, made, size))
            finally:
                with self._lock:
                    self._gates.pop(key, None)
        return made

    def _keep(self, key: Hashable, kept: _Kept) -> None:
        before = self._kept.pop(key, None)
        self._kept[key] = kept
        self._total += kept.size - (0 if before is None else before.size)
        while len(self._kept) > 1 and self._total > self._most:
            self._total -= self._kept.popitem(last=False)[1].size
