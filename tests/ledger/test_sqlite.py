from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import LedgerError, LedgerLocked
from gateway.ledger.sqlite import SqliteLedger, open_reader
from gateway.records import Batch, RawMessage
from tests.ledger.support import (
    DAY,
    START,
    Clock,
    batch,
    fill,
    message,
    read_all,
    segment_files,
)

if TYPE_CHECKING:
    from pathlib import Path

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@given(sizes=SIZES, recent=st.integers(1, 200), behind=st.integers(0, 300))
@settings(max_examples=25)
def test_recent_messages_read_as_those_on_disk(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], recent: int, behind: int
):
    directory = tmp_path_factory.mktemp("ledger")
    with SqliteLedger(directory, recent_messages=recent) as ledger:
        for size in sizes:
            fill(ledger, [size])
            offset = max(ledger.next_offset - behind, 0)
            while (got := ledger.read(offset, 7)).topics:
                assert got.first_offset == offset
                for position, payload in enumerate(got.payloads, offset):
                    assert payload == message(position)[1]
                offset += len(got)
            assert offset == ledger.next_offset


@given(sizes=SIZES, max_batch=st.integers(1, 50), steps=st.integers(1, 90), reopen=st.booleans())
@settings(max_examples=25)
def test_what_was_appended_is_read_back_whole_and_verifies(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    max_batch: int,
    steps: int,
    reopen: bool,
):
    directory = tmp_path_factory.mktemp("ledger")
    with SqliteLedger(directory, max_batch=max_batch, segment_bytes=45_000) as ledger:
        fill(ledger, sizes)
        if reopen:
            ledger.close()
    with SqliteLedger(directory, max_batch=max_batch, segment_bytes=45_000) as ledger:
        assert ledger.recovery == ()
        assert ledger.next_offset == sum(sizes)
        offset = 0
        while (got := ledger.read(offset, steps)).topics:
            assert got.first_offset == offset
            assert len(got) == min(steps, sum(sizes) - offset)
            for position, payload in enumerate(got.payloads, offset):
                assert payload == message(position)[1]
            offset += len(got)
        assert offset == sum(sizes)
        assert list(ledger.verify()) == []


def test_offsets_begin_at_zero_and_count_messages(tmp_path: Path):
    with SqliteLedger(tmp_path / "ledger") as ledger:
        assert (ledger.first_offset, ledger.next_offset) == (0, 0)
        assert ledger.append(batch(0, 3)) == 3
        assert ledger.append(batch(3, 2)) == 5
        assert ledger.next_offset == 5


