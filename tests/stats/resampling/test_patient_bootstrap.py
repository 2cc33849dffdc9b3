import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import codes
from overread.errors import InputError
from overread.stats import roc
from overread.stats.resampling import patient_bootstrap


@st.composite
def problems(draw):
    n, raters, findings = draw(st.integers(6, 30)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    y = (rng.random((findings, n)) < 0.5).astype(float)
    y[rng.random((findings, n)) < 0.15] = np.nan
    scores = rng.integers(0, 6, (raters, findings, n)).astype(float)
    return y, scores, rng.integers(0, 8, n) * 7 - 3, rng.uniform(0.5, 3, n), rng


def slow_auc(y, score, times):
    """AUC of a resample from its definition: every pair as often as its cases were drawn; NaN without a class."""
    wins = pairs = 0.0
    for i in np.flatnonzero(y == 1):
        for j in np.flatnonzero(y == 0):
            pairs += times[i] * times[j]
            wins += times[i] * times[j] * ((score[i] > score[j]) + 0.5 * (score[i] == score[j]))
    return wins / pairs if pairs else np.nan


def slow_sensitivity(y, score, times, specificity):
    """The highest sensitivity of a threshold whose specificity is at least the stated one.

    Where none has it, NaN if several cases share the highest score that was drawn, and 0 if one case alone has it.
    """
    present, absent = times[y == 1].sum(), times[y == 0].sum()
    if not present or not absent:
        return np.nan
    best, attained = 0.0, False
    for threshold in np.unique(score[~np.isnan(y) & (times > 0)]):
        called = score >= threshold
        if times[(y == 0) & ~called].sum() >= (specificity - 1e-12) * absent:
            attained = True
            best = max(best, times[(y == 1) & called].sum() / present)
    highest = score[~np.isnan(y) & (times > 0)].max()
    return best if attained or (score[~np.isnan(y)] == highest).sum() == 1 else np.nan


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(problems(), st.booleans())
def test_every_replicate_is_that_of_its_draw(problem, weighted):
    y, scores, cluster, weights, rng = problem
    counts = patient_bootstrap.draw_counts(cluster, rng=rng, replicates=19)
    place = np.unique(cluster, return_inverse=True)[1]
    w = weights if weighted else None
    got = patient_bootstrap.auc_replicates(y, scores, counts, cluster=cluster, weights=w)
    levels = [0.9, 0.5, 1.0, 0.0]
    sensitivity = patient_bootstrap.rate_replicates(y, scores, counts, levels, cluster=cluster, weights=w)
    assert got.shape == (19, *scores.shape[:2])
    assert sensitivity.shape == (19, *scores.shape[:2], 4)
    for b in range(19):
        times = counts[b][place] * (weights if weighted else 1.0)
        for r in range(scores.shape[0]):
            for f in range(y.shape[0]):
                assert got[b, r, f] == pytest.approx(slow_auc(y[f], scores[r, f], times), nan_ok=True, abs=1e-12)
                want = [slow_sensitivity(y[f], scores[r, f], times, level) for level in levels]
                np.testing.assert_allclose(sensitivity[b, r, f], want, atol=1e-12)


def test_draws_are_as_many_patients_in_the_order_of_unique():
    cluster = np.array(["b", "a", "b", "c", "a", "d"])
    counts = patient_bootstrap.draw_counts(cluster, rng=np.random.default_rng(1), replicates=3000)
    assert counts.shape == (3000, 4)
    assert (counts.sum(axis=1) == 4).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.06)
    assert counts.var() == pytest.approx(0.75, abs=0.03)  # multinomial: 4 * 1/4 * 3/4
    assert np.cov(counts[:, 0], counts[:, 1])[0, 1] == pytest.approx(-0.25, abs=0.04)


