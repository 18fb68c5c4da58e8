"""``gateway profile``: what the gateway can read, and whether that holds."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from gateway.assembly import all_tariffs, faults_of, read_profiles
from gateway.cases import CaseResult, cases_of, run_cases
from gateway.cli.failures import show_failure
from gateway.cli.output import (
    Json,
    Profiles,
    counted,
    examples,
    progress_console,
)
from gateway.cli.profile_explain import EXAMPLES as EXPLAIN_EXAMPLES
from gateway.cli.profile_explain import explain
from gateway.cli.profile_new import EXAMPLES as NEW_EXAMPLES
from gateway.cli.profile_new import new
from gateway.config import packaged_profiles
from gateway.errors import ConfigError
from gateway.key_reference import key_reference
from gateway.profiles import Profile, ProfileSet
from gateway.profiles.doc import (
    catalogue,
    instruments_of,
    models_of,
    page,
    protocol_of,
    quantities_of,
)
from gateway.profiles.explain import hint
from gateway.profiles.schema import profile_schema
from gateway.quantities import KINDS

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Device profiles: new, list, check, test, explain, doc, schema.",
)
app.command(epilog=EXPLAIN_EXAMPLES)(explain)
app.command(epilog=NEW_EXAMPLES)(new)


@app.command(
    "list",
    epilog=examples(
        "gateway profile list", "gateway profile list water dlms", "gateway profile list --json"
    ),
)
def list_(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="Only profiles that have all of these words in what is shown."),
    ] = None,
    *,
    profiles: Profiles = None,
    as_json: Json = False,
) -> None:
    """Lists the profiles by kind: name, version, protocol, number of cases, instruments."""
    found = [
        profile
        for profile in read_profiles(profiles or ()).profiles.values()
        if all(word.lower() in _searched(profile) for word in words or ())
    ]
    if as_json:
        for profile in found:
            typer.echo(msgspec.json.encode(_row(profile)))
        return
    out = Console(highlight=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = 500
    for kind in KINDS:
        of_kind = sorted((p for p in found if p.kind == kind), key=lambda p: p.name)
        if not of_kind:
            continue
        out.print(f"[bold]{kind}[/bold]  {counted(len(of_kind), 'profile')}")
        wide = max(len(profile.name) for profile in of_kind)
        spoken = max(len(_protocol(profile)) for profile in of_kind)
        for profile in of_kind:
            line = Text(f"  {profile.name:<{wide}}  {profile.model.version} ")
            line.append(f"{_protocol(profile):<{spoken}} {len(cases_of(profile)):>3}  ", "dim")
            line.append(instruments_of(profile))
            out.print(line, overflow="ellipsis", no_wrap=True)
    out.print(counted(len(found), "profile"))


def _protocol(profile: Profile) -> str:
    """The envelope and the format in it: ``lorawan/binary``."""
    inner, _, outer = protocol_of(profile).partition(" in ")
    return f"{outer}/{inner}" if outer else inner


def _searched(profile: Profile) -> str:
    title = profile.model.title
    parts = (profile.id, profile.kind, protocol_of(profile), instruments_of(profile))
    return " ".join((*parts, title.en, title.zh)).lower()


def _row(profile: Profile) -> dict[str, object]:
    model = profile.model
    return {
        "name": profile.name,
        "version": model.version,
        "sha256": profile.digest,
        "kind": profile.kind,
        "title": {"en": model.title.en, "zh": model.title.zh},
        "vendor": model.instrument.vendor,
        "models": [name for _, name in models_of(profile)],
        "protocol": protocol_of(profile),
        "topics": list(model.match.topic) if model.match else [],
        "valid": model.valid.model_dump(by_alias=True) if model.valid else None,
        "quantities": quantities_of(profile),
        "cases": len(cases_of(profile)),
        "caveats": model.model_dump(mode="json", include={"caveats"})["caveats"],
        "file": str(profile.file),
    }


@app.command(epilog=examples("gateway profile check profiles/acme-m309.yaml"))
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or directories; default: the gateway's own.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Reads and compiles profiles and says every fault with file, line, column and key path.

    Ends with 1 when there is one. Base profiles of the gateway can be extended.
    """
    if missing := [path for path in paths or () if not path.exists()]:
        raise ConfigError("\n".join(f"{path}: no such file or directory" for path in missing))
    profiles, faults = faults_of(paths or ())
    if faults:
        if as_json:
            typer.echo(msgspec.json.encode({"profiles": None, "faults": faults}))
        else:
            for fault in faults:
                typer.secho(fault, fg="red")
        raise typer.Exit(1)
    if as_json:
        typer.echo(msgspec.json.encode({"profiles": len(profiles.profiles), "faults": []}))
        return
    typer.echo(f"{counted(len(profiles.profiles), 'profile')}, no fault")


