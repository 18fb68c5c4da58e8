"""The processing worker: a process of its own that follows the ledger and fills the store.

It talks to the intake process through a pipe, in the words of ``worker_messages``.  When the pipe
breaks, its parent is gone: it commits what it has and ends.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from gateway import log as logs
from gateway.assembly import (
    DataDirectory,
    checked_profiles,
    collect_seldom,
    make_decider,
    profile_changes,
    read_devices,
    read_profiles,
    record_profiles,
)
from gateway.checks import CATALOGUE
from gateway.chores import Clerk
from gateway.errors import ConfigError, GatewayError, ProfileError, StoreError, StoreLocked
from gateway.ledger.sqlite import open_reader
from gateway.pipeline import Processor
from gateway.profiles import ProfileSet
from gateway.registry import RegistryError
from gateway.retention import Retention
from gateway.retrying import Retrying
from gateway.store.duckdb import DuckDBStore
from gateway.store.gate import FlagLog, StoreGate
from gateway.store.wire import SOCKET
from gateway.worker_messages import Drain, Failed, Loaded, Reload, Reloaded, Report, SinkState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    from gateway.alerts.running import AlertThread
    from gateway.chores import Chore
    from gateway.records import Flag, Quarantined, Reading, Results
    from gateway.store import Prepared, Reprocessing
    from gateway.worker_messages import Order, SinkSpec, Word, WorkerSpec

log = structlog.get_logger(__name__)

_SWITCH_S: Final = 0.0005
"""How long processing goes on while a question waits for the interpreter: a question takes it some
thirty times, and 5 ms each time, which is Python's own, would be most of what a page takes."""
IDLE_S: Final = 0.02
REPORT_S: Final = 0.5
RECENT: Final = 12
_REMEMBERED_FLAGS: Final = 100_000
_LASTING: Final = (ConfigError, ProfileError, StoreLocked)


class WatchedStore(DuckDBStore):
    """The store, counting what is committed so that a live view needs no query."""

    def __init__(self, path: Path, *, memory_limit: str) -> None:
        super().__init__(path, memory_limit=memory_limit)
        self.flag_codes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.recent_flags: deque[Flag] = deque(maxlen=RECENT)
        self.recent_quarantined: deque[Quarantined] = deque(maxlen=RECENT)
        self.devices_seen: set[str] = set()
        self.flag_log = FlagLog()
        self._seen: dict[str, bool] = {}

    def prepare(self, readings: list[Reading], before: Sequence[Prepared]) -> Prepared:
        """Prepares as `DuckDBStore.prepare`, and remembers the devices."""
        self.devices_seen.update([reading.device_id for reading in readings])
        return super().prepare(readings, before)

    def replace_quarantined(
        self, offsets: Collection[int], results: Results, progress: Reprocessing | None = None
    ) -> None:
        """Stores as `DuckDBStore.replace_quarantined`, then counts the flags."""
        super().replace_quarantined(offsets, results, progress)
        self._found(results.flags)

    def commit(self, results: Results) -> None:
        """Stores as `DuckDBStore.commit`, then counts."""
        super().commit(results)
        self._found(results.flags)
        for row in results.quarantined:
            self.reasons[row.reason] += 1
            self.recent_quarantined.append(msgspec.structs.replace(row, payload=row.payload[:200]))

    def _found(self, flags: Sequence[Flag]) -> None:
        self.flag_log.add(flags)
        for flag in flags:
            self._count(flag)

    def _count(self, flag: Flag) -> None:
        """Counts each flag once, and not any more when it is withdrawn (a gap that was filled)."""
        stands = flag.status != "withdrawn"
        stood = self._seen.get(flag.id)
        if stood is None and len(self._seen) >= _REMEMBERED_FLAGS:
            self._seen.clear()
        self._seen[flag.id] = stands
        if stands and not stood:
            self.flag_codes[flag.code] += 1
            if stood is None:
                self.recent_flags.append(flag)
        elif stood and not stands:
            self.flag_codes[flag.code] -= 1


