"""Computation of scores in parts; a complete part is not computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from overread import integrity, runs, tables
from overread.errors import InputError
from overread.images.store.pixel_store import Store
from overread.training.fitting.examples import ahead
from overread.training.networks.architectures import normalise, to_unit
from overread.training.networks.model_folder import Model, load_network
from overread.training.scoring import gradcam

Progress = Callable[[int, int], None]
"""Called with images done and images in all."""


@dataclass(frozen=True, slots=True)
class Member:
    """A network to be run: its model, and the target layer of its heat maps (None without maps)."""

    model: Model
    network: nn.Module
    target: gradcam.Target | None


@dataclass(frozen=True, slots=True)
class ScoringWork:
    """The inputs of a prediction: members, pixels, images, batch size and part size."""

    members: tuple[Member, ...]
    store: Store
    images: pl.DataFrame
    batch_size: int
    part_size: int


def precision(model: Model) -> str:
    """Return the arithmetic of prediction: "32-true", or "bf16-mixed" if model.json has it."""
    asked = {m.record.get("prediction_precision", "32-true") for m in model.singles}
    if len(asked) > 1 or not asked <= {"32-true", "bf16-mixed"}:
        raise InputError(model.folder, "one prediction_precision, '32-true' or 'bf16-mixed'", ", ".join(sorted(asked)))
    return str(asked.pop())


def load_members(
    model: Model, store: Store, images: pl.DataFrame, *, device: str, heatmaps: bool
) -> tuple[Member, ...]:
    """Load the networks of a model on the device, with the target layer of their heat maps."""
    sample = store.gather(images["part"].head(2).to_numpy(), images["row"].head(2).to_numpy())
    members = []
    for single in model.singles:
        layout = torch.channels_last if precision(single) == "bf16-mixed" else torch.contiguous_format
        net = load_network(single).to(device).to(memory_format=layout)  # type: ignore[call-overload]
        target = None
        if heatmaps:
            with _arithmetic("32-true", device):  # where the maps are taken is found exactly, whatever the arithmetic
                target = gradcam.find_target(net, _inputs(sample, single, device))
        members.append(Member(single, net, target))
    return tuple(members)


@contextmanager
def _arithmetic(kind: str, device: str) -> Iterator[None]:
    """Compute in float32 without TF32 and with deterministic kernels, or in bfloat16."""
    with (
        torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
        torch.autocast(device, dtype=torch.bfloat16, enabled=kind == "bf16-mixed"),
    ):
        yield


def _inputs(pixels: NDArray[np.uint8], model: Model, device: str) -> Tensor:
    assert model.architecture is not None  # a single model has one
    return normalise(to_unit(torch.from_numpy(pixels).to(device)), model.architecture)


def compute_parts(work: ScoringWork, staging: Path, *, progress: Progress | None) -> None:
    """Compute every part that is not complete; the record of a part is written last and marks it as complete.

    Raises
    ------
    InputError
        A complete part was changed after it was written.
    """
    total = len(work.images)
    for number, first in enumerate(range(0, total, work.part_size)):
        mark = staging / f"done-{number:05d}.json"
        part = work.images.slice(first, work.part_size)
        if mark.exists():
            found = integrity.differences(staging, runs.read_sealed(mark)["files"], thorough=True)
            integrity.refuse(staging, found, do="Remove this folder to predict from the start.")
        else:
            logits, maps, maxima = _part(work, part, first=first, progress=progress)
            written = [tables.write_array(staging / f"logits-{number:05d}.npy", logits)]
            if maps is not None:
                assert maxima is not None
                written.append(tables.write_array(staging / "heatmaps" / f"part-{number:05d}.npy", maps))
                written.append(tables.write_array(staging / "heatmaps" / f"maximum-{number:05d}.npy", maxima))
            entries = {p.relative_to(staging).as_posix(): integrity.entry(p) for p in written}
            integrity.write_sealed(mark, {"files": entries})
        if progress is not None:
            progress(first + len(part), total)


def _part(
    work: ScoringWork, part: pl.DataFrame, *, first: int, progress: Progress | None
) -> tuple[NDArray[np.float32], NDArray[np.float16] | None, NDArray[np.float32] | None]:
    """Logits (members, n, findings) of a part; maps (n, findings, h, w) and their maxima, or None."""
    logits, maps, maxima, done = [], [], [], 0
    for pixels in read_ahead(work.store, part, work.batch_size):
        batch_logits, combined = run_members(work.members, pixels)
        _check_finite(batch_logits, part["image_id"][done : done + len(pixels)], work.members)
        logits.append(batch_logits)
        if combined is not None:
            scaled, maximum = gradcam.normalise(combined)
            maps.append(scaled.cpu().numpy())
            maxima.append(maximum.cpu().numpy())
        done += len(pixels)
        if progress is not None:
            progress(first + done, len(work.images))
    joined = np.concatenate(logits, axis=1)
    return (joined, np.concatenate(maps), np.concatenate(maxima)) if maps else (joined, None, None)


def run_members(members: Sequence[Member], pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Tensor | None]:
    """Return logits (members, n, findings) of stored pixels (n, size, size), and the mean raw map of the members or
    None.
    """
    logits, maps = [], []
    for member in members:
        device = next(member.network.parameters()).device.type
        with _arithmetic(precision(member.model), device):
            images, columns = _inputs(pixels, member.model, device), member.model.columns
            if member.target is None:
                with torch.no_grad():
                    out = member.network(images)[:, columns]
            else:
                out, found = gradcam.predict_with_maps(member.network, member.target, images, columns=columns)
                maps.append(found.float())
        logits.append(out.float().cpu().numpy())
    return np.stack(logits), _mean(maps) if maps else None


def _mean(maps: Sequence[Tensor]) -> Tensor:
    shapes = {tuple(m.shape[2:]) for m in maps}
    if len(shapes) > 1:
        raise InputError(
            "heat maps",
            "members whose feature maps have one size",
            f"sizes {sorted(shapes)}",
            do="Predict without heat maps, or combine networks of one architecture.",
        )
    return maps[0] if len(maps) == 1 else torch.stack(list(maps)).mean(0)


def read_ahead(store: Store, part: pl.DataFrame, batch_size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of a part in batches, with the next batch read in advance."""
    places = [(chunk["part"].to_numpy(), chunk["row"].to_numpy()) for chunk in part.iter_slices(batch_size)]
    return ahead(lambda place: store.gather(*place), places)


def _check_finite(logits: NDArray[np.float32], image_ids: pl.Series, members: Sequence[Member]) -> None:
    bad = np.array([~np.isfinite(own).all(axis=1) for own in logits])  # (members, n)
    if bad.any():
        models = [m.model.name for m, wrong in zip(members, bad, strict=True) if wrong.any()]
        raise InputError(
            "predict",
            "finite outputs for every image",
            f"{int(bad.any(axis=0).sum())} images with NaN or infinite outputs of {', '.join(models)}",
            examples=image_ids.filter(pl.Series(bad.any(axis=0))),
            do="The weights are damaged, or the training diverged.",
        )
