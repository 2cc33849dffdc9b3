"""Prediction on a cohort: scores and heat maps of a frozen model, computed in parts so that it can be resumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from overread import runs, tables, threads
from overread.cohort import open_cohort
from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.images.store.pixel_store import Store
from overread.training.networks.model_folder import Model, open_model
from overread.training.scoring.prediction_run import (
    MAP_FILE,
    WRITTEN,
    clear_staging,
    compute,
    only_files,
    publish,
    scoring_device,
    scoring_work,
    threads_of,
)
from overread.training.scoring.score_parts import Progress, precision

IMAGES_PER_PART = 1024
"""How many images one part holds: what a kill costs at most."""


def score_cohort(
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
    """Score every finding of every image of a cohort with a frozen model, and write the predictions into a folder.

    Parameters
    ----------
    model_folder, cohort_folder : path
        A model (or ensemble), and a cohort with the pixel recipe of the model.
    out : path
        The folder of the prediction.
    splits : sequence of str
        The splits to be scored.
    sites : sequence of str, optional
        The sites to be scored; None = all.
    heatmaps : bool
        Whether to compute Grad-CAM for every finding of every image.
    batch_size, part_size : int
        Images per pass, and per part; an interrupted prediction is resumed after the last complete part.
    progress : callable, optional
        Called with images done and total images.

    Returns
    -------
    Path
        `out`, with predictions.parquet (score = recalibrated probability, logit = raw output; for an ensemble rows of
        its mean logit and of every member as ``name/folder``), heatmaps/part-00000.npy (n, findings, h, w) float16 with
        every map divided by its maximum, heatmaps/maximum-00000.npy (n, findings) float32, heatmaps.parquet (image_id,
        part, row), heatmaps.json and run.json.

    Raises
    ------
    InputError
        Pixels of another recipe, outputs that are missing or defined differently in the vocabulary of the cohort, a
        patient of the training data (splits other than train), no images, outputs that are not finite. Earlier content
        of `out` is then unchanged.

    Notes
    -----
    A complete prediction with the same settings and inputs is not repeated. Arithmetic is float32 without TF32 unless
    model.json has "prediction_precision": "bf16-mixed". Results are identical to the bit for the same machine,
    versions, number of threads and batch size, interrupted or not. An interrupted prediction is resumed with the number
    of threads with which it was started, unless OMP_NUM_THREADS gives another.
    """
    out, model, cohort = Path(out), open_model(model_folder), open_cohort(cohort_folder)
    images = select(cohort.images, splits=splits, sites=sites)
    store = cohort.store()
    check_recipe(model, store, where=cohort_folder)
    check_patients(model, images)
    check_vocabulary(model, cohort.vocabulary, where=cohort_folder)
    config = {
        "model": model.name,
        "splits": list(splits),
        "sites": None if sites is None else list(sites),
        "heatmaps": heatmaps,
        "batch_size": batch_size,
        "part_size": part_size,
        "device": scoring_device(),
        "precision": precision(model),
    }
    inputs = {f"model/{name}": path for name, path in model.files().items()}
    inputs |= {"images": Path(cohort_folder) / "images.parquet", "recipe": Path(cohort_folder) / "pixels/recipe.json"}
    fingerprint = runs.fingerprint(config, inputs)
    if runs.complete(out, fingerprint):
        return out
    staging = out / f".partial-{fingerprint[:16]}"
    count = threads.resumed(f"The prediction in {out}", threads_of(staging))
    with threads.computing(count):
        # Refuses before anything is written.
        work = scoring_work(model, store, images, heatmaps=heatmaps, batch_size=batch_size, part_size=part_size)
        with (
            runs.claimed(out, "predict", WRITTEN),
            only_files(out / "heatmaps", MAP_FILE),
            runs.start(out, "predict", config=config, inputs=inputs) as run,
        ):
            clear_staging(out, staging)
            compute(run, model, work, staging, progress=progress)
            publish(run, staging)
    return out


def select(images: pl.DataFrame, *, splits: Sequence[str], sites: Sequence[str] | None) -> pl.DataFrame:
    """Return the images of these splits and sites, in the order of their pixels on disk."""
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
            "pixels in the pixel store for every image",
            f"{len(lacking)} without",
            examples=lacking["image_id"].head(6),
            do="Build the cohort again.",
        )
    return chosen.sort("part", "row")


def check_recipe(model: Model, store: Store, *, where: object) -> None:
    """Refuse pixels that were made by another recipe than the training images."""
    if store.recipe != model.recipe:
        raise InputError(
            where,
            f"pixels as the model '{model.name}' was trained on ({model.recipe.describe()})",
            f"pixels made by another recipe ({store.recipe.describe()})",
            do="Build the cohort with the model's recipe.",
        )


def check_patients(model: Model, images: pl.DataFrame) -> None:
    """Refuse a patient outside the training split on whom the model, or a member of it, was trained."""
    known = model.train_patients.union(*(m.train_patients for m in model.members))
    tested = images.filter(pl.col("split").cast(pl.String) != "train")["patient_id"].unique().sort()
    shared = [p for p in tested if p in known]
    if shared:
        raise InputError(
            "predict",
            f"no patient whom the model '{model.name}' was trained on",
            f"{len(shared):,} of {len(tested):,} patients in its train_patients.txt",
            examples=shared,
            do="Performance on them is biased upwards: exclude them from the test set.",
        )


def check_vocabulary(model: Model, vocabulary: Vocabulary, *, where: object) -> None:
    """Refuse a cohort in whose vocabulary an output of the model is missing or has another definition."""
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
