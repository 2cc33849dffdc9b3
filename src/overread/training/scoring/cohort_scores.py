"""The scores and heat maps of a frozen model on a cohort, part by part, so that an interrupted prediction goes on."""

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
from overread.cohort import open_cohort
from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.images.store.pixel_store import Store
from overread.tables.writing.files import clear_temporary
from overread.tables.writing.names import below
from overread.training.fitting.operating_choice import probability
from overread.training.networks.model_folder import Model, open_model
from overread.training.repeat_conditions import circumstances, keep, kept, warn
from overread.training.scoring.score_parts import Progress, ScoringWork, compute_parts, load_members, precision

_WRITTEN = ("predictions.parquet", "heatmaps.parquet", "heatmaps.json", "heatmaps")
_MAPS = re.compile(r"(part|maximum)-[0-9]{5}\.npy")
_STAGING = re.compile(r"\.partial-[0-9a-f]{16}")

IMAGES_PER_PART = 1024
"""How many images one part holds: what a kill costs at most."""

_COMPUTING = "computing.json"


def predict(
    model_folder: Path | str,
    cohort_folder: Path | str,
    out: Path | str,
    *,
    splits: Sequence[str] = ("tune", "test"),
    sites: Sequence[str] | None = None,
    heatmaps: bool = True,
    batch_size: int = 64,
    progress: Progress | None = None,
    part_size: int = IMAGES_PER_PART,
) -> Path:
    """Write a frozen model's score of every finding of every image, and its heat map, into the folder ``out``.

    Parameters
    ----------
    model_folder, cohort_folder
        a model (or ensemble) and a cohort whose pixels were made by the model's recipe
    splits, sites
        which images; None = every site
    heatmaps
        whether Grad-CAM is made for every finding of every image, in the same pass
    batch_size, part_size
        images in a pass, and in a part; an interrupted prediction goes on after the last whole part
    progress
        called with images done and images in all

    Returns
    -------
    ``out``, with ``predictions.parquet`` (score = recalibrated probability, logit = raw output; for an ensemble rows
    of its mean logit and of every member as ``name/folder``), ``heatmaps/part-00000.npy`` (n, findings, h, w) float16
    with every map divided by its maximum, ``heatmaps/maximum-00000.npy`` (n, findings) float32, ``heatmaps.parquet``
    (image_id, part, row), ``heatmaps.json`` and run.json. Where all this is there already, nothing is done again.

    Raises
    ------
    InputError
        pixels of another recipe, outputs that the cohort's vocabulary lacks or defines otherwise, a patient who was
        in training (splits other than train), nothing selected, outputs
        that are not finite; whatever was in ``out`` before stays

    Assumptions: float32 without TF32 unless model.json asks for "prediction_precision": "bf16-mixed"; equal to the
    bit for the same machine, versions, thread count and batch size, interrupted or not. An interrupted prediction goes
    on with the number of threads that it was begun with, unless OMP_NUM_THREADS gives another.
    """
    out, model, cohort = Path(out), open_model(model_folder), open_cohort(cohort_folder)
    images = select(cohort.images, splits=splits, sites=sites)
    store = cohort.store()
    check_recipe(model, store, where=cohort_folder)
    check_patients(model, images)
    check_vocabulary(model, cohort.vocabulary, where=cohort_folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = {
        "model": model.name,
        "splits": list(splits),
        "sites": None if sites is None else list(sites),
        "heatmaps": heatmaps,
        "batch_size": batch_size,
        "part_size": part_size,
        "device": device,
        "precision": precision(model),
    }
    inputs = {f"model/{name}": path for name, path in model.files().items()}
    inputs |= {"images": Path(cohort_folder) / "images.parquet", "recipe": Path(cohort_folder) / "pixels/recipe.json"}
    wanted = runs.fingerprint(config, inputs)
    if runs.complete(out, wanted):
        return out
    staging = out / f".partial-{wanted[:16]}"
    count = threads.resumed(f"The prediction in {out}", threads.recorded(kept(staging / _COMPUTING)))
    with threads.computing(count):
        # Refuses before anything is written.
        members = load_members(model, store, images, device=device, heatmaps=heatmaps)
        work = ScoringWork(members, store, images, batch_size, part_size)
        _write(work, model, staging, config=config, inputs=inputs, progress=progress)
    return out


def _write(
    work: ScoringWork,
    model: Model,
    staging: Path,
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, Path],
    progress: Progress | None,
) -> None:
    """Compute what is not there yet and put it in place, as one run."""
    out = staging.parent
    with (
        runs.claimed(out, "predict", _WRITTEN),
        _only_maps(out / "heatmaps"),
        runs.start(out, "predict", config=config, inputs=inputs) as run,
    ):
        _clear_staging(out, staging)
        if work.members[0].target is not None:
            _take_back(out / "heatmaps", staging)
        around = circumstances(config["device"], precision=config["precision"])
        if changed := keep(staging / _COMPUTING, around):
            warn(f"The prediction in {out}", changed)
            run.note("resumed", f"not equal to the bit to a prediction without interruption: {'; '.join(changed)}")
        run.note("computing", around)
        compute_parts(work, staging, progress=progress)
        _assemble(model, work, staging)
        for path in _publish(staging, out):
            run.output(path)
        run.note("scale", "probability")
        run.note("images", len(work.images))
        run.note("findings", list(model.outputs))
        run.note("vocabulary", findings.record_of(model.vocabulary))


