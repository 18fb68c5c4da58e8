"""What processes use, read from /proc: CPU seconds, memory, and who else was busy meanwhile."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

TICK = 1.0 / os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def module(name: str, *arguments: object) -> list[str]:
    """The command that runs a module of ours in a Python of its own."""
    return [sys.executable, "-m", name, *map(str, arguments)]


def children(pid: int) -> list[int]:
    """The processes that ``pid`` started and that still live."""
    found: list[int] = []
    for task in (PROC / str(pid) / "task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:
            continue  # the thread or the process is gone
    return found


def family(pid: int) -> list[int]:
    """``pid`` and everything below it."""
    found = [pid]
    for child in children(pid):
        found += family(child)
    return found


def command(pid: int) -> str:
    """The command line; empty when the process is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process until now; 0 when it is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * TICK


def rss_bytes(pid: int) -> int:
    """Resident memory of a process; 0 when it is gone."""
    try:
        pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def machine_busy_seconds() -> float:
    """CPU seconds that all processes of the machine have used since it started."""
    user, nice, system, _idle, _wait, irq, soft = map(
        int, (PROC / "stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + irq + soft) * TICK


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    info = (PROC / "cpuinfo").read_text()
    model = next((line.split(":")[1] for line in info.splitlines() if "model name" in line), "")
    memory = int((PROC / "meminfo").read_text().split()[1]) * 1024
    kernel = os.uname()
    return {
        "cpu": model.strip(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "system": f"{kernel.sysname} {kernel.release} {kernel.machine}",
    }


@dataclass(slots=True)
class Usage:
    """What a family of processes used between two moments."""

    peak_rss: int = 0
    peak_by_pid: dict[int, int] = field(default_factory=dict)


class Sampler:
    """Watches the memory of a process and its children from a thread, ten times a second."""

    def __init__(self, pid: int) -> None:
        self.usage = Usage()
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.1):
            sizes = {pid: rss_bytes(pid) for pid in family(self._pid)}
            usage = self.usage
            usage.peak_rss = max(usage.peak_rss, sum(sizes.values()))
            for pid, size in sizes.items():
                usage.peak_by_pid[pid] = max(usage.peak_by_pid.get(pid, 0), size)
