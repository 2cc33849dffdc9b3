"""Rows of estimates: limits within the range of the metric, and no interval of zero width."""

from __future__ import annotations

import numpy as np
import pytest

from overread import codes
from overread.codes import Analysis, Metric
from overread.evaluation.context.estimate_rows import EstimateKey, row
from overread.stats.agreement import cohen_kappa, percent_agreement
from overread.stats.estimate import Estimate

PLACE = EstimateKey(Analysis.AGREEMENT, "edema", "(readers)", "all")


@pytest.mark.parametrize("metric", [Metric.COHEN_KAPPA, Metric.LIGHT_KAPPA, Metric.FLEISS_KAPPA, Metric.AUC_DIFFERENCE])
def test_limits_stay_within_the_range_of_the_metric(metric):
    made = row(PLACE, metric, Estimate(0.6, low=-1.2, high=1.3, se=0.6))
    assert (made["low"], made["high"]) == (-1.0, 1.0)


def test_kappa_of_few_cases_has_no_limit_above_one():
    estimate = cohen_kappa([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    assert estimate.high > 1
    assert row(PLACE, Metric.COHEN_KAPPA, estimate)["high"] == 1.0


def test_an_interval_of_zero_width_is_none():
    estimate = percent_agreement(np.ones((12, 2)))
    assert estimate.low == estimate.high == 1.0
    made = row(PLACE, Metric.PERCENT_AGREEMENT, estimate)
    assert made["estimate"] == 1.0
    assert np.isnan([made["low"], made["high"], made["se"]]).all()
    assert made["note"] == "no CI: the estimated variance is 0"
    assert codes.decode(made["note_codes"])[0].name == "zero_variance_no_ci"


def test_without_a_variance_there_is_no_p_value():
    estimate = Estimate(0.0, low=0.0, high=0.0, se=0.0, p=1.0)
    made = row(PLACE, Metric.AUC_DIFFERENCE, estimate, test={"p_adjusted": 1.0, "null": 0.0})
    assert np.isnan([made["p"], made["p_adjusted"]]).all()
    assert made["null"] == 0.0


def test_an_estimate_without_interval_keeps_its_own_reason():
    made = row(PLACE, Metric.AUC, Estimate(0.7, note=codes.note("no_second_reader")))
    assert made["note"] == str(codes.note("no_second_reader"))
