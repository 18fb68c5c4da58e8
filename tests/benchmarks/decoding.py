"""What it costs to make readings of one message: compiled profiles beside interpreted ones.

Both see the same bytes and make the same readings.  They take turns in windows of half a
millisecond; the figure is that of the best window, which is what the work costs when nobody else
takes the processor, and the median window stands beside it.
"""

from __future__ import annotations

import gc
import struct
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from gateway.config import packaged_profiles
from gateway.pipeline import Decider, Plan
from gateway.profiles import load_profiles
from tests.benchmarks import interpreted
from tests.benchmarks.interpreted import BinaryRule, interpret, rules_of
from tests.benchmarks.report import Result, target
from tests.benchmarks.subjects import Run
from tests.frames_cn import answer645, bcd

if TYPE_CHECKING:
    from collections.abc import Callable

RECEIVED = 1_767_225_600_000_000_000
WINDOW_S = 0.0005
SECONDS = 1.5
OFFSET = 7

TARGETS = {
    "decode_json": 1.5,
    "decode_json_optional": 1.5,
    "decode_binary": 4.0,
    "decode_binary_channels": 4.0,
    "decode_dlt645": 4.0,
}
"""Microseconds a message that are to be reached, by figure."""

FRAME = """\
profile: bench-frame
version: 1.0.0
extends: kinds/electricity-meter
title: {en: A frame of fixed fields, zh: 固定字段帧}
match: {topic: "bench/{device_id}/frame"}
decode:
  format: binary
  endian: le
  seq:
    - {id: version, type: u1}
    - {id: time, type: u4}
    - {id: number, type: u2}
    - {id: energy, type: u4, value: _ * 10}
    - {id: power, type: s4}
    - {id: voltage, type: u2, value: _ / 10}
    - {id: current, type: u2, value: _ / 100}
    - {id: frequency, type: u2, value: _ / 100}
    - {id: flags, type: u1}
    - {type: checksum, algorithm: sum8}
read:
  measured_at: {from: time, time: epoch_s}
  sequence: {from: number, modulus: 65536}
  status: {from: flags, bits: {0: cover_open, 1: magnetic_field}}
  energy_import: {from: energy, unit: Wh}
  power_active: {from: power, unit: W}
  voltage: {from: voltage, unit: V}
  amperage: {from: current, unit: A}
  frequency: {from: frequency, unit: Hz}
"""
JSON = """\
profile: bench-json
version: 1.0.0
extends: kinds/electricity-meter
title: {en: The same fields in JSON, zh: JSON 格式的相同字段}
match: {topic: "bench/{device_id}/json"}
read:
  measured_at: {from: ts, time: epoch_s}
  sequence: {from: seq, modulus: 65536}
  status: {from: flags, bits: {0: cover_open, 1: magnetic_field}}
  energy_import: {from: data.energy, unit: Wh}
  power_active: {from: data.power, unit: W}
  voltage: {from: data.voltage, unit: V}
  amperage: {from: data.current, unit: A}
  frequency: {from: data.frequency, unit: Hz}
"""
ELECTRICITY = (
    b'{"ts":1767225600,"seq":17,"flags":1,"data":{"energy":1234560,"power":-1250,"voltage":230.4,'
    b'"current":5.23,"frequency":49.98}}'
)
CHANNELS = """\
profile: bench-channels
version: 1.0.0
extends: kinds/water-meter
title: {en: Channels one after the other, zh: 通道数据}
match: {topic: "bench/{device_id}/channels"}
decode:
  format: binary
  endian: le
  seq:
    - repeat: eos
      type:
        - {id: _channel, type: u2be}
        - type:
            switch-on: _channel
            cases:
              0x0175: [{id: battery, type: u1}]
              0x0367: [{id: temperature, type: s2, value: _ / 10}]
              0x0404: [{id: volume, type: u4}]
              0x0501: [{id: valve, type: u1}]
              0x0602: [{id: pressure, type: u2}]
read:
  volume: {from: volume, unit: L}
  temperature: {from: temperature, unit: Cel, optional: true}
  pressure: {from: pressure, unit: kPa, optional: true}
  valve: {from: valve, map: {0: open, 1: closed}, optional: true}
"""
WATER = (
    b'{"type":"periodic","seq":17,"ts":1767225600000,"volume":1234.567,"volume_reverse":0.012,'
    b'"flow_rate":0.425,"temperature":11.5,"pressure":312.5,"battery_voltage":3.61,"valve":"open"}'
)


def fixed_frame() -> bytes:
    """A message of the profile of fixed fields."""
    body = struct.pack("<BIHIiHHHB", 1, 1767225600, 17, 123456, -1250, 2304, 523, 4998, 1)
    return body + bytes([sum(body) & 0xFF])


def channels() -> bytes:
    """A message of the profile of channels."""
    return bytes.fromhex("017564 0367ecff 040440e20100 050101 06023801")


@dataclass(frozen=True, slots=True)
class Subject:
    """A message, what reads it compiled, and what reads it interpreted."""

    compiled: Callable[[], Any]
    walked: Callable[[], Any]


