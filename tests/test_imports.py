"""Imports point one way: records ← profiles ← stages ← pipeline ← the rest."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A module of the first word may import only modules of the words after it (and its own).
VOCABULARY = {"records", "errors", "quantities", "units", "devices"}
ALLOWED = {
    "records": set(),
    "devices": {"records"},
    "errors": set(),
    "quantities": set(),
    "units": set(),
    "moments": VOCABULARY,
    "times": VOCABULARY,
    "profiles": VOCABULARY,
    "decode": VOCABULARY | {"profiles"},
    "normalise": VOCABULARY | {"profiles", "moments"},
    "checks": VOCABULARY | {"profiles", "times"},
    "sources": {"records", "errors"},
    "ledger": {"records", "errors"},
    "retry_after": set(),
    "store": VOCABULARY | {"retry_after"},
    "messages": set(),
    "audit": set(),
    "access": VOCABULARY | {"casebook"},
    "queries": VOCABULARY
    | {"times", "store", "registry", "casebook", "audit", "access", "flags", "quality", "profiles"}
    | {"ledger", "checks", "orders", "deciding"},
    "orders": VOCABULARY | {"store", "registry", "casebook", "audit", "access"},
    "reports": VOCABULARY
    | {"times", "store", "registry", "casebook", "access", "flags", "quality", "profiles"}
    | {"ledger", "checks", "decode", "queries", "messages", "assembly", "spans", "trace", "config"},
    "flags": VOCABULARY | {"times", "store", "registry", "casebook"},
    "alerts": VOCABULARY
    | {"times", "store", "registry", "casebook", "flags", "sources", "messages", "retry_after"},
    "dashboards": {"quantities", "messages"},
    "quality": VOCABULARY | {"times", "store", "registry", "casebook", "flags"},
    "console": {"messages"},
    "intake": {"records", "errors", "sources", "ledger"},
    "plans": VOCABULARY | {"profiles", "decode", "normalise", "checks"},
    "deciding": VOCABULARY | {"profiles", "decode", "normalise", "moments", "checks", "plans"},
    "committing": {"records", "store"},
    "pipeline": VOCABULARY | {"committing", "deciding", "ledger", "store"},
}


def imported(file: Path) -> set[str]:
    """Names of the modules of ``gateway`` that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "gateway":
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("gateway.")
            }
    return found


def files(stage: str) -> list[Path]:
    single = ROOT / "gateway" / f"{stage}.py"
    return [single] if single.exists() else sorted((ROOT / "gateway" / stage).rglob("*.py"))


@pytest.mark.parametrize("stage", sorted(ALLOWED))
def test_a_stage_imports_only_what_stands_before_it(stage):
    found = files(stage)
    assert found, f"no module gateway.{stage}: mend the table"
    for file in found:
        wrong = imported(file) - ALLOWED[stage] - {stage}
        assert not wrong, f"{file.relative_to(ROOT)} imports {sorted(wrong)}"


def test_simulators_do_not_lean_on_the_gateway():
    for file in sorted((ROOT / "simulators").rglob("*.py")):
        assert not imported(file), f"{file.relative_to(ROOT)} imports the gateway"


def test_the_finder_sees_every_form_of_import(tmp_path):
    file = tmp_path / "x.py"
    file.write_text(
        "import gateway.store\nfrom gateway import cli\n"
        "def f():\n    from gateway.checks.judge import Judge\n"
    )
    assert imported(file) == {"store", "cli", "checks"}
