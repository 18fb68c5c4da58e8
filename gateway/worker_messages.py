"""What the intake process and the processing worker say to each other, through a pipe.

The worker sends ``Loaded`` once, a ``Report`` about twice a second, ``Reloaded`` when it was asked
to, and ``Failed`` as its last word; it takes ``Reload`` and ``Drain``.  This module is light: the
intake process imports it, not the worker.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from gateway.records import Counters, Flag, Quarantined

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from gateway.alerts.spec import AlertSpec, AlertState
    from gateway.log import Format, Level


class SinkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A sink as the worker makes it."""

    name: str
    url: str
    org: str
    bucket: str
    token: str | None = None


class WorkerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker needs to know; travels to it by pickle.

    ``retention``: days to keep, by kind of readings and ``quarantine``; what is not in it stays.
    ``store_memory`` is what the store may keep in memory, for processing and questions together.
    """

    data: Path
    profiles: tuple[Path, ...]
    registry: Path | None
    commit_messages: int
    commit_interval: float
    snapshot_messages: int
    alerts: tuple[AlertSpec, ...] = ()
    sinks: tuple[SinkSpec, ...] = ()
    retention: dict[str, int] = {}
    store_memory: str = "48MB"
    log_level: Level = "info"
    log_format: Format = "auto"
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"WorkerSpec(data={str(self.data)!r})"


class Drain(msgspec.Struct, frozen=True):
    """Decide every message below ``until``, commit a snapshot, and end; None: end now."""

    until: int | None


class Reload(msgspec.Struct, frozen=True):
    """Read profiles and registry anew, check them, and go on with them; or refuse them whole."""


class Reloaded(msgspec.Struct, frozen=True):
    """What became of a `Reload`: the offset from which the new profiles hold, or why they do not.

    ``changed`` names the profiles that are new, changed or gone, as ``name@version``.
    """

    next_offset: int
    profiles: int
    devices: int
    changed: tuple[str, ...] = ()
    refused: str | None = None


class Loaded(msgspec.Struct, frozen=True):
    """Profiles, registry and store are open; processing goes on at ``next_offset``."""

    next_offset: int
    profiles: int
    devices: int


class SinkState(msgspec.Struct, frozen=True):
    """How far a sink came, how far it is behind the store, and what is wrong with it now."""

    name: str
    position: int
    lag: int
    refused: int
    error: str | None


class Report(msgspec.Struct, frozen=True):
    """Where processing stands.

    ``flags`` counts different flags by code and ``reasons`` quarantined messages by reason, both
    since this worker started; ``recent`` are the latest of either, newest last.  ``removed`` counts
    what retention has ever removed, by kind and ``quarantine``.
    """

    next_offset: int
    snapshot_offset: int
    counters: Counters
    devices: int
    flags: dict[str, int]
    reasons: dict[str, int]
    recent_flags: tuple[Flag, ...]
    recent_quarantined: tuple[Quarantined, ...]
    sinks: tuple[SinkState, ...]
    alerts: tuple[AlertState, ...]
    not_judged: dict[str, int]
    removed: dict[str, int]
    idle: bool


class Failed(msgspec.Struct, frozen=True):
    """The worker's last word: what went wrong, and whether starting again may help."""

    message: str
    retry: bool
    kind: str


Order = Drain | Reload
Word = Loaded | Report | Reloaded | Failed


def start_worker(pipe: Connection[Order, Word], spec: WorkerSpec) -> None:
    """What the new process calls; only there is the worker, with all its weight, imported."""
    # PyArrow takes NumPy along where it finds it: 14 MB, and nothing here uses it.
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type]
    from gateway import worker  # noqa: PLC0415

    worker.main(pipe, spec)
