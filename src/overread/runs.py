"""Runs: the folder that one command writes, and its record run.json.

run.json holds the command, its resolved configuration, the hashes of inputs and outputs, versions, seed, times and the
machine. Its fingerprint (configuration + inputs) determines whether a stage must be repeated.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from overread import findings, integrity
from overread.errors import InputError
from overread.tables import holding, make_folder, records
from overread.tables.records.kinds import RunRecord

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
    """A command in progress; its notes and outputs are recorded in run.json."""

    folder: Path
    record: dict[str, Any] = field(default_factory=dict)

    def note(self, key: str, value: Any) -> None:
        """Record a fact of this run, such as changed conditions of a resumed training."""
        self.record["notes"][key] = value

    def output(self, path: Path | str, *, sha256: str = "") -> Path:
        """Record a file that the run has written, with size, time and hash."""
        path = Path(path)
        name = path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else str(path)
        self.record["outputs"][name] = integrity.entry(path, sha256=sha256)
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
    """Run a command in its folder; run.json is written at the start and at the end, also after a failure.

    Parameters
    ----------
    folder : path
        The folder of the run.
    command : str
        The name of the command.
    config : object
        The resolved configuration.
    inputs : mapping of str to path, optional
        Files, or folders of runs, on which the result depends.
    seed : int, optional
        The random seed.

    Yields
    ------
    Run
        The run. An exception in the block is recorded and raised again.
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
    _write(folder, record)  # from now on the folder shows whose files lie in it, also after kill -9: see `claim`
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


@contextmanager
def claimed(folder: Path | str, command: str, names: Iterable[str]) -> Iterator[Path]:
    """Lock a folder for a command (see `tables.holding`) after `claim`."""
    with holding(folder, command) as held:
        claim(held, command, names)
        yield held


def claim(folder: Path | str, command: str, names: Iterable[str]) -> None:
    """Refuse a folder in which a command would replace or remove files that it did not write.

    The files belong to the command if the run.json of the folder is that of an earlier run of the same command.

    Parameters
    ----------
    folder : path
        The folder to be written.
    command : str
        The command, as recorded by `start`.
    names : iterable of str
        The files and folders in it that the command writes.

    Raises
    ------
    InputError
        Files of others, which are named, or links among the files.
    """
    folder = Path(folder)
    there = [folder / name for name in (*names, "run.json") if os.path.lexists(folder / name)]
    links = [path.name for path in there if path.is_symlink()]
    if links:
        do = "Remove them, or choose another folder."
        raise InputError(folder, "files and folders of its own", f"{len(links)} links", examples=links, do=do)
    foreign = [path for path in there if not (path.is_dir() and not any(path.iterdir()))]
    if foreign and _command(folder) != command:
        do = "Choose another folder, or move them elsewhere."
        expected = f"a new folder, or that of an earlier run of the command ({command})"
        found = f"{len(foreign)} other files that it would replace"
        raise InputError(folder, expected, found, examples=[path.name for path in foreign], do=do)


def _command(folder: Path) -> str:
    """Return the command that wrote a folder; "" if none did."""
    try:
        return str(read(folder)["command"])
    except (InputError, KeyError, TypeError):
        return ""


def _write(folder: Path, record: dict[str, Any]) -> None:
    try:
        integrity.write_sealed(folder / "run.json", record)
    except Exception:
        if record["status"] == "complete":
            raise  # otherwise the failure under way is the one to report


def read(folder: Path | str) -> dict[str, Any]:
    """Read the run.json of a folder; InputError if it is missing or was changed."""
    path = Path(folder) / "run.json"
    if not path.is_file():
        raise InputError(folder, "a folder written by overread, with a run.json", "no run.json in it")
    return read_sealed(path, RunRecord)


def read_sealed(path: Path | str, kind: Any = dict[str, Any]) -> dict[str, Any]:
    """Read a record that contains its own hash; InputError if it is damaged or was changed."""
    record: dict[str, Any] = records.read_json(path, kind, do=_AGAIN)
    integrity.check_seal(path)
    return record


