"""Replay, export, reprocess: a capture goes in, what it says comes out."""

import csv
import json
import os
import subprocess
import sys

import pytest

from gateway.checks.window import LAST, SPAN
from gateway.store.duckdb import DuckDBStore
from gateway.times import rfc3339
from tests.cli.conftest import BEGIN, ONE_PROFILE, capture, reading


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_replay_says_what_came_of_it(gateway, tmp_path):
    records = [reading(0), reading(1), reading(2, energy=50.0), reading(3) | {"topic": "x"}]
    file = capture(tmp_path / "c.jsonl", records)
    result = gateway("replay", file, *ONE_PROFILE, "--data", tmp_path / "data", "--json")
    summary = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (summary["messages"], summary["readings"], summary["duplicates"]) == (4, 3, 0)
    assert summary["flags"] == {"register_decrease": 1}
    assert summary["quarantined"] == {"no_profile": 1}


def test_the_same_capture_again_is_kept_again_and_stored_once(gateway, tmp_path):
    file = capture(tmp_path / "c.jsonl", [reading(i) for i in range(50)])
    arguments = ("replay", file, *ONE_PROFILE, "--data", tmp_path / "data")
    gateway(*arguments)
    again = gateway(*arguments)
    assert "50 duplicates" in again.stdout
    summary = json.loads(gateway(*arguments, "--json").stdout)
    assert (summary["messages"], summary["readings"], summary["duplicates"]) == (50, 0, 50)
    data = tmp_path / "data"
    assert len(rows(gateway("export", "readings", "--data", data))) == 50
    shown = json.loads(gateway("ledger", "show", "--data", data, "--json").stdout)
    assert shown["messages"] == 150


def test_the_help_says_how_far_duplicates_are_remembered(gateway):
    text = " ".join(gateway("replay", "--help").stdout.split())
    assert f"the last {SPAN:,} messages, and the last {LAST} of each device" in text


def test_standard_input_is_a_capture_too(gateway, tmp_path):
    line = json.dumps(reading(0)).encode() + b"\n"
    result = gateway("replay", "-", "--data", tmp_path, "--json", stdin=line)
    assert json.loads(result.stdout)["readings"] == 1


def test_a_bad_line_stops_the_replay_with_its_number_and_what_came_before_is_kept(
    gateway, tmp_path
):
    file = capture(tmp_path / "c.jsonl", [reading(0), reading(1)])
    file.write_text(file.read_text() + "nonsense\n")
    result = gateway("replay", file, *ONE_PROFILE, "--data", tmp_path / "data")
    assert result.exit_code == 1
    assert f"{file}:3: " in result.stderr
    assert "--skip-bad" in result.stderr
    exported = rows(gateway("export", "readings", "--data", tmp_path / "data"))
    assert len(exported) == 2


def test_bad_lines_are_skipped_and_counted_when_that_is_wanted(gateway, tmp_path):
    file = capture(tmp_path / "c.jsonl", [reading(0)])
    file.write_text("nonsense\n" + file.read_text())
    result = gateway("replay", file, *ONE_PROFILE, "--data", tmp_path / "d", "--skip-bad", "--json")
    summary = json.loads(result.stdout)
    assert (result.exit_code, summary["skipped_lines"], summary["messages"]) == (0, 1, 1)
    assert f"{file}:1: " in summary["first_skipped"]


def test_a_missing_file_appends_nothing_of_the_others(gateway, tmp_path):
    file = capture(tmp_path / "c.jsonl", [reading(0)])
    result = gateway("replay", file, tmp_path / "none.jsonl", "--data", tmp_path / "data")
    assert result.exit_code == 2
    assert "none.jsonl: no such file" in result.stderr
    assert not (tmp_path / "data").exists()


