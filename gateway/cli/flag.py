"""``gateway flag``: what people decide about flags, suppressions, incidents."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway.casebook import FILE_NAME, Casebook
from gateway.checks import CATALOGUE
from gateway.cli import flag_report as report
from gateway.cli.output import Data, Json, examples, existing, moment
from gateway.errors import ConfigError
from gateway.flags.decisions import Decided, decide, suppress, unsuppress, window_line
from gateway.flags.lines import case_line, history_lines, incident_line, view_line
from gateway.flags.query import Choice, Desk, events, history, suppressions
from gateway.flags.related import chosen, flags_of, incidents_of
from gateway.flags.states import STATUSES, checked_actor
from gateway.messages import Texts, language
from gateway.quantities import KINDS
from gateway.store.duckdb import DuckDBStore

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Flags: list, show, decide, suppress, incidents.",
)

_SHOWN = 100
_TITLES = {info.code: info.title for info in CATALOGUE.values()}


class Severity(StrEnum):
    """How grave a flag is."""

    INFO = "info"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class Lang(StrEnum):
    """The language of what is shown."""

    EN = "en"
    ZH = "zh"


Status = StrEnum("Status", {name.upper(): name for name in STATUSES})  # type: ignore[misc]

Language = Annotated[
    Lang | None, typer.Option("--lang", help="Language of the texts; default: by the locale.")
]
Code = Annotated[str | None, typer.Option(help="Only this flag code.")]
Kind = Annotated[str | None, typer.Option(help="Only this kind of instrument.")]
Device = Annotated[str | None, typer.Option(help="Only this device.")]
Region = Annotated[
    str | None, typer.Option(help="Only regions that begin so (GB/T 2260: 11 is Beijing).")
]
Site = Annotated[str | None, typer.Option(help="Only devices of this site.")]
OfSeverity = Annotated[Severity | None, typer.Option(help="Only this severity.")]
OfStatus = Annotated[
    list[Status] | None,
    typer.Option(help="Only this status; may be repeated. Default: all but withdrawn."),
]
Since = Annotated[str | None, typer.Option(help="RFC 3339 or a date (UTC); included.")]
Until = Annotated[str | None, typer.Option(help="RFC 3339 or a date (UTC); not included.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many; a table: 100.")]
Ids = Annotated[
    list[str],
    typer.Argument(
        help="Flags, or incidents (inc-…); - reads them from standard input, one a line, plain or "
        "as `flag list --json` writes them.",
        metavar="ID...",
    ),
]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, in a sentence.")]
Actor = Annotated[str | None, typer.Option("--actor", help="Who; default: the login.")]
Seen = Annotated[
    int | None,
    typer.Option("--seen", min=0, help="The version that was looked at (`flag show`)."),
]
Skip = Annotated[
    bool,
    typer.Option("--skip-refused", help="Decide about the others where some cannot be; exit 1."),
]


@contextmanager
def _desk(data: Path) -> Iterator[Desk]:
    """Store, casebook and registry of a data directory."""
    path = existing(data, "store.duckdb") / "store.duckdb"
    store = DuckDBStore(path, read_only=True, memory_limit="512MB", threads=2)
    try:
        with Casebook(data) as casebook:
            yield Desk(store, casebook)
    finally:
        store.close()


def _choice(  # noqa: PLR0917 - one place for the options of two commands
    code: str | None,
    kind: str | None,
    device: str | None,
    region: str | None,
    site: str | None,
    severity: Severity | None,
    status: list[Status] | None,
    since: str | None,
    until: str | None,
) -> Choice:
    _known(code=code, kind=kind)
    return Choice(
        code=code,
        kind=kind,
        device_id=device,
        region=region,
        site=site,
        severity=None if severity is None else str(severity),
        statuses=tuple(str(each) for each in status or ()),
        since=moment(since, "--since"),
        until=moment(until, "--until"),
    )


def _known(*, code: str | None = None, kind: str | None = None) -> None:
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"--kind: unknown kind {kind!r}; known are {', '.join(KINDS)}")
    if code is not None and code not in CATALOGUE:
        raise ConfigError(f"--code: unknown flag code {code!r}; known are {', '.join(CATALOGUE)}")


def _texts(lang: Lang | None) -> Texts:
    return Texts(language(None if lang is None else str(lang)))


def _who(actor: str | None) -> str:
    return checked_actor(getpass.getuser() if actor is None else actor)


@app.command(
    "list",
    epilog=examples(
        "gateway flag list --data data --status open --severity critical",
        "gateway flag list --data data --region 1101 --since 2026-03-01 --json",
    ),
)
def list_(  # noqa: PLR0917 - typer takes its options so
    data: Data = Path("data"),
    code: Code = None,
    kind: Kind = None,
    device: Device = None,
    region: Region = None,
    site: Site = None,
    severity: OfSeverity = None,
    status: OfStatus = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    lang: Language = None,
    json: Json = False,
) -> None:
    """Lists flags with what people have decided, the newest first; with --json one object a line.

    The status is what people decided; else `suppressed` in a window of known maintenance; else what
    processing knows: `open` or `ended`. A flag that late data have taken back (`withdrawn`) is
    listed only when asked for, or when somebody has decided about it.
    """
    choice = _choice(code, kind, device, region, site, severity, status, since, until)
    with _desk(data) as desk:
        if json:
            for view in islice(desk.views(choice), limit):
                typer.echo(msgspec.json.encode(view_line(view, _TITLES)))
            return
        most = limit or _SHOWN
        found = list(islice(desk.views(choice), most + 1))
    report.print_flags(found[:most], _texts(lang), _TITLES, more=len(found) > most)


@app.command("show", epilog=examples("gateway flag show 0f3a9c2b7d1e4f605a81 --data data"))
def show(
    flag_id: Annotated[str, typer.Argument(help="The flag.", metavar="ID")],
    data: Data = Path("data"),
    lang: Language = None,
    json: Json = False,
) -> None:
    """Shows a flag with its evidence, and what happened to it: decisions, and what data told."""
    with _desk(data) as desk:
        (view,) = desk.look([flag_id])
        told = history(view, events(desk.casebook, flag_id))
    if json:
        line = view_line(view, _TITLES) | {"history": history_lines(told)}
        typer.echo(msgspec.json.encode(line))
        return
    report.print_flag(view, told, _texts(lang), _TITLES)


def _decide(
    action: str,
    ids: list[str],
    *,
    data: Path,
    reason: str | None,
    actor: str | None,
    seen: int | None,
    skip: bool,
    lang: Lang | None,
    json: bool,
) -> None:
    who = _who(actor)
    named, expected = _read_ids(ids)
    if seen is not None:
        if len(named) != 1:
            raise ConfigError("--seen is the version of one flag; name one")
        expected = {named[0]: seen}
    with _desk(data) as desk:
        flags = [view.flag for view in desk.look(chosen(desk, named))]
        done = Decided([], [])
        if flags:  # a list that was piped in may be empty
            done = decide(
                desk.casebook,
                action,
                flags,
                actor=who,
                reason=reason,
                expected=expected,
                skip_refused=skip,
            )
    if json:
        told = {
            "decided": [case_line(case) for case in done.cases],
            "refused": done.refused,
        }
        typer.echo(msgspec.json.encode(told))
    else:
        report.print_decided(action, done, _texts(lang))
    raise typer.Exit(1 if done.refused else 0)


class _Named(msgspec.Struct):
    id: str
    version: int | None = None


def _read_ids(ids: list[str]) -> tuple[list[str], dict[str, int]]:
    """Ids of the arguments, or of standard input, there with the versions that were looked at."""
    if ids != ["-"]:
        if "-" in ids:
            raise ConfigError("- for standard input stands alone")
        return ids, {}
    named: list[str] = []
    expected: dict[str, int] = {}
    for number, line in enumerate(sys.stdin, 1):
        text = line.strip()
        if not text.startswith("{"):
            named += text.split()
            continue
        try:
            each = msgspec.json.decode(text, type=_Named)
        except msgspec.DecodeError as error:
            raise ConfigError(f"<stdin>:{number}: no flag: {error}") from None
        named.append(each.id)
        if each.version is not None:
            expected[each.id] = each.version
    return named, expected


@app.command(
    epilog=examples(
        "gateway flag acknowledge 0f3a9c2b7d1e4f605a81 --data data --actor li.wei",
        "gateway flag list --data data --code leak_suspected --status open --json "
        "| gateway flag acknowledge - --data data",
    ),
)
def acknowledge(  # noqa: PLR0917 - typer takes its options so
    ids: Ids,
    data: Data = Path("data"),
    reason: Reason = None,
    actor: Actor = None,
    seen: Seen = None,
    skip_refused: Skip = False,
    lang: Language = None,
    json: Json = False,
) -> None:
    """Takes open flags on: somebody looks into them.

    Several flags are decided all or none. When somebody else was quicker, it is told who and when,
    nothing is changed, and the exit status is 1; so it is for a decision that the state of a flag
    does not allow.
    """
    _decide(
        "acknowledge", ids, data=data, reason=reason, actor=actor, seen=seen, skip=skip_refused,
        lang=lang, json=json,
    )  # fmt: skip


@app.command(
    epilog=examples(
        "gateway flag dismiss 0f3a9c2b7d1e4f605a81 --data data --reason 'meter was exchanged'"
    ),
)
def dismiss(  # noqa: PLR0917 - typer takes its options so
    ids: Ids,
    data: Data = Path("data"),
    reason: Reason = None,
    actor: Actor = None,
    seen: Seen = None,
    skip_refused: Skip = False,
    lang: Language = None,
    json: Json = False,
) -> None:
    """Says of acknowledged flags that nothing is wrong; the reason is needed."""
    _decide(
        "dismiss", ids, data=data, reason=reason, actor=actor, seen=seen, skip=skip_refused,
        lang=lang, json=json,
    )  # fmt: skip


@app.command(epilog=examples("gateway flag confirm inc-0f3a9c2b7d1e4f605a81 --data data"))
def confirm(  # noqa: PLR0917 - typer takes its options so
    ids: Ids,
    data: Data = Path("data"),
    reason: Reason = None,
    actor: Actor = None,
    seen: Seen = None,
    skip_refused: Skip = False,
    lang: Language = None,
    json: Json = False,
) -> None:
    """Says of acknowledged flags that they are right."""
    _decide(
        "confirm", ids, data=data, reason=reason, actor=actor, seen=seen, skip=skip_refused,
        lang=lang, json=json,
    )  # fmt: skip


@app.command(epilog=examples("gateway flag close 0f3a9c2b7d1e4f605a81 --data data"))
def close(  # noqa: PLR0917 - typer takes its options so
    ids: Ids,
    data: Data = Path("data"),
    reason: Reason = None,
    actor: Actor = None,
    seen: Seen = None,
    skip_refused: Skip = False,
    lang: Language = None,
    json: Json = False,
) -> None:
    """Closes dismissed or confirmed flags: all that was to be done is done."""
    _decide(
        "close", ids, data=data, reason=reason, actor=actor, seen=seen, skip=skip_refused,
        lang=lang, json=json,
    )  # fmt: skip


@app.command(
    epilog=examples(
        "gateway flag reopen 0f3a9c2b7d1e4f605a81 --data data --reason 'it has come again'"
    ),
)
def reopen(  # noqa: PLR0917 - typer takes its options so
    ids: Ids,
    data: Data = Path("data"),
    reason: Reason = None,
    actor: Actor = None,
    seen: Seen = None,
    skip_refused: Skip = False,
    lang: Language = None,
    json: Json = False,
) -> None:
    """Opens flags again, whatever was decided about them; what was decided stays on record."""
    _decide(
        "reopen", ids, data=data, reason=reason, actor=actor, seen=seen, skip=skip_refused,
        lang=lang, json=json,
    )  # fmt: skip


@app.command(
    "suppress",
    epilog=examples(
        "gateway flag suppress --data data --site station-7 --from 2026-03-01T08:00:00+08:00 "
        "--to 2026-03-01T18:00:00+08:00 --reason 'tank cleaning'",
    ),
)
def suppress_(  # noqa: PLR0917 - typer takes its options so
    from_: Annotated[str, typer.Option("--from", help="RFC 3339 or a date (UTC); included.")],
    to: Annotated[str, typer.Option("--to", help="RFC 3339 or a date (UTC); not included.")],
    data: Data = Path("data"),
    device: Device = None,
    site: Site = None,
    region: Region = None,
    kind: Kind = None,
    code: Annotated[
        list[str] | None, typer.Option(help="Only this flag code; may be repeated.")
    ] = None,
    reason: Reason = None,
    actor: Actor = None,
    lang: Language = None,
    json: Json = False,
) -> None:
    """Makes a window of known maintenance, of a device, site, region or kind; a reason is needed.

    Flags whose whole span lies in it are kept and shown as `suppressed`. What began before it, or
    goes on after it, shows as before; so does what people have decided about.
    """
    _known(kind=kind)
    for each in code or ():
        _known(code=each)
    if region is not None and not (region.isascii() and region.isdigit() and len(region) <= 6):
        raise ConfigError(f"--region: the beginning of a GB/T 2260 code, got {region!r}")
    begin, end = moment(from_, "--from"), moment(to, "--to")
    with Casebook(existing(data, FILE_NAME)) as casebook:
        window = suppress(
            casebook,
            since=begin or 0,
            until=end or 0,
            reason=reason,
            actor=_who(actor),
            device_id=device,
            site=site,
            region=region,
            kind=kind,
            codes=code or (),
        )
    if json:
        typer.echo(msgspec.json.encode(window_line(window)))
        return
    report.print_suppressed(window, _texts(lang))


@app.command("suppressions", epilog=examples("gateway flag suppressions --data data --json"))
def suppressions_(data: Data = Path("data"), lang: Language = None, json: Json = False) -> None:
    """Lists the windows of known maintenance, also those that are over or were lifted."""
    with Casebook(existing(data, FILE_NAME)) as casebook:
        found = suppressions(casebook)
    if json:
        for window in found:
            typer.echo(msgspec.json.encode(window_line(window)))
        return
    report.print_suppressions(found, _texts(lang))


@app.command(
    "unsuppress",
    epilog=examples(
        "gateway flag unsuppress 3 --data data --reason 'wrong site'",
        "gateway flag unsuppress 3 --data data --from 2026-03-01T12:00:00+08:00",
    ),
)
def unsuppress_(  # noqa: PLR0917 - typer takes its options so
    number: Annotated[int, typer.Argument(help="Of `flag suppressions`.", metavar="NUMBER")],
    data: Data = Path("data"),
    from_: Annotated[
        str | None,
        typer.Option("--from", help="From then on only; default: as if it had never been."),
    ] = None,
    reason: Reason = None,
    actor: Actor = None,
    lang: Language = None,
    json: Json = False,
) -> None:
    """Lifts a window of known maintenance: its flags show again."""
    with Casebook(existing(data, FILE_NAME)) as casebook:
        window = unsuppress(
            casebook,
            number,
            actor=_who(actor),
            reason=reason,
            from_=moment(from_, "--from"),
        )
    if json:
        typer.echo(msgspec.json.encode(window_line(window)))
        return
    report.print_lifted(window, _texts(lang))


@app.command(
    "incidents",
    epilog=examples(
        "gateway flag incidents --data data --since 2026-03-01",
        "gateway flag incidents inc-0f3a9c2b7d1e4f605a81 --data data",
    ),
)
def incidents_(  # noqa: PLR0917 - typer takes its options so
    incident: Annotated[
        str | None, typer.Argument(help="Only the flags of this one.", metavar="[INCIDENT]")
    ] = None,
    data: Data = Path("data"),
    code: Code = None,
    kind: Kind = None,
    device: Device = None,
    region: Region = None,
    site: Site = None,
    severity: OfSeverity = None,
    status: OfStatus = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    lang: Language = None,
    json: Json = False,
) -> None:
    """Lists flags that belong together as incidents, the newest first.

    Options choose incidents that have at least one such flag. An incident can be given to
    `flag acknowledge` and the others in the place of its flags.
    """
    choice = _choice(code, kind, device, region, site, severity, status, since, until)
    with _desk(data) as desk:
        if incident is not None:
            views = desk.look(flags_of(desk, [incident])[incident])
            if json:
                for view in views:
                    typer.echo(msgspec.json.encode(view_line(view, _TITLES)))
            else:
                report.print_incident(incident, views, _texts(lang), _TITLES)
            return
        found = incidents_of(desk, choice)
    if json:
        for each in found[:limit]:
            typer.echo(msgspec.json.encode(incident_line(each)))
        return
    most = limit or _SHOWN
    report.print_incidents(found[:most], _texts(lang), more=len(found) > most)
