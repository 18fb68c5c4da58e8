from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gateway.errors import LedgerFull
from gateway.ledger.sqlite import SqliteLedger
from gateway.records import Batch
from tests.ledger.support import START, batch, fill, message, read_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL_DISK = (
    "mount -t tmpfs -o size=7m none {disk} && exec {python} -m tests.ledger.full_disk {disk}"
)


def may_mount() -> bool:
    """Whether this machine lets us have a file system of our own."""
    asked = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    try:
        return subprocess.run(asked, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def file_size_limit() -> Iterator[None]:
    """Any write past 700 kB of a file fails, until the limit is lifted."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def limit_file_size(size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def fill_until_refused(ledger: SqliteLedger) -> tuple[int, str]:
    with pytest.raises(LedgerFull) as caught:
        fill(ledger, [500] * 1000)
    return ledger.next_offset, str(caught.value)


def test_a_full_database_refuses_the_batch_whole_and_takes_it_later(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        fill(ledger, [500])
        assert ledger._writer is not None
        connection = ledger._writer._segment._connection
        connection.execute("PRAGMA max_page_count=40")
        end, told = fill_until_refused(ledger)
        assert "database or disk is full" in told
        assert "the gateway goes on by itself" in told
        assert read_all(ledger) == (set(range(end)), [])
        connection.execute("PRAGMA max_page_count=1000000")
        assert ledger.append(batch(end, 500)) == end + 500
        assert list(ledger.verify()) == []


def test_a_batch_of_several_rows_goes_in_whole_or_not_at_all(tmp_path: Path):
    with SqliteLedger(tmp_path, max_batch=10) as ledger:
        fill(ledger, [10])
        assert ledger._writer is not None
        connection = ledger._writer._segment._connection
        connection.execute("PRAGMA max_page_count=20")
        with pytest.raises(LedgerFull):
            ledger.append(batch(10, 5000))
        assert ledger.next_offset == 10
        assert read_all(ledger) == (set(range(10)), [])
        connection.execute("PRAGMA max_page_count=1000000")
        assert ledger.append(batch(10, 5000)) == 5010
        assert list(ledger.verify()) == []


@pytest.mark.usefixtures("file_size_limit")
def test_a_write_that_the_system_refuses_stops_nothing_for_good(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        limit_file_size(700_000)
        end, told = fill_until_refused(ledger)
        assert "the disk refuses" in told
        for _ in range(3):
            with pytest.raises(LedgerFull):
                ledger.append(batch(end, 500))
        limit_file_size(1 << 30)
        assert ledger.append(batch(end, 500)) == end + 500
        fill(ledger, [500] * 20)
        assert read_all(ledger) == (set(range(ledger.next_offset)), [])
        assert list(ledger.verify()) == []
        assert ledger.recovery == ()


@pytest.mark.usefixtures("file_size_limit")
def test_a_new_segment_that_finds_no_room_leaves_nothing_behind(tmp_path: Path):
    with SqliteLedger(tmp_path, segment_bytes=90_000) as ledger:
        fill(ledger, [500] * 2)
        limit_file_size(4096)
        with pytest.raises(LedgerFull):
            ledger.append(batch(1000, 500))
        limit_file_size(1 << 30)
        assert ledger.append(batch(1000, 500)) == 1500
        assert list(ledger.verify()) == []
    assert not (tmp_path / "unfinished.tmp").exists()


@pytest.mark.usefixtures("file_size_limit")
def test_a_refused_pruning_note_deletes_nothing(tmp_path: Path):
    with SqliteLedger(tmp_path, segment_bytes=90_000) as ledger:
        end = fill(ledger, [500] * 8)
        limit_file_size(4096)
        with pytest.raises(LedgerFull):
            ledger.prune(keep_from_offset=end, max_bytes=1)
        limit_file_size(1 << 30)
        assert read_all(ledger) == (set(range(end)), [])
        assert ledger.prune(keep_from_offset=end, max_bytes=1).segments > 0
        assert list(ledger.verify()) == []


def test_a_directory_that_cannot_be_made_is_a_refusal_to_retry(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(LedgerFull, match="can't create"):
        SqliteLedger(tmp_path / "file" / "ledger")


def test_large_payloads_fit_and_come_back(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        large = message(0)[1] * 100_000
        ledger.append(Batch(["a", "b", "c"], [large, b"", large[::-1]], [START] * 3))
        got = ledger.read(0, 2)
        assert got.payloads == [large, b""]
        assert ledger.read(2).payloads == [large[::-1]]


if may_mount():  # needs no root, but a kernel that lets users have name spaces

    def test_a_disk_full_to_the_last_byte_takes_prunes_and_goes_on(tmp_path: Path):
        script = SMALL_DISK.format(disk=tmp_path, python=sys.executable)
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert "no room on the disk" in told.pop("error")
        assert told.pop("pruned") >= 1
        assert told == {"retried": True, "whole": True, "faults": [], "reopened": True}
