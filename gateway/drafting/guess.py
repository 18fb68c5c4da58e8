"""What fields may be: quantities, units, scales, the kind, and the parts around a reading.

Guesses, for a person to confirm: each is written with what it rests on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.drafting.fields import Field, sign_of, words_of
from gateway.drafting.vocabulary import vocabulary
from gateway.quantities import BY_NAME
from gateway.units import UnitError, conversion

SURE: Final = 40
"""Least score of a quantity that is written down as such."""
SURE_WORDS: Final = 66
"""Least score of words that mean a quantity wherever they stand."""
REGISTERS: Final = frozenset(
    (
        "energy_import", "energy_export", "energy_reactive_import", "energy_reactive_export",
        "volume", "volume_reverse", "volume_base", "energy", "totaliser_volume", "total_distance",
        "occupied_distance",
    )
)  # fmt: skip
"""Quantities that only grow."""
PHASED: Final = frozenset(
    ("voltage", "amperage", "power_active", "power_reactive", "power_apparent", "power_factor")
)
"""Quantities of phases, whose letter or number may end a name."""
TARIFFED: Final = frozenset(("energy_import", "energy_export"))
"""Quantities of tariffs."""

_PHASES: Final = {"1": "L1", "2": "L2", "3": "L3", "a": "L1", "b": "L2", "c": "L3",
                  "l1": "L1", "l2": "L2", "l3": "L3", "r": "L1", "s": "L2", "t": "L3"}  # fmt: skip
_PHASE_NAME: Final = re.compile(r"(u|i|v|p|pf|q|s|cos)([abc123])")
_TARIFFS: Final = {"jian": "T1", "feng": "T2", "ping": "T3", "gu": "T4", "sharp": "T1",
                   "peak": "T2", "flat": "T3", "valley": "T4", "尖": "T1", "峰": "T2", "平": "T3",
                   "谷": "T4", "ht": "T1", "nt": "T2"}  # fmt: skip


def score_of(each: Field, quantity: str, kind: str) -> int:
    """How well a quantity's words fit a field: 100 for its very name, 0 for not at all."""
    known = BY_NAME[kind][quantity]
    if known.type == "time":
        return _by_words(each, quantity)
    score = _by_words(each, quantity)
    still = bool(each.steps()) and not each.grows and tariff_of(each) is None
    if score < SURE_WORDS and quantity in REGISTERS and still:
        score -= 25  # a register that a weak word names, and that stands still
    if score <= 0:
        return 0
    unit = unit_word(each)
    if known.type == "number" and known.unit != "1" and unit is not None:
        return score + 15 if _converts(unit, known.unit) else 0
    if unit is not None and known.type in {"money", "text", "flag"}:
        return 0
    return score


def _by_words(each: Field, quantity: str) -> int:
    own, above = _own_words(each, quantity), words_of(each.above)
    if not own:
        return 0
    score = _by_name(own, above, quantity)
    beside = set(own) | set(above)
    if score < 100 and beside & vocabulary().not_total and not _is_meant(quantity, beside):
        score -= 40
    return max(score, 0)


def _by_name(own: tuple[str, ...], above: tuple[str, ...], quantity: str) -> int:
    if not own:
        return 0
    spoken = vocabulary()
    sure, weak = spoken.sure[quantity], spoken.weak[quantity]
    whole, value = "".join(own), "".join(own) in {*spoken.values, "total", "sum"}
    joined = ("".join((*above[a:], *own[:b])) for a in range(len(above)) for b in (1, 2))
    ranks = (
        (100, whole in sure or whole == quantity.replace("_", "")),
        (78, any("".join(own[a:b]) in sure for a, b in _runs(len(own)))),
        (74, any(word in sure for word in joined)),
        (66, value and "".join(above) in sure),
        (60, whole in weak),
        (50, own[-1] in weak),
        (44, bool(set(own) & weak)),
        (42, value and bool(above) and above[-1] in weak),
        (38, bool(above) and "".join(above) in sure),
        (20, bool(above) and above[-1] in weak),
    )
    return next((rank for rank, holds in ranks if holds), 0)


def _is_meant(quantity: str, beside: set[str]) -> bool:
    return quantity.startswith("demand") or (quantity == "max_speed" and "max" in beside)


def _runs(count: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(count) for b in range(count, a, -1)]


