"""Real MQTT brokers on free ports: Mosquitto with any configuration, and the embedded one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.sources.embedded import EmbeddedBroker, free_port
from tests.certificates import Certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

USERNAME, PASSWORD = "gateway", "correct horse"

BASE = """\
user root
allow_anonymous true
max_queued_messages 0
max_inflight_messages 1000
"""


def program(name: str) -> str:
    """Path of a server's program; a test that needs one fails where it is not installed."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail(f"{name} is not installed: apt-get install mosquitto mosquitto-clients")
    return found


class Mosquitto:
    """One Mosquitto in a folder of its own; every start is on the same port.

    Args:
        folder: for its configuration and its persistence.
        extra: lines of configuration after the listener's.
        persistence: whether sessions and queues outlive a restart.
    """

    def __init__(self, folder: Path, extra: str = "", *, persistence: bool = False) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._extra = extra
        self._persistence = persistence
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        lines = BASE + f"listener {self.port} {self.host}\n{self._extra}\n"
        if self._persistence:
            lines += f"persistence true\npersistence_location {self._folder}/\n"
        config = self._folder / "mosquitto.conf"
        config.write_text(lines)
        with (self._folder / "mosquitto.log").open("ab") as output:
            self._process = subprocess.Popen(
                [program("mosquitto"), "-v", "-c", str(config)], stdout=output, stderr=output
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection((self.host, self.port), 0.2).close()
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.02)
            else:
                return self
        pytest.fail(f"mosquitto does not start:\n{self.log}")

    @property
    def log(self) -> str:
        return (self._folder / "mosquitto.log").read_text(errors="replace")

    def stop(self) -> None:
        """SIGTERM, as an operator would: it saves its sessions."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop reading and writing, with every connection left open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class Publisher:
    """A device: publishes with paho and knows what the broker has acknowledged."""

    def __init__(self, host: str, port: int) -> None:
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"device-{port}", clean_session=False
        )
        self.heard: list[tuple[str, bytes, bool]] = []
        self._client.on_message = lambda _c, _u, m: self.heard.append(
            (m.topic, m.payload, m.retain)
        )
        self._changed = threading.Condition()
        self._acknowledged: set[int] = set()
        self._client.on_publish = self._on_publish
        self._client.max_queued_messages_set(0)
        self._client.max_inflight_messages_set(1000)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(host, port)
        self._client.loop_start()
        deadline = time.monotonic() + 30
        while not self._client.is_connected():
            assert time.monotonic() < deadline, "the publisher was not let in"
            time.sleep(0.005)

    def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> None:
        """Returns when the broker has it."""
        self._await([self._client.publish(topic, payload, qos, retain).mid])

    def send(self, topic: str, payloads: Iterable[bytes], qos: int = 1) -> None:
        """Several at once; returns when the broker has acknowledged them all."""
        self._await([self._client.publish(topic, payload, qos).mid for payload in payloads])

    def _await(self, sent: list[int]) -> None:
        # paho keeps what is published while the broker is away, though it calls that a failure
        waiting = set(sent)
        deadline = time.monotonic() + 30
        while waiting:
            assert time.monotonic() < deadline, f"{len(waiting)} messages were not acknowledged"
            with self._changed:
                self._changed.wait_for(lambda: self._acknowledged, 0.1)
                waiting -= self._acknowledged
                self._acknowledged.clear()

    def _on_publish(self, _client: object, _userdata: object, mid: int, *_: object) -> None:
        with self._changed:
            self._acknowledged.add(mid)
            self._changed.notify()

    def listen(self, topic: str) -> None:
        """From now on what comes is in ``heard``."""
        self._client.subscribe(topic, 1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@pytest.fixture
def start_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Starts a Mosquitto: ``start_mosquitto(extra="...", persistence=True)``."""
    started: list[Mosquitto] = []

    def start(extra: str = "", *, persistence: bool = False) -> Mosquitto:
        folder = tmp_path / f"mosquitto-{len(started)}"
        broker = Mosquitto(folder, extra, persistence=persistence)
        started.append(broker)
        return broker.start()

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
def mosquitto(start_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    """A Mosquitto that lets everybody in, speaks MQTT 3.1.1 and 5, and keeps nothing on disk."""
    return start_mosquitto()


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """A Mosquitto password file with one user, `USERNAME` and `PASSWORD`."""
    path = tmp_path / "passwords"
    subprocess.run(
        [program("mosquitto_passwd"), "-b", "-c", str(path), USERNAME, PASSWORD],
        check=True,
        capture_output=True,
    )
    return path


@pytest.fixture
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """The embedded broker, with a port for MQTT 3.1.1 and one for MQTT 5."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A small authority and what it has issued, good and expired."""
    return Certificates(tmp_path_factory.mktemp("certificates"))
