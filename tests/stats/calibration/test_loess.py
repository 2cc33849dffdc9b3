from __future__ import annotations

import json
from math import isnan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from overread.errors import InputError
from overread.stats.calibration.loess import Local, gather, smooth_curve

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "calibration"
CASES = [c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"] if c["id"] != "multiclass4"]
CASES = [c for c in CASES if "loess_span0.75_degree2" in c["expected"]]


def columns(case):
    data = np.genfromtxt(REFERENCE / case["data"], delimiter=",", names=True)
    return data["label"] == 1, data["p"]


def _summaries(curve):
    return curve.ici.value, curve.e50.value, curve.e90.value, curve.emax.value


def _local(y, p, span=0.75):
    order = np.argsort(p, kind="stable")
    return gather(p[order], y[order].astype(float), np.ones(p.size), int(p.size * span + 1e-5))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_loess_equals_r(case):
    y, p = columns(case)
    want, local = case["expected"]["loess_span0.75_degree2"], _local(y, p)
    grid = np.array(want["grid"])
    np.testing.assert_allclose(local.fit(grid), want["direct"], rtol=1e-6, atol=1e-8)
    curve, stats = smooth_curve(y, p), want["stats_direct"]
    assert _summaries(curve) == pytest.approx(tuple(stats[k] for k in ("ICI", "E50", "E90", "Emax")), rel=1e-6)
    # R's standard error is one residual scale times the length of the smoother's row: the lengths must agree
    ratio = np.array(want["direct_se"]) / np.sqrt((local.rows(grid) ** 2).sum(axis=1))
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
    assert ratio[0] == pytest.approx(
        np.sqrt(np.mean((y - local.fit(np.sort(p))[np.argsort(np.argsort(p))]) ** 2)), rel=0.05
    )


def _slow_loess(at, x, y, weights, span):
    distance = np.abs(x - at)
    width = np.sort(distance)[int(len(x) * span + 1e-5) - 1]
    near = weights * np.clip(1 - (distance / width) ** 3, 0, None) ** 3
    terms = np.stack([np.ones_like(x), x - at, (x - at) ** 2], axis=1)
    root = np.sqrt(near)
    return np.linalg.lstsq(terms * root[:, None], y * root, rcond=None)[0][0]


@pytest.mark.parametrize("span", [0.3, 0.75, 1.0])
def test_curve_equals_its_slow_twin(span):
    rng = np.random.default_rng(1)
    p, weights = rng.beta(1, 3, 300), rng.uniform(0.5, 3, 300)
    y = rng.random(300) < p
    curve = smooth_curve(y, p, span=span, weights=weights)
    slow = [_slow_loess(at, p, y.astype(float), weights, span) for at in curve.probability]
    np.testing.assert_allclose(curve.observed, slow, rtol=1e-8, atol=1e-10)
    assert curve.probability.size == 200


def test_band_equals_the_jackknife_nearly():
    """Leave one patient out: a band that knows patients, without any formula for it."""
    rng = np.random.default_rng(2)
    p = np.repeat(rng.random(150), 2)
    y = np.repeat(rng.random(150), 2) < p
    cluster = np.repeat(np.arange(150), 2)
    curve = smooth_curve(y, p, cluster=cluster)
    local = _local(y, p)
    grid = curve.probability[[30, 75, 120]]
    left = []
    for c in range(150):
        keep = cluster != c
        left.append(_local(y[keep], p[keep]).fit(grid))
    se = np.sqrt(149 / 150 * ((np.array(left) - np.mean(left, axis=0)) ** 2).sum(axis=0))
    half = (curve.high - curve.low)[[30, 75, 120]] / 2 / 1.959963984540054
    np.testing.assert_allclose(half, se, rtol=0.12)
    np.testing.assert_allclose(local.fit(grid), curve.observed[[30, 75, 120]])
    alone = smooth_curve(y, p)
    np.testing.assert_allclose((curve.high - curve.low)[75] / (alone.high - alone.low)[75], np.sqrt(2), rtol=0.02)


def test_many_probabilities_are_gathered_closely():
    rng = np.random.default_rng(3)
    p = np.sort(rng.beta(1, 8, 3000))
    y = rng.random(3000) < expit(2 * p - 2)
    curve, every = smooth_curve(y, p), np.arange(3000)
    exact = Local(p, y.astype(float), np.ones(3000), every, p, int(3000 * 0.75 + 1e-5))  # a group for each case
    far = np.abs(exact.fit(p) - p)
    assert _summaries(curve)[:3] == pytest.approx((far.mean(), np.median(far), np.quantile(far, 0.9)), rel=5e-4)
    assert curve.emax.value == pytest.approx(far.max(), rel=2e-3)
    np.testing.assert_allclose(curve.observed, exact.fit(curve.probability), atol=4e-4)
    groups = gather(p, y.astype(float), np.ones(3000), 2250)
    assert 900 < groups.x.size <= 1000
    assert np.bincount(groups.group).max() <= 5
    assert (np.bincount(groups.group, p) / np.bincount(groups.group) == groups.x).all()


def test_a_tie_is_a_group_and_changes_nothing():
    rng = np.random.default_rng(6)
    p = np.sort(rng.integers(1, 20, 300) / 20)
    y = (rng.random(300) < p).astype(float)
    one, many = _local(y, p), Local(p, y, np.ones(300), np.arange(300), p, 225)
    assert one.x.size == 19
    np.testing.assert_allclose(one.fit(one.x), many.fit(one.x), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("strata", [False, True])
def test_errors_of_the_summaries_equal_the_jackknife_nearly(strata):
    """Leave one patient out, value and all: what the linearised errors of ICI and E90 stand for."""
    rng = np.random.default_rng(12)
    p = np.repeat(rng.random(200), 2).round(3)
    y, cluster = np.repeat(rng.random(200), 2) < 0.3 + 0.3 * p, np.repeat(np.arange(200), 2)
    given_ = {"strata": cluster % 3} if strata else {}
    curve = smooth_curve(y, p, cluster=cluster, **given_)
    left = np.array([_summaries(smooth_curve(y[cluster != c], p[cluster != c])) for c in range(200)])
    if strata:  # within its stratum
        left -= np.array([left[np.arange(200) % 3 == k].mean(axis=0) for k in range(3)])[np.arange(200) % 3]
    else:
        left -= left.mean(axis=0)
    jackknife = np.sqrt(199 / 200 * (left**2).sum(axis=0))
    assert curve.ici.se == pytest.approx(jackknife[0], rel=0.08)
    assert curve.emax.se == pytest.approx(jackknife[3], rel=0.15)
    alone = smooth_curve(y, p)
    assert curve.ici.se / alone.ici.se == pytest.approx(np.sqrt(2), rel=0.05)


def test_summaries_by_hand():
    """Two probabilities, 1 of 20 and 12 of 20 seen: distances 0.15 and 0.2, errors of two proportions."""
    y, p = np.r_[np.arange(20) < 1, np.arange(20) < 12], np.repeat([0.2, 0.4], 20)
    curve = smooth_curve(y, p)
    assert curve.observed == pytest.approx([0.05, 0.6])
    assert _summaries(curve) == pytest.approx((0.175, 0.175, 0.2, 0.2))
    assert curve.expected_if_calibrated == pytest.approx(
        np.sqrt(2 / np.pi) * (np.sqrt(0.16 / 20) + np.sqrt(0.24 / 20)) / 2 * np.sqrt(40 / 39)
    )
    scatter = 40 * 0.025**2 / 40**2  # which of the two distances the cases have
    errors = (0.05 * 0.95 / 20 + 0.6 * 0.4 / 20) / 4
    assert curve.ici.se == pytest.approx(np.sqrt((errors + scatter) * 40 / 39))
    assert curve.ici.low == pytest.approx(0.175 - 1.959963984540054 * curve.ici.se)


def test_no_interval_where_calibration_is_not_rejected():
    rng = np.random.default_rng(1)
    p = rng.random(600)
    curve = smooth_curve(rng.random(600) < p, p)
    for e in (curve.ici, curve.e50, curve.e90, curve.emax):
        assert np.isnan([e.low, e.high]).all()
        assert e.p > 0.05
        assert "expected under perfect calibration" in e.note
    assert curve.ici.value == pytest.approx(curve.expected_if_calibrated, rel=0.5)


def test_a_quadratic_is_reproduced():
    """Local quadratic regression is exact for a quadratic, whatever the span: use it on a y that is not yes or no."""
    x = np.sort(np.random.default_rng(4).random(60))
    local = gather(x, 0.2 + 0.3 * x - 0.4 * x**2, np.ones(60), 30)
    np.testing.assert_allclose(local.fit(x), local.y, rtol=1e-9)


@pytest.mark.parametrize(
    "p", [[0.1] * 20 + [0.9] * 20, [0.5] * 38 + [0.1, 0.9], [0.1] * 13 + [0.5] * 14 + [0.9] * 13], ids=["2", "1+2", "3"]
)
def test_few_distinct_probabilities_give_means_and_no_warning(p):
    y = np.arange(40) % 3 == 0
    curve = smooth_curve(y, p)
    assert np.isfinite(curve.observed).all()
    order = np.random.default_rng(0).permutation(40)
    again = smooth_curve(y[order], np.array(p)[order])
    np.testing.assert_allclose(again.observed, curve.observed)
    if len(set(p)) == 2:
        np.testing.assert_allclose(curve.observed, [y[:20].mean(), y[20:].mean()])


def test_what_cannot_be_computed_is_nan_with_a_note():
    for y, p in (([], []), ([0, 1, 0], [0.1, 0.2, 0.3]), ([0, 1] * 10, [0.5] * 20)):
        curve = smooth_curve(y, p)
        assert curve.observed.size == 0
        assert isnan(curve.ici.value)
        assert curve.note
    one = smooth_curve(np.zeros(30), np.linspace(0.1, 0.9, 30))
    assert np.isnan(one.low).all()
    assert "no_band" in [code.name for code in one.note.codes]
    with pytest.raises(InputError, match="span"):
        smooth_curve([0, 1], [0.1, 0.2], span=0)
    with pytest.raises(InputError, match="between 0 and 1"):
        smooth_curve([0, 1], [0.1, 1.2])


@given(st.integers(0, 5000))
@settings(max_examples=25, deadline=None)
def test_present_and_absent_mirror(seed):
    rng = np.random.default_rng(seed)
    p = rng.random(80).round(2)
    y = rng.random(80) < p
    a, b = smooth_curve(y, p), smooth_curve(~y, 1 - p)
    np.testing.assert_allclose(a.observed, 1 - b.observed[::-1], atol=1e-8)
    assert _summaries(a) == pytest.approx(_summaries(b), abs=1e-8)
    for one, other in ((a.ici, b.ici), (a.e90, b.e90)):
        assert (one.se, one.p) == pytest.approx((other.se, other.p), abs=1e-7)
    heavy = smooth_curve(y, p, weights=np.full(80, 3.0))
    np.testing.assert_allclose(heavy.low, a.low, atol=1e-10)


@pytest.mark.slow
def test_coverage_of_the_band():
    """Pointwise, inside; the curve bends little over the span, so that its bias stays small."""
    rng, runs = np.random.default_rng(8), 250
    covered = []
    for _ in range(runs):
        p = rng.random(400)
        curve = smooth_curve(rng.random(400) < 0.2 + 0.5 * p, p)
        truth = 0.2 + 0.5 * curve.probability
        covered.append(((curve.low <= truth) & (truth <= curve.high))[[20, 60, 100, 140, 180]])
    rate = np.mean(covered, axis=0)
    assert (rate > 0.915).all()
    assert (rate < 0.98).all()


@pytest.mark.slow
def test_coverage_of_the_summaries_and_size_of_their_test():
    rng, runs, inside, rejected = np.random.default_rng(9), 150, [], []
    x = np.random.default_rng(1).normal(-1, 1.3, 400_000)
    far = np.abs(expit(0.4 + 0.8 * x) - expit(x))
    want = np.array([far.mean(), np.median(far), np.quantile(far, 0.9)])
    for _ in range(runs):
        z = rng.normal(-1, 1.3, 800)
        curve = smooth_curve(rng.random(800) < expit(0.4 + 0.8 * z), expit(z))
        low, high = np.array([(e.low, e.high) for e in (curve.ici, curve.e50, curve.e90)]).T
        inside.append((low <= want) & (want <= high))
        rejected.append(smooth_curve(rng.random(800) < expit(z), expit(z)).ici.p < 0.05)
    assert (np.mean(inside, axis=0) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)).all()
    assert np.mean(rejected) == pytest.approx(0.05, abs=3 * np.sqrt(0.95 * 0.05 / runs))


@pytest.mark.filterwarnings("error")
def test_two_valued_probabilities_give_no_warning():
    """36 cases at 0.1, of which 12 are present, and 4 at 0.9, of which 2 are present."""
    x = np.arange(40) % 10 == 0
    curve = smooth_curve(np.arange(40) % 3 == 0, np.where(x, 0.9, 0.1))
    np.testing.assert_allclose(curve.observed, [1 / 3, 1 / 2])
    assert curve.ici.value == pytest.approx((36 * (1 / 3 - 0.1) + 4 * (0.9 - 1 / 2)) / 40)
    assert curve.ici.low < curve.ici.value < curve.ici.high


def test_two_probabilities_are_judged_by_their_proportions_although_one_fills_the_window():
    """261 cases at 0.2, of which 87 (1/3) are present, and 39 at 0.8, of which 26 (2/3) are present: both 2/15 away."""
    p = np.array([0.2] * 261 + [0.8] * 39)  # the sum of 261 times 0.2 divided by 261 is not 0.2
    curve = smooth_curve(np.r_[np.arange(261) < 87, np.arange(39) < 26], p)
    np.testing.assert_allclose(curve.probability, [0.2, 0.8])
    np.testing.assert_allclose(curve.observed, [1 / 3, 2 / 3])
    assert _summaries(curve) == pytest.approx((2 / 15,) * 4)
    assert curve.ici.low < 2 / 15 < curve.ici.high


def test_the_reason_for_no_interval_is_the_variance_or_the_few_distances():
    p = [0.19, 0.19, 0.23, 0.23, 0.35, 0.66, 0.76, 0.76]
    few = smooth_curve([1, 1, 1, 1, 1, 1, 1, 0], p).e50
    assert isnan(few.se)
    assert few.note == "no CI: too few distinct distances from the diagonal to estimate the variance of this quantile"
    none = smooth_curve([0] * 20 + [1] * 20, [0.5] * 20 + [0.75] * 20).emax
    assert none.value == 0.5
    assert none.note == "no CI: the estimated variance is 0"
