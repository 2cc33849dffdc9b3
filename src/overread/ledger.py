"""The ledger of accesses to test labels: one JSON line per entry, each with the hash of the previous one.

A line that is changed, removed or inserted later breaks the chain, and `read` names it. Removal of lines at the end
does not break it; therefore every evaluation keeps the head (number and hash of its entry), and `faults` compares them.
The ledger shows how often test labels were accessed through overread, not whether they were accessed in another way.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from overread import regular
from overread.errors import InputError
from overread.tables import locked, records, replacing
from overread.tables.records.kinds import EntryRecord

ACCESS = "access to test labels"
TORN_TAIL = "torn tail"
MISSING = "missing entry"
KINDS = (ACCESS, TORN_TAIL, MISSING)

_FIRST = "0" * 64
_BLOCK = 4096  # bytes read from the end at a time


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry: type and time of the access, analysis, models, number of cases, and protocol.

    An entry of kind "torn tail" reports that an incomplete line (after a crash) was moved to the file
    `LEDGER.torn-FRAGMENT`, where FRAGMENT is the beginning of `fragment`, the SHA-256 of its bytes. An entry of kind
    "missing entry" reports that the entry with hash `fragment`, kept by an earlier evaluation, is no longer in the
    ledger.
    """

    number: int
    time: str
    kind: str
    analysis: str
    models: tuple[str, ...]
    cases: int
    labels_hash: str
    protocol_hash: str
    fragment: str
    previous: str
    hash: str

    @property
    def head(self) -> dict[str, Any]:
        """Number and hash of the entry."""
        return {"number": self.number, "hash": self.hash}


def append(
    path: Path | str, *, analysis: str, models: Sequence[str], cases: int, labels_hash: str, protocol_hash: str
) -> Entry:
    """Record an access to test labels, before they are joined with scores.

    Only the end of the file is read, under a lock, so that the cost does not grow with the ledger and several processes
    share one chain. An incomplete last line is set aside and recorded as an entry. When the function returns, the entry
    is on disk; if it cannot be written, the ledger is unchanged.

    Parameters
    ----------
    path : path
        The ledger.
    analysis : str
        The analysis.
    models : sequence of str
        The models.
    cases : int
        Number of test cases.
    labels_hash : str
        Hash of the labels.
    protocol_hash : str
        Hash of the protocol; "" without one.

    Returns
    -------
    Entry
        The new entry.

    Raises
    ------
    WriteError
        The entry cannot be written.
    InputError
        The last line is not an entry, or was changed.
    """
    path = Path(path)
    _check_kind(path)
    body = {
        "analysis": analysis,
        "models": sorted(models),
        "cases": cases,
        "labels_hash": labels_hash,
        "protocol_hash": protocol_hash,
    }
    with locked(path) as file:
        last, end = _settled(file, path)
        return _write_entry(file, end, last, {"kind": ACCESS, **body})[0]


def _settled(file: BinaryIO, path: Path) -> tuple[Entry | None, int]:
    """Return the last entry and the end of the file, after an incomplete last line was completed or set aside."""
    line, fragment, end = _tail(file)
    last = _last_entry(path, line) if end else None
    whole = _parsed(fragment, last)
    if whole is not None:  # only the end of the line is missing
        _write(file, end + len(fragment), b"\n")
        return whole, end + len(fragment) + 1
    if fragment:
        return _write_entry(file, end, last, {"kind": TORN_TAIL, "fragment": _set_aside(path, fragment)})
    return last, end


