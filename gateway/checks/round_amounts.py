"""Short measure at round amounts only: ``round_amount_shortfall``.

A customer who asks for 200 does not measure; one who fills a can of 20 L does.  A remote switch
therefore cheats at round amounts.  A sale is *short* where its pulses are too few for the shown
volume, by more than rounding makes.  From the first short sale of a round amount on, short and full
sales of all nozzles are counted among round and other amounts.  Fisher's exact test gives the
chance that so many of the short ones fall on round amounts: below ``alpha`` it is told.
"""

from __future__ import annotations

from math import comb
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from pydantic import Field

from gateway.checks.amounts import shown
from gateway.checks.episodes import Episode, right, wrong
from gateway.checks.findings import finding, occasion_of
from gateway.checks.parameters import NotNegative, Positive, Settings
from gateway.checks.pulse_factors import Factors, Learned
from gateway.checks.series import Series, SeriesCheck
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

CODE: Final = "round_amount_shortfall"


class RoundAmountSettings(Settings):
    """What is round, what is short, and how sure it must be.

    Attributes:
        multiple: an amount is round that is a multiple of this, in currency.
        allowance: share by which pulses may be too few, beyond three sigma of rounding.
        volume_interval: L, scale interval of the shown volume.
        window: sales that are compared at most.
        alpha: chance below which it is told.
        learn: first sales that stand in for a constant that is not registered.
        settle_after: round sales in a row that are full, and end the condition.
    """

    multiple: Positive = 10.0
    allowance: NotNegative = 0.0005
    volume_interval: Positive = 0.01
    window: Annotated[int, Field(ge=20, le=1000)] = 200
    alpha: Annotated[float, Field(gt=0, lt=0.01)] = 1e-6
    learn: Annotated[int, Field(ge=5)] = 30
    settle_after: Annotated[int, Field(ge=1)] = 20


class Sale(msgspec.Struct, array_like=True):
    """One sale: ln(K_used / K), whether its amount is round, whether it is short, and when."""

    shift: float
    round: bool
    short: bool
    at: int


class Rounds(msgspec.Struct, array_like=True):
    """The sales since the first short one of a round amount; none where there was none.

    ``learned`` is by nozzle, where a constant has to be learned.
    """

    learned: dict[str, Learned] = {}
    sales: list[Sale] = []
    episode: Episode = msgspec.field(default_factory=Episode)


def chance(short_round: int, short_other: int, full_round: int, full_other: int) -> float:
    """Fisher's exact test, one-sided: that so many or more of the short ones are round."""
    rounds, others = short_round + full_round, short_other + full_other
    short = short_round + short_other
    ways = comb(rounds + others, short)
    most = min(short, rounds)
    return (
        sum(comb(rounds, n) * comb(others, short - n) for n in range(short_round, most + 1)) / ways
    )


def _make(bound: Bound) -> SeriesCheck | None:
    names = bound.layout.names
    if bound.layout.event != "transaction" or not {"pulses", "volume", "amount"} <= set(names):
        return None
    settings = bound.settings.of(CODE, RoundAmountSettings)
    factors = Factors(bound, CODE, settings.volume_interval, settings.learn)
    at_amount = names.index("amount")
    multiple, allowance = shown(settings.multiple), settings.allowance

    def run(
        memory: Rounds, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        amount: Any = reading.values[at_amount]
        if late or amount is None:
            return
        if not memory.sales and factors.agrees(reading, at, allowance):
            return
        sale = factors.of(memory.learned, reading, at)
        if sale is None:
            return
        visible = allowance + 3 * sale.sigma
        short = sale.shift < -visible
        if not short and not memory.sales:
            return
        is_round = amount > 0 and not shown(amount) % multiple
        if memory.sales or is_round:
            new = Sale(sale.shift, is_round, short, reading.measured_at)
            _judge(memory, new, reading, settings, flags=flags, visible=visible)

    return SeriesCheck(CODE, Rounds, False, run)


def _judge(
    memory: Rounds,
    new: Sale,
    reading: Reading,
    settings: RoundAmountSettings,
    *,
    flags: list[Flag],
    visible: float,
) -> None:
    """Takes a sale in; a short one of a round amount is a reason to compare."""
    sales = memory.sales
    sales.append(new)
    if len(sales) > settings.window:
        _begin_at_a_short_one(sales)
    if new.round and new.short:
        counts = _counts(sales)
        p = chance(*counts)
        if p < settings.alpha:
            found = _flag(reading, sales, settings, {"chance": p, "visible": visible}, counts)
            wrong(memory.episode, reading, found, flags, late=False)
    elif new.round and memory.episode.now is not None:
        right(memory.episode, reading, settings.settle_after, flags)


def _begin_at_a_short_one(sales: list[Sale]) -> None:
    """Forgets the oldest sales, so that the first one is again short and round."""
    first = next((i for i, each in enumerate(sales) if i and each.round and each.short), None)
    del sales[:first]


def _counts(sales: list[Sale]) -> tuple[int, int, int, int]:
    short_round = sum(each.round and each.short for each in sales)
    short_other = sum(each.short for each in sales) - short_round
    full_round = sum(each.round for each in sales) - short_round
    return short_round, short_other, full_round, len(sales) - short_round - short_other - full_round


def _flag(
    reading: Reading,
    sales: list[Sale],
    settings: RoundAmountSettings,
    facts: dict[str, float],
    counts: tuple[int, int, int, int],
) -> Flag:
    rounds = [each.shift for each in sales if each.round]
    others = [each.shift for each in sales if not each.round]
    observed, expected = fmean(rounds), fmean(others)
    return finding(
        reading,
        CODE,
        {
            "observed": round(observed, 7),
            "expected": round(expected, 7),
            "tolerance": settings.allowance,
            "unit": "1",
            "difference": round(observed - expected, 7),
            **facts,
            "alpha": settings.alpha,
            "formula": "observed, expected = mean of ln(pulses / volume / K) at round and at "
            "other amounts; chance by Fisher's exact test of the counts",
            "inputs": {
                "multiple": settings.multiple,
                "from": rfc3339(sales[0].at),
                **dict(zip(("short_round", "short_other", "full_round", "full_other"), counts,
                           strict=True)),
            },
        },
        occasion=occasion_of(reading),
        channel=None,
        since=sales[0].at,
        until=reading.measured_at,
    )  # fmt: skip


ROUND_AMOUNT: Final = Series(CODE, RoundAmountSettings, _make)
