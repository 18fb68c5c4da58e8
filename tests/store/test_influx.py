"""The sink on a real VictoriaMetrics, and on a server that refuses as InfluxDB does."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import threading
from contextlib import asynccontextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.errors import ConfigError
from gateway.store.duckdb import DuckDBStore
from gateway.store.influx import InfluxSink
from tests.databases import VictoriaMetrics, free_port
from tests.store.made import SECOND, START, flag, mixed, reading, results

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

OUTAGE = float(os.environ.get("OUTAGE_SECONDS", "5"))
"""Seconds that the database is away in the outage test; ``make soak`` sets 60."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "store.duckdb")
    yield opened
    opened.close()


def _sink(store: DuckDBStore, url: str, **settings: Any) -> InfluxSink:
    values: dict[str, Any] = {
        "name": "influx",
        "token": "s3cr3t-token",
        "bucket": "metering",
        "random": Random(1),
        "poll": 0.02,
        "first_wait": 0.05,
        "longest_wait": 0.3,
    }
    return InfluxSink(store, url=url, **(values | settings))


@asynccontextmanager
async def _running(sink: InfluxSink) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(sink.run())
    try:
        yield task
    finally:
        await sink.close()
        await asyncio.wait_for(task, 15)


async def _until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process' doing
            await asyncio.sleep(0.01)


def _offsets(server: VictoriaMetrics) -> list[int]:
    """Ledger offsets of all points, as often as they are there."""
    series = server.series('{__name__=~".*_ledger_offset"}')
    return sorted(int(value) for one in series for value in one["values"])


def test_every_reading_arrives_once_with_its_value(
    store: DuckDBStore, victoria_metrics: VictoriaMetrics
):
    sent = mixed(seed=3, count=12_000)
    store.commit(results(sent[:7000]))

    async def run() -> InfluxSink:
        sink = _sink(store, victoria_metrics.url)
        async with _running(sink):
            await _until(lambda: sink.position == 7000)
            store.commit(results(sent[7000:]))
            await _until(lambda: sink.lag == 0)
        return sink

    sink = asyncio.run(run())
    assert (sink.written, sink.refused, sink.connected) == (12_000, 0, True)
    assert store.sink_position("influx") == 12_000
    assert _offsets(victoria_metrics) == list(range(12_000))
    amounts = {
        timestamp: value
        for one in victoria_metrics.series("fuel_dispenser_amount_cny")
        for timestamp, value in zip(one["timestamps"], one["values"], strict=True)
    }
    expected = {
        r.measured_at // 1_000_000: r.quantities["amount"]
        for r in sent
        if r.kind == "fuel_dispenser"
    }
    assert amounts == expected


def test_flags_arrive_each_time_they_have_changed(
    store: DuckDBStore, victoria_metrics: VictoriaMetrics
):
    first = flag(1)
    store.commit(results([reading(1)], [first, flag(2)]))

    async def run() -> None:
        sink = _sink(store, victoria_metrics.url)
        async with _running(sink):
            await _until(lambda: store.sink_position("influx:flags") == 2)
            grown = msgspec.structs.replace(first, measured_at=first.measured_at + 3600 * SECOND)
            store.commit(results(flags=[grown], next_offset=3))
            await _until(lambda: store.sink_position("influx:flags") == 3)

    asyncio.run(run())
    found = {s["metric"]["device_id"]: s["values"] for s in victoria_metrics.series("flag_from")}
    assert {device: len(values) for device, values in found.items()} == {"w-1": 2, "w-2": 1}
    assert set(found["w-1"]) == {first.since}


def test_awkward_names_arrive_as_one_series_of_their_own(
    store: DuckDBStore, victoria_metrics: VictoriaMetrics
):
    awkward = ["a b", "c,d=e", 'f"g', "h\\", "\\,x=1", "中文", "new\nline"]
    store.commit(results([reading(n, device_id=name) for n, name in enumerate(awkward)]))

    async def run() -> None:
        sink = _sink(store, victoria_metrics.url)
        async with _running(sink):
            await _until(lambda: sink.lag == 0)

    asyncio.run(run())
    found = {s["metric"]["device_id"] for s in victoria_metrics.series("water_meter_volume_m3")}
    assert found == {"a b", "c,d=e", 'f"g', "h%5C", "%5C,x=1", "中文", "new%0Aline"}


