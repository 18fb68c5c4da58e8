"""``energy_balance_mismatch``: what a feeder's master meter gives against what its meters register.

Registers are compared at whole hours (`RegisterSteps`), where the master and all its members are
known; what lies between two such hours is one interval.  Its loss, master minus members, is in part
technical: ``c0 x t + c2 x P^2 x t`` (standing loss and copper).  Both factors are learned from the
feeder's own days, and a day is judged by what its loss is beyond them.

While it lasts, the hours' unexplained loss is regressed on each member's own series: who takes
energy past the meter takes it when the meter runs too.  Each member, and the feeder as a whole (a
tap that follows nobody), is one model; their weights by SSE^(-n/2), which is the Bayesian criterion
for models of equal size, are the confidence that the evidence gives.
"""

from __future__ import annotations

from math import exp, log
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
from pydantic import Field

from gateway.checks.balances import version_of
from gateway.checks.findings import finding
from gateway.checks.lasting import Lasting, begin, end, go_on
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.register_steps import RegisterSteps, whole_hours
from gateway.checks.series import Series, SeriesCheck
from gateway.checks.steps import Faces
from gateway.devices import having, named_devices, valid_at
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

CODE: Final = "energy_balance_mismatch"
_HOUR: Final = 3_600 * 10**9
_DAY: Final = 24 * _HOUR
_MOST_ROWS: Final = 72
_LEAST_HOURS: Final = 12
_FACTORS: Final = 3
"""Days from which on two factors are known well enough to have residuals."""
_MASTER: Final = ""
"""The name of the master among the columns; no device has it."""
_WHOLE: Final = "*"
"""The name of the model that blames nobody: the feeder's whole load."""


class BalanceSettings(Settings):
    """When a day's loss is too large.

    Attributes:
        tolerance: share of the day's energy that the loss may be beyond the learned technical one.
        most: share that the loss may be while nothing has been learned.
        learn: days before the learned loss is judged by.
        days: days in a row before it counts.
        wait: hours that a missing member is waited for.
        confidence: from which on a member is named as suspect.
        noise: by how many standard deviations of the learned days a day must be off.
    """

    tolerance: Positive = 0.015
    most: Positive = 0.12
    learn: Annotated[int, Field(ge=3)] = 7
    days: Annotated[int, Field(ge=1)] = 2
    wait: Positive = 48.0
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.5
    noise: NotNegative = 5.0


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


def _make(bound: Bound) -> SeriesCheck | None:
    names = bound.layout.names
    if bound.layout.event != "periodic" or "energy_import" not in names:
        return None
    balance = _Balance(bound)
    if not balance.members:
        return None
    return SeriesCheck(CODE, RegisterSteps, per_channel=True, run=balance.run)


