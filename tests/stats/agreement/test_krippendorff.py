from __future__ import annotations

from itertools import permutations, product
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.errors import InputError
from overread.stats.agreement import krippendorff_alpha

nan = np.nan
LEVELS = ("nominal", "ordinal", "interval", "ratio")
TABLES = st.integers(2, 4).flatmap(
    lambda k: st.lists(
        st.lists(st.sampled_from([0.0, 1.0, 2.0, 4.0, nan]), min_size=k, max_size=k), min_size=2, max_size=10
    )
)


def test_by_hand():
    # Reads 1 1 | 2 2 3 | 3 3 3 | 1 (left out): 8 reads that can be compared, 2, 2 and 4 of each category.
    ratings = [[1, 1, nan], [2, 2, 3], [3, 3, 3], [1, nan, nan]]
    # Observed: case 2 has 4 ordered pairs of 2 and 3, divided by 3 - 1. Expected, ordered pairs: 64 - 4 - 4 - 16 = 40.
    assert krippendorff_alpha(ratings).value == pytest.approx(1 - 7 * 2 / 40)
    # Interval: expected 2 (2*2*1 + 2*4*4 + 2*4*1) = 88; observed the same 2.
    assert krippendorff_alpha(ratings, level="interval").value == pytest.approx(1 - 7 * 2 / 88)
    # Ordinal: mid-ranks 1, 3, 6: observed 4 * 9 / 2 = 18; expected 2 (4*4 + 8*25 + 8*9) = 576.
    assert krippendorff_alpha(ratings, level="ordinal").value == pytest.approx(1 - 7 * 18 / 576)
    # Ratio: (1/3)^2, (2/4)^2, (1/5)^2.
    expected = 2 * (4 / 9 + 8 / 4 + 8 / 25)
    assert krippendorff_alpha(ratings, level="ratio").value == pytest.approx(1 - 7 * (4 / 25 / 2) / expected)


