from __future__ import annotations

import json
from math import exp, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.errors import InputError
from overread.stats import roc
from overread.stats.rates.proportions import wilson
from overread.stats.sample_size import accuracy_size
from overread.stats.sample_size.accuracy_size import (
    auc_sample_size,
    design_effect,
    mcnemar_sample_size,
    rate_sample_size,
)
from overread.stats.sample_size.common_result import smallest, whole
from overread.stats.sample_size.paired_size import (
    assumed_pair,
    paired_auc_power,
    paired_auc_sample_size,
    pilot_pair,
)

FOLDER = Path(__file__).resolve().parents[2] / "reference"
CASES = {c["id"]: c for c in json.loads((FOLDER / "sample_size" / "expected.json").read_text())["cases"]}
Z = 1.959963984540054


def test_no_reference_case_is_left_out():
    of_readers = {"mrmc_from_pilot", "mrmc_planning_no_pilot"}  # tests/stats/test_mrmc_power.py
    assert set(CASES) == {"single_auc", "two_auc_paired_pilot", "proportion_precision_and_mcnemar"} | of_readers
    assert set(CASES["two_auc_paired_pilot"]["expected"]) == {
        "a_vs_b_power80",
        "a_vs_b_power90_obuchowski",
        "a_vs_b_observed_power",
        "a_vs_c_power80",
    }
    asked = {"auc1", "auc0", "ratio_neg_per_pos", "alpha_two_sided", "power"}
    answered = {
        "hanley_mcneil_full_formula_min_n_pos",
        "n_neg",
        "hanley_mcneil_large_sample",
        "obuchowski_binormal",
        "pROC_power_roc_test_vs_0.5",
    }
    assert all(set(w) == asked | answered for w in CASES["single_auc"]["expected"])
    pilots = CASES["two_auc_paired_pilot"]["expected"].values()
    assert all(set(w) == {"ncases", "ncontrols", "power", "sig.level"} for w in pilots)
    want = CASES["proportion_precision_and_mcnemar"]["expected"]
    assert set(want) == {"p", "half_width", "n_pos_wald", "n_total_at_prevalence_0.1", "mcnemar"}
    assert set(want["mcnemar"]) == {"p10", "p01", "alpha_two_sided", "power", "n_pairs_connor", "unrounded"}


@pytest.mark.parametrize("want", CASES["single_auc"]["expected"], ids=lambda w: f"{w['auc1']}-{w['auc0']}")
def test_single_auc_equals_r(want):
    design = {"ratio": want["ratio_neg_per_pos"], "power": want["power"], "confidence": 1 - want["alpha_two_sided"]}
    full = auc_sample_size(want["auc1"], null=want["auc0"], **design)
    assert (full.present, full.absent) == (want["hanley_mcneil_full_formula_min_n_pos"], want["n_neg"])
    for variance, key in (("hanley-mcneil-large", "hanley_mcneil_large_sample"), ("obuchowski", "obuchowski_binormal")):
        got, w = auc_sample_size(want["auc1"], null=want["auc0"], variance=variance, **design), want[key]
        assert (got.present, got.absent) == (w["n_pos"], w["n_neg"])
        assert got.exact == pytest.approx(w["n_pos_unrounded"], rel=1e-9)
    half = auc_sample_size(want["auc1"], null=0.5, variance="obuchowski", **design)
    w = want["pROC_power_roc_test_vs_0.5"]
    assert (half.exact, design["ratio"] * half.exact) == pytest.approx((w["ncases"], w["ncontrols"]), rel=1e-9)


def test_paired_pilot_equals_proc():
    data = np.genfromtxt(FOLDER / "roc" / "paired_models.csv", delimiter=",", names=True)
    y, a, b, c = data["label"] == 1, data["model_a"], data["model_b"], data["model_c"]
    want = CASES["two_auc_paired_pilot"]["expected"]
    ab = pilot_pair(y, a, b)
    for pair, key in (
        (ab, "a_vs_b_power80"),
        (pilot_pair(y, a, b, covariance="binormal"), "a_vs_b_power90_obuchowski"),
        (pilot_pair(y, a, c), "a_vs_c_power80"),
    ):
        w = want[key]
        got = paired_auc_sample_size(pair, power=w["power"], confidence=1 - w["sig.level"])
        assert (got.exact, pair.ratio * got.exact) == pytest.approx((w["ncases"], w["ncontrols"]), rel=1e-6)
    w = want["a_vs_b_observed_power"]
    assert ab.ratio == w["ncontrols"] / w["ncases"]
    assert paired_auc_power(ab, w["ncases"], confidence=1 - w["sig.level"]) == pytest.approx(w["power"], rel=1e-6)