@app.command(
    "test",
    epilog=examples(
        "gateway profile test --json", "gateway profile test acme-m309 --profiles profiles"
    ),
)
def run_tests(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of profiles; default: all.")
    ] = None,
    *,
    profiles: Profiles = None,
    as_json: Json = False,
) -> None:
    """Decides the test messages that profiles carry, and compares with what they say.

    Ends with 1 when a case fails, or when a profile carries none.
    """
    loaded = read_profiles(profiles or ())
    for name in names or ():
        if name not in loaded.profiles:
            raise ConfigError(
                f"profile test: no profile {name!r}; known are {', '.join(sorted(loaded.profiles))}"
            )
    results = run_cases(loaded, all_tariffs(_directories(profiles)), names or None)
    chosen = sorted(names or loaded.profiles)
    shown = {result.profile for result in results}
    bare = [name for name in chosen if name not in shown]
    failed = _failures(results, bare)
    if as_json:
        summary = {
            "profiles": len(chosen),
            "models": _models(loaded, chosen),
            "cases": len(results),
            "failed": failed,
        }
        typer.echo(msgspec.json.encode(summary))
    else:
        for result in results:
            if not result.ok:
                show_failure(result, loaded.profiles[result.profile])
        for name in bare:
            typer.secho(f"{name}: {_NO_CASE}", fg="red")
        typer.echo(
            f"{counted(len(chosen), 'profile')}, {counted(len(results), 'case')}, "
            f"{len(failed)} failed"
        )
    if failed:
        raise typer.Exit(1)
    if not as_json:
        progress_console().print("every profile reads its own messages as it says", style="green")


_NO_CASE: Final = "carries no test message; add one below 'tests:'"


@app.command(
    epilog=examples(
        "gateway profile doc acme-m309 --profiles profiles",
        "gateway profile doc -o pages",
        "gateway profile doc --catalogue",
    )
)
def doc(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of profiles; default: all.")
    ] = None,
    *,
    profiles: Profiles = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Directory for the pages and an index.")
    ] = None,
    only_catalogue: Annotated[
        bool, typer.Option("--catalogue", help="Only the page of all profiles.")
    ] = False,
    only_reference: Annotated[
        bool, typer.Option("--reference", help="Only the tables of every key a profile may have.")
    ] = False,
) -> None:
    """Writes a readable page a profile (Markdown), and an index of all."""
    if only_reference:
        _print_page(key_reference())
        return
    loaded = read_profiles(profiles or ())
    if unknown := [name for name in names or () if name not in loaded.profiles]:
        raise ConfigError(
            f"profile doc: no profile {unknown[0]!r}{hint(unknown[0], list(loaded.profiles))}"
        )
    if only_catalogue:
        _print_page(catalogue(loaded, _counts(loaded), packaged_profiles()))
        return
    chosen = [loaded.profiles[name] for name in names or sorted(loaded.profiles)]
    if output is None:
        _print_page("\n".join(page(profile) for profile in chosen))
        return
    output.mkdir(parents=True, exist_ok=True)
    for profile in chosen:
        (output / f"{profile.name}.md").write_text(page(profile), encoding="utf-8")
    index = catalogue(loaded, _counts(loaded), index=True)
    (output / "index.md").write_text(index, encoding="utf-8")
    progress_console().print(f"{counted(len(chosen), 'page')} and index.md in {output}")


def _counts(profiles: ProfileSet) -> dict[str, int]:
    return {name: len(cases_of(profile)) for name, profile in profiles.profiles.items()}


def _print_page(text: str) -> None:
    """Markdown as it is; on a terminal as it reads."""
    out = Console(highlight=False)
    if out.is_terminal:
        from rich.markdown import Markdown  # noqa: PLC0415 - seldom needed, and slow to import

        out.print(Markdown(text.replace("<br>", "; ")))
    else:
        typer.echo(text, nl=False)


@app.command(epilog=examples("gateway profile schema > profile.schema.json"))
def schema(
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default: standard output.")
    ] = None,
) -> None:
    """Prints the JSON Schema of a profile, which editors check and complete by."""
    text = json.dumps(profile_schema(), indent=1, ensure_ascii=False) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


def _directories(paths: list[Path] | None) -> list[Path]:
    return [path for path in paths or () if path.is_dir()]


def _failures(results: list[CaseResult], bare: list[str]) -> list[dict[str, object]]:
    failed: list[dict[str, object]] = [
        {
            "profile": result.profile,
            "case": int(result.label) if result.label.isdecimal() else result.label,
            "note": result.case.note,
            "difference": "; ".join(result.differences),
            "details": [dataclasses.asdict(difference) for difference in result.details],
        }
        for result in results
        if not result.ok
    ]
    return failed + [{"profile": name, "difference": _NO_CASE} for name in bare]


def _models(profiles: ProfileSet, names: list[str]) -> int:
    """Models of instruments that the profiles name; a reference profile is of no model."""
    return len({model for name in names for model in models_of(profiles.profiles[name])})