def test_a_database_that_stops_under_load_has_every_reading_once_afterwards(
    store: DuckDBStore, victoria_metrics: VictoriaMetrics
):
    async def run() -> tuple[int, list[Any]]:
        sink = _sink(store, victoria_metrics.url, batch=500)
        count = 0
        loop = asyncio.get_running_loop()

        async def load(seconds: float) -> None:
            nonlocal count
            end = loop.time() + seconds
            while loop.time() < end:
                batch = mixed(count, 200, first=count)
                count += 200
                await asyncio.to_thread(store.commit, results(batch))
                await asyncio.sleep(0.02)

        with capture_logs() as logs:
            async with _running(sink):
                await load(1)
                await asyncio.gather(asyncio.to_thread(victoria_metrics.stop), load(OUTAGE))
                assert not sink.connected
                assert sink.lag > 0
                await asyncio.gather(asyncio.to_thread(victoria_metrics.start), load(1))
                await _until(lambda: sink.lag == 0)
                assert sink.connected
        return count, logs

    count, logs = asyncio.run(run())
    assert _offsets(victoria_metrics) == list(range(count))
    # One line when it goes and one when it is back, not one a try.
    events = [entry["event"] for entry in logs]
    assert events.count("sink delivers again") == events.count(
        "sink cannot deliver, it tries again"
    )


def test_a_restarted_sink_goes_on_where_it_was(
    store: DuckDBStore, victoria_metrics: VictoriaMetrics
):
    async def run() -> list[int]:
        written = []
        for first in (0, 100):
            store.commit(results([reading(n) for n in range(first, first + 100)]))
            sink = _sink(store, victoria_metrics.url)
            async with _running(sink):
                await _until(lambda sink=sink: sink.position == store.position)
            written.append(sink.written)
        return written

    assert asyncio.run(run()) == [100, 100]
    assert _offsets(victoria_metrics) == list(range(200))


