"""Split into train, tune and test by time: the latest patients are test, as in prospective use of a model."""

from __future__ import annotations

from datetime import date

import polars as pl

from overread.cohort.cohort_config import CohortConfig
from overread.cohort.selection import noted
from overread.errors import InputError


def by_time(units: pl.DataFrame, config: CohortConfig) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Assign each unit to a split by the date of its latest image.

    Parameters
    ----------
    units : DataFrame
        Images with `_unit` and `acquired`.
    config : CohortConfig
        `split_dates` or `fractions`.

    Returns
    -------
    assigned : DataFrame
        _unit and split.
    flow : list of DataFrame
        Rows of the flow with notes.

    Raises
    ------
    InputError
        Images have no date (they are named), or no patients remain for train.

    Notes
    -----
    Units from the first day of test on are test, from the first day of tune on tune, otherwise train; no image of
    train or tune is therefore later than its split. A patient (or patients with duplicate images) with images on both
    sides of a boundary is assigned to the later split and counted. Without `split_dates` the boundaries divide the
    patients of all sites together by the fractions; patients with the same date stay together.
    """
    undated = units.filter(pl.col("acquired").is_null())
    if undated.height:
        raise InputError(
            "split_by = 'time'",
            "a date ('acquired') for every image",
            f"{undated.height:,} images without one",
            examples=undated["image_id"].sort().head(5).to_list(),
            do="Give the dates, leave those images out by an exclusion list, or split by patient.",
        )
    spans = units.group_by("_unit").agg(last=pl.col("acquired").max()).sort("_unit")
    if not spans.height:
        return spans.select("_unit", split=pl.lit("test")), []
    tune, test = _days(spans["last"].sort(), config)
    assigned = spans.select("_unit", split=_side(pl.col("last"), tune, test))
    if not (assigned["split"] == "train").any():
        raise InputError("split_by = 'time'", "patients before the first day of tune", "none", examples=[str(tune)])
    days = ", ".join(f"{name} from {day}" for name, day in (("tune", tune), ("test", test)) if day is not None)
    notes = [noted(f"split by time: {days or 'all train'}", units)]
    earlier_images = units.join(assigned, on="_unit").filter(_side(pl.col("acquired"), tune, test) != pl.col("split"))
    if earlier_images.height:
        notes.append(noted("earlier than the split it is in: the patient goes with the latest image", earlier_images))
    return assigned, notes


def _days(latest: pl.Series, config: CohortConfig) -> tuple[date | None, date | None]:
    """First day of tune and of test; None where the split is empty."""
    if config.split_dates:
        tune, test = (date.fromisoformat(day) for day in config.split_dates)
        return tune, test
    train, tune_share, _ = config.fractions
    starts = [round(len(latest) * share) for share in (train, train + tune_share)]
    days = [latest[at] if at < len(latest) else None for at in starts]
    return days[0], days[1]


def _side(day: pl.Expr, tune: date | None, test: date | None) -> pl.Expr:
    side = pl.lit("train")
    for name, first in (("tune", tune), ("test", test)):
        if first is not None:
            side = pl.when(day >= pl.lit(first)).then(pl.lit(name)).otherwise(side)
    return side
