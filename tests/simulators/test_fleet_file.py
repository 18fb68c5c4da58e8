"""Fleets in YAML: the examples run, and orders are what the file says."""

from __future__ import annotations

import json
import os
import pty
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli import app as gateway
from simulators.catalogue import KINDS
from simulators.cli import app
from simulators.clock import DAY, DEFAULT_START, HOUR, parse_time
from simulators.fleet import Fleet
from simulators.fleet_file import read_fleet
from simulators.line import NO_TROUBLES, Troubles
from simulators.options import Where
from simulators.protocols.catalogue import shows
from simulators.texts import Texts
from tests.simulators.test_cli import Listener, environment, lines, simulate

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "simulators" / "fleets").glob("*.yaml"))
SAY = Texts("en")
CAPTURE = Where(output="c.jsonl")


def written(tmp_path, text):
    path = tmp_path / "fleet.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def ordered(tmp_path, text, *, seed=None, span=0):
    plan = read_fleet(written(tmp_path, text), SAY)
    return plan.order(CAPTURE, DEFAULT_START, seed=seed, span=span)


def made(tmp_path, text, **options):
    events = []
    fleet = Fleet(ordered(tmp_path, text, **options), events.append)
    return fleet, events


def replayed(folder, hours, example):
    """The examples as a person runs them: simulate, then replay; the replay's summary."""
    words = ["fleet", str(example), "--hours", str(hours), "-o", str(folder / "c.jsonl.zst")]
    words += ["--truth", str(folder / "t.jsonl"), "--registry", str(folder / "r.jsonl")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    replay = ["replay", str(folder / "c.jsonl.zst"), "--data", str(folder / "data")]
    replay += ["--registry", str(folder / "r.jsonl"), "--json"]
    result = CliRunner().invoke(gateway, replay)
    structlog.reset_defaults()
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_goes_through_the_gateway_and_nothing_is_refused(tmp_path, example):
    summary = replayed(tmp_path, 3, example)
    assert summary["quarantined"] == {}
    assert summary["messages"] > 300
    assert summary["readings"] >= summary["messages"] * 0.9
    assert lines(tmp_path / "t.jsonl") == []  # cheats begin later than these three hours
    # every device that the registry knows was heard, but those that only report seldom
    known = {line["device_id"] for line in lines(tmp_path / "r.jsonl")}
    assert summary["devices"] >= 0.9 * len(known)


def test_the_district_has_every_kind_that_stands_in_the_catalogue():
    plan = read_fleet(str(ROOT / "simulators" / "fleets" / "district.yaml"), SAY)
    registered = {KINDS[group.kind].registered_as or group.kind for group in plan.file.devices}
    assert registered == {made.registered_as or kind for kind, made in KINDS.items()}


def test_the_honest_example_names_no_cheat():
    plan = read_fleet(str(ROOT / "simulators" / "fleets" / "honest.yaml"), SAY)
    order = plan.order(CAPTURE, DEFAULT_START, seed=None, span=0)
    assert order.choices
    assert all(KINDS[each.kind].cheats[each.cheat].code is None for each in order.choices)


def test_numbers_regions_models_and_protocols_are_what_the_file_says(tmp_path):
    fleet, _ = made(
        tmp_path,
        """
        region: 110105
        devices:
          - kind: water_meter
            count: 40
            vendor: ACME
            models: {W-15: 0.75, W-20: 0.25}
            protocols: {cjt188: 2, json: 1, ttn: 1}
          - {kind: water_meter, count: 3, region: "110108"}
          - {kind: gas_meter, count: 2}
        """.replace("cjt188: 2, json: 1, ttn: 1", "cjt188: 0.5, json: 0.25, ttn: 0.25"),
    )
    assert Counter((each.kind, each.region) for each in fleet.devices) == {
        ("water_meter", "110105"): 40, ("water_meter", "110108"): 3, ("gas_meter", "110105"): 2,
    }  # fmt: skip
    registry = [each for each in fleet.registry() if each["vendor"] == "ACME"]
    models = Counter(line["model"] for line in registry)
    assert abs(models["W-15"] - 30) <= 1
    profiles = Counter(line["profile"] for line in registry)
    for profile, share in (
        ("cjt188-water-meter", 20), ("water-meter-reference", 10), ("axioma-qalcosonic-w1", 10),
    ):  # fmt: skip
        assert abs(profiles[profile] - share) <= 1, profile
    assert len({each.setting.device_id for each in fleet.devices}) == 45


def test_groups_of_one_kind_go_on_numbering_and_a_protocol_changes_no_reading(tmp_path):
    text = "region: '110105'\ndevices:\n  - {kind: gas_meter, count: 2}\n"
    more = "  - {kind: gas_meter, count: 2, protocols: {%s: 1}}\n"
    plain, _ = made(tmp_path, text + more % "json", span=3 * HOUR)
    cbor, _ = made(tmp_path, text + more % "cbor", span=3 * HOUR)
    assert [each.setting.device_id[-1] for each in plain.devices] == ["1", "2", "3", "4"]
    first = [next(each.instrument.readings()) for each in plain.devices]
    assert first == [next(each.instrument.readings()) for each in cbor.devices]


def test_cheats_by_share_and_by_count_begin_when_the_file_says(tmp_path):
    fleet, events = made(
        tmp_path,
        """
        start: 2026-02-01T00:00:00+08:00
        duration: 1d
        troubles: false
        cheats_after: 2h
        devices:
          - kind: taximeter
            count: 50
            cheats:
              overcharge: 0.2
              odometer_set_back: {count: 3, after: 6h}
              night_rate_by_day: {count: 2, at: "2026-02-01T12:00:00+08:00"}
        """,
    )
    hit = Counter(each.fault.case.cheat for each in fleet.devices if each.fault)
    assert abs(hit["overcharge"] - 10) <= 1
    assert (hit["odometer_set_back"], hit["night_rate_by_day"]) == (3, 2)
    for _ in fleet.messages():
        pass
    fleet.finish(fleet.order.until)
    start = parse_time("2026-02-01T00:00:00+08:00")
    begins = {"overcharge": 2, "odometer_set_back": 6, "night_rate_by_day": 12}
    assert {event.cheat for event in events} == set(begins)
    for event in events:
        assert event.until > start + begins[event.cheat] * HOUR


def test_all_and_honest_take_what_is_left_and_shrink_to_it(tmp_path):
    order = ordered(
        tmp_path,
        """
        devices:
          - {kind: electricity_meter, count: 400, cheats: {all: 0.5, honest: 0.5, overvoltage: 0.2}}
        """,
    )
    shares = {choice.cheat: choice.share for choice in order.choices}
    assert set(shares) == set(KINDS["electricity_meter"].cheats)
    assert shares["overvoltage"] == 0.2
    assert sum(shares.values()) == pytest.approx(1)


def test_all_leaves_out_what_no_protocol_of_the_group_shows(tmp_path):
    order = ordered(
        tmp_path,
        "devices:\n  - {kind: water_meter, count: 9, protocols: {cjt188: 1}, cheats: {all: 0.01}}",
    )
    codes = {KINDS[each.kind].cheats[each.cheat].code for each in order.choices}
    assert "register_decrease" in codes
    assert not codes & {"sequence_gap", "value_out_of_range", "tamper_alarm"}


def test_a_cheat_falls_on_devices_whose_protocol_shows_it(tmp_path):
    fleet, _ = made(
        tmp_path,
        """
        devices:
          - kind: electricity_meter
            count: 100
            protocols: {dlt645: 0.8, json: 0.2}
            cheats: {messages_lost: 0.3, register_set_back: 0.3}
        """,
    )
    spoken = defaultdict(set)
    for device in (each for each in fleet.devices if each.fault):
        assert shows(device.protocol, device.fault.case.code)
        spoken[device.fault.case.cheat].add(device.registration()["profile"])
    assert spoken["messages_lost"] == {"electricity-meter-reference"}
    assert spoken["register_set_back"] == {"electricity-meter-reference", "dlt645-2007-meter"}


def test_sites_are_whole_groups(tmp_path):
    order = ordered(
        tmp_path, "devices:\n  - {kind: feeder, sites: 3}\n  - {kind: feeder, count: 2}"
    )
    size = KINDS["feeder"].group
    assert [group.devices for group in order.groups] == [3 * size, size]


def test_ids_of_sites_and_of_lone_meters_in_one_protocol_do_not_meet(tmp_path):
    fleet, _ = made(
        tmp_path,
        """
        devices:
          - {kind: electricity_meter, count: 30, protocols: {dlt645: 1}}
          - {kind: feeder, sites: 2, protocols: {dlt645: 1}}
        """,
    )
    ids = [each.setting.device_id for each in fleet.devices]
    assert len(set(ids)) == len(ids)
    parents = {line["parameters"].get("parent") for line in fleet.registry()} - {None}
    assert parents < set(ids)


@pytest.mark.parametrize(
    ("given", "rates"),
    [
        ("false", NO_TROUBLES),
        ("{duplicate: 0.5, late: 0, restarts: 0, outages: 0}", Troubles(0.5, 0.0, 0.0, 0.0)),
    ],
)
def test_troubles_are_a_switch_or_rates_of_the_file_or_of_a_group(tmp_path, given, rates):
    text = "troubles: %s\ndevices:\n  - {kind: gas_meter, count: 2%s}\n"
    for text_of in (text % (given, ""), text % ("true", f", troubles: {given}")):
        fleet, _ = made(tmp_path, text_of, span=2 * DAY)
        order = fleet.order
        used = order.groups[0].troubles or order.troubles
        assert (
            tuple(getattr(used, name) for name in used.__struct_fields__)
            == tuple(getattr(rates, name) for name in rates.__struct_fields__)
            if rates is NO_TROUBLES
            else rates
        )
        payloads = Counter(message.payload for message in fleet.messages())
        twice = sum(count > 1 for count in payloads.values())
        assert (twice == 0) is (rates is NO_TROUBLES)


def test_seed_and_span_of_the_command_come_before_those_of_the_file(tmp_path):
    text = "seed: 5\nduration: 3d\ninterval: 30m\ndevices:\n  - {kind: gas_meter, count: 1}\n"
    assert ordered(tmp_path, text).seed == 5
    assert ordered(tmp_path, text).until == DEFAULT_START + 3 * DAY
    assert ordered(tmp_path, text, seed=9, span=HOUR).seed == 9
    assert ordered(tmp_path, text, seed=9, span=HOUR).until == DEFAULT_START + HOUR
    fleet, _ = made(tmp_path, text)
    assert fleet.devices[0].setting.interval == HOUR // 2


def test_the_same_file_gives_the_same_bytes(tmp_path):
    path = written(
        tmp_path,
        "devices:\n  - {kind: electricity_meter, count: 12, cheats: {all: 0.05},"
        " protocols: {json: 0.5, dlt645: 0.2, mbus: 0.1, dsmr: 0.1, sparkplug: 0.1}}\n",
    )
    for name in ("a", "b"):
        files = [tmp_path / f"{name}{end}" for end in (".jsonl.zst", "-t.jsonl", "-r.jsonl")]
        words = zip(("-o", "--truth", "--registry"), files, strict=True)
        simulate("fleet", path, "--hours", 8, *(word for pair in words for word in pair))
    for name in ("{}.jsonl.zst", "{}-t.jsonl", "{}-r.jsonl"):
        one, other = ((tmp_path / name.format(each)).read_bytes() for each in "ab")
        assert one == other


def test_a_fleet_reaches_a_broker_in_its_own_protocols(mosquitto, tmp_path):
    path = written(
        tmp_path,
        "start: 2026-01-05T00:00:00+08:00\ndevices:\n"
        "  - {kind: water_meter, count: 4, protocols: {json: 0.5, cbor: 0.5}}\n",
    )
    simulate("fleet", path, "--hours", 4, "-o", tmp_path / "c.jsonl")
    expected = lines(tmp_path / "c.jsonl")
    with Listener(mosquitto.port) as listener:
        url = f"mqtt://127.0.0.1:{mosquitto.port}"
        simulate("fleet", path, "--hours", 4, "--broker", url, "--speed", "max")
        heard = listener.wait(len(expected))
    assert Counter(topic for topic, _ in heard) == Counter(line["topic"] for line in expected)
    assert any(topic.endswith("/cbor") for topic, _ in heard)


def test_a_terminal_is_shown_how_far_the_run_is(tmp_path):
    path = written(tmp_path, "devices:\n  - {kind: taximeter, count: 40}\n")
    parts = []

    def read(descriptor):
        data = os.read(descriptor, 4096)
        parts.append(data)
        return data

    words = [sys.executable, "-m", "simulators", "fleet", path, "--hours", "12"]
    command = ["env", f"PYTHONPATH={ROOT}", "LANG=C.UTF-8", "TERM=xterm", *words]
    keyboard = os.open(os.devnull, os.O_RDONLY)
    saved = os.dup(0)
    os.dup2(keyboard, 0)
    try:
        status = pty.spawn([*command, "-o", str(tmp_path / "c.jsonl")], read)
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(keyboard)
    shown = b"".join(parts).decode(errors="replace")
    assert os.waitstatus_to_exitcode(status) == 0
    assert re.search(r"2026-01-0[45]T\d\d:\d\d", shown)
    assert "━" in shown
    assert "messages" in shown.splitlines()[-1]


@pytest.mark.parametrize("lang", ["C.UTF-8", "zh_CN.UTF-8"])
def test_the_help_is_in_the_language_of_the_terminal(lang):
    told = simulate("fleet", "--help", LANG=lang).stdout
    assert ("YAML 文件" in told) is (lang == "zh_CN.UTF-8")
    assert "district.yaml" in told.replace("\n", "").replace(" ", "")
    assert environment()["PYTHONPATH"] == str(ROOT)