def test_what_no_check_could_judge_is_told_by_code_and_reason(gateway, tmp_path):
    trip = {
        "type": "trip", "seq": 1, "ts": BEGIN // 1_000_000,
        "started_at": BEGIN // 1_000_000 - 600_000,
        "ended_at": BEGIN // 1_000_000, "distance": 3.0, "waiting_time": 0, "fare": 13,
        "surcharge": 0, "k_constant": 800, "tariff": "of-no-city",
    }  # fmt: skip
    record = {
        "received_at": rfc3339(BEGIN + 1_000_000),
        "topic": "meters/110105/taximeter/t1/up",
        "payload": json.dumps(trip),
    }
    file = capture(tmp_path / "c.jsonl", [record])
    arguments = ("replay", file, "--data", tmp_path / "data")
    summary = json.loads(gateway(*arguments, "--json").stdout)
    assert summary["not_judged"] == {"fare_mismatch": {"the tariff is not known": 1}}
    trip["seq"] = 2
    trip["fare"] = 14
    capture(file, [record | {"payload": json.dumps(trip)}])
    text = " ".join(gateway(*arguments).stdout.split())
    assert "fare_mismatch │ the tariff is not known │ 1 │" in text


def test_line_protocol_of_what_has_no_time_is_refused_before_a_file_is_made(
    gateway, tmp_path, replayed
):
    out = tmp_path / "out.lp"
    result = gateway("export", "devices", "--data", replayed, "--format", "lp", "-o", out)
    assert (result.exit_code, out.exists()) == (2, False)
    assert "take jsonl, csv or parquet" in result.stderr


def test_a_wrong_time_is_shown_as_it_was_typed(gateway, replayed):
    result = gateway("export", "flags", "--data", replayed, "--since", "tomorrow")
    assert result.exit_code == 2
    assert "--since: 'tomorrow' is not" in result.stderr


def test_the_registry_of_a_replay_is_kept_for_later(gateway, tmp_path):
    file = capture(tmp_path / "c.jsonl", [reading(0, device="known"), reading(0, device="alien")])
    registry = tmp_path / "devices.csv"
    registry.write_text("device_id,kind\nknown,electricity_meter\n")
    data = tmp_path / "data"
    result = gateway("replay", file, *ONE_PROFILE, "--data", data, "--registry", registry, "--json")
    assert json.loads(result.stdout)["flags"] == {"unregistered_device": 1}
    (flag,) = rows(gateway("export", "flags", "--data", data))
    assert (flag["device_id"], flag["code"]) == ("alien", "unregistered_device")
    assert set(flag["title"]) == {"en", "zh"}
    assert [row["device_id"] for row in rows(gateway("device", "list", "--data", data, "--json"))]


def test_an_export_is_bounded_by_device_kind_and_time(gateway, replayed):
    def count(*options):
        return len(rows(gateway("export", "readings", "--data", replayed, *options)))

    assert count() == 20
    assert count("--device", "e1") == 10
    assert count("--kind", "water_meter") == 0
    assert count("--since", "2026-03-01T01:00:00Z") == 12
    assert count("--until", "2026-03-01") == 0
    assert count("--since", "2026-03-01", "--until", "2026-03-01T00:15:00+00:00") == 2


def test_the_format_follows_the_name_of_the_file(gateway, replayed, tmp_path):
    out = tmp_path / "readings.csv"
    gateway("export", "readings", "--data", replayed, "-o", out)
    with out.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 20
    assert float(table[0]["energy_import_kwh"]) == 100.0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("flags", "--code", "amount_mismach"), "amount_mismatch"),
        (("readings", "--kind", "watermeter"), "water_meter"),
        (("readings", "--since", "yesterday"), "RFC 3339"),
        (("readings", "--code", "sequence_gap"), "--code cannot be used here"),
        (("devices", "--device", "x"), "--device cannot be used here"),
    ],
)
def test_an_option_that_would_be_without_effect_is_refused(gateway, replayed, arguments, why):
    result = gateway("export", *arguments, "--data", replayed)
    assert result.exit_code == 2
    assert why in result.stderr
    assert result.stdout == ""


