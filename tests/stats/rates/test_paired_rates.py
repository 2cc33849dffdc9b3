from __future__ import annotations

import json
from math import isnan, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2

from overread import codes
from overread.errors import InputError
from overread.stats.rates import cochran_q, compare_predictive_values, mcnemar, mcnemar_p, paired_difference

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "proportions"
CASES = {c["id"]: c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"]}
DATA = np.genfromtxt(REFERENCE / "paired_binary_tests.csv", delimiter=",", names=True)
PAIRS = CASES["paired_comparisons"]["expected"]
CLOSE = {"rel": 1e-5, "abs": 1e-6}
TRIPLES = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40)


def _pair(case):
    return DATA["label"], DATA[f"test_{case['test_1']}"], DATA[f"test_{case['test_2']}"]


@pytest.mark.parametrize("case", PAIRS, ids=lambda c: f"{c['test_1']}-{c['test_2']}")
@pytest.mark.parametrize(("rate", "key"), [("sensitivity", "sens"), ("specificity", "spec")])
def test_mcnemar_and_difference_equal_r(case, rate, key):
    want = case[key]
    p_values = {"exact": "p_exact", "mid-p": "p_midp", "asymptotic": "p_chisq_no_cc"}
    for method, name in p_values.items():
        e = getattr(mcnemar(*_pair(case), method=method), rate)
        assert (e.value, e.p) == pytest.approx((want["diff"], want[name]), **CLOSE)
    tango = getattr(paired_difference(*_pair(case)), rate)
    assert (tango.low, tango.high) == pytest.approx(tuple(want["ci95_tango_score"]), **CLOSE)
    assert tango.p == pytest.approx(want["p_chisq_no_cc"], **CLOSE)
    newcombe = getattr(paired_difference(*_pair(case), method="newcombe"), rate)
    limits = tuple(want["ci95_newcombe"]["method10_phi_corrected"])
    assert (newcombe.low, newcombe.high) == pytest.approx(limits, **CLOSE)
    z = 1.959963984540054
    assert (newcombe.value - z * newcombe.se, newcombe.value + z * newcombe.se) == pytest.approx(
        want["ci95_wald"], **CLOSE
    )


@pytest.mark.parametrize("case", PAIRS, ids=lambda c: f"{c['test_1']}-{c['test_2']}")
@pytest.mark.parametrize("method", ["leisenring", "kosinski"])
def test_predictive_values_equal_r(case, method):
    name = "generalized_score_Leisenring" if method == "leisenring" else "weighted_generalized_score_Kosinski"
    want, got = case["ppv_npv"][name], compare_predictive_values(*_pair(case), method=method)
    for key in ("ppv", "npv"):
        e = getattr(got, key)
        assert (e.value, e.p) == pytest.approx((want[key]["test1"] - want[key]["test2"], want[key]["p"]), **CLOSE)
        assert e.low < e.value < e.high


def test_cochran_q_equals_r():
    calls = np.array([DATA[f"test_{k}"] for k in range(1, 5)]) == 1
    for key, cases in (("sensitivity", DATA["label"] == 1), ("specificity", DATA["label"] == 0)):
        want = CASES["cochran_q"]["expected"][key]
        e = cochran_q(calls[:, cases])
        assert (e.value, e.p) == pytest.approx((want["Q"], want["p"]), rel=1e-9)


