"""The distance that a taximeter counts, against its track and its pulses, over many trips.

``distance_factor_shift`` (JJG 517-2016; the track as a witness: JJG(京)177-2025).  Two witnesses:

*Track.*  Of each trip x = ln(distance / gps_distance).  A single track is wrong by 1 to 2 % and
more; the median of ``trips`` of them is not.  It is compared with the median that this taxi had
before, and with what a verified instrument may show at all (error -4 % to +1 %, JJG 517, and a
track that is up to 3 % short).  The reference follows tyre wear (``wear`` a year) and new tyres (a
fall of up to ``fall``), and begins anew with a verification or another constant in the registry.
A shift must be beyond ``rise`` or ``fall``, and beyond ``deviations`` standard errors, which this
taxi's own scatter gives.

*Pulses.*  Between two readings with odometer and pulses, pulses a kilometre are the constant that
the meter really uses; the registry has the one that was verified.  Over ``stretch`` km both agree
to the steps that are shown; twice in a row they do not: flagged.
"""

from __future__ import annotations

from array import array
from math import log, sqrt
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
from pydantic import Field

from gateway.checks.findings import finding
from gateway.checks.lasting import Lasting, begin, end, go_on, stays, waits
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.series import Series, SeriesCheck
from gateway.checks.trips import number
from gateway.devices import valid_at
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

CODE: Final = "distance_factor_shift"
_YEAR: Final = 365.25 * 86_400 * 10**9
_UNIT: Final = 1e-5
_WIDEST: Final = 30_000
# Of a normal distribution: the median's standard error, and its deviation from the MAD.
_MEDIAN: Final = 1.2533
_MAD: Final = 1.4826


class FactorSettings(Settings):
    """When the distance has shifted.

    Attributes:
        trips: whose median is judged.
        shortest: km, a shorter trip tells too little.
        rise: share by which the median may rise over the reference (the passenger pays more).
        fall: share by which it may fall: new tyres.
        wear: share a year by which worn tyres raise it.
        deviations: standard errors that a shift must exceed, too.
        highest: share by which the meter may be over the track, whatever was before.
        lowest: share by which it may be under it.
        stretch: km over which pulses are compared.
        pulse_share: by which pulses a kilometre may differ from the constant.
        interval: km, one step of the odometer where its profile does not say.
    """

    trips: Annotated[int, Field(ge=10, le=200)] = 20
    shortest: Positive = 1.0
    rise: Positive = 0.02
    fall: Positive = 0.04
    wear: NotNegative = 0.02
    deviations: Positive = 6.0
    highest: Positive = 0.05
    lowest: Positive = 0.08
    stretch: Positive = 10.0
    pulse_share: NotNegative = 0.002
    interval: Positive = 0.01


class Factor(msgspec.Struct, array_like=True):
    """What is remembered of one taxi.

    ``recent`` are the latest ratios in steps of 1e-5 (two bytes each), ``older`` those before them
    until they are enough for the reference.  ``known`` tells the verification and the constant that
    the reference belongs to.  ``anchor`` is where the stretch under way began: odometer, pulses,
    time; ``back`` counts readings that fell behind it.
    """

    recent: bytes = b""
    older: bytes = b""
    reference: float | None = None
    reference_at: int = 0
    error: float = 0.0
    known: tuple[int, float] = (0, 0.0)
    shift: Lasting | None = None
    anchor: tuple[float, float, int] | None = None
    back: int = 0
    constant: Lasting | None = None
    unknown: bool = False


class Verdict(NamedTuple):
    """What the median of the latest trips is beyond: reference and tolerance as shares."""

    against: str
    reference: float
    tolerance: float


def _make(bound: Bound) -> SeriesCheck | None:
    names = set(bound.layout.names)
    if bound.layout.event == "trip" and {"distance", "gps_distance"} <= names:
        return _by_track(bound)
    if bound.layout.event == "periodic" and {"total_distance", "pulses"} <= names:
        return _by_pulses(bound)
    return None


# -- by the track ------------------------------------------------------------------------------


