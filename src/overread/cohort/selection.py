"""Who is in the cohort: every step of selection with how many were left, how many were left out, and why, by site."""

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
_NOTES = 12  # kinds of notes that the terminal shows


def select(images: pl.DataFrame, config: CohortConfig) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """The images that are selected, and the rows of the flow, one frame per step.

    Steps: modality, body part, view, age, size, exclusion list, one per case or patient. A step that is not asked for
    makes no row, nor does modality or body part if no image states it. Names of an exclusion file that no image has,
    and images without what `rule` goes by, are noted at the end.
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
    """The images of the least size or more once their pixels were read, and the rows of the flow for that.

    For images whose source does not state rows and columns, which `select` lets pass.
    """
    judged = _by_size(images, config)
    left_out = judged.filter(pl.col(_REASON).is_not_null())
    if not left_out.height:
        return images, []
    kept = judged.filter(pl.col(_REASON).is_null()).drop(_REASON)
    if not kept.height:
        raise InputError("cohort.minimum_size", "images to be left", f"none: all {left_out.height:,} are smaller")
    return kept, [left("size as read", left_out), remaining("size as read", kept)]


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
    """The reason to leave out an image that states another value than these; null if it states none."""
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
    """The column that an exclusion file names images by, and its names with `_listed`, why they are left out.

    Raises InputError: no such file; not exactly one column of image_id, case_id, patient_id; an empty name.
    """
    given = tables.frame_of(path)
    columns = [c for c in _UNITS.values() if c in given.columns]
    if len(columns) != 1:
        found = ", ".join(columns) or f"columns {', '.join(given.columns)}"
        raise InputError(path, "one column of image_id, case_id or patient_id", found)
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
    """Rows of the flow that note the names of exclusion files which no image of the source has."""
    made = []
    for path in config.exclude_files:
        found: list[tables.Note] = []
        column, listed = exclusions(path, notes=found)
        made += [identifiers(replace(n, table=Path(path).name)) for n in found]
        names = listed.join(images, on=column, how="anti")[column].sort()
        if len(names):
            hint = tables.spelling_hint(names, images[column])
            said = {
                "step": ["noted"],
                "unit": [column],
                "reason": [f"on the exclusion list {Path(path).name}, not here{hint and f': {hint}'}"],
            }
            row = pl.DataFrame(said | {"count": [len(names)], "examples": [", ".join(names.head(5))]})
            made.append(tables.check(row, "flow"))
    return made


def _by_size(images: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    """Images known to be too small; where rows and columns are not stated, `large_enough` looks again."""
    rows, columns = config.minimum_size
    small = (pl.col("rows") < rows) | (pl.col("columns") < columns)
    reason = pl.lit(f"fewer than {rows} rows or {columns} columns")
    return images.with_columns(pl.when(small.fill_null(False)).then(reason).alias(_REASON))


def _by_rule(images: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    """One image of each case or patient, by the rule: the same whatever the order of the rows."""
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
    kept = ranked.unique(key, keep="first").select("image_id", _kept=pl.lit(True))
    judged = images.join(kept, on="image_id", how="left", maintain_order="left")
    return judged.with_columns(pl.when(pl.col("_kept").is_null()).then(pl.lit(reason)).alias(_REASON)).drop("_kept")


def _unranked(images: pl.DataFrame, config: CohortConfig) -> list[pl.DataFrame]:
    """Images of a case or patient with several that lack what the rule goes by."""
    lacks = {"first": ("date", ["acquired"]), "last": ("date", ["acquired"]), "largest": ("size", ["rows", "columns"])}
    if config.rule not in lacks:
        return []
    what, columns = lacks[config.rule]
    several = pl.len().over(f"{config.one_per}_id") > 1
    lacking = images.filter(several & pl.any_horizontal(pl.col(c).is_null() for c in columns)).drop(_REASON)
    return [noted(f"no {what}: placed last by the rule '{config.rule}'", lacking)] if lacking.height else []


def draw(seed: int, name: str) -> int:
    """A number from 0 to 2^64 that hangs on the seed and the name alone."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\x1f{name}".encode(), digest_size=8).digest(), "big")


