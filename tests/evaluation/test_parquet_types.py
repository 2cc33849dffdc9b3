"""Parquet columns of other types where text or numbers belong: refused with their names, never converted in silence."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest

from overread import datasets, tables
from overread.errors import InputError
from overread.evaluation.join import layouts

N = 4
IMAGES = pl.DataFrame(
    {
        "image_id": [f"i{k}" for k in range(N)],
        "patient_id": [f"p{k}" for k in range(N)],
        "site": ["a", "b"] * 2,
        "age_years": [40.0, 50.0, 60.0, 70.0],
        "rows": [512] * N,
    }
)
LABELS = pl.DataFrame({"case_id": [f"i{k}" for k in range(N)], "finding": "edema", "source": "s", "state": "present"})
SCORES = pl.DataFrame({"image_id": [f"i{k}" for k in range(N)], "finding": "edema", "model": "m", "score": [0.1] * N})
BOXES = SCORES.select("image_id", "finding", source=pl.lit("s"), x=1.0, y=1.0, width=1.0, height=1.0)
WIDE = SCORES.select("image_id", edema="score")
VALUES = {
    "list": [[1.0]] * N,
    "struct": [{"a": 1}] * N,
    "bytes": [b"x"] * N,
    "time": [time(1)] * N,
    "duration": [timedelta(1)] * N,
    "date": [date(2020, 1, 1)] * N,
    "datetime": [datetime(2020, 1, 1)] * N,
    "Boolean": [True, False] * 2,
}
NEVER = ("list", "struct", "bytes", "time", "duration")


def parquet(tmp_path, frame, column, kind):
    file = tmp_path / f"{kind}.parquet"
    frame.with_columns(pl.Series(column, VALUES[kind])).write_parquet(file)
    return file


@pytest.mark.parametrize("kind", NEVER)
@pytest.mark.parametrize(
    ("frame", "column", "read"),
    [
        (IMAGES, "image_id", layouts.images),
        (IMAGES, "age_years", layouts.images),
        (IMAGES, "ward", layouts.images),
        (LABELS, "state", layouts.labels),
        (LABELS, "case_id", layouts.labels),
        (SCORES, "score", layouts.predictions),
        (WIDE, "edema", layouts.predictions),
        (WIDE, "edema", layouts.labels),
    ],
)
def test_lists_bytes_and_times_are_refused_wherever_they_are(tmp_path, frame, column, read, kind):
    file = parquet(tmp_path, frame, column, kind)
    with pytest.raises(InputError, match=rf"{kind}\.parquet: .*'{column}'") as refused:
        read(file)
    assert "Write them as text, or leave them out." in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["date", "datetime", "Boolean"])
@pytest.mark.parametrize(
    ("frame", "column", "read"),
    [
        (IMAGES, "image_id", layouts.images),
        (IMAGES, "patient_id", layouts.images),
        (IMAGES, "site", layouts.images),
        (IMAGES, "age_years", layouts.images),
        (IMAGES, "rows", layouts.images),
        (SCORES, "score", layouts.predictions),
        (SCORES, "model", layouts.predictions),
        (LABELS, "case_id", layouts.labels),
    ],
)
def test_dates_and_booleans_are_no_numbers_and_no_names(tmp_path, frame, column, read, kind):
    with pytest.raises(InputError):
        read(parquet(tmp_path, frame, column, kind))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["date", "datetime"])
def test_dates_are_no_scores(tmp_path, kind):
    with pytest.raises(InputError):
        layouts.predictions(parquet(tmp_path, WIDE, "edema", kind))


def test_booleans_in_place_of_scores_are_decisions(tmp_path):
    read = layouts.predictions(parquet(tmp_path, WIDE, "edema", "Boolean"))
    assert read.frame["score"].to_list() == [1.0, 0.0] * 2


@pytest.mark.parametrize("kind", ["date", "datetime", "Boolean"])
def test_ages_are_numbers_in_every_reader(tmp_path, kind):
    file = parquet(tmp_path, IMAGES, "age_years", kind)
    with pytest.raises(InputError, match="age"):
        tables.read(file, "images")
    columns = {c: c for c in ("image_id", "patient_id", "site", "age_years")}
    with pytest.raises(InputError, match="age"):
        datasets.load("table", tmp_path, {"images": file.name, "columns": columns})


@pytest.mark.parametrize("values", [[True] * N, [20200101] * N, [1.5] * N])
def test_a_number_is_no_date(values):
    with pytest.raises(InputError, match="a date in 'acquired'"):
        tables.check(IMAGES.with_columns(pl.Series("acquired", values)), "images")


@pytest.mark.parametrize("kind", ["date", "datetime", "Boolean"])
@pytest.mark.parametrize(
    ("table", "frame", "column"),
    [
        ("images", IMAGES, "weight"),
        ("images", IMAGES, "view"),
        ("images", IMAGES, "split"),
        ("images", IMAGES, "stratum"),
        ("labels", LABELS, "source"),
        ("labels", LABELS, "finding"),
        ("predictions", SCORES, "shift"),
        ("regions", BOXES, "number"),
    ],
)
def test_columns_with_a_default_are_of_their_type_too(table, frame, column, kind):
    with pytest.raises(InputError, match=f"'{column}'"):
        tables.check(frame.with_columns(pl.Series(column, VALUES[kind])), table)


@pytest.mark.parametrize("value", [float("nan"), None])
@pytest.mark.parametrize("column", ["image_id", "patient_id"])
def test_nan_is_no_identifier(tmp_path, column, value):
    IMAGES.with_columns(pl.Series(column, [1.0, 2.0, 3.0, value])).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=f"a value in every row of '{column}'"):
        layouts.images(tmp_path / "a.parquet")


def test_dictionaries_decimals_and_small_types_are_read(tmp_path):
    frame = IMAGES.with_columns(
        pl.col("site").cast(pl.Categorical), pl.col("age_years").cast(pl.Float32), pl.col("rows").cast(pl.UInt16)
    )
    frame.write_parquet(tmp_path / "a.parquet")
    read = layouts.images(tmp_path / "a.parquet").frame
    assert (read["site"].to_list(), read["age_years"].to_list()) == (["a", "b", "a", "b"], [40.0, 50.0, 60.0, 70.0])
    numbers = SCORES.with_columns(score=pl.Series([Decimal("0.10"), Decimal("0.25"), Decimal("1"), Decimal("0")]))
    numbers.write_parquet(tmp_path / "b.parquet")
    assert layouts.predictions(tmp_path / "b.parquet").frame["score"].to_list() == [0.1, 0.25, 1.0, 0.0]


def test_columns_of_findings_may_have_several_types(tmp_path):
    frame = WIDE.select(
        "image_id",
        edema=pl.Series([True, False] * 2),
        mass=pl.Series(["1", "0", None, "-1"]),
        fracture=pl.Series([1.0, 0.0, 0.0, None]),
    )
    frame.write_parquet(tmp_path / "a.parquet")
    read = layouts.labels(tmp_path / "a.parquet").frame
    assert read.filter(pl.col("finding") == "edema").sort("case_id")["state"].to_list() == ["present", "absent"] * 2
    assert read.height == 4 + 3 + 3


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([0, 1, 2, 2**31 - 1], dtype=pl.Int32).cast(pl.Date),
        pl.Series([0, 1, 2, -(2**31)], dtype=pl.Int32).cast(pl.Date),
        *(pl.Series([0, 1, 2, 2**62]).cast(pl.Datetime(unit)) for unit in ("ms", "us")),
    ],
)
def test_dates_that_no_calendar_has_are_refused(tmp_path, values):
    IMAGES.with_columns(acquired=values).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: expected dates in 'acquired'; found 1 that are none"):
        layouts.images(tmp_path / "a.parquet")
