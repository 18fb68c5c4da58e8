"""``gateway alert``: what leaves the gateway, what was not taken, and a try of each target."""

import secrets
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from gateway import log as logs
from gateway.alerts import AlertError
from gateway.alerts.outbox import FILE_NAME, Letter, Outbox
from gateway.alerts.spec import AlertSpec
from gateway.cli.flag_options import Language, texts_in
from gateway.cli.output import Json, examples, existing, print_table
from gateway.config import Settings
from gateway.config_load import load
from gateway.errors import ConfigError
from gateway.times import rfc3339

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Flags that leave the gateway, by the `[[alerts]]` of the settings.",
)

Config = Annotated[Path | None, typer.Option("--config", help="The settings.")]
Data = Annotated[Path | None, typer.Option("--data", help="The data directory.")]
Name = Annotated[str | None, typer.Argument(help="The alert; default: every one.")]
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="Only the letter of this key; may be repeated. Default: all."),
]


def _settings(config: Path | None, data: Path | None) -> Settings:
    flags: dict[str, Any] = {} if data is None else {"data_dir": data}
    return load(config, flags)


def _specs(settings: Settings) -> tuple[AlertSpec, ...]:
    # Not the gateway's own id: the broker would close the connection of the one that runs.
    visit = secrets.token_hex(4)
    return settings.alert_specs(lambda name: f"gateway-{name}-visit-{visit}")


def _opened(settings: Settings) -> Outbox:
    return Outbox(existing(settings.data_dir, FILE_NAME) / FILE_NAME)


def _named(outbox: Outbox, name: str | None) -> list[str]:
    known = outbox.names()
    if name is None:
        return known
    if name not in known:
        raise ConfigError(f"no alert {name!r} has ever run here; known are {', '.join(known)}")
    return [name]


@app.command("list", epilog=examples("gateway alert list --config gateway.toml"))
def list_(
    config: Config = None, data: Data = None, lang: Language = None, as_json: Json = False
) -> None:
    """Shows each alert with what waits, what was given up, and what is wrong now."""
    settings = _settings(config, data)
    specs = {spec.name: spec for spec in _specs(settings)}
    rows: list[dict[str, Any]] = []
    if (settings.data_dir / FILE_NAME).exists():
        outbox = _opened(settings)
        for name in dict.fromkeys([*specs, *outbox.names()]):
            waiting, dead, held = outbox.counts(name)
            known = outbox.known(name)
            rows.append(
                _row(name, specs.get(name))
                | {
                    "began_at": known and rfc3339(known.began_at),
                    "sent": known.sent if known else 0,
                    "queued": waiting,
                    "dead": dead,
                    "held": held,
                }
            )
        outbox.close()
    else:
        rows = [_row(name, spec) for name, spec in specs.items()]
    if as_json:
        for row in rows:
            typer.echo(msgspec.json.encode(row))
        return
    columns = ("name", "type", "target", "began_at", "sent", "queued", "dead", "held")
    title = texts_in(lang)("alert.list")
    print_table(title, columns, [[row.get(name) for name in columns] for row in rows])


def _row(name: str, spec: AlertSpec | None) -> dict[str, Any]:
    return {
        "name": name,
        "type": "-" if spec is None else spec.type,
        "target": "-" if spec is None else spec.target.place,
    }


@app.command("test", epilog=examples("gateway alert test duty --config gateway.toml"))
def try_out(
    name: Annotated[str, typer.Argument(help="The alert.")],
    config: Config = None,
    data: Data = None,
    lang: Language = None,
    as_json: Json = False,
) -> None:
    """Sends one alert that says it is a test, at once; ends with 1 when it is not taken."""
    from gateway.alerts.trial import send_trial  # noqa: PLC0415 - brings every target's stack

    settings = _settings(config, data)
    logs.configure("error", secrets=settings.secrets())
    specs = {spec.name: spec for spec in _specs(settings)}
    if name not in specs:
        raise ConfigError(
            f"no [[alerts]] is called {name!r}; there are {', '.join(specs) or 'none'}"
        )
    spec = specs[name]
    try:
        letter = send_trial(spec)
    except AlertError as error:
        if as_json:
            typer.echo(msgspec.json.encode({"name": name, "taken": False, "error": str(error)}))
            raise typer.Exit(1) from None
        raise
    if as_json:
        typer.echo(msgspec.json.encode({"name": name, "taken": True, "key": letter.key}))
        return
    typer.echo(texts_in(lang)("alert.tested", place=spec.target.place))


@app.command(epilog=examples("gateway alert dead --data data", "gateway alert dead duty --json"))
def dead(
    name: Name = None,
    config: Config = None,
    data: Data = None,
    lang: Language = None,
    as_json: Json = False,
) -> None:
    """Shows letters that were given up, with the target's own words; may run beside the gateway."""
    outbox = _opened(_settings(config, data))
    found = [(each, letter) for each in _named(outbox, name) for letter in outbox.dead(each)]
    outbox.close()
    if as_json:
        for each, letter in found:
            typer.echo(msgspec.json.encode(_line(each, letter)))
        return
    texts = texts_in(lang)
    if not found:
        typer.echo(texts("alert.none_dead"))
        return
    rows = [
        [letter.key, each, letter.event, letter.severity, rfc3339(letter.queued_at), letter.error]
        for each, letter in found
    ]
    columns = ("key", "alert", "event", "severity", "queued_at", "error")
    print_table(texts("alert.dead"), columns, rows)


def _line(name: str, letter: Letter) -> dict[str, Any]:
    return {
        "alert": name,
        "key": letter.key,
        "event": letter.event,
        "queued_at": rfc3339(letter.queued_at),
        "attempts": letter.attempts,
        "error": letter.error,
        "record": letter.record,
    }


@app.command(
    epilog=examples("gateway alert resend duty --data data", "gateway alert resend --data data")
)
def resend(
    name: Name = None,
    config: Config = None,
    data: Data = None,
    key: Keys = None,
    lang: Language = None,
) -> None:
    """Queues dead letters again; a running gateway sends them, another one at its start."""
    outbox = _opened(_settings(config, data))
    count = sum(outbox.revive(each, key, at=time.time_ns()) for each in _named(outbox, name))
    outbox.close()
    typer.echo(texts_in(lang)("alert.revived", count=count))


@app.command(epilog=examples("gateway alert discard duty --data data"))
def discard(
    name: Name = None,
    config: Config = None,
    data: Data = None,
    key: Keys = None,
    lang: Language = None,
) -> None:
    """Forgets dead letters for good; the flags stay in the store."""
    outbox = _opened(_settings(config, data))
    count = sum(outbox.discard(each, key) for each in _named(outbox, name))
    outbox.close()
    typer.echo(texts_in(lang)("alert.discarded", count=count))
