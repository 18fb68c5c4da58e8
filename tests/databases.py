"""Real databases on free ports."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class VictoriaMetrics:
    """One server with its own folder; it can be stopped and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("victoria-metrics")
        if binary is None:
            pytest.fail("victoria-metrics is missing: apt-get install victoria-metrics")
        self._binary = binary
        self._folder = folder
        self._log = folder / "victoria-metrics.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [
                    self._binary,
                    f"-storageDataPath={self._folder / 'data'}",
                    f"-httpListenAddr=127.0.0.1:{self.port}",
                    "-retentionPeriod=100y",
                    # A point that is written again is one point: what InfluxDB does by itself.
                    "-dedup.minScrapeInterval=1ms",
                    "-memory.allowedBytes=64MB",
                ],
                stdout=out,
                stderr=out,
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                self._get("/health")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
            else:
                return
        self.stop()
        pytest.fail(f"victoria-metrics did not start:\n{self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Stops the server; what it has accepted stays in its folder."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def series(self, selector: str) -> list[dict[str, Any]]:
        """Every raw series of a selector: ``metric`` (labels), ``values``, ``timestamps`` (ms)."""
        self._get("/internal/force_flush")
        query = urllib.parse.urlencode({"match[]": selector})
        answer = self._get(f"/api/v1/export?{query}")
        return [json.loads(line) for line in answer.splitlines()]

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            body: bytes = response.read()
            return body


class InfluxDB:
    """One InfluxDB 1.x with its own folder, asked in InfluxQL."""

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("influxd")
        if binary is None:
            pytest.fail("influxd is missing: apt-get install influxdb")
        self._binary = binary
        self._folder = folder
        self._log = folder / "influxd.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the server, waits until it answers, and makes the database ``metering``."""
        config = self._folder / "influxdb.conf"
        config.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n'
            f'[meta]\ndir = "{self._folder}/meta"\n'
            f'[data]\ndir = "{self._folder}/data"\nwal-dir = "{self._folder}/wal"\n'
            f'[http]\nbind-address = "127.0.0.1:{self.port}"\n[monitor]\nstore-enabled = false\n'
        )
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [self._binary, "-config", str(config)], stdout=out, stderr=out
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(self.url + "/ping", timeout=1).close()
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
            else:
                self.query("CREATE DATABASE metering")
                return
        self.stop()
        pytest.fail(f"influxd did not start:\n{self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Stops the server."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(15)
            self._process = None

    def write(self, lines: list[str]) -> None:
        """Writes lines of line protocol, with times in ns."""
        body = "\n".join(lines).encode()
        request = urllib.request.Request(f"{self.url}/write?db=metering&precision=ns", body)
        urllib.request.urlopen(request, timeout=10).close()

    def query(self, text: str) -> list[dict[str, Any]]:
        """The series of an answer: ``name``, ``tags``, ``columns``, ``values``."""
        form = urllib.parse.urlencode({"db": "metering", "q": text}).encode()
        with urllib.request.urlopen(f"{self.url}/query", form, timeout=10) as answer:
            (result,) = json.load(answer)["results"]
        assert "error" not in result, f"{text}: {result['error']}"
        found: list[dict[str, Any]] = result.get("series", [])
        return found


@pytest.fixture
def victoria_metrics(tmp_path: Path) -> Iterator[VictoriaMetrics]:
    """A running VictoriaMetrics of this test's own."""
    folder = tmp_path / "victoria-metrics"
    folder.mkdir()
    server = VictoriaMetrics(folder)
    server.start()
    yield server
    server.stop()
