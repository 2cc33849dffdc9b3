import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.stats import roc
from overread.stats.resampling import patient_bootstrap


@st.composite
def samples(draw):
    m, n = draw(st.integers(2, 12)), draw(st.integers(2, 12))
    values = st.lists(st.integers(-5, 5), min_size=m + n, max_size=m + n)
    y = (np.arange(m + n) < m)[draw(st.permutations(range(m + n)))]
    return y, np.array(draw(values), dtype=float), np.array(draw(values), dtype=float)


@settings(max_examples=60, deadline=None)
@given(samples())
def test_influence_gives_delongs_variance_and_covariance(sample):
    y, a, b = sample
    results = [roc.influence(y, s) for s in (a, b)]
    rows = np.array([r[1] for r in results])
    np.testing.assert_allclose(rows.sum(axis=1), 0, atol=1e-12)
    want = roc.auc_covariance(y, [a, b])
    np.testing.assert_allclose([r[0] for r in results], want.aucs)
    np.testing.assert_allclose(roc.influence_covariance(rows), want.covariance, atol=1e-12)


def test_influence_of_patients_is_near_obuchowski_and_carries_over_findings():
    rng = np.random.default_rng(4)
    cluster = rng.integers(0, 150, 400)
    base = rng.normal(size=150)[cluster]
    y = rng.random((2, 400)) < 0.4
    scores = base + rng.normal(size=(2, 400)) + y
    for k in range(2):
        value, values = roc.influence(y[k], scores[k], cluster=cluster)
        want = roc.auc(y[k], scores[k], cluster=cluster)
        assert value == want.value
        assert np.sqrt(roc.influence_covariance(values, cluster=cluster)[0, 0]) == pytest.approx(want.se, rel=0.003)
    # The mean of two findings, each stated for other cases of the same patients, against the bootstrap by patient.
    stated = rng.random((2, 400)) < 0.8
    rows = np.zeros((2, 400))
    for k in range(2):
        rows[k, stated[k]] = roc.influence(y[k, stated[k]], scores[k, stated[k]], cluster=cluster[stated[k]])[1]
    se = np.sqrt(roc.influence_covariance(rows.mean(axis=0), cluster=cluster)[0, 0])
    truth = np.where(stated, y, np.nan)
    replicates = patient_bootstrap.bootstrap_auc(truth, scores[None], rng=rng, cluster=cluster, replicates=4000)
    assert replicates[:, 0].mean(axis=1).std() == pytest.approx(se, rel=0.06)


def test_influence_that_does_not_exist_is_nan():
    value, values = roc.influence([1, 1], [1, 2])
    assert np.isnan(value)
    assert np.isnan(values).all()
    value, values = roc.influence([1, 0, 0], [2, 1, 3])
    assert value == 0.5
    assert np.isnan(values).all()


@pytest.mark.slow
def test_influence_within_strata_gives_the_stratified_error_and_joins_with_others():
    rng = np.random.default_rng(14)
    site = rng.integers(0, 4, 150)
    cluster = rng.integers(0, 150, 400)
    stratum = np.where(site[cluster] == 3, "single class", site[cluster].astype(str))
    y = (rng.random(400) < 0.3) & (site[cluster] != 3)
    score = rng.normal(size=400) + y + rng.normal(size=150)[cluster]
    value, values = roc.influence(y, score, cluster=cluster, stratum=stratum)
    want = roc.stratified_auc(y, score, stratum, cluster=cluster)
    assert value == want.value
    assert values.sum() == pytest.approx(0, abs=1e-12)
    assert (values[site[cluster] == 3] == 0).all()
    assert np.sqrt(roc.influence_covariance(values, cluster=cluster)[0, 0]) == pytest.approx(want.se, rel=0.01)
    plain = roc.influence(y, score, cluster=cluster)[1]
    joint = roc.influence_covariance(values - plain, cluster=cluster)[0, 0]
    replicates = patient_bootstrap.bootstrap(
        lambda a, b, s: roc.stratified_auc(a, b, s).value - roc.auc(a, b).value,
        y,
        score,
        stratum,
        rng=rng,
        cluster=cluster,
        replicates=600,
    )
    assert np.sqrt(joint) == pytest.approx(replicates.std(), rel=0.15)
    assert np.isnan(roc.influence([1, 0], [1, 2], stratum=["a", "b"])[0])


def test_weighted_influence_gives_the_weighted_error():
    rng = np.random.default_rng(15)
    y, score, weights = rng.random(300) < 0.3, rng.normal(size=300), rng.uniform(1, 5, 300)
    value, values = roc.influence(y, score, weights=weights)
    want = roc.auc(y, score, weights=weights)
    assert value == want.value
    assert np.sqrt(roc.influence_covariance(values)[0, 0]) == pytest.approx(want.se)


def test_one_patient_has_no_covariance():
    assert np.isnan(roc.influence_covariance([[0.1, -0.1]], cluster=["a", "a"])).all()
