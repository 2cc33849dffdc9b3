"""Tables in files: Parquet, and delimited text as programs and countries write it.

Delimiter (comma, semicolon, tab, vertical bar), encoding (UTF-8, UTF-16, UTF-32, Windows-1252), line ends, decimal
commas, comment lines above the header and a column of row names are detected. `Loaded.dialect` states each departure
from UTF-8 text with commas. What cannot be read is an InputError that names the line.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from overread.errors import InputError
from overread.tables.dialect import DELIMITERS, Header, header, row_numbers
from overread.tables.encoding import decoded
from overread.tables.signatures import EXPECTED, refuse_binary, refuse_markup
from overread.tables.spreadsheet import unmarked, unmarked_names

_BLOCK = 262_144
_DAYS = (-719_162, 2_932_896)  # since 1970: the first day of the year 1, the last of 9999
_PLAIN = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Null)  # and numbers: types of a Parquet column that are read
_MISSING = r"(?i:na|nan|n/a|null|none|-)"
_DECIMAL_COMMA = r"^\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*$"
_LOCAL_NUMBER = rf"^\s*([+-]?(\d+|\d*,\d+)([eE][+-]?\d+)?|{_MISSING})\s*$"
_THOUSANDS_COMMA = r"^\s*[+-]?[1-9]\d{0,2}(,\d{3})+\s*$"
_GROUPED = r"^\s*[+-]?\d{1,3}([,.'  ]\d{3})+([.,]\d+)?\s*$"


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """The frame of a file (of text every cell as text, empty = null) and departures from UTF-8 with commas."""

    frame: pl.DataFrame
    dialect: tuple[str, ...] = ()


def load(path: Path | str, *, encoding: str = "") -> Loaded:
    """Read a Parquet file or delimited text, also compressed with gzip.

    Parameters
    ----------
    path : Path or str
        The file; what it is is told by its content.
    encoding : str
        The encoding of the text, a name that Python knows; "" = detected.

    Returns
    -------
    Loaded
        The frame and its dialect in words.

    Raises
    ------
    InputError
        The file is absent, empty, of another format or encoding, or a line does not have the header's fields.
    """
    path = Path(path)
    content = _content(path)
    if content.startswith(b"PAR1") or path.name.endswith(".parquet"):
        return Loaded(_parquet(path))
    refuse_binary(content, path)
    text, words = decoded(content, path, encoding)
    refuse_markup(text[:1000].decode("utf-8", "ignore"), path)
    if b"\r" in text:
        words += [] if b"\n" in text else ["lines that end in carriage returns only"]
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    head = header(text, path)
    frame, names = _cells(head, path)
    frame, marks = unmarked(frame)
    words += [f"{marks:,} cells with an apostrophe before =, +, - or @, read without it"] if marks else []
    frame, naming = _named(frame, unmarked_names(names))
    if frame.width and frame.to_series(0).null_count():
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))  # the empty lines that spreadsheets leave
    frame, decimals = _decimal_points(frame, head.delimiter)
    delimiter = [] if head.delimiter == "," else [f"{DELIMITERS[head.delimiter]} between columns"]
    return Loaded(frame, (*delimiter, *decimals, *words, *head.found, *naming))


def number_advice(values: Iterable[str | None]) -> str:
    """What to do about text that should be a number: a decimal comma or thousands separators; "" for other text.

    >>> number_advice(["1,234.5"])
    'Write numbers without thousands separators and with a decimal point.'
    """
    text = pl.Series(["" if v is None else str(v) for v in values], dtype=pl.String)
    if text.str.contains(_GROUPED).any():
        return "Write numbers without thousands separators and with a decimal point."
    return "Write numbers with a decimal point." if text.str.contains(_DECIMAL_COMMA).any() else ""


def _content(path: Path) -> bytes:
    if not os.path.isfile(path):  # also where the name is too long
        raise InputError(path, "a CSV or Parquet file", "no file there", do="Check the path.")
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = _unpacked(content)
    except PermissionError as error:
        raise InputError(path, EXPECTED, "no permission to read it") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        do = "Copy or download it again."
        raise InputError(path, EXPECTED, "a gzip file that is damaged or cut short", do=do) from error
    except OSError as error:
        raise InputError(path, EXPECTED, f"a file that cannot be read ({error.strerror})") from error
    if not content:
        raise InputError(path, "a CSV or Parquet file", "an empty file (0 bytes)")
    return content


def _unpacked(content: bytes) -> bytes:
    """The content of a gzip file; of one member in a buffer of the size that it states, at half the time."""
    size = int.from_bytes(content[-4:], "little")
    if content.count(b"\x1f\x8b\x08") > 1 or not 0 < size < 1100 * len(content):  # deflate packs by 1,032 at most
        return gzip.decompress(content)
    return zlib.decompress(content, wbits=31, bufsize=size)


def _parquet(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError) as error:
        do = "Write it again, or give a CSV file whose name ends in .csv."
        raise InputError(path, EXPECTED, "no Parquet file, or a damaged one", do=do) from error
    odd = {
        c: kind
        for c, kind in frame.schema.items()
        if not (kind.is_numeric() or kind in _PLAIN or isinstance(kind, pl.Categorical | pl.Enum))
    }
    if odd:
        raise InputError(
            path, "columns of text, numbers, dates or Booleans", f"{len(odd)} of other types",
            examples=[f"'{c}': {str(kind).split('(')[0]}" for c, kind in odd.items()],
            do="Write them as text, or leave them out.",
        )  # fmt: skip
    _refuse_far_dates(frame, path)
    return frame.with_columns(
        pl.col(c).cast(pl.String) for c, kind in frame.schema.items() if isinstance(kind, pl.Categorical | pl.Enum)
    )


def _refuse_far_dates(frame: pl.DataFrame, path: Path) -> None:
    """Refuse dates outside the years 1 to 9999, which cannot be written as text; a damaged file can hold them."""
    day = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.Datetime):
            days = frame[name].to_physical() // day[kind.time_unit]
        elif kind == pl.Date:
            days = frame[name].to_physical()
        else:
            continue
        far = days.filter(~days.is_between(*_DAYS).fill_null(True))
        if far.len():
            found = f"{far.len():,} that are none of the years 1 to 9999"
            raise InputError(path, f"dates in '{name}'", found, do="Write the column as text.")


def _cells(head: Header, path: Path) -> tuple[pl.DataFrame, list[str]]:
    """The cells below the header as text, and the columns' names as the lines have them."""
    if head.start >= len(head.text):
        return pl.DataFrame(schema={str(i): pl.String for i in range(len(head.names))}), head.names
    frame = _uniform(head)
    return (frame, head.names) if frame is not None else _by_line(head, path)


