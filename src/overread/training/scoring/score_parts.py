"""The networks run over the images, one part of them after another; a part that is whole is never run again."""

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
    """A network that is run: its model, and where its heat maps are taken (None where none are wanted)."""

    model: Model
    network: nn.Module
    target: gradcam.Target | None


@dataclass(frozen=True, slots=True)
class ScoringWork:
    """What one prediction needs: the members, the pixels, which images, and how many at a time and in a part."""

    members: tuple[Member, ...]
    store: Store
    images: pl.DataFrame
    batch_size: int
    part_size: int


def precision(model: Model) -> str:
    """The arithmetic of prediction: "32-true", or "bf16-mixed" where model.json asks for it."""
    asked = {m.record.get("prediction_precision", "32-true") for m in model.singles}
    if len(asked) > 1 or not asked <= {"32-true", "bf16-mixed"}:
        raise InputError(model.folder, "one prediction_precision, '32-true' or 'bf16-mixed'", ", ".join(sorted(asked)))
    return str(asked.pop())


def load_members(
    model: Model, store: Store, images: pl.DataFrame, *, device: str, heatmaps: bool
) -> tuple[Member, ...]:
    """The networks of a model on the device, and where each one's heat maps are taken."""
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
    """Plain float32 (no TF32 on a GPU, kernels that repeat), or bfloat16 where that is asked for."""
    with (
        torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
        torch.autocast(device, dtype=torch.bfloat16, enabled=kind == "bf16-mixed"),
    ):
        yield


def _inputs(pixels: NDArray[np.uint8], model: Model, device: str) -> Tensor:
    assert model.architecture is not None  # a single model has one
    return normalise(to_unit(torch.from_numpy(pixels).to(device)), model.architecture)


def compute_parts(work: ScoringWork, staging: Path, *, progress: Progress | None) -> None:
    """Run the networks over every part that is not whole yet; its record, written last, is the mark that it is.

    Raises InputError where a part that an interrupted run finished was altered since.
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
        made, combined = run_members(work.members, pixels)
        _check_finite(made, part["image_id"][done : done + len(pixels)], work.members)
        logits.append(made)
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
    """Logits (members, n, findings) of stored pixels (n, size, size), and the mean of the members' raw maps or None."""
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
    """The pixels of a part in batches, the next of which are read while one is worked on."""
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
