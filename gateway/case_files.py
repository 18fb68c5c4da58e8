"""Cases of a profile that stand beside it: the folder ``NAME.tests`` next to ``NAME.yaml``.

Each file is one or more cases in the words of ``tests``::

    profiles/acme-w20.yaml
    profiles/acme-w20.tests/summer.yaml      one case, or a list of cases
    profiles/acme-w20.tests/vectors.jsonl    a case a line
    profiles/acme-w20.tests/frame.hex        a payload that a case names: payload_file: frame.hex

``payload_file`` names a file of the folder: one that ends in ``.hex`` (hexadecimal text) or in
``.bin`` stands for ``payload_hex``, any other, such as ``message.json``, for the text of
``payload``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from gateway.errors import ProfileError
from gateway.profiles.explain import explain
from gateway.profiles.load import CASE_FOLDER, key_of
from gateway.profiles.models import Case
from gateway.profiles.source import Fault, Source

MAX_BYTES: Final = 8 * 1024 * 1024
_SUFFIXES: Final = (".yaml", ".jsonl")


def read_case_files(profile: Path) -> list[tuple[str, Case]]:
    """The cases of a profile's folder with their labels, by file name; none where it has none.

    Raises:
        ProfileError: every fault, with file, line and column.
    """
    folder = profile.with_name(f"{profile.stem}{CASE_FOLDER}")
    found: list[tuple[str, Case]] = []
    faults: list[Fault] = []
    for file in sorted(folder.glob("*")) if folder.is_dir() else ():
        if file.suffix not in _SUFFIXES:
            continue
        for label, data, source, number in _entries(file, faults):
            case = _case(data, folder, source, number, faults)
            if case is not None:
                found.append((f"{folder.name}/{label}", case))
    if faults:
        raise ProfileError("\n".join(map(str, faults)))
    return found


class _Line:
    """A line of a JSON Lines file: faults stand at its beginning."""

    def __init__(self, file: Path, number: int) -> None:
        self.file = file
        self.number = number

    def fault(self, key: tuple[str | float, ...], message: str) -> Fault:
        """A fault of this line."""
        return Fault(self.file, self.number, 1, key, message)


Place = Source | _Line


def _entries(file: Path, faults: list[Fault]) -> Iterator[tuple[str, Any, Place, int | None]]:
    """Label, data, where faults are told, and the position in a list of cases."""
    if file.suffix == ".yaml":
        source = Source(file, lists=True)
        faults += source.faults
        if isinstance(source.data, list):
            for number, data in enumerate(source.data):
                yield f"{file.name}[{number}]", data, source, number
        elif not source.faults:
            yield file.name, source.data, source, None
        return
    try:
        lines = _content(file).decode("utf-8").splitlines()
    except ValueError as error:
        why = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        faults.append(Fault(file, 1, 1, (), why))
        return
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield f"{file.name}:{number}", json.loads(line), _Line(file, number), None
        except (ValueError, RecursionError) as error:
            faults.append(Fault(file, number, 1, (), f"not JSON: {error}"))


def _case(
    data: Any,  # noqa: ANN401 - what the file says
    folder: Path,
    source: Place,
    number: int | None,
    faults: list[Fault],
) -> Case | None:
    at: tuple[str | float, ...] = () if number is None else (number,)
    if not isinstance(data, dict):
        faults.append(source.fault(at, f"expected a case such as {{payload: ..., expect: ...}}, "
                                       f"got {str(data)[:40]!r}"))  # fmt: skip
        return None
    if "payload_file" in data:
        try:
            data = _with_payload(data, folder)
        except ValueError as error:
            faults.append(source.fault((*at, "payload_file"), str(error)))
            return None
    try:
        return Case.model_validate(data)
    except ValidationError as error:
        wrong = [(key_of(e["loc"], data), e) for e in error.errors(include_url=False)]
        # As they would be told in the profile: the keys of a case are those of `tests`.
        told_as = [(("tests", *key), {**e, "loc": ("tests", *e["loc"])}) for key, e in wrong]
        for key, message in explain(told_as, {"tests": data}):
            faults.append(source.fault((*at, *key[1:]), message))
        return None


def _with_payload(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The case with the content of its payload's file; raises ValueError with what is wrong."""
    if "payload" in data or "payload_hex" in data:
        raise ValueError("say 'payload_file', 'payload' or 'payload_hex', not two of them")
    file = folder / str(data["payload_file"])
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"the file must stand in {folder.name}")
    rest = {key: value for key, value in data.items() if key != "payload_file"}
    content = _content(file)
    try:
        if file.suffix == ".hex":
            content = bytes.fromhex(content.decode("ascii"))
        if file.suffix in {".hex", ".bin"}:
            return {**rest, "payload_hex": content.hex()}
        return {**rest, "payload": content.decode("utf-8")}
    except ValueError:
        what = "hexadecimal" if file.suffix == ".hex" else "UTF-8"
        raise ValueError(f"{file.name}: no {what} text") from None


def _content(file: Path) -> bytes:
    """The bytes of a file; raises ValueError with why it has none."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{file.name}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"{file.name}: larger than {MAX_BYTES} bytes")
    return content
