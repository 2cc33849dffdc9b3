"""Reads without a model: the same numbers as beside one, from reads alone, with labels, and with images."""

import pickle
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from math import isnan, sqrt

import polars as pl
import pytest

from overread.errors import InputError
from overread.evaluation import EvaluationConfig, evaluate

CALLS = {  # reader: calls on six cases
    "r1": "110010",
    "r2": "100011",
    "r3": "111000",
}
TRUTH = "110001"
CONFIG = EvaluationConfig(replicates=100, minimum_present=1, minimum_absent=1, subgroups=())


def reads() -> pl.DataFrame:
    rows = [
        (reader, f"c{i}", "nodule", "unaided", 1, "present" if c == "1" else "absent")
        for reader, calls in CALLS.items()
        for i, c in enumerate(calls)
    ]
    names = ["reader", "case_id", "finding", "arm", "round", "call"]
    return pl.DataFrame(rows, schema=names, orient="row")


def labels() -> pl.DataFrame:
    states = ["present" if t == "1" else "absent" for t in TRUTH]
    return pl.DataFrame({"case_id": [f"c{i}" for i in range(6)], "state": states}).with_columns(
        finding=pl.lit("nodule"), source=pl.lit("ct")
    )


def images() -> pl.DataFrame:
    cases = [f"c{i}" for i in range(6)]
    return pl.DataFrame({"image_id": cases, "case_id": cases, "patient_id": ["p0", "p0", *cases[2:]], "site": "a"})


def rate(estimates: pl.DataFrame, metric: str, rater: str, reference: str) -> float:
    rows = estimates.filter(analysis="readers", metric=metric, rater=rater, reference=reference, at="")
    return float(rows["estimate"].item())


def test_rates_under_a_label_source_by_hand():
    found = evaluate(None, labels(), None, CONFIG, rng=0, reads=reads()).estimates
    assert rate(found, "sensitivity", "r1", "ct") == pytest.approx(2 / 3)  # of c0, c1, c5 two
    assert rate(found, "specificity", "r1", "ct") == pytest.approx(2 / 3)  # of c2, c3, c4 two
    assert rate(found, "sensitivity", "(readers)", "ct") == pytest.approx((2 + 2 + 2) / 9)
    assert rate(found, "specificity", "(readers)", "ct") == pytest.approx((2 + 2 + 2) / 9)


def test_a_rate_needs_ten_reads_of_its_own_class_for_an_interval():
    cases = [f"c{i}" for i in range(14)]
    calls = ["present" if i in (0, 5) else "absent" for i in range(14)]
    read = pl.DataFrame({"case_id": cases, "call": calls}).with_columns(
        reader=pl.lit("r1"), finding=pl.lit("nodule"), arm=pl.lit("unaided"), round=pl.lit(1)
    )
    truth = pl.DataFrame({"case_id": cases, "state": ["present"] * 3 + ["absent"] * 11}).with_columns(
        finding=pl.lit("nodule"), source=pl.lit("ct")
    )
    found = evaluate(None, truth, None, CONFIG, rng=0, reads=read).estimates.filter(rater="r1", reference="ct")
    low, high, note = found.filter(metric="sensitivity").select("low", "high", "note").row(0)
    assert isnan(low)
    assert isnan(high)
    assert note == "no CI: 3 present and 11 absent reads (at least 10 of the class required)"
    value, low, high, note = found.filter(metric="specificity").select("estimate", "low", "high", "note").row(0)
    assert (value, low, high) == pytest.approx((10 / 11, *_wilson(10, 11)))
    assert not note


def _wilson(k: int, n: int) -> tuple[float, float]:
    z2 = 1.959963984540054**2
    middle, half = (k + z2 / 2) / (n + z2), sqrt(z2 * (k * (n - k) / n + z2 / 4)) / (n + z2)
    return middle - half, middle + half


def test_a_reference_standard_that_no_label_source_has_is_refused_without_a_model_too():
    config = replace(CONFIG, reference="mri")
    with pytest.raises(InputError, match=r"evaluation.reference: expected a label source; found 'mri'; sources: ct"):
        evaluate(None, labels(), None, config, rng=0, reads=reads())


