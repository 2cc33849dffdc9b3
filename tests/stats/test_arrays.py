import re

import numpy as np
import pytest

from overread import stats
from overread.errors import InputError
from overread.stats.arrays import check_confidence, group_codes, score_array, truth_array, weight_array


@pytest.mark.parametrize("given", [[True, False], [1, 0], [1.0, 0.0], np.array([1, 0], dtype=np.int8)])
def test_truth_is_bool_whatever_the_number_type(given):
    assert truth_array(given, where="t").tolist() == [True, False]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([1, 0, np.nan], "1 other values (case 2: nan)"),
        ([1, 2, 3], "2 other values (case 1: 2, case 2: 3)"),
        ([[1, 0]], "shape (1, 2)"),
        (["yes", "no"], "true/false or 1/0"),
    ],
)
def test_truth_that_is_neither_is_refused(given, words):
    with pytest.raises(InputError) as error:
        truth_array(given, where="auc")
    assert words in str(error.value)
    assert str(error.value).startswith("auc: truth")


def test_scores_that_are_not_finite_are_counted():
    with pytest.raises(InputError, match=r"2 NaN or infinite of 4 \(case 1: nan, case 3: inf\)"):
        score_array([1.0, np.nan, 2.0, np.inf], (4,), where="auc")


def test_scores_whose_sum_overflows_are_still_finite():
    assert score_array([1.7e308, 1.7e308, -1.0], (3,), where="auc").size == 3


def test_scores_that_cancel_to_nan_are_found():
    with pytest.raises(InputError, match="2 NaN or infinite"):
        score_array([np.inf, -np.inf], (2,), where="auc")


def test_shapes_must_agree():
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        score_array([1.0, 2.0], (3,), where="auc")


@pytest.mark.parametrize(
    "labels",
    [
        [5, -2, 5, 900_000_000],
        [3, 1, 3, 2],
        ["00000003", "00000001", "00000003", "b"],
        np.array(["z", "é", "z", "a"], dtype=object),
        [0.5, -1.0, 0.5, 3.0],
        [True, False, True, True],
    ],
)
def test_codes_are_those_of_unique(labels):
    codes, size = group_codes(labels, 4, where="auc")
    unique, inverse = np.unique(np.asarray(labels), return_inverse=True)
    assert codes.tolist() == inverse.tolist()
    assert size == unique.size


@pytest.mark.parametrize("labels", [["a", None], [1.0, np.nan]])
def test_a_case_without_a_patient_is_refused(labels):
    with pytest.raises(InputError, match="1 cases without one"):
        group_codes(labels, 2, where="auc")


@pytest.mark.parametrize(
    ("weights", "words"), [([1.0, 0.0], "1 that are 0"), ([1.0, np.nan], "1 NaN"), ([1.0], "shape")]
)
def test_weights_are_positive_and_finite(weights, words):
    with pytest.raises(InputError, match=words):
        weight_array(weights, 2, where="auc")


def test_confidence_is_a_share():
    with pytest.raises(InputError, match=r"Write 0\.95"):
        check_confidence(95, where="auc")


def test_weights_that_are_further_apart_than_a_million_are_a_slip():
    with pytest.raises(InputError, match=r"within a factor of 1,000,000; found weights from 1 to 1e\+09"):
        weight_array([1.0, 2.0, 1e9], 3, where="auc")


@pytest.mark.parametrize(
    ("y", "score", "message"),
    [
        (["yes", "no"], [0.1, 0.2], "truth: expected true/false or 1/0; found 2 values that are not (case 0: 'yes',"),
        ([1, 0], [0.1, "high"], "score: expected numbers; found 1 values that are not (case 1: 'high')"),
        ([1, 0], [0.1, object], "score: expected numbers; found 1 values that are not (case 1: <class 'object'>)"),
    ],
)
def test_what_is_no_number_is_counted_and_shown(y, score, message):
    with pytest.raises(InputError, match=re.escape(message)):
        stats.auc(y, score)


def test_a_missing_value_of_pandas_is_shown():
    pd = pytest.importorskip("pandas")
    with pytest.raises(InputError, match=r"found 1 values that are not \(case 1: <NA>\)"):
        stats.auc(pd.Series([True, None, False], dtype="boolean"), [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.zeros((3, 2)), "an array of shape (n_raters, 3); found an array of shape (3, 2). Transpose it"),
        (np.zeros(3), "an array of shape (n_raters, 3); found an array of shape (3,)."),
        ([[1, 2, 3], [1, 2]], "an array of shape (n_raters, 3); found an array of shape (2,)."),
    ],
)
def test_scores_of_raters_have_one_row_per_rater(scores, message):
    with pytest.raises(InputError, match=re.escape(message)):
        stats.auc_covariance([1, 0, 1], scores)
