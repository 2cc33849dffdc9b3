"""The finite-population correction: by hand, a textbook formula, a slow twin, a census, and coverage by simulation."""

import itertools
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import codes
from overread.errors import InputError
from overread.stats import calibration, decision, roc
from overread.stats.rates import operating_point
from overread.stats.rates.proportions import clustered_proportion
from overread.stats.roc.delong import placements
from overread.stats.sampling_design import sampling, undrawn


def drawn(seed=0, n=60):
    """Cases of a stratum of 1 in 4 and one that was taken whole."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.4
    strata = np.arange(n) % 3 == 0
    return {"y": y, "score": rng.normal(size=n) + y, "weights": np.where(strata, 1.0, 4.0), "strata": strata}


def test_by_hand_a_rate_of_two_strata():
    """Cochran 1977, theorem 5.3: v = sum W_h^2 (1 - f_h) s_h^2 / n_h.

    Here 6 of 12 of one stratum and 4 of 4 of another.
    """
    hit = [1, 1, 0, 1, 0, 0, 1, 0, 0, 0]
    strata = [0] * 6 + [1] * 4
    weights = [2.0] * 6 + [1.0] * 4
    made = clustered_proportion(hit, cluster=range(10), weights=weights, strata=strata, finite=True, method="wald")
    s2 = 0.3  # of three hits in six
    by_formula = (12 / 16) ** 2 * (1 - 0.5) * s2 / 6
    small = (10 / 9) * (9 / 10)  # the factor of all patients, which is 1 with strata
    assert made.value == pytest.approx(12 / 16 * 0.5 + 4 / 16 * 0.25)
    assert made.se**2 == pytest.approx(by_formula * small)
    assert "finite population" in made.method


def test_without_strata_the_variance_is_that_share_of_the_endless_one():
    y, score = np.arange(12) % 2 == 0, np.sin(np.arange(12))
    weights = np.full(12, 3.0)
    endless = roc.auc(y, score, weights=weights, interval="logit")
    finite = roc.auc(y, score, weights=weights, interval="logit", finite=True)
    assert finite.value == endless.value
    assert finite.se == pytest.approx(endless.se * sqrt(1 - 12 / 36))


def test_against_a_slow_twin_of_the_auc():
    """The variance stratum by stratum in plain loops from the pairs."""
    of = drawn()
    y, score, w, strata = of["y"], of["score"], of["weights"], of["strata"]
    beats = lambda a, b: 1.0 if a > b else 0.5 if a == b else 0.0  # noqa: E731
    total = {c: sum(w[i] for i in range(60) if y[i] == c) for c in (True, False)}
    pairs = [(i, j) for i, j in itertools.product(range(60), repeat=2) if y[i] and not y[j]]
    auc = sum(w[i] * w[j] * beats(score[i], score[j]) for i, j in pairs) / (total[True] * total[False])
    influence = []
    for i in range(60):
        other = [j for j in range(60) if y[j] != y[i]]
        share = sum(w[j] * (beats(score[i], score[j]) if y[i] else beats(score[j], score[i])) for j in other)
        influence.append(w[i] * (share / total[not y[i]] - auc) / total[bool(y[i])])
    variance = 0.0
    for h in (True, False):
        mine = [influence[i] for i in range(60) if strata[i] == h]
        n, size = len(mine), sum(w[i] for i in range(60) if strata[i] == h)
        mean = sum(mine) / n
        variance += (1 - n / size) * n / (n - 1) * sum((v - mean) ** 2 for v in mine)
    made = roc.auc(y, score, weights=w, strata=strata, finite=True)
    assert made.value == pytest.approx(auc)
    assert made.se == pytest.approx(sqrt(variance))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_a_census_has_no_error_in_anything_that_takes_strata(seed):
    rng = np.random.default_rng(seed)
    y = np.r_[True, False, True, False, rng.random(56) < 0.4]
    score = rng.random(60)
    given = {"weights": np.ones(60), "strata": np.arange(60) % 4, "finite": True}
    point = operating_point(y, score > 0.5, **given)
    curve = decision.net_benefit(y, score, [0.2, 0.5], interval="wald", **given)
    made = [
        roc.auc(y, score, **given),
        roc.compare_aucs(y, score, rng.random(60), **given),
        point.sensitivity,
        point.specificity,
        point.ppv,
        calibration.brier(y, score, **given).brier,
        calibration.calibration_line(y, score, **given).slope,
        clustered_proportion(y, cluster=np.arange(60), **given),
    ]
    for estimate in made:
        assert estimate.se == pytest.approx(0, abs=1e-12)
        assert estimate.low == pytest.approx(estimate.value) == pytest.approx(estimate.high)
    assert curve.se == pytest.approx([0, 0], abs=1e-12)


def test_it_never_widens_and_is_nothing_where_the_population_is_endless():
    of = drawn(3)
    given = {"weights": of["weights"], "strata": of["strata"]}
    for call in (
        lambda **k: roc.auc(of["y"], of["score"], **given, **k),
        lambda **k: operating_point(of["y"], of["score"] > 0.5, **given, **k).sensitivity,
        lambda **k: roc.compare_aucs(of["y"], of["score"], np.cos(of["score"]), **given, **k),
    ):
        assert call(finite=True).se < call().se
    large = {"weights": of["weights"] * 1e9, "strata": of["strata"]}
    assert roc.auc(of["y"], of["score"], **large, finite=True).se == pytest.approx(
        roc.auc(of["y"], of["score"], **large).se
    )


def test_a_stratum_of_one_that_was_taken_whole_is_no_obstacle():
    of = drawn()
    strata = np.r_[9, np.zeros(59)]
    weights = np.r_[1.0, np.full(59, 3.0)]
    assert np.isnan(roc.auc(of["y"], of["score"], weights=weights, strata=strata).se)
    assert roc.auc(of["y"], of["score"], weights=weights, strata=strata, finite=True).se > 0
    assert sampling(60, where="x", weights=weights, strata=strata, finite=True).note == ""


def test_weights_that_are_none_or_too_small_are_refused():
    with pytest.raises(InputError, match=r"auc: finite: expected weights, which sum to the population; found none"):
        roc.auc([1, 0, 1], [1, 2, 3], finite=True)
    with pytest.raises(InputError, match="1 strata whose weights sum to less"):
        undrawn(np.array([0.5, 0.5, 2.0]), np.array([0, 0, 1]), where="auc")


@pytest.mark.slow
def test_intervals_cover_the_value_of_the_finite_population_itself():
    """2,000 draws of 300 from 900: without the correction the interval covers too often, with it 95 %."""
    rng = np.random.default_rng(1)
    y = rng.random(900) < 0.3
    score = rng.normal(size=900) + y
    truth = placements(y, score)[0]
    strata = y.astype(int) * 2 + (rng.random(900) < 0.5)
    hits = {True: 0, False: 0}
    sizes = np.array([80, 80, 70, 70])
    members = [np.flatnonzero(strata == h) for h in range(4)]
    for _ in range(2000):
        at = np.concatenate([rng.choice(m, n, replace=False) for m, n in zip(members, sizes, strict=True)])
        weights = (np.bincount(strata) / sizes)[strata[at]]
        for finite in hits:
            made = roc.auc(y[at], score[at], weights=weights, strata=strata[at], finite=finite)
            hits[finite] += made.low <= truth <= made.high
    assert hits[True] / 2000 == pytest.approx(0.95, abs=0.015)
    assert hits[False] / 2000 > 0.965


def test_strata_of_one_kind_leave_no_sampling_variance_and_no_rounding_noise():
    success = np.array([True] * 3 + [False] * 30)
    strata = np.array(["hit"] * 3 + ["miss"] * 30)
    weights = np.array([1.7] * 3 + [3.1] * 30)
    finite = clustered_proportion(success, cluster=np.arange(33), weights=weights, strata=strata, finite=True)
    assert (finite.se, finite.low, finite.high) == (0.0, finite.value, finite.value)
    assert finite.method.startswith("no sampling variance")
    assert finite.note == codes.note("homogeneous_strata")
    drawn = clustered_proportion(success, cluster=np.arange(33), weights=weights, strata=strata)
    assert drawn.se == 0.0
    assert drawn.low < drawn.value < drawn.high
    assert "the CI is that of independent cases" in drawn.note