def _uniform(head: Header) -> pl.DataFrame | None:
    """The cells of a text whose every line is provably a row of as many fields as the header has; else None.

    Polars fills short lines with nulls and does not say so: delimiters and line feeds are counted here.
    """
    text, start = head.text, head.start
    quoted = text.find(b'"', start) >= 0
    if quoted and text.find(b'""', start) >= 0:
        return None
    names = [str(i) for i in range(len(head.names))]
    try:
        frame = pl.read_csv(
            text, has_header=False, schema=dict.fromkeys(names, pl.String), separator=head.delimiter,
            skip_lines=_count(text[:start], "\n", 0),
        )  # fmt: skip
    except pl.exceptions.PolarsError:
        return None
    if _count(text, head.delimiter, start) != frame.height * (len(names) - 1):
        return None
    if quoted:  # a quoted delimiter may make up for a short line, which ends in a null
        rows = _count(text, "\n", start) + (not text.endswith(b"\n"))
        if frame.height != rows or frame[names[-1]].null_count():
            return None
    return frame


def _count(text: bytes, character: str, start: int) -> int:
    """Occurrences from `start` on: ten times as fast as bytes.count; by blocks, since fresh memory is slow."""
    values = np.frombuffer(text, np.uint8)
    blocks = (values[i : i + _BLOCK] for i in range(start, len(values), _BLOCK))
    return sum(int(np.count_nonzero(block == ord(character))) for block in blocks)