def _by_track(bound: Bound) -> SeriesCheck:
    names = bound.layout.names
    at_distance, at_track = names.index("distance"), names.index("gps_distance")
    settings = bound.settings.of(CODE, FactorSettings)

    def run(
        memory: Factor, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        distance, length = number(reading, at_distance), number(reading, at_track)
        if late or distance is None or length is None:
            return
        if distance < settings.shortest or length <= 0:
            return
        known = _registered(bound, reading, at)
        if known != memory.known:
            memory.known = known
            _begin_anew(memory, flags)
        x = round(max(-_WIDEST, min(_WIDEST, log(distance / length) / _UNIT)))
        recent = array("h", memory.recent)
        recent.append(x)
        if len(recent) > settings.trips:
            _grow_old(memory, recent.pop(0), settings, at)
        memory.recent = recent.tobytes()
        if len(recent) >= settings.trips:
            _judge(memory, reading, recent, settings, at=at, flags=flags)

    return SeriesCheck(CODE, Factor, False, run)


def _registered(bound: Bound, reading: Reading, at: int) -> tuple[int, float]:
    """The verification and the constant that the registry knows for a time; 0 where none."""
    device = valid_at(bound.devices, reading.device_id, at)
    if device is None:
        return (0, 0.0)
    constant = device.parameters.get("k_constant")
    told = isinstance(constant, float | int) and not isinstance(constant, bool)
    return (device.verified_at or 0, float(constant) if told and constant else 0.0)


def _begin_anew(memory: Factor, flags: list[Flag]) -> None:
    if memory.shift is not None:
        end(memory.shift, flags)
        memory.shift = None
    memory.recent = memory.older = b""
    memory.reference = None


def _grow_old(memory: Factor, x: int, settings: FactorSettings, at: int) -> None:
    """A ratio leaves the window; enough of them make the reference, or move it."""
    if memory.shift is not None:
        return
    older = array("h", memory.older)
    older.append(x)
    if len(older) < settings.trips:
        memory.older = older.tobytes()
        return
    memory.older = b""
    middle, error = _middle(older)
    reference = memory.reference
    if reference is None:
        memory.reference, memory.error = middle, error
    elif middle < reference - settings.rise:
        # New tyres: from now on the meter counts less.
        memory.reference, memory.error = middle, error
    else:
        # No faster than tyres wear, and both ways alike, so that noise has no say.
        worn = settings.wear * max(0, at - memory.reference_at) / _YEAR
        memory.reference = reference + max(-worn, min(worn, middle - reference))
    memory.reference_at = at


def _middle(ratios: array[int]) -> tuple[float, float]:
    """The median of ratios and its standard error, from their own scatter."""
    middle = median(ratios)
    mad = median([abs(x - middle) for x in ratios])
    # A median of rounded shares of one km scatters by a step at least.
    return middle * _UNIT, _MEDIAN * _MAD * max(mad * _UNIT, 1e-3) / sqrt(len(ratios))


def _judge(
    memory: Factor,
    reading: Reading,
    recent: array[int],
    settings: FactorSettings,
    *,
    at: int,
    flags: list[Flag],
) -> None:
    near, far = memory.reference, min(settings.rise, settings.fall)
    if near is not None and memory.shift is None:
        # Nearly all windows are far from every limit, and need no scatter.
        rough = sorted(recent)[len(recent) // 2] * _UNIT
        if -far < rough - near < far and -settings.lowest < rough < settings.highest:
            return
    middle, error = _middle(recent)
    verdict = _verdict(memory, middle, error, settings, at)
    shift = memory.shift
    if shift is None:
        if verdict is None:
            return
        shift = memory.shift = Lasting()
    if (verdict is not None) == (shift.flag is not None):
        stays(shift)
        if verdict is None:
            memory.shift = None
        else:
            go_on(shift, at, {}, flags)
        return
    # The window moves by one trip at a time: half of it must agree.
    if waits(shift, at, settings.trips // 2):
        return
    if verdict is None:
        end(shift, flags)
        memory.shift = None
    else:
        flag = _shifted(
            reading, memory, recent, middle=middle, verdict=verdict, since=shift.since, at=at
        )
        begin(shift, flag, flags)


def _verdict(
    memory: Factor, middle: float, error: float, settings: FactorSettings, at: int
) -> Verdict | None:
    reference = memory.reference
    # What stands goes on until half of it is gone.
    eased = 0.5 if memory.shift is not None and memory.shift.flag is not None else 1.0
    noise = settings.deviations * error
    highest, lowest = eased * (settings.highest + noise), eased * (settings.lowest + noise)
    if middle > highest:
        return Verdict("limits", 0.0, highest)
    if middle < -lowest:
        return Verdict("limits", 0.0, lowest)
    if reference is None:
        return None
    noise = settings.deviations * sqrt(error**2 + memory.error**2)
    worn = settings.wear * max(0, at - memory.reference_at) / _YEAR
    rise, fall = eased * max(settings.rise + worn, noise), eased * max(settings.fall, noise)
    if middle > reference + rise:
        return Verdict("history", reference, rise)
    if middle < reference - fall:
        return Verdict("history", reference, fall)
    return None


def _shifted(
    reading: Reading,
    memory: Factor,
    recent: array[int],
    *,
    middle: float,
    verdict: Verdict,
    since: int,
    at: int,
) -> Flag:
    against, reference, tolerance = verdict
    return finding(
        reading,
        CODE,
        {
            "observed": middle,
            "expected": reference,
            "tolerance": tolerance,
            "unit": "1",
            "difference": middle - reference,
            "against": against,
            "formula": "median of ln(distance / gps_distance) of the latest trips",
            "inputs": {
                "ratios": [round(x * _UNIT, 5) for x in recent],
                "reference_at": rfc3339(memory.reference_at) if memory.reference_at else None,
                "k_constant": memory.known[1] or None,
            },
            "detectable": tolerance,
        },
        occasion=f"track@{at}",
        quantity="gps_distance",
        channel=reading.channel,
        severity="critical" if middle > reference else "major",
        since=since,
        until=at,
    )


# -- by the pulses -----------------------------------------------------------------------------


class Stretch(NamedTuple):
    """Odometer, pulses and time at both ends of what was driven."""

    begin: tuple[float, float, int]
    end: tuple[float, float, int]


def _by_pulses(bound: Bound) -> SeriesCheck:
    names = bound.layout.names
    at_distance, at_pulses = names.index("total_distance"), names.index("pulses")
    settings = bound.settings.of(CODE, FactorSettings)
    register = bound.layout.registers.get("total_distance")
    step = max(settings.interval, (register and register.resolution) or 0.0)
    stretch = settings.stretch

    def run(
        memory: Factor, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        distance, pulses = reading.values[at_distance], reading.values[at_pulses]
        if late or not isinstance(distance, float) or not isinstance(pulses, float):
            return
        anchor = memory.anchor
        if anchor is None:
            memory.anchor = (distance, pulses, at)
            return
        driven, counted = distance - anchor[0], pulses - anchor[1]
        if driven < 0 or counted < 0:
            # A restart shows zero or an old value once; a register that stays there is the new one.
            memory.back += 1
            if memory.back >= 2:
                memory.anchor, memory.back = (distance, pulses, at), 0
            return
        memory.back = 0
        if driven < stretch:
            return
        memory.anchor = (distance, pulses, at)
        ends = Stretch(anchor, memory.anchor)
        _compare(bound, memory, reading, ends, step=step, settings=settings, flags=flags)

    return SeriesCheck(CODE, Factor, False, run)


def _compare(
    bound: Bound,
    memory: Factor,
    reading: Reading,
    ends: Stretch,
    *,
    step: float,
    settings: FactorSettings,
    flags: list[Flag],
) -> None:
    (start, first, began), (stop, last, at) = ends
    constant = _registered(bound, reading, began)[1]
    if not constant or constant != _registered(bound, reading, at)[1]:
        if not constant and not memory.unknown:
            memory.unknown = True
            bound.not_judged(CODE, "the registry has no k_constant")
        if memory.constant is not None:
            end(memory.constant, flags)
            memory.constant = None
        return
    driven, counted = stop - start, last - first
    expected = driven * constant
    tolerance = settings.pulse_share * expected + 2 * step * constant + 2
    wrong = abs(counted - expected) > tolerance
    lasting = memory.constant
    if lasting is None:
        if not wrong:
            return
        lasting = memory.constant = Lasting()
    if wrong == (lasting.flag is not None):
        stays(lasting)
        if wrong:
            go_on(lasting, at, {}, flags)
        else:
            memory.constant = None
        return
    began_first = lasting.since if lasting.seen else began
    if waits(lasting, began, 2):
        return
    if not wrong:
        end(lasting, flags)
        memory.constant = None
        return
    observed = counted / driven if driven else None
    evidence: dict[str, Any] = {
        "observed": observed,
        "expected": constant,
        "tolerance": tolerance / driven if driven else None,
        "unit": "/km",
        "difference": None if observed is None else observed - constant,
        "against": "k_constant",
        "formula": "(pulses - other_pulses) / (total_distance - other_total_distance)",
        "inputs": {
            "total_distance": stop,
            "pulses": last,
            "other_total_distance": start,
            "other_pulses": first,
            "other_measured_at": rfc3339(began),
        },
        "detectable": tolerance / expected if expected else None,
    }
    flag = finding(
        reading,
        CODE,
        evidence,
        occasion=f"pulses@{began_first}",
        quantity="pulses",
        channel=reading.channel,
        severity="critical" if counted < expected else "major",
        since=began_first,
        until=at,
    )
    begin(lasting, flag, flags)


DISTANCE_FACTOR_SHIFT: Final = Series(CODE, FactorSettings, _make)
