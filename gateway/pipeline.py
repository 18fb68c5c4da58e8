"""The way of one message: ledger → decode → normalise → check → store.

Only this module knows the order.  Processing is a deterministic function of ledger, profiles and
device registry: what it keeps between messages (the checks' state) begins empty at the ledger's
first message, is carried by snapshots, and is rebuilt from the ledger where a snapshot is older
than the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, Final

import msgspec
import structlog

from gateway.checks import Judge, Region, Tariff
from gateway.decode.compile import Documents, compile_documents, compile_parser
from gateway.decode.document import NO_PAYLOAD, Context, Memory, Parse
from gateway.decode.json import compile_json
from gateway.devices import EVER, LATEST, since, valid_at, versions_of
from gateway.errors import DecodeError, ProfileError, StoreRefused
from gateway.ledger import Ledger, UnreadableBatch
from gateway.moments import MAX_MEMORY, Identities
from gateway.normalise import Emitted, Normaliser, compile_normaliser
from gateway.profiles import Profile, ProfileSet
from gateway.profiles.formats import Json
from gateway.profiles.meaning import limits_in_canonical_units
from gateway.profiles.models import Condition
from gateway.profiles.notation import topic_level
from gateway.profiles.paths import build_shape, envelope_conditions, plain_conditions
from gateway.profiles.topics import Topics, topic_levels
from gateway.records import (
    CLOCK_TOPIC,
    Batch,
    Counters,
    Device,
    Flag,
    Quarantined,
    Reading,
    Results,
)
from gateway.store import Prepared, Store

log = structlog.get_logger(__name__)

SNAPSHOT_MESSAGES: Final = 200_000
"""Messages between snapshots of the checks' state: what a restart may have to judge again."""

# Messages decided before the next are read, and readings before the store takes them: few enough
# to stay in the processor's cache.
_AT_ONCE: Final = 2_000
_PREPARED: Final = 2_000
_RETRIED: Final = frozenset({"decode", "normalise", "store"})


class Plan:
    """A profile compiled: its decoder, its normaliser, and the checks of each layout."""

    __slots__ = (
        "accepts",
        "decode",
        "devices",
        "documents",
        "kind",
        "normaliser",
        "parse",
        "plain",
        "profile",
        "read",
        "runs",
        "span",
    )

    def __init__(self, profile: Profile, devices: Mapping[str, Device], judge: Judge) -> None:
        model = profile.model
        levels = topic_levels(model)
        shape = build_shape(model, levels)
        self.profile = profile
        self.devices = devices
        self.kind = shape.type
        # One of the two: JSON bytes go straight into the struct, by a call without a context.
        self.decode: Callable[[bytes], Any] | None = None
        self.plain: Callable[[bytes], Any] | None = None
        self.documents: Documents | None = None
        self.parse: Parse | None = None
        outside = {}
        if isinstance(model.decode, Json) and model.decode.envelope is None:
            self.decode = self.plain = compile_json(shape, model.decode.max_bytes)
        else:
            outside = envelope_conditions(model)
            self.parse = compile_parser(model.decode, profile.file)
            self.documents = compile_documents(
                self.parse, model.decode, shape, outside, plain_conditions(model)
            )
        self.normaliser: Normaliser = compile_normaliser(model, shape, levels, devices)
        # None where the profile takes whatever comes on its topic.
        told = model.match is not None and len(model.match.when) > len(outside)
        self.accepts = self.normaliser.accepts if told else None
        self.read = self.normaliser.read
        settings: dict[str, Mapping[str, Any] | bool] = dict(model.checks)
        if "value_out_of_range" in settings:
            settings["value_out_of_range"] = limits_in_canonical_units(model)
        self.span = model.valid.span if model.valid is not None else None
        if self.span is not None:
            self.decode = None  # so that each message is asked when it was received
        self.runs = [
            judge.bind(layout, settings, where=str(profile.file)).run
            for layout in self.normaliser.layouts
        ]

    def holds(self, received_at: int) -> bool:
        """Whether the profile is for messages that were received then."""
        return self.span is None or self.span[0] <= received_at < self.span[1]

    def leaves_out(self, levels: Mapping[str, str]) -> bool:
        """Whether ``ignore`` names the topic by its levels: its payload is not even decoded."""
        ignored = (ignore.when for ignore in self.profile.model.ignore if ignore.each is None)
        return (
            self.accepts is None
            and self.span is None
            and any(
                when and all(_is_level(levels, path, condition) for path, condition in when.items())
                for when in ignored
            )
        )

    def document(
        self,
        topic: str,
        payload: bytes,
        levels: Mapping[str, str],
        received_at: int,
        offset: int = 0,
    ) -> Any:  # noqa: ANN401 - a struct made at run time
        """The message as the profile's struct; None where it is another profile's.

        Raises:
            DecodeError: the payload is not what the profile says.
        """
        if self.span is not None and not self.holds(received_at):
            return None
        if self.plain is not None:
            return self.plain(payload)
        device = self.devices.get(levels.get("device_id", ""))
        if device is not None and device.valid_from is not None:
            device = valid_at(self.devices, device.device_id, received_at)
        registered = device is not None and device.profile == self.profile.name
        context = Context(topic, received_at, levels, self.devices, registered, None, offset)
        return self.documents(payload, context) if self.documents is not None else None


