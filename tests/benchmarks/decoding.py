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

import msgspec
import quickjs

from gateway.config import packaged_profiles
from gateway.deciding import Decider
from gateway.decode.document import Context
from gateway.decode.ts013 import compile_ts013
from gateway.plans import Plan
from gateway.profiles import load_profiles
from gateway.profiles.formats import Ts013
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
    "decode_ts013": 12.0,
}
"""Microseconds a message that are to be reached, by figure."""
FIGURES = (*TARGETS, "ts013_short_codec", "ts013_long_codec")
OF_BARE = 1.2
"""What a codec may take of the time that bare QuickJS takes for it."""

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
CODEC = """\
function decodeUplink(input) {
  var bytes = input.bytes;
  if (bytes.length !== 8) return {errors: ["8 bytes are needed"]};
  return {
    data: {
      volume: ((bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3]) >>> 0,
      temperature: ((bytes[4] << 8 | bytes[5]) << 16 >> 16) / 10,
      pressure: bytes[6] << 8 | bytes[7]
    }
  };
}
"""
LONG_CODEC = """\
var STATES = ["ok", "dry", "leak", "burst", "frost", "tilt", "reverse", "battery"];
function unsigned(bytes, at, count) {
  var value = 0;
  for (var i = count - 1; i >= 0; i--) value = value * 256 + bytes[at + i];
  return value;
}
function hex(bytes, at, count) {
  var text = "";
  for (var i = 0; i < count; i++) text += ("0" + bytes[at + i].toString(16)).slice(-2);
  return text.toUpperCase();
}
function decodeUplink(input) {
  var bytes = input.bytes, data = {}, at = 0;
  while (at < bytes.length) {
    var channel = bytes[at++];
    if (channel === 1) {
      data.serial = hex(bytes, at, 6);
      at += 6;
    } else if (channel === 2) {
      data.time = new Date(unsigned(bytes, at, 4) * 1000).toISOString();
      data.volume = unsigned(bytes, at + 4, 4) / 1000;
      at += 8;
    } else if (channel === 3) {
      var flags = bytes[at++];
      data.states = STATES.filter(function (_, bit) { return (flags >> bit) & 1; });
    } else if (channel === 4) {
      var register = data.volume;
      data.history = [];
      for (var i = 0; i < 12; i++, at += 2) {
        register = Math.round((register - unsigned(bytes, at, 2) / 1000) * 1000) / 1000;
        data.history.push({hours: i + 1, volume: register});
      }
    } else {
      return {errors: ["channel " + channel + " is not known"]};
    }
  }
  return {data: data};
}
"""
LONG_BYTES = bytes.fromhex(
    "01a1b2c3d4e5f6 0200b9556940e20100 0305 04010002000300040005000600070008000900 0a00 0b00 0c00"
)
SCRIPT = """\
profile: bench-script
version: 1.0.0
extends: kinds/water-meter
title: {en: A codec in JavaScript, zh: JavaScript 编解码器}
match: {topic: "bench/{device_id}/script"}
decode: {format: ts013, codec: bench-script.js}
read:
  volume: {from: data.volume, unit: L}
  temperature: {from: data.temperature, unit: Cel}
  pressure: {from: data.pressure, unit: kPa}
"""
BYTES = bytes.fromhex("0001e24000730138")
CODECS = {"ts013_short_codec": (CODEC, BYTES), "ts013_long_codec": (LONG_CODEC, LONG_BYTES)}
"""Codecs that run without a profile, ours beside bare QuickJS, by figure."""
BARE = "(function (text) { return JSON.stringify(decodeUplink(JSON.parse(text))) })"
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
        texts = {"frame": FRAME, "json": JSON, "channels": CHANNELS, "script": SCRIPT}
        own = [Path(folder) / f"bench-{name}.yaml" for name in texts]
        for file, text in zip(own, texts.values(), strict=True):
            file.write_text(text, encoding="utf-8")
        (Path(folder) / "bench-script.js").write_text(CODEC, encoding="utf-8")
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
        "decode_ts013": _subject(plans["bench-script"], BYTES, bare_codec(CODEC)),
    }  # fmt: skip
    for name, subject in made.items():
        ours = _comparable([reading for _, reading in subject.compiled()])
        theirs = _comparable(subject.walked())
        if not ours or ours != theirs:
            raise AssertionError(f"{name}: compiled and interpreted differ: {ours} {theirs}")
    return made


def bare_codec(source: str) -> Callable[[bytes], Any]:
    """A codec in one `quickjs.Context`, called with JSON and answering with JSON."""
    encode = msgspec.json.Encoder().encode
    engine = quickjs.Context()
    engine.eval(source)
    call: Any = engine.eval(BARE)

    def run(payload: bytes) -> Any:
        said = call(encode({"bytes": list(payload), "fPort": 1}).decode())
        return interpreted.parse_json(said)

    return run


def codec_alone(source: str, payload: bytes) -> dict[str, Callable[[], Any]]:
    """A codec without what becomes of its document, ours and bare."""
    settings = Ts013(format="ts013", codec="bench-script.js")
    parse, bare = compile_ts013(settings, source), bare_codec(source)
    context = Context(received_at=RECEIVED)
    if parse(payload, context) != bare(payload):
        raise AssertionError("the codec's document is another in bare QuickJS")
    return {"compiled": lambda: parse(payload, context), "walked": lambda: bare(payload)}


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
    """One figure beside the message's interpretation, or a codec's beside bare QuickJS."""
    value, other = facts[f"{name}.compiled"], facts[f"{name}.walked"]
    medians = {
        "median_us": round(facts[f"{name}.compiled.median"], 2),
        "beside_median_us": round(facts[f"{name}.walked.median"], 2),
    }
    if name in CODECS:
        met = target(f"{OF_BARE} x bare QuickJS", value <= OF_BARE * other)
        return Result(name, value, "us", ("bare QuickJS", other), [met], medians)
    met = target(f"{TARGETS[name]:g} us", value <= TARGETS[name])
    medians["times_faster"] = round(other / value, 1)
    return Result(name, value, "us", ("interpreted", other), [met], medians)


def run(seconds: float = SECONDS) -> Run:
    """All messages; the facts are microseconds by figure and way."""
    began = time.perf_counter()
    facts: dict[str, Any] = {}
    gc.collect()
    gc.disable()
    try:
        races = {
            name: {"compiled": subject.compiled, "walked": subject.walked}
            for name, subject in subjects().items()
        }
        races |= {name: codec_alone(*codec) for name, codec in CODECS.items()}
        for name, ways in races.items():
            for way, (best, usual) in race(ways, seconds).items():
                facts[f"{name}.{way}"], facts[f"{name}.{way}.median"] = best, usual
    finally:
        gc.enable()
    return Run(1, time.perf_counter() - began, facts=facts)