def _own_words(each: Field, quantity: str) -> tuple[str, ...]:
    """The words of the name without phase, tariff and unit; those above where no other is left."""
    words = list(words_of(each.name))
    if quantity in PHASED:
        words = _without_phase(words)
    elif quantity in TARIFFED:
        rest = [word for word in words if tariff_word(word) is None]
        words = rest or list(words_of(each.above))
    if not words:
        words = list(words_of(each.above))
    units = vocabulary().units
    if len(words) > 1 and words[-1] in units and (len(words[-1]) > 1 or "_" in each.name):
        words.pop()
    return tuple(words)


def _without_phase(words: list[str]) -> list[str]:
    if words and words[0] in {"l1", "l2", "l3"}:
        return words[1:]
    phase = _PHASE_NAME.fullmatch(words[-1]) if words else None
    if phase is not None:
        return [*words[:-1], phase[1]]
    return words[:-1] if words and words[-1] in _PHASES else words


def unit_word(each: Field) -> str | None:
    """The UCUM code of the unit that stands in a field's name, or that a field beside it tells."""
    spoken = vocabulary()
    if each.unit is not None and each.unit.values:
        return sign_of(str(each.unit.values[0]))
    words = words_of(each.name)
    for word in reversed(words):
        last = len(words) > 1 and word == words[-1] and "_" in each.name
        letter = word in {"a", "b"} or (word == "c" and not words[0].startswith("t"))
        if (len(word) > 1 or (last and not letter)) and word in spoken.units:
            return spoken.units[word]
    return None


def phase_of(each: Field) -> str | None:
    """The phase that the end of a name tells: ``u1``, ``voltage_a``, ``l2``; or its parent's."""
    words = words_of(each.name)
    if not words or isinstance(each.path[-1], int):
        return None
    if words[0] in {"l1", "l2", "l3"}:
        return _PHASES[words[0]]
    match = _PHASE_NAME.fullmatch(words[-1])
    if match is not None:
        return _PHASES[match[2]]
    if words[-1] in _PHASES and (len(words) > 1 or (each.above and not words[0].isdigit())):
        return _PHASES[words[-1]]
    above = words_of(each.above)
    if above and (above[-1] in {"l1", "l2", "l3"} or (above[0] == "phase" and len(above) == 2)):
        return _PHASES.get(above[-1])
    return None


def tariff_word(word: str) -> str | None:
    """The tariff that a word names."""
    match = re.fullmatch(r"(?:t|tariff|rate)([1-8])", word)
    return f"T{match[1]}" if match else _TARIFFS.get(word)


def tariff_of(each: Field) -> str | None:
    """The tariff that a name tells."""
    words = words_of(each.name)
    found = [tariff for word in words if (tariff := tariff_word(word)) is not None]
    return found[0] if found else None


def _converts(unit: str, canonical: str) -> bool:
    try:
        conversion(unit, canonical)
    except UnitError:
        return False
    return True


def unit_of(each: Field, canonical: str) -> tuple[str, bool]:
    """The unit a field's name tells, and whether it does; else the likeliest one."""
    told = unit_word(each)
    if told is not None and _converts(told, canonical):
        return told, True
    size = max(map(abs, each.numbers), default=0.0)
    if canonical in _POWERS and size > _FEW_KW and all(n == int(n) for n in each.numbers):
        return _POWERS[canonical], False
    return _by_size(canonical, size), False


_POWERS: Final = {"kW": "W", "kVA": "VA", "kvar": "var"}
_FEW_KW: Final = 5


def _by_size(canonical: str, size: float) -> str:
    """W rather than kW where the numbers are in the thousands, and the like."""
    smaller = {"kW": ("W", 200), "kWh": ("Wh", 1e7), "m3": ("L", 1e6), "m3/h": ("L/h", 100),
               "kPa": ("Pa", 1e4), "kVA": ("VA", 200), "kvar": ("var", 200)}  # fmt: skip
    unit, limit = smaller.get(canonical, (canonical, float("inf")))
    return unit if size > limit else canonical


def plausible(quantity: str) -> bool:
    """Whether a quantity's size speaks for its unit, so that nobody need be asked."""
    return quantity in _PLAUSIBLE


