"""The test messages of a profile: each is decided as in service, and compared.

They stand in the profile itself, and in the folder ``NAME.tests`` beside it (`gateway.case_files`).
A case names what must be there and equal; what it does not name may be there.  Values are numbers
in canonical units or text with a unit (``"1234.56 kWh"``); times are RFC 3339.
"""

from __future__ import annotations

import base64
import difflib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.case_files import read_case_files
from gateway.checks import Tariff
from gateway.deciding import Decided, Decider
from gateway.errors import ProfileError
from gateway.profiles import Profile, ProfileSet
from gateway.profiles.explain import hint
from gateway.profiles.models import Case, Earlier
from gateway.profiles.topics import topic_pattern
from gateway.quantities import BY_NAME
from gateway.records import Batch, Device, Reading, Value
from gateway.times import nanoseconds, rfc3339
from gateway.units import UnitError, conversion, parse_value

_PLAIN = ("device_id", "event", "channel", "sequence", "quality", "currency", "kind")
_TIMES = ("measured_at", "received_at")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that came out otherwise than the case says.

    Attributes:
        place: where: a quantity of ``expect[0]``, the flags, the quarantine.
        expected: what the case says; empty where it says nothing of it.
        got: what came out, as the case would have to say it; or what is wrong with the case.
    """

    place: str
    expected: str
    got: str

    def __str__(self) -> str:
        if not self.expected:
            return f"{self.place}: {self.got}"
        return f"{self.place}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case decided: ``details`` is empty when it holds.

    Attributes:
        profile: the profile's name.
        index: position among the profile's cases, those of its folder last.
        label: how people find it: its position in ``tests``, or its file.
        case: the case.
        details: what differs.
        readings: what came out.
    """

    profile: str
    index: int
    label: str
    case: Case
    details: tuple[Difference, ...]
    readings: tuple[Reading, ...]

    @property
    def ok(self) -> bool:
        """Whether what came out is what the profile says."""
        return not self.details

    @property
    def differences(self) -> tuple[str, ...]:
        """What differs, a line each."""
        return tuple(map(str, self.details))


def cases_of(profile: Profile) -> list[tuple[str, Case]]:
    """The cases of a profile with their labels: its own, then those of its folder.

    Raises:
        ProfileError: every fault of the folder's files.
    """
    own = [(str(index), case) for index, case in enumerate(profile.model.tests)]
    return own + read_case_files(profile.file)


def run_cases(
    profiles: ProfileSet, tariffs: Mapping[str, Tariff], names: Iterable[str] | None = None
) -> list[CaseResult]:
    """Runs the cases of the named profiles (all when None), each on its own fresh state.

    Raises:
        ProfileError: a name is no profile's, or a file of cases is wrong.
    """
    wanted = list(profiles.profiles) if names is None else list(names)
    unknown = [name for name in wanted if name not in profiles.profiles]
    if unknown:
        raise ProfileError(
            "\n".join(
                f"no profile {name!r}{hint(name, list(profiles.profiles))}" for name in unknown
            )
        )
    results = []
    for profile in (profiles.profiles[name] for name in wanted):
        alone = ProfileSet({profile.name: profile}, profiles.bases)
        decider = Decider(alone, {}, tariffs, registry_known=False)
        fresh = decider.snapshot()
        for index, (label, case) in enumerate(cases_of(profile)):
            if case.parameters:
                devices = _devices(profile, case)
                known = Decider(alone, devices, tariffs, registry_known=False)
                results.append(_run(known, profile, index, label, case))
                continue
            decider.restore(fresh)
            results.append(_run(decider, profile, index, label, case))
    return results


def _devices(profile: Profile, case: Case) -> dict[str, Device]:
    """A registry of the devices that the case is about, with its parameters."""
    topic = case.topic or default_topic(profile)
    named = {str(expected["device_id"]) for expected in case.expect if "device_id" in expected}
    for pattern in profile.model.match.topic if profile.model.match else ():
        match = topic_pattern(pattern).fullmatch(topic)
        named |= {match["device_id"]} if match and "device_id" in match.groupdict() else set()
    return {name: Device(device_id=name, parameters=case.parameters) for name in named}


def _run(decider: Decider, profile: Profile, index: int, label: str, case: Case) -> CaseResult:
    received = nanoseconds(case.received_at)
    before = len(case.before)
    if before:
        topics = [message.topic for message in case.before]
        payloads = [_octets(message) for message in case.before]
        decider.decide(Batch(topics, payloads, [received] * before, 0), Decided())
    batch = Batch(
        [case.topic or default_topic(profile)], [payload_of(profile, case)], [received], before
    )
    decided = Decided()
    decider.decide(batch, decided)
    details = tuple(compare(decided, case, profile.kind))
    return CaseResult(profile.name, index, label, case, details, tuple(decided.readings))


def payload_of(profile: Profile, case: Case) -> bytes:
    """The bytes of a case's message; a LoRaWAN device's own bytes in an uplink of ChirpStack."""
    payload = _octets(case)
    if case.payload_hex is None:
        return payload
    return enveloped(profile, payload, case.f_port, case.received_at)


def _octets(message: Case | Earlier) -> bytes:
    if message.payload_hex is not None:
        return bytes.fromhex(message.payload_hex)
    text = message.payload if isinstance(message.payload, str) else json.dumps(message.payload)
    return text.encode()


