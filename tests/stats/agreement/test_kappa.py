from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import codes
from overread.errors import InputError
from overread.stats.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha

nan = np.nan
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=40)


def test_by_hand():
    # Table [[5, 1], [2, 2]] of ten: agreed 0.7; shares of 0: 0.6 and 0.7; by chance 0.42 + 0.12 = 0.54.
    a, b = [0] * 6 + [1] * 4, [0] * 5 + [1] + [0] * 2 + [1] * 2
    e = cohen_kappa(a, b)
    assert e.value == pytest.approx((0.7 - 0.54) / (1 - 0.54), rel=1e-12)
    # Two categories of the same distance: weights change nothing.
    assert cohen_kappa(a, b, weights="quadratic").value == pytest.approx(e.value, rel=1e-12)


def test_weighted_by_hand():
    a, b = [1, 2, 3, 3], [1, 2, 2, 1]
    # Disagreement by distance: observed (0 + 0 + 1 + 2)/4. By chance over all 16 pairs of a and b:
    # 1: 0+1+1+0, 2: 1+0+0+1, 3: 2+1+1+2 twice -> (2 + 2 + 12)/16 = 1. Squared: (0+1+1+0 + 1+0+0+1 + 20)/16 = 1.5.
    assert cohen_kappa(a, b, weights="linear").value == pytest.approx(1 - 0.75 / 1)
    assert cohen_kappa(a, b, weights="quadratic").value == pytest.approx(1 - (1 + 4) / 4 / 1.5)


def twin(a, b, weight):
    """Kappa and its error from Fleiss, Cohen & Everitt, cell by cell."""
    n, cats = len(a), sorted({*a, *b})
    p = {(i, j): sum(x == i and y == j for x, y in zip(a, b, strict=True)) / n for i in cats for j in cats}
    row = {i: sum(p[i, j] for j in cats) for i in cats}
    column = {j: sum(p[i, j] for i in cats) for j in cats}
    po = sum(weight(i, j) * p[i, j] for i in cats for j in cats)
    pe = sum(weight(i, j) * row[i] * column[j] for i in cats for j in cats)
    wi = {i: sum(weight(i, j) * column[j] for j in cats) for i in cats}
    wj = {j: sum(weight(i, j) * row[i] for i in cats) for j in cats}
    inner = (
        sum(p[i, j] * (weight(i, j) * (1 - pe) - (wi[i] + wj[j]) * (1 - po)) ** 2 for i in cats for j in cats)
        - (po * pe - 2 * pe + po) ** 2
    )
    null = sum(row[i] * column[j] * (weight(i, j) - (wi[i] + wj[j])) ** 2 for i in cats for j in cats) - pe**2
    return (po - pe) / (1 - pe), sqrt(max(inner, 0) / n) / (1 - pe) ** 2, sqrt(max(null, 0) / n) / (1 - pe)


@settings(max_examples=60, deadline=None)
@given(PAIRS, st.sampled_from([None, "linear", "quadratic"]))
def test_as_the_slow_twin(pairs, weights):
    a, b = zip(*pairs, strict=True)
    width = max(*a, *b) - min(*a, *b)
    e = cohen_kappa(a, b, weights=weights)
    if len({*a, *b}) == 1:
        assert isnan(e.value)
        assert "only one category" in e.note
        return
    power = {None: 0, "linear": 1, "quadratic": 2}[weights]
    value, se, _ = twin(a, b, lambda i, j: 1.0 * (i == j) if power == 0 else 1 - (abs(i - j) / width) ** power)
    assert e.value == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert e.se == pytest.approx(se, rel=1e-6, abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.permutations([0, 1, 2, 3]))
def test_symmetric_and_blind_to_names(pairs, names):
    a, b = (np.array(c) for c in zip(*pairs, strict=True))
    e, turned = cohen_kappa(a, b), cohen_kappa(b, a)
    renamed = cohen_kappa(np.array(names)[a], np.array(names)[b])
    text = cohen_kappa(np.array(list("xyzw"))[a], np.array(list("xyzw"))[b])
    for other in (turned, renamed, text):
        assert [other.value, other.se] == pytest.approx([e.value, e.se], rel=1e-9, abs=1e-9, nan_ok=True)
    scaled = cohen_kappa(10 * a - 7, 10 * b - 7, weights="quadratic")
    plain = cohen_kappa(a, b, weights="quadratic")
    assert scaled.value == pytest.approx(plain.value, rel=1e-9, abs=1e-12, nan_ok=True)


def test_quadratic_kappa_of_readers_with_the_same_mean_and_spread_is_their_correlation():
    a, b = np.array([1, 2, 3, 4, 5, 2]), np.array([2, 1, 3, 5, 4, 2])
    assert cohen_kappa(a, b, weights="quadratic").value == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-12)