def test_draws_keep_the_size_of_every_stratum():
    cluster = np.arange(30) // 2
    strata = np.where(cluster < 4, "rare", "common")
    counts = patient_bootstrap.draw_counts(cluster, rng=np.random.default_rng(1), replicates=50, strata=strata)
    assert (counts[:, :4].sum(axis=1) == 4).all()
    assert (counts[:, 4:].sum(axis=1) == 11).all()
    with pytest.raises(InputError, match="1 patients in several strata"):
        patient_bootstrap.draw_counts(["a", "a", "b"], rng=np.random.default_rng(1), strata=[0, 1, 1])


def test_the_same_generator_gives_the_same_draws_whatever_the_threads():
    rng = np.random.default_rng(2)
    y, scores = (rng.random((2, 200)) < 0.3).astype(float), rng.normal(size=(1, 2, 200))
    one, two = (
        patient_bootstrap.bootstrap_auc(y, scores, rng=np.random.default_rng(5), replicates=100) for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)


def test_draws_in_parts_are_the_same_draws(monkeypatch):
    rng = np.random.default_rng(2)
    y, scores, cluster = (rng.random((2, 200)) < 0.3).astype(float), rng.normal(size=(1, 2, 200)), np.arange(200) // 3
    whole = patient_bootstrap.bootstrap_auc(y, scores, rng=np.random.default_rng(5), cluster=cluster, replicates=100)
    monkeypatch.setattr(patient_bootstrap, "DRAWS_AT_ONCE", 67 * 30)
    parts = patient_bootstrap.bootstrap_auc(y, scores, rng=np.random.default_rng(5), cluster=cluster, replicates=100)
    np.testing.assert_array_equal(parts, whole)


def test_any_statistic_sees_whole_patients():
    cluster = np.array([3, 1, 3, 2, 1, 3])
    seen = patient_bootstrap.bootstrap(
        lambda c: [np.unique(c, return_counts=True)[1] @ (1 / np.array([0, 2, 1, 3])[np.unique(c)]), c.size],
        cluster,
        rng=np.random.default_rng(3),
        cluster=cluster,
        replicates=50,
    )
    np.testing.assert_allclose(seen[:, 0], 3)  # three patients, each with all of its images
    assert set(seen[:, 1]) <= set(range(3, 10))


def test_the_general_and_the_fast_bootstrap_are_one():
    rng = np.random.default_rng(4)
    cluster = rng.integers(0, 25, 60)
    y, score = rng.random(60) < 0.4, rng.normal(size=60)
    slow = patient_bootstrap.bootstrap(
        lambda a, b: roc.auc(a, b).value, y, score, rng=np.random.default_rng(9), cluster=cluster, replicates=40
    )
    fast = patient_bootstrap.bootstrap_auc([y], [[score]], rng=np.random.default_rng(9), cluster=cluster, replicates=40)
    np.testing.assert_allclose(fast[:, 0, 0], slow)


def test_arrays_with_more_axes_are_resampled_on_the_last():
    scores = np.arange(12.0).reshape(2, 6)
    got = patient_bootstrap.bootstrap(lambda s: s[1] - s[0], scores, rng=np.random.default_rng(0), replicates=5)
    np.testing.assert_array_equal(got, np.full((5, 6), 6.0))


def test_standard_error_and_interval_are_delongs():
    rng = np.random.default_rng(6)
    cluster = rng.integers(0, 200, 500)
    y = rng.random(500) < 0.3
    score = rng.normal(size=500) + y + rng.normal(size=200)[cluster]
    want = roc.auc(y, score, cluster=cluster)
    values = patient_bootstrap.bootstrap_auc([y], [[score]], rng=rng, cluster=cluster, replicates=4000)[:, 0, 0]
    got = patient_bootstrap.percentile_interval(values, value=want.value)
    assert got.se == pytest.approx(want.se, rel=0.06)
    assert (got.low, got.high) == pytest.approx((want.low, want.high), abs=0.006)