def main(pipe: Connection, spec: WorkerSpec) -> None:
    """The process: works until told to stop, and says why when it cannot."""
    # The parent decides when to end; a Ctrl-C or a service manager signals the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))  # blocked since the start
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logs.configure(spec.log_level, spec.log_format, secrets=spec.secrets)
    sys.setswitchinterval(_SWITCH_S)
    try:
        Worker(pipe, spec).run()
    except GatewayError as error:
        lasting = [kind for kind in _LASTING if isinstance(error, kind)]
        kind = lasting[0] if lasting else type(error)
        _say(pipe, Failed(str(error), retry=not lasting, kind=kind.__name__))
        raise SystemExit(1) from None
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise SystemExit(0) from None  # the parent is gone; what was decided is committed
    except Exception as error:
        log.exception("processing failed")
        _say(pipe, Failed(f"{type(error).__name__}: {error}", retry=True, kind="bug"))
        raise SystemExit(1) from None


def _gate(store: WatchedStore, data: Path) -> StoreGate | None:
    """The way for other processes to ask; a disk without sockets is no reason not to process."""
    try:
        return StoreGate(store, data / SOCKET, flags=store.flag_log)
    except StoreError as error:
        log.warning("nobody can ask the store while this gateway runs", error=str(error))
        return None


def _say(pipe: Connection[Word, Order], word: Word) -> None:
    try:
        pipe.send(word)
    except OSError:
        log.warning("parent process is gone")


class Worker:
    """Steps a processor through the ledger, in rhythm with what the parent says."""

    def __init__(self, pipe: Connection, spec: WorkerSpec) -> None:
        self._pipe = pipe
        self._spec = spec
        self._drain: Drain | None = None
        self._reload = False
        self._profiles = ProfileSet({})
        self._alerts: AlertThread | None = None
        self._retention: Retention | None = None
        self._reported = 0.0

    def run(self) -> None:
        """Loads everything, then processes until a ``Drain`` is fulfilled or the parent is gone.

        Raises:
            GatewayError: profiles, registry, ledger or store fail.
            EOFError: the parent is gone.
        """
        spec = self._spec
        data = DataDirectory(spec.data)
        self._profiles = profiles = read_profiles(spec.profiles)
        devices = read_devices(data, spec.registry)
        decider = make_decider(profiles, devices, spec.profiles)
        ledger = open_reader(data.ledger)
        store = WatchedStore(data.store, memory_limit=spec.store_memory)
        sinks: list[SinkThread] = []
        gate: StoreGate | None = None
        clerk = Clerk(spec.data)
        try:
            processor = Processor(
                ledger,
                store,
                decider,
                commit_messages=spec.commit_messages,
                snapshot_messages=spec.snapshot_messages,
            )
            record_profiles(data, profiles, processor.offset, [])
            gate = _gate(store, spec.data)
            collect_seldom()
            self._pipe.send(Loaded(processor.offset, len(profiles.profiles), len(devices)))
            sinks += [SinkThread(each, store) for each in spec.sinks]
            if spec.alerts:
                self._alerts = _alerts(spec, store)
            self._retention = Retention(store, clerk, spec.retention, processor.snapshot_now)
            chores = [
                Retrying(processor, store, clerk, lambda: self._profiles),
                self._retention,
            ]
            self._follow(processor, store, sinks, chores)
            processor.finish()
            self._report(processor, store, sinks, idle=True)
        finally:
            if self._alerts is not None:
                self._alerts.stop()
            for sink in sinks:
                sink.stop()
            if gate is not None:
                gate.close()
            clerk.close()
            store.close()
            ledger.close()

    def _follow(
        self,
        processor: Processor,
        store: WatchedStore,
        sinks: list[SinkThread],
        chores: Sequence[Chore],
    ) -> None:
        spec = self._spec
        while not self._finished(processor):
            if self._reload:
                self._reload = False
                self._switch(processor)
            began = time.monotonic()
            decided = processor.step()
            if time.monotonic() - self._reported >= REPORT_S:
                self._report(processor, store, sinks, idle=not decided)
            # A portion of each chore, then the messages that have come meanwhile.
            turns = [chore.turn() for chore in chores] if self._drain is None else []
            if any(turns) or decided >= spec.commit_messages:
                wait = 0.0
            elif decided:
                wait = max(0.0, began + spec.commit_interval - time.monotonic())
            else:
                wait = IDLE_S
            self._listen(wait)

    def _switch(self, processor: Processor) -> None:
        """Goes on with the profiles and the registry of now; with the old ones when those fail.

        Messages wait in the ledger meanwhile; each is decided by one set or the other.
        """
        spec, data = self._spec, DataDirectory(self._spec.data)
        try:
            profiles = checked_profiles(spec.profiles)
            devices = read_devices(data, spec.registry)
            decider = make_decider(profiles, devices, spec.profiles)
        except (ConfigError, ProfileError, RegistryError) as error:
            known = processor.decider
            self._pipe.send(
                Reloaded(
                    processor.offset, len(self._profiles.profiles), len(known.devices),
                    refused=str(error),
                )
            )  # fmt: skip
            return
        offset = processor.switch(decider)
        changed = profile_changes(self._profiles, profiles)
        self._profiles = profiles
        record_profiles(data, profiles, offset, changed)
        self._pipe.send(Reloaded(offset, len(profiles.profiles), len(devices), tuple(changed)))

    def _finished(self, processor: Processor) -> bool:
        drain = self._drain
        return drain is not None and (drain.until is None or processor.offset >= drain.until)

    def _listen(self, wait: float) -> None:
        """Takes what the parent says, for ``wait`` seconds; a drain ends the waiting."""
        until = time.monotonic() + (0.0 if self._drain else wait)
        while self._pipe.poll(max(0.0, until - time.monotonic())):
            order = self._pipe.recv()
            if isinstance(order, Reload):
                self._reload = True
            else:
                self._drain = order
            until = 0.0

    def _report(
        self, processor: Processor, store: WatchedStore, sinks: list[SinkThread], *, idle: bool
    ) -> None:
        self._reported = time.monotonic()
        self._pipe.send(
            Report(
                next_offset=processor.offset,
                snapshot_offset=processor.snapshot_offset,
                counters=processor.counters,
                devices=len(store.devices_seen),
                flags=dict(store.flag_codes),
                reasons=dict(store.reasons),
                recent_flags=tuple(store.recent_flags),
                recent_quarantined=tuple(store.recent_quarantined),
                sinks=tuple(sink.state for sink in sinks),
                alerts=() if self._alerts is None else self._alerts.states,
                not_judged={
                    f"{code}: {reason}": count
                    for (code, reason), count in processor.not_judged.items()
                },
                removed={} if self._retention is None else dict(self._retention.totals),
                idle=idle,
            )
        )


