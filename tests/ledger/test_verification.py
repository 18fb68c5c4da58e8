from __future__ import annotations

import random
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from gateway.ledger.sqlite import SqliteLedger, open_reader
from tests.ledger.support import START, break_a_leaf, covered, fill, flip, read_all, segment_files

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.ledger import LedgerFault

SEGMENT = 120_000
BATCHES = 60


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A ledger of three segments at rest; batch n holds offsets 50n to 50n + 49."""
    directory = tmp_path / "closed"
    with SqliteLedger(directory, segment_bytes=SEGMENT) as ledger:
        fill(ledger, [50] * BATCHES)
        assert len(segment_files(directory)) == 3
    return directory


def tampered(directory: Path, *statements: str) -> list[LedgerFault]:
    """Run SQL on the oldest segment, as an administrator could, and verify."""
    connection = sqlite3.connect(segment_files(directory)[0], isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    with open_reader(directory) as reader:
        return list(reader.verify())


@pytest.mark.parametrize(
    "column",
    ["batch", "count", "first_received_at", "last_received_at", "content_size", "codec"],
)
def test_a_changed_header_field_names_its_batch(closed: Path, column: str):
    (fault,) = tampered(closed, f"UPDATE batches SET {column} = {column} + 1 WHERE batch = 7")
    assert (fault.batch, fault.first_offset, fault.what) == (7, 350, "header")
    assert fault.last_offset in {399, 400}


@pytest.mark.parametrize("column", ["content_hash", "previous", "chain", "content"])
def test_a_changed_hash_or_content_names_its_batch(closed: Path, column: str):
    change = f"UPDATE batches SET {column} = CAST(substr({column}, 1, 20) || x'00' || "
    faults = tampered(closed, change + f"substr({column}, 22) AS BLOB) WHERE batch = 7")
    assert [fault.batch for fault in faults] == [7]
    assert (faults[0].first_offset, faults[0].last_offset) == (350, 399)


def test_a_missing_batch_is_named_by_its_offsets(closed: Path):
    (fault,) = tampered(closed, "DELETE FROM batches WHERE batch = 7")
    assert (fault.batch, fault.first_offset, fault.last_offset, fault.what) == (
        7,
        350,
        399,
        "missing",
    )


def test_two_batches_in_each_others_place_are_named(closed: Path):
    faults = tampered(
        closed,
        "UPDATE batches SET first_offset = -1 WHERE batch = 7",
        "UPDATE batches SET first_offset = 350 WHERE batch = 8",
        "UPDATE batches SET first_offset = 400 WHERE batch = 7",
    )
    assert {7, 8} <= {fault.batch for fault in faults}
    assert set(range(350, 450)) <= covered(faults)


def test_a_batch_written_anew_with_a_right_hash_breaks_the_chain(closed: Path, tmp_path: Path):
    with SqliteLedger(tmp_path / "forged") as forged:
        fill(forged, [50] * 7)
        forged.append(forged.read(0, 50))  # other content for batch 7, hashes all in order
        fill(forged, [50])
    forged_file = segment_files(tmp_path / "forged")[0]
    faults = tampered(
        closed,
        f"ATTACH '{forged_file}' AS forged",
        "DELETE FROM batches WHERE batch = 7",
        "INSERT INTO batches SELECT * FROM forged.batches WHERE batch = 7",
    )
    assert [(fault.batch, fault.what) for fault in faults] == [(8, "chain")]


def test_a_forged_end_is_told_by_the_head(closed: Path):
    last = segment_files(closed)[-1]
    connection = sqlite3.connect(last, isolation_level=None)
    connection.execute("DELETE FROM batches WHERE batch = (SELECT max(batch) FROM batches)")
    connection.close()
    with open_reader(closed) as reader:
        (fault,) = reader.verify()
    assert (fault.batch, fault.first_offset, fault.last_offset) == (59, 2950, 2999)


@pytest.mark.parametrize(("index", "first"), [(0, 0), (1, None), (2, None)])
def test_a_deleted_segment_is_named_by_its_offsets(closed: Path, index: int, first: int | None):
    files = segment_files(closed)
    ends = [int(path.stem) for path in files[1:]] + [3000]
    files[index].unlink()
    with open_reader(closed) as reader:
        (fault,) = reader.verify()
    assert fault.first_offset == (int(files[index].stem) if first is None else first)
    assert fault.last_offset == ends[index] - 1
    assert fault.what == ("anchor" if index == 0 else "missing")


def test_a_damaged_segment_header_costs_no_batch(closed: Path):
    (fault,) = tampered(closed, "UPDATE segment SET next_offset = 5")
    assert fault.what == "structure"
    with open_reader(closed) as reader:
        assert read_all(reader) == (set(range(3000)), [])


def test_every_flipped_bit_is_found_or_without_consequence(closed: Path, tmp_path: Path):
    chance = random.Random(31)
    sizes = {path.name: path.stat().st_size for path in segment_files(closed)}
    found = 0
    for _ in range(60):
        struck = tmp_path / "struck"
        shutil.copytree(closed, struck)
        name = chance.choice(sorted(sizes))
        flip(struck / name, chance.randrange(sizes[name]), chance.randrange(8))
        with open_reader(struck) as reader:
            faults = list(reader.verify())
            seen, damages = read_all(reader)  # checks every message it gives
        lost = set(range(3000)) - seen
        assert lost <= covered(faults)
        assert lost == covered(damages)
        found += bool(faults)
        shutil.rmtree(struck)
    assert found > 25, "half of a segment is content: flips there must be found"


def test_a_flipped_bit_of_content_names_only_its_batch(closed: Path, tmp_path: Path):
    path = segment_files(closed)[0]
    connection = sqlite3.connect(path)
    (content,) = connection.execute("SELECT content FROM batches WHERE batch = 5").fetchone()
    connection.close()
    start = path.read_bytes().index(content[:200])
    for offset in range(0, 200, 20):
        struck = tmp_path / f"struck-{offset}"
        shutil.copytree(closed, struck)
        flip(struck / path.name, start + offset)
        with open_reader(struck) as reader:
            (fault,) = reader.verify()
            assert (fault.batch, fault.first_offset, fault.last_offset) == (5, 250, 299)
            seen, _ = read_all(reader)
            assert seen == set(range(3000)) - set(range(250, 300))


def test_reading_tells_a_damaged_batch_and_goes_on_behind_it(closed: Path):
    tampered(closed, "UPDATE batches SET content = x'00' WHERE batch = 7")
    with open_reader(closed) as reader:
        assert len(reader.read(300, 5000)) == 50, "what is sound before it is given first"
        seen, (damage,) = read_all(reader)
    assert (damage.batch, damage.first_offset, damage.last_offset) == (7, 350, 399)
    assert seen == set(range(3000)) - set(range(350, 400))


def test_a_broken_page_costs_its_own_batches_only(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        fill(ledger, [1] * 400)
    break_a_leaf(segment_files(tmp_path)[0])
    with open_reader(tmp_path) as reader:
        seen, damages = read_all(reader)
        faults = list(reader.verify())
    lost = set(range(400)) - seen
    assert 5 < len(lost) < 40
    assert covered(damages) == covered(faults) == lost
    assert {"missing", "structure"} <= {fault.what for fault in faults}


def test_verify_runs_while_the_ledger_grows(tmp_path: Path):
    with SqliteLedger(tmp_path, segment_bytes=SEGMENT) as ledger, open_reader(tmp_path) as reader:
        fill(ledger, [50] * 10)
        walk = reader.verify(lambda *_: fill(ledger, [20], START) and None)
        assert list(walk) == []
        assert ledger.next_offset == 700
