"""A capture through the whole pipeline in one process, as fast as it goes."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.assembly import (
    DataDirectory,
    collect_seldom,
    make_decider,
    read_devices,
    read_profiles,
)
from gateway.capture import CaptureError, CaptureReader
from gateway.errors import ConfigError
from gateway.ledger.sqlite import SqliteLedger
from gateway.pipeline import Processor
from gateway.store.duckdb import DuckDBStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gateway.records import Batch

BATCH_MESSAGES = 10_000
COMMIT_MESSAGES = 40_000


class Replayed(msgspec.Struct, frozen=True):
    """What a replay did.

    All but ``pending_before`` (messages that were in the ledger already, not decided, and were
    decided first) and ``seconds`` count this replay's messages only.  ``flags`` and
    ``quarantined`` are by code and by reason; ``duplicates`` were recognised as received before.
    ``not_judged`` is how often a check could not judge, by code and then by reason: no flag of
    that code does not mean that all is well there.
    """

    messages: int
    readings: int
    flags: dict[str, int]
    quarantined: dict[str, int]
    duplicates: int
    ignored: int
    not_judged: dict[str, dict[str, int]]
    pending_before: int
    skipped_lines: int
    first_skipped: str | None
    devices: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """The machine form, with the rates."""
        return msgspec.structs.asdict(self) | {
            "messages_per_second": round(self.rate),
            "cpu_us_per_message": round(1e6 * self.cpu_seconds / max(1, self.messages), 2),
        }


def replay(
    files: Sequence[Path | None],
    data: Path,
    *,
    profiles: Sequence[Path] = (),
    registry: Path | None = None,
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Appends the captures to the ledger of ``data`` and decides them.

    Args:
        files: captures in this order; None is standard input.
        data: the data directory, made when missing; no gateway may be using it.
        profiles: directories of profiles, or the packaged ones.
        registry: taken into the casebook first.
        skip_bad: skip and count bad lines of a capture, instead of stopping there.
        progress: called with the number of messages decided so far.

    Raises:
        ConfigError: one of the files is not there; nothing was appended.
        CaptureError: a capture cannot be read; what was before that place is in the store.
        GatewayError: profiles, registry, ledger or store fail.
    """
    _check_files(files)
    began, cpu_began = time.perf_counter(), time.process_time()
    loaded = read_profiles(profiles)
    directory = DataDirectory(data)
    devices = read_devices(directory, registry)
    decider = make_decider(loaded, devices, profiles)
    readers = [
        CaptureReader(file, batch_messages=BATCH_MESSAGES, skip_bad=skip_bad) for file in files
    ]
    with SqliteLedger(
        directory.ledger,
        max_batch=BATCH_MESSAGES,
        recent_messages=2 * BATCH_MESSAGES,
    ) as ledger:
        store = DuckDBStore(directory.store)
        try:
            processor = Processor(ledger, store, decider, commit_messages=COMMIT_MESSAGES)
            collect_seldom()
            pending = 0
            while decided := processor.step():
                pending += decided
            before = msgspec.structs.replace(processor.counters)
            not_judged_before = dict(processor.not_judged)
            first_offset = processor.offset
            try:
                for batch in _batches(readers):
                    ledger.append(batch)
                    if processor.gather() >= COMMIT_MESSAGES:
                        processor.step()
                        if progress is not None:
                            progress(processor.counters.decided - before.decided)
            except CaptureError:
                _finish(processor)
                raise
            _finish(processor)
            took = time.perf_counter() - began, time.process_time() - cpu_began
            codes, reasons, count = _findings(store, first_offset)
            after = processor.counters
            return Replayed(
                messages=after.decided - before.decided,
                readings=after.readings - before.readings,
                flags=codes,
                quarantined=reasons,
                duplicates=after.duplicates - before.duplicates,
                ignored=after.ignored - before.ignored,
                not_judged=_by_code(processor.not_judged, not_judged_before),
                pending_before=pending,
                skipped_lines=sum(reader.skipped for reader in readers),
                first_skipped=next((r.first_skipped for r in readers if r.first_skipped), None),
                devices=count,
                seconds=round(took[0], 3),
                cpu_seconds=round(took[1], 3),
            )
        finally:
            store.close()


def _finish(processor: Processor) -> None:
    """Decides what is in the ledger, and leaves nothing to rebuild."""
    while processor.step():
        pass
    processor.finish()
    processor.settle()


def _findings(store: DuckDBStore, first_offset: int) -> tuple[dict[str, int], dict[str, int], int]:
    """Flags by code and quarantined messages by reason since an offset; devices in the store."""
    codes = Counter(flag.code for flag in store.flags() if flag.ledger_offset >= first_offset)
    reasons = Counter(
        row.message.reason
        for row in store.quarantine()
        if row.message.ledger_offset >= first_offset and not row.message.stage.startswith("sink:")
    )
    return dict(codes.most_common()), dict(reasons.most_common()), sum(1 for _ in store.devices())


def _by_code(
    counts: Mapping[tuple[str, str], int], before: Mapping[tuple[str, str], int]
) -> dict[str, dict[str, int]]:
    """What was not judged since ``before``, by code and reason, the most frequent first."""
    found: dict[str, dict[str, int]] = {}
    new = {key: count - before.get(key, 0) for key, count in counts.items()}
    for (code, reason), count in sorted(new.items(), key=lambda item: -item[1]):
        if count:
            found.setdefault(code, {})[reason] = count
    return found


def _check_files(files: Sequence[Path | None]) -> None:
    """Nothing is appended when one of the files cannot even be opened."""
    for file in files:
        if file is not None and not file.is_file():
            raise ConfigError(f"{file}: {'is no file' if file.exists() else 'no such file'}")


def _batches(readers: Sequence[CaptureReader]) -> Iterator[Batch]:
    for reader in readers:
        yield from reader.batches()
