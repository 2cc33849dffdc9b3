from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import tables
from overread.cohort import CohortConfig
from overread.cohort.patient_split import split
from overread.errors import InputError


def images(**days):
    """One image per day stated; a patient's name is the keyword's."""
    rows = [
        {"image_id": f"{p}{k}", "patient_id": p, "site": "s", "acquired": day}
        for p, stated in days.items()
        for k, day in enumerate(stated)
    ]
    return tables.check(pl.DataFrame(rows), "images")


def made(frame, **given):
    found, notes = split(frame, tables.empty("labels"), CohortConfig(split_by="time", **given))
    return dict(found.select("patient_id", pl.col("split").cast(pl.String)).rows()), notes


def said(notes):
    rows = pl.concat(notes).filter(pl.col("site") == "")
    return list(rows.select("reason", "count", "examples").rows())


def test_by_dates_a_patient_goes_with_the_latest_image_and_is_counted():
    frame = images(a=["2014-01-01"], b=["2015-12-31", "2016-01-01"], c=["2014-05-05", "2017-06-01"], d=["2018-01-01"])
    where, notes = made(frame, split_dates=("2016-01-01", "2017-01-01"))
    assert where == {"a": "train", "b": "tune", "c": "test", "d": "test"}
    assert said(notes) == [
        ("split by time: tune from 2016-01-01, test from 2017-01-01", 6, "a0, b0, b1, c0, c1"),
        ("earlier than the split it is in: the patient goes with the latest image", 2, "b0, c0"),
    ]


def test_by_fractions_the_latest_tenth_is_test_and_one_day_stays_together():
    start = date(2020, 1, 1)
    frame = images(**{f"p{i:02d}": [start + timedelta(days=i)] for i in range(10)})
    where, _ = made(frame, fractions=(0.6, 0.2, 0.2))
    assert [where[f"p{i:02d}"] for i in range(10)] == ["train"] * 6 + ["tune"] * 2 + ["test"] * 2
    same = images(**{f"p{i}": [start + timedelta(days=i // 4)] for i in range(8)})
    where, _ = made(same, fractions=(0.6, 0.2, 0.2))  # the 5th to 8th share a day
    assert sorted(where.values()) == ["test"] * 4 + ["train"] * 4


def test_an_external_site_is_test_whatever_its_dates():
    frame = images(a=["2014-01-01"], b=["2019-01-01"], c=["1999-01-01"]).with_columns(
        site=pl.when(pl.col("patient_id") == "c").then(pl.lit("far")).otherwise(pl.col("site"))
    )
    where, _ = made(frame, split_dates=("2016-01-01", "2017-01-01"), external_sites=("far",))
    assert where == {"a": "train", "b": "test", "c": "test"}


def test_images_without_a_date_and_a_train_of_nobody_are_refused():
    with pytest.raises(InputError, match=r"for every image; found 2 images without one \(b0, b1\)"):
        made(images(a=["2014-01-01"], b=[None, None]))
    with pytest.raises(InputError, match=r"patients before the first day of tune; found none \(2013-01-01\)"):
        made(images(a=["2014-01-01"]), split_dates=("2013-01-01", "2015-01-01"))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(n=st.integers(3, 60), seed=st.integers(0, 99))
def test_no_image_of_train_is_from_the_time_of_test(n, seed):
    rng = np.random.default_rng(seed)
    start = date(2020, 1, 1)
    frame = images(
        **{
            f"p{i}": [start + timedelta(days=int(d)) for d in rng.integers(0, 300, rng.integers(1, 4))]
            for i in range(n)
        },
        first=[date(2000, 1, 1)],
    )
    found, _ = split(frame, tables.empty("labels"), CohortConfig(split_by="time"))
    latest = found.group_by("patient_id").agg(pl.col("acquired").max(), pl.col("split").cast(pl.String).first())
    ends = {s: latest.filter(split=s)["acquired"] for s in ("train", "tune", "test")}
    order = [ends[s] for s in ("train", "tune", "test") if len(ends[s])]
    assert all(a.max() < b.min() for a, b in pairwise(order))
    assert found.group_by("patient_id").agg(pl.col("split").n_unique())["split"].max() == 1
