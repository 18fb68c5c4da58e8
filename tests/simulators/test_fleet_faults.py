"""What is wrong with a fleet's file is told with file, line, key and what was meant."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from simulators.cli import app
from simulators.fleet_file import FleetFaults, read_fleet
from simulators.texts import LANGUAGES, Texts
from tests.simulators.test_fleet_file import SAY, written


def faults(tmp_path, text, say=SAY):
    with pytest.raises(FleetFaults) as told:
        read_fleet(written(tmp_path, text), say)
    return [line.removeprefix(f"{tmp_path}/") for line in str(told.value).splitlines()]


BROKEN = [
    ("devices: []", "fleet.yaml:1:1: devices: at least one is needed"),
    ("fleet: x", "fleet.yaml:1:1: devices: is missing"),
    ("- a", "fleet.yaml:1:1: a mapping (key: value) is expected, got 'list'"),
    ("devices: 7", "fleet.yaml:1:1: devices: a list (- item) is expected, got 7"),
    (
        "devices:\n  - {kind: gas_meter, count: 1}\nregoin: 1",
        "fleet.yaml:3:1: regoin: unknown key 'regoin'; did you mean 'region'?",
    ),
    (
        "devices:\n  - kind: gas_metre\n    count: 1",
        "fleet.yaml:2:5: devices.0.kind: no kind 'gas_metre'; did you mean 'gas_meter'?",
    ),
    (
        "devices:\n  - kind: gas_meter\n    count: lots",
        "fleet.yaml:3:5: devices.0.count: a whole number is expected, got 'lots'",
    ),
    (
        "devices:\n  - kind: gas_meter\n    count: -1",
        "fleet.yaml:3:5: devices.0.count: at least 0 is expected, got -1",
    ),
    (
        "devices:\n  - kind: gas_meter",
        "fleet.yaml:2:5: devices.0: say either count (devices) or sites (whole sites of this kind)",
    ),
    (
        "region: beijing\ndevices:\n  - {kind: gas_meter, count: 1}",
        "fleet.yaml:1:1: region: a region is six digits (GB/T 2260), got 'beijing'",
    ),
    (
        "start: 2026-01-05\ndevices:\n  - {kind: gas_meter, count: 1}",
        (
            "fleet.yaml:1:1: start: a time is like 2026-03-01T08:00:00+08:00, with its zone, "
            "got '2026-01-05'"
        ),
    ),
    (
        "duration: soon\ndevices:\n  - {kind: gas_meter, count: 1}",
        "fleet.yaml:1:1: duration: a duration is like 30s, 15m, 6h or 7d, got 'soon'",
    ),
    (
        "devices:\n  - kind: gas_meter\n    count: 5\n    protocols:\n      cjt118: 1",
        (
            "fleet.yaml:5:7: devices.0.protocols.cjt118: no protocol 'cjt118' of this kind; "
            "did you mean 'cjt188'?"
        ),
    ),
    (
        "devices:\n  - kind: gas_meter\n    count: 5\n    protocols: {json: 0}",
        "fleet.yaml:4:5: devices.0.protocols: the shares sum to nothing",
    ),
    (
        "devices:\n  - kind: gas_meter\n    count: 5\n    cheats: {sensor_absrd: 0.1}",
        (
            "fleet.yaml:4:14: devices.0.cheats.sensor_absrd: no cheat 'sensor_absrd' of this kind; "
            "did you mean 'sensor_absurd'?"
        ),
    ),
    (
        "devices:\n  - kind: gas_meter\n    count: 5\n    cheats: {sensor_absurd: {shre: 0.1}}",
        (
            "fleet.yaml:4:30: devices.0.cheats.sensor_absurd.shre: unknown key 'shre'; "
            "did you mean 'share'?"
        ),
    ),
    (
        "devices:\n  - kind: gas_meter\n    count: 5\n    cheats: {sensor_absurd: 1.5}",
        "fleet.yaml:4:14: devices.0.cheats.sensor_absurd.share: at most 1.0 is expected, got 1.5",
    ),
    (
        (
            "devices:\n  - kind: gas_meter\n    count: 5\n"
            "    cheats: {sensor_absurd: {share: 0.1, after: 1h, at: 2026-01-06T00:00:00Z}}"
        ),
        "fleet.yaml:4:14: devices.0.cheats.sensor_absurd: either after or at, not both",
    ),
    (
        (
            "devices:\n  - kind: gas_meter\n    count: 5\n"
            "    cheats: {sensor_absurd: {count: 4}, register_set_back: 0.3}"
        ),
        (
            "fleet.yaml:4:5: devices.0.cheats: the shares and counts of the cheats need more than "
            "the 5 devices: a device has at most one"
        ),
    ),
    (
        (
            "devices:\n  - kind: water_meter\n    count: 5\n    protocols: {cjt188: 1}\n"
            "    cheats: {messages_lost: 0.1}"
        ),
        (
            "fleet.yaml:5:14: devices.0.cheats.messages_lost: none of the protocols here carries "
            "what messages_lost shows (sequence_gap): add json, or another that does"
        ),
    ),
    (
        "troubles: {late: often}\ndevices:\n  - {kind: gas_meter, count: 1}",
        "fleet.yaml:1:12: troubles.late: a number is expected, got 'often'",
    ),
    (
        "devices:\n  - {kind: gas_meter, count: 999999}\n  - {kind: gas_meter, count: 999999}",
        "fleet.yaml:1:1: devices: more than 1000000 devices",
    ),
    ("devices: [", "fleet.yaml:2:1: not YAML: did not find expected node content"),
    ("a: &x 1\nb: *x", "fleet.yaml:1:4: anchors and aliases (&, *) are not read"),
    ("a: !!python/none x", "fleet.yaml:1:4: tags (!) are not read: quote the text"),
    ("a: 1\na: 2", "fleet.yaml:2:1: the key 'a' stands twice"),
    ("[" * 20 + "]" * 20, "fleet.yaml:1:17: deeper than 16 levels"),
]


@pytest.mark.parametrize(("text", "told"), BROKEN)
def test_a_fault_names_file_line_key_and_what_was_meant(tmp_path, text, told):
    assert told in faults(tmp_path, text)


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path):
    found = faults(
        tmp_path,
        "regoin: 1\nduration: x\ndevices:\n  - kind: gas_meter\n    count: y\n    troubels: no\n",
    )
    assert [re.match(r"fleet.yaml:(\d+)", line)[1] for line in found] == ["1", "2", "5", "6"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_faults_are_told_in_both_languages(tmp_path, lang):
    found = faults(tmp_path, "devices:\n  - {kind: gas_metre, count: 1}", Texts(lang))
    assert "'gas_meter'" in found[0]
    assert bool(re.search(r"[一-龥]", found[0])) is (lang == "zh")


def test_the_command_exits_2_on_faults_and_on_a_file_that_is_not_there(tmp_path):
    path = written(tmp_path, "devices: 7")
    done = CliRunner().invoke(app, ["fleet", path, "-o", "-"])
    assert done.exit_code == 2
    assert f"{path}:1:1: devices:" in done.stderr
    done = CliRunner().invoke(app, ["fleet", str(tmp_path / "none.yaml"), "-o", "-"])
    assert done.exit_code == 2
    assert "none.yaml" in done.stderr
    assert CliRunner().invoke(app, ["fleet", path]).exit_code == 2
