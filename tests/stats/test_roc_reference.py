"""Every number that pROC and Obuchowski's estimator gave, case by case (provenance: tests/reference/*/README.md)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2, norm

from overread.stats import roc
from overread.stats.rates import unattained
from overread.stats.resampling import patient_bootstrap

HERE = Path(__file__).resolve().parents[1] / "reference"


def cases(folder, prefix=""):
    listed = json.loads((HERE / folder / "expected.json").read_text())["cases"]
    return [pytest.param(c, id=c["id"]) for c in listed if c["id"].startswith(prefix)]


def is_single(case):
    return "score" in case.get("columns", {}) and "var_delong" in case["expected"]


def frame(name, folder, shared):
    path = HERE / folder / name
    if not path.exists():
        path = shared(f"reference/{ {'roc': '01_roc', 'clustered_roc': '02_clustered_roc'}[folder] }/{name}")
    return pl.read_csv(path)


def close(got, expected, tolerance):
    expected = np.array([np.nan if e is None else e for e in np.atleast_1d(expected).ravel()], dtype=float)
    np.testing.assert_allclose(
        np.ravel(got).astype(float), expected, rtol=tolerance["rel"], atol=tolerance["abs"], equal_nan=True
    )


SINGLE = [p for p in cases("roc") if is_single(p.values[0])]
PAIRED = cases("roc", "paired_")
PAIRED = [p for p in PAIRED if "scores" in p.values[0]["columns"]]


def test_no_reference_case_is_left_out():
    covered = {p.id for p in SINGLE + PAIRED + cases("roc", "unpaired_delong") + cases("roc", "coords_pauc")}
    assert covered == {p.id for p in cases("roc")}


@pytest.mark.parametrize("case", SINGLE)
def test_auc_as_in_proc(case, shared):
    data, columns, want, tol = frame(case["data"], "roc", shared), case["columns"], case["expected"], case["tolerance"]
    for key, value in columns.get("filter", {}).items():
        data = data.filter(pl.col(key) == value)
    y, score = data[columns["label"]], data[columns["score"]]
    got = roc.auc(y, score)
    close([got.value, got.se], [want["auc"], want["se_delong"]], tol)
    close(got.se**2, want["var_delong"], tol)
    close([got.low, got.high], want["ci95_delong"], tol)
    narrow = roc.auc(y, score, confidence=0.9)
    close([narrow.low, narrow.high], want["ci90_delong"], tol)
    m, n = want["n_pos"], want["n_neg"]
    if "mannwhitney" in want:
        close(got.value * m * n, want["mannwhitney"]["U"], tol)
    if "ci95_delong_logit" in want:
        onlogit = roc.auc(y, score, interval="logit")
        close([onlogit.low, onlogit.high], want["ci95_delong_logit"], tol)
    if "ci95_delong_unclipped" in want:
        raw = roc.auc(y, score, cluster=np.arange(len(y)))
        close([raw.low, raw.high], want["ci95_delong_unclipped"], tol)
    if "test_vs_half" in want:
        close(got.p, want["test_vs_half"]["p_two_sided"], tol)
    if want["var_delong"] in (0, None):
        assert got.note


@pytest.mark.parametrize("case", PAIRED)
def test_paired_comparison_as_in_proc(case, shared):
    data, want, tol = frame(case["data"], "roc", shared), case["expected"], case["tolerance"]
    y = data[case["columns"]["label"]]
    scores = data.select(want["models"]).to_numpy().T
    got = roc.auc_covariance(y, scores)
    close(got.aucs, list(want["auc"].values()), tol)
    close(got.covariance, want["cov_matrix"], tol)
    for pair in want["pairs"]:
        result = roc.compare_aucs(y, data[pair["model_1"]], data[pair["model_2"]])
        close([result.value, result.se], [pair["diff"], pair["se_diff"]], tol)
        close([result.low, result.high], pair["ci95_diff"], tol)
        close(result.p, pair["p_two_sided"], tol)
        # Non-inferiority with a margin that tends to 0 is pROC's one-sided test.
        one_sided = roc.compare_aucs(y, data[pair["model_1"]], data[pair["model_2"]], margin=1e-15)
        close(one_sided.p, pair["p_greater"], {"rel": 1e-8, "abs": 1e-10})
    if "joint_test" in want:
        k = len(got.aucs)
        contrast = np.eye(k - 1, k) - np.eye(k - 1, k, 1)
        d = contrast @ got.aucs
        statistic = d @ np.linalg.solve(contrast @ got.covariance @ contrast.T, d)
        close([statistic, chi2.sf(statistic, k - 1)], [want["joint_test"]["chisq"], want["joint_test"]["p"]], tol)


@pytest.mark.parametrize("case", cases("roc", "unpaired_delong"))
def test_unpaired_comparison_as_in_proc(case, shared):
    a, b = (frame(name, "roc", shared) for name in case["data"])
    want, tol = case["expected"], case["tolerance"]
    got = roc.compare_independent_aucs(a["label"], a["score"], b["label"], b["score"])
    close(got.value, want["auc_1"] - want["auc_2"], tol)
    close([got.se**2, got.value / got.se], [want["var_1"] + want["var_2"], want["D"]], tol)
    close(got.p, want["p_pROC_t"], tol)
    assert got.method.codes[-1].name == "scale_t"
    assert got.method.codes[-1]["df"] == pytest.approx(want["df"], abs=0.0501)
    half = norm.isf(0.025) * got.se
    close([got.value - half, got.value + half], want["ci95_diff_normal"], tol)
    assert got.high - got.value > half


@pytest.mark.parametrize("case", cases("roc", "coords_pauc"))
def test_curve_and_partial_area_as_in_proc(case, shared):
    data, want, tol = frame(case["data"], "roc", shared), case["expected"], case["tolerance"]
    y, score = data[case["columns"]["label"]].to_numpy(), data[case["columns"]["score"]].to_numpy().astype(float)
    area = want["pauc"]
    for name, arguments in {
        "spec_1_0.9": {"specificity": (0.9, 1)},
        "spec_1_0.9_mcclish": {"specificity": (0.9, 1), "corrected": True},
        "spec_1_0.8": {"specificity": (0.8, 1)},
        "spec_0.9_0.6": {"specificity": (0.6, 0.9)},
        "spec_0.9_0.6_corrected": {"specificity": (0.6, 0.9), "corrected": True},
        "sens_1_0.9": {"sensitivity": (0.9, 1)},
        "sens_1_0.9_corrected": {"sensitivity": (0.9, 1), "corrected": True},
        "sens_1_0.8": {"sensitivity": (0.8, 1)},
    }.items():
        if area[name] is not None:  # pROC corrects no area below the diagonal
            close(roc.partial_auc(y, score, **arguments).value, area[name], tol)
    curve = roc.roc_curve(y, score)
    youden = curve.true_positive_rate - curve.false_positive_rate
    close(youden.max(), want["youden"]["J"], tol)
    if "roc_points" in want:
        close(curve.true_positive_rate[::-1], want["roc_points"]["sensitivities"], tol)
        close(1 - curve.false_positive_rate[::-1], want["roc_points"]["specificities"], tol)
        midpoints = (curve.threshold[2:] + curve.threshold[1:-1]) / 2
        close(midpoints[::-1], want["roc_points"]["thresholds"][1:-1], tol)
    once = np.ones((1, len(y)), dtype=np.uint16)
    levels = [0.95, 0.9, 0.8, 0.5]
    got = patient_bootstrap.rate_replicates([y], [[score]], once, levels)[0, 0, 0]
    wanted = dict(zip(levels, [want["sens_at_spec_step"][str(v)] for v in levels], strict=True))
    for level in levels:
        if unattained(y, score, specificity=level):  # there pROC gives the 0 of calling nobody
            assert wanted[level] == 0
            wanted[level] = None
    close(got, list(wanted.values()), tol)
    got = patient_bootstrap.rate_replicates([1 - y], [[-score]], once, levels)[0, 0, 0]
    close(got, [want["spec_at_sens_step"][str(v)] for v in levels], tol)


def polygon_sensitivity(y, score):
    """Sensitivity at specificity 0.9 and 0.8 on the polygon, as pROC's ci.se; the upper end of a vertical step."""
    curve = roc.roc_curve(y, score)
    return np.interp([0.1 + 1e-9, 0.2 + 1e-9], curve.false_positive_rate, curve.true_positive_rate)