_PLAUSIBLE: Final[dict[str, tuple[float, float]]] = {
    "voltage": (85, 500), "frequency": (45, 65), "power_factor": (-1, 1),
    "battery_voltage": (1.8, 4.5), "state_of_charge": (0, 100), "longitude": (-180, 180),
    "latitude": (-90, 90),
    "temperature": (-40, 150), "flow_temperature": (0, 180), "return_temperature": (0, 180),
    "temperature_difference": (-50, 150), "density": (500, 1100), "conversion_factor": (0.5, 80),
}  # fmt: skip


def scale_of(each: Field, quantity: str) -> str | None:
    """The scale that makes the numbers plausible: ``1``, ``0.1`` ...; None where none does."""
    bounds = _PLAUSIBLE.get(quantity)
    numbers = [n for n in each.numbers if n]
    if bounds is None or not numbers:
        return "1"
    low, high = bounds
    scales = ("1", "0.1", "0.01", "0.001") if all(n == int(n) for n in numbers) else ("1",)
    if quantity == "battery_voltage" and unit_word(each) is not None:
        return "1"
    for scale in scales:
        if all(low <= n * float(scale) <= high for n in numbers):
            return scale
    return "1" if quantity == "battery_voltage" and max(numbers) <= _MAINS_V else None


_MAINS_V: Final = 60


# -- kind, time, numbering, identity -------------------------------------------------------------


def kind_words(fields: Sequence[Field], topics: Iterable[str]) -> dict[str, set[str]]:
    """Words of topics and names that speak for each kind."""
    words = {word for topic in topics for level in topic.split("/") for word in words_of(level)}
    for each in fields:
        for part in each.path:
            words |= set(words_of(str(part)))
            words.add("".join(words_of(str(part))))
    return {kind: words & known for kind, known in vocabulary().kinds.items()}


def time_words(each: Field) -> int | None:
    """How likely a name is the instrument's time: 0 for the likeliest; None where it is none."""
    words = words_of(each.name)
    times = vocabulary().times
    whole = "".join(words)
    if whole in times:
        return times.index(whole)
    found = [times.index(word) for word in words if word in times and len(word) > 1]
    return len(times) + min(found) if found else None


def is_sequence(each: Field) -> bool:
    """Whether it numbers the messages: whole numbers, mostly growing by one."""
    words = {*words_of(each.name), "".join(words_of(each.name))}
    if not each.whole or not words & vocabulary().sequences:
        return False
    steps = each.steps()
    on = sum(any(0 < step + begun <= 3 for begun in (0, *MODULI)) for step in steps)
    return not steps or on * 2 >= len(steps)


MODULI: Final = (256, 1000, 10_000, 65_536, 100_000, 1_000_000)
"""After how many numbers a numbering may begin anew."""


def span_words(each: Field) -> str | None:
    """Whether a name is that of a beginning or an end, by the quantity it would be."""
    for quantity in ("started_at", "ended_at"):
        if _by_name(words_of(each.name), (), quantity) >= 60:
            return quantity
    return None


def identity_words(each: Field) -> int | None:
    """How likely a name is an identity: 0 for the surest; None where it is none."""
    identities = vocabulary().identities
    words = words_of(each.name)
    whole = "".join(words)
    plain = all(
        isinstance(value, str | int) and not isinstance(value, bool) for value in each.values
    )
    if not plain or not each.values:
        return None
    if whole in identities:
        return identities.index(whole)
    pairs = ["".join(words[i : i + 2]) for i in range(len(words) - 1)]
    found = [identities.index(word) for word in pairs if word in identities]
    return min(found) if found else None


def is_channel(each: Field) -> bool:
    """Whether it names a channel: a nozzle, a connector, a phase."""
    words = words_of(each.name)
    named = "".join(words) in vocabulary().channels or bool(
        words and words[0] in vocabulary().channels and words[-1] in {"id", "no", "nr", "num"}
    )
    short = all(isinstance(value, int | str) and len(str(value)) <= 16 for value in each.values)
    return named and short and not any(isinstance(value, bool) for value in each.values)


def status_word(name: str) -> str | None:
    """Our status word for what a maker calls it."""
    known = vocabulary().status
    words = words_of(name)
    for start in range(len(words)):
        for end in range(len(words), start, -1):
            found = known.get("".join(words[start:end]))
            if found is not None:
                return found
    return None


def is_status(each: Field) -> bool:
    """Whether its name says that it is a status."""
    words, known = words_of(each.name), vocabulary().status_keys
    return "".join(words) in known or (bool(words) and words[-1] in known)
