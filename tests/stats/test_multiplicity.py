from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.errors import InputError
from overread.stats.multiplicity import benjamini_hochberg, fixed_sequence, holm

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "multiplicity"
CASES = {c["id"]: c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"]}
P = np.genfromtxt(REFERENCE / "pvalues.csv", delimiter=",", names=True)["p"]
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@pytest.mark.parametrize(("adjust", "key"), [(holm, "holm"), (benjamini_hochberg, "BH")])
def test_equals_r(adjust, key):
    want = CASES["p_adjust"]["expected"]
    np.testing.assert_allclose(adjust(P), want[key], rtol=0, atol=1e-12)
    assert (np.flatnonzero(adjust(P) <= 0.05) + 1).tolist() == want[f"reject_{key}_0.05"]
    missing = P.copy()
    missing[[2, 6]] = np.nan
    with_missing = np.array(CASES["p_adjust_with_missing"]["expected"][key], dtype=float)
    np.testing.assert_allclose(adjust(missing), with_missing, rtol=1e-9, atol=1e-10)


def test_by_hand():
    np.testing.assert_allclose(holm([0.03, 0.01, 0.02, 0.5]), [0.06, 0.04, 0.06, 0.5])
    np.testing.assert_allclose(benjamini_hochberg([0.03, 0.01, 0.02, 0.5]), [0.04, 0.04, 0.04, 0.5])
    np.testing.assert_allclose(fixed_sequence([0.01, 0.04, 0.02, np.nan, 0.001])[:3], [0.01, 0.04, 0.04])
    assert np.isnan(fixed_sequence([0.01, np.nan, 0.001])[1:]).all()
    assert holm([]).size == 0
    assert np.isnan(holm([np.nan])).all()


@given(P_VALUES)
@settings(max_examples=80, deadline=None)
def test_holm_equals_its_slow_twin(p):
    """The definition: step down from the smallest; stop at the first that exceeds alpha over the number left."""
    adjusted = holm(p)
    for alpha in (0.01, 0.05, 0.2):
        claimed, left = set(), sorted(range(len(p)), key=lambda i: p[i])
        for k, i in enumerate(left):
            if p[i] * (len(p) - k) > alpha:
                break
            claimed.add(i)
        assert claimed == set(np.flatnonzero(adjusted <= alpha))


@given(P_VALUES)
@settings(max_examples=80, deadline=None)
def test_benjamini_hochberg_equals_its_slow_twin(p):
    """The definition: all up to the largest k with p_(k) <= k alpha / m."""
    adjusted, m, ordered = benjamini_hochberg(p), len(p), sorted(p)
    for alpha in (0.01, 0.05, 0.2):
        passing = [k for k in range(1, m + 1) if m / k * ordered[k - 1] <= alpha]
        limit = ordered[max(passing) - 1] if passing else -1.0
        assert set(np.flatnonzero(adjusted <= alpha)) == {i for i in range(m) if p[i] <= limit}


@given(P_VALUES)
@settings(max_examples=60, deadline=None)
def test_order_and_size(p):
    shuffle = np.random.default_rng(0).permutation(len(p))
    for adjust in (holm, benjamini_hochberg):
        adjusted = adjust(p)
        assert (adjusted >= np.array(p) - 1e-15).all()
        assert (adjusted <= 1).all()
        np.testing.assert_allclose(adjust(np.array(p)[shuffle]), adjusted[shuffle])
        by_size = np.argsort(p, kind="stable")
        assert (np.diff(adjusted[by_size]) >= -1e-15).all()
    assert (holm(p) >= benjamini_hochberg(p) - 1e-12).all()


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg, fixed_sequence])
def test_refuses_what_is_no_p_value(adjust):
    with pytest.raises(InputError, match="between 0 and 1"):
        adjust([0.1, 1.2])
    with pytest.raises(InputError, match="one dimension"):
        adjust([[0.1]])


@pytest.mark.slow
def test_familywise_error_of_holm_and_of_the_sequence():
    """Ten true and five false null hypotheses: a false claim anywhere in at most 5 % of the families."""
    from scipy.special import ndtr

    rng = np.random.default_rng(4)
    p = ndtr(-(rng.standard_normal((4000, 15)) + np.repeat([0.0, 3.0], [10, 5])))
    wrong = np.mean([(holm(row)[:10] <= 0.05).any() for row in p])
    assert wrong < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)
    order = np.concatenate([np.arange(10, 15), np.arange(10)])
    sequence = np.mean([(fixed_sequence(row[order])[5:] <= 0.05).any() for row in p])
    assert sequence < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)
