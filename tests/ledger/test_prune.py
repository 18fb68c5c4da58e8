from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.ledger import Pruned
from gateway.ledger.sqlite import SqliteLedger, open_reader
from tests.ledger.support import (
    DAY,
    START,
    Clock,
    as_if_killed,
    fill,
    read_all,
    segment_files,
)

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT = 60_000


def of_days(directory: Path, days: int) -> tuple[SqliteLedger, Clock]:
    """A ledger with 100 messages in a segment a day."""
    clock = Clock()
    ledger = SqliteLedger(directory, segment_age=DAY, clock=clock)
    for day in range(days):
        clock.now = START + day * DAY
        fill(ledger, [50, 50], clock.now)
    return ledger, clock


def test_old_segments_go_and_the_rest_verifies(tmp_path: Path):
    ledger, _ = of_days(tmp_path, 6)
    with ledger:
        head = ledger.head()
        pruned = ledger.prune(keep_from_offset=600, max_age=2 * DAY)
        assert (pruned.first_offset, pruned.segments, pruned.batches) == (300, 3, 6)
        assert (pruned.messages, ledger.first_offset) == (300, 300)
        assert pruned.bytes > 0
        assert head[0] == ledger.next_offset == 600
        assert head[1] != ledger.head()[1], "the pruning is an entry of the chain"
        assert list(ledger.verify()) == []
        assert read_all(ledger) == (set(range(300, 600)), [])
        assert ledger.read(0, 10).first_offset == 300


def test_a_pruned_ledger_goes_on_after_reopening(tmp_path: Path):
    ledger, clock = of_days(tmp_path, 4)
    ledger.prune(keep_from_offset=400, max_age=DAY)
    ledger.close()
    with SqliteLedger(tmp_path, clock=clock) as again:
        assert again.recovery == ()
        fill(again, [50])
        assert again.first_offset == 200
        assert list(again.verify()) == []


def test_pruning_again_and_again_keeps_the_ledger_small_and_verifiable(tmp_path: Path):
    with SqliteLedger(tmp_path, segment_bytes=SEGMENT) as ledger:
        for _ in range(25):
            end = fill(ledger, [50] * 8)
            ledger.prune(keep_from_offset=end, max_bytes=250_000)
            assert sum(path.stat().st_size for path in segment_files(tmp_path)) < 400_000
        assert ledger.first_offset > 5_000
        assert list(ledger.verify()) == []
        notes = ledger.summary().notes
        assert notes
        assert {note.event for note in notes} == {"pruned"}
        assert notes[-1].detail["next_offset"] == ledger.first_offset


def test_nothing_at_or_past_the_checkpoint_goes(tmp_path: Path):
    ledger, clock = of_days(tmp_path, 4)
    with ledger:
        clock.now += 1000 * DAY
        assert ledger.prune(keep_from_offset=199, max_age=DAY).first_offset == 100
        assert ledger.prune(keep_from_offset=200, max_age=DAY, max_bytes=1).first_offset == 200


def test_the_segment_in_use_stays_however_small_the_bound(tmp_path: Path):
    with SqliteLedger(tmp_path) as ledger:
        fill(ledger, [50])
        assert ledger.prune(keep_from_offset=50, max_bytes=0) == Pruned(0)
        assert read_all(ledger) == (set(range(50)), [])


def test_nothing_due_notes_nothing(tmp_path: Path):
    ledger, _ = of_days(tmp_path, 3)
    with ledger:
        head = ledger.head()
        assert ledger.prune(keep_from_offset=300, max_age=10 * DAY, max_bytes=1 << 40).segments == 0
        assert ledger.prune(keep_from_offset=300).segments == 0
        assert ledger.head() == head


def test_a_pruning_cut_off_before_its_deletions_is_finished_at_the_next_start(tmp_path: Path):
    ledger, clock = of_days(tmp_path / "ledger", 5)
    with ledger:
        before = as_if_killed(ledger, tmp_path / "killed")
        ledger.prune(keep_from_offset=500, max_age=2 * DAY)
        for path in segment_files(tmp_path / "ledger"):  # the note is in, nothing is deleted yet
            for file in path.parent.glob(f"{path.name}*"):
                (before / file.name).write_bytes(file.read_bytes())
        (before / "head").write_bytes((ledger.directory / "head").read_bytes())
    segment_files(before)[0].unlink()  # or only half of them
    with open_reader(before) as reader:
        assert list(reader.verify()) == []
    with SqliteLedger(before, clock=clock) as again:
        assert again.first_offset == 200
        assert again.recovery == ()
        assert list(again.verify()) == []


def test_deleting_files_without_a_note_is_found(tmp_path: Path):
    ledger, _ = of_days(tmp_path, 5)
    with ledger:
        ledger.prune(keep_from_offset=500, max_age=2 * DAY)
    segment_files(tmp_path)[0].unlink()
    with open_reader(tmp_path) as reader:
        (fault,) = reader.verify()
    assert (fault.what, fault.last_offset) == ("anchor", 299)


def test_a_damaged_old_segment_is_pruned_by_the_age_of_what_follows(tmp_path: Path):
    ledger, clock = of_days(tmp_path, 5)
    ledger.close()
    segment_files(tmp_path)[0].write_bytes(b"damaged" * 1000)
    with SqliteLedger(tmp_path, clock=clock) as ledger:
        assert ledger.prune(keep_from_offset=500, max_age=10 * DAY).first_offset == 0
        assert ledger.prune(keep_from_offset=500, max_age=2 * DAY).first_offset == 200
        assert list(ledger.verify()) == []


def test_the_chain_never_begins_at_a_segment_that_does_not_say_what_was_before(tmp_path: Path):
    ledger, clock = of_days(tmp_path, 5)
    ledger.close()
    segment_files(tmp_path)[2].write_bytes(b"damaged" * 1000)
    with SqliteLedger(tmp_path, clock=clock) as ledger:
        assert ledger.prune(keep_from_offset=200, max_age=DAY).first_offset == 100
        clock.now += DAY
        assert ledger.prune(keep_from_offset=300, max_age=DAY).first_offset == 300
        assert list(ledger.verify()) == []


def test_a_reader_in_the_pruned_part_goes_on_at_what_remains(tmp_path: Path):
    ledger, _ = of_days(tmp_path, 5)
    with ledger, open_reader(tmp_path) as reader:
        assert reader.read(0, 10).first_offset == 0
        ledger.prune(keep_from_offset=500, max_age=DAY)
        reader.close()
        assert reader.read(120, 10).first_offset == 300
