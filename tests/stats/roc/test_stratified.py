import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from overread import codes
from overread.stats import roc
from overread.stats.resampling import patient_bootstrap

REPLICATES = 2000


@st.composite
def samples(draw):
    m, n = draw(st.integers(2, 12)), draw(st.integers(2, 12))
    values = st.lists(st.integers(-5, 5), min_size=m + n, max_size=m + n)
    y = (np.arange(m + n) < m)[draw(st.permutations(range(m + n)))]
    return y, np.array(draw(values), dtype=float), np.array(draw(values), dtype=float)


def covers(estimate, truth):
    return estimate.low <= truth <= estimate.high


def test_pairs_within_by_hand():
    # Site a: present 4, 1 against absent 3, 2: 2 of 4 pairs. Site b: present 9 against absent 5, 5, 9: 2.5 of 3 pairs.
    y = [1, 1, 0, 0, 1, 0, 0, 0, 1]
    got = roc.stratified_auc(y, [4, 1, 3, 2, 9, 5, 5, 9, 7], list("aaaabbbbc"))
    assert got.value == pytest.approx(4.5 / 7)
    assert got.note == codes.note("strata_without_pairs", n=1, strata=3, cases=1)
    a = 4.5 / 7
    present = [2 * (1 - a) / 7, 2 * (0 - a) / 7, 3 * (2.5 / 3 - a) / 7]
    absent = [2 * (0.5 - a) / 7] * 2 + [(1 - a) / 7, (1 - a) / 7, (0.5 - a) / 7]
    variance = 3 / 2 * sum(v * v for v in present) + 5 / 4 * sum(v * v for v in absent)
    assert got.se**2 == pytest.approx(variance)


@settings(max_examples=60, deadline=None)
@given(samples(), st.integers(0, 1000))
def test_stratified_auc_is_that_of_the_pairs_within(sample, seed):
    y, score, _ = sample
    stratum = np.random.default_rng(seed).integers(0, 4, y.size)
    wins = pairs = 0.0
    for i in np.flatnonzero(y):
        for j in np.flatnonzero(~y):
            if stratum[i] == stratum[j]:
                pairs += 1
                wins += (score[i] > score[j]) + 0.5 * (score[i] == score[j])
    got = roc.stratified_auc(y, score, stratum)
    assert got.value == pytest.approx(wins / pairs if pairs else np.nan, nan_ok=True, abs=1e-12)
    single = sum(len(set(y[stratum == s])) == 1 for s in set(stratum))
    assert (f"{single} of {len(set(stratum))} strata without pairs" in got.note) == (single > 0)
    one = roc.stratified_auc(y, score, np.zeros(y.size, int))
    assert (one.value, one.se) == pytest.approx((roc.auc(y, score).value, roc.auc(y, score).se), abs=1e-12)


def test_stratified_auc_ignores_what_only_tells_the_strata_apart():
    rng = np.random.default_rng(2)
    site = np.repeat([0, 1], 400)
    y = rng.random(800) < np.where(site == 0, 0.1, 0.7)
    score = site + rng.normal(size=800) / 100
    assert roc.auc(y, score).value > 0.75
    within = roc.stratified_auc(y, score, site)
    assert within.low < 0.5 < within.high


@pytest.mark.slow
def test_stratified_standard_error_is_that_of_the_bootstrap_by_patient():
    rng = np.random.default_rng(12)
    patient_site = rng.integers(0, 5, 120)
    cluster = rng.integers(0, 120, 300)
    site = patient_site[cluster]
    y = rng.random(300) < 0.2 + 0.1 * site
    score = rng.normal(size=300) + y * (0.2 + 0.4 * site) + rng.normal(size=120)[cluster]
    got = roc.stratified_auc(y, score, site, cluster=cluster)
    replicates = patient_bootstrap.bootstrap(
        lambda a, b, s: roc.stratified_auc(a, b, s).value, y, score, site, rng=rng, cluster=cluster, replicates=800
    )
    assert got.se == pytest.approx(replicates.std(), rel=0.12)


@pytest.mark.slow
def test_coverage_within_strata():
    rng = np.random.default_rng(32)
    site = np.repeat(np.arange(6), 60)
    hits = 0
    for _ in range(REPLICATES):
        y = rng.random(360) < (0.1 + 0.12 * site)
        score = site + rng.normal(size=360) + y
        hits += covers(roc.stratified_auc(y, score, site), norm.cdf(1 / np.sqrt(2)))
    assert hits / REPLICATES >= 0.94, hits / REPLICATES


def test_whole_weights_repeat_cases_and_equal_ones_change_nothing():
    rng = np.random.default_rng(13)
    y, score, site = rng.random(120) < 0.4, rng.integers(0, 9, 120), rng.integers(0, 5, 120)
    times = rng.integers(1, 4, 120)
    whole = roc.stratified_auc(np.repeat(y, times), np.repeat(score, times), np.repeat(site, times))
    assert roc.stratified_auc(y, score, site, weights=times).value == pytest.approx(whole.value)
    plain, equal = roc.stratified_auc(y, score, site), roc.stratified_auc(y, score, site, weights=np.full(120, 3.0))
    assert (equal.value, equal.se) == pytest.approx((plain.value, plain.se))


def test_interval_kinds_and_what_has_no_pairs():
    rng = np.random.default_rng(16)
    y, score, site = rng.random(40) < 0.3, rng.normal(size=40), rng.integers(0, 3, 40)
    wald, t = (roc.stratified_auc(y, score, site, interval=kind) for kind in ("wald", "logit-t"))
    assert wald.se == t.se
    assert t.high - t.low > 0
    assert " df" in t.method
    nothing = roc.stratified_auc([1, 1, 0], [1, 2, 3], ["a", "a", "b"])
    assert np.isnan(nothing.value)
    assert nothing.note == codes.note("strata_without_pairs", n=2, strata=2, cases=3)
    lone = roc.stratified_auc([1, 0, 0], [2, 1, 3], ["a", "a", "a"])
    assert lone.value == 0.5
    assert "only one case with the finding" in lone.note
    perfect = roc.stratified_auc([1, 1, 0, 0, 1], [4, 3, 2, 1, 0], list("aaaab"))
    assert (perfect.low, perfect.high) == (1, 1)
    assert perfect.note.startswith("1 of 2 strata")
    assert "separate the classes completely" in perfect.note
