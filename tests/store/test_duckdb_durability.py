"""The embedded store through kills, full disks, other processes and many readers."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.errors import StoreError, StoreLocked, StoreUnavailable
from gateway.store.duckdb import DuckDBStore
from tests.store.made import (
    flag,
    mixed,
    quarantined,
    reading,
    results,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def _child(body: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(body), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": "."},
    )


def test_a_second_process_is_told_who_has_the_store(store: DuckDBStore):
    body = """
        import sys
        from pathlib import Path
        from gateway.errors import StoreLocked
        from gateway.store.duckdb import DuckDBStore
        for read_only in (False, True):
            try:
                DuckDBStore(Path(sys.argv[1]), read_only=read_only)
            except StoreLocked as fault:
                print(fault)
    """
    said, _ = _child(body, store.path).communicate(timeout=20)
    assert said.count(f"process {os.getpid()} has {store.path} open, ") == 2
    assert said.count("stop that process") == 2
    assert issubclass(StoreLocked, StoreError)


def test_several_processes_may_read_a_store_that_nobody_writes(tmp_path: Path):
    writer = DuckDBStore(tmp_path / "store.duckdb")
    writer.commit(results([reading(0)]))
    writer.close()
    reader = DuckDBStore(tmp_path / "store.duckdb", read_only=True)
    body = """
        import sys
        from pathlib import Path
        from gateway.store.duckdb import DuckDBStore
        print(len(list(DuckDBStore(Path(sys.argv[1]), read_only=True).readings())))
    """
    said, _ = _child(body, reader.path).communicate(timeout=20)
    assert said == "1\n"
    with pytest.raises(StoreError):
        reader.commit(results([reading(1)]))
    reader.close()


_COMMIT_FOR_EVER = """
    import sys
    from pathlib import Path
    from gateway.store.duckdb import DuckDBStore
    from tests.store.made import flag, quarantined, reading, results, sale
    store = DuckDBStore(Path(sys.argv[1]), wal_limit="1MB")
    offset = store.checkpoint().next_offset
    while True:
        readings = [reading(n) if n % 3 else sale(n, amount=n / 100)
                    for n in range(offset, offset + 199)]
        offset += 200
        store.commit(results(readings, [flag(offset % 50), flag(offset)],
                             [quarantined(offset - 1)], next_offset=offset,
                             snapshot=str(offset).encode() * 1000))
        print(offset, flush=True)
