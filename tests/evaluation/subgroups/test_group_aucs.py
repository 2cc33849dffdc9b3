"""Groups of cases: numbers in each, gaps between them with an interval that knows they were chosen, under-diagnosis."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from overread import evaluation as ev
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.stats import roc
from overread.stats.multiplicity import holm
from overread.stats.roc.influence_values import influence_covariance
from overread.stats.simultaneous import largest_gap

pytestmark = pytest.mark.slow

SPEC90 = "operating_point=spec90"


def run(m, images=None, labels=None, models=None, **options):
    config = EvaluationConfig(**({"replicates": 100} | options))
    frames = (m.images if images is None else images, m.labels if labels is None else labels, m.predictions)
    return ev.evaluate(*frames, config, rng=np.random.default_rng(1), models=models).estimates.filter(
        analysis="subgroups"
    )


def cases(m, finding="edema", rater="acme"):
    """Image, truth, score and columns of every case of a finding, in one frame."""
    frame = m.predictions.filter(finding=finding, model=rater).join(
        m.labels.filter(finding=finding).select("case_id", "state"), left_on="image_id", right_on="case_id"
    )
    frame = frame.join(m.images, on="image_id").sort("image_id")
    return frame.with_columns(truth=pl.col("state") == "present")


def one(frame, **equals):
    found = frame.filter(**equals)
    assert found.height == 1, (equals, found.height)
    return found.row(0, named=True)


@pytest.fixture(scope="module")
def single(made):
    m = made(raters={"acme": 1.5}, sites={"": 250}, findings=("edema", "mass", "nodule"))
    return m, run(m, subgroups=("sex", "view"), subgroup_intersections=(("sex", "view"),))


def by_hand(frame, column):
    """AUC of every level and their joint covariance, from the influence of every case and the sum over patients."""
    levels = frame[column].cast(pl.String).unique().sort().to_list()
    values, rows = [], np.zeros((len(levels), frame.height))
    for row, level in zip(rows, levels, strict=True):
        mask = (frame[column].cast(pl.String) == level).to_numpy()
        part = frame.filter(mask)
        value, row[mask] = roc.influence(part["truth"], part["score"], cluster=part["patient_id"].to_numpy())
        values.append(value)
    return levels, np.array(values), influence_covariance(rows, cluster=frame["patient_id"].to_numpy())


@pytest.mark.parametrize("column", ["sex", "view"])
def test_the_gap_is_that_of_the_joint_clustered_covariance(single, column):
    """By view most patients are in both groups, by sex none."""
    m, e = single
    levels, values, joint = by_hand(cases(m), column)
    expected = largest_gap(values, joint)
    row = one(e, metric="gap_auc", finding="edema", subgroup=column)
    assert (row["level"], row["contrast"]) == (levels[expected.best], f"level:{levels[expected.worst]}")
    assert row["estimate"] == pytest.approx(expected.gap.value)
    assert (row["low"], row["high"], row["p"]) == pytest.approx(
        (expected.gap.low, expected.gap.high, expected.gap.p), rel=0.02, abs=1e-3
    )  # I/(I-1) of each group's own patients, against all of them here
    shown = [one(e, metric="auc", finding="edema", subgroup=column, level=level)["estimate"] for level in levels]
    assert shown == pytest.approx(values)


def test_a_group_is_reported_as_a_study_of_its_own(single):
    m, e = single
    women = cases(m).filter(sex="F")
    reference = roc.auc(women["truth"], women["score"], cluster=women["patient_id"].to_numpy())
    row = one(e, metric="auc", finding="edema", subgroup="sex", level="F")
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((reference.value, reference.low, reference.high))
    assert (row["n_cases"], row["n_patients"]) == (women.height, women["patient_id"].n_unique())


def test_columns_crossed_are_groups(single):
    m, e = single
    row = one(e, metric="auc", finding="mass", subgroup="sex × view", level="F × PA")
    part = cases(m, "mass").filter(sex="F", view="PA")
    assert row["estimate"] == pytest.approx(roc.auc(part["truth"], part["score"]).value)
    assert row["n_cases"] == part.height
    gap = one(e, metric="gap_auc", finding="mass", subgroup="sex × view")
    assert "between 4 groups: F × AP, F × PA, M × AP, M × PA" in gap["note"]


def test_columns_that_are_crossed_must_be_subgroups():
    with pytest.raises(InputError, match=r"pairs of two different columns.*sex and veiw.*Did you mean 'view'"):
        EvaluationConfig(subgroups=("sex", "view"), subgroup_intersections=(("sex", "veiw"),))
    with pytest.raises(InputError, match="sex and sex"):
        EvaluationConfig(subgroup_intersections=(("sex", "sex"),))


def test_the_mean_is_over_the_same_findings_in_every_group(made):
    """Few men have a nodule and one man in three is of age band 80+: the mean leaves the nodule out, and the band."""
    m = made(sites={"": 300}, findings=("edema", "mass", "nodule"), seed=3)
    men = m.images.filter(sex="M")["image_id"].to_list()
    rare = (pl.col("finding") == "nodule") & pl.col("case_id").is_in(men)
    labels = m.labels.with_columns(
        state=pl.when(rare).then(pl.lit("absent")).otherwise(pl.col("state").cast(pl.String))
    )
    e = run(m, labels=labels, subgroups=("sex", "age_band"), age_bands=(18, 90))
    means = e.filter(metric="auc", finding="(mean)", subgroup="sex")
    assert means["level"].to_list() == ["F", "M", "all"]
    assert all(n.startswith("mean over 2 findings: mass, edema") for n in means["note"])
    for level in ("F", "M"):
        single = [one(e, metric="auc", finding=f, subgroup="sex", level=level)["estimate"] for f in ("edema", "mass")]
        assert one(means, level=level)["estimate"] == pytest.approx(np.mean(single))
    gap = one(e, metric="gap_auc", finding="(mean)", subgroup="sex")
    assert gap["estimate"] == pytest.approx(abs(np.subtract(*means.filter(pl.col("level") != "all")["estimate"])))
    whole = [roc.auc(*cases(m, f).select("truth", "score").to_dict().values()).value for f in ("edema", "mass")]
    assert one(means, level="all")["estimate"] == pytest.approx(np.mean(whole))
    assert one(means, level="all")["n_patients"] == 300
    old = one(e, metric="auc", finding="(mean)", subgroup="age_band", level="90+")
    assert np.isnan(old["estimate"])
    assert old["note"] == "fewer than half of the findings are evaluable in this group, 0 of 3"
    assert "90+ excluded (fewer than half" in one(e, metric="gap_auc", finding="(mean)", subgroup="age_band")["note"]


def test_groups_too_small_say_their_counts_and_are_left_out(made):
    m = made(sites={"": 200})
    few = m.images["patient_id"].is_in([f"-{i}" for i in range(8)])
    old = m.images["patient_id"].is_in([f"-{i}" for i in range(100)])
    scanner = pl.when(few).then(pl.lit("new")).when(old).then(pl.lit("a")).otherwise(pl.lit("b"))
    e = run(m, images=m.images.with_columns(scanner=scanner), subgroups=("scanner",))
    row = one(e, metric="auc", finding="edema", level="new")
    part = cases(m).filter(pl.col("patient_id").is_in([f"-{i}" for i in range(8)]))
    ill, well = (part.filter(truth=t)["patient_id"].n_unique() for t in (True, False))
    assert np.isnan(row["estimate"])
    assert row["note"] == f"too few patients: {ill} with the finding and {well} without it (20 and 20 required)"
    assert row["n_patients"] == 8
    gap = one(e, metric="gap_auc", finding="edema")
    assert f"new excluded (too few patients: {ill} with the finding and {well} without it" in gap["note"]
    assert "between 2 groups: a, b" in gap["note"]
    rate = one(e, metric="sensitivity", at=SPEC90, finding="edema", level="new")
    assert np.isnan(rate["estimate"])
    assert rate["note"].startswith("too few patients: ")
    assert "with the finding (20 required)" in rate["note"]


def test_gaps_of_two_groups_are_the_tests_one_knows(single):
    """Two groups of different patients: p is that of z = difference / root of the sum of the variances."""
    _, e = single
    rates = e.filter(metric="specificity", at=SPEC90, finding="mass", subgroup="sex")
    gap = one(e, metric="gap_specificity", at=SPEC90, finding="mass", subgroup="sex")
    se = np.hypot(*rates["se"])
    assert gap["estimate"] == pytest.approx(abs(np.subtract(*rates["estimate"])))
    assert gap["p"] == pytest.approx(2 * norm.sf(gap["estimate"] / se), rel=1e-6)
    assert gap["high"] == pytest.approx(gap["estimate"] + norm.ppf(0.975) * se)
    assert gap["low"] == pytest.approx(max(0, gap["estimate"] - norm.ppf(0.975) * se))


def test_a_rate_of_one_is_not_taken_as_sure(made):
    """All 30 ill women are called ill: the variance of their rate is 31/32 * 1/32 / 30, not 0."""
    m = made(sites={"": 60}, per_patient=1, findings=("edema",))
    ill = np.arange(60) < 30
    sex = np.where(np.arange(60) % 2 == 0, "F", "M")
    score = np.where(ill, 0.9, 0.1)
    score[np.flatnonzero(ill & (sex == "M"))[:5]] = 0.2
    images = m.images.with_columns(sex=pl.Series(sex))
    labels = m.labels.with_columns(state=pl.Series(np.where(ill, "present", "absent")))
    predictions = m.predictions.with_columns(score=pl.Series(score))
    models = {"acme": {"operating_points": {"edema": {"spec90": {"threshold": 0.5}}}}}
    config = EvaluationConfig(replicates=100, subgroups=("sex",), minimum_present=5, minimum_absent=5)
    made_rows = ev.evaluate(images, labels, predictions, config, rng=np.random.default_rng(1), models=models).estimates
    gap = one(made_rows, metric="gap_sensitivity", finding="edema", subgroup="sex")
    men = 15 / 14 * (10 / 15) * (5 / 15) / 15
    women = (16 / 17) * (1 / 17) / 15
    assert gap["estimate"] == pytest.approx(5 / 15)
    assert gap["high"] == pytest.approx(5 / 15 + norm.ppf(0.975) * np.sqrt(men + women))


def test_families_are_named_and_adjusted_by_holm(single):
    _, e = single
    rows = e.filter(pl.col("finding") != "(mean)", metric="gap_auc")
    assert rows["family"].unique().to_list() == ["equal AUC in all groups, acme, internal, single findings: 9 tests"]
    assert rows["p_adjusted"].to_list() == pytest.approx(list(holm(rows["p"].to_numpy())))
    means = e.filter(finding="(mean)", metric="gap_sensitivity", at=SPEC90)
    assert means["family"].unique().to_list() == [
        "equal sensitivity at operating_point=spec90 in all groups, acme, internal, mean over findings: 3 tests"
    ]


def test_several_sites_are_compared_within(made):
    """A finding that is commoner at one site, whose scores are all higher there: telling the sites apart is no help."""
    m = made(raters={"acme": {"a": 1.0, "b": 1.0}}, sites={"a": 150, "b": 150}, findings=("edema",))
    lift = m.predictions.join(m.images.select("image_id", "site"), on="image_id")
    predictions = lift.with_columns(score=pl.col("score") / 3 + (pl.col("site") == "b") * 0.6).drop("site")
    config = EvaluationConfig(replicates=100, subgroups=("sex",))
    e = ev.evaluate(m.images, m.labels, predictions, config, rng=np.random.default_rng(1)).estimates
    part = cases(m).filter(sex="F")
    score = part["score"] / 3 + (part["site"] == "b") * 0.6
    expected = roc.stratified_auc(part["truth"], score, part["site"], cluster=part["patient_id"].to_numpy())
    row = one(e, analysis="subgroups", metric="auc", finding="edema", level="F")
    assert (row["estimate"], row["low"]) == pytest.approx((expected.value, expected.low))
    assert "pairs_within_strata" in row["method_code"]


def frozen(**thresholds):
    return {"acme": {"operating_points": {f: {"spec90": {"threshold": t}} for f, t in thresholds.items()}}}


def test_underdiagnosis_is_the_false_positives_of_no_finding(made):
    m = made(sites={"": 200}, findings=("edema", "no_finding"))
    e = run(m, models=frozen(edema=0.5, no_finding=0.4), subgroups=("sex",))
    part = cases(m, "no_finding").filter(truth=False)
    for level in ("F", "M"):
        mine = part.filter(sex=level)
        row = one(e, metric="underdiagnosis", subgroup="sex", level=level)
        assert row["finding"] == "no_finding"
        assert row["estimate"] == pytest.approx((mine["score"] >= 0.4).mean())
        assert (row["n_cases"], row["n_patients"]) == (mine.height, mine["patient_id"].n_unique())
        false_positive = 1 - one(e, metric="specificity", finding="no_finding", subgroup="sex", level=level)["estimate"]
        assert row["estimate"] == pytest.approx(false_positive)
    assert one(e, metric="underdiagnosis", subgroup="")["estimate"] == pytest.approx((part["score"] >= 0.4).mean())
    gap = one(e, metric="gap_underdiagnosis")
    shown = {r["level"]: r["estimate"] for r in e.filter(metric="underdiagnosis", subgroup="sex").to_dicts()}
    assert gap["level"] == max(shown, key=shown.get)
    assert gap["estimate"] == pytest.approx(max(shown.values()) - min(shown.values()))


def test_underdiagnosis_without_that_score_is_no_finding_called(made):
    m = made(sites={"": 200}, findings=("edema", "mass"))
    e = run(m, models=frozen(edema=0.5, mass=0.6), subgroups=("sex",))
    edema, mass = cases(m, "edema"), cases(m, "mass")
    ill = (edema["truth"] | mass["truth"]).to_numpy()
    missed = ((edema["score"] < 0.5) & (mass["score"] < 0.6)).to_numpy()
    row = one(e, metric="underdiagnosis", subgroup="")
    assert (row["finding"], row["n_cases"]) == ("", ill.sum())
    assert row["estimate"] == pytest.approx(missed[ill].mean())
    women = ill & (edema["sex"] == "F").to_numpy()
    assert one(e, metric="underdiagnosis", level="F")["estimate"] == pytest.approx(missed[women].mean())
