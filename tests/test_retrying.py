"""Quarantine decided again beside what comes in: in slices, by order, whatever is killed when."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from gateway import orders
from gateway.access.roles import EVERYTHING, Scope
from gateway.casebook import Casebook
from gateway.chores import Clerk
from gateway.deciding import Decider
from gateway.errors import LedgerFull
from gateway.orders import OrderRefused
from gateway.pipeline import Processor
from gateway.profiles import ProfileSet, load_profiles
from gateway.records import Batch, Device
from gateway.retrying import Retrying
from gateway.store import Reprocessing
from gateway.store.duckdb import DuckDBStore
from gateway.testing import ListStore, MemoryLedger
from tests.compiled import PROFILES
from tests.store.made import SECOND, START

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

NAMES = ("good", "acme", "borg")
REGIONS = ("330106", "310101")
DEVICES = [
    Device(device_id=f"{name}-{region}-{number}", region=region)
    for name in NAMES
    for region in REGIONS
    for number in range(2)
]
GOOD = DEVICES[0].device_id
EACH = 2
PAUSE_S = 0.002
ALL = EACH * len(DEVICES) // len(NAMES)
"""Messages of one profile."""


def write(folder: Path, name: str, *, mended: bool) -> None:
    """A profile of water meters; the broken one looks for the volume where it is not."""
    volume = "v" if mended else "missing.v"
    (folder / f"{name}.yaml").write_text(
        f"profile: {name}\nversion: 1.0.0\nextends: kinds/water-meter\n"
        f"title: {{en: {name}, zh: {name}}}\n"
        f'match: {{topic: "{name}/{{device_id}}"}}\n'
        f"read:\n  sequence: {{from: n}}\n  volume: {{from: {volume}, unit: m3}}\n"
    )


class Desk:
    """A data directory whose worker can be killed: everything of it is made anew.

    Messages of three profiles and two districts came; those of two profiles are in quarantine.

    Args:
        folder: for the data; what a desk has left is opened.
        messages: of its ledger.
    """

    def __init__(self, folder: Path, messages: Iterable[tuple[str, bytes, int]] = ()) -> None:
        self.folder = folder
        self.profiles_folder = folder / "profiles"
        made = self.profiles_folder.exists()
        self.ledger = MemoryLedger()
        self.ledger.messages = list(messages)
        self.ledger.next_offset = len(self.ledger.messages)
        self.casebook = Casebook(folder)
        if not made:
            self.profiles_folder.mkdir()
            self.casebook.import_devices(DEVICES, source="x", actor="x")
            for name in NAMES:
                write(self.profiles_folder, name, mended=name == "good")
        self.open()
        if not made:
            self._fill()

    def _fill(self) -> None:
        for number in range(EACH):
            for device in DEVICES:
                self.come(device.device_id, number)
        while self.processor.step():
            pass
        write(self.profiles_folder, "acme", mended=True)

    def profiles(self) -> ProfileSet:
        return load_profiles([self.profiles_folder], bases=[PROFILES / "kinds"])

    def open(self, **more: Any) -> None:
        self.store = DuckDBStore(self.folder / "store.duckdb")
        self.clerk = Clerk(self.folder)
        profiles = self.profiles()
        devices = self.casebook.devices()
        self.processor = Processor(self.ledger, self.store, Decider(profiles, devices, {}))
        self.retrying = Retrying(
            self.processor, self.store, self.clerk, lambda: profiles, every=0, **more
        )

    def kill(self, **more: Any) -> None:
        """What is not in the store, the ledger or the casebook is gone."""
        self.store.close()
        self.clerk.close()
        self.open(**more)

    def close(self) -> None:
        self.store.close()
        self.clerk.close()
        self.casebook.close()

    def come(self, device: str, number: int) -> None:
        at = self.ledger.next_offset
        profile = device.partition("-")[0]
        payload = json.dumps({"n": number, "v": 100 + number}).encode()
        self.ledger.append(Batch([f"{profile}/{device}"], [payload], [START + at * SECOND]))

    def give(self, scope: Scope = EVERYTHING, **choice: str) -> orders.Order:
        return orders.give(self.casebook, actor="li", scope=scope, messages=1, **choice)

    def work(self, order: orders.Order, turns: int = 100_000) -> orders.Order:
        for _ in range(turns):
            if not self.retrying.turn():
                time.sleep(PAUSE_S)
            (now,) = [
                each for each in orders.orders(self.casebook, EVERYTHING)
                if each.number == order.number
            ]  # fmt: skip
            if now.ended_at is not None:
                return now
        return now

    def held(self) -> tuple[list[Any], list[Any], list[Any], Any]:
        readings = sorted(self.store.readings(), key=lambda each: each.ledger_offset)
        rows = sorted(self.store.quarantine(), key=lambda row: row.message.ledger_offset)
        flags = sorted(self.store.flags(), key=lambda flag: flag.id)
        return readings, rows, flags, self.store.counters()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """What is copied for each test: processing ended, and a profile was mended."""
    made = Desk(tmp_path_factory.mktemp("template"))
    made.close()
    return made


@pytest.fixture(scope="module")
def outcomes() -> list[Any]:
    """What came of the same order, however often its worker was killed."""
    return []


def copied(template: Desk, folder: Path) -> Desk:
    return Desk(shutil.copytree(template.folder, folder), template.ledger.messages)


@pytest.fixture
def desk(template: Desk, tmp_path: Path) -> Iterator[Desk]:
    made = copied(template, tmp_path / "desk")
    yield made
    made.close()


def test_an_order_is_done_once_and_told(desk: Desk):
    before = desk.store.counters()
    assert (before.stored, before.quarantined) == (ALL, 2 * ALL)
    order = desk.work(desk.give())
    assert order.state == "done"
    assert order.outcome is not None
    told = msgspec.structs.asdict(order.outcome)
    assert told.pop("reached") == desk.ledger.next_offset - 1
    assert told == {
        "number": 1, "decided": 2 * ALL, "stored": ALL, "duplicates": 0, "ignored": 0,
        "refused": ALL, "readings": ALL,
    }  # fmt: skip
    counters = desk.store.counters()
    assert (counters.stored, counters.quarantined) == (2 * ALL, ALL)
    assert counters.decided == desk.ledger.next_offset
    assert {row.message.profile for row in desk.store.quarantine()} == {"borg@1.0.0"}
    held = desk.held()
    desk.work(order, turns=5)
    assert desk.held() == held
    done, asked = desk.casebook.audit(limit=2)
    assert (done.action, asked.action) == ("quarantine.reprocessed", "quarantine.reprocess")
    assert (asked.actor, asked.subject, done.subject) == ("li", "order 1", "order 1")
    assert done.detail["refused"] == ALL


def test_an_order_is_for_what_was_chosen_within_the_scope_of_who_asked(desk: Desk):
    order = desk.work(desk.give(Scope("3301", None), profile="acme"))
    assert order.outcome is not None
    assert (order.outcome.decided, order.outcome.stored) == (ALL // 2, ALL // 2)
    made = {
        reading.device_id for reading in desk.store.readings() if reading.profile == "acme@1.0.0"
    }
    assert made == {"acme-330106-0", "acme-330106-1"}
    nothing = desk.work(desk.give(reason="unparseable"))
    assert nothing.outcome == Reprocessing(nothing.number)
    # A device that has moved is of the district where it is now, whatever the worker has loaded.
    desk.casebook.import_devices(
        [Device(device_id="acme-310101-0", region="330108")], source="x", actor="x"
    )
    order = desk.work(desk.give(Scope("330108", None)))
    assert order.outcome is not None
    assert (order.outcome.decided, order.outcome.stored) == (EACH, EACH)


KILLED = {1, 2, 5, 2 * ALL}
"""Slices after which the worker is killed, the last one before the casebook is told."""


@pytest.mark.parametrize("slices", [KILLED, set()], ids=["killed", "left alone"])
def test_killed_after_any_slice_it_goes_on_and_what_comes_is_decided_between(
    template: Desk, tmp_path: Path, slices: set[int], outcomes: list[Any]
):
    desk = copied(template, tmp_path / "desk")
    desk.kill(slice_s=0.0)
    desk.give()
    told = 0
    while (order := orders.orders(desk.casebook, EVERYTHING)[0]).ended_at is None:
        if not desk.retrying.turn():
            time.sleep(PAUSE_S)
        progress = desk.store.reprocessing()
        if progress is None or progress.decided == told:
            continue
        assert progress.decided == told + 1
        told += 1
        if told in KILLED:
            # The same messages between the same slices, or the outcome is another one.
            desk.come(GOOD, EACH + told)
            assert desk.processor.step() == 1
        if told in slices:
            desk.kill(slice_s=0.0)
    assert order.outcome is not None
    assert (order.outcome.decided, order.outcome.stored) == (2 * ALL, ALL)
    assert desk.store.counters().decided == desk.ledger.next_offset
    outcomes.append((order.outcome, desk.held(), desk.processor.decider.snapshot()))
    assert outcomes[0] == outcomes[-1]
    desk.close()


def test_a_restart_judges_what_was_decided_late_where_it_was(desk: Desk):
    offsets = [row.message.ledger_offset for row in desk.store.quarantine()]
    known = desk.processor.decider.snapshot()
    desk.processor.retry(offsets[:5])
    desk.come(GOOD, EACH)
    desk.processor.step()
    desk.processor.retry(offsets[5:])
    state = desk.processor.decider.snapshot()
    assert state != known
    desk.kill()
    assert desk.processor.decider.snapshot() == state
    desk.processor.finish()
    assert desk.store.retried() == []
    desk.kill()
    assert desk.processor.decider.snapshot() == state


def test_what_kills_processing_is_given_up_after_some_attempts(desk: Desk):
    order = desk.give()
    for _ in range(orders.MOST_ATTEMPTS):
        taken = orders.take_up(desk.casebook, below=desk.processor.offset, latest=None)
        assert taken is not None
    given_up = desk.work(order)
    assert given_up.state == "failed"
    assert "died 3 times behind ledger offset -1" in str(given_up.fault)
    assert desk.store.counters().quarantined == 2 * ALL
    # Where it gets on, it may die as often as it likes.
    order = desk.give()
    for reached in (3, 7, 12, 20, 33):
        latest = Reprocessing(order.number, reached)
        taken = orders.take_up(desk.casebook, below=desk.processor.offset, latest=latest)
        assert taken is not None
        assert taken.order.attempts == 1


def test_a_message_that_the_ledger_has_no_more_stays(desk: Desk):
    first = min(row.message.ledger_offset for row in desk.store.quarantine())
    desk.ledger.first_offset = first + 1
    order = desk.work(desk.give(profile="acme"))
    assert order.outcome is not None
    assert (order.outcome.stored, order.outcome.refused) == (ALL - 1, 1)
    assert desk.store.counters().decided == desk.ledger.next_offset
    assert first in {row.message.ledger_offset for row in desk.store.quarantine()}


def test_a_casebook_that_another_holds_does_not_hold_up_messages(desk: Desk):
    order = desk.give()
    with sqlite3.connect(desk.casebook.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(20):
            assert desk.retrying.turn() is False
            desk.come(GOOD, EACH + number)
            assert desk.processor.step() == 1
        other.execute("ROLLBACK")
    other.close()
    assert desk.work(order).state == "done"


def test_orders_are_bounded_and_none_waits_twice(desk: Desk):
    with pytest.raises(OrderRefused, match="nothing in quarantine"):
        orders.give(desk.casebook, actor="li", scope=EVERYTHING, messages=0)
    desk.give()
    with pytest.raises(OrderRefused, match="order 1 of li is for the same"):
        desk.give()
    for number in range(orders.MOST_OPEN - 1):
        desk.give(reason=f"reason {number}")
    with pytest.raises(OrderRefused, match="10 orders wait"):
        desk.give(reason="one more")
    assert len(orders.orders(desk.casebook, EVERYTHING)) == orders.MOST_OPEN
    assert orders.orders(desk.casebook, Scope("3301", None)) == []


def test_the_store_in_memory_keeps_progress_as_the_embedded_one_does(desk: Desk):
    store = ListStore()
    processor = Processor(desk.ledger, store, desk.processor.decider)
    while processor.step():
        pass
    assert (store.retried(), store.reprocessing()) == ([], None)
    offsets = [row.message.ledger_offset for row in store.quarantine()][:4]
    after = processor.retry(offsets, Reprocessing(7), enough=lambda: True)
    assert after == store.reprocessing() == Reprocessing(7, offsets[0], 1, refused=1)
    assert store.retried() == [(offsets[0], desk.ledger.next_offset)]
    processor.finish()
    assert store.retried() == []


def test_a_fault_of_the_ledger_ends_processing_and_one_of_the_casebook_does_not(desk: Desk):
    order = desk.give()
    desk.casebook.path.rename(desk.folder / "away")
    desk.casebook.path.mkdir()
    for _ in range(5):
        desk.retrying.turn()
        time.sleep(0.02)
    desk.casebook.path.rmdir()
    (desk.folder / "away").rename(desk.casebook.path)
    broken = UnwillingLedger()
    broken.messages, broken.next_offset = desk.ledger.messages, desk.ledger.next_offset
    desk.processor.ledger = broken
    with pytest.raises(LedgerFull):
        desk.work(order)
    desk.kill()
    assert desk.work(order).state == "done"


class UnwillingLedger(MemoryLedger):
    """A ledger whose disk does not answer."""

    def read(self, offset: int, max_messages: int = 5000) -> Batch:
        raise LedgerFull(f"offset {offset} cannot be read, nor {max_messages} behind it")
