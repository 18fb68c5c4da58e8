"""Looks at everything a gateway depends on, and says what is wrong and how to mend it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import secrets
import shutil
import socket
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from gateway.alerts.outbox import FILE_NAME as OUTBOX
from gateway.alerts.outbox import Outbox
from gateway.assembly import (
    DataDirectory,
    make_decider,
    read_devices,
    read_profiles,
)
from gateway.errors import GatewayError, LedgerLocked, StoreLocked
from gateway.identity import identity
from gateway.ledger.files import WriterLock
from gateway.ledger.sqlite import open_reader
from gateway.registry import read_registry
from gateway.sources.mqtt5 import Mqtt5Source
from gateway.sources.mqtt311 import Mqtt311Source
from gateway.store.duckdb import DuckDBStore
from gateway.times import SECOND, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gateway.alerts.spec import AlertSpec
    from gateway.config import Settings, SinkSettings, SourceSettings

_WAIT_S: Final = 5.0
_RECENT: Final = 5_000
_FEWEST: Final = 100
_LEAST_BYTES: Final = 512 * 1024 * 1024
_LEAST_HOURS: Final = 24.0
_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised
_EARLIEST: Final = 1_735_689_600 * SECOND  # 2025: before this program


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at; ``mend`` says what to do where it is not ``ok``."""

    what: str
    state: Literal["ok", "warn", "bad"]
    detail: str
    mend: str = ""


def examine(settings: Settings, clock: Callable[[], int] = time.time_ns) -> Iterator[Finding]:
    """Looks at one thing after another; nothing is changed and nothing is consumed."""
    data = DataDirectory(settings.data_dir)
    yield _data_directory(settings.data_dir)
    running = _running(data)
    yield Finding("gateway", "ok", running or "not running on this data directory")
    yield from _guarded("disk", lambda: _disk(data))
    yield from _guarded("ledger", lambda: _ledger(data))
    yield from _guarded("clock", lambda: _clock(data, clock()))
    yield from _guarded("store", lambda: _store(data))
    yield from _guarded("profiles", lambda: _profiles(settings))
    yield from _guarded("registry", lambda: _registry(settings, data))
    for source in settings.source:
        yield from _guarded(f"broker {source.name}", lambda source=source: _broker(source))  # type: ignore[misc]
    for sink in settings.sink:
        yield _database(sink)
    for alert in settings.alert_specs(lambda name: f"gateway-doctor-{name}"):
        yield _alert(alert)
    yield from _dead_letters(data)
    if settings.metrics.enabled and not running:
        yield _port(settings.metrics.host, settings.metrics.port)


def _guarded(what: str, look: Callable[[], Finding]) -> Iterator[Finding]:
    try:
        yield look()
    except GatewayError as error:
        yield Finding(what, "bad", str(error), "see the message")


def _data_directory(path: Path) -> Finding:
    parent = path
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK | os.X_OK):
        mend = f"give this user the right to write to {parent}, or set data_dir"
        return Finding("data directory", "bad", f"{parent} cannot be written", mend)
    if not path.exists():
        return Finding("data directory", "ok", f"{path} will be made at the first start")
    if not (path / "identity.json").exists():
        return Finding("data directory", "ok", f"{path}; the identity is made at the first start")
    try:
        found = identity(path)
    except GatewayError as error:
        return Finding("data directory", "bad", str(error), "put identity.json back from a backup")
    return Finding("data directory", "ok", f"{path}, identity {found.id}")


def _running(data: DataDirectory) -> str | None:
    if not data.ledger.exists():
        return None
    try:
        WriterLock(data.ledger).release()
    except LedgerLocked as error:
        return f"running: {str(error).partition(';')[0]}"
    return None


