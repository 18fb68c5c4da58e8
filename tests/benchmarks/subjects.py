"""Who drains the queue: each does its work in a process of its own and is timed from outside."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.benchmarks import proc
from tests.benchmarks.audit import audit
from tests.benchmarks.broker import Broker
from tests.benchmarks.gateway_process import CLIENT_ID, Gateway
from tests.benchmarks.wire import flood, make_session
from tests.brokers import program
from tests.databases import VictoriaMetrics

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.load import Load

PATTERN = "meters/#"


@dataclass(slots=True)
class Run:
    """One drain: messages, seconds, and what else was learnt."""

    messages: int
    seconds: float
    cpu_us: float = 0.0
    noise: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


class Noise:
    """CPU that strangers used meanwhile, in cores: a figure taken beside them says less.

    Args:
        servers: processes of ours besides the subject and this one.
    """

    def __init__(self, *servers: int) -> None:
        self._began = time.perf_counter()
        self._busy = proc.machine_busy_seconds()
        self._servers = servers
        self._ours = self._used()

    def _used(self) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (
            sum(map(proc.cpu_seconds, self._servers))
            + time.process_time()
            + ended.ru_utime
            + ended.ru_stime
        )

    def share(self, subject: float = 0.0) -> float:
        """Cores used by strangers since the beginning.

        Args:
            subject: CPU seconds of a process of ours that still runs.
        """
        elapsed = time.perf_counter() - self._began
        ours = self._used() - self._ours + subject
        return max(0.0, (proc.machine_busy_seconds() - self._busy - ours) / elapsed)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and with what is measured."""

    folder: Path
    load: Load

    def fresh(self, name: str) -> Path:
        """An empty folder of that name."""
        folder = self.folder / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder

    def queue(self, broker: Broker, client_id: str, count: int | None = None) -> None:
        """Leaves the load in the broker's queue for ``client_id``."""
        make_session(broker.host, broker.port, client_id, PATTERN)
        flood(broker.host, broker.port, self.load.topics[:count], self.load.payloads[:count])


def mosquitto_sub(bench: Bench) -> Run:
    """The measure: the broker's own client, in C, which writes payloads to a file.

    Called the ceiling, but it is none: it sends a packet for each PUBACK, and a broker that gets
    them in blocks delivers faster.
    """
    folder = bench.fresh("mosquitto_sub")
    count = len(bench.load)
    with Broker(folder / "broker") as broker:
        bench.queue(broker, "ceiling")
        command = [program("mosquitto_sub"), "-h", broker.host, "-p", str(broker.port)]
        command += ["-i", "ceiling", "-c", "-q", "1", "-t", PATTERN, "-C", str(count)]
        target = folder / "messages"
        noise = Noise(broker.pid)
        with target.open("wb") as output:
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=output)
            cpu = _cpu_until_end(process, 300.0)
            seconds = time.perf_counter() - began
        others = noise.share()
    with target.open("rb") as lines:
        written = sum(1 for _ in lines)
    faults = [] if written == count else [f"mosquitto_sub wrote {written} of {count} messages"]
    return Run(count, seconds, cpu / count * 1e6, others, faults=faults)


def _cpu_until_end(process: subprocess.Popen[bytes], timeout: float) -> float:
    """CPU seconds of a process, read until it ends."""
    deadline = time.monotonic() + timeout
    cpu = 0.0
    while process.poll() is None:
        cpu = max(cpu, proc.cpu_seconds(process.pid))
        if time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"{process.args} did not end within {timeout:g} s")
        time.sleep(0.005)
    return cpu


def whole_path(bench: Bench) -> Run:
    """``gateway run``: from the first message received to the last one committed in the store."""
    folder = bench.fresh("gateway")
    count = len(bench.load)
    registry = bench.load.write_registry(folder / "registry.jsonl")
    with Broker(folder / "broker") as broker:
        bench.queue(broker, CLIENT_ID)
        with Gateway(folder, broker, registry=registry) as gateway:
            with ExitStack() as watched:
                with broker.frozen():  # so that not a message is taken before its CPU is counted
                    gateway.start().wait_online()
                    pid, worker = gateway.pid, gateway.worker or 0
                    sampler = watched.enter_context(proc.Sampler(pid))
                    noise = Noise(broker.pid)
                    before = [proc.cpu_seconds(each) for each in (pid, worker)]
                gateway.wait_decided(count, 60.0 + count / 2000)
                after = [proc.cpu_seconds(each) for each in (pid, worker)]
                done_ns = gateway.store_changed_ns()
            cpu = [b - a for a, b in zip(before, after, strict=True)]
            others = noise.share(sum(cpu))
            store_bytes = sum(file.stat().st_size for file in gateway.data.glob("store.duckdb*"))
            status = gateway.stop()
        result = audit(gateway.data, bench.load.ids)
        first_ns, appended_ns = _ledger_times(gateway.data / "ledger", count)
        ledger_bytes = sum(f.stat().st_size for f in (gateway.data / "ledger").iterdir())
    if status != 0:
        result.faults.append(f"gateway run ended with status {status}")
    seconds = (done_ns - first_ns) / 1e9
    return Run(
        count,
        seconds,
        (cpu[0] + cpu[1]) / count * 1e6,
        others,
        {
            "with_start_s": (done_ns - gateway.started_ns) / 1e9,
            "received_s": (appended_ns - first_ns) / 1e9,
            "intake_cpu_us": cpu[0] / count * 1e6,
            "worker_cpu_us": cpu[1] / count * 1e6,
            "peak_rss": sampler.usage.peak_rss,
            "intake_rss": sampler.usage.peak_by_pid.get(pid, 0),
            "worker_rss": sampler.usage.peak_by_pid.get(worker, 0),
            "store_bytes_a_message": store_bytes / count,
            "ledger_bytes_a_message": ledger_bytes / count,
            "redelivered": result.redelivered,
            "flags": result.flags,
        },
        result.faults,
    )


