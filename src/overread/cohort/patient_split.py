"""Split into train, tune and test by patient, stratified by site and rare findings and independent of row order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from overread import runs
from overread.cohort.cohort_config import CohortConfig
from overread.cohort.listed_split import LISTED, listed
from overread.cohort.selection import draw, noted
from overread.cohort.time_split import by_time
from overread.errors import InputError, did_you_mean
from overread.tables.identifiers.identity import look_alikes

_SPLITS = ("train", "tune", "test")
_GIVEN = (*_SPLITS, "train_val")
_NEAR = "near_dup_group"


def split(images: pl.DataFrame, labels: pl.DataFrame, config: CohortConfig) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Assign the images of each patient to train, tune or test.

    Parameters
    ----------
    images : DataFrame
        Table of images.
    labels : DataFrame
        Table of labels, for stratification.
    config : CohortConfig
        Options of the split.

    Returns
    -------
    images : DataFrame
        The images with `split`.
    flow : list of DataFrame
        Rows of the flow with notes.

    Raises
    ------
    InputError
        A site is unknown, a given split is incomplete or has a patient in two splits (they are named), or a split by
        time has images without date.

    Notes
    -----
    Patients who share a `near_dup_group`, or whose identifiers look alike, form one unit and stay together. Every
    image of an external site is test. Within a site, units are ordered by their rarest finding (present in any label
    source) or value of `pairs_within`, then at random by the seed, and each is assigned to the split that keeps
    patients, images, findings and values closest to the fractions. With `split_by` "time" see `time_split.by_time`;
    with `split_file` see `listed_split.listed`.
    """
    _check_sites(images, config)
    units = _units(images)
    notes = _together(units)
    external = pl.col("site").is_in(list(config.external_sites)).any().over("_unit")
    if config.split_column or config.split_file:
        if config.split_file:
            units, more = listed(units, config)
            notes += more
        assigned_images = _given(units, labels, config)
        apart = assigned_images.filter(pl.col("split").n_unique().over("_unit") > 1)
        if apart.height:
            what = (
                "duplicate images, or patients with similar identifiers, in different splits, as the source gives them"
            )
            notes.append(noted(what, apart))
    else:
        inner = units.filter(~external)
        if config.split_by == "time":
            assigned, more = by_time(inner, config)
            notes += more
        else:
            assigned = _assigned(inner, labels, dict(zip(_SPLITS, config.fractions, strict=True)), config)
        assigned_images = units.join(assigned, on="_unit", how="left", maintain_order="left")
        assigned_images = assigned_images.with_columns(pl.col("split").fill_null("test"))
        moved_images = units.filter(external & ~pl.col("site").is_in(list(config.external_sites)))
        if moved_images.height:
            notes.append(
                noted("in test, because the patient or a duplicate image is at an external site", moved_images)
            )
    refuse_split_patients(assigned_images)
    return assigned_images.drop("_unit", "_given_split", LISTED, strict=False).with_columns(
        pl.col("split").cast(images.schema["split"])
    ), notes


def split_hash(frame: pl.DataFrame) -> str:
    """SHA-256 of the assignment of patients to splits; it depends only on patient_id and split, not on row order.

    Examples
    --------
    >>> one = pl.DataFrame({"patient_id": ["a", "b"], "split": ["train", "test"]})
    >>> split_hash(one) == split_hash(one.reverse()), split_hash(one.head(1)) == split_hash(one)
    (True, False)
    """
    who = frame.select("patient_id", pl.col("split").cast(pl.String)).unique().sort("patient_id", "split")
    return runs.frame_hash(who)


def _check_sites(images: pl.DataFrame, config: CohortConfig) -> None:
    sites = images["site"].unique().sort().to_list()
    for site in config.external_sites:
        if site not in sites:
            hint = did_you_mean(site, sites) or f"The cohort has {', '.join(sites)}."
            raise InputError("cohort.external_sites", "sites of the cohort", f"'{site}'", do=hint)


