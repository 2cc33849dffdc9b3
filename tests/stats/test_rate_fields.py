"""Every remaining field of the numbers on rates, calibration and several claims: asserted, or named as not offered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import chdtrc

from overread.stats import calibration, rates
from overread.stats.calibration.binning import bin_codes

HERE = Path(__file__).resolve().parents[1] / "reference"
NOT_OFFERED = {
    # of one proportion; of a table
    "agresti_coull",
    "jeffreys_equal_tail",
    "logit",
    "mid_p",
    "wald",
    "wilson_cc",
    "balanced_accuracy",
    "youden",
    "mcc",
    "dor",
    "dor_ci95",
    "ci95_wilson_on_f_star",
    "bdpv_columns",
    # of two raters, of two groups
    "dlr_regression_test_Gu_Pepe",
    "relative_predictive_values_Moskowitz_Pepe",
    "ci95_agresti_min",
    "mcnemar_chisq_cc",
    "method8_phi_uncorrected",
    "p_chisq_cc",
    "fisher_p",
    "miettinen_nurminen_like_diffscoreci",
    # of calibration: O/E, log loss, other smoothers, what else rms prints (its Emax, E90 and Eavg are lowess)
    "oe_ratio",
    "log_loss",
    "lowess_f2_3_iter0",
    "rcs_logistic_3knots",
    "rcs_logistic_5knots",
    "interpolate",
    "stats_interpolate",
    "ECI_x100",
    "df_residual_scale",
    "R2",
    "D",
    "D:Chi-sq",
    "U",
    "U:Chi-sq",
    "U:p",
    "Q",
    "Emax@val_prob",
    "E90@val_prob",
    "Eavg",
    "C (ROC)",
    "Dxy",  # rms counts pairs of probabilities rounded to 0.001: up to 1e-4 from the AUC, which pROC checks
    # of several claims
    "bonferroni",
    "hochberg",
    "hommel",
    "BY",
}
WORDS = {"note", "note_edges", "grid"}
MULTICLASS = {"multiclass4", "multiclass_metrics"}  # every finding here is yes or no
ELSEWHERE = {  # test_proportions, test_operating, test_paired
    "x@single_proportions",
    "n@single_proportions",
    "p",
    "wilson",
    "clopper_pearson@single_proportions",
    "tp",
    "fp",
    "fn",
    "tn",
    "value",
    "se_delta_multinomial",
    "ci95_wald_delta",
    "lr_pos",
    "lr_neg",
    "lr_pos_ci95",
    "lr_neg_ci95",
    "prevalence",
    "ppv",
    "npv",
    "mercaldo_logit_ci95",
    "diff",
    "p_exact",
    "p_midp",
    "p_chisq_no_cc",
    "ci95_tango_score",
    "ci95_wald",
    "method10_phi_corrected",
    "test1@ppv_npv",
    "test2@ppv_npv",
    "Q@cochran_q",
    "x1",
    "x2",
    "n1",
    "n2",
    "newcombe_hybrid_score",
    "chisq_no_cc_p",
    "se",
    "ci95_wilson_effective_n",
    "p.value",
    # test_calibration, test_reliability, test_smooth, test_recalibration, test_multiplicity
    "Intercept",
    "Slope",
    "brier",
    "brier_null",
    "brier_scaled",
    "calibration_in_the_large",
    "recalibration",
    "beta",
    "spiegelhalter",
    "chisq",
    "p_df_g_minus_2",
    "p_df_g_external",
    "groups",
    "ece",
    "isotonic",
    "MCB",
    "DSC",
    "murphy_10_equal_width_left_closed",
    "platt_1999_smoothed_targets_on_logit",
    "platt_1999_smoothed_targets_on_p",
    "direct",
    "direct_se",
    "stats_direct",
    "holm",
    "BH",
    "reject_holm_0.05",
    "reject_BH_0.05",
}
ASSERTED = {
    "x",
    "n",
    "clopper_pearson",
    "epiR_lr",
    "bdpv_two_sided",
    "both",
    "only_1",
    "only_2",
    "neither",
    "mcnemar_chisq_no_cc",
    "chisq_df1",
    "diff_as_printed",
    "df",
    "test1",
    "test2",
    "test.statistic",
    "clusters",
    "deff",
    "var_ratio",
    "events",
    "mean_p",
    "Brier",
    "S:z",
    "S:p",
    "UNC",
    "temperature",
    "df_g_minus_2",
    "observed_events",
    "expected_events",
    "murphy_exact_unique_p",
}


def cases(area):
    listed = json.loads((HERE / area / "expected.json").read_text())["cases"]
    return {c["id"]: c for c in listed if c["id"] not in MULTICLASS}


RATES, CALIBRATION = cases("proportions"), cases("calibration")


def fields(tree, path):
    rows = tree if isinstance(tree, list) else [tree]
    for row in rows:
        for key, value in row.items():
            inner = isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict))
            yield from fields(value, (*path, key)) if inner else [(*path, key)]


def test_every_field_is_asserted_or_named_as_not_offered():
    known = NOT_OFFERED | WORDS | ELSEWHERE | ASSERTED
    for area in ("proportions", "calibration", "multiplicity"):
        for name, case in cases(area).items():
            for path in fields(case["expected"], (name,)):
                words = {*path, *(f"{key}@{outer}" for key in path for outer in path if outer != key)}
                named = {"test_1", "test_2"} & {path[-1]}  # which raters a pair is
                assert words & known or named, path


def table_of(test):
    data = np.genfromtxt(HERE / "proportions" / "paired_binary_tests.csv", delimiter=",", names=True)
    return data["label"] == 1, data[test] == 1


@pytest.mark.parametrize("test", ["test_1", "test_2", "test_3", "test_4"])
def test_rates_of_a_table_in_full(test):
    y, call = table_of(test)
    want, point = RATES["diagnostic_tables"]["expected"][test], rates.operating_point(y, call)
    counts = {
        "sensitivity": ((y & call).sum(), y.sum()),
        "specificity": ((~y & ~call).sum(), (~y).sum()),
        "ppv": ((y & call).sum(), call.sum()),
        "npv": ((~y & ~call).sum(), (~call).sum()),
        "accuracy": ((y == call).sum(), y.size),
    }
    for name, (x, n) in counts.items():
        w = want[name]
        assert (x, n) == (w["x"], w["n"])
        exact = rates.proportion(int(x), int(n), method="exact")
        assert (exact.value, exact.low, exact.high) == pytest.approx((w["p"], *w["clopper_pearson"]), rel=1e-7)
    for name, e in (("lr_pos", point.lr_positive), ("lr_neg", point.lr_negative)):
        assert (e.value, e.low, e.high) == pytest.approx(tuple(want["epiR_lr"][name]), rel=1e-7)
    w = want.get("ppv_npv_at_prevalence")
    if w is None:  # only the first test has it
        return
    for confidence, places in ((0.95, (0, 2, 3)), (0.9, (0, 1, None))):  # a 95 % lower limit is that of a 90 % interval
        at = rates.operating_point(y, call, prevalence=w["prevalence"], confidence=confidence)
        for e, row in zip((at.npv, at.ppv), w["bdpv_two_sided"], strict=True):
            for got, place in zip((e.value, e.low, e.high), places, strict=True):
                assert place is None or got == pytest.approx(row[place], rel=1e-7)


@pytest.mark.parametrize("want", RATES["paired_comparisons"]["expected"], ids=lambda w: f"{w['test_1']}-{w['test_2']}")
def test_paired_tables_in_full(want):
    (y, a), (_, b) = (table_of(f"test_{want[key]}") for key in ("test_1", "test_2"))
    for name, mine in (("sens", y), ("spec", ~y)):
        right_a, right_b, w = (a == y)[mine], (b == y)[mine], want[name]
        seen = [(right_a & right_b).sum(), (right_a & ~right_b).sum(), (~right_a & right_b).sum()]
        assert [*seen, mine.sum() - sum(seen)] == [w[k] for k in ("both", "only_1", "only_2", "neither")]
        e = getattr(rates.mcnemar(y, a, b, method="asymptotic"), {"sens": "sensitivity", "spec": "specificity"}[name])
        assert e.p == pytest.approx(chdtrc(1, w["mcnemar_chisq_no_cc"]), rel=1e-5)
    for method, key in (
        ("leisenring", "generalized_score_Leisenring"),
        ("kosinski", "weighted_generalized_score_Kosinski"),
    ):
        got = rates.compare_predictive_values(y, a, b, method=method)
        for name in ("ppv", "npv"):
            w, e = want["ppv_npv"][key][name], getattr(got, name)
            assert (e.value, e.p) == pytest.approx((-w["diff_as_printed"], chdtrc(1, w["chisq_df1"])), rel=1e-5)


def test_degrees_of_freedom_of_cochran_q():
    y, calls = table_of("test_1")[0], np.stack([table_of(f"test_{k}")[1] for k in (1, 2, 3, 4)])
    for name, mine in (("sensitivity", y), ("specificity", ~y)):
        w = RATES["cochran_q"]["expected"][name]
        assert w["df"] == len(calls) - 1
        e = rates.cochran_q((calls == y)[:, mine])
        assert e.p == pytest.approx(chdtrc(w["df"], w["Q"]), rel=1e-9)


def test_weiner_1979_in_full(shared):
    data = np.genfromtxt(shared("reference/07_proportions/weiner1979_paired.csv"), delimiter=",", names=True)
    y, a, b = data["d"] == 1, data["y1"] == 1, data["y2"] == 1
    want, one, other = RATES["weiner1979"]["expected"], rates.operating_point(y, a), rates.operating_point(y, b)
    asymptotic = rates.mcnemar(y, a, b, method="asymptotic")
    for name, key in (("sensitivity", "sens_mcnemar"), ("specificity", "spec_mcnemar")):
        w = want[key]
        assert (getattr(one, name).value, getattr(other, name).value) == pytest.approx(
            (w["test1"], w["test2"]), rel=1e-6
        )
        assert getattr(asymptotic, name).p == pytest.approx(chdtrc(1, w["test.statistic"]), rel=1e-6)
    for method, end in (("leisenring", "gs"), ("kosinski", "wgs")):
        got = rates.compare_predictive_values(y, a, b, method=method)
        for name in ("ppv", "npv"):
            w = want[f"{name}_{end}"]
            pair = (getattr(one, name).value, getattr(other, name).value)
            assert pair == pytest.approx((w["test1"], w["test2"]), rel=1e-6)
            assert getattr(got, name).p == pytest.approx(chdtrc(1, w["test.statistic"]), rel=1e-6)


def test_design_effect_of_the_clustered_proportion():
    want = RATES["clustered_proportion"]["expected"]
    data = np.genfromtxt(HERE / "proportions" / "clustered_binary.csv", delimiter=",", names=True)
    e = rates.clustered_proportion(data["correct"] == 1, cluster=data["cluster"].astype(int))
    assert (np.unique(data["cluster"]).size, data.size) == (want["clusters"], want["n"])
    plain = e.value * (1 - e.value) / data.size
    assert (e.se**2, e.se**2 / plain) == pytest.approx((want["var_ratio"], want["deff"]), rel=1e-9)
    assert e.method.codes[0]["n"] == round(data.size / want["deff"], 1)


@pytest.mark.parametrize("case", CALIBRATION.values(), ids=lambda c: c["id"])
def test_calibration_in_full(case):
    data = np.genfromtxt(HERE / "calibration" / case["data"], delimiter=",", names=True)
    y, p, want = data["label"] == 1, data["p"], case["expected"]
    close = {"rel": 1e-6, "abs": 1e-8}
    assert (y.size, y.sum(), p.mean()) == pytest.approx((want["n"], want["events"], want["mean_p"]), **close)
    made, printed, inside = calibration.brier(y, p), want["val_prob"], (p > 0) & (p < 1)
    assert made.uncertainty == pytest.approx(want["corp_decomposition"]["UNC"], **close)
    z = calibration.spiegelhalter(y[inside], p[inside])  # val.prob leaves out probabilities of 0 and 1
    got = (made.brier.value, z.value, z.p)
    assert got == pytest.approx(tuple(printed[k] for k in ("Brier", "S:z", "S:p")), **close)
    slope = calibration.recalibrate(y, p, method="temperature").slope
    assert 1 / slope == pytest.approx(want["temperature_scaling"]["temperature"], **close)
    if "murphy_exact_unique_p" in want:  # more bins than values: each value is a bin
        exact, w = calibration.brier(y, p, bins=1000, binning="mass"), want["murphy_exact_unique_p"]
        got = (exact.reliability, exact.resolution, exact.uncertainty)
        assert got == pytest.approx((w["reliability"], w["resolution"], w["uncertainty"]), **close)


@pytest.mark.parametrize("case", CALIBRATION.values(), ids=lambda c: c["id"])
@pytest.mark.parametrize("groups", [5, 10])
def test_groups_of_hosmer_and_lemeshow(case, groups):
    data = np.genfromtxt(HERE / "calibration" / case["data"], delimiter=",", names=True)
    y, p, want = data["label"] == 1, data["p"], case["expected"]["hosmer_lemeshow"][f"g{groups}"]
    code, used = bin_codes(p, groups, "mass")
    np.testing.assert_allclose(np.bincount(code, y), want["observed_events"])
    np.testing.assert_allclose(np.bincount(code, p), want["expected_events"], rtol=1e-6, atol=1e-8)
    assert want["df_g_minus_2"] == used - 2
    internal = calibration.hosmer_lemeshow(y, p, groups=groups, external=False)
    assert internal.method == f"Hosmer-Lemeshow, {used} groups, {used - 2} df"
