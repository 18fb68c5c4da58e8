"""The main job on embedded parts: broker, simulated instruments with some cheats, the gateway."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.config_load import load
from gateway.errors import GatewayError
from gateway.messages import Texts, language
from gateway.service import Service
from gateway.sources.embedded import EmbeddedBroker
from gateway.store.duckdb import DuckDBStore
from gateway.times import nanoseconds, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.config import Settings
    from gateway.status import Status
    from gateway.worker_messages import Report

PAST_S: Final = 7 * 86_400
"""The simulated instruments begin this long ago, so that an accelerated run is never ahead."""
CHEATS_AFTER: Final = "1h"
_CHEATS: Final = (
    "amount_raised", "totaliser_set_back", "sales_hidden", "double_booking", "overcharge",
    "night_rate_by_day", "trips_hidden", "odometer_set_back", "register_set_back",
    "tariff_shifted", "overvoltage", "sensor_absurd", "messages_lost", "clock_ahead",
    "unregistered_clone",
)  # fmt: skip
"""Cheats that show within the first simulated days; of others a short demo would see nothing."""
_SEED: Final = "20"
_CONNECT_S: Final = 20.0
_SETTLE_S: Final = 5.0
_GRACE: Final = 3600 * 1_000_000_000


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to show. ``seconds`` None: until it is told to stop. ``speed``: simulated per real."""

    data: Path
    seconds: float | None
    devices: int
    speed: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a demo came to; ``faults`` is empty when everything is as it should be.

    ``sent`` is what the broker acknowledged to the instruments; ``received`` may be more, as
    QoS 1 may deliver twice.  ``cheats`` are the codes that the instruments' own record of their
    cheating asks for, ``flags`` what the gateway found.
    """

    seconds: float
    sent: int
    received: int
    lost: int
    readings: int
    duplicates: int
    quarantined: int
    pending: int
    devices: int
    flags: dict[str, int]
    cheats: dict[str, int]
    faults: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.received / self.seconds if self.seconds else 0.0


class Simulators:
    """The simulated instruments, in a process of their own.

    Args:
        options: how many, how fast.
        start: the first simulated moment, RFC 3339.
    """

    def __init__(self, options: DemoOptions, start: str) -> None:
        self.registry = options.data / "registry.jsonl"
        self.truth = options.data / "truth.jsonl"
        self._options = options
        self._start = start
        self._process: asyncio.subprocess.Process | None = None

    def _command(self, *more: str) -> list[str]:
        return [
            *(sys.executable, "-m", "simulators", "run", "all"),
            *("--devices", str(self._options.devices), "--seed", _SEED, "--start", self._start),
            *(word for cheat in _CHEATS for word in ("--cheat", f"{cheat}:0.1")),
            *("--cheats-after", CHEATS_AFTER, *more),
        ]

    def register(self) -> None:
        """Writes the registry that the fleet will have; it depends on seed and start alone.

        Raises:
            GatewayError: the simulators fail.
        """
        scratch = self._options.data / "unused.jsonl"
        command = self._command(
            "--hours", "0.01", "--output", str(scratch), "--registry", str(self.registry)
        )
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)  # noqa: S603
        if done.returncode:
            raise GatewayError(f"simulators: {done.stderr.decode(errors='replace').strip()}")
        scratch.unlink(missing_ok=True)

    async def begin(self, port: int) -> None:
        """Lets them publish to the broker on ``port``; a Ctrl-C does not reach them."""
        command = self._command(
            *("--broker", f"mqtt://127.0.0.1:{port}", "--speed", f"x{self._options.speed}"),
            *("--truth", str(self.truth)),
        )
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C", "LANG": "C"},
        )

    @property
    def ended(self) -> bool:
        """Whether they ended by themselves."""
        return self._process is not None and self._process.returncode is not None

    async def stop(self) -> int:
        """Ends them; the number of messages that the broker acknowledged to them.

        Raises:
            GatewayError: they failed.
        """
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            _, said = await asyncio.wait_for(process.communicate(), 15)
        except TimeoutError:
            process.kill()
            raise GatewayError("simulators: did not end within 15 s") from None
        text = said.decode(errors="replace").strip()
        found = re.search(r"([\d,]+) messages", text.splitlines()[-1] if text else "")
        if process.returncode or found is None:
            raise GatewayError(f"simulators: ended with {process.returncode}: {text[-500:]}")
        return int(found[1].replace(",", ""))


async def demo(
    options: DemoOptions, show: Callable[[Status, Report | None], None], stop: asyncio.Event
) -> Outcome:
    """Runs until ``stop`` is set or the seconds are over, then drains and sums up.

    Args:
        options: what to run.
        show: called a few times a second with the state.
        stop: ends the demo; set by Ctrl-C.

    Raises:
        GatewayError: a part does not start or fails.
    """
    start = rfc3339(time.time_ns() // 10**9 * 10**9 - PAST_S * 10**9)
    options.data.mkdir(parents=True, exist_ok=True)
    simulators = Simulators(options, start)
    await asyncio.to_thread(simulators.register)
    with EmbeddedBroker() as broker:
        service = Service(_settings(options.data, broker.v5_port, simulators.registry))
        serving = asyncio.create_task(service.run())
        try:
            await _until_connected(service, serving)
            began = time.monotonic()
            await simulators.begin(broker.v4_port)
            telling = asyncio.create_task(_tell_address(service), name="tell-address")

            def ended() -> bool:
                return serving.done() or simulators.ended

            await _watch(service, ended, options.seconds, show, stop)
            telling.cancel()
            sent = await simulators.stop()
            await _settle(service, sent)
            seconds = time.monotonic() - began
            status = service.status()
        finally:
            service.stop()
            await serving
    show(service.status(), service.processing.report)
    return _outcome(options.data, simulators.truth, status, sent, seconds)


def _settings(data: Path, port: int, registry: Path) -> Settings:
    return load(
        None,
        {
            "name": "demo",
            "data_dir": data,
            "registry": registry,
            "source": [{"name": "embedded", "port": port}],
            "metrics": {"enabled": False},
            "api": {"port": 0},
            "status": {"interval": 1.0},
            "log": {"level": "error"},
        },
    )


async def _tell_address(service: Service) -> None:
    """Says where the API is as soon as it is there."""
    while service.api_url is None:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.1)
    print(Texts(language())("api.address", url=service.api_url), file=sys.stderr, flush=True)  # noqa: T201 - a demo talks


async def _until_connected(service: Service, serving: asyncio.Task[None]) -> None:
    deadline = time.monotonic() + _CONNECT_S
    while not all(source.connected for source in service.status().sources):
        if serving.done():
            await serving
        if time.monotonic() > deadline:
            raise GatewayError(f"demo: the gateway is not connected after {_CONNECT_S:g} s")
        await asyncio.sleep(0.05)


async def _watch(
    service: Service,
    ended: Callable[[], bool],
    seconds: float | None,
    show: Callable[[Status, Report | None], None],
    stop: asyncio.Event,
) -> None:
    deadline = None if seconds is None else time.monotonic() + seconds
    while not stop.is_set() and not ended():
        if deadline is not None and time.monotonic() >= deadline:
            return
        show(service.status(), service.processing.report)
        try:
            await asyncio.wait_for(stop.wait(), 0.25)
        except TimeoutError:
            continue


async def _settle(service: Service, sent: int) -> None:
    """Waits for what is still on its way from the broker."""
    deadline = time.monotonic() + _SETTLE_S
    while service.status().appended < sent and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.05)


def _outcome(data: Path, truth: Path, status: Status, sent: int, seconds: float) -> Outcome:
    store = DuckDBStore(data / "store.duckdb", read_only=True)
    try:
        counters = store.counters()
        next_offset = store.checkpoint().next_offset
        flags: dict[str, int] = {}
        for flag in store.flags():
            flags[flag.code] = flags.get(flag.code, 0) + 1
        reached = {device.device_id: device.last_measured_at or 0 for device in store.devices()}
    finally:
        store.close()
    cheats = _cheats(truth, reached)
    outcome = Outcome(
        seconds=seconds,
        sent=sent,
        received=status.received,
        lost=max(0, sent - status.received) + status.messages.received - counters.decided,
        readings=counters.readings,
        duplicates=counters.duplicates,
        quarantined=counters.quarantined,
        pending=status.messages.received - next_offset,
        devices=len(reached),
        flags=dict(sorted(flags.items(), key=lambda item: -item[1])),
        cheats=cheats,
        faults=(),
    )
    return msgspec.structs.replace(outcome, faults=tuple(faults_of(outcome, status)))


def _cheats(truth: Path, reached: dict[str, int]) -> dict[str, int]:
    """Codes that the instruments' own record demands; one still going on may not show yet.

    Args:
        truth: the record.
        reached: the last time measured of each device.  Some of their clocks are fast on purpose,
            so none counts for later than the middle one of all says.
    """
    codes: dict[str, int] = {}
    middle = sorted(reached.values())[len(reached) // 2] if reached else 0
    with truth.open(encoding="utf-8") as lines:
        for line in lines:
            event: dict[str, Any] = json.loads(line)
            if event.get("required") is False:
                continue
            until = min(reached.get(event["device_id"], 0), middle) - _GRACE
            if nanoseconds(event["to"]) <= until:
                codes[event["code"]] = codes.get(event["code"], 0) + 1
    return codes


def faults_of(outcome: Outcome, status: Status) -> list[str]:
    """What is not as it should be, one text each."""
    faults = []
    if not outcome.sent:
        faults.append("the instruments sent nothing")
    if outcome.lost:
        faults.append(f"{outcome.lost} messages were lost")
    if outcome.pending:
        faults.append(f"{outcome.pending} messages are not decided")
    if outcome.quarantined:
        faults.append(f"{outcome.quarantined} messages are in quarantine")
    if status.balance != "ok":
        faults.append(f"counters do not balance: {status.balance}")
    if status.processing.restarts:
        faults.append(f"processing died {status.processing.restarts} times")
    missing = sorted(set(outcome.cheats) - set(outcome.flags))
    if missing:
        faults.append(f"cheats without a flag: {', '.join(missing)}")
    return faults