def _is_level(levels: Mapping[str, str], path: str, condition: Condition) -> bool:
    """Whether a condition is on a level of the topic, and holds."""
    name = topic_level(path)
    return name is not None and levels.get(name) in (condition.in_ or ())


Route = Sequence[tuple[Plan, dict[str, str]]]


class Decided(msgspec.Struct):
    """What became of a run of messages; the counters count them by decision."""

    readings: list[Reading] = []
    flags: list[Flag] = []
    quarantined: list[Quarantined] = []
    counters: Counters = msgspec.field(default_factory=Counters)


class Ahead(msgspec.Struct):
    """What was decided and waits for its commit: messages up to ``reached``.

    Of the readings the store has taken over all but the last few.  ``obstacle`` is where messages
    begin that can be read again, and why those before it cannot.
    """

    reached: int
    decided: Decided
    prepared: list[Prepared] = []
    obstacle: tuple[int, str] | None = None


class Decider:
    """Decides messages one after another: a reading, a duplicate, on purpose nothing, quarantine.

    Pure but for the checks' state: no I/O and no clock.
    """

    def __init__(
        self,
        profiles: ProfileSet,
        devices: Mapping[str, Device],
        tariffs: Mapping[str, Tariff],
        *,
        regions: Sequence[Region] = (),
        registry_known: bool | None = None,
    ) -> None:
        self.judge = Judge(devices, tariffs, regions=regions, registry_known=registry_known)
        self.devices = devices
        self.plans = self._compiled(profiles)
        self._memories = _shared_memories(self.plans)
        self._topics: Topics[Plan] = Topics((plan.profile.model, plan) for plan in self.plans)
        self._routes: dict[str, Route] = {}
        self._changing: dict[str, list[tuple[int, int, Route, DecodeError | None]]] = {}
        self._refusals: dict[str, DecodeError] = {}
        self._identify = Identities()

    def _compiled(self, profiles: ProfileSet) -> list[Plan]:
        """A plan of each profile; raises ProfileError with the faults of all."""
        plans, faults = [], []
        for profile in profiles.profiles.values():
            try:
                plans.append(Plan(profile, self.devices, self.judge))
            except ProfileError as error:
                faults += profile.located(str(error)).splitlines()
        if faults:
            raise ProfileError("\n".join(dict.fromkeys(faults)))
        return plans

    def snapshot(self) -> bytes:
        """What the checks and the decoders remember, for the checkpoint; changes nothing."""
        kept = {name: memory.kept() for name, memory in self._memories.items()}
        return msgspec.msgpack.encode((self.judge.snapshot(), kept))

    def restore(self, blob: bytes) -> None:
        """Takes the memory of a snapshot; what a decoder remembered that is gone is forgotten.

        Raises:
            ValueError: not a snapshot of a version that this program reads.
        """
        try:
            judged, kept = msgspec.msgpack.decode(blob, type=tuple[bytes, dict[str, Any]])
        except msgspec.MsgspecError as error:
            raise ValueError(f"no snapshot of processing: {error}") from error
        self.judge.restore(judged)
        for name, memory in self._memories.items():
            if name in kept:
                memory.take(kept[name])

    def witness(self, topic: str, payload: bytes, received_at: int, offset: int) -> None:
        """Shows a message to the decoders that remember; nothing is judged."""
        if not self._memories:
            return
        for plan, levels in self.route(topic, received_at):
            if hasattr(plan.parse, "memory"):
                with suppress(DecodeError):
                    plan.document(topic, payload, levels, received_at, offset)

    # One loop without calls of its own: each would cost a message a tenth of its time.
    def decide(self, batch: Batch, decided: Decided) -> None:  # noqa: C901, PLR0912
        """Decides a batch in order, and adds what comes of it to ``decided`` and its counters."""
        readings, flags, routes = decided.readings, decided.flags, self._routes
        readings_before, flags_before = len(readings), len(flags)
        stored = ignored = repeated = made = 0
        offset = batch.first_offset - 1
        step = self.judge.next_advance
        for topic, payload, received_at in zip(
            batch.topics, batch.payloads, batch.received_at, strict=True
        ):
            offset += 1
            if received_at >= step:
                step = self.judge.advance(received_at, flags)
            route = routes.get(topic)
            if route is None:
                route = self.route(topic, received_at)
            refused: DecodeError | None = None
            for plan, levels in route:
                emitted: list[Emitted] = []
                document = None
                try:
                    if plan.decode is not None:
                        document = plan.decode(payload)
                    else:
                        document = plan.document(topic, payload, levels, received_at, offset)
                        if document is None:
                            continue
                    if plan.accepts is not None and not plan.accepts(document):
                        continue
                    belongs = plan.read(document, levels, received_at, offset, emitted)
                except DecodeError as error:
                    # On a shared topic another profile may read what this one can't; when none
                    # can, the first refusal stands: the most specific profile comes first.
                    error.stage = "decode" if document is None else "normalise"
                    refused = refused or error
                    continue
                if not belongs:
                    ignored += 1
                    break
                before = len(readings)
                made += len(emitted)
                for index, reading in emitted:
                    if plan.runs[index](reading, flags):
                        readings.append(reading)
                if len(readings) > before:
                    stored += 1
                else:
                    repeated += 1
                break
            else:
                refused = refused or self._refusals.get(topic) or _unread(route, received_at)
                ignored += self._refuse(decided, batch, offset, route, refused)
        counters = decided.counters
        counters.stored += stored
        counters.ignored += ignored
        counters.duplicates += repeated
        counters.readings += len(readings) - readings_before
        counters.duplicate_readings += made - (len(readings) - readings_before)
        counters.flags += len(flags) - flags_before

    def _refuse(
        self, decided: Decided, batch: Batch, offset: int, route: Route, error: DecodeError
    ) -> bool:
        """Sends a message to quarantine; True where it has nothing to read and is left out."""
        if error.reason == NO_PAYLOAD:
            return True
        i = offset - batch.first_offset
        decided.counters.quarantined += 1
        decided.quarantined.append(
            Quarantined(
                ledger_offset=offset,
                received_at=batch.received_at[i],
                topic=batch.topics[i],
                payload=batch.payloads[i],
                stage=error.stage,
                reason=error.reason,
                detail=error.detail,
                profile=route[0][0].profile.id if route else None,
                device_id=route[0][1].get("device_id") if route else None,
            )
        )
        return False

    def route(self, topic: str, received_at: int = LATEST) -> Route:
        """The plans for a topic, remembered; a registered device's own profile goes alone.

        Where the registry has had several profiles for the device, it is the one that it had when
        the message was received.

        Args:
            topic: the MQTT topic.
            received_at: ns UTC; by default the registry of now counts.
        """
        for begin, end, route, refusal in self._changing.get(topic, ()):
            if begin <= received_at < end:
                self._note(topic, refusal)
                return route
        if topic == CLOCK_TOPIC:
            self._note(topic, DecodeError(NO_PAYLOAD, "a mark of the gateway's own clock"))
            return []
        found = self._topics.find(topic)
        route, refusal = self._find_route(found, received_at)
        self._note(topic, refusal)
        if len(self._routes) + len(self._changing) >= MAX_MEMORY:
            self._routes.clear()
            self._changing.clear()
            self._refusals.clear()
        span = self._profile_span(found, received_at)
        if span is None:
            self._routes[topic] = route
        else:
            self._changing.setdefault(topic, []).append((*span, route, refusal))
        return route

    def _note(self, topic: str, refusal: DecodeError | None) -> None:
        if refusal is None:
            self._refusals.pop(topic, None)
        else:
            self._refusals[topic] = refusal

    def _find_route(
        self, found: Sequence[tuple[Plan, dict[str, str]]], received_at: int
    ) -> tuple[Route, DecodeError | None]:
        """The plans for a topic at a time, and why there is none."""
        route: list[tuple[Plan, dict[str, str]]] = []
        refusal = None
        named_by = []
        for plan, levels in found:
            named = self._profile_named(levels, received_at)
            if plan.profile.pinned and named != plan.profile.name:
                continue
            try:
                place = plan, {name: self._identify(text) for name, text in levels.items()}
            except DecodeError as error:
                refusal = error
                continue
            route.append(place)
            if named is not None and plan.profile.answers_to(named):
                named_by.append(place)
        route = named_by or route
        if route and route[0][0].leaves_out(route[0][1]):
            return [], DecodeError(NO_PAYLOAD, "the profile ignores this topic")
        return route, refusal

    def _profile_named(self, levels: Mapping[str, str], received_at: int) -> str | None:
        """The profile that the registry had for the device of a topic, the first one before it."""
        versions = versions_of(self.devices, levels.get("device_id", ""))
        held = [version for version in versions if since(version) <= received_at]
        return (held[-1] if held else versions[0]).profile if versions else None

    def _profile_span(
        self, found: Sequence[tuple[Plan, dict[str, str]]], received_at: int
    ) -> tuple[int, int] | None:
        """From when to when the profiles of a topic's devices hold; None: they never change."""
        names = {levels.get("device_id", "") for _, levels in found}
        histories = [versions_of(self.devices, name) for name in names]
        edges = [
            since(after)
            for versions in histories
            for before, after in pairwise(versions)
            if before.profile != after.profile
        ]
        if not edges:
            return None
        begin = max((edge for edge in edges if edge <= received_at), default=EVER)
        end = min((edge for edge in edges if edge > received_at), default=LATEST + 1)
        return begin, end


