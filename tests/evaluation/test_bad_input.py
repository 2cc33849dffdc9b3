"""Bad input: each a clear error, or NaN with a note that stands in the estimates and on the page."""

import json

import numpy as np
import polars as pl
import pytest

from overread import evaluation as ev
from overread import findings, reporting, runs, tables
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.reporting.report_data import plain_words

QUICK = {"replicates": 100, "subgroups": ()}


def run(m, **changed):
    frames = [changed.pop(n, getattr(m, n)) for n in ("images", "labels", "predictions")]
    config = EvaluationConfig(**(QUICK | changed))
    return ev.evaluate(*frames, config, rng=np.random.default_rng(0))


def on_the_page(evidence, folder):
    """The text of the report that the command would write of this evidence."""
    with runs.start(folder / "evidence", "evaluate", config=QUICK, seed=0):
        ev.write(evidence, folder / "evidence")
    page = reporting.write(folder / "evidence", folder / "report", study={})
    return page.read_text(encoding="utf-8").replace("&#39;", "'")


def noted(evidence, folder, words, *, missing="estimate", **where):
    """A number that is NaN (or has no interval) says these words, in the estimates and on the page."""
    found = evidence.estimates.filter(**where)
    assert found.height == 1, found
    row = found.row(0, named=True)
    assert np.isnan(row[missing]), row
    assert words in row["note"], row["note"]
    assert plain_words(words, findings.load()) in on_the_page(evidence, folder)
    return row


@pytest.fixture(scope="module")
def study(made):
    return made(sites={"": 120}, per_patient=1)


def stated(m, finding, present):
    """The labels with this finding present in so many cases only, the first ones."""
    first = m.labels.filter(finding=finding)["case_id"].to_list()[:present]
    mine, held = pl.col("finding") == finding, pl.col("case_id").is_in(first)
    state = pl.when(mine & held).then(pl.lit("present")).when(mine).then(pl.lit("absent"))
    return m.labels.with_columns(state=state.otherwise(pl.col("state").cast(pl.String)))


AUC = {"analysis": "standalone", "metric": "auc", "finding": "mass", "at": ""}


@pytest.mark.slow
def test_one_class(study, tmp_path):
    e = run(study, labels=stated(study, "mass", 0))
    noted(e, tmp_path, "NE: all cases (n = 120) had the finding absent", **AUC)


@pytest.mark.slow
def test_one_case_of_a_class(study, tmp_path):
    e = run(study, labels=stated(study, "mass", 1))
    row = noted(e, tmp_path, "no CI: 1 patient with the finding and 119 without it", missing="low", **AUC)
    assert np.isfinite(row["estimate"])


@pytest.mark.slow
def test_all_scores_equal(study, tmp_path):
    same = pl.when(pl.col("finding") == "mass").then(0.5).otherwise("score")
    e = run(study, predictions=study.predictions.with_columns(score=same))
    row = noted(e, tmp_path, "no CI: the estimated variance is 0", missing="low", **AUC)
    assert row["estimate"] == 0.5


@pytest.mark.parametrize(
    ("value", "words"),
    [(float("nan"), "expected numbers in 'score'"), (float("inf"), "expected finite numbers in 'score'")],
)
def test_scores_that_are_not_finite(study, value, words):
    first = pl.int_range(pl.len()) == 0
    with pytest.raises(InputError, match=rf"predictions: {words}; found 1 row"):
        run(study, predictions=study.predictions.with_columns(score=pl.when(first).then(value).otherwise("score")))


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda s: s * 3 - 1, lambda s: (s / (1 - s)).log()])
def test_no_probabilities_have_no_calibration(study, tmp_path, change):
    """Outside [0, 1], or a score that only ranks."""
    e = run(study, predictions=study.predictions.with_columns(score=change(pl.col("score"))))
    words = "NE: the scores are not probabilities"
    for metric in ("calibration_slope", "brier"):
        where = {"metric": metric, "at": "recalibration=none", "finding": "mass"}
        noted(e, tmp_path / metric, words, **where)


@pytest.mark.slow
def test_a_subgroup_of_three(study, tmp_path):
    few = study.images["patient_id"].is_in(["-0", "-1", "-2"])
    images = study.images.with_columns(scanner=pl.when(few).then(pl.lit("new")).otherwise(pl.lit("old")))
    e = run(study, images=images, subgroups=("scanner",))
    where = {"analysis": "subgroups", "metric": "auc", "finding": "mass", "level": "new"}
    row = noted(e, tmp_path, "(20 and 20 required)", **where)
    assert row["note"].startswith("too few patients: ")
    gap = e.estimates.filter(metric="gap_auc", finding="mass").row(0, named=True)
    assert np.isnan(gap["estimate"])
    assert gap["note"].startswith("NE: only one group is evaluable; new excluded (")


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_weights_that_are_zero_or_negative(study, weight):
    first = pl.int_range(pl.len()) == 0
    images = study.images.with_columns(weight=pl.when(first).then(weight).otherwise(2.0))
    with pytest.raises(
        InputError, match=rf"images: expected a number in 'weight' \(above 0.*\); found 1 row \({weight}\)"
    ):
        run(study, images=images)


def test_a_weight_that_is_missing(study):
    first = pl.int_range(pl.len()) == 0
    images = study.images.with_columns(weight=pl.when(first).then(None).otherwise(2.0))
    with pytest.raises(
        InputError, match="images: expected a weight in every row, or in none; found 1 rows without one"
    ):
        run(study, images=images)


def test_a_case_of_two_weights(made):
    m = made(sites={"": 30})
    images = m.images.with_columns(case_id=pl.col("patient_id"), weight=pl.int_range(pl.len()) + 1.0)
    labels = m.labels.with_columns(case_id=pl.lit("-0")).unique(["case_id", "finding"])
    with pytest.raises(InputError, match="expected one weight per case; found 30 cases whose images differ"):
        run(m, images=images, labels=labels)


@pytest.mark.slow
def test_a_patient_in_both_splits(study):
    twice = study.images.with_columns(
        patient_id=pl.when(pl.col("image_id") == "000001").then(pl.lit("-0")).otherwise("patient_id"),
        split=pl.when(pl.col("image_id") == "000001").then(pl.lit("train")).otherwise(pl.lit("test")),
    )
    with pytest.raises(
        InputError, match=r"every patient in one split; found 1 patients in several \(-0 in train and test"
    ):
        run(study, images=tables.check(twice, "images"))


@pytest.mark.slow
def test_what_is_dropped_is_counted_and_on_the_page(study, tmp_path):
    first = pl.int_range(pl.len()) < 5
    uncertain = pl.when(first).then(pl.lit("uncertain")).otherwise(pl.col("state").cast(pl.String))
    e = run(study, labels=study.labels.with_columns(state=uncertain))
    row = e.account.filter(reason="uncertain: excluded").row(0, named=True)
    assert row["count"] == 5
    assert "uncertain: excluded" in on_the_page(e, tmp_path)
    assert json.loads((tmp_path / "evidence" / "notes.json").read_text())["notes"]