class Refusing:
    """A server with InfluxDB's write call: refuses some lines, or answers what it is told."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.requests = 0
        self.largest = 0
        self.headers: dict[str, str] = {}
        self.answers: list[tuple[int, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = outer.decide(dict(self.headers), body)
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """The test says what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def decide(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.requests += 1
        self.headers = headers
        if self.answers:
            status, extra = self.answers.pop(0)
            return status, extra, b'{"code":"unavailable","message":"not now"}'
        lines = gzip.decompress(body).decode().splitlines()
        self.largest = max(self.largest, len(lines))
        bad = [line for line in lines if "device_id=bad" in line]
        if bad:
            message = f'failure writing points: field type conflict on "{bad[0][:30]}"'
            said = json.dumps({"code": "unprocessable entity", "message": message})
            return (422 if "bad-422" in bad[0] else 400), {}, said.encode()
        self.accepted.update(lines)
        return 204, {}, b""

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def refusing() -> Iterator[Refusing]:
    server = Refusing()
    yield server
    server.close()


def test_refused_rows_go_to_quarantine_with_the_databases_words_and_the_rest_arrives(
    store: DuckDBStore, refusing: Refusing
):
    bad = {17: "bad-1", 18: "bad-422", 900: "bad-3"}
    store.commit(results([reading(n, device_id=bad.get(n, f"w-{n}")) for n in range(1000)]))

    async def run() -> InfluxSink:
        sink = _sink(store, refusing.url, batch=400)
        async with _running(sink):
            await _until(lambda: sink.lag == 0)
        return sink

    sink = asyncio.run(run())
    assert (sink.written, sink.refused) == (997, 3)
    assert len(refusing.accepted) == 997
    assert refusing.largest == 400
    # Three rows of 1,000: bisecting costs about 2·log2(400) requests a row, not one a row.
    assert refusing.requests < 70
    rows = [row.message for row in store.quarantine(stage="sink:influx")]
    assert [row.ledger_offset for row in rows] == [17, 18, 900]
    assert {row.reason for row in rows} == {"refused"}
    assert rows[0].detail.endswith('400: failure writing points: field type conflict on '
                                   '"water_meter,device_id=bad-1,ev"')  # fmt: skip
    assert " 422: " in rows[1].detail
    assert rows[0].payload.startswith(b"water_meter,device_id=bad-1,event=periodic")
    assert store.sink_position("influx") == 1000


def test_a_flag_that_the_database_refuses_goes_to_quarantine(
    store: DuckDBStore, refusing: Refusing
):
    store.commit(results(flags=[flag(1, device_id="bad-1"), flag(2)]))

    async def run() -> None:
        async with _running(_sink(store, refusing.url)):
            await _until(lambda: store.sink_position("influx:flags") == 2)

    asyncio.run(run())
    (row,) = store.quarantine(stage="sink:influx")
    assert (row.message.device_id, row.message.reason) == ("bad-1", "refused")
    assert row.message.payload.startswith(b"flag,code=register_decrease,device_id=bad-1")
    assert len(refusing.accepted) == 1


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_an_answer_that_is_not_about_the_rows_is_tried_again(
    store: DuckDBStore, refusing: Refusing, status: int
):
    store.commit(results([reading(n) for n in range(10)]))
    refusing.answers = [(status, {})] * 3

    async def run() -> InfluxSink:
        sink = _sink(store, refusing.url)
        async with _running(sink):
            await _until(lambda: sink.lag == 0)
        return sink

    assert asyncio.run(run()).refused == 0
    assert len(refusing.accepted) == 10
    assert refusing.requests == 4


@pytest.mark.parametrize("asked", ["1", "date"])
def test_retry_after_is_honoured(store: DuckDBStore, refusing: Refusing, asked: str):
    store.commit(results([reading(0)]))
    header = asked if asked == "1" else formatdate(1_000_001, usegmt=True)
    refusing.answers = [(429, {"Retry-After": header})]

    async def run() -> float:
        sink = _sink(store, refusing.url, clock=lambda: 1_000_000.0)
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with _running(sink):
            await _until(lambda: sink.lag == 0)
        return loop.time() - started

    assert 0.95 < asyncio.run(run()) < 5


def test_a_sink_can_be_closed_while_its_database_is_away(store: DuckDBStore):
    store.commit(results([reading(0)]))

    async def run() -> InfluxSink:
        sink = _sink(store, f"http://127.0.0.1:{free_port()}", first_wait=30, longest_wait=60)
        async with _running(sink):
            await _until(lambda: sink.last_error is not None)
        return sink

    sink = asyncio.run(run())
    assert sink.lag == 1
    assert store.sink_position("influx") == 0


def test_the_token_is_sent_but_never_shown(store: DuckDBStore, refusing: Refusing):
    store.commit(results([reading(0)]))
    refusing.answers = [(401, {})]

    async def run() -> InfluxSink:
        sink = _sink(store, refusing.url)
        async with _running(sink):
            await _until(lambda: sink.last_error is not None)
            shown.append(str(sink.last_error))
            await _until(lambda: sink.lag == 0)
        return sink

    shown: list[str] = []
    with capture_logs() as logs:
        sink = asyncio.run(run())
    shown += [repr(sink), str(logs)]
    assert "answered 401: not now" in shown[0]
    assert not any("s3cr3t" in text for text in shown)
    assert refusing.headers["Content-Encoding"] == "gzip"
    assert "s3cr3t-token" in refusing.headers["Authorization"]


def test_a_point_written_again_is_the_same_point(
    store: DuckDBStore, victoria_metrics: VictoriaMetrics
):
    store.commit(results([reading(n, measured_at=START + n * 10**9) for n in range(50)]))

    async def run() -> None:
        for name in ("one", "two"):
            sink = _sink(store, victoria_metrics.url, name=name)
            async with _running(sink):
                await _until(lambda sink=sink: sink.position == 50)

    asyncio.run(run())
    assert _offsets(victoria_metrics) == list(range(50))


@pytest.mark.parametrize(
    "url", ["http://user:hunter2@db:8086", "db:8086", "http://db/?token=hunter2"]
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused_without_showing_it(
    store: DuckDBStore, url: str
):
    with pytest.raises(ConfigError, match="sink influx: url: ") as refusal:
        _sink(store, url)
    assert "hunter2" not in str(refusal.value)
