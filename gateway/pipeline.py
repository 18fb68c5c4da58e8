"""The way of one message: ledger → decode → normalise → check → store.

`gateway.deciding` has what lies between ledger and store.  Processing is a deterministic function
of ledger, profiles and device registry: what it keeps between messages (the checks' state) begins
empty at the ledger's first message, is carried by snapshots, and is rebuilt from the ledger where
a snapshot is older than the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from gateway.committing import Committing
from gateway.deciding import Decided, Decider
from gateway.errors import StoreRefused
from gateway.ledger import Ledger, UnreadableBatch
from gateway.records import (
    Batch,
    Counters,
    Flag,
    Quarantined,
    Results,
)
from gateway.store import Prepared, Reprocessing, Store

log = structlog.get_logger(__name__)

SNAPSHOT_MESSAGES: Final = 200_000
"""Messages between snapshots of the checks' state: what a restart may have to judge again."""

# Messages decided before the next are read, and readings before the store takes them: few enough
# to stay in the processor's cache.
_AT_ONCE: Final = 2_000
_PREPARED: Final = 2_000
_SET_ASIDE: Final = 32 * 1024 * 1024
"""Bytes of quarantined payloads after which a commit takes no more messages."""
RETRIED: Final = frozenset({"decode", "normalise", "store"})
"""Stages of quarantine whose messages can be decided again; the others name no message."""


class Ahead(msgspec.Struct):
    """What was decided and waits for its commit: messages from ``begun`` up to ``reached``.

    Of the readings the store has taken over all but the last few.  ``obstacle`` is where messages
    begin that can be read again, and why those before it cannot.
    """

    begun: int
    reached: int
    decided: Decided
    prepared: list[Prepared] = []
    obstacle: tuple[int, str] | None = None