def _disk(data: DataDirectory) -> Finding:
    at = data.path
    while not at.exists():
        at = at.parent
    free = shutil.disk_usage(at).free
    room = f"{free / 1e9:,.1f} GB free"
    hours = _hours_left(data, free)
    if hours is not None:
        room += f", enough for {hours:,.0f} hours at the present rate"
    mend = "free some room, or set ledger.keep_days or ledger.keep_bytes"
    if free < _LEAST_BYTES:
        return Finding("disk", "bad", room, mend)
    if hours is not None and hours < _LEAST_HOURS:
        return Finding("disk", "warn", room, mend)
    return Finding("disk", "ok", room)


def _hours_left(data: DataDirectory, free: int) -> float | None:
    """By the bytes a message takes in ledger and store, and the rate of the latest messages."""
    if not data.ledger.exists():
        return None
    with open_reader(data.ledger) as ledger:
        summary = ledger.summary()
        if summary.messages < _FEWEST:
            return None
        since = max(summary.first_offset, summary.next_offset - _RECENT)
        times = [m.received_at for m in ledger.messages(since, summary.next_offset - 1)]
    span = (max(times) - min(times)) / SECOND if times else 0.0
    if not span:
        return None
    stored = data.store.stat().st_size if data.store.exists() else 0
    each = (summary.stored_bytes + stored) / summary.messages
    return free / (each * len(times) / span) / 3600


def _ledger(data: DataDirectory) -> Finding:
    if not data.ledger.exists():
        return Finding("ledger", "ok", "none yet")
    with open_reader(data.ledger) as ledger:
        summary = ledger.summary()
    text = f"{summary.messages:,} messages, {summary.disk_bytes / 1e6:,.1f} MB"
    if summary.unreadable:
        mend = "run `gateway ledger verify` for the offsets, and put the files back from a backup"
        return Finding(
            "ledger", "bad", f"{text}; unreadable: {', '.join(summary.unreadable)}", mend
        )
    return Finding("ledger", "ok", text)


def _clock(data: DataDirectory, now: int) -> Finding:
    mend = "set the clock and keep it set (chrony or systemd-timesyncd)"
    if now < _EARLIEST:
        return Finding("clock", "bad", f"says {rfc3339(now)}: it was never set", mend)
    if data.ledger.exists():
        with open_reader(data.ledger) as ledger:
            last = ledger.summary().last_received_at
        if last is not None and last > now + 60 * SECOND:
            text = f"says {rfc3339(now)}, but a message was received at {rfc3339(last)}"
            return Finding("clock", "bad", text, mend)
    if _unsynchronised():
        return Finding("clock", "warn", f"{rfc3339(now)}; the kernel says: not synchronised", mend)
    return Finding("clock", "ok", rfc3339(now))


def _unsynchronised() -> bool:
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return False  # no such call here: nothing is known, so nothing is said
    return int(adjtimex(ctypes.create_string_buffer(512))) == _TIME_ERROR


def _store(data: DataDirectory) -> Finding:
    if not data.store.exists():
        return Finding("store", "ok", "none yet")
    try:
        store = DuckDBStore(data.store, read_only=True)
    except StoreLocked:
        return Finding("store", "ok", "in use by the running gateway")
    try:
        checkpoint = store.checkpoint()
    finally:
        store.close()
    counters = checkpoint.counters
    text = f"{counters.readings:,} readings, decided up to offset {checkpoint.next_offset}"
    if counters.quarantined:
        text += f", {counters.quarantined:,} messages in quarantine"
    return Finding("store", "ok", text)


def _profiles(settings: Settings) -> Finding:
    profiles = read_profiles(settings.profiles)
    make_decider(profiles, {}, settings.profiles)
    return Finding("profiles", "ok", f"{len(profiles.profiles)} profiles")


