"""Reader studies: by hand, slow twins from the definitions, what must not change, what must be said."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from overread import codes
from overread.errors import InputError
from overread.stats import roc
from overread.stats.reader_studies import mrmc
from overread.stats.reader_studies.covariance import rater_covariance

COVARIANCES = ("jackknife", "delong", "unbiased", "u-statistic", "u-centred", "v-statistic")
METRICS = ("auc", "sensitivity", "specificity", "youden")


@st.composite
def studies(draw, *, missing=False):
    """Truth with 3 to 6 cases of each class, ratings 0 … 4 of 2 arms and 2 to 4 readers."""
    m, n = draw(st.integers(3, 6)), draw(st.integers(3, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = rng.permutation(np.arange(m + n) < m)
    n_readers = draw(st.integers(2, 4))
    scores = np.floor(np.clip(rng.normal(1.5 + y, 1.2, size=(2, n_readers, m + n)), 0, 4))
    if missing:
        scores[rng.random(scores.shape) < 0.3] = np.nan
    return y, scores


def numbers(study):
    """What a study says, as one list."""
    estimates = [*study.arms, study.difference, *(e for r in study.per_reader for e in (*r.arms, *r.pairs.values()))]
    return [study.f, *study.df, study.p, *(v for e in estimates for v in (e.value, e.low, e.high, e.se, e.p))]


def same(a, b, tolerance=1e-9):
    np.testing.assert_allclose(numbers(a), numbers(b), rtol=tolerance, atol=1e-10, equal_nan=True)


# By hand ---------------------------------------------------------------------------------------------------------


def test_obuchowski_rockette_by_hand():
    # Sensitivity of 2 arms x 2 readers on 4 present cases (2 absent ones do not matter).
    y = [1, 1, 1, 1, 0, 0]
    calls = [[[1, 1, 1, 0, 0, 1], [1, 1, 0, 1, 1, 0]], [[1, 0, 1, 0, 0, 0], [1, 0, 0, 0, 1, 1]]]
    # Rates .75 .75 / .5 .25. Means .75, .375; MS(T) = 2 (2 x .1875^2) / 1 = .140625; readers .625, .5;
    # MS(R) = 2 (2 x .0625^2) = .015625; MS(TR): interactions +-.0625, 4 x .00390625 / 1 = .015625.
    # Sample covariances / 4, divisor 3: variances .0625 .0625 .083333 .0625, mean .0677083.
    # Same reader: A1 B1: sum of products 2 - 4 x .375 = .5 -> .5/3/4 = .0416667;  A2 B2: 1 - 4 x .1875 -> .0208333
    # Same arm: A1 A2: 2 - 4 x .5625 = -.25 -> -.0208333;  B1 B2: 1 - 4 x .125 = .5 -> .0416667: cov2 = .0104167
    # Both differ: A1 B2: 1 - 4 x .1875 = .25 -> .0208333;  A2 B1: 1 - 4 x .375 = -.5 -> -.0416667: cov3 = -.0104167
    got = mrmc.compare_arms(y, calls, metric="sensitivity")
    parts = got.components
    assert [parts.ms_arm, parts.ms_reader, parts.ms_reader_by_arm] == pytest.approx([0.140625, 0.015625, 0.015625])
    assert [parts.error, parts.cov1] == pytest.approx([0.0677083333, 0.03125])
    assert [parts.cov2, parts.cov3] == pytest.approx([0.0104166667, -0.0104166667])
    # F = .140625 / (.015625 + 2 x .0208333) = 2.454545; df = (.0572917/.015625)^2 x 1 = 13.444; se^2 = 2/2 x .0572917.
    assert [got.f, *got.df] == pytest.approx([2.4545454545, 1, 13.4444444444])
    assert got.difference.value == 0.375
    assert got.difference.se == pytest.approx(0.0572916667**0.5)
    # (MS(R) - MS(TR)) / 2 - cov1 + cov3 = -.0416667: said, not hidden.
    assert parts.reader == pytest.approx(-0.0416666667)
    assert "negative variance components: reader -0.0417" in got.note
    assert parts.n_cases == 4


def test_u_statistic_by_hand():
    # Sensitivity, three readers, four present cases, six reads: a: cases 0 1 (1, 1), b: 1 2 (0, 1), c: 2 3 (1, 0).
    y = [1, 1, 1, 1]
    calls = [[[1, 1, np.nan, np.nan], [np.nan, 0, 1, np.nan], [np.nan, np.nan, 1, 0]]]
    # U = 4/6. Ordered pairs of reads of other readers and other cases: all 36, less the 6 with themselves, less 2 of
    # each reader (6), less 2 for each of the cases 1 and 2 (4): 20. Products that are 1: pairs among the reads
    # a0 a1 b2 c2 that share neither: a0b2 a0c2 a1b2 a1c2, twice: 8. Variance = 16/36 - 8/20.
    got = mrmc.compare_arms(y, calls, metric="sensitivity", covariance="u-statistic")
    assert got.arms[0].value == pytest.approx(4 / 6)
    assert got.arms[0].se ** 2 == pytest.approx(16 / 36 - 8 / 20)
    # Effective readers: coefficient of readers 12/36, of cases (1 + 4 + 4 + 1)/36: 3 - 1 and round(3.6) - 1 df.
    assert got.components.component_coefficients[0, 0, 1, 0, 0] == pytest.approx(12 / 36)
    assert got.components.component_coefficients[0, 0, 0, 1, 0] == pytest.approx(10 / 36)
    # A model that says yes to cases 0 and 3: on the six reads (1,0),(0,0),(0,1): 2/6; it is weighted by reads.
    against = mrmc.model_against_readers(y, [1, 0, 0, 1], calls[0], metric="sensitivity", covariance="u-statistic")
    assert against.arms[0].value == pytest.approx(2 / 6)
    assert against.difference.value == pytest.approx(-2 / 6)


# Slow twins ------------------------------------------------------------------------------------------------------


def rate(y, score, metric):
    read = ~np.isnan(score)
    if metric == "auc":
        return roc.auc(y[read], score[read]).value
    right = [
        score[read & y].mean() if metric != "specificity" else 0,
        (1 - score[read & ~y]).mean() if metric != "sensitivity" else 0,
    ]
    return sum(right) - (metric == "youden")


def left_out(y, scores, metric, cluster, entering):
    """Jackknife by leaving out each patient who has a case that enters."""
    values = np.array(
        [[rate(y[cluster != c], s[cluster != c], metric) for s in scores] for c in np.unique(cluster[entering])]
    )
    deviation = values - values.mean(axis=0)
    return (len(values) - 1) / len(values) * deviation.T @ deviation


@settings(max_examples=25, deadline=None)
@given(studies(), st.sampled_from(METRICS), st.booleans(), st.booleans())
def test_jackknife_is_leaving_out_each_patient(study, metric, patients, everyone):
    y, scores = study
    scores = scores.reshape(-1, y.size) if metric == "auc" else (scores.reshape(-1, y.size) >= 2).astype(float)
    cluster = np.arange(y.size)
    if patients:  # two images of one patient, of either class, and two of one class
        cluster[np.flatnonzero(y)[0]] = cluster[np.flatnonzero(~y)[0]]
        cluster[np.flatnonzero(y)[1]] = cluster[np.flatnonzero(y)[2]]
    enters = {"sensitivity": y, "specificity": ~y}.get(metric, np.ones(y.size, bool))
    expected = left_out(y, scores, metric, cluster, np.ones(y.size, bool) if everyone else enters)
    method = "jackknife-all" if everyone else "jackknife"
    got = rater_covariance(y, scores, metric=metric, method=method, cluster=cluster if patients else None)
    np.testing.assert_allclose(got.covariance, expected, atol=1e-12)
    alone = rater_covariance(y, scores, metric=metric, method=method, cluster=np.arange(y.size)).covariance
    np.testing.assert_allclose(alone, rater_covariance(y, scores, metric=metric, method=method).covariance, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(studies())
def test_delong_covariance_is_that_of_roc(study):
    y, scores = study
    scores, cluster = scores.reshape(-1, y.size), np.arange(y.size) // 2
    for groups in (None, cluster):
        got = rater_covariance(y, scores, method="delong", cluster=groups)
        expected = roc.auc_covariance(y, scores, cluster=groups)
        np.testing.assert_allclose(got.covariance, expected.covariance, atol=1e-13)
        np.testing.assert_allclose(got.values, expected.aucs)


def units(y, scores, metric):
    """Every look of a reader: (reader, cases that it rests on, win), one list for each part of the metric."""
    lists = []
    for part in {"auc": ["auc"], "youden": ["sensitivity", "specificity"]}.get(metric, [metric]):
        found = []
        for j, s in enumerate(scores):
            read = ~np.isnan(s)
            if part == "auc":
                pairs = product(np.flatnonzero(read & y), np.flatnonzero(read & ~y))
                found += [(j, {p, n}, float(s[p] > s[n]) + 0.5 * (s[p] == s[n])) for p, n in pairs]
            else:
                yes = part == "sensitivity"
                found += [(j, {c}, s[c] if yes else 1 - s[c]) for c in np.flatnonzero(read & (y if yes else ~y))]
        lists.append(found)
    return lists


def variance_by_definition(y, arms, metric, cluster, centred):
    """U_a U_b less the mean product of looks of other readers at other patients, summed over the parts.

    centred: the looks less their mean, so that U is 0.
    """
    total = 0.0
    looks = [(sign, part) for sign, scores in zip((1, -1), arms, strict=False) for part in units(y, scores, metric)]
    if centred:
        means = [np.mean([u for *_, u in part]) for _, part in looks]
        looks = [(s, [(j, c, u - m) for j, c, u in part]) for (s, part), m in zip(looks, means, strict=True)]
    for (s, a), (t, b) in product(looks, looks):
        apart = [
            u * v
            for j, cases, u in a
            for k, others, v in b
            if j != k and not {cluster[c] for c in cases} & {cluster[c] for c in others}
        ]
        total += s * t * (np.mean([u for *_, u in a]) * np.mean([v for *_, v in b]) - np.mean(apart))
    return total


def centring_by_definition(found, y, arms, metric, cluster, patients):
    """What is added for centring at the estimate: by readers, by present cases (patients), by absent cases."""
    parts = range(1 + (metric == "youden"))
    looks = [
        (sign, units(y, scores, metric)[part]) for part in parts for sign, scores in zip((1, -1), arms, strict=True)
    ]
    total = 0.0
    for (a, (s, mine)), (b, (t, other)) in product(enumerate(looks), enumerate(looks)):
        for at in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
            counted = [[u for look in of for u in touched(look, at, y, cluster, patients)] for of in (mine, other)]
            names = sorted({*counted[0], *counted[1]})
            v, w = (
                np.array([c.count(u) / len(of) for u in names]) for c, of in zip(counted, (mine, other), strict=True)
            )
            own = (v * w).sum()
            seen = sum((own - (x**2 * z).sum()) / max(1 - own, 1e-9) for x, z in ((v, w), (w, v))) - own
            factor = own / seen if seen > 0 else 1.0
            total += s * t * (factor - 1) * found.component_coefficients[a, b, *at] * found.components[a, b, *at]
    return total


def touched(look, at, y, cluster, patients):
    """The reader, the present cases (or patients) or the absent cases that a look is counted with."""
    reader, cases, _ = look
    if at == (1, 0, 0):
        return [reader]
    if patients:
        return [int(cluster[c]) for c in cases] if at == (0, 1, 0) else []
    return [int(c) for c in cases if y[c] == (at == (0, 1, 0))]


@settings(max_examples=12, deadline=None)
@given(studies(missing=True), st.sampled_from(METRICS), st.booleans(), st.booleans())
def test_u_statistic_variance_from_its_definition(study, metric, patients, centred):
    y, scores = study
    scores = scores[:, :3] if metric == "auc" else np.where(np.isnan(scores), np.nan, scores >= 2)
    cluster = np.arange(y.size)
    if patients:
        cluster = np.random.default_rng(y.size).permutation(np.arange(y.size) * 2 // 3)
    word = "u-centred" if centred else "u-statistic"
    got = mrmc.compare_arms(y, scores, metric=metric, covariance=word, cluster=cluster if patients else None)
    if np.isnan(got.arms[0].value - got.arms[1].value) or "no two reads" in got.note:
        return
    variance = got.components.covariance
    difference = variance[0, 0] + variance[1, 1] - 2 * variance[0, 1]
    expected = variance_by_definition(y, scores, metric, cluster, centred)
    if centred:
        expected += centring_by_definition(got.components, y, scores, metric, cluster, patients)
    else:
        alone = [variance_by_definition(y, scores[[arm]], metric, cluster, False) for arm in (0, 1)]
        assert np.diag(variance) == pytest.approx(alone, abs=1e-12)
    assert difference == pytest.approx(expected, abs=1e-12)
    if difference > 1e-12 and not np.isnan(got.df[1]):
        assert got.difference.se**2 == pytest.approx(difference, abs=1e-12)


def test_the_patients_of_one_image_each_change_nothing_in_a_u_statistic():
    rng = np.random.default_rng(5)
    y = rng.random(30) < 0.5
    scores = np.where(rng.random((2, 4, 30)) < 0.3, np.nan, rng.integers(0, 5, (2, 4, 30)))
    for metric in METRICS:
        given_scores = scores if metric == "auc" else np.where(np.isnan(scores), np.nan, scores >= 2)
        plain = mrmc.compare_arms(y, given_scores, metric=metric, covariance="u-statistic").components
        alone = mrmc.compare_arms(
            y, given_scores, metric=metric, covariance="u-statistic", cluster=np.arange(30)
        ).components
        np.testing.assert_allclose(alone.covariance, plain.covariance, atol=1e-13)
        np.testing.assert_allclose(alone.reader_covariance, plain.reader_covariance, atol=1e-13)


# What must not change --------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(studies(), st.sampled_from(COVARIANCES))
def test_order_transform_and_swap(study, covariance):
    y, scores = study
    got = mrmc.compare_arms(y, scores, covariance=covariance)
    rng = np.random.default_rng(0)
    order, readers = rng.permutation(y.size), rng.permutation(scores.shape[1])
    same(mrmc.compare_arms(y[order], scores[..., order], covariance=covariance), got)
    same(mrmc.compare_arms(y, np.exp(scores), covariance=covariance), got)
    mixed = mrmc.compare_arms(y, scores[:, readers], covariance=covariance)
    assert numbers(mixed)[:19] == pytest.approx(numbers(got)[:19], rel=1e-9, abs=1e-10, nan_ok=True)
    back = mrmc.compare_arms(y, scores[::-1], covariance=covariance).difference
    there = got.difference
    forth = [there.value, there.low, there.high, there.se, there.p]
    assert [-back.value, -back.high, -back.low, back.se, back.p] == pytest.approx(forth, abs=1e-9, nan_ok=True)
    mirrored = mrmc.compare_arms(~y, -scores, covariance=covariance)
    same(mirrored, got)


@settings(max_examples=25, deadline=None)
@given(studies())
def test_u_statistics_of_a_crossed_study_are_obuchowski_rockette_without_clamping(study):
    y, scores = study
    found = mrmc.compare_arms(y, scores, covariance="u-statistic").components.covariance
    parts, n_readers = mrmc.compare_arms(y, scores, covariance="unbiased").components, scores.shape[1]
    variance = found[0, 0] + found[1, 1] - 2 * found[0, 1]
    expected = 2 / n_readers * (parts.ms_reader_by_arm + n_readers * (parts.cov2 - parts.cov3))
    assert variance == pytest.approx(expected, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(studies(), st.sampled_from(METRICS))
def test_centred_u_statistics_are_the_plain_ones_where_every_reader_reads_every_case(study, metric):
    y, scores = study
    scores = scores if metric == "auc" else (scores >= 2).astype(float)
    plain, centred = (mrmc.compare_arms(y, scores, metric=metric, covariance=w) for w in ("u-statistic", "u-centred"))
    np.testing.assert_allclose(centred.components.covariance, plain.components.covariance, atol=1e-12)
    if plain.difference.se > 1e-5:
        assert numbers(centred)[:19] == pytest.approx(numbers(plain)[:19], rel=1e-6, abs=1e-9, nan_ok=True)


@pytest.mark.slow
def test_centring_steadies_the_variance_where_the_arms_have_other_reads():
    rng, n, variances = np.random.default_rng(3), 60, {"u-statistic": [], "u-centred": []}
    y, values = np.arange(n) < n // 2, []
    for _ in range(300):
        scores = rng.normal(size=n) + 0.5 * rng.normal(size=(2, 5, n)) + 0.3 * rng.normal(size=(5, 1)) + 1.5 * y
        scores[rng.random(scores.shape) < 0.4] = np.nan
        for word, found in variances.items():
            got = mrmc.compare_arms(y, scores, covariance=word)
            v = got.components.covariance
            found.append(v[0, 0] + v[1, 1] - 2 * v[0, 1])
        values.append(got.difference.value)
    plain, centred = (np.array(v) for v in variances.values())
    for found in (plain, centred):  # both estimate the variance of the difference
        monte_carlo = np.hypot(found.std() / np.sqrt(len(found)), np.var(values) * np.sqrt(2 / len(found)))
        assert found.mean() == pytest.approx(np.var(values), abs=3 * monte_carlo)
    assert centred.std() < 0.5 * plain.std()
    assert (plain < 0).mean() > 0.3
    assert (centred < 0).mean() < 0.1


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(studies())
def test_binary_scores_make_the_auc_half_of_youden_plus_one(study):
    y, scores = study
    calls = (scores >= 2).astype(float)
    for covariance in COVARIANCES:
        area = mrmc.compare_arms(y, calls, covariance=covariance)
        index = mrmc.compare_arms(y, calls, covariance=covariance, metric="youden")
        assert area.difference.value == pytest.approx(index.difference.value / 2, abs=1e-12)
        if covariance in ("jackknife", "delong"):  # the others correct the pairs of the AUC for what they share
            assert area.difference.se == pytest.approx(index.difference.se / 2, abs=1e-12)
            assert area.f == pytest.approx(index.f, rel=1e-6, nan_ok=True)


def test_a_model_is_an_arm_whose_readers_do_not_vary_and_is_compared_with_each():
    rng = np.random.default_rng(3)
    y = np.arange(80) < 30
    readers, model = rng.normal(size=(6, 80)) + y, rng.normal(size=80) + 1.5 * y
    got = mrmc.model_against_readers(y, model, readers)
    each = [roc.compare_aucs(y, model, reader) for reader in readers]
    delong = mrmc.model_against_readers(y, model, readers, covariance="delong").per_reader
    assert [r.pairs[0, 1].value for r in delong] == pytest.approx([e.value for e in each])
    assert [r.pairs[0, 1].se for r in delong] == pytest.approx([e.se for e in each])
    assert got.difference.value == pytest.approx(np.mean([e.value for e in each]))
    # One treatment: t of the mean difference with the readers' spread and the covariance that shared cases give them.
    values = np.array([e.value for e in each])
    scores = np.vstack((model, readers))
    covariance = rater_covariance(y, scores).covariance
    d = covariance[1:, 1:] - covariance[[0], 1:] - covariance[1:, [0]] + covariance[0, 0]
    cov2 = (d.sum() - np.trace(d)) / 30
    variance = (values.var(ddof=1) + 6 * max(cov2, 0)) / 6
    assert got.difference.se**2 == pytest.approx(variance)
    assert got.df[1] == pytest.approx(5 * (6 * variance / values.var(ddof=1)) ** 2)


def test_margins():
    rng = np.random.default_rng(4)
    y = np.arange(100) < 50
    case = rng.normal(size=100)
    scores = case + 0.5 * rng.normal(size=(2, 6, 100)) + 2 * y
    plain = mrmc.compare_arms(y, scores)
    for covariance in COVARIANCES:
        got = mrmc.compare_arms(y, scores, covariance=covariance, margin=0.05)
        assert (got.difference.low > -0.05) == (got.difference.p < 0.025)
        both = mrmc.compare_arms(y, scores, covariance=covariance, margin=0.05, test="equivalence").difference
        flipped = mrmc.compare_arms(y, scores[::-1], covariance=covariance, margin=0.05).difference
        assert both.p == pytest.approx(max(got.difference.p, flipped.p))
    got = mrmc.compare_arms(y, scores, margin=0.05)
    assert (got.f, got.p) == (plain.f, plain.p)  # the study's F tests equality whatever the margin
    against = mrmc.model_against_readers(y, scores[0, 0], scores[1], margin=0.05)
    assert "non-inferiority with margin 0.05" in against.difference.method


def test_one_arm_and_three_arms():
    rng = np.random.default_rng(6)
    y = np.arange(60) < 30
    scores = rng.normal(size=(3, 4, 60)) + y
    for covariance in COVARIANCES:
        one = mrmc.compare_arms(y, scores[:1], covariance=covariance)
        three = mrmc.compare_arms(y, scores, covariance=covariance)
        assert (one.arms[0].value, one.arms[0].low, one.arms[0].method) == (
            three.arms[0].value,
            three.arms[0].low,
            three.arms[0].method,
        )
        assert np.isnan(one.difference.value)
        assert one.difference.note == codes.note("one_arm")
        assert list(three.pairs) == [(0, 1), (0, 2), (1, 2)]
        assert three.difference.note == codes.note("several_arms", n=3)
        assert not np.isnan(three.pairs[1, 2].p)
    assert np.isnan(three.f)
    assert "no joint test" in three.note


# What must be said -----------------------------------------------------------------------------------------------


def crossed(seed=0, shape=(2, 3, 20)):
    rng = np.random.default_rng(seed)
    y = np.arange(shape[2]) < shape[2] // 2
    return y, rng.normal(size=shape) + y


def test_reads_that_the_analysis_is_not_made_for():
    y, scores = crossed()
    scores[1, 2] = np.nan
    with pytest.raises(InputError, match=r'no reads of reader 2 in arm 1.*covariance="u-statistic"'):
        mrmc.compare_arms(y, scores)
    assert not np.isnan(mrmc.compare_arms(y, scores, covariance="u-statistic").difference.value)
    y, scores = crossed()
    scores[:, 0, :5] = np.nan
    with pytest.raises(InputError, match=r"10 of 120 reads missing \(reader 0 in arm 0: 15 of 20"):
        mrmc.compare_arms(y, scores)
    with pytest.raises(InputError, match="every case read by one reader"):
        mrmc.compare_arms(y, scores, cases="within readers")
    with pytest.raises(InputError, match="every case in one arm"):
        mrmc.compare_arms(y, scores, cases="within arms")
    y, scores = crossed(shape=(2, 2, 40))
    scores[:, 0, ::2] = scores[:, 1, 1::2] = np.nan  # readers with other cases
    with pytest.raises(InputError, match="80 of 160 reads missing"):
        mrmc.compare_arms(y, scores)
    nested = mrmc.compare_arms(y, scores, cases="within readers")
    assert (nested.components.cov2, nested.components.cov3) == (0, 0)
    assert nested.df == (1, 1)


def test_wrong_values_and_words():
    y, scores = crossed()
    with pytest.raises(InputError, match="calls 0 or 1 for sensitivity"):
        mrmc.compare_arms(y, scores, metric="sensitivity")
    infinite = scores.copy()
    infinite[0, 0, 0] = np.inf
    with pytest.raises(InputError, match="finite scores"):
        mrmc.compare_arms(y, infinite)
    with pytest.raises(InputError, match="n_arms, n_readers, n_cases"):
        mrmc.compare_arms(y, scores[0])
    with pytest.raises(InputError, match="Did you mean 'jackknife'"):
        mrmc.compare_arms(y, scores, covariance="jacknife")
    with pytest.raises(InputError, match="Did you mean 'u-statistic'"):
        mrmc.compare_arms(y, scores, covariance="u_statistic")
    with pytest.raises(InputError, match="both fixed"):
        mrmc.compare_arms(y, scores, readers="fixed", cases="fixed")
    with pytest.raises(InputError, match="random readers and random cases"):
        mrmc.compare_arms(y, scores, readers="fixed", covariance="u-statistic")
    with pytest.raises(InputError, match="cluster"):
        mrmc.compare_arms(y, scores, covariance="unbiased", cluster=np.arange(20) // 2)
    with pytest.raises(InputError, match="margin above 0"):
        mrmc.compare_arms(y, scores, margin=-0.05)
    with pytest.raises(InputError, match="confidence"):
        mrmc.compare_arms(y, scores, confidence=95)
    with pytest.raises(InputError, match=r"model_score.*case 3"):
        mrmc.model_against_readers(y, np.where(np.arange(20) == 3, np.nan, 1.0), scores[0])
    with pytest.raises(InputError, match="random or fixed"):
        mrmc.model_against_readers(y, np.ones(20), scores[0], cases="within readers")


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_what_cannot_be_computed_is_nan_with_a_note(covariance):
    y, scores = crossed()
    for truth, why in ((np.zeros(20, bool), "no case had the finding present"), (np.ones(20, bool), "absent")):
        got = mrmc.compare_arms(truth, scores, covariance=covariance)
        assert np.isnan([got.difference.value, got.difference.se, got.difference.p, got.f]).all()
        assert why in got.difference.note
        assert why in got.note
    one_case = np.arange(20) == 0
    got = mrmc.compare_arms(one_case, scores, covariance=covariance)
    assert not np.isnan(got.difference.value)
    assert np.isnan([got.difference.se, got.difference.low, got.difference.p]).all()
    assert "one" in got.difference.note or "no two reads" in got.difference.note
    one_reader = mrmc.compare_arms(y, scores[:, :1], covariance=covariance)
    assert not np.isnan(one_reader.difference.value)
    assert np.isnan([one_reader.difference.se, one_reader.difference.p]).all()
    assert "only one reader" in one_reader.difference.note or "no two reads" in one_reader.difference.note
    constant = mrmc.compare_arms(y, np.ones_like(scores), covariance=covariance)
    assert [constant.difference.value, constant.difference.low, constant.difference.high] == [0, 0, 0]
    assert np.isnan([constant.difference.p, constant.f, constant.p]).all()
    assert "estimated variance is 0" in constant.difference.note
    same_arms = mrmc.compare_arms(y, np.stack((scores[0], scores[0])), covariance=covariance).difference
    assert [same_arms.value, same_arms.se] == pytest.approx([0, 0], abs=1e-12)
    assert "estimated variance is 0" in same_arms.note


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("covariance", [*COVARIANCES, "jackknife-all"])
def test_whatever_the_reads_there_is_a_number_or_a_reason(metric, covariance):
    rng, k = np.random.default_rng(0), 12
    truths = [np.arange(k) < 0, np.arange(k) >= 0, np.arange(k) == 3, np.arange(k) < 2, np.arange(k) % 2 == 0]
    for y, missing, images, n_readers in product(truths, (0.0, 0.5, 0.9), (0, 1, 2, k), (1, 3)):
        scores = np.round(rng.normal(size=(2, n_readers, k)) + y, 1)
        scores = scores if metric == "auc" else (scores > 0).astype(float)
        scores[rng.random(scores.shape) < missing] = np.nan
        cluster = np.arange(k) // images if images else None
        try:
            got = mrmc.compare_arms(y, scores, metric=metric, covariance=covariance, cluster=cluster)
        except InputError:
            continue
        for estimate in (*got.arms, got.difference):
            assert not np.isnan(estimate.low) or estimate.note


@pytest.mark.slow
def test_reads_of_nobody_are_refused():
    for covariance in COVARIANCES:
        with pytest.raises(InputError, match="at least one read"):
            mrmc.compare_arms([1, 0], np.full((2, 2, 2), np.nan), covariance=covariance)


@pytest.mark.slow
def test_one_reader_who_is_fixed_is_the_paired_comparison_of_two_aucs():
    y, scores = crossed(7, (2, 1, 60))
    got = mrmc.compare_arms(y, scores, readers="fixed", covariance="delong")
    expected = roc.compare_aucs(y, scores[0, 0], scores[1, 0])
    assert [got.difference.value, got.difference.se, got.difference.p, got.p] == pytest.approx(
        [expected.value, expected.se, expected.p, expected.p]
    )
    assert np.isnan(got.components.cov2)


@pytest.mark.slow
def test_cases_that_nobody_read_and_readers_without_reads_are_counted():
    y, scores = crossed()
    extended = np.concatenate((scores, np.full((2, 3, 4), np.nan)), axis=2)
    longer = np.concatenate((y, [True, False, True, False]))
    got = mrmc.compare_arms(longer, extended)
    same(got, mrmc.compare_arms(y, scores))
    assert "4 cases without a read excluded" in got.note
    scores[:, 0, y] = np.nan
    loose = mrmc.compare_arms(y, scores, covariance="u-statistic")
    assert "1 of 3 readers does not contribute: no read of a case with" in loose.note
    assert np.isnan(loose.per_reader[0].arms[0].value)
    assert loose.difference.value == pytest.approx(mrmc.compare_arms(y, scores[:, 1:]).difference.value)


@pytest.mark.slow
def test_a_negative_variance_is_said():
    rng = np.random.default_rng(1)
    y = np.arange(12) < 6
    for _ in range(200):
        scores = rng.integers(0, 3, (2, 2, 12)).astype(float)
        got = mrmc.compare_arms(y, scores, covariance="u-statistic")
        variance = got.components.covariance
        if variance[0, 0] + variance[1, 1] - 2 * variance[0, 1] < -1e-12:
            assert np.isnan([got.difference.se, got.difference.low, got.difference.p]).all()
            assert "negative variance estimate" in got.difference.note
            whole = mrmc.compare_arms(y, scores, covariance="unbiased")
            assert "negative variance components" in whole.note
            assert "cov2 - cov3" in whole.note
            assert whole.difference.se**2 == pytest.approx(whole.components.ms_reader_by_arm)
            return
    pytest.fail("no negative variance among 200 studies")


@pytest.mark.slow
def test_calls_of_a_panel_with_few_reads_each():
    """21 readers with 4 to hundreds of reads, three an image, a patient with 45 images: everything is a number."""
    rng = np.random.default_rng(2)
    images = np.concatenate(([45], rng.integers(1, 5, 300)))
    patient = np.repeat(np.arange(images.size), images)
    y = rng.random(patient.size) < 0.1
    share = rng.random((21, patient.size)) ** (1 / np.geomspace(1, 100, 21)[:, None])
    read = share >= np.sort(share, axis=0)[-3]
    calls = np.where(read, rng.random(read.shape) < np.where(y, 0.7, 0.1), np.nan)
    model = (rng.random(y.size) < np.where(y, 0.75, 0.1)).astype(float)
    for metric, mask in (("sensitivity", y), ("specificity", ~y)):
        got = mrmc.model_against_readers(y, model, calls, metric=metric, covariance="u-statistic", cluster=patient)
        right = calls if metric == "sensitivity" else 1 - calls
        own = model if metric == "sensitivity" else 1 - model
        assert got.arms[1].value == pytest.approx(np.nanmean(right[:, mask]))  # each read weighs 1
        assert got.arms[0].value == pytest.approx(np.average(own[mask], weights=read[:, mask].sum(axis=0)))
        assert got.difference.value == pytest.approx(got.arms[0].value - got.arms[1].value)
        assert got.difference.low < got.difference.value < got.difference.high
        assert "clustered by patient" in got.difference.method
        few = [r.arms[1].value for r in got.per_reader]
        expected = [np.nanmean(row[mask]) if (~np.isnan(row[mask])).any() else np.nan for row in right]
        np.testing.assert_allclose(few, expected)


# Coverage (2,000 studies a cell: validation/mrmc_coverage.py; here fewer, seeds fixed) ------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("covariance", ["jackknife", "u-statistic"])
def test_coverage_of_the_difference_of_two_arms(covariance):
    """Roe and Metz: 6 readers, 50 present and 50 absent cases; Monte-Carlo error 0.009."""
    rng, hits, total = np.random.default_rng(12), 0, 600
    y = np.arange(100) < 50
    spread = np.sqrt(2 * (0.03 + 0.03 + 1.0))
    truth = norm.cdf(1.5 / spread) - norm.cdf(1.2 / spread)
    for _ in range(total):
        scores = np.sqrt(0.3) * rng.normal(size=100) + np.sqrt(0.3) * rng.normal(size=(2, 1, 100))
        scores = scores + np.sqrt(0.2) * rng.normal(size=(6, 100)) + np.sqrt(0.2) * rng.normal(size=(2, 6, 100))
        for of in (y, ~y):
            scores[..., of] += np.sqrt(0.03) * (rng.normal(size=(6, 1)) + rng.normal(size=(2, 6, 1)))
        scores[..., y] += np.array([1.5, 1.2])[:, None, None]
        got = mrmc.compare_arms(y, scores, covariance=covariance).difference
        hits += got.low <= truth <= got.high
    assert 0.94 - 2 * 0.009 <= hits / total <= 0.99


@pytest.mark.slow
def test_coverage_of_a_model_against_readers_who_read_a_few_images_of_the_same_patients():
    """60 patients with 12 images each, 12 readers, three an image: taking the images for patients is too short."""
    rng, total = np.random.default_rng(13), 500
    patient = np.repeat(np.arange(60), 12)
    y = np.arange(patient.size) % 2 == 0
    hits = {"patients": 0, "images": 0}
    # Model and readers see what the image shows; the model is misled by patients, readers by their own threshold.
    for _ in range(total):
        shown = 0.5 * rng.normal(size=y.size)
        keys = rng.random((12, y.size))
        read = keys >= np.sort(keys, axis=0)[-3]
        threshold = 0.3 * rng.normal(size=(12, 1))
        calls = np.where(read, shown + np.sqrt(0.61) * rng.normal(size=read.shape) > threshold, np.nan)
        model = shown + np.sqrt(0.6) * rng.normal(size=60)[patient] + np.sqrt(0.1) * rng.normal(size=y.size) > 0
        for name, cluster in (("patients", patient), ("images", None)):
            got = mrmc.model_against_readers(
                y, model, calls, metric="sensitivity", covariance="u-statistic", cluster=cluster
            ).difference
            hits[name] += got.low <= 0 <= got.high
    assert 0.94 - 2 * 0.01 <= hits["patients"] / total <= 0.985
    assert hits["images"] / total < 0.90


@pytest.mark.slow
def test_calls_of_readers_have_no_area_beside_a_graded_model():
    rng = np.random.default_rng(0)
    y = np.arange(60) < 30
    calls = (rng.normal(size=(3, 60)) + y > 0.5).astype(float)
    with pytest.raises(InputError, match="graded scores of readers beside a graded model; found two values only"):
        mrmc.model_against_readers(y, rng.normal(size=60) + y, calls)


def test_unequal_numbers_of_reads_are_named_pooled():
    """Two readers of sensitivity 1/4 and 1: all reads 2/5, mean of the readers 5/8."""
    y = np.array([1, 1, 1, 1, 0, 0], bool)
    many, one = [1, 0, 0, 0, 0, 0], [1, np.nan, np.nan, np.nan, 0, np.nan]
    options = {"metric": "sensitivity", "covariance": "u-centred"}
    study = mrmc.compare_arms(y, [[many, one]] * 2, **options)
    assert study.arms[0].value == pytest.approx(2 / 5)
    assert "pooled readers: a reader with more reads counts more" in str(study.note)
    equal = mrmc.compare_arms(y, [[many, [1, 1, 1, 1, 0, np.nan]]] * 2, **options)  # unequal only without the finding
    assert equal.arms[0].value == pytest.approx(5 / 8)
    assert "pooled" not in str(equal.note)


def test_readers_of_one_arm_each_contribute_to_it():
    y, none = np.array([1, 1, 0, 0], bool), [np.nan] * 4
    first, second = [[1, 0, 0, 0], [1, 1, 0, 1], none, none], [none, none, [1, 1, 0, 0], [0, 1, 0, 0]]
    study = mrmc.compare_arms(y, [first, second], metric="sensitivity", covariance="u-centred")
    assert [a.value for a in study.arms] == [0.75, 0.75]
    assert "do not contribute" not in str(study.note)
