"""``make bench``: what the gateway does in a second, beside what else there is, in one run.

``python -m tests.benchmarks.run [--json FILE] [--quick] [--only NAME] [--repeats N]``.  Ends with 1
when the audit fails (a message lost, doubled or in quarantine), with 0 otherwise: a figure that
falls short is told, not hidden, and no reason to stop a build.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import decoding, latency, stages, subjects
from tests.benchmarks.load import make_load
from tests.benchmarks.report import Result, middle, show, spread, target, write_json
from tests.benchmarks.subjects import Bench, Run

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1_048_576
MESSAGES, QUICK_MESSAGES = 200_000, 20_000
PLAIN_SHARE = 5
"""The plain scripts drain a fifth of the messages: their rate does not depend on the number."""
RATE = 5_000
NEEDS = {
    "drain_whole_path": ("mosquitto_sub", "whole_path", "plain_point", "plain_line"),
    "drain_intake": ("mosquitto_sub", "intake"),
    "replay": ("replay",),
    f"live_latency_p99_{RATE}": ("live",),
    "rss": ("whole_path",),
    "cpu_per_message": ("whole_path", "stages"),
    **dict.fromkeys(decoding.FIGURES, ("decoding",)),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs what is asked for, prints it and writes it down."""
    options = _options(arguments)
    names = options.only or list(NEEDS)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.folder))
    try:
        bench = Bench(folder, make_load(QUICK_MESSAGES if options.quick else MESSAGES))
        runs = measure(bench, names, 1 if options.quick else options.repeats, quick=options.quick)
        results = [RESULTS[name](bench, runs) for name in NEEDS if name in names]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    faults = [
        f"{subject}: {fault}" for subject, done in runs.items() for run in done
        for fault in run.faults
    ]  # fmt: skip
    show(results, faults)
    if options.json:
        write_json(options.json, results, faults)
    return 1 if faults else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--quick", action="store_true", help="20,000 messages, one run each")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each subject, in turns")
    parser.add_argument("--only", action="append", choices=list(NEEDS), help="one figure")
    parser.add_argument("--folder", type=Path, help="where to work; its disk is measured along")
    return parser.parse_args(arguments)


