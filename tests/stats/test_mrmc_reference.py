"""Every number that MRMCaov, RJafroc and iMRMC gave, case by case (provenance: tests/reference/mrmc)."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import fdtr, fdtrc

from overread.stats.quantiles import critical, upper
from overread.stats.reader_studies import mrmc
from overread.stats.reader_studies.covariance import rater_covariance
from overread.stats.reader_studies.u_statistics import degrees_of_freedom
from overread.stats.reader_studies.unbalanced import rounded

HERE = Path(__file__).resolve().parents[1] / "reference" / "mrmc"
CASES = {case["id"]: case for case in json.loads((HERE / "expected.json").read_text())["cases"]}
# What two wins share, [reader, present, absent]: iMRMC's moments, and the components of Barrett, Clarkson and Kupinski.
MOMENT = dict(zip([f"M{i}" for i in range(1, 9)], sorted(np.ndindex(2, 2, 2), reverse=True), strict=True))
COMPONENT = {"N": (0, 0, 1), "D": (0, 1, 0), "ND": (0, 1, 1), "R": (1, 0, 0), "NR": (1, 0, 1), "DR": (1, 1, 0)}
COMPONENT["RND"] = (1, 1, 1)
ANALYSES = {"RRRC": ("random", "random"), "FRRC": ("fixed", "random"), "RRFC": ("random", "fixed")}
CROSSED = [case for case in CASES if case.startswith("crossed_")]
UNCROSSED = ["synth_missing", "synth_splitplot"]
NESTED = ["nested_cases_within_readers", "nested_cases_within_modalities"]
AGAINST_READERS = ["nico_cad_vs_radiologists", "synth_ai_vs_readers"]
BINARY = ["binary_sens_ge3_vandyke", "binary_spec_ge3_vandyke"]


def test_no_reference_case_is_left_out():
    assert {*CROSSED, *UNCROSSED, *NESTED, *AGAINST_READERS, *BINARY} == set(CASES)


@pytest.mark.parametrize("name", CROSSED)
def test_no_block_of_a_crossed_case_is_left_out(name):
    known = {"modality_order", "reader_order", "cov_order", "n_readers", "n_modalities", "n_neg", "n_pos", "auc"}
    known |= {"modality_means", "MS", "jackknife", "delong", "unbiased", "DBM_jackknife", "iMRMC", "published"}
    assert set(CASES[name]["expected"]) <= known | {"noninferiority_RRRC_jackknife"}


def close(got, expected, tolerance):
    flat = np.array([np.nan if e is None else e for e in np.ravel(np.array(expected, dtype=object))], dtype=float)
    np.testing.assert_allclose(
        np.ravel(got).astype(float), flat, rtol=tolerance["rel"], atol=tolerance["abs"], equal_nan=True
    )


def table(case, shared):
    path = HERE / case["data"]
    if not path.exists():
        path = shared(f"reference/03_mrmc/{case['data']}")
    text = dict.fromkeys(("reader", "modality", "case", "case_within_reader", "case_within_modality"), pl.String)
    return pl.read_csv(path, schema_overrides=text)


def arrays(rows, arms, readers, case="case"):
    """Truth (n_cases,) and scores (n_arms, n_readers, n_cases) with NaN = not read."""
    names = {name: i for i, name in enumerate(rows[case].unique(maintain_order=True))}
    y, scores = np.zeros(len(names), dtype=bool), np.full((len(arms), len(readers), len(names)), np.nan)
    for row in rows.iter_rows(named=True):
        scores[arms.index(row.get("modality", "")), readers.index(row["reader"]), names[row[case]]] = row["score"]
        y[names[row[case]]] = row["truth"]
    return y, scores


def loaded(case, shared, *, orders=True):
    rows, want = table(case, shared), case["expected"]
    if orders:
        arms, readers = ([str(v) for v in want[k]] for k in ("modality_order", "reader_order"))
    else:
        arms, readers = (sorted(rows[k].unique()) for k in ("modality", "reader"))
    return (*arrays(rows, arms, readers), arms, readers)


def close_estimate(got, row, df, tolerance, *, interval="ci95"):
    """Value, se, df, interval, and where it is given the statistic with its p."""
    close([got.value, got.se], [row["estimate"], row["se"]], tolerance)
    if row["df"] is not None:
        close(df, row["df"], tolerance)
    close([got.low, got.high], row[interval], tolerance)
    if "stat" in row or "z" in row:
        statistic = got.value / got.se if got.se else np.nan
        close([statistic, got.p], [row.get("stat", row.get("z")), row["p"]], tolerance)


@pytest.mark.parametrize("covariance", ["jackknife", "delong", "unbiased"])
@pytest.mark.parametrize("name", CROSSED)
def test_obuchowski_rockette_as_in_mrmcaov_and_rjafroc(name, covariance, shared):
    case = CASES[name]
    y, scores, arms, readers = loaded(case, shared)
    want, tol = case["expected"], case["tolerance"]
    n_arms, n_readers = len(arms), len(readers)
    assert [n_readers, n_arms, (~y).sum(), y.sum()] == [
        want[k] for k in ("n_readers", "n_modalities", "n_neg", "n_pos")
    ]
    block = want[covariance]
    if set(block) == {"cov_matrix", "note"}:
        close(mrmc.compare_arms(y, scores, covariance=covariance).components.covariance, block["cov_matrix"], tol)
        return
    assert set(block) - {"degenerate"} == {"cov_matrix", "OR_components", *ANALYSES}
    assert bool(block.get("degenerate")) == (name == "crossed_synth_identical_modalities")
    for analysis, (random_readers, random_cases) in ANALYSES.items():
        got = mrmc.compare_arms(y, scores, covariance=covariance, readers=random_readers, cases=random_cases)
        parts, expected = got.components, block[analysis]
        close([[r.arms[a].value for r in got.per_reader] for a in range(n_arms)], want["auc"], tol)
        close([e.value for e in got.arms], want["modality_means"], tol)
        close(parts.covariance, block["cov_matrix"], tol)
        close_components(parts, want["MS"], block["OR_components"], tol)
        pairs = list(combinations(range(n_arms), 2))
        assert [(d["modality_1"] - 1, d["modality_2"] - 1) for d in expected["differences"]] == pairs == list(got.pairs)
        for pair, row in zip(pairs, expected["differences"], strict=True):
            close_estimate(got.pairs[pair], row, got.df[1], tol)
        for arm, row in enumerate(expected["single_modality"]):
            assert row["modality"] == arm + 1
            close_estimate(
                got.arms[arm], row, named_df(got.arms[arm].method, row["df"]), tol, interval="ci95_unclipped"
            )
        if analysis == "FRRC":
            assert "degenerate" in block or len(expected["reader_differences"]) == n_readers * len(pairs)
            close([got.df[0] * got.f, got.df[0], got.p], [expected["chisq"], expected["df"], expected["p"]], tol)
            close(n_readers / 2 * got.pairs[0, 1].se ** 2, expected["denominator"], tol)
            for row in expected.get("reader_differences", []):
                pair = got.per_reader[row["reader"] - 1].pairs[row["modality_1"] - 1, row["modality_2"] - 1]
                close_estimate(pair, {**row, "df": None}, None, tol)
        else:
            df2 = expected.get("df2_ddfH", expected.get("df2"))
            close([got.f, got.df[0], got.p], [expected["F"], expected["df1"], expected["p"]], tol)
            if df2 is not None:
                close(got.df[1], df2, tol)
            if "denominator" in expected:
                close(n_readers / 2 * got.pairs[0, 1].se ** 2, expected["denominator"], tol)


def named_df(method, expected):
    """The method names an arm's df to one decimal; the interval, which is compared too, rests on all digits."""
    if expected is None:
        assert method.codes[-1].name == "scale_wald"
        return None
    assert method.codes[-1].name == "scale_t"
    assert method.codes[-1]["df"] == pytest.approx(expected, abs=0.0501)
    return expected


