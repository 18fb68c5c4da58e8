from __future__ import annotations

import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from gateway.ledger.recovery import UNKNOWN_TAIL
from gateway.ledger.sqlite import SqliteLedger
from tests.ledger.support import (
    Clock,
    as_if_killed,
    batch,
    break_a_leaf,
    covered,
    fill,
    flip,
    read_all,
    segment_files,
)

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 12
SEGMENT = 120_000


def acknowledged_until_killed(directory: Path, seed: int, seconds: float) -> int:
    """Run a writer, kill it (-9) some time after its first word, return what it acknowledged."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.appender", str(directory), str(seed)],
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    try:
        ready, _, _ = select.select([writer.stdout], [], [], 20)
        assert ready, "the writer never began"
        time.sleep(seconds)
    finally:
        os.kill(writer.pid, signal.SIGKILL)
    printed, _ = writer.communicate(timeout=10)
    lines = printed.split(b"\n")[:-1]  # a last line without its end was never told
    return int(lines[-1])


def test_nothing_acknowledged_is_missing_after_kills_at_any_moment(tmp_path: Path):
    chance = random.Random(20_260)
    last = 0
    for turn in range(KILLS):
        told = acknowledged_until_killed(tmp_path, turn, chance.uniform(0, 0.15))
        assert told >= last
        with SqliteLedger(tmp_path, segment_bytes=150_000) as ledger:
            assert ledger.recovery == ()
            assert ledger.next_offset >= told
            seen, faults = read_all(ledger)
            assert faults == []
            assert seen == set(range(ledger.next_offset))
            assert list(ledger.verify()) == []
            last = ledger.next_offset
    assert last > 1000, "the kills came before anything was written"


@pytest.fixture
def killed(tmp_path: Path) -> tuple[Path, int]:
    """A ledger as a kill leaves it, with sealed segments and a log that was folded in once."""
    directory = tmp_path / "original"
    with SqliteLedger(directory, segment_bytes=SEGMENT) as ledger:
        fill(ledger, [50] * 30)
    with SqliteLedger(directory, segment_bytes=SEGMENT) as ledger:
        end = fill(ledger, [50, 7, 1] * 3)
        assert len(segment_files(directory)) == 2
        left = as_if_killed(ledger, tmp_path / "killed")
    return left, end


def opens_and_accounts_for_all(directory: Path, end: int) -> SqliteLedger:
    """Open after damage: what can't be read is named, new offsets are new, verify agrees."""
    with SqliteLedger(directory, segment_bytes=SEGMENT) as ledger:
        assert ledger.next_offset >= end, "an acknowledged offset would be given again"
        first_new = ledger.next_offset
        fill(ledger, [20])
        seen, damages = read_all(ledger)
        assert set(range(first_new, first_new + 20)) <= seen
        lost = set(range(end)) - seen
        named = covered(ledger.verify())
        assert lost <= named, f"verify does not name {sorted(lost - named)[:5]}"
        if lost - covered(damages):
            assert ledger.recovery, "messages are gone and opening said nothing"
    with SqliteLedger(directory, segment_bytes=SEGMENT) as again:
        assert again.recovery == (), "what was recovered once is recovered"
        assert again.next_offset == first_new + 20
    return ledger


