"""The service as a process, on a real broker: it starts in order, survives, and ends in order."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config_load import load
from gateway.identity import identity
from gateway.ledger.sqlite import SqliteLedger, open_reader
from gateway.records import CLOCK_TOPIC, Batch
from gateway.service import Service
from gateway.sources.embedded import free_port
from gateway.status import Balance, Lag
from gateway.store.duckdb import DuckDBStore
from tests.brokers import Publisher
from tests.cli.conftest import reading
from tests.compiled import PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.brokers import Mosquitto

TOPIC = reading(0)["topic"]
PROFILE = PROFILES / "electricity_meter" / "electricity-meter-reference.yaml"
DECISIONS = ("stored", "quarantined", "duplicates", "ignored")


class Running:
    """`gateway run` in a process of its own."""

    def __init__(self, folder: Path, port: int, more: str = "") -> None:
        self.data = folder / "data"
        if "profiles" not in more:
            # One profile is read in no time, all of them take seconds at each start.
            more = f'profiles = ["{PROFILE}"]\n{more}'
        self.metrics_port = free_port()
        self.config = folder / "gateway.toml"
        self.config.write_text(
            f'name = "test"\ndata_dir = "data"\n{more}\n[[source]]\nport = {port}\n'
            f"[metrics]\nport = {self.metrics_port}\n[status]\ninterval = 0.2\n"
        )
        self._log = folder / "gateway.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, ready: bool = True) -> Running:
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "run", "--config", str(self.config)],
                stdout=output,
                stderr=output,
            )
        if ready:
            self.until(lambda: self.get("/readyz") == "ready\n")
        return self

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.metrics_port}{path}", timeout=2
            ) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def metrics(self) -> dict[str, float]:
        found = re.findall(r"^(gateway_\S+) (\S+)$", self.get("/metrics") or "", re.MULTILINE)
        return {name: float(value) for name, value in found}

    def decided(self) -> float:
        metrics = self.metrics()
        return sum(
            metrics.get(f'gateway_messages_total{{decision="{each}"}}', 0) for each in DECISIONS
        )

    def until(self, holds: Callable[[], Any], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert self.process is not None
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def worker(self) -> int:
        assert self.process is not None
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
                line = (status.parent / "cmdline").read_bytes()
            except OSError:
                continue
            if f"\nPPid:\t{self.process.pid}\n" in text and b"spawn_main" in line:
                return int(status.parent.name)
        pytest.fail(f"no worker:\n{self.log}")

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def readings(self) -> list[tuple[int | None, int]]:
        store = DuckDBStore(self.data / "store.duckdb", read_only=True)
        try:
            return [(found.sequence, found.ledger_offset) for found in store.readings()]
        finally:
            store.close()


@pytest.fixture
def gateway(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Running]:
    running = Running(tmp_path, mosquitto.port)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def device(mosquitto: Mosquitto) -> Iterator[Publisher]:
    with Publisher(mosquitto.host, mosquitto.port) as publisher:
        yield publisher


def payloads(begin: int, end: int) -> list[bytes]:
    return [reading(i)["payload"].encode() for i in range(begin, end)]


def test_sigterm_drains_what_came_and_ends_with_0(gateway: Running, device: Publisher) -> None:
    gateway.start()
    device.send(TOPIC, payloads(0, 500))
    gateway.until(lambda: gateway.metrics().get("gateway_received_total") == 500)
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 10
    assert sorted(gateway.readings()) == [(i, i) for i in range(500)]
    with open_reader(gateway.data / "ledger") as ledger:
        assert list(ledger.verify()) == []
    store = DuckDBStore(gateway.data / "store.duckdb", read_only=True)
    checkpoint = store.checkpoint()
    store.close()
    # A snapshot at the end: the next start has nothing to judge again.
    assert checkpoint.snapshot_offset == checkpoint.next_offset == 500


def test_a_ctrl_c_of_the_whole_group_is_an_orderly_end_too(
    tmp_path: Path, mosquitto: Mosquitto, device: Publisher
) -> None:
    running = Running(tmp_path, mosquitto.port)
    with (tmp_path / "gateway.log").open("ab") as output:
        running.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "run", "--config", str(running.config)],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    running.until(lambda: running.get("/readyz") == "ready\n")
    device.send(TOPIC, payloads(0, 100))
    running.until(lambda: running.metrics().get("gateway_received_total") == 100)
    os.killpg(running.process.pid, signal.SIGINT)
    assert running.process.wait(10) == 0
    assert len(running.readings()) == 100
    assert "Traceback" not in running.log


def test_a_killed_worker_is_started_again_and_nothing_is_lost_or_doubled(
    gateway: Running, device: Publisher
) -> None:
    gateway.start()
    for round_ in range(3):
        device.send(TOPIC, payloads(round_ * 200, round_ * 200 + 100))
        os.kill(gateway.worker(), signal.SIGKILL)
        # Intake goes on while there is nobody to decide.
        device.send(TOPIC, payloads(round_ * 200 + 100, round_ * 200 + 200))
        gateway.until(lambda: gateway.decided() == (round_ + 1) * 200)  # noqa: B023 - called now
    gateway.until(lambda: gateway.get("/readyz") == "ready\n")
    metrics = gateway.metrics()
    assert metrics["gateway_processing_restarts_total"] == 3
    assert metrics["gateway_balance_ok"] == 1
    assert gateway.log.count("processing died, will restart") == 3
    assert gateway.stop() == 0
    assert sorted(gateway.readings()) == [(i, i) for i in range(600)]


def test_a_second_start_goes_on_where_the_first_ended_with_what_came_between(
    gateway: Running, device: Publisher
) -> None:
    gateway.start()
    device.send(TOPIC, payloads(0, 10))
    assert gateway.stop() == 0
    device.send(TOPIC, payloads(10, 20))
    gateway.start()
    gateway.until(lambda: gateway.decided() == 20)
    assert gateway.stop() == 0
    assert sorted(gateway.readings()) == [(i, i) for i in range(20)]


def test_the_status_topic_tells_the_state_and_balances(gateway: Running, device: Publisher) -> None:
    device.listen("supervision/gateway/test/status")
    gateway.start()
    device.send(TOPIC, [*payloads(0, 5), *payloads(0, 1), b"junk"])

    def latest() -> dict[str, Any]:
        return json.loads(device.heard[-1][1]) if device.heard else {}

    gateway.until(lambda: latest().get("messages", {}).get("quarantined") == 1)
    told = latest()
    assert (told["state"], told["balance"]) == ("online", "ok")
    assert told["messages"] == {
        "received": 7,
        "stored": 5,
        "quarantined": 1,
        "duplicates": 1,
        "ignored": 0,
        "pending": 0,
    }
    assert told["sources"][0]["connected"] is True
    assert gateway.stop() == 0
    deadline = time.monotonic() + 30
    while latest()["state"] != "offline":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_status_is_offline_when_the_gateway_was_killed(
    gateway: Running, mosquitto: Mosquitto
) -> None:
    gateway.start()
    assert gateway.process is not None
    gateway.process.kill()
    gateway.process.wait()
    with Publisher(mosquitto.host, mosquitto.port + 0) as later:
        later.listen("supervision/gateway/test/status")
        deadline = time.monotonic() + 30
        while not (later.heard and json.loads(later.heard[-1][1])["state"] == "offline"):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_worker_ends_when_its_parent_was_killed(gateway: Running, device: Publisher) -> None:
    gateway.start()
    worker = gateway.worker()
    assert gateway.process is not None
    gateway.process.kill()
    gateway.process.wait()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # The lock of the store went with it.
    gateway.start()
    device.send(TOPIC, payloads(0, 1))
    gateway.until(lambda: gateway.decided() == 1)


def test_the_client_id_is_kept_and_without_a_place_to_keep_it_nothing_starts(
    gateway: Running, tmp_path: Path
) -> None:
    gateway.start()
    assert gateway.stop() == 0
    kept = identity(gateway.data).id
    gateway.start()
    assert gateway.stop() == 0
    assert identity(gateway.data).id == kept
    (tmp_path / "file").write_text("")
    gateway.config.write_text('data_dir = "file"\n')
    assert gateway.start(ready=False).process.wait(20) == 2
    assert "client id must be kept" in gateway.log


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ('profiles = ["profiles"]', "bad.yaml:1"),
        ('registry = "devices.csv"', "devices.csv:2: "),
        ("[ledger]\nbatch_messages = 0", "ledger.batch_messages"),
    ],
)
def test_what_is_wrong_at_the_start_ends_it_with_2_before_a_message_is_taken(
    tmp_path: Path, mosquitto: Mosquitto, more: str, why: str
) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "bad.yaml").write_text("profile: other\n")
    (tmp_path / "devices.csv").write_text("device_id,kind\nw,watermeter\n")
    running = Running(tmp_path, mosquitto.port, more).start(ready=False)
    assert running.process is not None
    assert running.process.wait(30) == 2
    assert "error: " in running.log
    assert why in running.log
    assert "Traceback" not in running.log
    assert "connected" not in running.log


def test_a_second_gateway_on_the_same_data_is_refused(gateway: Running) -> None:
    gateway.start()
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "run", "--data", str(gateway.data)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert "writes this ledger" in done.stderr
    assert gateway.get("/healthz") == "ok\n"


def test_a_metrics_port_that_is_taken_is_told(gateway: Running) -> None:
    with socket.create_server(("127.0.0.1", gateway.metrics_port)):
        gateway.start(ready=False)
        assert gateway.process is not None
        assert gateway.process.wait(30) == 2
    assert "metrics.port" in gateway.log


def test_metrics_need_the_token_and_health_does_not(tmp_path: Path, mosquitto: Mosquitto) -> None:
    running = Running(tmp_path, mosquitto.port)
    running.config.write_text(
        running.config.read_text().replace("[metrics]", '[metrics]\ntoken = "open-sesame"')
    )
    running.start(ready=False)
    running.until(lambda: running.get("/healthz") == "ok\n")
    url = f"http://127.0.0.1:{running.metrics_port}/metrics"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=2)
    assert refused.value.code == 401
    refused.value.close()
    request = urllib.request.Request(url, headers={"Authorization": "Bearer open-sesame"})
    with urllib.request.urlopen(request, timeout=2) as answer:
        assert b"gateway_received_total" in answer.read()
    assert running.stop() == 0
    assert "open-sesame" not in running.log


def test_a_ledger_behind_its_store_never_gives_an_offset_twice(
    gateway: Running, device: Publisher
) -> None:
    gateway.start()
    device.send(TOPIC, payloads(0, 10))
    gateway.until(lambda: gateway.decided() == 10)
    assert gateway.stop() == 0
    for file in (gateway.data / "ledger").iterdir():
        file.unlink()
    gateway.start()
    device.send(TOPIC, payloads(10, 12))
    gateway.until(lambda: "ledger is behind its store" in gateway.log)
    gateway.until(lambda: gateway.decided() == 12)
    assert gateway.metrics()["gateway_balance_ok"] == 1
    assert gateway.stop() == 0
    assert sorted(gateway.readings()) == [(i, i) for i in range(12)]


def test_a_message_is_stored_at_once_while_there_is_little_to_do(
    gateway: Running, device: Publisher
) -> None:
    gateway.start()
    device.send(TOPIC, payloads(0, 1))
    gateway.until(lambda: gateway.decided() == 1, seconds=3)


def test_a_ledger_over_its_size_is_pruned_but_never_past_the_snapshot(
    tmp_path: Path, mosquitto: Mosquitto, device: Publisher
) -> None:
    settings = load(
        None,
        {
            "data_dir": tmp_path,
            "source": [{"port": mosquitto.port}],
            "metrics": {"enabled": False},
            "ledger": {"keep_bytes": 1 << 20},
            "processing": {"snapshot_messages": 1000, "commit_messages": 500},
        },
    )

    async def pruned() -> tuple[int, int]:
        service = Service(settings, prune_every=0.1)
        serving = asyncio.create_task(service.run())
        await service.ready.wait()
        deadline = time.monotonic() + 40
        while True:
            noise = [os.urandom(1500) for _ in range(500)]
            await asyncio.to_thread(device.send, TOPIC, noise)
            with open_reader(tmp_path / "ledger") as ledger:
                first = ledger.first_offset
            report = service.processing.report
            if first > 0 and report is not None:
                break
            assert time.monotonic() < deadline
        service.stop()
        await serving
        return first, report.snapshot_offset

    first, snapshot_offset = asyncio.run(pruned())
    assert 0 < first <= snapshot_offset
    with open_reader(tmp_path / "ledger") as ledger:
        assert list(ledger.verify()) == []


def test_the_clock_is_marked_in_the_ledger_while_nothing_comes_and_a_broker_is_there(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    def settings(folder: str, port: int) -> Any:
        source, data = [{"port": port}], tmp_path / folder
        return load(None, {"data_dir": data, "source": source, "metrics": {"enabled": False}})

    async def idle(folder: str, port: int, marks: int) -> str:
        service = Service(settings(folder, port), mark_every=0.1)
        serving = asyncio.create_task(service.run())
        await service.ready.wait()
        deadline = time.monotonic() + (20 if marks else 1)
        while time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            report = service.processing.report
            if marks and report is not None and report.counters.ignored >= marks:
                break
        balance = service.status().balance
        service.stop()
        await serving
        return balance

    assert asyncio.run(idle("heard", mosquitto.port, 3)) == "ok"
    with open_reader(tmp_path / "heard" / "ledger") as ledger:
        batch = ledger.read(0)
    assert set(batch.topics) == {CLOCK_TOPIC}
    assert batch.received_at == sorted(set(batch.received_at))
    assert asyncio.run(idle("deaf", free_port(), 0)) == "ok"
    with open_reader(tmp_path / "deaf" / "ledger") as ledger:
        assert ledger.next_offset == 0


def test_the_verdict_finds_a_message_without_a_decision() -> None:
    assert Balance(received=3, stored=1, quarantined=1, pending=1).verdict() == "ok"
    assert Balance(received=3, stored=1, pending=1).verdict().startswith("wrong: 1 ")


def test_the_lag_is_the_wait_of_the_oldest_undecided_message() -> None:
    now = [100.0]
    lag = Lag(lambda: now[0])
    for offset in (10, 20, 30):
        lag.committed(offset)
        now[0] += 1
    assert lag.seconds(0, 30) == 3
    assert lag.seconds(10, 30) == 2
    assert lag.seconds(30, 30) == 0


def test_appending_and_pruning_take_turns(tmp_path: Path) -> None:
    from gateway.shared_ledger import open_ledger  # noqa: PLC0415 - beside its one use

    with open_ledger(tmp_path, 1 << 20) as ledger:
        assert isinstance(ledger, SqliteLedger)
        assert ledger.append(Batch(["t"], [b"p"], [1])) == 1
        assert ledger.prune(keep_from_offset=1, max_age=1).messages == 0
