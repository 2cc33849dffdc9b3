import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_curve

from overread import codes
from overread.errors import InputError
from overread.stats import roc

TINY_Y = np.array([1, 1] + [0] * 8)
TINY = np.array([0.8, 0.4, 0.1, 0.4, 0.4, 0.35, 0.9, 0.2, 0.8, 0.05])


@st.composite
def samples(draw):
    m, n = draw(st.integers(2, 12)), draw(st.integers(2, 12))
    values = st.lists(st.integers(-5, 5), min_size=m + n, max_size=m + n)
    order = draw(st.permutations(range(m + n)))
    y = (np.arange(m + n) < m)[order]
    return y, np.array(draw(values), dtype=float), np.array(draw(values), dtype=float)


def test_auc_by_hand():
    # V10 = (.8125, .625); V01 = (1, .75, .75, 1, 0, 1, .25, 1): S10 = .017578125, S01 = .150669643
    got = roc.auc(TINY_Y, TINY)
    assert got.value == 0.71875
    assert got.se**2 == pytest.approx(0.017578125 / 2 + 0.150669643 / 8, abs=1e-9)
    assert got.high == 1.0  # clipped
    assert [code.name for code in got.method.codes] == ["delong", "scale_wald"]


def test_auc_of_patients_by_hand():
    y, score = [1, 0, 1, 0, 1, 0, 1, 0], [3, 1, 2, 2, 4, 3, 2, 1]
    got = roc.auc(y, score, cluster=[1, 1, 2, 2, 3, 3, 4, 5])
    assert got.value == 0.78125
    assert got.se**2 == pytest.approx(0.03515625 / 4 + 0.0872395833 / 4 - 2 * 0.0793457031 / 16, abs=1e-9)
    assert got.high > 1  # raw with patients
    assert "Obuchowski" in got.method


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(samples())
def test_order_transform_swap_and_mirror(sample):
    y, a, b = sample
    got = roc.auc(y, a)
    order = np.random.default_rng(0).permutation(y.size)
    for same in (roc.auc(y[order], a[order]), roc.auc(y, np.exp(a / 3)), roc.auc(y, 7 * a - 2)):
        assert (same.value, same.se) == pytest.approx((got.value, got.se), abs=1e-12)
    for mirrored in (roc.auc(y, -a), roc.auc(~y, a)):
        assert (mirrored.value, mirrored.se) == pytest.approx((1 - got.value, got.se), abs=1e-12)
    assert got.value == pytest.approx(roc_auc_score(y, a))
    forth, back = roc.compare_aucs(y, a, b), roc.compare_aucs(y, b, a)
    assert forth.value == pytest.approx(-back.value, abs=1e-15)
    assert forth.se == pytest.approx(back.se, abs=1e-12)
    assert (forth.low, forth.p) == pytest.approx((-back.high, back.p), abs=1e-9, nan_ok=True)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(samples(), st.floats(0.01, 100))
def test_equal_weights_change_nothing_and_whole_weights_repeat_cases(sample, factor):
    y, a, b = sample
    plain, weighted = roc.auc(y, a), roc.auc(y, a, weights=np.full(y.size, factor))
    assert (weighted.value, weighted.se) == pytest.approx((plain.value, plain.se), abs=1e-9)
    times = (np.abs(b) + 1).astype(int)
    repeated = roc.auc(np.repeat(y, times), np.repeat(a, times))
    assert roc.auc(y, a, weights=times).value == pytest.approx(repeated.value, abs=1e-12)
    curve, twin = roc.roc_curve(y, a, weights=times), roc.roc_curve(np.repeat(y, times), np.repeat(a, times))
    np.testing.assert_allclose(curve.true_positive_rate, twin.true_positive_rate)
    np.testing.assert_allclose(curve.false_positive_rate, twin.false_positive_rate)


