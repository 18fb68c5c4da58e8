"""Prometheus metrics, health and readiness over a small HTTP listener of its own thread.

``/healthz`` answers while the process lives, ``/readyz`` when messages are taken and decided.
Anything that can be reached from outside the machine must show a bearer token.
"""

from __future__ import annotations

import hmac
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from gateway.config_api import MetricsSettings
    from gateway.status import Status

log = structlog.get_logger(__name__)

_REQUEST_S: Final = 5.0

Answer = tuple[int, str, bytes]


class StatusCollector(Collector):
    """The gateway's status as metrics, read anew at every scrape."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Every metric; names begin with ``gateway_``."""
        status = self._status()
        yield from _messages(status)
        ledger, processing = status.ledger, status.processing
        yield _gauge("ledger_bytes", "Bytes of the ledger on disk", ledger.bytes)
        yield _gauge("ledger_next_offset", "Messages ever appended", ledger.next_offset)
        yield _gauge("ledger_first_offset", "Oldest message that is kept", ledger.first_offset)
        full = ledger.state == "ledger_full"
        yield _gauge("ledger_full", "1 while nothing can be appended nor acknowledged", full)
        yield _gauge("pending_messages", "Messages not decided yet", status.messages.pending)
        yield _gauge("lag_seconds", "Age of the oldest undecided message", processing.lag_s)
        yield _gauge("balance_ok", "1 while every message is accounted for", status.balance == "ok")
        yield _gauge("processing_up", "1 while processing runs", processing.state == "running")
        yield _counter("processing_restarts", "Times processing was restarted", processing.restarts)
        yield from _sources(status)
        yield from _sinks(status)
        yield from _alerts(status)


def _messages(status: Status) -> Iterator[Metric]:
    messages = status.messages
    yield _counter("received", "Messages taken from sources since the start", status.received)
    yield _counter("appended", "Messages made durable since the start", status.appended)
    decided = CounterMetricFamily(
        "gateway_messages", "Messages since the ledger began, by decision", labels=["decision"]
    )
    for decision in ("stored", "quarantined", "duplicates", "ignored"):
        decided.add_metric([decision], getattr(messages, decision))
    yield decided
    yield _counter("readings", "Readings stored since the ledger began", status.readings)
    yield _counter("flags", "Flags raised or renewed since the ledger began", status.flags)
    removed = CounterMetricFamily(
        "gateway_removed", "Rows that retention has removed from the store", labels=["kind"]
    )
    for kind, rows in status.removed.items():
        removed.add_metric([kind], rows)
    yield removed


def _sources(status: Status) -> Iterator[Metric]:
    connected = GaugeMetricFamily(
        "gateway_source_connected", "1 while the broker is there", labels=["source"]
    )
    reconnects = CounterMetricFamily(
        "gateway_source_reconnects", "Times the connection was made again", labels=["source"]
    )
    for source in status.sources:
        connected.add_metric([source.name], source.connected)
        reconnects.add_metric([source.name], source.reconnects)
    yield connected
    yield reconnects


def _sinks(status: Status) -> Iterator[Metric]:
    position = GaugeMetricFamily(
        "gateway_sink_position", "Readings delivered to the sink", labels=["sink"]
    )
    lag = GaugeMetricFamily("gateway_sink_lag", "Readings not delivered yet", labels=["sink"])
    for sink in status.sinks:
        position.add_metric([sink.name], sink.position)
        lag.add_metric([sink.name], sink.lag)
    yield position
    yield lag


def _alerts(status: Status) -> Iterator[Metric]:
    gauges = {
        "lag": "Changes of flags that the alert has not looked at yet",
        "queued": "Letters that wait to be sent",
        "dead": "Letters that were given up",
        "held": "Flags that windows of known maintenance hold back",
    }
    counters = {"sent": "Letters taken by the target", "failures": "Attempts that failed"}
    up = GaugeMetricFamily("gateway_alert_up", "1 while the target takes letters", labels=["alert"])
    for alert in status.alerts:
        up.add_metric([alert.name], alert.error is None)
    yield up
    for name, text in gauges.items():
        gauge = GaugeMetricFamily(f"gateway_alert_{name}", text, labels=["alert"])
        for alert in status.alerts:
            gauge.add_metric([alert.name], getattr(alert, name))
        yield gauge
    for name, text in counters.items():
        counter = CounterMetricFamily(f"gateway_alert_{name}", text, labels=["alert"])
        for alert in status.alerts:
            counter.add_metric([alert.name], getattr(alert, name))
        yield counter


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"gateway_{name}", text, value=float(value))


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"gateway_{name}", text, value=float(value))


class MetricsServer:
    """The listener; answers one request at a time, each within a few seconds.

    Args:
        settings: where to listen, and the token.
        status: the gateway's state; called from the listener's thread.

    Raises:
        ConfigError: the port cannot be had.
    """

    def __init__(self, settings: MetricsSettings, status: Callable[[], Status]) -> None:
        registry = CollectorRegistry()
        registry.register(StatusCollector(status))
        token = settings.secret()

        def answer(path: str, shown: str) -> Answer:
            if path == "/healthz":
                return 200, "text/plain", b"ok\n"
            if token and not hmac.compare_digest(shown.encode(), f"Bearer {token}".encode()):
                return 401, "text/plain", b"a bearer token is needed\n"
            if path == "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
            if path == "/readyz":
                return readiness(status())
            return 404, "text/plain", b"there are /metrics, /healthz and /readyz\n"

        try:
            self._server = _Listener((settings.host, settings.port), answer)
        except OSError as error:
            raise ConfigError(
                f"metrics: cannot listen on {settings.host}:{settings.port}: {error.strerror}; set "
                "metrics.port to a free one, or metrics.enabled to false"
            ) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        log.info("metrics", address=f"http://{settings.host}:{self.port}/metrics")

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Listener(HTTPServer):
    def __init__(self, address: tuple[str, int], answer: Callable[[str, str], Answer]) -> None:
        self.answer = answer
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = _REQUEST_S
    server: _Listener

    def do_GET(self) -> None:
        """Answers one request; the name is the library's."""
        shown = self.headers.get("Authorization", "")
        status, content_type, body = self.server.answer(self.path, shown)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_parts: object) -> None:
        """Nothing: a scrape is not worth a line."""


def readiness(status: Status) -> Answer:
    """Whether messages are taken and decided, as status, content type and body."""
    faults = [
        f"source {source.name}: {source.error or 'not connected'}"
        for source in status.sources
        if not source.connected
    ]
    if status.state != "online":
        faults.append(f"gateway: {status.state}")
    if status.ledger.state != "open":
        faults.append(f"ledger: {status.ledger.state}")
    if status.processing.state != "running":
        faults.append(f"processing: {status.processing.state}")
    if faults:
        return 503, "text/plain", ("\n".join(faults) + "\n").encode()
    return 200, "text/plain", b"ready\n"