def test_weiner_1979_equals_dtcompair(shared):
    data = np.genfromtxt(shared("reference/07_proportions/weiner1979_paired.csv"), delimiter=",", names=True)
    want = CASES["weiner1979"]["expected"]
    arrays = data["d"], data["y1"], data["y2"]
    tests, close = mcnemar(*arrays, method="asymptotic"), {"rel": 1e-6, "abs": 1e-8}
    for rate, key in (("sensitivity", "sens_mcnemar"), ("specificity", "spec_mcnemar")):
        e = getattr(tests, rate)
        assert (e.value, e.p) == pytest.approx((-want[key]["diff"], want[key]["p.value"]), **close)
    for method, key in (("leisenring", "gs"), ("kosinski", "wgs")):
        got = compare_predictive_values(*arrays, method=method)
        assert (got.ppv.value, got.ppv.p) == pytest.approx(
            (-want[f"ppv_{key}"]["diff"], want[f"ppv_{key}"]["p.value"]), **close
        )
        assert (got.npv.value, got.npv.p) == pytest.approx(
            (-want[f"npv_{key}"]["diff"], want[f"npv_{key}"]["p.value"]), **close
        )


def test_by_hand():
    assert mcnemar_p(5, 1) == pytest.approx(2 * (1 + 6) / 64)
    assert mcnemar_p(5, 1, method="mid-p") == pytest.approx(2 * (1 + 6) / 64 - 6 / 64)
    assert mcnemar_p(9, 1, method="asymptotic") == pytest.approx(chi2.sf(6.4, 1))
    assert [mcnemar_p(0, 0, method=m) for m in ("exact", "mid-p", "asymptotic")] == [1.0, 1.0, 1.0]
    e = mcnemar([1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 1])
    assert (e.sensitivity.value, e.specificity.value, e.accuracy.value) == pytest.approx((1 / 3, 1.0, 0.5))
    assert e.sensitivity.note == codes.note("discordant", only_a=1, only_b=0)


def test_no_case_of_a_class_is_nan_with_a_note():
    for result in (mcnemar([1, 1], [1, 0], [0, 1]), paired_difference([1, 1], [1, 0], [0, 1])):
        assert isnan(result.specificity.value)
        assert result.specificity.note == codes.note("no_cases_of_class", outcome="absent")
    assert isnan(compare_predictive_values([1, 0], [0, 0], [1, 0]).ppv.value)
    assert isnan(cochran_q([[1, 0], [1, 0]]).value)


def test_wrong_words_and_shapes_are_refused():
    with pytest.raises(InputError, match="Did you mean 'mid-p'"):
        mcnemar([1], [1], [1], method="midp")
    with pytest.raises(InputError, match="call_b"):
        paired_difference([1, 0], [1, 0], [1])
    with pytest.raises(InputError, match="two or more raters"):
        cochran_q([[1, 0]])


@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from(["exact", "mid-p"]))
@settings(max_examples=60, deadline=None)
def test_exact_p_equals_the_sum_over_the_binomial(a, b, method):
    n, k = a + b, min(a, b)
    if a == b:
        assert mcnemar_p(a, b, method=method) == 1.0
        return
    slow = 2 * sum(binom.pmf(i, n, 0.5) for i in range(k + 1)) - (binom.pmf(k, n, 0.5) if method == "mid-p" else 0)
    assert mcnemar_p(a, b, method=method) == pytest.approx(min(slow, 1.0), rel=1e-9)


@pytest.mark.slow
@given(TRIPLES, st.sampled_from(["tango", "newcombe"]))
@settings(max_examples=80, deadline=None)
def test_swapping_the_raters_turns_the_sign(triples, method):
    y, a, b = (np.array(v) for v in zip(*triples, strict=True))
    one, other = paired_difference(y, a, b, method=method), paired_difference(y, b, a, method=method)
    for name in ("sensitivity", "specificity", "accuracy"):
        e, f = getattr(one, name), getattr(other, name)
        assert (e.value, e.low, e.high, e.p) == pytest.approx((-f.value, -f.high, -f.low, f.p), abs=1e-9, nan_ok=True)
        if not isnan(e.value):
            assert -1 - 1e-12 <= e.low <= e.value + 1e-12
            assert e.value - 1e-12 <= e.high <= 1 + 1e-12
    p, q = compare_predictive_values(y, a, b).ppv, compare_predictive_values(y, b, a).ppv
    assert (p.value, p.p) == pytest.approx((-q.value, q.p), abs=1e-9, nan_ok=True)


