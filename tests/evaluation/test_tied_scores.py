"""Scores that tie: scores of two values, constant scores; what is not attainable is NaN with its reason."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from overread.evaluation import evaluate
from overread.evaluation.context.estimate_rows import EstimateKey
from overread.evaluation.context.thresholds import _threshold
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.models.roc_rates import _unattained
from overread.evaluation.readers import reader_agreement
from overread.evaluation.readers.pooled_readers import Side
from overread.evaluation.readers.reader_agreement import _among
from overread.stats.agreement import gwet_ac
from overread.stats.reader_studies.product_bootstrap import pool, product_draws

Y = np.repeat([True, False], [10, 10])
DECISIONS = np.r_[np.ones(8), np.zeros(2), np.ones(2), np.zeros(8)]  # sensitivity 0.8, specificity 0.8


def cases(score):
    return SimpleNamespace(truth=Y, score=np.asarray(score, dtype=float), weight=None)


def test_a_frozen_threshold_of_decisions_is_one_of_the_scores_or_missing_with_the_reason():
    wanted = _threshold(Y, DECISIONS, {"specificity": 0.75}, None)
    assert wanted.value == 0.5
    missing = _threshold(Y, DECISIONS, {"specificity": 0.9}, None)
    assert np.isnan(missing.value)
    assert [code.name for code in missing.note.codes] == ["threshold_not_attained", "fitting_scores_tied"]
    assert (missing.note.codes[1]["share"], missing.note.codes[1]["score"]) == (pytest.approx(0.2), 1.0)
    assert np.isnan(_threshold(Y, np.full(20, 0.3), {"specificity": 0.9}, None).value)


def test_a_fixed_rate_is_attained_by_a_threshold_or_has_a_reason():
    for kind in ("sensitivity", "specificity"):
        reasons = {t: _unattained(cases(DECISIONS), t, kind) for t in (0.7, 0.8, 0.9)}
        assert [t for t, why in reasons.items() if not why] == [0.7, 0.8]
        assert _unattained(cases(np.full(20, 0.3)), 0.5, kind).codes[0].name.endswith("_unattainable")
        assert _unattained(cases(20 - np.arange(20)), 0.99, kind) == ""


def side(score_specificity):
    """Two readers who read all cases with a sensitivity of 0.9 and the specificity given, beside a score."""
    wrong = round(10 * (1 - score_specificity))
    call = np.r_[np.ones(9), np.zeros(1), np.ones(wrong), np.zeros(10 - wrong)] == 1
    reads = {"reader": np.repeat([0, 1], 20), "case": np.tile(np.arange(20), 2), "patient": np.tile(np.arange(20), 2)}
    of = pool(np.tile(Y, 2), np.tile(call, 2), **reads)
    panel = SimpleNamespace(readers=("r1", "r2"), n_patients=20)
    context = SimpleNamespace(panel=panel, drawn=product_draws(2, 20, rng=np.random.default_rng(0), replicates=50))
    return Side(context, None, "own", np.tile(Y, 2), of, "")


def test_decisions_are_not_called_worse_than_readers_at_a_rate_that_they_do_not_attain():
    at_specificity, at_sensitivity = side(0.9).matched(DECISIONS)
    assert np.isnan(at_specificity.value)
    assert at_specificity.reason.startswith("not attainable: only calling no case present")
    assert np.isnan(at_sensitivity.value)
    assert at_sensitivity.reason.startswith("not attainable: only calling every case present")
    difference = at_specificity - side(0.9).readers[0]
    assert np.isnan(difference.value)
    assert difference.reason == at_specificity.reason
    assert side(0.8).matched(DECISIONS)[0].value == 0.8


@pytest.mark.parametrize(("wrong", "interval"), [(8, False), (1, True), (14, None)])
def test_scores_of_few_values_have_an_interval_where_the_fixed_rate_is_attained(wrong, interval):
    """100 patients with the finding and 100 without, `wrong` of them called: 0.9 is near, far off, or not attained."""
    call = np.r_[np.ones(80), np.zeros(20), np.ones(wrong), np.zeros(100 - wrong)]
    image = [f"i{k}" for k in range(200)]
    images = pl.DataFrame({"image_id": image, "patient_id": image, "site": "a"})
    state = ["present"] * 100 + ["absent"] * 100
    labels = pl.DataFrame({"case_id": image, "finding": "edema", "source": "x", "state": state})
    score = 0.2 + 0.6 * call
    score[-1] = 0.1  # a point at specificity 0.01; two values would be decisions, which have no ROC curve
    scores = {"image_id": image, "finding": "edema", "model": "acme", "shift": "none", "score": score}
    config = EvaluationConfig(specificities=(0.9,), sensitivities=(), replicates=400)
    made = evaluate(images, labels, pl.DataFrame(scores), config, rng=np.random.default_rng(1)).estimates
    rows = made.filter(metric="sensitivity_at_specificity").to_dicts()
    assert {r["finding"] for r in rows} == {"edema", "(mean)"}
    for row in rows if interval is not None else rows[:1]:
        assert row["estimate"] == pytest.approx(0.8 if interval is not None else np.nan, nan_ok=True)
        assert (row["low"] == row["low"]) == bool(interval)
        if interval:
            assert 0.65 < row["low"] < 0.8 < row["high"] < 0.95
        elif interval is False:
            assert "undefined_rate" in row["note_codes"]
        else:
            assert row["note_codes"].startswith("specificity_unattainable(")


def test_cases_read_once_count_in_the_category_shares_of_ac1():
    answers = np.array([[1, 1, 0, 0, np.nan, 1], [1, 0, 0, np.nan, 0, np.nan], [1, np.nan, 0, np.nan, np.nan, np.nan]])
    patient = np.arange(6)
    context = SimpleNamespace(
        place=lambda *a, **k: EstimateKey("agreement", "edema", "(readers)", ""),
        config=SimpleNamespace(confidence=0.95, replicates=20),
        rng=np.random.default_rng(1),
        unweighted="",
    )
    table = SimpleNamespace(answers=answers, patient=patient)
    rows = {r["metric"]: r for r in _among(context, SimpleNamespace(finding="edema"), table)}
    want = gwet_ac(answers.T, categories=[0.0, 1.0]).value
    assert rows["gwet_ac1"]["estimate"] == pytest.approx(want)
    assert want != pytest.approx(gwet_ac(answers.T[:3], categories=[0.0, 1.0]).value)
    assert (rows["gwet_ac1"]["n_cases"], rows["percent_agreement"]["n_cases"]) == (6, 3)
    assert set(rows) == set(reader_agreement.AMONG)
