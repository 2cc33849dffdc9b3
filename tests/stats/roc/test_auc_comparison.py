import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from overread.errors import InputError
from overread.stats import roc
from overread.stats.resampling import patient_bootstrap


def example(seed=0, n=200, gain=0.5):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.4
    common = rng.normal(size=n)
    return y, common + rng.normal(size=n) + (1 + gain) * y, common + rng.normal(size=n) + y


def test_paired_difference_by_hand():
    # Present cases 1, 2, absent 3, 4. A ranks all pairs but (2, 3): V10 = (1, .5), V01 = (.5, 1), AUC .75.
    # B loses (1, 3), (1, 4): V10 = (0, 1), V01 = (.5, .5), AUC .5. A - B: V10 (1, -.5), V01 (0, .5), S = 1.125, .125.
    got = roc.compare_aucs([1, 1, 0, 0], [4, 2, 3, 1], [1, 4, 2, 3])
    assert got.value == 0.25
    assert got.se**2 == pytest.approx(1.125 / 2 + 0.125 / 2)
    assert got.p == pytest.approx(2 * norm.sf(0.25 / got.se))


def test_independent_difference_by_hand():
    y, a, b = [1, 1, 0, 0], [4, 2, 3, 1], [4, 3, 1, 2]
    got = roc.compare_independent_aucs(y, a, y, b)
    variance = 0.125 / 2 + 0.125 / 2  # of A; B is perfect
    assert (got.value, got.se**2) == (pytest.approx(-0.25), pytest.approx(variance))
    assert got.p == pytest.approx(2 * t.sf(0.25 / variance**0.5, 3))
    assert got.low == pytest.approx(-0.25 - t.isf(0.025, 3) * variance**0.5)


def test_paired_variance_is_the_quadratic_form_of_the_covariance():
    y, a, b = example()
    cluster = np.random.default_rng(1).integers(0, 80, y.size)
    for labels in (None, cluster):
        matrix = roc.auc_covariance(y, [a, b], cluster=labels).covariance
        got = roc.compare_aucs(y, a, b, cluster=labels)
        assert got.se**2 == pytest.approx(matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1])


def test_margins_are_the_one_sided_tests():
    y, a, b = example(gain=0.1)
    plain = roc.compare_aucs(y, a, b)
    for margin in (0.02, 0.05, 0.2):
        low, high = norm.sf((plain.value + margin) / plain.se), norm.sf((margin - plain.value) / plain.se)
        assert roc.compare_aucs(y, a, b, margin=margin).p == pytest.approx(low)
        assert roc.compare_aucs(y, a, b, margin=margin, test="equivalence").p == pytest.approx(max(low, high))
        assert f"non-inferiority with margin {margin:g}" in roc.compare_aucs(y, a, b, margin=margin).method
        # The limit of the two-sided 95 % interval and the one-sided test at 2.5 % say the same.
        assert (low < 0.025) == (plain.low > -margin)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.005, 0.3))
def test_wider_margins_are_easier_and_equivalence_is_symmetric(seed, margin):
    y, a, b = example(seed, n=60)
    for test in ("non-inferiority", "equivalence"):
        narrow, wide = (roc.compare_aucs(y, a, b, margin=m, test=test).p for m in (margin, margin + 0.05))
        assert wide < narrow
    forth, back = (roc.compare_aucs(y, *s, margin=margin, test="equivalence").p for s in ((a, b), (b, a)))
    assert forth == pytest.approx(back)
    forth, back = (roc.compare_independent_aucs(y, s1, y, s2) for s1, s2 in ((a, b), (b, a)))
    assert (forth.value, forth.se, forth.low, forth.p) == pytest.approx((-back.value, back.se, -back.high, back.p))


def test_scores_that_order_the_cases_alike_have_no_difference():
    y, a, _ = example()
    got = roc.compare_aucs(y, a, np.exp(a))
    assert (got.value, got.low, got.high, got.se, got.p) == (0, 0, 0, 0, 1)
    assert "estimated variance is 0" in got.note
    assert np.isnan(roc.compare_aucs(y, a, np.exp(a), margin=0.05).p)
    perfect = roc.compare_aucs([1, 1, 0, 0], [4, 3, 2, 1], [1, 1, 1, 1])
    assert (perfect.value, perfect.se) == (0.5, 0)
    assert np.isnan(perfect.p)


