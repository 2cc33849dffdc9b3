from __future__ import annotations

import json
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from overread import codes
from overread.errors import InputError
from overread.stats.decision.net_benefits import compare_net_benefit, net_benefit

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "decision"
CASES = {c["id"]: c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"]}
CURVES = ("dca_models", "dca_casecontrol_prev", "dcurves_df_binary")  # what dcurves made
CLOSE = {"rtol": 1e-9, "atol": 1e-10}
Z = 1.959963984540054


def _scores(case):
    scores = case["columns"]["scores"]
    return [scores] if isinstance(scores, str) else scores


def _columns(case, path):
    data = np.genfromtxt(path, delimiter=",", names=True)
    return data[case["columns"]["label"]] == 1, data


def test_no_reference_case_is_left_out():
    assert set(CASES) == {*CURVES, "dca_uncertainty"}
    used = {"thresholds", "all", "none", "prevalence", "max_abs_diff_own_vs_dcurves"}
    for name in CURVES:
        want = CASES[name]["expected"]
        assert set(want) == used | set(_scores(CASES[name]))
        assert [set(want[way]) for way in ("all", "none")] == [{"net_benefit"}] * 2
    want = CASES["dca_uncertainty"]["expected"]
    assert set(want) == {"bootstrap", "analytic"}
    assert all(set(at) == {"0.1", "0.2", "0.4"} for at in want.values())
    assert all(set(w) == {"diff", "boot_se", "ci95_percentile", "se_a", "se_b"} for w in want["bootstrap"].values())
    assert all(set(w) == {"nb_a", "nb_b", "se_a", "se_b", "se_diff"} for w in want["analytic"].values())


@pytest.mark.parametrize("name", CURVES)
def test_curves_equal_dcurves(name, shared):
    case = CASES[name]
    want = case["expected"]
    own = REFERENCE / case["data"]  # the one that dcurves ships is not copied here
    y, data = _columns(case, own if own.exists() else shared(f"reference/06_decision_curve/{case['data']}"))
    prevalence = want["prevalence"] if name == "dca_casecontrol_prev" else None
    for score in _scores(case):
        curve, w = net_benefit(y, data[score], want["thresholds"], prevalence=prevalence), want[score]
        got = {
            "net_benefit": curve.model,
            "tp_rate": curve.true_positives,
            "fp_rate": curve.false_positives,
            "net_benefit_treated_minus_all": curve.minus_all.value,
            "standardized_net_benefit": curve.standardized,
            "net_intervention_avoided_per100": 100 * curve.avoided,
        }
        assert set(got) == set(w)
        for key, values in got.items():
            np.testing.assert_allclose(values, w[key], err_msg=key, **CLOSE)
        np.testing.assert_allclose(curve.treat_all, want["all"]["net_benefit"], **CLOSE)
        np.testing.assert_allclose(curve.treat_none, want["none"]["net_benefit"], **CLOSE)
        assert curve.prevalence == pytest.approx(want["prevalence"], rel=1e-9)


def test_standard_errors_equal_r():
    case = CASES["dca_uncertainty"]
    y, data = _columns(case, REFERENCE / case["data"])
    a, b = data["model_a"], data["model_b"]
    for t, want in case["expected"]["analytic"].items():
        at = [float(t)]
        one, other, d = net_benefit(y, a, at), net_benefit(y, b, at), compare_net_benefit(y, a, b, at)
        got = (one.model[0], other.model[0], one.se[0], other.se[0], d.se[0])
        assert got == pytest.approx(tuple(want[k] for k in ("nb_a", "nb_b", "se_a", "se_b", "se_diff")), rel=1e-9)
        boot = case["expected"]["bootstrap"][t]  # 5,000 resamples: compared at their own tolerance
        got = (d.value[0], d.se[0], one.se[0], other.se[0])
        assert got == pytest.approx(tuple(boot[k] for k in ("diff", "boot_se", "se_a", "se_b")), rel=0.05)
        low, high = boot["ci95_percentile"]  # percentiles of 5,000: known to about a twentieth of the width
        assert (d.low[0], d.high[0]) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_by_hand():
    """Two of five present; at 0.25 (odds 1/3) both present and one absent case are treated."""
    y, p = [1, 1, 0, 0, 0], [0.9, 0.4, 0.25, 0.2, 0.1]
    curve = net_benefit(y, p, [0.25], interval="wald")
    assert curve.model[0] == pytest.approx(2 / 5 - 1 / 3 * 1 / 5)
    assert curve.treat_all[0] == pytest.approx(2 / 5 - 1 / 3 * 3 / 5)
    gains = np.array([1, 1, -1 / 3, 0, 0])
    assert curve.se[0] == pytest.approx(gains.std(ddof=1) / sqrt(5))
    assert curve.low[0] == pytest.approx(gains.mean() - Z * gains.std(ddof=1) / sqrt(5))
    spared = np.array([0, 0, 0, 1 / 3, 1 / 3])
    assert (curve.minus_all.value[0], curve.minus_all.se[0]) == pytest.approx(
        (spared.mean(), spared.std(ddof=1) / sqrt(5))
    )
    assert curve.avoided[0] == pytest.approx(2 / 5)
    assert curve.standardized[0] == pytest.approx(curve.model[0] / 0.4)


def test_imaginary_patients_by_hand():
    """Nobody of four is treated at 0.5; the interval is that of four imaginary patients: 1, -1, 0, 0 among eight."""
    curve = net_benefit([1, 0, 0, 0], [0.4, 0.2, 0.1, 0.1], [0.5])
    assert (curve.model[0], curve.se[0]) == (0.0, 0.0)
    half = Z * sqrt((1 + 1) / 4**2) * 4 / 8
    assert (curve.low[0], curve.high[0]) == pytest.approx((-half, half))
    # at 0.2 (odds 1/4) one present and one absent case: mean (1 - 1/4) / 4, with the four (0.75 + 1 - 0.25) / 8
    curve = net_benefit([1, 0, 0, 0], [0.4, 0.2, 0.1, 0.1], [0.2])
    mean, middle = 0.75 / 4, 1.5 / 8
    real = np.array([1, -0.25, 0, 0])
    variance = real.var(ddof=1) / 4 + ((mean - middle) ** 2 / 4 + sum((real - middle) ** 2) / 16) / 4
    assert (curve.low[0] + curve.high[0]) / 2 == pytest.approx(middle)
    assert curve.high[0] - middle == pytest.approx(Z * sqrt(variance))


def _slow(y, p, t, weights, prevalence):
    """The definition, case by case."""
    odds = t / (1 - t)
    hit = sum(w for y_, p_, w in zip(y, p, weights, strict=True) if y_ and p_ >= t)
    alarm = sum(w for y_, p_, w in zip(y, p, weights, strict=True) if not y_ and p_ >= t)
    if prevalence is None:
        return (hit - odds * alarm) / sum(weights)
    present = sum(w for y_, w in zip(y, weights, strict=True) if y_)
    return hit / present * prevalence - odds * (1 - prevalence) * alarm / (sum(weights) - present)


@pytest.mark.parametrize("prevalence", [None, 0.1])
def test_clustered_weighted_equals_its_slow_twin(prevalence):
    """Value from the definition, standard errors by leaving out one patient at a time."""
    rng = np.random.default_rng(3)
    n = 240
    cluster, weights, p = rng.integers(0, 90, n), rng.uniform(0.5, 3, n), rng.random(n)
    y, b = rng.random(n) < p, np.clip(p + rng.normal(0, 0.2, n), 0, 1)
    given = {"prevalence": prevalence, "cluster": cluster, "weights": weights}
    for t in (0.2, 0.5):
        curve, d = net_benefit(y, p, [t], **given), compare_net_benefit(y, p, b, [t], **given)
        slow = [_slow(y, q, t, weights, prevalence) for q in (p, b, np.ones(n))]
        assert (curve.model[0], curve.treat_all[0]) == pytest.approx((slow[0], slow[2]), rel=1e-12)
        assert (curve.minus_all.value[0], d.value[0]) == pytest.approx((slow[0] - slow[2], slow[0] - slow[1]))
        left = []
        for c in np.unique(cluster):
            keep = cluster != c
            one, other, everyone = (_slow(y[keep], q[keep], t, weights[keep], prevalence) for q in (p, b, np.ones(n)))
            left.append((one, one - everyone, one - other))
        g = len(left)
        jackknife = np.sqrt((g - 1) / g * ((np.array(left) - np.mean(left, axis=0)) ** 2).sum(axis=0))
        got = (curve.se[0], curve.minus_all.se[0], d.se[0])
        assert got == pytest.approx(tuple(jackknife), rel=0.04)


def test_a_patient_counted_twice_is_one_patient():
    rng = np.random.default_rng(5)
    p = rng.random(120)
    y = rng.random(120) < p
    once = net_benefit(y, p, [0.1, 0.4])
    twice = net_benefit(np.tile(y, 2), np.tile(p, 2), [0.1, 0.4], cluster=np.tile(np.arange(120), 2))
    for name in ("model", "low", "high", "se", "treat_all"):
        np.testing.assert_allclose(getattr(twice, name), getattr(once, name), rtol=1e-12)


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=40),
    st.lists(st.integers(0, 19), min_size=1, max_size=6),
)
@settings(max_examples=80, deadline=None)
def test_properties(cases, levels):
    y, a, b = (np.array(v) for v in zip(*cases, strict=True))
    a, b, at = a / 20, b / 20, np.array(levels) / 20
    curve, other = net_benefit(y, a, at), net_benefit(y, b, at)
    d, back = compare_net_benefit(y, a, b, at), compare_net_benefit(y, b, a, at)
    np.testing.assert_allclose(d.value, curve.model - other.model, atol=1e-12)
    np.testing.assert_allclose((back.value, back.low, back.se, back.p), (-d.value, -d.high, d.se, d.p), atol=1e-12)
    np.testing.assert_allclose(curve.minus_all.value, curve.model - curve.treat_all, atol=1e-12)
    for one in (curve.minus_all, d):
        assert ((one.low <= one.value + 1e-12) & (one.value <= one.high + 1e-12)).all()
        np.testing.assert_array_equal(one.p < 0.05, (one.low > 1e-15) | (one.high < -1e-15))
    assert ((curve.low <= curve.model + 1e-12) & (curve.model <= curve.high + 1e-12)).all()
    assert (curve.model <= y.mean() + 1e-12).all()  # nobody does better than the truth itself
    np.testing.assert_allclose(net_benefit(y, a, [0.0]).model, y.mean())  # all are treated, at no cost
    shuffle = np.random.default_rng(0).permutation(y.size)
    again = net_benefit(y[shuffle], a[shuffle], at)
    np.testing.assert_allclose((again.model, again.low), (curve.model, curve.low), atol=1e-12)
    same = compare_net_benefit(y, a, a, at)
    assert (same.value == 0).all()
    assert (same.p == 1).all()


