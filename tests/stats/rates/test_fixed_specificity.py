from __future__ import annotations

import json
from math import inf, isnan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import codes
from overread.errors import InputError
from overread.reporting.number_format import exact
from overread.stats.rates import (
    operating_point,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    threshold_at,
    unattained,
)

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "roc"
CASES = [c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"] if c["id"].startswith("coords_pauc")]
CASES = [c for c in CASES if (REFERENCE / c["data"]).exists()]
RATED = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=25)


def _columns(case):
    data = np.genfromtxt(REFERENCE / case["data"], delimiter=",", names=True)
    return data[case["columns"]["label"]] == 1, data[case["columns"]["score"]]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_attainable_steps_equal_proc(case):
    y, score = _columns(case)
    for target, want in case["expected"]["sens_at_spec_step"].items():
        step = threshold_at(y, score, specificity=float(target))
        assert step.sensitivity == pytest.approx(want, rel=1e-9)
        e = sensitivity_at_specificity(y, score, float(target), rng=np.random.default_rng(0), replicates=2)
        if isnan(step.threshold):  # pROC gives the 0 of calling nobody
            want = np.nan
        assert e.value == pytest.approx(want, rel=1e-9, nan_ok=True)
    for target, want in case["expected"]["spec_at_sens_step"].items():
        assert threshold_at(y, score, sensitivity=float(target)).specificity == pytest.approx(want, rel=1e-9)
        e = specificity_at_sensitivity(y, score, float(target), rng=np.random.default_rng(0), replicates=2)
        assert e.value == pytest.approx(want, rel=1e-9)


def test_by_hand():
    y, score = [0, 0, 0, 1, 1], [1.0, 2.0, 4.0, 3.0, 5.0]
    step = threshold_at(y, score, specificity=0.6)
    assert (step.threshold, step.sensitivity, step.specificity) == pytest.approx((2.5, 1.0, 2 / 3))
    step = threshold_at(y, score, specificity=0.9)
    assert (step.threshold, step.sensitivity, step.specificity) == (4.5, 0.5, 1.0)
    step = threshold_at(y, score, sensitivity=0.5)
    assert (step.threshold, step.sensitivity, step.specificity) == (4.5, 0.5, 1.0)
    alone = threshold_at([0, 1], [2.0, 1.0], specificity=1.0)
    assert isnan(alone.threshold)
    assert (alone.sensitivity, alone.specificity) == (0.0, 1.0)
    assert alone.note == codes.note("specificity_unattainable", share=1.0, score=2.0)
    assert threshold_at([0, 1], [2.0, 1.0], specificity=0.0).threshold == 1.0


def test_a_target_met_up_to_rounding_is_met():
    y, score = np.r_[np.zeros(10), np.ones(10)], np.r_[np.arange(10), np.arange(10) - 0.5]
    assert threshold_at(y, score, specificity=0.9).specificity == pytest.approx(0.9)
    assert threshold_at(y, score, specificity=0.7).specificity == pytest.approx(0.7)


def test_one_class_is_nan_with_a_note():
    assert isnan(threshold_at([1, 1], [1, 2], specificity=0.9).threshold)
    assert threshold_at([0, 0], [1, 2], sensitivity=0.9).note == codes.note("no_cases_of_class", outcome="present")
    half = threshold_at([0, 0], [1, 2], specificity=0.5)
    assert (half.threshold, half.note) == (1.5, codes.note("one_class", n=2, outcome="absent"))
    assert isnan(half.sensitivity)
    e = sensitivity_at_specificity([1, 1], [1, 2], 0.9, rng=np.random.default_rng(0))
    assert isnan(e.value)
    assert "one_class" in [code.name for code in e.note.codes]


def test_bad_targets_and_scores_are_refused():
    with pytest.raises(InputError, match="exactly one"):
        threshold_at([0, 1], [1, 2])
    with pytest.raises(InputError, match="between 0 and 1"):
        threshold_at([0, 1], [1, 2], specificity=95)
    for bad in (np.nan, inf):
        with pytest.raises(InputError, match="NaN or infinite"):
            threshold_at([0, 1], [1, bad], specificity=0.9)


