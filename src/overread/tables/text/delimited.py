"""Tables in Parquet files and in delimited text of any common dialect.

Delimiter (comma, semicolon, tab, vertical bar), encoding (UTF-8, UTF-16, UTF-32, Windows-1252), line ends, decimal
commas, comment lines above the header and a column of row names are detected. `Loaded.dialect` describes departures
from UTF-8 text with commas. A file that cannot be read is an InputError that names the line.
"""

from __future__ import annotations

import csv
import io
import os
import zlib
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from overread import limits, regular
from overread.errors import InputError
from overread.tables.frames import NamedFrame
from overread.tables.text.dialect import DELIMITERS, TableHeader, header, row_numbers
from overread.tables.text.encoding import decoded
from overread.tables.text.signatures import EXPECTED, refuse_binary, refuse_markup
from overread.tables.text.spreadsheet import unmarked, unmarked_names

_BLOCK = 262_144
_PIECE = 1 << 24  # bytes that are unpacked at a time
_LARGER = "Divide it by site or by finding, or save only the columns that are needed."
_DAYS = (-719_162, 2_932_896)  # since 1970: the first day of the year 1, the last of 9999
_PLAIN = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Null)  # and numbers: types of a Parquet column that are read
_MISSING = r"(?i:na|nan|n/a|null|none|-)"
_DECIMAL_COMMA = r"^\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*$"
_LOCAL_NUMBER = rf"^\s*([+-]?(\d+|\d*,\d+)([eE][+-]?\d+)?|{_MISSING})\s*$"
_THOUSANDS_COMMA = r"^\s*[+-]?[1-9]\d{0,2}(,\d{3})+\s*$"
_GROUPED = r"^\s*[+-]?\d{1,3}([,.'  ]\d{3})+([.,]\d+)?\s*$"


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """The frame of a file (cells of text files as text, empty = null) and its departures from UTF-8 with commas."""

    frame: pl.DataFrame
    dialect: tuple[str, ...] = ()


def load(path: Path | str | NamedFrame, *, encoding: str = "") -> Loaded:
    """Read a Parquet file or delimited text, optionally compressed with gzip; or accept a frame in place of such a
    file.

    Parameters
    ----------
    path : Path or str or NamedFrame
        The file; its format is detected from its content. A frame must follow the rules for Parquet files.
    encoding : str
        The encoding of the text, by its Python name; "" = detected.

    Returns
    -------
    Loaded
        The frame and a description of its dialect.

    Raises
    ------
    InputError
        The file is missing, empty, or of another format or encoding, or a line does not have the fields of the header.
    """
    if isinstance(path, NamedFrame):
        return Loaded(_checked(path.frame, path))
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
    _check_text(head, path)
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
    """Suggest how to write text that should be a number: decimal comma, thousands separators; "" for other text.

    Parameters
    ----------
    values : iterable of str or None
        The text.

    Returns
    -------
    str
        A sentence, or "".

    Examples
    --------
    >>> number_advice(["1,234.5"])
    'Write numbers without thousands separators and with a decimal point.'
    """
    text = pl.Series(["" if v is None else str(v) for v in values], dtype=pl.String)
    if text.str.contains(_GROUPED).any():
        return "Write numbers without thousands separators and with a decimal point."
    return "Write numbers with a decimal point." if text.str.contains(_DECIMAL_COMMA).any() else ""


def _content(path: Path) -> bytes:
    if regular.kind(path):
        with regular.opened(path):  # raises
            pass
    if not os.path.isfile(path):  # also where the name is too long
        raise InputError(path, "a CSV or Parquet file", "no file there", do="Check the path.")
    try:
        with regular.opened(path, most=limits.TABLE_BYTES) as file:
            head = file.read(4)
        if head == b"PAR1":
            return head
        content = regular.content(path, most=limits.TEXT_BYTES)
        if content.startswith(b"\x1f\x8b"):
            content = _unpacked(content, path)
    except PermissionError as error:
        raise InputError(path, EXPECTED, "no permission to read it") from error
    except (EOFError, zlib.error) as error:
        do = "Copy or download it again."
        raise InputError(path, EXPECTED, "a gzip file that is damaged or cut short", do=do) from error
    except OSError as error:
        raise InputError(path, EXPECTED, f"a file that cannot be read ({error.strerror})") from error
    if not content:
        raise InputError(path, "a CSV or Parquet file", "an empty file (0 bytes)")
    return content


