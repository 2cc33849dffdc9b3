from __future__ import annotations

import json
from math import exp, log
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import codes
from overread.errors import InputError
from overread.stats.agreement import RatePrior, dawid_skene, majority

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "adjudication"
CASES = {c["id"]: c for c in json.loads((REFERENCE / "expected.json").read_text())["cases"]}
NOT_OFFERED = {"staple_binary"}  # votes on pixels are not what overread reads
PAPER = ["dawid_skene_1979_anaesthetists", "dawid_skene_1979_variant_patient7"]


def compare(fit, want, tolerance):
    limit = {"rtol": 0, "atol": tolerance["abs"]}
    assert fit.converged
    assert fit.classes.tolist() == want["classes"]
    assert fit.iterations == want["iterations"]
    assert fit.winner.tolist() == want["map_label"]
    np.testing.assert_allclose(fit.prevalence, want["prevalence"], **limit)
    np.testing.assert_allclose(fit.posterior, want["posterior"], **limit)
    np.testing.assert_allclose(fit.confusion, [want["confusion"][r] for r in want["raters"]], **limit)
    np.testing.assert_allclose(fit.log_likelihood, want["log_likelihood"], **limit)


def test_no_reference_case_is_left_out():
    assert {"tiny_majority", "crowd_dawid_skene", *PAPER} | NOT_OFFERED == set(CASES)


def test_crowd_as_in_another_program():
    case = CASES["crowd_dawid_skene"]
    want = case["expected"]
    data = pl.read_csv(REFERENCE / case["data"]).pivot("rater", index="item", values="label").sort("item")
    votes = data.select(want["raters"]).to_numpy()
    fit = dawid_skene(votes, reader=want["raters"])
    assert data["item"].to_list() == want["items"]
    assert fit.readers.tolist() == want["raters"]
    compare(fit, want, case["tolerance"])
    truth = pl.read_csv(REFERENCE / "crowd_truth.csv")["truth"].to_numpy()
    assert (fit.winner == truth).mean() == want["accuracy_vs_truth"]
    counted = majority(votes)
    for row, item in zip(counted.counts, want["items"], strict=True):
        assert counted.classes[row == row.max()].tolist() == want["majority"][item]
    assert want["crowdkit_max_abs_posterior_diff"] < 1e-6
    assert set(want) == {
        "accuracy_vs_truth",
        "classes",
        "confusion",
        "crowdkit_max_abs_posterior_diff",
        "items",
        "iterations",
        "log_likelihood",
        "majority",
        "map_label",
        "posterior",
        "prevalence",
        "raters",
    }


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_s_anaesthetists(name, shared):
    """Observer 1 saw each patient three times: three columns of one reader."""
    want = CASES[name]["expected"]
    data = pl.read_csv(shared("reference/09_adjudication/dawid_skene_1979.csv"))
    column = pl.concat_str("rater", "replicate", separator=".").alias("column")
    table = data.with_columns(column).pivot("column", index="item", values="label").sort("item")
    columns = [c for c in table.columns if c != "item"]
    votes = table.select(columns).to_numpy().astype(float)
    if "change" in want:
        votes[6, [columns.index(f"1.{i}") for i in (1, 2, 3)]] = [1, 2, 2]
    fit = dawid_skene(votes, reader=[c.split(".")[0] for c in columns])
    assert fit.readers.tolist() == want["raters"]
    assert [str(i) for i in table["item"]] == want["items"]
    compare(fit, want, CASES[name]["tolerance"])
    if "published" in want:
        np.testing.assert_allclose(fit.prevalence, want["published"]["prevalence"], atol=0.005)


def test_one_step_by_hand():
    votes = [[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 0, 1]]
    # Shares of the votes for 1: 1, 2/3, 0, 1/3, so a prevalence of 1/2. Of the two expected present cases reader A
    # (and B) calls cases 0 and 1: sensitivity (1 + 2/3)/2 = 5/6; reader C calls 0 and 3: (1 + 1/3)/2 = 2/3.
    # By symmetry the specificities are the same.
    odds = [(5 / 6 / (1 / 6)) ** 2 * 2, (5 / 6 / (1 / 6)) ** 2 / 2]  # present against absent for cases 0 and 1
    fit = dawid_skene(votes, max_iterations=1)
    want = [odds[0] / (1 + odds[0]), odds[1] / (1 + odds[1])]
    np.testing.assert_allclose(fit.posterior[:, 1], [*want, 1 - want[0], 1 - want[1]], rtol=1e-12)
    assert not fit.converged
    assert fit.note.startswith("not converged after 1 iteration")


