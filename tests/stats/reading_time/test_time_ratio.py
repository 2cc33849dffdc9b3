from __future__ import annotations

import csv
import json
from math import exp, isnan, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t, ttest_1samp

from overread import codes
from overread.errors import InputError
from overread.stats.reading_time.crossed_effects import likelihood_ratio, mixed_model
from overread.stats.reading_time.time_ratio import reading_time_ratio

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "reading_time"
CASES = {c["id"]: c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"]}
NOT_OFFERED = {"ordinal_confidence_clmm", "workload_friedman"}  # and Kenward and Roger's df of the mixed models
HERE = {"lmm_basic_reml", "lmm_basic_ml", "lmm_reader_by_condition", "lmm_interaction_truth", "simple_summaries"}
with (REFERENCE / "crossover_times.csv").open() as _file:
    ROWS = list(csv.DictReader(_file))
TABLE = {name: np.array([row[name] for row in ROWS]) for name in ROWS[0]}
SECONDS, AIDED = TABLE["time_s"].astype(float), (TABLE["condition"] == "aided") * 1.0
COLUMNS = {key: TABLE[name] for key, name in {"arm": "condition"}.items()}
COLUMNS |= {key: TABLE[key] for key in ("reader", "case", "period", "sequence")}
MAIN = {
    "conditionaided": AIDED,
    "period2": (TABLE["period"] == "2") * 1.0,
    "sequenceAU": (TABLE["sequence"] == "AU") * 1.0,
}
TRUTH = TABLE["truth"].astype(float)
READER_CASE = {"reader": TABLE["reader"], "case": TABLE["case"]}
MODELS = {
    "lmm_basic_reml": (MAIN, READER_CASE, True),
    "lmm_basic_ml": (MAIN, READER_CASE, False),
    "lmm_reader_by_condition": (
        MAIN,
        READER_CASE | {"reader:condition": np.char.add(TABLE["reader"], TABLE["condition"])},
        True,
    ),
    "lmm_interaction_truth": (MAIN | {"truth": TRUTH, "conditionaided:truth": AIDED * TRUTH}, READER_CASE, True),
}


def tolerances(case):
    given = case["tolerance"]
    return {"rel": given["rel"], "abs": given["abs"]}


def test_no_reference_case_is_left_out():
    elsewhere = {"trust_wilcoxon"}  # test_trust.py
    assert HERE | NOT_OFFERED | elsewhere == set(CASES)


@pytest.mark.parametrize("name", MODELS)
def test_mixed_models_equal_lme4_and_lmertest(name):
    want, close = CASES[name]["expected"], tolerances(CASES[name])
    fixed, random, reml = MODELS[name]
    model = mixed_model(np.log(SECONDS), fixed, random, reml=reml)
    assert model.n == want["n"]
    assert model.reml == want["REML"]
    assert bool(model.singular) == want["singular"]
    assert model.log_likelihood == pytest.approx(want["logLik"], **close)
    effects = model.effects()
    names = {key.replace("(Intercept)", "intercept"): value for key, value in want["fixed_satterthwaite"].items()}
    assert set(effects) == set(names)
    for key, value in names.items():
        got = effects[key]
        assert (got.value, got.se, got.t, got.p) == pytest.approx(
            (value["estimate"], value["se"], value["t"], value["p"]), **close
        )
        assert got.df == pytest.approx(value["df"], rel=1e-3)
    assert len(want["random"]) == len(model.components)
    for key, value in want["random"].items():
        variance = model.components[key.split("|")[0].replace("Residual", "residual")]
        assert (variance, variance**0.5) == pytest.approx((value["variance_or_cov"], value["sd_or_corr"]), **close)
    ratio, arm = want["ratio_aided_over_unaided"], effects["conditionaided"]
    assert exp(arm.value) == pytest.approx(ratio["exp"], **close)
    assert [exp(arm.low), exp(arm.high)] == pytest.approx(ratio["ci95_satterthwaite"], **close)
    half = norm.isf(0.025) * arm.se
    assert [exp(arm.value - half), exp(arm.value + half)] == pytest.approx(ratio["ci95_wald_z"], **close)
    if "aic" in want:
        assert (model.aic, model.bic) == pytest.approx((want["aic"], want["bic"]), **close)
        fewer = {key: value for key, value in fixed.items() if key != "conditionaided"}
        reduced = mixed_model(np.log(SECONDS), fewer, random, reml=False)
        test = want["lrt_condition"]
        assert likelihood_ratio(model, reduced) == pytest.approx((test["chisq"], test["df"], test["p"]), **close)


def test_the_ratio_equals_lmertest_with_reader_by_arm():
    case = CASES["lmm_reader_by_condition"]
    want, close, result = case["expected"], tolerances(case), reading_time_ratio(SECONDS, **COLUMNS)
    ratio, arm = want["ratio_aided_over_unaided"], want["fixed_satterthwaite"]["conditionaided"]
    assert result.ratio.value == pytest.approx(ratio["exp"], **close)
    assert [result.ratio.low, result.ratio.high] == pytest.approx(ratio["ci95_satterthwaite"], **close)
    assert result.ratio.p == pytest.approx(arm["p"], **close)
    assert result.df == pytest.approx(arm["df"], rel=1e-3)
    assert result.ratio.se == pytest.approx(ratio["exp"] * arm["se"], **close)
    names = dict(zip(want["fixed_satterthwaite"], ("intercept", "arm aided", "period 2", "sequence AU"), strict=True))
    for theirs, ours in names.items():
        value, got = want["fixed_satterthwaite"][theirs], result.fixed[ours]
        assert (got.value, got.se, got.p) == pytest.approx((value["estimate"], value["se"], value["p"]), **close)
    assert result.arms == ("aided", "unaided")


def test_simple_summaries_equal_r():
    want, summary = CASES["simple_summaries"]["expected"], reading_time_ratio(SECONDS, **COLUMNS).summary
    close = tolerances(CASES["simple_summaries"])
    for name in ("geometric_mean", "median", "mean"):
        assert getattr(summary, name) == pytest.approx(want[name], **close)
    assert summary.n_pairs == want["n_pairs"]
    assert summary.mean_log_ratio == pytest.approx(want["mean_log_ratio"], **close)
    got, test = summary.reader_means, want["reader_paired_t"]
    assert (got.value, got.t, got.df, got.p) == pytest.approx(
        (test["estimate"], test["t"], test["df"], test["p"]), **close
    )
    assert [got.low, got.high] == pytest.approx(test["ci95"], **close)


def test_by_hand_three_readers_two_cases():
    # Balanced: the ratio is that of the geometric means, and p is that of the paired t test on readers' means.
    seconds = np.array([30.0, 24, 41, 37, 52, 50, 36, 27, 47, 39, 66, 52])
    result = reading_time_ratio(
        seconds, arm=["unaided", "aided"] * 6, reader=[1, 1, 2, 2, 3, 3] * 2, case=["a"] * 6 + ["b"] * 6
    )
    per_reader = [
        (log(24 / 30) + log(27 / 36)) / 2,
        (log(37 / 41) + log(39 / 47)) / 2,
        (log(50 / 52) + log(52 / 66)) / 2,
    ]
    assert result.ratio.value == pytest.approx(exp(np.mean(per_reader)), rel=1e-9)
    assert result.geometric_mean["aided"] == pytest.approx((24 * 37 * 50 * 27 * 39 * 52) ** (1 / 6))
    assert result.df == pytest.approx(2, rel=1e-6) or "reader by arm" in result.ratio.note
    means = result.summary.reader_means
    assert means.p == pytest.approx(ttest_1samp(per_reader, 0).pvalue)


def simulated(rng, *, readers=6, cases=20, by_arm=0.15, effect=0.0):
    r, c, a = (z.ravel() for z in np.meshgrid(range(readers), range(cases), range(2), indexing="ij"))
    logs = 3.5 + effect * a + 0.3 * rng.normal(size=readers)[r] + by_arm * rng.normal(size=(readers, 2))[r, a]
    logs += 0.4 * rng.normal(size=cases)[c] + 0.3 * rng.normal(size=r.size)
    return np.exp(logs), {"arm": np.where(a, "aided", "unaided"), "reader": r, "case": c}


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_balanced_data_give_the_paired_t_test_on_reader_means(seed):
    seconds, columns = simulated(np.random.default_rng(seed))
    result = reading_time_ratio(seconds, **columns)
    if not result.ratio.note:  # no variance estimated as 0, which would pool readers with readers by arm or with reads
        assert result.ratio.p == pytest.approx(result.summary.reader_means.p, rel=1e-5)
        assert result.df == pytest.approx(5, rel=1e-5)


@pytest.mark.slow
@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_names_swapped_invert_the_ratio_and_units_do_not_matter(seed):
    seconds, columns = simulated(np.random.default_rng(seed), effect=-0.2)
    keep = np.random.default_rng(seed + 1).random(seconds.size) < 0.7
    seconds, columns = seconds[keep], {key: value[keep] for key, value in columns.items()}
    one = reading_time_ratio(seconds, **columns).ratio
    swapped = np.where(columns["arm"] == "aided", "unaided", "aided")
    two = reading_time_ratio(seconds, **(columns | {"arm": swapped})).ratio
    assert (two.value, two.low, two.high, two.p) == pytest.approx(
        (1 / one.value, 1 / one.high, 1 / one.low, one.p), rel=1e-5
    )
    minutes = reading_time_ratio(seconds / 60, **columns).ratio
    assert (minutes.value, minutes.low, minutes.p) == pytest.approx((one.value, one.low, one.p), rel=1e-5)


def test_truth_gives_a_ratio_for_absent_and_for_present_cases():
    result = reading_time_ratio(SECONDS, **COLUMNS, truth=TRUTH)
    want = CASES["lmm_interaction_truth"]["expected"]
    # The estimates are those of the reference (the design is nearly balanced); the errors count readers.
    assert result.ratio.value == pytest.approx(want["ratio_aided_over_unaided"]["exp"], rel=1e-3)
    joint = want["fixed_satterthwaite"]["conditionaided:truth"]
    assert log(result.ratio_of_ratios.value) == pytest.approx(joint["estimate"], rel=1e-2)
    assert result.ratio_present.value == pytest.approx(result.ratio.value * result.ratio_of_ratios.value)
    assert result.ratio.p > want["fixed_satterthwaite"]["conditionaided"]["p"]
    assert {"reader by arm", "reader by truth", "reader by arm by truth"} < set(result.components)


@pytest.mark.slow
def test_without_reader_by_arm_the_p_value_is_far_too_small():
    """No effect, readers who differ in how they take to the aid: the share of p < 0.05 among 400 studies."""
    rng, rejected, covered = np.random.default_rng(20261125), np.zeros(3), 0
    for _ in range(400):
        seconds, columns = simulated(rng, readers=8, cases=40, by_arm=0.1)
        whole = reading_time_ratio(seconds, **columns)
        fixed = {"arm": (columns["arm"] == "aided") * 1.0}
        without = mixed_model(np.log(seconds), fixed, {key: columns[key] for key in ("reader", "case")})
        p = [whole.ratio.p, whole.summary.reader_means.p, without.contrast({"arm": 1.0}).p]
        rejected += np.array(p) < 0.05
        covered += whole.ratio.low <= 1 <= whole.ratio.high
    share = rejected / 400
    assert share[0] < 0.08  # 0.05 and 2.7 standard errors
    assert share[1] < 0.08
    assert share[2] > 0.3
    assert covered / 400 > 0.92


def test_bad_input_is_said():
    seconds, columns = simulated(np.random.default_rng(0), readers=3, cases=4)
    for wrong, words in (
        (0.0, "times above 0"),
        (-3.0, "read 5: -3"),
        (np.nan, "1 NaN"),
        (np.inf, "1 NaN or infinite"),
    ):
        spoilt = seconds.copy()
        spoilt[5] = wrong
        with pytest.raises(InputError, match=words):
            reading_time_ratio(spoilt, **columns)
    with pytest.raises(InputError, match="two arms; found aided"):
        reading_time_ratio(seconds, **(columns | {"arm": np.full(seconds.size, "aided")}))
    three = columns["arm"].astype("U20")
    three[0] = "aided:score+map"
    with pytest.raises(InputError, match="two at a time"):
        reading_time_ratio(seconds, **(columns | {"arm": three}))
    with pytest.raises(InputError, match="period"):
        reading_time_ratio(seconds, **columns, period=columns["arm"] == "aided")
    with pytest.raises(InputError, match="one value for each"):
        reading_time_ratio(seconds, **columns, truth=[True])
    with pytest.raises(InputError, match="one label for each"):
        reading_time_ratio(seconds[1:], **columns)


def test_too_few_readers_leave_nan_with_a_note():
    seconds, columns = simulated(np.random.default_rng(0), readers=3, cases=4)
    one = columns["reader"] == 0
    result = reading_time_ratio(seconds[one], **{key: value[one] for key, value in columns.items()})
    assert isnan(result.ratio.value)
    assert isnan(result.ratio.p)
    assert "only one reader" in result.ratio.note
    assert result.geometric_mean["aided"] > 0
    assert isnan(result.summary.reader_means.p)
    # Readers 1 and 2 read in one arm only
    keep = one | (columns["arm"] == "aided")
    result = reading_time_ratio(seconds[keep], **{key: value[keep] for key, value in columns.items()})
    assert "1 reader read in both arms" in result.ratio.note
    assert isnan(result.ratio.value)
    # Reader 2 alone in one arm only: the others carry the comparison
    keep = (columns["reader"] != 2) | (columns["arm"] == "aided")
    result = reading_time_ratio(seconds[keep], **{key: value[keep] for key, value in columns.items()})
    assert result.ratio.low < result.ratio.value < result.ratio.high
    assert result.summary.reader_means.df == 1


def test_cases_read_once_are_part_of_the_residual():
    seconds, columns = simulated(np.random.default_rng(4), readers=8, cases=10)
    result = reading_time_ratio(seconds, **(columns | {"case": np.arange(seconds.size)}))
    assert codes.note("in_residual", factor="case").codes[0] in result.ratio.note.codes
    assert "case" not in result.components
    aided = (columns["arm"] == "aided") * 1.0
    groups = {"reader": columns["reader"], "both": 2 * columns["reader"] + aided}
    assert result.ratio.p == pytest.approx(mixed_model(np.log(seconds), {"arm": aided}, groups).contrast({"arm": 1}).p)


def test_other_names_of_arms():
    seconds, columns = simulated(np.random.default_rng(0))
    other = np.where(columns["arm"] == "aided", "aided:score+map", "aided:score")
    result = reading_time_ratio(seconds, **(columns | {"arm": other}))
    assert result.arms == ("aided:score+map", "aided:score")
    assert result.ratio.value == pytest.approx(reading_time_ratio(seconds, **columns).ratio.value, rel=1e-9)
    assert t.sf(abs(result.fixed["arm aided:score+map"].t), result.df) * 2 == pytest.approx(result.ratio.p)
