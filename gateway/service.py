"""The service: sources → ledger in this process, processing in a worker process beside it.

Order of the start: ledger, worker (profiles and settings are judged), then sources, so that
nothing is consumed before there is a place for it.  Order of the end: stop taking, write and
acknowledge what was taken, drain the worker, close.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from gateway import __version__
from gateway.api.process import ApiProcess, ApiSpec, FirstAccount, OidcSpec
from gateway.config_api import ApiSettings, OidcSettings
from gateway.errors import LedgerFull, SourceError
from gateway.identity import identity
from gateway.intake import CommitSettings, GroupCommit
from gateway.messages import Texts, language
from gateway.metrics import MetricsServer
from gateway.processing import Processing
from gateway.records import Counters
from gateway.reports.schedule import Reports, Schedule
from gateway.shared_ledger import bytes_on_disk, open_ledger
from gateway.sources import Will
from gateway.sources.mqtt5 import Mqtt5Source
from gateway.sources.mqtt311 import Mqtt311Source
from gateway.status import (
    Balance,
    Lag,
    LedgerStatus,
    ProcessingStatus,
    SourceStatus,
    Status,
    status_topic,
)
from gateway.times import DAY, rfc3339
from gateway.worker_messages import SinkSpec, WorkerSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.api.process import Word
    from gateway.config import Settings, SourceSettings

log = structlog.get_logger(__name__)

STOP_S: Final = 9.0
"""Seconds from the signal to the end, at most; the promise is 10."""
_FLUSH_S: Final = 3.0
_LOAD_S: Final = 20.0
_PRUNE_EVERY_S: Final = 60.0
_MARK_EVERY_S: Final = 60.0
_TELL_EVERY_S: Final = 1.0
_MEMORY: Final = "48MB"
_MEMORY_WITH_QUESTIONS: Final = "192MB"


class Service:
    """One gateway, from `run` to `stop`.

    Args:
        settings: what to do.
        clock: nanoseconds UTC.
        prune_every: seconds between two looks at what of the ledger is due.
        mark_every: seconds without a message after which the ledger gets a mark of the clock.

    Attributes:
        ready: set when sources are started.
        first_account: the account that the API has made in this run, where there was none.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], int] = time.time_ns,
        prune_every: float = _PRUNE_EVERY_S,
        mark_every: float = _MARK_EVERY_S,
    ) -> None:
        self.settings = settings
        self._prune_every = prune_every
        self._mark_every = mark_every
        self.ready = asyncio.Event()
        self._clock = clock
        self._started_at = clock()
        self._state: str = "starting"
        self._stop = asyncio.Event()
        self._identity = identity(settings.data_dir)
        self._ledger = open_ledger(settings.data_dir / "ledger", settings.ledger.keep_bytes)
        self._first_next_offset = self._ledger.next_offset
        self._disk_bytes = self._first_offset = 0
        self._processing = Processing(_worker_spec(settings))
        self._api = None if settings.api is None else ApiProcess(_api_spec(settings), self._hear)
        self.first_account: FirstAccount | None = None
        self._sources = [self._source(source) for source in settings.source]
        self._lag = Lag()
        self._commit = GroupCommit(
            self._ledger,
            self._sources,
            CommitSettings(
                max_messages=settings.ledger.batch_messages,
                max_wait=settings.ledger.batch_wait_ms / 1000,
            ),
            on_commit=self._lag.committed,
        )

    def _source(self, source: SourceSettings) -> Mqtt5Source | Mqtt311Source:
        will = None
        if self.settings.status.enabled:
            topic = status_topic(self.settings.name)
            gone = {"name": self.settings.name, "version": __version__, "state": "offline"}
            will = Will(topic, msgspec.json.encode(gone))
        broker = source.broker(client_id=self._identity.client_id(source.name), will=will)
        make = Mqtt5Source if source.type == "mqtt5" else Mqtt311Source
        return make(broker, session_expected=self._ledger.next_offset > 0, clock=self._clock)

    # --- life

    async def run(self) -> None:
        """Serves until `stop`, then drains; returns when all is closed.

        Raises:
            GatewayError: settings or profiles are wrong, another process has the data, or the
                ledger failed for good.
        """
        processing = asyncio.create_task(self._processing.run(), name="processing")
        metrics = None
        try:
            if not await self._load():
                return
            if self.settings.metrics.enabled:
                metrics = MetricsServer(self.settings.metrics, self.status)
            await self._serve()
        finally:
            if self._api is not None:
                self._api.kill()
            self._processing.kill()
            await processing
            if metrics is not None:
                metrics.close()
            self._ledger.close()
            self._state = "offline"
            log.info("stopped", next_offset=self._ledger.next_offset)

    def stop(self) -> None:
        """Begins the orderly end."""
        self._stop.set()

    def reload(self) -> None:
        """Has profiles and registry read anew; what is wrong with them is told in the log."""
        if not self._processing.reload():
            log.warning("processing is away; it will read profiles and registry when it starts")

    @property
    def stopping(self) -> bool:
        """Whether the end has begun."""
        return self._stop.is_set()

    def kill(self) -> None:
        """Ends worker and API at once; for a second signal, just before the process ends."""
        self._processing.kill()
        if self._api is not None:
            self._api.kill()

    async def _load(self) -> bool:
        """Waits for the worker's word on profiles, registry and store; False when stopped."""
        loading = asyncio.create_task(self._processing.loaded(_LOAD_S))
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not loading.done():
            loading.cancel()
            return False
        loaded = loading.result()
        if loaded is None:
            log.warning("processing is not up yet; messages are taken into the ledger meanwhile")
        elif loaded.next_offset > self._ledger.next_offset:
            reason = f"the store has decided messages up to {loaded.next_offset - 1}"
            self._ledger.advance_to(loaded.next_offset, reason)
            self._first_next_offset = self._commit.next_offset = self._ledger.next_offset
        return True

    async def _serve(self) -> None:
        sources = [
            asyncio.create_task(source.run(), name=f"source-{source.name}")
            for source in self._sources
        ]
        commit = asyncio.create_task(self._commit.run(), name="group-commit")
        chores = [
            asyncio.create_task(self._publish_status(), name="status"),
            asyncio.create_task(self._prune(), name="prune"),
            asyncio.create_task(self._mark_clock(), name="clock"),
        ]
        served = []
        if self._api is not None:
            served.append(asyncio.create_task(self._api.run(), name="api"))
            chores.append(asyncio.create_task(self._tell_api(self._api), name="tell-api"))
        if self.settings.reports:
            chores.append(asyncio.create_task(_reports(self.settings).run(), name="reports"))
        running = {commit, *sources, *chores, *served}
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        self._state = "online"
        self.ready.set()
        log.info(
            "gateway online",
            name=self.settings.name,
            version=__version__,
            data=str(self.settings.data_dir),
            next_offset=self._ledger.next_offset,
        )
        try:
            await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            if self._api is not None:
                await self._api.stop()
                await asyncio.gather(*served, return_exceptions=True)
            await self._shut_down(sources, commit)
        for task in running:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _shut_down(
        self, sources: list[asyncio.Task[None]], commit: asyncio.Task[None]
    ) -> None:
        self._state = "stopping"
        deadline = time.monotonic() + STOP_S
        log.info("stopping", pending_in_memory=self._commit.pending)
        try:
            await asyncio.wait_for(asyncio.shield(self._commit.close()), _FLUSH_S)
        except TimeoutError:
            log.warning("the ledger did not take what is in memory; it was not acknowledged")
        self._state = "offline"
        await self._say_status(timeout=1.0)
        await asyncio.gather(
            *(asyncio.wait_for(source.close(), 2.0) for source in self._sources),
            return_exceptions=True,
        )
        await asyncio.wait({*sources, commit}, timeout=1.0)
        for task in (*sources, commit):
            task.cancel()
        await asyncio.gather(*sources, commit, return_exceptions=True)
        await self._processing.drain(self._ledger.next_offset, deadline - time.monotonic())

    # --- chores

    async def _publish_status(self) -> None:
        while True:
            self._first_offset = self._ledger.first_offset
            self._disk_bytes = await asyncio.to_thread(bytes_on_disk, self._ledger.directory)
            status = self.status()
            if status.balance != "ok":
                log.error("counters do not balance", balance=status.balance)
            if self.settings.status.enabled:
                await self._say_status(timeout=self.settings.status.interval)
            await asyncio.sleep(self.settings.status.interval)

    async def _say_status(self, timeout: float) -> None:  # noqa: ASYNC109 - a status is no duty
        """Publishes to every broker that is there; one that is not gets the next."""
        if not self.settings.status.enabled:
            return
        topic, payload = status_topic(self.settings.name), msgspec.json.encode(self.status())
        said = [
            asyncio.wait_for(source.publish(topic, payload, retain=True), timeout)
            for source in self._sources
            if source.connected
        ]
        for fault in await asyncio.gather(*said, return_exceptions=True):
            if isinstance(fault, BaseException) and not isinstance(
                fault, (SourceError, TimeoutError)
            ):
                raise fault

    async def _prune(self) -> None:
        """Prunes by the settings, never past the snapshot that a restart begins from."""
        keep = self.settings.ledger
        while True:
            await asyncio.sleep(self._prune_every)
            report = self._processing.report
            if report is None or (keep.keep_days is None and keep.keep_bytes is None):
                continue
            try:
                await asyncio.to_thread(
                    self._ledger.prune,
                    keep_from_offset=report.snapshot_offset,
                    max_age=round(keep.keep_days * DAY) if keep.keep_days else None,
                    max_bytes=int(keep.keep_bytes) if keep.keep_bytes else None,
                )
            except LedgerFull as error:
                log.warning("ledger not pruned", error=str(error))

    async def _mark_clock(self) -> None:
        """Lets the ledger's clock go on while nothing comes, so that silence is noticed.

        Only while a broker is there: a gateway that cannot hear says nothing of who is silent.
        """
        commit = self._commit
        received = -1
        while True:
            idle = commit.received == received and not commit.pending
            if idle and any(source.connected for source in self._sources):
                commit.mark(self._clock())
            received = commit.received
            await asyncio.sleep(self._mark_every)

    # --- api

    async def _tell_api(self, api: ApiProcess) -> None:
        while True:
            api.tell(self.status())
            await asyncio.sleep(_TELL_EVERY_S)

    def _hear(self, word: Word) -> None:
        """Shows a first password to who has started the gateway; it is in no log."""
        if isinstance(word, FirstAccount):
            self.first_account = word
            text = Texts(language())("user.first", name=word.name, password=word.password)
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - said once, to a person

    @property
    def api_url(self) -> str | None:
        """Where the API listens; None while it does not."""
        return None if self._api is None else self._api.url

    # --- state

    def status(self) -> Status:
        """The gateway's state at this moment; callable from any thread."""
        report = self._processing.report
        counters = report.counters if report else Counters()
        decided = report.next_offset if report else 0
        next_offset = max(self._commit.next_offset, decided)
        messages = Balance(
            received=next_offset,
            stored=counters.stored,
            quarantined=counters.quarantined,
            duplicates=counters.duplicates,
            ignored=counters.ignored,
            pending=next_offset - decided,
        )
        return Status(
            name=self.settings.name,
            version=__version__,
            state=self._state,  # type: ignore[arg-type]
            at=rfc3339(self._clock()),
            started_at=rfc3339(self._started_at),
            received=self._commit.received,
            appended=self._commit.appended,
            messages=messages,
            balance=self._verdict(messages),
            readings=counters.readings,
            duplicate_readings=counters.duplicate_readings,
            flags=counters.flags,
            ledger=LedgerStatus(
                self._commit.state, self._first_offset, next_offset, self._disk_bytes
            ),
            processing=ProcessingStatus(
                state=self._processing.state,
                next_offset=decided,
                lag_s=round(self._lag.seconds(decided, next_offset), 3),
                restarts=self._processing.restarts,
                error=self._processing.last_error,
                not_judged=report.not_judged if report else {},
            ),
            sources=tuple(
                SourceStatus(source.name, source.connected, source.reconnects, source.last_error)
                for source in self._sources
            ),
            sinks=report.sinks if report else (),
            alerts=report.alerts if report else (),
            removed=report.removed if report else {},
        )

    def _verdict(self, messages: Balance) -> str:
        grown = self._commit.next_offset - self._first_next_offset
        if grown != self._commit.appended:
            return f"wrong: the ledger grew by {grown}, but {self._commit.appended} were appended"
        return messages.verdict()

    @property
    def processing(self) -> Processing:
        """The worker, for who shows more than the status says."""
        return self._processing


