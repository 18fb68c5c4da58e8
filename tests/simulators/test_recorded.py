"""Series measured in the world become captures without losing their oddities."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from simulators.capture import BadLine
from simulators.recorded import nyc_taxi, water_flow

CORPORA = Path(os.environ.get("CORPORA", Path(__file__).parents[3] / "shared" / "corpora"))
TRIPS = CORPORA / "series" / "nyc-taxi-trips.csv"
FLOW = CORPORA / "series" / "water-flow.csv"

HEAD = (
    "pickup,dropoff,passengers,distance,fare,tip,tolls,total,color,payment,pickup_zone,dropoff_zone"
)


def trips_file(tmp_path, *rows):
    path = tmp_path / "trips.csv"
    path.write_text("\n".join([HEAD, *rows, ""]))
    return str(path)


def flow_file(tmp_path, *rows):
    path = tmp_path / "flow.csv"
    path.write_text("\n".join(["Time,Water flow [l/s]", *rows, ""]))
    return str(path)


def row(pickup, dropoff, colour="yellow", payment="cash"):
    return (
        f"2019-03-09 {pickup},2019-03-09 {dropoff},1,1.6,7.0,2.15,0.0,12.95,{colour},{payment},A,B"
    )


def payloads(recorded):
    return [json.loads(message.payload) for message in recorded.messages]


def test_trips_go_to_the_lowest_free_taxi_of_their_colour(tmp_path):
    found = payloads(
        nyc_taxi(
            trips_file(
                tmp_path,
                row("10:05:00", "10:20:00"),
                row("10:00:00", "10:10:00"),
                row("10:10:00", "10:30:00"),
                row("10:00:00", "10:01:00", "green"),
            )
        )
    )
    assert [(trip["taxi"], trip["trip"], trip["pickup"][11:]) for trip in found] == [
        ("green-0001", 1, "10:00:00"),
        ("yellow-0001", 1, "10:00:00"),
        ("yellow-0002", 1, "10:05:00"),
        ("yellow-0001", 2, "10:10:00"),
    ]


def test_a_trip_keeps_its_own_fields_and_what_is_empty_is_left_out(tmp_path):
    recorded = nyc_taxi(trips_file(tmp_path, row("10:05:00", "10:20:00", payment="")))
    [message] = recorded.messages
    assert message.topic == "nyc-tlc/yellow-0001/trips"
    assert json.loads(message.payload) == {
        "taxi": "yellow-0001", "trip": 1, "pickup": "2019-03-09 10:05:00",
        "dropoff": "2019-03-09 10:20:00", "passengers": 1, "distance": 1.6, "fare": 7.0,
        "tip": 2.15, "tolls": 0.0, "total": 12.95, "color": "yellow", "pickup_zone": "A",
        "dropoff_zone": "B",
    }  # fmt: skip
    # 10:20 in New York in winter is 15:20 UTC
    assert message.received_at == 1_552_144_800_000 + 2_000
    assert recorded.registry[0]["parameters"]["currency"] == "USD"


def test_flow_is_integrated_by_trapezoids_and_runs_on_through_gaps(tmp_path):
    recorded = water_flow(
        flow_file(
            tmp_path,
            "2022-03-20T11:00:00+01:00,100.0",
            "2022-03-20T12:00:00+01:00,101.01",
            "2022-03-20T15:00:00+01:00,99.0",
        ),
        "440100",
    )
    found = payloads(recorded)
    assert [body["volume"] for body in found] == [0.0, 361.818, 1441.872]
    assert [body["flow_rate"] for body in found] == [360.0, 363.636, 356.4]
    assert [body["seq"] for body in found] == [1, 2, 3]
    assert found[0]["ts"] == 1_647_770_400_000
    assert recorded.messages[0].topic == "meters/440100/water_meter/wm-recorded-branch/up"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["2022-03-20T11:00:00+01:00,-"], "line 2: Water flow"),
        (["2022-03-20T11:00:00+01:00,NaN"], "line 2: Water flow"),
        (["2022-03-20T11:00:00,1.0"], "line 2: a time with its zone"),
        (
            ["2022-03-20T11:00:00+01:00,1.0", "2022-03-20T10:00:00+01:00,1.0"],
            "line 3: .* not after",
        ),
        (["2022-03-20T11:00:00+01:00"], "line 2: a row must have 2 fields"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path, rows, told):
    with pytest.raises(BadLine, match=told):
        water_flow(flow_file(tmp_path, *rows), "110000")


def test_another_file_than_the_series_is_refused(tmp_path):
    with pytest.raises(BadLine, match="line 1: no column pickup"):
        nyc_taxi(flow_file(tmp_path))


@pytest.mark.corpora
@pytest.mark.skipif(not TRIPS.exists(), reason="the corpora are not here (CORPORA=DIR)")
def test_every_real_trip_is_in_the_capture_once_and_no_taxi_drives_two():
    found = payloads(nyc_taxi(str(TRIPS)))
    with TRIPS.open() as stream:
        rows = list(csv.DictReader(stream))
    key = ("pickup", "dropoff", "fare", "total")
    assert sorted(tuple(str(trip[name]) for name in key) for trip in found) == sorted(
        tuple(line[name] for name in key) for line in rows
    )
    taxis = defaultdict(list)
    for trip in found:
        taxis[trip["taxi"]].append(trip)
    for trips in taxis.values():
        assert [trip["trip"] for trip in trips] == list(range(1, len(trips) + 1))
        assert all(a["dropoff"] <= b["pickup"] for a, b in pairwise(trips))


@pytest.mark.corpora
@pytest.mark.skipif(not FLOW.exists(), reason="the corpora are not here (CORPORA=DIR)")
def test_the_real_flow_makes_a_register_that_only_grows_to_the_integral():
    found = payloads(water_flow(str(FLOW), "110000"))
    assert len(found) == 1268
    assert all(a["volume"] < b["volume"] for a, b in pairwise(found))
    with FLOW.open() as stream:
        flows = [Decimal(line["Water flow [l/s]"]) for line in csv.DictReader(stream)]
    litres = sum(
        (f + g) / 2 * (b["ts"] - a["ts"]) / 1000
        for (f, g), (a, b) in zip(pairwise(flows), pairwise(found), strict=True)
    )
    assert Decimal(repr(found[-1]["volume"])) == (litres / 1000).quantize(
        Decimal("0.001"), ROUND_HALF_UP
    )
