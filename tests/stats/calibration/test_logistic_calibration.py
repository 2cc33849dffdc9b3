from __future__ import annotations

import json
from math import isnan, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit

from overread import codes
from overread.errors import InputError
from overread.stats.calibration.logistic_calibration import calibration_line, hosmer_lemeshow, spiegelhalter

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "calibration"
CASES = [c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"] if c["id"] != "multiclass4"]
CLOSE = {"rel": 1e-6, "abs": 1e-8}


def columns(case):
    data = np.genfromtxt(REFERENCE / case["data"], delimiter=",", names=True)
    return data["label"] == 1, data["p"]


def _glm_level(y, p, epsilon):
    """R's glm(y ~ offset(logit p)), whose standard error is that of the step before the last one."""
    y, offset = y[(p > 0) & (p < 1)], logit(p[(p > 0) & (p < 1)])
    fitted, last = (y + 0.5) / 2, np.inf
    line, se = logit(fitted), np.inf
    for _ in range(25):
        weight = fitted * (1 - fitted)
        level = np.sum(weight * (line - offset) + y - fitted) / weight.sum()
        se, line = 1 / sqrt(weight.sum()), offset + level
        fitted = expit(line)
        deviance = -2 * np.sum(np.log(np.where(y, fitted, 1 - fitted)))
        if abs(deviance - last) <= epsilon * (abs(deviance) + 0.1):
            break
        last = deviance
    return level, se


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_in_the_large_equals_glm(case):
    e, want = calibration_line(*columns(case)).in_the_large, case["expected"]["calibration_in_the_large"]
    assert e.value == pytest.approx(want["estimate"], **CLOSE)
    # glm stops at a change of 1e-8 in the deviance, which leaves its standard error up to 1e-5 off; so: glm's own steps
    # give R's number, and carried to the end they give ours
    assert _glm_level(*columns(case), 1e-8) == pytest.approx((want["estimate"], want["se"]), **CLOSE)
    assert (e.value, e.se) == pytest.approx(_glm_level(*columns(case), -1.0), rel=1e-9)
    assert (e.low, e.high) == pytest.approx(tuple(want["ci95"]), rel=2e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_calibration_line_equals_glm(case):
    want, got = case["expected"], calibration_line(*columns(case))
    for e, w in ((got.intercept, want["recalibration"]["intercept"]), (got.slope, want["recalibration"]["slope"])):
        assert (e.value, e.se, e.low, e.high) == pytest.approx((w["estimate"], w["se"], *w["ci95"]), **CLOSE)
    assert got.covariance == pytest.approx(want["recalibration"]["cov_intercept_slope"], **CLOSE)
    assert (got.intercept.value, got.slope.value) == pytest.approx(
        (want["val_prob"]["Intercept"], want["val_prob"]["Slope"]), rel=1e-5
    )
    assert ("excluded" in got.slope.note) == (case["id"] == "edges_0_1")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_spiegelhalter_equals_rms(case):
    e, w = spiegelhalter(*columns(case)), case["expected"]["spiegelhalter"]
    assert (e.value, e.p) == pytest.approx((w["z"], w["p"]), **CLOSE)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
@pytest.mark.parametrize("groups", [5, 10])
def test_hosmer_lemeshow_equals_resource_selection(case, groups):
    want = case["expected"]["hosmer_lemeshow"][f"g{groups}"]
    external = hosmer_lemeshow(*columns(case), groups=groups)
    internal = hosmer_lemeshow(*columns(case), groups=groups, external=False)
    assert external.method == f"Hosmer-Lemeshow, {want['groups']} groups, {want['groups']} df"
    if want["chisq"] is None:
        assert isnan(external.value)
        assert external.note
        return
    assert (external.value, external.p) == pytest.approx((want["chisq"], want["p_df_g_external"]), **CLOSE)
    assert (internal.value, internal.p) == pytest.approx((want["chisq"], want["p_df_g_minus_2"]), **CLOSE)


def test_line_by_hand():
    """Two probabilities, 2 of 10 and 8 of 10 seen: the line runs through both logits exactly."""
    y = np.r_[np.ones(2), np.zeros(8), np.ones(8), np.zeros(2)]
    p = np.repeat([0.4, 0.6], 10)
    line = calibration_line(y, p)
    assert line.slope.value == pytest.approx(logit(0.8) / logit(0.6))
    assert line.intercept.value == pytest.approx(0, abs=1e-12)
    assert line.in_the_large.value == pytest.approx(0, abs=1e-12)
    assert line.slope.se == pytest.approx(1 / (logit(0.6) * sqrt(20 * 0.16)))
    assert (line.intercept.p, line.in_the_large.p) == pytest.approx((1.0, 1.0))


def test_tests_by_hand():
    e = spiegelhalter([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.7])
    assert e.value == pytest.approx(-0.36 / sqrt(0.1104))
    h = hosmer_lemeshow([0, 1, 0, 1], [0.2, 0.3, 0.6, 0.8], groups=2)
    assert h.value == pytest.approx(0.25 / 0.5 + 0.25 / 1.5 + 0.16 / 1.4 + 0.16 / 0.6)


@pytest.mark.parametrize(
    ("y", "p", "words"),
    [
        ([1, 1, 1], [0.2, 0.4, 0.9], "all cases (n = 3) had the finding present"),
        ([0, 0], [0.2, 0.4], "absent"),
        ([], [], "no cases"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.2, 0.9], "separate the classes"),
        ([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.9], "separate the classes"),
        ([0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3], "all probabilities are equal"),
    ],
)
def test_what_has_no_line_is_nan_with_a_note(y, p, words):
    line = calibration_line(y, p)
    for e in (line.slope, line.intercept):
        assert isnan(e.value)
        assert isnan(e.low)
        assert words in e.note
    assert isnan(line.in_the_large.value) == (len(set(y)) < 2)


def test_in_the_large_survives_separation():
    line = calibration_line([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.9])
    assert isnan(line.slope.value)
    assert line.in_the_large.low < line.in_the_large.value < line.in_the_large.high


def test_probabilities_of_0_and_1_are_counted():
    line = calibration_line([0, 1, 0, 1, 1, 0], [0.0, 0.0, 0.3, 0.4, 1.0, 0.6])
    assert line.slope.note == codes.note("exact_probabilities", n=3, wrong=1)


def test_no_test_where_there_is_none():
    assert isnan(spiegelhalter([0, 1], [0.5, 1.0]).value)
    assert isnan(spiegelhalter([], []).value)
    assert isnan(hosmer_lemeshow([], []).value)
    assert isnan(hosmer_lemeshow([0, 1], [0.0, 0.6], groups=2).value)


def test_bad_probabilities_are_refused():
    for function in (calibration_line, spiegelhalter, hosmer_lemeshow):
        with pytest.raises(InputError, match="between 0 and 1"):
            function([0, 1], [0.2, 1.2])
        with pytest.raises(InputError, match="NaN or infinite"):
            function([0, 1], [0.2, np.nan])
        with pytest.raises(InputError, match="shape"):
            function([0, 1], [0.2])
    with pytest.raises(InputError, match="groups"):
        hosmer_lemeshow([0, 1], [0.2, 0.3], groups=1)


def _simulated(seed, n=400, patients=120):
    rng = np.random.default_rng(seed)
    x = rng.normal(-1, 1.5, n)
    return rng.random(n) < expit(0.3 + 0.7 * x), expit(x), rng.integers(0, patients, n), rng.uniform(0.5, 4, n)


@pytest.mark.parametrize("seed", range(3))
def test_line_equals_its_slow_twin(seed):
    """A general optimiser for the weighted likelihood; the sandwich from its definition, patient by patient."""
    y, p, cluster, weights = _simulated(seed)
    x = logit(p)

    def loss(b):
        return np.sum(weights * (np.logaddexp(0, b[0] + b[1] * x) - y * (b[0] + b[1] * x)))

    slow = minimize(loss, [0.0, 1.0], method="BFGS", options={"gtol": 1e-7}).x
    line = calibration_line(y, p, cluster=cluster, weights=weights)
    assert (line.intercept.value, line.slope.value) == pytest.approx(slow, abs=1e-5)
    fitted = expit(line.intercept.value + line.slope.value * x)
    bread, meat = np.zeros((2, 2)), np.zeros((2, 2))
    patients = np.unique(cluster)
    for patient in patients:
        score = np.zeros(2)
        for i in np.flatnonzero(cluster == patient):
            row = np.array([1, x[i]])
            bread += weights[i] * fitted[i] * (1 - fitted[i]) * np.outer(row, row)
            score += weights[i] * (y[i] - fitted[i]) * row
        meat += np.outer(score, score)
    want = np.linalg.inv(bread) @ meat @ np.linalg.inv(bread) * len(patients) / (len(patients) - 1)
    assert (line.intercept.se, line.slope.se) == pytest.approx(np.sqrt(np.diag(want)), rel=1e-8)
    assert line.covariance == pytest.approx(want[0, 1], rel=1e-8)


@given(st.integers(0, 10000), st.floats(0.2, 3), st.floats(-2, 2))
@settings(max_examples=40, deadline=None)
def test_a_line_of_the_logits_changes_the_line_as_it_must(seed, slope, shift):
    y, p, _, _ = _simulated(seed, 150)
    a = calibration_line(y, p)
    b = calibration_line(y, expit(shift + slope * logit(p)))
    assert b.slope.value == pytest.approx(a.slope.value / slope, rel=1e-6)
    assert b.intercept.value == pytest.approx(a.intercept.value - shift * a.slope.value / slope, rel=1e-6, abs=1e-6)


@given(st.integers(0, 10000))
@settings(max_examples=30, deadline=None)
def test_order_and_the_words_present_and_absent_do_not_matter(seed):
    y, p, cluster, weights = _simulated(seed, 120, 40)
    order = np.random.default_rng(seed).permutation(120)
    a = calibration_line(y, p, cluster=cluster, weights=weights)
    b = calibration_line(y[order], p[order], cluster=cluster[order], weights=weights[order] * 3)
    c = calibration_line(~y, 1 - p, cluster=cluster, weights=weights)
    assert (a.slope.value, a.slope.se, a.in_the_large.se) == pytest.approx(
        (b.slope.value, b.slope.se, b.in_the_large.se), rel=1e-8
    )
    assert (a.slope.value, a.intercept.value, a.slope.se) == pytest.approx(
        (c.slope.value, -c.intercept.value, c.slope.se), rel=1e-6
    )
    assert spiegelhalter(y, p).value == pytest.approx(spiegelhalter(~y, 1 - p).value, rel=1e-9)


def test_doubled_cases_of_a_patient_give_the_interval_of_one():
    y, p, _, _ = _simulated(1)
    once = calibration_line(y, p, cluster=np.arange(y.size))
    twice = calibration_line(np.repeat(y, 2), np.repeat(p, 2), cluster=np.repeat(np.arange(y.size), 2))
    assert (once.slope.value, once.slope.se) == pytest.approx((twice.slope.value, twice.slope.se), rel=1e-9)


def test_extreme_probabilities_converge():
    rng = np.random.default_rng(2)
    x = rng.normal(0, 12, 3000)
    line = calibration_line(rng.random(3000) < expit(0.05 * x), expit(x))
    assert line.slope.value == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("far", [30.0, 300.0, 700.0])
def test_saturated_probabilities_have_a_line(far):
    """A network that says 1e-300 where half are present: the intercept alone is as far as the logits are."""
    y = np.tile([True, False], 20)
    line = calibration_line(y, expit(-far + np.arange(40) % 4 / 10))
    assert line.in_the_large.value == pytest.approx(far - 0.15, abs=0.01)
    mixed = np.where(np.arange(40) % 3 == 0, -far, 0.3) + np.arange(40) / 100
    got = calibration_line(y, expit(mixed))
    fitted = expit(got.in_the_large.value + mixed)
    assert fitted.sum() == pytest.approx(20, rel=1e-7)
    fitted = expit(got.intercept.value + got.slope.value * mixed)
    assert (fitted.sum(), fitted @ mixed) == pytest.approx((20, mixed[y].sum()), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [False, True])
def test_coverage_of_the_line(clustered):
    rng, runs = np.random.default_rng(11), 700
    covered = np.zeros(3)
    for _ in range(runs):
        x = rng.normal(-1, 1.2, 400)
        y = rng.random(400) < expit(0.3 + 0.8 * x)
        cluster = None
        if clustered:  # a patient's two images have the same probability and mostly the same truth
            again = rng.random(400) < 0.7
            y2 = np.where(again, y, rng.random(400) < expit(0.3 + 0.8 * x))
            x, y, cluster = np.r_[x, x], np.r_[y, y2], np.r_[np.arange(400), np.arange(400)]
        line = calibration_line(y, expit(x), cluster=cluster)
        truths = (0.3, 0.8, None)
        for k, e in enumerate((line.intercept, line.slope, line.in_the_large)):
            covered[k] += True if truths[k] is None else e.low <= truths[k] <= e.high
    assert (covered[:2] / runs > 0.93).all()
    assert (covered[:2] / runs < 0.972).all()


@pytest.mark.slow
def test_size_of_the_tests_when_calibrated():
    rng, runs = np.random.default_rng(12), 1500
    rejected = np.zeros(2)
    for _ in range(runs):
        p = rng.beta(1.5, 4, 500)
        y = rng.random(500) < p
        rejected += [spiegelhalter(y, p).p < 0.05, hosmer_lemeshow(y, p).p < 0.05]
    assert (np.abs(rejected / runs - 0.05) < 0.02).all()