"""


def test_what_was_committed_survives_kill_9_and_nothing_is_doubled(tmp_path: Path):
    path = tmp_path / "store.duckdb"
    chosen = random.Random(5)
    for _ in range(6):
        child = _child(_COMMIT_FOR_EVER, path)
        assert child.stdout is not None
        said = int(child.stdout.readline())
        time.sleep(chosen.random() * 0.4)
        child.kill()
        said = int([str(said), *child.stdout.read().splitlines()][-1])
        child.wait()
        child.stdout.close()
        store = DuckDBStore(path)
        checkpoint = store.checkpoint()
        offsets = [r.ledger_offset for r in store.readings()]
        held = [r.message.ledger_offset for r in store.quarantine()]
        ids = [f.id for f in store.flags()]
        store.close()
        assert checkpoint.next_offset >= said
        assert checkpoint.snapshot == str(checkpoint.next_offset).encode() * 1000
        assert sorted(offsets + held) == list(range(checkpoint.next_offset))
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize("reading_goes_on", [False, True])
def test_the_write_ahead_log_stays_bounded(tmp_path: Path, reading_goes_on: bool):
    path = tmp_path / "store.duckdb"
    wal = path.with_name("store.duckdb.wal")
    store = DuckDBStore(path, wal_limit="2MB")
    store.commit(results([reading(n) for n in range(5000)]))
    slow_reader = store.readings()
    if reading_goes_on:
        next(slow_reader)
    largest = 0
    for commit in range(3, 23):
        store.commit(results([reading(commit * 2000 + n) for n in range(2000)]))
        largest = max(largest, wal.stat().st_size if wal.exists() else 0)
    assert 0 < largest < 3_000_000
    assert sum(1 for _ in slow_reader) + reading_goes_on == 5000
    store.close()
    assert not wal.exists()


def test_no_bar_of_progress_is_ever_shown(tmp_path: Path):
    body = """
        import sys
        from pathlib import Path
        from gateway.store.duckdb import DuckDBStore
        store = DuckDBStore(Path(sys.argv[1]))
        asked = "SELECT current_setting('enable_progress_bar')"
        print(store.ask(asked), store._connections._writer.execute(asked).fetchall())
    """
    child = _child(body, tmp_path / "store.duckdb")
    said, _ = child.communicate(timeout=60)
    assert said.split() == ["[(False,)]", "[(False,)]"]


def test_memory_stays_flat_over_a_million_readings(tmp_path: Path):
    body = """
        import re, sys
        from pathlib import Path
        from gateway.store.duckdb import DuckDBStore
        from tests.store.made import flag, mixed, results
        def peak():
            status = Path("/proc/self/status").read_text()
            return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024
        batches = [mixed(seed, 5000) for seed in range(3)]
        store = DuckDBStore(Path(sys.argv[1]))
        for commit in range(200):
            store.commit(results(batches[commit % 3], [flag(commit)], next_offset=commit,
                                 snapshot=b"x" * 100_000 if commit % 20 == 0 else None))
            if commit == 40:
                warm = peak()
        print(store.position, peak() - warm)
    """
    child = _child(body, tmp_path / "store.duckdb")
    said, _ = child.communicate(timeout=90)
    stored, grown = map(int, said.split())
    assert stored == 1_000_000
    # 800,000 readings after the first measure: 40 MB would be 50 bytes kept of each.
    assert grown < 40, grown


@pytest.fixture
def file_size_limit() -> Iterator[object]:
    """A way to let the system refuse files to grow, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(
        resource.RLIMIT_FSIZE, (soft if size is None else size, hard)
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_stops_commits_and_loses_and_doubles_nothing(
    tmp_path: Path, file_size_limit: object
):
    limit = file_size_limit
    assert callable(limit)
    path = tmp_path / "store.duckdb"
    store = DuckDBStore(path, wal_limit="1MB")
    limit(3_000_000)
    offset, failed = 0, 0
    while failed < 3:
        batch = [reading(offset + n, device_id=os.urandom(20).hex()) for n in range(3000)]
        try:
            store.commit(results(batch))
        except StoreUnavailable:
            failed += 1
            if failed == 3:
                limit(None)
                store.commit(results(batch))
                offset += 3000
        else:
            offset += 3000
    assert [r.ledger_offset for r in store.readings()] == list(range(offset))
    assert store.position == offset
    store.close()


def test_a_commit_that_failed_after_reaching_the_disk_is_not_stored_again(tmp_path: Path):
    store = DuckDBStore(tmp_path / "store.duckdb")
    sent = results([reading(0), reading(1)])
    store.commit(sent)
    # What is left behind when only the confirmation of that commit had failed.
    store._attempt = (store._commits, sent.next_offset)
    store.commit(sent)
    assert len(list(store.readings())) == 2
    store._attempt = (store._commits, sent.next_offset)
    with pytest.raises(StoreError, match="read the checkpoint again"):
        store.commit(results([reading(0), reading(1), reading(2)]))
    store.close()


def test_threads_read_and_move_sinks_while_another_commits(store: DuckDBStore):
    done = threading.Event()
    faults: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                before = store.position
                offsets = [r.ledger_offset for r in store.readings()]
                assert offsets == list(range(len(offsets)))
                assert len(offsets) >= before
                assert sum(1 for _ in store.flags()) >= 0
        except BaseException as fault:
            faults.append(fault)
            raise

    def follow(name: str) -> None:
        try:
            at = 0
            while not (done.is_set() and at == store.position):
                tail = store.tail(at, 333)
                assert [r.ledger_offset for r in tail.readings] == list(range(at, tail.position))
                at = tail.position
                store.advance_sink(name, at, [quarantined(at)] if tail.readings else [])
        except BaseException as fault:
            faults.append(fault)
            raise

    threads = [threading.Thread(target=read), threading.Thread(target=read)]
    threads += [threading.Thread(target=follow, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for commit in range(40):
        store.commit(results(mixed(commit, 250, first=commit * 250), [flag(commit)]))
    done.set()
    for thread in threads:
        thread.join(30)
    assert not faults
    assert store.sink_position("one") == store.sink_position("two") == 10_000
    assert store.checkpoint().next_offset == 10_000


def test_a_query_left_half_way_does_not_hold_its_connection(store: DuckDBStore):
    store.commit(results([reading(n) for n in range(5000)]))
    store.commit(results(flags=[flag(n) for n in range(5000)]))
    for _ in range(50):
        half = store._connections.rows("SELECT id FROM flags")
        next(half)
        del half
    assert not store._connections._busy
    store.commit(results([reading(5000)]))


def test_a_closed_store_says_so(tmp_path: Path):
    store = DuckDBStore(tmp_path / "store.duckdb")
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="is closed"):
        store.commit(results([reading(0)]))
    with pytest.raises(StoreUnavailable, match="is closed"):
        store.checkpoint()
