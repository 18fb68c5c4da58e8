"""``gateway user``: the people who log in to the API and the console."""

import getpass
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway import log as logs
from gateway.access.passwords import Hasher
from gateway.access.people import People, Person, people
from gateway.access.roles import EVERYTHING, ROLES
from gateway.access.sessions import make_token
from gateway.casebook import Casebook
from gateway.cli.flag_options import Lang, texts_in
from gateway.cli.output import Data, Json, examples, print_table
from gateway.errors import ConfigError
from gateway.times import rfc3339

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="The people who log in to the API and the console.",
)

Name = Annotated[str, typer.Argument(help="Name of the account.")]
Region = Annotated[
    str | None,
    typer.Option(help="District: two, four or six digits of a GB/T 2260 code; '' for all."),
]
Vendor = Annotated[str | None, typer.Option(help="Vendor, for the role vendor.")]
Language = Annotated[
    Lang | None, typer.Option("--lang", help="Language of the texts; default: by the locale.")
]


@app.command(
    epilog=examples(
        "gateway user add zhang --role inspector --region 3301",
        "gateway user add acme --role vendor --vendor ACME",
    )
)
def add(
    name: Name,
    *,
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")],
    region: Region = None,
    vendor: Vendor = None,
    single_sign_on: Annotated[
        bool, typer.Option("--single-sign-on", help="Without a password of its own.")
    ] = False,
    data: Data = Path("data"),
    lang: Language = None,
    json: Json = False,
) -> None:
    """Makes an account and prints its one-time password, which its owner must change."""
    with _people(data) as (_, changes):
        password = changes.add(
            name, role, region=region or "", vendor=vendor, single_sign_on=single_sign_on
        )
    if single_sign_on:
        return
    _tell_password(name, password, lang, as_json=json)


@app.command("list", epilog=examples("gateway user list --data data"))
def list_(*, data: Data = Path("data"), lang: Language = None, json: Json = False) -> None:
    """Lists the accounts."""
    with _people(data) as (casebook, _):
        found = people(casebook)
    if json:
        for person in found:
            typer.echo(msgspec.json.encode(_line(person)))
        return
    texts = texts_in(lang)
    columns = (
        "user.name", "user.role", "user.region", "user.vendor", "user.state", "user.seen",
    )  # fmt: skip
    print_table(
        texts("user.list"),
        [texts(column) for column in columns],
        [
            (
                person.name,
                texts.word("role", person.role),
                person.scope.region or texts("user.everywhere"),
                person.scope.vendor,
                texts("user.disabled") if person.disabled else texts("user.enabled"),
                None if person.seen_at is None else rfc3339(person.seen_at),
            )
            for person in found
        ],
    )


@app.command(
    epilog=examples(
        "gateway user role zhang auditor",
        "gateway user role zhang --region 3302",
        "gateway user role zhang --disable",
    )
)
def role(
    name: Name,
    role: Annotated[str | None, typer.Argument(help=f"One of {', '.join(ROLES)}.")] = None,
    *,
    region: Region = None,
    vendor: Vendor = None,
    disable: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether it can log in.")
    ] = None,
    data: Data = Path("data"),
) -> None:
    """Changes what an account may and sees; its sessions and tokens hold the new at once."""
    if role is None and region is None and vendor is None and disable is None:
        raise ConfigError("user role: name a role, or give --region, --vendor or --disable")
    with _people(data) as (_, changes):
        person = changes.change(name, role=role, region=region, vendor=vendor, disabled=disable)
    typer.echo(msgspec.json.encode(_line(person)))


@app.command(epilog=examples("gateway user password zhang"))
def password(
    name: Name, *, data: Data = Path("data"), lang: Language = None, json: Json = False
) -> None:
    """Gives an account a new one-time password and ends its sessions."""
    with _people(data) as (_, changes):
        made = changes.reset(name)
    _tell_password(name, made, lang, as_json=json)


@app.command(
    epilog=examples(
        "gateway user token zhang --title 'nightly export' --permission export --permission flags"
    )
)
def token(
    name: Name,
    *,
    title: Annotated[str, typer.Option(help="What it is for.")],
    days: Annotated[float, typer.Option(min=0.01, help="Days until it expires.")] = 90.0,
    permission: Annotated[
        list[str] | None, typer.Option(help="What it may; default: all that its owner may.")
    ] = None,
    data: Data = Path("data"),
) -> None:
    """Makes a token of an account for a program, and prints it this once."""
    with _people(data) as (casebook, _):
        owner = next((each for each in people(casebook) if each.name == name.strip().lower()), None)
        if owner is None:
            raise ConfigError(f"no account {name!r:.80}; `gateway user list` tells them")
        _, text = make_token(
            casebook, owner, title=title, permissions=permission, days=days,
            actor=getpass.getuser(),
        )  # fmt: skip
    typer.echo(text)


class _people:  # noqa: N801 - reads as a function
    """The casebook of a data directory, and the changes of who sits at this machine."""

    def __init__(self, data: Path) -> None:
        logs.configure("warning")
        if not data.is_dir():
            raise ConfigError(f"--data {data}: there is no such directory")
        self._casebook = Casebook(data)

    def __enter__(self) -> tuple[Casebook, People]:
        changes = People(self._casebook, Hasher(), actor=getpass.getuser(), scope=EVERYTHING)
        return self._casebook, changes

    def __exit__(self, *_failure: object) -> None:
        self._casebook.close()


def _tell_password(name: str, password: str, lang: Lang | None, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode({"name": name, "one_time_password": password}))
        return
    typer.echo(texts_in(lang)("user.one_time", name=name, password=password))


def _line(person: Person) -> dict[str, object]:
    return {
        "name": person.name,
        "role": person.role,
        "region": person.scope.region,
        "vendor": person.scope.vendor,
        "must_change": person.must_change,
        "disabled": person.disabled,
        "seen_at": None if person.seen_at is None else rfc3339(person.seen_at),
    }
