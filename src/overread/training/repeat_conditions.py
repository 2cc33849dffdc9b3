"""Conditions under which resumed training or prediction gives the same bits as an uninterrupted one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from overread import runs, tables, threads

_LOG = logging.getLogger("overread")

# What a result does not depend on, but a person who looks for the reason of a difference wants to see.
_ASIDE = ("numba threading layer",)


def circumstances(device: torch.device | str, *, processes: int = 1, precision: str) -> dict[str, str]:
    """Return threads, instruction set, device, processes, arithmetic and versions of the current computation."""
    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(runs.machine()["cpu"])
    made_of = {name: version for name, version in runs.versions().items() if name in ("python", "numpy", "torch")}
    here = threads.record(torch.get_num_threads())
    return {**made_of, **here, "device": name, "processes": str(processes), "precision": precision}


def changes(was: Mapping[str, Any], now: Mapping[str, str]) -> list[str]:
    """Return the changed conditions, each as "threads 2 -> 1".

    >>> changes({"threads": "2", "torch": "2.9"}, {"threads": "1", "torch": "2.9"})
    ['threads 2 -> 1']
    """
    return [f"{k} {was.get(k, '?')} -> {v}" for k, v in now.items() if k not in _ASIDE and was.get(k) != v]


def warn(what: str, changed: Sequence[str]) -> None:
    """Log changed conditions before work is resumed; a change of threads is logged by `threads.resumed`."""
    others = [change for change in changed if not change.startswith("threads ")]
    if others:
        _LOG.warning(
            "%s goes on in other circumstances; its last bits may differ from those of a run without interruption: %s",
            what,
            "; ".join(others),
        )


def kept(path: Path) -> dict[str, Any]:
    """Read the conditions in a file; empty if there is no file."""
    return runs.read_json(path) if path.is_file() else {}


def keep(path: Path, around: Mapping[str, str]) -> list[str]:
    """Write the conditions of new work; for resumed work, return the changes since it was started.

    The file keeps the conditions of the start.
    """
    was = kept(path)
    if was:
        return changes(was, around)
    tables.write_json(path, dict(around))
    return []
