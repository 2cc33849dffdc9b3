"""The whole of an evaluation: what its rows say, that they agree with each other, and what is written."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from overread import evaluation as ev
from overread import tables
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join import layouts
from overread.evaluation.models.roc_rates import GRID
from overread.stats import calibration, rates, roc
from overread.stats.multiplicity import holm
from overread.stats.roc.mean_curves import CORNERS

pytestmark = pytest.mark.slow

SPEC90 = "operating_point=spec90"
QUICK = {"replicates": 200}


def run(m, seed=1, predictions=None, images=None, **options):
    inner = {k: options.pop(k) for k in ("tune", "models", "protocol_hash") if k in options}
    config = EvaluationConfig(**(QUICK | options))
    given = m.predictions if predictions is None else predictions
    frames = (m.images if images is None else images, m.labels, given)
    return ev.evaluate(*frames, config, rng=np.random.default_rng(seed), **inner)


def pick(frame, **equals):
    return frame.filter(**equals)


def one(frame, **equals):
    found = pick(frame, **{"subgroup": "", "at": "", **equals})
    assert found.height == 1, (equals, found.height)
    return found.row(0, named=True)


def arrays(m, finding="edema", rater="acme", site=None):
    frame = m.predictions.filter(finding=finding, model=rater).join(
        m.labels.filter(finding=finding), left_on="image_id", right_on="case_id"
    )
    frame = frame.join(m.images, on="image_id")
    frame = frame if site is None else frame.filter(site=site)
    return (frame["state"] == "present").to_numpy(), frame["score"].to_numpy(), frame["patient_id"].to_numpy()


@pytest.fixture(scope="module")
def single(made):
    m = made(raters={"acme": 1.5, "other": 0.9}, sites={"": 250})
    return m, run(m)


@pytest.fixture(scope="module")
def several(made):
    members = {n: tuple(f"{n}/seed-{k}" for k in (1, 2, 3)) for n in ("pooled", "n1", "n2")}
    raters = {"pooled": 2.2, "n1": 1.2, "n2": 1.0} | dict.fromkeys(members["pooled"], 2.0)
    m = made(raters=raters, sites={"s1": 120, "s2": 90, "x": 100, "y": 100})
    points = {f: {"spec90": {"threshold": 0.7, "at": SPEC90}} for f in ("edema", "mass")}
    prevalence = {"s1": {"edema": 0.3, "mass": 0.4}, "s2": {"edema": 0.5, "mass": 0.4}}
    models = {
        "pooled": {"training_sites": ["s1", "s2"], "operating_points": points, "prevalence": prevalence},
        "n1": {"training_sites": ["s1"], "operating_points": points, "prevalence": {"s1": prevalence["s1"]}},
        "n2": {"training_sites": ["s2"], "operating_points": points, "prevalence": {"s2": prevalence["s2"]}},
    }
    roles = {"pooled": "pooled", "single": {"n1": "s1", "n2": "s2"}}
    return m, run(m, models=models, roles=roles, members=members, protocol_hash="abc", external_sites=("x", "y"))


def test_every_table_is_as_the_design_says(single, several):
    for _, e in (single, several):
        for name in ("estimates", "verdicts", "curves", "joined", "account"):
            table = getattr(e, name)
            assert_frame_equal(tables.check(table, name), table)


def test_the_auc_is_the_clustered_auc_of_all_patients(single):
    m, e = single
    y, s, patient = arrays(m)
    row = one(e.estimates, analysis="standalone", metric="auc", finding="edema", rater="acme")
    reference = roc.auc(y, s, cluster=patient)
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((reference.value, reference.low, reference.high))
    assert (row["n_present"], row["n_absent"], row["n_patients"]) == (y.sum(), (~y).sum(), 250)
    assert row["population"] == "internal"
    assert row["reference"] == "expert"
    assert row["policy"] == "uncertain=ignore"
    assert "clustered" in row["method"]


def test_the_mean_over_findings_with_its_bootstrap(single):
    _, e = single
    of = {"analysis": "standalone", "metric": "auc", "rater": "acme"}
    row = one(e.estimates, finding="(mean)", **of)
    values = [one(e.estimates, finding=f, **of)["estimate"] for f in ("edema", "mass")]
    assert row["estimate"] == pytest.approx(np.mean(values))
    assert row["low"] < row["estimate"] < row["high"]
    assert row["method"] == "percentile bootstrap, 200 samples"
    assert row["note"] == "mean over 2 findings: mass, edema"


def test_frozen_thresholds_are_tested_on_the_other_half(single):
    m, e = single
    threshold = one(e.estimates, metric="threshold", at=SPEC90, finding="edema", rater="acme")
    row = one(e.estimates, analysis="standalone", metric="sensitivity", at=SPEC90, finding="edema", rater="acme")
    y, s, patient = arrays(m)
    tested = ~np.isin(patient, e.tuning_patients)
    point = rates.operating_point(y[tested], s[tested] >= threshold["estimate"], cluster=patient[tested])
    assert row["estimate"] == pytest.approx(point.sensitivity.value)
    assert (row["low"], row["high"]) == pytest.approx((point.sensitivity.low, point.sensitivity.high))
    assert row["n_patients"] == 125
    assert "fitted in a random half of the patients (125) and evaluated in the other 125" in row["note"]
    assert len(e.tuning_patients) == 125


def test_fixed_rates_come_from_the_test_roc_of_everyone(single):
    m, e = single
    y, s, _ = arrays(m)
    for metric, at, kind in (
        ("sensitivity_at_specificity", "specificity=0.90", "specificity"),
        ("specificity_at_sensitivity", "sensitivity=0.95", "sensitivity"),
    ):
        row = one(e.estimates, metric=metric, at=at, finding="edema", rater="acme")
        step = rates.threshold_at(y, s, **{kind: float(at[-4:])})
        assert row["estimate"] == pytest.approx(step.sensitivity if kind == "specificity" else step.specificity)
        assert row["low"] < row["estimate"] < row["high"]
        assert row["n_patients"] == 250


def test_calibration_as_delivered_and_recalibrated(single):
    m, e = single
    y, s, patient = arrays(m)
    row = one(e.estimates, metric="calibration_slope", at="recalibration=none", finding="edema", rater="acme")
    reference = calibration.calibration_line(y, s, cluster=patient).slope
    assert (row["estimate"], row["low"]) == pytest.approx((reference.value, reference.low))
    again = one(e.estimates, metric="calibration_slope", at="recalibration=logistic", finding="edema", rater="acme")
    assert again["n_patients"] == 125
    assert abs(again["estimate"] - 1) < 0.5
    level = one(
        e.estimates, metric="calibration_in_the_large", at="recalibration=logistic", finding="edema", rater="acme"
    )
    assert level["low"] < 0 < level["high"]


def test_the_pair_is_compared_with_holm_over_findings(single):
    m, e = single
    rows = pick(e.estimates, analysis="comparison").filter(pl.col("finding") != "(mean)")
    assert rows["contrast"].unique().to_list() == ["rater:other"]
    y, a, patient = arrays(m)
    reference = roc.compare_aucs(y, a, arrays(m, rater="other")[1], cluster=patient)
    row = one(rows, finding="edema")
    assert (row["estimate"], row["se"], row["p"]) == pytest.approx((reference.value, reference.se, reference.p))
    assert rows["p_adjusted"].to_list() == pytest.approx(list(holm(rows["p"].to_numpy())))
    mean = one(e.estimates, analysis="comparison", finding="(mean)")
    assert mean["estimate"] == pytest.approx(rows["estimate"].mean())
    assert mean["low"] < mean["estimate"] < mean["high"]


def test_curves_start_and_end_where_they_must(single):
    _, e = single
    roc_points = e.curves.filter(curve="roc", finding="edema", rater="acme").sort("order")
    assert roc_points.height <= GRID.size + 2 * CORNERS
    assert (roc_points["x"][0], roc_points["x"][-1], roc_points["y"][-1]) == (0.0, 1.0, 1.0)
    assert roc_points["y"].is_sorted()
    assert (roc_points["low"] <= roc_points["y"] + 1e-12).mean() > 0.9
    bins = e.curves.filter(curve="calibration", finding="edema", rater="acme")
    assert bins.height == 10
    assert (bins["low"] <= bins["y"]).all()
    at_tenth = roc_points.filter((pl.col("x") - 0.1).abs() < 1e-9)["y"].max()
    fixed = one(e.estimates, metric="sensitivity_at_specificity", at="specificity=0.90", finding="edema", rater="acme")
    assert fixed["estimate"] - 1e-12 <= at_tenth <= fixed["estimate"] + 0.02  # a line to the next attainable point
    x, y = roc_points["x"].to_numpy(), roc_points["y"].to_numpy()
    of = {"analysis": "standalone", "at": "", "subgroup": "", "population": roc_points["population"][0]}
    area = one(e.estimates, metric="auc", finding="edema", rater="acme", **of)
    assert f"{np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2):.3f}" == f"{area['estimate']:.3f}"


def test_the_same_seed_gives_the_same_evidence(single):
    m, e = single
    again = run(m)
    assert again.estimates.equals(e.estimates, null_equal=True)
    assert again.tuning_patients == e.tuning_patients
    assert run(m, seed=2).tuning_patients != e.tuning_patients


def test_internal_is_the_mean_of_the_training_sites(several):
    m, e = several
    row = one(e.estimates, analysis="standalone", metric="auc", finding="edema", rater="pooled", population="internal")
    parts = [
        roc.auc(*arrays(m, rater="pooled", site=s)[:2], cluster=arrays(m, rater="pooled", site=s)[2])
        for s in ("s1", "s2")
    ]
    assert row["estimate"] == pytest.approx(np.mean([p.value for p in parts]))
    assert row["se"] == pytest.approx(np.hypot(parts[0].se, parts[1].se) / 2, rel=2e-3)
    assert row["note"] == "unweighted mean of 2 sites"
    sites = pick(e.estimates, analysis="standalone", metric="auc", finding="edema", rater="pooled", subgroup="site")
    assert sites.select("level", "estimate").rows() == [("s1", parts[0].value), ("s2", parts[1].value)]


def test_populations_are_relative_to_the_rater(several):
    _, e = several
    standalone = pick(e.estimates, analysis="standalone", metric="auc", finding="edema", subgroup="")
    of = {r: set(pick(standalone, rater=r)["population"]) for r in ("pooled", "n1")}
    assert of["pooled"] == {"internal", "external:x", "external:y"}
    assert of["n1"] == {"internal", "external:s2", "external:x", "external:y"}
    assert not any("/seed-" in r for r in standalone["rater"])


def test_the_drop_is_internal_minus_external_with_summed_variance(several):
    _, e = several
    of = {"analysis": "standalone", "metric": "auc", "finding": "edema", "rater": "pooled"}
    inside, outside = (one(e.estimates, population=p, **of) for p in ("internal", "external:x"))
    row = one(
        e.estimates,
        analysis="drop",
        metric="auc_drop",
        finding="edema",
        rater="pooled",
        contrast="population:external:x",
    )
    assert row["population"] == "internal"
    assert row["estimate"] == pytest.approx(inside["estimate"] - outside["estimate"])
    assert row["se"] == pytest.approx(np.hypot(inside["se"], outside["se"]), rel=2e-3)
    assert "not an effect" in row["note"]
    mean = one(e.estimates, analysis="drop", finding="(mean)", rater="pooled", contrast="population:external:x")
    assert mean["note"].startswith("mean over 2 findings: mass, edema")


def test_a_patient_in_both_populations_forbids_the_drop(made):
    m = made(sites={"a": 60, "b": 60})
    shared = m.images.with_columns(patient_id=m.images["patient_id"].str.replace("b-1$", "a-1"))
    e = run(m, images=shared, external_sites=("b",))
    row = one(e.estimates, analysis="drop", metric="auc_drop", finding="edema")
    assert np.isfinite(row["estimate"])
    assert np.isnan(row["se"])
    assert "1 patient is in both populations" in row["note"]


def test_what_the_site_alone_tells(several):
    m, e = several
    rows = pick(e.estimates, analysis="site_alone", finding="edema", population="internal")
    y, s, patient = (
        np.concatenate(p) for p in zip(*(arrays(m, rater="pooled", site=k) for k in ("s1", "s2")), strict=True)
    )
    score = np.concatenate(
        [np.full(len(arrays(m, rater="pooled", site=k)[0]), v) for k, v in (("s1", 0.3), ("s2", 0.5))]
    )
    alone = one(rows, rater="(site) pooled", at="pairs=all")
    assert alone["estimate"] == pytest.approx(roc.auc(y, score).value)
    assert one(rows, rater="pooled", at="pairs=all", metric="auc")["estimate"] == pytest.approx(roc.auc(y, s).value)
    site = (score == 0.5).astype(int)
    within = one(rows, rater="pooled", at="pairs=site", metric="auc")
    assert within["estimate"] == pytest.approx(roc.stratified_auc(y, s, site, cluster=patient).value)
    difference = one(rows, rater="pooled", metric="auc_difference", at="pairs=all", contrast="rater:(site)")
    assert difference["estimate"] == pytest.approx(roc.auc(y, s).value - alone["estimate"])
    unseen = pick(e.estimates, analysis="site_alone", finding="edema", population="external:x", rater="(site) pooled")
    assert np.isnan(unseen["estimate"].item())
    assert unseen["note"].item().startswith("NE: an unseen site")
    same = pick(e.estimates, analysis="site_alone", finding="mass", population="internal", rater="(site) pooled")
    assert "the training-set prevalence is the same at all sites" in same["note"].item()


def test_the_matrix_has_every_rater_at_every_site(several):
    m, e = several
    rows = pick(e.estimates, analysis="matrix", metric="auc", finding="edema")
    assert set(rows.select("rater", "level").rows()) == {
        (r, s) for r in ("pooled", "n1", "n2") for s in ("s1", "s2", "x", "y")
    }
    cell = one(rows, rater="n1", subgroup="site", level="s2")
    assert cell["population"] == "external:s2"
    assert cell["estimate"] == pytest.approx(roc.auc(*arrays(m, rater="n1", site="s2")[:2]).value)


def test_the_seeds_and_their_spread(several):
    _, e = several
    rows = pick(e.estimates, analysis="seeds", population="external:x")
    mean = rows.filter(finding="(mean)", metric="auc")
    own = mean.filter(pl.col("rater") != "pooled")
    values = own["estimate"].to_list()
    assert own["rater"].to_list() == ["pooled/seed-1", "pooled/seed-2", "pooled/seed-3"]
    assert mean.filter(rater="pooled")["estimate"].to_list() == [pytest.approx(np.mean(values))]
    spread = one(rows, finding="(mean)", metric="auc_sd")
    assert spread["rater"] == "pooled"
    assert spread["estimate"] == pytest.approx(np.std(values, ddof=1))


def test_h1_is_decided_and_its_rows_agree_with_the_comparison(several):
    _, e = several
    verdict = e.verdicts.row(0, named=True)
    assert (verdict["hypothesis"], verdict["verdict"], verdict["protocol_hash"]) == ("H1", "supported", "abc")
    row = one(e.estimates, analysis="H1", finding="edema", rater="pooled", contrast="rater:n1", population="external:x")
    same = one(
        e.estimates,
        analysis="comparison",
        finding="edema",
        rater="pooled",
        contrast="rater:n1",
        population="external:x",
    )
    assert row["estimate"] == pytest.approx(same["estimate"])
    assert row["se"] == pytest.approx(same["se"], rel=2e-3)


def test_thresholds_of_a_model_are_tested_on_everyone(several):
    m, e = several
    row = one(
        e.estimates,
        analysis="standalone",
        metric="specificity",
        at=SPEC90,
        finding="edema",
        rater="pooled",
        population="external:x",
    )
    y, s, _ = arrays(m, rater="pooled", site="x")
    assert row["estimate"] == pytest.approx((s[~y] < 0.7).mean())
    assert row["n_patients"] == 100
    at = "recalibration=frozen"
    assert one(e.estimates, metric="brier", at=at, finding="edema", rater="pooled", population="external:x")
    assert pick(e.estimates, at="recalibration=logistic").is_empty()
    assert e.tuning_patients == ()


def test_the_joined_table_has_population_and_call(several):
    m, e = several
    assert e.joined.height == m.predictions.height
    some = e.joined.filter(rater="n1", site="s2", finding="edema")
    assert some["population"].unique().to_list() == ["external:s2"]
    assert ((some["call"] == "present") == (some["score"] >= 0.7)).all()
    assert {"sex", "age_band", "view", "call_at"} <= set(e.joined.columns)
    assert e.joined.filter(rater="pooled/seed-1", site="x")["population"].unique().to_list() == ["external:x"]


def test_what_was_opened_is_told(several):
    _, e = several
    assert {o["analysis"] for o in e.opened} >= {"standalone", "comparison", "subgroups", "drop", "H1", "seeds"}
    assert all(o["cases"] == 820 for o in e.opened)


def test_thresholds_from_tune(single):
    m, _ = single
    ids = m.images.filter(pl.col("patient_id").is_in(m.images["patient_id"].unique().sort()[:60].to_list()))["image_id"]
    mine = pl.col("image_id").is_in(ids.to_list())
    e = run(m, predictions=m.predictions.filter(~mine), tune=m.predictions.filter(mine))
    row = one(e.estimates, analysis="standalone", metric="sensitivity", at=SPEC90, finding="edema", rater="acme")
    assert row["n_patients"] == 190
    assert "fitted on the tuning cases" in row["note"]
    assert e.tuning_patients == ()
    marked = m.images.with_columns(split=pl.when(mine).then(pl.lit("tune")).otherwise(pl.lit("test")))
    same = run(m, images=tables.check(marked, "images"))
    assert same.estimates.filter(metric="threshold").equals(e.estimates.filter(metric="threshold"), null_equal=True)


def test_a_patient_in_tune_and_test_is_refused(single):
    m, _ = single
    mine = pl.col("image_id") == "000000"
    with pytest.raises(InputError, match=r"1 patients in several \(-0 in tune and test\)\. Split by patient"):
        run(m, predictions=m.predictions.filter(~mine), tune=m.predictions.filter(mine))


def test_one_class_only_is_nan_with_a_note_everywhere(single):
    m, _ = single
    labels = m.labels.with_columns(
        state=pl.when(pl.col("finding") == "mass").then(pl.lit("absent")).otherwise(pl.col("state").cast(pl.String))
    )
    e = ev.evaluate(m.images, labels, m.predictions, EvaluationConfig(**QUICK), rng=np.random.default_rng(0))
    row = one(e.estimates, analysis="standalone", metric="auc", finding="mass", rater="acme")
    assert np.isnan(row["estimate"])
    assert "had the finding" in row["note"]
    undefined = e.estimates.filter(pl.col("estimate").is_nan())
    assert (undefined["note"].str.len_chars() > 0).all(), undefined.filter(pl.col("note") == "")
    mean = one(e.estimates, analysis="standalone", metric="auc", finding="(mean)", rater="acme")
    assert mean["note"].startswith("mean over 1 finding: edema; not evaluable")


def test_a_subgroup_of_three_says_why_it_has_no_estimate(single):
    m, _ = single
    few = m.images["patient_id"].is_in(["-0", "-1", "-2"])
    images = m.images.with_columns(scanner=pl.when(few).then(pl.lit("new")).otherwise(pl.lit("old")))
    e = run(m, images=images, subgroups=("scanner",))
    row = pick(e.estimates, analysis="subgroups", metric="auc", finding="edema", rater="acme", level="new").row(
        0, named=True
    )
    assert np.isnan(row["estimate"])
    assert "too few patients: " in row["note"]
    assert "(20 and 20 required)" in row["note"]
    assert row["n_patients"] == 3
    gap = pick(e.estimates, metric="gap_auc", rater="acme", finding="(mean)").row(0, named=True)
    assert np.isnan(gap["estimate"])
    assert gap["note"].startswith("NE: only one group is evaluable; new excluded (fewer than half of the findings")


def test_missing_subgroup_values_are_counted(single):
    m, _ = single
    images = m.images.with_columns(sex=pl.when(pl.col("patient_id") == "-0").then(None).otherwise(pl.col("sex")))
    e = run(m, images=images, subgroups=("sex",))
    lost = e.account.filter(stage="subgroups").row(0, named=True)
    assert (lost["reason"], lost["count"]) == ("no value of sex: in none of its groups", 2)


def test_scores_that_only_rank_have_no_calibration_but_a_recalibrated_one(single):
    m, _ = single
    ranked = m.predictions.with_columns(score=(pl.col("score") / (1 - pl.col("score"))).log() * 3)
    e = run(m, predictions=ranked)
    row = one(e.estimates, metric="brier", at="recalibration=none", finding="edema", rater="acme")
    assert np.isnan(row["estimate"])
    assert "the scores are not probabilities" in row["note"]
    assert np.isfinite(
        one(e.estimates, metric="brier", at="recalibration=logistic", finding="edema", rater="acme")["estimate"]
    )


def test_pairs_within_strata_with_the_plain_auc_beside(single):
    m, _ = single
    strata = np.array(["x", "y"])[np.arange(m.images.height) % 4 // 2]
    e = run(m, images=m.images.with_columns(pairs_within=strata))
    y, s, patient = arrays(m)
    stratum = strata[arrays_order(m)]
    row = one(e.estimates, analysis="standalone", metric="auc", finding="edema", rater="acme")
    assert row["estimate"] == pytest.approx(roc.stratified_auc(y, s, stratum, cluster=patient).value)
    plain = one(e.estimates, analysis="standalone", metric="auc", finding="edema", rater="acme", at="pairs=all")
    assert plain["estimate"] == pytest.approx(roc.auc(y, s).value)
    assert "discrimination between strata" in plain["note"]
    mean = one(e.estimates, analysis="standalone", metric="auc", finding="(mean)", rater="acme")
    assert np.isfinite(mean["low"])


def arrays_order(m):
    place = {image: i for i, image in enumerate(m.images["image_id"])}
    frame = m.predictions.filter(finding="edema", model="acme").join(
        m.labels.filter(finding="edema"), left_on="image_id", right_on="case_id"
    )
    return [place[i] for i in frame["image_id"]]


def test_weights_reach_every_estimate(single):
    m, _ = single
    weight = np.where(m.images["sex"].to_numpy() == "F", 3.0, 1.0)
    e = run(m, images=m.images.with_columns(weight=weight))
    y, s, patient = arrays(m)
    w = weight[arrays_order(m)]
    row = one(e.estimates, analysis="standalone", metric="auc", finding="edema", rater="acme")
    assert row["estimate"] == pytest.approx(roc.auc(y, s, weights=w, cluster=patient).value)
    prevalence = one(e.estimates, metric="prevalence", finding="edema", rater="acme")
    assert prevalence["estimate"] == pytest.approx(np.average(y, weights=w))
    brier = one(e.estimates, metric="brier", at="recalibration=none", finding="edema", rater="acme")
    assert brier["estimate"] == pytest.approx(np.average((s - y) ** 2, weights=w))


def test_written_and_read_again(single, tmp_path):
    _, e = single
    ev.write(e, tmp_path / "out")
    assert tables.read(tmp_path / "out" / "estimates.parquet", "estimates").equals(e.estimates, null_equal=True)
    assert tables.read(tmp_path / "out" / "joined.parquet", "joined").height == e.joined.height
    assert (tmp_path / "out" / "tuning_patients.txt").read_text().split("\n")[:-1] == list(e.tuning_patients)
    said = json.loads((tmp_path / "out" / "notes.json").read_text())
    assert any("Thresholds of acme" in n for n in said["notes"])


def test_the_real_predictions_give_the_published_aucs(shared):
    """Two networks on 22,433 images: the AUCs that the files' README quotes, and their mean."""
    folder = shared("real/predictions")
    images, labels = (f(folder / "truth.csv.gz").frame for f in (layouts.images, layouts.labels))
    names = ("zech_densenet121", "haooyuee_nih_25")
    predictions = pl.concat([layouts.predictions(folder / f"{n}.csv.gz").frame for n in names])
    config = EvaluationConfig(replicates=100, subgroups=(), specificities=(0.9,), sensitivities=())
    e = ev.evaluate(images, labels, predictions, config, rng=np.random.default_rng(1))
    published = {
        "atelectasis": 0.8180,
        "cardiomegaly": 0.9090,
        "pleural_effusion": 0.8827,
        "infiltration": 0.7156,
        "mass": 0.8377,
        "nodule": 0.7756,
        "pneumonia": 0.7617,
        "pneumothorax": 0.8776,
        "consolidation": 0.8002,
        "edema": 0.8945,
        "emphysema": 0.9316,
        "fibrosis": 0.8251,
        "pleural_thickening": 0.7889,
        "hernia": 0.9175,
        "(mean)": 0.8383,
    }
    rows = e.estimates.filter(analysis="standalone", metric="auc", at="", rater="zech_densenet121")
    assert dict(rows.select("finding", "estimate").rows()) == pytest.approx(published, abs=5e-5)
    assert rows.filter(pl.col("finding") != "(mean)")["n_patients"].unique().to_list() == [6187]
    assert e.estimates.filter(analysis="comparison").height == 15