def twin(rows, level):
    """Krippendorff's definition, read by read; ordinal from the numbers of reads between."""
    units = [[v for v in row if v == v] for row in rows]
    units = [u for u in units if len(u) > 1]
    pool = [v for u in units for v in u]
    n = {c: pool.count(c) for c in set(pool)}

    def delta(a, b):
        if level == "nominal":
            return float(a != b)
        if level == "interval":
            return (a - b) ** 2
        if level == "ratio":
            return ((a - b) / (a + b)) ** 2 if a + b else 0.0
        low, high = min(a, b), max(a, b)
        return (sum(n[c] for c in n if low <= c <= high) - (n[a] + n[b]) / 2) ** 2

    observed = sum(delta(a, b) / (len(u) - 1) for u in units for a, b in permutations(u, 2)) / len(pool)
    expected = sum(delta(a, b) for a, b in product(pool, pool)) / (len(pool) * (len(pool) - 1))
    return 1 - observed / expected if expected else nan


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(TABLES, st.sampled_from(LEVELS))
def test_as_the_slow_twin(rows, level):
    e = krippendorff_alpha(rows, level=level)
    if not any(sum(v == v for v in row) > 1 for row in rows):
        assert isnan(e.value)
        assert "no case has two reads" in e.note
        return
    value = twin(rows, level)
    assert e.value == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True)
    if isnan(value):
        assert "only one category" in e.note


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_invariance_of_each_level(rows):
    table = np.array(rows)
    shuffled = np.array([0.0, 3.0, 1.0, nan, 2.0])  # another name for each category

    def renamed(t):
        return np.where(np.isnan(t), nan, shuffled[np.nan_to_num(t).astype(int)])

    for level, change in (
        ("nominal", renamed),
        ("ordinal", lambda t: np.exp(t)),
        ("interval", lambda t: 5 - 3 * t),
        ("ratio", lambda t: 7 * t),
    ):
        e, other = krippendorff_alpha(table, level=level), krippendorff_alpha(change(table), level=level)
        assert [other.value, other.se] == pytest.approx([e.value, e.se], rel=1e-7, abs=1e-7, nan_ok=True)
        turned = krippendorff_alpha(table[::-1, ::-1], level=level)
        assert [turned.value, turned.se] == pytest.approx([e.value, e.se], rel=1e-7, abs=1e-7, nan_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_error_is_the_jackknife_s_to_first_order(level):
    rng = np.random.default_rng(1)
    ratings = np.clip(rng.integers(1, 6, (400, 1)) + rng.integers(-1, 2, (400, 5)), 1, 6).astype(float)
    ratings[:, 2:][rng.random((400, 3)) < 0.5] = nan
    without = [krippendorff_alpha(np.delete(ratings, i, axis=0), level=level).value for i in range(400)]
    jackknife = np.sqrt(399 / 400 * ((without - np.mean(without)) ** 2).sum())
    assert krippendorff_alpha(ratings, level=level).se == pytest.approx(jackknife, rel=0.01)


def test_one_case_per_patient_is_no_clustering():
    rng = np.random.default_rng(2)
    ratings = rng.integers(0, 3, (30, 3)).astype(float)
    for level in LEVELS:
        e, alone = (
            krippendorff_alpha(ratings, level=level),
            krippendorff_alpha(ratings, level=level, cluster=np.arange(30)),
        )
        assert [alone.low, alone.se] == pytest.approx([e.low, e.se], rel=1e-12)


def test_two_readers_divide_by_n_only_where_both_read_every_case():
    """As irrCAC's tables of two readers do, and its raw reads with holes do not."""
    rng = np.random.default_rng(5)
    pair = rng.integers(0, 2, (20, 2)).astype(float)
    holed = np.concatenate([pair, [[1, nan]]])
    for level in LEVELS:
        complete, single = krippendorff_alpha(pair, level=level), krippendorff_alpha(holed, level=level)
        assert single.value == pytest.approx(complete.value)
        assert single.se == pytest.approx(complete.se * np.sqrt(20 / 19))


def test_readers_who_read_other_cases_and_readers_without_reads():
    e = krippendorff_alpha([[0, nan, nan], [nan, 1, nan]])
    assert isnan(e.value)
    assert e.note == (
        "NE: no case has two reads; 2 cases with fewer than two reads excluded; 1 reader without a read excluded"
    )


def test_text_at_the_nominal_level_only():
    text = [["a", "b"], ["a", "a"], ["b", "b"]]
    assert krippendorff_alpha(text).value == pytest.approx(krippendorff_alpha([[0, 1], [0, 0], [1, 1]]).value)
    with pytest.raises(InputError, match="numbers"):
        krippendorff_alpha(text, level="ordinal")


@pytest.mark.parametrize(
    ("ratings", "keywords", "said"),
    [
        ([[-1, 1], [1, 1]], {"level": "ratio"}, "numbers of 0 or more"),
        ([[0, 1]], {"level": "cardinal"}, "nominal, ordinal, interval, ratio"),
        ([[0, np.inf]], {"level": "interval"}, "infinite"),
        ([0, 1], {}, r"\(n_cases, n_readers\)"),
    ],
)
def test_bad_input_is_refused_in_words(ratings, keywords, said):
    with pytest.raises(InputError, match=said):
        krippendorff_alpha(ratings, **keywords)


@pytest.mark.slow
def test_coverage_on_measurements_with_patients():
    """Case variance 1 shared half within a patient, reader error 1: alpha at the interval level is near 1/2."""
    rng, runs, hits, ignoring = np.random.default_rng(3), 1000, 0, 0
    patient = np.repeat(np.arange(60), 4)
    for _ in range(runs):
        case = rng.normal(size=60)[patient] * np.sqrt(0.8) + rng.normal(size=240) * np.sqrt(0.2)
        ratings = case[:, None] + rng.normal(size=(240, 3))
        ratings[:, 2][rng.random(240) < 0.5] = nan
        e = krippendorff_alpha(ratings, level="interval", cluster=patient)
        hits += e.low <= 0.5 <= e.high
        e = krippendorff_alpha(ratings, level="interval")
        ignoring += e.low <= 0.5 <= e.high
    assert 0.93 < hits / runs < 0.97
    assert ignoring < hits
