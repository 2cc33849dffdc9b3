"""Net benefit and the smooth calibration in an evaluation: by hand, as the statistics have them, and where they end."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from overread import evaluation as ev
from overread import tables
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.models.decision_curves import GRID
from overread.stats import calibration
from overread.stats.decision.net_benefits import compare_net_benefit, net_benefit
from overread.stats.multiplicity import holm

pytestmark = pytest.mark.slow

QUICK = {"replicates": 100}


def _run(m, **options):
    config = EvaluationConfig(**(QUICK | options))
    return ev.evaluate(m.images, m.labels, m.predictions, config, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def study(made):
    m = made(raters={"acme": 1.5, "other": 0.9}, sites={"": 150})
    return m, _run(m)


def _arrays(m, finding, rater):
    frame = m.predictions.filter(finding=finding, model=rater).join(
        m.labels.filter(finding=finding), left_on="image_id", right_on="case_id"
    )
    frame = frame.join(m.images, on="image_id").sort("image_id")
    return (frame["state"] == "present").to_numpy(), frame["score"].to_numpy(), frame["patient_id"].to_numpy()


def test_net_benefit_by_hand():
    """Ten cases, one of each patient: at 0.2 six are acted on, four rightly: 4/10 - 2/10 * 0.2/0.8 = 0.35."""
    score = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.1, 0.1, 0.1, 0.1]
    state = ["present"] * 4 + ["absent"] * 6
    ids = [f"{i:02d}" for i in range(10)]
    many = [f"{i}-{k}" for k in range(10) for i in ids]  # ten times over, so that there are patients enough
    images = tables.check(pl.DataFrame({"image_id": many, "patient_id": many, "site": "a"}), "images")
    labels = pl.DataFrame({"case_id": many, "finding": "mass", "source": "x", "state": state * 10})
    scores = {"image_id": many, "finding": "mass", "model": "m", "shift": "none", "score": score * 10}
    config = EvaluationConfig(decision_thresholds=(0.2,), subgroups=(), **QUICK)
    e = ev.evaluate(images, labels, pl.DataFrame(scores), config, rng=np.random.default_rng(0))
    rows = e.estimates.filter(analysis="decision", at="threshold=0.20")
    value = dict(rows.select("metric", "estimate").rows())
    assert value["net_benefit"] == pytest.approx(0.4 - 0.2 * 0.25)
    everyone = 0.4 - 0.6 * 0.25
    assert value["net_benefit_difference"] == pytest.approx(0.35 - everyone)
    drawn = e.curves.filter(pl.col("curve") == "treat_all", (pl.col("x") - 0.2).abs() < 1e-9)["y"].item()
    assert drawn == pytest.approx(everyone)
    tests = e.estimates.filter(pl.col("metric").is_in(["spiegelhalter", "hosmer_lemeshow"]), at="recalibration=none")
    assert tests["p"].is_not_nan().all()  # one case per patient: the tests hold


def test_rows_are_those_of_the_statistics(study):
    m, e = study
    y, score, patient = _arrays(m, "edema", "acme")
    other = _arrays(m, "edema", "other")[1]
    want = net_benefit(y, score, [0.05, 0.1, 0.2], cluster=patient)
    got = e.estimates.filter(analysis="decision", finding="edema", rater="acme", metric="net_benefit").sort("at")
    np.testing.assert_allclose(got["estimate"], want.model)
    np.testing.assert_allclose(got["low"], want.low)
    less = e.estimates.filter(analysis="decision", finding="edema", rater="acme", contrast="rater:(everyone)")
    np.testing.assert_allclose(less.sort("at")["high"], want.minus_all.high)
    pair = e.estimates.filter(analysis="decision", contrast="rater:other", at="threshold=0.10").sort("finding")
    both = compare_net_benefit(y, score, other, [0.1], cluster=patient)
    row = pair.filter(finding="edema").row(0, named=True)
    assert (row["estimate"], row["se"]) == pytest.approx((both.value[0], both.se[0]))
    np.testing.assert_allclose(pair["p_adjusted"], holm(pair["p"]))
    curve = e.curves.filter(curve="net_benefit", finding="edema", rater="acme").sort("order")
    np.testing.assert_allclose(curve["x"], GRID)
    np.testing.assert_allclose(curve["y"], net_benefit(y, score, GRID, cluster=patient).model)


def test_smooth_calibration_is_that_of_the_statistics(study):
    m, e = study
    y, score, patient = _arrays(m, "mass", "other")
    want = calibration.smooth_curve(y, score, cluster=patient)
    rows = e.estimates.filter(analysis="standalone", finding="mass", rater="other", at="recalibration=none")
    value = {r["metric"]: r for r in rows.iter_rows(named=True)}
    assert value["ici"]["estimate"] == pytest.approx(want.ici.value)
    assert value["e90"]["high"] == pytest.approx(want.e90.high, nan_ok=True)
    assert f"{want.expected_if_calibrated:.4f}" in value["ici"]["note"]
    curve = e.curves.filter(curve="calibration_smooth", finding="mass", rater="other").sort("order")
    np.testing.assert_allclose(curve["y"], want.observed)
    assert "patients have several cases" in value["spiegelhalter"]["note"]
    assert np.isnan(value["hosmer_lemeshow"]["estimate"])
    error = calibration.ece(y, score, bins=15, cluster=patient)
    debiased = e.estimates.filter(finding="mass", rater="other", metric="ece_debiased")
    first = debiased.filter(pl.col("at").str.ends_with("recalibration=none"))
    assert first["estimate"].item() == pytest.approx(error.debiased)
    assert e.curves.filter(curve="recalibrated_smooth").height > 0


def test_scores_that_only_rank_have_no_net_benefit_and_say_so(made):
    m = made(raters={"acme": 1.5}, sites={"": 60})
    ranks = m.predictions.with_columns(pl.col("score") * 10)
    e = ev.evaluate(m.images, m.labels, ranks, EvaluationConfig(**QUICK), rng=np.random.default_rng(1))
    rows = e.estimates.filter(analysis="decision")
    assert rows["estimate"].is_nan().all()
    assert rows["note"].unique().to_list() == ["NE: the scores are not probabilities"]
    assert e.curves.filter(curve="net_benefit").is_empty()


def test_a_threshold_outside_0_and_1_is_refused():
    with pytest.raises(InputError, match=r"decision_thresholds: expected a number between 0 and 1; found 1\.5"):
        EvaluationConfig(decision_thresholds=(0.1, 1.5))
