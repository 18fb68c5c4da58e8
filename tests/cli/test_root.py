"""The command line as a whole: fast, helpful, and never a traceback."""

import re
import subprocess
import sys
import time

import pytest

from gateway import __version__
from gateway.cli.root import COMMANDS
from gateway.config import table


def test_help_is_there_at_once_and_names_every_command():
    began = time.process_time()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gateway", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert time.process_time() - began < 1
    for command in COMMANDS:
        assert f" {command} " in done.stdout
    loaded = set(re.findall(r"\| +(\w+)$", done.stderr, re.MULTILINE))
    assert not loaded & {"duckdb", "pyarrow", "pydantic", "sqlalchemy", "uvloop", "alembic"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_with_an_example(gateway, command):
    text = gateway(command, "--help").stdout
    assert "Usage" in text
    if command in ("profile", "device", "ledger", "flag", "alert", "user"):
        subcommands = re.findall(r"│ (\w+) +\w", text.partition("Commands")[2])
        assert subcommands
        text = "".join(gateway(command, each, "--help").stdout for each in subcommands)
        assert text.count("Example") >= len(subcommands)
    assert "Example" in text
    assert f"gateway {command}" in text


def test_the_help_of_run_lists_every_setting(gateway):
    text = gateway("run", "--help").stdout
    for row in table():
        assert row.key in text
        assert row.help in text


def test_the_version_is_told(gateway):
    assert gateway("--version").stdout.strip() == f"gateway {__version__}"


def test_an_unknown_command_is_wrong_use(gateway):
    result = gateway("devise")
    assert result.exit_code == 2
    assert "devise" in result.stderr


def test_an_error_is_one_message_and_no_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "ledger", "verify", "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_reader_that_has_enough_is_no_fault(replayed):
    command = f"{sys.executable} -m gateway export readings --data {replayed} | head -c 10"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
