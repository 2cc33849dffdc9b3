from __future__ import annotations

import json
from math import isnan, log, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import codes
from overread.errors import InputError
from overread.stats.rates import operating_point
from overread.stats.rates.proportions import clustered_proportion

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "proportions"
CASE = next(c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"] if c["id"] == "diagnostic_tables")
DATA = np.genfromtxt(REFERENCE / "paired_binary_tests.csv", delimiter=",", names=True)
TESTS = ["test_1", "test_2", "test_3", "test_4"]
RATES = ["sensitivity", "specificity", "ppv", "npv", "accuracy"]
CLOSE = {"rel": 1e-7, "abs": 1e-8}


@pytest.mark.parametrize("test", TESTS)
def test_equals_r(test):
    want, got = CASE["expected"][test], operating_point(DATA["label"], DATA[test])
    assert (got.tp, got.fp, got.fn, got.tn) == tuple(want[k] for k in ("tp", "fp", "fn", "tn"))
    for name in RATES:
        e = getattr(got, name)
        assert (e.value, e.low, e.high) == pytest.approx((want[name]["p"], *want[name]["wilson"]), **CLOSE)
    f1 = want["f1"]
    assert (got.f1.value, got.f1.se) == pytest.approx((f1["value"], f1["se_delta_multinomial"]), **CLOSE)
    assert (got.f1.low, got.f1.high) == pytest.approx(tuple(f1["ci95_wald_delta"]), **CLOSE)
    for name, key in (("lr_positive", "lr_pos"), ("lr_negative", "lr_neg")):
        e = getattr(got, name)
        assert (e.value, e.low, e.high) == pytest.approx((want["lr"][key], *want["lr"][key + "_ci95"]), **CLOSE)


def test_predictive_values_at_a_prevalence_equal_r():
    want = CASE["expected"]["test_1"]["ppv_npv_at_prevalence"]
    got = operating_point(DATA["label"], DATA["test_1"], prevalence=want["prevalence"])
    for name in ("ppv", "npv"):
        e = getattr(got, name)
        limits = want["mercaldo_logit_ci95"][name]
        assert (e.value, e.low, e.high) == pytest.approx((want[name], *limits), **CLOSE)


def test_by_hand():
    o = operating_point([1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 1])
    assert (o.tp, o.fp, o.fn, o.tn) == (2, 1, 1, 2)
    assert o.sensitivity.value == pytest.approx(2 / 3)
    assert o.f1.value == pytest.approx(2 / 3)
    assert o.f1.se == pytest.approx(sqrt(2 * (2 / 3) ** 2 + 2 * (2 / 3) ** 2) / 6)
    assert o.lr_positive.value == pytest.approx(2)
    assert log(o.lr_positive.high / 2) == pytest.approx(1.959963984540054 * sqrt(1 / 2 - 1 / 3 + 1 / 1 - 1 / 3))


def test_what_cannot_be_computed_is_nan_with_a_note():
    o = operating_point([0, 0, 0], [0, 0, 0])
    for e in (o.sensitivity, o.ppv, o.f1, o.lr_positive):
        assert isnan(e.value)
        assert e.note
    assert o.specificity.value == 1.0
    assert o.sensitivity.note == codes.note("no_cases_of_class", outcome="present")
    perfect = operating_point([1, 1, 0, 0], [1, 1, 0, 0], prevalence=0.1)
    assert isnan(perfect.lr_positive.value)
    assert perfect.lr_negative.value == 0.0
    assert isnan(perfect.lr_negative.high)
    assert (perfect.ppv.value, perfect.npv.value) == (1.0, 1.0)
    assert perfect.ppv.note
    empty = operating_point([], [])
    assert isnan(empty.accuracy.value)
    reversed_ = operating_point([1, 1, 0, 0], [0, 0, 1, 1], prevalence=0.1)
    assert (reversed_.ppv.value, reversed_.npv.value, reversed_.f1.value) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("bad", [[1, 0, 2], [1, np.nan, 0], ["yes", "no", "no"]])
def test_anything_but_yes_and_no_is_refused(bad):
    with pytest.raises(InputError, match="true/false or 1/0"):
        operating_point([1, 0, 0], bad)
    with pytest.raises(InputError, match="true/false or 1/0"):
        operating_point(bad, [1, 0, 0])


def test_lengths_prevalence_and_confidence_are_checked():
    with pytest.raises(InputError, match="3 cases"):
        operating_point([1, 0, 0], [1, 0])
    with pytest.raises(InputError, match="prevalence"):
        operating_point([1, 0], [1, 0], prevalence=5)
    with pytest.raises(InputError, match=r"0\.95 for 95 %"):
        operating_point([1, 0], [1, 0], confidence=95)
    with pytest.raises(InputError, match="several strata"):
        operating_point([1, 0], [1, 0], cluster=["a", "a"], strata=[1, 2])


def _simulated(seed, n=300):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.4
    return y, np.where(y, rng.random(n) < 0.8, rng.random(n) < 0.2), rng.integers(0, 90, n), rng.uniform(0.5, 4, n)


@pytest.mark.parametrize("seed", range(3))
def test_clustered_rates_are_clustered_proportions_of_their_denominators(seed):
    y, call, cluster, weights = _simulated(seed)
    o = operating_point(y, call, cluster=cluster, weights=weights)
    pairs = {
        "sensitivity": (y, call),
        "specificity": (~y, ~call),
        "ppv": (call, y),
        "npv": (~call, ~y),
        "accuracy": (y | ~y, call == y),
    }
    for name, (of, right) in pairs.items():
        alone = clustered_proportion(right[of], cluster=cluster[of], weights=weights[of])
        e = getattr(o, name)
        assert (e.value, e.se, e.low, e.high) == pytest.approx(
            (alone.value, alone.se, alone.low, alone.high), rel=1e-10
        )


@pytest.mark.parametrize("seed", range(2))
def test_clustered_variances_equal_the_jackknife_nearly(seed):
    """A slow twin that knows no influence values: leave one patient out. Equal up to terms of order 1/C."""
    y, call, cluster, weights = _simulated(seed, 1500)
    o = operating_point(y, call, cluster=cluster, weights=weights, prevalence=0.05)
    names = ["f1", "lr_positive", "lr_negative", "ppv", "npv"]
    left = {name: [] for name in names}
    for patient in np.unique(cluster):
        keep = cluster != patient
        without = operating_point(y[keep], call[keep], weights=weights[keep], prevalence=0.05)
        for name in names:
            left[name].append(getattr(without, name).value)
    for name in names:
        values = np.array(left[name])
        se = sqrt((values.size - 1) / values.size * ((values - values.mean()) ** 2).sum())
        assert getattr(o, name).se == pytest.approx(se, rel=0.05), name


def test_singleton_clusters_change_only_the_small_sample_factor():
    y, call, _, _ = _simulated(7)
    plain, clustered = operating_point(y, call), operating_point(y, call, cluster=np.arange(y.size))
    n = int(y.sum())
    assert clustered.sensitivity.se == pytest.approx(plain.sensitivity.se * sqrt(n / (n - 1)), rel=1e-12)
    assert clustered.f1.value == pytest.approx(plain.f1.value, rel=1e-12)


def test_doubled_cases_of_a_patient_give_the_interval_of_one():
    y, call, _, _ = _simulated(8)
    twice = operating_point(np.repeat(y, 2), np.repeat(call, 2), cluster=np.repeat(np.arange(y.size), 2))
    once = operating_point(y, call, cluster=np.arange(y.size))
    for name in (*RATES, "f1", "lr_positive"):
        a, b = getattr(twice, name), getattr(once, name)
        assert (a.value, a.se) == pytest.approx((b.value, b.se), rel=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_swapping_the_words_present_and_absent_swaps_the_rates(pairs):
    y, call = (np.array(v) for v in zip(*pairs, strict=True))
    a, b = operating_point(y, call), operating_point(~y, ~call)
    for one, other in (("sensitivity", "specificity"), ("ppv", "npv"), ("accuracy", "accuracy")):
        e, f = getattr(a, one), getattr(b, other)
        assert (e.value, e.low, e.high) == pytest.approx((f.value, f.low, f.high), nan_ok=True)
    order = np.random.default_rng(0).permutation(y.size)
    assert repr(operating_point(y[order], call[order])) == repr(a)  # repr, for NaN is not NaN


@pytest.mark.slow
def test_coverage_of_clustered_f1_and_likelihood_ratio():
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(150), 3)
    covered = {"f1": 0, "lr_positive": 0, "npv": 0}
    truth = {
        "f1": 2 * 0.32 / (2 * 0.32 + 0.08 + 0.12),
        "lr_positive": 0.8 / 0.2,
        "npv": 0.8 * 0.95 / (0.8 * 0.95 + 0.2 * 0.05),
    }
    for _ in range(800):
        y = np.repeat(rng.random(150) < 0.4, 3)  # a patient's cases share the truth, and skill varies by patient
        right = rng.random(450) < np.repeat(rng.beta(2.4, 0.6, 150), 3)
        o = operating_point(y, np.where(right, y, ~y), cluster=cluster, prevalence=0.05)
        for name in covered:
            e = getattr(o, name)
            covered[name] += e.low <= truth[name] <= e.high
    for name, count in covered.items():
        assert 0.925 < count / 800 < 0.972, name
