"""Where the payloads of real devices are: beside the repository, or where CORPORA says."""

import os
from pathlib import Path


def corpora() -> Path | None:
    """The folder of the corpora; None when it is not here."""
    said = os.environ.get("CORPORA")
    folder = Path(said) if said else Path(__file__).parents[2] / "shared" / "corpora"
    return folder if (folder / "json-mqtt" / "cases.jsonl").is_file() else None
