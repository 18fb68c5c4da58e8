"""Which fields are which quantities, and what kind of instrument that makes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.drafting.fields import Field
from gateway.drafting.guess import (
    PHASED,
    SURE,
    TARIFFED,
    kind_words,
    phase_of,
    scale_of,
    score_of,
    tariff_of,
    unit_of,
)
from gateway.drafting.times import form_of
from gateway.quantities import BY_NAME, KINDS
from gateway.units import conversion

Chosen = dict[str, list[tuple[str | None, Field]]]
"""Fields by quantity, each with its channel (None: that of the block)."""

_WORD: Final = 6
_MARKS: Final = {
    "fuel_dispenser": frozenset(("unit_price", "amount", "product", "totaliser_volume")),
    "taximeter": frozenset(("distance", "fare", "k_constant", "occupied", "speed")),
    "heat_meter": frozenset(("energy", "flow_temperature", "return_temperature", "power")),
    "ev_charger": frozenset(("energy", "energy_start", "state_of_charge", "service_fee")),
}
"""Quantities of which messages of a kind have at least one."""
_POINTS: Final = 20


def choose(fields: Sequence[Field], kind: str) -> Chosen:
    """The fields that are quantities of a kind, each the best that fits."""
    ranked = []
    order = {name: i for i, name in enumerate(BY_NAME[kind])}
    for each in fields:
        for name, place in order.items():
            if not fits(each, name, kind):
                continue
            score = score_of(each, name, kind)
            if score >= SURE:
                ranked.append((-score, place, each, name))
    ranked.sort(key=lambda entry: entry[:2])
    taken: set[int] = set()
    found: dict[str, dict[str | None, Field]] = {}
    for _, _, each, name in ranked:
        channel = channel_of(each, name)
        if id(each) in taken or channel in found.get(name, {}):
            continue
        others = found.get(name, {})
        if (each.array and others) or any(other.array for other in others.values()):
            continue
        if others and name not in PHASED | TARIFFED:
            continue
        taken.add(id(each))
        found.setdefault(name, {})[channel] = each
    return {name: _in_order(_not_alone(found[name])) for name in order if name in found}


def _not_alone(by_channel: dict[str | None, Field]) -> dict[str | None, Field]:
    """A letter that no other phase comes with is no phase: ``current_a`` is in ampere."""
    ((channel, each), *others) = by_channel.items()
    if others or channel is None or not channel.startswith("L") or channel.lower() in each.name:
        return by_channel
    return {None: each}


def _in_order(by_channel: Mapping[str | None, Field]) -> list[tuple[str | None, Field]]:
    return sorted(by_channel.items(), key=lambda pair: (pair[0] is not None, pair[0] or ""))


def channel_of(each: Field, name: str) -> str | None:
    """The phase or tariff that a field's name tells, where the quantity has such."""
    if name in PHASED:
        return phase_of(each)
    return tariff_of(each) if name in TARIFFED else None


def fits(each: Field, name: str, kind: str) -> bool:
    """Whether the values are of the quantity's type, and of a size that it can have."""
    known = BY_NAME[kind][name].type
    if known in {"number", "money"}:
        return each.numeric and scale_of(each, name) is not None
    if each.array:
        return False
    if known == "time":
        return form_of(each, each.received) is not None
    if known == "flag":
        return all(isinstance(value, bool) or value in (0, 1) for value in each.values)
    if name == "valve":
        return all(isinstance(value, str | int) for value in each.values)
    return all(isinstance(value, str) for value in each.values)


def kind_of(fields: Sequence[Field], topics: Sequence[str]) -> tuple[str, str]:
    """The likeliest kind of instrument, and what the guess rests on."""
    spoken = kind_words(fields, topics)
    points: dict[str, float] = {}
    chosen: dict[str, Chosen] = {}
    for kind in KINDS:
        chosen[kind] = choose(fields, kind)
        best = [
            max(score_of(each, name, kind) for _, each in pairs)
            for name, pairs in chosen[kind].items()
        ]
        lacks = not _MARKS.get(kind, frozenset(chosen[kind])) & chosen[kind].keys()
        points[kind] = (
            -_WORD * lacks
            + _WORD * len(spoken[kind])
            + sum(score - SURE + 5 for score in best) / _POINTS
        )
    best_kind = max(points, key=lambda kind: points[kind])
    words = ", ".join(sorted(spoken[best_kind])[:6])
    told = ", ".join(list(chosen[best_kind])[:6])
    parts = [f"words {words}" if words else "", f"fields that fit {told}" if told else ""]
    return best_kind, " and ".join(part for part in parts if part) or "nothing"


_MONEY: Final = (("volume", "unit_price", "amount"), ("energy", "energy_price", "energy_amount"),
                 ("energy", "energy_price", "amount"))  # fmt: skip
_SCALES: Final = ("1", "0.1", "0.01", "0.001")


def money_scales(chosen: Chosen, kind: str) -> dict[str, str]:
    """Scales by which quantity times price is the amount, in every message; empty where none is."""
    for names in _MONEY:
        if not all(name in chosen for name in names):
            continue
        quantity, price, amount = (chosen[name][0][1] for name in names)
        canonical = BY_NAME[kind][names[0]].unit
        unit, told = unit_of(quantity, canonical)
        factor = conversion(unit, canonical).apply(1.0) if told else 1.0
        rows = list(zip(quantity.numbers, price.numbers, amount.numbers, strict=False))
        rows = [row for row in rows if all(row)]
        options = [_options(quantity, fixed=told), _options(price), _options(amount)]
        for scales in itertools.product(*options):
            a, b, c = (float(scale) for scale in scales)
            if rows and all(_agree(q * factor * a, p * b, m * c) for q, p, m in rows):
                return dict(zip(names, scales, strict=True))
    return {}


def _options(each: Field, *, fixed: bool = False) -> tuple[str, ...]:
    whole = all(number == int(number) for number in each.numbers)
    return _SCALES if whole and not fixed else ("1",)


def _agree(quantity: float, price: float, amount: float) -> bool:
    """Whether the amount is the quantity at a price that any station asks."""
    return 0.2 <= price <= 40 and quantity < 2000 and abs(quantity * price - amount) <= max(
        0.02, 0.003 * amount
    )  # fmt: skip