def _by_line(head: Header, path: Path) -> tuple[pl.DataFrame, list[str]]:
    """The cells, record by record; a record of another number of fields is an error that names its line."""
    records, starts, before = [], [], 0
    reader = csv.reader(
        io.StringIO(head.text[head.start :].decode("utf-8"), newline=""), delimiter=head.delimiter, strict=True
    )
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                records.append(record)
                starts.append(head.line + before)
            before = reader.line_num
    except csv.Error as error:
        found = f"a quote in line {head.line + before:,} that is not closed, or that text follows"
        raise InputError(path, "quotes in pairs around a cell", found, do="Double a quote within a cell.") from error
    names, width = head.names, len(head.names)
    widths = {len(r) for r in records}
    if widths == {width + 1}:  # a delimiter at the end of each line, or R's row names in front
        if all(not r[-1].strip() for r in records):
            records = [r[:-1] for r in records]
        else:
            names = ["", *names]
    elif len(widths) == 1 and not any(names[max(widths) :]):  # delimiters at the end of the header only
        names = names[: max(widths)]
    _refuse_ragged(records, starts, len(names), path)
    columns = zip(*records, strict=True) if records else [()] * len(names)
    frame = pl.DataFrame([pl.Series(str(i), values, dtype=pl.String) for i, values in enumerate(columns)])
    return frame.with_columns(pl.all().replace("", None)), names


def _refuse_ragged(records: list[list[str]], lines: list[int], width: int, path: Path) -> None:
    wrong = [(n, len(r)) for n, r in zip(lines, records, strict=True) if len(r) != width]
    if not wrong:
        return
    usual = Counter(fields for _, fields in wrong).most_common(1)[0][0]
    do = "Put a cell that holds a delimiter or a line break in quotes."
    if len(wrong) == len(records) and len({fields for _, fields in wrong}) == 1:
        raise InputError(path, f"{width} fields in every line, as in the header", f"{usual} in every line below it",
                         do=do)  # fmt: skip
    raise InputError(
        path, f"{width} fields in every line, as in the header", f"{len(wrong):,} lines with another number",
        examples=[f"line {n:,}: {fields}" for n, fields in wrong], do=do,
    )  # fmt: skip


def _named(frame: pl.DataFrame, names: list[str]) -> tuple[pl.DataFrame, list[str]]:
    """The frame under the header's names. Row numbers without a name are left out, other nameless columns named."""
    if all(names) and names[0] != "Unnamed: 0":
        frame.columns = names
        return frame, []
    found: list[str] = []
    keep: dict[str, str] = {}
    for i, (column, name) in enumerate(zip(frame.columns, names, strict=True)):
        if name and not (i == 0 and name == "Unnamed: 0"):  # what pandas calls a column of row names
            keep[column] = name
        elif frame[column].null_count() == frame.height:
            continue
        elif i == 0 and row_numbers(frame[column].to_list()):
            found.append("row names in the first column left out")
        else:
            keep[column] = "row_name" if i == 0 else f"column {i + 1}"
            found.append(f"column {i + 1}, which has no name, is called '{keep[column]}'")
    return frame.select(pl.col(c).alias(name) for c, name in keep.items()), found


def _decimal_points(frame: pl.DataFrame, delimiter: str) -> tuple[pl.DataFrame, list[str]]:
    """Columns of numbers with decimal commas, with points. "1,234" alone may be 1.234 or 1234 and stays as it is.

    Where any column has certain decimal commas, the file's locale is known, and the uncertain columns follow it.
    """
    if delimiter == ",":
        return frame, []
    likely, certain = [], False
    for column in frame.get_columns():
        comma = column.str.contains(_DECIMAL_COMMA)
        if comma.any() and column.drop_nulls().str.contains(_LOCAL_NUMBER).all():
            likely.append(column.name)
            certain |= not column.filter(comma).str.contains(_THOUSANDS_COMMA).all()
    if not certain:
        return frame, []
    pointed = frame.with_columns(pl.col(likely).str.replace(",", ".", literal=True))
    return pointed, [f"decimal commas in {', '.join(likely[:5])}{', …' if len(likely) > 5 else ''}"]
