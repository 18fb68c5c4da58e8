"""A fleet that publishes at a steady rate, in a process of its own, and remembers every PUBACK.

``python -m tests.benchmarks.publisher HOST PORT RATE SECONDS OUT`` ends after ``SECONDS``, or
earlier at SIGTERM, when all that was sent is acknowledged.  ``OUT`` then holds, as JSON, how many
messages were sent, how many acknowledged, and when each was sent (``sent_ns``, by block).
Message ``i`` is number ``i // devices + 1`` of device ``i % devices`` of `fleet`.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.load import fleet, stream
from tests.benchmarks.wire import Client

if TYPE_CHECKING:
    from tests.benchmarks.load import Instrument

DEVICES = 500
SEED = 7
BLOCK_S = 0.005


def ids(count: int) -> list[tuple[str, int]]:
    """Device and number of the first ``count`` messages."""
    devices = [instrument.device_id for instrument in fleet(DEVICES, SEED)]
    return [(devices[i % DEVICES], i // DEVICES) for i in range(count)]


class Publishing:
    """Sends blocks of messages on a steady beat."""

    def __init__(self, client: Client, rate: float) -> None:
        self.blocks: list[tuple[int, int]] = []
        self.ending = False
        self._client = client
        self._rate = rate
        self._turns = stream(fleet(DEVICES, SEED))

    def run(self, seconds: float) -> None:
        """Publishes until the time is over or ``ending`` is set, and waits for every PUBACK."""
        began = time.monotonic()
        while not self.ending and (elapsed := time.monotonic() - began) < seconds:
            due = int(elapsed * self._rate) - self._client.sent
            if due > 0:
                self._send(due)
            self._client.hear(BLOCK_S)
        self._client.settle()

    def _send(self, count: int) -> None:
        now = time.time_ns()
        self.blocks.append((self._client.sent, now))
        turns: list[tuple[Instrument, int]] = [next(self._turns) for _ in range(count)]
        at = now // 1_000_000
        self._client.send(
            [instrument.topic for instrument, _ in turns],
            [instrument.payload(sequence, at) for instrument, sequence in turns],
        )


def main() -> None:
    """Publishes, and writes down what was acknowledged."""
    host, port, rate, seconds, out = sys.argv[1:]
    with Client(host, int(port), "fleet") as client:
        publishing = Publishing(client, float(rate))

        def end(*_: Any) -> None:
            publishing.ending = True

        signal.signal(signal.SIGTERM, end)
        publishing.run(float(seconds))
        facts = {
            "sent": client.sent,
            "acknowledged": client.acknowledged,
            "blocks": publishing.blocks,
        }
    Path(out).write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
