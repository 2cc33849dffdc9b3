"""How far the rates and calibration statistics lie from other software: the largest differences, printed as a table.

    python validation/rates_and_calibration.py

Reads tests/reference only. The numbers stand in docs/reference/statistics-rates-calibration.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from overread.stats import calibration, rates
from overread.stats.calibration.recalibration import isotonic_fit
from overread.stats.multiplicity import benjamini_hochberg, holm

REFERENCE = Path(__file__).resolve().parents[1] / "tests" / "reference"
BINNINGS = {
    "width": "equal_width_right_closed_guo",
    "width-left": "equal_width_left_closed",
    "mass": "equal_mass_quantile_edges",
    "mass-rank": "equal_mass_rank_split",
}
Pair = tuple[str, object, object]


def cases(area: str) -> dict[str, dict]:
    return {c["id"]: c for c in json.loads((REFERENCE / area / "expected.json").read_text())["cases"]}


def table(area: str, name: str) -> np.ndarray:
    return np.genfromtxt(REFERENCE / area / name, delimiter=",", names=True)


def interval(e) -> tuple[float, float, float]:
    return e.value, e.low, e.high


def proportions() -> Iterator[Pair]:
    known = cases("proportions")
    for c in known["single_proportions"]["expected"]:
        for method, key in (("wilson", "wilson"), ("exact", "clopper_pearson")):
            yield f"proportion, {method}", interval(rates.proportion(c["x"], c["n"], method=method)), (c["p"], *c[key])
    for c in known["unpaired_difference"]["expected"]:
        e = rates.independent_difference(c["x1"], c["n1"], c["x2"], c["n2"])
        yield "independent_difference", interval(e), (c["diff"], *c["newcombe_hybrid_score"])
    data, want = table("proportions", "clustered_binary.csv"), known["clustered_proportion"]["expected"]
    e = rates.clustered_proportion(data["correct"], cluster=data["cluster"])
    yield "clustered_proportion", (*interval(e), e.se), (want["p"], *want["ci95_wilson_effective_n"], want["se"])


def operating_points() -> Iterator[Pair]:
    data, known = table("proportions", "paired_binary_tests.csv"), cases("proportions")["diagnostic_tables"]["expected"]
    for name, want in known.items():
        o = rates.operating_point(data["label"], data[name])
        for rate in ("sensitivity", "specificity", "ppv", "npv", "accuracy"):
            yield "operating_point, rates", interval(getattr(o, rate)), (want[rate]["p"], *want[rate]["wilson"])
        yield "operating_point, f1", interval(o.f1), (want["f1"]["value"], *want["f1"]["ci95_wald_delta"])
        for rate, key in (("lr_positive", "lr_pos"), ("lr_negative", "lr_neg")):
            wanted = (want["lr"][key], *want["lr"][f"{key}_ci95"])
            yield "operating_point, likelihood ratios", interval(getattr(o, rate)), wanted
        at = want.get("ppv_npv_at_prevalence")
        if at:
            o = rates.operating_point(data["label"], data[name], prevalence=at["prevalence"])
            for rate in ("ppv", "npv"):
                wanted = (at[rate], *at["mercaldo_logit_ci95"][rate])
                yield "operating_point, at a prevalence", interval(getattr(o, rate)), wanted


def pairs() -> Iterator[Pair]:
    data, known = table("proportions", "paired_binary_tests.csv"), cases("proportions")
    for c in known["paired_comparisons"]["expected"]:
        arrays = data["label"], data[f"test_{c['test_1']}"], data[f"test_{c['test_2']}"]
        for rate, key in (("sensitivity", "sens"), ("specificity", "spec")):
            for method, p in (("exact", "p_exact"), ("mid-p", "p_midp"), ("asymptotic", "p_chisq_no_cc")):
                yield f"mcnemar, {method}", getattr(rates.mcnemar(*arrays, method=method), rate).p, c[key][p]
            e = getattr(rates.paired_difference(*arrays), rate)
            yield "paired_difference, tango", interval(e)[1:], c[key]["ci95_tango_score"]
            e = getattr(rates.paired_difference(*arrays, method="newcombe"), rate)
            wanted = c[key]["ci95_newcombe"]["method10_phi_corrected"]
            yield "paired_difference, newcombe", interval(e)[1:], wanted
        tests = {"leisenring": "generalized_score_Leisenring", "kosinski": "weighted_generalized_score_Kosinski"}
        for method, key in tests.items():
            got = rates.compare_predictive_values(*arrays, method=method)
            for rate in ("ppv", "npv"):
                yield f"compare_predictive_values, {method}", getattr(got, rate).p, c["ppv_npv"][key][rate]["p"]
    calls = np.array([data[f"test_{k}"] for k in range(1, 5)])
    for key, label in (("sensitivity", 1), ("specificity", 0)):
        want = known["cochran_q"]["expected"][key]
        e = rates.cochran_q(calls[:, data["label"] == label])
        yield "cochran_q", (e.value, e.p), (want["Q"], want["p"])


def calibrations() -> Iterator[Pair]:
    for name, c in cases("calibration").items():
        if name == "multiclass4":
            continue
        data, want = table("calibration", c["data"]), c["expected"]
        y, p = data["label"] == 1, data["p"]
        line = calibration.calibration_line(y, p)
        level = want["calibration_in_the_large"]
        for key in ("intercept", "slope"):
            e, w = getattr(line, key), want["recalibration"][key]
            yield "calibration_line, joint", (*interval(e), e.se), (w["estimate"], *w["ci95"], w["se"])
        yield "calibration_line, in the large", line.in_the_large.value, level["estimate"]
        yield "calibration_line, in the large, se (glm stops early)", line.in_the_large.se, level["se"]
        for bins in (10, 15):
            for binning, key in BINNINGS.items():
                e, w = calibration.ece(y, p, bins=bins, binning=binning), want["ece"][f"bins{bins}"][key]
                yield "ece", (e.ece.value, e.maximum, e.root_mean_square), (w["ece"], w["mce"], w["rmsce"])
        yield from _scores(y, p, want)


def _scores(y: np.ndarray, p: np.ndarray, want: dict) -> Iterator[Pair]:
    b, murphy, corp = calibration.brier(y, p), want["murphy_10_equal_width_left_closed"], want["corp_decomposition"]
    yield "brier", (b.brier.value, b.scaled.value), (want["brier"], want["brier_scaled"])
    yield "brier, Murphy", (b.reliability, b.resolution, b.uncertainty), tuple(murphy.values())
    yield "brier, CORP", (b.miscalibration, b.discrimination), (corp["MCB"], corp["DSC"])
    e, w = calibration.spiegelhalter(y, p), want["spiegelhalter"]
    yield "spiegelhalter", (e.value, e.p), (w["z"], w["p"])
    for groups in (5, 10):
        e, w = calibration.hosmer_lemeshow(y, p, groups=groups), want["hosmer_lemeshow"][f"g{groups}"]
        if w["chisq"] is not None:
            yield "hosmer_lemeshow", (e.value, e.p), (w["chisq"], w["p_df_g_external"])
    loess = want.get("loess_span0.75_degree2")
    if loess:
        s, w = calibration.smooth_curve(y, p), loess["stats_direct"]
        yield (
            "smooth_curve, summaries",
            (s.ici.value, s.e50.value, s.e90.value, s.emax.value),
            tuple(w[k] for k in ("ICI", "E50", "E90", "Emax")),
        )
    temperature = calibration.recalibrate(y, p, method="temperature").slope
    yield "recalibrate, temperature", temperature, want["temperature_scaling"]["beta"]
    yield "recalibrate, isotonic", isotonic_fit(y, p)[:20], want["isotonic"]["fitted_first20_rows"]
    if "platt_1999_smoothed_targets_on_logit" in want:
        for scale, key in (("probability", "on_logit"), ("score", "on_p")):
            r, w = calibration.recalibrate(y, p, smoothed=True, scale=scale), want[f"platt_1999_smoothed_targets_{key}"]
            yield "recalibrate, smoothed", (r.intercept, r.slope), (w["intercept"], w["slope"])


def multiplicity() -> Iterator[Pair]:
    p, want = table("multiplicity", "pvalues.csv")["p"], cases("multiplicity")["p_adjust"]["expected"]
    yield "holm", holm(p), want["holm"]
    yield "benjamini_hochberg", benjamini_hochberg(p), want["BH"]


def main() -> None:
    worst: dict[str, list[float]] = {}
    for source in (proportions, operating_points, pairs, calibrations, multiplicity):
        for name, got, want in source():
            a, b = np.atleast_1d(np.asarray(got, dtype=float)), np.atleast_1d(np.asarray(want, dtype=float))
            seen = worst.setdefault(name, [0.0, 0.0, 0.0])
            size = np.maximum(np.abs(b), 1e-9)
            seen[0], seen[1] = max(seen[0], np.abs(a - b).max()), max(seen[1], (np.abs(a - b) / size).max())
            seen[2] += a.size
    print("| statistic | numbers compared | largest difference | relative |\n|---|---|---|---|")
    for name, (absolute, relative, n) in worst.items():
        print(f"| {name} | {n:.0f} | {absolute:.1e} | {relative:.1e} |")


if __name__ == "__main__":
    main()
