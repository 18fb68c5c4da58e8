"""Group commit: acknowledge after the fsync, bound everything, lose nothing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.errors import LedgerCorrupt, LedgerFull
from gateway.intake import CommitSettings, GroupCommit
from gateway.records import CLOCK_TOPIC
from gateway.sources import Arrivals
from gateway.testing import ListSource, MemoryLedger
from tests.sources.harness import asynchronous, payloads, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def arrivals(first: int, count: int, received_at: int = 7) -> Arrivals:
    numbers = range(first, first + count)
    return Arrivals(["t"] * count, [b"%d" % i for i in numbers], received_at)


@asynccontextmanager
async def running(group: GroupCommit) -> AsyncIterator[None]:
    task = asyncio.create_task(group.run())
    try:
        yield
    finally:
        await group.close()
        await task


@asynchronous
async def test_messages_are_acknowledged_in_order_and_only_when_appended():
    source, ledger = ListSource(ends=False), MemoryLedger()
    ledger.gate.clear()
    group = GroupCommit(ledger, [source])
    async with running(group):
        source.feed(("a", b"1"), ("a", b"2"))
        source.feed(("a", b"3"))
        await until(lambda: ledger.attempts == 1)
        assert source.acknowledged == []
        assert group.pending == 3
        ledger.gate.set()
        await until(lambda: len(source.acknowledged) == 2)
        assert [a.payloads for a in source.acknowledged] == [[b"1", b"2"], [b"3"]]
        assert group.pending == 0
        assert group.next_offset == 3
        assert group.last_commit_seconds > 0


@asynchronous
async def test_batches_are_full_but_never_larger_and_arrivals_may_span_them():
    sizes = [700, 700, 2500, 1, 99]
    items, first = [], 0
    for size in sizes:
        items.append(arrivals(first, size))
        first += size
    source, ledger = ListSource(items), MemoryLedger()
    group = GroupCommit(ledger, [source], CommitSettings(max_messages=1000))
    await group.run()
    assert ledger.sizes == [1000, 1000, 1000, 1000]
    assert payloads(ledger) == [b"%d" % i for i in range(4000)]
    assert {received_at for _, _, received_at in ledger.messages} == {7}
    assert [len(a) for a in source.acknowledged] == sizes
    assert group.state == "closed"


@asynchronous
async def test_arrivals_that_span_batches_are_acknowledged_with_their_last_message():
    source, ledger = ListSource([arrivals(0, 15)], ends=False), MemoryLedger()
    group = GroupCommit(ledger, [source], CommitSettings(max_messages=10, max_wait=0.3))
    async with running(group):
        await until(lambda: len(ledger.messages) == 10)
        assert source.acknowledged == []
        await until(lambda: len(source.acknowledged) == 1)
        assert ledger.sizes == [10, 5]


@asynchronous
async def test_batches_are_bounded_in_bytes_and_one_larger_message_goes_alone():
    item = Arrivals(["t"] * 5, [bytes(n) for n in (40, 40, 40, 300, 10)], 0)
    ledger = MemoryLedger()
    await GroupCommit(ledger, [ListSource([item])], CommitSettings(max_bytes=100)).run()
    assert ledger.sizes == [2, 1, 1, 1]
    assert [len(p) for p in payloads(ledger)] == [40, 40, 40, 300, 10]


@asynchronous
async def test_a_message_alone_does_not_wait_longer_than_max_wait():
    source, ledger = ListSource(ends=False), MemoryLedger()
    async with running(GroupCommit(ledger, [source], CommitSettings(max_wait=0.05))):
        source.feed(("a", b"1"))
        await until(lambda: source.acknowledged, 1.0)


@asynchronous
async def test_messages_that_come_close_together_share_a_commit():
    source, ledger = ListSource(ends=False), MemoryLedger()
    async with running(GroupCommit(ledger, [source], CommitSettings(max_wait=0.2))):
        for i in range(20):
            source.feed(("a", b"%d" % i))
            await asyncio.sleep(0.002)
        await until(lambda: len(source.acknowledged) == 20)
        assert len(ledger.sizes) <= 2


@pytest.mark.parametrize(
    "limits", [{"max_pending_messages": 100}, {"max_pending_bytes": 1000, "max_messages": 10}]
)
@asynchronous
async def test_a_source_is_not_read_while_too_much_is_pending(limits: dict[str, int]):
    items = [Arrivals(["t"] * 10, [bytes(10)] * 10, 0) for _ in range(50)]
    source, ledger = ListSource(items), MemoryLedger()
    ledger.gate.clear()
    group = GroupCommit(ledger, [source], CommitSettings(**limits))
    async with running(group):
        await until(lambda: group.pending >= 100)
        await asyncio.sleep(0.05)
        assert source.handed_over == 10
        ledger.gate.set()
        await until(lambda: group.appended == 500)
        assert len(source.acknowledged) == 50


@asynchronous
async def test_a_full_ledger_stops_acknowledgements_until_there_is_room():
    source, ledger = ListSource(ends=False), MemoryLedger()
    ledger.failure = LedgerFull("no space left on device")
    states: list[str] = []
    settings = CommitSettings(retry_min=0.01, retry_max=0.02)
    group = GroupCommit(ledger, [source], settings, on_state=states.append)
    with capture_logs() as logs:
        async with running(group):
            source.feed(("a", b"1"))
            await until(lambda: ledger.attempts >= 4)
            source.feed(("a", b"2"))
            await asyncio.sleep(0.05)
            assert group.state == "ledger_full"
            assert source.acknowledged == []
            assert group.pending == 2
            ledger.failure = None
            await until(lambda: len(source.acknowledged) == 2)
            assert payloads(ledger) == [b"1", b"2"]
            assert group.state == "open"
    assert states == ["ledger_full", "open", "closed"]
    assert [line["event"] for line in logs] == [
        "ledger full, acknowledgements stopped",
        "ledger has room again",
    ]


@asynchronous
async def test_close_while_the_ledger_is_full_leaves_the_rest_to_the_broker():
    source, ledger = ListSource(ends=False), MemoryLedger()
    ledger.failure = LedgerFull("no space left on device")
    group = GroupCommit(ledger, [source])
    async with running(group):
        source.feed(("a", b"1"))
        await until(lambda: group.state == "ledger_full")
    assert source.acknowledged == []
    assert group.pending == 1


@asynchronous
async def test_close_writes_and_acknowledges_what_is_pending():
    source, ledger = ListSource([arrivals(0, 500)] * 7, ends=False), MemoryLedger()
    group = GroupCommit(ledger, [source], CommitSettings(max_wait=10))
    async with running(group):
        await until(lambda: group.received == 3500)
    assert group.appended == 3500
    assert len(source.acknowledged) == 7


@asynchronous
async def test_a_ledger_that_fails_for_good_ends_the_run_with_nothing_acknowledged():
    source, ledger = ListSource([arrivals(0, 5)], ends=False), MemoryLedger()
    ledger.failure = LedgerCorrupt("batch 3: content does not match its hash")
    group = GroupCommit(ledger, [source])
    with pytest.raises(LedgerCorrupt, match="batch 3"):
        await group.run()
    assert source.acknowledged == []
    assert group.state == "failed"


@asynchronous
async def test_each_source_gets_its_own_acknowledgements():
    one = ListSource([arrivals(0, 3)], name="one")
    two = ListSource([arrivals(10, 2)], name="two")
    offsets: list[int] = []
    group = GroupCommit(MemoryLedger(), [one, two], on_commit=offsets.append)
    await group.run()
    assert [a.payloads[0] for a in one.acknowledged] == [b"0"]
    assert [a.payloads[0] for a in two.acknowledged] == [b"10"]
    assert offsets[-1] == 5


@asynchronous
async def test_a_mark_of_the_clock_goes_into_the_ledger_and_is_acknowledged_to_nobody():
    source, ledger = ListSource([arrivals(0, 2)], ends=False), MemoryLedger()
    group = GroupCommit(ledger, [source])
    async with running(group):
        await until(lambda: group.appended == 2)
        group.mark(99)
        await until(lambda: group.appended == 3)
    assert ledger.messages[-1] == (CLOCK_TOPIC, b"", 99)
    assert [len(a) for a in source.acknowledged] == [2]
    assert group.received == 3


@asynchronous
async def test_an_error_of_a_source_ends_the_run():
    class Broken(ListSource):
        async def arrivals(self) -> AsyncIterator[Arrivals]:
            raise RuntimeError("a bug")
            yield

    with pytest.raises(RuntimeError, match="a bug"):
        await GroupCommit(MemoryLedger(), [Broken(ends=False)]).run()
