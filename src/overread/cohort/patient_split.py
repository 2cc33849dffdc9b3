"""Train, tune and test by patient: stratified by site and rare finding, the same whatever the order of the rows."""

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
    """The images with their split, and rows of the flow that note what was odd.

    Patients who share a `near_dup_group`, or whose identifiers look alike, are one unit and stay together. Every image
    of an external site is test. Within a site, units are taken by the rarest finding (present in any label source) or
    value of `pairs_within` that they have, then drawn by the seed, and go where they keep patients, images and every
    finding and value closest to the fractions. With `split_by` "time" units go by the date of their latest image, see
    `split_time.by_time`; with `split_file` by a published list, see `split_list.listed`.

    Raises InputError: unknown site; a given split that is not whole, or that has a patient in two splits, by name; a
    split by time with images that have no date.
    """
    _check_sites(images, config)
    units = _units(images)
    notes = _together(units)
    external = pl.col("site").is_in(list(config.external_sites)).any().over("_unit")
    if config.split_column or config.split_file:
        if config.split_file:
            units, more = listed(units, config)
            notes += more
        made = _given(units, labels, config)
        apart = made.filter(pl.col("split").n_unique().over("_unit") > 1)
        if apart.height:
            what = "copies of one picture, or patients that look alike, in different splits, as the source gives them"
            notes.append(noted(what, apart))
    else:
        inner = units.filter(~external)
        if config.split_by == "time":
            assigned, more = by_time(inner, config)
            notes += more
        else:
            assigned = _assigned(inner, labels, dict(zip(_SPLITS, config.fractions, strict=True)), config)
        made = units.join(assigned, on="_unit", how="left", maintain_order="left")
        made = made.with_columns(pl.col("split").fill_null("test"))
        moved = units.filter(external & ~pl.col("site").is_in(list(config.external_sites)))
        if moved.height:
            notes.append(noted("in test, since the patient or a copy of the picture is at an external site", moved))
    refuse_split_patients(made)
    return made.drop("_unit", "_given_split", LISTED, strict=False).with_columns(
        pl.col("split").cast(images.schema["split"])
    ), notes


def split_hash(frame: pl.DataFrame) -> str:
    """The SHA-256 of who is in which split: of patient_id and split alone, whatever the order of the rows.

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
    """Add `_unit`, the least patient_id of those that must stay in one split.

    Patients are linked by a group of near-duplicate images, or because their identifiers look alike and may be one.
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
    kept = images.drop("split").with_columns(_given_split=images["split"].cast(pl.String))
    return kept.join(table, on="patient_id", how="left", maintain_order="left")


def _together(units: pl.DataFrame) -> list[pl.DataFrame]:
    notes = []
    if _NEAR in units.columns:
        repeated = units.filter(pl.col(_NEAR).is_not_null() & pl.col(_NEAR).is_duplicated())
        notes.append(noted("one picture with another image; kept in the same split", repeated))
    several = units.filter(pl.col("site").n_unique().over("patient_id") > 1)
    notes.append(noted("the patient has images at more than one site; taken as one patient", several))
    alike = [p for group in look_alikes(units["patient_id"].unique()) for p in group]
    what = "the patient's identifier looks like that of another patient; kept in the same split"
    notes.append(noted(what, units.filter(pl.col("patient_id").is_in(alike))))
    return [n for n in notes if n.height]