def test_a_class_that_is_missing_names_the_set():
    got = roc.compare_independent_aucs([1, 1], [2, 1], [1, 0, 0], [3, 2, 1])
    assert np.isnan(got.value)
    assert "set A; NE: all cases (n = 2) had the finding present" in got.note
    assert "set B; no CI: only one case with the finding" in got.note


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"margin": 0}, "a margin above 0"),
        ({"margin": -0.1}, "a margin above 0"),
        ({"test": "equivalence"}, "a margin above 0 for equivalence"),
        ({"test": "difference", "margin": 0.1}, "no margin"),
        ({"test": "equivalance", "margin": 0.1}, "Did you mean 'equivalence'"),
        ({"confidence": 95}, "0.95"),
    ],
)
def test_questions_that_make_no_sense_are_refused(arguments, words):
    y, a, b = example(n=20)
    with pytest.raises(InputError) as error:
        roc.compare_aucs(y, a, b, **arguments)
    assert words in str(error.value)
    with pytest.raises(InputError):
        roc.compare_independent_aucs(y, a, y, b, **arguments)


def test_a_patient_in_both_sets_is_refused_by_name():
    y, a, b = example(n=20)
    with pytest.raises(InputError, match=r"1 patients in both \(p7\)"):
        roc.compare_independent_aucs(
            y, a, y, b, cluster=([f"p{i}" for i in range(20)], ["p7"] + [f"q{i}" for i in range(19)])
        )


def test_independent_patients_with_several_images():
    rng = np.random.default_rng(3)
    sets = []
    for _ in range(2):
        cluster = np.repeat(np.arange(60), 3)
        y = (rng.random(60) < 0.5)[cluster]
        sets.append((y, rng.normal(size=60)[cluster] + rng.normal(size=180) + y, cluster))
    (y_a, s_a, c_a), (y_b, s_b, c_b) = sets
    got = roc.compare_independent_aucs(y_a, s_a, y_b, s_b, cluster=(c_a, c_b + 100))
    v_a, v_b = roc.auc(y_a, s_a, cluster=c_a).se ** 2, roc.auc(y_b, s_b, cluster=c_b).se ** 2
    assert got.se**2 == pytest.approx(v_a + v_b)
    df = (v_a + v_b) ** 2 / (v_a**2 / 59 + v_b**2 / 59)
    assert got.p == pytest.approx(2 * t.sf(abs(got.value) / got.se, df))


def test_paired_standard_error_is_that_of_the_bootstrap_by_patient():
    y, a, b = example(4, n=300)
    rng = np.random.default_rng(5)
    cluster = rng.integers(0, 120, 300)
    weights = rng.uniform(0.5, 3, 300)
    for w in (None, weights):
        replicates = patient_bootstrap.bootstrap_auc(
            [y], np.stack([a, b])[:, None], rng=rng, cluster=cluster, weights=w, replicates=4000
        )
        se = roc.compare_aucs(y, a, b, cluster=cluster, weights=w).se
        assert (replicates[:, 0, 0] - replicates[:, 1, 0]).std() == pytest.approx(se, rel=0.07)


def test_weights_repeat_cases():
    y, a, b = example(6, n=80)
    times = np.random.default_rng(7).integers(1, 4, 80)
    whole = roc.compare_aucs(np.repeat(y, times), np.repeat(a, times), np.repeat(b, times))
    assert roc.compare_aucs(y, a, b, weights=times).value == pytest.approx(whole.value)


@pytest.mark.slow
def test_error_rates_of_the_tests_under_their_null():
    rng = np.random.default_rng(8)
    cluster = np.repeat(np.arange(120), 2)
    rejected = {"difference": 0, "non-inferiority": 0, "independent": 0}
    n, margin = 2000, 0.05
    weaker = norm.cdf(1.0 / np.sqrt(2)) - margin
    for _ in range(n):
        y = (rng.random(120) < 0.45)[cluster]
        common = rng.normal(size=120)[cluster]
        a, b, c = (0.8 * common + 0.6 * rng.normal(size=240) for _ in range(3))
        rejected["difference"] += roc.compare_aucs(y, a + y, b + y, cluster=cluster).p < 0.05
        worse = c + y * np.sqrt(2) * norm.ppf(weaker)  # at the margin: the null hypothesis of non-inferiority
        rejected["non-inferiority"] += roc.compare_aucs(y, worse, b + y, cluster=cluster, margin=margin).p < 0.025
        other = (rng.random(70) < 0.5, rng.normal(size=70))
        p = roc.compare_independent_aucs(y[::2], a[::2] + y[::2], other[0], other[1] + other[0]).p
        rejected["independent"] += p < 0.05
    assert 0.035 <= rejected["difference"] / n <= 0.065
    assert 0.013 <= rejected["non-inferiority"] / n <= 0.037
    assert 0.035 <= rejected["independent"] / n <= 0.066
