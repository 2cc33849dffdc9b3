from __future__ import annotations

from itertools import permutations
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import codes
from overread.errors import InputError
from overread.stats.agreement import fleiss_kappa, gwet_ac, percent_agreement

nan = np.nan
TABLES = st.integers(2, 4).flatmap(
    lambda k: st.lists(st.lists(st.sampled_from([0.0, 1.0, 2.0, nan]), min_size=k, max_size=k), min_size=3, max_size=12)
)


def test_by_hand():
    ratings = [[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 1, nan]]
    # Pairs that agree: 1, 1/3, 1, 0. Shares of 1: 1, 2/3, 0, 1/2, mean 13/24.
    percent = (1 + 1 / 3 + 1 + 0) / 4
    assert percent_agreement(ratings).value == pytest.approx(percent)
    assert percent_agreement(ratings, of="all").value == pytest.approx(0.5)
    share = 13 / 24
    by_chance = share**2 + (1 - share) ** 2
    assert fleiss_kappa(ratings).value == pytest.approx((percent - by_chance) / (1 - by_chance))
    by_chance = 2 * share * (1 - share)
    assert gwet_ac(ratings).value == pytest.approx((percent - by_chance) / (1 - by_chance))


def weight(name, a, b, cats):
    i, j = cats.index(a), cats.index(b)
    if name is None or len(cats) == 1:
        return float(a == b)
    if name == "ordinal":
        return 1 - abs(i - j) * (abs(i - j) + 1) / (len(cats) * (len(cats) - 1))
    return 1 - (abs(a - b) / (cats[-1] - cats[0])) ** (1 if name == "linear" else 2)


def twin(rows, name):
    """Percent, Fleiss and Gwet from their definitions, pair by pair."""
    rows = [[v for v in row if v == v] for row in rows]
    rows = [row for row in rows if row]
    cats = sorted({v for row in rows for v in row})
    pairs = [np.mean([weight(name, a, b, cats) for a, b in permutations(row, 2)]) for row in rows if len(row) > 1]
    share = {c: np.mean([row.count(c) / len(row) for row in rows]) for c in cats}
    fleiss = sum(weight(name, a, b, cats) * share[a] * share[b] for a in cats for b in cats)
    total = sum(weight(name, a, b, cats) for a in cats for b in cats)
    q = len(cats)
    gwet = total / (q * (q - 1)) * sum(share[c] * (1 - share[c]) for c in cats) if q > 1 else nan
    return np.mean(pairs), fleiss, gwet


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(TABLES, st.sampled_from([None, "linear", "quadratic", "ordinal"]))
def test_as_the_slow_twin(rows, name):
    if not any(sum(v == v for v in row) > 1 for row in rows):
        for function in (percent_agreement, fleiss_kappa, gwet_ac):
            assert isnan(function(rows, weights=name).value)
            assert "no case has two reads" in function(rows, weights=name).note
        return
    percent, fleiss, gwet = twin(rows, name)
    assert percent_agreement(rows, weights=name).value == pytest.approx(percent, rel=1e-9, abs=1e-12)
    for function, chance in ((fleiss_kappa, fleiss), (gwet_ac, gwet)):
        e = function(rows, weights=name)
        if len({v for row in rows for v in row if v == v}) == 1:
            assert isnan(e.value)
            assert "only one category" in e.note
        else:
            assert e.value == pytest.approx((percent - chance) / (1 - chance), rel=1e-9, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(TABLES, st.randoms(use_true_random=False))
def test_order_of_readers_and_cases_and_names_do_not_matter(rows, random):
    table = np.array(rows)
    cases, readers = list(range(len(rows))), list(range(table.shape[1]))
    random.shuffle(cases)
    random.shuffle(readers)
    for function in (percent_agreement, fleiss_kappa, gwet_ac):
        e, other = function(table), function(5 - 2 * table[cases][:, readers])
        assert [other.value, other.se] == pytest.approx([e.value, e.se], rel=1e-9, abs=1e-9, nan_ok=True)


@pytest.mark.slow
def test_error_is_the_jackknife_s_to_first_order():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, (400, 1))
    ratings = np.where(rng.random((400, 5)) < 0.7, truth, rng.integers(0, 3, (400, 5)))
    for function in (percent_agreement, fleiss_kappa, gwet_ac):
        without = [function(np.delete(ratings, i, axis=0)).value for i in range(400)]
        jackknife = np.sqrt(399 / 400 * ((without - np.mean(without)) ** 2).sum())
        assert function(ratings).se == pytest.approx(jackknife, rel=0.01)


def test_one_case_per_patient_is_no_clustering():
    rng = np.random.default_rng(2)
    ratings = rng.integers(0, 2, (30, 3)).astype(float)
    ratings[::4, 2] = nan
    for function in (percent_agreement, fleiss_kappa, gwet_ac):
        e, alone = function(ratings), function(ratings, cluster=np.arange(30))
        assert [alone.value, alone.low, alone.se] == pytest.approx([e.value, e.low, e.se], rel=1e-12)
        twice = function(np.repeat(ratings, 2, axis=0), cluster=np.repeat(np.arange(30), 2))
        assert [twice.value, twice.low, twice.se] == pytest.approx([e.value, e.low, e.se], rel=1e-12)


