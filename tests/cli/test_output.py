"""What people see: tables that cut nothing off, examples that can be copied, one and many."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from gateway.cli.output import counted, print_table
from gateway.cli.root import COMMANDS

LONG = ("em-110000-00001", "很长的中文说明" * 8, "c" * 64)


def drawn(width: int) -> str:
    out = io.StringIO()
    to = Console(file=out, width=width, force_terminal=True, color_system=None)
    print_table("Title", ("device_id", "what", "chain"), [LONG], to=to)
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_table_breaks_cells_and_cuts_nothing_off(width):
    text = drawn(width)
    assert "…" not in text
    rows = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    joined = tuple("".join(row[i].strip() for row in rows) for i in range(3))
    assert joined == LONG


def test_the_name_of_a_row_is_broken_last(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert "│ em-110000-00001 │" in drawn(60)


def test_a_table_in_a_pipe_has_one_line_a_row(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    out = io.StringIO()
    print_table("", ("device_id", "what", "chain"), [LONG], to=Console(file=out))
    assert sum(line.startswith("│") for line in out.getvalue().splitlines()) == 1


def test_one_is_not_many():
    assert [counted(n, "fault") for n in (0, 1, 2, 1_000)] == [
        "0 faults", "1 fault", "2 faults", "1,000 faults"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "command", sorted(COMMANDS.keys() - {"profile", "device", "ledger", "flag", "alert", "user"})
)
def test_every_command_ends_its_help_with_an_example_at_the_begin_of_a_line(gateway, command):
    text = gateway(command, "--help").stdout
    examples = text[text.index("Examples:") :]
    assert any(line.strip().startswith(f"gateway {command}") for line in examples.splitlines())


def test_the_profiles_are_listed_with_their_whole_names(gateway):
    text = gateway("profile", "list").stdout
    names = [file.stem for file in Path("device_profiles").glob("*_*/*.yaml")]
    assert names
    listed = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    assert set(names) <= set(listed)
    assert "…" not in text
