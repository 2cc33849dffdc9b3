from __future__ import annotations

import json
from itertools import product
from math import isnan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, ttest_1samp, wilcoxon

from overread.errors import InputError
from overread.stats.reader_studies.paired_grades import sign_test, signed_rank, trust_difference

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "reading_time"
CASE = next(c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"] if c["id"] == "trust_wilcoxon")
DATA = np.genfromtxt(REFERENCE / "trust_paired.csv", delimiter=",", names=True)
GRADES = st.lists(st.integers(-4, 4), min_size=1, max_size=10)


def test_every_number_of_coin_and_exact_rank_tests():
    want, close, after, before = CASE["expected"], CASE["tolerance"], DATA["after"], DATA["before"]
    close = {"rel": close["rel"], "abs": close["abs"]}
    got = signed_rank(after, before)
    assert (got.n_pairs, got.n_pairs - got.n_zero) == (want["n"], want["n_nonzero"])
    assert (got.w_plus, got.w_minus) == (want["W_plus"], want["W_minus"])
    dropped, pratt = want["wilcoxon_zero_dropped"], want["pratt"]
    assert got.z == pytest.approx(dropped["z_no_cc"], **close)
    assert got.p == pytest.approx(dropped["p_exact_with_ties"], **close)
    assert got.p == pytest.approx(dropped["p_wilcox_exact_pkg"], **close)
    plain = signed_rank(after, before, method="asymptotic").p
    assert plain == pytest.approx(dropped["p_asymptotic_no_cc"], **close)
    assert plain == pytest.approx(dropped["p_wilcox_test_no_cc"], **close)
    assert signed_rank(after, before, method="corrected").p == pytest.approx(dropped["p_wilcox_test_cc"], **close)
    kept = signed_rank(after, before, zeros="pratt")
    assert (kept.z, kept.p) == pytest.approx((pratt["z_no_cc"], pratt["p_exact"]), **close)
    large = signed_rank(after, before, zeros="pratt", method="asymptotic")
    assert large.p == pytest.approx(pratt["p_asymptotic_no_cc"], **close)
    assert got.shift.value == pytest.approx(want["hodges_lehmann_walsh_median_nonzero"], **close)
    assert got.rank_biserial == pytest.approx(want["rank_biserial"], **close)
    sign = sign_test(after, before)
    assert (sign.positive, sign.negative) == (want["sign_test"]["pos"], want["sign_test"]["neg"])
    assert sign.share.p == pytest.approx(want["sign_test"]["p_exact"], **close)
    used = {"n", "n_nonzero", "W_plus", "W_minus", "wilcoxon_zero_dropped", "pratt", "sign_test"}
    assert set(want) == used | {"hodges_lehmann_walsh_median_nonzero", "rank_biserial"}


def test_by_hand():
    # Differences 1, 2, 0, 3, -1: ranks of 1, 1 are 1.5, of 2 is 3, of 3 is 4.
    got = signed_rank([4, 5, 3, 5, 4], [3, 3, 3, 2, 5])
    assert (got.w_plus, got.w_minus, got.n_zero) == (1.5 + 3 + 4, 1.5, 1)
    # Of 16 patterns of signs the negative sum is at most 1.5 in: none, one 1.5, the other: 3 of 16.
    assert got.p == 2 * 3 / 16
    assert got.rank_biserial == (8.5 - 1.5) / 10
    # Walsh averages of 1, 2, 3, -1: -1 0 .5 1 1 1 1.5 2 2 2.5 3 -> ten of them: -1, 0, .5, 1, 1, 1.5, 2, 2, 2.5, 3
    assert got.shift.value == (1 + 1.5) / 2
    assert "confidence level of 95%" in got.shift.note
    # With Pratt the zero has rank 1: 2.5, 4, 5 positive, 2.5 negative.
    pratt = signed_rank([4, 5, 3, 5, 4], [3, 3, 3, 2, 5], zeros="pratt")
    assert (pratt.w_plus, pratt.w_minus) == (11.5, 2.5)
    sign = sign_test([4, 5, 3, 5, 4], [3, 3, 3, 2, 5])
    assert (sign.positive, sign.negative, sign.zero, sign.share.value) == (3, 1, 1, 0.75)
    assert sign.share.p == 2 * (1 + 4) / 16


@pytest.mark.slow
@given(d=GRADES, zeros=st.sampled_from(["drop", "pratt"]))
@settings(max_examples=60, deadline=None)
def test_slow_twin_over_all_signs(d, zeros):
    d = np.array(d, dtype=float)
    assume(d.any())
    used = d[d != 0] if zeros == "drop" else d
    ranks = rankdata(np.abs(used))[used != 0]
    plus = ranks[used[used != 0] > 0].sum()
    sums = np.array([np.dot(ranks, signs) for signs in product((0, 1), repeat=len(ranks))])
    middle = ranks.sum() / 2
    got = signed_rank(d, zeros=zeros)
    assert got.p == pytest.approx(np.mean(np.abs(sums - middle) >= abs(plus - middle) - 1e-9), rel=1e-12)
    assert got.z == pytest.approx((plus - middle) / sums.std())
    walsh = [(used[i] + used[j]) / 2 for i in range(len(used)) for j in range(i + 1)]
    assert got.shift.value == np.median(walsh)


@pytest.mark.slow
@given(d=st.lists(st.floats(-3, 3).filter(lambda v: abs(v) > 1e-6), min_size=6, max_size=30))
@settings(max_examples=40, deadline=None)
def test_scipy_and_the_interval_as_the_shifts_that_are_not_rejected(d):
    d = np.round(d, 6)
    assume(np.unique(np.abs(d)).size == d.size)
    got = signed_rank(d)
    assert got.p == pytest.approx(wilcoxon(d, method="exact").pvalue, rel=1e-9)
    gap = np.diff(np.unique([(a + b) / 2 for a in d for b in d])).min() / 4
    assume(gap > 1e-5)
    shifts = {
        got.shift.low + gap: True,
        got.shift.high - gap: True,
        got.shift.low - gap: False,
        got.shift.high + gap: False,
    }
    for shift, inside in shifts.items():
        assert (signed_rank(d - shift).p > 0.05) == inside


@given(d=GRADES)
@settings(max_examples=40, deadline=None)
def test_swapping_negates_and_order_does_not_matter(d):
    d = np.array(d, dtype=float)
    assume(d.any())
    one, two, other = signed_rank(d), signed_rank(-d), signed_rank(d[::-1])
    assert (two.w_plus, two.w_minus, two.p) == (one.w_minus, one.w_plus, one.p)
    assert (two.z, two.rank_biserial, two.shift.value) == pytest.approx((-one.z, -one.rank_biserial, -one.shift.value))
    assert (other.w_plus, other.p, other.shift.value) == pytest.approx((one.w_plus, one.p, one.shift.value))
    a, b = sign_test(d), sign_test(-d)
    assert (a.positive, a.zero, a.share.p) == (b.negative, b.zero, b.share.p)


def test_many_differences_are_judged_by_the_normal_law():
    rng = np.random.default_rng(1)
    d = rng.normal(0.1, 1, size=300).round(1)
    got = signed_rank(d)
    assert "asymptotic" in got.method
    assert got.p == pytest.approx(signed_rank(d, method="exact").p, rel=0.02)
    assert got.shift.low < got.shift.value < got.shift.high
    few = signed_rank(d[:200])
    assert "exact" in few.method


def grades(rng, *, readers=6, cases=15, effect=0.0, by_arm=0.6):
    r, c, a = (z.ravel() for z in np.meshgrid(range(readers), range(cases), range(2), indexing="ij"))
    latent = 3 + effect * a + 0.5 * rng.normal(size=readers)[r] + by_arm * rng.normal(size=(readers, 2))[r, a]
    latent += 0.4 * rng.normal(size=cases)[c] + 0.6 * rng.normal(size=r.size)
    return np.clip(np.rint(latent), 1, 5), {"arm": np.where(a, "aided", "unaided"), "reader": r, "case": c}


@pytest.mark.parametrize("summary", ["mean", "net"])
@pytest.mark.parametrize("paired", [True, False])
def test_slow_twin_over_readers(summary, paired):
    rng = np.random.default_rng(5)
    trust, columns = grades(rng, effect=0.4)
    keep = rng.random(trust.size) < 0.8
    trust, columns = trust[keep], {key: value[keep] for key, value in columns.items()}
    reader, case, arm = columns["reader"], columns["case"], columns["arm"]
    got = trust_difference(trust, **(columns if paired else {"arm": arm, "reader": reader}), summary=summary)
    numbers = []
    for k in range(6):
        of = {
            a: dict(zip(case[(reader == k) & (arm == a)], trust[(reader == k) & (arm == a)], strict=True))
            for a in set(arm)
        }
        if paired:
            steps = [of["aided"][c] - of["unaided"][c] for c in of["aided"] if c in of["unaided"]]
            numbers.append(np.mean(steps if summary == "mean" else np.sign(steps)))
        elif summary == "mean":
            numbers.append(np.mean(list(of["aided"].values())) - np.mean(list(of["unaided"].values())))
        else:
            numbers.append(np.mean([np.sign(u - v) for u in of["aided"].values() for v in of["unaided"].values()]))
    np.testing.assert_allclose(got.per_reader, numbers, atol=1e-9)
    assert got.mean.p == pytest.approx(ttest_1samp(numbers, 0).pvalue)
    assert got.rank.p == signed_rank(numbers).p
    assert got.readers == tuple("012345")
    assert got.arms == ("aided", "unaided")


def test_only_the_order_of_grades_enters_the_net_share():
    trust, columns = grades(np.random.default_rng(2), effect=0.5)
    stretched = trust_difference(trust**3, **columns, summary="net")
    plain = trust_difference(trust, **columns, summary="net")
    np.testing.assert_array_equal(stretched.per_reader, plain.per_reader)
    assert not np.array_equal(
        trust_difference(trust**3, **columns).per_reader, trust_difference(trust, **columns).per_reader
    )


@pytest.mark.slow
def test_many_cases_of_few_readers_make_no_small_p():
    """No effect, six readers who take to the aid each in their way: share of p < 0.05, by reader and read by read."""
    rng, by_reader, by_read = np.random.default_rng(3), 0, 0
    for _ in range(400):
        trust, columns = grades(rng, cases=60)
        by_reader += trust_difference(trust, **columns).rank.p < 0.05
        by_read += signed_rank(trust[1::2], trust[::2], method="asymptotic").p < 0.05
    assert by_reader / 400 < 0.06  # 2/64 is the only p below 0.05 that six readers can reach
    assert by_read / 400 > 0.5
    trust, columns = grades(rng, readers=5, cases=400, effect=3)
    sure = trust_difference(trust, **columns).rank
    assert sure.p == 2 / 2**5
    assert "0.062" in sure.note


def test_bad_input_is_said():
    with pytest.raises(InputError, match="1 NaN"):
        signed_rank([1, np.nan], [1, 2])
    with pytest.raises(InputError, match="shape"):
        sign_test([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="pratt"):
        signed_rank([1, 2], [1, 2], zeros="prat")
    with pytest.raises(InputError, match="exact"):
        signed_rank([1, 2], [1, 3], method="exat")
    with pytest.raises(InputError, match="two arms"):
        trust_difference([1, 2], arm=["aided", "aided"], reader=[1, 2])
    with pytest.raises(InputError, match="mean, net"):
        trust_difference([1, 2], arm=["aided", "unaided"], reader=[1, 1], summary="median")
    nothing = signed_rank([1, 2], [1, 2])
    assert isnan(nothing.p)
    assert "all differences are 0" in nothing.note
    assert isnan(sign_test([1.0], [1.0]).share.p)
    one = trust_difference([3, 4], arm=["unaided", "aided"], reader=[1, 1])
    assert isnan(one.mean.p)
    assert "1 reader read in both arms" in one.mean.note
    none = trust_difference([3, 4], arm=["unaided", "aided"], reader=[1, 2])
    assert none.per_reader.size == 0
    assert isnan(none.rank.p)
