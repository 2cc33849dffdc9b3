"""Estimates and results print as a person writes them; a seed is as good as a generator."""

from dataclasses import is_dataclass
from math import nan

import numpy as np
import pytest

from overread import stats
from overread.errors import InputError
from overread.stats import Estimate

Y = np.array([1, 1, 0, 0, 0, 1, 0, 1])
SCORE = np.array([0.9, 0.4, 0.4, 0.1, 0.3, 0.8, 0.5, 0.2])


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.8379, 0.8321, 0.8436, name="AUC"), "AUC 0.838 (95% CI 0.832 to 0.844)"),
        (Estimate(0.8379, 0.8321, 0.8436, name="AUC", confidence=0.9), "AUC 0.838 (90% CI 0.832 to 0.844)"),
        (Estimate(0.975, 0.5, 1.0, confidence=0.975), "0.975 (97.5% CI 0.500 to 1.000)"),
        (Estimate(nan, note="one class only", name="AUC"), "AUC NaN (one class only)"),
        (Estimate(nan), "NaN"),
        (Estimate(0.5, note="one patient: no interval", name="AUC"), "AUC 0.500. Note: one patient: no interval"),
        (Estimate(45.234, 40.1, 50.0), "45.23 (95% CI 40.10 to 50.00)"),
        (Estimate(0.0012, 0.0004, 0.0021), "0.00120 (95% CI 0.00040 to 0.00210)"),
        (Estimate(4.5, p=0.0338, name="Cochran's Q"), "Cochran's Q 4.500 (p = 0.034)"),
        (Estimate(2.0, 1.0, float("inf")), "2.000 (95% CI 1.000 to inf)"),
    ],
)
def test_an_estimate_prints_as_in_a_paper(estimate, text):
    assert str(estimate) == repr(estimate) == text


def test_an_estimate_has_the_name_and_the_level_of_what_was_asked_for():
    assert str(stats.auc(Y, SCORE, confidence=0.8)).startswith("AUC 0.719 (80% CI ")
    point = stats.operating_point(Y, SCORE > 0.35, confidence=0.9)
    assert (point.ppv.name, point.ppv.confidence) == ("PPV", 0.9)
    assert stats.compare_aucs(Y, SCORE, SCORE[::-1]).name == "difference in AUC"


def test_the_name_is_no_part_of_a_comparison():
    assert Estimate(0.5, 0.4, 0.6, name="AUC") == Estimate(0.5, 0.4, 0.6)


def test_a_large_result_prints_estimates_and_the_shapes_of_arrays():
    text = str(stats.roc_curve(Y, SCORE))
    assert text.splitlines()[0] == "RocCurve"
    assert "array(" not in text
    assert len(text) < 400
    scores = np.stack([np.stack([SCORE, SCORE[::-1]]), np.stack([SCORE[::-1], SCORE])])
    study = str(stats.compare_arms(Y, scores))
    assert "mean AUC over readers" in study
    assert "array(" not in study


@pytest.mark.parametrize(
    "drawn",
    [
        lambda rng: stats.draw_counts(np.arange(9), rng=rng, replicates=7),
        lambda rng: stats.bootstrap(np.mean, SCORE, rng=rng, replicates=7),
        lambda rng: stats.bootstrap_auc([Y], [[SCORE]], rng=rng, replicates=7),
        lambda rng: stats.product_draws(3, 9, rng=rng, replicates=7).patients,
        lambda rng: stats.cohen_kappa(Y, SCORE > 0.35, rng=rng, replicates=50).low,
        lambda rng: stats.sensitivity_at_specificity(Y, SCORE, 0.5, rng=rng, replicates=50).low,
    ],
)
def test_a_seed_draws_as_a_generator_of_that_seed(drawn):
    np.testing.assert_array_equal(drawn(5), drawn(np.random.default_rng(5)))


@pytest.mark.parametrize("wrong", [None, True, -1, 0.5, "1"])
def test_what_is_neither_generator_nor_seed_is_refused(wrong):
    with pytest.raises(InputError, match="seed"):
        stats.draw_counts(np.arange(3), rng=wrong, replicates=2)


def test_a_reader_study_prints_arms_metric_and_its_note_once():
    scores = np.stack([np.stack([SCORE, SCORE[::-1], SCORE]), np.stack([SCORE[::-1], SCORE, SCORE**2])])
    study = stats.compare_arms(Y, scores, confidence=0.9)
    lines = str(study).splitlines()
    assert lines[1].startswith("  arm 0: mean AUC over readers 0.")
    assert "(90% CI " in lines[1]
    assert lines[3].startswith("  arm 0 minus arm 1: difference in AUC ")
    assert lines[4].startswith("  test of equal arms: F(1, ")
    assert study.note
    assert str(study).count(str(study.note)) == 1
    assert "Components" not in str(study)
    assert str(study.per_reader[0]).splitlines()[1].startswith("  arm 0: AUC 0.")
    rates = stats.model_against_readers(Y, SCORE > 0.35, scores[0] > 0.35, metric="sensitivity")
    assert [e.name for e in rates.arms] == ["sensitivity of the model", "mean sensitivity over readers"]
    assert rates.difference.name == "difference in sensitivity"


def test_every_public_result_prints_lines_of_its_own():
    kinds = [kind for kind in vars(stats).values() if isinstance(kind, type) and is_dataclass(kind)]
    kinds += [getattr(stats, name) for name in dir(stats) if isinstance(getattr(stats, name), type)]
    raw = sorted(
        {k.__name__ for k in kinds if is_dataclass(k) and k.__repr__.__qualname__.startswith(k.__name__ + ".__repr__")}
    )
    assert set(raw) <= {"ReaderStudy", "ReaderResult", "Estimate"}
    assert str(stats.auc_sample_size(0.85, width=0.1)).splitlines()[:2] == ["Needed", "  present: 117"]
    assert str(stats.rate_sample_size(0.9, half_width=0.05)).splitlines()[1] == "  cases: 139"
    assert str(stats.threshold_at(Y, SCORE, specificity=0.5)).splitlines()[1].startswith("  threshold: 0.")
    assert "array(" not in str(stats.Verification(np.full(9, 0.5), 0.1))