def twin(votes, steps):
    """EM as the paper writes it, vote by vote."""
    n, k = len(votes), 2
    t = [[row.count(c) / sum(v == v for v in row) for c in range(k)] for row in votes]
    for step in range(steps + 1):
        prior = [sum(t[i][c] for i in range(n)) / n for c in range(k)]
        error = {}
        for r in range(len(votes[0])):
            for c in range(k):
                seen = [(t[i][c], votes[i][r]) for i in range(n) if votes[i][r] == votes[i][r]]
                total = sum(w for w, _ in seen)
                for vote in range(k):
                    error[r, c, vote] = sum(w for w, v in seen if v == vote) / total if total else 0.0
        if step == steps:
            break
        for i in range(n):
            joint = []
            for c in range(k):
                product = prior[c]
                for r, vote in enumerate(votes[i]):
                    if vote == vote:
                        product *= error[r, c, vote]
                joint.append(product)
            t[i] = [j / sum(joint) for j in joint]
    return t, prior, error


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=4, max_size=4), min_size=3, max_size=10).map(
        lambda rows: [r for r in rows if any(v == v for v in r)] + [[0.0, 1.0, 1.0, 0.0]]
    )
)
def test_as_the_slow_twin(votes):
    fit = dawid_skene(votes, classes=[0, 1], max_iterations=5)
    posterior, prior, error = twin(votes, fit.iterations)
    np.testing.assert_allclose(fit.posterior, posterior, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fit.prevalence, prior, rtol=1e-9, atol=1e-12)
    for (r, c, vote), value in error.items():
        if fit.expected_cases[r, c] > 0:
            assert fit.confusion[r, c, vote] == pytest.approx(value, rel=1e-9, abs=1e-12)
        else:
            assert np.isnan(fit.confusion[r, c, vote])


def simulated(rng, n, sensitivity, specificity, prevalence=0.3, reads=None):
    present = rng.random(n) < prevalence
    right = rng.random((n, len(sensitivity))) < np.where(present[:, None], sensitivity, specificity)
    votes = np.where(right, present[:, None], ~present[:, None]).astype(float)
    if reads:
        for row in votes:
            row[rng.permutation(row.size)[reads:]] = np.nan
    return present, votes


def test_likelihood_never_falls_and_is_the_sum_over_classes():
    _, votes = simulated(np.random.default_rng(1), 60, np.array([0.9, 0.7, 0.8]), np.array([0.8, 0.9, 0.7]))
    climbed = [dawid_skene(votes, max_iterations=i).log_likelihood for i in range(1, 30)]
    assert (np.diff(climbed) > -1e-10).all()
    fit = dawid_skene(votes)

    def likelihood(row, c):
        return exp(log(fit.prevalence[c]) + sum(log(fit.confusion[r, c, int(v)]) for r, v in enumerate(row)))

    by_case = [log(likelihood(row, 0) + likelihood(row, 1)) for row in votes]
    assert fit.log_likelihood == pytest.approx(sum(by_case), rel=1e-12)


@pytest.mark.slow
def test_order_of_readers_and_cases_and_names_of_classes_do_not_matter():
    rng = np.random.default_rng(2)
    _, votes = simulated(rng, 80, np.array([0.9, 0.7, 0.8, 0.6]), np.array([0.8, 0.9, 0.7, 0.8]), reads=3)
    fit, order, rows = dawid_skene(votes), rng.permutation(4), rng.permutation(80)
    other = dawid_skene(votes[rows][:, order])
    np.testing.assert_allclose(other.posterior, fit.posterior[rows], atol=1e-9)
    np.testing.assert_allclose(other.sensitivity, fit.sensitivity[order], atol=1e-9)
    turned = dawid_skene(1 - votes)
    np.testing.assert_allclose(turned.posterior, fit.posterior[:, ::-1], atol=1e-9)
    np.testing.assert_allclose(turned.specificity, fit.sensitivity, atol=1e-9)


def test_columns_of_one_reader_are_one_reader():
    _, votes = simulated(np.random.default_rng(3), 50, np.full(4, 0.8), np.full(4, 0.9))
    fit = dawid_skene(votes, reader=["b", "a", "b", "c"])
    assert fit.readers.tolist() == ["a", "b", "c"]
    assert fit.expected_cases.sum(axis=1).tolist() == pytest.approx([50, 100, 50])
    assert fit.note == ""


