"""Every number that R gave on agreement, case by case (provenance: tests/reference/agreement/PROVENANCE.md)."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtri
from scipy.stats import t as student

from overread.stats import agreement

HERE = Path(__file__).resolve().parents[1] / "reference" / "agreement"
CASES = json.loads((HERE / "expected.json").read_text())["cases"]
LEVELS = ("nominal", "ordinal", "interval", "ratio")
# What is no output of ours, with the reason. A path is matched by any of its parts.
NOT_OFFERED = {
    "table_rows_rater1": "the data again",
    "conger": "not offered",
    "conger_exact_kappa_irr": "not offered",
    "brennan_prediger": "not offered",
    "kendall_W": "not offered",
    "prevalence_index": "not offered",
    "bias_index": "not offered",
    "positive_agreement_2d_over": "not offered",
    "epiR": "kappa with the error under kappa = 0 for its interval: not offered; the errors are checked elsewhere",
    "source": "words",
    "gwet_source": "words",
    "F": "a step on the way to p and the interval, both checked",
    "df1": "as F",
    "df2": "as F",
    "mean_squares": "as F",
}
NOT_OFFERED_PATHS = {
    ("percent_agreement", "p"): "that readers never agree is no hypothesis",
    ("krippendorff", "pa"): "a step on the way, with the correction for small pools",
    ("krippendorff", "pe"): "as pa",
    ("linear", "krippendorff"): "not a level of Krippendorff's",
    ("ordinal", "krippendorff"): "Gwet's weights; Krippendorff's own ordinal level is offered",
}


def kind(case):
    columns = case["columns"]
    if "a" in columns:
        return "bland_altman"
    if "ICC1_1" in case["expected"]:
        return "icc"
    return "pair" if "rater1" in columns else "several"


def leaves(tree, path=()):
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        tree = dict(enumerate(tree))
    if isinstance(tree, dict):
        return {p: v for key, branch in tree.items() for p, v in leaves(branch, (*path, key)).items()}
    return {path: tree}


def offered(path):
    pairs = set(pairwise(path))
    return not (set(path) & set(NOT_OFFERED) or pairs & set(NOT_OFFERED_PATHS))


def compare(got, case):
    """All offered leaves of what was expected, each at the stated tolerance (printed numbers: at their digits)."""
    want = {p: v for p, v in leaves(case["expected"]).items() if offered(p)}
    have = leaves(got)
    assert set(have) == set(want)
    for path, value in want.items():
        limit = {"rtol": case["tolerance"]["rel"], "atol": case["tolerance"]["abs"]}
        if path[0] == "published":
            limit = {"rtol": 0, "atol": 0.5 * 10 ** -(len(str(value)) - 2)}
        if isinstance(value, str):  # irrCAC's tables print p with four digits
            value, limit = float(value), {"rtol": 5.1e-4, "atol": 1e-10}
        np.testing.assert_allclose(have[path], value, **limit, err_msg=str(path))


def frame(case, shared):
    path = HERE / case["data"]
    data = pl.read_csv(path if path.exists() else shared(f"reference/04_agreement/{case['data']}"))
    weight = case["columns"].get("weight")
    return data.select(pl.all().repeat_by(weight)).explode(pl.all()) if weight else data


def by_t(e, n):
    return 2 * student.sf(abs(e.value / e.se), n - 1)


def coefficient(e, n):
    return {"coeff": e.value, "se": e.se, "ci95_t": [e.low, e.high], "p": by_t(e, n)}


def of_kind(name):
    return [pytest.param(c, id=c["id"]) for c in CASES if kind(c) == name]


def test_no_reference_case_is_left_out():
    covered = {p.id for name in ("pair", "several", "icc", "bland_altman") for p in of_kind(name)}
    assert covered == {c["id"] for c in CASES}


@pytest.mark.parametrize("case", of_kind("pair"))
def test_two_readers_as_in_vcd_and_irrcac(case, shared):
    data, want = frame(case, shared), case["expected"]
    a, b = data[case["columns"]["rater1"]], data[case["columns"]["rater2"]]
    both, n = data.select(case["columns"]["rater1"], case["columns"]["rater2"]).to_numpy(), len(a)
    got = {"n": n, "percent_agreement": agreement.percent_agreement(both).value}
    for name in ("unweighted", "linear", "quadratic"):
        if name not in want:
            continue
        weights = None if name == "unweighted" else name
        e = agreement.cohen_kappa(a, b, weights=weights)
        observed, z = agreement.percent_agreement(both, weights=weights).value, -ndtri(e.p / 2)
        got[name] = {
            "kappa": e.value,
            "po": observed,
            "pe": (observed - e.value) / (1 - e.value),
            "se": e.se,
            "ci95": [e.low, e.high],
            "se_h0": e.value / z,
            "z_h0": z,
            "p_h0": e.p,
        }
    got["irrCAC_table"] = {
        "cohen": coefficient(agreement.cohen_kappa(a, b, interval="t"), n),
        "gwet_ac1": coefficient(agreement.gwet_ac(both), n),
        "scott_pi": coefficient(agreement.fleiss_kappa(both), n),
        "krippendorff_alpha": coefficient(agreement.krippendorff_alpha(both), n),
    }
    if "linear" in want:
        for weights in ("linear", "quadratic"):
            got["irrCAC_table"][f"gwet_ac2_{weights}"] = coefficient(agreement.gwet_ac(both, weights=weights), n)
    if "pabak" in want:
        got["pabak"] = 2 * got["percent_agreement"] - 1
    compare(got, case)


def several_readers(ratings, name, n):
    weights = None if name == "unweighted" else name
    percent = agreement.percent_agreement(ratings, weights=weights)
    result = {"percent_agreement": coefficient(percent, n) | {"pa": percent.value, "pe": 0}}
    del result["percent_agreement"]["p"]
    for key, function in (("fleiss", agreement.fleiss_kappa), ("gwet", agreement.gwet_ac)):
        e = function(ratings, weights=weights)
        chance = (percent.value - e.value) / (1 - e.value)
        result[key] = coefficient(e, n) | {"pa": percent.value, "pe": chance}
    level = {"unweighted": "nominal", "quadratic": "interval"}.get(name)
    if level:
        usable = int(((~np.isnan(ratings)).sum(axis=1) >= 2).sum())
        result["krippendorff"] = coefficient(agreement.krippendorff_alpha(ratings, level=level), usable)
    return result


@pytest.mark.parametrize("case", of_kind("several"))
def test_several_readers_as_in_irr_and_irrcac(case, shared):
    ratings = frame(case, shared).select(case["columns"]["raters"]).to_numpy().astype(float)
    want, missing = case["expected"], np.isnan(ratings)
    n, readers = ratings.shape
    got = {"n_units": n, "n_raters": readers, "n_missing": int(missing.sum())}
    got["irrCAC"] = {name: several_readers(ratings, name, n) for name in want["irrCAC"]}
    levels = {level: agreement.krippendorff_alpha(ratings, level=level).value for level in LEVELS}
    got["krippendorff_alpha"] = {level: levels[level] for level in want["krippendorff_alpha"]}
    if "fleiss_kappa_irr" in want:
        e = agreement.fleiss_kappa(ratings)
        z = -ndtri(e.p / 2)
        got["fleiss_kappa_irr"] = {"kappa": e.value, "z_h0": z, "p_h0": e.p, "se_h0": e.value / z}
        got["light_kappa_irr"] = agreement.pairwise_kappa(ratings).mean.value
        got["percent_agreement_all_raters_irr"] = 100 * agreement.percent_agreement(ratings, of="all").value
        got["fleiss_per_category"] = []
        for row in want["fleiss_per_category"]:
            one = agreement.fleiss_kappa(ratings == float(row["category"]))
            z = -ndtri(one.p / 2)
            got["fleiss_per_category"].append(
                {"category": float(row["category"]), "kappa": one.value, "se_h0": one.value / z, "z": z}
            )
    if "published" in want:
        published = levels | {"kappa": agreement.fleiss_kappa(ratings).value}
        published["gwet_ac1"] = agreement.gwet_ac(ratings).value
        got["published"] = {k: v for k, v in published.items() if k in want["published"]}
    compare(got, case)


@pytest.mark.parametrize("case", of_kind("icc"))
def test_icc_as_in_psych_and_irr(case, shared):
    ratings = frame(case, shared).select(case["columns"]["raters"]).to_numpy()
    got = {"n": len(ratings), "k": ratings.shape[1]}
    for number, form in (
        ("1", {"model": "one-way"}),
        ("2", {"model": "two-way-random"}),
        ("3", {"model": "two-way-mixed", "agreement": False}),
    ):
        for letter, unit in (("1", "single"), ("k", "average")):
            e = agreement.icc(ratings, unit=unit, **form)
            other = agreement.icc(ratings, unit=unit, interval="mcgraw-wong", **form)
            got[f"ICC{number}_{letter}"] = {
                "icc": e.value,
                "p": e.p,
                "ci95": [e.low, e.high],
                "irr": {"icc": other.value, "p": other.p, "ci95": [other.low, other.high]},
            }
    compare(got, case)


@pytest.mark.parametrize("case", of_kind("bland_altman"))
def test_bland_altman_and_concordance_as_in_epir(case, shared):
    data = frame(case, shared)
    a, b = data[case["columns"]["a"]], data[case["columns"]["b"]]
    r = agreement.bland_altman(a, b)
    got = {
        "n": r.n_cases,
        "mean_diff": r.bias.value,
        "sd_diff": r.sd,
        "mean_ci95_t": [r.bias.low, r.bias.high],
        "loa_1.96": [r.lower.value, r.upper.value],
        "se_loa_1999": r.upper.se,
        "se_loa_simple_sqrt3n": agreement.bland_altman(a, b, error="simple").lower.se,
        "loa_lower_ci95": [r.lower.low, r.lower.high],
        "loa_upper_ci95": [r.upper.low, r.upper.high],
        "ccc": {"est": r.concordance.value, "ci95": [r.concordance.low, r.concordance.high], "C_b": r.accuracy},
    }
    compare(got, case)
