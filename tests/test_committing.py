"""Commits that go on while the next results are made."""

from __future__ import annotations

import threading

import pytest

from gateway.committing import Committing
from gateway.errors import StoreUnavailable
from gateway.records import Counters, Results
from gateway.testing import ListStore


class SlowStore(ListStore):
    """Commits only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def commit(self, results: Results) -> None:
        """Waits, then takes all of it."""
        assert self.let.wait(10)
        super().commit(results)


def results(next_offset: int) -> Results:
    """Of messages below an offset, without readings."""
    return Results([], [], [], next_offset, Counters(ignored=next_offset))


def test_who_begins_a_commit_goes_on_and_who_lands_it_waits():
    store = SlowStore()
    committing = Committing(store)
    assert committing.land() is None
    committing.begin(results(5))
    assert committing.under_way is not None
    assert store.checkpoint().next_offset == 0
    with pytest.raises(RuntimeError, match="land it first"):
        committing.begin(results(9))
    store.let.set()
    landed = committing.land()
    assert landed is not None
    assert landed.next_offset == store.checkpoint().next_offset == 5
    assert committing.under_way is committing.land() is None


def test_what_a_store_could_not_take_is_given_again():
    store = ListStore()
    committing = Committing(store)
    store.failure = StoreUnavailable("the disk is full")
    committing.begin(results(5))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="full"):
            committing.land()
    assert committing.under_way is not None
    store.failure = None
    landed = committing.land()
    assert landed is not None
    assert [taken.next_offset for taken in store.commits] == [5]