@contextmanager
def _only_maps(maps: Path) -> Iterator[None]:
    """Refuse a folder of heat maps with other files in it: it is about to be replaced as a whole."""
    strange = [p.name for p in maps.iterdir() if not _MAPS.fullmatch(p.name)] if maps.is_dir() else []
    if strange:
        do = "Move them elsewhere: this folder is replaced."
        raise InputError(maps, "the files of heat maps alone", f"{len(strange)} others", examples=strange, do=do)
    yield


def select(images: pl.DataFrame, *, splits: Sequence[str], sites: Sequence[str] | None) -> pl.DataFrame:
    """The images of these splits and sites, in the order in which their pixels lie on disk."""
    for what, asked, known in (
        ("splits", splits, tables.SPLITS),
        ("sites", sites or (), images["site"].unique().sort().to_list()),
    ):
        unknown = [a for a in asked if a not in known]
        if unknown:
            raise InputError(
                what,
                f"some of {', '.join(map(repr, known))}",
                ", ".join(map(repr, unknown)),
                do=did_you_mean(unknown[0], known),
            )
    chosen = images.filter(pl.col("split").cast(pl.String).is_in(list(splits)))
    if sites is not None:
        chosen = chosen.filter(pl.col("site").is_in(list(sites)))
    if not len(chosen):
        there = images.group_by("site", "split").len().sort("site", "split").rows()
        raise InputError(
            "predict",
            f"images of splits {', '.join(map(repr, splits))} at {', '.join(sites or ['any site'])}",
            "none",
            do="The cohort has " + "; ".join(f"{n} of {site} in '{split}'" for site, split, n in there) + ".",
        )
    lacking = chosen.filter(pl.col("part").is_null() | pl.col("row").is_null())
    if len(lacking):
        raise InputError(
            "predict",
            "a place in the pixel store for every image",
            f"{len(lacking)} without",
            examples=lacking["image_id"].head(6),
            do="Build the cohort again.",
        )
    return chosen.sort("part", "row")


def check_recipe(model: Model, store: Store, *, where: object) -> None:
    """Refuse pixels made by another recipe than those the model was trained on."""
    if store.recipe != model.recipe:
        raise InputError(
            where,
            f"pixels as the model '{model.name}' was trained on ({model.recipe.describe()})",
            f"pixels made by another recipe ({store.recipe.describe()})",
            do="Build the cohort with the model's recipe.",
        )


def check_patients(model: Model, images: pl.DataFrame) -> None:
    """Refuse a patient outside the training split whom the model, or a member of it, was trained on."""
    known = model.train_patients.union(*(m.train_patients for m in model.members))
    tested = images.filter(pl.col("split").cast(pl.String) != "train")["patient_id"].unique().sort()
    shared = [p for p in tested if p in known]
    if shared:
        raise InputError(
            "predict",
            f"no patient whom the model '{model.name}' was trained on",
            f"{len(shared):,} of {len(tested):,} patients in its train_patients.txt",
            examples=shared,
            do="Its performance on them would be too good; split the cohort so that they are not tested.",
        )


def check_vocabulary(model: Model, vocabulary: Vocabulary, *, where: object) -> None:
    """Refuse a cohort in whose vocabulary an output of the model has another meaning, or none."""
    others = model.vocabulary.differences(vocabulary, model.outputs)
    if others:
        raise InputError(
            where,
            f"the outputs of the model '{model.name}' as findings of the cohort's vocabulary '{vocabulary.name}', with "
            f"the title, code and parents that they have in '{model.vocabulary.name}', which it was trained under",
            f"{len(others)} that are missing or defined otherwise",
            examples=others,
            do="State these findings in [findings.extra] of the cohort as the model's model.json does.",
        )


def _clear_staging(out: Path, staging: Path) -> None:
    """Make the folder of this prediction's parts; parts of any other prediction, and torn files, are cleared away."""
    for other in out.glob(".partial-*"):
        if other != staging and _STAGING.fullmatch(other.name):
            tables.remove(other)
    tables.make_folder(below(out, staging.name))
    clear_temporary(staging, below=True)


def _take_back(maps: Path, staging: Path) -> None:
    """Undo what a kill during `_publish` left: a part's maps are there before its logits, so these were moved."""
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
    n, findings = len(image_ids), len(lines)
    return pl.DataFrame(
        {
            "image_id": image_ids.gather(np.repeat(np.arange(n), findings)),
            "finding": pl.Series(model.outputs).gather(np.tile(np.arange(findings), n)),
            "model": pl.repeat(name, n * findings, eager=True),
            "shift": pl.repeat("none", n * findings, eager=True),
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


def _publish(staging: Path, out: Path) -> list[Path]:
    """Move what is complete into its place; the heat maps of an earlier prediction go, since they are not of this."""
    maps, old = out / "heatmaps", staging / "replaced"  # `_only_maps`: nothing but heat maps is in it
    for name in ("heatmaps.parquet", "heatmaps.json"):
        tables.remove(out / name)
    if maps.exists():
        tables.move(maps, old)
    if (staging / "heatmaps").exists():
        tables.move(staging / "heatmaps", maps)
    for name in ("heatmaps.parquet", "heatmaps.json", "predictions.parquet"):
        if (staging / name).exists():
            tables.move(staging / name, out / name)
    tables.remove(staging)
    named = [out / "predictions.parquet", out / "heatmaps.parquet", out / "heatmaps.json"]
    return [p for p in named if p.exists()] + sorted(maps.glob("*.npy"))