def close_components(parts, squares, components, tol):
    close([parts.ms_arm, parts.ms_reader, parts.ms_reader_by_arm], [squares[k] for k in ("T", "R", "TR")], tol)
    names = {
        "VarR": parts.reader,
        "VarTR": parts.reader_by_arm,
        "Var_error": parts.error,
        "Cov1": parts.cov1,
        "Cov2": parts.cov2,
        "Cov3": parts.cov3,
        "var_each_modality": parts.error_of_arm,
        "cov2_each_modality": parts.cov2_of_arm,
        "var_each_reader": parts.error_of_reader,
        "cov1_each_reader": parts.cov1_of_reader,
    }
    assert set(names) == set(components)
    for key, got in names.items():
        close(got, components[key], tol)


def test_van_dyke_as_published(shared):
    """Iowa's OR-DBM MRMC 2.51, to the digits that it prints."""
    case = CASES["crossed_vandyke"]
    y, scores, *_ = loaded(case, shared)
    want = dict(case["expected"]["published"])
    random, readers_fixed = mrmc.compare_arms(y, scores), mrmc.compare_arms(y, scores, readers="fixed")
    cases_fixed, parts, k = mrmc.compare_arms(y, scores, cases="fixed"), random.components, y.size
    got = {
        "F_RRRC": random.f,
        "df2_RRRC": random.df[1],
        "p_RRRC": random.p,
        "diff": random.difference.value,
        "se": random.difference.se,
        "ci": [random.difference.low, random.difference.high],
        "chisq_FRRC": readers_fixed.f,
        "p_FRRC": readers_fixed.p,
        "F_RRFC": cases_fixed.f,
        "p_RRFC": cases_fixed.p,
        "Var_R": parts.reader,
        "Var_TR": parts.reader_by_arm,
        "Cov1": parts.cov1,
        "Cov2": parts.cov2,
        "Cov3": parts.cov3,
        "Var_error": parts.error,
        "DBM_VarC": k * parts.cov3,
        "DBM_VarTC": k * (parts.cov2 - parts.cov3),
        "DBM_VarRC": k * (parts.cov1 - parts.cov3),
        "DBM_VarErr": k * (parts.error - parts.cov1 - parts.cov2 + parts.cov3),
    }
    assert want.pop("source").startswith("Iowa")
    single = want.pop("single")
    got |= {"auc": [e.value for e in random.arms], "se of arms": [e.se for e in random.arms]}
    want |= {"auc": single["auc"], "se of arms": single["se"]}
    assert [e.method.codes[-1]["df"] for e in random.arms] == pytest.approx(single["df"], abs=0.06)
    assert set(got) == set(want)
    for key, value in got.items():
        for one, printed in zip(np.ravel(value), np.ravel(want[key]), strict=True):
            digits = len(np.format_float_positional(printed).split(".")[1])
            assert one == pytest.approx(printed, abs=0.51 * 10.0**-digits), key