def _worker_spec(settings: Settings) -> WorkerSpec:
    processing = settings.processing
    return WorkerSpec(
        data=settings.data_dir,
        profiles=settings.profiles,
        registry=settings.registry,
        commit_messages=processing.commit_messages,
        commit_interval=processing.commit_interval_ms / 1000,
        snapshot_messages=processing.snapshot_messages,
        alerts=settings.alert_specs(identity(settings.data_dir).client_id),
        sinks=tuple(
            SinkSpec(
                name=sink.name, url=sink.url, org=sink.org, bucket=sink.bucket, token=sink.secret()
            )
            for sink in settings.sink
        ),
        retention=settings.retention.days(),
        store_memory=_MEMORY if settings.api is None else _MEMORY_WITH_QUESTIONS,
        log_level=settings.log.level,
        log_format=settings.log.format,
        secrets=tuple(settings.secrets()),
    )


def _reports(settings: Settings) -> Reports:
    wanted = [Schedule(**each.model_dump()) for each in settings.reports]
    return Reports(
        wanted, settings.data_dir, profiles=settings.profiles, by=f"gateway {settings.name}"
    )


def _api_spec(settings: Settings) -> ApiSpec:
    api = settings.api or ApiSettings()
    return ApiSpec(
        data=settings.data_dir,
        profiles=settings.profiles,
        host=api.host,
        port=api.port,
        names=api.known_as(),
        cert_file=api.cert_file,
        key_file=api.key_file,
        requests_per_second=api.requests_per_second,
        oidc=None if api.oidc is None else _oidc_spec(api.oidc),
        secrets=tuple(settings.secrets()),
        log_level=settings.log.level,
        log_format=settings.log.format,
    )


def _oidc_spec(oidc: OidcSettings) -> OidcSpec:
    return OidcSpec(
        issuer=oidc.issuer,
        client_id=oidc.client_id,
        client_secret=oidc.secret(),
        redirect_uri=oidc.redirect_uri,
        name_claim=oidc.name_claim,
    )


async def serve(settings: Settings) -> None:
    """Runs a service until SIGTERM or SIGINT; a second signal ends it at once.

    SIGHUP has it read profiles and registry anew.

    Raises:
        GatewayError: as `Service.run`.
    """
    service = Service(settings)
    loop = asyncio.get_running_loop()

    def signalled() -> None:
        if service.stopping:
            service.kill()
            os._exit(1)
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    loop.add_signal_handler(signal.SIGHUP, service.reload)
    await service.run()
