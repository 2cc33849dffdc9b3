from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.errors import InputError
from overread.stats.agreement import icc, krippendorff_alpha

nan = np.nan
FORMS = {
    "one-way": {"model": "one-way"},
    "agreement": {},
    "consistency": {"model": "two-way-mixed", "agreement": False},
}
TABLES = st.integers(2, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 20), min_size=k, max_size=k), min_size=3, max_size=10)
)


def test_by_hand():
    # Two readers, 1 apart, on 0, 2, 4: case means 0.5, 2.5, 4.5; readers' means 2 and 3; nothing is left.
    ratings = [[0, 1], [2, 3], [4, 5]]
    # Mean squares: cases 2 * (4 + 0 + 4) / 2 = 8; readers 3 * (0.25 + 0.25) / 1 = 1.5; within a case 3 * 0.5 / 3 = 0.5.
    assert icc(ratings, model="one-way").value == pytest.approx((8 - 0.5) / (8 + 0.5))
    assert icc(ratings).value == pytest.approx((8 - 0) / (8 + 0 + 2 * 1.5 / 3))
    assert icc(ratings, agreement=False).value == pytest.approx(1)
    assert icc(ratings, unit="average").value == pytest.approx(8 / (8 + 1.5 / 3))


def twin(rows, form, unit):
    """The mean squares of the analysis of variance, read by read."""
    n, k = len(rows), len(rows[0])
    grand = sum(map(sum, rows)) / (n * k)
    case = [sum(row) / k for row in rows]
    reader = [sum(row[j] for row in rows) / n for j in range(k)]
    between = k * sum((c - grand) ** 2 for c in case) / (n - 1)
    level = n * sum((r - grand) ** 2 for r in reader) / (k - 1)
    within = sum((row[j] - case[i]) ** 2 for i, row in enumerate(rows) for j in range(k)) / (n * (k - 1))
    left = sum((row[j] - case[i] - reader[j] + grand) ** 2 for i, row in enumerate(rows) for j in range(k))
    left /= (n - 1) * (k - 1)
    error = within if form == "one-way" else left
    extra = (level - left) / n if form == "agreement" else 0
    above, below = between - error, between + (k - 1) * error + k * extra
    if unit == "average":
        below = between + extra
    return above / below if below > 1e-9 else nan


@settings(max_examples=80, deadline=None)
@given(TABLES, st.sampled_from(list(FORMS)), st.sampled_from(["single", "average"]))
def test_as_the_slow_twin(rows, form, unit):
    e = icc(rows, unit=unit, **FORMS[form])
    value = twin(rows, form, unit)
    if len({v for row in rows for v in row}) == 1:
        assert isnan(e.value)
        assert "all measurements are equal" in e.note
    elif isnan(value):
        assert isnan(e.value) or abs(e.value) > 1e6
    else:
        assert e.value == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert ("is negative" in e.note) == (e.value < 0)


@settings(max_examples=40, deadline=None)
@given(TABLES, st.sampled_from(list(FORMS)), st.randoms(use_true_random=False))
def test_order_origin_and_unit_do_not_matter(rows, form, random):
    table, readers = np.array(rows, dtype=float), list(range(len(rows[0])))
    random.shuffle(readers)
    e, other = icc(table, **FORMS[form]), icc(40 - 3 * table[::-1, readers], **FORMS[form])
    assert [other.value, other.low, other.high] == pytest.approx(
        [e.value, e.low, e.high], rel=1e-6, abs=1e-6, nan_ok=True
    )


def test_average_is_spearman_brown_of_single():
    rng = np.random.default_rng(1)
    ratings = rng.normal(size=(20, 1)) + rng.normal(size=(20, 4)) + rng.normal(size=4)
    for form in FORMS.values():
        single, average = icc(ratings, **form), icc(ratings, unit="average", **form)
        for one, mean in zip(
            (single.value, single.low, single.high), (average.value, average.low, average.high), strict=True
        ):
            assert mean == pytest.approx(4 * one / (1 + 3 * one), rel=1e-9)
        assert single.p == average.p


def test_one_way_is_near_alpha_at_the_interval_level():
    """Both compare within-case with total squares; they differ by the total's degrees of freedom, of order 1/n."""
    rng = np.random.default_rng(2)
    ratings = rng.normal(size=(3000, 1)) + rng.normal(size=(3000, 3))
    ratings[rng.random(3000) < 0.4, 2] = nan
    assert icc(ratings, model="one-way").value == pytest.approx(
        krippendorff_alpha(ratings, level="interval").value, abs=0.02
    )