def positions(size: int, seed: int, count: int) -> list[int]:
    """Where to strike a file: its first bytes, its last, the edges of pages, and by chance."""
    edges = [0, 1, 17, 32, 100, size - 1, size // 2 // 8192 * 8192, size // 8192 * 8192 - 1]
    chance = random.Random(seed)
    return sorted(
        {p for p in edges if 0 <= p < size} | {chance.randrange(size) for _ in range(count)}
    )


@pytest.mark.parametrize("which", ["-wal", ""], ids=["log", "database"])
def test_a_file_cut_at_any_byte_is_opened_and_what_is_lost_is_named(
    killed: tuple[Path, int], tmp_path: Path, which: str
):
    directory, end = killed
    name = segment_files(directory)[-1].name + which
    size = (directory / name).stat().st_size
    for position in positions(size, 11, 30):
        struck = tmp_path / f"cut-{position}"
        shutil.copytree(directory, struck)
        os.truncate(struck / name, position)
        opens_and_accounts_for_all(struck, end)
        shutil.rmtree(struck)


@pytest.mark.parametrize("which", ["-wal", "", "-shm"], ids=["log", "database", "index"])
def test_a_file_with_garbage_at_its_end_loses_nothing(
    killed: tuple[Path, int], tmp_path: Path, which: str
):
    directory, end = killed
    name = segment_files(directory)[-1].name + which
    for length in (1, 100, 8192, 8216, 50_000):
        struck = tmp_path / f"garbage-{length}"
        shutil.copytree(directory, struck)
        with (struck / name).open("ab") as file:
            file.write(random.Random(length).randbytes(length))
        with SqliteLedger(struck) as ledger:
            assert ledger.recovery == ()
            assert ledger.next_offset == end
            assert read_all(ledger) == (set(range(end)), [])
        shutil.rmtree(struck)


def test_a_file_overwritten_at_any_place_is_opened_and_what_is_lost_is_named(
    killed: tuple[Path, int], tmp_path: Path
):
    directory, end = killed
    chance = random.Random(12)
    for turn in range(40):
        struck = tmp_path / f"struck-{turn}"
        shutil.copytree(directory, struck)
        files = [
            path for path in struck.iterdir() if path.name.startswith("0") and path.stat().st_size
        ]
        target = chance.choice(sorted(files))
        with target.open("r+b") as file:
            file.seek(chance.randrange(target.stat().st_size))
            file.write(chance.randbytes(chance.choice([1, 16, 600, 9000])))
        opens_and_accounts_for_all(struck, end)
        shutil.rmtree(struck)


def test_a_lost_log_is_reported_and_kept_offsets_go_on(killed: tuple[Path, int]):
    directory, end = killed
    last = segment_files(directory)[-1]
    log = last.with_name(last.name + "-wal")
    os.truncate(log, 100)
    with SqliteLedger(directory) as ledger:
        (fault,) = ledger.recovery
        assert (fault.what, fault.last_offset) == ("missing", end - 1)
        assert ledger.next_offset == end
        assert [note.event for note in ledger.summary().notes] == ["recovered"]
        assert list(ledger.verify()) != []
    (kept,) = directory.glob("damaged-*/*-wal.before")
    assert kept.stat().st_size == 100


@pytest.mark.parametrize("strike", ["empty", "header", "no database"])
def test_a_segment_that_is_none_any_more_is_moved_aside(killed: tuple[Path, int], strike: str):
    directory, end = killed
    last = segment_files(directory)[-1]
    log = last.with_name(last.name + "-wal")
    log.unlink()
    if strike == "empty":
        os.truncate(last, 0)
    elif strike == "header":
        flip(last, 3)
    else:
        last.write_bytes(b"not a database at all" * 1000)
    with SqliteLedger(directory, clock=Clock()) as ledger:
        assert ledger.next_offset == end
        assert {fault.what for fault in ledger.recovery} == {"segment", "missing"}
        seen, faults = read_all(ledger)
        assert faults == []
        assert seen == set(range(int(last.stem)))
    assert (directory / "damaged-20260921T141320Z" / last.name).exists()


def test_all_segments_unreadable_means_a_new_beginning_behind_the_last_offset(
    killed: tuple[Path, int],
):
    directory, end = killed
    for path in segment_files(directory):
        path.write_bytes(b"\0" * 5000)
        path.with_name(path.name + "-wal").unlink(missing_ok=True)
    with SqliteLedger(directory) as ledger:
        assert ledger.next_offset == end
        fill(ledger, [10])
        assert read_all(ledger) == (set(range(end, end + 10)), [])
        assert set(range(end)) <= covered(ledger.verify())


def test_without_head_and_last_segment_no_offset_is_given_twice(killed: tuple[Path, int]):
    directory, end = killed
    (directory / "head").write_bytes(b"gone")
    last = segment_files(directory)[-1]
    last.write_bytes(b"gone")
    with SqliteLedger(directory) as ledger:
        assert ledger.next_offset == int(last.stem) + UNKNOWN_TAIL > end
        assert ledger.recovery[0].what == "head"


def test_a_lost_head_alone_loses_nothing(killed: tuple[Path, int]):
    directory, end = killed
    (directory / "head").unlink()
    with SqliteLedger(directory) as ledger:
        assert ledger.recovery == ()
        assert ledger.next_offset == end
        assert list(ledger.verify()) == []


def test_a_damaged_head_is_reported_and_loses_nothing(killed: tuple[Path, int]):
    directory, end = killed
    flip(directory / "head", 20)
    with SqliteLedger(directory) as ledger:
        assert [fault.what for fault in ledger.recovery] == ["head"]
        assert ledger.next_offset == end
        assert list(ledger.verify()) == []


def test_an_older_copy_put_back_is_noticed_by_its_head(tmp_path: Path):
    with SqliteLedger(tmp_path / "ledger") as ledger:
        fill(ledger, [10])
        older = as_if_killed(ledger, tmp_path / "older")
        fill(ledger, [10])
    shutil.copy(tmp_path / "ledger" / "head", older / "head")
    with SqliteLedger(older) as ledger:
        (fault,) = ledger.recovery
        assert (fault.first_offset, fault.last_offset) == (10, 19)
        assert ledger.next_offset == 20


def test_a_segment_that_breaks_while_it_is_written_is_left_for_a_new_one(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        fill(ledger, [50] * 4)
        stranger = sqlite3.connect(segment_files(tmp_path)[0], isolation_level=None)
        stranger.execute("DROP TABLE batches")
        stranger.close()
        assert ledger.append(batch(200, 5)) == 205
        assert len(segment_files(tmp_path)) == 2
        assert [fault.what for fault in ledger.recovery] == ["unreadable"]
        seen, faults = read_all(ledger)
        assert seen == set(range(200, 205))
        assert covered(faults) >= set(range(200))
        assert set(range(200)) <= covered(ledger.verify())


def test_a_segment_that_breaks_before_its_first_batch_makes_room_under_its_name(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        path = segment_files(tmp_path)[0]
        stranger = sqlite3.connect(path, isolation_level=None)
        stranger.execute("DROP TABLE batches")
        stranger.close()
        fill(ledger, [5, 5])
        assert segment_files(tmp_path) == [path]
        assert read_all(ledger) == (set(range(10)), [])
        assert list(ledger.verify()) == []
    with SqliteLedger(tmp_path) as ledger:
        assert ledger.next_offset == 10
        assert list(ledger.verify()) == []


def test_a_segment_found_broken_after_a_kill_takes_no_more_batches(tmp_path: Path):
    with SqliteLedger(tmp_path / "ledger") as ledger:
        fill(ledger, [1] * 400)
    path = segment_files(tmp_path / "ledger")[0]
    with SqliteLedger(tmp_path / "ledger") as ledger:
        left = as_if_killed(ledger, tmp_path / "killed")
    break_a_leaf(left / path.name)
    with SqliteLedger(left) as ledger:
        (fault,) = ledger.recovery
        assert (fault.what, ledger.next_offset) == ("structure", 400)
        fill(ledger, [1] * 50)
        assert [int(file.stem) for file in segment_files(left)] == [0, 400]
        seen, _ = read_all(ledger)
        assert len(seen) > 400
        assert set(range(400, 450)) <= seen


def test_an_unfinished_segment_is_swept_up(tmp_path: Path):
    with SqliteLedger(tmp_path, segment_bytes=5_000) as ledger:
        fill(ledger, [50])
    (tmp_path / "unfinished.tmp").write_bytes(b"half a segment")
    with SqliteLedger(tmp_path, segment_bytes=5_000) as ledger:
        fill(ledger, [50] * 3)
        assert ledger.recovery == ()
        assert list(ledger.verify()) == []
    assert not (tmp_path / "unfinished.tmp").exists()