def test_readers_rates_are_found_again_by_many_cases():
    sensitivity, specificity = np.array([0.9, 0.7, 0.8, 0.6, 0.85]), np.array([0.8, 0.9, 0.95, 0.75, 0.7])
    present, votes = simulated(np.random.default_rng(4), 20_000, sensitivity, specificity)
    fit = dawid_skene(votes, tolerance=1e-8)
    np.testing.assert_allclose(fit.sensitivity, sensitivity, atol=0.02)  # three standard errors of the worst
    np.testing.assert_allclose(fit.specificity, specificity, atol=0.02)
    assert fit.prevalence[1] == pytest.approx(0.3, abs=0.015)
    counted = majority(votes)
    assert (fit.winner == present).mean() > (counted.winner == present).mean()


@pytest.mark.slow
def test_calibration_of_the_posterior_with_few_reads_of_each_case():
    """Among cases with a posterior near p a share of p is present; over 40 studies, three reads of 21 readers."""
    rng, near, present = np.random.default_rng(5), [], []
    for _ in range(40):
        sensitivity, specificity = rng.uniform(0.7, 0.9, 21), rng.uniform(0.8, 0.95, 21)
        truth, votes = simulated(rng, 1000, sensitivity, specificity, reads=3)
        fit = dawid_skene(votes, tolerance=1e-8)
        near.append(fit.posterior[:, 1])
        present.append(truth)
    posterior, truth = np.concatenate(near), np.concatenate(present)
    assert truth.mean() == pytest.approx(posterior.mean(), abs=0.02)
    assert truth[posterior > 0.9].mean() > 0.9
    assert truth[posterior < 0.1].mean() < 0.1


def test_what_votes_cannot_tell_is_nan_and_said():
    votes = np.array([[1, 1, 1, np.nan, np.nan], [1, 1, 0, np.nan, np.nan], [0, 0, 0, 0, np.nan]] * 3)
    fit = dawid_skene(votes)
    assert np.isnan(fit.confusion[3, 1]).all()  # read cases that nobody called present
    assert np.isnan(fit.confusion[4]).all()
    assert "1 reader without a vote" in fit.note
    assert "1 reader with less than one expected case of a class" in fit.note
    assert np.isfinite(fit.sensitivity[:3]).all()


def test_cases_without_a_vote_stay_and_are_counted():
    fit = dawid_skene([[1, 1, 1], [np.nan] * 3, [0, 0, 0], [0, 0, 1]])
    assert np.isnan(fit.posterior[1]).all()
    assert np.isnan(fit.winner[1])
    assert "1 case without a vote" in fit.note


def test_no_vote_one_class_two_readers():
    nothing = dawid_skene([[np.nan, np.nan]], classes=[0, 1])
    assert (nothing.note, nothing.converged) == (codes.note("no_votes"), False)
    assert np.isnan(nothing.posterior).all()
    assert np.isnan(dawid_skene([[np.nan]]).winner).all()
    one = dawid_skene([[0, 0, 0], [0, 0, 0]])
    assert one.note.startswith(codes.note("single_class"))
    assert not one.identified
    assert one.posterior.tolist() == [[1], [1]]
    both = dawid_skene([[0, 0, 0], [0, 0, 0]], classes=[0, 1])
    assert both.specificity.tolist() == [1, 1, 1]
    assert np.isnan(both.sensitivity).all()
    assert "no case in class 1" in both.note
    assert "no case has votes of three readers" in dawid_skene([[0, 1], [1, 1], [0, 0]]).note


def test_a_class_that_others_name_is_said():
    # Class 1 is voted by a minority that always loses, class 2 only where the others say 0.
    votes = np.array([[0, 0, 2], [0, 0, 2], [0, 2, 0], [1, 1, 1], [0, 0, 0], [0, 0, 2], [2, 0, 0], [1, 1, 0]])
    fit = dawid_skene(votes)
    pooled = np.einsum("rk,rkv->kv", fit.expected_cases, np.nan_to_num(fit.confusion))
    moved = [c for c in range(3) if pooled[c].any() and pooled[c].argmax() != c]
    assert moved
    assert f"most votes on cases of class {', '.join(map(str, moved))} are for another class" in fit.note


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"reader": ["a", "b"]}, "reader"),
        ({"tolerance": 0}, "a tolerance above 0"),
        ({"max_iterations": 0}, "at least 1 iteration"),
        ({"classes": [0]}, "votes for other classes"),
    ],
)
def test_bad_input_is_refused_in_words(keywords, said):
    with pytest.raises(InputError, match=said):
        dawid_skene([[0, 1, 1], [0, 0, 1]], **keywords)


