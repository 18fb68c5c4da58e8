"""Mosquitto as it is measured with: quiet, on a free port, with a queue that has no bound."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from gateway.sources.embedded import free_port
from tests.brokers import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = """\
user root
allow_anonymous true
max_queued_messages 0
max_queued_bytes 0
max_inflight_messages 65535
set_tcp_nodelay true
sys_interval 1
log_type error
log_type warning
"""


class Broker:
    """One Mosquitto, logging faults only: a line a message would be measured along.

    Args:
        folder: for its configuration, its log and what it persists; emptied by `stop`.
        persistence: whether sessions and queues are saved, as an operator would want.
    """

    def __init__(self, folder: Path, *, persistence: bool = False) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self._folder = folder
        self._persistence = persistence
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        lines = SETTINGS + f"listener {self.port} {self.host}\n"
        if self._persistence:
            lines += f"persistence true\npersistence_location {self._folder}/\n"
        config = self._folder / "mosquitto.conf"
        config.write_text(lines)
        log = self._folder / "mosquitto.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [program("mosquitto"), "-c", str(config)], stdout=output, stderr=output
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection((self.host, self.port), 0.2).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self
        self.stop()
        raise RuntimeError(f"mosquitto does not start:\n{log.read_text(errors='replace')}")

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, it answers nobody; connections are not refused."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM; its folder goes with it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None
        if self._folder.is_dir():
            shutil.rmtree(self._folder)