def _unpacked(content: bytes, path: Path) -> bytes:
    """Decompress a gzip file, up to the largest size of a table.

    A single member is decompressed by libdeflate in a buffer of the stated size. Several members, a wrong stated size
    and damaged files are decompressed in pieces by zlib.
    """
    most, size = limits.TEXT_BYTES, int.from_bytes(content[-4:], "little")
    one = content.count(b"\x1f\x8b\x08") == 1 and 0 < size < 1100 * len(content)  # deflate packs by 1,032 at most
    if one and size <= most:
        import imagecodecs  # loads its libraries as they are asked for

        with suppress(imagecodecs.GzipError, MemoryError):
            return bytes(imagecodecs.gzip_decode(content, out=size))
    pieces, length = [], 0
    while content:
        inflater = zlib.decompressobj(wbits=31)
        while not inflater.eof:
            piece = inflater.decompress(content, _PIECE)
            content = inflater.unconsumed_tail
            if not piece and not content and not inflater.eof:
                raise EOFError
            length += len(piece)
            if length > most:
                raise InputError(path, f"at most {most:,} bytes of text when unpacked", "more", do=_LARGER)
            pieces.append(piece)
        content = inflater.unused_data.lstrip(b"\0")
    return b"".join(pieces)


def _parquet(path: Path) -> pl.DataFrame:
    """Read a Parquet file; size and types are checked first, because few bytes can hold many rows."""
    damaged = InputError(
        path,
        EXPECTED,
        "no Parquet file, or a damaged one",
        do="Write it again, or give a CSV file whose name ends in .csv.",
    )
    faults = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError)
    try:
        lazy = pl.scan_parquet(path, glob=False)
        schema, rows = lazy.collect_schema(), int(lazy.select(pl.len()).collect().item())
    except faults as error:
        raise damaged from error
    _check_size(path, rows, len(schema))
    _check_types(path, schema)
    try:
        frame = pl.read_parquet(path, glob=False)
    except faults as error:
        raise damaged from error
    return _checked(frame, path)


def _checked(frame: pl.DataFrame, path: Path | NamedFrame) -> pl.DataFrame:
    """Check size, types and dates of a typed table; categories become text."""
    _check_size(path, frame.height, frame.width)
    _check_types(path, frame.schema)
    _refuse_far_dates(frame, path)
    words = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Categorical | pl.Enum)]
    return frame.with_columns(pl.col(words).cast(pl.String))


def _check_types(path: Path | NamedFrame, schema: pl.Schema) -> None:
    """Refuse columns other than text, numbers, dates and Booleans."""
    fine = (pl.Categorical, pl.Enum)
    odd = {n: t for n, t in schema.items() if not (t.is_numeric() or t in _PLAIN or isinstance(t, fine))}
    if odd:
        raise InputError(
            path,
            "columns of text, numbers, dates or Booleans",
            f"{len(odd)} of other types",
            examples=[f"'{name}': {str(kind).split('(')[0]}" for name, kind in odd.items()],
            do="Write them as text, or leave them out.",
        )


def _refuse_far_dates(frame: pl.DataFrame, path: Path | NamedFrame) -> None:
    """Refuse dates outside the years 1 to 9999, which cannot be written as text and occur in damaged files."""
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


