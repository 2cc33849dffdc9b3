import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.errors import InputError
from overread.stats.roc.delong import centred, groups_of, placements, satterthwaite, spread


def pair_by_pair(y, score, weights):
    """Placement values and AUC from the definition, one pair at a time."""
    v = np.zeros(len(y))
    numerator = denominator = 0.0
    for i in range(len(y)):
        wins = total = 0.0
        for j in range(len(y)):
            if y[i] == y[j]:
                continue
            better = score[i] > score[j] if y[i] else score[i] < score[j]
            psi = 0.5 if score[i] == score[j] else float(better)
            wins, total = wins + weights[j] * psi, total + weights[j]
            if y[i]:
                numerator += weights[i] * weights[j] * psi
                denominator += weights[i] * weights[j]
        v[i] = wins / total
    return numerator / denominator, v


@st.composite
def samples(draw, max_size=24):
    n = draw(st.integers(2, max_size))
    y = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    y[0], y[1] = True, False
    score = draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n))
    weights = draw(st.lists(st.floats(0.1, 5), min_size=n, max_size=n))
    cluster = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    return np.array(y), np.array(score, dtype=float), np.array(weights), np.array(cluster)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(samples())
def test_placements_are_those_of_the_definition(sample):
    y, score, weights, _ = sample
    for w in (None, weights):
        value, placed = placements(y, score, w)
        slow_value, slow_placed = pair_by_pair(y, score, np.ones(len(y)) if w is None else w)
        assert value == pytest.approx(slow_value, abs=1e-12)
        np.testing.assert_allclose(placed, slow_placed, atol=1e-12)
        contributions = centred(y, value, placed, w)
        assert contributions[y].sum() == pytest.approx(0, abs=1e-12)
        assert contributions[~y].sum() == pytest.approx(0, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(samples())
def test_clustered_variance_is_obuchowskis_sum_by_sum(sample):
    y, score, _, cluster = sample
    value, placed = placements(y, score)
    groups = groups_of(len(y), cluster, None, where="t")
    got = spread(centred(y, value, placed)[None], y, groups)
    patients = sorted(set(cluster.tolist()))
    x = {c: sum(placed[i] - value for i in range(len(y)) if y[i] and cluster[i] == c) for c in patients}
    z = {c: sum(placed[i] - value for i in range(len(y)) if not y[i] and cluster[i] == c) for c in patients}
    m, n = y.sum(), (~y).sum()
    i10, i01, i = len(set(cluster[y])), len(set(cluster[~y])), len(patients)
    if i10 == 1 or i01 == 1:
        assert np.isnan(got.covariance).all()
        assert got.note.codes[0]["unit"] == "patient"
        return
    s10 = i10 / ((i10 - 1) * m) * sum(v * v for v in x.values())
    s01 = i01 / ((i01 - 1) * n) * sum(v * v for v in z.values())
    s11 = i / (i - 1) * sum(x[c] * z[c] for c in patients)
    assert got.covariance[0, 0] == pytest.approx(s10 / m + s01 / n + 2 * s11 / (m * n), abs=1e-12)


def test_perfect_and_constant_scores_have_exactly_no_variance_even_weighted():
    rng = np.random.default_rng(3)
    y = rng.random(500) < 0.3
    weights = rng.uniform(0.1, 9, 500)
    for score, expected in ((y + rng.random(500) / 2, 1.0), (-(y + rng.random(500) / 2), 0.0), (np.zeros(500), 0.5)):
        value, placed = placements(y, score, weights)
        assert value == expected
        assert (
            spread(centred(y, value, placed, weights)[None], y, groups_of(500, None, None, where="t")).covariance == 0
        )


def test_stratified_spread_by_hand():
    # Two strata of two patients: centred sums of squares times 2/(2-1), on patient totals of the influence values.
    y = np.array([True, False, True, False])
    values = np.array([[0.1, -0.3, -0.1, 0.3]])
    got = spread(values, y, groups_of(4, None, ["s", "s", "t", "t"], where="t")).covariance
    assert got == pytest.approx(2 * (0.2**2 + 0.2**2) + 2 * (0.2**2 + 0.2**2))
    alone = spread(values, y, groups_of(4, None, ["s", "s", "s", "t"], where="t"))
    assert np.isnan(alone.covariance).all()
    assert "1 stratum with a single patient" in alone.note


def test_a_patient_in_two_strata_is_refused():
    y = np.array([True, False, True, False])
    groups = groups_of(4, ["a", "a", "b", "c"], ["s", "t", "t", "t"], where="t")
    with pytest.raises(InputError, match="1 patients in several strata"):
        spread(np.zeros((1, 4)), y, groups)


def test_degrees_of_freedom_are_welchs_without_clusters_and_with_patients_of_one_class():
    rng = np.random.default_rng(5)
    y = np.arange(30) < 8
    value, placed = placements(y, rng.normal(size=30) + y)
    v10, v01 = placed[y].var(ddof=1) / 8, placed[~y].var(ddof=1) / 22
    welch = (v10 + v01) ** 2 / (v10**2 / 7 + v01**2 / 21)
    values = centred(y, value, placed)
    assert satterthwaite(values, y, groups_of(30, None, None, where="t")) == pytest.approx(welch)
    assert satterthwaite(values, y, groups_of(30, np.arange(30), None, where="t")) == pytest.approx(welch)


def test_degrees_of_freedom_with_both_classes_in_every_patient_are_patients_less_one():
    rng = np.random.default_rng(6)
    y = np.arange(40) % 2 == 0
    value, placed = placements(y, rng.normal(size=40) + y)
    groups = groups_of(40, np.arange(40) // 2, None, where="t")
    assert satterthwaite(centred(y, value, placed), y, groups) == pytest.approx(19)
