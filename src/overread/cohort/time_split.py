"""Train, tune and test by time: the latest patients are test, as a model meets them that was trained before."""

from __future__ import annotations

from datetime import date

import polars as pl

from overread.cohort.cohort_config import CohortConfig
from overread.cohort.selection import noted
from overread.errors import InputError


def by_time(units: pl.DataFrame, config: CohortConfig) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """_unit and split by the day of the unit's latest image, and rows of the flow.

    From the first day of test on it is test, from the first day of tune on tune, else train: so no image of train or
    tune is later than the split it stands in. A patient (or patients who share a picture) with images on both sides of
    a day goes as a whole to the later split and is counted. Without `split_dates` the days are those that leave the
    fractions of the patients, of all sites together; patients of one day stay together.

    Raises InputError: images without a date, by name; no train patients left.
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
    own = units.join(assigned, on="_unit").filter(_side(pl.col("acquired"), tune, test) != pl.col("split"))
    if own.height:
        notes.append(noted("earlier than the split it is in: the patient goes with the latest image", own))
    return assigned, notes


def _days(latest: pl.Series, config: CohortConfig) -> tuple[date | None, date | None]:
    """The first day of tune and of test; None where the split is empty."""
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
