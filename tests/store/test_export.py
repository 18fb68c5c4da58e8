"""Exports: the keys of interface.md, exact numbers, nothing absent, nothing a spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from gateway.errors import StoreError
from gateway.store import export
from gateway.store.duckdb import DuckDBStore
from tests.store.made import SECOND, START, flag, quarantined, reading, results, sale

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TITLES = {"register_decrease": {"en": "Register fell", "zh": "示数减少"}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "store.duckdb")
    yield opened
    opened.close()


def _readings(store: DuckDBStore, format_: str, **choice: Any) -> bytes:
    out = io.BytesIO()
    export.export_readings(store, out, format_, **choice)
    return out.getvalue()


def _lines(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_sale_has_exactly_the_keys_of_the_interface_in_order(store: DuckDBStore):
    made = sale(4, volume=30.5, unit_price=7.9, amount=240.95, product="92", started_at=START + 1)
    store.commit(results([made]))
    text = _readings(store, "jsonl").decode()
    assert text == (
        '{"device_id":"f-1","kind":"fuel_dispenser","event":"transaction","channel":"1",'
        '"measured_at":"2023-11-14T22:13:24.000Z","received_at":"2023-11-14T22:13:24.005Z",'
        '"sequence":4,"quality":"raw","profile":"fuel/reference@1.0.0","ledger_offset":4,'
        '"volume_l":30.5,"unit_price_cny_per_l":7.9,"amount_cny":240.95,"product":"92",'
        '"started_at":"2023-11-14T22:13:20.000000001Z"}\n'
    )


def test_what_is_absent_is_left_out_and_a_true_zero_stays(store: DuckDBStore):
    made = reading(0, sequence=None, quantities={"volume": 0.0, "pressure": None})
    store.commit(results([made]))
    (record,) = _lines(_readings(store, "jsonl"))
    assert record["volume_m3"] == 0
    assert not {"sequence", "channel", "status", "pressure_kpa", "temperature_cel"} & set(record)


def test_status_words_are_a_list_and_money_carries_its_currency(store: DuckDBStore):
    alarm = reading(0, event="alarm", status=("leak", "tilt"), quantities={})
    ride = reading(1, kind="taximeter", currency="USD", quantities={"fare": 12.5, "occupied": True})
    store.commit(results([alarm, ride]))
    first, second = _lines(_readings(store, "jsonl"))
    assert first["status"] == ["leak", "tilt"]
    assert (second["fare_usd"], second["occupied"]) == (12.5, True)


@pytest.mark.parametrize(
    ("value", "text"),
    [(5.0, "5"), (0.1, "0.1"), (1e-6, "1e-6"), (123456789012.34, "123456789012.34")],
)
def test_numbers_are_written_in_their_shortest_form(store: DuckDBStore, value: float, text: str):
    store.commit(results([sale(0, volume=value, amount=value)]))
    exported = _readings(store, "jsonl").decode().replace("e-06", "e-6")
    assert f'"volume_l":{text},"amount_cny":{text}}}' in exported


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (START, "2023-11-14T22:13:20.000Z"),
        (START + 120_000_000, "2023-11-14T22:13:20.120Z"),
        (START + 1_000, "2023-11-14T22:13:20.000001Z"),
        (START + 1, "2023-11-14T22:13:20.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_times_are_rfc_3339_with_the_digits_they_have(ns: int, text: str):
    assert export.rfc3339(ns) == text


def test_readings_are_chosen_before_they_are_written(store: DuckDBStore):
    store.commit(results([reading(n) for n in range(20)]))
    text = _readings(store, "jsonl", device_id="w-2", since=START + 3 * SECOND)
    assert [record["ledger_offset"] for record in _lines(text)] == [9, 16]


def test_flags_carry_title_span_and_evidence_and_withdrawn_ones_do_not_appear(
    store: DuckDBStore,
):
    store.commit(results(flags=[flag(0), flag(1, status="withdrawn")]))
    out = io.BytesIO()
    assert export.export_flags(store, out, "jsonl", titles=TITLES) == 1
    (record,) = _lines(out.getvalue())
    assert record == {
        "id": "flag-0",
        "device_id": "w-0",
        "kind": "water_meter",
        "code": "register_decrease",
        "severity": "major",
        "measured_at": "2023-11-14T22:13:20.000Z",
        "from": "2023-11-14T22:13:20.000Z",
        "to": "2023-11-14T22:13:30.000Z",
        "evidence": {"observed": 1.5, "expected": 2, "unit": "m3"},
        "basis": "JJG 162-2019",
        "title": {"en": "Register fell", "zh": "示数减少"},
        "profile": "water/reference@1.0.0",
        "ledger_offset": 0,
        "status": "open",
    }


def test_quarantine_shows_text_as_text_and_bytes_as_base64(store: DuckDBStore):
    cut_character = b"a" * 65_535 + "中".encode()
    store.commit(
        results(
            quarantine=[
                quarantined(0, payload="读数".encode()),
                quarantined(1, payload=b"\xff\x00", device_id="w-1", profile="p@1"),
                quarantined(2, payload=cut_character),
            ]
        )
    )
    out = io.BytesIO()
    export.export_quarantine(store, out, "jsonl")
    text, binary, cut = _lines(out.getvalue())
    assert list(text) == [
        "ledger_offset", "received_at", "topic", "stage", "reason", "detail", "payload",
        "payload_size",
    ]  # fmt: skip
    assert text["payload"] == "读数"
    assert (binary["payload_base64"], binary["device_id"], binary["profile"]) == (
        "/wA=",
        "w-1",
        "p@1",
    )
    assert "payload" not in binary
    assert (cut["payload"], cut["payload_size"]) == ("a" * 65_535, 65_538)


def test_devices_are_listed_with_their_counts(store: DuckDBStore):
    store.commit(results([reading(0), reading(7)], [flag(1)]))
    out = io.BytesIO()
    export.export_devices(store, out, "jsonl")
    assert _lines(out.getvalue()) == [
        {
            "device_id": "w-0",
            "kind": "water_meter",
            "profile": "water/reference@1.0.0",
            "first_measured_at": "2023-11-14T22:13:20.000Z",
            "last_measured_at": "2023-11-14T22:13:27.000Z",
            "readings": 2,
            "flags": 0,
        },
        {
            "device_id": "w-1",
            "kind": "water_meter",
            "profile": "water/reference@1.0.0",
            "readings": 0,
            "flags": 1,
        },
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("＝1+1", "'＝1+1"),
        ("＋1", "'＋1"),
        ("－1+cmd", "'－1+cmd"),
        ("＠SUM(A1)", "'＠SUM(A1)"),
        ("\n=1+1", "'\n=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("-12.5", "-12.5"),
        ("+86", "+86"),
        ("plain, with a comma", "plain, with a comma"),
    ],
)
def test_csv_runs_no_formula_of_a_device(store: DuckDBStore, given: str, shown: str):
    store.commit(results([reading(0, device_id=given)]))
    (row,) = csv.DictReader(io.StringIO(_readings(store, "csv").decode(), newline=""))
    assert row["device_id"] == shown


def test_csv_has_a_column_for_every_quantity_and_currency_and_empty_cells_for_nothing(
    store: DuckDBStore,
):
    yen = sale(2, amount=730.0)
    yen = reading(2, kind="fuel_dispenser", currency="JPY", quantities=yen.quantities)
    low = reading(0, quantities={"volume": -1.5}, status=("leak", "tilt"))
    store.commit(results([low, sale(1, amount=-2.5), yen]))
    first, second, third = csv.DictReader(io.StringIO(_readings(store, "csv").decode(), newline=""))
    assert (first["volume_m3"], first["volume_l"], first["status"]) == ("-1.5", "", "leak,tilt")
    assert (second["amount_cny"], second["amount_jpy"]) == ("-2.5", "")
    assert (third["amount_cny"], third["amount_jpy"]) == ("", "730")
    only_water = _readings(store, "csv", kind="water_meter").decode().splitlines()[0]
    assert "volume_m3" in only_water
    assert "amount_cny" not in only_water


def test_an_empty_table_still_has_its_header(store: DuckDBStore):
    assert _readings(store, "csv").startswith(b"device_id,kind,event,channel,measured_at")


def test_parquet_keeps_types_money_exact_and_times_to_the_nanosecond(
    store: DuckDBStore, tmp_path: Path
):
    made = sale(0, volume=1.5, amount=123456789012.34, started_at=START + 1, product="92")
    store.commit(results([made, reading(1, status=("leak",))], [flag(0)]))
    table = pq.read_table(io.BytesIO(_readings(store, "parquet")))
    # A Python datetime cannot hold nanoseconds: times are looked at below.
    rows = table.drop_columns(["started_at"]).to_pylist()
    assert rows[0]["amount_cny"] == Decimal("123456789012.340000")
    assert str(table.schema.field("amount_cny").type) == "decimal128(18, 6)"
    assert table.column("started_at")[0].value == START + 1
    assert str(table.schema.field("measured_at").type) == "timestamp[ns, tz=UTC]"
    assert (rows[0]["volume_m3"], rows[1]["volume_m3"], rows[1]["status"]) == (None, 1.25, "leak")
    path = tmp_path / "flags.parquet"
    with path.open("wb") as out:
        export.export_flags(store, out, "parquet", titles=TITLES)
    (row,) = pq.read_table(path).to_pylist()
    assert (row["title_zh"], row["code"]) == ("示数减少", "register_decrease")
    assert json.loads(row["evidence"])["unit"] == "m3"


def test_line_protocol_names_measurement_tags_and_fields_with_units(store: DuckDBStore):
    made = sale(4, volume=30.5, amount=240.95, product='9"2\\', started_at=START)
    store.commit(results([made, reading(5, event="alarm", status=("leak",), quantities={})]))
    first, second = _readings(store, "lp").decode().splitlines()
    assert first == (
        "fuel_dispenser,channel=1,device_id=f-1,event=transaction,profile=fuel/reference@1.0.0 "
        'volume_l=30.5,amount_cny=240.95,product="9\\"2\\\\",started_at=1700000000000000000i,'
        'sequence=4i,quality="raw",received_at=1700000004005000000i,ledger_offset=4i '
        "1700000004000000000"
    )
    assert 'status="leak"' in second


def test_line_protocol_lets_no_device_write_beyond_its_tag(store: DuckDBStore):
    hostile = "a b,c=d\\\nwater_meter,device_id=other volume_m3=0 1"
    store.commit(results([reading(0, device_id=hostile)]))
    text = _readings(store, "lp").decode()
    assert text.count("\n") == 1
    assert (
        "device_id=a\\ b\\,c\\=d%5C%0Awater_meter\\,device_id\\=other\\ volume_m3\\=0\\ 1,event="
        in text
    )


def test_flags_are_points_and_what_is_no_series_is_refused(store: DuckDBStore):
    store.commit(results(flags=[flag(0)]))
    out = io.BytesIO()
    export.export_flags(store, out, "lp", titles=TITLES)
    assert out.getvalue().startswith(b"flag,code=register_decrease,device_id=w-0,kind=water_meter")
    with pytest.raises(StoreError, match="lp is for readings and flags"):
        export.export_devices(store, out, "lp")
    with pytest.raises(StoreError, match="'xml' is none of jsonl, csv, parquet, lp"):
        export.export_readings(store, out, "xml")