def _alerts(spec: WorkerSpec, store: DuckDBStore) -> AlertThread:
    # They bring what reads the casebook, and HTTP, MQTT or SMTP: only where they are wanted.
    from gateway.alerts.running import AlertThread  # noqa: PLC0415

    titles = {info.code: info.title for info in CATALOGUE.values()}
    return AlertThread(spec.alerts, store, spec.data, titles)


class SinkThread:
    """A sink on an event loop of its own, beside processing."""

    def __init__(self, spec: SinkSpec, store: DuckDBStore) -> None:
        # The client and its HTTP stack take 20 MB: only where a sink is wanted.
        from gateway.store.influx import InfluxSink  # noqa: PLC0415

        self._sink = InfluxSink(
            store,
            name=spec.name,
            url=spec.url,
            token=spec.token or "",
            bucket=spec.bucket,
            org=spec.org,
            random=random.Random(),  # noqa: S311 - a delay is no secret
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"sink-{spec.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._sink.run())
        except GatewayError as error:
            # Handed to no one: a sink that ends stops neither processing nor intake.
            log.error("sink stopped", sink=self._sink.name, error=str(error))  # noqa: TRY400
        finally:
            self._loop.close()

    @property
    def state(self) -> SinkState:
        """How far the sink came."""
        sink = self._sink
        return SinkState(sink.name, sink.position, sink.lag, sink.refused, sink.last_error)

    def stop(self) -> None:
        """Ends the sink after the write in progress; what is left it delivers next time."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._sink.close(), self._loop)
            self._thread.join(2.0)