def _given(units: pl.DataFrame, labels: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    """The split that a column of the source gives; train_val is divided into train and tune."""
    column = "_given_split" if config.split_column == "split" else config.split_column
    column = LISTED if config.split_file else column
    external = pl.col("site").is_in(list(config.external_sites))
    word = pl.when(external).then(pl.lit("test")).otherwise(pl.col(column).cast(pl.String))
    made = units.with_columns(split=word)
    strange = made.filter(~pl.col("split").is_in(_GIVEN).fill_null(False))
    if strange.height:
        shown = strange["split"].unique().sort().to_list()
        raise InputError(
            f"images, {config.split_column or config.split_file}",
            f"one of {', '.join(_GIVEN)} for every image",
            f"{strange.height:,} images with others",
            examples=[s or "(empty)" for s in shown],
            do="Correct the column, or leave those images out.",
        )
    refuse_split_patients(made)
    train, tune, _ = config.fractions
    fractions = {"train": train / (train + tune), "tune": tune / (train + tune)}
    divided = _assigned(made.filter(pl.col("split") == "train_val"), labels, fractions, config)
    made = made.join(divided.rename({"split": "_of_two"}), on="_unit", how="left", maintain_order="left")
    chosen = pl.when(pl.col("split") == "train_val").then(pl.col("_of_two")).otherwise(pl.col("split"))
    return made.with_columns(split=chosen).drop("_of_two")


def _assigned(
    units: pl.DataFrame, labels: pl.DataFrame, fractions: Mapping[str, float], config: CohortConfig
) -> pl.DataFrame:
    """_unit, split: the units of every site (a unit of several sites counts for the first) divided by the fractions."""
    present = labels.filter(pl.col("state").cast(pl.String) == "present").select("case_id", "finding")
    if config.stratify:
        present = present.filter(pl.col("finding").cast(pl.String).is_in(list(config.stratify)))
    whole = units.group_by("_unit").agg(pl.col("site").min(), pl.len().alias("images")).sort("site", "_unit")
    cases = units.select("case_id", "_unit").unique().join(present, on="case_id")
    had = cases.group_by("_unit", "finding").len().with_columns(pl.col("finding").cast(pl.String))
    if "pairs_within" in units.columns:  # what an AUC compares within is kept in proportion like a finding
        groups = units.filter(pl.col("pairs_within").is_not_null()).group_by("_unit", "pairs_within").len()
        had = pl.concat([had, groups.rename({"pairs_within": "finding"})])
    made = []
    for site in whole.partition_by("site", maintain_order=True):
        names = site["_unit"].to_list()
        lots = np.array([draw(config.seed, name) for name in names], np.uint64)
        counts = _counts(site, had)
        order = np.lexsort((lots, _rarest(counts)))
        dealt = _dealt(counts[order], site["images"].to_numpy()[order], fractions)
        made.append(pl.DataFrame({"_unit": [names[i] for i in order], "split": dealt}))
    return pl.concat(made) if made else pl.DataFrame(schema={"_unit": pl.String, "split": pl.String})


def _counts(site: pl.DataFrame, had: pl.DataFrame) -> NDArray[np.float64]:
    """Cases with each finding in each unit, (n_units, n_findings)."""
    unit = {name: i for i, name in enumerate(site["_unit"])}
    here = had.filter(pl.col("_unit").is_in(site["_unit"].implode())).sort("_unit", "finding")
    finding = {name: i for i, name in enumerate(here["finding"].unique().sort())}
    counts = np.zeros((len(unit), len(finding)))
    for name, what, n in here.iter_rows():
        counts[unit[name], finding[what]] = n
    return counts


def _rarest(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rank of each unit's rarest finding (0 = the rarest of the site), units with none last."""
    ranks = np.full(len(counts), counts.shape[1], np.int64)
    order = np.argsort((counts > 0).sum(0), kind="stable")
    for rank in range(len(order) - 1, -1, -1):
        ranks[counts[:, order[rank]] > 0] = rank
    return ranks


def _dealt(counts: NDArray[np.float64], images: NDArray[np.int64], fractions: Mapping[str, float]) -> list[str]:
    """A split for every unit in turn, so that units, images, and units and cases of every finding keep to the shares.

    Each unit goes where the sum of squared distances from the shares, each relative to its total, grows least. Units
    with rare findings come first, when there is most freedom (after Sechidis et al. 2011,
    doi:10.1007/978-3-642-23808-6_10).
    """
    names, share = list(fractions), np.array(list(fractions.values()))
    kinds = np.column_stack([counts > 0, counts, np.ones(len(counts)), images]).astype(np.float64)
    weight = 1 / np.maximum(kinds.sum(0), 1) ** 2
    takes = np.flatnonzero(share > 0)
    ahead = np.zeros((len(names), kinds.shape[1]))  # what each split has beyond its share of what was dealt
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
    """Refuse a cohort in which a patient has images in two splits; the message names the patients."""
    words = images.select("patient_id", pl.col("split").cast(pl.String)).unique().sort("patient_id", "split")
    both = words.group_by("patient_id", maintain_order=True).agg("split").filter(pl.col("split").list.len() > 1)
    if both.height:
        raise InputError(
            "split",
            "every patient in one split",
            f"{both.height:,} patients in several",
            examples=[f"{p}: {' and '.join(s)}" for p, s in both.iter_rows()],
            do="Correct the split that the source gives: performance on patients seen in training is too good.",
        )
