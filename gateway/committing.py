"""Commits results while the next are being decided: DuckDB writes on the other core."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gateway.records import Results
    from gateway.store import Store


class _UnderWay(NamedTuple):
    results: Results
    done: Future[None] | None


class Committing:
    """One commit at a time, in a thread of its own, in the order in which they are given.

    Results whose commit failed are kept, and given again by the next `land`: a store takes the same
    results once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._under_way: _UnderWay | None = None

    @property
    def under_way(self) -> Results | None:
        """What is being committed; None where nothing is."""
        return None if self._under_way is None else self._under_way.results

    def begin(self, results: Results) -> None:
        """Begins a commit; none may be under way.

        Args:
            results: not to be changed until it has landed.
        """
        if self._under_way is not None:
            raise RuntimeError("a commit is under way: land it first")
        self._under_way = _UnderWay(results, self._thread.submit(self._store.commit, results))

    def land(self) -> Results | None:
        """Waits for the commit under way; gives what it has stored, None where none was.

        Raises:
            StoreError: as `Store.commit`; the next call tries again.
        """
        if self._under_way is None:
            return None
        results, done = self._under_way
        if done is None:
            self._store.commit(results)
        else:
            self._under_way = _UnderWay(results, None)
            done.result()
        self._under_way = None
        return results
