import polars as pl
import pytest

from overread import tables
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.account import Dropped
from overread.evaluation.join.case_tables import band_names, case_table


def images(**columns):
    n = len(next(iter(columns.values())))
    base = {"image_id": [f"i{k}" for k in range(n)], "patient_id": "p", "site": "a"}
    return tables.check(pl.DataFrame(base | columns), "images")


def test_age_bands_are_closed_on_the_left():
    frame = case_table(images(age_years=[0.0, 17.9, 18.0, 39.0, 40.0, 99.0, None]), EvaluationConfig(), [])
    assert frame["age_band"].to_list() == ["0-17", "0-17", "18-39", "18-39", "40-59", "80+", None]


def test_band_names_are_in_order():
    assert band_names((18, 40, 60, 80)) == ["0-17", "18-39", "40-59", "60-79", "80+"]


def test_a_column_that_differs_within_a_case_is_null_and_counted():
    dropped: list[Dropped] = []
    frame = images(case_id=["c1", "c1", "c2"], view=["PA", "AP", "PA"], sex=["F", "F", "M"])
    made = case_table(frame, EvaluationConfig(subgroups=("sex", "view")), dropped)
    assert made.select("case_id", "sex", "view").rows() == [("c1", "F", None), ("c2", "M", "PA")]
    assert [(d.unit, d.count, d.examples) for d in dropped] == [("cases", 1, "c1")]


def test_any_column_may_be_a_subgroup_and_a_misspelt_one_is_refused():
    frame = images(scanner=["x", "y"])
    assert case_table(frame, EvaluationConfig(subgroups=("scanner",)), [])["scanner"].to_list() == ["x", "y"]
    with pytest.raises(InputError, match=r"the subgroup column 'scaner'.*Did you mean 'scanner'\?"):
        case_table(frame, EvaluationConfig(subgroups=("scaner",)), [])
