from __future__ import annotations

import json
from math import isnan, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import codes
from overread.errors import InputError
from overread.stats.rates.operating_points import operating_point
from overread.stats.rates.proportions import clustered_proportion, independent_difference, proportion, wilson

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "proportions"
CASES = {c["id"]: c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"]}
SINGLE = CASES["single_proportions"]["expected"]
UNPAIRED = CASES["unpaired_difference"]["expected"]


@pytest.mark.parametrize("case", SINGLE, ids=lambda c: f"{c['x']}of{c['n']}")
@pytest.mark.parametrize(("method", "key"), [("wilson", "wilson"), ("exact", "clopper_pearson")])
def test_proportion_equals_r(case, method, key):
    e = proportion(case["x"], case["n"], method=method)
    assert e.value == pytest.approx(case["p"], rel=1e-12)
    assert (e.low, e.high) == pytest.approx(tuple(case[key]), rel=1e-7, abs=1e-8)


def test_proportion_by_hand():
    e = proportion(1, 2)  # p = 1/2, z^2 = 3.8414588: half = z sqrt(1/8 + z^2/16) / (1 + z^2/2)
    z2 = 3.841458820694124
    half = sqrt(z2 * (1 / 8 + z2 / 16)) / (1 + z2 / 2)
    assert (e.low, e.high) == pytest.approx((0.5 - half, 0.5 + half), rel=1e-12)
    assert proportion(0, 5).low == 0.0
    assert proportion(5, 5).high == 1.0


def test_no_trials_is_nan_with_a_note():
    e = proportion(0, 0)
    assert isnan(e.value)
    assert isnan(e.low)
    assert e.note == codes.note("no_trials")


@pytest.mark.parametrize(("x", "n"), [(3, 2), (-1, 2), (0.5, 2)])
def test_impossible_counts_are_refused(x, n):
    with pytest.raises(InputError, match="whole counts"):
        proportion(x, n)


def test_unknown_method_is_refused_with_a_hint():
    with pytest.raises(InputError, match="Did you mean 'wilson'"):
        proportion(1, 2, method="wlison")


@given(st.integers(0, 60), st.integers(1, 60), st.sampled_from(["wilson", "exact"]))
@settings(max_examples=60, deadline=None)
def test_intervals_hold_the_value_and_mirror(x, n, method):
    x = min(x, n)
    a, b = proportion(x, n, method=method), proportion(n - x, n, method=method)
    assert 0 <= a.low <= a.value <= a.high <= 1
    assert (a.low, a.high) == pytest.approx((1 - b.high, 1 - b.low), abs=1e-12)


@given(st.floats(0, 1), st.floats(1, 1e4))
@settings(max_examples=60, deadline=None)
def test_wilson_limits_are_where_the_score_test_stops_rejecting(p, n):
    z = 1.959963984540054
    for limit in wilson(p, n):
        if 1e-9 < limit < 1 - 1e-9:
            assert abs(p - limit) == pytest.approx(z * sqrt(limit * (1 - limit) / n), rel=1e-6, abs=1e-9)


def test_clustered_proportion_equals_r():
    data = np.genfromtxt(REFERENCE / "clustered_binary.csv", delimiter=",", names=True)
    want = CASES["clustered_proportion"]["expected"]
    e = clustered_proportion(data["correct"], cluster=data["cluster"])
    assert e.value == pytest.approx(want["p"], rel=1e-9)
    assert e.se == pytest.approx(want["se"], rel=1e-9)
    assert (e.low, e.high) == pytest.approx(tuple(want["ci95_wilson_effective_n"]), rel=1e-9)
    wald = clustered_proportion(data["correct"], cluster=data["cluster"], method="wald")
    assert (wald.low, wald.high) == pytest.approx(tuple(want["ci95_wald"]), rel=1e-9)


def _slow_variance(x, cluster, weights):
    """The ratio estimator, one patient after the other."""
    p = sum(w * v for v, w in zip(x, weights, strict=True)) / sum(weights)
    total, patients = 0.0, sorted(set(cluster))
    for patient in patients:
        mine = [(v, w) for v, c, w in zip(x, cluster, weights, strict=True) if c == patient]
        total += sum(w * (v - p) for v, w in mine) ** 2
    return p, len(patients) / (len(patients) - 1) * total / sum(weights) ** 2


@pytest.mark.parametrize("seed", range(4))
def test_clustered_proportion_equals_its_slow_twin(seed):
    rng = np.random.default_rng(seed)
    cluster, weights = rng.integers(0, 12, 60), rng.uniform(0.5, 3, 60)
    x = rng.random(60) < 0.7
    p, variance = _slow_variance(x, cluster, weights)
    e = clustered_proportion(x, cluster=cluster, weights=weights)
    assert (e.value, e.se) == pytest.approx((p, sqrt(variance)), rel=1e-12)
    labels = np.array([f"p{c:02d}" for c in cluster])
    assert clustered_proportion(x, cluster=labels, weights=weights * 7).se == pytest.approx(e.se, rel=1e-12)


def test_one_stratum_is_no_stratum_and_strata_narrow_what_differs_between_them():
    rng = np.random.default_rng(5)
    stratum = np.repeat([0, 1], 200)
    x = rng.random(400) < np.where(stratum, 0.9, 0.1)
    cluster = np.arange(400) // 2
    plain = clustered_proportion(x, cluster=cluster)
    assert clustered_proportion(x, cluster=cluster, strata=np.zeros(400)).se == pytest.approx(plain.se, rel=1e-12)
    assert clustered_proportion(x, cluster=cluster, strata=stratum).se < 0.8 * plain.se


def test_extremes_count_patients():
    e = clustered_proportion([1, 1, 1, 1], cluster=["a", "a", "b", "b"])
    assert (e.value, e.high) == (1.0, 1.0)
    assert e.low == pytest.approx(wilson(1.0, 2)[0])
    assert "patient" in e.note


def test_a_stratum_with_one_patient_has_no_variance():
    e = clustered_proportion([1, 0, 1], cluster=[0, 1, 2], strata=["x", "x", "y"])
    assert e.value == pytest.approx(2 / 3)
    assert isnan(e.low)
    assert e.note == codes.note("single_patient_strata", n=1)


@pytest.mark.parametrize("case", UNPAIRED, ids=lambda c: f"{c['x1']}of{c['n1']}-{c['x2']}of{c['n2']}")
def test_independent_difference_equals_r(case):
    e = independent_difference(case["x1"], case["n1"], case["x2"], case["n2"])
    assert e.value == pytest.approx(case["diff"], abs=1e-12)
    assert (e.low, e.high) == pytest.approx(tuple(case["newcombe_hybrid_score"]), rel=1e-5, abs=2e-5)
    assert e.p == pytest.approx(case["chisq_no_cc_p"], rel=1e-5)


def test_independent_difference_swaps_and_needs_trials():
    a, b = independent_difference(5, 9, 2, 7), independent_difference(2, 7, 5, 9)
    assert (a.value, a.low, a.high, a.p) == pytest.approx((-b.value, -b.high, -b.low, b.p), rel=1e-12)
    assert independent_difference(0, 4, 0, 5).p == 1.0
    assert isnan(independent_difference(1, 2, 0, 0).value)


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
def test_coverage_of_wilson(p):
    rng = np.random.default_rng(1)
    x = rng.binomial(40, p, 20000)
    limits = np.array([wilson(k / 40, 40) for k in range(41)])
    covered = (limits[x, 0] <= p) & (p <= limits[x, 1])
    assert 0.925 < covered.mean() < 0.985


@pytest.mark.slow
def test_coverage_of_the_clustered_interval():
    rng = np.random.default_rng(2)
    cluster, covered, naive = np.repeat(np.arange(60), 4), 0, 0
    for _ in range(1500):
        own = np.repeat(rng.beta(1.6, 0.4, 60), 4)  # mean 0.8, intraclass correlation 1/3
        x = rng.random(240) < own
        e = clustered_proportion(x, cluster=cluster)
        covered += e.low <= 0.8 <= e.high
        low, high = wilson(e.value, 240)
        naive += low <= 0.8 <= high
    assert 0.925 < covered / 1500 < 0.97
    assert naive / 1500 < 0.90  # what an interval that does not know patients gives


@pytest.mark.slow
@given(st.lists(st.booleans(), min_size=2, max_size=60))
def test_independent_cases_have_the_wilson_interval_of_their_number(hits):
    """One case for each patient is no clustering: 20 of 29 gives the interval of n = 29, not of 28."""
    made = clustered_proportion(hits, cluster=np.arange(len(hits)))
    assert (made.low, made.high) == pytest.approx(wilson(np.mean(hits), len(hits)))
    assert (made.method, made.note) == ("Wilson", "")
    y = np.append(hits, [True, True])
    call = np.append(hits, [False, False])
    point = operating_point(y, call, cluster=np.arange(y.size))
    plain = operating_point(y, call)
    for rate in ("sensitivity", "specificity", "ppv", "npv", "accuracy"):
        a, b = getattr(point, rate), getattr(plain, rate)
        assert (a.low, a.high) == pytest.approx((b.low, b.high), nan_ok=True)


def test_two_cases_of_a_patient_keep_the_effective_size():
    made = clustered_proportion([1, 1, 0, 1, 0, 1], cluster=[1, 1, 2, 3, 4, 5])
    assert made.method.codes[0].name == "wilson_effective"
