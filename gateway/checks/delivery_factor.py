"""Pulses a litre that leave the certified constant: ``delivery_factor_shift`` (JJG 443-2023).

A sale that is off by more than rounding can make is told at once.  What is smaller adds up: a
two-sided CUSUM over all sales, and one over the sales of each quarter of the day, as a remote
switch is used at its hours.  With x = ln(K_used / K) and the rounding's sigma of each sale,

    S = max(0, S + x / sigma - k),  k = drift + allowance / sigma,  told at S > h.

In control, and with a constant that is off by the whole allowance, S is a CUSUM of reference value
``drift`` = 0.5: by Siegmund's approximation its mean run is (exp(2 k b) - 2 k b - 1) / (2 k^2) with
b = h + 1.166, which is 1.6e8 sales at h = 17.  At 240 sales a device and day and four one-sided
charts that each sale goes into, that is one false alarm in 160,000 device-days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from pydantic import Field

from gateway.checks.episodes import Episode, right, wrong
from gateway.checks.findings import finding, occasion_of
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.pulse_factors import Factor, Factors, Learned
from gateway.checks.series import Series, SeriesCheck
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

CODE: Final = "delivery_factor_shift"
_QUARTER: Final = 6 * 3_600 * 10**9
_SOON: Final = 20
"""Sales within which a shift of the size called visible is told."""


class DeliveryFactorSettings(Settings):
    """How far pulses a litre may be off.

    Attributes:
        allowance: share by which the constant may be off: the certificate rounds it, too.
        volume_interval: L, scale interval of the shown volume (JJG 443: 0.01 L).
        pulse_allowance: pulses that a sale may lose or gain at its start and end.
        drift: reference value of the CUSUM in standard deviations.
        threshold: h, in standard deviations.
        learn: first sales that stand in for a constant that is not registered.
        settle_after: right sales in a row that end the condition.
    """

    allowance: NotNegative = 0.0005
    volume_interval: Positive = 0.01
    pulse_allowance: NotNegative = 1.0
    drift: Positive = 0.5
    threshold: Positive = 17.0
    learn: Annotated[int, Field(ge=5)] = 30
    settle_after: Annotated[int, Field(ge=1)] = 20


class Chart(msgspec.Struct, array_like=True):
    """One side of a CUSUM since it left zero: its sum, and the sales that made it."""

    statistic: float = 0.0
    since: int = 0
    sales: int = 0
    pulses: float = 0.0
    volume: float = 0.0


class Charts(msgspec.Struct, array_like=True):
    """Charts that are not at zero, and the rest.

    They are by ``2 * n`` for too few pulses and ``2 * n + 1`` for too many, with n 0 for all sales
    and 1..4 for those of a quarter of the day.
    """

    learned: dict[str, Learned] = {}
    charts: dict[int, Chart] = {}
    episode: Episode = msgspec.field(default_factory=Episode)


def _make(bound: Bound) -> SeriesCheck | None:
    if bound.layout.event != "transaction" or not {"pulses", "volume"} <= set(bound.layout.names):
        return None
    settings = bound.settings.of(CODE, DeliveryFactorSettings)
    factors = Factors(bound, CODE, settings.volume_interval, settings.learn)
    allowance, drift, threshold = settings.allowance, settings.drift, settings.threshold
    lost, settle_after = settings.pulse_allowance, settings.settle_after

    def run(
        memory: Charts, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        plain = not memory.charts and memory.episode.now is None
        if plain and factors.agrees(reading, at, allowance):
            return
        sale = factors.of(memory.learned, reading, at)
        if sale is None:
            return
        due = sale.k * sale.volume
        off, limit = sale.pulses - due, sale.rounding + lost + allowance * due
        if not -limit <= off <= limit:
            found = _single(reading, sale, limit, settings, late=late)
            wrong(memory.episode, reading, found, flags, late=late)
            return
        if late:
            return
        charts, worst = memory.charts, None
        z, reference = sale.shift / sale.sigma, drift + allowance / sale.sigma
        if charts or not -reference < z < reference:
            worst = _add(charts, sale, reading, (-z - reference, z - reference), threshold)
        if worst is not None:
            found = _summed(reading, sale, worst, settings)
            wrong(memory.episode, reading, found, flags, late=False)
        elif memory.episode.now is not None and all(
            chart.statistic <= threshold for chart in charts.values()
        ):
            right(memory.episode, reading, settle_after, flags)

    return SeriesCheck(CODE, Charts, True, run)


def _add(
    charts: dict[int, Chart],
    sale: Factor,
    reading: Reading,
    steps: tuple[float, float],
    threshold: float,
) -> tuple[int, Chart] | None:
    """Takes a sale into its charts; gives the one that is highest above the threshold, if any."""
    worst: tuple[int, Chart] | None = None
    for index in (0, 1 + reading.measured_at // _QUARTER % 4):
        for key, step in enumerate(steps, 2 * index):
            chart = charts.get(key)
            if chart is None:
                if step <= 0:
                    continue
                chart = charts[key] = Chart(since=reading.measured_at)
            # Beyond twice the threshold nothing is learned, and the way back would be long.
            chart.statistic = min(chart.statistic + step, 2 * threshold)
            if chart.statistic <= 0:
                del charts[key]
                continue
            chart.sales += 1
            chart.pulses += sale.pulses
            chart.volume += sale.volume
            if chart.statistic > threshold and (
                worst is None or chart.statistic > worst[1].statistic
            ):
                worst = key, chart
    return worst


def _single(
    reading: Reading, sale: Factor, limit: float, settings: DeliveryFactorSettings, *, late: bool
) -> Flag:
    facts = {
        "tolerance": limit / sale.volume,
        "statistic": round(abs(sale.pulses - sale.k * sale.volume), 6),
        "reference": 0.0,
        "threshold": round(limit, 6),
        "sales": 1,
        "chart": "single sale",
        "visible": limit / (sale.k * sale.volume),
        "formula": "abs(pulses - expected * volume) > 0.5 + expected * volume_interval / 2 "
        "+ pulse_allowance + allowance * expected * volume",
    }
    totals = (sale.pulses, sale.volume, reading.measured_at)
    return _flag(reading, sale, totals, settings, facts, late=late)


def _summed(
    reading: Reading, sale: Factor, worst: tuple[int, Chart], settings: DeliveryFactorSettings
) -> Flag:
    key, chart = worst
    index = key // 2
    facts = {
        "tolerance": settings.allowance * sale.k,
        "statistic": round(chart.statistic, 6),
        "reference": round(settings.drift + settings.allowance / sale.sigma, 6),
        "threshold": settings.threshold,
        "sales": chart.sales,
        "chart": "all sales" if not index else f"sales of {6 * index - 6}-{6 * index} h UTC",
        "visible": settings.allowance
        + sale.sigma * (settings.drift + settings.threshold / _SOON),
        "formula": "S = max(0, S + abs(ln(pulses / volume / expected)) / sigma - reference), "
        "sigma = sqrt((1 / pulses^2 + (volume_interval / volume)^2) / 12)",
    }  # fmt: skip
    totals = (chart.pulses, chart.volume, chart.since)
    return _flag(reading, sale, totals, settings, facts, late=False)


def _flag(
    reading: Reading,
    sale: Factor,
    totals: tuple[float, float, int],
    settings: DeliveryFactorSettings,
    facts: dict[str, Any],
    *,
    late: bool,
) -> Flag:
    pulses, volume, began = totals
    used = pulses / volume
    return finding(
        reading,
        CODE,
        {
            "observed": round(used, 6),
            "expected": round(sale.k, 6),
            "unit": "1/L",
            "difference": round(used - sale.k, 6),
            "shift": round(used / sale.k - 1, 7),
            **facts,
            "inputs": {
                "pulses": pulses,
                "volume": round(volume, 6),
                "from": rfc3339(began),
                "constant": sale.source,
                "volume_interval": settings.volume_interval,
                "pulse_allowance": settings.pulse_allowance,
                "allowance": settings.allowance,
            },
            "judged_late": late,
        },
        occasion=occasion_of(reading),
        channel=reading.channel,
        # Fewer pulses a litre: more litres are shown than came.
        severity="critical" if used < sale.k else "major",
        since=began,
        until=reading.measured_at,
    )


DELIVERY_FACTOR: Final = Series(CODE, DeliveryFactorSettings, _make)