@pytest.mark.slow
@given(RATED, st.integers(0, 100).map(lambda k: k / 100))
@settings(max_examples=100, deadline=None)
def test_threshold_equals_its_slow_twin(cases, target):
    """Try every threshold: the definition."""
    y, score = (np.array(v) for v in zip(*cases, strict=True))
    score = score.astype(float)
    if not y.any() or y.all():
        return
    tried = [(t, np.mean(score[y] >= t), np.mean(score[~y] < t)) for t in [*np.unique(score), inf]]
    by_specificity = min((c for c in tried if c[2] >= target - 1e-12), key=lambda c: c[0])
    by_sensitivity = max((c for c in tried if c[1] >= target - 1e-12), key=lambda c: c[0])
    for name, want in (("specificity", by_specificity), ("sensitivity", by_sensitivity)):
        step = threshold_at(y, score, **{name: target})
        assert (step.sensitivity, step.specificity) == pytest.approx(want[1:])
        again = operating_point(y, score >= step.threshold)
        assert (again.sensitivity.value, again.specificity.value) == pytest.approx(want[1:])


@given(RATED, st.integers(5, 95).map(lambda k: k / 100))
@settings(max_examples=60, deadline=None)
def test_only_the_order_of_scores_matters(cases, target):
    y, score = (np.array(v) for v in zip(*cases, strict=True))
    if not y.any() or y.all():
        return
    a, b = threshold_at(y, score, specificity=target), threshold_at(y, np.exp(score / 2.0), specificity=target)
    assert (a.sensitivity, a.specificity) == (b.sensitivity, b.specificity)
    mirrored = threshold_at(~y, -score, sensitivity=target)  # present and absent change places
    assert mirrored.sensitivity >= target - 1e-9
    draws = {"rng": np.random.default_rng(0), "replicates": 20}
    e = sensitivity_at_specificity(y, score, target, **draws)
    f = specificity_at_sensitivity(~y, -score.astype(float), target, **draws)
    assert e.value == pytest.approx(f.value, nan_ok=True)
    assert e.value == pytest.approx(np.nan if isnan(a.threshold) else a.sensitivity, nan_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [False, True])
def test_interval_equals_resampling_case_by_case(clustered):
    """Slow twin: draw patients, copy their cases, choose the threshold again with `threshold_at`."""
    rng = np.random.default_rng(3)
    y = np.repeat(rng.random(60) < 0.4, 2)
    score = (rng.normal(size=120) + y).round(1)
    cluster = np.repeat(np.arange(60), 2) if clustered else np.arange(120)
    e = sensitivity_at_specificity(y, score, 0.8, rng=np.random.default_rng(1), replicates=1500, cluster=cluster)
    f = specificity_at_sensitivity(y, score, 0.8, rng=np.random.default_rng(2), replicates=1500, cluster=cluster)
    n = cluster[-1] + 1
    slow = []
    for _ in range(1500):
        drawn = rng.integers(0, n, n)
        cases = (drawn[:, None] * 2 + [0, 1]).ravel() if clustered else drawn
        one = threshold_at(y[cases], score[cases], specificity=0.8).sensitivity
        slow.append((one, threshold_at(y[cases], score[cases], sensitivity=0.8).specificity))
    wanted = np.quantile(slow, [0.025, 0.975], axis=0)
    assert (e.low, e.high) == pytest.approx(wanted[:, 0], abs=0.035)
    assert (f.low, f.high) == pytest.approx(wanted[:, 1], abs=0.035)
    assert e.se == pytest.approx(np.std(slow, axis=0)[0], rel=0.1)


def test_patients_widen_the_interval():
    rng = np.random.default_rng(3)
    y = np.repeat(rng.random(100) < 0.4, 4)
    score = np.repeat(rng.normal(size=100), 4) + y
    both = [
        sensitivity_at_specificity(y, score, 0.8, rng=np.random.default_rng(1), replicates=500, cluster=c)
        for c in (None, np.repeat(np.arange(100), 4))
    ]
    assert both[1].se > 1.4 * both[0].se  # identical cases four times over: the truth is a factor of 2
    assert both[1].value == both[0].value


def test_undefined_resamples_are_counted():
    y, score = np.zeros(30, dtype=bool), np.arange(30.0)
    y[-1] = True
    e = sensitivity_at_specificity(y, score, 0.9, rng=np.random.default_rng(1), replicates=400)
    assert e.value == 1.0
    assert isnan(e.low)
    assert "undefined" in e.note