def test_what_cannot_be_computed_is_nan_with_a_note():
    empty = net_benefit([], [], [0.1, 0.2])
    assert np.isnan(empty.model).all()
    assert empty.note == codes.note("no_cases")
    one = net_benefit([0, 0, 0], [0.1, 0.2, 0.6], [0.5], prevalence=0.1)
    assert np.isnan((one.model[0], one.low[0], one.treat_all[0], one.prevalence)).all()
    assert one.note == codes.note("one_class", n=3, outcome="absent")
    absent = net_benefit([0, 0, 0, 0], [0.1, 0.2, 0.3, 0.6], [0.5])  # no present case is no reason: it is harm alone
    assert absent.model[0] == -0.25
    assert np.isnan(absent.standardized[0])
    lone = net_benefit([0, 1], [0.1, 0.9], [0.5], cluster=["a", "a"])
    assert lone.model[0] == 0.5
    assert np.isnan(lone.low[0])
    assert lone.note == codes.note("one_patient")
    assert np.isnan(net_benefit([0, 1], [0.1, 0.9], [0.0]).avoided[0])
    wald = net_benefit([0, 1, 0], [0.1, 0.2, 0.1], [0.5], interval="wald")
    assert (wald.model[0], wald.se[0]) == (0, 0)
    assert np.isnan(wald.low[0])


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        net_benefit([0, 1], [0.1, 1.2], [0.5])
    with pytest.raises(InputError, match="from 0 to below 1"):
        net_benefit([0, 1], [0.1, 0.2], [1.0, 10, 0.2])
    with pytest.raises(InputError, match="prevalence"):
        net_benefit([0, 1], [0.1, 0.2], [0.2], prevalence=3)
    with pytest.raises(InputError, match="Did you mean 'adjusted'"):
        net_benefit([0, 1], [0.1, 0.2], [0.2], interval="adjustd")
    with pytest.raises(InputError, match="weights"):
        compare_net_benefit([0, 1], [0.1, 0.2], [0.1, 0.2], [0.2], weights=[1, 0])
    with pytest.raises(InputError, match="NaN or infinite"):
        net_benefit([0, 1], [0.1, np.nan], [0.2])


@pytest.mark.slow
def test_coverage_also_where_hardly_anybody_is_treated():
    rng, runs = np.random.default_rng(8), 800
    at = np.array([0.02, 0.1, 0.3, 0.6])
    x = np.random.default_rng(9).normal(size=1_000_000)
    q = expit(1.3 * x - 2)
    true = np.array([(q * (q >= t)).mean() - t / (1 - t) * ((1 - q) * (q >= t)).mean() for t in at])
    less = true - (q.mean() - at / (1 - at) * (1 - q.mean()))
    held = []
    for _ in range(runs):
        p = expit(1.3 * rng.normal(size=400) - 2)
        curve = net_benefit(rng.random(400) < p, p, at)
        m = curve.minus_all
        held.append([(curve.low <= true) & (true <= curve.high), (m.low <= less) & (less <= m.high)])
    assert (np.mean(held, axis=0) > 0.95 - 3 * sqrt(0.95 * 0.05 / runs)).all()
