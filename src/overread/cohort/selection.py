"""Selection of the images of a cohort, with the number of images, cases and patients after every step and the
reasons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from overread import tables
from overread.cohort.cohort_config import CohortConfig
from overread.errors import InputError
from overread.tables.identifiers.identity import canonical
from overread.tables.table_notes import IDENTIFIERS

_UNITS = {"images": "image_id", "cases": "case_id", "patients": "patient_id"}
_REASON = "_reason"
_NOTES = 12  # maximum number of kinds of notes that the terminal shows


def select(images: pl.DataFrame, config: CohortConfig) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Select images and count exclusions.

    Parameters
    ----------
    images : DataFrame
        Table of images.
    config : CohortConfig
        Criteria of the selection.

    Returns
    -------
    images : DataFrame
        Images that are selected.
    flow : list of DataFrame
        Rows of the flow, one frame per step.

    Raises
    ------
    InputError
        A step excludes all images, or an exclusion file is invalid.

    Notes
    -----
    Steps: modality, body part, view, age, size, exclusion list, one per case or patient. A step that is not configured
    has no row, nor have modality and body part if no image states them. Names in an exclusion file that match no
    image, and images without the value that `rule` needs, are noted at the end.
    """
    flow = [remaining("read", images)]
    notes = idle(images, config)
    for step, reasons in _steps(images, config):
        judged = reasons(images, config)
        left_out = judged.filter(pl.col(_REASON).is_not_null())
        images = judged.filter(pl.col(_REASON).is_null()).drop(_REASON)
        flow += [left(step, left_out), remaining(step, images)]
        if not images.height:
            reason = left_out.group_by(_REASON).len().sort("len", descending=True)[_REASON][0]
            raise InputError(f"cohort, step '{step}'", "images to be left", f"none ({left_out.height:,}: {reason})")
        if step.startswith("one per"):
            notes += _unranked(judged, config)
    return images, flow + notes


