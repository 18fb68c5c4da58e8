"""Publish → readable in the store, measured from outside at a steady rate.

Nothing is added to the gateway: a thread watches how far the ledger is and when the store's files
are written.  A message that was in the ledger when one commit had ended is in the next one at the
latest, for the worker reads the ledger after the commit before.  So the end of the second commit
after its append is an upper bound of when it was readable, the first a lower bound; the figure
that counts is the upper one.
"""

from __future__ import annotations

import bisect
import json
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Self

from gateway.ledger.sqlite import open_reader
from tests.benchmarks import proc, publisher
from tests.benchmarks.audit import audit
from tests.benchmarks.broker import Broker
from tests.benchmarks.gateway_process import CLIENT_ID, Gateway
from tests.benchmarks.load import fleet
from tests.benchmarks.subjects import Bench, Run
from tests.benchmarks.wire import make_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

POLL_S = 0.002
QUIET_NS = 30_000_000
"""Writes of the store closer together than this belong to one commit."""


class Watch:
    """Notes how far the ledger is and when the store is written, every few milliseconds."""

    def __init__(self, data: Path) -> None:
        self.appended: list[tuple[int, int]] = []
        self.written: list[int] = []
        self._store = (data / "store.duckdb.wal", data / "store.duckdb")
        self._ledger = data / "ledger"
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        ledger = open_reader(self._ledger)
        while not self._end.wait(POLL_S):
            next_offset = ledger.next_offset
            if not self.appended or next_offset > self.appended[-1][0]:
                self.appended.append((next_offset, time.time_ns()))
            changed = max(self._changed(path) for path in self._store)
            if changed and (not self.written or changed > self.written[-1]):
                self.written.append(changed)
        ledger.close()

    @staticmethod
    def _changed(path: Path) -> int:
        try:
            return path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def commits(self) -> list[int]:
        """When commits ended: the last write of each run of writes."""
        pairs = zip(self.written, [*self.written[1:], 1 << 62], strict=True)
        return [at for at, following in pairs if following - at > QUIET_NS]


def bounds(
    sent: Sequence[int], appended: Sequence[tuple[int, int]], commits: Sequence[int]
) -> tuple[list[float], list[float]]:
    """Seconds from sending to the first and to the second commit after each append.

    Args:
        sent: when each message was sent, in the order of the ledger.
        appended: next offset of the ledger and when it was seen.
        commits: when commits ended.
    """
    low, high = [], []
    offsets = [offset for offset, _ in appended]
    for offset, at in enumerate(sent):
        seen = bisect.bisect_right(offsets, offset)
        first = bisect.bisect_right(commits, appended[seen][1]) if seen < len(appended) else None
        if first is None or first >= len(commits):
            continue  # only its order says so: the last commit covers it, the audit holds it
        second = min(first + 1, len(commits) - 1)
        low.append((commits[first] - at) / 1e9)
        high.append((commits[second] - at) / 1e9)
    return sorted(low), sorted(high)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the sorted values lie."""
    return values[min(len(values) - 1, int(len(values) * share))]


def live(bench: Bench, rate: int = 5_000, seconds: float = 20.0) -> Run:
    """Publishes at ``rate`` and bounds the time until each message is readable."""
    folder = bench.fresh("live")
    registry = folder / "registry.jsonl"
    registry.write_text(
        "".join(
            json.dumps({"device_id": each.device_id, "kind": each.kind}) + "\n"
            for each in fleet(publisher.DEVICES, publisher.SEED)
        )
    )
    out = folder / "published.json"
    with Broker(folder / "broker") as broker:
        make_session(broker.host, broker.port, CLIENT_ID)
        with Gateway(folder, broker, registry=registry) as gateway:
            gateway.start().wait_online()
            time.sleep(0.5)
            with Watch(gateway.data) as watch:
                began = time.perf_counter()
                subprocess.run(
                    proc.module(
                        "tests.benchmarks.publisher", broker.host, broker.port, rate, seconds, out
                    ),
                    check=True,
                    timeout=seconds + 60,
                )
                taken = time.perf_counter() - began
                published = json.loads(out.read_text())
                gateway.wait_decided(published["sent"], 60.0)
                time.sleep(0.1)
            gateway.stop()
        result = audit(gateway.data, publisher.ids(published["acknowledged"]))
    sent = sent_times(published["blocks"], published["sent"])
    commits = watch.commits()
    low, high = bounds(sent, watch.appended, commits)
    return Run(
        published["sent"],
        taken,
        facts={
            "rate": rate,
            "p50_ms": percentile(high, 0.5) * 1e3,
            "p99_ms": percentile(high, 0.99) * 1e3,
            "p99_at_least_ms": percentile(low, 0.99) * 1e3,
            "max_ms": high[-1] * 1e3,
            "judged": len(high),
            "commits": len(commits),
        },
        faults=result.faults,
    )


def sent_times(blocks: Sequence[tuple[int, int]], count: int) -> list[int]:
    """When each message was sent: the beginning of its block."""
    times: list[int] = []
    for (first, at), following in zip(blocks, [*blocks[1:], (count, 0)], strict=True):
        times += [at] * (following[0] - first)
    return times