def _check_text(head: TableHeader, path: Path) -> None:
    """Refuse an overlong line, and more cells than a table may have, counting those that would be filled in short
    lines.
    """
    size, columns = len(head.text) - head.start, len(head.names)
    for place in range(head.start, len(head.text) - limits.ROW_BYTES, limits.ROW_BYTES):
        if head.text.find(b"\n", place, place + limits.ROW_BYTES) < 0:
            found = f"a longer one around byte {place:,}"
            raise InputError(
                path,
                f"lines of at most {limits.ROW_BYTES:,} bytes",
                found,
                do="Check that its lines end where they should.",
            )
    if columns > limits.COLUMNS or size * columns > limits.CELLS:  # else it cannot have so many, whatever is in it
        lines = _count(head.text, "\n", head.start) + 1
        delimiters = _count(head.text, head.delimiter, head.start) if size > limits.CELLS else 0
        _check_size(path, max(lines, delimiters // columns), columns)


def _check_size(path: Path | NamedFrame, rows: int, columns: int) -> None:
    """Refuse a table with too many cells or columns for memory."""
    if columns > limits.COLUMNS:
        do = "Give one row for each finding, with the columns image_id, finding and so on."
        raise InputError(path, f"a table of at most {limits.COLUMNS:,} columns", f"{columns:,}", do=do)
    if rows * columns > limits.CELLS:
        found = f"{rows:,} rows of {columns:,}"
        raise InputError(path, f"a table of at most {limits.CELLS:,} cells", found, do=_LARGER)


def _cells(head: TableHeader, path: Path) -> tuple[pl.DataFrame, list[str]]:
    """Return the cells below the header as text, and the column names."""
    if head.start >= len(head.text):
        return pl.DataFrame(schema={str(i): pl.String for i in range(len(head.names))}), head.names
    frame = _uniform(head)
    return (frame, head.names) if frame is not None else _by_line(head, path)


def _uniform(head: TableHeader) -> pl.DataFrame | None:
    """Parse a text in which every line provably has the number of fields of the header; otherwise None.

    Polars fills short lines with nulls without a message, so delimiters and line feeds are counted here.
    """
    text, start = head.text, head.start
    quoted = text.find(b'"', start) >= 0
    if quoted and text.find(b'""', start) >= 0:
        return None
    names = [str(i) for i in range(len(head.names))]
    try:
        frame = pl.read_csv(
            text,
            has_header=False,
            schema=dict.fromkeys(names, pl.String),
            separator=head.delimiter,
            skip_lines=_count(text[:start], "\n", 0),
        )
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
    """Count a character from `start` on, ten times as fast as bytes.count; in blocks, since new memory is slow."""
    values = np.frombuffer(text, np.uint8)
    blocks = (values[i : i + _BLOCK] for i in range(start, len(values), _BLOCK))
    return sum(int(np.count_nonzero(block == ord(character))) for block in blocks)


def _by_line(head: TableHeader, path: Path) -> tuple[pl.DataFrame, list[str]]:
    """Parse the text record by record; a record with another number of fields is an error that names its line."""
    cells = max(
        (_count(head.text, "\n", head.start) + 1) * len(head.names), _count(head.text, head.delimiter, head.start)
    )
    if cells > limits.QUOTED_CELLS:
        found = f"{cells:,}, with quotes within quotes, or in lines of unequal length"
        raise InputError(path, f"at most {limits.QUOTED_CELLS:,} cells of such text", found, do="Save it as Parquet.")
    records, starts, before = [], [], 0
    reader = csv.reader(
        io.TextIOWrapper(io.BytesIO(head.text[head.start :]), "utf-8", newline=""),
        delimiter=head.delimiter,
        strict=True,
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
        raise InputError(
            path, f"{width} fields in every line, as in the header", f"{usual} in every line below it", do=do
        )
    raise InputError(
        path,
        f"{width} fields in every line, as in the header",
        f"{len(wrong):,} lines with another number",
        examples=[f"line {n:,}: {fields}" for n, fields in wrong],
        do=do,
    )


def _named(frame: pl.DataFrame, names: list[str]) -> tuple[pl.DataFrame, list[str]]:
    """Apply the names of the header. An unnamed column of row numbers is dropped; other unnamed columns get names."""
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
    """Replace decimal commas in columns of numbers. "1,234" is ambiguous and is not changed on its own.

    If any column has unambiguous decimal commas, ambiguous columns are read in the same way.
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
