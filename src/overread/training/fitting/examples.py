"""Training examples: the images of a split, their labels as an array, and batches that are read ahead.

One thread gathers batches from the memory-mapped pixel store, so that training does not wait. Worker processes would
only copy what the operating system already holds in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from overread.errors import InputError, did_you_mean
from overread.images.store.pixel_store import Store
from overread.training.training_config import TrainingConfig

AHEAD = 3
"""Batches that wait ready at most: enough to even out a slow page, little memory."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Images in a fixed order and their labels: truth (n, findings), 1 present, 0 absent, NaN no label."""

    images: pl.DataFrame
    truth: NDArray[np.float32]

    def __len__(self) -> int:
        return self.images.height


def select_images(images: pl.DataFrame, *, split: str, sites: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the images of a split and of some sites (None = all), ordered by image_id, with their index in the pixel
    store.

    Raises
    ------
    InputError
        A site that is not in the cohort, or no images.
    """
    known = images["site"].unique().sort().to_list()
    unknown = [s for s in sites or () if s not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known) or f"Known sites: {', '.join(known)}."
        raise InputError("sites", "sites of the cohort", f"{len(unknown)} unknown", examples=unknown, do=hint)
    chosen = images.filter(pl.col("split") == split)
    if sites is not None:
        chosen = chosen.filter(pl.col("site").is_in(list(sites)))
    if chosen.is_empty():
        site_text = f" of {', '.join(sites)}" if sites is not None else ""
        raise InputError(
            "cohort", f"images in the split '{split}'{site_text}", "none", do="Look at the split of the cohort."
        )
    without = chosen.filter(pl.col("part").is_null() | pl.col("row").is_null())
    if without.height:
        found = f"{without.height} images without"
        raise InputError("cohort", "pixels of every image", found, examples=without["image_id"], do="Build it again.")
    return chosen.sort("image_id")


def limit_images(images: pl.DataFrame, count: int, *, rng: np.random.Generator) -> pl.DataFrame:
    """Draw patients at random until there are `count` images, with the last patient cut; all images if there are
    fewer.
    """
    if count < 2:
        raise InputError("max_images", "at least 2", str(count))
    patients = images["patient_id"].unique().sort().to_numpy()
    place = pl.DataFrame({"patient_id": rng.permutation(patients)}).with_row_index("_drawn")
    drawn = images.join(place, on="patient_id", how="left").sort("_drawn", "image_id")
    return drawn.head(count).drop("_drawn").sort("image_id")


def chosen_labels(labels: pl.DataFrame, *, sources: Sequence[str]) -> pl.DataFrame:
    """Return the labels of some sources (() = all); two sources must not label the same case and finding."""
    known = labels["source"].unique().sort().to_list()
    unknown = [s for s in sources if s not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known) or f"Known sources: {', '.join(known)}."
        raise InputError("training.label_source", "label sources of the cohort", repr(unknown[0]), do=hint)
    chosen = labels.filter(pl.col("source").is_in(list(sources))) if sources else labels
    twice = chosen.group_by("case_id", "finding").len().filter(pl.col("len") > 1).sort("case_id", "finding")
    if twice.height:
        raise InputError(
            "labels",
            "one label of each finding of a case to learn from",
            f"{twice.height} that several sources state ({', '.join(known)})",
            examples=[f"{r['case_id']} {r['finding']}" for r in twice.head(5).iter_rows(named=True)],
            do="Name the source to learn from: label_source.",
        )
    return chosen


def truth_of(
    images: pl.DataFrame, labels: pl.DataFrame, findings: Sequence[str], *, policy: Callable[[str], str]
) -> NDArray[np.float32]:
    """Return the labels of the case of each image (n_images, n_findings): 1 present, 0 absent, NaN no label.

    `labels` has each (case, finding) once; `policy(finding)` is "ignore" (NaN), "absent" or "present" for uncertain
    labels.
    """
    truth = np.full((images.height, len(findings)), np.nan, np.float32)
    columns = {finding: i for i, finding in enumerate(findings)}
    rows = images.select("case_id").with_row_index("_row")
    labelled = (
        labels.select("case_id", pl.col("finding").cast(pl.String), pl.col("state").cast(pl.String))
        .filter(pl.col("finding").is_in(list(findings)))
        .join(rows, on="case_id", how="inner")
    )
    for (finding, state), group in labelled.group_by("finding", "state"):
        meaning = policy(str(finding)) if state == "uncertain" else str(state)
        value = {"present": 1.0, "absent": 0.0, "ignore": np.nan}[meaning]
        truth[group["_row"].to_numpy(), columns[str(finding)]] = value
    return truth


def outputs_of(
    images: pl.DataFrame, labels: pl.DataFrame, config: TrainingConfig
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the findings that can be learnt, and the reason for every other finding of the cohort.

    A finding is an output if at least one training image has it present and at least one has it absent. Outputs are in
    the order of the configuration or the vocabulary.

    Raises
    ------
    InputError
        No finding can be learnt.
    """
    stated = set(labels["finding"].cast(pl.String).unique().to_list())
    asked = config.findings or tuple(f for f in config.vocabulary.names() if f in stated)
    truth = truth_of(images, labels, asked, policy=config.policy)
    present, absent = (truth == 1).sum(0), (truth == 0).sum(0)
    reasons = {}
    for finding, n_present, n_absent in zip(asked, present, absent, strict=True):
        if n_present == 0 and n_absent == 0:
            reasons[finding] = "no training source states it"
        elif n_absent == 0:
            reasons[finding] = f"the training sources state it only as present ({n_present} images)"
        elif n_present == 0:
            reasons[finding] = f"the training sources state it only as absent ({n_absent} images)"
    for finding in sorted(stated - set(asked)):
        reasons[finding] = "not among the findings that were asked for"
    outputs = tuple(f for f in asked if f not in reasons)
    if not outputs:
        raise InputError(
            "training labels",
            "a finding that is stated as present and as absent",
            f"none among {len(asked)}",
            examples=[f"{f}: {r}" for f, r in reasons.items()],
        )
    return outputs, reasons


def prevalences(examples: Examples, findings: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Return the share of present labels by site and finding; None for a site without labels."""
    found: dict[str, dict[str, float | None]] = {}
    for site in examples.images["site"].unique().sort().to_list():
        truth = examples.truth[(examples.images["site"] == site).to_numpy()]
        labelled, present = (~np.isnan(truth)).sum(0), (truth == 1).sum(0)
        found[site] = {f: float(p / n) if n else None for f, p, n in zip(findings, present, labelled, strict=True)}
    return found


def epoch_order(n: int, batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Return the images of each step of an epoch: all images once, shuffled; batch sizes differ by at most one.

    The order depends only on seed and epoch, so that resumed training sees the same order.

    >>> [len(batch) for batch in epoch_order(10, 4, seed=0, epoch=0)]
    [4, 3, 3]
    """
    order = np.random.default_rng([seed, epoch]).permutation(n)
    return np.array_split(order, max(1, -(-n // batch_size)))


def batches(
    store: Store, examples: Examples, order: Sequence[NDArray[np.int64]], *, pin: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield pixels uint8 (n, size, size) and truth float32 (n, findings) of each step, read ahead by one thread.

    `order` holds the indices in `examples` of each step; `pin` uses page-locked memory for transfer to a GPU.
    """
    part, row = examples.images["part"].to_numpy(), examples.images["row"].to_numpy()

    def gather(places: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(store.gather(part[places], row[places]))
        truth = torch.from_numpy(examples.truth[places])
        return (pixels.pin_memory(), truth.pin_memory()) if pin else (pixels, truth)

    yield from ahead(gather, order)


def ahead(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
    """Yield work(item) of each item in order, up to AHEAD of them computed in advance by a thread; errors are raised
    in order.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="overread-loader")
    try:
        coming = [pool.submit(work, item) for item in items[:AHEAD]]
        for place in range(len(items)):
            ready = coming.pop(0).result()
            if place + AHEAD < len(items):
                coming.append(pool.submit(work, items[place + AHEAD]))
            yield ready
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
