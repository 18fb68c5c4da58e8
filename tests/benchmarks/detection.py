"""``make detection``: how much of what is wrong is found, and how much of what is right is flagged.

``python -m tests.benchmarks.detection [--fleet FILE] [--json FILE] [--report DIRECTORY] [--days N]
[--only KIND ...] [--jobs N]``.  Simulates a fixed fleet whose truth is known, kind by kind, replays
it through the whole gateway, and compares the flags with the truth as ``simulate score`` does.
Writes ``detection.json``, and a report with plots.  Ends with 1 where a figure is not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from simulators.capture import objects
from simulators.score import Raised, Score, Truth, read_flags, read_truth, score

if TYPE_CHECKING:
    from rich.progress import TaskID

FLEET = Path(__file__).with_name("detection.yaml")
RECALL, RECALL_OF_A_CODE, FALSE_FLAGS = 0.99, 0.95, 1.0
"""The figures: overall, of every single code, and false flags per 10,000 device-days."""


class Part(NamedTuple):
    """One kind of the fleet, and what came of it."""

    kind: str
    flags: list[Raised]
    truth: list[Truth]
    device_days: float
    messages: int
    seconds: float
    not_judged: str


def run_part(
    folder: Path, header: dict[str, Any], group: dict[str, Any], progress: Progress, task: TaskID
) -> Part:
    """Simulates and replays one kind in a folder of its own."""
    kind = group["kind"]
    folder.mkdir()
    fleet, capture = folder / "fleet.yaml", folder / "capture.jsonl.zst"
    truth, registry, flags = (folder / f"{name}.jsonl" for name in ("truth", "registry", "flags"))
    fleet.write_text(yaml.safe_dump({**header, "devices": [group]}, sort_keys=False))
    progress.update(task, description=f"{kind}: simulated", visible=True)
    files = ["-o", capture, "--truth", truth, "--registry", registry]
    told = command("simulate", "fleet", fleet, *files)
    days = float(told.split(" device-days")[0].rsplit(" ", 1)[-1].replace(",", ""))
    progress.update(task, description=f"{kind}: replayed")
    began = time.monotonic()
    data = folder / "data"
    said = command("gateway", "replay", capture, "--data", data, "--registry", registry)
    seconds = time.monotonic() - began
    messages = int(said.split(" messages in")[0].rsplit("\n", 1)[-1].replace(",", ""))
    command("gateway", "export", "flags", "--data", data, "--format", "jsonl", "-o", flags)
    progress.update(task, description=f"{kind}: {messages:,} messages", completed=1)
    part = Part(
        kind,
        read_flags(str(flags), objects(str(flags))),
        read_truth(str(truth), objects(str(truth))),
        days,
        messages,
        seconds,
        said.split("Not judged", 1)[1] if "Not judged" in said else "",
    )
    shutil.rmtree(data)
    capture.unlink()
    return part


def command(program: str, *arguments: object) -> str:
    """Runs one of our commands; what it prints.

    Raises:
        RuntimeError: it ended with something else than 0.
    """
    ended = subprocess.run(
        [Path(sys.executable).with_name(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "200", "LC_ALL": "C.UTF-8"},
    )
    if ended.returncode:
        raise RuntimeError(
            f"{program} {arguments[0]}: {ended.stdout[-2000:]}{ended.stderr[-4000:]}"
        )
    return ended.stdout + ended.stderr


def short_of(found: Score) -> list[str]:
    """What is below the figures."""
    short = []
    overall = found.overall
    if overall.recall is not None and overall.recall < RECALL:
        short.append(f"recall {overall.recall:.2%} of {RECALL:.0%}")
    if (overall.false_per_10000_device_days or 0.0) > FALSE_FLAGS:
        short.append(
            f"{overall.false_per_10000_device_days} false flags per 10,000 device-days, "
            f"at most {FALSE_FLAGS:g}"
        )
    short += [
        f"{code}: recall {tally.recall:.1%} of {RECALL_OF_A_CODE:.0%}"
        for code, tally in found.codes.items()
        if tally.recall is not None and tally.recall < RECALL_OF_A_CODE
    ]
    return short


def rows(found: Score) -> list[tuple[str, ...]]:
    """A line of the table for each code, the whole last."""
    return [
        (
            code,
            f"{tally.found}/{tally.events}",
            "" if tally.recall is None else f"{tally.recall:.1%}",
            str(tally.flags),
            f"{tally.false} ({tally.false_beside_fault})",
            f"{tally.false_per_10000_device_days or 0.0:.2f}",
            "" if tally.delay_median_s is None else duration(tally.delay_median_s),
        )
        for code, tally in [*found.codes.items(), ("all", found.overall)]
    ]


HEAD = (
    "code",
    "found of",
    "recall",
    "flags",
    "false (beside another fault)",
    "per 10,000",
    "delay",
)


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.4 h``, ``2.1 d``."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def write_report(folder: Path, found: Score, parts: list[Part], short: list[str]) -> None:
    """``detection.md`` with the table, and plots beside it."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes a second, and only a report needs it

    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Detection",
        "",
        f"{found.device_days:,.0f} device-days, {sum(part.messages for part in parts):,} messages.",
        "",
        *(f"* Falls short: {each}" for each in short),
        "",
        f"| {' | '.join(HEAD)} |",
        f"|{'---|' * len(HEAD)}",
        *(f"| {' | '.join(row)} |" for row in rows(found)),
        "",
        "![Recall by code](recall.svg)",
        "![False flags by code](false.svg)",
        "![Delay by code](delay.svg)",
        "",
        "| kind | device-days | messages | seconds |",
        "|---|---|---|---|",
        *(f"| {p.kind} | {p.device_days:,.0f} | {p.messages:,} | {p.seconds:.0f} |" for p in parts),
    ]
    (folder / "detection.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    plots: tuple[tuple[str, str, dict[str, float]], ...] = (
        ("recall", "recall", {c: t.recall for c, t in found.codes.items() if t.recall is not None}),
        (
            "false",
            "false flags per 10,000 device-days",
            {c: t.false_per_10000_device_days or 0.0 for c, t in found.codes.items() if t.false},
        ),
        (
            "delay",
            "median delay, hours",
            {
                c: t.delay_median_s / 3600
                for c, t in found.codes.items()
                if t.delay_median_s is not None
            },
        ),
    )
    for name, label, values in plots:
        figure = Figure(figsize=(8, 1 + 0.25 * max(1, len(values))), layout="constrained")
        axes = figure.subplots()
        axes.barh(list(values), list(values.values()), color="#2a6f97")
        axes.invert_yaxis()
        axes.set_xlabel(label)
        if name == "recall":
            axes.axvline(RECALL_OF_A_CODE, color="#c1121f", linewidth=1)
        if name == "delay":
            axes.set_xscale("symlog", linthresh=1)
        figure.savefig(folder / f"{name}.svg")


