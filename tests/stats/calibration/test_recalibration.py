from __future__ import annotations

import json
from math import isnan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from overread.errors import InputError
from overread.stats.calibration.logistic_calibration import calibration_line
from overread.stats.calibration.recalibration import Recalibration, isotonic_fit, recalibrate

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "calibration"
CASES = [c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"] if c["id"] != "multiclass4"]
CLOSE = {"rel": 1e-6, "abs": 1e-8}


def columns(case):
    data = np.genfromtxt(REFERENCE / case["data"], delimiter=",", names=True)
    return data["label"] == 1, data["p"]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_equals_r(case):
    (y, p), want = columns(case), case["expected"]
    logistic = recalibrate(y, p)
    fit = want["recalibration"]
    assert (logistic.intercept, logistic.slope) == pytest.approx(
        (fit["intercept"]["estimate"], fit["slope"]["estimate"]), **CLOSE
    )
    assert recalibrate(y, p, method="temperature").slope == pytest.approx(want["temperature_scaling"]["beta"], **CLOSE)
    np.testing.assert_allclose(isotonic_fit(y, p)[:20], want["isotonic"]["fitted_first20_rows"], rtol=1e-9, atol=1e-12)
    isotonic = recalibrate(y, p, method="isotonic")
    assert np.mean((isotonic(p) - y) ** 2) == pytest.approx(want["isotonic"]["brier_after"], **CLOSE)
    if "fit_by_unique_p" in want["isotonic"]:
        unique = want["isotonic"]["fit_by_unique_p"]
        np.testing.assert_allclose(isotonic(unique["p"]), unique["fit"], rtol=1e-9, atol=1e-12)
    if "platt_1999_smoothed_targets_on_logit" in want:
        for scale, key in (("probability", "on_logit"), ("score", "on_p")):
            platt, w = recalibrate(y, p, smoothed=True, scale=scale), want[f"platt_1999_smoothed_targets_{key}"]
            assert (platt.intercept, platt.slope) == pytest.approx((w["intercept"], w["slope"]), **CLOSE)


def test_isotonic_equals_scikit_learn():
    sklearn = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(1)
    score, weights = rng.normal(size=300).round(1), rng.uniform(0.5, 3, 300)
    y = rng.random(300) < expit(score)
    mine = recalibrate(y, score, method="isotonic", scale="score", weights=weights)
    theirs = sklearn.IsotonicRegression(out_of_bounds="clip").fit(score, y, sample_weight=weights)
    grid = np.linspace(-4, 4, 201)
    np.testing.assert_allclose(mine(grid), theirs.predict(grid), rtol=1e-9, atol=1e-12)


def test_isotonic_equals_scipy():
    regression = pytest.importorskip("scipy.optimize").isotonic_regression
    rng = np.random.default_rng(5)
    y, weights = rng.random(400) < np.linspace(0.1, 0.6, 400), rng.uniform(0.2, 4, 400)
    fitted = isotonic_fit(y, np.arange(400.0), weights)
    np.testing.assert_allclose(fitted, regression(y.astype(float), weights=weights).x, rtol=1e-10, atol=1e-12)


def _slow_isotonic(y, score):
    """The min-max formula: max over starts of the min over ends of the mean between them."""
    distinct = np.unique(score)
    groups = [y[score == s].astype(float) for s in distinct]
    k = len(groups)
    mean = [[np.concatenate(groups[a : b + 1]).mean() if b >= a else np.inf for b in range(k)] for a in range(k)]
    fit = [max(min(mean[a][b] for b in range(i, k)) for a in range(i + 1)) for i in range(k)]
    return np.array(fit)[np.searchsorted(distinct, score)]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=25))
@settings(max_examples=60, deadline=None)
def test_isotonic_equals_its_slow_twin(cases):
    y, score = (np.array(v) for v in zip(*cases, strict=True))
    np.testing.assert_allclose(isotonic_fit(y, score.astype(float)), _slow_isotonic(y, score), atol=1e-12)


def test_by_hand():
    y, p = np.r_[np.ones(2), np.zeros(8), np.ones(8), np.zeros(2)], np.repeat([0.4, 0.6], 10)
    r = recalibrate(y, p)
    assert r([0.4, 0.6]).tolist() == pytest.approx([0.2, 0.8])
    t = recalibrate(y, p, method="temperature")
    assert (t.intercept, t.slope) == pytest.approx((0.0, logit(0.8) / logit(0.6)))
    i = recalibrate([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], method="isotonic")
    assert i([0.0, 0.1, 0.15, 0.25, 0.4, 1.0]).tolist() == pytest.approx([0, 0, 0.25, 0.5, 1, 1])
    raw = recalibrate(y, logit(p), scale="score")
    assert (raw.intercept, raw.slope) == pytest.approx((r.intercept, r.slope))