def test_reads_alone_are_judged_by_their_consensus_only():
    evidence = evaluate(None, None, None, CONFIG, rng=0, reads=reads())
    assert set(evidence.estimates["reference"]) <= {"", "majority", "dawid-skene", "majority of the others"}
    # The majority is 110010: r1 agrees with it on all cases.
    assert rate(evidence.estimates, "sensitivity", "r1", "majority") == 1.0
    assert set(evidence.estimates["arm"]) == {"unaided"}
    assert evidence.verdicts.is_empty()


def test_without_images_every_case_is_its_own_patient_and_the_account_says_so():
    alone = evaluate(None, labels(), None, CONFIG, rng=0, reads=reads())
    line = alone.account.filter(pl.col("reason_code").str.contains("case_is_own_patient"))
    assert line["count"].to_list() == [6]
    with_images = evaluate(images(), labels(), None, CONFIG, rng=0, reads=reads())
    assert with_images.account.filter(pl.col("reason_code").str.contains("case_is_own_patient")).is_empty()
    assert with_images.estimates.filter(analysis="readers", rater="r1", metric="specificity", reference="ct")[
        "n_patients"
    ].to_list() == [5]


def test_a_model_beside_the_reads_changes_no_number_of_the_readers():
    beside = evaluate(images(), labels(), scores(), CONFIG, rng=0, reads=reads()).estimates
    alone = evaluate(images(), labels(), None, CONFIG, rng=0, reads=reads()).estimates
    key = ["metric", "rater", "reference", "at"]
    mine = (pl.col("analysis") == "readers") & pl.col("rater").is_in(["r1", "r2", "r3"]) & (pl.col("contrast") == "")
    both = alone.filter(mine).join(beside.filter(mine), on=key, suffix="_beside", nulls_equal=True)
    assert both.height == alone.filter(mine).height > 0
    assert both["estimate"].equals(both["estimate_beside"], null_equal=True)


def test_neither_predictions_nor_reads_is_refused():
    with pytest.raises(InputError, match="expected predictions of a model, or reads; found neither"):
        evaluate(images(), labels(), None, CONFIG, rng=0)


def scores() -> pl.DataFrame:
    table = pl.DataFrame({"image_id": [f"c{i}" for i in range(6)], "score": [0.9, 0.8, 0.3, 0.2, 0.1, 0.7]})
    return table.with_columns(finding=pl.lit("nodule"), model=pl.lit("acme"), shift=pl.lit("none"))


def test_predictions_without_labels_are_refused():
    with pytest.raises(InputError, match="expected labels beside predictions; found none"):
        evaluate(images(), None, scores(), CONFIG, rng=0, reads=reads())


def test_predictions_without_images_are_of_cases_that_are_patients():
    alone = evaluate(None, labels(), scores(), CONFIG, rng=0)
    stated = evaluate(images().with_columns(patient_id="case_id", site=pl.lit("")), labels(), scores(), CONFIG, rng=0)
    assert alone.estimates.equals(stated.estimates, null_equal=True)
    assert alone.account.filter(pl.col("reason_code").str.contains("case_is_own_patient"))["count"].to_list() == [6]


def test_a_labelled_case_without_a_score_is_counted_without_images_too():
    config = EvaluationConfig(replicates=100, subgroups=(), missing_allowed={"scores": 0.5})
    account = evaluate(None, labels(), scores().head(5), config, rng=0).account
    assert account.filter(pl.col("reason_code").str.contains("labelled_not_scored"))["count"].to_list() == [1]


class Later(Executor):
    """A pool that begins nothing, or does the work at once, or whose process is ended from outside."""

    def __init__(self, kind: str):
        self.kind, self.asked = kind, 0

    def submit(self, function, *arguments, **options):
        """Return the future of a call."""
        self.asked += 1
        future = Future()
        if self.kind == "ended":
            future.set_running_or_notify_cancel()
            future.set_exception(BrokenProcessPool())
        elif self.kind == "at once":
            future.set_running_or_notify_cancel()
            future.set_result(pickle.loads(pickle.dumps(function))(*pickle.loads(pickle.dumps(arguments)), **options))
        return future


@pytest.mark.parametrize("kind", ["not begun", "at once", "ended"])
def test_another_process_changes_no_row(kind):
    given = {"rng": 0, "reads": reads()}
    pool = Later(kind)
    apart = evaluate(None, labels(), None, CONFIG, pool=pool, **given).estimates
    assert pool.asked == 1
    assert apart.equals(evaluate(None, labels(), None, CONFIG, **given).estimates, null_equal=True)
