"""Kappa among readers, on grades and within blocks, and a Dawid-Skene reference standard that is not identified."""

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score

from overread import evaluation as ev
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.stats import agreement

pytestmark = pytest.mark.slow

FINDING = "lung_lesion"


def long(table, readers, *, score=False):
    """Reads from an array (n_cases, n_readers), NaN = not read: calls, or scores."""
    rows = [
        (reader, f"c{i:04d}", FINDING, "unaided", 1, float(table[i, k]), "present" if table[i, k] else "absent")
        for k, reader in enumerate(readers)
        for i in np.flatnonzero(~np.isnan(table[:, k]))
    ]
    names = ["reader", "case_id", "finding", "arm", "round", "score", "call"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    return frame.drop("call") if score else frame.with_columns(score=pl.lit(None, pl.Float64))


def images_of(n, per_patient=1):
    cases = [f"c{i:04d}" for i in range(n)]
    patient = [f"p{i // per_patient}" for i in range(n)]
    return pl.DataFrame({"image_id": cases, "case_id": cases, "patient_id": patient, "site": "a"})


def evaluated(table, readers, *, score=False, per_patient=1, **settings):
    config = EvaluationConfig(**{"replicates": 100, "subgroups": (), **settings})
    reads = long(table, readers, score=score)
    return ev.evaluate(
        images_of(len(table), per_patient), None, None, config, rng=np.random.default_rng(0), reads=reads
    )


def agreed(evidence, **equals):
    found = evidence.estimates.filter(**{"analysis": "agreement", "at": "", "rater": "(readers)", **equals})
    assert found.height == 1, (equals, found.height)
    return found.row(0, named=True)


@pytest.fixture(scope="module")
def crossed():
    rng = np.random.default_rng(1)
    truth = rng.random(150) < 0.4
    right = rng.random((150, 3)) < 0.85
    table = np.where(right, truth[:, None], ~truth[:, None]).astype(float)
    table[:20, 2] = np.nan
    return table, evaluated(table, ("r1", "r2", "r3"), per_patient=3)


def test_every_pair_has_cohen_s_kappa_and_their_mean_is_given(crossed):
    table, evidence = crossed
    values = []
    for i, j in combinations(range(3), 2):
        both = ~np.isnan(table[:, [i, j]]).any(axis=1)
        values.append(cohen_kappa_score(table[both, i], table[both, j]))
        row = agreed(evidence, metric="cohen_kappa", rater=f"r{i + 1}", at=f"reader=r{j + 1}")
        assert row["estimate"] == pytest.approx(values[-1], rel=1e-12)
        assert (row["n_cases"], row["n_readers"]) == (both.sum(), 2)
        assert row["low"] < row["estimate"] < row["high"]
    mean = agreed(evidence, metric="light_kappa")
    assert mean["estimate"] == pytest.approx(np.mean(values), rel=1e-12)
    assert (mean["n_readers"], mean["n_patients"]) == (3, 50)
    assert mean["low"] < mean["estimate"] < mean["high"]


def test_a_reader_with_one_category_is_called_by_name():
    """The statistic knows its raters as reader a and reader b; R6 is the second of the pair."""
    table = np.column_stack([np.tile([0.0, 1.0], 20), np.zeros(40)])
    found = evaluated(table, ("B", "R6")).estimates
    notes = found.filter(metric="cohen_kappa", analysis="agreement")["note"].to_list()
    assert len(notes) == 1
    assert "reader R6 used only one category" in notes[0]
    assert "reader b" not in notes[0]


def test_fleiss_kappa_is_that_of_the_library_clustered_by_patient(crossed):
    table, evidence = crossed
    want = agreement.fleiss_kappa(table, cluster=np.arange(150) // 3)
    row = agreed(evidence, metric="fleiss_kappa")
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((want.value, want.low, want.high), rel=1e-12)
    assert not evidence.estimates.filter(pl.col("at").str.contains("block=")).height


def test_graded_reads_have_weighted_agreement():
    rng = np.random.default_rng(2)
    severity = rng.normal(size=200)
    grades = np.clip(np.round(severity[:, None] + rng.normal(scale=0.7, size=(200, 3)) + 2), 0, 4)
    evidence = evaluated(grades, ("r1", "r2", "r3"), score=True)
    assert agreed(evidence, metric="percent_agreement", at="grades=equal")["estimate"] == pytest.approx(
        np.mean([(grades[:, i] == grades[:, j]).mean() for i, j in combinations(range(3), 2)])
    )
    for weights in ("linear", "quadratic"):
        values = [cohen_kappa_score(grades[:, i], grades[:, j], weights=weights) for i, j in combinations(range(3), 2)]
        row = agreed(evidence, metric="cohen_kappa", rater="r1", at=f"reader=r2;weights={weights}")
        assert row["estimate"] == pytest.approx(values[0])
        assert agreed(evidence, metric="light_kappa", at=f"weights={weights}")["estimate"] == pytest.approx(
            np.mean(values)
        )
        want = agreement.fleiss_kappa(grades, weights=weights).value
        assert agreed(evidence, metric="fleiss_kappa", at=f"weights={weights}")["estimate"] == pytest.approx(want)
    want = agreement.krippendorff_alpha(grades, level="ordinal").value
    assert agreed(evidence, metric="krippendorff_alpha", at="level=ordinal")["estimate"] == pytest.approx(want)
    calls = evidence.estimates.filter(analysis="agreement", at="")
    assert calls.is_empty()  # there are no calls


def test_many_different_scores_are_measurements():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(60, 1)) + rng.normal(size=(60, 2))
    evidence = evaluated(scores, ("r1", "r2"), score=True)
    rows = evidence.estimates.filter(analysis="agreement")
    assert rows.select("metric", "at").rows() == [("krippendorff_alpha", "level=interval")]
    want = agreement.krippendorff_alpha(scores, level="interval").value
    assert rows["estimate"].item() == pytest.approx(want)


@pytest.fixture(scope="module")
def blocks():
    """Readers a1-a3 read the first 200 cases, of which few are present, b1-b3 the other 200, of which most are."""
    rng = np.random.default_rng(4)
    truth = np.r_[rng.random(200) < 0.1, rng.random(200) < 0.6]
    right = rng.random((400, 6)) < 0.9
    table = np.where(right, truth[:, None], ~truth[:, None]).astype(float)
    table[200:, :3], table[:200, 3:] = np.nan, np.nan
    readers = ("a1", "a2", "a3", "b1", "b2", "b3")
    return table, evaluated(table, readers, references=("dawid-skene", "majority"))


def test_agreement_within_blocks_of_readers(blocks):
    table, evidence = blocks
    for number, cases, readers in ((1, slice(0, 200), slice(0, 3)), (2, slice(200, 400), slice(3, 6))):
        part = table[cases, readers]
        row = agreed(evidence, metric="fleiss_kappa", at=f"block={number}")
        assert row["estimate"] == pytest.approx(agreement.fleiss_kappa(part).value)
        assert (row["n_cases"], row["n_readers"]) == (200, 3)
        alpha = agreed(evidence, metric="krippendorff_alpha", at=f"block={number}")
        assert alpha["estimate"] == pytest.approx(agreement.krippendorff_alpha(part).value)
    assert "within the block of a1, a2, a3" in agreed(evidence, metric="light_kappa", at="block=1")["note"]
    assert "nearly disjoint cases in 2 blocks" in agreed(evidence, metric="fleiss_kappa")["note"]


def test_cases_with_one_read_in_the_block_have_no_part_in_its_agreement():
    rng = np.random.default_rng(6)
    truth = np.r_[rng.random(200) < 0.1, rng.random(200) < 0.6]
    table = np.where(rng.random((400, 6)) < 0.9, truth[:, None], ~truth[:, None]).astype(float)
    table[200:, :3], table[:200, 3:] = np.nan, np.nan
    table[360:, 0] = 0.0  # reads of the first block among the cases of the second
    evidence = evaluated(table, ("a1", "a2", "a3", "b1", "b2", "b3"))
    part = table[:200, :3]
    for metric, want in (("fleiss_kappa", agreement.fleiss_kappa(part)), ("gwet_ac1", agreement.gwet_ac(part))):
        row = agreed(evidence, metric=metric, at="block=1")
        assert (row["estimate"], row["n_cases"]) == (pytest.approx(want.value, rel=1e-12), 200)
        assert "single read" not in row["note"]


def test_a_dawid_skene_reference_that_is_not_identified_does_not_exist(blocks):
    _, evidence = blocks
    rows = evidence.estimates.filter(analysis="readers", reference="dawid-skene")
    assert rows.select("metric", "rater").rows() == [("sensitivity", "(readers)"), ("specificity", "(readers)")]
    assert rows["estimate"].is_nan().all()
    account = evidence.account.filter(unit="reference standards").row(0, named=True)
    for said in (rows["note"][0], account["reason"]):
        assert said.startswith("lung_lesion: no Dawid–Skene reference standard, because the votes do not identify")
        assert "2 blocks of readers read nearly disjoint cases with different shares of present calls" in said
        assert "with a common sensitivity and specificity in each block of readers" in said
    assert "dawid_skene_refused" in account["reason_code"]
    assert not any("not labelled by dawid-skene" in r for r in evidence.account["reason"])
    assert evidence.estimates.filter(reference="majority")["estimate"].is_not_nan().any()


def test_a_dawid_skene_reference_that_is_identified_stays(crossed):
    table, evidence = crossed
    rows = evidence.estimates.filter(analysis="readers", reference="dawid-skene", metric="estimated_sensitivity")
    want = agreement.dawid_skene(table, classes=[0, 1], start="best")
    assert want.identified
    assert rows["estimate"].to_list() == pytest.approx(want.sensitivity.tolist(), rel=1e-9)


def test_nothing_helps_where_readers_of_a_block_gave_one_answer():
    rng = np.random.default_rng(5)
    table = np.full((400, 6), np.nan)
    table[:200, :3] = 0
    truth = rng.random(200) < 0.5
    table[200:, 3:] = rng.random((200, 3)) < np.where(truth, 0.9, 0.1)[:, None]
    evidence = evaluated(table, ("a1", "a2", "a3", "b1", "b2", "b3"))
    reason = evidence.account.filter(unit="reference standards")["reason"].item()
    assert "readers with one answer only gave 50% of the votes: 0, 1, 2" not in reason  # readers have their names
    assert "readers with one answer only gave 50% of the votes: a1, a2, a3" in reason
    assert "neither Beta priors nor common rates in each block of readers identify it" in reason


def test_priors_give_a_dawid_skene_reference_where_the_votes_do_not_identify_it(crossed):
    table = np.column_stack([crossed[0], np.zeros(150)])  # the fourth reader calls nothing present
    readers = ("r1", "r2", "r3", "r4")
    alone = evaluated(table, readers, per_patient=3)
    refused = alone.account.filter(unit="reference standards")["reason"].item()
    assert "with Beta priors on the rates (evaluation.dawid_skene_prior) it would be identified" in refused
    prior = {"sensitivity": (4, 2), "specificity": (4, 2)}
    evidence = evaluated(table, readers, per_patient=3, dawid_skene_prior=prior)
    want = agreement.dawid_skene(table, classes=[0, 1], start="best", prior=agreement.RatePrior(**prior))
    rows = evidence.estimates.filter(analysis="readers", reference="dawid-skene", metric="estimated_sensitivity")
    assert rows["estimate"].to_list() == pytest.approx(want.sensitivity.tolist(), rel=1e-9)
    said = "priors: sensitivity Beta(4, 2), specificity Beta(4, 2), prevalence Beta(1, 1)"
    assert rows["note"].str.contains(f"posterior mode under Beta priors; {said}", literal=True).all()
    assert evidence.account.filter(unit="reference standards").is_empty()


def test_priors_that_are_none_are_refused_all_at_once():
    with pytest.raises(InputError) as refused:
        EvaluationConfig(dawid_skene_prior={"sensitivty": (4, 2), "specificity": (0.5, 2), "prevalence": (1, 1)})
    text = str(refused.value)
    assert "rates sensitivity, specificity, prevalence; found 'sensitivty'. Did you mean 'sensitivity'?" in text
    assert "dawid_skene_prior.specificity: expected two finite numbers of at least 1" in text
