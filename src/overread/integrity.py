"""Integrity of written files: size, time and SHA-256 of every file, and records that contain their own hash.

A run keeps an entry for each file that it wrote. When its folder is used, size and time are compared, and the hash of
files with a changed time; a thorough comparison hashes every file. A record (run.json, model.json, stage.json) is
sealed: its last value is the hash of all its other bytes.

This detects accidents and changes by a person who does not recompute the hashes. A person who recomputes all of them is
detected only by a hash or signature that is kept elsewhere.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread import regular
from overread.errors import InputError
from overread.tables import json_text, write_text

CHANGED, MISSING, LINK, ADDITIONAL = "changed", "missing", "a link in its place", "additional"
OTHER_RUN = "of another run"

_BLANK = "0" * 64
_END = '"\n}\n'
_SEAL = re.compile(rb'"hash": "([0-9a-f]{64})"\n\}\n\Z')


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of a file from its entry: `name` within the folder, and its kind."""

    name: str
    kind: str

    def __str__(self) -> str:
        return f"{self.name}: {self.kind}"


def file_hash(path: Path | str) -> str:
    """Compute the SHA-256 of the bytes of a file."""
    with regular.opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entry(path: Path, *, sha256: str = "") -> dict[str, Any]:
    """Return the entry of a file: bytes, time of modification (ns), SHA-256; `sha256` if it is already known."""
    digest = sha256 or file_hash(path)
    state = path.stat()
    return {"bytes": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": digest}


def difference(path: Path, recorded: Mapping[str, Any], *, thorough: bool = False) -> str:
    """Compare a file with its entry: "", CHANGED, MISSING or, if thorough, LINK.

    A file with the recorded size and time is hashed only if `thorough`. A file with another time is always hashed, so
    that copying a folder is not a change.
    """
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError as error:  # a link to itself, a name that the system refuses
        raise InputError(path, "a file that can be read", error.strerror or str(error)) from error
    if thorough and path.is_symlink():
        return LINK
    if not stat.S_ISREG(state.st_mode) or state.st_size != recorded.get("bytes"):
        return CHANGED
    if not thorough and state.st_mtime_ns == recorded.get("mtime_ns"):
        return ""
    return "" if file_hash(path) == recorded.get("sha256") else CHANGED


def differences(folder: Path, entries: Mapping[str, Mapping[str, Any]], *, thorough: bool = False) -> list[Difference]:
    """Return the files that differ from their entries (name within the folder -> entry), in the order of the
    entries.
    """
    found = [Difference(name, difference(folder / name, own, thorough=thorough)) for name, own in entries.items()]
    return [each for each in found if each.kind]


def refuse(folder: Path, found: Iterable[Difference], *, do: str = "") -> None:
    """Raise an InputError that names the files, if there are any."""
    named = [str(each) for each in found]
    if named:
        raise InputError(
            folder,
            "the files as they were written",
            f"{len(named):,} that differ",
            examples=named,
            do=do or "Restore them from a copy, or remove the folder and run its command again.",
        )


def write_sealed(path: Path | str, record: Mapping[str, Any]) -> Path:
    """Write a record as JSON with its own hash as the last value."""
    text = json_text({**{key: value for key, value in record.items() if key != "hash"}, "hash": _BLANK})
    digest = hashlib.sha256(text.encode()).hexdigest()
    return write_text(path, text[: -len(_BLANK + _END)] + digest + _END)


def sealed(path: Path | str) -> bool:
    """Return whether a record is, byte for byte, as `write_sealed` wrote it; False without a hash."""
    data = Path(path).read_bytes()
    found = _SEAL.search(data)
    if found is None:
        return False
    start, end = found.span(1)
    return hashlib.sha256(data[:start] + _BLANK.encode() + data[end:]).hexdigest().encode() == found[1]


def check_seal(path: Path | str, *, do: str = "") -> None:
    """Raise an InputError if a record was changed after it was written."""
    if not sealed(path):
        raise InputError(
            path,
            "a record as it was written, with its own hash",
            "one that was changed, or has no hash",
            do=do or "Restore it from a copy, or remove the folder and run its command again.",
        )
