"""Shared patient draws against their slow twin: every drawn patient's cases written out again."""

from dataclasses import replace

import numpy as np
import pytest
from checked_join import join_tables

from overread.evaluation.context.patient_draws import (
    Draws,
    RaterCases,
    auc_replicates,
    draws,
    original_sample,
    rate_replicates,
    totals,
)
from overread.evaluation.context.score_matrix import build_scores
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.stats import rates, roc


@pytest.fixture
def ground(made):
    m = made(sites={"a": 40, "b": 30}, per_patient=2)
    strata = np.array(["x", "y"])[np.arange(m.images.height) // 7 % 2]
    images = m.images.with_columns(pairs_within=np.where(m.images["site"].to_numpy() == "a", strata, None))
    return build_scores(join_tables(images, m.labels, m.predictions, EvaluationConfig()))


def written_out(counts, patient):
    return np.concatenate([np.flatnonzero(patient == p).repeat(c) for p, c in enumerate(counts) if c])


def test_auc_replicates_with_and_without_strata(ground):
    p = ground
    drawn = draws(p, rng=np.random.default_rng(1), replicates=6)
    spots = [RaterCases("acme", f, p.at([s])) for f in p.findings for s in ("a", "b")]
    values = auc_replicates(p, drawn, spots)
    for r in range(6):
        index = written_out(drawn.counts[r], p.patient)
        for i, spot in enumerate(spots):
            mine = index[spot.cases[index]]
            y, s = p.truths(spot.finding)[mine] == 1, p.scores("acme", spot.finding)[mine]
            if i % 2:
                twin = roc.auc(y, s).value
            else:
                twin = roc.stratified_auc(y, s, p.pairs.codes[mine]).value
            assert values[r, i] == pytest.approx(twin, abs=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_rate_replicates_choose_the_threshold_again(ground, reverse):
    p = ground
    drawn = draws(p, rng=np.random.default_rng(2), replicates=5)
    spots = [RaterCases("acme", "edema", p.at(["b"]))]
    values = rate_replicates(p, drawn, spots, [0.9, 0.6], kind="specificity" if reverse else "sensitivity")
    for r in range(5):
        index = written_out(drawn.counts[r], p.patient)
        mine = index[spots[0].cases[index]]
        y, s = p.truths("edema")[mine] == 1, p.scores("acme", "edema")[mine]
        for k, rate in enumerate((0.9, 0.6)):
            step = rates.threshold_at(y, s, **{"sensitivity" if reverse else "specificity": rate})
            assert values[r, 0, k] == pytest.approx(step.specificity if reverse else step.sensitivity, abs=1e-12)


def test_patients_are_drawn_within_their_site(ground):
    drawn = draws(ground, rng=np.random.default_rng(4), replicates=20)
    assert drawn.within_site
    at_a = np.array([s.startswith("a") for s in ground.patients])
    assert (drawn.counts[:, at_a].sum(axis=1) == 40).all()


def test_a_patient_of_two_sites_is_drawn_whole(made):
    m = made(sites={"a": 30, "b": 30})
    images = m.images.with_columns(patient_id=m.images["patient_id"].str.replace("b-1$", "a-1"))
    p = build_scores(join_tables(images, m.labels, m.predictions, EvaluationConfig()))
    drawn = draws(p, rng=np.random.default_rng(4), replicates=20)
    assert not drawn.within_site
    assert drawn.counts.shape == (20, 59)
    assert (drawn.counts.sum(axis=1) == 59).all()


def test_the_whole_is_the_estimate_itself(ground):
    p = ground
    spot = RaterCases("acme", "mass", p.at(["b"]))
    y, s = p.truths("mass")[spot.cases] == 1, p.scores("acme", "mass")[spot.cases]
    assert auc_replicates(p, original_sample(p), [spot])[0, 0] == pytest.approx(roc.auc(y, s).value, abs=1e-12)


def test_totals_in_blocks_are_totals():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, (600, 9)).astype(np.uint16)
    values = rng.normal(size=(9, 3))
    assert totals(Draws(counts, False), values) == pytest.approx(counts.astype(float) @ values)


@pytest.mark.parametrize("weighted", [False, True])
def test_auc_replicates_over_pairs_within_sites(ground, weighted):
    weight = np.random.default_rng(5).uniform(1, 3, ground.patient.size) if weighted else None
    score = np.round(ground.score, 1)  # ties
    p = replace(ground, across_sites=False, weight=weight, score=score)
    drawn = draws(p, rng=np.random.default_rng(1), replicates=4, within_sites=False)
    everyone = np.ones(p.patient.size, dtype=bool)
    values = auc_replicates(p, drawn, [RaterCases("acme", f, everyone) for f in p.findings])
    for r in range(4):
        index = written_out(drawn.counts[r], p.patient)
        for i, finding in enumerate(p.findings):
            y, s = p.truths(finding)[index] == 1, p.scores("acme", finding)[index]
            w = None if weight is None else weight[index]
            twin = roc.stratified_auc(y, s, p.pair_strata(np.arange(p.patient.size))[index], weights=w)
            assert values[r, i] == pytest.approx(twin.value, abs=1e-12)


def test_draws_over_all_sites_keep_the_total_and_not_that_of_a_site(ground):
    drawn = draws(ground, rng=np.random.default_rng(1), replicates=20, within_sites=False)
    assert (drawn.counts.sum(axis=1) == ground.n_patients).all()
    of_a = np.unique(ground.patient[ground.at(["a"])])
    assert len(set(drawn.counts[:, of_a].sum(axis=1).tolist())) > 1
    assert not drawn.within_site