@pytest.mark.slow
def test_weighted_variance_is_that_of_the_survey_bootstrap():
    # Cases with large scores were sampled rarely: the weighted AUC estimates that of the whole population.
    rng = np.random.default_rng(8)
    population_y = rng.random(40_000) < 0.3
    population = rng.normal(size=40_000) + population_y
    chance = np.where(population > 1, 0.02, 0.1)
    whole = roc.auc(population_y, population).value
    values, ses = [], []
    for _ in range(300):
        drawn = rng.random(40_000) < chance
        got = roc.auc(population_y[drawn], population[drawn], weights=1 / chance[drawn])
        values.append(got.value)
        ses.append(got.se)
    assert np.mean(values) == pytest.approx(whole, abs=4 * np.std(values) / np.sqrt(300))
    assert np.mean(ses) == pytest.approx(np.std(values), rel=0.12)


def test_strata_lower_the_variance_where_they_explain_the_score():
    # The stratum is nearly the score itself, so that only the variation within strata is left.
    rng = np.random.default_rng(9)
    y = rng.random(400) < 0.5
    score = rng.normal(size=400) + y
    strata = (np.digitize(score, [-0.5, 0.5, 1.5]) * 2 + y).astype(str)
    plain, stratified = roc.auc(y, score), roc.auc(y, score, strata=strata)
    assert stratified.value == plain.value
    assert stratified.se < 0.6 * plain.se
    one = roc.auc(y, score, strata=np.zeros(400, int), weights=np.ones(400))
    assert one.se == pytest.approx(plain.se, rel=0.01)
    assert "within strata" in stratified.method


@pytest.mark.parametrize(
    ("y", "score", "value", "note"),
    [
        ([], [], np.nan, "no cases"),
        ([1, 1, 1], [1, 2, 3], np.nan, "all cases (n = 3) had the finding present"),
        ([0, 0], [1, 2], np.nan, "all cases (n = 2) had the finding absent"),
        ([1, 0, 0], [2, 1, 3], 0.5, "only one case with the finding"),
        ([1, 1, 0], [2, 1, 3], 0.0, "only one case without the finding"),
        ([1, 0], [2, 1], 1.0, "with the finding; no CI: only one case without the finding"),
    ],
)
def test_what_cannot_be_computed_is_nan_with_its_reason(y, score, value, note):
    got = roc.auc(y, score)
    assert got.value == pytest.approx(value, nan_ok=True)
    assert np.isnan([got.low, got.high, got.se, got.p]).all()
    assert note in got.note
    assert note in roc.auc_covariance(y, [score, score]).note
    assert note in roc.compare_aucs(y, score, score).note


def test_one_patient_in_a_class_has_no_variance():
    got = roc.auc([1, 1, 0, 0], [4, 2, 3, 1], cluster=["a", "a", "b", "c"])
    assert got.value == 0.75
    assert np.isnan(got.se)
    assert "only one patient with the finding" in got.note


def test_bad_input_is_said():
    with pytest.raises(InputError, match="1 NaN or infinite of 3"):
        roc.auc([1, 0, 0], [1, np.nan, 2])
    with pytest.raises(InputError, match="shape"):
        roc.auc([1, 0, 0], [1, 2])
    with pytest.raises(InputError, match="Did you mean 'logit-t'"):
        roc.auc([1, 0, 0], [1, 2, 3], interval="logit_t")
    with pytest.raises(InputError, match="shape"):
        roc.auc_covariance([1, 0, 0], [[1, 2], [3, 4]])
    with pytest.raises(InputError, match="cluster"):
        roc.auc([1, 0, 0], [1, 2, 3], cluster=[1, 2])


def test_curve_agrees_with_sklearn_and_its_area_is_the_auc():
    rng = np.random.default_rng(1)
    y, score = rng.random(200) < 0.4, rng.integers(0, 30, 200).astype(float)
    got = roc.roc_curve(y, score)
    fpr, tpr, threshold = sklearn_curve(y, score, drop_intermediate=False)
    np.testing.assert_allclose(got.false_positive_rate, fpr)
    np.testing.assert_allclose(got.true_positive_rate, tpr)
    np.testing.assert_allclose(got.threshold, threshold)
    assert np.trapezoid(got.true_positive_rate, got.false_positive_rate) == pytest.approx(roc.auc(y, score).value)