def _unread(route: Route, received_at: int) -> DecodeError:
    """Why no profile took a message that none of them refused."""
    if not route:
        detail = "no profile has this topic: add one, or a pattern to a 'match.topic'"
    elif not any(plan.holds(received_at) for plan, _ in route):
        names = ", ".join(plan.profile.id for plan, _ in route)
        detail = f"the topic fits, but the message was received when none of {names} is 'valid'"
    else:
        names = ", ".join(plan.profile.id for plan, _ in route)
        detail = f"the topic fits, but the content fits no 'match.when' of {names}"
    return DecodeError("no_profile", detail)


def _shared_memories(plans: Iterable[Plan]) -> dict[str, Memory]:
    """What the decoders remember, by name: all of one name share the first."""
    memories: dict[str, Memory] = {}
    for plan in plans:
        if plan.parse is not None and hasattr(plan.parse, "memory"):
            memory: Memory = plan.parse.memory
            plan.parse.memory = memories.setdefault(memory.name, memory)
    return memories


class Processor:
    """Reads the ledger from the store's checkpoint on, decides, and commits.

    Readings, flags, quarantine, the offset reached and (now and then) a snapshot of the checks'
    state go to the store in one transaction, so a kill at any moment neither loses nor repeats.
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
        self._ahead: Ahead | None = None
        self.snapshot_offset = checkpoint.snapshot_offset
        self.counters = checkpoint.counters
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
        # A profile may have been mended since: what was refused then has not been judged.
        refused = {
            row.message.ledger_offset
            for row in self.store.quarantine()
            if row.message.ledger_offset >= offset
        }
        while offset < self.offset:
            try:
                batch = self.ledger.read(offset, min(self.commit_messages, self.offset - offset))
            except UnreadableBatch as error:
                offset = error.fault.last_offset + 1
                continue
            if not len(batch):
                break
            for part in _without(batch, refused):
                at = part.first_offset - batch.first_offset - 1
                if at >= 0:  # what was refused may still have told the decoders something
                    self.decider.witness(
                        batch.topics[at], batch.payloads[at], batch.received_at[at],
                        part.first_offset - 1,
                    )  # fmt: skip
                self.decider.decide(part, Decided())
            offset = batch.first_offset + len(batch)

    def step(self) -> int:
        """Decides the next messages, at most ``commit_messages``, and commits them.

        Returns:
            The number of messages decided; 0 at the end of the ledger.
        """
        ahead = self._gathered()
        decided = ahead.reached - self.offset
        if decided:
            due = ahead.reached - self.snapshot_offset >= self.snapshot_messages
            self._commit(ahead, snapshot=due)
        elif ahead.obstacle is not None:
            decided = self._pass_over(*ahead.obstacle)
        self._ahead = None
        return decided

    def gather(self) -> int:
        """Decides what the ledger has by now, ahead of the commit that `step` makes.

        Whoever appends can so have each batch decided while it is in the processor's cache.

        Returns:
            The number of messages that wait for the commit, at most ``commit_messages``.
        """
        return self._gathered().reached - self.offset

    def _gathered(self) -> Ahead:
        if self._ahead is None:
            counters = msgspec.structs.replace(self.counters)
            self._ahead = Ahead(self.offset, Decided(counters=counters))
        ahead = self._ahead
        end = self.offset + self.commit_messages
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
        self._commit(Ahead(reached, decided), snapshot=False)
        return missing

    def finish(self) -> None:
        """Commits what was gathered, and a snapshot: the next start has nothing to rebuild."""
        ahead = self._ahead or Ahead(self.offset, Decided(counters=self.counters))
        if self.snapshot_offset < ahead.reached:
            self._commit(ahead, snapshot=True)
        self._ahead = None

    def settle(self) -> None:
        """Commits what would be found if nothing more came, at the end of a capture."""
        flags: list[Flag] = []
        self.decider.judge.foresee(flags)
        if flags:
            counters = msgspec.structs.replace(self.counters)
            counters.flags += len(flags)
            decided = Decided(flags=flags, counters=counters)
            self._commit(Ahead(self.offset, decided), snapshot=False)

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
            if row.message.stage in _RETRIED
            and row.message.ledger_offset >= self.ledger.first_offset
        )
        for at in range(0, len(offsets), _AT_ONCE):
            self._retry(offsets[at : at + _AT_ONCE])
            if progress is not None:
                progress(min(at + _AT_ONCE, len(offsets)), len(offsets))
        # The checks have seen more now: the snapshot goes along.
        self._commit(Ahead(self.offset, Decided(counters=self.counters)), snapshot=True)
        return len(offsets)

    def _retry(self, offsets: list[int]) -> None:
        decided = Decided(counters=msgspec.structs.replace(self.counters))
        decided.counters.quarantined -= len(offsets)
        for offset in offsets:
            self.decider.decide(self.ledger.read(offset, 1), decided)
        ahead = Ahead(self.offset, decided)
        self._prepare(ahead)
        self.store.replace_quarantined(offsets, self._results(ahead, snapshot=False))
        self.counters = decided.counters

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

    def _commit(self, ahead: Ahead, *, snapshot: bool) -> None:
        self._prepare(ahead)
        self.store.commit(self._results(ahead, snapshot=snapshot))
        self.offset = ahead.reached
        self.counters = ahead.decided.counters
        if snapshot:
            self.snapshot_offset = ahead.reached

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