def _ledger_times(ledger: Path, count: int) -> tuple[int, int]:
    """When the first and the last message were received."""
    from gateway.ledger.sqlite import open_reader  # noqa: PLC0415

    reader = open_reader(ledger)
    try:
        return reader.read(0, 1).received_at[0], reader.read(count - 1, 1).received_at[0]
    finally:
        reader.close()


def intake(bench: Bench) -> Run:
    """Source, group commit and ledger in one process, without processing."""
    folder = bench.fresh("intake")
    count = len(bench.load)
    with Broker(folder / "broker") as broker:
        bench.queue(broker, CLIENT_ID)
        noise = Noise(broker.pid)
        answer = subprocess.run(
            proc.module(
                "tests.benchmarks.intake_only",
                *(broker.host, broker.port, CLIENT_ID, folder / "ledger", count),
            ),
            check=True,
            capture_output=True,
            timeout=300,
        )
        facts = json.loads(answer.stdout)
        others = noise.share()
        cpu = facts.pop("cpu_s")
    return Run(
        facts["messages"],
        facts.pop("seconds"),
        cpu / count * 1e6,
        others,
        facts,
        facts.pop("faults"),
    )


def plain_script(bench: Bench, count: int, style: str) -> Run:
    """A script of paho-mqtt, json and influxdb-client into VictoriaMetrics."""
    folder = bench.fresh(f"plain_{style}")
    (folder / "database").mkdir()
    database = VictoriaMetrics(folder / "database")
    database.start()
    try:
        with Broker(folder / "broker") as broker:
            bench.queue(broker, "plain-script", count)
            noise = Noise(broker.pid)
            answer = subprocess.run(
                proc.module(
                    "tests.benchmarks.plain_script",
                    *("--host", broker.host, "--port", broker.port, "--url", database.url),
                    *("--count", count, "--style", style),
                ),
                check=True,
                capture_output=True,
                timeout=600,
            )
            facts = json.loads(answer.stdout)
            others = noise.share()
            cpu = facts.pop("cpu_s")
        points = sum(len(series["values"]) for series in database.series('{__name__=~".+_seq"}'))
    finally:
        database.stop()
    faults = [] if points == count else [f"plain script: {points} of {count} points are there"]
    return Run(count, facts["seconds"], cpu / count * 1e6, others, facts, faults)


def replay(bench: Bench) -> Run:
    """``gateway replay`` of the load as a capture, pinned to one core.

    The rate leaves out the start-up, which is what a replay of one message takes.
    """
    folder = bench.fresh("replay")
    count = len(bench.load)
    registry = bench.load.write_registry(folder / "registry.jsonl")
    capture = bench.load.write_capture(folder / "capture.jsonl")
    one = folder / "one.jsonl"
    with capture.open("rb") as lines:
        one.write_bytes(lines.readline())
    core = min(os.sched_getaffinity(0))
    start_up, _ = _replay_once(one, folder / "one", registry, core)
    noise = Noise()
    total, said = _replay_once(capture, folder / "data", registry, core)
    others = noise.share()
    result = audit(folder / "data", bench.load.ids)
    return Run(
        count,
        total - start_up,
        said["cpu_us_per_message"],
        others,
        {"with_start_s": total, "own_seconds": said["seconds"], "flags": said["flags"]},
        result.faults,
    )


def _replay_once(
    capture: Path, data: Path, registry: Path, core: int
) -> tuple[float, dict[str, Any]]:
    command = ["taskset", "--cpu-list", str(core), *proc.module("gateway", "replay")]
    command += [str(capture), "--data", str(data), "--registry", str(registry), "--json"]
    began = time.perf_counter()
    answer = subprocess.run(command, check=True, capture_output=True, timeout=300)
    return time.perf_counter() - began, json.loads(answer.stdout)
