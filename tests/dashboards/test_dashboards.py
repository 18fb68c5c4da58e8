"""The dashboards are current and sound, and each of their queries answers on a real database."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.alerts.spec import AlertState
from gateway.dashboards.__main__ import TAG, files
from gateway.dashboards.units import REGISTERS, unit
from gateway.messages import LANGUAGES
from gateway.metrics import StatusCollector
from gateway.quantities import BY_NAME, KINDS, export_key
from gateway.records import Flag, Reading
from gateway.status import Balance, LedgerStatus, ProcessingStatus, SourceStatus, Status
from gateway.store.duckdb import DuckDBStore
from gateway.store.influx import InfluxSink
from gateway.store.lines import ReadingLines, flag_line
from gateway.times import SECOND
from gateway.worker_messages import SinkState
from tests.databases import InfluxDB, VictoriaMetrics
from tests.store.made import flag, reading, results

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2] / "deploy" / "grafana"
FILES = files()
BOARDS = {str(path): json.loads(text) for path, text in FILES.items()}
MINUTE = 60 * SECOND
# A while ago: VictoriaMetrics hides what is younger than half a minute.
NOW = time.time_ns() // MINUTE * MINUTE - 5 * MINUTE
PUMP, TANK = "pump'1", "tank-1"
PROM_LIKE = {
    "$__rate_interval": "5m", "$__interval_ms": "60000", "$__interval": "1m", "$__range": "6h",
    "$find": "",
}  # fmt: skip


# What is written


def value(quantity, step):
    if quantity.type == "text":
        return "open"
    if quantity.type == "flag":
        return step % 2 == 0
    if quantity.type == "time":
        return NOW - step * MINUTE
    return 100.25 + step


def readings() -> list[Reading]:
    """Of each kind a device that has told every quantity there is, for some hours."""
    made = []
    for kind, quantities in KINDS.items():
        device = PUMP if kind == "fuel_dispenser" else f"{kind}-1"
        for step in range(30):
            at = NOW - step * 10 * MINUTE
            values = {quantity.name: value(quantity, step) for quantity in quantities}
            made.append(
                reading(
                    len(made), device_id=device, kind=kind, channel="1", currency="CNY",
                    event="transaction" if kind == "fuel_dispenser" else "periodic",
                    measured_at=at, received_at=at, status=("leak",), quantities=values,
                )
            )  # fmt: skip
    for step in range(30):
        at = NOW - step * 10 * MINUTE
        levels = {"tank_volume": 9000.0 + step, "tank_temperature": 11.0, "water_height": 3.0}
        made.append(
            reading(
                len(made), device_id=TANK, kind="fuel_dispenser", channel="92",
                measured_at=at, received_at=at, quantities=levels,
            )
        )  # fmt: skip
    return made


def flags() -> list[Flag]:
    """Three of each kind, of two codes and two severities; and one that goes on."""
    made = []
    for kind in KINDS:
        device = PUMP if kind == "fuel_dispenser" else f"{kind}-1"
        for number in range(3):
            at = NOW - (number + 1) * 30 * MINUTE
            made.append(
                flag(
                    len(made), kind=kind, device_id=device, since=at, until=at, measured_at=at,
                    severity="major" if number else "critical",
                    code="register_decrease" if number else "tamper_alarm",
                )
            )  # fmt: skip
    return made


def status(step: int) -> Status:
    """A gateway at work, as it stands after so many steps."""
    return Status(
        name="north", version="0", state="online", at="", started_at="",
        received=100 * step, appended=100 * step,
        messages=Balance(100 * step, 90 * step, 5 * step, 3 * step, 2 * step, 0),
        balance="ok", readings=90 * step, duplicate_readings=0, flags=step,
        ledger=LedgerStatus("open", 0, 100 * step, 4096 * step),
        processing=ProcessingStatus("running", 100 * step, 0.1, 1, None, {}),
        sources=(SourceStatus("main", True, 2, None),),
        sinks=(SinkState("influx", 90 * step, 7, 0, None),),
        alerts=(AlertState("duty", "webhook", queued=2, dead=1, sent=step),),
    )  # fmt: skip


def exposition(step: int, at_ms: int) -> bytes:
    """What a scrape would have given then, with its time."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(lambda: status(step)))
    lines = generate_latest(registry).decode().splitlines()
    return "\n".join(f"{x} {at_ms}" for x in lines if not x.startswith("#")).encode() + b"\n"


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    """A VictoriaMetrics that a real sink has written to, and that has scraped a gateway."""
    folder = tmp_path_factory.mktemp("victoria")
    server = VictoriaMetrics(folder)
    server.start()
    store = DuckDBStore(folder / "store.duckdb")
    store.commit(results(readings(), flags(), next_offset=1_000))

    async def write() -> None:
        sink = InfluxSink(
            store, name="influx", url=server.url, token="t", bucket="metering",
            random=Random(1), poll=0.02,
        )  # fmt: skip
        running = asyncio.create_task(sink.run())
        async with asyncio.timeout(20):
            while store.sink_position("influx:flags") < store.change or sink.lag:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await sink.close()
        await running

    asyncio.run(write())
    store.close()
    for step in range(60):
        body = exposition(step, NOW // 10**6 - (60 - step) * 15_000)
        request = urllib.request.Request(f"{server.url}/api/v1/import/prometheus", body)
        urllib.request.urlopen(request, timeout=10).close()
    server.series("nothing")  # flushes
    yield server
    server.stop()


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    """An InfluxDB with the lines that the sink writes."""
    server = InfluxDB(tmp_path_factory.mktemp("influx"))
    server.start()
    lines = ReadingLines()
    server.write([*map(lines.line, readings()), *map(flag_line, flags())])
    yield server
    server.stop()


# What is asked


def targets(backend: str) -> list[Any]:
    """Each query of the dashboards of a database, with what it is asked for."""
    return [
        pytest.param(panel, target, id=f"{board['uid']}-{panel['id']}{target['refId']}")
        for name, board in BOARDS.items()
        if name.startswith(f"dashboards/{backend}/en")
        for panel in board["panels"]
        for target in panel["targets"]
        if backend == "victoriametrics" or target["datasource"]["type"] == "influxdb"
    ]


def board_of(panel: dict[str, Any], backend: str) -> str:
    return next(
        board["uid"]
        for name, board in BOARDS.items()
        if name.startswith(f"dashboards/{backend}/en") and panel in board["panels"]
    )


def filled(text: str, uid: str) -> str:
    """A query as Grafana would send it."""
    kind = uid.removeprefix("metering-device-").replace("-", "_")
    device = PUMP if kind == "fuel_dispenser" else f"{kind}-1"
    for macro, instead in PROM_LIKE.items():
        text = text.replace(macro, instead)
    for name, chosen in (("pumps", PUMP), ("tanks", TANK), ("device", device)):
        text = text.replace(f"${{{name}:regex}}", re.escape(chosen))
        text = text.replace(f"'${name}'", "'" + chosen.replace("'", "\\'") + "'")
        text = text.replace(f'"${name}"', f'"{chosen}"')
    return text.replace("$timeFilter", f"time >= {NOW - 6 * 60 * MINUTE} AND time <= {NOW}")


def answered(server: VictoriaMetrics, expr: str, *, latest: bool) -> list[dict[str, Any]]:
    query: dict[str, Any] = {"query": expr}
    end = NOW // SECOND
    if latest:
        path, query["time"] = "query", end
    else:
        path, query["start"], query["end"], query["step"] = "query_range", end - 21_600, end, 60
    url = f"{server.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        pytest.fail(f"{expr}: {error.read().decode()}")
    assert found["status"] == "success"
    result: list[dict[str, Any]] = found["data"]["result"]
    return result


@pytest.mark.parametrize(("panel", "target"), targets("victoriametrics"))
def test_each_query_answers_on_a_database_that_the_sink_has_written_to(victoria, panel, target):
    expr = filled(target["expr"], board_of(panel, "victoriametrics"))
    assert not re.search(r"\$[a-z_{]", expr)
    found = answered(victoria, expr, latest=target["instant"])
    assert found, expr
    legend = target["legendFormat"]
    for name in re.findall(r"\{\{(\w+)\}\}", legend):
        assert all(name in series["metric"] for series in found), (legend, found[0]["metric"])


@pytest.mark.parametrize(("panel", "target"), targets("influxdb"))
def test_each_query_answers_in_influxql(influx, panel, target):
    query = filled(target["query"], board_of(panel, "influxdb"))
    assert not re.search(r"\$[a-z_{]", query)
    found = influx.query(query)
    assert found, query
    for name in re.findall(r"\$tag_(\w+)", target["alias"]):
        assert all(series["tags"].get(name) for series in found), (target["alias"], found[0])


def variables(backend: str) -> list[tuple[str, str]]:
    return [
        (board["uid"], variable["definition"])
        for name, board in BOARDS.items()
        if name.startswith(f"dashboards/{backend}/en")
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ]


def test_devices_can_be_chosen(victoria, influx):
    for uid, text in variables("victoriametrics"):
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", text).groups()
        found = answered(victoria, filled(series, uid), latest=False)
        assert {one["metric"][label] for one in found} >= {
            PUMP if uid in ("metering-station", "metering-device-fuel-dispenser")
            else filled('"$device"', uid).strip('"'),
        }  # fmt: skip
    for uid, text in variables("influxdb"):
        (series,) = influx.query(filled(text, uid))
        assert series["columns"] == ["key", "value"]


def asked(backend, uid, title):
    """The first query of a panel, as Grafana would send it."""
    board = BOARDS[f"dashboards/{backend}/en/{uid}.json"]
    (panel,) = [panel for panel in board["panels"] if panel["title"] == title]
    target = panel["targets"][0]
    return filled(target.get("expr") or target["query"], uid)


OVERVIEW, STATION = "metering-overview", "metering-station"
WATER = "metering-device-water-meter"


def test_flags_are_counted_once(victoria, influx):
    expr = asked("victoriametrics", OVERVIEW, "Flags by severity")
    found = answered(victoria, expr, latest=True)
    told = {one["metric"]["severity"]: float(one["value"][1]) for one in found}
    assert told == {"critical": len(KINDS), "major": 2 * len(KINDS)}
    series = influx.query(asked("influxdb", OVERVIEW, "Flags by severity"))
    assert {one["tags"]["severity"]: one["values"][0][1] for one in series} == told


def test_devices_are_counted_once(victoria, influx):
    (one,) = answered(victoria, asked("victoriametrics", OVERVIEW, "Devices heard"), latest=True)
    (other,) = influx.query(asked("influxdb", OVERVIEW, "Devices heard"))
    assert float(one["value"][1]) == other["values"][0][1] == 2  # fuel: the pump and the tank


def test_what_was_sold_in_an_hour_is_the_sum_of_its_sales(victoria, influx):
    title = "Sold by nozzle, an hour"
    (one,) = answered(victoria, asked("victoriametrics", STATION, title), latest=True)
    assert float(one["value"][1]) == sum(100.25 + step for step in range(6))
    (other,) = influx.query(asked("influxdb", STATION, title))
    total = sum(value for _, value in other["values"])
    assert total == sum(100.25 + step for step in range(30))


def test_the_time_last_heard_is_that_of_the_last_message(victoria, influx):
    title = "Last heard"
    (one,) = answered(victoria, asked("victoriametrics", WATER, title), latest=True)
    (other,) = influx.query(asked("influxdb", WATER, title))
    assert float(one["value"][1]) == pytest.approx(NOW / 1e6, abs=1)
    assert other["values"][0][1] == pytest.approx(NOW / 1e6, abs=1)


def test_what_a_tank_has_lost_in_an_hour_is_seen(victoria, influx):
    # The level falls by 1 L each 10 minutes.
    expr = filled('-sum(delta(fuel_dispenser_tank_volume_l{device_id=~"$tanks"}[1h]))', STATION)
    board = BOARDS[f"dashboards/victoriametrics/en/{STATION}.json"]
    assert expr in [filled(t["expr"], STATION) for p in board["panels"] for t in p["targets"]]
    (one,) = answered(victoria, expr, latest=True)
    assert float(one["value"][1]) == pytest.approx(6, abs=1)
    board = BOARDS[f"dashboards/influxdb/en/{STATION}.json"]
    (panel,) = [p for p in board["panels"] if p["title"].startswith("Wet stock")]
    (other,) = influx.query(filled(panel["targets"][1]["query"], STATION))
    assert {value for _, value in other["values"][1:-1]} == {6.0}


# What they are


def test_the_files_are_those_that_the_program_makes_now():
    there = {path.relative_to(ROOT): path.read_text("utf-8") for path in ROOT.rglob("*.json")}
    assert there == FILES, "make docs"


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_sound(name):
    board = BOARDS[name]
    panels = board["panels"]
    assert board["uid"] == Path(name).stem
    assert len(board["uid"]) <= 40
    assert board["tags"] == [TAG]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0
    named = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]+)", json.dumps(board))) - {"tag", "timeFilter", "time"}
    assert used <= named


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_has_a_panel_for_every_quantity(kind):
    for backend in ("victoriametrics", "influxdb"):
        name = f"dashboards/{backend}/en/metering-device-{kind.replace('_', '-')}.json"
        text = json.dumps(BOARDS[name])
        for quantity in KINDS[kind]:
            if quantity.type != "text" or backend == "influxdb":
                assert re.search(rf"\b(?:{kind}_)?{export_key(quantity)}\b", text), quantity.name


def test_both_languages_have_the_same_dashboards_and_neither_has_words_of_the_other():
    for backend in ("victoriametrics", "influxdb"):
        names = [
            {Path(name).name for name in BOARDS if name.startswith(f"dashboards/{backend}/{each}/")}
            for each in LANGUAGES
        ]
        assert names[0] == names[1]
        assert len(names[0]) == 3 + len(KINDS)
    english = "".join(text for path, text in FILES.items() if path.parts[2] == "en")
    assert not re.search(r"[\u4e00-\u9fff]", english)


def test_every_unit_has_a_name_and_registers_are_quantities():
    known = {name for quantities in BY_NAME.values() for name in quantities}
    assert known >= REGISTERS
    assert all(unit(each) for quantities in KINDS.values() for each in quantities)