def _units(images: pl.DataFrame) -> pl.DataFrame:
    """Add `_unit`, the lowest patient_id of those that must be in one split.

    Patients are linked by a group of near-duplicate images, or by identifiers that look alike and may be one
    patient's.
    """
    patients = images["patient_id"].unique().sort()
    code = {p: i for i, p in enumerate(patients)}
    linked = images if _NEAR in images.columns else images.with_columns(pl.lit(None, pl.String).alias(_NEAR))
    pairs = [
        (code[group[0]], code[other])
        for group in linked.filter(pl.col(_NEAR).is_not_null())
        .group_by(_NEAR)
        .agg("patient_id")["patient_id"]
        .to_list()
        for other in group[1:]
    ]
    pairs += [(code[group[0]], code[other]) for group in look_alikes(patients) for other in group[1:]]
    a, b = (np.array([p[i] for p in pairs], np.int64) for i in (0, 1))
    graph = coo_matrix((np.ones(len(pairs)), (a, b)), shape=(len(patients), len(patients)))
    component = connected_components(graph, directed=False)[1]
    table = pl.DataFrame({"patient_id": patients, "_component": component})
    table = table.with_columns(_unit=pl.col("patient_id").min().over("_component")).drop("_component")
    without_split = images.drop("split").with_columns(_given_split=images["split"].cast(pl.String))
    return without_split.join(table, on="patient_id", how="left", maintain_order="left")


def _together(units: pl.DataFrame) -> list[pl.DataFrame]:
    notes = []
    if _NEAR in units.columns:
        repeated = units.filter(pl.col(_NEAR).is_not_null() & pl.col(_NEAR).is_duplicated())
        notes.append(noted("duplicate of another image; kept in the same split", repeated))
    multisite = units.filter(pl.col("site").n_unique().over("patient_id") > 1)
    notes.append(noted("the patient has images at more than one site; taken as one patient", multisite))
    alike = [p for group in look_alikes(units["patient_id"].unique()) for p in group]
    what = "the patient's identifier looks like that of another patient; kept in the same split"
    notes.append(noted(what, units.filter(pl.col("patient_id").is_in(alike))))
    return [n for n in notes if n.height]