def _slow_tango_score(only_a, only_b, n, d):
    """The constrained likelihood maximised on a fine grid instead of by the closed form."""
    grid = np.linspace(max(0, -d), (1 - d) / 2, 400001)[1:-1]
    likelihood = only_a * np.log(grid + d) + only_b * np.log(grid) + (n - only_a - only_b) * np.log(1 - 2 * grid - d)
    q = grid[np.argmax(likelihood)]
    return (only_a - only_b - n * d) / sqrt(n * (2 * q + d - d * d))


@pytest.mark.parametrize(("only_a", "only_b", "n"), [(7, 2, 20), (3, 3, 50), (12, 1, 15)])
def test_tango_limits_solve_the_score_equation(only_a, only_b, n):
    y = np.ones(n)
    a = np.r_[np.ones(only_a), np.zeros(only_b), np.ones(n - only_a - only_b)]
    b = np.r_[np.zeros(only_a), np.ones(only_b), np.ones(n - only_a - only_b)]
    e = paired_difference(y, a, b).sensitivity
    assert _slow_tango_score(only_a, only_b, n, e.low) == pytest.approx(1.959964, abs=2e-4)
    assert _slow_tango_score(only_a, only_b, n, e.high) == pytest.approx(-1.959964, abs=2e-4)


def test_clustered_difference_equals_its_slow_twin():
    rng = np.random.default_rng(1)
    n, cluster = 80, rng.integers(0, 20, 80)
    y, a, b = rng.random(n) < 0.5, rng.random(n) < 0.6, rng.random(n) < 0.4
    e = paired_difference(y, a, b, cluster=cluster).sensitivity
    value = (a[y].astype(float) - b[y]).mean()
    patients = np.unique(cluster[y])
    total = sum(((a[m].astype(float) - b[m]) - value).sum() ** 2 for m in (y & (cluster == p) for p in patients))
    se = sqrt(len(patients) / (len(patients) - 1) * total) / y.sum()
    assert (e.value, e.se) == pytest.approx((value, se), rel=1e-12)
    assert isnan(paired_difference(y, a, a, cluster=cluster).sensitivity.low)


@pytest.mark.slow
def test_coverage_and_size_of_the_paired_difference():
    rng = np.random.default_rng(6)
    n, runs = 60, 1500
    hits = {"tango": 0, "newcombe": 0}
    for _ in range(runs):
        cell = rng.choice(4, n, p=[0.6, 0.2, 0.1, 0.1])  # both, only A, only B, neither: difference 0.1
        a, b = cell <= 1, (cell == 0) | (cell == 2)
        for method in hits:
            e = paired_difference(np.ones(n), a, b, method=method).sensitivity
            hits[method] += e.low <= 0.1 <= e.high
    for method, count in hits.items():
        assert 0.935 < count / runs < 0.975, method


@pytest.mark.slow
def test_coverage_of_the_clustered_difference_and_of_ppv():
    rng = np.random.default_rng(7)
    cluster, y = np.repeat(np.arange(100), 3), np.tile([True, True, False], 100)
    covered, ppv, runs = 0, 0, 700
    for _ in range(runs):
        skill = np.repeat(rng.beta(4, 2, 100), 3)
        a = np.where(y, rng.random(300) < skill, rng.random(300) < 0.3)
        b = np.where(y, rng.random(300) < skill * 0.75, rng.random(300) < 0.3)
        e = paired_difference(y, a, b, cluster=cluster).sensitivity
        covered += e.low <= 4 / 6 * 0.25 <= e.high
        p = compare_predictive_values(y, a, b, cluster=cluster).ppv
        true = [2 * s / (2 * s + 0.3) for s in (4 / 6, 0.5)]
        ppv += p.low <= true[0] - true[1] <= p.high
    assert 0.925 < covered / runs < 0.972
    assert 0.925 < ppv / runs < 0.972
