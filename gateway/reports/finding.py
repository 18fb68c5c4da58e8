"""What was found: observed against expected, and the computation step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.checks.catalogue import CATALOGUE
from gateway.checks.catalogue.spoken import meaning
from gateway.config import packaged_profiles
from gateway.reports.formula import compute, decimal, told
from gateway.reports.paper import Facts, Figure, Heading, Table, Text, wrapped
from gateway.reports.plots import Limits, difference
from gateway.reports.words import flat, label, quantity, value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.flags.records import FlagView
    from gateway.messages import Texts
    from gateway.reports.paper import Block

_PLAIN: Final = frozenset(
    ("observed", "expected", "tolerance", "unit", "quantity", "formula", "inputs")
)


def unit_of(evidence: dict[str, Any]) -> str:
    """The unit of what was observed, empty of a pure number."""
    unit = str(evidence.get("unit", ""))
    return "" if unit == "1" else unit


def limits_of(evidence: dict[str, Any]) -> Limits | None:
    """What was expected as numbers; None where it is no number."""
    expected, tolerance = evidence.get("expected"), decimal(evidence.get("tolerance"))
    low = high = decimal(expected)
    if isinstance(expected, dict):
        low, high = decimal(expected.get("low")), decimal(expected.get("high"))
        low, high = low if low is not None else high, high if high is not None else low
    if low is None or high is None:
        return None
    return Limits(float(low), float(high), float(tolerance or 0))


def finding(view: FlagView, evidence: dict[str, Any], texts: Texts) -> Iterator[Block]:
    """Observed, expected and tolerance, as numbers and drawn to scale; then all other evidence."""
    unit, limits = unit_of(evidence), limits_of(evidence)
    rows = [
        (texts(f"evidence.{name}"), f"{value(name, evidence[name])} {unit}".strip())
        for name in ("observed", "expected", "tolerance")
        if name in evidence
    ]
    info = CATALOGUE.get(view.flag.code)
    if "quantity" in evidence:
        rows.insert(0, (texts("evidence.quantity"), quantity(texts, str(evidence["quantity"]))))
    yield Facts(rows)
    observed = decimal(evidence.get("observed"))
    if observed is not None and limits is not None:
        shown = f"{value('observed', evidence['observed'])} {unit}".strip()
        expected = f"{value('expected', evidence['expected'])} {unit}".strip()
        yield Figure(
            difference(texts, float(observed), limits, unit),
            texts(
                "evidence.difference_caption",
                observed=shown,
                expected=expected,
                tolerance=f"{value('tolerance', evidence.get('tolerance', 0))} {unit}".strip(),
            ),
        )
    more = [
        pair for name, each in evidence.items() if name not in _PLAIN for pair in flat(name, each)
    ]
    if more:
        known = {} if info is None else meaning(info, texts.language).evidence
        told_more = [
            [name, _cut(value(name, each)), known.get(name.partition(".")[0], "")]
            for name, each in more
        ]
        columns = [
            label(texts("column.field")),
            label(texts("column.value")),
            label(texts("evidence.meaning")),
        ]
        yield Table(columns, told_more, widths=[4, 5, 7])


def _cut(text: str) -> str:
    return text if len(text) <= 400 else text[:399] + "…"


def recomputed(evidence: dict[str, Any], texts: Texts) -> Iterator[Block]:
    """The reader's steps: formula, numbers put in, the difference, and whether it is too much."""
    formula = evidence.get("formula")
    steps: list[str] = []
    yield Heading(texts("evidence.recompute_title"))
    inputs = evidence.get("inputs")
    if isinstance(inputs, dict) and inputs:
        columns = [label(texts("evidence.input")), label(texts("column.value"))]
        pairs = [pair for name, each in inputs.items() for pair in flat(name, each)]
        rows = [[name.removeprefix("."), _cut(value(name, each))] for name, each in pairs]
        yield Table(columns, rows, widths=[4, 9])
    if isinstance(formula, str):
        steps.append(texts("evidence.step_formula", formula=formula))
        numbers = {**evidence, **(inputs if isinstance(inputs, dict) else {})}
        found = compute(formula, numbers)
        if found is not None:
            result = (
                told(found.value)
                if not isinstance(found.value, bool)
                else texts.word("holds", "holds" if found.value else "fails")
            )
            steps.append(texts("evidence.step_numbers", numbers=found.put_in, result=result))
    steps += _difference(evidence, texts)
    for number, step in enumerate(steps, 1):
        yield Text(f"{number}. {step}")
    if isinstance(evidence.get("source"), str):
        yield Text(texts("evidence.source", source=evidence["source"]))
    tariff = _tariff(evidence.get("tariff"))
    if tariff is not None:
        yield Text(texts("evidence.tariff"))
        yield wrapped(tariff)


def _tariff(name: object) -> str | None:
    """The text of a packaged tariff: a fare can be computed again from nothing less."""
    if not isinstance(name, str):
        return None
    folder = packaged_profiles() / "reference" / "tariffs"
    file = next((each for each in folder.glob("*.yaml") if each.stem == name), None)
    return None if file is None else file.read_text("utf-8")


def _difference(evidence: dict[str, Any], texts: Texts) -> Iterator[str]:
    unit, limits = unit_of(evidence), limits_of(evidence)
    observed = decimal(evidence.get("observed"))
    expected = evidence.get("expected")
    if observed is None or limits is None:
        return
    near = decimal(expected)
    if near is None and isinstance(expected, dict):
        low, high = decimal(expected.get("low")), decimal(expected.get("high"))
        near = low if low is not None and observed < low else high if high is not None else low
    if near is None:
        return
    apart, tolerance = observed - near, decimal(evidence.get("tolerance")) or decimal(0)
    yield texts(
        "evidence.step_difference",
        observed=told(observed),
        expected=told(near),
        difference=f"{told(apart)} {unit}".strip(),
    )
    key = (
        "evidence.step_beyond"
        if tolerance is not None and abs(apart) > tolerance
        else ("evidence.step_within")
    )
    yield texts(
        key, difference=told(abs(apart)), tolerance=f"{told(tolerance or apart * 0)} {unit}".strip()
    )
