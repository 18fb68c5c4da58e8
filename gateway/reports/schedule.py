"""District reports that the running gateway writes by itself, each as soon as its period is over.

What is due is seen from the folder alone: the file of the last week or month that is over is there,
or it is written.  So nothing has to be remembered, a gateway that was off catches up, and a report
that is wanted anew is deleted.  A report is made by `gateway report` in a process of its own:
neither intake nor processing waits for it, and it asks the store as any other reader does.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from gateway.reports.periods import ZONE, Kind, Period, holding
from gateway.times import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

log = structlog.get_logger(__name__)

_LOOK_EVERY_S: Final = 60.0
_AGAIN_S: Final = 600.0
"""After a failure it is tried again so much later."""
_LONGEST_S: Final = 3_600.0
_NICE: Final = 10
_HOUR: Final = 3_600 * SECOND


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One report that is wanted again and again; ``after_hours`` is how long late data have."""

    region: str
    period: Kind
    folder: Path
    language: str
    form: str
    after_hours: float

    def latest(self, now: int) -> Period:
        """The latest week or month that is over, late data included."""
        at = now - round(self.after_hours * _HOUR)
        today = dt.datetime.fromtimestamp(at // SECOND, ZONE).date()
        return holding(self.period, today).before

    def file(self, period: Period) -> Path:
        """Where the report of a period belongs."""
        name = f"report-{self.region or 'all'}-{period.name}-{self.language}.{self.form}"
        return self.folder / name


class Reports:
    """Writes what is due, one after the other, until it is cancelled.

    Args:
        schedules: what is wanted.
        data: the data directory of the gateway that runs.
        profiles: directories of profiles.
        by: who makes them, as the paper says.
        clock: ns UTC.
        look_every: seconds between two looks.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        data: Path,
        *,
        profiles: Sequence[Path],
        by: str,
        clock: Callable[[], int] = time.time_ns,
        look_every: float = _LOOK_EVERY_S,
    ) -> None:
        self._schedules = schedules
        self._data = data
        self._profiles = profiles
        self._by = by
        self._clock = clock
        self._look_every = look_every
        self._not_before: dict[Schedule, float] = {}

    async def run(self) -> None:
        """Looks now and then what is due, and writes it."""
        while True:
            for schedule in self._schedules:
                if time.monotonic() >= self._not_before.get(schedule, 0.0):
                    await self.write(schedule)
            await asyncio.sleep(self._look_every)

    async def write(self, schedule: Schedule) -> bool:
        """Writes the report of the latest period; nothing where it is there already.

        Whether it is there now.  The file appears whole or not at all.
        """
        period = schedule.latest(self._clock())
        file = schedule.file(period)
        if await asyncio.to_thread(file.exists):
            return True
        part = file.with_name(f".part-{file.name}")
        try:
            await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
            fault = await self._made(schedule, period, part)
            if fault is None:
                await asyncio.to_thread(part.replace, file)
                log.info("report written", file=str(file))
                return True
        except OSError as error:
            fault = str(error)
        log.warning("report not written", file=str(file), error=fault, again_s=_AGAIN_S)
        self._not_before[schedule] = time.monotonic() + _AGAIN_S
        return False

    async def _made(self, schedule: Schedule, period: Period, part: Path) -> str | None:
        """Has the command write the report; what it said where it failed."""
        words = [
            "report", "--data", str(self._data), "--region", schedule.region,
            f"--{period.kind}", period.name, "--language", schedule.language,
            "--actor", self._by, "-o", str(part),
        ]  # fmt: skip
        for each in self._profiles:
            words += ["--profiles", str(each)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", *words,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
            _, said = await asyncio.wait_for(process.communicate(), _LONGEST_S)
        except TimeoutError:
            return f"not done within {_LONGEST_S:.0f} s"
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return None if process.returncode == 0 else said.decode(errors="replace").strip()[-500:]