def record_missing(path: Path | str, heads: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """Record that entries of earlier evaluations are missing because the ledger was emptied, cut or replaced.

    Parameters
    ----------
    path : path
        The ledger.
    heads : sequence of mapping
        Number and hash of entries that were kept elsewhere.

    Returns
    -------
    list of Entry
        The new entries.

    Raises
    ------
    InputError
        As in `read`.
    """
    path = Path(path)
    entries = read(path) if heads else []
    known = {e.hash for e in entries} | {e.fragment for e in entries if e.kind == MISSING}
    missing_hashes = {head["hash"]: head["number"] for head in heads if head["hash"] not in known}
    written: list[Entry] = []
    for digest, number in sorted(missing_hashes.items(), key=lambda pair: pair[1]):
        with locked(path) as file:
            last, end = _settled(file, path)
            fields = {"kind": MISSING, "fragment": digest, "analysis": f"entry {number}"}
            written.append(_write_entry(file, end, last, fields)[0])
    return written


def read(path: Path | str) -> list[Entry]:
    """Return all complete entries of a ledger, after verification of the chain; [] if there is no file.

    An incomplete last line is ignored; `faults` reports it.

    Parameters
    ----------
    path : path
        The ledger.

    Returns
    -------
    list of Entry
        The entries in order.

    Raises
    ------
    InputError
        A line was changed, removed or inserted, or cannot be read; the first one is named. A pipe or a folder at the
        path.
    """
    path = Path(path)
    entries: list[Entry] = []
    lines, _ = _lines(path)
    for number, line in enumerate(lines, 1):
        entry = _parsed(line, entries[-1] if entries else None)
        if entry is None:
            raise InputError(
                f"{path}, line {number}",
                "an entry that continues the chain of hashes",
                "a line that was changed, removed, inserted or damaged",
                do="Restore the ledger from a copy.",
            )
        entries.append(entry)
    return entries


def faults(path: Path | str | None, head: Mapping[str, Any] | None) -> list[str]:
    """Return sentences for a report on what is missing in a ledger; [] if nothing is.

    Parameters
    ----------
    path : path or None
        The ledger; None if none was given.
    head : mapping or None
        Number and hash of the entry of the evaluation; None if it wrote none.

    Returns
    -------
    list of str
        The sentences.
    """
    entries = [] if path is None else read(path)
    found = []
    if head and (path is None or not Path(path).is_file()):
        found.append(f"There is no ledger: entry {head['number']}, written by this evaluation, was not checked.")
    elif head and head["hash"] not in {e.hash for e in entries if e.number == head["number"]}:
        found.append(
            f"The ledger does not contain entry {head['number']} (hash {head['hash'][:12]}), which this evaluation "
            "wrote: entries were removed, or it is the ledger of another study."
        )
    found += [
        f"Before entry {e.number} ({e.time[:10]}) the ledger lost {e.analysis} (hash {e.fragment[:12]}), which an "
        "earlier evaluation had written: it was emptied, cut or replaced, and accesses to test labels may be missing."
        for e in entries
        if e.kind == MISSING
    ]
    torn = sum(e.kind == TORN_TAIL for e in entries)
    if torn:
        found.append(
            f"The ledger records {torn} half-written entr{'y' if torn == 1 else 'ies'} (torn tail): an access "
            "to test labels may have been interrupted."
        )
    if path is not None and (fragment := _lines(Path(path))[1]):
        found.append(f"The last line of the ledger is half-written ({len(fragment)} bytes).")
    return found


def _check_kind(path: Path) -> None:
    """Refuse anything but a regular or absent file: a pipe would block, and cannot be read twice."""
    if found := regular.kind(path) or ("a folder" if path.is_dir() else ""):
        raise InputError(path, "a ledger, a regular file", found, do="Remove it, or choose another folder.")


def _lines(path: Path) -> tuple[list[bytes], bytes]:
    """Return the complete lines and the remainder; a last line that lacks only its line end is complete."""
    _check_kind(path)
    if not path.is_file():
        return [], b""
    *lines, rest = path.read_bytes().split(b"\n")
    while lines and not lines[-1] and not rest:  # empty lines at the end, such as an editor leaves
        rest = lines.pop()
    try:
        records.json_value(rest.decode("utf-8"), "ledger")
    except (InputError, UnicodeDecodeError):
        return lines, rest
    return [*lines, rest], b""


def _tail(file: BinaryIO) -> tuple[bytes, bytes, int]:
    """Return the last complete line, the bytes after it, and their position."""
    size = start = file.seek(0, os.SEEK_END)
    data = b""
    while start > 0 and data.rstrip(b"\n").count(b"\n") < 1:
        step = min(_BLOCK, start)
        start -= step
        file.seek(start)
        data = _read(file, step) + data
    whole = data.rstrip(b"\n")
    if not whole:  # nothing, or empty lines alone
        return b"", b"", 0
    if len(data) - len(whole) > 1:  # empty lines at the end, such as an editor leaves: written over
        return whole.rpartition(b"\n")[2], b"", size - len(data) + len(whole) + 1
    before, _, fragment = data.rpartition(b"\n")
    return before.rpartition(b"\n")[2], fragment, size - len(fragment)


def _read(file: BinaryIO, size: int) -> bytes:
    """Read exactly `size` bytes, since an unbuffered file may return fewer at a time."""
    data = b""
    while len(data) < size and (block := file.read(size - len(data))):
        data += block
    return data


def _last_entry(path: Path, line: bytes) -> Entry:
    entry = _parsed(line)
    if entry is None:
        raise InputError(
            f"{path}, last line",
            "an entry of the ledger with its hash",
            "a line that was changed or damaged",
            do="Restore the ledger from a copy.",
        )
    return entry


_ANY = object()


def _parsed(line: bytes, previous: Entry | object | None = _ANY) -> Entry | None:
    """Return the entry in a line; None if it is invalid, has a wrong hash, or does not follow `previous`.

    The line must equal, byte for byte, what `_write_entry` writes, including spacing, order of keys and escapes.
    """
    try:
        record = records.typed(records.json_value(line.decode("utf-8"), "ledger"), EntryRecord, "ledger")
    except (InputError, UnicodeDecodeError):
        return None
    entry = Entry(**{**record, "models": tuple(record["models"])})
    if (
        _text(asdict(entry)) != line
        or entry.kind not in KINDS
        or entry.hash != _hash({k: v for k, v in record.items() if k != "hash"})
    ):
        return None
    if previous is not _ANY:
        before = previous if isinstance(previous, Entry) else None
        if (entry.number, entry.previous) != (before.number + 1 if before else 1, before.hash if before else _FIRST):
            return None
    return entry


def _write_entry(file: BinaryIO, end: int, last: Entry | None, fields: Mapping[str, Any]) -> tuple[Entry, int]:
    """Write an entry at position `end`; return the entry and the new end."""
    body = {
        "number": last.number + 1 if last else 1,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "kind": "",
        "analysis": "",
        "models": [],
        "cases": 0,
        "labels_hash": "",
        "protocol_hash": "",
        "fragment": "",
        **fields,
        "previous": last.hash if last else _FIRST,
    }
    record = {**body, "hash": _hash(body)}
    line = _text(record) + b"\n"
    _write(file, end, line)
    return Entry(**{**record, "models": tuple(record["models"])}), end + len(line)


def _write(file: BinaryIO, end: int, data: bytes) -> None:
    """Write bytes at position `end` as the last of the file; after a failure the file has its previous size."""
    size = file.seek(0, os.SEEK_END)
    try:
        file.seek(end)
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
        file.truncate()
        os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            file.truncate(size)
        raise


def _set_aside(path: Path, fragment: bytes) -> str:
    """Move an incomplete line to a file beside the ledger; return its hash."""
    digest = hashlib.sha256(fragment).hexdigest()
    with replacing(path.with_name(f"{path.name}.torn-{digest[:12]}")) as temporary:
        temporary.write_bytes(fragment)
    return digest


def _text(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


def _hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
