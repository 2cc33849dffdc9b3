"""AUCs over many small sites: pairs within sites, all pairs, and their difference, against brute force over pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from overread import codes
from overread.evaluation import EvaluationConfig, evaluate
from overread.evaluation.context.analysis_context import count_pairs
from overread.evaluation.context.site_populations import aggregation_over_sites
from overread.stats.resampling import patient_bootstrap

CLINICS = {f"c{i:02d}": 3 + i % 6 for i in range(25)}


def run(m, **config):
    settings = {"replicates": 200, "subgroups": ("sex",)} | config
    frames = (m.images, m.labels, m.predictions)
    return evaluate(*frames, EvaluationConfig(**settings), rng=np.random.default_rng(7)).estimates


def one(estimates, **key):
    key = {"at": "", "subgroup": "", "contrast": "", "analysis": "standalone", "metric": "auc"} | key
    found = estimates.filter(*(pl.col(k) == v for k, v in key.items()))
    assert found.height == 1, found
    return found.to_dicts()[0]


def note(row, name):
    return next((dict(c.parameters) for c in codes.decode(row["note_codes"]) if c.name == name), None)


def columns(m, finding="edema", rater="acme"):
    """Truth, score, site and patient of every case, in the order of the images."""
    frame = (
        m.images.select("image_id", "site", "patient_id")
        .join(m.labels.filter(finding=finding), left_on="image_id", right_on="case_id")
        .join(m.predictions.filter(finding=finding, model=rater), on="image_id")
    )
    truth = frame["state"].cast(pl.String).to_numpy() == "present"
    return truth, frame["score"].to_numpy(), frame["site"].to_numpy(), frame["patient_id"].to_numpy()


def brute(truth, score, site=None):
    """Concordant pairs and pairs, one pair after the other."""
    concordant, pairs = 0.0, 0
    for i in np.flatnonzero(truth):
        for j in np.flatnonzero(~truth):
            if site is None or site[i] == site[j]:
                concordant += (float(score[i] > score[j]) + float(score[i] >= score[j])) / 2
                pairs += 1
    return concordant / pairs, pairs


@pytest.fixture(scope="module")
def clinics(made):
    """25 clinics of 3 to 8 patients, 2 raters; the last two clinics have cases of one class only."""
    m = made(sites=CLINICS, raters={"acme": 1.5, "beta": 0.8}, per_patient=2, prevalence=0.3)
    last = m.images.filter(pl.col("site").is_in(["c23", "c24"]))["image_id"].to_list()
    state = pl.when(pl.col("case_id").is_in(last)).then(pl.lit("absent")).otherwise(pl.col("state"))
    return replace(m, labels=m.labels.with_columns(state=state.cast(m.labels.schema["state"])))


@pytest.fixture(scope="module")
def stratified(clinics):
    return run(clinics)


@pytest.mark.parametrize(
    ("config", "models", "way"),
    [
        ({}, {}, "stratified"),
        ({}, {"acme": {"operating_points": {}}}, "stratified"),
        ({}, {"acme": {"training_sites": ["a"]}}, "within-site mean"),
        ({"external_sites": ("b",)}, {}, "within-site mean"),
        ({"internal_sites": ("a",)}, {}, "within-site mean"),
        ({"roles": {"pooled": "acme", "single": {"beta": "a"}}}, {}, "within-site mean"),
        ({"aggregation": "pooled", "external_sites": ("b",)}, {}, "pooled"),
        ({"aggregation": "stratified"}, {"acme": {"training_sites": ["a"]}}, "stratified"),
    ],
)
def test_the_aggregation_follows_from_the_design_unless_it_is_configured(config, models, way):
    assert aggregation_over_sites(["acme", "beta"], EvaluationConfig(**config), models) == way


def test_pairs_by_hand():
    truth = np.array([1, 1, 0, 0, 1, 0], bool)
    assert count_pairs(truth, None) == 9
    assert count_pairs(truth, np.array([0, 0, 0, 1, 1, 2])) == 2 + 1 + 0
    assert count_pairs(truth[:0], None) == 0


@pytest.mark.slow
@pytest.mark.parametrize("rater", ["acme", "beta"])
@pytest.mark.parametrize("finding", ["edema", "mass"])
def test_every_pair_within_25_clinics_is_used_and_counted(clinics, stratified, rater, finding):
    truth, score, site, _ = columns(clinics, finding, rater)
    row = one(stratified, finding=finding, rater=rater)
    value, pairs = brute(truth, score, site)
    assert row["estimate"] == pytest.approx(value, abs=1e-14)
    assert np.isfinite([row["low"], row["high"], row["se"]]).all()
    paired = [s for s in CLINICS if 0 < truth[site == s].mean() < 1]
    stated = note(row, "aggregation_stratified")
    assert stated == {"n_sites": len(paired), "n_pairs": pairs, "n_sites_without_pair": 25 - len(paired)}
    without = note(row, "sites_without_pair")
    assert set(without["sites"]) == set(CLINICS) - set(paired)
    assert without["cases"] == sum((site == s).sum() for s in without["sites"])
    assert row["n_cases"] == sum((site == s).sum() for s in paired)


@pytest.mark.slow
def test_the_auc_of_all_pairs_and_the_difference_stand_beside(clinics, stratified):
    truth, score, site, patient = columns(clinics)
    within, everything = brute(truth, score, site)[0], brute(truth, score)[0]
    beside = one(stratified, finding="edema", rater="acme", at="pairs=all")
    assert beside["estimate"] == pytest.approx(everything, abs=1e-14)
    key = {"metric": "auc_difference", "at": "pairs=all", "contrast": "pairs:site", "rater": "acme"}
    row = one(stratified, finding="edema", **key)
    assert row["estimate"] == pytest.approx(everything - within, abs=1e-14)

    def difference(y, s, k):
        return brute(y, s)[0] - brute(y, s, k)[0]

    rng = np.random.default_rng(1)
    drawn = patient_bootstrap.bootstrap(difference, truth, score, site, rng=rng, cluster=patient, replicates=400)
    assert row["se"] == pytest.approx(drawn.std(), rel=0.2)  # 0.036 is the error of an SD of 400 replicates
    findings = [one(stratified, finding=f, **key)["estimate"] for f in ("edema", "mass")]
    assert one(stratified, finding="(mean)", **key)["estimate"] == pytest.approx(np.mean(findings))


@pytest.mark.slow
def test_the_standard_error_is_that_of_the_bootstrap_over_patients(clinics, stratified):
    truth, score, site, patient = columns(clinics)

    def value(y, s, k):
        return brute(y, s, k)[0]

    rng = np.random.default_rng(2)
    drawn = patient_bootstrap.bootstrap(value, truth, score, site, rng=rng, cluster=patient, replicates=400)
    assert one(stratified, finding="edema", rater="acme")["se"] == pytest.approx(drawn.std(), rel=0.2)


@pytest.mark.slow
def test_the_mean_and_the_comparison_have_the_same_estimand(clinics, stratified):
    value = {(r, f): brute(*columns(clinics, f, r)[:3])[0] for r in ("acme", "beta") for f in ("edema", "mass")}
    mean = one(stratified, finding="(mean)", rater="acme")
    assert mean["estimate"] == pytest.approx((value["acme", "edema"] + value["acme", "mass"]) / 2)
    assert mean["low"] < mean["estimate"] < mean["high"]
    assert note(mean, "aggregation_stratified")["n_sites_without_pair"] >= 2
    for finding in ("edema", "mass"):
        row = one(stratified, analysis="comparison", metric="auc_difference", finding=finding, contrast="rater:beta")
        assert row["estimate"] == pytest.approx(value["acme", finding] - value["beta", finding])
        assert note(row, "aggregation_stratified") == note(
            one(stratified, finding=finding, rater="acme"), "aggregation_stratified"
        )
    mean = one(stratified, analysis="comparison", metric="auc_difference", finding="(mean)", contrast="rater:beta")
    assert mean["low"] < mean["estimate"] < mean["high"]


@pytest.mark.slow
def test_sites_keep_their_rows_and_rates_have_one_threshold(clinics, stratified):
    truth, _, site, _ = columns(clinics)
    sites = stratified.filter(
        pl.col("analysis") == "standalone", pl.col("subgroup") == "site", pl.col("metric") == "auc"
    ).filter(finding="edema", rater="acme")
    assert set(sites["level"]) == set(CLINICS)
    undefined = set(sites.filter(pl.col("estimate").is_nan())["level"])
    assert undefined == {s for s in CLINICS if truth[site == s].mean() in (0, 1)}
    rate = one(stratified, metric="sensitivity_at_specificity", at="specificity=0.90", finding="edema", rater="acme")
    assert np.isfinite([rate["estimate"], rate["low"], rate["high"]]).all()
    assert note(rate, "one_threshold_for_sites") == {"n": 25}


@pytest.mark.slow
def test_shifting_the_scores_of_a_site_changes_all_pairs_but_not_pairs_within_sites(clinics, stratified):
    place = dict(clinics.images.select("image_id", "site").iter_rows())
    step = {s: 0.1 * i for i, s in enumerate(CLINICS)}
    shift = pl.Series([step[place[i]] for i in clinics.predictions["image_id"]])
    moved = run(replace(clinics, predictions=clinics.predictions.with_columns(score=pl.col("score") + shift)))
    for key in ({"finding": "edema"}, {"finding": "(mean)"}):
        was, now = (one(e, rater="acme", **key) for e in (stratified, moved))
        assert [now[k] for k in ("estimate", "low", "high")] == [was[k] for k in ("estimate", "low", "high")]
        was, now = (one(e, rater="acme", at="pairs=all", **key) for e in (stratified, moved))
        assert now["estimate"] < was["estimate"] - 0.01


@pytest.mark.slow
def test_two_clinics_are_both_used_though_one_is_too_small_for_a_mean(made):
    m = made(sites={"a": 60, "b": 8})
    truth, score, site, _ = columns(m)
    found = run(m)
    row = one(found, finding="edema", rater="acme")
    assert row["estimate"] == pytest.approx(brute(truth, score, site)[0], abs=1e-14)
    assert note(row, "aggregation_stratified")["n_sites"] == 2
    mean = run(m, aggregation="within-site mean")
    assert note(one(mean, finding="edema", rater="acme"), "single_site") == {"site": "a"}
    assert mean.filter(pl.col("contrast") == "pairs:site").is_empty()


@pytest.mark.slow
def test_pooled_aucs_compare_all_pairs_everywhere(clinics):
    found = run(clinics, aggregation="pooled")
    truth, score, site, _ = columns(clinics)
    row = one(found, finding="edema", rater="acme")
    assert row["estimate"] == pytest.approx(brute(truth, score)[0], abs=1e-14)
    assert note(row, "aggregation_pooled")["n_pairs"] == truth.sum() * (~truth).sum()
    beside = one(found, finding="edema", rater="acme", at="pairs=site")
    assert beside["estimate"] == pytest.approx(brute(truth, score, site)[0], abs=1e-14)
    women = one(found, analysis="subgroups", subgroup="sex", level="F", finding="edema", rater="acme")
    female = np.isin(columns(clinics)[3], clinics.images.filter(sex="F")["patient_id"].to_list())
    assert women["estimate"] == pytest.approx(brute(truth[female], score[female])[0], abs=1e-14)


@pytest.mark.slow
def test_weights_multiply_the_pairs(clinics):
    weight = 1.0 + np.arange(clinics.images.height) % 3
    m = replace(clinics, images=clinics.images.with_columns(weight=weight))
    row = one(run(m), finding="edema", rater="acme")
    truth, score, site, _ = columns(m)
    concordant = total = 0.0
    for i in np.flatnonzero(truth):
        for j in np.flatnonzero(~truth & (site == site[i])):
            w = weight[i] * weight[j]
            concordant += w * (float(score[i] > score[j]) + float(score[i] >= score[j])) / 2
            total += w
    assert row["estimate"] == pytest.approx(concordant / total, abs=1e-14)


@pytest.mark.slow
def test_another_label_source_is_compared_over_the_pairs_of_each(clinics):
    other = clinics.labels.with_columns(source=pl.lit("report")).with_columns(
        state=pl.when(pl.int_range(pl.len()) % 9 == 0).then(pl.lit("absent")).otherwise(pl.col("state").cast(pl.String))
    )
    frames = [clinics.labels.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String)), other]
    labels = pl.concat(
        [f.with_columns(pl.col("source").cast(pl.String), pl.col("state").cast(pl.String)) for f in frames],
        how="diagonal_relaxed",
    )
    found = run(replace(clinics, labels=labels.select(clinics.labels.columns)), reference="expert")
    rows = found.filter(pl.col("analysis") == "policies", pl.col("finding") == "edema", pl.col("rater") == "acme")
    value = {r["reference"]: r["estimate"] for r in rows.filter(metric="auc", at="").to_dicts()}
    change = rows.filter(metric="auc_difference").to_dicts()[0]
    truth, score, site, _ = columns(replace(clinics, labels=other.select(clinics.labels.columns)))
    assert value["report"] == pytest.approx(brute(truth, score, site)[0], abs=1e-14)
    own = brute(*columns(clinics)[:3])[0]
    assert change["estimate"] == pytest.approx(value["report"] - own, abs=1e-14)
    assert change["low"] <= change["estimate"] <= change["high"]