def test_an_export_beside_a_gateway_says_who_has_the_store(replayed):
    store = DuckDBStore(replayed / "store.duckdb")
    try:
        # DuckDB's lock is between processes.
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "export", "flags", "--data", str(replayed)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        store.close()
    assert done.returncode == 2
    assert f"process {os.getpid()} has " in done.stderr
    assert "stop that process" in done.stderr


PROFILE = """\
profile: acme-odd
version: 1.0.0
extends: kinds/electricity-meter
title: {en: Odd meter, zh: 奇表}
instrument: {vendor: ACME, model: Odd}
match: {topic: "odd/{device_id}"}
read:
  measured_at: {from: t, time: epoch_s}
  energy_import: {from: e, unit: kWh}
"""


def test_quarantine_is_decided_again_after_the_profile_came(gateway, tmp_path):
    odd = reading(0) | {"topic": "odd/m1", "payload": '{"t": 1772323200, "e": 5}'}
    file = capture(tmp_path / "c.jsonl", [reading(0), odd, reading(1)])
    data = tmp_path / "data"
    gateway("replay", file, *ONE_PROFILE, "--data", data)
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    (profiles / "acme-odd.yaml").write_text(PROFILE, encoding="utf-8")
    result = gateway(
        *("reprocess", "--data", data, "--quarantine-only", "--json"), "--profiles", profiles
    )
    assert result.exit_code == 0, result.stderr
    done = json.loads(result.stdout)
    assert done["decided"] == 2 - 1
    assert (done["before"]["quarantined"], done["after"]["quarantined"]) == (1, 0)
    exported = rows(gateway("export", "readings", "--data", data, "--device", "m1"))
    assert [row["energy_import_kwh"] for row in exported] == [5]
    assert exported[0]["ledger_offset"] == 1
    counters = done["after"]
    assert counters["stored"] + counters["quarantined"] + counters["duplicates"] == 3


def test_reprocessing_everything_gives_the_same_bit_for_bit(gateway, replayed):
    def everything():
        return [
            gateway("export", what, "--data", replayed).stdout
            for what in ("readings", "flags", "quarantine", "devices")
        ]

    before = everything()
    result = gateway("reprocess", "--data", replayed)
    assert result.exit_code == 0
    assert "21 messages decided again" in result.stdout
    assert everything() == before
    assert sorted(path.name for path in replayed.iterdir()) == [
        *("casebook.sqlite", "ledger", "store.duckdb"),
    ]


def test_a_fault_on_the_way_leaves_the_store_as_it_was(gateway, replayed, tmp_path):
    before = (replayed / "store.duckdb").read_bytes()
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "bad.yaml").write_text("profile: other\n")
    result = gateway("reprocess", "--data", replayed, "--profiles", tmp_path / "profiles")
    assert result.exit_code == 2
    assert "bad.yaml" in result.stderr
    assert (replayed / "store.duckdb").read_bytes() == before


def test_a_lost_store_is_built_anew_from_the_ledger(gateway, replayed):
    def everything():
        return [
            gateway("export", what, "--data", replayed).stdout for what in ("readings", "flags")
        ]

    before = everything()
    (replayed / "store.duckdb").unlink()
    refused = gateway("reprocess", "--data", replayed, "--quarantine-only")
    assert refused.exit_code == 2
    assert not (replayed / "store.duckdb").exists()
    built = gateway("reprocess", "--data", replayed)
    assert built.exit_code == 0
    assert everything() == before
    assert built.stdout.endswith(f", flags 0 -> {len(before[1].splitlines())}\n")


def test_reprocessing_where_nothing_is_is_wrong_use(gateway, tmp_path):
    result = gateway("reprocess", "--data", tmp_path)
    assert result.exit_code == 2
    assert "no ledger" in result.stderr
    assert list(tmp_path.iterdir()) == []
