"""Options that the commands of ``gateway flag`` share, and what they open."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.casebook import Casebook
from gateway.checks import CATALOGUE
from gateway.cli.output import existing, moment
from gateway.errors import ConfigError
from gateway.flags.query import Choice, Desk
from gateway.flags.states import STATUSES, checked_actor
from gateway.messages import Texts, language
from gateway.quantities import KINDS
from gateway.store.asked import open_store


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
ReportLanguage = Annotated[
    Lang | None,
    typer.Option("--language", "--lang", help="Language of the report; default: by the locale."),
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
def opened_desk(data: Path) -> Iterator[Desk]:
    """Store, casebook and registry of a data directory."""
    store = open_store(existing(data, "store.duckdb"))
    try:
        with Casebook(data) as casebook:
            yield Desk(store, casebook)
    finally:
        store.close()


def choice_of(  # noqa: PLR0917 - one place for the options of two commands
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
    """What the options ask for.

    Raises:
        ConfigError: an unknown code or kind, or no time.
    """
    check_known(code=code, kind=kind)
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


def check_known(*, code: str | None = None, kind: str | None = None) -> None:
    """Refuses, as a ConfigError, a code or a kind that there is not."""
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"--kind: unknown kind {kind!r}; known are {', '.join(KINDS)}")
    if code is not None and code not in CATALOGUE:
        raise ConfigError(f"--code: unknown flag code {code!r}; known are {', '.join(CATALOGUE)}")


def texts_in(lang: Lang | None) -> Texts:
    """The texts in the language asked for, else that of the locale."""
    return Texts(language(None if lang is None else str(lang)))


def who_decides(actor: str | None) -> str:
    """The person named, else the login."""
    return checked_actor(getpass.getuser() if actor is None else actor)
