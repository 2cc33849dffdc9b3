from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_rel

from overread import codes
from overread.errors import InputError
from overread.stats.agreement import bland_altman

nan = np.nan
PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=3, max_size=20)


def test_by_hand():
    a, b = [10, 12, 15, 11], [9, 12, 13, 12]
    # Differences 1, 0, 2, -1: mean 0.5, sum of squares 5 about it.
    r = bland_altman(a, b)
    sd = sqrt(5 / 3)
    assert (r.bias.value, r.sd, r.n_cases) == pytest.approx((0.5, sd, 4))
    assert (r.lower.value, r.upper.value) == pytest.approx((0.5 - 1.96 * sd, 0.5 + 1.96 * sd))
    t = student.ppf(0.975, 3)
    assert r.bias.high == pytest.approx(0.5 + t * sd / 2)
    assert r.upper.high == pytest.approx(r.upper.value + t * sd * sqrt(1 / 4 + 1.96**2 / 6))
    assert bland_altman(a, b, error="simple").upper.se == pytest.approx(sqrt(3 * sd**2 / 4))
    # Concordance: means 12 and 11.5, squares 14 and 9, products 9: 2 * 9 / (14 + 9 + 4 * 0.25).
    assert r.concordance.value == pytest.approx(18 / 24)
    assert r.accuracy == pytest.approx(2 * sqrt(14 * 9) / 24)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_bias_is_the_paired_t_test_and_swapping_changes_signs(pairs):
    a, b = (np.array(c, dtype=float) for c in zip(*pairs, strict=True))
    r, turned = bland_altman(a, b), bland_altman(b, a)
    assert turned.bias.value == pytest.approx(-r.bias.value)
    assert [turned.lower.value, turned.lower.low] == pytest.approx([-r.upper.value, -r.upper.high], nan_ok=True)
    assert turned.concordance.value == pytest.approx(r.concordance.value, nan_ok=True)
    if r.sd > 1e-9:
        assert r.bias.p == pytest.approx(ttest_rel(a, b).pvalue, rel=1e-9)
    else:
        assert "understated" in r.bias.note


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_concordance_from_its_definition_and_its_product(pairs):
    a, b = (np.array(c, dtype=float) for c in zip(*pairs, strict=True))
    r = bland_altman(a, b)
    total = a.var() + b.var() + (a.mean() - b.mean()) ** 2
    if total == 0:
        assert isnan(r.concordance.value)
        assert "neither measurement varies" in r.concordance.note
        return
    assert r.concordance.value == pytest.approx(2 * np.cov(a, b, ddof=0)[0, 1] / total, abs=1e-12)
    if min(a.var(), b.var()) > 0:
        assert r.concordance.value == pytest.approx(np.corrcoef(a, b)[0, 1] * r.accuracy, abs=1e-9)
    scaled = bland_altman(5 * a + 3, 5 * b + 3)
    assert scaled.concordance.value == pytest.approx(r.concordance.value, abs=1e-9)
    assert scaled.upper.value == pytest.approx(5 * r.upper.value)


def test_by_patient_linearised_error_is_the_jackknife_s():
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(100), 3)
    a = rng.normal(size=300) + rng.normal(size=100)[patient]
    b = a + rng.normal(size=100)[patient] + rng.normal(size=300)
    r = bland_altman(a, b, cluster=patient)
    without = [bland_altman(a[patient != c], b[patient != c]) for c in range(100)]
    for name in ("bias", "lower", "upper"):
        values = np.array([getattr(w, name).value for w in without])
        jackknife = sqrt(99 / 100 * ((values - values.mean()) ** 2).sum())
        assert getattr(r, name).se == pytest.approx(jackknife, rel=0.01)
    assert "99 df" in r.bias.method
    assert r.bias.se > 1.2 * bland_altman(a, b).bias.se
    values = np.array([np.arctanh(w.concordance.value) for w in without])
    jackknife = sqrt(99 / 100 * ((values - values.mean()) ** 2).sum())
    assert r.concordance.se == pytest.approx(jackknife * (1 - r.concordance.value**2), rel=1e-9)


def test_missing_measurements_are_counted():
    r = bland_altman([1, 2, nan, 4, 5], [1, nan, 3, 5, 7])
    assert (r.n_cases, r.note) == (3, codes.note("cases_left_out", n=2, why="without both measurements"))
    assert r.bias.value == pytest.approx(-1)


def test_too_few_or_the_same_is_said():
    one = bland_altman([1, nan], [2, 3])
    assert (one.bias.value, isnan(one.upper.value)) == (-1, True)
    assert "fewer than two cases" in one.bias.note
    assert isnan(bland_altman([nan], [1]).bias.value)
    same = bland_altman([1, 2, 4], [1, 2, 4])
    assert (same.bias.low, same.bias.high, same.concordance.value) == (0, 0, 1)
    assert "understated" in same.lower.note
    assert "no CI" in same.concordance.note
    alone = bland_altman([1, 2, 4], [1, 3, 4], cluster=["p", "p", "p"])
    assert isnan(alone.bias.low)
    assert "only one case or patient" in alone.bias.note


@pytest.mark.parametrize(
    ("arguments", "keywords", "said"),
    [
        (([1, 2], [1]), {}, "shapes"),
        (([1, np.inf], [1, 2]), {}, "infinite"),
        (([1, 2], [1, 2]), {"multiplier": 0}, "above 0"),
        (([1, 2], [1, 2]), {"error": "1986"}, "1999, simple"),
        (([1, 2], [1, 2]), {"cluster": [1]}, "one label for each of 2 cases"),
    ],
)
def test_bad_input_is_refused_in_words(arguments, keywords, said):
    with pytest.raises(InputError, match=said):
        bland_altman(*arguments, **keywords)


@pytest.mark.slow
def test_coverage():
    """Case variance 1, error variance 1/4 of each reader, bias 0.2; then three cases of a patient, his bias common."""
    rng, runs, patient = np.random.default_rng(2), 1500, np.repeat(np.arange(60), 3)
    hits = np.zeros(6)
    sd = sqrt(0.5)
    truth = (0.2, 0.2 + 1.96 * sd, 2 / (2 * 1.25 + 0.04))
    shared = sqrt(0.3)
    for _ in range(runs):
        case = rng.normal(size=100)
        r = bland_altman(case + 0.2 + rng.normal(size=100) / 2, case + rng.normal(size=100) / 2)
        case = rng.normal(size=180)
        difference = shared * rng.normal(size=60)[patient] + sqrt(0.2) * rng.normal(size=180)
        middle = rng.normal(size=180) / sqrt(8)  # errors of A and B: variance 1/4 each, independent
        c = bland_altman(case + 0.2 + middle + difference / 2, case + middle - difference / 2, cluster=patient)
        made = [r.bias, r.upper, r.concordance, c.bias, c.upper, c.concordance]
        hits += [e.low <= true <= e.high for e, true in zip(made, truth * 2, strict=True)]
    assert (hits / runs > 0.925).all()
    assert (hits / runs < 0.97).all()
