"""Sources, group commit and ledger as ``gateway run`` has them, and nothing behind them.

``python -m tests.benchmarks.intake_only HOST PORT CLIENT_ID LEDGER COUNT`` prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import uvloop

from gateway import log as logs
from gateway.intake import GroupCommit
from gateway.shared_ledger import open_ledger
from gateway.sources import BrokerSettings
from gateway.sources.mqtt5 import Mqtt5Source


async def drain(settings: BrokerSettings, directory: Path, count: int) -> dict[str, object]:
    """Takes ``count`` messages; timed from the first one received to the last acknowledgement."""
    ledger = open_ledger(directory, None)
    source = Mqtt5Source(settings)
    done = asyncio.Event()
    done_at = 0

    def committed(next_offset: int) -> None:
        nonlocal done_at
        if next_offset >= count and not done_at:
            done_at = time.time_ns()
            done.set()

    commit = GroupCommit(ledger, [source], on_commit=committed)
    cpu = time.process_time()
    running = [asyncio.create_task(source.run()), asyncio.create_task(commit.run())]
    async with asyncio.timeout(240):
        await done.wait()
    cpu = time.process_time() - cpu
    await source.close()
    await asyncio.gather(*running)
    first_at = ledger.read(0, 1).received_at[0]
    faults = [str(fault) for fault in ledger.verify()]
    if ledger.next_offset != count:
        faults.append(f"intake: {ledger.next_offset} messages in the ledger, {count} were sent")
    ledger.close()
    return {
        "messages": count,
        "seconds": (done_at - first_at) / 1e9,
        "cpu_s": cpu,
        "batches": commit.batches,
        "faults": faults,
    }


def main() -> None:
    """Reads the arguments and prints the result."""
    host, port, client_id, directory, count = sys.argv[1:]
    logs.configure("warning", "json")
    settings = BrokerSettings(
        name="main", host=host, port=int(port), topics=("meters/#",), client_id=client_id
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(drain(settings, Path(directory), int(count)))))


if __name__ == "__main__":
    main()
