from __future__ import annotations

import time
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import codes
from overread.errors import InputError
from overread.stats.sequential.betting import confidence_sequence
from overread.stats.sequential.interim_estimates import (
    Verification,
    sequential_auc,
    sequential_calibration,
    sequential_rate,
)


def same(got, want):
    np.testing.assert_array_equal(got.value, want.value)
    np.testing.assert_array_equal(got.low, want.low)
    np.testing.assert_array_equal(got.high, want.high)


def study(rng, n=300):
    y = rng.random(n) < 0.4
    score = rng.normal(size=n) + 1.2 * y
    return y, score, score > 0.6, rng.integers(0, n // 2, n)


def test_by_hand_which_cases_enter():
    #          0  1  2  3  4  5     patient a has cases 0 and 3, patient b 1 and 4
    y = np.array([1, 0, 1, 1, 1, 0])
    call = np.array([1, 0, 0, 0, 1, 1])
    patient = np.array(list("abcabd"))
    got = sequential_rate(y, call, patient=patient, rng=None)
    assert got.index.tolist() == [0, 2]  # b's first case is absent: his later, present one does not enter
    assert got.value.tolist() == [1.0, 0.5]
    assert got.note == codes.note("later_cases", n=2)
    got = sequential_rate(y, call, patient=patient, rng=None, rate="specificity")
    assert got.index.tolist() == [1, 5]
    assert got.value.tolist() == [1.0, 0.5]
    # Looks: the cases of the second half were there first, so 3 and 4 are the first cases of a and b.
    got = sequential_rate(y, call, patient=patient, rng=None, look=[2, 2, 2, 1, 1, 1])
    assert got.index.tolist() == [3, 4, 2]
    assert got.value.tolist() == pytest.approx([0, 1 / 2, 1 / 3])
    # Pairs: present 0, 2; absent 1, 5 -> (0, 1) complete with 1, (2, 5) with 5; a tie counts one half.
    got = sequential_auc(y, [3, 1, 2, 9, 9, 2], patient=patient, rng=None)
    assert got.index.tolist() == [1, 5]
    assert got.value.tolist() == [1.0, 0.75]
    got = sequential_calibration(y, [0.5, 0.25, 0.75, 0, 0, 1], patient=patient, rng=None)
    assert got.index.tolist() == [0, 1, 2, 5]
    assert got.value.tolist() == pytest.approx([0.5, 0.125, 0.5 / 3, -0.5 / 4])


@pytest.mark.slow
@given(seed=st.integers(0, 1000), by_look=st.booleans())
@settings(max_examples=20, deadline=None)
def test_slow_twin_patient_by_patient(seed, by_look):
    y, score, call, patient = study(np.random.default_rng(seed), n=60)
    looks = np.random.default_rng(seed + 1).integers(1, 4, 60) if by_look else np.zeros(60, int)
    keys = np.random.default_rng(5).random(60)
    first = {}
    for i in sorted(range(60), key=lambda i: (looks[i], i)):
        first.setdefault(patient[i], i)
    order = sorted(first.values(), key=lambda i: (looks[i], keys[i]))
    look = looks if by_look else None
    given = {"patient": patient, "look": look}
    got = sequential_rate(y, call, rng=np.random.default_rng(5), **given)
    same(got, confidence_sequence([float(call[i]) for i in order if y[i]]))
    assert got.index.tolist() == [i for i in order if y[i]]
    got = sequential_rate(y, call, rng=np.random.default_rng(5), rate="specificity", **given)
    same(got, confidence_sequence([float(not call[i]) for i in order if not y[i]]))
    pairs = zip([i for i in order if y[i]], [i for i in order if not y[i]], strict=False)
    got = sequential_auc(y, score, rng=np.random.default_rng(5), **given)
    same(got, confidence_sequence([(score[i] > score[j]) + 0.5 * (score[i] == score[j]) for i, j in pairs]))
    got = sequential_calibration(y, keys, rng=np.random.default_rng(5), **given)
    same(got, confidence_sequence([y[i] - keys[i] for i in order], lower=-1, upper=1))


def test_a_new_look_changes_nothing_that_was_seen():
    y, score, call, patient = study(np.random.default_rng(3))
    look = np.repeat([1, 2, 3], 100)
    for function, values in ((sequential_rate, call), (sequential_auc, score), (sequential_calibration, score > 0)):
        whole = function(y, values, patient=patient, rng=np.random.default_rng(9), look=look)
        for n in (100, 200):
            part = function(y[:n], values[:n], patient=patient[:n], rng=np.random.default_rng(9), look=look[:n])
            assert 0 < part.value.size < whole.value.size
            np.testing.assert_array_equal(part.low, whole.low[: part.low.size])
            np.testing.assert_array_equal(part.index, whole.index[: part.low.size])


def test_auc_keeps_to_the_order_of_scores_and_mirrors():
    y, score, _, patient = study(np.random.default_rng(4))
    arguments = {"patient": patient, "rng": None}
    got = sequential_auc(y, score, **arguments)
    same(sequential_auc(y, np.exp(score), **arguments), got)
    np.testing.assert_allclose(sequential_auc(y, -score, **arguments).low, 1 - got.high, atol=1e-12)
    np.testing.assert_allclose(sequential_auc(~y, score, **arguments).low, 1 - got.high, atol=1e-12)


def test_truth_that_is_late_or_selective_is_refused_or_weighted():
    rng = np.random.default_rng(6)
    y, score, call, _ = study(rng, n=400)
    patient, probability = np.arange(400), np.where(call, 1.0, 0.5)
    known = np.where(rng.random(400) < probability, y, np.nan)
    for function, values in ((sequential_rate, call), (sequential_auc, score), (sequential_calibration, call)):
        with pytest.raises(InputError, match="on suspicion only"):
            function(known, values, patient=patient, rng=None)
        got = function(known, values, patient=patient, rng=None, verification=Verification(probability, 0.5))
        assert "not verified" in got.note
    seen = np.flatnonzero(known == 1)
    got = sequential_rate(known, call, patient=patient, rng=None, verification=Verification(probability, 0.5))
    assert got.index.tolist() == seen.tolist()
    same(got, confidence_sequence(call[seen], weights=1 / probability[seen], largest_weight=2.0))
    assert got.value[-1] == pytest.approx(np.average(call[seen], weights=1 / probability[seen]))
    # All verified for certain: nothing changes.
    sure = sequential_auc(y, score, patient=patient, rng=None, verification=Verification(np.ones(400), 1.0))
    same(sure, sequential_auc(y, score, patient=patient, rng=None))
    # The later case of a patient may lack its truth: it does not enter.
    assert sequential_rate([1, np.nan], [1, 1], patient=[7, 7], rng=None).value.tolist() == [1.0]
    assert sequential_rate([True, None], [1, 1], patient=[7, 7], rng=None).value.tolist() == [1.0]


@pytest.mark.slow
def test_coverage_of_the_four_statistics_at_all_steps():
    """60 studies of 300 patients, each statistic looked at after every case."""
    rng, missed = np.random.default_rng(20261125), np.zeros(4)
    for _ in range(60):
        y = rng.random(300) < 0.4
        score = rng.normal(size=300) + np.sqrt(2) * 0.8416212 * y  # AUC 0.8
        call, probability = rng.random(300) < np.where(y, 0.85, 0.1), np.full(300, 0.4)
        given = {"patient": np.arange(300), "rng": rng}
        missed += [
            sequential_rate(y, call, **given).excluded_at(0.85) is not None,
            sequential_rate(y, call, rate="specificity", **given).excluded_at(0.9) is not None,
            sequential_auc(y, score, **given).excluded_at(0.8) is not None,
            sequential_calibration(y, probability, **given).excluded_at(0.0) is not None,
        ]
    assert (missed / 60 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)).all()