def check(folder: Path | str) -> dict[str, Any]:
    """Return the run.json of a folder, after comparing its outputs with their entries.

    A file with the recorded size and time is taken as unchanged; `overread verify` compares every byte.

    Parameters
    ----------
    folder : path
        The folder of a run.

    Returns
    -------
    dict
        The record.

    Raises
    ------
    InputError
        The run did not end, or files were changed or are missing.
    """
    record = read(folder)
    status = record.get("status")
    if status != "complete":
        raise InputError(folder, "a finished run", f"one with status '{status}'", do="Run the command again.")
    _compare(Path(folder), record)
    return record


def _compare(folder: Path, record: Mapping[str, Any]) -> None:
    integrity.refuse(folder, integrity.differences(folder, record.get("outputs", {})))


def check_if_run(folder: Path | str) -> None:
    """Check a folder as `check` does if it has a run.json; otherwise accept it."""
    if is_run(folder):
        check(folder)


def is_run(folder: Path | str) -> bool:
    """Return whether the folder has a run.json of overread; a damaged one counts."""
    path = Path(folder) / "run.json"
    if not path.is_file():
        return False
    try:
        value = json.loads(path.read_bytes())
    except ValueError:
        return True
    return isinstance(value, dict) and {"command", "status", "outputs"} & value.keys() != set()


def check_file(path: Path | str) -> None:
    """Compare a file with the entry of the run that wrote it; a file without an entry is accepted.

    Raises
    ------
    InputError
        The file was changed.
    """
    path = Path(path)
    if path.is_file() and is_run(path.parent):
        own = read(path.parent).get("outputs", {}).get(path.name)
        kind = integrity.difference(path, own) if own else ""
        integrity.refuse(path.parent, [integrity.Difference(path.name, kind)] if kind else [])


def complete(folder: Path | str, wanted: str) -> bool:
    """Return whether the folder holds the complete run of a fingerprint; InputError if its outputs were altered."""
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        return False
    record = read(folder)
    if record.get("status") != "complete" or record.get("fingerprint") != wanted:
        return False
    _compare(folder, record)
    return True


def fingerprint(config: Any, inputs: Mapping[str, Path | str] | None = None) -> str:
    """Compute the SHA-256 of a configuration and the content of its inputs; equal work has equal fingerprints.

    >>> fingerprint({"a": 1}) == fingerprint({"a": 1}), fingerprint({"a": 1}) == fingerprint({"a": 2})
    (True, False)
    """
    what = {"config": plain(config), "inputs": {name: input_hash(path) for name, path in (inputs or {}).items()}}
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()


def input_hash(path: Path | str) -> str:
    """Compute the hash of a file, or for the folder of a run that of its fingerprint and outputs.

    No image is read again.
    """
    path = Path(path)
    if path.is_dir():
        record = read(path)
        outputs = {name: [own["bytes"], own["sha256"]] for name, own in record.get("outputs", {}).items()}
        return text_hash(json.dumps([record.get("fingerprint"), outputs], sort_keys=True))
    return integrity.file_hash(path)


def frame_hash(frame: pl.DataFrame) -> str:
    """Compute the SHA-256 of the content of a table: columns, types and rows in order."""
    return text_hash(f"{frame.schema}\n{frame.write_csv()}")


def read_json(path: Path | str) -> dict[str, Any]:
    """Read the JSON object in a file; InputError if it is missing or damaged."""
    value: dict[str, Any] = records.read_json(path, dict[str, Any], do=_AGAIN)
    return value


def text_hash(text: str) -> str:
    """Compute the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any) -> Any:
    """Convert a configuration to JSON values: dataclasses to dictionaries, paths to text, a vocabulary to its
    record.
    """
    if isinstance(value, findings.Vocabulary):
        return findings.record_of(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(v) for v in items]
    return str(value) if isinstance(value, Path) else value


def vocabulary(folder: Path | str) -> findings.Vocabulary:
    """Return the vocabulary of findings that the run of a folder used, as recorded in its run.json.

    Parameters
    ----------
    folder : path
        The folder of a run.

    Returns
    -------
    Vocabulary
        The vocabulary.

    Raises
    ------
    InputError
        The folder has no run.json, or its record of a vocabulary is damaged.
    """
    record = read(folder)
    config = record.get("config")
    stated = config.get("vocabulary") if isinstance(config, Mapping) else None
    return findings.recorded(stated or record["notes"].get("vocabulary"), Path(folder) / "run.json")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages on which results may depend."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Describe the machine: processor, cores, memory and operating system."""
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
