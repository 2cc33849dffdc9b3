from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.errors import InputError
from overread.stats.agreement import majority

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "adjudication"
CASE = next(c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"] if c["id"] == "tiny_majority")
VOTES = st.integers(1, 5).flatmap(
    lambda k: st.lists(
        st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan]), min_size=k, max_size=k), min_size=1, max_size=12
    )
)


def test_by_hand():
    m = majority([[1, 1, 0], [0, 1, np.nan], [2, np.nan, np.nan], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(m.winner, [1, np.nan, 2, np.nan])
    np.testing.assert_allclose(m.posterior[:3], [[1 / 3, 2 / 3, 0], [0.5, 0.5, 0], [0, 0, 1]])
    assert np.isnan(m.posterior[3]).all()
    assert m.tied.tolist() == [False, True, False, False]
    assert m.abstentions.tolist() == [0, 1, 2, 3]
    assert m.n_votes.tolist() == [3, 2, 1, 0]
    assert m.strict.tolist() == [True, False, True, False]
    assert m.note == "1 case tied; 1 case without a vote"


def test_every_number_of_the_reference():
    data = pl.read_csv(REFERENCE / CASE["data"]).pivot("rater", index="item", values="label").sort("item")
    m = majority(data.drop("item").to_numpy())
    assert data["item"].to_list() == list(CASE["expected"])
    for i, (item, want) in enumerate(CASE["expected"].items()):
        leading = m.classes[m.counts[i] == m.counts[i].max()].astype(int).tolist()
        got = {
            "counts": {f"{c:g}": int(n) for c, n in zip(m.classes, m.counts[i], strict=True) if n},
            "n": m.n_votes[i],
            "winners": leading,
            "tie": m.tied[i],
            "majority_fraction": m.share[i],
            "strict_majority": m.strict[i],
        }
        assert got == want, item
        assert np.isnan(m.winner[i]) if want["tie"] else m.winner[i] == want["winners"][0]


@pytest.mark.slow
@given(VOTES)
def test_as_a_counter_counts(votes):
    m = majority(votes)
    for i, row in enumerate(votes):
        counted = Counter(v for v in row if v == v).most_common()
        if not counted or (len(counted) > 1 and counted[0][1] == counted[1][1]):
            assert np.isnan(m.winner[i])
        else:
            assert m.winner[i] == counted[0][0]
    assert int(m.tied.sum()) + int((m.n_votes == 0).sum()) == int(np.isnan(m.winner).sum())


@pytest.mark.slow
@given(VOTES, st.randoms(use_true_random=False))
def test_order_of_readers_does_not_matter_and_classes_only_bear_names(votes, random):
    order = list(range(len(votes[0])))
    random.shuffle(order)
    table = np.array(votes)
    np.testing.assert_array_equal(majority(table[:, order]).winner, majority(table).winner)
    np.testing.assert_array_equal(majority(10 - 3 * table).winner, 10 - 3 * majority(table).winner)


def test_classes_that_nobody_voted_for_have_a_column_of_zeros():
    m = majority([[0, 0]], classes=[0, 1])
    assert (m.classes.tolist(), m.counts.tolist(), m.posterior.tolist()) == ([0, 1], [[2, 0]], [[1, 0]])


def test_no_votes_at_all():
    m = majority([[np.nan, np.nan]])
    assert np.isnan(m.winner).all()
    assert np.isnan(m.share).all()
    assert m.note == "1 case without a vote"


@pytest.mark.parametrize(
    ("votes", "keywords", "said"),
    [
        ([1, 0], {}, r"\(n_cases, n_readers\)"),
        ([[0.3, 1]], {}, "case 0, column 0: 0.3"),
        ([[np.inf, 1]], {}, "whole class numbers"),
        ([["yes", "no"]], {}, "class numbers"),
        ([[0, 2]], {"classes": [0, 1]}, "votes for other classes"),
    ],
)
def test_bad_votes_are_refused_in_words(votes, keywords, said):
    with pytest.raises(InputError, match=said):
        majority(votes, **keywords)
