"""A stratified sample of a known population: weighted estimates recover its values, unweighted ones do not."""

import numpy as np
import polars as pl
import pytest

from overread import evaluation as ev
from overread import tables
from overread.errors import InputError
from overread.evaluation.context.strata import merge_small_strata
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.stats import rates, roc

pytestmark = pytest.mark.slow

POINT = "operating_point=spec90"
MODELS = {"acme": {"operating_points": {"edema": {"spec90": {"threshold": 0.62}}}}}
OF = {"rater": "acme", "finding": "edema", "subgroup": ""}


def population(rng, n):
    """One image per patient: a third at the bedside (AP), where edema is common and harder to see."""
    ap = rng.random(n) < 0.3
    truth = rng.random(n) < np.where(ap, 0.4, 0.08)
    score = rng.normal(size=n) + truth * np.where(ap, 0.8, 1.9) + 0.4 * ap
    return pl.DataFrame(
        {
            "patient_id": [f"p{i:06d}" for i in range(n)],
            "view": np.where(ap, "AP", "PA"),
            "truth": truth,
            "score": 1 / (1 + np.exp(1 - score)),
            "sex": rng.choice(["F", "M"], n),
        }
    )


def sample(frame, rng):
    """Strata of view and truth: the bedside and the ill are sampled more than their share."""
    share = {("AP", True): 0.6, ("AP", False): 0.15, ("PA", True): 0.3, ("PA", False): 0.03}
    parts = []
    for (view, truth), part in frame.group_by("view", "truth", maintain_order=True):
        k = round(share[view, truth] * part.height)
        drawn = part[np.sort(rng.choice(part.height, k, replace=False))]
        parts.append(drawn.with_columns(weight=pl.lit(part.height / k), stratum=pl.lit(f"{view} {truth}")))
    return pl.concat(parts).with_columns(image_id=pl.col("patient_id"), site=pl.lit(""))


def tabled(frame):
    images = frame.drop("truth", "score")
    labels = frame.select(
        pl.col("image_id").alias("case_id"),
        pl.lit("edema").alias("finding"),
        pl.lit("expert").alias("source"),
        pl.when("truth").then(pl.lit("present")).otherwise(pl.lit("absent")).alias("state"),
    )
    predictions = frame.select(
        "image_id",
        pl.lit("edema").alias("finding"),
        pl.lit("acme").alias("model"),
        pl.lit("none").alias("shift"),
        "score",
    )
    return tables.check(images, "images"), labels, predictions


def run(frames, **options):
    config = EvaluationConfig(**({"replicates": 200, "subgroups": ("sex", "view")} | options))
    return ev.evaluate(*frames, config, rng=np.random.default_rng(1), models=MODELS)


def one(frame, **equals):
    found = frame.filter(**({"at": ""} | OF | equals))
    assert found.height == 1, (equals, found.height)
    return found.row(0, named=True)


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(77)
    whole = population(rng, 40_000)
    part = sample(whole, rng)
    return whole, part, run(tabled(part)), run(tabled(part.drop("weight", "stratum")))


WHAT = {
    "auc": ("", lambda y, s: roc.auc(y, s).value),
    "prevalence": ("", lambda y, s: y.mean()),
    "specificity": (POINT, lambda y, s: (s[~y] < 0.62).mean()),
    "sensitivity": (POINT, lambda y, s: (s[y] >= 0.62).mean()),
    "ppv": (POINT, lambda y, s: y[s >= 0.62].mean()),
    "sensitivity_at_specificity": (
        "specificity=0.90",
        lambda y, s: rates.threshold_at(y, s, specificity=0.9).sensitivity,
    ),
    "brier": ("recalibration=frozen", lambda y, s: ((s - y) ** 2).mean()),
}


@pytest.mark.parametrize("metric", list(WHAT))
def test_weighted_estimates_recover_the_population(drawn, metric):
    whole, _, weighted, plain = drawn
    at, value = WHAT[metric]
    truth = value(whole["truth"].to_numpy(), whole["score"].to_numpy())
    row = one(weighted.estimates, analysis="standalone", metric=metric, at=at)
    assert row["low"] <= truth <= row["high"]
    naive = one(plain.estimates, analysis="standalone", metric=metric, at=at)
    assert not naive["low"] <= truth <= naive["high"]
    assert abs(row["estimate"] - truth) < abs(naive["estimate"] - truth) / 2


def test_weights_reach_subgroups_and_the_notes(drawn):
    whole, _, weighted, _ = drawn
    women = whole.filter(sex="F")
    truth = roc.auc(women["truth"], women["score"]).value
    row = one(weighted.estimates, analysis="subgroups", metric="auc", subgroup="sex", level="F")
    assert row["low"] <= truth <= row["high"]
    said = " ".join(weighted.notes)
    assert "weighted by the inverse sampling probability, patients within 4 sampling strata; counts are not" in said
    assert "within sampling strata. The same resamples are used in every analysis of these cases" in said