class _Balance:
    """The feeders of a registry, for one layout.

    ``members`` are by master those that any version of the registry names below it.
    """

    def __init__(self, bound: Bound) -> None:
        names = bound.layout.names
        self._bound = bound
        self._settings = bound.settings.of(CODE, BalanceSettings)
        registers = ("energy_import", "energy_export")
        self._faces = Faces(bound.layout, tuple(name for name in registers if name in names))
        self.members: dict[str, list[str]] = {}
        self._having = having(bound.devices, "parent")
        for member, versions in self._having.items():
            for master in {name for v in versions for name in named_devices(v, "parent")}:
                self.members.setdefault(master, []).append(member)

    def run(
        self,
        steps: RegisterSteps,
        _track: Track,
        reading: Reading,
        at: int,
        late: bool,
        flags: list[Flag],
    ) -> None:
        """See `SeriesCheck.run`."""
        own = reading.device_id
        parent = self._parent(own, at) if own in self._having else None
        if late or (parent is None and own not in self.members):
            return
        found = [reading.values[index] for index in self._faces.indexes]
        if not isinstance(found[0], float) or reading.channel not in {None, "total"}:
            return
        registers = [each if isinstance(each, float) else 0.0 for each in found]
        version = version_of(valid_at(self._bound.devices, own, at))
        feeders = self._feeders(own, parent, reading)
        for hour, net, epoch in whole_hours(steps, self._faces, at, registers, version):
            for name, column, feeder in feeders:
                _enter(feeder, hour, column, (net, epoch))
                self._consume(name, feeder, reading, flags)

    def _feeders(
        self, own: str, parent: str | None, reading: Reading
    ) -> list[tuple[str, str, Feeder]]:
        """The feeders that a device is of: by name, and its column there."""
        found = []
        if parent is not None:
            found.append((parent, own, self._bound.group(CODE, parent, Feeder)))
        if own in self.members:
            feeder = self._bound.group(CODE, own, Feeder)
            feeder.offset, feeder.profile = reading.ledger_offset, reading.profile
            found.append((own, _MASTER, feeder))
        return found

    def _parent(self, name: str, at: int) -> str | None:
        known = valid_at(self._bound.devices, name, at)
        return next(iter(named_devices(known, "parent")), None) if known else None

    def _consume(self, master: str, feeder: Feeder, reading: Reading, flags: list[Flag]) -> None:
        """Takes the hours that are complete, oldest first; one that stays incomplete is left."""
        while feeder.rows:
            hour = min(feeder.rows)
            row = feeder.rows[hour]
            if _MASTER in row and all(
                name in row
                for name in self.members[master]
                if name in row or self._parent(name, hour) == master
            ):
                del feeder.rows[hour]
                told = msgspec.structs.replace(
                    reading,
                    device_id=master,
                    channel=None,
                    measured_at=hour,
                    profile=feeder.profile,
                    ledger_offset=feeder.offset,
                )
                self._interval(feeder, told, row, flags)
                feeder.at, feeder.row = hour, row
            elif self._bound.clock > hour + self._settings.wait * _HOUR:
                del feeder.rows[hour]
            else:
                return

    def _interval(
        self,
        feeder: Feeder,
        reading: Reading,
        row: dict[str, tuple[float, int]],
        flags: list[Flag],
    ) -> None:
        hour, before = reading.measured_at, feeder.row
        if feeder.hours and (hour - 1) // _DAY != feeder.day:
            self._judge_day(feeder, reading, flags)
        if before.keys() != row.keys() or any(before[name][1] != row[name][1] for name in row):
            return  # a meter came, went, or was replaced: nothing to compare with
        span = (hour - feeder.at) / _HOUR
        energies = {name: row[name][0] - before[name][0] for name in row if name != _MASTER}
        master = row[_MASTER][0] - before[_MASTER][0]
        used = sum(energies.values())
        if not feeder.hours:
            feeder.day = (hour - 1) // _DAY
        feeder.hours += span
        feeder.master += master
        feeder.loss += master - used
        feeder.load += used * used / span
        if feeder.learned >= self._settings.learn and span <= 1.0:
            standing, copper = _factors(feeder)
            _gather(feeder, master - used - standing - copper * used * used, energies, used)
        if hour % _DAY == 0:
            self._judge_day(feeder, reading, flags)

    def _judge_day(self, feeder: Feeder, reading: Reading, flags: list[Flag]) -> None:
        settings = self._settings
        hours, master, loss, load = feeder.hours, feeder.master, feeder.loss, feeder.load
        feeder.hours = feeder.master = feeder.loss = feeder.load = 0.0
        if hours < _LEAST_HOURS or master <= 0:
            self._bound.not_judged(CODE, "less than half a day in which all meters are known")
            return
        standing, copper = _factors(feeder)
        learned = feeder.learned >= settings.learn
        expected = standing * hours + copper * load if learned else 0.0
        beyond = loss - expected
        if learned:
            spread = (feeder.residuals / feeder.learned) ** 0.5
            tolerance = master * max(settings.tolerance, settings.noise * spread)
            wrong = abs(beyond) > tolerance
        else:
            tolerance = settings.most * master
            wrong = loss > tolerance or loss < -settings.tolerance * master
        if not wrong:
            end(feeder.lasting, flags)
            _forget(feeder)
            # The first days have no factors to depart from: their residual says nothing.
            known = feeder.learned >= _FACTORS
            gone = loss - standing * hours - copper * load if known else 0.0
            _learn(feeder, _Day(hours, load, loss, master, gone / master))
            return
        feeder.off += 1
        if feeder.off == 1:
            # It began within this day: its hours before that would speak for the guilty.
            _gather_anew(feeder)
        feeder.first_off = feeder.first_off or feeder.day * _DAY
        feeder.beyond += beyond
        if feeder.off < settings.days:
            return
        evidence = {
            "observed": loss,
            "expected": expected,
            "tolerance": tolerance,
            "unit": "kWh",
            "formula": "loss = master - members; expected = c0 x hours + c2 x sum(P^2 t)",
            "inputs": {
                "day": rfc3339(feeder.day * _DAY),
                "master": master,
                "hours": hours,
                "c0": standing,
                "c2": copper,
                "sum_p2t": load,
                "learned_days": feeder.learned,
            },
            "beyond": feeder.beyond,
            "suspects": _suspects(feeder, settings),
        }
        until = (feeder.day + 1) * _DAY
        if feeder.lasting.flag is None:
            flag = finding(
                reading,
                CODE,
                evidence,
                occasion=rfc3339(feeder.first_off),
                channel=None,
                since=feeder.first_off,
                until=until,
            )
            begin(feeder.lasting, flag, flags)
        else:
            go_on(feeder.lasting, until, evidence, flags)


def _forget(feeder: Feeder) -> None:
    """A good day: what the days before it said against the feeder is over."""
    feeder.off, feeder.first_off, feeder.beyond = 0, 0, 0.0
    _gather_anew(feeder)


def _gather_anew(feeder: Feeder) -> None:
    feeder.count, feeder.total, feeder.squares, feeder.members = 0, 0.0, 0.0, {}


def _enter(feeder: Feeder, hour: int, name: str, register: tuple[float, int]) -> None:
    if hour > feeder.at:
        feeder.rows.setdefault(hour, {})[name] = register
        if len(feeder.rows) > _MOST_ROWS:
            del feeder.rows[min(feeder.rows)]


def _gather(feeder: Feeder, unexplained: float, energies: dict[str, float], used: float) -> None:
    """Adds an hour to the regressions of the days that are off."""
    feeder.count += 1
    feeder.total += unexplained
    feeder.squares += unexplained * unexplained
    for name, energy in ((_WHOLE, used), *energies.items()):
        sums = feeder.members.setdefault(name, Sums())
        sums.energy += energy
        sums.square += energy * energy
        sums.product += energy * unexplained


def _factors(feeder: Feeder) -> tuple[float, float]:
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


class _Day(NamedTuple):
    """A day's hours, sum of P^2 t, loss and master energy; what is unexplained, as share."""

    hours: float
    load: float
    loss: float
    master: float
    residual: float


def _learn(feeder: Feeder, day: _Day) -> None:
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


def _suspects(feeder: Feeder, settings: BalanceSettings) -> list[dict[str, Any]]:
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
        if name != _WHOLE and weight / whole >= min(0.05, settings.confidence)
    ]
    return told[:3]


ENERGY_BALANCE: Final = Series(CODE, BalanceSettings, _make)
