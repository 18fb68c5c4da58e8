"""Lines of text as tables: what parts the columns, whether a row names them, the decimal sign."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

_DELIMITERS: Final = (";", "\t", "|", ",")
_PAIR: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\s*([=:])\s*[^=;,&|\s]*")
_COMMENT: Final = ("#", "//")
_MOST: Final = 40


def tables_of(texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Settings of the format ``csv`` that may read these texts, the likeliest first."""
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    comment = next((sign for sign in _COMMENT if any(x.startswith(sign) for x in lines)), None)
    shared: dict[str, Any] = {"format": "csv"}
    if comment is not None:
        shared["comment"] = comment
        lines = [line for line in lines if not line.startswith(comment)]
    if not lines:
        return
    yield from (shared | pairs for pairs in _pairs(lines))
    for delimiter in _DELIMITERS:
        counts = {line.count(delimiter) for line in lines}
        if len(counts) == 1 and 0 < min(counts) <= _MOST:
            yield shared | _table(texts, lines, delimiter, comment)


def _pairs(lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    """``E=4711;U=229.8``: a row of keys and values."""
    for delimiter in (";", ",", "&", "|", "blanks"):
        parts = [
            part.strip()
            for line in lines
            for part in (line.split() if delimiter == "blanks" else line.split(delimiter))
            if part.strip()
        ]
        matches = [_PAIR.fullmatch(part) for part in parts]
        signs = {match[1] for match in matches if match is not None}
        if len(parts) > len(lines) and all(matches) and len(signs) == 1:
            yield {"pairs": signs.pop(), "delimiter": delimiter}


def _table(
    texts: Sequence[str], lines: Sequence[str], delimiter: str, comment: str | None
) -> dict[str, Any]:
    said: dict[str, Any] = {} if delimiter == "," else {"delimiter": delimiter}
    cells = [cell.strip() for line in lines for cell in line.split(delimiter)]
    if delimiter != "," and any(re.fullmatch(r"-?\d+,\d+", cell) for cell in cells):
        said["decimal"] = ","
    if not _has_header(texts, delimiter, comment):
        said["columns"] = [f"c{i + 1}" for i in range(lines[0].count(delimiter) + 1)]
    return said


def _has_header(texts: Sequence[str], delimiter: str, comment: str | None) -> bool:
    """Whether each text begins with a row of words, the same in all of them."""
    firsts = []
    for text in texts:
        rows = [
            x for x in text.splitlines() if x.strip() and not (comment and x.startswith(comment))
        ]
        if len(rows) < 2:
            return False
        firsts.append(rows[0])
    words = [cell.strip() for cell in firsts[0].split(delimiter)]
    named = all(re.search(r"[^\W\d]", word) and not re.search(r"\d{3}", word) for word in words)
    return named and len(set(firsts)) == 1 and len(set(words)) == len(words)
