"""What each stage costs: the same messages through the same parts, one stage after another.

In one process, in blocks of the worker's size, by the process' CPU clock: it counts the threads of
DuckDB and of the ledger too, and no other process.  The garbage collector is off: a stage at a time
keeps a whole block of documents alive, which it would charge to whoever allocates next.
"""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gateway.assembly import DataDirectory, make_decider, read_devices, read_profiles
from gateway.config import LedgerSettings, ProcessingSettings
from gateway.ledger.sqlite import SqliteLedger, open_reader
from gateway.records import Batch, Counters, Results
from gateway.store.duckdb import DuckDBStore
from tests.benchmarks.subjects import Bench, Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.deciding import Decider
    from gateway.normalise import Emitted
    from gateway.records import Flag, Reading
    from tests.benchmarks.load import Load

APPENDED = LedgerSettings().batch_messages
DECIDED = ProcessingSettings().commit_messages


class Stopwatch:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds what is used inside to ``name``."""
        began = time.process_time()
        yield
        used = time.process_time() - began
        self.seconds[name] = self.seconds.get(name, 0.0) + used


def measure(load: Load, folder: Path) -> dict[str, float]:
    """CPU microseconds a message by stage, from the ledger's append to the store's commit."""
    watch = Stopwatch()
    data = DataDirectory(folder / "data")
    data.path.mkdir()
    registry = load.write_registry(folder / "registry.jsonl")
    decider = make_decider(read_profiles(()), read_devices(data, registry), ())
    _append(load, data, watch)
    ledger = open_reader(data.ledger)
    store = DuckDBStore(data.store)
    counters = Counters()
    routes: dict[str, Any] = {}
    try:
        offset = 0
        while offset < len(load):
            with watch.stage("read"):
                batch = ledger.read(offset, DECIDED)
            offset += len(batch)
            readings, flags = _decide(decider, batch, routes, watch)
            counters.stored += len(batch)
            counters.readings += len(readings)
            with watch.stage("store"):
                store.commit(Results(readings, flags, [], offset, counters))
        with watch.stage("snapshot"):
            state = decider.judge.snapshot()
            store.commit(Results([], [], [], offset, counters, state))
    finally:
        store.close()
        ledger.close()
    return {name: used / len(load) * 1e6 for name, used in watch.seconds.items()}


def run(bench: Bench) -> Run:
    """The same as a run, with the stages as its facts."""
    began = time.perf_counter()
    gc.disable()
    try:
        facts = measure(bench.load, bench.fresh("stages"))
    finally:
        gc.enable()
    return Run(len(bench.load), time.perf_counter() - began, sum(facts.values()), facts=facts)


def _append(load: Load, data: DataDirectory, watch: Stopwatch) -> None:
    now = time.time_ns()
    with SqliteLedger(data.ledger) as ledger:
        for start in range(0, len(load), APPENDED):
            topics = load.topics[start : start + APPENDED]
            batch = Batch(topics, load.payloads[start : start + APPENDED], [now] * len(topics))
            with watch.stage("ledger"):
                ledger.append(batch)


def _decide(
    decider: Decider, batch: Batch, known: dict[str, Any], watch: Stopwatch
) -> tuple[list[Reading], list[Flag]]:
    """What `Decider.decide` does with good messages, a stage at a time."""
    with watch.stage("route"):
        for topic in batch.topics:
            if topic not in known:
                known[topic] = decider.route(topic)[0]
        routes = [known[topic] for topic in batch.topics]
    with watch.stage("decode"):
        documents = [
            plan.decode(payload) for (plan, _), payload in zip(routes, batch.payloads, strict=True)
        ]
        for (plan, _), document in zip(routes, documents, strict=True):
            assert plan.normaliser.accepts(document)
    emitted: list[Emitted] = []
    ends: list[int] = []
    with watch.stage("normalise"):
        columns = zip(routes, documents, batch.received_at, strict=True)
        for offset, ((plan, levels), document, received_at) in enumerate(
            columns, batch.first_offset
        ):
            plan.normaliser.read(document, levels, received_at, offset, emitted)
            ends.append(len(emitted))
    readings: list[Reading] = []
    flags: list[Flag] = []
    with watch.stage("check"):
        start = 0
        for (plan, _), end in zip(routes, ends, strict=True):
            for index, reading in emitted[start:end]:
                if plan.runs[index](reading, flags):
                    readings.append(reading)
            start = end
    return readings, flags
