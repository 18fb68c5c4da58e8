"""Lines of text: separated columns (RFC 4180), columns of fixed width, or pairs of key and value.

All values are texts, as they were sent; a profile reads numbers of them with ``text: true``.  An
empty value is absent.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import Final

from gateway.decode.document import Context, Document, Parse
from gateway.decode.plain import bounded
from gateway.errors import DecodeError
from gateway.profiles.formats import BLANKS, Csv

MAX_ROWS: Final = 10_000
MAX_COLUMNS: Final = 500

Row = dict[str, str]
_Table = Callable[[list[str]], list[Row]]

_COMMA: Final = re.compile(r"[-+]?[0-9]+,[0-9]+")
_BLANKS: Final = re.compile(r"[ \t]+")


def compile_csv(settings: Csv) -> Parse:
    """A parser of lines of text.

    Returns:
        A function from bytes to ``{"rows": [{column: text}]}``, a row a line; blanks around a
        value are left out, as are empty values and columns without a name.

        It raises DecodeError ``too_large``, ``unparseable`` (another encoding, open quotes, another
        number of values), ``missing_field`` (no row) or ``duplicate_key``.
    """
    limit, encoding = settings.max_bytes, settings.encoding
    table = _table(settings)

    def parse(payload: bytes, _context: Context) -> Document:
        bounded(payload, limit)
        try:
            text = payload.decode(encoding)
        except UnicodeDecodeError as error:
            raise DecodeError(
                "unparseable",
                f"byte {error.start} is no {encoding} ({error.reason}); the payload begins "
                f"{payload[:16].hex(' ')}",
            ) from error
        rows = table(_lines(text, settings))
        if not rows:
            raise DecodeError("missing_field", "no row: the message has no line with values")
        return {"rows": rows}

    return parse


def _lines(text: str, settings: Csv) -> list[str]:
    """Lines with their ends, without those before the table, comments and empty ones."""
    # Only what RFC 4180 and its writers take for the end of a line; a quoted one is put together
    # again by the reader.
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="").readlines()[settings.skip :]
    if settings.comment is not None:
        lines = [line for line in lines if not line.startswith(settings.comment)]
    if len(lines) > MAX_ROWS + 1:
        raise DecodeError("too_large", f"{len(lines)} lines, at most {MAX_ROWS}")
    return lines


def _table(settings: Csv) -> _Table:
    """From lines to rows, by the layout."""
    if settings.pairs is not None:
        return _pairs(settings, settings.pairs)
    if isinstance(settings.columns, dict):
        return _fixed(settings, settings.columns)
    return _separated(settings, settings.columns)


def _texts(settings: Csv) -> Callable[[list[tuple[str, str]]], Row]:
    """A row of names and values: empty ones left out, decimal commas as points."""
    if settings.decimal == ".":
        return lambda pairs: {name: value for name, value in pairs if value}

    def commas(pairs: list[tuple[str, str]]) -> Row:
        return {
            name: value.replace(",", ".") if _COMMA.fullmatch(value) else value
            for name, value in pairs
            if value
        }

    return commas


# -- separated columns ---------------------------------------------------------------------------


def _separated(settings: Csv, said: list[str] | None) -> _Table:
    texts, named, short = _texts(settings), settings.named, settings.short_rows

    def table(lines: list[str]) -> list[Row]:
        names = None if named else said
        rows: list[Row] = []
        for at, values in _values(lines, settings):
            if not any(values):
                continue
            if names is None:
                names = _header(values, said)
                continue
            if len(values) > len(names):
                # A delimiter at the end of a line ends its last value.
                while len(values) > len(names) and not values[-1]:
                    values.pop()
            if len(values) > len(names) or (len(values) < len(names) and not short):
                raise DecodeError(
                    "unparseable",
                    f"row {at} has {len(values)} values, and there are {len(names)} columns: "
                    f"{_shown(values)}",
                )
            rows.append(texts(list(zip(names, values, strict=False))))
            if "" in names:
                rows[-1].pop("", None)
        return rows

    return table


def _values(lines: list[str], settings: Csv) -> Iterator[tuple[int, list[str]]]:
    """Each row's number and values."""
    if settings.delimiter == BLANKS:
        for at, line in enumerate(lines, 1):
            stripped = line.strip()
            yield at, _BLANKS.split(stripped) if stripped else []
        return
    quote = settings.quote
    reader = csv.reader(
        lines,
        delimiter=settings.delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL,
        strict=True,
        # Blanks before a quote, as many devices write them.
        skipinitialspace=settings.delimiter != " ",
    )
    at = 0
    try:
        for at, values in enumerate(reader, 1):
            if len(values) > MAX_COLUMNS:
                raise DecodeError("too_large", f"row {at} has more than {MAX_COLUMNS} values")
            yield at, [value.strip() for value in values]
    except csv.Error as error:
        line = lines[min(reader.line_num, len(lines)) - 1]
        raise DecodeError(
            "unparseable", f"row {at + 1} (RFC 4180): {error}; it begins {line[:60]!r}"
        ) from error


def _header(values: list[str], said: list[str] | None) -> list[str]:
    """The names that the first row says; those that the profile says must be they."""
    if said is not None and values != said:
        raise DecodeError(
            "unparseable",
            f"the first row must name the columns {_shown(said)}, got {_shown(values)}",
        )
    seen: set[str] = set()
    for name in values:
        if name and name in seen:
            raise DecodeError("duplicate_key", f"two columns have the name {name[:60]!r}")
        seen.add(name)
    return values


def _shown(values: list[str]) -> str:
    return repr(",".join(values)[:80])


# -- columns of fixed width ----------------------------------------------------------------------


def _fixed(settings: Csv, columns: dict[str, tuple[int, int]]) -> _Table:
    texts, short = _texts(settings), settings.short_rows
    places = [(name, first, first + width) for name, (first, width) in columns.items()]
    last = max(end for _, _, end in places)

    def table(lines: list[str]) -> list[Row]:
        rows: list[Row] = []
        for at, ended in enumerate(lines, 1):
            line = ended.rstrip("\r\n")
            if not line.strip():
                continue
            if len(line) < last and not short:
                raise DecodeError(
                    "unparseable",
                    f"line {at} has {len(line)} signs, the columns end at {last}: {line[:60]!r}",
                )
            rows.append(texts([(name, line[first:end].strip()) for name, first, end in places]))
        return [row for row in rows if row]

    return table


# -- pairs of key and value ----------------------------------------------------------------------


def _pairs(settings: Csv, sign: str) -> _Table:
    texts = _texts(settings)

    def table(lines: list[str]) -> list[Row]:
        rows = []
        for at, values in _values(lines, settings):
            pairs = [_pair(value, sign, at) for value in values if value]
            if len({name for name, _ in pairs}) < len(pairs):
                names = [name for name, _ in pairs]
                twice = next(name for name in names if names.count(name) > 1)
                raise DecodeError("duplicate_key", f"row {at} has the key {twice[:60]!r} twice")
            if pairs:
                rows.append(texts(pairs))
        return [row for row in rows if row]

    return table


def _pair(value: str, sign: str, at: int) -> tuple[str, str]:
    name, between, said = value.partition(sign)
    name = name.strip()
    if not between or not name:
        raise DecodeError(
            "unparseable", f"row {at}: {value[:60]!r} is no key and value with {sign!r} between"
        )
    return name, said.strip()