def test_rates_and_pairs_equal_r():
    want = CASES["proportion_precision_and_mcnemar"]["expected"]
    got = rate_sample_size(want["p"], half_width=want["half_width"], share=0.1)
    assert (got.cases, got.total) == (want["n_pos_wald"], want["n_total_at_prevalence_0.1"])
    w = want["mcnemar"]
    pairs = mcnemar_sample_size(w["p10"], w["p01"], power=w["power"], confidence=1 - w["alpha_two_sided"])
    assert pairs.cases == w["n_pairs_connor"]
    assert pairs.exact == pytest.approx(w["unrounded"], rel=1e-9)


def test_by_hand():
    """An AUC of 0.8 has Q1 = 2/3 and Q2 = 32/45; its standard error with 100 and 100 cases follows."""
    se = sqrt(0.16 + 99 * (2 / 3 - 0.64) + 99 * (32 / 45 - 0.64)) / 100
    assert auc_sample_size(0.8, width=2 * Z * se + 1e-9).present == 100
    assert auc_sample_size(0.8, width=2 * Z * se - 1e-6).present == 101
    a = 1.414 * 0.8416212335729143
    assert accuracy_size.auc_variance(0.8, 50, 100, "obuchowski") == pytest.approx(
        0.0099 * exp(-a * a / 2) * ((5 * a * a + 8) / 50 + (a * a + 8) / 100)
    )
    assert rate_sample_size(0.5, half_width=0.1).exact == pytest.approx(Z**2 * 0.25 / 0.01)
    assert rate_sample_size(0.5, half_width=0.1, design_effect=2.0).cases == 193  # 2 * 96.04, rounded up once
    assert mcnemar_sample_size(0.2, 0.1, power=0.5).exact == pytest.approx((Z * sqrt(0.3) / 0.1) ** 2)
    assert design_effect(3.0, 0.25) == 1.5
    pair = assumed_pair(0.9, 0.8, correlation=0.4, ratio=3.0)
    v = [accuracy_size.auc_variance(auc, 1, 3, "obuchowski") for auc in (0.9, 0.8)]
    same, as_is = pair.variances(3.0)
    assert as_is == pytest.approx(v[0] + v[1] - 2 * 0.4 * sqrt(v[0] * v[1]), rel=0.01)
    assert paired_auc_sample_size(pair, power=0.5).exact == pytest.approx((Z / 0.1) ** 2 * same)


def test_pilot_of_delong_is_delong():
    rng = np.random.default_rng(2)
    y = rng.random(80) < 0.4
    a, b = rng.normal(y, 1), rng.normal(0.5 * y, 1).round(1)
    pair, known = pilot_pair(y, a, b), roc.auc_covariance(y, np.stack([a, b]))
    n = y.sum()
    np.testing.assert_allclose((pair.present + pair.absent / pair.ratio) / n, known.covariance, rtol=1e-12)
    assert pair.aucs == pytest.approx(tuple(known.aucs))
    # sampling more absent cases leaves what the present ones add
    assert pair.variances(1e12)[1] == pytest.approx(float(np.array([1, -1]) @ pair.present @ np.array([1, -1])))


@given(st.floats(0.55, 0.98), st.floats(0.02, 0.3), st.floats(0.5, 20), st.floats(1, 4))
@settings(max_examples=60, deadline=None)
def test_properties(auc, width, ratio, effect):
    for variance in accuracy_size.VARIANCES:
        given_ = {"ratio": ratio, "variance": variance}
        one = auc_sample_size(auc, width=width, **given_)
        se = sqrt(accuracy_size.auc_variance(auc, one.present, ratio * one.present, variance))
        assert 2 * Z * se <= width * (1 + 1e-9)
        if one.present > 1:
            less = sqrt(accuracy_size.auc_variance(auc, one.present - 1, ratio * (one.present - 1), variance))
            assert 2 * Z * less > width * (1 - 1e-9)
        more = auc_sample_size(auc, width=width, design_effect=effect, **given_)
        assert more.present == whole(effect * one.exact)
        assert more.exact == one.exact
    pair = assumed_pair(auc, auc - 0.04, correlation=0.3, ratio=ratio)
    n = paired_auc_sample_size(pair, power=0.9)
    assert paired_auc_power(pair, n.exact) == pytest.approx(0.9)
    assert paired_auc_power(pair, n.exact * effect, design_effect=effect) == pytest.approx(0.9)
    margin = paired_auc_sample_size(pair, power=0.9, margin=0.04)  # twice the gain: a quarter of the cases
    assert margin.exact == pytest.approx(n.exact / 4)
    cases = rate_sample_size(auc, half_width=width / 2, interval="wilson")
    low, high = wilson(auc, cases.cases)
    assert high - low <= width * (1 + 1e-9)