def _given(units: pl.DataFrame, labels: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    """Split given by a column of the source; train_val is divided into train and tune."""
    column = "_given_split" if config.split_column == "split" else config.split_column
    column = LISTED if config.split_file else column
    external = pl.col("site").is_in(list(config.external_sites))
    word = pl.when(external).then(pl.lit("test")).otherwise(pl.col(column).cast(pl.String))
    given_splits = units.with_columns(split=word)
    unknown_splits = given_splits.filter(~pl.col("split").is_in(_GIVEN).fill_null(False))
    if unknown_splits.height:
        shown = unknown_splits["split"].unique().sort().to_list()
        raise InputError(
            f"images, {config.split_column or config.split_file}",
            f"one of {', '.join(_GIVEN)} for every image",
            f"{unknown_splits.height:,} images with others",
            examples=[s or "(empty)" for s in shown],
            do="Correct the column, or leave those images out.",
        )
    refuse_split_patients(given_splits)
    train, tune, _ = config.fractions
    fractions = {"train": train / (train + tune), "tune": tune / (train + tune)}
    divided = _assigned(given_splits.filter(pl.col("split") == "train_val"), labels, fractions, config)
    given_splits = given_splits.join(
        divided.rename({"split": "_of_two"}), on="_unit", how="left", maintain_order="left"
    )
    chosen = pl.when(pl.col("split") == "train_val").then(pl.col("_of_two")).otherwise(pl.col("split"))
    return given_splits.with_columns(split=chosen).drop("_of_two")


def _assigned(
    units: pl.DataFrame, labels: pl.DataFrame, fractions: Mapping[str, float], config: CohortConfig
) -> pl.DataFrame:
    """_unit and split: the units of every site divided by the fractions; a unit of several sites counts for the
    first.
    """
    present = labels.filter(pl.col("state").cast(pl.String) == "present").select("case_id", "finding")
    if config.stratify:
        present = present.filter(pl.col("finding").cast(pl.String).is_in(list(config.stratify)))
    all_units = units.group_by("_unit").agg(pl.col("site").min(), pl.len().alias("images")).sort("site", "_unit")
    cases = units.select("case_id", "_unit").unique().join(present, on="case_id")
    findings_by_unit = cases.group_by("_unit", "finding").len().with_columns(pl.col("finding").cast(pl.String))
    if "pairs_within" in units.columns:  # groups within which an AUC compares are balanced like findings
        groups = units.filter(pl.col("pairs_within").is_not_null()).group_by("_unit", "pairs_within").len()
        findings_by_unit = pl.concat([findings_by_unit, groups.rename({"pairs_within": "finding"})])
    site_splits = []
    for site in all_units.partition_by("site", maintain_order=True):
        names = site["_unit"].to_list()
        lots = np.array([draw(config.seed, name) for name in names], np.uint64)
        counts = _counts(site, findings_by_unit)
        order = np.lexsort((lots, _rarest(counts)))
        dealt = _dealt(counts[order], site["images"].to_numpy()[order], fractions)
        site_splits.append(pl.DataFrame({"_unit": [names[i] for i in order], "split": dealt}))
    return pl.concat(site_splits) if site_splits else pl.DataFrame(schema={"_unit": pl.String, "split": pl.String})


def _counts(site: pl.DataFrame, had: pl.DataFrame) -> NDArray[np.float64]:
    """Number of cases with each finding in each unit, shape (n_units, n_findings)."""
    unit = {name: i for i, name in enumerate(site["_unit"])}
    here = had.filter(pl.col("_unit").is_in(site["_unit"].implode())).sort("_unit", "finding")
    finding = {name: i for i, name in enumerate(here["finding"].unique().sort())}
    counts = np.zeros((len(unit), len(finding)))
    for name, what, n in here.iter_rows():
        counts[unit[name], finding[what]] = n
    return counts


def _rarest(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rank of each unit's rarest finding (0 = the rarest of the site); units without finding are last."""
    ranks = np.full(len(counts), counts.shape[1], np.int64)
    order = np.argsort((counts > 0).sum(0), kind="stable")
    for rank in range(len(order) - 1, -1, -1):
        ranks[counts[:, order[rank]] > 0] = rank
    return ranks


def _dealt(counts: NDArray[np.float64], images: NDArray[np.int64], fractions: Mapping[str, float]) -> list[str]:
    """Assign each unit in turn so that units, images and findings keep to the fractions.

    Each unit is assigned to the split for which the sum of squared deviations from the fractions, each relative to its
    total, increases least. Units with rare findings come first, when there is most freedom (after Sechidis et al.
    2011, doi:10.1007/978-3-642-23808-6_10).
    """
    names, share = list(fractions), np.array(list(fractions.values()))
    kinds = np.column_stack([counts > 0, counts, np.ones(len(counts)), images]).astype(np.float64)
    weight = 1 / np.maximum(kinds.sum(0), 1) ** 2
    takes = np.flatnonzero(share > 0)
    ahead = np.zeros((len(names), kinds.shape[1]))  # excess of each split over its share of the units assigned so far
    column, taken = share[:, None], share[takes]
    dealt = []
    for kind, square in zip(kinds, kinds**2, strict=True):
        ahead -= column * kind
        growth = ((2 * ahead * kind + square) * weight).sum(1)[takes] / taken
        chosen = int(takes[growth.argmin()])
        ahead[chosen] += kind
        dealt.append(names[chosen])
    return dealt


def refuse_split_patients(images: pl.DataFrame) -> None:
    """Refuse a cohort in which a patient has images in two splits; the patients are named."""
    words = images.select("patient_id", pl.col("split").cast(pl.String)).unique().sort("patient_id", "split")
    split_patients = (
        words.group_by("patient_id", maintain_order=True).agg("split").filter(pl.col("split").list.len() > 1)
    )
    if split_patients.height:
        raise InputError(
            "split",
            "every patient in one split",
            f"{split_patients.height:,} patients in several",
            examples=[f"{p}: {' and '.join(s)}" for p, s in split_patients.iter_rows()],
            do="Correct the split that the source gives: performance on patients seen in training is too good.",
        )
