"""Signed differences and ratios of two groups, and their contrasts between models."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from overread import codes
from overread import evaluation as ev
from overread.errors import InputError
from overread.evaluation.context.auc_terms import AucTerm
from overread.evaluation.context.estimate_rows import Counts
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.subgroups.case_groups import GroupPair
from overread.evaluation.subgroups.group_differences import GroupTerms, ratio_estimate, signed_estimate
from overread.stats import roc

PAIR = GroupPair("sex", "F", "M", True)
SPEC90 = "operating_point=spec90"


def rate(hits, first, extra=0.0):
    """The term of a rate of independent patients, one case each: influence (hit - rate) / n times n / (n - 1)."""
    hit = np.asarray(hits, float)
    n = hit.size
    influence = (hit - hit.mean()) / n * sqrt(n / (n - 1))
    return AucTerm(float(hit.mean()), np.arange(first, first + n), influence, Counts(n, 0, n, 0, n), unseen=extra)


def test_difference_and_ratio_of_two_rates_are_those_by_hand():
    """8 of 10 and 15 of 30: variances 0.8 x 0.2 / 9 and 0.5 x 0.5 / 29."""
    terms = GroupTerms(rate([1] * 8 + [0] * 2, 0), rate([1] * 15 + [0] * 15, 10))
    found = signed_estimate(terms.named(PAIR), terms.signed(), 40, confidence=0.95)
    se = sqrt(0.16 / 9 + 0.25 / 29)
    assert (found.value, found.se) == pytest.approx((0.3, se))
    assert (found.low, found.high) == pytest.approx((0.3 - 1.959964 * se, 0.3 + 1.959964 * se), abs=1e-6)
    assert found.p == pytest.approx(2 * norm.sf(0.3 / se))
    ratio = ratio_estimate(PAIR, terms, 40, confidence=0.95)
    spread = 1.959964 * sqrt(0.16 / 9 / 0.64 + 0.25 / 29 / 0.25)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((1.6, 1.6 * exp(-spread), 1.6 * exp(spread)), abs=1e-6)
    assert np.isnan(ratio.p)


hits = st.lists(st.booleans(), min_size=3, max_size=30).filter(lambda h: 0 < sum(h) < len(h))


@given(hits, hits)
def test_exchange_of_the_groups_flips_the_difference_and_inverts_the_ratio(a, b):
    n = len(a) + len(b)
    terms = GroupTerms(rate(a, 0), rate(b, len(a)))
    back, pair = GroupTerms(terms.reference, terms.level), GroupPair("sex", "M", "F", True)
    one = signed_estimate(terms.named(PAIR), terms.signed(), n, confidence=0.9)
    other = signed_estimate(back.named(pair), back.signed(), n, confidence=0.9)
    assert (one.value, one.low, one.high, one.p) == pytest.approx((-other.value, -other.high, -other.low, other.p))
    ratio, inverse = (ratio_estimate(p, t, n, confidence=0.9) for p, t in ((PAIR, terms), (pair, back)))
    expected = (1 / inverse.value, 1 / inverse.high, 1 / inverse.low)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx(expected)


def test_a_ratio_to_zero_is_not_estimable_and_a_ratio_of_zero_has_no_interval():
    zero, half = rate([0] * 6, 0, 0.02), rate([1, 0] * 4, 6)
    none = ratio_estimate(PAIR, GroupTerms(half, zero), 14, confidence=0.95)
    assert np.isnan(none.value)
    assert none.note == "NE: the value in M is 0"
    of_zero = ratio_estimate(PAIR, GroupTerms(zero, half), 14, confidence=0.95)
    assert of_zero.value == 0
    assert np.isnan(of_zero.low)
    assert of_zero.note == "no CI: the value in F is 0"


def test_a_group_without_estimate_or_variance_leaves_no_interval():
    few = codes.note("few_patients_rate", n=3, outcome="with the finding", least=20)
    none = GroupTerms(few, rate([1, 0, 1], 0))
    found = signed_estimate(none.named(PAIR), none.signed(), 3, confidence=0.95)
    assert np.isnan(found.value)
    assert found.note == "NE: F: too few patients: 3 with the finding (20 required)"
    sure = GroupTerms(rate([1, 1, 1], 0), rate([1, 0, 1], 3))
    found = signed_estimate(sure.named(PAIR), sure.signed(), 6, confidence=0.95)
    assert found.value == pytest.approx(1 / 3)
    assert np.isnan([found.low, found.p]).all()
    assert found.note == "no CI: F: no variation observed"


def one(frame, **equals):
    found = frame.filter(**equals)
    assert found.height == 1, (equals, found.height)
    return found.row(0, named=True)


@pytest.fixture(scope="module")
def two(made):
    m = made(raters={"acme": 1.5, "beta": 1.0}, sites={"": 250}, findings=("edema", "mass"))
    config = EvaluationConfig(replicates=100, subgroups=("sex", "view", "age_band"))
    return m, ev.evaluate(m.images, m.labels, m.predictions, config, rng=np.random.default_rng(1)).estimates


def cases(m, rater, finding="edema"):
    frame = m.predictions.filter(finding=finding, model=rater).join(
        m.labels.filter(finding=finding).select("case_id", "state"), left_on="image_id", right_on="case_id"
    )
    return frame.join(m.images, on="image_id").sort("image_id").with_columns(truth=pl.col("state") == "present")


@pytest.mark.slow
def test_the_contrast_between_models_agrees_with_a_bootstrap_of_patients(two):
    """Most patients are in both groups of `view`, and all are scored by both models."""
    m, e = two
    row = one(e, metric="auc_difference_contrast", finding="edema", subgroup="view", rater="acme")
    assert (row["level"], row["contrast"]) == ("AP − PA", "rater:beta")
    signed = [one(e, metric="auc_difference", finding="edema", subgroup="view", analysis="subgroups", rater=r)
              for r in ("acme", "beta")]  # fmt: skip
    assert row["estimate"] == pytest.approx(signed[0]["estimate"] - signed[1]["estimate"])
    frames = [cases(m, r) for r in ("acme", "beta")]
    truth, view = frames[0]["truth"].to_numpy(), frames[0]["view"].cast(pl.String).to_numpy() == "AP"
    patient = np.unique(frames[0]["patient_id"].to_numpy(), return_inverse=True)[1]
    order = [np.flatnonzero(patient == i) for i in range(patient.max() + 1)]
    rng, draws = np.random.default_rng(5), []
    for _ in range(1000):
        index = np.concatenate([order[i] for i in rng.integers(0, len(order), len(order))])
        y, ap = truth[index], view[index]
        areas = [[roc.influence(y[g], f["score"].to_numpy()[index][g])[0] for g in (ap, ~ap)] for f in frames]
        draws.append([areas[0][0] - areas[0][1] - areas[1][0] + areas[1][1], areas[0][0] - areas[0][1],
                      log(areas[0][0] / areas[0][1])])  # fmt: skip
    spread = np.std(draws, axis=0, ddof=1)
    ratio = one(e, metric="auc_ratio", finding="edema", subgroup="view", rater="acme")
    assert [row["se"], signed[0]["se"], ratio["se"] / ratio["estimate"]] == pytest.approx(spread, rel=0.08)


@pytest.mark.slow
def test_without_named_groups_columns_of_two_levels_are_compared_in_their_order(two):
    _, e = two
    rows = e.filter(
        pl.col("contrast").str.starts_with("level:"), metric="auc_difference", finding="(mean)", rater="acme"
    )
    found = rows.select("subgroup", "level", "contrast").rows()
    assert found == [("sex", "F", "level:M"), ("view", "AP", "level:PA")]
    assert all("no groups were named" in note for note in rows["note"])
    assert rows["family"].unique().to_list() == [
        "AUC difference between two groups, acme, internal, mean over findings: 2 tests"
    ]
    gap = one(e, metric="gap_auc", finding="(mean)", subgroup="sex", rater="acme")
    assert abs(rows["estimate"][0]) == pytest.approx(gap["estimate"])
    assert rows["p"][0] == pytest.approx(gap["p"], rel=1e-6)


@pytest.mark.slow
def test_named_groups_replace_the_default_and_a_baseline_model_is_subtracted(made):
    m = made(raters={"acme": 1.5, "beta": 1.0, "gamma": 0.8}, sites={"": 200}, findings=("edema",))
    config = EvaluationConfig(
        replicates=100,
        group_differences=("age_band: 60-79 - 18-39",),
        baseline_model="beta",
        subgroups=("age_band",),
    )
    e = ev.evaluate(m.images, m.labels, m.predictions, config, rng=np.random.default_rng(1)).estimates
    rows = e.filter(metric="auc_difference_contrast", finding="edema")
    assert rows.select("rater", "contrast", "level").rows() == [
        ("acme", "rater:beta", "60-79 − 18-39"),
        ("gamma", "rater:beta", "60-79 − 18-39"),
    ]
    assert all("compared with the baseline model beta" in note for note in rows["note"])


def test_models_are_compared_in_the_order_in_which_they_were_given(made):
    m = made(raters={"acme": 1.5, "beta": 1.0}, sites={"": 60}, findings=("edema",))
    given = pl.concat([m.predictions.filter(model=r) for r in ("beta", "acme")])
    config = EvaluationConfig(replicates=100, subgroups=("sex",), minimum_present=5, minimum_absent=5)
    e = ev.evaluate(m.images, m.labels, given, config, rng=np.random.default_rng(1)).estimates
    pairs = e.filter(pl.col("contrast").is_in(["rater:acme", "rater:beta"])).select("rater", "contrast")
    assert set(pairs.rows()) == {("beta", "rater:acme")}
    assert set(e.filter(pl.col("metric").is_in(["auc_difference", "auc_difference_contrast"]))["analysis"]) == {
        "comparison",
        "subgroups",
    }


def test_levels_and_models_that_do_not_exist_are_refused_together(made):
    m = made(sites={"": 40}, findings=("edema",))
    config = EvaluationConfig(replicates=100, group_differences=("view: APP - PA",), baseline_model="acne")
    with pytest.raises(InputError, match=r"levels of view in the evaluated cases: AP, PA") as error:
        ev.evaluate(m.images, m.labels, m.predictions, config, rng=np.random.default_rng(1))
    assert "Did you mean 'acme'?" in str(error.value)
    with pytest.raises(InputError, match="Did you mean 'sex'"):
        EvaluationConfig(group_differences=("sexx: F - M",))
    with pytest.raises(InputError, match="two different levels"):
        EvaluationConfig(group_differences=("sex: F - F",))
    with pytest.raises(InputError, match="each pair of levels once"):
        EvaluationConfig(group_differences=("sex: F - M", "sex: M - F"))


@pytest.mark.slow
def test_unknown_is_no_group_and_a_column_of_one_level_no_subgroup(made):
    m = made(sites={"": 150}, findings=("edema",))
    images = m.images.with_columns(
        view=pl.lit("UNKNOWN"),
        scanner=pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("unknown")).otherwise(pl.lit("A")),
    )
    config = EvaluationConfig(replicates=100, subgroups=("sex", "view", "scanner"))
    found = ev.evaluate(images, m.labels, m.predictions, config, rng=np.random.default_rng(1))
    assert set(found.estimates.filter(analysis="subgroups")["subgroup"]) == {"", "sex"}
    said = dict(found.account.filter(stage="subgroups").select("reason", "count").rows())
    assert said["no value of view: in none of its groups"] == 300
    assert said["no value of scanner: in none of its groups"] == 100
    assert said["scanner is A in all cases of internal in which it is known: no subgroups"] == 200