def test_rates_of_readers_need_two_classes():
    with pytest.raises(InputError, match="two classes"):
        _ = dawid_skene([[0, 1, 2], [1, 1, 2]]).sensitivity


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.3, 0.9))
def test_the_best_of_two_starts_is_never_less_likely_than_the_paper_s(seed, read):
    rng = np.random.default_rng(seed)
    votes = (rng.random((40, 6)) < 0.3).astype(float)
    votes[rng.random(votes.shape) > read] = np.nan
    plain = dawid_skene(votes, classes=[0, 1], tolerance=1e-9)
    best = dawid_skene(votes, classes=[0, 1], tolerance=1e-9, start="best")
    assert best.log_likelihood >= plain.log_likelihood - 1e-9
    apart = best.log_likelihood > plain.log_likelihood + 1e-6 * abs(plain.log_likelihood)
    assert ("depends on the starting values" in best.note) or not apart


@pytest.mark.slow
def test_readers_of_few_cases_trap_the_paper_s_start(shared):
    """Pneumothorax in ChestX-ray14 by 21 radiologists: 40 random starts found nothing above -353.294."""
    reads = pl.read_csv(shared("real/readers/individual_readers.csv.gz"), infer_schema_length=0)
    scored = pl.read_csv(shared("real/predictions/truth.csv.gz"), infer_schema_length=0)["Image Index"]
    reads = reads.filter(pl.col("Image ID").is_in(scored.to_list())).unique(
        ["Image ID", "Reader ID"], keep="first", maintain_order=True
    )
    called = reads.with_columns((pl.col("Pneumothorax") == "YES").cast(pl.Float64).alias("call"))
    votes = called.pivot("Reader ID", index="Image ID", values="call").drop("Image ID").to_numpy()
    plain, best = (dawid_skene(votes, classes=[0, 1], start=s) for s in ("shares", "best"))
    assert (plain.log_likelihood, best.log_likelihood) == pytest.approx((-365.318, -353.294), abs=5e-4)
    assert best.prevalence[1] == pytest.approx(0.1048, abs=5e-5)
    assert "log likelihood -353.29, from others -365.32" in best.note


def test_a_start_that_is_none():
    with pytest.raises(InputError, match="start: expected one of shares, best"):
        dawid_skene([[1, 0, 1]], start="random")


