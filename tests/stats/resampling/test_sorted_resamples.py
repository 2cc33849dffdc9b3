import numpy as np
import pytest

from overread.stats.resampling.sorted_resamples import LANES, ranked, sum_auc, sum_rates


def test_stretches_by_hand():
    # Scores: N 0, N 1, P 1, P 1, N 2, P 3, N 4 (rows 0 … 6).
    y = np.array([0, 0, 1, 1, 0, 1, 0], dtype=bool)
    got = ranked(y, np.array([0.0, 1, 1, 1, 2, 3, 4]), np.arange(7))
    assert got.case.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert got.edge.tolist() == [0, 1, 2, 4, 5, 5, 6]


@pytest.mark.parametrize("dtype", [np.uint16, np.float64])
def test_sums_by_hand_with_counts_and_with_weights(dtype):
    y = np.array([0, 0, 1, 1, 0, 1, 0], dtype=bool)
    order = ranked(y, np.array([0.0, 1, 1, 1, 2, 3, 4]), np.arange(7))
    table = np.ones((7, LANES), dtype=dtype)
    table[:, 1] = [2, 0, 1, 0, 1, 3, 0]  # absent: 2 at 0, 1 at 2; present: 1 at 1, 3 at 3
    table[y, 2] = 0  # nobody with the finding
    out = np.empty(LANES)
    sum_auc(order.case, order.edge, table, out)
    assert out[0] == pytest.approx((1.5 + 1.5 + 3) / 12)
    assert out[1] == pytest.approx((1 * 2 + 3 * 3) / 12)
    assert np.isnan(out[2])
    falling = ranked(y, -np.array([0.0, 1, 1, 1, 2, 3, 4]), np.arange(7))
    rates = np.empty((LANES, 3))
    sum_rates(falling.case, falling.edge, table, np.array([0.0, 0.25, 0.75]), rates)
    assert rates[0].tolist() == pytest.approx([0, 1 / 3, 1])
    assert rates[1].tolist() == pytest.approx([0.75, 0.75, 1])
    assert np.isnan(rates[2]).all()


def test_without_present_cases_there_is_nothing():
    order = ranked(np.zeros(3, dtype=bool), np.arange(3.0), np.arange(3))
    out = np.empty(LANES)
    sum_auc(order.case, order.edge, np.ones((3, LANES), dtype=np.uint16), out)
    assert np.isnan(out).all()
    empty = ranked(np.zeros(0, dtype=bool), np.zeros(0), np.zeros(0, dtype=int))
    sum_auc(empty.case, empty.edge, np.ones((1, LANES), dtype=np.uint16), out)
    assert np.isnan(out).all()