def test_smallest_is_the_first_that_is_enough():
    assert [smallest(lambda n, k=k: n >= k) for k in range(1, 40)] == list(range(1, 40))
    with pytest.raises(InputError, match="at most"):
        smallest(lambda n: False)


def test_what_makes_no_plan_is_refused():
    for wrong in (
        {"auc": 1.0, "width": 0.1},
        {"auc": 80, "width": 0.1},
        {"auc": 0.8},
        {"auc": 0.8, "width": 0.1, "null": 0.7},
        {"auc": 0.8, "null": 0.8},
        {"auc": 0.8, "width": 0.1, "ratio": 0.0},
        {"auc": 0.8, "width": 0.1, "power": 80},
        {"auc": 0.8, "width": 0.1, "design_effect": 0.5},
        {"auc": 0.8, "width": 0.1, "confidence": 95},
    ):
        with pytest.raises(InputError):
            auc_sample_size(**wrong)
    with pytest.raises(InputError, match="Did you mean 'obuchowski'"):
        auc_sample_size(0.8, width=0.1, variance="obuchowsky")
    with pytest.raises(InputError, match="two different shares"):
        mcnemar_sample_size(0.1, 0.1)
    with pytest.raises(InputError, match="two AUCs that differ"):
        paired_auc_sample_size(assumed_pair(0.8, 0.8, correlation=0.5))
    with pytest.raises(InputError, match="two AUCs that differ"):
        paired_auc_sample_size(assumed_pair(0.8, 0.85, correlation=0.5), margin=0.05)
    same = pilot_pair([1, 1, 1, 0, 0, 0], [5, 4, 2, 3, 1, 0], [5, 4, 2, 3, 1, 0])
    with pytest.raises(InputError, match="do not order the cases alike"):
        paired_auc_sample_size(same, margin=0.05)
    with pytest.raises(InputError, match="at least two cases of each class"):
        pilot_pair([1, 0, 0], [3, 2, 1], [3, 1, 2])
    with pytest.raises(InputError, match="classes overlap"):
        pilot_pair([1, 1, 0, 0], [4, 3, 2, 1], [4, 3, 1, 2], covariance="binormal")
    with pytest.raises(InputError, match="correlation"):
        assumed_pair(0.8, 0.7, correlation=1.0)
    with pytest.raises(InputError, match="half_width"):
        rate_sample_size(0.9, half_width=5)


@pytest.mark.slow
def test_the_power_that_was_planned_is_had():
    """Two correlated binormal scores: studies of the planned size tell them apart in about 80 %."""
    rng, runs = np.random.default_rng(7), 600
    y = np.arange(40_000) < 20_000
    gain = np.where(y, 1.2, 0.0), np.where(y, 0.9, 0.0)

    def scores(n, which):
        both = rng.normal(size=(n, 1)) * sqrt(0.5) + rng.normal(size=(n, 2)) * sqrt(0.5)
        return both[:, 0] + gain[0][which], both[:, 1] + gain[1][which]

    pair = pilot_pair(y, *scores(y.size, np.arange(y.size)))
    plan = paired_auc_sample_size(pair, ratio=2.0, null="delong")
    which = np.r_[np.zeros(plan.present, dtype=int), np.full(plan.absent, 30_000)]
    found = [roc.compare_aucs(y[which], *scores(which.size, which)).p < 0.05 for _ in range(runs)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)
    assert paired_auc_sample_size(pair, ratio=2.0).present < plan.present  # A's curve, the better, varies less


@pytest.mark.slow
def test_the_width_that_was_planned_is_had():
    """Normal scores: Hanley and McNeil's variance is a little cautious, Obuchowski's more so."""
    rng = np.random.default_rng(8)
    for variance, low, high in (("hanley-mcneil", 0.086, 0.1), ("obuchowski", 0.08, 0.087)):
        plan = auc_sample_size(0.8, width=0.1, ratio=3.0, variance=variance)
        y = np.arange(plan.total) < plan.present
        found = [roc.auc(y, rng.normal(1.19 * y, 1)) for _ in range(200)]
        assert low < np.mean([e.high - e.low for e in found]) < high
