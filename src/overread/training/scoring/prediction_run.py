"""Prediction folders: parts in progress in a staging folder, then the tables over all parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from overread import findings, runs, tables, threads
from overread.errors import InputError
from overread.images.store.pixel_store import Store
from overread.tables.storage.files import clear_temporary
from overread.tables.storage.names import below
from overread.training.fitting.operating_choice import probability
from overread.training.networks.model_folder import Model
from overread.training.repeat_conditions import circumstances, keep, kept, warn
from overread.training.scoring.score_parts import Progress, ScoringWork, compute_parts, load_members, precision

WRITTEN = ("predictions.parquet", "heatmaps.parquet", "heatmaps.json", "heatmaps")
"""The files and folders that every prediction writes."""

MAP_FILE = re.compile(r"(part|maximum)-[0-9]{5}\.npy")
"""The names of the files of heat maps."""

_STAGING = re.compile(r"\.partial-[0-9a-f]{16}")
_COMPUTING = "computing.json"


def threads_of(staging: Path) -> int | None:
    """Return the number of threads with which an interrupted prediction was started; None if there is none."""
    return threads.recorded(kept(staging / _COMPUTING))


def scoring_device() -> str:
    """Return the device for predictions: "cuda" if available, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def scoring_work(
    model: Model, store: Store, images: pl.DataFrame, *, heatmaps: bool, batch_size: int, part_size: int
) -> ScoringWork:
    """Load the networks of a model on the device, with the stored images to be scored."""
    members = load_members(model, store, images, device=scoring_device(), heatmaps=heatmaps)
    return ScoringWork(members, store, images, batch_size, part_size)


def compute(run: runs.Run, model: Model, work: ScoringWork, staging: Path, *, progress: Progress | None) -> None:
    """Compute the missing parts and write the tables over all parts into `staging`."""
    if work.members[0].target is not None:
        _take_back(run.folder / "heatmaps", staging)
    around = circumstances(scoring_device(), precision=precision(model))
    if changed := keep(staging / _COMPUTING, around):
        warn(f"The prediction in {run.folder}", changed)
        run.note("resumed", f"not equal to the bit to a prediction without interruption: {'; '.join(changed)}")
    run.note("computing", around)
    compute_parts(work, staging, progress=progress)
    _assemble(model, work, staging)
    run.note("scale", "probability")
    run.note("images", len(work.images))
    run.note("findings", list(model.outputs))
    run.note("vocabulary", findings.record_of(model.vocabulary))


@contextmanager
def only_files(folder: Path, name: re.Pattern[str]) -> Iterator[None]:
    """Refuse to replace a folder with files of other names."""
    strange = [p.name for p in folder.iterdir() if not name.fullmatch(p.name)] if folder.is_dir() else []
    if strange:
        do = "Move them elsewhere: this folder is replaced."
        raise InputError(folder, "the files of heat maps alone", f"{len(strange)} others", examples=strange, do=do)
    yield


def clear_staging(out: Path, staging: Path) -> None:
    """Make the staging folder of this prediction; remove incomplete files and parts of other predictions."""
    for other in out.glob(".partial-*"):
        if other != staging and _STAGING.fullmatch(other.name):
            tables.remove(other)
    tables.make_folder(below(out, staging.name))
    clear_temporary(staging, below=True)


def _take_back(maps: Path, staging: Path) -> None:
    """Undo an interrupted `publish`: maps without logits in a part were moved and are moved back."""
    if not (staging / "heatmaps").exists() and any(staging.glob("logits-*.npy")) and maps.exists():
        tables.move(maps, staging / "heatmaps")


def _assemble(model: Model, work: ScoringWork, staging: Path) -> None:
    """The tables over all parts."""
    logits = np.concatenate([np.load(p) for p in sorted(staging.glob("logits-*.npy"))], axis=1, dtype=np.float64)
    names = [model.name] if not model.members else [f"{model.name}/{m.folder.name}" for m in model.members]
    ids = work.images["image_id"]
    frames = [
        frame(ids, single, name, values) for single, name, values in zip(model.singles, names, logits, strict=True)
    ]
    if model.members:
        frames.insert(0, frame(ids, model, model.name, logits.mean(0)))
    tables.write(pl.concat(frames), staging / "predictions.parquet", "predictions", vocabulary=model.vocabulary)
    if any(m.target is None for m in work.members):
        return
    order = np.arange(len(ids))
    places = pl.DataFrame({"image_id": ids, "part": order // work.part_size, "row": order % work.part_size})
    tables.write_frame(places.cast({"part": pl.Int32, "row": pl.Int32}), staging / "heatmaps.parquet")
    tables.write_json(staging / "heatmaps.json", _describe_maps(model, work, staging))


def frame(image_ids: pl.Series, model: Model, name: str, logits: NDArray[np.float64]) -> pl.DataFrame:
    """Prediction rows of one model: logits (n_images, n_findings) and their frozen recalibrated probabilities."""
    lines: list[Mapping[str, Any]] = [model.recalibration[f] for f in model.outputs]
    scores = np.stack([probability(logits[:, j], line) for j, line in enumerate(lines)], axis=1)
    n, n_findings = len(image_ids), len(lines)
    return pl.DataFrame(
        {
            "image_id": image_ids.gather(np.repeat(np.arange(n), n_findings)),
            "finding": pl.Series(model.outputs).gather(np.tile(np.arange(n_findings), n)),
            "model": pl.repeat(name, n * n_findings, eager=True),
            "shift": pl.repeat("none", n * n_findings, eager=True),
            "score": scores.ravel(),
            "logit": logits.ravel(),
        }
    )


def _describe_maps(model: Model, work: ScoringWork, staging: Path) -> dict[str, Any]:
    targets = [m.target for m in work.members if m.target is not None]
    closed = all(t.head is not None for t in targets)
    first = np.load(staging / "heatmaps" / "part-00000.npy", mmap_mode="r")
    return {
        "model": model.name,
        "findings": list(model.outputs),
        "recipe": model.recipe.to_dict(),
        "shape": list(first.shape[2:]),
        "module": sorted({t.name for t in targets}),
        "method": "Grad-CAM, "
        + ("closed form of the linear head" if closed else "by gradients")
        + (f", mean over {len(targets)} members before scaling" if len(targets) > 1 else ""),
        "scale": "each map divided by its maximum (0 = nothing speaks for the finding, 1 = the strongest place of "
        "this map; maps are not comparable in strength); maximum-*.npy holds the maxima in units of the logit",
    }


def publish(run: runs.Run, staging: Path, extra: Sequence[str] = ()) -> None:
    """Move complete files to their place and record them in run.json; heat maps of an earlier prediction are removed.

    `extra` names further files and folders of `staging`, besides `WRITTEN`. The table of predictions is moved last.
    """
    folders = ["heatmaps", *(name for name in extra if "." not in name)]
    files = [*(name for name in extra if "." in name), "heatmaps.parquet", "heatmaps.json", "predictions.parquet"]
    for name in files[:-1]:
        tables.remove(run.folder / name)
    for name in folders:  # `only_files`: nothing but results is in them
        if (run.folder / name).exists():
            tables.move(run.folder / name, staging / f"replaced-{name}")
        if (staging / name).exists():
            tables.move(staging / name, run.folder / name)
    for name in files:
        if (staging / name).exists():
            tables.move(staging / name, run.folder / name)
    tables.remove(staging)
    written = [run.folder / name for name in files] + [p for f in folders for p in sorted((run.folder / f).glob("*"))]
    for path in written:
        if path.is_file():
            run.output(path)