def _registry(settings: Settings, data: DataDirectory) -> Finding:
    if settings.registry is not None:
        devices = {device.device_id: device for device in read_registry(settings.registry)}
    elif (data.path / "casebook.sqlite").exists():
        devices = read_devices(data, None)
    else:
        devices = {}
    if not devices:
        text = "no device is registered: nothing can be flagged as unregistered"
        return Finding("registry", "warn", text, "gateway device import FILE --data DIR")
    known = read_profiles(settings.profiles).profiles
    stray = sorted({d.profile for d in devices.values() if d.profile and d.profile not in known})
    if stray:
        text = f"{len(devices):,} devices; profiles that do not exist: {', '.join(stray[:5])}"
        return Finding("registry", "bad", text, "`gateway profile list` shows what there is")
    return Finding("registry", "ok", f"{len(devices):,} devices")


def _broker(settings: SourceSettings) -> Finding:
    """Connects as the gateway would, under another id and without a share of its messages."""
    what = f"broker {settings.name}"
    visit = settings.model_copy(
        update={"qos": 0, "share": None, "client_id": None, "session_expiry": 0}
    )
    broker = visit.broker(client_id=f"gateway-doctor-{secrets.token_hex(4)}")
    error = asyncio.run(
        _visit(Mqtt5Source(broker) if settings.type == "mqtt5" else Mqtt311Source(broker))
    )
    where = f"{broker.host}:{broker.port}"
    if error is None:
        return Finding(what, "ok", f"{where} accepts us and our topics ({settings.type})")
    mend = f"check source {settings.name!r}: host, port, type, user, password, certificates"
    return Finding(what, "bad", error, mend)


async def _visit(source: Mqtt5Source | Mqtt311Source) -> str | None:
    running = asyncio.create_task(source.run())
    deadline = time.monotonic() + _WAIT_S
    try:
        while not source.connected and source.last_error is None:
            if time.monotonic() > deadline:
                return f"no answer within {_WAIT_S:g} s"
            await asyncio.sleep(0.05)
        return source.last_error
    finally:
        await source.close()
        await asyncio.wait({running}, timeout=1.0)
        running.cancel()


def _database(settings: SinkSettings) -> Finding:
    what = f"sink {settings.name}"
    # The scheme is http or https: the settings allow nothing else.
    request = urllib.request.Request(f"{settings.url.rstrip('/')}/health")  # noqa: S310
    if settings.secret():
        request.add_header("Authorization", f"Token {settings.secret()}")
    mend = f"check sink {settings.name!r}: url, token, bucket; is the database running?"
    try:
        with urllib.request.urlopen(request, timeout=_WAIT_S) as answer:  # noqa: S310
            return Finding(what, "ok", f"{settings.url} answers {answer.status}")
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return Finding(what, "bad", f"{settings.url} refuses the token ({error.code})", mend)
        return Finding(what, "warn", f"{settings.url} answers {error.code}", mend)
    except (OSError, ValueError) as error:
        return Finding(what, "bad", f"{settings.url}: {error}", mend)


def _alert(spec: AlertSpec) -> Finding:
    """Connects as the alert would, and tells nobody anything."""
    what = f"alert {spec.name}"
    # Each target brings its own stack: only where there is an alert.
    from gateway.alerts.trial import probe  # noqa: PLC0415

    try:
        return Finding(what, "ok", probe(spec))
    except GatewayError as error:
        mend = f"check alert {spec.name!r}: address, user, password, certificates; is it running?"
        return Finding(what, "bad", str(error), mend)


def _dead_letters(data: DataDirectory) -> Iterator[Finding]:
    path = data.path / OUTBOX
    if not path.exists():
        return
    outbox = Outbox(path)
    try:
        for name in outbox.names():
            _, dead, _ = outbox.counts(name)
            if dead:
                mend = f"`gateway alert dead {name}` tells what and why, `resend` sends it again"
                yield Finding(f"alert {name}", "warn", f"{dead:,} letters were given up", mend)
    finally:
        outbox.close()


def _port(host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            mend = "set metrics.port to a free one"
            return Finding("metrics", "bad", f"{host}:{port}: {error.strerror}", mend)
    return Finding("metrics", "ok", f"{host}:{port} is free")