def test_bad_input_is_said():
    for y, words in (([1, 2], "1 other"), (["x", "y"], "true/false"), ([[1, 0]], "one value")):
        with pytest.raises(InputError, match=words):
            sequential_rate(y, [1, 0], patient=[1, 2], rng=None)
    with pytest.raises(InputError, match="sensitivity, specificity"):
        sequential_rate([1, 0], [1, 0], patient=[1, 2], rng=None, rate="sens")
    with pytest.raises(InputError, match="one label for each"):
        sequential_rate([1, 0], [1, 0], patient=[1], rng=None)
    with pytest.raises(InputError, match="between 0 and 1"):
        sequential_calibration([1, 0], [1, 7], patient=[1, 2], rng=None)
    for probability, least, words in (([0.1, 1], 0.2, "1 outside"), ([1, 1], 0, "smallest"), ([1], 0.5, "shape")):
        with pytest.raises(InputError, match=words):
            sequential_rate([1, 0], [1, 0], patient=[1, 2], rng=None, verification=Verification(probability, least))
    nothing = sequential_rate([0, 0], [1, 0], patient=[1, 2], rng=None)
    assert nothing.note == codes.note("no_cases_of_class", outcome="present")
    assert isnan(nothing.last.value)
    assert "NE: no pairs; 2 cases not paired" in sequential_auc([0, 0], [1, 0], patient=[1, 2], rng=None).note


def test_twenty_thousand_cases_take_no_time():
    rng = np.random.default_rng(0)
    call = rng.random(20_000) < 0.9
    start = time.perf_counter()
    sequential_rate(np.ones(20_000), call, patient=np.arange(20_000), rng=rng)
    assert time.perf_counter() - start < 5  # 0.4 s on an idle core
