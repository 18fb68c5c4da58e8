"""MQTT 3.1.1 by hand for the load's side: publishing must cost far less than what is measured."""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = 5_000
_PUBACK_BYTES = 4
_CHUNK = 500


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def _packet(first: int, body: bytes) -> bytes:
    size, length = b"", len(body)
    while True:
        length, low = divmod(length, 128)
        size += bytes([low | (128 if length else 0)])
        if not length:
            return bytes([first]) + size + body


def publish_packet(topic: str, payload: bytes, packet_id: int) -> bytes:
    """A PUBLISH of QoS 1."""
    return _packet(0x32, _text(topic) + struct.pack(">H", packet_id) + payload)


class Client:
    """One blocking connection that publishes QoS 1 and counts PUBACKs."""

    def __init__(self, host: str, port: int, client_id: str, *, clean: bool = True) -> None:
        self._socket = socket.create_connection((host, port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        flags = 0x02 if clean else 0x00
        self._socket.sendall(
            _packet(0x10, _text("MQTT") + bytes([4, flags]) + b"\x00\x00" + _text(client_id))
        )
        answer = self._exactly(4)
        if answer[0] != 0x20 or answer[3] != 0:
            raise ConnectionError(f"the broker refused {client_id}: {answer.hex()}")
        self.sent = 0
        self.acknowledged = 0
        self._partial = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Says goodbye."""
        self._socket.sendall(b"\xe0\x00")
        self._socket.close()

    def subscribe(self, pattern: str) -> None:
        """Subscribes with QoS 1; returns when the broker has confirmed."""
        self._socket.sendall(_packet(0x82, b"\x00\x01" + _text(pattern) + b"\x01"))
        answer = self._exactly(5)
        if answer[0] != 0x90 or answer[4] > 1:
            raise ConnectionError(f"not subscribed to {pattern}: {answer.hex()}")

    def send(self, topics: Sequence[str], payloads: Sequence[bytes]) -> None:
        """Publishes all, with at most ``WINDOW`` unconfirmed; see `settle`."""
        for start in range(0, len(topics), _CHUNK):
            block = bytearray()
            for topic, payload in zip(
                topics[start : start + _CHUNK], payloads[start : start + _CHUNK], strict=True
            ):
                self.sent += 1
                block += publish_packet(topic, payload, self.sent % 65535 + 1)
            self._push(block)
            while self.sent - self.acknowledged > WINDOW:
                self.hear(10.0)

    def settle(self, timeout: float = 60.0) -> None:
        """Waits until everything sent is acknowledged."""
        deadline = time.monotonic() + timeout
        while self.acknowledged < self.sent:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self.sent - self.acknowledged} messages without a PUBACK")
            self.hear(left)

    def _push(self, block: bytearray) -> None:
        """Sends without ever ceasing to hear, or both sides would wait for each other."""
        view = memoryview(block)
        while view:
            readable, writable, _ = select.select([self._socket], [self._socket], [], 10.0)
            if readable:
                self.hear(0.0)
            if writable:
                view = view[self._socket.send(view, socket.MSG_DONTWAIT) :]
            if not readable and not writable:
                raise TimeoutError("the broker reads nothing")

    def hear(self, wait: float) -> None:
        """Takes the PUBACKs that come within ``wait`` seconds; returns after the first of them."""
        if not select.select([self._socket], [], [], wait)[0]:
            return
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the broker closed the connection")
        data = self._partial + data
        whole = len(data) // _PUBACK_BYTES
        self.acknowledged += whole
        self._partial = data[whole * _PUBACK_BYTES :]

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the broker closed the connection")
            data += more
        return data


def make_session(host: str, port: int, client_id: str, pattern: str = "meters/#") -> None:
    """Leaves a persistent session behind that queues what comes from now on."""
    with Client(host, port, client_id, clean=False) as client:
        client.subscribe(pattern)


def flood(host: str, port: int, topics: Sequence[str], payloads: Sequence[bytes]) -> float:
    """Publishes everything as fast as the broker takes it; returns the seconds it took."""
    began = time.perf_counter()
    with Client(host, port, "load") as client:
        client.send(topics, payloads)
        client.settle()
    return time.perf_counter() - began
