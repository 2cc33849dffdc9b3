from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.errors import InputError
from overread.stats.agreement.ratings import agreement_weights, measured, rated

nan = np.nan


def test_codes_counts_and_account_by_hand():
    made = rated([[1, 3, nan, nan], [3, 3, 7, nan], [nan, 1, nan, nan], [nan] * 4], where="kappa", least=2)
    assert made.values.tolist() == [1, 3, 7]
    assert made.codes.tolist() == [[0, 1, -1], [1, 1, 2]]
    assert made.counts.tolist() == [[1, 1, 0], [0, 2, 1]]
    assert made.note == "2 cases with fewer than two reads excluded; 1 reader without a read excluded"
    assert not made.complete_pair


def test_text_none_and_true_false():
    made = rated([["b", None], ["a", "b"]], where="kappa")
    assert made.codes.tolist() == [[1, -1], [0, 1]]
    assert rated([[True, False]], where="kappa").codes.tolist() == [[1, 0]]
    assert rated([[None, 2], [1, 2]], where="kappa").codes.tolist() == [[-1, 1], [0, 1]]


def test_categories_given_are_kept_though_unused():
    assert rated([[0, 0]], where="kappa", categories=[0, 1, 2]).counts.tolist() == [[2, 0, 0]]
    assert rated([["x", "x"]], where="kappa", categories=["x", "y"]).counts.tolist() == [[2, 0]]


def test_patients_follow_their_cases():
    made = rated([[1, 1], [nan, 1], [2, 1]], where="kappa", cluster=["p", "q", "p"], least=2)
    assert made.sample.n_patients == 1
    assert made.sample.n_cases == 2


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=6, unique=True))
def test_weights_from_their_definition(values):
    values = np.sort(np.array(values, dtype=float))
    width, q = values[-1] - values[0], len(values)
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            assert agreement_weights(values, None, where="x")[i, j] == (i == j)
            assert agreement_weights(values, "linear", where="x")[i, j] == pytest.approx(1 - abs(a - b) / width)
            assert agreement_weights(values, "quadratic", where="x")[i, j] == pytest.approx(1 - (a - b) ** 2 / width**2)
            pairs = (abs(i - j) + 1) * abs(i - j) / 2  # pairs among the categories from i to j
            want = 1 - pairs / (q * (q - 1) / 2)
            assert agreement_weights(values, "ordinal", where="x")[i, j] == pytest.approx(want)


@pytest.mark.parametrize(
    ("ratings", "keywords", "said"),
    [
        ([1, 0], {}, r"\(n_cases, n_readers\)"),
        ([[np.inf, 1]], {}, "1 infinite"),
        ([["a", "b"]], {"numeric": True}, "numbers, for distances between them count"),
        ([[0, 2]], {"categories": [0, 1]}, "case 0, reader 1: 2"),
        ([["a", "b"]], {"categories": ["a"]}, "case 0, reader 1: b"),
        (np.arange(2002.0).reshape(-1, 2), {}, "at most 2000 categories"),
        ([[0, 1], [nan, 1]], {"cluster": [1], "least": 2}, "one label for each of 2 cases"),
    ],
)
def test_bad_ratings_are_refused_in_words(ratings, keywords, said):
    with pytest.raises(InputError, match=said):
        rated(ratings, where="kappa", **keywords)


def test_unknown_weights_and_infinite_measurements():
    with pytest.raises(InputError, match="linear, quadratic, ordinal"):
        agreement_weights(np.array([0.0, 1.0]), "squared", where="kappa")
    with pytest.raises(InputError, match="1 infinite"):
        measured([[np.inf, 1.0]], where="icc")
