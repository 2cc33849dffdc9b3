import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from overread import codes
from overread.errors import InputError
from overread.stats import roc
from overread.stats.resampling import patient_bootstrap


@st.composite
def samples(draw):
    m, n = draw(st.integers(2, 12)), draw(st.integers(2, 12))
    score = draw(st.lists(st.integers(-5, 5), min_size=m + n, max_size=m + n))
    low = draw(st.floats(0, 0.9))
    return np.arange(m + n) < m, np.array(score, dtype=float), (low, draw(st.floats(low + 0.05, 1)))


def polygon_area(y, score, low, high):
    """The area under the polygon between two false positive rates, by the trapezium rule on all corners."""
    curve = roc.roc_curve(y, score)
    x, h = curve.false_positive_rate, curve.true_positive_rate
    total = 0.0
    for x0, x1, h0, h1 in zip(x[:-1], x[1:], h[:-1], h[1:], strict=True):
        a, b = max(x0, low), min(x1, high)
        if b > a:
            height = [h0 + (h1 - h0) * (e - x0) / (x1 - x0) for e in (a, b)]
            total += (b - a) * sum(height) / 2
    return total


def test_partial_area_by_hand():
    # Scores P 6, N 5, P 4, N 3, P 2, N 1: sensitivity 1/3 up to a false positive rate of 1/3, then 2/3.
    y, score = [1, 1, 1, 0, 0, 0], [6, 4, 2, 5, 3, 1]
    assert roc.partial_auc(y, score, specificity=(0.5, 1)).value == pytest.approx(1 / 9 + (1 / 6) * (2 / 3))
    # Specificity 1 up to a sensitivity of 1/3, 2/3 up to 2/3, 1/3 beyond; range 0.5 to 1.
    assert roc.partial_auc(y, score, sensitivity=(0.5, 1)).value == pytest.approx((1 / 6) * (2 / 3) + 1 / 9)
    # McClish: chance area 0.5 * 0.5 / 2, largest 0.5.
    got = roc.partial_auc(y, score, specificity=(0.5, 1), corrected=True).value
    assert got == pytest.approx((1 + (2 / 9 - 0.125) / (0.5 - 0.125)) / 2)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(samples())
def test_area_is_that_of_the_polygon_and_parts_add_up(sample):
    y, score, (low, high) = sample
    got = roc.partial_auc(y, score, specificity=(low, high))
    assert got.value == pytest.approx(polygon_area(y, score, 1 - high, 1 - low), abs=1e-9)
    mirrored = roc.partial_auc(~y, -score, specificity=(low, high))
    turned = roc.partial_auc(y, score, sensitivity=(low, high))
    assert (turned.value, turned.se) == pytest.approx((mirrored.value, mirrored.se))
    whole, full = roc.partial_auc(y, score, specificity=(0, 1)), roc.auc(y, score)
    assert (whole.value, whole.se) == pytest.approx((full.value, full.se), abs=1e-9)
    parts = [roc.partial_auc(y, score, specificity=r).value for r in ((low, high), (0, low), (high, 1)) if r[0] < r[1]]
    assert sum(parts) == pytest.approx(full.value, abs=1e-9)
    assert roc.partial_auc(y, np.exp(score), specificity=(low, high)).se == pytest.approx(got.se, abs=1e-12)


@pytest.mark.parametrize("reach", [0.05, 0.1, 0.3, 1.0])
def test_corrected_area_is_sklearns(reach):
    rng = np.random.default_rng(1)
    y = rng.random(300) < 0.3
    score = np.round(rng.normal(size=300) + y, 1)
    got = roc.partial_auc(y, score, specificity=(1 - reach, 1), corrected=True).value
    assert got == pytest.approx(roc_auc_score(y, score, max_fpr=reach))


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [{"specificity": (0.8, 1)}, {"specificity": (0.5, 0.9)}, {"sensitivity": (0.8, 1)}]
)
@pytest.mark.parametrize("clustered", [False, True])
def test_standard_error_is_that_of_the_bootstrap(arguments, clustered):
    rng = np.random.default_rng(2)
    cluster = rng.integers(0, 200, 600) if clustered else np.arange(600)
    y = rng.random(600) < 0.4
    score = rng.normal(size=600) + 1.2 * y + (0.8 * rng.normal(size=200)[cluster] if clustered else 0)
    got = roc.partial_auc(y, score, cluster=cluster, **arguments)
    replicates = patient_bootstrap.bootstrap(
        lambda a, b: roc.partial_auc(a, b, **arguments).value, y, score, rng=rng, cluster=cluster, replicates=1000
    )
    assert got.se == pytest.approx(replicates.std(), rel=0.1)
    corrected = roc.partial_auc(y, score, cluster=cluster, corrected=True, **arguments)
    assert corrected.se / got.se == pytest.approx((corrected.high - corrected.value) / (got.high - got.value))


@pytest.mark.parametrize("interval", [(0.9, 1), (0.4, 0.6)])
def test_the_interval_stays_in_what_is_possible_without_patients(interval):
    y, score = np.array([1, 1, 1, 0, 0, 0, 0]), np.array([9, 8, 3, 7, 2, 1, 0])
    got = roc.partial_auc(y, score, specificity=interval)
    assert 0 <= got.low <= got.value <= got.high <= interval[1] - interval[0] + 1e-12
    raw = roc.partial_auc(y, score, specificity=interval, cluster=np.arange(7))
    assert raw.se == pytest.approx(got.se)
    assert raw.high == pytest.approx(raw.value + norm.isf(0.025) * raw.se)


def test_edges():
    perfect = roc.partial_auc([1, 1, 0, 0], [4, 3, 2, 1], corrected=True)
    assert (perfect.value, perfect.low, perfect.high) == pytest.approx((1, 1, 1))
    assert "understated" in perfect.note
    assert roc.partial_auc([1, 1], [1, 2]).note == codes.note("one_class", n=2, outcome="present")
    lone = roc.partial_auc([1, 0, 0], [3, 1, 2])
    assert lone.value == pytest.approx(0.1)
    assert np.isnan(lone.se)
    assert "only one case with the finding" in lone.note


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"specificity": (1.0, 0.9)}, "0 <= low < high <= 1"),
        ({"sensitivity": (0.5, 1.1)}, "sensitivity"),
        ({"specificity": (0.9, 1), "sensitivity": (0.9, 1)}, "found both"),
    ],
)
def test_ranges_that_are_none_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        roc.partial_auc([1, 0, 1, 0], [1, 2, 3, 4], **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("reach", [0.1, 0.3])
def test_coverage_of_the_partial_area(reach):
    rng = np.random.default_rng(3)
    u = (np.arange(20000) + 0.5) / 20000 * reach
    truth = norm.cdf(1.2 + norm.ppf(u)).mean() * reach
    y = np.arange(400) < 100
    hits = 0
    for _ in range(2000):
        got = roc.partial_auc(y, rng.normal(size=400) + 1.2 * y, specificity=(1 - reach, 1))
        hits += got.low <= truth <= got.high
    assert hits / 2000 >= 0.94, hits / 2000
