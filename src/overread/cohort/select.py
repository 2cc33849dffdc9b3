"""Who is in the cohort: every step of selection with how many were left, how many were left out, and why, by site."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import polars as pl

from overread import tables
from overread.cohort.config import CohortConfig
from overread.errors import InputError

_UNITS = {"images": "image_id", "cases": "case_id", "patients": "patient_id"}
_REASON = "_reason"


def select(images: pl.DataFrame, config: CohortConfig) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """The images that are selected, and the rows of the flow, one frame per step.

    Steps: view, age, exclusion list, one per case or patient; a step that is not asked for makes no row.
    """
    flow = [remaining("read", images)]
    for step, reasons in _steps(config):
        judged = reasons(images, config)
        left_out = judged.filter(pl.col(_REASON).is_not_null())
        images = judged.filter(pl.col(_REASON).is_null()).drop(_REASON)
        flow += [left(step, left_out), remaining(step, images)]
        if not images.height:
            reason = left_out.group_by(_REASON).len().sort("len", descending=True)[_REASON][0]
            raise InputError(f"cohort, step '{step}'", "images to be left", f"none ({left_out.height:,}: {reason})")
    return images, flow


def _steps(config: CohortConfig) -> list[tuple[str, Callable[[pl.DataFrame, CohortConfig], pl.DataFrame]]]:
    steps: list[tuple[str, Callable[[pl.DataFrame, CohortConfig], pl.DataFrame], bool]] = [
        ("view", _by_view, bool(config.views)),
        ("age", _by_age, config.ages != (None, None)),
        ("exclusion list", _by_list, bool(config.exclude)),
        (f"one per {config.one_per}", _by_draw, config.one_per != "image"),
    ]
    return [(name, function) for name, function, wanted in steps if wanted]


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
        listed = pl.col(column).cast(pl.String).is_in(list(values))
        reason = pl.when(reason.is_null() & listed).then(pl.lit(f"{column} on the exclusion list")).otherwise(reason)
    return images.with_columns(reason.alias(_REASON))


def _by_draw(images: pl.DataFrame, config: CohortConfig) -> pl.DataFrame:
    """One image of each case or patient, drawn by the seed: the same whatever the order of the rows."""
    key = f"{config.one_per}_id"
    lots = [draw(config.seed, image_id) for image_id in images["image_id"]]
    drawn = pl.col("_lot") == pl.col("_lot").min().over(key)
    reason = pl.lit(f"another image of the {config.one_per} was drawn (seed {config.seed})")
    return (
        images.with_columns(pl.Series("_lot", lots, dtype=pl.UInt64))
        .with_columns(pl.when(~drawn).then(reason).alias(_REASON))
        .drop("_lot")
    )


def draw(seed: int, name: str) -> int:
    """A number from 0 to 2^64 that hangs on the seed and the name alone."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\x1f{name}".encode(), digest_size=8).digest(), "big")


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
    """Rows of the flow that count images by what `column` says, in all and by site, with up to five image_ids."""
    stated = images.filter(pl.col(column).is_not_null()).sort("image_id")
    counted = [pl.len().alias("count"), pl.col("image_id").head(5).str.join(", ").alias("examples")]
    every = stated.group_by(column).agg(counted).with_columns(site=pl.lit(""))
    sites = stated.group_by(column, "site").agg(counted)
    both = pl.concat([every, sites.select(every.columns)]).sort(column, "site")
    return _rows(both.rename({column: "reason"}).with_columns(step=pl.lit(step), unit=pl.lit("images")))


def _rows(frame: pl.DataFrame) -> pl.DataFrame:
    return tables.check(frame.select(tables.empty("flow").columns), "flow")
