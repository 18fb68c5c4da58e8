"""The broker inside: rumqttd through `iotcore`, for `gateway demo`, tests and small sites.

Devices use the MQTT 3.1.1 port, the gateway the MQTT 5 port.  rumqttd keeps everything in memory:
when it stops, what the gateway has not acknowledged is gone.
"""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import Self

import iotcore

MIB = 1_048_576


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


def rumqttd_config(
    v4_port: int,
    v5_port: int,
    *,
    host: str = "127.0.0.1",
    max_payload: int = 16 * MIB,
    max_inflight: int = 200,
    max_connections: int = 10_010,
) -> str:
    """The TOML of a rumqttd with one MQTT 3.1.1 and one MQTT 5 port.

    Args:
        v4_port: port for MQTT 3.1.1.
        v5_port: port for MQTT 5.
        host: address to listen on.
        max_payload: largest packet in bytes; rumqttd hangs up on larger ones.
        max_inflight: unacknowledged messages a connection may have; rumqttd hangs up on a client
            that goes above.
        max_connections: clients at once.
    """
    head = f"""\
id = 0

# Commit logs: at most 10 segments of 100 MiB a topic filter, the oldest dropped first.
[router]
id = 0
max_connections = {max_connections}
max_outgoing_packet_count = {max_inflight}
max_segment_size = {100 * MIB}
max_segment_count = 10
"""
    ports = "".join(
        f"""
[{version}.1]
name = "{version}"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[{version}.1.connections]
connection_timeout_ms = 60000
max_payload_size = {max_payload}
max_inflight_count = {max_inflight}
dynamic_filters = true
"""
        for version, port in (("v4", v4_port), ("v5", v5_port))
    )
    return head + ports


class EmbeddedBroker:
    """A broker in a child process, as a context manager.

    Args:
        v4_port: port for MQTT 3.1.1; a free one by default.
        v5_port: port for MQTT 5; a free one by default.
        host: address to listen on; other machines reach it only if this is not the loopback.

    Raises:
        OSError: a port is in use.
        RuntimeError: the broker did not start.
    """

    def __init__(
        self, v4_port: int | None = None, v5_port: int | None = None, *, host: str = "127.0.0.1"
    ) -> None:
        self.host = host
        self.v4_port = v4_port or free_port(host)
        self.v5_port = v5_port or free_port(host)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._broker: iotcore.Broker | None = None

    def start(self) -> Self:
        """Start it; returns when both ports accept connections."""
        self._folder = tempfile.TemporaryDirectory(prefix="gateway-broker-")
        path = Path(self._folder.name) / "rumqttd.toml"
        path.write_text(rumqttd_config(self.v4_port, self.v5_port, host=self.host))
        self._broker = iotcore.Broker(config_path=str(path))
        try:
            self._broker.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it; safe to call twice."""
        if self._broker is not None:
            self._broker.stop()
            self._broker = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