def subjects() -> dict[str, Subject]:
    """The messages by the name of their figure; both ways make the same readings of each."""
    with tempfile.TemporaryDirectory() as folder:
        own = [Path(folder) / f"bench-{name}.yaml" for name in ("frame", "json", "channels")]
        for file, text in zip(own, (FRAME, JSON, CHANNELS), strict=True):
            file.write_text(text, encoding="utf-8")
        packaged = packaged_profiles()
        own += [packaged / "water_meter" / "water-meter-reference.yaml",
                packaged / "electricity_meter" / "dlt645-2007-meter.yaml"]  # fmt: skip
        decider = Decider(load_profiles(own, [packaged]), {}, {})
    plans = {plan.profile.name: plan for plan in decider.plans}
    fixed = [
        BinaryRule("version", "<B", 1), BinaryRule("time", "<I", 1), BinaryRule("number", "<H", 1),
        BinaryRule("energy", "<I", 0.1), BinaryRule("power", "<i", 1),
        BinaryRule("voltage", "<H", 10), BinaryRule("current", "<H", 100),
        BinaryRule("frequency", "<H", 100), BinaryRule("flags", "<B", 1),
    ]  # fmt: skip
    tagged = {
        0x0175: BinaryRule("battery", "<B", 1), 0x0367: BinaryRule("temperature", "<h", 10),
        0x0404: BinaryRule("volume", "<I", 1), 0x0501: BinaryRule("valve", "<B", 1),
        0x0602: BinaryRule("pressure", "<H", 1),
    }  # fmt: skip
    energy = bytes([0xFE] * 4) + answer645("000000000161", "00010000", bcd("01234567"))
    made = {
        "decode_json": _subject(plans["bench-json"], ELECTRICITY, interpreted.parse_json),
        "decode_json_optional": _subject(
            plans["water-meter-reference"], WATER, interpreted.parse_json
        ),
        "decode_binary": _subject(
            plans["bench-frame"], fixed_frame(), lambda data: interpreted.walk_fields(fixed, data)
        ),
        "decode_binary_channels": _subject(
            plans["bench-channels"],
            channels(),
            lambda data: interpreted.walk_channels(tagged, data),
        ),
        "decode_dlt645": _subject(
            plans["dlt645-2007-meter"], energy,
            lambda data: interpreted.walk_dlt645({"00010000": (4, 2)}, data),
        ),
    }  # fmt: skip
    for name, subject in made.items():
        ours = _comparable([reading for _, reading in subject.compiled()])
        theirs = _comparable(subject.walked())
        if not ours or ours != theirs:
            raise AssertionError(f"{name}: compiled and interpreted differ: {ours} {theirs}")
    return made


def _comparable(readings: list[Any]) -> list[Any]:
    """Readings without what is absent, which a compiled one keeps the place of."""
    return [
        (r.device_id, r.channel, r.measured_at, r.sequence, r.quality, r.status, r.quantities)
        for r in readings
    ]


def _subject(plan: Plan, payload: bytes, parse: Callable[[bytes], Any]) -> Subject:
    levels = {"device_id": "m1", "gateway": "g1", "region": "110000"}
    topic, rules = "bench/m1", rules_of(plan.profile)
    decode, document, accepts, read = plan.decode, plan.document, plan.accepts, plan.read

    def compiled() -> list[Any]:
        """What `Decider.decide` does with a good message before the checks."""
        emitted: list[Any] = []
        if decode is not None:
            found = decode(payload)
        else:
            found = document(topic, payload, levels, RECEIVED)
        if accepts is None or accepts(found):
            read(found, levels, RECEIVED, OFFSET, emitted)
        return emitted

    def walked() -> list[Any]:
        return interpret(rules, parse(payload), "m1", RECEIVED, OFFSET)

    return Subject(compiled, walked)


def race(calls: dict[str, Callable[[], Any]], seconds: float) -> dict[str, tuple[float, float]]:
    """Microseconds a call, of the best and of the median window; the calls take turns."""
    counts = {name: _in_a_window(call) for name, call in calls.items()}
    windows: dict[str, list[float]] = {name: [] for name in calls}
    ends = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < ends:
        for name, call in calls.items():
            times = range(counts[name])
            began = time.perf_counter_ns()
            for _ in times:
                call()
            windows[name].append((time.perf_counter_ns() - began) / counts[name] / 1000)
    return {name: (min(taken), median(taken)) for name, taken in windows.items()}


def _in_a_window(call: Callable[[], Any]) -> int:
    call()
    began = time.perf_counter()
    for _ in range(20):
        call()
    return max(1, int(WINDOW_S / ((time.perf_counter() - began) / 20)))


def result(name: str, facts: dict[str, Any]) -> Result:
    """One figure beside the message's interpretation."""
    value, walked = facts[f"{name}.compiled"], facts[f"{name}.walked"]
    return Result(
        name,
        value,
        "us",
        ("interpreted", walked),
        [target(f"{TARGETS[name]:g} us", value <= TARGETS[name])],
        {
            "median_us": round(facts[f"{name}.compiled.median"], 2),
            "interpreted_us": round(walked, 2),
            "interpreted_median_us": round(facts[f"{name}.walked.median"], 2),
            "times_faster": round(walked / value, 1),
        },
    )


def run(seconds: float = SECONDS) -> Run:
    """All messages; the facts are microseconds by figure and way."""
    began = time.perf_counter()
    facts: dict[str, Any] = {}
    gc.collect()
    gc.disable()
    try:
        for name, subject in subjects().items():
            ways = {"compiled": subject.compiled, "walked": subject.walked}
            for way, (best, usual) in race(ways, seconds).items():
                facts[f"{name}.{way}"], facts[f"{name}.{way}.median"] = best, usual
    finally:
        gc.enable()
    return Run(1, time.perf_counter() - began, facts=facts)
