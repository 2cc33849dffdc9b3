"""The AUC that chooses the epoch: within sites, within strata where they are stated, its mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from overread.training.fitting import tuning
from overread.training.fitting.examples import Examples

NAN = float("nan")


def examples(site: list[str], truth: list[float], within: list[str | None] | None = None) -> Examples:
    frame: dict[str, Any] = {"site": site, "pairs_within": within or [None] * len(site)}
    schema = {"site": pl.String, "pairs_within": pl.String}
    return Examples(pl.DataFrame(frame, schema=schema), np.array(truth, np.float32)[:, None])


def test_telling_the_sites_apart_is_no_merit():
    # Site x is all high and mostly present; within either site the score is worthless.
    site = ["x"] * 4 + ["y"] * 4
    truth = [1, 1, 1, 0, 1, 0, 0, 0]
    logits = np.array([[5, 5, 5, 5, -5, -5, -5, -5]], np.float32).T
    aucs = tuning.within_site_aucs(examples(site, truth), logits, ["edema"])
    assert aucs == {"x": {"edema": 0.5}, "y": {"edema": 0.5}}


def test_by_hand_with_what_is_not_stated():
    site = ["x"] * 5
    logits = np.array([[1, 3, 2, 0, 9]], np.float32).T
    aucs = tuning.within_site_aucs(examples(site, [0, 1, 1, 0, NAN]), logits, ["edema"])
    assert aucs["x"]["edema"] == 1.0
    aucs = tuning.within_site_aucs(examples(site, [1, 1, 0, 0, NAN]), logits, ["edema"])
    assert aucs["x"]["edema"] == 0.75


def test_pairs_within_a_stratum_only():
    site, within = ["x"] * 6, ["p", "p", "p", "q", "q", "q"]
    truth = [1, 0, 0, 1, 1, 0]
    logits = np.array([[2, 1, 3, 10, 12, 11]], np.float32).T
    aucs = tuning.within_site_aucs(examples(site, truth, within), logits, ["edema"])
    assert aucs["x"]["edema"] == 0.5  # 1 of 2 pairs in p, 1 of 2 in q; 6 of 9 over both


def test_one_class_is_no_number_and_left_out_of_the_mean():
    aucs = tuning.within_site_aucs(examples(["x", "x", "y", "y"], [1, 1, 0, 1]), np.arange(4.0)[:, None], ["edema"])
    assert math.isnan(aucs["x"]["edema"])
    assert tuning.mean_auc(aucs) == 1.0
    assert math.isnan(tuning.mean_auc({"x": {"edema": NAN}}))


def test_the_mean_is_over_sites_and_findings_unweighted():
    assert tuning.mean_auc({"x": {"a": 0.5, "b": 0.7}, "y": {"a": 0.9, "b": NAN}}) == pytest.approx(0.7)