def blocks_of_votes(n, seed, present=0.65, single=True):
    """R1-R7 read three each of the first half of the cases and call nobody (or hardly anybody) present; R8-R10 read
    all of the second half, in which most are present."""
    rng, votes = np.random.default_rng(seed), np.full((n, 10), np.nan)
    for i in range(n // 2):
        votes[i, rng.permutation(7)[:3]] = 0 if single else rng.random(3) < 0.02
    truth = rng.random(n - n // 2) < present
    votes[n // 2 :, 7:] = rng.random((n - n // 2, 3)) < np.where(truth, 0.9, 0.1)[:, None]
    return votes


def unanimous(votes):
    return np.nanmin(votes, axis=1) == np.nanmax(votes, axis=1)


def test_a_likelier_solution_that_overrules_unanimous_cases_is_not_identified():
    """Sensitivity 0 of R1-R7 has likelihood 1 on their cases whatever the prevalence, which then fits R8-R10 alone."""
    votes = blocks_of_votes(2_000, 1)
    fit = dawid_skene(votes, classes=[0, 1], start="best")
    overruled = unanimous(votes) & (fit.winner != np.nanmax(votes, axis=1))
    assert overruled[:1000].all()  # every case of R1-R7 is called present, though nobody called it so
    assert fit.sensitivity[:7].tolist() == [0.0] * 7
    assert not fit.identified
    for said in (
        "readers with one answer only gave 50% of the votes: 0, 1, 2, 3, 4, 5, 6",
        "2 blocks of readers read nearly disjoint cases",
        f"overrules {overruled.sum():,} of {unanimous(votes).sum():,} cases in which all of three or more readers",
    ):
        assert said in fit.reasons


def test_cases_all_of_which_are_unanimous_as_in_a_large_study():
    """15,000 cases in which all three readers agree; a common prevalence lies between those of the two blocks."""
    rng, votes = np.random.default_rng(2), np.full((15_000, 10), np.nan)
    votes[:7000, 7:] = rng.random((7000, 1)) < 0.9
    for row in votes[7000:]:
        row[rng.permutation(7)[:3]] = 0
    fit = dawid_skene(votes, classes=[0, 1], start="best")
    assert unanimous(votes).all()
    assert not fit.identified
    assert "readers with one answer only" in fit.reasons


def test_poor_local_maximum_of_the_paper_s_start_is_not_called_converged():
    votes = blocks_of_votes(2_000, 1, present=0.3)
    plain, best = (dawid_skene(votes, classes=[0, 1], start=s) for s in ("shares", "best"))
    assert best.log_likelihood > plain.log_likelihood + 100
    assert not plain.converged
    assert f"log likelihood {best.log_likelihood:.2f}, from others {plain.log_likelihood:.2f}" in plain.note
    assert best.converged


def test_blocks_with_different_shares_are_a_reason_and_equal_shares_are_none():
    rng = np.random.default_rng(4)
    rates = np.full(3, 0.85), np.full(3, 0.9)
    halves = [simulated(rng, 600, *rates, prevalence=p)[1] for p in (0.1, 0.4, 0.4)]

    def design(first, second):
        votes = np.full((1200, 6), np.nan)
        votes[:600, :3], votes[600:, 3:] = first, second
        return votes

    apart, alike = (dawid_skene(design(a, b), start="best") for a, b in ((halves[0], halves[1]), halves[1:]))
    assert apart.reasons.startswith("2 blocks of readers read nearly disjoint cases")
    assert alike.identified, alike.reasons


def test_two_readers_and_few_common_cases_are_reasons():
    rng = np.random.default_rng(5)
    _, votes = simulated(rng, 200, np.full(5, 0.85), np.full(5, 0.9))
    assert dawid_skene(votes, start="best").identified
    two = np.where(np.arange(5) < 2, votes, np.nan)
    assert "0% of the cases have votes of three readers" in dawid_skene(two).reasons
    few = votes.copy()
    few[5:, 4] = np.nan
    few[5:100, :3] = np.nan  # the fifth reader shares five cases with the others, of 5 votes in all: too few to matter
    assert "fewer than 10" not in dawid_skene(few).reasons
    apart = np.full((400, 7), np.nan)
    apart[:200, :5] = votes
    apart[200:, 5:] = votes[:, :2]  # two readers with 400 of 1,400 votes read cases that nobody else read
    assert "fewer than 10 cases in common with two other readers: 5, 6" in dawid_skene(apart, start="best").reasons


def test_a_reader_with_reversed_answers_is_named():
    rng = np.random.default_rng(6)
    _, votes = simulated(rng, 400, np.full(5, 0.85), np.full(5, 0.9))
    votes[:, 3] = 1 - votes[:, 3]
    reasons = dawid_skene(votes, start="best").reasons
    assert reasons == "sensitivity + specificity below 1, as if labels were switched: 3"


def test_two_maxima_are_given_with_their_log_likelihoods(shared):
    """The paper's own data have a second maximum, 0.21 above the published one, with three patients elsewhere."""
    data = pl.read_csv(shared("reference/09_adjudication/dawid_skene_1979.csv"))
    column = pl.concat_str("rater", "replicate", separator=".").alias("column")
    table = data.with_columns(column).pivot("column", index="item", values="label").sort("item")
    columns = [c for c in table.columns if c != "item"]
    votes = table.select(columns).to_numpy().astype(float)
    fit = dawid_skene(votes, reader=[c.split(".")[0] for c in columns])
    assert fit.converged
    assert not fit.identified
    assert "several maxima: log likelihood -190.52, and -190.73 with 7% of the cases in another class" in fit.reasons


def test_equal_patterns_of_votes_are_computed_once_without_changing_the_result(monkeypatch):
    from overread.stats.agreement import expectation_maximisation

    rng = np.random.default_rng(7)
    _, votes = simulated(rng, 300, np.array([0.9, 0.7, 0.8, 0.6]), np.array([0.8, 0.9, 0.7, 0.8]), reads=3)
    plain = dawid_skene(votes, start="best")
    monkeypatch.setattr(expectation_maximisation, "REPEATED", 1)
    once = dawid_skene(votes, start="best")
    assert once.iterations == plain.iterations
    np.testing.assert_allclose(once.posterior, plain.posterior, rtol=0, atol=1e-10)
    np.testing.assert_allclose(once.confusion, plain.confusion, rtol=0, atol=1e-10)
    assert once.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)


def test_one_step_with_priors_by_hand():
    """Shares 1, 2/3, 0, 1/3 of four cases: prevalence (2 + 1)/(4 + 1 + 2) with Beta(2, 3); sensitivity of reader A
    with Beta(4, 2): (5/3 + 3)/(2 + 4) = 7/9; specificity with a uniform prior 5/6 as without."""
    votes = [[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 0, 1]]
    prior = RatePrior(sensitivity=(4, 2), prevalence=(2, 3))
    fit = dawid_skene(votes, prior=prior, max_iterations=1)
    prevalence, sens, spec = 3 / 7, (7 / 9, 7 / 9, (4 / 3 + 3) / 6), (5 / 6, 5 / 6, 4 / 6)
    for row, p in zip(votes, fit.posterior[:, 1], strict=True):
        present = prevalence * np.prod([s if v else 1 - s for s, v in zip(sens, row, strict=True)])
        absent = (1 - prevalence) * np.prod([1 - s if v else s for s, v in zip(spec, row, strict=True)])
        assert p == pytest.approx(present / (present + absent), rel=1e-12)
    assert "posterior mode under Beta priors" in fit.note


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_a_uniform_prior_changes_nothing_and_a_strong_one_decides(seed):
    _, votes = simulated(np.random.default_rng(seed), 60, np.full(4, 0.8), np.full(4, 0.9))
    plain, uniform = (dawid_skene(votes, classes=[0, 1], tolerance=1e-9, prior=p) for p in (None, RatePrior()))
    np.testing.assert_allclose(uniform.posterior, plain.posterior, atol=1e-7)
    strong = dawid_skene(votes, classes=[0, 1], tolerance=1e-9, prior=RatePrior((9e6 + 1, 1e6 + 1), (8e6 + 1, 2e6 + 1)))
    np.testing.assert_allclose(strong.sensitivity, 0.9, atol=1e-4)
    np.testing.assert_allclose(strong.specificity, 0.8, atol=1e-4)


def test_a_prior_makes_a_reader_with_one_answer_no_reason():
    _, votes = simulated(np.random.default_rng(8), 300, np.full(4, 0.85), np.full(4, 0.9))
    votes[:, 3] = 0
    assert "readers with one answer only gave 25% of the votes: 3" in dawid_skene(votes, start="best").reasons
    fit = dawid_skene(votes, start="best", prior=RatePrior((4, 2), (4, 2)))
    assert fit.identified
    assert 0 < fit.sensitivity[3] < 0.1


@pytest.mark.parametrize("given", [(0.5, 1), (1,), (np.inf, 1), (np.nan, 1)])
def test_a_prior_without_a_mode_is_refused(given):
    with pytest.raises(InputError, match="two finite numbers of at least 1"):
        RatePrior(sensitivity=given)
    with pytest.raises(InputError, match="two classes"):
        dawid_skene([[0, 1, 2], [1, 1, 2]], prior=RatePrior())


@pytest.mark.slow
def test_rates_common_to_the_readers_of_a_block_are_found_again():
    """One sensitivity and specificity of three exchangeable readers: `reader` names the block, not the reader."""
    _, votes = simulated(np.random.default_rng(9), 5_000, np.full(3, 0.8), np.full(3, 0.9))
    fit = dawid_skene(votes, reader=["block"] * 3, tolerance=1e-9)
    assert fit.identified
    assert fit.sensitivity[0] == pytest.approx(0.8, abs=0.02)
    assert fit.specificity[0] == pytest.approx(0.9, abs=0.02)


@pytest.mark.slow
def test_sound_designs_are_rarely_refused():
    """Of 60 random studies with three of eight readers for each of 500 cases at most three are refused."""
    refused = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sens, spec = rng.uniform(0.7, 0.9, 8), rng.uniform(0.8, 0.95, 8)
        _, votes = simulated(rng, 500, sens, spec, reads=3)
        refused += not dawid_skene(votes, classes=[0, 1], start="best", tolerance=1e-8).identified
    assert refused <= 3