def test_the_disk_is_waited_for_at_each_append(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        assert ledger._writer is not None
        connection = ledger._writer._segment._connection
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "2 is FULL"


def test_an_empty_batch_changes_nothing(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        head = ledger.head()
        assert ledger.append(Batch([], [], [])) == 0
        assert ledger.head() == head


def test_reading_at_the_end_gives_an_empty_batch_at_that_offset(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        fill(ledger, [10])
        got = ledger.read(10)
        assert (len(got), got.first_offset) == (0, 10)


def test_a_read_starts_inside_a_stored_batch_and_crosses_into_the_next(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        fill(ledger, [10, 10, 10])
        got = ledger.read(7, 15)
        assert (got.first_offset, len(got)) == (7, 15)
        assert got.payloads == [message(offset)[1] for offset in range(7, 22)]


def test_a_caller_may_change_what_it_was_given(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        fill(ledger, [10])
        ledger.read(0, 10).payloads.clear()
        assert len(ledger.read(0, 10).payloads) == 10


def test_a_read_of_large_payloads_returns_before_memory_is_full(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        payload = bytes(12 << 20)
        ledger.append(Batch(["t"] * 6, [payload] * 6, [START] * 6))
        assert 3 <= len(ledger.read(0, 5000)) < 6
        offset = 0
        while (got := ledger.read(offset)).topics:
            offset += len(got)
        assert offset == 6


def test_a_second_writer_is_refused_and_told_who_has_it(tmp_path: Path):
    with SqliteLedger(tmp_path), pytest.raises(LedgerLocked, match=f"process {os.getpid()} writes"):
        SqliteLedger(tmp_path)
    SqliteLedger(tmp_path).close()


def test_a_writer_of_another_process_is_refused(tmp_path: Path):
    with SqliteLedger(tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "tests.ledger.appender", str(tmp_path), "1", "10"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode != 0
        assert f"LedgerLocked: {tmp_path}: process {os.getpid()} writes this ledger" in done.stderr


def test_a_reader_neither_needs_the_lock_nor_may_append(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger, open_reader(tmp_path) as reader:
        fill(ledger, [5])
        assert reader.next_offset == 5
        assert reader.head() == ledger.head()
        with pytest.raises(LedgerError, match="read only"):
            reader.append(batch(5, 1))


def test_a_reader_that_comes_before_the_writer_sees_an_empty_ledger_then_all(tmp_path: Path):
    directory = tmp_path / "later"
    with open_reader(directory) as reader:
        assert (reader.first_offset, reader.next_offset, len(reader.read(0))) == (0, 0, 0)
        with SqliteLedger(directory, segment_bytes=40_000) as ledger:
            fill(ledger, [30] * 10)
            assert reader.next_offset == 300
            assert read_all(reader) == (set(range(300)), [])


def test_a_reader_in_another_process_tails_in_order_while_segments_change(tmp_path: Path):
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.appender", str(tmp_path), "5", "30000"],
        stdout=subprocess.DEVNULL,
    )
    offset = 0
    with open_reader(tmp_path) as reader:
        while offset < 30_000:
            alive = writer.poll() is None
            got = reader.read(offset, 333)
            assert got.first_offset == offset
            for position, payload in enumerate(got.payloads, offset):
                assert payload == message(position)[1]
            offset += len(got)
            assert got.topics or alive, f"the writer ended, the reader saw {offset} messages"
    assert writer.wait(10) == 0
    assert len(segment_files(tmp_path)) > 5


def test_one_thread_reads_while_another_appends(tmp_path: Path):
    with SqliteLedger(tmp_path, segment_bytes=90_000) as ledger:
        writer = threading.Thread(target=fill, args=(ledger, [40] * 150))
        writer.start()
        offset = 0
        while offset < 6_000:
            got = ledger.read(offset, 500)
            assert got.payloads == [
                message(position)[1] for position in range(offset, offset + len(got))
            ]
            offset += len(got)
        writer.join()
        assert list(ledger.verify()) == []


def test_a_reader_lets_the_write_ahead_log_be_reused(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger, open_reader(tmp_path) as reader:
        noise = os.urandom(20_000)
        for turn in range(1000):
            ledger.append(Batch(["t"], [noise], [START]))
            reader.read(turn)
        log = segment_files(tmp_path)[0].with_name("0" * 20 + ".sqlite-wal")
        assert log.stat().st_size < 8 << 20


def test_a_segment_ends_by_size_and_by_age(tmp_path: Path):
    clock = Clock()
    with SqliteLedger(tmp_path, segment_age=DAY, clock=clock) as ledger:
        fill(ledger, [5])
        clock.now += DAY
        fill(ledger, [5, 5])
        assert [path.stem for path in segment_files(tmp_path)] == [f"{0:020d}", f"{5:020d}"]
        assert list(ledger.verify()) == []


def test_messages_are_told_one_by_one(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        fill(ledger, [10, 10])
        told = list(ledger.messages(8, 11))
        assert told == [RawMessage(o, START, *message(o)) for o in range(8, 12)]
        assert list(ledger.messages(19, 50)) == [RawMessage(19, START, *message(19))]


def test_the_summary_tells_counts_times_sizes_and_head(tmp_path: Path):
    with SqliteLedger(tmp_path, segment_bytes=45_000) as ledger:
        fill(ledger, [100] * 4, START)
        fill(ledger, [100], START + 5)
        summary = ledger.summary()
        assert (summary.batches, summary.messages) == (5, 500)
        assert (summary.first_offset, summary.next_offset) == (0, 500)
        assert (summary.first_received_at, summary.last_received_at) == (START, START + 5)
        assert summary.segments == len(segment_files(tmp_path)) > 1
        assert summary.ratio > 1.2
        assert summary.disk_bytes > summary.stored_bytes > 0
        assert (summary.next_offset, summary.chain) == ledger.head()
        assert summary.notes == ()
        assert summary.unreadable == ()


def test_verify_tells_how_far_it_is(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        fill(ledger, [10] * 5)
        told: list[tuple[int, int]] = []
        list(ledger.verify(lambda done, total: told.append((done, total))))
        assert told == [(10, 50), (20, 50), (30, 50), (40, 50), (50, 50)]


def test_a_ledger_of_a_newer_gateway_is_left_alone(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        fill(ledger, [10])
    path = segment_files(tmp_path)[0]
    connection = sqlite3.connect(path)
    connection.execute("UPDATE segment SET format = 2")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerError, match="newer gateway"):
        SqliteLedger(tmp_path)
    assert segment_files(tmp_path) == [path]


def test_a_ledger_can_be_closed_twice_and_then_takes_nothing(tmp_path: Path):
    ledger = SqliteLedger(tmp_path)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.append(batch(0, 1))


def test_offsets_that_a_store_has_decided_are_never_given_again(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        fill(ledger, [10])
        assert ledger.advance_to(7, "the store stands at 7") == 10
        assert ledger.advance_to(25, "the store stands at 25") == 25
        fill(ledger, [5])
        assert ledger.read(10).first_offset == 25
        (fault,) = ledger.verify()
        assert (fault.what, fault.first_offset, fault.last_offset) == ("missing", 10, 24)
    with SqliteLedger(tmp_path) as ledger:
        assert ledger.next_offset == 30


def test_read_only_media_can_be_verified(tmp_path: Path):
    directory = tmp_path / "ledger"
    with SqliteLedger(directory, segment_bytes=40_000) as ledger:
        fill(ledger, [30] * 5)
    before = {path: path.read_bytes() for path in directory.iterdir()}
    with open_reader(directory) as reader:
        assert list(reader.verify()) == []
        assert read_all(reader) == (set(range(150)), [])
    after = {path: path.read_bytes() for path in directory.iterdir() if path in before}
    assert after == before
