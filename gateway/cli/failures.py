"""A case that fails, shown so that its reader sees at once what came out otherwise."""

from rich.console import Console
from rich.text import Text

from gateway.cases import CaseResult, default_topic, told_value
from gateway.profiles import Profile
from gateway.profiles.source import Source
from gateway.records import Reading


def show_failure(result: CaseResult, profile: Profile) -> None:
    """One failed case: its note and topic, each difference, and the readings that came out."""
    out = Console(highlight=False, soft_wrap=True)
    note = f" {result.case.note}" if result.case.note else ""
    out.print(Text(f"{result.profile} case {result.label}:{note}", style="bold red"))
    out.print(Text(f"  {_place(result, profile)}", style="dim"))
    out.print(Text(f"  topic {result.case.topic or default_topic(profile)}", style="dim"))
    wide = max(len(difference.place) for difference in result.details)
    for difference in result.details:
        line = Text(f"  {difference.place:<{wide}}  ")
        if difference.expected:
            line.append("expected ").append(difference.expected, style="green").append("  got ")
        line.append(difference.got, style="red")
        out.print(line)
    for number, reading in enumerate(result.readings):
        out.print(Text(f"  came out [{number}]: {told_reading(reading)}", style="dim"))


def _place(result: CaseResult, profile: Profile) -> str:
    """Where the case is written."""
    if not result.label.isdecimal():
        return str(profile.file.parent / result.label)
    line, _ = Source(profile.file).place(("tests", int(result.label)))
    return f"{profile.file}:{line}"


def told_reading(reading: Reading) -> str:
    """A reading on one line, each value as a case would have to say it."""
    said = [("device_id", reading.device_id), ("event", reading.event)]
    said += [] if reading.channel is None else [("channel", reading.channel)]
    parts = [f"{key} {value}" for key, value in said]
    parts.append(f"measured_at {told_value(reading.measured_at, 'measured_at', reading.kind)}")
    if reading.status:
        parts.append(f"status {list(reading.status)}")
    parts += [
        f"{name} {told_value(value, name, reading.kind)}"
        for name, value in reading.quantities.items()
    ]
    return ", ".join(parts)
