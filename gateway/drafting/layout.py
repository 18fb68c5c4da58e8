"""A first layout for bytes of a maker's own: what grows, what counts, what is the time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.decode.lorawan import open_lorawan
from gateway.drafting.questions import Questions, mark
from gateway.drafting.text import entry, flow
from gateway.errors import DecodeError
from gateway.quantities import BY_NAME

_MAIN: Final = {
    "fuel_dispenser": ("totaliser_volume", "mL"), "taximeter": ("total_distance", "m"),
    "electricity_meter": ("energy_import", "Wh"), "water_meter": ("volume", "L"),
    "gas_meter": ("volume", "L"), "heat_meter": ("energy", "Wh"),
    "ev_charger": ("energy_import", "Wh"),
}  # fmt: skip
_DAY_NS: Final = 86_400 * 10**9
_MOST_SORTS: Final = 6
_MOST_LENGTHS: Final = 4
_FEW: Final = 6
_SHOWN: Final = 4
Role = Literal["time", "register", "sequence"]


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes of one message, with when and on which topic they came, and the LoRaWAN port."""

    data: bytes
    received_at: int
    topic: str
    port: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of the layout; ``role`` is None where nothing can be told of them."""

    start: int
    width: int
    order: Literal["le", "be"]
    role: Role | None
    bcd: bool = False

    def number(self, data: bytes) -> int:
        """The number that the bytes are."""
        raw = data[self.start : self.start + self.width]
        if self.bcd:
            text = (raw[::-1] if self.order == "le" else raw).hex()
            return int(text) if text.isdecimal() else -1
        return int.from_bytes(raw, "little" if self.order == "le" else "big")


def port_of(uplink: bytes) -> int | None:
    """The port of an uplink, where it tells one."""
    try:
        port = open_lorawan(uplink)[0].get("f_port")
    except DecodeError:
        return None
    return port if isinstance(port, int) else None


def models_of(uplinks: Sequence[bytes]) -> set[str]:
    """The models that the network server knows the devices by."""
    found = set()
    for uplink in uplinks:
        try:
            model = open_lorawan(uplink)[0].get("model")
        except DecodeError:
            continue
        if isinstance(model, str):
            found.add(model)
    return found


def write(
    payloads: Sequence[Payload], decode: Mapping[str, Any], kind: str, questions: Questions
) -> list[str]:
    """``decode`` and ``read`` for bytes of which nothing is known."""
    sorts, switch = _sorts(payloads)
    most = max(len(members) for members in sorts.values())
    found = {key: _parts(members, seek=len(members) == most) for key, members in sorts.items()}
    orders = [
        part.order for parts in found.values() for part in parts if part.role and part.width > 1
    ]
    order = "le" if orders.count("le") > orders.count("be") else "be"
    lines = ["decode:", *(f"  {key}: {flow(value)}" for key, value in decode.items())]
    lines += [f"  endian: {order}", "  seq:"]
    if switch is None:
        ((_, members),) = sorts.items()
        lines += _fields(found[None], members, order, "    ")
    else:
        lines += ["    - type:", f"        switch-on: {switch}", "        cases:"]
        for key, members in sorts.items():
            lines.append(f"          {key}:")
            lines += _fields(found[key], members, order, "            ")
    questions.ask(
        "The bytes are the maker's own. Name the fields as the manual does, and mend widths and "
        "signs: what stands there is what can be told from how the bytes change."
    )
    return lines + _read(found, kind, questions)


def _sorts(payloads: Sequence[Payload]) -> tuple[dict[Any, list[Payload]], str | None]:
    """Payloads by port, else by length where there are a few; and what the layout switches on."""
    by_port: dict[Any, list[Payload]] = {}
    by_size: dict[Any, list[Payload]] = {}
    for payload in payloads:
        by_port.setdefault(payload.port, []).append(payload)
        by_size.setdefault(len(payload.data), []).append(payload)
    if 1 < len(by_port) <= _MOST_SORTS and None not in by_port:
        return by_port, "_port"
    if 1 < len(by_size) <= _MOST_LENGTHS:
        return by_size, "_size"
    return {None: list(payloads)}, None


def _parts(payloads: Sequence[Payload], *, seek: bool) -> list[Part]:
    """The layout's parts without a gap, up to the shortest payload's end."""
    size = min(len(payload.data) for payload in payloads)
    found: list[Part] = []
    for search in (_time, _register, _counter) if seek else ():
        part = search(payloads, size, found)
        if part is not None:
            found.append(part)
    found.sort(key=lambda part: part.start)
    return list(_filled(found, size))


def _filled(found: Sequence[Part], size: int) -> Iterator[Part]:
    at = 0
    for part in (*found, Part(size, 0, "be", None)):
        gap = part.start - at
        if gap > _FEW:
            yield Part(at, gap, "be", None)
        else:
            yield from (Part(i, 1, "be", None) for i in range(at, part.start))
        if part.width:
            yield part
        at = part.start + part.width


def _candidates(
    size: int, widths: Sequence[int], found: Sequence[Part], role: Role
) -> Iterator[Part]:
    taken = {i for part in found for i in range(part.start, part.start + part.width)}
    for width in widths:
        for start in range(size - width + 1):
            if not taken & set(range(start, start + width)):
                for order in ("le", "be") if width > 1 else ("be",):
                    yield Part(start, width, order, role)


def _time(payloads: Sequence[Payload], size: int, found: Sequence[Part]) -> Part | None:
    """Four bytes that are, in each message, nearly the second of its receipt."""
    for part in _candidates(size, (4,), found, "time"):
        if all(abs(part.number(p.data) * 10**9 - p.received_at) < _DAY_NS for p in payloads):
            return part
    return None


def _steps(payloads: Sequence[Payload], part: Part) -> list[int]:
    series: dict[str, list[int]] = {}
    for payload in payloads:
        series.setdefault(payload.topic, []).append(part.number(payload.data))
    return [b - a for numbers in series.values() for a, b in itertools.pairwise(numbers)]


def _register(payloads: Sequence[Payload], size: int, found: Sequence[Part]) -> Part | None:
    """The bytes that grow a little from each message of a device to the next."""
    best: tuple[float, Part] | None = None
    parts = _candidates(size, (4, 3, 2), found, "register")
    for part in itertools.chain.from_iterable((part, _as_bcd(part)) for part in parts):
        numbers = [part.number(payload.data) for payload in payloads]
        steps = _steps(payloads, part)
        if not steps or min(steps) < 0 or max(steps) == 0 or min(numbers) < 0:
            continue
        if set(steps) <= {0, 1} and max(numbers) < 2**16:
            continue  # a counter of messages
        share = max(steps) / max(*numbers, 1)
        if share > 0.5:
            continue
        top = payloads[0].data[part.start + (part.width - 1 if part.order == "le" else 0)]
        score = part.width + (2 if top == 0 else 0) - 4 * share + (1 if part.bcd else 0)
        if best is None or score > best[0]:
            best = score, part
    return best[1] if best is not None else None


def _as_bcd(part: Part) -> Part:
    return Part(part.start, part.width, part.order, part.role, bcd=True)


def _counter(payloads: Sequence[Payload], size: int, found: Sequence[Part]) -> Part | None:
    """A byte or two that go up by one with each message."""
    for part in _candidates(size, (2, 1), found, "sequence"):
        steps = _steps(payloads, part)
        ones = sum(step == 1 for step in steps)
        if len(steps) > 1 and ones >= 0.8 * len(steps):
            return part
    return None


def _fields(parts: Sequence[Part], payloads: Sequence[Payload], order: str, pad: str) -> list[str]:
    lines = []
    for part in parts:
        said: dict[str, Any] = {"id": _name(part), "type": _type(part)}
        if part.bcd:
            said["digits"] = 2 * part.width
        elif part.role is None and part.width > 1:
            said["size"] = part.width
        if part.role is not None and part.width > 1 and part.order != order:
            said["endian"] = part.order
        seen = dict.fromkeys(p.data[part.start : part.start + part.width].hex() for p in payloads)
        shown = ", ".join(list(seen)[:_SHOWN]) + (", ..." if len(seen) > _SHOWN else "")
        lines.append(f"{pad}- {flow(said)}  # byte {part.start}: {shown}")
    if len({len(payload.data) for payload in payloads}) > 1:
        lines.append(f"{pad}- {{id: rest, type: hex, size: eos}}  # messages differ in length")
    return lines


def _name(part: Part) -> str:
    if part.role is not None:
        return part.role
    return f"b{part.start}" if part.width == 1 else f"bytes_{part.start}"


def _type(part: Part) -> str:
    if part.bcd:
        return "bcd"
    if part.role is None and part.width > 1:
        return "hex"
    return f"u{part.width}"


def _read(found: Mapping[Any, Sequence[Part]], kind: str, questions: Questions) -> list[str]:
    name, unit = _MAIN[kind]
    roles = {part.role for parts in found.values() for part in parts}
    if "register" not in roles:
        canonical = next(iter(BY_NAME[kind].values()))
        number = questions.ask(
            "No bytes grow from message to message as a register does. Which are the reading? "
            f"Write it below 'read': '{canonical.name}: {{from: b3, unit: {canonical.unit}}}'."
        )
        return [f"read: {{}}{mark(number)}"]
    lines = ["read:"]
    if len(found) > 1:
        lines += entry("when", {"register": {"is": "present"}}, 2)
    if "time" in roles:
        lines.append("  measured_at: {from: time, time: epoch_s}")
    if "sequence" in roles:
        widths = [
            part.width for parts in found.values() for part in parts if part.role == "sequence"
        ]
        optional = ", optional: true" if len(found) > 1 else ""
        lines.append(f"  sequence: {{from: sequence, modulus: {256 ** max(widths)}{optional}}}")
    number = questions.ask(
        f"'register' grows: is it the {name.replace('_', ' ')}, and in {unit}? How many digits has "
        "it before it returns to zero (register: {digits: 8})?"
    )
    lines.append(f"  {name}: {{from: register, unit: {unit}, register: true}}{mark(number)}")
    if len(found) > 1:
        lines += ["ignore:", "  - when: {register: {is: absent}}"]
    return lines