def test_two_readers_divide_by_n_as_cohen_s_kappa_does():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 2, 40)
    b = np.where(rng.random(40) < 0.8, a, 1 - a)
    pair = np.stack([a, b], axis=1)
    share = (a == b).mean()
    assert percent_agreement(pair).se == pytest.approx(np.sqrt(share * (1 - share) / 40), rel=1e-12)
    three = np.column_stack([pair, np.full(40, nan)])  # a reader without reads is no third reader
    assert percent_agreement(three).se == percent_agreement(pair).se


def test_single_reads_widen_gwet_s_error_and_are_said():
    rng = np.random.default_rng(4)
    ratings = np.where(rng.random((60, 2)) < 0.9, 1.0, 0.0)
    alone = np.concatenate([ratings, np.full((60, 2), nan)])
    alone[60:, 0] = 1
    e = percent_agreement(alone)
    assert e.value == pytest.approx(percent_agreement(ratings).value)
    assert "60 cases with a single read; Gwet's standard error counts these as without agreement" in e.note
    drawn = percent_agreement(alone, rng=np.random.default_rng(5))
    assert drawn.se == pytest.approx(percent_agreement(ratings).se, rel=0.1)
    assert e.se > 1.5 * drawn.se
    assert drawn.note == codes.note("single_reads", n=60)
    by_patient = percent_agreement(alone, cluster=np.arange(120))  # a ratio over patients: nothing to warn of
    assert by_patient.se == pytest.approx(percent_agreement(ratings).se, rel=0.02)
    assert by_patient.note == codes.note("single_reads", n=60)


def test_all_readers_always_agree():
    ratings = [[0, 0, 0], [1, 1, 1], [0, 0, nan]]
    for function in (percent_agreement, fleiss_kappa, gwet_ac):
        for keywords in ({}, {"cluster": [1, 2, 2]}, {"rng": np.random.default_rng(6), "replicates": 10}):
            e = function(ratings, **keywords)
            assert e.value == 1
            assert e.note
    rare = gwet_ac([[0, 0], [0, 0], [0, 0]], categories=[0, 1])
    assert (rare.value, rare.low, rare.high) == (1, 1, 1)
    assert "understated" in rare.note


def test_resamples_without_a_value_are_counted():
    e = fleiss_kappa([[0, 0], [0, 0], [0, 0], [1, 1]], rng=np.random.default_rng(7))
    assert isnan(e.low)
    assert "more than 1% of the bootstrap samples undefined" in e.note
    assert e.method == "percentile bootstrap, 2,000 samples, cases resampled"


def test_rare_category_pulls_kappa_down_and_not_ac1():
    ratings = np.zeros((100, 2))
    ratings[:5, 0] = ratings[3:8, 1] = 1  # 92 % agree, 2 of 100 both present
    assert fleiss_kappa(ratings).value < 0.4
    assert gwet_ac(ratings).value > 0.9


def test_who_was_left_out_is_said():
    e = gwet_ac([[0, 0, nan], [1, 0, nan], [nan] * 3])
    assert e.note == "1 case without a read excluded; 1 reader without a read excluded"
    assert "only one case or patient" in percent_agreement([[0, 1]]).note
    assert "no case has two reads" in fleiss_kappa([[0], [1]]).note


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"of": "readers"}, "pairs, all"),
        ({"of": "all", "weights": "linear"}, "none with of"),
        ({"weights": "squared"}, "linear, quadratic, ordinal"),
        ({"confidence": 95}, "between 0 and 1"),
        ({"rng": np.random.default_rng(0), "replicates": 0}, "at least 1"),
    ],
)
def test_bad_input_is_refused_in_words(keywords, said):
    with pytest.raises(InputError, match=said):
        percent_agreement([[0, 1], [1, 1]], **keywords)


@pytest.mark.slow
def test_coverage_with_patients_and_missing_reads():
    """Four readers alike (0.8, 0.9), two to four reads of a case, three cases of a patient sharing a prevalence."""
    share = 0.3 * 0.8 + 0.7 * 0.1
    agreed = 0.3 * (0.8**2 + 0.2**2) + 0.7 * (0.9**2 + 0.1**2)
    by_chance = share**2 + (1 - share) ** 2
    true = {
        percent_agreement: agreed,
        fleiss_kappa: (agreed - by_chance) / (1 - by_chance),
        gwet_ac: (agreed - 1 + by_chance) / by_chance,
    }
    rng, runs, hits, drawn = np.random.default_rng(9), 800, dict.fromkeys(true, 0), 0
    patient = np.repeat(np.arange(80), 3)
    for run in range(runs):
        y = rng.random((240, 1)) < rng.beta(0.6, 1.4, 80)[patient, None]
        ratings = np.where(rng.random((240, 4)) < np.where(y, 0.8, 0.9), y, ~y).astype(float)
        ratings[:, 2:][rng.random((240, 2)) < 0.5] = nan
        for function, value in true.items():
            e = function(ratings, cluster=patient)
            hits[function] += e.low <= value <= e.high
        if run % 3 == 0:
            e = gwet_ac(ratings, cluster=patient, rng=rng, replicates=200)
            drawn += e.low <= true[gwet_ac] <= e.high
    for function in true:
        assert 0.93 < hits[function] / runs < 0.97, function
    assert 0.91 < drawn / (runs / 3) < 0.98
