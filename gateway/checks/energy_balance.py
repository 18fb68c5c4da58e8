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

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from pydantic import Field

from gateway.checks.balances import version_of
from gateway.checks.feeders import (
    FACTORS,
    Feeder,
    FeederDay,
    GoodDay,
    enter,
    factors,
    forget,
    gather,
    gather_anew,
    learn,
    suspects,
)
from gateway.checks.findings import finding
from gateway.checks.lasting import begin, end, go_on
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.register_steps import RegisterSteps, whole_hours
from gateway.checks.series import Series, SeriesCheck
from gateway.checks.steps import Faces
from gateway.devices import having, named_devices, valid_at
from gateway.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.checks.bound import Bound, Track
    from gateway.checks.surroundings import Surroundings
    from gateway.records import Flag, Reading

CODE: Final = "energy_balance_mismatch"
_HOUR: Final = 3_600 * 10**9
_DAY: Final = 24 * _HOUR
_LEAST_HOURS: Final = 12
_MASTER: Final = ""
"""The name of the master among the columns; no device has it."""


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


def _make(bound: Bound) -> SeriesCheck | None:
    names = bound.layout.names
    if bound.layout.event != "periodic" or "energy_import" not in names:
        return None
    balance = FeederBalance(bound)
    if not balance.members:
        return None
    return SeriesCheck(CODE, RegisterSteps, per_channel=True, run=balance.run)


class FeederBalance:
    """The feeders of a registry, for one layout.

    ``members`` are by master those that any version of the registry names below it.

    Args:
        bound: what is judged by.
        registers: what is compared: the first counts, and the second, where there is one, against.
        watch: is told each day of each master.
        learns: whether good days are learned from.
    """

    def __init__(
        self,
        bound: Surroundings,
        registers: tuple[str, ...] = ("energy_import", "energy_export"),
        watch: Callable[[str, FeederDay], None] | None = None,
        *,
        learns: bool = True,
    ) -> None:
        names = bound.layout.names
        self._bound = bound
        self._watch = watch
        self._learns = learns
        self._settings = bound.settings.of(CODE, BalanceSettings)
        self._faces = Faces(bound.layout, tuple(name for name in registers if name in names))
        self.members: dict[str, list[str]] = {}
        self._having = having(bound.devices, "parent")
        for member, versions in self._having.items():
            for master in {name for v in versions for name in named_devices(v, "parent")}:
                self.members.setdefault(master, []).append(member)

    def run(
        self,
        steps: RegisterSteps,
        _track: Track | None,
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
                enter(feeder, hour, column, (net, epoch))
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

    def under_way(self, master: str) -> FeederDay | None:
        """The day that is not over yet, as far as it is known."""
        feeder = self._bound.group(CODE, master, Feeder)
        if not feeder.hours:
            return None
        return FeederDay(feeder.day * _DAY, feeder.hours, feeder.master, feeder.loss)

    def missing(self, master: str, patience: int) -> list[str]:
        """The meters that an hour has waited for, for longer than some nanoseconds."""
        feeder = self._bound.group(CODE, master, Feeder)
        if not feeder.rows or self._bound.clock - min(feeder.rows) < patience:
            return []
        hour = min(feeder.rows)
        found = [
            name
            for name in self.members.get(master, ())
            if name not in feeder.rows[hour] and self._parent(name, hour) == master
        ]
        return [*([] if _MASTER in feeder.rows[hour] else [master]), *found]

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
            standing, copper = factors(feeder)
            gather(feeder, master - used - standing - copper * used * used, energies, used)
        if hour % _DAY == 0:
            self._judge_day(feeder, reading, flags)

    def _judge_day(self, feeder: Feeder, reading: Reading, flags: list[Flag]) -> None:
        settings = self._settings
        hours, master, loss, load = feeder.hours, feeder.master, feeder.loss, feeder.load
        feeder.hours = feeder.master = feeder.loss = feeder.load = 0.0
        known = hours >= _LEAST_HOURS and master > 0
        if self._watch is not None:
            told = FeederDay(feeder.day * _DAY, hours, master, loss)
            within = self._within(feeder, told, load) if known else {}
            self._watch(reading.device_id, told._replace(**within))
        if not known:
            self._bound.not_judged(CODE, "less than half a day in which all meters are known")
            return
        standing, copper = factors(feeder)
        learned = feeder.learned >= settings.learn
        expected = standing * hours + copper * load if learned else 0.0
        tolerance = self._tolerance(feeder, master)
        beyond = loss - expected
        if learned:
            wrong = abs(beyond) > tolerance
        else:
            wrong = loss > tolerance or loss < -settings.tolerance * master
        if not wrong:
            end(feeder.lasting, flags)
            forget(feeder)
            # The first days have no factors to depart from: their residual says nothing.
            known = feeder.learned >= FACTORS
            gone = loss - standing * hours - copper * load if known else 0.0
            if self._learns:
                learn(feeder, GoodDay(hours, load, loss, master, gone / master))
            return
        feeder.off += 1
        if feeder.off == 1:
            # It began within this day: its hours before that would speak for the guilty.
            gather_anew(feeder)
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
            "suspects": suspects(feeder, settings.confidence),
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

    def _tolerance(self, feeder: Feeder, master: float) -> float:
        """How far a day's loss may be beyond the expected one."""
        settings = self._settings
        if feeder.learned < settings.learn:
            return settings.most * master
        spread: float = (feeder.residuals / feeder.learned) ** 0.5
        return master * max(settings.tolerance, settings.noise * spread)

    def _within(self, feeder: Feeder, day: FeederDay, load: float) -> dict[str, Any]:
        """Between which losses a day is no finding."""
        tolerance = self._tolerance(feeder, day.master)
        if feeder.learned < self._settings.learn:
            low = -self._settings.tolerance * day.master
            return {"expected": 0.0, "low": low, "high": tolerance}
        standing, copper = factors(feeder)
        expected = standing * day.hours + copper * load
        return {
            "expected": expected,
            "low": expected - tolerance,
            "high": expected + tolerance,
            "learned": True,
        }


def as_flagged(evidence: Mapping[str, Any], settings: BalanceSettings) -> Feeder | None:
    """What was remembered of a feeder's technical loss when a flag was made, by its evidence.

    While a flag stands nothing is learned, so these are the factors by which its days were judged.
    None where the flag came before anything was learned.
    """
    inputs = evidence["inputs"]
    learned, master, hours = inputs["learned_days"], inputs["master"], inputs["hours"]
    if learned < settings.learn or master <= 0:
        return None
    # Normal equations that give these factors, as heavy as the days that they were learned from.
    time, load = (learned * (each / master) ** 2 for each in (hours, inputs["sum_p2t"]))
    share = evidence["tolerance"] / master
    spread = share / settings.noise if settings.noise and share > settings.tolerance else 0.0
    return Feeder(
        learned=learned,
        normal=[time, 0.0, load, time * inputs["c0"], load * inputs["c2"]],
        residuals=learned * spread**2,
    )


ENERGY_BALANCE: Final = Series(CODE, BalanceSettings, _make)