class Processor:
    """Reads the ledger from the store's checkpoint on, decides, and commits.

    Readings, flags, quarantine, the offset reached and (now and then) a snapshot of the checks'
    state go to the store in one transaction, so a kill at any moment neither loses nor repeats.

    Attributes:
        offset: up to where the store has what was decided.
        counters: of the messages below it.
        snapshot_offset: of the latest snapshot in the store.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        decider: Decider,
        *,
        commit_messages: int = 5000,
        snapshot_messages: int = SNAPSHOT_MESSAGES,
    ) -> None:
        self.ledger = ledger
        self.store = store
        self.decider = decider
        self.commit_messages = commit_messages
        self.snapshot_messages = snapshot_messages
        checkpoint = store.checkpoint()
        self.offset = checkpoint.next_offset
        self._committing = Committing(store)
        self._ahead: Ahead | None = None
        self.snapshot_offset = checkpoint.snapshot_offset
        self.counters = checkpoint.counters
        self._late = 0
        if checkpoint.snapshot is not None:
            try:
                decider.restore(checkpoint.snapshot)
            except ValueError as error:
                # Of another version of this program: the ledger has all that it was made of.
                log.warning("check state is rebuilt from the ledger", why=str(error))
                self.snapshot_offset = 0
        self._rebuild()

    def _rebuild(self) -> None:
        """Brings the checks' state from the snapshot up to the checkpoint; outputs are known."""
        offset = max(self.snapshot_offset, self.ledger.first_offset)
        if offset < self.offset:
            log.info("rebuilding check state", since=offset, until=self.offset)
        retried = self.store.retried()
        self._late = len(retried)
        # A profile may have been mended since: what was refused then has not been judged, or it
        # was as a late message, when it was decided again.
        apart = {
            row.message.ledger_offset
            for row in self.store.quarantine()
            if not row.message.stage.startswith("sink:")
        }
        apart.update(message for message, _ in retried)
        late: dict[int, list[int]] = {}
        for message, decided_at in retried:
            late.setdefault(decided_at, []).append(message)
        for until in sorted({*late, self.offset}):
            offset = self._judge_again(offset, until, apart)
            for message in late.get(until, ()):
                batch = self._message(message)
                if batch is not None:
                    self.decider.decide(batch, Decided())

    def _judge_again(self, offset: int, until: int, apart: set[int]) -> int:
        """Judges messages from an offset on without output, but for some; returns the next."""
        while offset < until:
            try:
                batch = self.ledger.read(offset, min(self.commit_messages, until - offset))
            except UnreadableBatch as error:
                offset = error.fault.last_offset + 1
                continue
            if not len(batch):
                break
            for part in _without(batch, apart):
                at = part.first_offset - batch.first_offset - 1
                if at >= 0:  # what was refused may still have told the decoders something
                    self.decider.witness(
                        batch.topics[at], batch.payloads[at], batch.received_at[at],
                        part.first_offset - 1,
                    )  # fmt: skip
                self.decider.decide(part, Decided())
            offset = batch.first_offset + len(batch)
        return offset

    def _message(self, offset: int) -> Batch | None:
        """One message of the ledger; None where it is gone or cannot be read."""
        if offset < self.ledger.first_offset:
            return None
        try:
            batch = self.ledger.read(offset, 1)
        except UnreadableBatch:
            return None
        return batch if len(batch) and batch.first_offset == offset else None

    def step(self) -> int:
        """Decides the next messages, at most ``commit_messages``, and commits them.

        Where there were as many as that, more wait: their commit is still under way at the return.

        Returns:
            The number of messages decided; 0 at the end of the ledger.
        """
        ahead = self._gathered()
        decided = ahead.reached - ahead.begun
        if decided:
            self._begin(ahead)
            if decided < self.commit_messages:
                self.land()
        else:
            self.land()
            if ahead.obstacle is not None:
                decided = self._pass_over(*ahead.obstacle)
        self._ahead = None
        return decided

    def gather(self) -> int:
        """Decides what the ledger has by now, ahead of the commit that `step` makes.

        Whoever appends can so have each batch decided while it is in the processor's cache.

        Returns:
            The number of messages that wait for the commit, at most ``commit_messages``.
        """
        ahead = self._gathered()
        return ahead.reached - ahead.begun

    def _gathered(self) -> Ahead:
        ahead = self._ahead
        if ahead is None:
            last = self._committing.under_way
            begun, counters = (
                (self.offset, self.counters) if last is None else (last.next_offset, last.counters)
            )
            decided = Decided(counters=msgspec.structs.replace(counters))
            ahead = self._ahead = Ahead(begun, begun, decided)
        end = ahead.begun + self.commit_messages
        while ahead.reached < end:
            try:
                batch = self.ledger.read(ahead.reached, min(_AT_ONCE, end - ahead.reached))
            except UnreadableBatch as error:
                ahead.obstacle = error.fault.last_offset + 1, str(error.fault)
                break
            if not len(batch):
                break
            if batch.first_offset > ahead.reached:
                ahead.obstacle = batch.first_offset, "the ledger no longer has them"
                break
            self.decider.decide(batch, ahead.decided)
            ahead.reached += len(batch)
            if len(ahead.decided.readings) >= _PREPARED:
                self._prepare(ahead)
            if sum(len(row.payload) for row in ahead.decided.quarantined) > _SET_ASIDE:
                break
        return ahead

    def _pass_over(self, reached: int, why: str) -> int:
        """Decides messages that cannot be read: one quarantine row names them all."""
        missing = reached - self.offset
        log.error("messages cannot be read", first=self.offset, last=reached - 1, why=why)
        counters = msgspec.structs.replace(self.counters)
        counters.quarantined += missing
        row = Quarantined(
            ledger_offset=self.offset,
            received_at=0,
            topic="",
            payload=b"",
            stage="ledger",
            reason="unreadable",
            detail=f"offsets {self.offset} to {reached - 1}: {why}; see `gateway ledger verify`",
        )
        decided = Decided(quarantined=[row], counters=counters)
        self._commit(Ahead(self.offset, reached, decided), snapshot=False)
        return missing

    def finish(self) -> None:
        """Commits what was gathered, and a snapshot: the next start has nothing to rebuild."""
        self.land()
        ahead = self._ahead or self._here(Decided(counters=self.counters))
        if self.snapshot_offset < ahead.reached or self._late:
            self._commit(ahead, snapshot=True)
        self._ahead = None

    def snapshot_now(self) -> int:
        """Commits a snapshot where there is something new since the last; returns its offset."""
        self.finish()
        return self.snapshot_offset

    def settle(self) -> None:
        """Commits what would be found if nothing more came, at the end of a capture."""
        self.land()
        flags: list[Flag] = []
        self.decider.judge.foresee(flags)
        if flags:
            counters = msgspec.structs.replace(self.counters)
            counters.flags += len(flags)
            decided = Decided(flags=flags, counters=counters)
            self._commit(self._here(decided), snapshot=False)

    def switch(self, decider: Decider) -> int:
        """Goes on with another decider: profiles or registry were changed.

        What was gathered is committed, with a snapshot, so that no restart judges messages from
        before the switch by the profiles after it.

        Returns:
            The ledger offset of the first message that the new one decides.
        """
        self.finish()
        decider.restore(self.decider.snapshot())
        self.decider = decider
        return self.offset

    def retry_quarantined(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Decides again what quarantine holds, after a profile was mended.

        The messages are judged now, as late ones; what is still refused stays in quarantine with
        its present reason.

        Args:
            progress: called with messages decided again and messages in all.

        Returns:
            How many messages were decided again.
        """
        offsets = sorted(
            row.message.ledger_offset
            for row in self.store.quarantine()
            if row.message.stage in RETRIED
            and row.message.ledger_offset >= self.ledger.first_offset
        )
        for at in range(0, len(offsets), _AT_ONCE):
            self.retry(offsets[at : at + _AT_ONCE])
            if progress is not None:
                progress(min(at + _AT_ONCE, len(offsets)), len(offsets))
        # The checks have seen more now: the snapshot goes along.
        self._commit(self._here(Decided(counters=self.counters)), snapshot=True)
        return len(offsets)

    def retry(
        self,
        offsets: Sequence[int],
        progress: Reprocessing | None = None,
        *,
        enough: Callable[[], bool] = lambda: False,
    ) -> Reprocessing:
        """Decides messages again that quarantine holds, and commits what came of them.

        They are judged now, as late ones.  What is still refused, or not in the ledger any more,
        stays in quarantine.  A restart that has no snapshot of later judges them at the same place
        again.

        Args:
            offsets: of messages in quarantine, ascending; not those of a sink.
            progress: of the order that this is for; the store keeps it with the results.
            enough: asked after each message, whether to leave the others for another time.

        Returns:
            The progress after these: ``reached`` is the last message that is done.
        """
        self.land()
        decided = Decided(counters=msgspec.structs.replace(self.counters))
        done: list[int] = []
        taken = 0
        for offset in offsets:
            batch = self._message(offset)
            taken += 1
            if batch is not None:
                decided.counters.quarantined -= 1
                self.decider.decide(batch, decided)
                done.append(offset)
            if enough():
                break
        ahead = self._here(decided)
        self._prepare(ahead)
        after = self._progress(progress or Reprocessing(0), offsets[:taken], decided.counters)
        kept = None if progress is None else after
        self.store.replace_quarantined(done, self._results(ahead, snapshot=False), kept)
        self.counters = decided.counters
        self._late += len(done)
        return after

    def _progress(
        self, before: Reprocessing, taken: Sequence[int], counters: Counters
    ) -> Reprocessing:
        known = self.counters
        stored = counters.stored - known.stored
        duplicates = counters.duplicates - known.duplicates
        ignored = counters.ignored - known.ignored
        return Reprocessing(
            number=before.number,
            reached=taken[-1] if taken else before.reached,
            decided=before.decided + len(taken),
            stored=before.stored + stored,
            duplicates=before.duplicates + duplicates,
            ignored=before.ignored + ignored,
            refused=before.refused + len(taken) - stored - duplicates - ignored,
            readings=before.readings + counters.readings - known.readings,
        )

    def _results(self, ahead: Ahead, *, snapshot: bool) -> Results:
        return Results(
            readings=[],
            flags=ahead.decided.flags,
            quarantined=ahead.decided.quarantined,
            next_offset=ahead.reached,
            counters=ahead.decided.counters,
            snapshot=self.decider.snapshot() if snapshot else None,
            prepared=ahead.prepared,
        )

    def _here(self, decided: Decided) -> Ahead:
        """What moves the checkpoint no further."""
        return Ahead(self.offset, self.offset, decided)

    def _commit(self, ahead: Ahead, *, snapshot: bool) -> None:
        self._begin(ahead, snapshot=snapshot)
        self.land()

    def _begin(self, ahead: Ahead, *, snapshot: bool | None = None) -> None:
        """Begins the commit of what was decided, when the one before has landed.

        Args:
            ahead: what was decided.
            snapshot: whether the checks' state goes along; by default when it is due.
        """
        self._prepare(ahead)
        self.land()
        if snapshot is None:
            since = ahead.reached - self.snapshot_offset + self._late
            snapshot = since >= self.snapshot_messages
        self._committing.begin(self._results(ahead, snapshot=snapshot))
        if ahead is self._ahead:
            # Now `Committing` has it, also where its commit fails: it must not be given twice.
            self._ahead = None

    def land(self) -> None:
        """Waits for the commit that `step` left under way."""
        stored = self._committing.land()
        if stored is None:
            return
        self.offset = stored.next_offset
        self.counters = stored.counters
        if stored.snapshot is not None:
            self.snapshot_offset = stored.next_offset
            self._late = 0

    def _prepare(self, ahead: Ahead) -> None:
        """Has the store take over the readings in its own form."""
        decided = ahead.decided
        while decided.readings:
            try:
                ahead.prepared.append(self.store.prepare(decided.readings, ahead.prepared))
                decided.readings = []
            except StoreRefused as refused:
                # One row must not hold up all others: its message goes to quarantine, whole.
                self._set_aside(decided, refused)

    def _set_aside(self, decided: Decided, refused: StoreRefused) -> None:
        offset = refused.ledger_offset
        kept = [r for r in decided.readings if r.ledger_offset != offset]
        made = len(decided.readings) - len(kept)
        if offset is None or not made:
            raise refused
        log.error("the store refused a message", ledger_offset=offset, why=str(refused))
        batch = self.ledger.read(offset, 1)
        decided.quarantined.append(
            Quarantined(
                ledger_offset=offset,
                received_at=batch.received_at[0],
                topic=batch.topics[0],
                payload=batch.payloads[0],
                stage="store",
                reason="refused",
                detail=str(refused),
            )
        )
        decided.readings = kept
        decided.counters.readings -= made
        decided.counters.stored -= 1
        decided.counters.quarantined += 1

    @property
    def not_judged(self) -> Mapping[tuple[str, str], int]:
        """How often a check could not judge, by code and reason."""
        return self.decider.judge.not_judged


def _without(batch: Batch, offsets: set[int]) -> list[Batch]:
    """The batch in parts, without the messages at these offsets."""
    first, end = batch.first_offset, batch.first_offset + len(batch)
    cuts = sorted(offset for offset in offsets if first <= offset < end)
    parts = []
    for start, stop in zip([first, *(cut + 1 for cut in cuts)], [*cuts, end], strict=True):
        inside = slice(start - first, stop - first)
        parts.append(
            Batch(batch.topics[inside], batch.payloads[inside], batch.received_at[inside], start)
        )
    return parts