@pytest.mark.parametrize("method", ["logistic", "temperature", "isotonic"])
@pytest.mark.parametrize("scale", ["probability", "score"])
def test_frozen_through_json(method, scale):
    rng = np.random.default_rng(2)
    p = rng.random(100).round(3)
    r = recalibrate(rng.random(100) < p, p, method=method, scale=scale)
    again = Recalibration.from_dict(json.loads(json.dumps(r.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(again(p), r(p))
    assert (again.method, again.scale) == (method, scale)


def test_what_was_fitted_is_calibrated_and_ends_stay_ends():
    rng = np.random.default_rng(3)
    p = rng.random(500)
    y = rng.random(500) < p**3
    line = calibration_line(y, recalibrate(y, p)(p))
    assert (line.intercept.value, line.slope.value) == pytest.approx((0, 1), abs=1e-9)
    assert recalibrate(y, p)([0.0, 1.0]).tolist() == [0.0, 1.0]
    assert np.isnan(recalibrate(y, p)([np.nan, 0.5])).tolist() == [True, False]
    flat = Recalibration("logistic", "probability", 0.0, 0.0)
    assert flat([0.0, 0.3, 1.0]).tolist() == [0.5, 0.5, 0.5]
    assert recalibrate(y, p)(p.reshape(50, 10)).shape == (50, 10)


@pytest.mark.parametrize("method", ["logistic", "temperature", "isotonic"])
def test_one_class_is_nan_with_a_note(method):
    r = recalibrate([0, 0, 0], [0.1, 0.2, 0.3], method=method)
    assert np.isnan(r([0.1, 0.9])).all()
    assert r.note
    again = Recalibration.from_dict(json.loads(json.dumps(r.to_dict(), allow_nan=False)))
    assert np.isnan(again([0.5])).all()
    assert again.note == r.note


def test_separated_classes_need_platt():
    y, p = [0, 0, 1, 1], [0.1, 0.2, 0.7, 0.8]
    for method in ("logistic", "temperature"):
        assert isnan(recalibrate(y, p, method=method).slope)
        assert "slope NE" in recalibrate(y, p, method=method).note
        assert recalibrate(y, p, method=method, smoothed=True).slope > 0
    assert "negative slope" in recalibrate([1, 1, 0, 1, 0, 0], [0.1, 0.2, 0.3, 0.5, 0.7, 0.8]).note
    assert (
        "2 probabilities of exactly 0 or 1 excluded from the fit"
        in recalibrate([0, 1, 0, 1, 1, 0], [0, 0.4, 0.5, 0.6, 1, 0.7]).note
    )


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        recalibrate([0, 1], [0.2, 3.0])
    with pytest.raises(InputError, match="between 0 and 1"):
        recalibrate([0, 1, 0], [0.1, 0.2, 0.3])([2.0])
    with pytest.raises(InputError, match="Did you mean 'logistic'"):
        recalibrate([0, 1], [0.2, 0.3], method="logistics")
    with pytest.raises(InputError, match="keys"):
        Recalibration.from_dict({"method": "logistic", "slop": 1})
    with pytest.raises(InputError, match="codes of notes"):
        Recalibration.from_dict({"method": "logistic", "scale": "score", "note": "the classes are separated"})


@given(st.integers(0, 5000), st.floats(0.3, 3), st.floats(-1, 1))
@settings(max_examples=30, deadline=None)
def test_a_line_of_the_logits_gives_the_same_probabilities(seed, slope, shift):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=120)
    y = rng.random(120) < expit(x)
    moved = shift + slope * x
    for method in ("logistic", "isotonic"):
        a, b = (
            recalibrate(y, expit(x), method=method)(expit(x)),
            recalibrate(y, expit(moved), method=method)(expit(moved)),
        )
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
        assert (np.diff(a[np.argsort(x)]) >= -1e-12).all() or recalibrate(y, expit(x)).slope < 0


@pytest.mark.slow
def test_recalibration_of_new_cases():
    """The truth is logit = 0.5 + 0.6 x: with 4000 cases every method comes near it."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=4000)
    y = rng.random(4000) < expit(0.5 + 0.6 * x)
    grid = np.linspace(-1.5, 1.5, 7)
    want = expit(0.5 + 0.6 * grid)
    np.testing.assert_allclose(recalibrate(y, expit(x))(expit(grid)), want, atol=0.03)
    np.testing.assert_allclose(recalibrate(y, x, method="isotonic", scale="score")(grid), want, atol=0.12)
