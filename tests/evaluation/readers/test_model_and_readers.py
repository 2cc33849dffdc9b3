"""A model beside readers: numbers by hand on four read cases, and a simulated study of two arms at two hospitals."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from arms import arm_tables
from scipy.special import expit
from sklearn.metrics import f1_score, roc_auc_score

from overread import evaluation as ev
from overread import tables
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.reference_standards import OTHERS
from overread.evaluation.readers import reader_points, reader_tests
from overread.evaluation.readers.pairwise_f1 import averages, threshold_of_rate
from overread.simulation import simulated_readers as simulated
from overread.stats import rates, roc
from overread.stats.multiplicity import holm
from overread.stats.reader_studies import mrmc

pytestmark = pytest.mark.slow

MAIN = "uncertain=ignore;uncertain_call=absent"
SPEC90 = "operating_point=spec90"
FAVOURED = "made from these readers' own reads"


def one(frame, **equals):
    found = frame.filter(**{"at": "", "contrast": "", "policy": MAIN, **equals})
    assert found.height == 1, (equals, found.height)
    return found.row(0, named=True)


def value(frame, **equals):
    return one(frame, **equals)["estimate"]


def small(weight=None, hypotheses=("H2",), more=()):
    """Four read cases a-d of three patients (truth 1 1 0 0, scores .9 .4 .6 .1), and thirty that nobody read.

    r0 reads all four and calls a; r1 reads a, b and c and calls all three. The unread thirty score .8 where present and
    .7 where absent, so that the threshold of 90 % specificity lies above .7 and the model calls a alone.
    """
    unread = [f"u{k}" for k in range(30)]
    images = pl.DataFrame({"image_id": ["a", "b", "c", "d", *unread], "patient_id": ["p0", "p0", "p1", "p2", *unread]})
    present = [1, 1, 0, 0] + [1, 0] * 15
    score = [0.9, 0.4, 0.6, 0.1] + [0.8, 0.7] * 15
    labels = pl.DataFrame(
        {
            "case_id": images["image_id"],
            "finding": "pneumothorax",
            "source": "own",
            "state": ["present" if p else "absent" for p in present],
        }
    )
    predictions = pl.DataFrame(
        {"image_id": images["image_id"], "finding": "pneumothorax", "model": "acme", "score": score}
    )
    said = [
        ("r0", "a", 1),
        ("r0", "b", 0),
        ("r0", "c", 0),
        ("r0", "d", 0),
        ("r1", "a", 1),
        ("r1", "b", 1),
        ("r1", "c", 1),
        *more,
    ]
    reads = pl.DataFrame(
        [(r, c, "pneumothorax", "unaided", "present" if s else "absent") for r, c, s in said],
        schema=["reader", "case_id", "finding", "arm", "call"],
        orient="row",
    )
    config = EvaluationConfig(
        replicates=100, specificities=(0.9,), sensitivities=(), subgroups=(), hypotheses=hypotheses
    )
    images = images.with_columns(site=pl.lit(""))
    if weight is not None:
        images = images.with_columns(weight=pl.Series([*weight, *[1.0] * 30]))
    return ev.evaluate(images, labels, predictions, config, rng=np.random.default_rng(0), reads=reads)


@pytest.fixture(scope="module")
def by_hand():
    return small()


def test_sampling_weights_reach_the_rates_and_are_said_where_they_have_no_place():
    """Case b weighs 3: of present reads a counts 1 + 1 and b 3 + 3, called are a twice and b once: 5 of 8.

    The model calls a alone: 2 of 8; its AUC: a beats c and d, b beats d: 2 x 3 + 6 x 1 of 8 x 3.
    """
    e = small([1.0, 3.0, 1.0, 1.0]).estimates
    of = {"analysis": "readers", "finding": "pneumothorax", "reference": "own"}
    assert value(e, metric="sensitivity", rater="(readers)", **of) == pytest.approx(5 / 8)
    assert value(e, metric="sensitivity", rater="r0", **of) == pytest.approx(1 / 4)
    assert value(e, metric="sensitivity", rater="acme", at=SPEC90, **of) == pytest.approx(2 / 8)
    assert value(e, metric="auc", rater="acme", **of) == pytest.approx(12 / 24)
    test = one(e, metric="sensitivity_difference", at=f"{SPEC90};test=u-statistic", contrast="rater:(readers)", **of)
    assert "no provision for sampling weights" in test["note"]
    agreement = one(e, analysis="agreement", metric="percent_agreement", rater="(readers)")
    assert "sampling weights are not used" in agreement["note"]


def test_points_pooled_and_matched_by_hand(by_hand):
    """The numbers of tests/stats/test_pooled.py, and the model at its frozen threshold: it calls a alone."""
    of = {"analysis": "readers", "finding": "pneumothorax", "reference": "own"}
    e = by_hand.estimates
    assert value(e, metric="sensitivity", rater="r0", **of) == 0.5
    assert value(e, metric="specificity", rater="r0", **of) == 1.0
    assert value(e, metric="sensitivity", rater="r1", **of) == 1.0
    assert value(e, metric="specificity", rater="r1", **of) == 0.0
    assert value(e, metric="sensitivity", rater="(readers)", **of) == 3 / 4
    assert value(e, metric="specificity", rater="(readers)", **of) == pytest.approx(2 / 3)
    assert value(e, metric="sensitivity", rater="acme", at=SPEC90, **of) == 0.5
    assert value(e, metric="specificity", rater="acme", at=SPEC90, **of) == 1.0
    against = {"rater": "acme", "contrast": "rater:(readers)", **of}
    assert value(e, metric="sensitivity_difference", at=SPEC90, **against) == -0.25
    assert value(e, metric="specificity_difference", at=SPEC90, **against) == pytest.approx(1 / 3)
    assert value(e, metric="sensitivity_at_specificity", rater="acme", at="specificity=readers", **of) == 0.5
    assert value(e, metric="sensitivity_difference", at="specificity=readers", **against) == -0.25
    back = value(e, metric="specificity_at_sensitivity", rater="acme", at="sensitivity=readers", **of)
    assert back == pytest.approx(1 / 3)
    row = one(e, metric="sensitivity", rater="acme", at=SPEC90, **of)
    assert "fitted in 30 patients whose cases were not read, with own as reference standard" in row["note"]
    assert (row["subgroup"], row["level"], row["arm"], row["n_readers"]) == ("read", "unaided", "model", 2)
    assert (row["n_present"], row["n_absent"], row["n_patients"]) == (2, 2, 3)


def test_the_area_and_the_curve_weigh_a_case_by_its_reads(by_hand):
    """Present a, b weigh 2 each, absent c 2 and d 1: a beats both (6), b beats d (2), of 4 x 3 pairs."""
    made = value(by_hand.estimates, analysis="readers", metric="auc", rater="acme", reference="own")
    assert made == pytest.approx(8 / 12)
    curve = by_hand.curves.filter(curve="roc", subgroup="read", reference="own").sort("order")
    assert (curve["y"][0], curve["y"][1], curve["y"][-1], curve["level"][0]) == (0.0, 0.5, 1.0, "unaided")
    x, y = curve["x"].to_numpy(), curve["y"].to_numpy()
    assert np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) == pytest.approx(made)
    assert curve.filter((pl.col("x") - 0.7).abs() < 1e-9)["y"].item() == 1.0


def test_few_reads_are_a_point_without_an_interval(by_hand):
    row = one(by_hand.estimates, analysis="readers", metric="sensitivity", rater="r0", reference="own")
    assert np.isnan(row["low"])
    assert "no CI: 2 present and 2 absent reads (at least 10 of the class required)" in row["note"]
    below = one(by_hand.estimates, metric="readers_below_curve", at="cases=read", reference="own")
    assert np.isnan(below["estimate"])
    assert below["n_readers"] == 0
    assert "excluded, fewer than 10 present or absent reads: 2 readers" in below["note"]
    pooled = one(by_hand.estimates, analysis="readers", metric="sensitivity", rater="(readers)", reference="own")
    assert "no CI: 1 patient in the smaller class" in pooled["note"]


def test_against_the_majority_of_the_others_by_hand():
    """Two more readers call a and b, and not c. By the others of each reader a and b are present and c is absent; d has
    one other reader at most.

    r0 calls a: 1 of 2 present, 1 of 1 absent. r1 calls a, b, c: 2 of 2 and 0 of 1. Pooled: 7 of 8 and 3 of 4. The
    model, which calls a: on the cases of r0 1 of 2; pooled 4 of 8 and 4 of 4.
    """
    of = {"analysis": "readers", "reference": OTHERS}
    e = small(more=[(r, c, int(c != "c")) for r in ("r2", "r3") for c in "abc"]).estimates
    assert value(e, metric="sensitivity", rater="r0", **of) == 0.5
    assert value(e, metric="specificity", rater="r0", **of) == 1.0
    assert value(e, metric="sensitivity", rater="r1", **of) == 1.0
    assert value(e, metric="specificity", rater="r1", **of) == 0.0
    assert value(e, metric="sensitivity", rater="(readers)", **of) == pytest.approx(7 / 8)
    assert value(e, metric="specificity", rater="(readers)", **of) == pytest.approx(3 / 4)
    assert value(e, metric="sensitivity", rater="acme", at=SPEC90, **of) == 0.5
    assert value(e, metric="specificity", rater="acme", at=SPEC90, **of) == 1.0
    model = {"rater": "acme", "at": f"{SPEC90};others=r0", **of}
    assert value(e, metric="sensitivity", **model) == 0.5
    assert value(e, metric="specificity", **(model | {"at": f"{SPEC90};others=r1"})) == 1.0


def test_readers_without_a_case_of_the_class_are_not_counted_in_a_rate():
    """r2 reads d alone, which is absent."""
    e = small(more=[("r2", "d", 1)]).estimates
    of = {"analysis": "readers", "reference": "own", "rater": "(readers)"}
    numbers = [one(e, metric=m, **of)["n_readers"] for m in ("sensitivity", "specificity")]
    test = {**of, "rater": "acme", "contrast": "rater:(readers)", "at": f"{SPEC90};test=u-statistic"}
    numbers += [one(e, metric=f"{m}_difference", **test)["n_readers"] for m in ("sensitivity", "specificity")]
    assert numbers == [2, 3, 2, 3]


def test_one_other_reader_is_no_majority_of_the_others(by_hand):
    assert by_hand.estimates.filter(reference=OTHERS).is_empty()
    few = "pneumothorax: fewer than two votes of other readers"
    assert by_hand.account.filter(pl.col("reason").str.starts_with(few))["count"].item() == 7


def test_agreement_by_hand(by_hand):
    """Both read a, b, c and agree on a. With the model, which calls a: a twice, b once, c once, d: 5 of 7 reads."""
    of = {"analysis": "agreement", "metric": "percent_agreement", "rater": "(readers)"}
    assert value(by_hand.estimates, **of) == pytest.approx(1 / 3)
    assert value(by_hand.estimates, at=f"{SPEC90};with=acme", **of) == pytest.approx(5 / 7)


THIRD = [("r2", "a", 1), ("r2", "b", 0), ("r2", "c", 1), ("r2", "d", 0)]


@pytest.fixture(scope="module")
def of_three():
    return small(more=THIRD)


def test_references_side_by_side_by_hand(of_three):
    """By the votes of three readers a and c are present and b and d absent; they give no Dawid-Skene."""
    rows = of_three.estimates.filter(analysis="H2", metric="auc")
    assert rows["reference"].to_list() == ["own", "majority"]
    assert rows["n_cases"].unique().to_list() == [4]
    assert rows["estimate"].to_list() == [0.75, 1.0]
    verdict = of_three.verdicts.filter(hypothesis="H2").row(0, named=True)
    assert verdict["verdict"] == "cannot tell"
    assert "there is no external site" in verdict["reason"]
    assert "under another reference standard" in verdict["claim"]


def test_two_readers_make_no_majority_and_nothing_is_set_beside_one_reference(by_hand):
    rows = by_hand.estimates.filter(reference="majority")
    assert rows["estimate"].is_nan().all()
    assert set(rows["note"]) == {"pneumothorax: no majority of the readers, because no case has the votes of 3 readers"}
    assert by_hand.estimates.filter(analysis="H2").is_empty()
    assert by_hand.account.filter(pl.col("reason").str.contains("no majority of the readers"))["count"].to_list() == [1]
    assert "Reference standard: own." in by_hand.notes


def test_what_the_readers_made_is_said_to_favour_them(of_three):
    notes = dict(of_three.estimates.filter(metric="auc", analysis="readers").select("reference", "note").rows())
    assert FAVOURED in notes["majority"]
    assert FAVOURED not in notes["own"]
    refused = of_three.estimates.filter(reference="dawid-skene", metric="sensitivity")
    assert refused["estimate"].is_nan().all()
    assert "the votes do not identify the model" in refused["note"].item()
    assert any(FAVOURED.replace("made", "Made") in n for n in of_three.notes)


def test_the_joined_table_holds_the_reads(by_hand):
    rows = by_hand.joined.filter(arm="unaided").sort("rater", "case_id")
    assert rows.select("rater", "case_id", "call", "truth").rows()[:2] == [
        ("r0", "a", "present", True),
        ("r0", "b", "absent", True),
    ]
    assert rows["source"].unique().to_list() == ["own"]


def test_pairwise_f1_by_hand(monkeypatch):
    """a: 1 1 0 0, b: 1 0 0 -, model: 1 1 1 0. F1(a, b) = 2/3, F1(a, model) = 4/5, F1(b, model) = 2/4."""
    monkeypatch.setattr("overread.evaluation.readers.pairwise_f1.SHARED", 1)
    calls = np.array([[1, 1, 0, 0], [1, 0, 0, np.nan], [1, 1, 1, 0]])
    drawn = np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 1.0, 1.0]])
    made = averages(calls, np.arange(4), drawn)
    pairs = np.array([2 / 3, 4 / 5, 2 / 4])
    expected = [pairs[:2].mean(), pairs[[0, 2]].mean(), pairs[1:].mean()]
    assert made.value.tolist() == pytest.approx(expected)
    assert made.draws[0].tolist() == pytest.approx(expected)
    # Case 0 twice, case 1 never: F1(a, b) = 4/4, F1(a, model) = 4/5, F1(b, model) = 4/5.
    assert made.draws[1].tolist() == pytest.approx([0.9, 0.9, 0.8])
    assert made.pairs.tolist() == [2, 2, 2]


def test_pairwise_f1_is_the_mean_of_f1_scores(reader_study):
    """Against scikit-learn, every rater with every other; and in draws against the same on repeated cases."""
    cases, words = _case_table(reader_study, "edema", "unaided", "call")
    model = _score(reader_study, cases, "edema") >= 0.6
    calls = np.vstack([words == "present", model[None]]).astype(float)

    def mean_f1(table):
        n = len(table)
        return [np.mean([f1_score(table[j], table[i]) for j in range(n) if j != i]) for i in range(n)]

    drawn = np.random.default_rng(3).multinomial(len(cases), np.full(len(cases), 1 / len(cases)), 3).astype(float)
    made = averages(calls, np.arange(len(cases)), drawn)
    assert made.value.tolist() == pytest.approx(mean_f1(calls))
    for row, times in zip(made.draws, drawn.astype(int), strict=True):
        assert row.tolist() == pytest.approx(mean_f1(np.repeat(calls, times, axis=1)))
    e = reader_study[4].estimates.filter(analysis="readers", finding="edema", level="unaided")
    at = {"at": SPEC90, "reference": ""}
    mine = value(e, metric="pairwise_f1", rater="acme", **at)
    theirs = value(e, metric="pairwise_f1", rater="(readers)", reference="", at=f"model=acme;{SPEC90}")
    gap = value(e, metric="pairwise_f1_difference", rater="acme", contrast="rater:(readers)", **at)
    assert gap == pytest.approx(mine - theirs)
    own = e.filter(pl.col("rater").str.starts_with("r"), metric="pairwise_f1", at=f"model=acme;{SPEC90}")
    assert own.height == 6
    assert own["estimate"].mean() == pytest.approx(theirs)


def test_pairs_that_share_little_are_left_out_and_counted():
    calls = np.vstack([np.tile([1.0, 0.0], 10), np.r_[np.ones(9), np.full(11, np.nan)], np.ones(20)])
    made = averages(calls, np.arange(20), np.ones((1, 20)))
    assert (made.pairs.tolist(), made.left_out) == ([1, 0, 1], 2)
    assert np.isnan(made.value[1])
    assert made.value[0] == pytest.approx(2 * 10 / (2 * 10 + 10))


def test_the_threshold_of_a_call_rate():
    score, weight = np.array([0.1, 0.4, 0.8, 0.8, np.nan]), np.array([1.0, 2.0, 1.0, 1.0, 3.0])
    assert threshold_of_rate(score, weight, 0.4) == 0.8
    assert threshold_of_rate(score, weight, 0.39) == np.inf
    assert threshold_of_rate(score, weight, 0.9) == 0.4


def test_a_point_below_the_curve():
    """The curve goes (0, .5), (.5, .5), (.5, 1), (1, 1): below it at 25 % false alarms is what is below .5."""
    truth, score = np.array([True, False, True, False]), np.array([4.0, 3.0, 2.0, 1.0])
    line = [reader_points.attained(truth, score, np.ones(4), x) for x in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert line == [0.5, 0.5, 1.0, 1.0, 1.0]
    assert reader_points.attained(truth, score, np.array([1.0, 1, 3, 1]), 0.0) == 0.25
    assert np.isnan(reader_points.attained(truth, score, np.array([1.0, 0, 1, 0]), 0.5))


SITES = {"here": 150, "there": 150}


@pytest.fixture(scope="module")
def reader_study():
    """Two hospitals, graded reads by six readers in two arms, a mapping, uncertain calls, patients nobody read."""
    rng = np.random.default_rng(7)
    site = np.repeat(list(SITES), list(SITES.values()))
    n = site.size
    image = [f"i{k:03d}" for k in range(n)]
    images = pl.DataFrame({"image_id": image, "patient_id": image, "site": site})
    present = {f: rng.random(n) < 0.45 for f in ("edema", "nodule", "mass")}
    severity = {f: np.where(p, rng.uniform(0.2, 0.9, n), 0.0) for f, p in present.items()}
    severity["lung_lesion"] = np.maximum(severity["nodule"], severity["mass"])
    states = {f: np.where(p, "present", "absent") for f, p in present.items()}
    wrong = {
        f: np.where(rng.random(n) < 0.15, np.where(s == "present", "absent", "present"), s) for f, s in states.items()
    }
    lesion = np.where(severity["lung_lesion"] > 0, "present", "absent")
    labels = [pl.DataFrame({"case_id": image, "finding": f, "source": "own", "state": s}) for f, s in wrong.items()]
    labels += [
        pl.DataFrame({"case_id": image, "finding": f, "source": "panel", "state": s})
        for f, s in (("edema", states["edema"]), ("lung_lesion", lesion))
    ]
    scores = pl.concat(
        [
            pl.DataFrame(
                {"image_id": image, "finding": f, "model": "acme", "score": expit(2 * s + rng.normal(size=n) - 1)}
            )
            for f, s in severity.items()
            if f != "lung_lesion"
        ]
    )
    read = [i for k, i in enumerate(image) if k % 150 < 100]  # the last fifty patients of each site are not read
    truth = pl.concat(
        [pl.DataFrame({"case_id": image, "finding": f, "severity": severity[f]}) for f in ("edema", "lung_lesion")]
    ).filter(pl.col("case_id").is_in(read))
    advice = truth.with_columns(score=pl.Series(expit(3 * truth["severity"].to_numpy() - 1)))
    who = [simulated.Reader(f"r{k}", 2.0 + 0.1 * k, 0.1 * (k - 2), unsure=0.15) for k in range(6)]
    reads = simulated.reads(truth, who, rng=rng, arms={"unaided": None, "aided:score": advice})
    config = EvaluationConfig(
        hypotheses=("H2",),
        replicates=200,
        specificities=(0.9,),
        sensitivities=(),
        subgroups=(),
        reference="own",
        external_sites=("there",),
        references=("own", "panel", "majority", "dawid-skene"),
        reader_made=(),
        mapping=({"finding": "lung_lesion", "from": ["nodule", "mass"], "name": "either", "whole": True},),
    )
    labels = tables.check(pl.concat(labels), "labels")
    e = ev.evaluate(images, labels, scores, config, rng=np.random.default_rng(1), reads=reads)
    return images, labels, scores, reads, e


def _case_table(study, finding, arm, column):
    """Readers by cases of an arm, in the order of the read cases."""
    _, _, _, reads, _ = study
    wide = reads.filter(finding=finding, arm=arm).pivot("case_id", index="reader", values=column).sort("reader")
    cases = sorted(c for c in wide.columns if c != "reader")
    return cases, wide.select(cases).to_numpy()


def _truth(study, finding, cases, source="panel"):
    state = dict(study[1].filter(finding=finding, source=source).select("case_id", "state").rows())
    return np.array([state[c] == "present" for c in cases])


def _score(study, cases, *findings):
    frames = [dict(study[2].filter(finding=f).select("image_id", "score").rows()) for f in findings]
    return np.array([max(f[c] for f in frames) for c in cases])


def test_graded_crossed_reads_are_compared_by_area(reader_study):
    cases, unaided = _case_table(reader_study, "edema", "unaided", "score")
    _, aided = _case_table(reader_study, "edema", "aided:score", "score")
    y, model = _truth(reader_study, "edema", cases), _score(reader_study, cases, "edema")
    patient = np.arange(len(cases))
    e = reader_study[4].estimates.filter(analysis="readers", finding="edema", reference="panel")
    expected = mrmc.model_against_readers(y, model, unaided, cluster=patient).difference
    row = one(
        e,
        metric="auc_difference",
        at="test=obuchowski-rockette",
        rater="acme",
        level="unaided",
        contrast="rater:(readers)",
    )
    assert (row["estimate"], row["low"], row["p"]) == pytest.approx((expected.value, expected.low, expected.p))
    expected = mrmc.compare_arms(y, [aided, unaided], cluster=patient).difference
    row = one(
        e,
        metric="auc_difference",
        rater="(readers)",
        arm="aided:score",
        contrast="arm:unaided",
        at="test=obuchowski-rockette",
    )
    assert (row["estimate"], row["low"], row["p"]) == pytest.approx((expected.value, expected.low, expected.p))


def _threshold(study):
    """That of 90 % specificity on the internal patients nobody read, under their own labels of nodule and mass."""
    unread = [f"i{k:03d}" for k in range(100, 150)]
    y = _truth(study, "nodule", unread, "own") | _truth(study, "mass", unread, "own")
    return rates.threshold_at(y, _score(study, unread, "nodule", "mass"), specificity=0.9).threshold


def test_grades_of_one_reader_have_a_difference_without_an_interval():
    """Ratings 1 to 4 of 24 cases; the AUCs by scikit-learn."""
    truth, names = [k % 2 for k in range(24)], [f"c{k}" for k in range(24)]
    score, rating = ([(7 * k * m + 3 * y * m) % 11 + 2.0 * y for k, y in enumerate(truth)] for m in (1, 2))
    long = {"finding": "pneumothorax", "case_id": names}
    images = pl.DataFrame({"image_id": names, "patient_id": names, "site": ""})
    states = ["present" if y else "absent" for y in truth]
    labels = pl.DataFrame({**long, "source": "own", "state": states})
    scores = pl.DataFrame({"image_id": names, "finding": "pneumothorax", "model": "acme", "score": score})
    reads = pl.DataFrame({**long, "reader": "r0", "arm": "unaided", "call": None, "score": rating}).cast(
        {"call": pl.String}
    )
    config = EvaluationConfig(replicates=100, subgroups=())
    found = ev.evaluate(images, labels, scores, config, rng=np.random.default_rng(0), reads=reads).estimates
    of = {"analysis": "readers", "reference": "own", "rater": "acme", "at": "test=obuchowski-rockette"}
    less = one(found, metric="auc_difference", contrast="rater:(readers)", **of)
    assert less["estimate"] == pytest.approx(roc_auc_score(truth, score) - roc_auc_score(truth, rating))
    assert np.isnan(less["low"])
    assert less["note"] == "no CI: one reader"
    assert one(found, metric="auc", **of)["low"] < roc_auc_score(truth, score)


def test_graded_reads_alone_give_areas_and_no_rates(reader_study):
    images, labels, scores, reads, _ = reader_study
    graded = reads.filter(finding="edema", arm="unaided").with_columns(call=pl.lit(None, dtype=pl.String))
    config = EvaluationConfig(
        hypotheses=("H2",),
        replicates=100,
        specificities=(0.9,),
        sensitivities=(),
        subgroups=(),
        reference="own",
        references=("panel", "majority"),
    )
    e = ev.evaluate(images, labels, scores, config, rng=np.random.default_rng(1), reads=graded)
    rows = e.estimates.filter(analysis="readers")
    assert set(rows["metric"]) == {"auc", "auc_difference"}
    cases, table = _case_table(reader_study, "edema", "unaided", "score")
    y = _truth(reader_study, "edema", cases)
    own = one(rows, metric="auc", rater="r3", arm="unaided")
    expected = roc.auc(y, table[3], cluster=np.arange(len(cases)))
    assert (own["estimate"], own["low"]) == pytest.approx((expected.value, expected.low))
    mean = one(rows, metric="auc", rater="(readers)", at="test=obuchowski-rockette")
    assert mean["estimate"] == pytest.approx(np.mean([roc.auc(y, s).value for s in table]))
    said = dict(e.account.select("reason", "count").rows())
    used = "graded reads without a call: used for the AUC and for agreement on grades"
    assert said[f"{used}; sensitivity and specificity need evaluation.rating_cutoffs"] == 6 * len(cases)
    assert not any("Product bootstrap" in note or "uncertain calls" in note for note in e.notes)


def test_calls_are_compared_by_u_statistics(reader_study):
    cases, words = _case_table(reader_study, "lung_lesion", "unaided", "call")
    _, aided = _case_table(reader_study, "lung_lesion", "aided:score", "call")
    calls, helped = (np.where(w == "present", 1.0, 0.0) for w in (words, aided))
    y, model = _truth(reader_study, "lung_lesion", cases), _score(reader_study, cases, "nodule", "mass")
    e = reader_study[4].estimates.filter(analysis="readers", finding="lung_lesion", reference="panel", policy=MAIN)
    called = (model >= _threshold(reader_study)).astype(float)
    patient = np.arange(len(cases))
    for metric in ("sensitivity", "specificity"):
        expected = mrmc.model_against_readers(
            y, called, calls, metric=metric, covariance="u-centred", cluster=patient
        ).difference
        row = one(
            e,
            metric=f"{metric}_difference",
            at=f"{SPEC90};test=u-statistic",
            rater="acme [either]",
            level="unaided",
            contrast="rater:(readers)",
        )
        assert (row["estimate"], row["p"]) == pytest.approx((expected.value, expected.p))
        family = reader_study[4].estimates.filter(family=row["family"])
        assert "model against unaided readers, panel, operating_point=spec90" in row["family"]
        assert family["p_adjusted"].to_list() == pytest.approx(list(holm(family["p"].to_list())))
        plain = one(
            e,
            metric=f"{metric}_difference",
            at=SPEC90,
            rater="acme [either]",
            level="unaided",
            contrast="rater:(readers)",
        )
        assert plain["estimate"] == pytest.approx(expected.value)
        assert 0.9 * expected.se < plain["se"] < 3**0.5 * expected.se  # the single read's error counts up to thrice
        arms = mrmc.compare_arms(y, [helped, calls], metric=metric, covariance="u-centred", cluster=patient).difference
        row = one(
            e,
            metric=f"{metric}_difference",
            at="test=u-statistic",
            rater="(readers)",
            arm="aided:score",
            contrast="arm:unaided",
        )
        assert (row["estimate"], row["p"]) == pytest.approx((arms.value, arms.p))


def test_a_reader_s_point_has_the_interval_of_the_library(reader_study):
    cases, words = _case_table(reader_study, "edema", "unaided", "call")
    y = _truth(reader_study, "edema", cases)
    made = rates.operating_point(y, words[2] == "present", cluster=np.arange(len(cases)))
    row = one(
        reader_study[4].estimates,
        analysis="readers",
        metric="sensitivity",
        finding="edema",
        rater="r2",
        arm="unaided",
        reference="panel",
        contrast="",
    )
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx(
        (made.sensitivity.value, made.sensitivity.low, made.sensitivity.high)
    )
    assert row["population"] == "all"
    assert "cases of 2 sites pooled" in row["note"]


def test_uncertain_calls_stand_side_by_side(reader_study):
    cases, words = _case_table(reader_study, "edema", "unaided", "call")
    y = _truth(reader_study, "edema", cases)
    e = reader_study[4].estimates.filter(
        analysis="readers",
        metric="sensitivity",
        finding="edema",
        level="unaided",
        rater="(readers)",
        reference="panel",
        at="",
    )
    found = {p.split("uncertain_call=")[1]: v for p, v in e.select("policy", "estimate").rows()}
    mine = words[:, y]
    assert found["absent"] == pytest.approx((mine == "present").mean())
    assert found["present"] == pytest.approx((mine != "absent").mean())
    assert found["ignore"] == pytest.approx((mine == "present").sum() / (mine != "uncertain").sum())


def test_the_drop_under_every_reference(reader_study):
    images, _, _, _, evidence = reader_study
    e = evidence.estimates.filter(analysis="H2", finding="edema", rater="acme")
    cases, _ = _case_table(reader_study, "edema", "unaided", "call")
    site = dict(images.select("image_id", "site").rows())
    here = np.array([site[c] == "here" for c in cases])
    area = {}
    for source in ("own", "panel"):
        y, score = _truth(reader_study, "edema", cases, source), _score(reader_study, cases, "edema")
        area[source] = [roc.auc(y[m], score[m]).value for m in (here, ~here)]
        values = e.filter(metric="auc", reference=source).sort("population", descending=True)
        if values["n_cases"].to_list() == [here.sum(), (~here).sum()]:  # no tie of the vote among them
            assert values["estimate"].to_list() == pytest.approx(area[source])
    drops = dict(e.filter(metric="auc_drop").select("reference", "estimate").rows())
    aucs = {(p, r): v for p, r, v in e.filter(metric="auc").select("population", "reference", "estimate").rows()}
    for r, drop in drops.items():
        assert drop == pytest.approx(aucs["internal", r] - aucs["external:there", r])
    row = e.filter(metric="auc_drop_difference", reference="own", contrast="reference:panel").row(0, named=True)
    assert row["estimate"] == pytest.approx(drops["own"] - drops["panel"])
    assert row["low"] < row["estimate"] < row["high"]
    mean = evidence.estimates.filter(analysis="H2", finding="(mean)", contrast="reference:panel").row(0, named=True)
    parts = evidence.estimates.filter(
        analysis="H2", metric="auc_drop_difference", reference="own", contrast="reference:panel"
    ).filter(pl.col("finding") != "(mean)")
    assert mean["estimate"] == pytest.approx(parts["estimate"].mean())
    assert evidence.verdicts.filter(hypothesis="H2")["verdict"].item() in ("cannot tell", "not supported", "supported")


def _edema(study, images=None, **options):
    """The study of edema alone, with what is changed."""
    frames = [
        images if images is not None else study[0],
        study[1].filter(finding="edema"),
        study[2].filter(finding="edema"),
    ]
    inner = {k: options.pop(k) for k in ("models", "tune") if k in options}
    if images is not None:
        frames[2] = frames[2].join(images.select("image_id"), on="image_id", how="semi")
    config = EvaluationConfig(
        hypotheses=("H2",),
        replicates=100,
        specificities=(0.9,),
        sensitivities=(),
        subgroups=(),
        reference="own",
        references=("panel",),
        **options,
    )
    reads = study[3].filter(finding="edema", arm="unaided")
    return ev.evaluate(*frames, config, rng=np.random.default_rng(1), reads=reads, **inner)


def _model_row(e):
    return one(e.estimates, analysis="readers", metric="sensitivity", rater="acme", at=SPEC90, reference="panel")


def test_thresholds_of_a_model_are_its_own(reader_study):
    record = {"training_sites": ["here"], "operating_points": {"edema": {"spec90": {"threshold": 0.55}}}}
    e = _edema(reader_study, models={"acme": record})
    cases, _ = _case_table(reader_study, "edema", "unaided", "call")
    y, score = _truth(reader_study, "edema", cases), _score(reader_study, cases, "edema")
    row = _model_row(e)
    assert row["estimate"] == pytest.approx((score[y] >= 0.55).mean())
    assert "threshold 0.55; threshold stored with the model" in row["note"]


def test_thresholds_from_tuning_cases(reader_study):
    """The patients nobody read as the tuning split: thresholds of all of them, both sites, are tested on the rest."""
    images = reader_study[0].with_columns(
        split=pl.when(pl.int_range(pl.len()) % 150 >= 100).then(pl.lit("tune")).otherwise(pl.lit("test"))
    )
    tune = images.filter(split="tune")["image_id"].to_list()
    y, score = _truth(reader_study, "edema", tune, "own"), _score(reader_study, tune, "edema")
    threshold = rates.threshold_at(y, score, specificity=0.9).threshold
    cases, _ = _case_table(reader_study, "edema", "unaided", "call")
    truth, mine = _truth(reader_study, "edema", cases), _score(reader_study, cases, "edema")
    row = _model_row(_edema(reader_study, images))
    assert row["estimate"] == pytest.approx((mine[truth] >= threshold).mean())
    assert "fitted on the tuning cases" in row["note"]


def test_where_every_patient_was_read_half_of_them_are_spent_on_thresholds(reader_study):
    """Readers and model are then both judged on the other half, so that the difference is on the same reads."""
    images = reader_study[0].filter(pl.int_range(pl.len()) % 150 < 100)
    subset = dict.fromkeys(("labels", "reads", "predictions"), 1.0)
    e = _edema(reader_study, images, external_sites=(), missing_allowed=subset)
    row = _model_row(e)
    assert "randomly chosen patients, as too few had unread cases" in row["note"]
    assert row["n_patients"] == 100
    whole = one(e.estimates, analysis="readers", metric="sensitivity", rater="(readers)", reference="panel")
    assert whole["n_patients"] == 200
    matched = one(e.estimates, metric="sensitivity_at_specificity", at="specificity=readers", reference="panel")
    assert matched["n_patients"] == 200
    other = e.estimates.filter(metric="sensitivity_difference", at=SPEC90, reference="panel").row(0, named=True)
    tested = set(images["image_id"]) - set(e.tuning_patients)
    cases, words = _case_table(reader_study, "edema", "unaided", "call")
    mine = np.array([c in tested for c in cases]) & _truth(reader_study, "edema", cases)
    assert other["estimate"] == pytest.approx(row["estimate"] - (words[:, mine] == "present").mean())


def test_predictive_values_are_nowhere_among_reads(reader_study):
    read = reader_study[4].estimates.filter(subgroup="read")
    assert not set(read["metric"]) & {"ppv", "npv", "prevalence"}


def test_without_reads_nothing_changes(reader_study):
    images, labels, scores, _, evidence = reader_study
    config = EvaluationConfig(
        replicates=200,
        specificities=(0.9,),
        sensitivities=(),
        subgroups=(),
        reference="own",
        external_sites=("there",),
    )
    alone = ev.evaluate(images, labels, scores, config, rng=np.random.default_rng(1))
    sources = pl.col("analysis") == "policies"  # label sources side by side: with reads that is H2
    assert evidence.estimates.filter(pl.col("subgroup") != "read").equals(
        alone.estimates.filter(~sources), null_equal=True
    )


def test_every_table_is_as_the_design_says(reader_study, by_hand, tmp_path):
    for e in (reader_study[4], by_hand):
        for name in ("estimates", "verdicts", "curves", "joined", "account"):
            tables.check(getattr(e, name), name)
    ev.write(by_hand, tmp_path)
    assert tables.read(tmp_path / "estimates.parquet", "estimates").equals(by_hand.estimates, null_equal=True)


def test_the_same_seed_gives_the_same_evidence(reader_study):
    images, labels, scores, reads, evidence = reader_study
    config = EvaluationConfig(
        hypotheses=("H2",),
        replicates=200,
        specificities=(0.9,),
        sensitivities=(),
        subgroups=(),
        reference="own",
        external_sites=("there",),
        references=("own", "panel", "majority", "dawid-skene"),
        mapping=({"finding": "lung_lesion", "from": ["nodule", "mass"], "name": "either", "whole": True},),
    )
    again = ev.evaluate(images, labels, scores, config, rng=np.random.default_rng(1), reads=reads)
    assert again.estimates.equals(evidence.estimates, null_equal=True)


def test_a_reader_without_reads_in_an_arm_is_named(reader_study):
    images, labels, scores, reads, _ = reader_study
    fewer = reads.filter(
        ~((pl.col("reader") == "r5") & (pl.col("arm") == "aided:score")) & (pl.col("finding") == "edema")
    )
    config = EvaluationConfig(
        hypotheses=("H2",),
        replicates=100,
        specificities=(0.9,),
        sensitivities=(),
        subgroups=(),
        reference="own",
        references=("panel",),
    )
    evidence = ev.evaluate(images, labels, scores, config, rng=np.random.default_rng(1), reads=fewer)
    e = evidence.estimates
    row = one(e, analysis="readers", metric="sensitivity", rater="r5", arm="aided:score", reference="panel")
    assert np.isnan(row["estimate"])
    assert row["note"] == "NE: no reads in arm aided:score"
    said = dict(evidence.account.select("reason", "count").rows())
    assert said["no read in arm aided:score"] == 1
    area = one(e, metric="auc_difference", rater="(readers)", contrast="arm:unaided", at="test=obuchowski-rockette")
    assert area["n_readers"] == 5
    assert area["low"] < area["estimate"] < area["high"]
    assert "readers with reads in only one of the arms: r5" in area["note"]
    arms = {"rater": "(readers)", "contrast": "arm:unaided", "at": "test=u-statistic", "reference": "panel"}
    assert np.isfinite(value(e, metric="sensitivity_difference", **arms))


def test_the_reference_page_lists_what_is_written(reader_study, by_hand):
    page = (Path(__file__).parents[3] / "docs/reference/estimates-readers.md").read_text(encoding="utf-8")
    cells = [
        [c.strip().strip("`") for c in line.split("|")[1:4]] for line in page.splitlines() if line.startswith("| ")
    ]
    kinds = {
        (analysis, metric, _kind(at)) for analysis, metric, at in cells if analysis in ("readers", "agreement", "H2")
    }
    (ratings, truth), (calls, _) = (
        arm_tables.simulated(calls=c) for c in (False, True)
    )  # both from the same random numbers
    sat = calls.select("reader", "case_id", "arm", round=1, seconds=pl.int_range(1, pl.len() + 1), trust=pl.lit(3.0))
    both = ratings.with_columns(calls["call"])
    arms = arm_tables.study(both, truth, margin=0.05, rating_cutoffs=3, sittings=sat)
    incomplete = arm_tables.study(ratings.head(-1), truth)
    every = [reader_study[4].estimates, by_hand.estimates, arms.estimates, incomplete.estimates]
    frame = pl.concat(every).filter(subgroup="read")
    written = {(a, m, _kind(at)) for a, m, at in frame.select("analysis", "metric", "at").unique().rows()}
    assert written == kinds


def _kind(at):
    """What `at` fixes, with the values that stand in for names left out."""
    fixed = ("specificity=readers", "sensitivity=readers", "call_rate=readers", "test=", "cases=")
    return tuple(p if p.startswith(fixed) else p.split("=")[0] for p in at.split(";"))


def test_a_difference_that_cannot_be_tested_makes_the_others_no_easier():
    place = {"level": "unaided", "reference": "panel", "at": "operating_point=spec90", "contrast": "rater:(readers)"}
    rows = [place | {"estimate": 0.1, "p": p} for p in (0.01, 0.03, np.nan)]
    rows.append(place | {"estimate": np.nan, "p": np.nan})  # no estimate: nothing was asked of it
    made = reader_tests._adjusted(rows)
    assert [r["p_adjusted"] for r in made[:2]] == pytest.approx(list(holm([0.01, 0.03, 1.0]))[:2])
    assert np.isnan(made[2]["p_adjusted"])
    assert made[0]["family"].endswith("3 tests")
    assert "family" not in made[3]


def test_a_verdict_on_the_reference_standard_is_given_only_if_it_is_asked_for(by_hand):
    unasked = small(hypotheses=())
    assert unasked.verdicts.is_empty()
    assert unasked.estimates.equals(by_hand.estimates, null_equal=True)