@pytest.mark.slow
@pytest.mark.parametrize("case", cases("roc", "coords_pauc"))
def test_resampled_sensitivity_as_in_proc(case, shared):
    data, want = frame(case["data"], "roc", shared), case["expected"]["sens_at_spec_bootstrap_ci95"]
    y, score = data[case["columns"]["label"]].to_numpy(), data[case["columns"]["score"]].to_numpy().astype(float)
    rng = np.random.default_rng(1)
    polygon = patient_bootstrap.bootstrap(polygon_sensitivity, y, score, rng=rng, strata=y, replicates=1500)
    counts = patient_bootstrap.draw_counts(np.arange(len(y)), rng=rng, replicates=4000, strata=y)
    steps = patient_bootstrap.rate_replicates([y], [[score]], counts, [0.9, 0.8])[:, 0, 0]
    tolerance = 0.02 if y.sum() >= 60 else 0.05
    for column, level in enumerate(("0.9", "0.8")):
        low, _, high = want[f"spec_{level}"]
        interval = patient_bootstrap.percentile_interval(polygon[:, column])
        assert [interval.low, interval.high] == pytest.approx([low, high], abs=tolerance)
        if len(np.unique(score)) > 10:  # on a rating scale no threshold may attain what the polygon promises
            interval = patient_bootstrap.percentile_interval(steps[:, column])
            assert [interval.low, interval.high] == pytest.approx([low, high], abs=tolerance + 1 / y.sum())


