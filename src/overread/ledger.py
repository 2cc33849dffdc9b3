"""The ledger: every opening of test labels, appended to one file, each line chained to the last by its hash.

A line that is changed, removed or put in later breaks the chain, and `read` names it. The ledger shows how often a test
set was looked at; it cannot show that nobody looked without it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from overread.errors import InputError

_FIRST = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One opening of test labels: when, for which analysis and models, of how many cases, under which protocol."""

    number: int
    opened: str
    analysis: str
    models: tuple[str, ...]
    cases: int
    labels_hash: str
    protocol_hash: str
    previous: str
    hash: str


def append(
    path: Path | str, *, analysis: str, models: Sequence[str], cases: int, labels_hash: str, protocol_hash: str
) -> Entry:
    """Record an opening of test labels, before they are joined to scores. The chain is verified first."""
    path = Path(path)
    entries = read(path) if path.exists() else []
    body = {
        "number": len(entries) + 1,
        "opened": datetime.now(UTC).isoformat(timespec="seconds"),
        "analysis": analysis,
        "models": sorted(models),
        "cases": cases,
        "labels_hash": labels_hash,
        "protocol_hash": protocol_hash,
        "previous": entries[-1].hash if entries else _FIRST,
    }
    line = {**body, "hash": _hash(body)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return _entry(line)


def read(path: Path | str) -> list[Entry]:
    """The entries of a ledger, its chain verified.

    Raises InputError that names the first line that was changed, lost or cannot be read.
    """
    path = Path(path)
    entries: list[Entry] = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            body = {k: v for k, v in line.items() if k != "hash"}
            entry = _entry(line)
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{path}, line {number}", "an entry of the ledger", f"{error}") from error
        previous = entries[-1].hash if entries else _FIRST
        if entry.hash != _hash(body) or entry.previous != previous or entry.number != number:
            raise InputError(
                f"{path}, line {number}", "a line chained to the one before it", "a changed, lost or inserted line",
                do="The record of openings is no longer whole; restore the file from a copy.",
            )  # fmt: skip
        entries.append(entry)
    return entries


def _entry(line: dict) -> Entry:
    return Entry(**{**line, "models": tuple(line["models"])})


def _hash(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def summary(entries: Sequence[Entry]) -> list[dict]:
    """The entries as rows for a report."""
    return [asdict(e) for e in entries]
