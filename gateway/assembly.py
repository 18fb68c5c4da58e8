"""Puts the parts of processing together, the same way for the service, replay and reprocess."""

from __future__ import annotations

import gc
import getpass
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.case_files import read_case_files
from gateway.cases import run_cases
from gateway.checks.overrides import read_regions
from gateway.checks.tariffs import read_tariffs
from gateway.config import packaged_profiles
from gateway.deciding import Decider
from gateway.errors import ProfileError
from gateway.profiles import ProfileSet, load_profiles
from gateway.registry import RegistryError, read_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.checks.overrides import Region
    from gateway.checks.tariffs import Tariff
    from gateway.devices import Registry
    from gateway.records import Device


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Where things are in a data directory."""

    path: Path

    @property
    def ledger(self) -> Path:
        """The ledger's own directory."""
        return self.path / "ledger"

    @property
    def store(self) -> Path:
        """The embedded store."""
        return self.path / "store.duckdb"


def read_profiles(given: Sequence[Path]) -> ProfileSet:
    """The profiles of the directories, or the packaged ones, which all can be extended.

    Raises:
        ProfileError: every fault of every file.
    """
    return load_profiles(list(given) or [packaged_profiles()], bases=[packaged_profiles()])


def faults_of(
    given: Sequence[Path], bases: Sequence[Path] | None = None
) -> tuple[ProfileSet, list[str]]:
    """The profiles of the directories, and all that is wrong with them: a line a fault.

    Args:
        given: directories and files; the packaged profiles when there is none.
        bases: what can be extended; the packaged profiles when None.
    """
    below = [packaged_profiles()] if bases is None else bases
    try:
        profiles = load_profiles(list(given) or [packaged_profiles()], bases=below)
    except ProfileError as error:
        return ProfileSet({}), str(error).splitlines()
    faults: list[str] = []
    try:
        make_decider(profiles, {}, [path for path in given if path.is_dir()])
    except ProfileError as error:
        faults += str(error).splitlines()
    for profile in profiles.profiles.values():
        try:
            read_case_files(profile.file)
        except ProfileError as error:
            faults += str(error).splitlines()
    return profiles, faults


def all_tariffs(given: Sequence[Path]) -> dict[str, Tariff]:
    """The packaged tariffs, and over them those of the directories given.

    Raises:
        ProfileError: every fault of every file.
    """
    found: dict[str, Tariff] = {}
    for directory in (packaged_profiles(), *given):
        found |= read_tariffs((directory / "reference" / "tariffs").glob("*.yaml"))
    return found


def all_regions(given: Sequence[Path]) -> list[Region]:
    """What regions set otherwise than the profiles, of the packaged ones and the directories given.

    Raises:
        ProfileError: every fault of every file.
    """
    folders = (packaged_profiles(), *given)
    return read_regions(
        file for folder in folders for file in (folder / "reference" / "regions").glob("*.yaml")
    )


def read_devices(data: DataDirectory, registry: Path | None) -> Registry:
    """The registry of the casebook, after ``registry`` (when given) has been taken into it.

    Raises:
        RegistryError: every fault of the file; nothing of it has been taken.
    """
    from gateway.casebook import Casebook  # noqa: PLC0415 - brings SQLAlchemy, which takes 0.4 s

    with Casebook(data.path) as casebook:
        if registry is not None:
            read = read_files([registry])
            made = casebook.import_read(read, source=str(registry), actor=getpass.getuser())
            if made.faults:
                raise RegistryError(made.faults)
        return casebook.devices()


def profile_changes(before: ProfileSet, after: ProfileSet) -> list[str]:
    """Profiles that are new, changed or gone, as ``name@version``, sorted."""
    old = {profile.digest: profile.id for profile in before.profiles.values()}
    new = {profile.digest: profile.id for profile in after.profiles.values()}
    return sorted(
        {old[gone] for gone in old.keys() - new.keys()}
        | {new[come] for come in new.keys() - old.keys()}
    )


def set_digest(profiles: ProfileSet) -> str:
    """SHA-256 over all profiles: what processing decides by, in one value."""
    told = sorted(f"{name} {profile.digest}" for name, profile in profiles.profiles.items())
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def record_profiles(
    data: DataDirectory, profiles: ProfileSet, offset: int, changed: Sequence[str]
) -> None:
    """Writes into the audit from which ledger offset on these profiles hold.

    Nothing is written when the last entry is of the same profiles.
    """
    from gateway.casebook import Casebook  # noqa: PLC0415 - see read_devices

    digest = set_digest(profiles)
    with Casebook(data.path) as casebook:
        last = casebook.last("profiles.switch")
        if last is not None and last.detail.get("sha256") == digest:
            return
        casebook.record(
            actor=getpass.getuser(),
            action="profiles.switch",
            subject=f"from ledger offset {offset}",
            detail={
                "offset": offset,
                "sha256": digest,
                "profiles": len(profiles.profiles),
                "changed": list(changed),
            },
        )


def checked_profiles(given: Sequence[Path]) -> ProfileSet:
    """The profiles of the directories, loaded, compiled, and each holding its own cases.

    Raises:
        ProfileError: every fault, and every case that fails.
    """
    profiles = read_profiles(given)
    failed = [
        f"{result.profile} case {result.label}: {'; '.join(result.differences)}"
        for result in run_cases(profiles, all_tariffs(given))
        if not result.ok
    ]
    if failed:
        raise ProfileError("\n".join(failed))
    return profiles


def collect_seldom() -> None:
    """Tells the garbage collector that a process is set up and now handles records in bulk.

    Records are made by the million, hold no cycles, and die within a second; looking through them
    every 700 allocations costs a tenth of all time.
    """
    gc.set_threshold(200_000, 50, 100)


def make_decider(
    profiles: ProfileSet, devices: Mapping[str, Device], given: Sequence[Path]
) -> Decider:
    """A decider with empty state.

    Without a single registered device there is no registry to be missing from: then nothing is
    flagged as unregistered.
    """
    return Decider(
        profiles,
        devices,
        all_tariffs(given),
        regions=all_regions(given),
        registry_known=bool(devices),
        # The packaged ones have passed their cases.
        proven=not given,
    )
