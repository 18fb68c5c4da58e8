"""A writer for tests that kill it: appends batches and prints what was acknowledged.

``python -m tests.ledger.appender DIRECTORY SEED [LIMIT]`` prints the next offset after each
append has returned, until it is killed or has come to LIMIT.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from gateway.ledger.sqlite import SqliteLedger
from tests.ledger.support import batch


def main() -> None:
    directory, seed = Path(sys.argv[1]), int(sys.argv[2])
    limit = int(sys.argv[3]) if len(sys.argv) > 3 else sys.maxsize
    sizes = random.Random(seed)
    with SqliteLedger(directory, segment_bytes=150_000) as ledger:
        os.write(1, f"{ledger.next_offset}\n".encode())
        while ledger.next_offset < limit:
            ledger.append(batch(ledger.next_offset, sizes.randint(1, 120)))
            os.write(1, f"{ledger.next_offset}\n".encode())


if __name__ == "__main__":
    main()
