"""What is remembered of one feeder, and the arithmetic of its loss.

Energies are in kWh, loads in kW^2 h: the sum of P^2 t.
"""

from __future__ import annotations

from math import exp, log
from typing import Any, Final, NamedTuple

import msgspec

from gateway.checks.lasting import Lasting

FACTORS: Final = 3
"""Days from which on two factors are known well enough to have residuals."""
_MOST_ROWS: Final = 72
_WHOLE: Final = "*"
"""The name of the model that blames nobody: the feeder's whole load."""


class Sums(msgspec.Struct, array_like=True):
    """Of a member's hours: energy, its square, and its product with the unexplained loss."""

    energy: float = 0.0
    square: float = 0.0
    product: float = 0.0


class Feeder(msgspec.Struct, array_like=True):
    """What is remembered of one feeder.

    ``rows`` are the registers at whole hours that are not complete yet, ``at`` and ``row`` the last
    complete ones.  ``day`` gathers the intervals of a day: hours, master, loss, sum of P^2 t.  The
    technical loss is learned as the normal equations of two factors, with the residuals' squares.
    """

    rows: dict[int, dict[str, tuple[float, int]]] = {}
    at: int = 0
    row: dict[str, tuple[float, int]] = {}
    offset: int = 0
    profile: str = ""
    day: int = 0
    hours: float = 0.0
    master: float = 0.0
    loss: float = 0.0
    load: float = 0.0
    learned: int = 0
    normal: list[float] = msgspec.field(default_factory=lambda: [0.0] * 5)
    residuals: float = 0.0
    off: int = 0
    first_off: int = 0
    beyond: float = 0.0
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    members: dict[str, Sums] = {}
    lasting: Lasting = msgspec.field(default_factory=Lasting)


class FeederDay(NamedTuple):
    """A day of a feeder as it was judged: since when (ns), how many hours, energies.

    ``expected`` is the loss that is technical, between ``low`` and ``high`` a loss is no finding;
    all three are None of a day of which too little is known.  ``learned`` says that the technical
    loss is the feeder's own.
    """

    since: int
    hours: float
    master: float
    loss: float
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    learned: bool = False


def forget(feeder: Feeder) -> None:
    """A good day: what the days before it said against the feeder is over."""
    feeder.off, feeder.first_off, feeder.beyond = 0, 0, 0.0
    gather_anew(feeder)


def gather_anew(feeder: Feeder) -> None:
    """Begins the regressions anew."""
    feeder.count, feeder.total, feeder.squares, feeder.members = 0, 0.0, 0.0, {}


def enter(feeder: Feeder, hour: int, name: str, register: tuple[float, int]) -> None:
    """Notes a register at a whole hour, until the hour is complete."""
    if hour > feeder.at:
        feeder.rows.setdefault(hour, {})[name] = register
        if len(feeder.rows) > _MOST_ROWS:
            del feeder.rows[min(feeder.rows)]


def gather(feeder: Feeder, unexplained: float, energies: dict[str, float], used: float) -> None:
    """Adds an hour to the regressions of the days that are off."""
    feeder.count += 1
    feeder.total += unexplained
    feeder.squares += unexplained * unexplained
    for name, energy in ((_WHOLE, used), *energies.items()):
        sums = feeder.members.setdefault(name, Sums())
        sums.energy += energy
        sums.square += energy * energy
        sums.product += energy * unexplained


def factors(feeder: Feeder) -> tuple[float, float]:
    """Standing loss in kWh/h and copper loss in 1/kW, by least squares, neither below zero."""
    tt, tp, pp, tl, pl = feeder.normal
    determinant = tt * pp - tp * tp
    if determinant > 1e-9 * tt * pp:
        standing = (pp * tl - tp * pl) / determinant
        copper = (tt * pl - tp * tl) / determinant
        if standing >= 0 and copper >= 0:
            return standing, copper
    # The better of the two alone.
    if pp and pl > 0 and (not tt or pl * pl / pp >= tl * tl / tt):
        return 0.0, pl / pp
    return (max(0.0, tl / tt) if tt else 0.0), 0.0


class GoodDay(NamedTuple):
    """A day's hours, sum of P^2 t, loss and master energy; what is unexplained, as share."""

    hours: float
    load: float
    loss: float
    master: float
    residual: float


def learn(feeder: Feeder, day: GoodDay) -> None:
    """A good day; older ones weigh less and less, so that a feeder that grows is followed."""
    hours, load, loss, master, residual = day
    if feeder.learned >= 30:
        feeder.normal = [kept * (1 - 1 / 30) for kept in feeder.normal]
        feeder.residuals *= 1 - 1 / 30
        feeder.learned = 29
    weight = 1 / (master * master)
    for index, product in enumerate(
        (hours * hours, hours * load, load * load, hours * loss, load * loss)
    ):
        feeder.normal[index] += product * weight
    feeder.residuals += residual * residual
    feeder.learned += 1


def suspects(feeder: Feeder, confidence: float) -> list[dict[str, Any]]:
    """Members whose own series tells the unexplained loss best, with confidence, best first."""
    count = feeder.count
    if count < 24:
        return []
    mean = feeder.total / count
    spread = feeder.squares - count * mean * mean
    scores: dict[str, tuple[float, float]] = {}
    for name, sums in feeder.members.items():
        centre = sums.energy / count
        variance = sums.square - count * centre * centre
        slope = (sums.product - count * centre * mean) / variance if variance > 1e-12 else 0.0
        left = spread - max(0.0, slope) ** 2 * max(0.0, variance) if slope > 0 else spread
        scores[name] = -count / 2 * log(max(left, 1e-12 * max(spread, 1e-12))), slope
    best = max(score for score, _ in scores.values())
    weights = {name: exp(score - best) for name, (score, _) in scores.items()}
    whole = sum(weights.values())
    told: list[dict[str, Any]] = [
        {
            "device_id": name,
            "confidence": round(weight / whole, 4),
            "share": round(scores[name][1], 4),
        }
        for name, weight in sorted(weights.items(), key=lambda item: (-item[1], item[0]))
        if name != _WHOLE and weight / whole >= min(0.05, confidence)
    ]
    return told[:3]
