"""A run: the folder that one command writes, and run.json, which says how it came about.

run.json holds the command, its resolved configuration, the hashes of its inputs and outputs, versions, seed, times and
the machine. Its fingerprint (configuration + inputs) tells whether a stage must be done again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from overread.errors import InputError
from overread.tables import make_folder, records, write_json
from overread.tables.kinds import RunRecord

_AGAIN = "Remove the folder and run the command again."

_PACKAGES = (
    "overread",
    "numpy",
    "scipy",
    "numba",
    "polars",
    "pillow",
    "pydicom",
    "imagecodecs",
    "torch",
    "lightning-fabric",
)


@dataclass
class Run:
    """A command under way: what it notes and writes ends in run.json."""

    folder: Path
    record: dict[str, Any] = field(default_factory=dict)

    def note(self, key: str, value: Any) -> None:
        """Keep a fact of this run, such as what a resumed training found changed."""
        self.record["notes"][key] = value

    def output(self, path: Path | str) -> Path:
        """Name a file of the run folder that the run has written; its size and hash are recorded."""
        path = Path(path)
        name = str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else str(path)
        self.record["outputs"][name] = {"bytes": path.stat().st_size, "sha256": file_hash(path)}
        return path


@contextmanager
def start(
    folder: Path | str,
    command: str,
    *,
    config: Any,
    inputs: Mapping[str, Path | str] | None = None,
    seed: int | None = None,
) -> Iterator[Run]:
    """Run a command in its folder; run.json is written when the block ends, well ("complete") or not.

    `inputs` names the files, or run folders, that the result depends on. A failure is recorded and goes on upwards.
    """
    folder = make_folder(folder)
    inputs = inputs or {}
    began, clock = datetime.now(UTC), time.perf_counter()
    record: dict[str, Any] = {
        "command": command,
        "status": "running",
        "fingerprint": fingerprint(config, inputs),
        "config": plain(config),
        "inputs": {name: input_hash(path) for name, path in inputs.items()},
        "seed": seed,
        "started": began.isoformat(timespec="seconds"),
        "versions": versions(),
        "machine": machine(),
        "notes": {},
        "outputs": {},
    }
    run = Run(folder, record)
    try:
        yield run
        record["status"] = "complete"
    except KeyboardInterrupt:
        record["status"] = "interrupted"
        raise
    except BaseException as error:
        record["status"] = "failed"
        record["error"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        record["seconds"] = round(time.perf_counter() - clock, 3)
        _write(folder, record)


def _write(folder: Path, record: dict[str, Any]) -> None:
    try:
        write_json(folder / "run.json", record)
    except Exception:
        if record["status"] == "complete":
            raise  # otherwise the failure under way is the one to report


def read(folder: Path | str) -> dict[str, Any]:
    """The run.json of a folder."""
    path = Path(folder) / "run.json"
    if not path.is_file():
        raise InputError(folder, "a folder written by overread, with a run.json", "no run.json in it")
    record: dict[str, Any] = records.read_json(path, RunRecord, do=_AGAIN)
    return record


def complete(folder: Path | str, wanted: str) -> bool:
    """Whether the folder holds the finished run of that fingerprint, all its outputs there in full size."""
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        return False
    record = read(folder)
    whole = all(
        (folder / name).is_file() and (folder / name).stat().st_size == output["bytes"]
        for name, output in record.get("outputs", {}).items()
    )
    return record.get("status") == "complete" and record.get("fingerprint") == wanted and whole


def fingerprint(config: Any, inputs: Mapping[str, Path | str] | None = None) -> str:
    """The SHA-256 of a configuration and the content of its inputs; equal work has equal fingerprints.

    >>> fingerprint({"a": 1}) == fingerprint({"a": 1}), fingerprint({"a": 1}) == fingerprint({"a": 2})
    (True, False)
    """
    what = {"config": plain(config), "inputs": {name: input_hash(path) for name, path in (inputs or {}).items()}}
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()


def input_hash(path: Path | str) -> str:
    """The hash of a file; of a run folder, that of its fingerprint and outputs, so that no image is read again."""
    path = Path(path)
    if path.is_dir():
        record = read(path)
        return text_hash(json.dumps([record.get("fingerprint"), record.get("outputs")], sort_keys=True))
    return file_hash(path)


def frame_hash(frame: pl.DataFrame) -> str:
    """The SHA-256 of a table's content: columns, types and rows in their order."""
    return text_hash(f"{frame.schema}\n{frame.write_csv()}")


def read_json(path: Path | str) -> dict[str, Any]:
    """The JSON object in a file; InputError where it is missing or damaged."""
    value: dict[str, Any] = records.read_json(path, dict[str, Any], do=_AGAIN)
    return value


def file_hash(path: Path | str) -> str:
    """The SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_hash(text: str) -> str:
    """The SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any) -> Any:
    """A configuration as JSON can say it: dataclasses as dictionaries, paths as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(v) for v in items]
    return str(value) if isinstance(value, Path) else value


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a result may depend on, those that are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """The machine: processor, cores, memory and system."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.release()}",
    }


def _memory_gb() -> float | None:
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    if "SC_PHYS_PAGES" not in names:
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
