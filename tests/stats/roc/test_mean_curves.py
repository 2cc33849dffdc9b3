"""Drawn ROC curves: the area under the points is the AUC, ties counting one half."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overread.stats.reader_studies.product_bootstrap import cell_weights, matched_rates, once, pool
from overread.stats.resampling.patient_bootstrap import rate_replicates
from overread.stats.roc.empirical import auc, roc_curve
from overread.stats.roc.mean_curves import mean_curve

GRID = np.linspace(0, 1, 101)
SCORES = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=30)


def area(points):
    x, y = points
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(SCORES, min_size=1, max_size=3))
def test_the_area_under_the_drawn_points_is_the_mean_auc(sites):
    given_sites = [tuple(np.array(v) for v in zip(*cases, strict=True)) for cases in sites]
    both = [(y, s.astype(float)) for y, s in given_sites if y.any() and not y.all()]
    x, y = mean_curve([roc_curve(*site) for site in both], GRID)
    if not both:
        assert x.size == 0
        return
    assert area((x, y)) == pytest.approx(np.mean([auc(*site).value for site in both]), abs=1e-12)
    assert np.all(np.diff(x) >= 0)
    assert np.all(np.diff(y) >= -1e-12)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, pytest.approx(1)) or (x[0], x[-1], y[-1]) == (0, 1, 1)


def test_yes_and_no_as_scores_are_two_lines():
    """Sensitivity 0.8 and specificity 0.84: the AUC is 0.82, a staircase would enclose 0.672."""
    y = np.repeat([True, False], [50, 50])
    call = np.concatenate([np.arange(50) < 40, np.arange(50) < 8]).astype(float)
    x, height = mean_curve([roc_curve(y, call)], np.array([0.0, 0.5, 1.0]))
    assert x.tolist() == [0.0, 0.16, 0.5, 1.0]
    assert height.tolist() == pytest.approx([0.0, 0.8, 0.8 + 0.2 * 0.34 / 0.84, 1.0])
    assert area((x, height)) == pytest.approx(0.82)


def test_a_curve_of_many_corners_prints_its_auc():
    rng = np.random.default_rng(4)
    y = rng.random(4000) < 0.3
    score = rng.normal(size=4000) + 1.3 * y
    points = mean_curve([roc_curve(y, score)], GRID)
    assert points[0].size <= 2 * GRID.size
    assert f"{area(points):.3f}" == f"{auc(y, score).value:.3f}"


@example([(False, 0), (True, 1), *((False, k) for k in range(2, 7))])  # a rise at 5/6, which is not 1 - 1/6
@settings(max_examples=50, deadline=None)
@given(SCORES)
def test_replicates_of_the_curve_equal_the_curve_and_are_at_or_above_the_step(cases):
    y, score = (np.array(v, dtype=float) for v in zip(*cases, strict=True))
    if y.min() == y.max():
        return
    counts = np.ones((1, y.size), dtype=np.uint16)
    at = np.linspace(0, 1, 7)
    line = rate_replicates(y[None], score[None, None], counts, 1 - at, kind="curve")[0, 0, 0]
    step = rate_replicates(y[None], score[None, None], counts, 1 - at)[0, 0, 0]
    curve = roc_curve(y == 1, score)
    x, height = mean_curve([curve], at)
    upper = [height[np.flatnonzero(x == a)[-1]] for a in np.round(at, 12)]
    np.testing.assert_allclose(line, upper, atol=1e-9)
    assert (line >= np.nan_to_num(step) - 1e-12).all()
    one = pool(y == 1, y == 1, reader=np.zeros(y.size, int), case=np.arange(y.size), patient=np.arange(y.size))
    wanted = {"specificity": (1 - at)[None], "sensitivity": np.empty((1, 0))}
    pooled = matched_rates(one, score, cell_weights(one, once(1, y.size)), **wanted, lines=True)[0][0]
    np.testing.assert_allclose(pooled, upper, atol=1e-9)
