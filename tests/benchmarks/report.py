"""The figures: medians with their range, the ratios, and whether they reach what was set."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import proc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.benchmarks.subjects import Run


@dataclass(slots=True)
class Result:
    """One figure as ``bench.json`` carries it.

    ``ratio`` is ``value`` to the value beside it.  ``targets`` are text and verdict.
    """

    name: str
    value: float
    unit: str
    beside: tuple[str, float] | None = None
    targets: list[tuple[str, bool]] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How the value stands to what ran beside it."""
        return self.value / self.beside[1] if self.beside else None

    def as_json(self) -> dict[str, Any]:
        """The public form, with the rest under ``detail``."""
        beside, ratio = self.beside, self.ratio
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "beside": {"name": beside[0], "value": round(beside[1], 3)} if beside else None,
            "ratio": round(ratio, 3) if ratio is not None else None,
            "targets": [{"target": text, "met": met} for text, met in self.targets],
            "detail": self.detail,
        }


def middle(runs: list[Run], what: Callable[[Run], float]) -> float:
    """The median over the runs."""
    return median(map(what, runs))


def spread(runs: list[Run]) -> dict[str, Any]:
    """The range of the rates, CPU, and how busy strangers kept the machine."""
    rates = [run.rate for run in runs]
    return {
        "runs": len(runs),
        "messages": runs[0].messages,
        "lowest": round(min(rates)),
        "highest": round(max(rates)),
        "cpu_us": round(middle(runs, lambda run: run.cpu_us), 2),
        "cores_used_by_others": round(middle(runs, lambda run: run.noise), 2),
    }


def target(text: str, met: bool) -> tuple[str, bool]:
    """A figure to reach, and whether it was."""
    return text, met


def write_json(path: Path, results: list[Result], faults: list[str] | None) -> None:
    """Writes the machine's form."""
    found = {
        "machine": proc.machine(),
        "audit": None if faults is None else {"passed": not faults, "faults": faults},
        "results": [result.as_json() for result in results],
    }
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def show(
    results: list[Result],
    faults: list[str] | None,
    title: str = "Medians; the subjects took turns in one run",
) -> None:
    """Prints the figures as a table, and under it where the time goes.

    Args:
        results: the figures.
        faults: what the audit found; None where nothing was audited.
        title: over the table.
    """
    out = Console(width=None if Console().is_terminal else 118)
    table = Table(title=title, title_justify="left")
    for name in ("figure", "value", "range", "beside", "ratio", "figure to reach"):
        table.add_column(name, justify="right" if name in ("value", "range", "ratio") else "left")
    for result in results:
        table.add_row(
            result.name,
            f"{result.value:,.{0 if result.value >= 1000 else 1}f} {result.unit}",
            _range(result.detail),
            f"{result.beside[0]} {result.beside[1]:,.0f}" if result.beside else "",
            f"{result.ratio:.2f} x" if result.ratio is not None else "",
            "\n".join(
                f"[{'green' if met else 'red'}]{text}: {'met' if met else 'short'}[/]"
                for text, met in result.targets
            ),
        )
    out.print(table)
    for result in results:
        facts = {k: v for k, v in result.detail.items() if k not in ("lowest", "highest")}
        if facts:
            out.print(f"[bold]{result.name}[/]  " + ", ".join(map(_fact, facts.items())))
    noise = [r.detail.get("cores_used_by_others", 0.0) for r in results]
    if max(noise, default=0.0) > 0.2:
        out.print(
            f"[yellow]Other processes used up to {max(noise):.1f} cores meanwhile: these figures "
            "say less than those of a quiet machine.[/]"
        )
    for fault in faults or ():
        out.print(f"[red]audit: {fault}[/]")
    if faults == []:
        out.print("[green]Audit passed: what went in is in the store, once each.[/]")


def _range(detail: dict[str, Any]) -> str:
    if detail.get("runs", 1) < 2 or "lowest" not in detail:
        return ""
    return f"{detail['lowest']:,} - {detail['highest']:,}"


def _fact(item: tuple[str, Any]) -> str:
    name, value = item
    return (
        f"{name.replace('_', ' ')} {value:,}"
        if isinstance(value, int | float)
        else (f"{name.replace('_', ' ')} {value}")
    )
