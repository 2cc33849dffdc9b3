"""Every remaining field of the ROC reference numbers, so that each is asserted or named as not offered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from overread.stats import rates, roc
from overread.stats.roc.delong import by_cluster, centred, factors, groups_of, placements
from overread.stats.roc.influence_values import influence_covariance

HERE = Path(__file__).resolve().parents[1] / "reference"
SHARED = {"roc": "01_roc", "clustered_roc": "02_clustered_roc"}
NOT_OFFERED = {
    "mannwhitney.p_normal_no_cc",
    "se_hanley_mcneil_formula",
}  # a test of exchangeability; a formula to plan by
WORDS = {
    "models",
    "joint_test.hypothesis",
    "joint_test.software",
    "sens_at_spec_bootstrap_ci95.note",
    "published.source",
}
ELSEWHERE = {  # asserted in test_roc_reference
    "auc",
    "ci90_delong",
    "ci95_delong",
    "ci95_delong_logit",
    "ci95_delong_unclipped",
    "ci95_diff",
    "ci95_diff_normal",
    "ci95_unclipped",
    "cov_matrix",
    "diff_1_minus_2",
    "joint_test.chisq",
    "joint_test.p",
    "mannwhitney.U",
    "n_neg",
    "n_pos",
    "p_pROC_t",
    "p_two_sided",
    "pairs.ci95_diff",
    "pairs.diff",
    "pairs.p_greater",
    "pairs.p_two_sided",
    "pairs.se_diff",
    "se",
    "se_delong",
    "se_diff",
    "singleton_check",
    "test_vs_half.p_two_sided",
    "var_delong",
    "var_delong_ignoring_clusters",
    "youden.J",
    "pauc",
    "roc_points",
    "sens_at_spec_step",
    "spec_at_sens_step",
    "sens_at_spec_bootstrap_ci95.spec_0.8",
    "sens_at_spec_bootstrap_ci95.spec_0.9",
}
HERE_ASSERTED = {
    "test_vs_half.z",
    "pairs.auc_1",
    "pairs.auc_2",
    "pairs.corr",
    "pairs.cov_delong",
    "pairs.p_less",
    "pairs.z",
    "pairs.model_1",
    "pairs.model_2",
    "joint_test.df",
    "D",
    "df",
    "z_normal",
    "p_normal",
    "var_1",
    "var_2",
    "auc_1",
    "auc_2",
    "ci95_diff_pROC",
    "youden.threshold_midpoint",
    "youden.sensitivity",
    "youden.specificity",
    "closest_topleft",
    "at_youden_threshold_fixed",
    "sens_at_spec_interpolated",
    "spec_at_sens_interpolated",
    "S10",
    "S01",
    "S11",
    "z",
    "clusters_with_negative",
    "clusters_with_positive",
    "n_clusters",
    "published",
}


def cases(area, prefix=""):
    listed = json.loads((HERE / area / "expected.json").read_text())["cases"]
    return [pytest.param(c, id=c["id"]) for c in listed if c["id"].startswith(prefix)]


def read(name, area, shared):
    path = HERE / area / name
    data = pl.read_csv(path if path.exists() else shared(f"reference/{SHARED[area]}/{name}"))
    return data


def close(got, want, tol):
    np.testing.assert_allclose(np.ravel(got), np.ravel(want).astype(float), rtol=tol["rel"], atol=tol["abs"])


def fields(tree, path=()):
    for key, value in tree.items():
        rows = value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]
        for row in rows:
            yield from fields(row, (*path, key)) if isinstance(row, dict) else [".".join((*path, key))]


def test_every_field_of_the_reference_is_asserted_or_named_as_not_offered():
    known = NOT_OFFERED | WORDS | ELSEWHERE | HERE_ASSERTED
    for area in ("roc", "clustered_roc"):
        for case in cases(area):
            for field in fields(case.values[0]["expected"]):
                parts = field.split(".")
                assert any(".".join(parts[:n]) in known for n in range(1, len(parts) + 1)), field


@pytest.mark.parametrize("case", [p for p in cases("roc") if "test_vs_half" in p.values[0]["expected"]])
def test_z_against_one_half_as_in_proc(case, shared):
    data, columns, want = read(case["data"], "roc", shared), case["columns"], case["expected"]
    for key, value in columns.get("filter", {}).items():
        data = data.filter(pl.col(key) == value)
    got = roc.auc(data[columns["label"]], data[columns["score"]])
    if want["test_vs_half"]["z"] is not None and got.se > 0:
        close((got.value - 0.5) / got.se, want["test_vs_half"]["z"], case["tolerance"])


@pytest.mark.parametrize("case", [p for p in cases("roc", "paired_") if "pairs" in p.values[0]["expected"]])
def test_pairs_in_full_as_in_proc(case, shared):
    data, want, tol = read(case["data"], "roc", shared), case["expected"], case["tolerance"]
    y, names = data[case["columns"]["label"]], want["models"]
    joint = roc.auc_covariance(y, data.select(names).to_numpy().T)
    for pair in want["pairs"]:
        i, j = names.index(pair["model_1"]), names.index(pair["model_2"])
        close([joint.aucs[i], joint.aucs[j]], [pair["auc_1"], pair["auc_2"]], tol)
        covariance = joint.covariance[i, j]
        correlation = covariance / np.sqrt(joint.covariance[i, i] * joint.covariance[j, j])
        close([covariance, correlation], [pair["cov_delong"], pair["corr"]], tol)
        forth = roc.compare_aucs(y, data[names[i]], data[names[j]])
        close(forth.value / forth.se, pair["z"], tol)
        back = roc.compare_aucs(y, data[names[j]], data[names[i]], margin=1e-15)  # a margin that tends to 0
        close(back.p, pair["p_less"], {"rel": 1e-8, "abs": 1e-10})
    if "joint_test" in want:
        assert want["joint_test"]["df"] == len(names) - 1


@pytest.mark.parametrize("case", cases("roc", "unpaired_delong"))
def test_unpaired_comparison_in_full_as_in_proc(case, shared):
    a, b = (read(name, "roc", shared) for name in case["data"])
    want, tol = case["expected"], case["tolerance"]
    one, two = (roc.auc(d["label"], d["score"]) for d in (a, b))
    close([one.value, two.value], [want["auc_1"], want["auc_2"]], tol)
    close([one.se**2, two.se**2], [want["var_1"], want["var_2"]], tol)
    got = roc.compare_independent_aucs(a["label"], a["score"], b["label"], b["score"])
    z = got.value / got.se
    close([z, 2 * norm.sf(abs(z))], [want["z_normal"], want["p_normal"]], tol)
    df = (one.se**2 + two.se**2) ** 2 / (one.se**4 / (len(a) - 1) + two.se**4 / (len(b) - 1))
    close(df, want["df"], tol)
    assert want["ci95_diff_pROC"] is None  # pROC gives none: ours is the t interval of the same df
    half = student.isf(0.025, df) * got.se
    close([got.low, got.high, got.p], [got.value - half, got.value + half, 2 * student.sf(z, df)], tol)


def polygon(x, points_x, points_y):
    """Linear on the ROC polygon; at a vertical step its upper end."""
    best = [y for a, y in zip(points_x, points_y, strict=True) if abs(a - x) < 1e-12]
    return max(best) if best else np.interp(x, points_x, points_y)


@pytest.mark.parametrize("case", cases("roc", "coords_pauc"))
def test_coordinates_as_in_proc(case, shared):
    data, want, tol = read(case["data"], "roc", shared), case["expected"], case["tolerance"]
    y, score = data[case["columns"]["label"]].to_numpy() == 1, data[case["columns"]["score"]].to_numpy().astype(float)
    curve = roc.roc_curve(y, score)
    sens, spec = curve.true_positive_rate, 1 - curve.false_positive_rate
    inner = slice(1, -1)
    middle = (curve.threshold[1:-1] + curve.threshold[2:]) / 2
    for key, index in (
        ("youden", np.argmax((sens + spec)[inner])),
        ("closest_topleft", np.argmin(((1 - sens) ** 2 + (1 - spec) ** 2)[inner])),
    ):
        place = want[key]
        close([sens[inner][index], spec[inner][index]], [place["sensitivity"], place["specificity"]], tol)
        close(middle[index], place["threshold_midpoint"], tol)
    for level, value in want["sens_at_spec_interpolated"].items():
        close(polygon(1 - float(level), curve.false_positive_rate, sens), value, tol)
    for level, value in want["spec_at_sens_interpolated"].items():
        close(polygon(float(level), sens, spec), value, tol)
        # No polygon is offered by the package: its rates are attainable steps, which never promise more.
        step = rates.threshold_at(y, score, sensitivity=float(level))
        assert step.specificity <= value + 1e-12
    at = want["at_youden_threshold_fixed"]
    called = score >= at["threshold"]
    hits, passed = int((called & y).sum()), int((~called & ~y).sum())
    assert (hits, int(y.sum()), passed, int((~y).sum())) == (at["tp"], at["n_pos"], at["tn"], at["n_neg"])
    found = rates.operating_point(y, called)
    close([found.sensitivity.low, found.sensitivity.high], at["sens_ci95_wilson"], tol)
    close([found.specificity.low, found.specificity.high], at["spec_ci95_wilson"], tol)
    for counted, name in (((hits, at["n_pos"]), "sens"), ((passed, at["n_neg"]), "spec")):
        exact = rates.proportion(*counted, method="exact")
        close([exact.low, exact.high], at[f"{name}_ci95_clopper_pearson"], tol)


@pytest.mark.parametrize("case", cases("clustered_roc"))
def test_components_as_in_obuchowski(case, shared):
    data, want, tol = read(case["data"], "clustered_roc", shared), case["expected"], case["tolerance"]
    y, scores = data["label"].to_numpy() == 1, data.select(case["columns"]["scores"]).to_numpy().astype(float).T
    groups = groups_of(len(y), data["cluster"], None, where="test")
    values = np.array([centred(y, *placements(y, row)) for row in scores])
    present, absent = by_cluster(values, y, groups)
    m, n = int(y.sum()), int((~y).sum())
    f_present, f_absent, f_both, _ = factors(y, groups)
    close(f_present * present @ present.T * m, want["S10"], tol)
    close(f_absent * absent @ absent.T * n, want["S01"], tol)
    close(f_both * present @ absent.T * m * n, want["S11"], tol)
    has = [len(set(data["cluster"].to_numpy()[mask])) for mask in (y, ~y)]
    assert (groups.n_clusters, *has) == (
        want["n_clusters"],
        want["clusters_with_positive"],
        want["clusters_with_negative"],
    )
    assert (m, n) == (want["n_pos"], want["n_neg"])
    difference = roc.compare_aucs(data["label"], *scores, cluster=data["cluster"])
    close(difference.value / difference.se, want["z"], tol)
    if "published" in want:
        paper, printed = want["published"], {"rtol": 0, "atol": 6e-5}
        for name in ("S10", "S01", "S11"):
            made = np.array(want[name])
            np.testing.assert_allclose(np.diag(made), paper[name], rtol=0, atol=1e-9)
            np.testing.assert_allclose(made[0, 1], paper[f"{name}_12"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(np.array(want["S11"])[1, 0], paper["S11_21"], rtol=0, atol=1e-9)
        singles = [roc.auc(data["label"], row, cluster=data["cluster"]) for row in scores]
        np.testing.assert_allclose([e.value for e in singles], paper["auc"], **printed)
        np.testing.assert_allclose([e.se for e in singles], paper["se"], **printed)
        np.testing.assert_allclose([singles[0].low, singles[0].high], paper["ci_auc_1"], **printed)
        np.testing.assert_allclose(difference.se, paper["se_diff"], **printed)
        np.testing.assert_allclose(difference.p, paper["p"], **printed)
        np.testing.assert_allclose(abs(difference.value), paper["diff_abs"], **printed)
        limits = sorted(np.sign(difference.value) * np.array([difference.low, difference.high]))
        np.testing.assert_allclose(limits, paper["ci_diff"], **printed)


@pytest.mark.parametrize("margin", [0.01, 0.05, 0.2])
def test_margin_and_equivalence_by_hand_in_both_comparisons(margin, shared):
    data = read("paired_models.csv", "roc", shared)
    y, one, two = data["label"], data["model_a"], data["model_b"]
    other = read("unpaired_2.csv", "roc", shared)
    first = read("unpaired_1.csv", "roc", shared)
    separate = (first["label"], first["score"], other["label"], other["score"])
    df = roc.compare_independent_aucs(*separate).method.codes[-1]["df"]
    for compare, given, law in (
        (roc.compare_aucs, (y, one, two), norm),
        (roc.compare_independent_aucs, separate, student(df)),
    ):
        plain = compare(*given)
        above, below = (plain.value + margin) / plain.se, (plain.value - margin) / plain.se
        assert compare(*given, margin=margin).p == pytest.approx(law.sf(above), rel=1e-3)
        equal = compare(*given, margin=margin, test="equivalence")
        assert equal.p == pytest.approx(max(law.sf(above), law.cdf(below)), rel=1e-3)
        assert (equal.value, equal.low, equal.high) == (plain.value, plain.low, plain.high)
        assert (plain.low > -margin) == (compare(*given, margin=margin).p < 0.025)


def test_influence_of_many_raters_is_their_joint_covariance(shared):
    data = read("paired_models.csv", "roc", shared)
    names = ["model_a", "model_b", "model_c", "binary_d"]
    values = [roc.influence(data["label"], data[name]) for name in names]
    joint = roc.auc_covariance(data["label"], data.select(names).to_numpy().T)
    np.testing.assert_allclose([v for v, _ in values], joint.aucs, rtol=1e-12)
    np.testing.assert_allclose(influence_covariance([i for _, i in values]), joint.covariance, rtol=1e-9, atol=1e-12)