@pytest.mark.parametrize("name", [n for n in CROSSED if "noninferiority_RRRC_jackknife" in CASES[n]["expected"]])
def test_non_inferiority_as_in_the_reference(name, shared):
    case = CASES[name]
    y, scores, *_ = loaded(case, shared)
    want, tol = case["expected"]["noninferiority_RRRC_jackknife"], case["tolerance"]
    study = mrmc.compare_arms(
        y, scores[::-1], margin=want["margin"]
    )  # the reference tests the second against the first
    got = study.difference
    close([got.value, got.se, study.df[1]], [want["diff_m2_minus_m1"], want["se"], want["df"]], tol)
    close([(got.value + want["margin"]) / got.se, got.p], [want["t"], want["p_one_sided"]], tol)
    close(got.low, want["lower_95_two_sided"], tol)
    narrow = mrmc.compare_arms(y, scores[::-1], confidence=0.9).difference
    close(narrow.low, want["lower_95_one_sided"], tol)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in CROSSED if "DBM_jackknife" in CASES[n]["expected"]])
def test_dorfman_berbaum_metz_is_the_same_analysis(name, shared):
    """Pseudovalues left one by one, a three-way analysis of variance: the slow twin of Obuchowski-Rockette."""
    case = CASES[name]
    y, scores, arms, readers = loaded(case, shared)
    want, tol = case["expected"]["DBM_jackknife"], case["tolerance"]
    i, j, k = len(arms), len(readers), y.size
    whole = rater_covariance(y, scores.reshape(i * j, k)).values
    left = np.stack(
        [rater_covariance(np.delete(y, c), np.delete(scores.reshape(i * j, k), c, axis=1)).values for c in range(k)]
    )
    pseudo = (k * whole - (k - 1) * left).T.reshape(i, j, k)
    mean = {
        axes: pseudo.mean(axis=axes, keepdims=True)
        for axes in [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    }
    grand, t, r, c = mean[0, 1, 2], mean[1, 2], mean[0, 2], mean[0, 1]
    tr, tc, rc = mean[(2,)], mean[(1,)], mean[(0,)]
    effects = [
        (t - grand, j * k, i - 1),
        (r - grand, i * k, j - 1),
        (c - grand, i * j, k - 1),
        (tr - t - r + grand, k, (i - 1) * (j - 1)),
        (tc - t - c + grand, j, (i - 1) * (k - 1)),
        (rc - r - c + grand, i, (j - 1) * (k - 1)),
        (pseudo - tr - tc - rc + t + r + c - grand, 1, (i - 1) * (j - 1) * (k - 1)),
    ]
    squares = np.array([(effect**2).sum() * times for effect, times, _ in effects])
    df = np.array([n for *_, n in effects])
    ms = squares / df
    anova = want["anova"]
    assert anova["source"] == ["T", "R", "C", "TR", "TC", "RC", "TRC", "Total"]
    close([*squares, squares.sum()], anova["SS"], tol)
    close([*df, df.sum()], anova["DF"], tol)
    close(ms, anova["MS"][:7], tol)
    m = dict(zip(anova["source"], ms, strict=False))
    components = {
        "VarR": (m["R"] - m["TR"] - m["RC"] + m["TRC"]) / (i * k),
        "VarC": (m["C"] - m["TC"] - m["RC"] + m["TRC"]) / (i * j),
        "VarTR": (m["TR"] - m["TRC"]) / k,
        "VarTC": (m["TC"] - m["TRC"]) / j,
        "VarRC": (m["RC"] - m["TRC"]) / i,
        "VarErr": m["TRC"],
    }
    assert set(components) == set(want["var_components"])
    for key, got in components.items():
        close(got, want["var_components"][key], tol)
    cases = max(m["TC"] - m["TRC"], 0)
    f = m["T"] / (m["TR"] + cases)
    df2 = (m["TR"] + cases) ** 2 / m["TR"] ** 2 * df[3]
    close([f, df2, fdtrc(i - 1, df2, f)], [want["RRRC"]["F"], want["RRRC"]["df2"], want["RRRC"]["p"]], tol)
    random = mrmc.compare_arms(y, scores)
    close([random.f, random.df[1], random.p], [want["RRRC"]["F"], want["RRRC"]["df2"], want["RRRC"]["p"]], tol)
    fixed = mrmc.compare_arms(y, scores, readers="fixed")
    assert fixed.df[0] == i - 1
    close_fixed(want["FRRC"], fixed, ms, df, tol)
    parts = random.components
    close(
        [parts.cov1 - parts.cov3, parts.cov2 - parts.cov3],
        np.array([components["VarRC"], components["VarTC"]]) / k,
        tol,
    )


def close_fixed(want, study, ms, df, tol):
    """RJafroc's table: df, mean square, F and p of the treatment; df and mean square of treatment by case."""
    assert set(want) == {"statistic", "row2"}
    f = ms[0] / ms[4]
    close(want["statistic"], [df[0], ms[0], f, 1 - fdtr(df[0], df[4], f)], tol)
    close(want["row2"], [df[4], ms[4], None, None], tol)
    close(study.f, f, tol)  # Obuchowski-Rockette takes the limit of many cases: the chi-square


@pytest.mark.parametrize("name", [n for n in CROSSED + UNCROSSED if "Ustat" in CASES[n]["expected"].get("iMRMC", {})])
def test_u_statistics_as_in_imrmc(name, shared):
    case = CASES[name]
    y, scores, arms, readers = loaded(case, shared, orders="modality_order" in case["expected"])
    want, tol = case["expected"]["iMRMC"], case["tolerance"]
    whole = mrmc.compare_arms(y, scores, covariance="u-statistic")
    found = whole.components
    parts = {
        "BDG_Ustat_moments": (found.moments, MOMENT),
        "BDG_Ustat_coefficients": (found.coefficients, MOMENT),
        "BCK_Ustat_components": (found.components, COMPONENT),
        "BCK_coefficients": (found.component_coefficients, COMPONENT),
    }
    assert set(want) <= {"Ustat", "per_reader", *parts}
    for key, (got, places) in parts.items():
        for row in want.get(key, []):
            a, b = (arms.index(str(row[f"modalityID.{i}"])) for i in (1, 2))
            assert set(row) == {"modalityID.1", "modalityID.2", *places}
            close([got[(a, b, *at)] for at in places.values()], [row[name] for name in places], tol)
    for row in want["Ustat"]:
        close_arm_or_pair(y, scores, arms, row, found, tol)
    for row in want["per_reader"]:
        close_reader(whole, y, scores, arms, readers, row, tol)


def close_arm_or_pair(y, scores, arms, row, found, tol):
    a, b = (arms.index(str(row[f"modalityID.{i}"])) for i in (1, 2))
    close([found.values[a], found.values[b]], [row["AUC.1"], row["AUC.2"]], tol)
    close(found.covariance[a, b], row["covAUC"], tol)
    close(found.covariance_biased[a, b], row["covAUC.biased"], tol)
    weights = np.zeros(len(arms))
    weights[a] += 1
    read = ~np.isnan(scores[[a, b]]).all(axis=0)
    counts = [read.any(axis=1).sum(), read[:, ~y].any(axis=0).sum(), read[:, y].any(axis=0).sum()]
    assert counts == [row["NR"], row["N0"], row["N1"]]
    if a != b:
        weights[b] -= 1
        close(found.values[a] - found.values[b], row["AUC1minusAUC2"], tol)
        for suffix, covariance in (("", found.covariance), (".biased", found.covariance_biased)):
            close(weights @ covariance @ weights, row[f"varAUC1minusAUC2{suffix}"], tol)
    for suffix, word in (("", "u-statistic"), (".biased", "v-statistic")):
        if a == b:
            got = mrmc.compare_arms(y, scores[[a]], covariance=word).arms[0]
            df_key, null = f"dfBDG{suffix}", 0.5
        else:
            study = mrmc.compare_arms(y, scores[[a, b]], covariance=word)
            got, df_key, null = study.difference, f"dfBDG{suffix}.diff", 0.0
            close(study.df[1], row[df_key], tol)
        variance = weights @ (found.covariance_biased if suffix else found.covariance) @ weights
        df = degrees_of_freedom(found, weights, variance)
        close(df, row[df_key], tol)
        if variance < 0:
            assert "negative" in got.note
            assert np.isnan(rounded(df))
        close([got.p, got.low, got.high], [row[f"{k}{suffix}"] for k in ("pValueBDG", "botCIBDG", "topCIBDG")], tol)
        normal = 2 * upper(abs(got.value - null) / got.se, np.inf)
        close(normal, row[f"pValueNormal{suffix}"], tol)
        if not suffix:
            half = critical(0.95, np.inf) * got.se
            close([got.value - half, got.value + half], [row["botCInormal"], row["topCInormal"]], tol)
    if a != b:  # the covariance of two arms has df of its own, which nothing here uses
        for suffix, covariance in (("", found.covariance), (".biased", found.covariance_biased)):
            close(df_of_covariance(found, a, b, covariance[a, b]), row[f"dfBDG{suffix}"], tol)


def df_of_covariance(found, a, b, variance):
    if variance < 0:
        return np.nan
    df = [round(1 / found.component_coefficients[(a, b, *at)] - 1) for at in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    parts = [found.components_biased[(a, b, *at)] for at in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    return max(variance**2 / sum(p**2 / d**3 for p, d in zip(parts, df, strict=True)), min(df))


def close_reader(whole, y, scores, arms, readers, row, tol):
    got, j = whole.per_reader[readers.index(str(row["readerID"]))], readers.index(str(row["readerID"]))
    a = arms.index(str(row["modalityA"]))
    both = ~np.isnan(scores[a, j])
    close([got.arms[a].value, got.arms[a].se ** 2], [row["AUCA"], row["varAUCA"]], tol)
    if row["modalityB"] != "NO_MOD":
        b = arms.index(str(row["modalityB"]))
        both &= ~np.isnan(scores[b, j])
        close([got.arms[b].value, got.arms[b].se ** 2], [row["AUCB"], row["varAUCB"]], tol)
        pair = got.pairs[a, b]
        variance = pair.se**2 if "negative" not in pair.note else row["varAUCAminusAUCB"]
        close([pair.value, variance], [row["AUCAminusAUCB"], row["varAUCAminusAUCB"]], tol)
        assert not (row["varAUCAminusAUCB"] < 0 and pair.se == pair.se)
    assert [(both & ~y).sum(), (both & y).sum()] == [row["N0"], row["N1"]]


@pytest.mark.parametrize("name", UNCROSSED)
def test_covariance_of_readers_with_missing_reads_as_in_mrmcaov(name, shared):
    case = CASES[name]
    y, scores, arms, readers = loaded(case, shared, orders=False)
    want = case["expected"]["MRMCaov_unbiased_cov"]
    assert set(case["expected"]) == {"iMRMC", "MRMCaov_unbiased_cov"}
    assert want["labels"] == [f"{arm}.{reader}" for arm in arms for reader in readers]
    got = rater_covariance(y, scores.reshape(-1, y.size), method="unbiased")
    close(got.covariance, want["cov"], case["tolerance"])


@pytest.mark.parametrize("name", NESTED)
def test_nested_designs_as_in_mrmcaov(name, shared):
    case = CASES[name]
    unit, word = ("reader", "within readers") if name.endswith("readers") else ("modality", "within arms")
    rows = table(case, shared)
    y, scores = arrays(rows, ["1", "2"], [str(i) for i in range(1, 6)], f"case_within_{unit}")
    got, want, tol = mrmc.compare_arms(y, scores, cases=word), case["expected"], case["tolerance"]
    parts = got.components
    test, vcov = want["test_equality"], want["vcov"]
    close(
        [parts.reader, parts.reader_by_arm, parts.error, parts.cov1, parts.cov2, parts.cov3],
        [vcov[k] for k in ("reader", "modality:reader", "Error", "Cov1", "Cov2", "Cov3")],
        tol,
    )
    close([parts.ms_arm, parts.ms_reader_by_arm], [test["MS(T)"], test["MS(T:R)"]], tol)
    close([parts.cov2, parts.cov3], [test["Cov2"], test["Cov3"]], tol)
    close([got.f, *got.df, got.p], [test[k] for k in ("F", "df1", "df2", "p-value")], tol)
    close(5 / 2 * got.difference.se**2, test["Denominator"], tol)
    difference = want["test_diffs"]
    row = {"estimate": difference["Estimate"], "se": difference["StdErr"], "df": difference["df"]}
    row |= {"ci95": difference["CI"][0], "stat": difference["t"], "p": difference["p-value"]}
    close_estimate(got.difference, row, got.df[1], tol)
    means = want["test_means"]
    close(parts.ms_reader_of_arm, means["MS(R)"], tol)
    close(parts.cov2_of_arm, means["Cov2"], tol)
    for arm in (0, 1):
        row = {"estimate": means["Estimate"][arm], "se": means["StdErr"][arm], "df": means["df"][arm]}
        close_estimate(got.arms[arm], {**row, "ci95": means["CI"][arm]}, named_df(got.arms[arm].method, row["df"]), tol)


@pytest.mark.parametrize("name", AGAINST_READERS)
def test_a_model_against_readers_as_in_rjafroc(name, shared):
    case = CASES[name]
    want, tol = case["expected"], case["tolerance"]
    order = want["reader_order"]
    assert order[0] == want["ai_reader"]
    y, scores = arrays(table(case, shared), [""], order)
    model, readers = scores[0, 0], scores[0, 1:]
    one, fixed, two = want["RRRC_1T"], want["RRFC_1T"], want["RRRC_2T"]
    got = mrmc.model_against_readers(y, model, readers)
    for block in (one, fixed, two):
        close([got.arms[0].value, got.arms[1].value], [block["fomCAD"], block["avgRadFom"]], tol)
        close([r.arms[1].value for r in got.per_reader], block["fomRAD"], tol)
        close(-got.difference.value, block["avgDiffFom"], tol)  # they subtract the model from the readers
    n, parts = len(readers), got.components
    interval = [-got.difference.high, -got.difference.low]
    for block in (one["CIAvgDiffFom"], [two["ciDiffFom"]["CILower"], two["ciDiffFom"]["CIUpper"]]):
        close(interval, block, tol)
    close([v + got.arms[0].value for v in interval], one["CIAvgRad"], tol)
    close(-got.difference.value / got.difference.se, one["Tstat"], tol)
    close([got.df[1], got.difference.p], [one["df"], one["pval"]], tol)
    # One treatment: components of the differences reader - model, twice the interactions of the two-arm analysis.
    close([2 * parts.ms_reader_by_arm] * 3, [one["varR"], fixed["varR"], two["varDiffFom"]], tol)
    close([2 * (parts.error - parts.cov1), 2 * (parts.cov2 - parts.cov3)], [one["varError"], one["cov2"]], tol)
    close(
        [parts.reader, parts.reader_by_arm, parts.cov1, parts.cov2, parts.cov3, parts.error],
        [two[k] for k in ("varR", "varTR", "cov1", "cov2", "cov3", "varError")],
        tol,
    )
    close([got.f, *got.df, got.p], [two[k] for k in ("FStat", "ndf", "df", "pval")], tol)
    row = two["ciDiffFom"]
    close([-got.difference.value, got.difference.se, got.df[1]], [row["Estimate"], row["StdErr"], row["DF"]], tol)
    close([-got.difference.value / got.difference.se, got.p], [row["t"], row["PrGTt"]], tol)
    each = two["ciAvgRdrEachTrt"]
    close(parts.cov2_of_arm, each["Cov2"], tol)
    for arm in (0, 1):
        row = {"estimate": each["Estimate"][arm], "se": each["StdErr"][arm], "df": each["DF"][arm]}
        row["ci95"] = [each["CILower"][arm], each["CIUpper"][arm]]
        close_estimate(got.arms[arm], row, named_df(got.arms[arm].method, row["df"]), tol)
    same_cases = mrmc.model_against_readers(y, model, readers, cases="fixed")
    difference = same_cases.difference
    close([-difference.high, -difference.low], fixed["CIAvgDiffFom"], tol)
    close([v + got.arms[0].value for v in (-difference.high, -difference.low)], fixed["CIAvgRadFom"], tol)
    close(
        [-difference.value / difference.se, same_cases.df[1], difference.p],
        [fixed[k] for k in ("Tstat", "df", "pval")],
        tol,
    )
    assert same_cases.df[1] == n - 1
    same_readers = mrmc.model_against_readers(y, model, readers, readers="fixed", covariance="delong").difference
    delong = want["fixed_readers_delong"]
    close([-same_readers.value, same_readers.se], [delong["estimate_readers_minus_ai"], delong["se"]], tol)
    close([-same_readers.value / same_readers.se, same_readers.p], [delong["z"], delong["p"]], tol)
    close([-same_readers.high, -same_readers.low], delong["ci95"], tol)


@pytest.mark.parametrize("name", BINARY)
def test_sensitivity_and_specificity_as_in_mrmcaov(name, shared):
    case = CASES[name]
    rows = table(case, shared)
    y, scores = arrays(rows, ["1", "2"], [str(i) for i in range(1, 6)])
    metric = "sensitivity" if "sens" in name else "specificity"
    want, tol, calls = case["expected"], case["tolerance"], (scores >= 3).astype(float)
    assert want["threshold"] == "positive if score >= 3"
    pooled, own = want["MRMCaov_pooled_case_jackknife"], want["class_only_sample_covariance"]
    for covariance in ("jackknife", "delong", "unbiased"):
        got = mrmc.compare_arms(y, calls, metric=metric, covariance=covariance)
        parts = got.components
        close([[r.arms[a].value for r in got.per_reader] for a in (0, 1)], want["values"], tol)
        squares = {"T": parts.ms_arm, "R": parts.ms_reader, "TR": parts.ms_reader_by_arm}
        close_components(parts, squares, own["OR_components"], tol)
        names = ("reader", "modality:reader", "Error", "Cov1", "Cov2", "Cov3")
        close(
            [pooled["vcov"][k] for k in names],
            [parts.reader, parts.reader_by_arm, parts.error, parts.cov1, parts.cov2, parts.cov3],
            tol,
        )
        close([got.f, got.df[1], got.p], [pooled[k] for k in ("F", "df2", "p")], tol)
        close([got.difference.value, got.difference.se], [pooled["diff"], pooled["se"]], tol)
        close([got.difference.low, got.difference.high], pooled["ci95"], tol)
        test = own["RRRC"]
        close([got.f, *got.df, got.p], [test[k] for k in ("F", "df1", "df2_ddfH", "p")], tol)
        close(5 / 2 * got.difference.se**2, test["denominator"], tol)
        close_estimate(got.difference, test["differences"][0], got.df[1], tol)
        for arm, row in enumerate(test["single_modality"]):
            close_estimate(
                got.arms[arm], row, named_df(got.arms[arm].method, row["df"]), tol, interval="ci95_unclipped"
            )
    whole = mrmc.compare_arms(y, calls, metric=metric, covariance="jackknife-all").components
    n, m = y.size, y.sum() if metric == "sensitivity" else (~y).sum()
    factor = (n - 1) / n * m / (m - 1)  # as the reference's README has it
    assert whole.covariance == pytest.approx(factor * parts.covariance, rel=1e-9, abs=1e-14)