def measure(
    bench: Bench, names: list[str], repeats: int, *, quick: bool = False
) -> dict[str, list[Run]]:
    """Runs every subject that the figures need; those that are compared take turns."""
    plain = max(len(bench.load) // PLAIN_SHARE, 1)
    takes_turns: dict[str, Callable[[], Run]] = {
        "mosquitto_sub": lambda: subjects.mosquitto_sub(bench),
        "whole_path": lambda: subjects.whole_path(bench),
        "intake": lambda: subjects.intake(bench),
        "plain_point": lambda: subjects.plain_script(bench, plain, "point"),
        "plain_line": lambda: subjects.plain_script(bench, plain, "line"),
        "replay": lambda: subjects.replay(bench),
    }
    once: dict[str, Callable[[], Run]] = {
        "live": lambda: latency.live(bench, RATE, 5.0 if quick else 20.0),
        "stages": lambda: stages.run(bench),
        "decoding": lambda: decoding.run(0.3 if quick else 1.5),
    }
    wanted = {subject for name in names for subject in NEEDS[name]}
    runs: dict[str, list[Run]] = {subject: [] for subject in wanted}
    turns = [(subject, make) for _ in range(repeats) for subject, make in takes_turns.items()]
    for subject, make in [*turns, *once.items()]:
        if subject in wanted:
            run = make()
            runs[subject].append(run)
            _progress(f"{subject}: {run.messages:,} messages, {run.rate:,.0f} a second")
    return runs


def _progress(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _rate(runs: list[Run]) -> float:
    return middle(runs, lambda run: run.rate)


def _fact(runs: list[Run], name: str) -> float:
    return middle(runs, lambda run: run.facts[name])


def _whole_path(_bench: Bench, runs: dict[str, list[Run]]) -> Result:
    own, ceiling = runs["whole_path"], _rate(runs["mosquitto_sub"])
    rate = _rate(own)
    plain = {name: _rate(runs[f"plain_{name}"]) for name in ("point", "line")}
    return Result(
        "drain_whole_path",
        rate,
        "msg/s",
        ("mosquitto_sub", ceiling),
        [
            target("0.40 x mosquitto_sub", rate >= 0.40 * ceiling),
            target(f"8 x plain script ({rate / plain['point']:.1f} x)", rate >= 8 * plain["point"]),
        ],
        spread(own)
        | {
            "with_start_s": round(_fact(own, "with_start_s"), 2),
            "received_s": round(_fact(own, "received_s"), 2),
            "stored_s": round(middle(own, lambda run: run.seconds), 2),
            "plain_script": round(plain["point"]),
            "plain_script_by_hand_made_lines": round(plain["line"]),
            "plain_script_cpu_us": round(middle(runs["plain_point"], lambda run: run.cpu_us), 1),
            "flags": sum(own[0].facts["flags"].values()),
            "redelivered": own[0].facts["redelivered"],
            "store_bytes_a_message": round(_fact(own, "store_bytes_a_message"), 1),
            "ledger_bytes_a_message": round(_fact(own, "ledger_bytes_a_message"), 1),
        },
    )


def _intake(_bench: Bench, runs: dict[str, list[Run]]) -> Result:
    own, ceiling = runs["intake"], _rate(runs["mosquitto_sub"])
    rate = _rate(own)
    return Result(
        "drain_intake",
        rate,
        "msg/s",
        ("mosquitto_sub", ceiling),
        [target("0.65 x mosquitto_sub", rate >= 0.65 * ceiling)],
        spread(own),
    )


def _replay(_bench: Bench, runs: dict[str, list[Run]]) -> Result:
    own = runs["replay"]
    rate = _rate(own)
    return Result(
        "replay",
        rate,
        "msg/s",
        targets=[target("150,000 msg/s on one core", rate >= 150_000)],
        detail=spread(own) | {"with_start": round(own[0].messages / _fact(own, "with_start_s"))},
    )


def _live(_bench: Bench, runs: dict[str, list[Run]]) -> Result:
    facts = runs["live"][0].facts
    return Result(
        f"live_latency_p99_{RATE}",
        facts["p99_ms"],
        "ms",
        targets=[target("1 s", facts["p99_ms"] <= 1000)],
        detail={
            name: round(facts[name], 1)
            for name in ("p50_ms", "p99_at_least_ms", "max_ms", "judged", "commits")
        },
    )


def _rss(_bench: Bench, runs: dict[str, list[Run]]) -> Result:
    own = runs["whole_path"]
    peak = max(run.facts["peak_rss"] for run in own) / MIB
    return Result(
        "rss",
        peak,
        "MiB",
        targets=[target("300 MiB", peak <= 300)],
        detail={
            "intake_mib": round(_fact(own, "intake_rss") / MIB),
            "worker_mib": round(_fact(own, "worker_rss") / MIB),
        },
    )


def _cpu(_bench: Bench, runs: dict[str, list[Run]]) -> Result:
    own, parts = runs["whole_path"], dict(runs["stages"][0].facts)
    received = _fact(own, "intake_cpu_us")
    return Result(
        "cpu_per_message",
        middle(own, lambda run: run.cpu_us),
        "us",
        detail={
            "intake_process_us": round(received, 2),
            "worker_process_us": round(_fact(own, "worker_cpu_us"), 2),
            "receive_and_ack_us": round(max(received - parts["ledger"], 0.0), 2),
        }
        | {f"{name}_us": round(used, 2) for name, used in parts.items()},
    )


def _decoding(name: str) -> Callable[[Bench, dict[str, list[Run]]], Result]:
    def result(_bench: Bench, runs: dict[str, list[Run]]) -> Result:
        return decoding.result(name, runs["decoding"][0].facts)

    return result


RESULTS: dict[str, Callable[[Bench, dict[str, list[Run]]], Result]] = {
    "drain_whole_path": _whole_path,
    "drain_intake": _intake,
    "replay": _replay,
    f"live_latency_p99_{RATE}": _live,
    "rss": _rss,
    "cpu_per_message": _cpu,
    **{name: _decoding(name) for name in decoding.FIGURES},
}


if __name__ == "__main__":
    sys.exit(main())
