"""Protocols end to end: what a gateway reads from a frame is what the instrument showed.

The same instruments are run twice, in reference JSON and in the protocol; both captures go through
`gateway replay`, and what comes out is compared reading by reading.
"""

from __future__ import annotations

import json
from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli import app
from simulators.capture import capture_lines, json_line
from simulators.catalogue import KINDS
from simulators.clock import HOUR, parse_time
from simulators.fleet import Choice, Fleet, Group, Order
from simulators.line import NO_TROUBLES
from simulators.protocols.catalogue import NEEDS, PROTOCOLS, shows
from tests.compiled import PROFILES
from tests.simulators.fleets import START

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from simulators.faults import Event


class Lost(NamedTuple):
    """What a protocol does to readings.

    ``steps`` are the steps in which a key comes, ``keys`` those that it can't carry, ``second``
    whether times are cut to the second.
    """

    steps: Mapping[str, float] = MappingProxyType({})
    keys: tuple[str, ...] = ()
    second: bool = True
    channels: bool = True


_NOT_OF_ELECTRICITY = ("power_reactive_kvar", "power_apparent_kva", "battery_voltage_v")
_REACTIVE = ("energy_reactive_import_kvarh", "demand_max_kw")

LOST: dict[tuple[str, str], Lost] = {
    ("cbor", "electricity_meter"): Lost(second=False),
    ("cbor", "water_meter"): Lost(second=False),
    ("cbor", "gas_meter"): Lost(second=False),
    ("cbor", "heat_meter"): Lost(second=False),
    ("msgpack", "electricity_meter"): Lost(second=False),
    ("msgpack", "water_meter"): Lost(second=False),
    ("msgpack", "ev_charger"): Lost(second=False),
    ("senml", "electricity_meter"): Lost(
        keys=("sequence", *_NOT_OF_ELECTRICITY, *_REACTIVE), second=False
    ),
    ("senml", "water_meter"): Lost({"flow_rate_m3_per_h": 1e-5}, ("sequence", "valve"), False),
    ("senml", "gas_meter"): Lost({}, ("sequence", "valve", "conversion_factor"), False),
    ("senml", "heat_meter"): Lost({}, ("sequence", "temperature_difference_k"), False),
    ("sparkplug", "electricity_meter"): Lost(
        keys=("sequence", *_NOT_OF_ELECTRICITY, *_REACTIVE), second=False
    ),
    ("sparkplug", "water_meter"): Lost({}, ("sequence", "valve"), False),
    ("sparkplug", "gas_meter"): Lost({}, ("sequence", "valve"), False),
    ("sparkplug", "heat_meter"): Lost({}, ("sequence", "temperature_difference_k"), False),
    ("mbus", "electricity_meter"): Lost(
        {"power_active_kw": 1e-4},
        ("sequence", "power_factor", *_NOT_OF_ELECTRICITY, *_REACTIVE),
    ),
    ("mbus", "water_meter"): Lost(
        {"pressure_kpa": 0.1}, ("sequence", "battery_voltage_v", "valve")
    ),
    ("mbus", "gas_meter"): Lost(
        {"pressure_kpa": 0.1},
        ("sequence", "battery_voltage_v", "valve", "conversion_factor"),
    ),
    ("mbus", "heat_meter"): Lost({"power_kw": 0.001}, ("sequence",)),
    ("dlt645", "electricity_meter"): Lost(
        {"power_active_kw": 1e-4, "power_factor": 1e-3}, ("sequence",)
    ),
    ("cjt188", "water_meter"): Lost(
        {"volume_m3": 0.01},
        (
            "sequence", "volume_reverse_m3", "flow_rate_m3_per_h", "temperature_cel",
            "pressure_kpa", "battery_voltage_v",
        ),
    ),
    ("cjt188", "gas_meter"): Lost(
        {"volume_m3": 0.01},
        (
            "sequence", "volume_base_m3", "flow_rate_m3_per_h", "temperature_cel", "pressure_kpa",
            "battery_voltage_v", "conversion_factor",
        ),
    ),
    ("cjt188", "heat_meter"): Lost(
        {"volume_m3": 0.01, "power_kw": 0.01, "flow_rate_m3_per_h": 1e-4},
        ("sequence", "temperature_difference_k"),
    ),
    ("dsmr", "electricity_meter"): Lost(
        {"amperage_a": 1.0, "power_active_kw": 1e-3},
        ("sequence", "power_factor", "frequency_hz", *_NOT_OF_ELECTRICITY, *_REACTIVE),
    ),
    ("ttn", "water_meter"): Lost(
        {},
        (
            "sequence", "volume_reverse_m3", "flow_rate_m3_per_h", "temperature_cel",
            "pressure_kpa", "battery_voltage_v", "valve",
        ),
    ),
    ("chirpstack", "water_meter"): Lost(
        {},
        (
            "sequence", "volume_reverse_m3", "flow_rate_m3_per_h", "temperature_cel",
            "pressure_kpa", "battery_voltage_v", "valve",
        ),
    ),
    ("ocpp16", "ev_charger"): Lost(
        {"energy_kwh": 0.001, "energy_start_kwh": 0.001, "energy_end_kwh": 0.001},
        (
            "sequence", "energy_price_cny_per_kwh", "energy_amount_cny", "service_fee_cny",
            "amount_cny",
        ),
        second=False,
        channels=False,
    ),
    ("ocmf", "ev_charger"): Lost(
        {},
        (
            "energy_price_cny_per_kwh", "energy_amount_cny", "service_fee_cny", "amount_cny",
            "energy_import_kwh", "power_active_kw", "voltage_v", "amperage_a",
            "state_of_charge_percent",
        ),
        second=False,
        channels=False,
    ),
}  # fmt: skip
"""By protocol and kind: every pair that there is."""

