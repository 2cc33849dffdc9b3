"""Decisions without scores: points, never an AUC, a curve, calibration or net benefit; nothing is fitted for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from overread import evaluation as ev
from overread import tables
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.label_states import with_decisions
from overread.stats import rates

CONFIG = EvaluationConfig(replicates=100, subgroups=("sex",), minimum_present=5, minimum_absent=5)
RANKED = ("auc", "auc_difference", "sensitivity_at_specificity", "specificity_at_sensitivity", "brier", "net_benefit")


def run(images, labels, predictions, *, config=CONFIG, **more):
    return ev.evaluate(images, labels, predictions, config, rng=np.random.default_rng(0), **more)


def decided(predictions: pl.DataFrame, models: tuple[str, ...], finding: str = "") -> pl.DataFrame:
    """The predictions with the scores of these models (of one finding, if given) as decisions at 0.5."""
    mine = pl.col("model").is_in(models) & ((pl.col("finding") == finding) if finding else pl.lit(True))
    call = (pl.col("score") >= 0.5).cast(pl.Float64)
    return predictions.with_columns(pl.when(mine).then(call).otherwise("score").alias("score"))


@pytest.fixture(scope="module")
def study(made):
    m = made(raters={"acme": 1.5, "beta": 1.0, "gamma": 1.2}, sites={"a": 80}, seed=2)
    return m, run(m.images, m.labels, decided(m.predictions, ("acme", "beta")))


def by_hand(m, rater, finding):
    """Truth, call and patient of every case."""
    frame = m.predictions.filter(finding=finding, model=rater).join(
        m.labels.filter(finding=finding), left_on="image_id", right_on="case_id"
    )
    frame = frame.join(m.images, on="image_id").sort("image_id")
    return (frame["state"] == "present").to_numpy(), frame["score"].to_numpy() >= 0.5, frame["patient_id"].to_numpy()


def test_the_rates_of_decisions_are_those_counted_by_hand_on_every_case(study):
    m, evidence = study
    truth, call, _ = by_hand(m, "acme", "edema")
    rows = evidence.estimates.filter(analysis="standalone", rater="acme", finding="edema", at="decision")
    found = dict(rows.select("metric", "estimate").rows())
    assert found["sensitivity"] == call[truth].mean()
    assert found["specificity"] == (~call[~truth]).mean()
    assert found["ppv"] == truth[call].mean()
    assert found["npv"] == (~truth[~call]).mean()
    assert found["f1"] == pytest.approx(2 * (call & truth).sum() / (call.sum() + truth.sum()))
    assert "threshold" not in found
    assert set(rows["n_cases"]) == {160}
    assert rows["note"].str.contains("decisions as given, without scores").all()


def test_decisions_have_no_auc_curve_calibration_or_net_benefit(study):
    _, evidence = study
    mine = evidence.estimates.filter(pl.col("rater").is_in(["acme", "beta"]))
    assert not set(mine["metric"]) & set(RANKED)
    assert not mine["at"].str.contains("recalibration|operating_point").any()
    assert set(evidence.curves["rater"]) == {"gamma"}
    other = evidence.estimates.filter(rater="gamma")
    assert set(RANKED) - {"auc_difference"} <= set(other["metric"])
    joined = evidence.joined.filter(rater="acme")
    assert joined["score"].null_count() == joined.height
    assert joined["call"].null_count() == 0
    assert evidence.joined.filter(rater="gamma")["score"].null_count() == 0


def test_the_account_says_why_in_one_line(study):
    _, evidence = study
    lines = evidence.account.filter(unit="models")
    assert lines.select("count", "examples").rows() == [(2, "acme; beta")]
    assert "no AUC, ROC curve, calibration or net benefit" in lines["reason"].item()


def test_patients_are_not_halved_because_of_decisions(made):
    m = made(raters={"acme": 1.5, "beta": 1.0}, sites={"a": 40})
    evidence = run(m.images, m.labels, decided(m.predictions, ("acme", "beta")))
    assert evidence.tuning_patients == ()
    assert "Thresholds of acme: decisions as given, without scores." in evidence.notes


def test_decisions_of_two_raters_are_compared_in_pairs(study):
    m, evidence = study
    (truth, one, patient), (_, other, _) = (by_hand(m, r, "mass") for r in ("acme", "beta"))
    wanted = rates.paired_difference(truth, one, other, cluster=patient)
    rows = evidence.estimates.filter(analysis="comparison", at="decision")
    assert set(rows.select("rater", "contrast").rows()) == {("acme", "rater:beta")}
    assert rows.height == 4  # two findings, two rates
    for metric, estimate in (
        ("sensitivity_difference", wanted.sensitivity),
        ("specificity_difference", wanted.specificity),
    ):
        row = rows.filter(metric=metric, finding="mass").row(0, named=True)
        assert (row["estimate"], row["low"], row["high"], row["p"]) == (
            estimate.value,
            estimate.low,
            estimate.high,
            estimate.p,
        )
    assert set(rows["family"]) == {"decisions of acme against beta, internal: 4 tests"}
    assert (rows["p_adjusted"] >= rows["p"]).all()


def test_decisions_are_compared_with_the_given_threshold_of_another_model(made):
    m = made(raters={"acme": 1.5, "beta": 1.0, "gamma": 1.2}, sites={"a": 80}, seed=2)
    points = [("beta", "mass", "low", 0.3), ("beta", "mass", "high", 0.5), ("beta", "edema", "high", 0.5)]
    given = pl.DataFrame(points, schema=["model", "finding", "name", "threshold"], orient="row")
    evidence = run(m.images, m.labels, decided(m.predictions, ("acme",), "mass"), thresholds=given)
    rows = evidence.estimates.filter(analysis="comparison").filter(pl.col("metric") != "auc_difference")
    assert set(
        rows.select("rater", "contrast", "finding", "at").rows()
    ) == {  # edema has scores in both, gamma no point
        ("acme", "rater:beta", "mass", "operating_point=low"),
        ("acme", "rater:beta", "mass", "operating_point=high"),
    }
    (truth, one, patient), (_, other, _) = (by_hand(m, r, "mass") for r in ("acme", "beta"))
    wanted = rates.paired_difference(truth, one, other, cluster=patient)
    found = rows.filter(at="operating_point=high", metric="sensitivity_difference").row(0, named=True)
    assert (found["estimate"], found["low"], found["p"]) == (
        wanted.sensitivity.value,
        wanted.sensitivity.low,
        wanted.sensitivity.p,
    )
    assert "threshold given in a table of thresholds" in found["note"]
    assert set(rows["family"]) == {"decisions of acme against beta, internal: 4 tests"}


def test_one_case_per_patient_is_compared_by_mcnemar(made):
    m = made(raters={"acme": 1.5, "beta": 1.0}, sites={"a": 120}, per_patient=1)
    rows = run(m.images, m.labels, decided(m.predictions, ("acme", "beta"))).estimates
    (truth, one, _), (_, other, _) = (by_hand(m, r, "edema") for r in ("acme", "beta"))
    only_a, only_b = (truth & one & ~other).sum(), (truth & ~one & other).sum()
    row = rows.filter(analysis="comparison", metric="sensitivity_difference", finding="edema").row(0, named=True)
    assert row["estimate"] == (only_a - only_b) / truth.sum()
    chi = (only_a - only_b) ** 2 / (only_a + only_b)
    assert row["p"] == pytest.approx(float(np.exp(_log_chi2_sf(chi))), rel=1e-9)
    assert row["method"] == "Tango score interval"


def _log_chi2_sf(value: float) -> float:
    from scipy.stats import chi2

    return float(chi2.logsf(value, 1))


def test_weighted_decisions_are_compared_with_weighted_rates(made):
    m = made(raters={"acme": 1.5, "beta": 1.0}, sites={"a": 100})
    weight = np.where(np.arange(m.images.height) % 4 < 2, 3.0, 1.0)
    images = tables.check(m.images.with_columns(pl.Series("weight", weight)), "images")
    rows = run(images, m.labels, decided(m.predictions, ("acme", "beta"))).estimates
    (truth, one, _), (_, other, _) = (by_hand(m, r, "edema") for r in ("acme", "beta"))
    value = np.average(one[truth], weights=weight[truth]) - np.average(other[truth], weights=weight[truth])
    row = rows.filter(analysis="comparison", metric="sensitivity_difference", finding="edema").row(0, named=True)
    assert row["estimate"] == pytest.approx(value, abs=1e-12)
    assert row["low"] < value < row["high"]


def test_subgroups_of_decisions_have_rates_and_gaps(study):
    m, evidence = study
    rows = evidence.estimates.filter(analysis="subgroups", rater="acme", subgroup="sex", finding="edema")
    truth, call, _ = by_hand(m, "acme", "edema")
    sex = m.images.sort("image_id")["sex"].cast(pl.String).to_numpy()
    for level in ("F", "M"):
        found = rows.filter(metric="sensitivity", at="decision", level=level, contrast="")
        assert found["estimate"].item() == call[truth & (sex == level)].mean()
    assert rows.filter(metric="gap_sensitivity", at="decision").height == 1
    assert not set(rows["metric"]) & {"auc", "gap_auc"}


def test_one_finding_of_two_values_is_a_decision_and_the_others_stay_scores(made):
    m = made(raters={"acme": 1.5}, sites={"a": 80})
    evidence = run(m.images, m.labels, decided(m.predictions, ("acme",), "edema"))
    rows = evidence.estimates.filter(analysis="standalone")
    refused = rows.filter(metric="auc", finding="edema", at="").row(0, named=True)
    assert np.isnan(refused["estimate"])
    assert "scores with two values only are decisions" in refused["note"]
    assert rows.filter(metric="sensitivity", finding="edema", at="decision")["n_cases"].item() == 160
    assert rows.filter(metric="auc", finding="mass")["estimate"].item() > 0.7
    assert rows.filter(metric="auc", finding="(mean)")["note"].item().startswith("mean over 1 finding: mass")
    assert (
        rows.filter(metric="auc", finding="(mean)")["note"]
        .item()
        .endswith("decisions without scores, which have no AUC: edema")
    )
    line = evidence.account.filter(pl.col("reason").str.starts_with("scores of acme with two values only"))
    assert line["examples"].to_list() == ["edema"]


def test_two_values_on_another_scale_are_the_same_decisions_and_counted(made):
    m = made(raters={"acme": 1.5, "beta": 1.0}, sites={"a": 80})
    called = decided(m.predictions, ("acme",), "edema")
    mine = pl.col("model").eq("acme") & pl.col("finding").eq("edema")
    words = pl.when(mine).then(0.2 + 0.7 * pl.col("score")).otherwise("score")
    wanted, found = (run(m.images, m.labels, p) for p in (called, called.with_columns(words.alias("score"))))
    assert found.estimates.equals(wanted.estimates)
    line = found.account.filter(pl.col("reason_code").str.starts_with("two_values_recoded"))
    assert line.select("unit", "count", "examples").rows() == [("findings", 1, "edema (0.2, 0.9)")]
    assert "decisions on another scale, the higher value is a call of present" in line["reason"].item()
    assert not wanted.account["reason_code"].str.contains("two_values_recoded").any()
    mean = found.estimates.filter(analysis="standalone", metric="auc", finding="(mean)", rater="acme")
    assert mean["note"].item().startswith("mean over 1 finding: mass")
    difference = found.estimates.filter(metric="auc_difference", analysis="comparison")
    assert set(difference["finding"]) == {"mass", "(mean)"}


def test_few_scores_with_two_values_are_no_decisions():
    ids = [f"{i}" for i in range(9)]
    few = pl.DataFrame({"case_id": ids, "finding": "mass", "model": "m", "shift": "none", "score": [0.2, 0.9, 0.9] * 3})
    dropped = []
    assert with_decisions(tables.Checked(few), dropped).equals(few)
    assert dropped == []
    more = pl.concat([few, few.head(1).with_columns(case_id=pl.lit("9"))])
    assert with_decisions(tables.Checked(more), dropped)["score"].to_list() == [0.0, 1.0, 1.0] * 3 + [0.0]
    assert [(d.count, d.examples) for d in dropped] == [(1, "mass (0.2, 0.9)")]


def test_a_case_of_several_images_is_called_present_if_one_image_is():
    ids = [f"{i:03d}" for i in range(80)]
    image = [f"{i}-{k}" for i in ids for k in (0, 1)]
    case = [i for i in ids for _ in (0, 1)]
    images = tables.check(pl.DataFrame({"image_id": image, "case_id": case, "patient_id": case, "site": "a"}), "images")
    state = ["present", "absent"] * 40
    labels = pl.DataFrame({"case_id": ids, "finding": "mass", "source": "x", "state": state})
    called = [0.0, 1.0, 0.0, 0.0] * 40  # one image of every case with the finding
    predictions = pl.DataFrame({"image_id": image, "finding": "mass", "model": "m", "score": called})
    rows = run(images, labels, predictions, config=EvaluationConfig(replicates=100, subgroups=())).estimates
    rows = rows.filter(at="decision", analysis="standalone", finding="mass")
    assert rows.filter(metric="sensitivity")["estimate"].item() == 1.0
    assert rows.filter(metric="specificity")["estimate"].item() == 1.0
    assert set(rows["policy"]) == {"case_score=max;uncertain=ignore"}


def test_a_threshold_for_decisions_is_refused(made):
    m = made(sites={"a": 40})
    given = pl.DataFrame({"model": ["acme"], "finding": ["mass"], "name": ["x"], "threshold": [0.5]})
    with pytest.raises(InputError, match=r"decisions \(two values only\) for 1 of them \(acme mass\)"):
        run(m.images, m.labels, decided(m.predictions, ("acme",)), thresholds=given)


def test_uncertain_labels_leave_decisions_points_only(made):
    m = made(raters={"acme": 1.5, "beta": 1.1}, sites={"a": 60})
    state = (
        pl.when(pl.int_range(pl.len()) % 9 == 0).then(pl.lit("uncertain")).otherwise(pl.col("state").cast(pl.String))
    )
    labels = tables.check(m.labels.with_columns(state.alias("state")), "labels")
    rows = run(m.images, labels, decided(m.predictions, ("acme",))).estimates.filter(analysis="policies")
    mine = rows.filter(rater="acme")
    assert set(mine["at"]) == {"decision"}
    assert "auc" not in set(mine["metric"])
    assert {"sensitivity", "sensitivity_difference"} <= set(mine["metric"])


def test_decisions_beside_readers_are_points(made):
    m = made(raters={"acme": 1.5, "beta": 1.0}, findings=("mass",), sites={"a": 60}, per_patient=1)
    rng = np.random.default_rng(4)
    present = (m.labels["state"] == "present").to_numpy()
    reads = []
    for reader in ("r1", "r2", "r3"):
        call = np.where(rng.random(60) < 0.8, present, ~present)
        made_reads = {"reader": reader, "case_id": m.labels["case_id"], "finding": "mass", "arm": "unaided", "round": 1}
        reads.append(pl.DataFrame(made_reads | {"call": np.where(call, "present", "absent")}))
    evidence = run(m.images, m.labels, decided(m.predictions, ("acme",)), reads=pl.concat(reads))
    rows = evidence.estimates.filter(pl.col("analysis").is_in(["readers", "agreement", "H2"]))
    mine = rows.filter(rater="acme")
    assert set(mine["metric"]) <= {
        "sensitivity",
        "specificity",
        "sensitivity_difference",
        "specificity_difference",
        "pairwise_f1",
        "pairwise_f1_difference",
    }
    assert mine["at"].str.starts_with("decision").all()
    truth, call, _ = by_hand(m, "acme", "mass")
    value = mine.filter(metric="sensitivity", at="decision", reference="expert")["estimate"].item()
    assert value == pytest.approx(call[truth].mean())
    with_decisions = rows.filter(pl.col("at").str.contains("with=acme"), analysis="agreement")
    assert set(with_decisions["rater"]) == {"(readers)", "r1", "r2", "r3"}
    assert not set(evidence.curves["rater"]) & {"acme"}


def test_half_of_the_patients_as_the_only_reason_for_a_missing_group_is_said(made):
    m = made(sites={"a": 70}, findings=("edema",), prevalence=0.5)
    config = EvaluationConfig(replicates=100, subgroups=("sex",), minimum_present=20, minimum_absent=20)
    halved = run(m.images, m.labels, m.predictions, config=config).estimates
    rows = halved.filter(metric="sensitivity", subgroup="sex", at="operating_point=spec90", contrast="")
    rows = rows.filter(pl.col("level").is_in(["F", "M"]), finding="edema")
    few = rows.filter(pl.col("estimate").is_nan())
    assert few.height
    said = few["note"].str.extract(
        r"(\d+) with the finding \(20 required\); (\d+) if thresholds had not been fitted in half"
    )
    assert said.null_count() == 0
    given = pl.DataFrame({"model": ["acme"], "finding": ["edema"], "name": ["x"], "threshold": [0.5]})
    locked = run(m.images, m.labels, m.predictions, config=config, thresholds=given).estimates
    locked = locked.filter(metric="sensitivity", subgroup="sex", at="operating_point=x", finding="edema", contrast="")
    assert locked.filter(pl.col("level").is_in(few["level"].to_list()))["estimate"].is_not_nan().all()


def test_decisions_at_many_sites_have_no_auc_of_any_pairs(made):
    sites = {f"c{i}": 4 for i in range(6)}
    m = made(raters={"acme": 1.5, "beta": 1.0}, sites=sites, per_patient=1)
    config = replace(CONFIG, aggregation="stratified")
    rows = run(m.images, m.labels, decided(m.predictions, ("acme",)), config=config).estimates
    pairs = rows.filter(pl.col("at") == "pairs=all")
    assert set(pairs["rater"]) == {"beta"}
    assert set(pairs["metric"]) == {"auc", "auc_difference"}
    assert not rows.filter(pl.col("rater") == "acme", pl.col("metric").str.contains("auc")).height
    assert rows.filter(pl.col("rater") == "acme", pl.col("at") == "decision", pl.col("metric") == "sensitivity").height