def test_one_way_takes_unequal_reads_from_any_reader():
    full = np.array([[1.0, 2, 4], [5, 7, nan], [3, 3, 8]])
    e = icc(full, model="one-way")
    moved = icc([[1, 2, 4, nan, nan], [nan, 5, nan, 7, nan], [8, nan, 3, nan, 3]], model="one-way")
    assert [moved.value, moved.low] == pytest.approx([e.value, e.low])
    assert "2 to 3 reads per case: the CI is approximate" in e.note
    # By hand: means 7/3, 6, 14/3 of 3, 2, 3 reads, grand mean 33/8; squares within 14/3 + 2 + 50/3 on 5 df.
    within = (14 / 3 + 2 + 50 / 3) / 5
    between = (3 * (7 / 3 - 33 / 8) ** 2 + 2 * (6 - 33 / 8) ** 2 + 3 * (14 / 3 - 33 / 8) ** 2) / 2
    k = (8 - (9 + 4 + 9) / 8) / 2
    assert e.value == pytest.approx((between - within) / (between + (k - 1) * within))


def test_two_way_leaves_out_incomplete_cases_and_counts_them():
    ratings = [[1, 2, nan], [5, 7, nan], [3, nan, nan], [4, 4, nan]]
    e = icc(ratings)
    assert e.value == pytest.approx(icc([[1, 2], [5, 7], [4, 4]]).value)
    assert e.note == "1 case not read by every reader excluded; 1 reader without a read excluded"
    nobody = icc([[1, nan], [nan, 2]])
    assert isnan(nobody.value)
    assert "no case was read by every reader" in nobody.note


def test_no_spread_is_said():
    level = icc([[1, 2], [3, 4], [5, 6]])
    assert (level.value, isnan(level.low)) == (pytest.approx(8 / 9), True)
    assert "readers differ only by a constant" in level.note
    same = icc([[1, 1], [3, 3], [5, 5]])
    assert (same.value, same.low, same.high) == (1, 1, 1)
    assert "understated" in same.note
    for ratings, said in (([[1, 2]], "one case"), ([[1], [2]], "one reader"), ([[1, nan], [nan, 2]], "no case")):
        assert said in icc(ratings).note
    assert "one read of each case" in icc([[1, nan], [nan, 2]], model="one-way").note


def test_resampled_and_clustered_intervals_say_that_readers_are_kept():
    rng = np.random.default_rng(3)
    ratings = rng.normal(size=(40, 1)) + rng.normal(size=(40, 3)) + 2 * rng.normal(size=3)
    for keywords in ({"cluster": np.arange(40)}, {"rng": rng}):
        e = icc(ratings, **keywords)
        assert "CI for these readers only" in e.note
        assert e.high - e.low < icc(ratings).high - icc(ratings).low
        consistency = icc(ratings, agreement=False, **keywords)
        exact = icc(ratings, agreement=False)
        assert [consistency.low, consistency.high] == pytest.approx([exact.low, exact.high], abs=0.12)
    assert "no CI" in icc(ratings, cluster=np.zeros(40)).note


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"model": "two-way"}, "two-way-random, one-way, two-way-mixed"),
        ({"unit": "mean"}, "single, average"),
        ({"interval": "wald"}, "shrout-fleiss, mcgraw-wong"),
        ({"confidence": 0}, "between 0 and 1"),
    ],
)
def test_bad_words_are_refused(keywords, said):
    with pytest.raises(InputError, match=said):
        icc([[1, 2], [2, 3]], **keywords)


@pytest.mark.slow
def test_coverage():
    """Case, reader and error variance 2, 1 and 1: agreement 1/2, consistency 2/3; by patient with these readers."""
    rng, runs = np.random.default_rng(4), 1500
    hits, patient = np.zeros(3), np.repeat(np.arange(40), 2)
    for _ in range(runs):
        ratings = np.sqrt(2) * rng.normal(size=(30, 1)) + rng.normal(size=6) + rng.normal(size=(30, 6))
        shared = np.sqrt(1.5) * rng.normal(size=40)[patient] + np.sqrt(0.5) * rng.normal(size=80)
        clustered = shared[:, None] + rng.normal(size=(80, 3))
        made = [icc(ratings), icc(ratings, agreement=False), icc(clustered, model="one-way", cluster=patient)]
        hits += [e.low <= true <= e.high for e, true in zip(made, (1 / 2, 2 / 3, 2 / 3), strict=True)]
    agreement, consistency, by_patient = hits / runs
    assert 0.935 < consistency < 0.965
    assert 0.925 < by_patient < 0.97
    assert 0.90 < agreement < 0.96  # Satterthwaite's df with six readers: a little short, as the docs say
