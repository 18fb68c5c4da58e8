"""Follows the changes of flags in the store, and decides what an alert tells of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from gateway.alerts.events import (
    Told,
    event_of,
    gone_key,
    gone_record,
    key_of,
    record_of,
    summary_of,
    takes,
)
from gateway.alerts.outbox import Draft
from gateway.errors import GatewayError
from gateway.flags.query import Desk, suppressions
from gateway.store import FlagStates
from gateway.times import rfc3339

if TYPE_CHECKING:
    from gateway.alerts.outbox import Known, Outbox
    from gateway.alerts.spec import AlertSpec
    from gateway.casebook import Casebook
    from gateway.flags.records import FlagView, Suppression
    from gateway.records import Flag
    from gateway.store import Store

log = structlog.get_logger(__name__)

Titles = Mapping[str, Mapping[str, str]]
_PAGE: Final = 500
_WINDOWS_EVERY_S: Final = 1.0
_OFFSET_EVERY_S: Final = 10.0
_LONGEST_WAIT_S: Final = 30.0
# A sink's position 0 is that of a store which has never seen it, so ours are one more.
_SHIFT: Final = 1


def drafted(
    spec: AlertSpec, view: FlagView, told: Told | None, *, titles: Titles, at: int
) -> Draft | None:
    """What an alert remembers and tells of a flag as it is now; None where that is nothing new.

    Args:
        spec: of the alert.
        view: the flag with what people have said of it.
        told: what the alert knows of it.
        titles: of flag codes, by language.
        at: ns UTC, now.
    """
    flag = view.flag
    event = event_of(flag, told)
    if event is None:
        return None
    version = 0 if told is None else told.version
    if version == 0:
        if not takes(spec, view):
            return None
        if view.status == "suppressed" and not spec.suppressed:
            if told is not None and told.held:
                return None
            return Draft(Told(flag.id, 0, "", flag.severity, flag.status, held=True))
    key = key_of(flag)
    record = record_of(view, titles)
    now = Told(
        flag.id, version + 1, key, flag.severity, flag.status, summary=summary_of(record)
    )  # fmt: skip
    if not spec.wants(event):
        return Draft(now)
    return Draft(now, event, _body(event, now, record, at))


def drafted_gone(spec: AlertSpec, told: Told, at: int) -> Draft:
    """What is told of a flag that the store does not have any more."""
    now = msgspec.structs.replace(
        told, version=told.version + 1, key=gone_key(told), condition="withdrawn"
    )
    if not spec.wants("withdrawn"):
        return Draft(now)
    return Draft(now, "withdrawn", _body("withdrawn", now, gone_record(told), at))


def _body(event: str, told: Told, record: dict[str, Any], at: int) -> bytes:
    head: dict[str, Any] = {
        "event": event,
        "version": told.version,
        "key": told.key,
        "told_at": rfc3339(at),
    }
    return msgspec.json.encode(head | record)


def begin(spec: AlertSpec, store: Store, outbox: Outbox, at: int) -> Known:
    """The memory of an alert, brought in line with a store that it has never followed.

    At its first start what is there by now becomes known.  Where a reprocess has made the store
    anew, so does what it has found in messages that had been looked at, and flags that were told
    and are not there any more are taken back.

    To be called before processing goes on, so that nothing that it finds is taken for old.
    """
    known = outbox.known(spec.name)
    if known is None:
        found = FlagStates([], 0, 0) if spec.backlog else store.flag_states()
        flags = (state[:3] for state in found.states)
        known = outbox.begin(spec.name, at=at, offset=found.next_offset, flags=flags)
        store.advance_sink(_sink_of(spec), found.change + _SHIFT)
        log.info("alert begins", alert=spec.name, known_flags=len(found.states))
    elif store.sink_position(_sink_of(spec)) == 0:
        found = store.flag_states()
        if not spec.backlog:
            old = (state[:3] for state in found.states if state[3] < known.offset)
            outbox.know(spec.name, old)
        gone = _take_back(spec, {state[0] for state in found.states}, outbox, at)
        store.advance_sink(_sink_of(spec), _SHIFT)
        log.info(
            "alert looks through a new store", alert=spec.name, flags=len(found.states), gone=gone
        )
    return known


def _take_back(spec: AlertSpec, here: Container[str], outbox: Outbox, at: int) -> int:
    """Tells of flags that are not here any more; returns how many."""
    count, after = 0, ""
    while standing := outbox.standing(spec.name, after):
        gone = [told for told in standing if told.flag_id not in here]
        outbox.take(spec.name, [drafted_gone(spec, told, at) for told in gone], at=at)
        count += len(gone)
        after = standing[-1].flag_id
    return count


def _sink_of(spec: AlertSpec) -> str:
    return f"alert:{spec.name}"


class Follower:
    """Reads what changes and fills the outbox, for one alert.

    Args:
        spec: of the alert.
        store: what to follow.
        outbox: where letters go; used on the event loop's thread only.
        casebook: of decisions and windows.
        titles: of flag codes, by language.
        clock: ns UTC.
        told: called when there is a new letter.
        poll: seconds between looks at a store that had nothing new.
    """

    def __init__(
        self,
        spec: AlertSpec,
        store: Store,
        outbox: Outbox,
        casebook: Casebook,
        titles: Titles,
        *,
        clock: Callable[[], int],
        told: Callable[[], None],
        poll: float = 0.2,
    ) -> None:
        self.last_error: str | None = None
        self._spec = spec
        self._store = store
        self._outbox = outbox
        self._casebook = casebook
        self._titles = titles
        self._clock = clock
        self._told = told
        self._poll = poll
        self._sink = _sink_of(spec)
        self._change = 0
        self._offset = 0
        self._windows: list[Suppression] | None = None
        self._looked = self._noted = 0.0
        self._closing = asyncio.Event()

    @property
    def lag(self) -> int:
        """Changes of flags in the store that were not looked at yet."""
        return max(0, self._store.change - self._change)

    def close(self) -> None:
        """Ends `run` after the step in progress."""
        self._closing.set()

    async def run(self) -> None:
        """Follows the store until `close`; what fails is tried again."""
        begun = False
        wait = self._poll
        while not self._closing.is_set():
            try:
                if not begun:
                    await self._begin()
                    begun = True
                moved = await self._step()
            except GatewayError as fault:
                if self.last_error is None:
                    log.warning("alert cannot follow", alert=self._spec.name, fault=str(fault))
                self.last_error = str(fault)
                await self._pause(wait)
                wait = min(wait * 2, _LONGEST_WAIT_S)
                continue
            if self.last_error is not None:
                log.info("alert follows again", alert=self._spec.name)
                self.last_error = None
            wait = self._poll
            if not moved:
                await self._pause(self._poll)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _begin(self) -> None:
        """Finds where to go on."""
        self._offset = begin(self._spec, self._store, self._outbox, self._clock()).offset
        position = await asyncio.to_thread(self._store.sink_position, self._sink)
        self._change = position - _SHIFT

    async def _advance(self, change: int) -> None:
        await asyncio.to_thread(self._store.advance_sink, self._sink, change + _SHIFT)
        self._change = change

    async def _step(self) -> bool:
        """One look at the store; whether there was something."""
        await self._look_at_windows()
        moved = self._store.change > self._change
        if moved:
            room = self._spec.queue - self._outbox.waiting(self._spec.name)
            if room <= 0:
                return False
            tail = await asyncio.to_thread(self._store.flag_tail, self._change, min(room, _PAGE))
            await self._consider(tail.flags)
            await self._advance(tail.change)
            self._note(tail.next_offset)
        elif asyncio.get_running_loop().time() - self._noted >= _OFFSET_EVERY_S:
            tail = await asyncio.to_thread(self._store.flag_tail, self._change, 1)
            self._note(tail.next_offset if not tail.flags else None)
        return moved

    def _note(self, offset: int | None) -> None:
        """Remembers which messages' flags have been looked at."""
        self._noted = asyncio.get_running_loop().time()
        if offset is not None and offset > self._offset:
            self._offset = offset
            self._outbox.reached(self._spec.name, offset)

    async def _consider(self, flags: Sequence[Flag]) -> None:
        """Drafts what is to be told of these flags, and queues it."""
        if not flags:
            return
        views = await asyncio.to_thread(self._views, flags)
        told = self._outbox.told(self._spec.name, [flag.id for flag in flags])
        at = self._clock()
        drafts = [
            draft
            for view in views
            if (draft := self._drafted(view, told.get(view.flag.id), at)) is not None
        ]
        if drafts and self._outbox.take(self._spec.name, drafts, at=at):
            self._told()

    def _drafted(self, view: FlagView, told: Told | None, at: int) -> Draft | None:
        return drafted(self._spec, view, told, titles=self._titles, at=at)

    def _views(self, flags: Sequence[Flag]) -> list[FlagView]:
        return list(Desk(self._store, self._casebook).see(flags))

    async def _look_at_windows(self) -> None:
        """Tells what a window held back, when the windows have changed."""
        now = asyncio.get_running_loop().time()
        if now - self._looked < _WINDOWS_EVERY_S:
            return
        self._looked = now
        windows = await asyncio.to_thread(suppressions, self._casebook)
        if windows == self._windows:
            return
        held = self._outbox.held(self._spec.name)
        for at in range(0, len(held), _PAGE):
            part = held[at : at + _PAGE]
            await self._consider(await asyncio.to_thread(self._flags, part))
        self._windows = windows

    def _flags(self, ids: Sequence[str]) -> list[Flag]:
        return list(self._store.flags(ids=ids, withdrawn=True))