def test_undefined_replicates_are_counted_and_above_one_percent_end_the_interval():
    values = np.linspace(0, 1, 1000)
    values[:10] = np.nan
    got = patient_bootstrap.percentile_interval(values, value=0.5)
    assert got.note == codes.note("undefined_samples", n=10, replicates=1000)
    assert (got.low, got.high) == pytest.approx(tuple(np.quantile(values[10:], [0.025, 0.975])))
    values[10] = np.nan
    got = patient_bootstrap.percentile_interval(values, value=0.5)
    assert np.isnan([got.low, got.high, got.se]).all()
    assert got.value == 0.5
    assert got.note == "11 of 1,000 bootstrap samples undefined; no CI: more than 1% of the bootstrap samples undefined"
    assert "fewer than two defined" in patient_bootstrap.percentile_interval([1.0]).note


def test_a_rare_finding_is_undefined_in_the_resamples_that_miss_it():
    y = np.zeros((1, 40))
    y[0, 0] = 1
    values = patient_bootstrap.bootstrap_auc(y, np.zeros((1, 1, 40)), rng=np.random.default_rng(0), replicates=2000)
    assert np.isnan(values).mean() == pytest.approx((1 - 1 / 40) ** 40, abs=0.03)
    assert np.isnan(
        patient_bootstrap.bootstrap_auc(y * 0, np.zeros((1, 1, 40)), rng=np.random.default_rng(0), replicates=3)
    ).all()
    none = np.full((1, 40), np.nan)
    assert np.isnan(patient_bootstrap.bootstrap_auc(none, none[None], rng=np.random.default_rng(0), replicates=3)).all()


def test_bad_input_is_said():
    rng = np.random.default_rng(0)
    y, scores = np.array([[1.0, 0, 1, np.nan]]), np.zeros((1, 1, 4))
    bad = scores.copy()
    bad[0, 0, :] = [np.nan, 0, 0, np.nan]
    with pytest.raises(InputError, match="1 NaN or infinite of 3"):  # the case that is not stated needs no score
        patient_bootstrap.bootstrap_auc(y, bad, rng=rng)
    with pytest.raises(InputError, match=r"n_raters, 1, 4"):
        patient_bootstrap.bootstrap_auc(y, scores[0], rng=rng)
    with pytest.raises(InputError, match="n_findings, n_cases"):
        patient_bootstrap.bootstrap_auc(y[0], scores, rng=rng)
    with pytest.raises(InputError, match="draw_counts"):
        patient_bootstrap.auc_replicates(y, scores, np.ones((5, 3), dtype=np.uint16))
    with pytest.raises(InputError, match="same number of cases"):
        patient_bootstrap.bootstrap(np.mean, [1, 2], [1, 2, 3], rng=rng)
    with pytest.raises(InputError, match="at least 1"):
        patient_bootstrap.draw_counts([1, 2], rng=rng, replicates=0)
    with pytest.raises(InputError, match="from 0 to 1"):
        patient_bootstrap.rate_replicates(y, scores, np.ones((5, 4), dtype=np.uint16), [95])


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_the_reverse_rate_is_the_rate_with_the_classes_turned_round(weighted):
    rng = np.random.default_rng(3)
    y = (rng.random((2, 300)) < 0.3).astype(float)
    y[1, :40] = np.nan
    scores = np.round(rng.normal(size=(2, 2, 300)) + np.nan_to_num(y), 1)  # many ties
    cluster = rng.integers(0, 90, 300)
    weights = rng.uniform(0.5, 3, 300) if weighted else None
    counts = patient_bootstrap.draw_counts(cluster, rng=rng, replicates=150)
    given = {"cluster": cluster, "weights": weights}
    rates = [0.95, 0.0, 0.9, 1.0]
    turned = patient_bootstrap.rate_replicates(1 - y, -scores, counts, rates, **given)
    straight = patient_bootstrap.rate_replicates(y, scores, counts, rates, kind="specificity", **given)
    assert straight.shape == (150, 2, 2, 4)
    assert np.nanmin(straight) >= 0
    np.testing.assert_allclose(straight, turned, rtol=1e-12, atol=1e-12)  # sums of weights in another order


def test_replicates_that_are_all_alike_give_no_interval():
    made = patient_bootstrap.percentile_interval(np.full(200, 0.5), value=0.5)
    assert made.value == 0.5
    assert np.isnan(made.low)
    assert made.note == codes.note("equal_samples")