def main() -> int:
    """Runs all, prints the table; 1 where a figure is not reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fleet", type=Path, default=FLEET)
    parser.add_argument("--json", type=Path, default=Path("detection.json"))
    parser.add_argument("--report", type=Path, default=Path("detection"))
    parser.add_argument("--days", type=float, help="instead of the fleet's duration")
    parser.add_argument("--only", action="append", help="a kind; again for more")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--keep", type=Path, help="keep flags and truth of each kind in this folder"
    )
    given = parser.parse_args()
    header = yaml.safe_load(given.fleet.read_text(encoding="utf-8"))
    groups = [g for g in header.pop("devices") if not given.only or g["kind"] in given.only]
    if given.days:
        header["duration"] = f"{given.days:g}d"
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
        ) as progress,
        ThreadPoolExecutor(given.jobs) as pool,
    ):
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        running = [
            pool.submit(
                run_part,
                folder / group["kind"],
                header,
                group,
                progress,
                progress.add_task(group["kind"], total=1, visible=False),
            )
            for group in groups
        ]
        parts = [each.result() for each in running]
    found = score(
        [flag for part in parts for flag in part.flags],
        [truth for part in parts for truth in part.truth],
        sum(part.device_days for part in parts),
    )
    short = short_of(found)
    given.json.write_text(json.dumps(found.as_json(), indent=2) + "\n", encoding="utf-8")
    write_report(given.report, found, parts, short)
    table = Table(*HEAD)
    for row in rows(found):
        table.add_row(*row)
    Console().print(table)
    for each in short:
        print(f"falls short: {each}")
    print(f"{given.json}, {given.report}/detection.md")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
