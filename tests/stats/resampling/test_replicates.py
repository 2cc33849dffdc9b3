from __future__ import annotations

import numpy as np
import pytest

from overread.stats import agreement
from overread.stats.resampling import replicates
from overread.stats.resampling.patient_bootstrap import draw_counts
from overread.stats.sampling_design import sampling

RNG = np.random.default_rng(11)
CLUSTER = np.repeat(np.arange(15), [1, 2, 3] * 5)
CASES = CLUSTER.size
RATINGS = np.where(RNG.random((CASES, 4)) < 0.8, RNG.integers(1, 4, (CASES, 1)), RNG.integers(1, 4, (CASES, 4))).astype(
    float
)
HOLES = np.where((RNG.random(RATINGS.shape) < 0.3) & (np.arange(4) > 1), np.nan, RATINGS)  # two reads of each case stay
SINGLES = np.where((RNG.random(RATINGS.shape) < 0.3) & (np.arange(4) > 0), np.nan, RATINGS)
MEASURED = RATINGS + RNG.normal(size=RATINGS.shape)
STATISTICS = {
    "percent": (agreement.percent_agreement, SINGLES, {}),
    "all": (agreement.percent_agreement, HOLES, {"of": "all"}),
    "fleiss": (agreement.fleiss_kappa, SINGLES, {}),
    "ac1": (agreement.gwet_ac, SINGLES, {}),
    "ac2": (agreement.gwet_ac, HOLES, {"weights": "ordinal"}),
    **{f"alpha {v}": (agreement.krippendorff_alpha, HOLES, {"level": v}) for v in ("nominal", "ordinal", "ratio")},
    "alpha interval": (
        agreement.krippendorff_alpha,
        np.where(np.isnan(HOLES), np.nan, MEASURED),
        {"level": "interval"},
    ),
    "icc": (agreement.icc, MEASURED, {}),
    "icc average": (agreement.icc, MEASURED, {"unit": "average"}),
    "icc one-way": (agreement.icc, np.where(np.isnan(SINGLES), np.nan, MEASURED), {"model": "one-way"}),
    "icc consistency": (agreement.icc, MEASURED, {"model": "two-way-mixed", "agreement": False}),
    "cohen": (lambda r, **k: agreement.cohen_kappa(r[:, 0], r[:, 1], **k), RATINGS, {"weights": "linear"}),
    "bias": (lambda r, **k: agreement.bland_altman(r[:, 0], r[:, 1], **k).bias, MEASURED, {}),
    "limit": (lambda r, **k: agreement.bland_altman(r[:, 0], r[:, 1], **k).upper, MEASURED, {}),
    "concordance": (lambda r, **k: agreement.bland_altman(r[:, 0], r[:, 1], **k).concordance, MEASURED, {}),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_resamples_by_weight_equal_resamples_of_rows(name):
    """The quick bootstrap (weights) against the slow one: the rows of the drawn patients, as often as drawn."""
    function, ratings, keywords = STATISTICS[name]
    rng = np.random.default_rng(3)
    quick = function(ratings, cluster=CLUSTER, rng=rng, replicates=60, confidence=0.8, **keywords)
    values = []
    for counts in draw_counts(CLUSTER, rng=np.random.default_rng(3), replicates=60):
        rows = np.repeat(np.arange(CASES), counts[CLUSTER])
        values.append(function(ratings[rows], **keywords).value)
    assert [quick.low, quick.high] == pytest.approx(np.quantile(values, [0.1, 0.9]), rel=1e-9)
    assert quick.se == pytest.approx(np.std(values, ddof=1), rel=1e-8)
    assert quick.value == pytest.approx(function(ratings, **keywords).value, rel=1e-12)


@pytest.mark.parametrize("name", STATISTICS)
def test_error_over_patients_is_near_the_jackknife(name):
    """For a few statistics it is the jackknife; the linearised others differ by terms of order 1/patients."""
    function, ratings, keywords = STATISTICS[name]
    times = 40
    many, patients = np.tile(ratings, (times, 1)), np.concatenate([CLUSTER + 15 * i for i in range(times)])
    got = function(many, cluster=patients, **keywords).se
    each = np.array([function(many[patients != c], **keywords).value for c in range(15)])  # 40 copies give the same
    error = np.sqrt((15 * times - 1) / 15 * ((each - each.mean()) ** 2).sum())
    assert got == pytest.approx(error, rel=0.01)


@pytest.mark.parametrize("name", STATISTICS)
def test_several_copies_of_a_patient_s_cases_are_no_more_patients(name):
    function, ratings, keywords = STATISTICS[name]
    rows = np.tile(np.arange(CASES), 3)
    once, thrice = (
        function(ratings[r], cluster=c, **keywords) for r, c in ((slice(None), CLUSTER), (rows, CLUSTER[rows]))
    )
    ignoring = function(ratings[rows], cluster=np.arange(rows.size), **keywords)
    assert thrice.se == pytest.approx(once.se, rel=0.1)
    assert ignoring.se < 0.85 * thrice.se


def test_blocks_do_not_change_the_draws(monkeypatch):
    sample = sampling(CASES, where="x", cluster=CLUSTER)
    x = RATINGS[:, 0]

    def mean(w):
        return w @ x / w.sum(axis=1)

    whole = replicates.replicated(mean, sample, rng=np.random.default_rng(5), replicates=50)
    out = replicates.left_out(mean, sample)
    monkeypatch.setattr(replicates, "CELLS_AT_ONCE", CASES * 7)
    np.testing.assert_array_equal(
        replicates.replicated(mean, sample, rng=np.random.default_rng(5), replicates=50), whole
    )
    np.testing.assert_array_equal(replicates.left_out(mean, sample), out)
    np.testing.assert_allclose(out, [x[c != CLUSTER].mean() for c in range(15)])
