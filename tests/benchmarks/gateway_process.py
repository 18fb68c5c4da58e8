"""The real ``gateway run`` as a process group: started, watched from outside, stopped or killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any, Self

from gateway.sources.embedded import free_port
from tests.benchmarks import proc

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.broker import Broker

CLIENT_ID = "gateway-under-test"
_DECIDED = "gateway_messages_total{"


class Gateway:
    """One service on a data directory; every `start` is a new process on the same data.

    Args:
        folder: for data, configuration and log.
        broker: where the messages come from.
        registry: a registry file, or None for none.
        extra: more of the configuration.
    """

    def __init__(
        self, folder: Path, broker: Broker, *, registry: Path | None = None, extra: str = ""
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        self.metrics_port = free_port()
        self.started_ns = 0
        self._log = folder / "gateway.log"
        self._log.write_bytes(b"")
        self._config = folder / "gateway.toml"
        known = f"registry = {json.dumps(str(registry))}\n" if registry else ""
        self._config.write_text(
            f'name = "measured"\ndata_dir = {json.dumps(str(self.data))}\n{known}'
            f'[[source]]\nhost = "{broker.host}"\nport = {broker.port}\n'
            f'client_id = "{CLIENT_ID}"\ntopics = ["meters/#"]\n'
            f'[metrics]\nport = {self.metrics_port}\n[log]\nformat = "json"\n{extra}'
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> Self:
        """Starts a process; it is not online yet."""
        self._log_start = self._log.stat().st_size
        self.started_ns = time.time_ns()
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                proc.module("gateway", "run", "--config", self._config),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self

    # --- looking

    @property
    def pid(self) -> int:
        """The intake process."""
        assert self._process is not None
        return self._process.pid

    @property
    def worker(self) -> int | None:
        """The processing worker while it lives."""
        for child in proc.children(self.pid):
            if "spawn_main" in proc.command(child):
                return child
        return None

    @property
    def alive(self) -> bool:
        """Whether the intake process runs."""
        return self._process is not None and self._process.poll() is None

    def lines(self) -> list[dict[str, Any]]:
        """The log of this start; what is not JSON becomes ``{"event": text}``."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            found = log.read().decode(errors="replace").splitlines()
        return [_line(text) for text in found]

    def wait_online(self, timeout: float = 30.0) -> None:
        """Returns when sources are started."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self.alive:
            if any(line.get("event") == "gateway online" for line in self.lines()):
                return
            time.sleep(0.02)
        raise RuntimeError(f"the gateway is not online:\n{self.tail()}")

    def tail(self) -> str:
        """The end of the log, for an error message."""
        return self._log.read_text(errors="replace")[-3000:]

    def metrics(self) -> dict[str, float]:
        """One scrape: name with labels → value."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def wait_decided(
        self, count: int, timeout: float, *, every: float = 0.2, allowed_restarts: int = 0
    ) -> None:
        """Returns when ``count`` messages are decided."""
        deadline = time.monotonic() + timeout
        done = 0
        while time.monotonic() < deadline and self.alive:
            found = self.metrics()
            done = decided(found)
            if done >= count:
                return
            if found["gateway_processing_restarts_total"] > allowed_restarts:
                break
            time.sleep(every)
        raise RuntimeError(f"{done} of {count} messages decided in time:\n{self.tail()}")

    def store_changed_ns(self) -> int:
        """When the store's files were last written: the time of its last commit."""
        files = (self.data / "store.duckdb", self.data / "store.duckdb.wal")
        return max(file.stat().st_mtime_ns for file in files if file.exists())

    # --- ending

    def stop(self, timeout: float = 15.0) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process is not None
        self._process.terminate()
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"SIGTERM did not end it in time:\n{self.tail()}") from None
        self._process = None
        return status

    def kill(self) -> None:
        """SIGKILL to the whole process group."""
        assert self._process is not None
        _kill_group(self._process.pid)
        self._process.wait(10)
        self._process = None

    def kill_intake(self) -> None:
        """SIGKILL to the intake process alone: the worker finds its parent gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        self._process = None

    def kill_worker(self) -> bool:
        """SIGKILL to the worker alone; False when there is none at this moment."""
        worker = self.worker
        if worker is None:
            return False
        try:
            os.kill(worker, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


def decided(metrics: dict[str, float]) -> int:
    """Messages decided since the ledger began, as last reported."""
    return int(sum(value for name, value in metrics.items() if name.startswith(_DECIDED)))


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _line(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"event": text}
    return found if isinstance(found, dict) else {"event": text}