def test_curve_of_one_class_says_so():
    got = roc.roc_curve([1, 1], [1, 2])
    assert np.isnan(got.false_positive_rate).all()
    assert got.true_positive_rate.tolist() == [0, 0.5, 1]
    assert got.note.codes[0].name == "one_class"
    assert roc.roc_curve([], []).note == codes.note("no_cases")


@pytest.mark.slow
def test_importing_the_statistics_needs_no_compiler():
    code = "import sys, overread.stats.roc; sys.exit(int('numba' in sys.modules or 'polars' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Coverage of 95 % intervals over 2,000 samples: the Monte-Carlo standard error is 0.5 %; seeds are fixed. Over 40,000
# samples (validation/auc_coverage.py) Wald covers 0.938 at 50 present cases and an AUC of 0.80, and 0.923 at an AUC of
# 0.92: here it must not lie significantly below 0.94, the others must reach it.
REPLICATES = 2000
MONTE_CARLO = 0.0053


def covers(estimate, truth):
    return estimate.low <= truth <= estimate.high


@pytest.mark.slow
@pytest.mark.parametrize("n_present", [50, 100])
@pytest.mark.parametrize("separation", [0.5, 1.2])
def test_coverage_of_single_and_paired_intervals(n_present, separation):
    rng = np.random.default_rng(1000 + n_present)
    y = np.arange(4 * n_present) < n_present
    truth = {"a": norm.cdf(separation / np.sqrt(2)), "b": norm.cdf(separation / 2 / np.sqrt(2))}
    hits = {"wald": 0, "logit": 0, "logit-t": 0, "paired": 0}
    for _ in range(REPLICATES):
        shared = rng.normal(size=y.size)
        a = 0.8 * shared + 0.6 * rng.normal(size=y.size) + separation * y
        b = 0.8 * shared + 0.6 * rng.normal(size=y.size) + separation / 2 * y
        for kind in ("wald", "logit", "logit-t"):
            hits[kind] += covers(roc.auc(y, a, interval=kind), truth["a"])
        hits["paired"] += covers(roc.compare_aucs(y, a, b), truth["a"] - truth["b"])
    coverage = {kind: count / REPLICATES for kind, count in hits.items()}
    assert coverage.pop("wald") >= 0.94 - 2 * MONTE_CARLO
    assert min(coverage.values()) >= 0.94, coverage
    assert max(coverage.values()) <= 0.975, coverage


@pytest.mark.slow
def test_coverage_with_few_cases_needs_the_t_interval():
    rng = np.random.default_rng(77)
    y = np.arange(100) < 10
    truth = norm.cdf(1.2 / np.sqrt(2))
    hits = {"wald": 0, "logit-t": 0}
    for _ in range(REPLICATES):
        score = rng.normal(size=y.size) + 1.2 * y
        for kind in hits:
            hits[kind] += covers(roc.auc(y, score, interval=kind), truth)
    assert hits["wald"] / REPLICATES < 0.90  # why "logit-t" exists
    assert hits["logit-t"] / REPLICATES >= 0.925


@pytest.mark.slow
@pytest.mark.parametrize("interval", ["wald", "logit", "logit-t"])
def test_coverage_with_several_images_of_a_patient(interval):
    rng = np.random.default_rng(31)
    cluster = np.repeat(np.arange(150), 3)
    truth = norm.cdf(1.0 / np.sqrt(2))  # pairs of different patients dominate: the score of an image is N(y, 1)
    hits = naive = 0
    for _ in range(REPLICATES):
        ill = rng.random(150) < 0.5
        y = ill[cluster]
        score = np.sqrt(0.7) * rng.normal(size=150)[cluster] + np.sqrt(0.3) * rng.normal(size=450) + y
        hits += covers(roc.auc(y, score, cluster=cluster, interval=interval), truth)
        naive += covers(roc.auc(y, score, interval=interval), truth)
    assert hits / REPLICATES >= 0.94, hits / REPLICATES
    assert naive / REPLICATES < 0.85  # images taken for patients
