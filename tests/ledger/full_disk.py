"""Fills a small disk with a ledger; run inside a file system of its own by ``test_full``.

``python -m tests.ledger.full_disk DIRECTORY`` prints what happened as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gateway.errors import LedgerFull
from gateway.ledger.sqlite import SqliteLedger
from tests.ledger.support import batch, fill, read_all


def take_the_rest(file: Path) -> None:
    """Fill the disk to its last byte, as another program's log would."""
    while True:
        try:
            with file.open("ab") as greed:
                greed.write(bytes(512))
        except OSError:
            return


def main() -> None:
    disk = Path(sys.argv[1])
    told: dict[str, object] = {}
    ballast, second = disk / "ballast", disk / "second"
    with SqliteLedger(disk / "ledger", segment_bytes=1_000_000) as ledger:
        for file in (ballast, second):
            file.write_bytes(bytes(1 << 20))
        try:
            while True:
                fill(ledger, [500])
        except LedgerFull as error:
            told["error"] = str(error)
        end = ledger.next_offset
        refused = batch(end, 500)
        ballast.unlink()
        told["retried"] = ledger.append(refused) == end + 500
        try:
            while True:
                fill(ledger, [500])
        except LedgerFull:
            end = ledger.next_offset
        second.unlink()  # so that closing can fold the log in, and its room is not left over
    with SqliteLedger(disk / "ledger", segment_bytes=1_000_000) as ledger:
        take_the_rest(disk / "greed")
        pruned = ledger.prune(keep_from_offset=end, max_bytes=1_500_000)
        told["pruned"] = pruned.segments
        fill(ledger, [500])
        seen, faults = read_all(ledger)
        told["whole"] = seen == set(range(pruned.first_offset, end + 500)) and not faults
        told["faults"] = [str(fault) for fault in ledger.verify()]
    take_the_rest(disk / "greed")
    with SqliteLedger(disk / "ledger") as ledger:
        told["reopened"] = ledger.next_offset == end + 500 and not ledger.recovery
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