@pytest.mark.parametrize("case", cases("clustered_roc"))
def test_clustered_auc_as_in_obuchowski(case, shared):
    data, want, tol = frame(case["data"], "clustered_roc", shared), case["expected"], case["tolerance"]
    names, cluster, y = case["columns"]["scores"], data["cluster"], data["label"]
    scores = data.select(names).to_numpy().astype(float).T
    got = roc.auc_covariance(y, scores, cluster=cluster)
    close(got.aucs, want["auc"], tol)
    close(got.covariance, want["cov_matrix"], tol)
    for row, score in enumerate(scores):
        single = roc.auc(y, score, cluster=cluster)
        close([single.value, single.se], [want["auc"][row], want["se"][row]], tol)
        close([single.low, single.high], want["ci95_unclipped"][row], tol)
        close(roc.auc(y, score).se ** 2, want["var_delong_ignoring_clusters"][row], tol)
    difference = roc.compare_aucs(y, *scores, cluster=cluster)
    close([difference.value, difference.se], [want["diff_1_minus_2"], want["se_diff"]], tol)
    close([difference.low, difference.high], want["ci95_diff"], tol)
    close(difference.p, want["p_two_sided"], tol)
    alone = roc.auc_covariance(y, scores, cluster=np.arange(len(y)))
    close(alone.covariance, want["singleton_check"]["cov_matrix"], tol)


def test_published_aucs_of_a_network_on_22433_radiographs(shared):
    truth = pl.read_csv(shared("real/predictions/truth.csv.gz"))
    scores = pl.read_csv(shared("real/predictions/zech_densenet121.csv.gz"))
    published = {"Atelectasis": 0.8180, "Cardiomegaly": 0.9090, "Infiltration": 0.7156, "Hernia": 0.9175}
    joined = truth.join(scores, on="Image Index", suffix="_score", maintain_order="left")
    patient = joined["Patient ID"].to_numpy()
    for finding, value in published.items():
        y, score = joined[finding].to_numpy(), joined[f"{finding}_score"].to_numpy()
        got = roc.auc(y, score, cluster=patient)
        assert got.value == pytest.approx(value, abs=5e-5)
        assert got.se > 1.1 * roc.auc(y, score).se  # several images of a patient are less than as many patients
