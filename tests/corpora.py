"""Where the payloads of real devices are: beside the repository, or where CORPORA says."""

import os
from pathlib import Path


def corpora() -> Path | None:
    """The folder of the corpora; None when it is not here, and nobody said that it is.

    Raises:
        FileNotFoundError: CORPORA names a folder without them; to skip then would hide it.
    """
    said = os.environ.get("CORPORA")
    folder = Path(said) if said else Path(__file__).parents[2] / "shared" / "corpora"
    if (folder / "json-mqtt" / "cases.jsonl").is_file():
        return folder
    if said:
        raise FileNotFoundError(f"CORPORA={said}: no json-mqtt/cases.jsonl in it")
    return None
