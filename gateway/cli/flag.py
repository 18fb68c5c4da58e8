"""``gateway flag``: what people decide about flags, suppressions, incidents."""

import sys
from inspect import cleandoc
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from gateway.checks import CATALOGUE
from gateway.cli import flag_report as report
from gateway.cli import flag_windows
from gateway.cli.flag_options import (
    Actor,
    Code,
    Device,
    Ids,
    Kind,
    Language,
    Limit,
    OfSeverity,
    OfStatus,
    Reason,
    Region,
    ReportLanguage,
    Seen,
    Since,
    Site,
    Skip,
    Until,
    choice_of,
    opened_desk,
    texts_in,
    who_decides,
)
from gateway.cli.output import Data, Json, Profiles, examples, existing
from gateway.cli.report_file import Out, checked_form, write
from gateway.errors import ConfigError
from gateway.flags.decisions import Decided, decide
from gateway.flags.lines import case_line, history_lines, incident_line, view_line
from gateway.flags.query import events, history
from gateway.flags.related import chosen, flags_of, incidents_of

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Flags: list, show, decide, suppress, incidents, report.",
)

_SHOWN = 100
_TITLES = {info.code: info.title for info in CATALOGUE.values()}


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
    choice = choice_of(code, kind, device, region, site, severity, status, since, until)
    with opened_desk(data) as desk:
        if json:
            for view in islice(desk.views(choice), limit):
                typer.echo(msgspec.json.encode(view_line(view, _TITLES)))
            return
        most = limit or _SHOWN
        found = list(islice(desk.views(choice), most + 1))
    report.print_flags(found[:most], texts_in(lang), _TITLES, more=len(found) > most)


@app.command("show", epilog=examples("gateway flag show 0f3a9c2b7d1e4f605a81 --data data"))
def show(
    flag_id: Annotated[str, typer.Argument(help="The flag.", metavar="ID")],
    data: Data = Path("data"),
    lang: Language = None,
    json: Json = False,
) -> None:
    """Shows a flag with its evidence, and what happened to it: decisions, and what data told."""
    with opened_desk(data) as desk:
        (view,) = desk.look([flag_id])
        told = history(view, events(desk.casebook, flag_id))
    if json:
        line = view_line(view, _TITLES) | {"history": history_lines(told)}
        typer.echo(msgspec.json.encode(line))
        return
    report.print_flag(view, told, texts_in(lang), _TITLES)


@app.command(
    "report",
    epilog=examples(
        "gateway flag report 0f3a9c2b7d1e4f605a81 --data data",
        "gateway flag report 0f3a9c2b7d1e4f605a81 --data data --language zh -o evidence.html",
    ),
)
def report_(  # noqa: PLR0917 - typer takes its options so
    flag_id: Annotated[str, typer.Argument(help="The flag.", metavar="ID")],
    data: Data = Path("data"),
    out: Out = None,
    lang: ReportLanguage = None,
    actor: Actor = None,
    profiles: Profiles = None,
) -> None:
    """Writes the evidence of a flag as PDF or HTML, for who has nothing but the paper.

    Instrument, owner and certificate as of then, readings around it, the computation step by
    step, the raw message decoded stage by stage, its place in the ledger with the commands that
    check it, and what people decided. The gateway may run or not. Default: flag-ID.pdf.
    """
    from gateway.reports.evidence import evidence_report  # noqa: PLC0415 - of this command only
    from gateway.reports.offline import request_of  # noqa: PLC0415

    checked_form(out)
    texts = texts_in(lang)
    existing(data, "store.duckdb")
    with request_of(data, by=who_decides(actor), profiles=profiles or ()) as request:
        paper = evidence_report(request, flag_id, texts)
    write(paper, out or Path(f"flag-{flag_id}.pdf"), texts)


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


_DECISIONS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "acknowledge": (
        """Takes open flags on: somebody looks into them.

        Several flags are decided all or none. When somebody else was quicker, it is told who and
        when, nothing is changed, and the exit status is 1; so it is for a decision that the state
        of a flag does not allow.
        """,
        (
            "gateway flag acknowledge 0f3a9c2b7d1e4f605a81 --data data --actor li.wei",
            (
                "gateway flag list --data data --code leak_suspected --status open --json "
                "| gateway flag acknowledge - --data data"
            ),
        ),
    ),
    "dismiss": (
        "Says of acknowledged flags that nothing is wrong; the reason is needed.",
        ("gateway flag dismiss 0f3a9c2b7d1e4f605a81 --data data --reason 'meter was exchanged'",),
    ),
    "confirm": (
        "Says of acknowledged flags that they are right.",
        ("gateway flag confirm inc-0f3a9c2b7d1e4f605a81 --data data",),
    ),
    "close": (
        "Closes dismissed or confirmed flags: all that was to be done is done.",
        ("gateway flag close 0f3a9c2b7d1e4f605a81 --data data",),
    ),
    "reopen": (
        "Opens flags again, whatever was decided about them; what was decided stays on record.",
        ("gateway flag reopen 0f3a9c2b7d1e4f605a81 --data data --reason 'it has come again'",),
    ),
}
"""What each decision does, and how it is typed."""


def _add_decision(action: str) -> None:
    """Adds the command of a decision: all take the same options."""
    help_, lines = _DECISIONS[action]

    @app.command(action, help=cleandoc(help_), epilog=examples(*lines))
    def decision(  # noqa: PLR0917 - typer takes its options so
        ids: Ids,
        data: Data = Path("data"),
        reason: Reason = None,
        actor: Actor = None,
        seen: Seen = None,
        skip_refused: Skip = False,
        lang: Language = None,
        json: Json = False,
    ) -> None:
        who = who_decides(actor)
        named, expected = _read_ids(ids)
        if seen is not None:
            if len(named) != 1:
                raise ConfigError("--seen is the version of one flag; name one")
            expected = {named[0]: seen}
        with opened_desk(data) as desk:
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
                    skip_refused=skip_refused,
                )
        if json:
            told = {
                "decided": [case_line(case) for case in done.cases],
                "refused": done.refused,
            }
            typer.echo(msgspec.json.encode(told))
        else:
            report.print_decided(action, done, texts_in(lang))
        raise typer.Exit(1 if done.refused else 0)


for _action in _DECISIONS:
    _add_decision(_action)


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
    choice = choice_of(code, kind, device, region, site, severity, status, since, until)
    with opened_desk(data) as desk:
        if incident is not None:
            views = desk.look(flags_of(desk, [incident])[incident])
            if json:
                for view in views:
                    typer.echo(msgspec.json.encode(view_line(view, _TITLES)))
            else:
                report.print_incident(incident, views, texts_in(lang), _TITLES)
            return
        found = incidents_of(desk, choice)
    if json:
        for each in found[:limit]:
            typer.echo(msgspec.json.encode(incident_line(each)))
        return
    most = limit or _SHOWN
    report.print_incidents(found[:most], texts_in(lang), more=len(found) > most)


app.add_typer(flag_windows.app)