def test_strata_narrow_the_interval_and_move_no_estimate(drawn):
    _, part, weighted, _ = drawn
    without = run(tabled(part.drop("stratum")))
    for metric, at in (("prevalence", ""), ("specificity", POINT), ("brier", "recalibration=frozen")):
        a, b = (one(e.estimates, analysis="standalone", metric=metric, at=at) for e in (weighted, without))
        assert a["estimate"] == pytest.approx(b["estimate"])
        assert a["se"] < b["se"]
    gaps = [
        e.estimates.filter(metric="gap_auc", finding="edema", subgroup="sex")["high"].item()
        for e in (weighted, without)
    ]
    assert gaps[0] == pytest.approx(gaps[1], rel=0.01)  # an AUC gains little from strata of truth and view
    assert gaps[0] != gaps[1]


def test_weights_of_one_change_nothing(drawn):
    _, part, _, plain = drawn
    ones = run(tabled(part.with_columns(weight=pl.lit(1.0))))
    assert ones.estimates.equals(plain.estimates, null_equal=True)
    assert ones.curves.equals(plain.curves, null_equal=True)


def test_the_scale_of_weights_changes_no_estimate(drawn):
    _, part, weighted, _ = drawn
    twice = run(tabled(part.with_columns(weight=pl.col("weight") * 7)))
    for column in ("estimate", "low", "high", "p"):
        a, b = (e.estimates[column].to_numpy() for e in (weighted, twice))
        assert np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True), column


def test_frozen_thresholds_are_fitted_with_weights(drawn):
    whole, part, _, _ = drawn
    config = EvaluationConfig(replicates=100, subgroups=(), specificities=(0.9,), sensitivities=())
    rng = np.random.default_rng(3)
    e = ev.evaluate(*tabled(part), config, rng=rng).estimates
    threshold = one(e, metric="threshold", at=POINT)["estimate"]
    absent = ~whole["truth"].to_numpy()
    reached = (whole["score"].to_numpy()[absent] < threshold).mean()
    assert reached == pytest.approx(0.9, abs=0.03)


def test_patients_in_several_strata_are_said_and_taken_as_drawn_from_the_whole(drawn):
    _, part, _, _ = drawn
    shared = part.with_columns(
        patient_id=pl.when(pl.int_range(pl.len()) % 400 == 0).then(pl.lit("p")).otherwise("patient_id")
    )
    e = run(tabled(shared))
    assert "1 patients are in several sampling strata: patients are treated as one random sample" in " ".join(e.notes)


@pytest.mark.parametrize("weight", [0.0, -2.0])
def test_weights_that_are_not_above_0_are_refused(drawn, weight):
    _, part, _, _ = drawn
    first = pl.int_range(pl.len()) == 0
    with pytest.raises(InputError, match=rf"a number in 'weight' \(above 0.*1 row.*{weight}"):
        run(tabled(part.with_columns(weight=pl.when(first).then(weight).otherwise("weight"))))


def test_a_weight_that_is_missing_beside_others_is_refused(drawn):
    _, part, _, _ = drawn
    first = pl.int_range(pl.len()) == 0
    with pytest.raises(InputError, match=r"a weight in every row, or in none; found 1 rows without one"):
        run(tabled(part.with_columns(weight=pl.when(first).then(None).otherwise("weight"))))


def test_strata_of_one_patient_are_taken_together():
    codes, patient = np.array([0, 0, 1, 2, 3, 3, 3]), np.arange(7)
    assert merge_small_strata(codes, patient).tolist() == [0, 0, 0, 0, 3, 3, 3]
    assert merge_small_strata(np.array([0, 1, 2]), np.arange(3)) is None


def test_a_finite_population_narrows_what_is_linearised_and_moves_no_estimate(drawn):
    _, part, weighted, _ = drawn
    finite = run(tabled(part), finite_population=True)
    y, s, w = (part[c].to_numpy() for c in ("truth", "score", "weight"))
    strata = part["stratum"].to_numpy()
    for metric, at in (("auc", ""), ("sensitivity", POINT), ("brier", "recalibration=frozen")):
        a, b = (one(e.estimates, analysis="standalone", metric=metric, at=at) for e in (finite, weighted))
        assert a["estimate"] == pytest.approx(b["estimate"])
        assert a["se"] < b["se"]
        assert "finite population" in a["method"]
    area = one(finite.estimates, analysis="standalone", metric="auc")
    assert area["se"] == pytest.approx(roc.auc(y, s, weights=w, strata=strata, finite=True).se)
    gap, endless = (e.estimates.filter(metric="gap_auc", finding="edema", subgroup="sex") for e in (finite, weighted))
    assert gap["high"].item() < endless["high"].item()
    said = f"estimates are about the {w.sum():,.0f} cases that were drawn from"
    assert said in " ".join(finite.notes)


def test_a_finite_population_without_weights_is_refused(drawn):
    _, part, _, _ = drawn
    with pytest.raises(InputError, match=r"weights of the images.*found none, or 1 everywhere"):
        run(tabled(part.drop("weight", "stratum")), finite_population=True)
