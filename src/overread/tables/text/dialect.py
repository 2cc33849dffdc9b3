"""Detection of the dialect of delimited text from its first lines: comment lines, delimiter and header."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from overread import limits
from overread.errors import InputError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SAMPLE = 32_768  # bytes in which the dialect is looked for
_RECORDS = 50
_COMMENTS = 10_000
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class TableHeader:
    """Column names, delimiter, position of the first row, and departures in words.

    start, line: the position of the first byte below the header, and the number of its line.
    """

    names: list[str]
    delimiter: str
    text: bytes
    start: int
    line: int
    found: list[str]


def header(text: bytes, path: Path) -> TableHeader:
    """Find the header of a text with line feeds, after comment lines, empty lines and the `sep=;` of a spreadsheet.

    Raises
    ------
    InputError
        No header, values instead of names, spaces between columns, a duplicate name, or unclosed quotes.
    """
    comments, separator, start, line = _preamble(text, path)
    commented = _commented_header(comments, text[start : start + _SAMPLE])
    if commented:
        comments, text, line, start = comments[:-1], commented.encode() + b"\n" + text[start:], line - 1, 0
    if start >= len(text):
        raise InputError(path, "a line of column names", "no line that is not a comment", do="Check the file.")
    _check_line(text, start, path)
    sample = _sample(text, start)
    delimiter = separator or _delimiter(sample)
    names, used = _names(sample, delimiter, path)
    _check_names(names, _records(sample, delimiter)[1:], path)
    for _ in range(used):
        start = text.find(b"\n", start) + 1 or len(text)
    n = len(comments)
    found = [f"{n} comment line{'s' * (n > 1)} above the header left out"] if n else []
    return TableHeader(names, delimiter, text, start, line + used, found)


def _check_line(text: bytes, start: int, path: Path) -> None:
    """Refuse a first line that is too long for column names, before it is split."""
    end = text.find(b"\n", start)
    length = (len(text) if end < 0 else end) - start
    if length > limits.LINE_BYTES:
        found = f"one of {length:,} bytes"
        raise InputError(
            path,
            f"a first line of column names, of at most {limits.LINE_BYTES:,} bytes",
            found,
            do="Check that its lines end where they should.",
        )


def _preamble(text: bytes, path: Path) -> tuple[list[str], str, int, int]:
    """Return comment lines, the delimiter of a line `sep=`, and the position and number of the next line."""
    comments: list[str] = []
    separator, start, line = "", 0, 1
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        first = text[start:end]
        if first.startswith((b"#", b'"#')):
            comments.append(first.decode("utf-8"))
            if len(comments) > _COMMENTS:
                found = f"more than {_COMMENTS:,} comment lines above it"
                raise InputError(path, "a line of column names", found, do="Remove them.")
        elif re.fullmatch(rb'"?sep=[,;|\t]"?', first.rstrip(b" ")):
            separator = first.strip(b' "')[-1:].decode()
        elif first.strip(b" \t,;|"):
            break
        start, line = end + 1, line + 1
    return comments, separator, start, line


def _commented_header(comments: list[str], text: bytes) -> str:
    """Return the last comment line if it is the header ("#image_id,score" above rows of data), else ""."""
    if not comments:
        return ""
    below = text.partition(b"\n")[0].decode("utf-8", "ignore")
    words = comments[-1].lstrip("# ")
    for delimiter in DELIMITERS:
        names, cells = words.split(delimiter), below.split(delimiter)
        numbers = [c for c in cells if _NUMBER.fullmatch(c.strip())]
        if len(names) == len(cells) > 1 and numbers and not any(_NUMBER.fullmatch(n.strip()) for n in names):
            return words
    return ""


def _sample(text: bytes, start: int) -> str:
    """Return the first complete lines from `start` on."""
    if len(text) - start <= _SAMPLE:
        return text[start:].decode("utf-8")
    end = text.rfind(b"\n", start, start + _SAMPLE)
    if end < 0:
        end = text.find(b"\n", start)
    return text[start : end if end >= 0 else len(text)].decode("utf-8")


def _records(sample: str, delimiter: str) -> list[list[str]]:
    """Return the first non-empty records, up to one with unclosed quotes."""
    found: list[list[str]] = []
    try:
        for record in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
            if any(cell.strip() for cell in record):
                found.append(record)
            if len(found) > _RECORDS:
                break
    except csv.Error:
        pass
    return found


def _delimiter(sample: str) -> str:
    """Choose the delimiter that splits the header and most lines into the same, largest number of fields."""
    best, most = ",", 0
    headers: dict[str, int] = {}
    for delimiter in DELIMITERS:
        records = _records(sample, delimiter) if delimiter in sample else []
        if not records:
            continue
        names, rows = records[0], records[1:]
        headers[delimiter] = width = len(names)
        fields, often = Counter(len(r) for r in rows).most_common(1)[0] if rows else (width, 1)
        fits = fields in (width, width + 1) or (fields < width and not "".join(names[fields:]).strip())
        if width == 1:  # a list of one column, unless a row number stands in front of it
            fits = fields == 2 and row_numbers([r[0] for r in rows])
        if fits and 2 * often >= len(rows) and width > most:
            best, most = delimiter, width
    return best if most or not headers else max(headers, key=headers.__getitem__)


def row_numbers(values: Sequence[str | None]) -> bool:
    """Return whether the values are distinct integers, as in the row names of R and pandas."""
    return all(v is not None and v.strip().isdecimal() for v in values) and len(set(values)) == len(values)


def _names(sample: str, delimiter: str, path: Path) -> tuple[list[str], int]:
    """Return the column names and the number of their lines (a quoted name may contain a line break)."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    try:
        names = [n.strip() for n in next(reader)]
        if reader.line_num > 1:  # a line break within a name, or a quote that is open to the end of the sample
            next(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(path, "quotes that are closed", "a header whose quotes are not") from error
    return names, reader.line_num


def _check_names(names: list[str], rows: list[list[str]], path: Path) -> None:
    numbers = [n for n in names if _NUMBER.fullmatch(n)]
    if len(names) > 1 and numbers and len(numbers) >= len([n for n in names if n]) - 1:
        raise InputError(
            path,
            "a first line with the names of the columns",
            "a first line of values",
            examples=names,
            do="Add the names above it.",
        )
    words = [r[0].split() for r in rows if len(r) == 1]
    alike = bool(words) and {len(w) for w in words} == {len(names[0].split())}
    if len(names) == 1 and (' "' in names[0] or (" " in names[0] and alike)):
        raise InputError(
            path,
            "commas, semicolons or tabs between columns",
            "spaces",
            examples=[f"'{names[0]}'"],
            do="Save it as comma-separated values.",
        )
    twice = sorted(n for n, count in Counter(names).items() if n and count > 1)
    if twice:
        raise InputError(
            path, "every column once", "column names that occur twice", examples=twice, do="Keep the one to be used."
        )
