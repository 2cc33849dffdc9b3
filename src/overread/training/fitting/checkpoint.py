"""Checkpoints of training, written atomically, from which training resumes as if it had not been interrupted.

The order of images and what is drawn for them are functions of (seed, epoch, image), dropout of (seed, epoch, step,
process), so that the position in the epoch determines the state of all generators and of the loader.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from overread import threads
from overread.errors import InputError
from overread.tables import remove as remove_file
from overread.tables import replacing
from overread.training.repeat_conditions import changes, warn

FORMAT = 1
FOLDER = "checkpoints"


@dataclass
class Position:
    """Position of a training: the next step, and the results so far."""

    epoch: int = 0
    step: int = 0  # within the epoch
    best: float = float("-inf")
    best_epoch: int = -1
    seconds: float = 0.0  # of this epoch, spent before an interruption
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Learner:
    """The state that changes in training: network, its average if any, optimiser, and loss of the epoch."""

    network: nn.Module
    average: nn.Module | None
    optimiser: torch.optim.Optimizer
    loss_sum: Tensor  # float64, one number, on the device

    @property
    def best_of(self) -> nn.Module:
        """The network that is tuned and kept."""
        return self.average if self.average is not None else self.network


def save(folder: Path, learner: Learner, position: Position, *, fingerprint: str, around: Mapping[str, str]) -> Path:
    """Write `checkpoints/last.pt` atomically; if the disk is full the previous one is kept."""
    state = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "circumstances": dict(around),
        "position": asdict(position),
        "loss_sum": learner.loss_sum,
        "network": learner.network.state_dict(),
        "average": None if learner.average is None else learner.average.state_dict(),
        "optimiser": learner.optimiser.state_dict(),
    }
    path = folder / FOLDER / "last.pt"
    _save(state, path)
    return path


def _save(state: Mapping[str, Any], path: Path) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(dict(state), file)


def check_finite(path: Path, state: Any, *, do: str) -> None:
    """Refuse NaN and infinite values in the tensors of a file; the message names the tensors."""
    bad = list(_not_finite(state, ""))
    if bad:
        raise InputError(path, "finite weights", f"{len(bad)} tensors with NaN or infinite values", examples=bad, do=do)


def _not_finite(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, Tensor):
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            yield name
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _not_finite(item, f"{name}.{key}" if name else str(key))


def restore(folder: Path, learner: Learner, *, fingerprint: str, around: Mapping[str, str]) -> tuple[Position, str]:
    """Load the state of `checkpoints/last.pt` into the learner, if there is one.

    Returns
    -------
    position : Position
        The position at which training continues.
    note : str
        "" for a new training; else the position of resumption, and whether the result will be identical to the bit.

    Raises
    ------
    InputError
        The checkpoint belongs to another training or is damaged.
    """
    path = folder / FOLDER / "last.pt"
    if not path.is_file():
        return Position(), ""
    state = _read(path, learner.loss_sum.device)
    if state["fingerprint"] != fingerprint:
        raise InputError(
            folder,
            "the checkpoint of this training",
            "one of another configuration or cohort",
            do="Choose another folder, or remove this one.",
        )
    states = {key: state[key] for key in ("network", "average", "optimiser")}
    check_finite(path, states, do="The training diverged, or the file is damaged: remove it to train from the start.")
    learner.network.load_state_dict(state["network"])
    if learner.average is not None:
        learner.average.load_state_dict(state["average"])
    learner.optimiser.load_state_dict(state["optimiser"])
    learner.loss_sum.copy_(state["loss_sum"])
    position = Position(**state["position"])
    changed = changes(state["circumstances"], around)
    warn(f"The training in {folder}", changed)
    place = f"resumed at epoch {position.epoch + 1}, step {position.step + 1}"
    if not changed:
        return position, f"{place}, in the same circumstances: equal to the bit to a training without interruption"
    return position, f"{place}, not equal to the bit to a training without interruption: {'; '.join(changed)}"


def unreadable(error: Exception) -> str:
    """Return the reason why the system could not read a file; "" if the content of the file is at fault.

    >>> unreadable(OSError(5, "I/O error")), unreadable(OSError(22, "Invalid argument")), unreadable(EOFError())
    ('I/O error', '', '')
    """
    if not isinstance(error, OSError) or error.errno in (None, errno.EINVAL):  # a seek to where a damaged file points
        return ""
    return error.strerror or str(error)


def begun_with(folder: Path) -> int | None:
    """Return the number of threads with which the training of a checkpoint was started; None without a checkpoint."""
    path = folder / FOLDER / "last.pt"
    return threads.recorded(_read(path, torch.device("cpu"), mapped=True)["circumstances"]) if path.is_file() else None


def _read(path: Path, device: torch.device, *, mapped: bool = False) -> dict[str, Any]:
    """Read the state in a file; `mapped` leaves its tensors on disk until they are used."""
    remove = "Remove it to train from the start."
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True, mmap=mapped)
    except torch.OutOfMemoryError:
        raise  # of the device: the file may be whole, and must not be removed
    except Exception as error:  # in a damaged file the unpickler runs into any of Python's errors
        if why := unreadable(error):
            do = "Check its permissions and the disk."
            raise InputError(path, "a checkpoint that can be read", why, do=do) from error
        raise InputError(path, "a checkpoint", f"a damaged one ({type(error).__name__})", do=remove) from error
    if state.get("format") != FORMAT:
        raise InputError(path, f"a checkpoint of format {FORMAT}", f"format {state.get('format')!r}", do=remove)
    return state


def remove(folder: Path) -> None:
    """Remove the checkpoints of a run folder, and their folder if it is then empty."""
    inner = folder / FOLDER
    for name in ("last.pt", "best.safetensors"):
        remove_file(inner / name)
    if inner.is_dir() and not any(inner.iterdir()):
        remove_file(inner)


def save_weights(network: nn.Module, path: Path) -> Path:
    """Write a network's weights as safetensors, atomically."""
    state = {
        k: v.detach().to("cpu", memory_format=torch.contiguous_format).clone() for k, v in network.state_dict().items()
    }
    with replacing(path) as temporary:
        save_file(state, temporary)
    return path
