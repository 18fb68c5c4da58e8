"""One message told stage by stage: one of the ledger, or one that somebody tries on a profile."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from gateway.cases import cases_of, default_topic, enveloped, payload_of
from gateway.deciding import Decider
from gateway.errors import ConfigError, ProfileError
from gateway.explain import explain
from gateway.profiles import ProfileSet
from gateway.store.export import reading_record, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.explain import Candidate, Explanation
    from gateway.profiles import Profile
    from gateway.queries.seen import Seen
    from gateway.records import Device
    from gateway.spans import Span

_MOST_SPANS: Final = 2_000
_MOST_VECTORS: Final = 200


def of_message(
    profiles: ProfileSet,
    devices: Mapping[str, Device],
    topic: str,
    payload: bytes,
    received_at: int,
    *,
    seen: Seen | None = None,
) -> dict[str, Any]:
    """What each stage makes of a message, by the code that decides in service.

    Args:
        profiles: that may read it.
        devices: the registry, for keys and what is true of one device; empty for a trial.
        topic: it came on.
        payload: as it came.
        received_at: when, ns UTC.
        seen: who looks: positions are as coarse as he may see them.

    Raises:
        ProfileError: a profile cannot be compiled.
    """
    # What it judges hangs on what came before, which a fresh decider has not seen: the flags of a
    # message are those of the store, and are not told here.
    decider = Decider(profiles, devices, {}, registry_known=False, proven=True)
    told = explain(decider, topic, payload, received_at)
    readings = told.readings
    if seen is not None:
        readings = [seen.privacy.reading(reading) for reading in readings]
    refused = told.quarantined
    return {
        "candidates": [_candidate(each) for each in told.candidates],
        "protocol": told.protocol,
        "bytes": [_span(each, told) for each in told.spans[:_MOST_SPANS]],
        "decoded": told.whole,
        "document": told.document,
        "readings": [reading_record(reading) for reading in readings],
        "ignored": told.ignored,
        "quarantined": None
        if refused is None
        else {"stage": refused.stage, "reason": refused.reason, "detail": refused.detail},
        "notes": told.notes,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        key: value
        for key, value in dataclasses.asdict(candidate).items()
        if key in {"profile", "levels", "verdict", "protocol"}
    }


def _span(span: Span, told: Explanation) -> dict[str, Any]:
    used = span.what != "value" or any(place not in told.unread for place in span.places)
    return {
        "from": span.start,
        "to": span.start + len(span.data) - 1,
        "hex": span.data.hex(),
        "what": span.what if used else "unused",
        "places": list(span.places)[:8],
    }


def trial(
    profiles: ProfileSet,
    profile: Profile,
    *,
    topic: str | None,
    payload: bytes,
    port: int,
    received_at: int,
    raw: bool,
) -> dict[str, Any]:
    """What a profile makes of a message; nothing is kept, and no device is known to it.

    Args:
        profiles: with those that it extends.
        profile: to be tried.
        topic: None for one that the profile names.
        payload: as it would come; with ``raw`` a LoRaWAN device's own bytes.
        port: of such a device.
        received_at: ns UTC.
        raw: whether the envelope is to be made around it.

    Raises:
        ConfigError: the topic is not one of the profile.
    """
    chosen = topic or default_topic(profile)
    alone = ProfileSet({profile.name: profile}, profiles.bases)
    if raw:
        payload = enveloped(profile, payload, port, rfc3339(received_at))
    told = of_message(alone, {}, chosen, payload, received_at)
    if not told["candidates"]:
        raise ConfigError(f"topic {chosen!r:.256}: {profile.name} has another one")
    return told | {"topic": chosen}


def vectors(profile: Profile) -> list[dict[str, Any]]:
    """The test messages of a profile, as its trial takes them."""
    try:
        cases = cases_of(profile)
    except ProfileError:
        cases = []
    found = []
    for label, case in cases[:_MOST_VECTORS]:
        payload = payload_of(profile, case)
        vector: dict[str, Any] = {
            "label": label, "topic": case.topic or default_topic(profile), "note": case.note,
        }  # fmt: skip
        try:
            vector["payload"] = payload.decode("utf-8")
        except UnicodeDecodeError:
            vector["payload_hex"] = payload.hex()
        found.append({key: value for key, value in vector.items() if value is not None})
    return found