def large_enough(images: pl.DataFrame, config: CohortConfig) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Exclude images below the minimum size, by the size of the pixels that were read, and count them in the flow.

    It applies to images whose source does not give rows and columns, which `select` includes.
    """
    judged = _by_size(images, config)
    left_out = judged.filter(pl.col(_REASON).is_not_null())
    if not left_out.height:
        return images, []
    kept_images = judged.filter(pl.col(_REASON).is_null()).drop(_REASON)
    if not kept_images.height:
        raise InputError("cohort.minimum_size", "images to be left", f"none: all {left_out.height:,} are smaller")
    return kept_images, [left("size as read", left_out), remaining("size as read", kept_images)]


def _steps(
    images: pl.DataFrame, config: CohortConfig
) -> list[tuple[str, Callable[[pl.DataFrame, CohortConfig], pl.DataFrame]]]:
    steps: list[tuple[str, Callable[[pl.DataFrame, CohortConfig], pl.DataFrame], bool]] = [
        ("modality", _by_modality, bool(config.modalities) and _stated(images, "modality")),
        ("body part", _by_body_part, bool(config.body_parts) and _stated(images, "body_part")),
        ("view", _by_view, bool(config.views)),
        ("age", _by_age, config.ages != (None, None)),
        ("size", _by_size, config.minimum_size != (0, 0)),
        ("exclusion list", _by_list, bool(config.exclude or config.exclude_files)),
        (f"one per {config.one_per}", _by_rule, config.one_per != "image"),
    ]
    return [(name, function) for name, function, wanted in steps if wanted]


def _stated(images: pl.DataFrame, column: str) -> bool:
    return column in images.columns and images[column].null_count() < images.height


def _by_modality(images: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    return images.with_columns(_other("modality", config.modalities).alias(_REASON))


def _by_body_part(images: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    return images.with_columns(_other("body_part", config.body_parts).alias(_REASON))


def _other(column: str, kept: tuple[str, ...]) -> pl.Expr:
    """Reason for exclusion where the column has another value; null where it is missing."""
    value = pl.col(column)
    other = value.is_not_null() & ~value.str.to_uppercase().is_in([word.upper() for word in kept])
    return pl.when(other).then(pl.format("{} {}", pl.lit(column.replace("_", " ")), value))


def _by_view(images: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    other = ~pl.col("view").is_in(list(config.views))
    return images.with_columns(pl.when(other).then(pl.format("view {}", pl.col("view").cast(pl.String))).alias(_REASON))


def _by_age(images: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    age, (low, high) = pl.col("age_years"), config.ages
    reasons = [pl.when(age.is_null() | age.is_nan()).then(pl.lit("age not stated"))]
    if low is not None:
        reasons.append(pl.when(age < low).then(pl.lit(f"younger than {low:g}")))
    if high is not None:
        reasons.append(pl.when(age > high).then(pl.lit(f"older than {high:g}")))
    return images.with_columns(pl.coalesce(reasons).alias(_REASON))


def _by_list(images: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    reason = pl.lit(None, dtype=pl.String)
    for column, values in config.exclude.items():
        named = pl.col(column).cast(pl.String).is_in(canonical(pl.Series(values, dtype=pl.String)).to_list())
        reason = pl.when(reason.is_null() & named).then(pl.lit(f"{column} on the exclusion list")).otherwise(reason)
    judged = images.with_columns(reason.alias(_REASON))
    for path in config.exclude_files:
        key, listed = exclusions(path)
        judged = judged.join(listed, on=key, how="left", maintain_order="left")
        judged = judged.with_columns(pl.coalesce(_REASON, "_listed").alias(_REASON)).drop("_listed")
    return judged


def exclusions(path: str | Path, *, notes: list[tables.Note] | None = None) -> tuple[str, pl.DataFrame]:
    """Read an exclusion file.

    Parameters
    ----------
    path : path
        CSV or Parquet file.
    notes : list of Note, optional
        Receives notes on identifiers that were changed.

    Returns
    -------
    column : str
        The column by which images are named: image_id, case_id or patient_id.
    names : DataFrame
        That column and `_listed`, the reason for exclusion.

    Raises
    ------
    InputError
        The file is missing, it does not have exactly one of the columns, or a name is empty.
    """
    given = tables.frame_of(path)
    columns = [c for c in _UNITS.values() if c in given.columns]
    if len(columns) != 1:
        column_names = ", ".join(columns) or f"columns {', '.join(given.columns)}"
        raise InputError(path, "one column of image_id, case_id or patient_id", column_names)
    column = columns[0]
    if given[column].null_count():
        raise InputError(path, f"a name in every row of '{column}'", f"{given[column].null_count():,} rows without")
    names = tables.identify(given, "images", where=path, notes=notes)
    why = pl.lit(f"{column} on the exclusion list")
    if "reason" in names.columns:
        why = pl.when(pl.col("reason").is_not_null()).then(pl.format("excluded: {}", "reason")).otherwise(why)
    listed = names.select(column, why.alias("_listed")).sort(column, "_listed").unique(column, keep="first")
    return column, listed


def idle(images: pl.DataFrame, config: CohortConfig) -> list[pl.DataFrame]:
    """Rows of the flow that note names in exclusion files which match no image of the source."""
    note_rows = []
    for path in config.exclude_files:
        found: list[tables.Note] = []
        column, listed = exclusions(path, notes=found)
        note_rows += [identifiers(replace(n, table=Path(path).name)) for n in found]
        names = listed.join(images, on=column, how="anti")[column].sort()
        if len(names):
            hint = tables.spelling_hint(names, images[column])
            note_row = {
                "step": ["noted"],
                "unit": [column],
                "reason": [f"on the exclusion list {Path(path).name}, not here{hint and f': {hint}'}"],
            }
            row = pl.DataFrame(note_row | {"count": [len(names)], "examples": [", ".join(names.head(5))]})
            note_rows.append(tables.check(row, "flow"))
    return note_rows


def _by_size(images: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    """Exclude images known to be too small; where the size is not stated, `large_enough` checks it later."""
    rows, columns = config.minimum_size
    small = (pl.col("rows") < rows) | (pl.col("columns") < columns)
    reason = pl.lit(f"fewer than {rows} rows or {columns} columns")
    return images.with_columns(pl.when(small.fill_null(False)).then(reason).alias(_REASON))


def _by_rule(images: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    """Keep one image per case or patient by the rule; the result is independent of row order."""
    key = f"{config.one_per}_id"
    order: pl.Expr | pl.Series
    if config.rule == "random":
        lots = pl.Series("_lot", [draw(config.seed, i) for i in images["image_id"]], dtype=pl.UInt64)
        order, reason = lots, f"another image of the {config.one_per} was drawn (seed {config.seed})"
    elif config.rule == "largest":
        size = pl.col("rows").cast(pl.Int64) * pl.col("columns")
        order, reason = -size.fill_null(0), f"another image of the {config.one_per} is larger"
    else:
        days = pl.col("acquired").cast(pl.Int32)
        order = days if config.rule == "first" else -days
        word = "earlier" if config.rule == "first" else "later"
        reason = f"another image of the {config.one_per} is {word}"
    ranked = images.select("image_id", key, order.alias("_rank")).sort("_rank", "image_id", nulls_last=True)
    chosen_images = ranked.unique(key, keep="first").select("image_id", _kept=pl.lit(True))
    judged = images.join(chosen_images, on="image_id", how="left", maintain_order="left")
    return judged.with_columns(pl.when(pl.col("_kept").is_null()).then(pl.lit(reason)).alias(_REASON)).drop("_kept")


def _unranked(images: pl.DataFrame, config: CohortConfig) -> list[pl.DataFrame]:
    """Note images of a case or patient with several images that lack the value that the rule needs."""
    lacks = {"first": ("date", ["acquired"]), "last": ("date", ["acquired"]), "largest": ("size", ["rows", "columns"])}
    if config.rule not in lacks:
        return []
    missing_value, columns = lacks[config.rule]
    has_others = pl.len().over(f"{config.one_per}_id") > 1
    lacking = images.filter(has_others & pl.any_horizontal(pl.col(c).is_null() for c in columns)).drop(_REASON)
    return [noted(f"no {missing_value}: placed last by the rule '{config.rule}'", lacking)] if lacking.height else []


def draw(seed: int, name: str) -> int:
    """Pseudo-random number from 0 to 2^64 - 1 that depends only on the seed and the name."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\x1f{name}".encode(), digest_size=8).digest(), "big")


