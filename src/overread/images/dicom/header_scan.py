"""Table of the headers of many DICOM files, read from their first bytes by several processes, resumable."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl

from overread import limits, regular
from overread.errors import InputError
from overread.images.dicom.headers import TAGS, Header, dataset_of, header_of
from overread.images.raster.file_content import content
from overread.images.raster.image_faults import lenient
from overread.images.store.executors import in_portions
from overread.images.store.worker_pool import WorkItem
from overread.tables import write_frame

_PORTION = 256
_FIRST = 1 << 13  # bytes read at first
_PIXELS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_KEEP_EVERY = 40  # portions after which the cache is written
SCHEMA = {
    "path": pl.String,
    "size": pl.Int64,
    "changed": pl.Int64,
    "fault": pl.String,
    "kind": pl.String,
    **dict.fromkeys(
        (
            "patient_id",
            "issuer",
            "study",
            "series",
            "image",
            "accession",
            "sop_class",
            "modality",
            "view",
            "laterality",
            "body_part",
            "sex",
            "manufacturer",
            "device",
            "station",
            "photometric",
            "transfer_syntax",
            "burned_in",
            "notes",
        ),
        pl.String,
    ),
    "age_years": pl.Float64,
    "pixel_mm": pl.Float64,
    "acquired": pl.Date,
    "secondary": pl.Boolean,
    "rows": pl.Int64,
    "columns": pl.Int64,
    "frames": pl.Int64,
}

_FIELDS = tuple(f.name for f in fields(Header) if f.name != "notes")


def scan(
    paths: Sequence[Path],
    *,
    workers: int | str = 1,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Read the headers of files into a table, one row per file in the order of `paths`.

    Parameters
    ----------
    paths : sequence of Path
        Files of any kind. A file that is not DICOM has its `kind` by content, an unreadable file its `fault`.
    workers : int or str
        Number of processes (1 = this process; no decoder runs, and the bytes read per file are limited), or the
        address of a Dask scheduler.
    cache : Path, optional
        Parquet file with the rows read so far, written during the scan. Files with the same size and modification time
        are not read again, so that an interrupted scan can resume.
    progress : callable, optional
        Called with (files done, files in all).

    Returns
    -------
    DataFrame
        Columns of `SCHEMA`: path, size in bytes, changed (modification time in ns), kind ("DICOM", "PNG", ...), fault,
        and the fields of `headers.Header`, with its notes joined by "; ".
    """
    file_states = pl.DataFrame([_state(p) for p in paths], schema=_STATE, orient="row")
    known = _known(cache, file_states)
    missing = file_states.join(known, on="path", how="anti", maintain_order="left")
    names = missing["path"].to_list()
    portions = (tuple(names[i : i + _PORTION]) for i in range(0, len(names), _PORTION))
    made, done = [known], known.height
    report = progress or (lambda done, total: None)
    report(done, file_states.height)
    processes = 0 if workers == 1 or len(names) <= _PORTION else workers
    with closing(in_portions(WorkItem(_row, _gathered, _lost), portions, processes)) as stream:
        for number, part in enumerate(stream, 1):
            made.append(part)
            done += part.height
            report(done, file_states.height)
            if cache is not None and number % _KEEP_EVERY == 0:
                write_frame(pl.concat(made), cache)
    headers_table = pl.concat(made)
    if cache is not None and names:
        write_frame(headers_table, cache)
    return file_states.select("path").join(headers_table, on="path", how="left", maintain_order="left")


_STATE = {"path": pl.String, "size": pl.Int64, "changed": pl.Int64}


def _state(path: Path | str) -> tuple[str, int, int]:
    try:
        found = os.stat(path)
        return str(path), found.st_size, found.st_mtime_ns
    except OSError:
        return str(path), -1, -1


def _known(cache: Path | None, stated: pl.DataFrame) -> pl.DataFrame:
    """Rows of the cache whose files are unchanged."""
    if cache is None or not cache.is_file():
        return pl.DataFrame(schema=SCHEMA)
    try:
        cached_rows = pl.read_parquet(cache)
    except (pl.exceptions.PolarsError, OSError):  # damaged: read again
        return pl.DataFrame(schema=SCHEMA)
    if dict(cached_rows.schema) != SCHEMA:  # of another version: read again
        return pl.DataFrame(schema=SCHEMA)
    return cached_rows.join(stated, on=list(_STATE), how="semi", nulls_equal=True)


def headers(paths: Sequence[str]) -> pl.DataFrame:
    """Table of the headers of these files."""
    return _gathered([_row(path) for path in paths])


def _row(name: str) -> dict[str, Any]:
    path, size, changed = _state(name)
    row: dict[str, Any] = {"path": path, "size": size, "changed": changed, "fault": "", "kind": ""}
    try:
        head = _head(Path(path), size)
        row["kind"] = content(head[:512])
        if row["kind"] == "DICOM":
            with lenient():
                found = header_of(dataset_of(head, path, with_pixels=False, tags=TAGS), path)
            row |= {name: getattr(found, name) for name in _FIELDS}
            row["notes"] = "; ".join(found.notes)
    except regular.NotRegular as error:
        row["kind"] = error.found
    except InputError as error:
        row["fault"] = error.found
    except OSError as error:
        row["fault"] = f"a file that cannot be opened: {error.strerror or error}"
    return row


def _lost(name: str, why: str) -> dict[str, Any]:
    path, size, changed = _state(name)
    return {"path": path, "size": size, "changed": changed, "fault": why, "kind": ""}


def _gathered(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def _head(path: Path, size: int) -> bytes:
    """First bytes of the file up to the pixel data."""
    with regular.opened(path) as file:
        head = file.read(_FIRST)
        while len(head) < min(size, limits.HEADER_BYTES) and _goes_on(head):
            head += file.read(7 * len(head))
    return head


def _goes_on(head: bytes) -> bool:
    return content(head[:512]) == "DICOM" and not any(tag in head for tag in _PIXELS)
