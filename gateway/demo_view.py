"""The live view of the demo, in Chinese and English."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.checks import CATALOGUE
from gateway.messages import Texts
from gateway.times import rfc3339

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gateway.demo import Outcome
    from gateway.messages import Language
    from gateway.status import Status
    from gateway.worker_messages import Report

_SEVERITY: Final = {"critical": "bold red", "major": "red", "minor": "yellow", "info": "dim"}
_WINDOW_S: Final = 3.0


class View:
    """Turns the state into what the terminal shows.

    Args:
        language: of the texts and of the flags' titles.
    """

    def __init__(self, language: Language) -> None:
        self._texts = Texts(language)
        self._samples: deque[tuple[float, int]] = deque()

    def say(self, key: str) -> str:
        """A text in the language of the view."""
        return self._texts(f"demo.{key}")

    def rate(self, status: Status) -> float:
        """Messages a second over the last few seconds."""
        now = time.monotonic()
        self._samples.append((now, status.received))
        while now - self._samples[0][0] > _WINDOW_S:
            self._samples.popleft()
        begin, count = self._samples[0]
        return (status.received - count) / (now - begin) if now > begin else 0.0

    def render(self, status: Status, report: Report | None) -> RenderableType:
        """The whole view."""
        panels: list[RenderableType] = [
            Panel(self._figures(status, report), title=self.say("title"), title_align="left"),
            Panel(self._codes(report), title=self.say("flags"), title_align="left"),
            Panel(self._latest(report), title=self.say("latest"), title_align="left"),
            Text(self.say("hint"), style="dim"),
        ]
        return Group(*panels)

    def _figures(self, status: Status, report: Report | None) -> RenderableType:
        messages = status.messages
        pairs = [
            ("rate", f"{self.rate(status):,.0f}"),
            ("received", f"{status.received:,}"),
            ("readings", f"{status.readings:,}"),
            ("devices", f"{report.devices if report else 0:,}"),
            ("pending", f"{messages.pending:,}"),
            ("lag", f"{status.processing.lag_s:.2f} s"),
            ("duplicates", f"{messages.duplicates:,}"),
            ("quarantine", f"{messages.quarantined:,}"),
            ("ledger", f"{status.ledger.state}, {status.ledger.bytes / 1e6:,.1f} MB"),
            ("processing", status.processing.state),
            ("balance", status.balance),
        ]
        table = Table.grid(padding=(0, 3))
        for begin in range(0, len(pairs), 4):
            cells = []
            for key, value in pairs[begin : begin + 4]:
                bad = key == "balance" and value != "ok"
                cells.append(
                    Text.assemble((f"{self.say(key)} ", "dim"), (value, "red" if bad else "bold"))
                )
            table.add_row(*cells)
        return table

    def _codes(self, report: Report | None) -> RenderableType:
        if report is None or not report.flags:
            return Text(self.say("none"), style="dim")
        table = Table.grid(padding=(0, 2))
        for code, count in sorted(report.flags.items(), key=lambda item: (-item[1], item[0])):
            table.add_row(Text(f"{count:,}", style="bold", justify="right"), code, self.title(code))
        return table

    def _latest(self, report: Report | None) -> RenderableType:
        if report is None or not report.recent_flags:
            return Text(self.say("none"), style="dim")
        table = Table.grid(padding=(0, 2))
        for flag in reversed(report.recent_flags):
            evidence = flag.evidence
            facts = f"{_short(evidence.get('observed'))} / {_short(evidence.get('expected'))}"
            table.add_row(
                Text(rfc3339(flag.measured_at)[:19], style="dim"),
                Text(flag.code, style=_SEVERITY.get(flag.severity, "")),
                Text(flag.device_id),
                Text(f"{facts} {evidence.get('unit', '').strip('1')}"[:40], style="dim"),
            )
        return table

    def title(self, code: str) -> str:
        """What a flag code means."""
        info = CATALOGUE.get(code)
        return info.title[self._texts.language] if info else ""

    def summary(self, outcome: Outcome) -> RenderableType:
        """What it came to."""
        line = Text()
        for key, value in (
            ("messages", outcome.received),
            ("sent", outcome.sent),
            ("readings", outcome.readings),
            ("devices", outcome.devices),
            ("duplicates", outcome.duplicates),
            ("quarantined", outcome.quarantined),
            ("lost", outcome.lost),
        ):
            line.append(f"{self.say(key)} ", style="dim")
            line.append(f"{value:,}   ", style="bold")
        line.append(f"{outcome.rate:,.0f} {self.say('rate')}")
        table = Table(self.say("code"), "", self.say("count"), self.say("cheats"))
        for code in {**outcome.flags, **outcome.cheats}:
            count, cheats = outcome.flags.get(code, 0), outcome.cheats.get(code)
            table.add_row(
                code, self.title(code), f"{count:,}", "" if cheats is None else f"{cheats:,}"
            )
        verdict = Text(self.say("wrong" if outcome.faults else "right"), style="bold")
        verdict.stylize("red" if outcome.faults else "green")
        for fault in outcome.faults:
            verdict.append(f"\n  {fault}", style="red")
        if outcome.faults:
            return Group(line, table, verdict)
        return Group(line, table, verdict, Text(self.say("next")))


def _short(value: object) -> str:
    if isinstance(value, dict) and {"low", "high"} <= value.keys():
        return f"{_short(value['low'])}..{_short(value['high'])}"
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None else str(value)[:20]
