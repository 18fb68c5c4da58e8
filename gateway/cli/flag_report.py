"""What ``gateway flag`` shows to people, in Chinese or English."""

from collections.abc import Mapping, Sequence

import msgspec
from rich.text import Text

from gateway.checks import CATALOGUE
from gateway.checks.catalogue.spoken import clause, meaning
from gateway.cli.output import console, print_table, progress_console
from gateway.flags.decisions import Decided
from gateway.flags.incidents import Incident
from gateway.flags.records import FlagView, Occurrence, Suppression
from gateway.flags.states import ACTIONS
from gateway.messages import Texts
from gateway.times import rfc3339

Titles = Mapping[str, Mapping[str, str]]
_DECIDED_SHOWN = 20


def _title(code: str, texts: Texts, titles: Titles) -> str:
    return titles.get(code, {}).get(texts.language, code)


def _columns(texts: Texts, *names: str) -> list[str]:
    return [texts(f"column.{name}") for name in names]


def _flag_row(view: FlagView, texts: Texts, titles: Titles) -> tuple[object, ...]:
    flag, device = view.flag, view.device
    return (
        flag.id,
        texts.word("status", view.status),
        texts.word("severity", flag.severity),
        flag.device_id,
        _title(flag.code, texts, titles),
        flag.code,
        rfc3339(flag.since),
        rfc3339(flag.until) if flag.until != flag.since else None,
        device and device.site,
        view.case and view.case.actor,
    )


_FLAG_COLUMNS = (
    "id", "status", "severity", "device", "title", "code", "from", "to", "site", "by",
)  # fmt: skip


def print_flags(
    views: Sequence[FlagView], texts: Texts, titles: Titles, *, more: bool = False
) -> None:
    """Flags as a table."""
    if not views:
        console().print(texts("flag.none"))
        return
    rows = [_flag_row(view, texts, titles) for view in views]
    print_table(texts("flag.list"), _columns(texts, *_FLAG_COLUMNS), rows)
    if more:
        console().print(texts("flag.more"))


def print_flag(view: FlagView, told: Sequence[Occurrence], texts: Texts, titles: Titles) -> None:
    """One flag: what it says, its evidence, what happened to it."""
    flag, device = view.flag, view.device
    info = CATALOGUE.get(flag.code)
    means = None if info is None else meaning(info, texts.language)
    fields: list[tuple[str, object]] = [
        (texts("column.title"), _title(flag.code, texts, titles)),
        (texts("column.code"), flag.code),
        (texts("column.status"), texts.word("status", view.status)),
        (texts("column.severity"), texts.word("severity", flag.severity)),
        (texts("column.device"), flag.device_id),
        (texts("column.kind"), flag.kind),
        (texts("column.region"), device and device.region),
        (texts("column.site"), device and device.site),
        (texts("column.from"), rfc3339(flag.since)),
        (texts("column.to"), rfc3339(flag.until)),
        (texts("column.version"), view.version),
        ("channel", flag.channel),
        (texts("evidence.basis"), clause(flag.basis, texts.language)),
        (texts("evidence.what_is_judged"), means and means.doc),
        (texts("evidence.tolerance_source"), means and means.tolerance),
        ("profile", flag.profile),
        ("ledger_offset", flag.ledger_offset),
        *((f"evidence.{name}", _plain(value)) for name, value in flag.evidence.items()),
    ]
    print_table(
        flag.id, _columns(texts, "field", "value"), [row for row in fields if row[1] is not None]
    )
    print_table(
        texts("flag.history"),
        _columns(texts, "at", "what", "by", "why"),
        [_occurrence_row(each, texts) for each in told],
    )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _occurrence_row(each: Occurrence, texts: Texts) -> tuple[object, ...]:
    automatic = each.kind == "automatic"
    what = texts.word("action", each.action)
    if each.action == "severity_raised":
        what += f": {texts.word('severity', str(each.after))}"
    who = texts("flag.gateway") if automatic else each.actor
    return None if each.at is None else rfc3339(each.at), what, who, each.reason


def print_decided(action: str, done: Decided, texts: Texts) -> None:
    """What came of a decision; what was refused on standard error."""
    word = texts.word("action", ACTIONS[action].name)
    if len(done.cases) <= _DECIDED_SHOWN:
        for case in done.cases:
            console().print(
                Text(f"{case.flag_id}  {texts.word('status', case.state)}  v{case.version}")
            )
    console().print(Text(texts("flag.decided", count=len(done.cases), action=word)))
    if done.refused:
        errors = progress_console()
        for refusal in done.refused[:_DECIDED_SHOWN]:
            errors.print(Text(refusal.detail, style="yellow"))
        errors.print(Text(texts("flag.refused", count=len(done.refused))))


def print_suppressed(window: Suppression, texts: Texts) -> None:
    """A window that was made."""
    since, until = rfc3339(window.since), rfc3339(window.until)
    console().print(Text(texts("flag.suppressed", id=window.id, since=since, until=until)))


def print_lifted(window: Suppression, texts: Texts) -> None:
    """A window that was lifted."""
    since = rfc3339(window.since if window.lifted_from is None else window.lifted_from)
    console().print(Text(texts("flag.lifted", id=window.id, since=since)))


def print_suppressions(windows: Sequence[Suppression], texts: Texts) -> None:
    """Windows as a table."""
    rows = [
        (
            window.id,
            _scope(window),
            " ".join(window.codes) or texts("flag.everything"),
            rfc3339(window.since),
            rfc3339(window.until),
            window.reason,
            window.actor,
            _lifted(window, texts),
        )
        for window in windows
    ]
    columns = _columns(texts, "id", "scope", "codes", "from", "to", "why", "by")
    print_table(texts("flag.suppressions"), [*columns, ""], rows)


def _lifted(window: Suppression, texts: Texts) -> str | None:
    if window.lifted_from is None:
        return None
    return texts("flag.lifted_note", since=rfc3339(window.lifted_from), actor=window.lifted_by)


def _scope(window: Suppression) -> str:
    names = ("device_id", "site", "region", "kind")
    told = {name: getattr(window, name) for name in names}
    return " ".join(f"{name}={value}" for name, value in told.items() if value is not None)


def print_incidents(found: Sequence[Incident], texts: Texts, *, more: bool) -> None:
    """Incidents as a table."""
    if not found:
        console().print(texts("flag.none"))
        return
    rows = [
        (
            each.id,
            texts.word("severity", each.severity),
            each.count,
            len(each.devices),
            ", ".join(f"{code} x{count}" for code, count in each.codes.items()),
            rfc3339(each.since),
            rfc3339(each.until),
            ", ".join(each.sites or each.regions),
            ", ".join(f"{texts.word('status', s)} {n}" for s, n in each.statuses.items()),
        )
        for each in found
    ]
    names = ("id", "severity", "count", "devices", "codes", "from", "to", "site", "status")
    print_table(texts("flag.incidents"), _columns(texts, *names), rows)
    if more:
        console().print(texts("flag.more"))


def print_incident(incident: str, views: Sequence[FlagView], texts: Texts, titles: Titles) -> None:
    """The flags of one incident."""
    devices = {view.flag.device_id for view in views}
    rows = [_flag_row(view, texts, titles) for view in views]
    title = texts("flag.incident", id=incident, count=len(views), devices=len(devices))
    print_table(title, _columns(texts, *_FLAG_COLUMNS), rows)