def test_decisions_near_the_fixed_rate_have_a_value_and_no_interval():
    """8 of 100 false positives: some 20 % of the resamples have more than 10, and no threshold of specificity 0.9."""
    y = np.repeat([True, False], 100)
    call = np.r_[np.ones(80), np.zeros(20), np.ones(8), np.zeros(92)]
    e = sensitivity_at_specificity(y, call, 0.9, rng=np.random.default_rng(1), replicates=1000)
    assert e.value == 0.8
    assert isnan(e.low)
    found = e.note.codes
    assert [code.name for code in found] == ["undefined_samples", "undefined_rate", "many_undefined"]
    assert 100 < found[0]["n"] < 300
    f = specificity_at_sensitivity(~y, -call, 0.9, rng=np.random.default_rng(1), replicates=1000)
    assert (f.value, isnan(f.low)) == (0.8, True)


def test_decisions_far_from_the_fixed_rate_keep_their_interval():
    y = np.repeat([True, False], 100)
    call = np.r_[np.ones(80), np.zeros(20), np.ones(1), np.zeros(99)]
    e = sensitivity_at_specificity(y, call, 0.9, rng=np.random.default_rng(1), replicates=1000)
    assert 0.7 < e.low < 0.8 < e.high < 0.9
    assert e.note == ""


@pytest.mark.parametrize("score", [[0.5] * 20, [1.0] * 10 + [1.0] * 3 + [0.0] * 7])
def test_a_rate_that_is_not_attainable_is_missing_with_the_reason(score):
    y = np.repeat([True, False], 10)
    rng = np.random.default_rng(1)
    for e in (
        sensitivity_at_specificity(y, np.array(score), 0.9, rng=rng, replicates=50),
        specificity_at_sensitivity(~y, -np.array(score), 0.9, rng=rng, replicates=50),
    ):
        assert isnan(e.value)
        assert isnan(e.low)
        assert e.note.codes[0].name in ("specificity_unattainable", "sensitivity_unattainable")


@pytest.mark.slow
def test_coverage_of_sensitivity_at_fixed_specificity():
    from scipy.special import ndtr, ndtri

    rng = np.random.default_rng(9)
    truth, covered, runs = ndtr(1.2 - ndtri(0.8)), 0, 400
    cluster = np.repeat(np.arange(120), 2)
    for _ in range(runs):
        y = np.repeat(rng.random(120) < 0.4, 2)
        own = np.repeat(rng.normal(size=120), 2) * np.sqrt(0.5)
        score = 1.2 * y + own + rng.normal(size=240) * np.sqrt(0.5)
        e = sensitivity_at_specificity(y, score, 0.8, rng=rng, replicates=400, cluster=cluster)
        covered += e.low <= truth <= e.high
    assert 0.91 < covered / runs < 0.98


@pytest.mark.parametrize(
    ("score", "share"), [([0.5] * 10, "100.0%"), ([0, 0, 1, 1, 1, 1, 1, 0, 0, 0], "40.0%"), ([2.0**-60] * 10, "100.0%")]
)
def test_a_specificity_that_tied_scores_do_not_attain_has_no_threshold(score, share):
    y = np.arange(10) >= 5
    score = np.array(score if share != "40.0%" else [1, 1, 0, 0, 0, 1, 1, 1, 1, 0], dtype=float)
    step = threshold_at(y, score, specificity=0.9)
    assert isnan(step.threshold)
    assert step.note.codes[0]["score"] == score.max()
    assert f"{share} of the cases without the finding have the highest score, {score.max():.4g}" in step.note
    assert step.note == unattained(y, score, specificity=0.9)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, np.nextafter(0.1, 1), np.float32(0.1), 0.3, 1.0]))))
def test_the_printed_threshold_makes_the_same_calls(cases):
    if len({y for y, _ in cases}) < 2:
        return
    y, score = (np.array(v) for v in zip(*cases, strict=True))
    step = threshold_at(y, score.astype(float), specificity=0.5)
    printed = float(exact(step.threshold).replace("\u2014", "nan"))
    made = operating_point(y, score >= printed)
    assert (made.sensitivity.value, made.specificity.value) == pytest.approx((step.sensitivity, step.specificity))