def identifiers(note: tables.Note) -> pl.DataFrame:
    """The row of the flow for a note on identifiers."""
    row = {"step": ["noted"], "unit": [IDENTIFIERS], "reason": [str(note)], "count": [note.count]}
    return tables.check(pl.DataFrame(row), "flow")


def summary(flow: pl.DataFrame) -> list[str]:
    """What the terminal shows of a flow: every reason for which images or files were left out, and what was noted.

    >>> row = {"step": "view", "unit": "images", "reason": "view LATERAL", "site": "", "count": 12}
    >>> summary(tables.check(pl.DataFrame([row]), "flow"))
    ['view: 12 images left out (view LATERAL)']
    """
    every = flow.filter(pl.col("site") == "", pl.col("reason") != "", pl.col("count") > 0)
    left, odd = every.filter(pl.col("step") != "noted"), every.filter(pl.col("step") == "noted")
    odd = odd.sort("count", descending=True, maintain_order=True)
    said = [f"{r['step']}: {_counted(r)} left out ({r['reason']})" for r in left.iter_rows(named=True)]
    said += [f"noted: {_note(r)}" for r in odd.head(_NOTES).iter_rows(named=True)]
    return said + ([f"noted: {odd.height - _NOTES:,} further kinds, see flow.parquet"] if odd.height > _NOTES else [])


def _note(row: Mapping[str, Any]) -> str:
    """A row of the flow that notes something; a note on identifiers, or on a source, holds its count itself."""
    return row["reason"] if row["unit"] in (IDENTIFIERS, "sources") else f"{_counted(row)}: {row['reason']}"


def _counted(row: Mapping[str, Any]) -> str:
    return f"{row['count']:,} {row['unit'][: -1 if row['count'] == 1 else None]}"


def remaining(step: str, images: pl.DataFrame) -> pl.DataFrame:
    """Rows of the flow: how many images, cases and patients are left after a step, in all and by site."""
    counts = [pl.col(column).n_unique().alias(unit) for unit, column in _UNITS.items()]
    every = images.select(counts).select(pl.lit("").alias("site"), *_UNITS)
    sites = images.group_by("site").agg(counts).sort("site")
    both = pl.concat([every, sites])
    long = both.unpivot(list(_UNITS), index="site", variable_name="unit", value_name="count")
    return _rows(long.with_columns(step=pl.lit(step), reason=pl.lit(""), examples=pl.lit(None, dtype=pl.String)))


def left(step: str, images: pl.DataFrame) -> pl.DataFrame:
    """Rows of the flow: how many images (with `_reason`) were left out at a step for which reason, by site."""
    return reasons(step, images, _REASON)


def noted(what: str, images: pl.DataFrame) -> pl.DataFrame:
    """Rows of the step "noted": images that were kept though something about them is odd."""
    return reasons("noted", images.with_columns(pl.lit(what).alias(_REASON)), _REASON)


def reasons(step: str, images: pl.DataFrame, column: str) -> pl.DataFrame:
    """Rows of the flow that count images by what `column` says, in all and by site, with up to five image_ids.

    Several notes of one image in `source_note` are separated by "; " and are counted one by one.
    """
    stated = images.filter(pl.col(column).is_not_null()).sort("image_id").select("image_id", "site", column)
    if column == "source_note":
        stated = stated.with_columns(pl.col(column).str.split("; ")).explode(column).unique(maintain_order=True)
    counted = [pl.len().alias("count"), pl.col("image_id").head(5).str.join(", ").alias("examples")]
    every = stated.group_by(column).agg(counted).with_columns(site=pl.lit(""))
    sites = stated.group_by(column, "site").agg(counted)
    both = pl.concat([every, sites.select(every.columns)]).sort(column, "site")
    return _rows(both.rename({column: "reason"}).with_columns(step=pl.lit(step), unit=pl.lit("images")))


def _rows(frame: pl.DataFrame) -> pl.DataFrame:
    return tables.check(frame.select(tables.empty("flow").columns), "flow")
