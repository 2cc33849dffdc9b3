from __future__ import annotations

import json
from math import isnan, log, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import codes
from overread.errors import InputError
from overread.stats.rates.proportions import wilson
from overread.stats.sequential.betting import confidence_sequence

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "sequential" / "expected.json"
CASES = json.loads(REFERENCE.read_text())["cases"]
OUTCOMES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=40)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_limits_equal_the_authors_own(case):
    got = confidence_sequence(case["x"], resolution=1e-3, confidence=1 - case["alpha"])
    at = np.array(case["steps"]) - 1
    np.testing.assert_allclose(got.low[at], case["low"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(got.high[at], case["high"], rtol=0, atol=1e-9)


def written_out(x, means, *, alpha=0.05, share=None):
    """For each mean, whether the larger of the two capitals ever reached 2/alpha by each step: loops and products."""
    share = np.ones(len(x)) if share is None else share
    out = np.zeros((len(x), len(means)), dtype=bool)
    for column, m in enumerate(means):
        above = below = 1.0
        variance, total, weight, squares = 0.25, 0.5, 1.0, 0.25
        for t, (value, w) in enumerate(zip(x, share, strict=True), start=1):
            bet = sqrt(2 * log(2 / alpha) / (variance * t * log(1 + t)))
            above *= 1 + min(bet, 0.5 / m if m > 0 else bet) * w * (value - m)
            below *= 1 - min(bet, 0.5 / (1 - m) if m < 1 else bet) * w * (value - m)
            out[t - 1, column] = max(above, below) >= 2 / alpha or (t > 1 and out[t - 2, column])
            total, weight = total + w * value, weight + w
            squares += (w * (value - total / weight)) ** 2
            variance = squares / (t + 1)
    return out


@given(x=OUTCOMES, repeats=st.integers(1, 6), alpha=st.sampled_from([0.05, 0.3]), weighted=st.booleans())
@settings(max_examples=40, deadline=None)
def test_slow_twin_mean_by_mean(x, repeats, alpha, weighted):
    x, means = np.array(x * repeats), np.arange(51) / 50
    share = np.where(x == 0.5, 0.4, 1.0) if weighted else np.ones(x.size)
    out = written_out(x, means, alpha=alpha, share=share)
    weights = {"weights": 5 * share, "largest_weight": 5.0} if weighted else {}
    got = confidence_sequence(x, resolution=0.02, confidence=1 - alpha, **weights)
    for t in range(x.size):
        running = np.sum(share[: t + 1] * x[: t + 1]) / share[: t + 1].sum()
        assert got.value[t] == pytest.approx(running)
        left = np.flatnonzero(~out[t])
        if left.size:  # the neighbours outside what is left, or the ends
            assert got.low[t] == means[max(left[0] - 1, 0)]
            assert got.high[t] == means[min(left[-1] + 1, 50)]
        else:
            assert isnan(got.low[t]) or got.high[t] - got.low[t] == pytest.approx(0.02)


def test_two_steps_by_hand():
    # Variance 1/4, then (1/4 + (1 - 3/4)^2) / 2 = 5/32; at alpha 0.5 a capital must reach 4.
    bets = [sqrt(2 * log(4) / (0.25 * 1 * log(2))), sqrt(2 * log(4) / (5 / 32 * 2 * log(3)))]
    assert bets == pytest.approx([4.0, 2.8418], abs=1e-4)
    # Against m = 0.05 after 1, 1: (1 + 4 * 0.95)(1 + 2.8418 * 0.95) = 4.8 * 3.70 = 17.8; after the first, 4.8 already.
    # Against m = 0.125, where the bets are cut to at most 4: 4.5 at once. Against m = 0.15, cut to 1/0.3: 3.83, then
    # 3.83 * (1 + 2.8418 * 0.85) = 13.1. Against m = 0.9 the bets are 0.5556: 1.0556 ** 2 = 1.11.
    got = confidence_sequence([1, 1], confidence=0.5, resolution=0.001)
    # 1 + (0.5 / m)(1 - m) = 0.5 + 0.5 / m reaches 4 at m = 1/7 = 0.1429, where the first bet is cut (0.5 / m < 4).
    assert got.low[0] == pytest.approx(0.142)
    assert got.high.tolist() == [1.0, 1.0]
    # From m = 0.1759 on both bets are cut: (0.5 + 0.5 / m)^2 reaches 4 at m = 1/3.
    assert got.low[1] == pytest.approx(0.333)
    assert got.excluded_at(0.1) == 1
    assert got.excluded_at(0.3) == 2
    assert got.excluded_at(0.9) is None


@pytest.mark.slow
@given(seed=st.integers(0, 10_000), rate=st.floats(0.02, 0.98), n=st.integers(1, 400))
@settings(max_examples=30, deadline=None)
def test_intervals_are_nested_within_bounds_and_mirror(seed, rate, n):
    x = (np.random.default_rng(seed).random(n) < rate) * 1.0
    got, other = (confidence_sequence(v, resolution=1e-3) for v in (x, 1 - x))
    known = ~np.isnan(got.low)
    assert (np.diff(got.low[known]) >= 0).all()
    assert (np.diff(got.high[known]) <= 0).all()
    assert (got.low[known] >= 0).all()
    assert (got.high[known] <= 1).all()
    assert (got.low[known] < got.high[known]).all()
    np.testing.assert_allclose(other.low, 1 - got.high, atol=1e-12)
    moved = confidence_sequence(3 * x - 2, lower=-2, upper=1, resolution=1e-3)
    np.testing.assert_allclose(moved.low, 3 * got.low - 2, atol=1e-12)
    np.testing.assert_allclose(moved.value, 3 * got.value - 2, atol=1e-9)
    part = confidence_sequence(x[: n // 2 + 1], resolution=1e-3)
    np.testing.assert_array_equal(part.high, got.high[: n // 2 + 1])  # later steps change no earlier one
    wide = confidence_sequence(x, resolution=1e-3, confidence=0.99)
    both = known & ~np.isnan(wide.low)
    assert (wide.low[both] <= got.low[both]).all()
    coarse = confidence_sequence(x, resolution=0.02)
    assert (coarse.low[both] <= got.low[both] + 1e-12).all()


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "least"), [(0.9, 0.15), (0.5, 0.15)])
def test_coverage_at_all_steps_at_once(rate, least):
    """400 studies of 600 cases, looked at after every one from the tenth; the interval of a fixed n beside it."""
    rng, missed, fixed = np.random.default_rng(7), 0, 0
    for _ in range(400):
        x = (rng.random(600) < rate) * 1.0
        got = confidence_sequence(x, resolution=5e-3)
        missed += got.excluded_at(rate) is not None or np.isnan(got.low).any()
        counts = np.cumsum(x)
        limits = [wilson(counts[n - 1] / n, n) for n in range(10, 601, 5)]
        fixed += any(not low <= rate <= high for low, high in limits)
    assert missed / 400 <= 0.05
    assert fixed / 400 > least


@pytest.mark.slow
def test_weighted_outcomes_are_those_of_all_cases():
    """Half the cases look suspicious and are always verified, the others once in four; their outcomes differ."""
    rng, missed, unweighted = np.random.default_rng(8), 0, 0
    truth = 0.5 * 0.9 + 0.5 * 0.4
    for _ in range(200):
        suspicious = rng.random(1500) < 0.5
        x = (rng.random(1500) < np.where(suspicious, 0.9, 0.4)) * 1.0
        probability = np.where(suspicious, 1.0, 0.25)
        seen = rng.random(1500) < probability
        got = confidence_sequence(x[seen], weights=1 / probability[seen], largest_weight=4.0, resolution=5e-3)
        missed += got.excluded_at(truth) is not None
        unweighted += confidence_sequence(x[seen], resolution=5e-3).excluded_at(truth) is not None
    assert missed / 200 <= 0.05
    assert unweighted / 200 > 0.9


def test_what_is_left_when_limits_meet():
    # A hundred of one kind, then as many of the other: no single mean explains both.
    got = confidence_sequence(np.repeat([1.0, 0.0], 100))
    assert np.isnan(got.low[-1])
    assert "no value remains" in got.note
    assert isnan(got.last.low)
    first = int(np.isnan(got.low).argmax())
    assert f"after {first} steps" in got.note
    assert 100 < first < 200
    assert max(got.excluded_at(m) for m in np.arange(101) / 100) == first + 1  # then at the latest
    # A range narrower than the resolution stays as one cell.
    x = (np.random.default_rng(1).random(9000) < 0.55) * 1.0
    cell = confidence_sequence(x, resolution=0.1)
    assert (cell.low[-1], cell.high[-1]) == pytest.approx((0.5, 0.6))
    assert cell.note == ""


def test_long_runs_neither_vanish_nor_overflow():
    # Blocks multiply plainly: the gambler above 1 % keeps next to nothing after ten thousand zeros.
    x = np.concatenate((np.zeros(10_000), np.ones(300)))
    got = confidence_sequence(x, resolution=1e-2, confidence=1 - 1e-9)
    known = ~np.isnan(got.low)
    assert (got.low[known] <= got.value[known]).all()
    out = written_out(x[:400], np.array([0.2, 0.5]), alpha=1e-9)
    assert [got.excluded_at(m + 1e-9) for m in (0.2, 0.5)] == [int(c.argmax()) + 1 for c in out.T]


def test_bad_input_is_said():
    with pytest.raises(InputError, match="1 outside"):
        confidence_sequence([0.5, 1.5])
    with pytest.raises(InputError, match="1 NaN"):
        confidence_sequence([0.5, np.nan])
    with pytest.raises(InputError, match="lower below upper"):
        confidence_sequence([0.5], lower=1, upper=0)
    with pytest.raises(InputError, match="beforehand"):
        confidence_sequence([0.5, 1], weights=[1, 2])
    with pytest.raises(InputError, match="1 above"):
        confidence_sequence([0.5, 1], weights=[1, 3], largest_weight=2)
    with pytest.raises(InputError, match="0 or negative"):
        confidence_sequence([0.5, 1], weights=[1, 0], largest_weight=2)
    with pytest.raises(InputError, match="for 95 %"):
        confidence_sequence([0.5], confidence=95)
    with pytest.raises(InputError, match="resolution"):
        confidence_sequence([0.5], resolution=0)
    nothing = confidence_sequence([])
    assert nothing.value.size == 0
    assert isnan(nothing.last.value)
    assert nothing.last.note == codes.note("no_cases")
    assert nothing.excluded_at(0.5) is None
