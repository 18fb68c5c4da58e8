"""``python -m gateway.dashboards DIRECTORY`` writes every dashboard, as a file each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from gateway.dashboards import BACKENDS
from gateway.dashboards.boards import boards
from gateway.dashboards.panels import dashboard
from gateway.messages import LANGUAGES, Texts

TAG: Final = "metering"


def files() -> dict[Path, str]:
    """Every dashboard by its path below the directory, as the text of its file."""
    made: dict[Path, str] = {}
    for backend in BACKENDS:
        for language in LANGUAGES:
            texts = Texts(language)
            labels = {
                "database": texts("board.database"),
                "prometheus": texts("board.prometheus"),
            }
            for board in boards(backend, texts):
                found = dashboard(board, backend, [TAG], labels)
                name = Path("dashboards", backend, language, f"{board.uid}.json")
                made[name] = _text(found)
    return made


def _text(board: dict[str, Any]) -> str:
    """A dashboard with each panel in a line of its own, so that a difference is one of panels."""
    rest = {name: value for name, value in board.items() if name != "panels"}
    head = json.dumps(rest, ensure_ascii=False, indent=1).removesuffix("\n}")
    panels = ",\n".join(f"  {json.dumps(each, ensure_ascii=False)}" for each in board["panels"])
    return f'{head},\n "panels": [\n{panels}\n ]\n}}\n'


def main(folder: Path) -> None:
    """Writes them, and removes those that are made no more."""
    made = files()
    for old in (folder / "dashboards").rglob("*.json"):
        if old.relative_to(folder) not in made:
            old.unlink()
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
