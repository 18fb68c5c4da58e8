"""One message, stage by stage, for a person: the same code as in service, but told."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gateway.deciding import Decided, Decider
from gateway.decode.document import Context
from gateway.errors import DecodeError
from gateway.profiles.doc import protocol_of
from gateway.records import Batch, Flag, Quarantined, Reading
from gateway.spans import Span
from gateway.trace import bytes_of, document_of, unread_of


@dataclass(frozen=True, slots=True)
class Candidate:
    """A profile whose topic fits: what it took from the topic, and what it said to the message.

    ``verdict`` is ``reads it``, ``match.when does not hold``, ``not valid when the message was
    received``, ``not tried`` or the refusal.
    """

    profile: str
    levels: dict[str, str]
    verdict: str
    document: Any = None
    protocol: str = "json"
    whole: Any = None
    spans: list[Span] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one message.

    Attributes:
        candidates: profiles in the order they were tried.
        document: the places that the profile reads, as nested mappings; None when none reads it.
        protocol: the format of the profile that reads it.
        whole: everything that was decoded, for a format other than plain JSON; else None.
        spans: what each byte is for, where the format is one of bytes.
        unread: places of ``whole`` that the profile has no rule for.
        readings: canonical readings.
        flags: flags that this message alone raises (a check that needs history has none here).
        quarantined: why there is no reading, or None.
        ignored: the profile names this message as one without readings.
    """

    candidates: list[Candidate]
    document: Any
    readings: list[Reading]
    flags: list[Flag]
    quarantined: Quarantined | None
    ignored: bool
    protocol: str = "json"
    whole: Any = None
    spans: list[Span] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def explain(decider: Decider, topic: str, payload: bytes, received_at: int) -> Explanation:
    """Decides one message on a fresh decider and tells each stage.

    Args:
        decider: one that has decided nothing yet, else its memory speaks too.
        topic: the MQTT topic.
        payload: the message's bytes.
        received_at: nanoseconds UTC.
    """
    candidates = _candidates(decider, topic, payload, received_at)
    decided = Decided()
    decider.decide(Batch([topic], [payload], [received_at], 0), decided)
    reader = next((c for c in candidates if c.verdict == "reads it"), None)
    return Explanation(
        candidates=candidates,
        document=reader.document if reader else None,
        protocol=reader.protocol if reader else "json",
        whole=reader.whole if reader else None,
        spans=reader.spans if reader else [],
        unread=reader.unread if reader else [],
        readings=decided.readings,
        flags=decided.flags,
        quarantined=decided.quarantined[0] if decided.quarantined else None,
        ignored=decided.counters.ignored == 1,
        notes=[
            *(f"{code}: cannot judge: {why}" for code, why in decider.judge.not_judged),
            *(_near_topics(decider, topic) if not candidates else ()),
        ],
    )


def _near_topics(decider: Decider, topic: str) -> list[str]:
    """The topics of profiles that are most like one that none has."""
    known = {
        pattern: plan.profile.name
        for plan in decider.plans
        for pattern in (plan.profile.model.match.topic if plan.profile.model.match else ())
    }
    near = difflib.get_close_matches(topic, list(known), n=3, cutoff=0.4)
    return [f"the most like it: {pattern} of {known[pattern]}" for pattern in near]


_NOT_MINE: Final = "match.when does not hold"
_NOT_NOW: Final = "not valid when the message was received"


def _candidates(decider: Decider, topic: str, payload: bytes, received_at: int) -> list[Candidate]:
    found = []
    taken = False
    for plan, levels in decider.route(topic):
        verdict = "not tried"
        shown = whole = None
        spans: list[Span] = []
        unread: list[str] = []
        if not taken:
            try:
                document = plan.document(topic, payload, levels, received_at)
                if document is None:
                    why = _NOT_MINE if plan.holds(received_at) else _NOT_NOW
                    found.append(Candidate(plan.profile.id, dict(levels), why))
                    continue
                shown = _present(msgspec.to_builtins(document, builtin_types=(bytes,)))
                verdict = _NOT_MINE
                if plan.normaliser.accepts(document):
                    plan.normaliser.read(document, levels, received_at, 0, [])
                    verdict = "reads it"
                    taken = True
                if plan.parse is not None:
                    context = Context(topic, received_at, levels, decider.devices)
                    whole = document_of(plan, payload, context)
                    if taken:
                        spans = bytes_of(plan, payload, context)
                        unread = [place for place, _ in unread_of(plan, whole)]
            except DecodeError as error:
                verdict = str(error)
        protocol = protocol_of(plan.profile)
        found.append(
            Candidate(plan.profile.id, dict(levels), verdict, shown, protocol, whole, spans, unread)
        )
    return found


def _present(value: Any) -> Any:  # noqa: ANN401 - a document is any data
    """The document without the places that were absent from the message."""
    if isinstance(value, dict):
        kept = {name: _present(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in (None, {})}
    if isinstance(value, list):
        return [_present(inner) for inner in value]
    return value
