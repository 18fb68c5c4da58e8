"""What becomes of a message: decode → normalise → check, or quarantine with the reason.

Pure but for the state of the checks: no I/O, and no clock but the time of receipt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec

from gateway.checks import Judge, Region, Tariff
from gateway.decode.document import NO_PAYLOAD, Memory
from gateway.devices import EVER, LATEST, since, versions_of
from gateway.errors import DecodeError, ProfileError
from gateway.moments import MAX_MEMORY, Identities
from gateway.normalise import Emitted
from gateway.plans import Plan, Planned
from gateway.profiles import Profile, ProfileSet
from gateway.profiles.topics import Topics
from gateway.records import (
    CLOCK_TOPIC,
    Batch,
    Counters,
    Device,
    Flag,
    Quarantined,
    Reading,
)

Route = Sequence[tuple[Plan, dict[str, str]]]


class Decided(msgspec.Struct):
    """What became of a run of messages; the counters count them by decision."""

    readings: list[Reading] = []
    flags: list[Flag] = []
    quarantined: list[Quarantined] = []
    counters: Counters = msgspec.field(default_factory=Counters)


class Decider:
    """Decides messages one after another: a reading, a duplicate, on purpose nothing, quarantine.

    Pure but for the checks' state: no I/O and no clock.

    Args:
        profiles: which messages it reads.
        devices: the registry.
        tariffs: of taxis, by name.
        regions: what regions set otherwise than the profiles.
        registry_known: whether a registry was given; None means whether ``devices`` has any.
        proven: the profiles are known to be good, so that each is compiled when its first message
            comes; else all are now.

    Raises:
        ProfileError: profiles that cannot be compiled, with the faults of all.
    """

    def __init__(
        self,
        profiles: ProfileSet,
        devices: Mapping[str, Device],
        tariffs: Mapping[str, Tariff],
        *,
        regions: Sequence[Region] = (),
        registry_known: bool | None = None,
        proven: bool = False,
    ) -> None:
        self.judge = Judge(
            devices, tariffs, regions=regions, registry_known=registry_known, bind=self._bind
        )
        self.devices = devices
        self._memories: dict[str, Memory] = {}
        self._kept: dict[str, Any] = {}
        self._planned = [Planned(profile, self._compile) for profile in profiles.profiles.values()]
        self._proven = proven
        if not proven:
            self._compile_all()
        self._topics: Topics[Planned] = Topics((one.profile.model, one) for one in self._planned)
        self._routes: dict[str, Route] = {}
        self._changing: dict[str, list[tuple[int, int, Route, DecodeError | None]]] = {}
        self._refusals: dict[str, DecodeError] = {}
        self._identify = Identities()

    @property
    def plans(self) -> list[Plan]:
        """The plans of all profiles, compiled now where they were not."""
        return [one.plan() for one in self._planned]

    def _compile(self, profile: Profile) -> Plan:
        plan = Plan(profile, self.devices, self.judge)
        if plan.parse is not None and hasattr(plan.parse, "memory"):
            # What the decoders remember goes by name: all of one name share the first.
            memory: Memory = plan.parse.memory
            if memory.name not in self._memories:
                self._memories[memory.name] = memory
                if memory.name in self._kept:
                    memory.take(self._kept.pop(memory.name))
            plan.parse.memory = self._memories[memory.name]
        return plan

    def _compile_all(self) -> None:
        faults: list[str] = []
        for one in self._planned:
            try:
                one.plan()
            except ProfileError as error:
                faults += one.profile.located(str(error)).splitlines()
        if faults:
            raise ProfileError("\n".join(dict.fromkeys(faults)))

    def _bind(self, profile: str) -> None:
        """Has a profile, by what its readings carry, compiled: the judge knows its layouts then."""
        for one in self._planned:
            if one.profile.id == profile:
                one.plan()

    def snapshot(self) -> bytes:
        """What the checks and the decoders remember, for the checkpoint; changes nothing."""
        kept = self._kept | {name: memory.kept() for name, memory in self._memories.items()}
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
                memory.take(kept.pop(name))
        # What is left belongs to profiles that are still to be compiled, or to none.
        self._kept = kept if self._proven else {}

    def witness(self, topic: str, payload: bytes, received_at: int, offset: int) -> None:
        """Shows a message to the decoders that remember; nothing is judged."""
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
        self, found: Sequence[tuple[Planned, dict[str, str]]], received_at: int
    ) -> tuple[Route, DecodeError | None]:
        """The plans for a topic at a time, and why there is none."""
        route: list[tuple[Plan, dict[str, str]]] = []
        refusal = None
        named_by = []
        for one, levels in found:
            named = self._profile_named(levels, received_at)
            if one.profile.pinned and named != one.profile.name:
                continue
            try:
                place = one.plan(), {name: self._identify(text) for name, text in levels.items()}
            except DecodeError as error:
                refusal = error
                continue
            route.append(place)
            if named is not None and one.profile.answers_to(named):
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
        self, found: Sequence[tuple[Planned, dict[str, str]]], received_at: int
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