def test_the_reference_page_lists_what_is_written(single, several):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "estimates.md").read_text(encoding="utf-8")
    cells = [
        [c.strip().strip("`") for c in line.split("|")[1:4]] for line in page.splitlines() if line.startswith("| ")
    ]
    listed = {(analysis, metric, at.split("=")[0]) for analysis, metric, at in cells}
    first = pl.col("case_id") == "000003"
    doubtful = pl.when(first).then(pl.lit("uncertain")).otherwise(pl.col("state").cast(pl.String))
    m = single[0]
    labels = m.labels.with_columns(state=doubtful)
    third = ev.evaluate(m.images, labels, m.predictions, EvaluationConfig(**QUICK), rng=np.random.default_rng(0))
    frames = pl.concat([e.estimates for e in (single[1], several[1], third)])
    written = {(a, m, at.split("=")[0]) for a, m, at in frames.select("analysis", "metric", "at").unique().rows()}
    assert written <= listed, written - listed
    # written where images state strata of pairs, or AUCs are over pairs of several sites
    wide_only = {("standalone", "auc", "pairs"), ("standalone", "auc_difference", "pairs")}
    # written where several models have seeds
    wide_only |= {row for row in listed if row[0] == "seeds" and row[1].endswith("_difference_contrast")}
    headings = {row for row in listed if row[0] in ("analysis", "curve", "---")}
    curves = {row for row in listed if row[0] in set(pl.concat([e.curves for _, e in (single, several)])["curve"])}
    assert listed - written - wide_only - headings - curves == set()


