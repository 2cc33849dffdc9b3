"""One number has one interval: a mean over one finding is that finding, in every analysis."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from overread import codes
from overread import evaluation as ev
from overread.evaluation.context.estimate_rows import MEAN, EstimateKey, mean_row, means_of_one, row
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.stats.estimate import Estimate

NUMBERS = ["estimate", "low", "high", "se", "p", "method"]
KEY = ["analysis", "metric", "at", "rater", "arm", "contrast", "population", "subgroup", "level", "reference", "policy"]


def evidence(made, scored, **options):
    m = made(raters={"acme": 1.5, "other": 0.9}, sites={"a": 60, "b": 60}, findings=scored)
    config = EvaluationConfig(replicates=100, minimum_present=8, minimum_absent=8, external_sites=("b",), **options)
    return ev.evaluate(m.images, m.labels, m.predictions, config, rng=np.random.default_rng(1)).estimates


@pytest.mark.slow
@pytest.mark.parametrize("fixed", [(), ("edema",)])
def test_a_mean_over_one_finding_is_that_finding_wherever_both_stand(made, fixed):
    rows = evidence(made, ("edema", "mass") if fixed else ("edema",), findings=fixed).filter(
        ~pl.col("metric").str.starts_with("gap_")
    )
    means = rows.filter(pl.col("finding") == MEAN)
    own = rows.filter(pl.col("finding") == "edema")
    both = means.join(own, on=KEY, suffix="_own", nulls_equal=True)
    assert set(both["analysis"]) >= {"standalone", "comparison", "matrix", "drop", "subgroups"}
    assert set(both["metric"]) >= {"auc", "sensitivity", "specificity", "sensitivity_at_specificity", "auc_difference"}
    for name in NUMBERS:
        assert both[name].equals(both[f"{name}_own"], null_equal=True), name
    valued = both.filter(pl.col("estimate").is_not_nan())
    assert valued["note"].str.contains("mean over 1 finding: edema").all()


@pytest.mark.slow
def test_a_mean_over_two_findings_keeps_its_own_interval(made):
    rows = evidence(made, ("edema", "mass"))
    mean = rows.filter(finding=MEAN, analysis="standalone", metric="auc", subgroup="")
    assert mean["method"].unique().to_list() == ["percentile bootstrap, 100 samples"]


BOOTSTRAP = codes.method("bootstrap_percentile", replicates=100)


def test_rows_without_a_finding_of_their_own_stay():
    place = EstimateKey("standalone", "edema", "acme", "internal")
    own = row(place, "auc", Estimate(0.8, 0.7, 0.9, method=codes.method("delong"), note=codes.note("no_case")))
    mean = mean_row(
        place, "auc", Estimate(0.8, 0.6, 0.95, method=BOOTSTRAP, note=codes.note("single_seed")), over=["edema"]
    )
    other = mean_row(place.to(rater="b"), "auc", Estimate(0.8, 0.6, 0.95, method=BOOTSTRAP), over=["edema"])
    two = mean_row(place, "auc", Estimate(0.7, 0.6, 0.8), over=["edema", "mass"], at="x")
    made = means_of_one([own, mean, other, two])
    assert [r["low"] for r in made] == [0.7, 0.7, 0.6, 0.6]
    assert (made[1]["method"], made[1]["note"]) == ("DeLong", "NE: no case; NE: one seed only")
    assert (made[1]["method_code"], made[1]["note_codes"]) == ("delong", "no_case single_seed")
    assert all("over" not in r for r in made)
