"""The evidence report of one flag: all that a stranger needs to compute it again.

What it says is what the reader's account may see: it is made from the same questions within a scope
as every other answer (`gateway.queries`), so places, names and payloads are left out where they are
left out elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.checks.catalogue import CATALOGUE
from gateway.checks.catalogue.spoken import clause, meaning
from gateway.errors import GatewayError
from gateway.ledger.proof import prove
from gateway.queries import evidence as evidence_queries
from gateway.queries import flags as flag_queries
from gateway.queries.devices import registered_record
from gateway.queries.seen import NotFound
from gateway.reports import around, messages
from gateway.reports.finding import finding, limits_of, recomputed, unit_of
from gateway.reports.formula import decimal, told
from gateway.reports.paper import (
    Block,
    Facts,
    Heading,
    Notice,
    Paper,
    Table,
    Text,
    Tile,
    Tiles,
    Tone,
    wrapped,
)
from gateway.reports.words import label, moment, moment_of, second, value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from gateway.access.roles import Permission
    from gateway.flags.records import FlagView
    from gateway.messages import Texts
    from gateway.queries.seen import Seen
    from gateway.records import Certificate, Device

_MOST_MESSAGES: Final = 3
"""Other messages that the evidence names and that are printed, too."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for a report, what he may see, and when.

    ``made_at`` in ns.
    """

    seen: Seen
    permissions: Collection[Permission]
    by: str
    made_at: int


def evidence_report(request: Request, flag_id: str, texts: Texts) -> Paper:
    """The report of a flag.

    Raises:
        NotFound: there is no such flag in the scope.
    """
    seen = request.seen
    (view,) = flag_queries.look(seen, [flag_id])
    record = flag_queries.record(seen, view)
    title = record["title"].get(texts.language, view.flag.code)
    made = texts("paper.made", by=request.by, at=second(request.made_at))
    return Paper(
        language=texts.language,
        title=texts("evidence.title"),
        subtitle=f"{title} · {view.flag.device_id}",
        running=texts("evidence.running", id=view.flag.id),
        made=made,
        made_at=request.made_at,
        page=texts("paper.page", page="{page}", pages="{pages}"),
        blocks=list(_blocks(request, view, record, texts)),
    )


def _blocks(
    request: Request, view: FlagView, record: dict[str, Any], texts: Texts
) -> Iterator[Block]:
    evidence = record["evidence"]
    yield from _summary(view, record, texts)
    yield Heading(texts("evidence.device_title"))
    yield from _device(request, view, texts)
    yield Heading(texts("evidence.finding_title"))
    yield from finding(view, evidence, texts)
    yield from recomputed(evidence, texts)
    yield from around.around(request, view, evidence, limits_of(evidence), texts)
    yield Heading(texts("evidence.clause_title"))
    yield from _clause(view, texts)
    yield Heading(texts("evidence.message_title"))
    yield from _messages(request, view, evidence, texts)
    yield Heading(texts("evidence.history_title"))
    yield _history(request.seen, view, texts)
    yield Heading(texts("evidence.about_title"))
    yield Facts(
        [
            (texts("evidence.made_by"), request.by),
            (texts("evidence.made_at"), second(request.made_at)),
            (texts("evidence.flag_id"), view.flag.id),
            (texts("evidence.version"), str(view.version)),
        ]
    )
    yield Text(texts("evidence.about"))


# --- what, where, since when


def _summary(view: FlagView, record: dict[str, Any], texts: Texts) -> Iterator[Block]:
    flag = view.flag
    evidence, unit = record["evidence"], unit_of(record["evidence"])
    tone: Tone = "bad" if flag.severity in {"critical", "major"} else "note"
    yield Tiles(
        [
            Tile(
                label(texts("column.severity")),
                texts.word("severity", flag.severity),
                flag.code,
                tone,
            ),
            Tile(label(texts("column.status")), texts.word("status", view.status), ""),
            Tile(
                texts("evidence.observed"),
                _short(value("observed", evidence.get("observed"))),
                unit,
                "bad",
            ),
            Tile(
                texts("evidence.expected"),
                _short(value("expected", evidence.get("expected"))),
                unit,
                "good",
            ),
        ]
    )
    rows = [
        (texts("evidence.what"), f"{record['title'].get(texts.language, flag.code)} ({flag.code})"),
        (texts("evidence.since"), moment(flag.since)),
        (texts("evidence.until"), moment(flag.until) if flag.until != flag.since else ""),
        (label(texts("column.device")), flag.device_id),
        (label(texts("column.kind")), texts.word("kind", flag.kind)),
        (texts("evidence.channel"), flag.channel or ""),
        (texts("evidence.profile"), flag.profile),
    ]
    yield Facts([row for row in rows if row[1]])


def _short(text: str) -> str:
    """A value that fits a tile."""
    return text if len(text) <= 18 else text[:17] + "…"


# --- the device, as registered then


def _device(request: Request, view: FlagView, texts: Texts) -> Iterator[Block]:
    seen = request.seen
    if "devices" not in request.permissions:
        yield Notice(texts("evidence.no_device_right"))
        return
    registry = seen.world.directory.registry
    device = registry.at(view.flag.device_id, view.flag.since)
    if device is None and (known := registry.versions(view.flag.device_id)):
        device = known[0]
        yield Notice(texts("evidence.registered_later"))
    if device is None:
        yield Notice(texts("evidence.not_registered"), "bad")
        return
    record = seen.privacy.device(registered_record(device))
    rows = [
        (label(texts.word("registered", name)), _registered(texts, name, each))
        for name, each in record.items()
        if name not in {"device_id", "parameters"}
    ]
    if seen.privacy.exact:
        rows += _named(seen, device, texts)
    yield Facts(rows)
    yield from _certificate(seen, device, view.flag.since, texts)
    parameters = seen.named(record.get("parameters"))
    if parameters:
        used = {key: each for key, each in parameters.items() if len(_plain(each)) <= 400}
        yield Text(texts("evidence.parameters"))
        yield wrapped("\n".join(f"{key} = {_plain(each)}" for key, each in used.items()))


def _plain(each: object) -> str:
    return each if isinstance(each, str) else msgspec.json.encode(each).decode()


def _registered(texts: Texts, name: str, each: object) -> str:
    if name == "kind":
        return texts.word("kind", str(each))
    if name.endswith(("_at", "_until", "_from")) and isinstance(each, str):
        return moment_of(each)
    return told(number) if (number := decimal(each)) is not None else str(each)


def _named(seen: Seen, device: Device, texts: Texts) -> Iterator[tuple[str, str]]:
    """Names and addresses of owner and site, where the registry has them."""
    for kind, name in (("owner", device.owner), ("site", device.site)):
        if name is None:
            continue
        for found in seen.world.casebook.records(kind, **{kind: name})[-1:]:
            for field in ("name", "credit_code", "address"):
                said = getattr(found, field, None)
                if said:
                    yield label(texts(f"evidence.{kind}_{field}")), str(said)


def _certificate(seen: Seen, device: Device, at: int, texts: Texts) -> Iterator[Block]:
    until = device.verified_until
    if until is None:
        yield Notice(texts("evidence.no_verification"), "bad")
    elif until < at:
        yield Notice(texts("evidence.verification_ended", at=moment(until)), "bad")
    else:
        yield Notice(texts("evidence.verification_valid", until=moment(until)), "good")
    if not seen.privacy.exact:
        return
    every = seen.world.casebook.records("certificate", device_id=device.device_id)
    for found in every:
        if found.number != device.certificate:  # type: ignore[union-attr]
            continue
        yield Facts(list(_certified(found, texts)))  # type: ignore[arg-type]


def _certified(found: Certificate, texts: Texts) -> Iterator[tuple[str, str]]:
    yield label(texts("evidence.certificate_number")), found.number
    for name in ("verified_at", "issued_at", "valid_until"):
        at = getattr(found, name)
        if at is not None:
            yield label(texts(f"evidence.certificate_{name}")), moment(at)
    if found.laboratory:
        yield label(texts("evidence.certificate_laboratory")), found.laboratory
    if found.result:
        yield label(texts("evidence.certificate_result")), texts.word("result", found.result)
    if found.source.get("sha256"):
        yield texts("evidence.certificate_sha256"), str(found.source["sha256"])


# --- clause, message, history


def _clause(view: FlagView, texts: Texts) -> Iterator[Block]:
    info = CATALOGUE.get(view.flag.code)
    told = None if info is None else meaning(info, texts.language)
    rows = [(texts("evidence.basis"), clause(view.flag.basis, texts.language))]
    if told is not None:
        rows.append((texts("evidence.tolerance_source"), told.tolerance))
    yield Facts([row for row in rows if row[1]])
    if told is not None:
        yield Text(texts("evidence.judged") + " " + told.doc)


def _messages(
    request: Request, view: FlagView, evidence: dict[str, Any], texts: Texts
) -> Iterator[Block]:
    if "evidence" not in request.permissions:
        yield Notice(texts("evidence.no_message_right"))
        return
    others = [each for each in _offsets(evidence) if each != view.flag.ledger_offset]
    yield from _message(request.seen, view, view.flag.ledger_offset, texts)
    for number, offset in enumerate(dict.fromkeys(others[:_MOST_MESSAGES]), 1):
        yield Heading(texts("evidence.other_message", number=number))
        yield from _message(request.seen, view, offset, texts)


def _message(seen: Seen, view: FlagView, offset: int, texts: Texts) -> Iterator[Block]:
    try:
        evidence_queries.evidence(seen, offset)
        proof = prove(seen.world.ledger, offset)
    except (NotFound, GatewayError) as error:
        yield Notice(texts("evidence.no_message", offset=offset, why=str(error)), "bad")
        return
    yield from messages.raw(texts, proof)
    yield Heading(texts("evidence.stages_title"))
    found = messages.decoded(seen.world, proof, view.flag.profile)
    if isinstance(found, str):
        yield Notice(texts("evidence.not_decoded", why=found))
    else:
        whole = offset == view.flag.ledger_offset
        yield from messages.stages(texts, found, view.flag, whole=whole)
    yield Heading(texts("evidence.proof_title"))
    yield from messages.chained(texts, proof)


def _offsets(given: object) -> Iterator[int]:
    """Ledger offsets that evidence names beside the flag's own."""
    if isinstance(given, dict):
        for key, each in given.items():
            if str(key).endswith("ledger_offset") and isinstance(each, int):
                yield each
            else:
                yield from _offsets(each)
    elif isinstance(given, list):
        for each in given:
            yield from _offsets(each)


def _history(seen: Seen, view: FlagView, texts: Texts) -> Table:
    columns = [label(texts(f"column.{name}")) for name in ("at", "what", "by", "why")]
    rows = []
    for each in flag_queries.happened(seen, view):
        what = texts.word("action", str(each["action"]))
        if each["action"] == "severity_raised":
            what += f": {texts.word('severity', str(each.get('after')))}"
        who = texts("flag.gateway") if each["kind"] == "automatic" else str(each.get("actor", ""))
        at = moment_of(each["at"]) if "at" in each else ""
        rows.append([at, what, who, str(each.get("reason", ""))])
    return Table(columns, rows, widths=[5, 5, 3, 6])
