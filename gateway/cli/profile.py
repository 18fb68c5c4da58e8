"""``gateway profile``: what the gateway can read, and whether that holds."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway.assembly import all_tariffs, make_decider, read_profiles
from gateway.cases import CaseResult, run_cases
from gateway.cli.output import (
    Json,
    Profiles,
    counted,
    examples,
    print_table,
    progress_console,
)
from gateway.errors import ConfigError, ProfileError
from gateway.profiles import ProfileSet

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Device profiles: list, check, test.",
)


@app.command("list", epilog=examples("gateway profile list --json"))
def list_(*, profiles: Profiles = None, as_json: Json = False) -> None:
    """Lists the profiles: name, version, kind, instrument, number of test messages, caveats."""
    found = list(read_profiles(profiles or ()).profiles.values())
    rows = [
        {
            "name": profile.name,
            "version": profile.model.version,
            "kind": profile.kind,
            "title": {"en": profile.model.title.en, "zh": profile.model.title.zh},
            "topics": list(profile.model.match.topic) if profile.model.match else [],
            "cases": len(profile.model.tests),
            "caveats": profile.model.caveats,
            "file": str(profile.file),
        }
        for profile in found
    ]
    if as_json:
        for row in rows:
            typer.echo(msgspec.json.encode(row))
        return
    print_table(
        counted(len(rows), "profile"),
        ("profile", "kind, title", "cases"),
        [
            (
                profile.id,
                f"{profile.kind}: {profile.model.title.en}",
                len(profile.model.tests),
            )
            for profile in found
        ],
    )


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
    try:
        profiles = read_profiles(paths or ())
        make_decider(profiles, {}, _directories(paths))
    except ProfileError as error:
        faults = str(error).splitlines()
        if as_json:
            typer.echo(msgspec.json.encode({"profiles": None, "faults": faults}))
        else:
            for fault in faults:
                typer.secho(fault, fg="red")
        raise typer.Exit(1) from None
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
    bare = [name for name in chosen if not loaded.profiles[name].model.tests]
    failed = _failures(results, bare, loaded)
    if as_json:
        summary = {
            "profiles": len(chosen),
            "models": _models(loaded, chosen),
            "cases": len(results),
            "failed": failed,
        }
        typer.echo(msgspec.json.encode(summary))
    else:
        for fault in failed:
            where = (
                f"{fault['profile']} case {fault['case']}" if "case" in fault else fault["profile"]
            )
            note = f" ({fault['note']})" if fault.get("note") else ""
            typer.secho(f"{where}: {fault['difference']}{note}", fg="red")
        typer.echo(
            f"{counted(len(chosen), 'profile')}, {counted(len(results), 'case')}, "
            f"{len(failed)} failed"
        )
    if failed:
        raise typer.Exit(1)
    if not as_json:
        progress_console().print("every profile reads its own messages as it says", style="green")


def _directories(paths: list[Path] | None) -> list[Path]:
    return [path for path in paths or () if path.is_dir()]


def _failures(
    results: list[CaseResult], bare: list[str], loaded: ProfileSet
) -> list[dict[str, object]]:
    failed: list[dict[str, object]] = [
        {
            "profile": result.profile,
            "case": result.index,
            "note": loaded.profiles[result.profile].model.tests[result.index].note,
            "difference": "; ".join(result.differences),
        }
        for result in results
        if not result.ok
    ]
    failed += [
        {"profile": name, "difference": "carries no test message; add one below 'tests:'"}
        for name in bare
    ]
    return failed


def _models(profiles: ProfileSet, names: list[str]) -> int:
    """Models of instruments that the profiles name; a reference profile is of no model."""
    instruments = [profiles.profiles[name].model.instrument for name in names]
    return len(
        {
            (instrument.vendor, model)
            for instrument in instruments
            if instrument.vendor not in (None, "any")
            for model in instrument.models or (instrument.model,)
        }
    )
