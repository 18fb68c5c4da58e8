"""Chores of the worker: what it does in small portions between the steps of processing.

The casebook may be locked by another process for as long as an import takes; so whatever a chore
wants of it is asked of a thread (`Clerk`), and messages go on meanwhile.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import structlog

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from gateway.casebook import Casebook

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class NotNow(GatewayError):
    """The casebook refuses, or is held by another process for too long."""

    retry = True


class Clerk:
    """Asks the casebook in a thread of its own, one job after another.

    Args:
        data: the data directory.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="clerk")
        self._casebook: Casebook | None = None

    def ask(
        self, job: Callable[Concatenate[Casebook, P], T], *args: P.args, **named: P.kwargs
    ) -> Generator[bool, None, T]:
        """Yields False until a job is done, then returns its answer.

        Raises:
            NotNow: the casebook refuses, or is held by another process for too long.
        """
        asked = self._pool.submit(lambda: job(self._opened(), *args, **named))
        while not asked.done():
            yield False
        try:
            return asked.result()
        except GatewayError as error:
            raise NotNow(str(error)) from error

    def _opened(self) -> Casebook:
        if self._casebook is None:
            from gateway.casebook import Casebook  # noqa: PLC0415 - see assembly.read_devices

            self._casebook = Casebook(self._data)
        return self._casebook

    def close(self) -> None:
        """Takes no more jobs; does not wait for the one that is at work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._casebook is not None:
            self._casebook.close()


class Chore(ABC):
    """Something to be done now and then, a portion at a time.

    Args:
        every: seconds from the end of one round to the next.
        clock: seconds.
    """

    def __init__(self, *, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._round: Generator[bool, None, None] | None = None
        self._next = 0.0

    @abstractmethod
    def _do(self) -> Generator[bool, None, None]:
        """One round: yields after each portion whether the next could follow at once."""

    def turn(self) -> bool:
        """Does a portion where one is due; whether the next could follow at once.

        What the casebook refuses ends the round: the next one begins again.

        Raises:
            GatewayError: what ledger or store refuse ends processing, as in its own steps.
        """
        if self._round is None:
            if self._clock() < self._next:
                return False
            self._round = self._do()
        try:
            return next(self._round)
        except StopIteration:
            pass
        except NotNow as error:
            log.warning("put off", chore=type(self).__name__.lower(), error=str(error))
        self._round = None
        self._next = self._clock() + self._every
        return False
