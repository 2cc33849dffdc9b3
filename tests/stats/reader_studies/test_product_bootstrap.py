"""Pooled reads beside a score: by hand, and against resampling written out read by read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.errors import InputError
from overread.stats.reader_studies import product_bootstrap

# Four cases of three patients (0 and 1 are of one patient): two present, two absent. Reader 0 reads all of them,
# reader 1 the first three.
TRUTH = np.array([1, 1, 0, 0], dtype=bool)
PATIENT = np.array([0, 0, 1, 2])
SCORE = np.array([0.9, 0.4, 0.6, 0.1])
READER = np.array([0, 0, 0, 0, 1, 1, 1])
CASE = np.array([0, 1, 2, 3, 0, 1, 2])
CALL = np.array([1, 0, 0, 0, 1, 1, 1], dtype=bool)


def made(truth=TRUTH, reader=READER, case=CASE, call=CALL, patient=PATIENT, **more):
    return product_bootstrap.pool(truth[case], call, reader=reader, case=case, patient=patient[case], **more)


def matched(p, score, rates, drawn):
    """The sensitivity at the specificities rates[:, 1], and the specificity at the sensitivities rates[:, 0]."""
    weight = product_bootstrap.cell_weights(p, drawn)
    found = product_bootstrap.matched_rates(p, score, weight, specificity=rates[:, 1:], sensitivity=rates[:, :1])
    return found[0][:, 0], found[1][:, 0]


@pytest.mark.slow
def test_by_hand():
    """Present reads: 4 (cases 0, 1 by both), 3 of them called; absent: 3 (case 2 twice, 3 once), 2 of them not.

    Model at 0.5: case 0 called, case 1 not: 2 of 4 present reads; case 2 called, by two reads of three absent: 1 of 3.
    At the readers' specificity 2/3, one absent read may be called: case 2 (two reads) may not, so the threshold is 0.9
    and the sensitivity 2/4. At the readers' sensitivity 3/4 both present cases must be called, so the threshold is 0.4
    and case 2 is called: 1 of 3.
    """
    p, everyone = made(), product_bootstrap.once(2, 3)
    rates = product_bootstrap.pooled_rates(p, everyone)
    assert rates[0].tolist() == [3 / 4, 2 / 3]
    weight = product_bootstrap.cell_weights(p, everyone)
    assert product_bootstrap.score_rates(p, [SCORE >= 0.5], weight)[0, 0].tolist() == pytest.approx([2 / 4, 1 / 3])
    found, back = matched(p, SCORE, rates, everyone)
    assert (found.tolist(), back.tolist()) == ([0.5], pytest.approx([1 / 3]))
    grid = {"specificity": [[0.0, 1.0, 1 / 3]], "sensitivity": [[1.0, 0.0, 0.5]]}
    found, back = product_bootstrap.matched_rates(p, SCORE, weight, **grid)
    assert (found.tolist(), back.tolist()) == ([[1.0, 0.5, 1.0]], [[pytest.approx(1 / 3), 1.0, 1.0]])


def test_a_replicate_by_hand():
    """Reader 1 twice, reader 0 never; patient 0 once, patient 1 twice, patient 2 never.

    Cases 0 and 1 weigh 2 each, case 2 weighs 4: called by reader 1 in all three, so sensitivity 1 and specificity 0.
    """
    drawn = product_bootstrap.ProductDraws(np.array([[0.0, 2.0]]), np.array([[1.0, 2.0, 0.0]]))
    assert product_bootstrap.pooled_rates(made(), drawn)[0].tolist() == [1.0, 0.0]
    assert product_bootstrap.cell_weights(made(), drawn)[0].tolist() == [2.0, 2.0, 4.0, 0.0]


def _written_out(drawn_readers, drawn_patients, truth, score, reader, case, call, patient):
    """The rows of a replicate, each read repeated as often as its reader and patient were drawn."""
    times = drawn_readers[reader] * drawn_patients[patient[case]]
    rows = np.repeat(np.arange(reader.size), times.astype(int))
    return truth[case][rows], call[rows], score[case][rows]


def _slow(y, call, score, alone):
    """alone: the scores that one case alone has, whose ties in a replicate are made by the drawing."""
    sensitivity = call[y].mean() if y.any() else np.nan
    specificity = (~call[~y]).mean() if (~y).any() else np.nan
    if not y.any() or y.all():
        return sensitivity, specificity, np.nan, np.nan
    best = [0.0 if end in alone else np.nan for end in (score.max(), score.min())]
    for threshold in np.unique(score):
        called = score >= threshold
        if (~called[~y]).mean() >= specificity - 1e-12:
            best[0] = np.fmax(best[0], called[y].mean())
        if called[y].mean() >= sensitivity - 1e-12 and not called.all():
            best[1] = np.fmax(best[1], (~called[~y]).mean())
    if (score[y] > score.min()).mean() >= sensitivity - 1e-12:
        best[1] = np.fmax(best[1], 0.0)
    if sensitivity == 0:
        best[1] = 1.0
    return sensitivity, specificity, *best


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_product_bootstrap_is_resampling_read_by_read(seed):
    """Readers and patients drawn independently, the matched threshold chosen anew: the definition written out."""
    rng = np.random.default_rng(seed)
    n_cases, n_readers = int(rng.integers(4, 25)), int(rng.integers(1, 5))
    patient = np.sort(rng.integers(0, max(n_cases // 2, 1), n_cases))
    patient = np.unique(patient, return_inverse=True)[1]
    truth = rng.random(n_cases) < 0.5
    score = rng.integers(0, 6, n_cases) / 5  # ties
    reader, case = (a.ravel() for a in np.meshgrid(np.arange(n_readers), np.arange(n_cases)))
    kept = rng.random(reader.size) < 0.7
    kept[0] = True
    reader, case = np.r_[reader[kept], reader[0]], np.r_[case[kept], case[0]]  # one case read twice
    call = rng.random(reader.size) < 0.3 + 0.4 * truth[case]
    p = made(truth, reader, case, call, patient, shape=(n_readers, patient.max() + 1))
    drawn = product_bootstrap.product_draws(n_readers, patient.max() + 1, rng=rng, replicates=20)
    rates = product_bootstrap.pooled_rates(p, drawn)
    fast = np.column_stack([rates, *matched(p, score, rates, drawn)])
    levels, held = np.unique(score[np.unique(case)], return_counts=True)
    for b in range(20):
        rows = _written_out(drawn.readers[b], drawn.patients[b], truth, score, reader, case, call, patient)
        assert fast[b].tolist() == pytest.approx(list(_slow(*rows, levels[held == 1])), nan_ok=True, abs=1e-12)


def test_order_and_monotone_transforms_change_nothing():
    drawn = product_bootstrap.product_draws(2, 3, rng=np.random.default_rng(4), replicates=50)
    rates = np.full((50, 2), 2 / 3)
    straight = [m.tolist() for m in matched(made(), SCORE, rates, drawn)]
    turned = np.random.default_rng(0).permutation(READER.size)
    other = made(reader=READER[turned], case=CASE[turned], call=CALL[turned])
    for p, score in ((made(), np.exp(3 * SCORE)), (other, SCORE)):
        for again, first in zip(matched(p, score, rates, drawn), straight, strict=True):
            assert again.tolist() == pytest.approx(first, nan_ok=True)


def test_turning_truth_and_score_round_swaps_the_two_rates():
    drawn = product_bootstrap.product_draws(2, 3, rng=np.random.default_rng(5), replicates=50)
    rates = np.random.default_rng(6).random((50, 2))
    found, back = matched(made(), SCORE, rates, drawn)
    turned = made(truth=~TRUTH, call=~CALL)
    found_turned, back_turned = matched(turned, -SCORE, rates[:, ::-1], drawn)
    assert found_turned.tolist() == pytest.approx(back.tolist(), nan_ok=True)
    assert back_turned.tolist() == pytest.approx(found.tolist(), nan_ok=True)


def test_a_weight_of_two_is_a_case_twice():
    heavy = made(weights=np.array([1, 1, 2, 1, 1, 1, 2]))
    twice = made(reader=np.r_[READER, 0, 1], case=np.r_[CASE, 2, 2], call=np.r_[CALL, False, True])
    everyone = product_bootstrap.once(2, 3)
    assert (
        product_bootstrap.pooled_rates(heavy, everyone).tolist()
        == product_bootstrap.pooled_rates(twice, everyone).tolist()
    )
    wanted = np.array([[0.6, 0.4]])
    assert matched(heavy, SCORE, wanted, everyone) == matched(twice, SCORE, wanted, everyone)


def test_a_case_may_have_a_truth_per_reader():
    """Against the majority of the others a case may be present for one reader and absent for another: two cells."""
    p = product_bootstrap.pool([1, 0], [1, 1], reader=[0, 1], case=[0, 0], patient=[0, 0])
    assert p.truth.tolist() == [False, True]
    assert product_bootstrap.pooled_rates(p, product_bootstrap.once(2, 1))[0].tolist() == [1.0, 0.0]


def test_one_class_has_no_rate_for_the_other():
    p = product_bootstrap.pool([1, 1], [1, 0], reader=[0, 0], case=[0, 1], patient=[0, 1])
    rates = product_bootstrap.pooled_rates(p, product_bootstrap.once(1, 2))
    assert rates[0, 0] == 0.5
    assert np.isnan(rates[0, 1])
    assert np.isnan(matched(p, [0.1, 0.2], np.array([[0.9, 0.9]]), product_bootstrap.once(1, 2))).all()
    nowhere = product_bootstrap.matched_rates(
        made(),
        SCORE,
        product_bootstrap.cell_weights(made(), product_bootstrap.once(2, 3)),
        specificity=[[np.nan]],
        sensitivity=[[np.nan]],
    )
    assert np.isnan(nowhere).all()


def test_bad_input_is_said():
    with pytest.raises(InputError, match="every case of one patient"):
        product_bootstrap.pool([1, 1], [1, 0], reader=[0, 1], case=[0, 0], patient=[0, 1])
    with pytest.raises(InputError, match="true/false or 1/0"):
        product_bootstrap.pool([1, 2], [1, 0], reader=[0, 1], case=[0, 1], patient=[0, 1])
    with pytest.raises(InputError, match="rates for each of 1 replicates"):
        matched(made(), SCORE, np.array([[0.5, 0.5], [0.5, 0.5]]), product_bootstrap.once(2, 3))
    with pytest.raises(InputError, match="1 NaN or infinite"):
        matched(made(), np.array([0.1, np.nan, 0.2, 0.3]), np.array([[0.5, 0.5]]), product_bootstrap.once(2, 3))
    with pytest.raises(InputError, match="at least 1"):
        product_bootstrap.product_draws(2, 3, rng=np.random.default_rng(0), replicates=0)


@pytest.mark.slow
def test_the_interval_covers_with_random_readers_and_patients():
    """Ten readers and eighty patients drawn anew: the model's sensitivity at matched specificity minus the pool's."""
    rng, covered, n_studies = np.random.default_rng(11), 0, 300
    n_patients, n_readers = 80, 10
    truth_of = np.repeat([True, False], n_patients // 2)
    reader, case = (a.ravel() for a in np.meshgrid(np.arange(n_readers), np.arange(n_patients), indexing="ij"))

    def study(rng, patients):
        truth = np.repeat([True, False], patients // 2)
        hard = rng.normal(size=patients)
        score = 1.6 * truth + 0.6 * hard + 0.8 * rng.normal(size=patients)
        bias = 0.35 * rng.normal(size=n_readers)
        latent = 1.6 * truth + 0.6 * hard + 0.8 * rng.normal(size=(n_readers, patients)) + bias[:, None]
        return truth, score, latent > 0.9

    def difference(p, score, drawn):
        rates = product_bootstrap.pooled_rates(p, drawn)
        return matched(p, score, rates, drawn)[0] - rates[:, 0]

    values = []
    for _ in range(400):
        truth, score, calls = study(rng, n_patients)
        p = product_bootstrap.pool(truth[case], calls.ravel(), reader=reader, case=case, patient=case)
        values.append(difference(p, score, product_bootstrap.once(n_readers, n_patients))[0])
    target = float(np.mean(values))
    for _ in range(n_studies):
        truth, score, calls = study(rng, n_patients)
        p = product_bootstrap.pool(truth_of[case], calls.ravel(), reader=reader, case=case, patient=case)
        drawn = product_bootstrap.product_draws(n_readers, n_patients, rng=rng, replicates=300)
        low, high = np.nanquantile(difference(p, score, drawn), [0.025, 0.975])
        covered += low <= target <= high
    assert covered / n_studies >= 0.93