def test_a_fixed_rate_that_a_resample_of_decisions_does_not_attain_has_no_value():
    """By hand: 2 present called, 1 not; 1 of 4 absent called. Specificity 0.7 needs at most 1.2 of 4 called."""
    y, call = [[1, 1, 1, 0, 0, 0, 0]], [[[1, 1, 0, 1, 0, 0, 0]]]
    counts = np.array(
        [[1] * 7, [1, 1, 1, 2, 0, 1, 1], [1, 0, 2, 0, 2, 1, 1], [0, 0, 3, 1, 1, 1, 1], [0, 0, 0, 1, 2, 2, 2]], np.uint16
    )
    at_specificity = patient_bootstrap.rate_replicates(y, call, counts, [0.7])[:, 0, 0, 0]
    np.testing.assert_allclose(at_specificity, [2 / 3, np.nan, 1 / 3, 0, np.nan])
    at_sensitivity = patient_bootstrap.rate_replicates(y, call, counts, [0.6], kind="specificity")[:, 0, 0, 0]
    np.testing.assert_allclose(at_sensitivity, [3 / 4, 2 / 4, np.nan, np.nan, np.nan])


def test_one_case_drawn_several_times_is_no_tie():
    y, score = [[1, 1, 0, 0]], [[[2, 1, 3, 0]]]
    counts = np.array([[1, 1, 1, 1], [1, 1, 2, 0], [2, 1, 0, 1]], dtype=np.uint16)
    assert patient_bootstrap.rate_replicates(y, score, counts, [0.9])[:, 0, 0, 0].tolist() == [0.0, 0.0, 1.0]
    tied = [[[3, 1, 3, 0]]]
    np.testing.assert_equal(
        patient_bootstrap.rate_replicates(y, tied, counts, [0.9])[:, 0, 0, 0], [np.nan, np.nan, 1.0]
    )


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.booleans())
def test_rates_of_untied_scores_are_defined_in_every_resample_with_both_classes(seed, levels, weighted):
    rng = np.random.default_rng(seed)
    y = (np.arange(16) < 8).astype(float)[None]
    untied, tied = rng.permutation(16).astype(float), rng.integers(0, levels, 16).astype(float)
    counts = patient_bootstrap.draw_counts(np.arange(16), rng=rng, replicates=70)
    weights = rng.uniform(0.5, 3, 16) if weighted else None
    both = (counts[:, :8].sum(axis=1) > 0) & (counts[:, 8:].sum(axis=1) > 0)
    for kind in ("sensitivity", "specificity"):
        fixed = patient_bootstrap.rate_replicates(y, untied[None, None], counts, [0.9, 0.5], kind=kind, weights=weights)
        assert (np.isnan(fixed[:, 0, 0]) == ~both[:, None]).all()
        defined = patient_bootstrap.rate_replicates(y, tied[None, None], counts, [0.9, 0.0], kind=kind, weights=weights)
        assert (np.isnan(defined[:, 0, 0, 1]) == ~both).all()  # a rate of 0 is always attained


def test_a_word_that_is_no_kind_of_rate_is_refused():
    with pytest.raises(InputError, match="one of sensitivity, specificity, curve"):
        patient_bootstrap.rate_replicates([[1, 0]], [[[1, 0]]], np.ones((1, 2), np.uint16), [0.9], kind="ppv")


@pytest.mark.parametrize("n", [1, 7, 500, 2**17 + 1])
def test_blocks_of_replicates_hold_the_draws_of_one_replicate_at_a_time(n):
    replicates = 3 if n > 2**16 else 40
    one, block = np.random.default_rng(5), np.random.default_rng(5)
    each = [np.bincount(one.integers(0, n, n), minlength=n) for _ in range(replicates)]
    counts = patient_bootstrap.draw_counts(np.arange(n), rng=block, replicates=replicates)
    np.testing.assert_array_equal(counts, each)
    assert one.integers(2**40) == block.integers(2**40)  # nothing more was drawn
