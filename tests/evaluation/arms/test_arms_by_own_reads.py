"""Arms are not judged by a reference standard that the same readers made, but by the majority of the others."""

import numpy as np
import polars as pl
import pytest
from arms.arm_tables import pick, simulated, study

from overread.evaluation.join.reference_standards import OTHERS
from overread.stats.reader_studies import mrmc

U = "test=u-statistic"
MEAN = "(readers)"


@pytest.fixture(scope="module")
def evidence():
    reads, labels = simulated(calls=True)
    return reads, labels, study(reads, labels)


@pytest.mark.parametrize("reference", ["majority", "dawid-skene"])
def test_own_reference_standards_are_left_out_with_the_reason(evidence, reference):
    _, _, found = evidence
    for metric in ("sensitivity_difference", "specificity_difference"):
        row = pick(found, metric=metric, reference=reference, rater=MEAN, contrast="arm:unaided")
        assert np.isnan(row["estimate"])
        assert "the same readers made this reference standard" in row["note"]
    counted = found.account.filter(pl.col("reason").str.contains("the same readers made this reference standard"))
    assert (counted["count"].item(), counted["examples"].item()) == (2, "majority; dawid-skene")


def test_a_label_source_made_by_the_readers_is_left_out():
    reads, labels = simulated(calls=True)
    found = study(reads, labels, reader_made=("ct",))
    assert np.isnan(pick(found, metric="sensitivity_difference", rater=MEAN)["estimate"])


def test_each_reader_is_judged_by_the_others_in_both_arms(evidence):
    """Rates of every reader, counted from the table: the truth of a case is the unaided majority of the four others."""
    reads, _, found = evidence
    wide = {
        arm: reads.filter(arm=arm).pivot("reader", index="case_id", values="call").sort("case_id")
        for arm in ("unaided", "aided")
    }
    readers = sorted(reads["reader"].unique())
    calls = {arm: np.array([[v == "present" for v in frame[r]] for r in readers]) for arm, frame in wide.items()}
    differences = []
    for r, reader in enumerate(readers):
        votes = np.delete(calls["unaided"], r, axis=0).sum(axis=0)
        truth = np.where(votes * 2 == 4, np.nan, votes * 2 > 4)
        rates = [calls[arm][r][truth == 1].mean() for arm in ("aided", "unaided")]
        row = pick(found, metric="sensitivity_difference", at=U, rater=reader, reference=OTHERS)
        assert row["estimate"] == pytest.approx(rates[0] - rates[1])
        differences.append(rates[0] - rates[1])
    mean = pick(found, metric="sensitivity_difference", at=U, rater=MEAN, reference=OTHERS)
    assert min(differences) <= mean["estimate"] <= max(differences)
    assert mean["low"] < mean["estimate"] < mean["high"]
    assert "reader_not_in_reference" in mean["note_codes"]


def test_the_difference_by_the_others_is_near_that_by_the_truth(evidence):
    """Under the majority of all readers the unaided reads are favoured: the difference is biased against the aid."""
    reads, _, found = evidence
    true = pick(found, metric="specificity_difference", at=U, rater=MEAN)["estimate"]
    other = pick(found, metric="specificity_difference", at=U, rater=MEAN, reference=OTHERS)["estimate"]
    calls = np.array(
        [
            [[c == "present" for c in reads.filter(arm=a, reader=f"r{r}").sort("case_id")["call"]] for r in range(5)]
            for a in ("aided", "unaided")
        ],
        dtype=float,
    )
    own = calls[1].sum(axis=0) > 2.5
    biased = mrmc.compare_arms(own, calls, metric="specificity", covariance="u-centred").difference.value
    assert abs(other - true) < abs(biased - true)


def test_a_case_counts_once_whatever_it_is_for_a_reader():
    """One read is lost. A case that is present for one reader and absent for another is one case, and of no class."""
    reads, labels = simulated(calls=True, n_readers=4)
    reads = reads.filter(~((pl.col("reader") == "r0") & (pl.col("case_id") == "c000") & (pl.col("arm") == "aided")))
    found = study(reads, labels)
    for row in (
        pick(found, metric="sensitivity_difference", at=U, rater=MEAN, reference=OTHERS),
        pick(found, metric="sensitivity", at="", rater=MEAN, reference=OTHERS, level="aided"),
    ):
        assert (row["n_cases"], row["n_present"], row["n_absent"]) == (80, None, None)
    note = pick(found, metric="sensitivity_difference", at=U, rater=MEAN, reference=OTHERS)["note"]
    assert "1 of 640 reads missing" in note
    assert found.estimates.filter(reference=OTHERS)["n_cases"].max() == 80


def test_arms_of_different_readers_rest_on_different_cases_where_votes_are_tied():
    """Three unaided readers: each is judged by two others, with ties; an aided reader by three, without."""
    reads, labels = simulated(calls=True, n_readers=6, n_cases=40)
    unaided = pl.col("reader").is_in(["r0", "r1", "r2"])
    reads = reads.filter((pl.col("arm") == "unaided") == unaided)
    wide = reads.filter(unaided).pivot("reader", index="case_id", values="call")
    n_tied = 2 * sum(len(set(calls)) == 2 for calls in wide.drop("case_id").rows())  # the two readers who agree
    note = pick(study(reads, labels), metric="sensitivity_difference", at=U, rater=MEAN, reference=OTHERS)["note"]
    assert f"{n_tied} of 240 reads excluded: no majority of the other readers" in note
    assert f"excluded by arm: unaided {n_tied} of 120, aided 0 of 120; the arms rest on different cases" in note


def test_dawid_skene_rates_are_of_the_arm_whose_reads_they_were_estimated_from(evidence):
    _, _, found = evidence
    rows = found.estimates.filter(metric="estimated_sensitivity")
    assert (rows["arm"].unique().to_list(), rows.height) == (["unaided"], 5)