def identifiers(note: tables.Note) -> pl.DataFrame:
    """Row of the flow for a note on identifiers."""
    row = {"step": ["noted"], "unit": [IDENTIFIERS], "reason": [str(note)], "count": [note.count]}
    return tables.check(pl.DataFrame(row), "flow")


def summary(flow: pl.DataFrame) -> list[str]:
    """Lines that the terminal shows for a flow: reasons for exclusion with counts, and notes.

    Parameters
    ----------
    flow : DataFrame
        Flow of a cohort.

    Returns
    -------
    list of str
        One line per reason; of the notes, the most frequent kinds.

    Examples
    --------
    >>> row = {"step": "view", "unit": "images", "reason": "view LATERAL", "site": "", "count": 12}
    >>> summary(tables.check(pl.DataFrame([row]), "flow"))
    ['view: 12 images left out (view LATERAL)']
    """
    totals = flow.filter(pl.col("site") == "", pl.col("reason") != "", pl.col("count") > 0)
    exclusion_rows, note_rows = totals.filter(pl.col("step") != "noted"), totals.filter(pl.col("step") == "noted")
    note_rows = note_rows.sort("count", descending=True, maintain_order=True)
    lines = [
        f"{r['step']}: {tables.counted(r['count'], r['unit'])} left out ({r['reason']})"
        for r in exclusion_rows.iter_rows(named=True)
    ]
    lines += [f"noted: {_note(r)}" for r in note_rows.head(_NOTES).iter_rows(named=True)]
    return lines + (
        [f"noted: {note_rows.height - _NOTES:,} further kinds, see flow.parquet"] if note_rows.height > _NOTES else []
    )


def _note(row: Mapping[str, Any]) -> str:
    """Text of a note of the flow; a note on identifiers or on a source includes its own count."""
    counted = tables.counted(row["count"], row["unit"])
    return row["reason"] if row["unit"] in (IDENTIFIERS, "sources") else f"{counted}: {row['reason']}"


def remaining(step: str, images: pl.DataFrame) -> pl.DataFrame:
    """Rows of the flow: images, cases and patients that remain after a step, in total and by site."""
    counts = [pl.col(column).n_unique().alias(unit) for unit, column in _UNITS.items()]
    totals = images.select(counts).select(pl.lit("").alias("site"), *_UNITS)
    sites = images.group_by("site").agg(counts).sort("site")
    counts_by_site = pl.concat([totals, sites])
    long = counts_by_site.unpivot(list(_UNITS), index="site", variable_name="unit", value_name="count")
    return _rows(long.with_columns(step=pl.lit(step), reason=pl.lit(""), examples=pl.lit(None, dtype=pl.String)))


def left(step: str, images: pl.DataFrame) -> pl.DataFrame:
    """Rows of the flow: images excluded at a step by reason (column `_reason`) and site."""
    return reasons(step, images, _REASON)


def noted(what: str, images: pl.DataFrame) -> pl.DataFrame:
    """Rows of the flow of step "noted": images that are kept but have a property to report."""
    return reasons("noted", images.with_columns(pl.lit(what).alias(_REASON)), _REASON)


def reasons(step: str, images: pl.DataFrame, column: str) -> pl.DataFrame:
    """Rows of the flow that count images by the value of `column`, in total and by site, with up to five image_ids.

    Several notes of one image in `source_note` are separated by "; " and counted one by one.
    """
    images_with_value = images.filter(pl.col(column).is_not_null()).sort("image_id").select("image_id", "site", column)
    if column == "source_note":
        images_with_value = (
            images_with_value.with_columns(pl.col(column).str.split("; ")).explode(column).unique(maintain_order=True)
        )
    counted = [pl.len().alias("count"), pl.col("image_id").head(5).str.join(", ").alias("examples")]
    totals = images_with_value.group_by(column).agg(counted).with_columns(site=pl.lit(""))
    sites = images_with_value.group_by(column, "site").agg(counted)
    counts_by_site = pl.concat([totals, sites.select(totals.columns)]).sort(column, "site")
    return _rows(counts_by_site.rename({column: "reason"}).with_columns(step=pl.lit(step), unit=pl.lit("images")))


def _rows(frame: pl.DataFrame) -> pl.DataFrame:
    return tables.check(frame.select(tables.empty("flow").columns), "flow")