def enveloped(profile: Profile, payload: bytes, port: int, received_at: str) -> bytes:
    """A LoRaWAN device's own bytes in an uplink of ChirpStack; any other's as they are."""
    if profile.model.decode.envelope != "lorawan":
        return payload
    uplink = {
        "time": received_at,
        "deviceInfo": {"devEui": "0102030405060708", "deviceProfileName": profile.name},
        "fCnt": 1,
        "fPort": port,
        "data": base64.b64encode(payload).decode(),
    }
    return json.dumps(uplink).encode()


def default_topic(profile: Profile) -> str:
    """A topic of the profile with each named level filled by its own name."""
    topics = profile.model.match.topic if profile.model.match else [""]
    return topics[0].replace("{", "").replace("}", "").replace("#", "x")


def compare(decided: Decided, case: Case, kind: str) -> Iterable[Difference]:
    """What differs between the outcome and the case."""
    if case.quarantine is not None:
        refused = decided.quarantined[0] if decided.quarantined else None
        got = f"{refused.reason}: {refused.detail}" if refused else _outcome(decided)
        if refused is None or refused.reason != case.quarantine:
            yield Difference("quarantine", case.quarantine, got)
    elif decided.quarantined:
        for refused in decided.quarantined:
            yield Difference("quarantined", "", f"{refused.reason}: {refused.detail}")
    elif decided.counters.ignored or not case.expect:
        if case.expect or decided.readings:
            expected = _counted(len(case.expect)) if case.expect else "to be ignored"
            yield Difference("expect", expected, _outcome(decided))
    else:
        yield from _compare_readings(decided, case, kind)


def _outcome(decided: Decided) -> str:
    if decided.counters.ignored:
        return "a message that 'ignore' of the profile names"
    return _counted(len(decided.readings))


def _compare_readings(decided: Decided, case: Case, kind: str) -> Iterable[Difference]:
    left = list(decided.readings)
    for i, expected in enumerate(case.expect):
        yield from _take(i, expected, left, kind)
    if case.flags is not None:
        codes = sorted(flag.code for flag in decided.flags)
        if codes != sorted(case.flags):
            yield Difference("flags", str(sorted(case.flags)), str(codes))


def _counted(readings: int) -> str:
    return "1 reading" if readings == 1 else f"{readings} readings"


def _take(
    index: int, expected: Mapping[str, Any], left: list[Reading], kind: str
) -> Iterable[Difference]:
    """Takes the reading that fits best out of ``left`` and yields what still differs."""
    place = f"expect[{index}]"
    if not left:
        yield Difference(place, "", "no reading is left for it")
        return
    ranked = [(list(_wrong(place, expected, reading, kind)), reading) for reading in left]
    wrong, best = min(ranked, key=lambda pair: len(pair[0]))
    left.remove(best)
    yield from wrong


def _wrong(
    place: str, expected: Mapping[str, Any], reading: Reading, kind: str
) -> Iterable[Difference]:
    quantities = reading.quantities
    for key, value in expected.items():
        if key in _PLAIN:
            got: Any = getattr(reading, key)
            same = got == value and isinstance(got, bool) == isinstance(value, bool)
        elif key in _TIMES:
            got = getattr(reading, key)
            same = got == _nanoseconds(value)
        elif key == "status":
            got = list(reading.status)
            same = got == value
        elif key in BY_NAME[kind]:
            got = quantities.get(key)
            same = _equal(got, value, BY_NAME[kind][key].unit, BY_NAME[kind][key].type)
        else:
            known = [*_PLAIN, *_TIMES, "status", *BY_NAME[kind]]
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            yield Difference(f"{place}.{key}", "", f"{kind} has no such quantity or field{meant}")
            continue
        if not same:
            said = "null" if value is None else repr(value)
            yield Difference(f"{place}.{key}", said, told_value(got, key, kind, like=value))


def _equal(got: Value, expected: object, unit: str, kind: str) -> bool:
    if expected is None or got is None:
        return got is None and expected is None
    if kind == "time":
        return got == _nanoseconds(expected)
    if isinstance(expected, str) and kind in {"number", "money"}:
        try:
            expected = parse_value(expected, unit)
        except UnitError:
            return False
    same_sort = isinstance(got, bool) == isinstance(expected, bool)
    if kind == "number" and same_sort and isinstance(got, float | int):
        # A conversion may move the last binary digit; no instrument shows so many.  Money is exact.
        near = isinstance(expected, int | float) and math.isclose(
            got, expected, rel_tol=1e-14, abs_tol=1e-12
        )
        return bool(near)
    return same_sort and got == expected


def _nanoseconds(expected: object) -> int | None:
    try:
        return nanoseconds(str(expected))
    except ValueError:
        return None


def told_value(got: object, key: str, kind: str, *, like: object = None) -> str:
    """A value as a case would have to say it; in the unit of what the case says now."""
    quantity = BY_NAME[kind].get(key)
    if got is None:
        return "nothing"
    if key in _TIMES or (quantity is not None and quantity.type == "time"):
        return rfc3339(int(str(got)))
    if quantity is None or quantity.type != "number" or quantity.unit == "1":
        return repr(got)
    unit = like.partition(" ")[2] if isinstance(like, str) else ""
    try:
        convert = conversion(unit or quantity.unit, quantity.unit)
    except UnitError:
        convert, unit = conversion(quantity.unit, quantity.unit), ""
    number = (float(str(got)) - float(convert.offset)) * convert.denominator / convert.numerator
    return f"{float(f'{number:.15g}')!r} {unit or quantity.unit}"