def test_interval_normal_or_t():
    a, b = [0, 0, 0, 1, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1, 1]
    normal, t = cohen_kappa(a, b), cohen_kappa(a, b, interval="t")
    assert normal.high - normal.value == pytest.approx(1.959963984540054 * normal.se)
    assert normal.high > 1 == t.high
    assert t.value - t.low == pytest.approx(2.364624251592785 * t.se)


def test_cases_that_one_did_not_read_are_left_out_and_counted():
    e = cohen_kappa([0, 1, nan, 1, 0], [0, 1, 1, nan, 1])
    assert e.value == pytest.approx(cohen_kappa([0, 1, 0], [0, 1, 1]).value)
    assert e.note == codes.note("cases_left_out", n=2, why="not read by both readers")


def test_by_patient():
    a, b = np.array([0, 1, 1, 0, 1, 1, 0, 0]), np.array([0, 1, 0, 0, 1, 1, 1, 0])
    alone = cohen_kappa(a, b, cluster=np.arange(8))
    assert alone.se == pytest.approx(cohen_kappa(a, b).se * sqrt(8 / 7))
    twice = cohen_kappa(np.repeat(a, 2), np.repeat(b, 2), cluster=np.repeat(np.arange(8), 2))
    assert [twice.value, twice.se] == pytest.approx([alone.value, alone.se])
    assert "clustered by patient" in twice.method
    assert "no CI" in cohen_kappa(a, b, cluster=np.zeros(8)).note


def test_perfect_agreement_and_a_constant_reader_are_said():
    perfect = cohen_kappa([0, 1, 1], [0, 1, 1])
    assert (perfect.value, perfect.low, perfect.high) == (1, 1, 1)
    assert "uncertainty is understated" in perfect.note
    constant = cohen_kappa([0, 0, 0, 0], [0, 1, 1, 0])
    assert constant.value == pytest.approx(0)
    assert isnan(constant.p)
    assert "reader a used only one category" in constant.note


@pytest.mark.parametrize(
    ("arguments", "keywords", "said"),
    [
        (([0, 1], [0, 1, 1]), {}, "shapes"),
        (([[0, 1]], [[0, 1]]), {}, "shapes"),
        ((["a", "b"], ["a", "b"]), {"weights": "linear"}, "numbers"),
        (([0, 1], [0, 1]), {"weights": "ordinal"}, "linear, quadratic"),
        (([0, 1], [0, 1]), {"interval": "wald"}, "normal, t"),
        (([0, 1], [0, 1]), {"confidence": 95}, "between 0 and 1"),
        (([0, 1], [0, 1]), {"cluster": [1]}, "one label for each of 2 cases"),
        (([0, np.inf], [0, 1]), {}, "infinite"),
    ],
)
def test_bad_input_is_refused_in_words(arguments, keywords, said):
    with pytest.raises(InputError, match=said):
        cohen_kappa(*arguments, **keywords)


def latent(rng, n, patients=None):
    """Two readers with sensitivity 0.8, specificity 0.9; a patient's cases share a prevalence with mean 0.3."""
    chance = rng.beta(0.6, 1.4, patients or n)
    patient = rng.integers(0, patients, n) if patients else np.arange(n)
    y = rng.random(n) < chance[patient]
    votes = np.where(rng.random((2, n)) < np.where(y, 0.8, 0.9), y, ~y)
    return *votes.astype(float), patient


TRUE_SHARE = 0.3 * 0.8 + 0.7 * 0.1
TRUE_AGREED = 0.3 * (0.8**2 + 0.2**2) + 0.7 * (0.9**2 + 0.1**2)
TRUE_CHANCE = TRUE_SHARE**2 + (1 - TRUE_SHARE) ** 2
TRUE = (TRUE_AGREED - TRUE_CHANCE) / (1 - TRUE_CHANCE)  # of kappa, Scott's pi and alpha alike: the readers are alike


@pytest.mark.slow
def test_coverage():
    rng, runs = np.random.default_rng(8), 1500
    hits = np.zeros(4)
    for _ in range(runs):
        a, b, _ = latent(rng, 150)
        both = np.stack([a, b], axis=1)
        a3, b3, patient = latent(rng, 300, patients=100)
        made = [cohen_kappa(a, b), fleiss_kappa(both), krippendorff_alpha(both), cohen_kappa(a3, b3, cluster=patient)]
        hits += [e.low <= TRUE <= e.high for e in made]
    assert (hits / runs > 0.93).all()
    assert (hits / runs < 0.97).all()