ABOUT = {
    "device_id", "kind", "event", "channel", "measured_at", "received_at", "quality", "profile",
    "ledger_offset", "currency", "started_at", "ended_at",
}  # fmt: skip


PAIRS = sorted(pair for pair in LOST if pair[1] in KINDS)
REGIONS = {pair: f"11{number:04d}" for number, pair in enumerate(PAIRS)}


def fleet(plain: bool) -> Fleet:
    """Two devices of each pair, each pair in a region of its own."""
    groups = tuple(
        Group(kind, 2, REGIONS[protocol, kind], protocols=(("json" if plain else protocol, 1.0),))
        for protocol, kind in PAIRS
    )
    order = Order(
        kinds=tuple({kind for _, kind in PAIRS}),
        devices=2 * len(PAIRS),
        seed=11,
        start=START + 13 * HOUR,
        until=START + 22 * HOUR,
        cheats_from=START,
        troubles=NO_TROUBLES,
        groups=groups,
    )
    return Fleet(order, lambda event: pytest.fail(f"an honest run records {event}"))


def gateway(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": None})
    structlog.reset_defaults()
    assert result.exit_code == 0, result.output
    return result.stdout


def replayed(folder: Path, made: Fleet) -> dict[str, list[dict[str, Any]]]:
    """What the gateway makes of a fleet's messages, by device; nothing may be refused."""
    (folder / "c.jsonl").write_bytes(b"".join(capture_lines(made.messages())))
    (folder / "r.jsonl").write_bytes(b"".join(map(json_line, made.registry())))
    words = ("--data", folder / "data", "--registry", folder / "r.jsonl", "--json")
    summary = json.loads(gateway("replay", folder / "c.jsonl", *words))
    assert summary["quarantined"] == {}
    found = defaultdict(list)
    for line in gateway("export", "readings", "--data", folder / "data").splitlines():
        reading = json.loads(line)
        found[reading["device_id"]].append(reading)
    return found


@pytest.fixture(scope="module")
def readings(tmp_path_factory):
    """Readings of the JSON run and of the run in protocols, with the ids of each."""
    plain, spoken = fleet(plain=True), fleet(plain=False)
    pairs = defaultdict(list)
    for one, other in zip(plain.devices, spoken.devices, strict=True):
        pairs[one.region].append((one.setting.device_id, other.setting.device_id))
    return (
        replayed(tmp_path_factory.mktemp("plain"), plain),
        replayed(tmp_path_factory.mktemp("spoken"), spoken),
        pairs,
    )


def when(reading: dict[str, Any], *, second: bool) -> int:
    at = parse_time(reading["measured_at"])
    return at // 1000 * 1000 if second else at


@pytest.mark.parametrize(("protocol", "kind"), PAIRS)
def test_what_comes_out_is_what_the_instrument_showed(readings, protocol, kind):
    lost = LOST[protocol, kind]
    plain, spoken, pairs = readings
    carried: set[str] = set()
    shown: set[str] = set()
    for device, other in pairs[REGIONS[protocol, kind]]:
        truth = {key(reading, lost): reading for reading in plain[device]}
        shown |= {name for reading in plain[device] for name in reading} - ABOUT
        for reading in spoken[other]:
            assert reading["profile"].split("@")[0] == PROTOCOLS[protocol].profiles[kind]
            expected = truth[key(reading, lost)]
            for name in set(reading) - ABOUT - {"sequence" if protocol == "ocmf" else ""}:
                same(name, reading[name], expected[name], lost.steps.get(name, 0.0))
            carried |= set(reading) - ABOUT
    # a charger may have had no guest on its only connector; then the other one had
    assert carried == shown - set(lost.keys)


def key(reading: dict[str, Any], lost: Lost) -> tuple[Any, ...]:
    # the end of a session that names no connector is told apart by its time
    channel = reading.get("channel") if lost.channels or reading["event"] != "session" else None
    if reading["kind"] == "heat_meter":
        channel = channel or "heating"
    return reading["event"], channel, when(reading, second=lost.second)


def same(name: str, value: Any, expected: Any, step: float) -> None:
    if isinstance(value, str):
        assert value == expected, name
    else:
        assert abs(value - expected) <= step + 1e-9 * abs(expected), (name, value, expected)


def test_every_protocol_of_every_kind_is_compared():
    pairs = {
        (name, kind)
        for name, protocol in PROTOCOLS.items()
        for kind in protocol.profiles
        if name != "json"
    }
    assert pairs == set(LOST)


def test_a_protocol_names_a_profile_of_the_catalogue():
    known = {path.stem for path in PROFILES.glob("*/*.yaml")}
    for protocol in PROTOCOLS.values():
        assert set(protocol.profiles.values()) <= known


def test_ids_that_a_protocol_forces_are_unique():
    ids = set()
    count = 0
    for name in ("mbus", "dlt645", "cjt188", "chirpstack"):
        protocol = PROTOCOLS[name]
        for kind in protocol.profiles:
            for region in ("110105", "110108", "440305"):
                for index in (0, 1, 98, 99, 9_999, 99_999):
                    ids.add((name, protocol.device_id(kind, region, index)))
                    count += 1
    assert len(ids) == count


def test_a_code_that_nobody_listed_is_seen_through_whole_protocols_only():
    assert all(shows(PROTOCOLS[name], "anything") for name in ("json", "cbor", "msgpack"))
    assert not any(
        shows(protocol, "anything") for protocol in PROTOCOLS.values() if protocol.carries
    )
    assert "anything" not in NEEDS


def test_the_registry_tells_what_a_protocol_does_not_of_a_registers_face(tmp_path):
    """One last digit less is jitter and no fall; a register that was set back is one."""
    groups = tuple(
        Group(kind, 4, "110105", choices=choices, protocols=((protocol, 1.0),))
        for kind, protocol in (("electricity_meter", "mbus"), ("gas_meter", "senml"))
        for choices in [
            (
                Choice(kind, "register_jitter", 0.0, count=3),
                Choice(kind, "register_set_back", 0.0, count=1),
            )
        ]
    )
    order = Order(
        kinds=("electricity_meter", "gas_meter"),
        devices=8,
        seed=3,
        start=START,
        until=START + 24 * HOUR,
        cheats_from=START + HOUR,
        troubles=NO_TROUBLES,
        groups=groups,
    )
    events: list[Event] = []
    made = Fleet(order, events.append)
    replayed(tmp_path, made)
    made.finish(START + 24 * HOUR)
    lines = gateway("export", "flags", "--data", tmp_path / "data").splitlines()
    flags = [json.loads(line) for line in lines]
    fallen = {flag["device_id"] for flag in flags if flag["code"] == "register_decrease"}
    assert fallen == {event.device_id for event in events if event.code == "register_decrease"}
    assert len(fallen) == 2
