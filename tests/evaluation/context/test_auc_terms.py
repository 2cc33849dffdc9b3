"""AUCs with influence per patient: against the paired and stratified statistics, and the bootstrap."""

import numpy as np
import pytest
from checked_join import join_tables

from overread.evaluation.context.auc_terms import (
    FEWEST,
    Cases,
    area_of,
    auc_estimate,
    combined,
    linear_estimate,
    mean_terms,
    select,
)
from overread.evaluation.context.estimate_rows import Counts
from overread.evaluation.context.patient_draws import RaterCases, auc_replicates, draws
from overread.evaluation.context.score_matrix import NONE, build_scores
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.stats import roc


def study(made, **plan):
    m = made(**plan)
    return build_scores(join_tables(m.images, m.labels, m.predictions, EvaluationConfig()))


def everything(p):
    return np.ones(len(p.case_id), dtype=bool)


def test_an_area_is_the_clustered_auc(made):
    p = study(made)
    one = area_of(p, select(p, "acme", "edema", everything(p)))
    y, s = p.truths("edema") == 1, p.scores("acme", "edema")
    reference = roc.auc(y, s, cluster=p.patient)
    assert one.value == pytest.approx(reference.value, abs=1e-12)
    assert combined([(1.0, one)], p.n_patients)[1] == pytest.approx(reference.se, rel=1e-3)
    assert one.counts == Counts(int(y.sum()), int((~y).sum()), *(np.unique(p.patient[m]).size for m in (y, ~y, y | ~y)))


def test_a_difference_of_areas_is_the_paired_comparison(made):
    p = study(made, raters={"acme": 1.5, "other": 0.8})
    pair = [area_of(p, select(p, r, "edema", everything(p))) for r in ("acme", "other")]
    value, se = combined([(1.0, pair[0]), (-1.0, pair[1])], p.n_patients)
    y = p.truths("edema") == 1
    reference = roc.compare_aucs(y, p.scores("acme", "edema"), p.scores("other", "edema"), cluster=p.patient)
    assert value == pytest.approx(reference.value, abs=1e-12)
    assert se == pytest.approx(reference.se, rel=2e-3)


def test_areas_of_different_patients_add_their_variances(made):
    p = study(made, sites={"a": 80, "b": 50})
    pair = [area_of(p, select(p, "acme", "edema", p.at([s]))) for s in ("a", "b")]
    alone = [combined([(1.0, a)], p.n_patients)[1] for a in pair]
    assert combined(mean_terms(pair), p.n_patients)[1] == pytest.approx(np.hypot(*alone) / 2)


def test_pairs_within_strata_are_respected(made):
    m = made()
    images = m.images.with_columns(pairs_within=np.array(["x", "y", "x"]).repeat(80))
    p = build_scores(join_tables(images, m.labels, m.predictions, EvaluationConfig()))
    one = area_of(p, select(p, "acme", "edema", everything(p)))
    y, s = p.truths("edema") == 1, p.scores("acme", "edema")
    reference = roc.stratified_auc(y, s, p.pairs.codes, cluster=p.patient)
    assert one.value == pytest.approx(reference.value, abs=1e-12)
    assert combined([(1.0, one)], p.n_patients)[1] == pytest.approx(reference.se, rel=5e-3)
    plain = area_of(p, select(p, "acme", "edema", everything(p), within=False))
    assert plain.value == pytest.approx(roc.auc(y, s).value, abs=1e-12)


@pytest.mark.slow
def test_the_error_of_a_mean_over_findings_is_that_of_the_bootstrap(made):
    p = study(made, findings=("edema", "mass", "nodule"), sites={"a": 150})
    areas = [area_of(p, select(p, "acme", f, everything(p))) for f in p.findings]
    value, se = combined(mean_terms(areas), p.n_patients)
    drawn = draws(p, rng=np.random.default_rng(3), replicates=2000)
    mean = auc_replicates(p, drawn, [RaterCases("acme", f, everything(p)) for f in p.findings]).mean(axis=1)
    assert value == pytest.approx(np.mean([a.value for a in areas]))
    assert se == pytest.approx(mean.std(ddof=1), rel=0.08)


def test_one_class_is_nan_with_a_note(made):
    p = study(made)
    present = p.truths("edema") == 1
    one = area_of(p, select(p, "acme", "edema", present))
    assert np.isnan(one.value)
    assert one.note.codes[0].name == "one_class"


def test_no_terms_are_nan_and_not_zero():
    assert np.isnan(linear_estimate([], 5, confidence=0.95).value)


@pytest.mark.parametrize(
    ("patients", "method", "interval"), [(60, "Wald", True), (30, "logit scale, t", True), (8, "", False)]
)
def test_the_interval_follows_the_number_of_patients(patients, method, interval):
    rng = np.random.default_rng(patients)
    y = np.arange(200) < patients
    score = y + rng.normal(size=200)
    of = chosen_cases(y, score)
    counts = Counts(patients, 200 - patients, patients, 200 - patients, 200)
    made = auc_estimate(of, counts, confidence=0.95)
    assert method in made.method
    assert np.isfinite(made.low) == interval
    if not interval:
        assert f"8 patients with the finding and 192 without it (at least {FEWEST}" in made.note


def chosen_cases(y, score):
    return Cases(y, score, np.arange(len(y)), None, None)


def test_strata_are_off_where_none_is_stated(made):
    p = study(made)
    assert (p.pairs.codes == NONE).all()
    assert select(p, "acme", "edema", everything(p)).pairs is None
