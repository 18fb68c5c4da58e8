"""A guide for vendors, run as its reader would: its files written, its commands given in order.

A fenced block is a file when the line before it ends with the file's name in backticks and a colon
(``The profile, `profiles/acme-w5.yaml`:``).  A block ``console`` has commands after ``$ `` and what
they print; a line ``…`` stands for lines that are left out.  ``gateway`` runs in this process, what
else there is (`sed`) in a shell.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import structlog
from typer.testing import CliRunner

from gateway.cli import app
from tests.compiled import PROFILES

_FENCE = re.compile(r"([^\n]*)\n+^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`([\w./-]+\.\w+)`:$")
LEFT_OUT = "…"


@dataclass(frozen=True)
class Block:
    """One fenced block: the line before it, its language, and its text."""

    before: str
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The name of the file that it is."""
        named = _NAMED.search(self.before)
        return named[1] if named else None


class Guide:
    """A guide of `device_profiles`."""

    def __init__(self, name: str) -> None:
        self.text = (PROFILES / name).read_text(encoding="utf-8")
        self.blocks = [Block(*found) for found in _FENCE.findall(self.text)]
        assert 2 * len(self.blocks) == len(re.findall(r"^```", self.text, re.MULTILINE))

    def of(self, language: str) -> list[str]:
        """The texts of blocks in a language that are no files."""
        return [b.text for b in self.blocks if b.language == language and b.file is None]

    def section(self, title: str) -> str:
        """What stands below a heading, up to the next of its level or above."""
        found = re.search(rf"^(#+) {re.escape(title)}\n", self.text, re.MULTILINE)
        assert found is not None, f"no section {title!r}"
        rest = self.text[found.end() :]
        after = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
        return rest[: after.start()] if after else rest

    def table(self, title: str) -> list[list[str]]:
        """The rows of the only table below a heading, without its head."""
        lines = [line for line in self.section(title).splitlines() if line.startswith("|")]
        assert len(lines) > 2, f"no table in {title!r}"
        return [_cells(line) for line in lines[2:]]

    def words(self, title: str) -> list[str]:
        """The words in backticks of the first column of a table."""
        return [word for row in self.table(title) for word in re.findall(r"`([^`]+)`", row[0])]

    def follow(self, folder: Path) -> int:
        """Does in a folder what the guide says; returns how many commands were compared."""
        commands = 0
        with contextlib.chdir(folder):
            for block in self.blocks:
                if block.file is not None:
                    Path(block.file).parent.mkdir(parents=True, exist_ok=True)
                    Path(block.file).write_text(block.text, encoding="utf-8")
                elif block.language == "console":
                    for command, said in _sessions(block.text):
                        _compare(command, said, _run(command))
                        commands += 1
        return commands


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip()[1:-1])
    return [cell.strip().replace("\\|", "|") for cell in cells]


def code(cell: str) -> str:
    """What stands in backticks in a cell, and nothing else."""
    found = re.fullmatch(r"`+ ?(.+?) ?`+", cell)
    assert found is not None, cell
    return found[1]


def _sessions(text: str) -> list[tuple[str, list[str]]]:
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    assert starts[:1] == [0], text
    return [
        (lines[first][2:], lines[first + 1 : after])
        for first, after in pairwise([*starts, len(lines)])
    ]


def _run(command: str) -> list[str]:
    if not command.startswith("gateway "):
        done = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)
        return done.stdout.splitlines()
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    structlog.reset_defaults()
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return [line.rstrip() for line in result.output.splitlines()]


def _compare(command: str, said: list[str], got: list[str]) -> None:
    """Fails unless the output is what was said, with anything where lines are left out."""
    pattern = "\n".join(
        r"(?:[^\n]*\n)*?[^\n]*" if line.strip() == LEFT_OUT else re.escape(line.rstrip())
        for line in said
    )
    if re.fullmatch(pattern, "\n".join(got)) is None:
        shown = "\n".join(got)
        raise AssertionError(f"$ {command}\nprints\n{shown}\nand not\n" + "\n".join(said))
