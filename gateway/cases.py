"""The test messages that a profile carries: each is decided as in service, and compared.

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

from gateway.checks import Tariff
from gateway.errors import ProfileError
from gateway.pipeline import Decided, Decider
from gateway.profiles import Profile, ProfileSet
from gateway.profiles.explain import hint
from gateway.profiles.models import Case
from gateway.quantities import BY_NAME
from gateway.records import Batch, Reading, Value
from gateway.times import nanoseconds, rfc3339
from gateway.units import UnitError, parse_value

_PLAIN = ("device_id", "event", "channel", "sequence", "quality", "currency", "kind")
_TIMES = ("measured_at", "received_at")


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case decided: ``differences`` is empty when it holds."""

    profile: str
    index: int
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether what came out is what the profile says."""
        return not self.differences


def run_cases(
    profiles: ProfileSet, tariffs: Mapping[str, Tariff], names: Iterable[str] | None = None
) -> list[CaseResult]:
    """Runs the cases of the named profiles (all when None), each on its own fresh state.

    Raises:
        ProfileError: a name is no profile's.
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
        for index, case in enumerate(profile.model.tests):
            decider = Decider(alone, {}, tariffs, registry_known=False)
            results.append(
                CaseResult(profile.name, index, tuple(_differences(decider, profile, case)))
            )
    return results


def _differences(decider: Decider, profile: Profile, case: Case) -> Iterable[str]:
    received = nanoseconds(case.received_at)
    batch = Batch(
        [case.topic or default_topic(profile)], [payload_of(profile, case)], [received], 0
    )
    decided = Decided()
    decider.decide(batch, decided)
    yield from compare(decided, case, profile.kind)


def payload_of(profile: Profile, case: Case) -> bytes:
    """The bytes of a case's message; a LoRaWAN device's own bytes in an uplink of ChirpStack."""
    if case.payload_hex is None:
        text = case.payload if isinstance(case.payload, str) else json.dumps(case.payload)
        return text.encode()
    payload = bytes.fromhex(case.payload_hex)
    if profile.model.decode.envelope != "lorawan":
        return payload
    uplink = {
        "time": case.received_at,
        "deviceInfo": {"devEui": "0102030405060708", "deviceProfileName": profile.name},
        "fCnt": 1,
        "fPort": case.f_port,
        "data": base64.b64encode(payload).decode(),
    }
    return json.dumps(uplink).encode()


def default_topic(profile: Profile) -> str:
    """A topic of the profile with each named level filled by its own name."""
    topics = profile.model.match.topic if profile.model.match else [""]
    return topics[0].replace("{", "").replace("}", "").replace("#", "x")


def compare(decided: Decided, case: Case, kind: str) -> Iterable[str]:
    """What differs between the outcome and the case, a line each."""
    if case.quarantine is not None:
        first = decided.quarantined[0] if decided.quarantined else None
        if first is None:
            yield f"quarantine: expected {case.quarantine}, got {len(decided.readings)} readings"
        elif first.reason != case.quarantine:
            yield f"quarantine: expected {case.quarantine}, got {first.reason}: {first.detail}"
        return
    for refused in decided.quarantined:
        yield f"quarantined: {refused.reason}: {refused.detail}"
    if decided.quarantined:
        return
    left = list(decided.readings)
    for i, expected in enumerate(case.expect):
        yield from _take(i, expected, left, kind)
    if case.flags is not None:
        codes = sorted(flag.code for flag in decided.flags)
        if codes != sorted(case.flags):
            yield f"flags: expected {sorted(case.flags)}, got {codes}"


def _take(index: int, expected: Mapping[str, Any], left: list[Reading], kind: str) -> Iterable[str]:
    """Takes the reading that fits best out of ``left`` and yields what still differs."""
    if not left:
        yield f"expect[{index}]: no reading is left for it"
        return
    ranked = [(list(_wrong(expected, reading, kind)), reading) for reading in left]
    wrong, best = min(ranked, key=lambda pair: len(pair[0]))
    left.remove(best)
    for line in wrong:
        yield f"expect[{index}].{line}"


def _wrong(expected: Mapping[str, Any], reading: Reading, kind: str) -> Iterable[str]:
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
            yield f"{key}: {kind} has no such quantity or field{meant}"
            continue
        if not same:
            yield f"{key}: expected {value!r}, got {_told(got, key, kind)}"


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


def _told(got: object, key: str, kind: str) -> str:
    """A value as the case would have to say it."""
    quantity = BY_NAME[kind].get(key)
    if got is None:
        return "nothing"
    if key in _TIMES or (quantity is not None and quantity.type == "time"):
        return rfc3339(int(str(got)))
    if quantity is None or quantity.type != "number" or quantity.unit == "1":
        return repr(got)
    return f"{got!r} {quantity.unit}"