def test_holes_everywhere_end_in_notes_and_never_in_zeros(made):
    """A finding not stated at a site, one class at another, an output that a model lacks, two patients at a third."""
    m = made(
        raters={"pooled": 1.5, "n1": 1.0},
        sites={"s1": 60, "s2": 60, "x": 40, "tiny": 2},
        findings=("edema", "mass", "nodule"),
    )
    site = dict(m.images.select("image_id", "site").rows())
    where = pl.col("case_id").replace_strict(site)
    kept = m.labels.filter(~((pl.col("finding") == "mass") & (where == "x")))
    state = (
        pl.when((pl.col("finding") == "nodule") & (where == "s2"))
        .then(pl.lit("present"))
        .otherwise(pl.col("state").cast(pl.String))
    )
    labels = kept.with_columns(state=state)
    predictions = m.predictions.filter(~((pl.col("finding") == "edema") & (pl.col("model") == "n1")))
    models = {
        "pooled": {"training_sites": ["s1", "s2"], "prevalence": {"s1": {"edema": 0.2}}},
        "n1": {"training_sites": ["s1"]},
    }
    config = EvaluationConfig(
        roles={"pooled": "pooled", "single": {"n1": "s1"}}, subgroups=("sex", "age_band", "view", "site"), **QUICK
    )
    e = ev.evaluate(m.images, labels, predictions, config, rng=np.random.default_rng(0), models=models)
    undefined = e.estimates.filter(pl.col("estimate").is_nan())
    assert undefined.height > 20
    silent = undefined.filter(pl.col("note") == "")
    assert silent.is_empty(), silent.select("analysis", "metric", "at", "finding", "population")
    no_limits = e.estimates.filter(pl.col("low").is_nan(), pl.col("estimate").is_not_nan(), pl.col("note") == "")
    assert no_limits.is_empty(), no_limits.select("analysis", "metric", "at", "finding", "population", "method")
    row = one(e.estimates, analysis="standalone", metric="auc", finding="nodule", rater="pooled", population="internal")
    assert row["note"] == "site s1 only; too few patients with or without the finding at s2"
    assert e.verdicts["verdict"].item() == "cannot tell"
    assert "edema: not an output of n1" in e.verdicts["reason"].item()
    assert "mass: no case is labelled" in e.verdicts["reason"].item()
