from __future__ import annotations

import json
from math import isnan, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from overread import codes
from overread.errors import InputError
from overread.stats.calibration.reliability import brier, calibration_curve, ece
from overread.stats.rates.proportions import clustered_proportion, wilson

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "calibration"
CASES = [c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"] if c["id"] != "multiclass4"]
BINNINGS = {
    "width": "equal_width_right_closed_guo",
    "width-left": "equal_width_left_closed",
    "mass": "equal_mass_quantile_edges",
    "mass-rank": "equal_mass_rank_split",
}
CLOSE = {"rel": 1e-6, "abs": 1e-8}
TENTHS = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=40)


def columns(case):
    data = np.genfromtxt(REFERENCE / case["data"], delimiter=",", names=True)
    return data["label"] == 1, data["p"]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
@pytest.mark.parametrize("bins", [10, 15])
@pytest.mark.parametrize("binning", BINNINGS)
def test_ece_and_curve_equal_r(case, bins, binning):
    want = case["expected"]["ece"][f"bins{bins}"][BINNINGS[binning]]
    got = ece(*columns(case), bins=bins, binning=binning)
    assert got.bins_used == want["bins_used"]
    assert got.ece.value == pytest.approx(want["ece"], **CLOSE)
    assert (got.maximum, got.root_mean_square) == pytest.approx((want["mce"], want["rmsce"]), **CLOSE)
    curve = calibration_curve(*columns(case), bins=bins, binning=binning)
    assert curve.n.tolist() == want["counts"]
    np.testing.assert_allclose(curve.probability, want["mean_p"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(curve.observed, want["mean_y"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_brier_equals_r(case):
    want, got = case["expected"], brier(*columns(case))
    assert got.brier.value == pytest.approx(want["brier"], **CLOSE)
    assert got.scaled.value == pytest.approx(want["brier_scaled"], **CLOSE)
    murphy, corp = want["murphy_10_equal_width_left_closed"], want["corp_decomposition"]
    parts = (got.reliability, got.resolution, got.uncertainty)
    assert parts == pytest.approx(tuple(murphy[k] for k in ("reliability", "resolution", "uncertainty")), **CLOSE)
    assert (got.miscalibration, got.discrimination) == pytest.approx((corp["MCB"], corp["DSC"]), **CLOSE)
    assert got.uncertainty == pytest.approx(want["brier_null"], **CLOSE)


def test_by_hand():
    y, p = [0, 1, 0, 1], [0.2, 0.3, 0.6, 0.8]
    e = ece(y, p, bins=2, binning="width")  # |.25 - .5| and |.7 - .5|, half of the cases each
    assert e.ece.value == pytest.approx(0.225)
    assert (e.maximum, e.root_mean_square) == pytest.approx((0.25, sqrt((0.0625 + 0.04) / 2)))
    expected = sqrt(2 / np.pi) * (sqrt(0.16 + 0.21) + sqrt(0.24 + 0.16)) / 4
    assert e.expected_if_calibrated == pytest.approx(expected)
    left = (0.0625 + 0.04) / 2 - (0.16 + 0.21 + 0.24 + 0.16) / 2**2 / 2  # less than noise alone: nothing is left
    assert left < 0
    assert e.debiased == 0
    many = ece(
        np.tile(y, 50), np.tile(p, 50), bins=2, binning="width"
    )  # fifty times the cases, a fiftieth of the noise
    squared = (0.0625 + 0.04) / 2
    assert many.debiased == pytest.approx(0.225 * sqrt((squared - (squared - left) / 50) / squared))
    b = brier(y, p, bins=2)
    squares = np.array([0.04, 0.49, 0.36, 0.04])
    assert b.brier.value == pytest.approx(squares.mean())
    assert b.brier.se == pytest.approx(squares.std(ddof=1) / 2)
    assert (b.reliability, b.resolution, b.uncertainty) == pytest.approx((0.05125, 0.0, 0.25))
    assert (b.miscalibration, b.discrimination) == pytest.approx((squares.mean() - 0.125, 0.125))
    curve = calibration_curve(y, p, bins=2)
    assert (curve.low[0], curve.high[0]) == pytest.approx(wilson(0.5, 2))


def test_an_edge_up_to_rounding_is_an_edge():
    p = np.array([0.1 * k for k in range(11)])  # 0.30000000000000004 among them
    y = np.zeros(11)
    assert calibration_curve(y, p, binning="width").n.tolist() == [2, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert calibration_curve(y, p, binning="width-left").n.tolist() == [1, 1, 1, 1, 1, 1, 1, 1, 1, 2]


def test_what_cannot_be_computed_is_nan_with_a_note():
    empty = ece([], [])
    assert isnan(empty.ece.value)
    assert empty.ece.note == codes.note("no_cases")
    assert isnan(brier([], []).brier.value)
    assert calibration_curve([], []).n.size == 0
    one = brier([1, 1], [0.5, 0.9])
    assert isnan(one.scaled.value)
    assert one.scaled.note.codes[0].name == "one_class"
    assert one.brier.value == pytest.approx(0.13)
    calibrated = ece([0, 1] * 50, [0.5] * 100)
    assert calibrated.ece.value == 0.0
    assert isnan(calibrated.ece.low)
    assert "perfect calibration" in calibrated.ece.note
    assert isnan(brier([0, 1], [0.2, 0.7], cluster=[1, 1]).brier.low)


def test_bad_input_is_refused():
    for function in (ece, brier, calibration_curve):
        with pytest.raises(InputError, match="between 0 and 1"):
            function([0, 1], [0.2, -0.1])
        with pytest.raises(InputError, match="Did you mean 'mass'"):
            function([0, 1], [0.2, 0.1], binning="mas")
        with pytest.raises(InputError, match="bins"):
            function([0, 1], [0.2, 0.1], bins=0)
    with pytest.raises(InputError, match="mass-rank"):
        ece([0, 1], [0.2, 0.1], binning="mass-rank", weights=[1, 2])


def _slow_ece(y, p, weights, bins, left_closed):
    total = 0.0
    for b in range(bins):
        low, high = b / bins, (b + 1) / bins
        if left_closed:
            mine = [i for i in range(len(p)) if low <= p[i] < high or (b == bins - 1 and p[i] == 1)]
        else:
            mine = [i for i in range(len(p)) if low < p[i] <= high or (b == 0 and p[i] == 0)]
        total += abs(sum(weights[i] * (p[i] - y[i]) for i in mine))
    return total / sum(weights)


@pytest.mark.parametrize("seed", range(3))
def test_ece_equals_its_slow_twin(seed):
    rng = np.random.default_rng(seed)
    p, weights = rng.random(80), rng.uniform(0.5, 4, 80)
    y = rng.random(80) < p**2
    for binning in ("width", "width-left"):
        slow = _slow_ece(y, p, weights, 8, binning == "width-left")
        assert ece(y, p, bins=8, binning=binning, weights=weights).ece.value == pytest.approx(slow, rel=1e-12)


@pytest.mark.parametrize("binning", ["mass", "width"])
def test_weighted_clustered_curve_is_a_clustered_proportion_per_bin(binning):
    rng = np.random.default_rng(3)
    n = 500
    p, weights, cluster = rng.random(n), rng.uniform(0.5, 4, n), rng.integers(0, 150, n)
    y = rng.random(n) < p
    curve = calibration_curve(y, p, bins=5, binning=binning, weights=weights, cluster=cluster)
    start = 0
    order = np.argsort(p)
    for b in range(5):
        mine = order[start : start + curve.n[b]]
        start += curve.n[b]
        e = clustered_proportion(y[mine], cluster=cluster[mine], weights=weights[mine])
        assert (curve.observed[b], curve.low[b], curve.high[b]) == pytest.approx((e.value, e.low, e.high), rel=1e-9)
        assert curve.probability[b] == pytest.approx(np.average(p[mine], weights=weights[mine]))


def test_clustered_brier_equals_its_slow_twin():
    rng = np.random.default_rng(4)
    p, weights, cluster = rng.random(200), rng.uniform(0.5, 4, 200), rng.integers(0, 60, 200)
    y = rng.random(200) < p
    b = brier(y, p, cluster=cluster, weights=weights)

    def scores(keep):
        value = np.average((p[keep] - y[keep]) ** 2, weights=weights[keep])
        prevalence = np.average(y[keep], weights=weights[keep])
        return value, 1 - value / (prevalence * (1 - prevalence))

    value, scaled = scores(np.ones(200, dtype=bool))
    assert (b.brier.value, b.scaled.value) == pytest.approx((value, scaled), rel=1e-12)
    left = np.array([scores(cluster != c) for c in np.unique(cluster)])
    jackknife = np.sqrt((len(left) - 1) / len(left) * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    assert (b.brier.se, b.scaled.se) == pytest.approx(jackknife, rel=0.03)


@pytest.mark.slow
@given(TENTHS, st.sampled_from(["mass", "width", "width-left"]), st.integers(1, 12))
@settings(max_examples=80, deadline=None)
def test_properties(cases, binning, bins):
    y, tenths = (np.array(v) for v in zip(*cases, strict=True))
    p, words = tenths / 20, {"bins": bins, "binning": binning}
    e, curve, b = ece(y, p, **words), calibration_curve(y, p, **words), brier(y, p, **words)
    assert curve.n.sum() == y.size
    assert (curve.low <= curve.observed).all()
    assert (curve.observed <= curve.high).all()
    assert e.ece.value == pytest.approx(
        np.average(np.abs(curve.probability - curve.observed), weights=curve.n), abs=1e-12
    )
    assert abs(np.mean(p - y)) - 1e-12 <= e.ece.value <= e.root_mean_square + 1e-12 <= e.maximum + 2e-12
    assert b.brier.value == pytest.approx(b.miscalibration - b.discrimination + b.uncertainty, abs=1e-12)
    assert b.miscalibration >= -1e-12
    assert b.discrimination >= -1e-12
    order = np.random.default_rng(0).permutation(y.size)
    assert ece(y[order], p[order], **words).ece.value == pytest.approx(e.ece.value, abs=1e-12)
    heavy = ece(y, p, weights=np.full(y.size, 2.5), **words)
    assert (heavy.ece.value, heavy.bins_used) == (pytest.approx(e.ece.value, abs=1e-12), e.bins_used)


@pytest.mark.slow
def test_expected_error_and_p_when_calibrated():
    rng, runs = np.random.default_rng(5), 1500
    values, expected, rejected = [], [], 0
    for _ in range(runs):
        p = rng.beta(1.5, 4, 600)
        e = ece(rng.random(600) < p, p)
        values.append(e.ece.value)
        expected.append(e.expected_if_calibrated)
        rejected += e.ece.p < 0.05
    assert np.mean(values) == pytest.approx(np.mean(expected), rel=0.02)
    assert 0.035 < rejected / runs < 0.075


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [False, True])
def test_coverage_of_brier_and_of_a_clear_ece(clustered):
    rng, runs = np.random.default_rng(6), 600
    grid = expit(np.linspace(-6, 6, 40001))
    density = np.exp(-(logit(grid) ** 2) / 2)
    truth_brier = np.average(
        (grid - expit(0.5 * logit(grid) + 0.5)) ** 2
        + expit(0.5 * logit(grid) + 0.5) * (1 - expit(0.5 * logit(grid) + 0.5)),
        weights=density,
    )
    low, high, gap = grid < 0.5, grid >= 0.5, grid - expit(0.5 * logit(grid) + 0.5)
    truth_ece = (abs((gap * density)[low].sum()) + abs((gap * density)[high].sum())) / density.sum()
    covered = np.zeros(2)
    for _ in range(runs):
        x = rng.normal(size=500)
        y = rng.random(500) < expit(0.5 * x + 0.5)
        cluster = None
        if clustered:
            x, y, cluster = (
                np.r_[x, x],
                np.r_[y, np.where(rng.random(500) < 0.7, y, rng.random(500) < expit(0.5 * x + 0.5))],
                np.r_[np.arange(500), np.arange(500)],
            )
        b, e = brier(y, expit(x), cluster=cluster), ece(y, expit(x), bins=2, binning="width", cluster=cluster)
        covered += [b.brier.low <= truth_brier <= b.brier.high, e.ece.low <= truth_ece <= e.ece.high]
    assert (covered / runs > 0.925).all()
    assert (covered / runs < 0.975).all()


@pytest.mark.slow
@pytest.mark.parametrize(("level", "slope"), [(0.0, 1.0), (0.3, 1.0), (0.0, 0.6)])
def test_the_debiased_error_is_nearer_to_the_truth(level, slope):
    """Of 15 bins and 300 cases: the truth from a million cases."""
    rng = np.random.default_rng(4)
    x = np.sort(rng.normal(-1, 1.3, 1_000_000))
    gap = expit(x) - expit(level + slope * x)
    want = np.mean([abs(part.mean()) for part in np.array_split(gap, 15)])
    found = []
    for _ in range(200):
        z = rng.normal(-1, 1.3, 300)
        e = ece(rng.random(300) < expit(level + slope * z), expit(z))
        found.append((e.ece.value, e.debiased))
    raw, debiased = np.mean(found, axis=0) - want
    assert raw > 0.025
    assert abs(debiased) < 0.6 * raw


TIED = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.0, 0.0, 0.2, 0.5, 0.50001, 1.0, 1.0])), min_size=1)


def slow_mass_bins(p, bins):
    """Bins by the definition, one case at a time: between quantiles, right-closed; a filling value stands alone."""
    at = [round(float(np.quantile(p, k / bins)), 12) for k in range(bins + 1)]
    filling = {a for a in at if at.count(a) >= min(3 if a in (at[0], at[-1]) else 4, max(bins, 2))}
    inner = {a for a in at if at[0] < a < at[-1]}
    names = [
        (sum(a < v for a in inner), ("alone", v) if v in filling else v > max(filling, default=-1)) for v in p.tolist()
    ]
    return [sorted(set(names), key=lambda n: min(p[i] for i, m in enumerate(names) if m == n)).index(n) for n in names]


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(TIED, st.integers(1, 20))
@example([(False, 0.0)] * 4 + [(True, 0.2)] * 3, 6)  # both values fill bins of their own
def test_equal_mass_bins_of_tied_probabilities_equal_the_definition(cases, bins):
    y, p = (np.array(column) for column in zip(*cases, strict=True))
    slow = np.array(slow_mass_bins(p, bins))
    gaps = [abs((p[slow == k] - y[slow == k]).sum()) for k in set(slow.tolist())]
    assert ece(y, p, bins=bins).ece.value == pytest.approx(sum(gaps) / len(y), abs=1e-12)
    curve = calibration_curve(y, p, bins=bins)
    assert curve.n.tolist() == np.bincount(slow).tolist()
    assert curve.n.sum() == len(y)
    mirrored = calibration_curve(~y, 1 - p, bins=bins)
    if len(set(p.tolist())) <= 2:  # with more, right-closed edges are not the mirror image of left-closed ones
        assert mirrored.n[::-1].tolist() == curve.n.tolist()


@pytest.mark.parametrize("top", [False, True])
@pytest.mark.parametrize("bins", [2, 10, 15])
def test_probabilities_that_tie_at_the_lowest_or_highest_value_have_a_bin_of_their_own(bins, top):
    """190 of 200 scores are 0, of which 4 present (2.1 %), and 10 are 0.4, of which none: (4 + 4) / 200 = 0.04."""
    y = np.concatenate([np.arange(190) < 4, np.zeros(10, bool)])
    p = np.concatenate([np.zeros(190), np.full(10, 0.4)])
    e = ece(~y, 1 - p, bins=bins) if top else ece(y, p, bins=bins)
    assert (e.ece.value, e.bins_used) == (pytest.approx(0.04), 2)


@pytest.mark.slow
@given(
    st.lists(st.booleans(), min_size=2, max_size=60),
    st.sampled_from([0.0, 1.0, 0.5, 0.3, 0.1, 0.7, "truth", "wrong", "near"]),
    st.integers(0, 10_000),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_intervals_of_constant_and_perfect_scores_contain_the_estimate(cases, kind, seed, clustered, weighted):
    rng, y = np.random.default_rng(seed), np.array(cases)
    p = {"truth": y * 1.0, "wrong": 1.0 - y, "near": y * 0.8 + 0.1}.get(kind)
    p = np.full(y.size, kind) if p is None else p
    given_ = {
        "cluster": rng.integers(0, max(y.size // 2, 1), y.size) if clustered else None,
        "weights": rng.uniform(0.5, 3, y.size) if weighted else None,
    }
    b = brier(y, p, **given_)
    for e in (b.brier, b.scaled, ece(y, p, **given_).ece):
        assert isnan(e.low) or e.low <= e.value <= e.high
        assert isnan(e.value) or e.value <= 1.0
        assert e.se != 0 or "zero-width" in e.note or isnan(e.low)


def test_a_score_of_one_half_has_one_brier_score_and_says_so():
    e = brier(np.arange(40) < 13, np.full(40, 0.5)).brier
    assert (e.value, e.low, e.high, e.se) == (0.25, 0.25, 0.25, 0.0)
    assert "uncertainty is understated" in e.note


def test_a_sum_of_weights_does_not_take_an_error_above_one():
    """All cases present and scored 0, with these weights: the shares sum to a rounding above 1."""
    above = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        weights = rng.uniform(0.5, 3, 46)
        above += float((weights / weights.sum()).sum()) > 1
        e = brier(np.ones(46, dtype=bool), np.zeros(46), weights=weights).brier
        assert (e.value, e.low, e.high) == (pytest.approx(1.0), e.value, e.value)
        assert e.value <= 1
    assert above
