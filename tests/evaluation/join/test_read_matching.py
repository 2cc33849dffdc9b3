"""Reads: files as people have them, the reads' part of the join, and its account."""

import numpy as np
import polars as pl
import pytest
from checked_join import join_tables

from overread import evaluation as ev
from overread import tables
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join import layouts, read_layouts

FOUR = "Patient ID,Image ID,Reader ID,Fracture,Pneumothorax,Airspace opacity,Nodule/mass,Set ID\n"


def write(path, text):
    path.write_text(text)
    return path


def test_four_findings_reads_as_they_are(tmp_path):
    path = write(tmp_path / "reads.csv", FOUR + "13,a.png,429,NO,YES,,HEDGE,test\n13,a.png,429,NO,NO,YES,NO,test\n")
    made = read_layouts.reads(path)
    assert made.unused == ("Patient ID", "Set ID")
    assert sorted(made.frame.select("finding", "round", "call", "reader", "case_id", "arm").rows()) == [
        ("fracture", 1, "absent", "429", "a.png", "unaided"),
        ("fracture", 2, "absent", "429", "a.png", "unaided"),
        ("lung_lesion", 1, "uncertain", "429", "a.png", "unaided"),
        ("lung_lesion", 2, "absent", "429", "a.png", "unaided"),
        ("lung_opacity", 2, "present", "429", "a.png", "unaided"),
        ("pneumothorax", 1, "present", "429", "a.png", "unaided"),
        ("pneumothorax", 2, "absent", "429", "a.png", "unaided"),
    ]


def test_four_findings_labels_as_they_are(tmp_path):
    path = write(tmp_path / "t.csv", "Image Index,Pneumothorax,Nodule or mass,Set Id\na.png,YES,NO,test\n")
    assert layouts.labels(path, source="adjudicated").frame.rows() == [
        ("a.png", "pneumothorax", "adjudicated", "present"),
        ("a.png", "lung_lesion", "adjudicated", "absent"),
    ]


def test_graded_reads_are_scores_in_every_column_of_numbers(tmp_path):
    """A column that happens to hold 0 and 1 only is graded too where another column of the file is."""
    path = write(tmp_path / "r.csv", "case_id,reader,arm,Edema,Mass\nc1,r1,aided,80,1\nc2,r1,aided,5,0\n")
    frame = read_layouts.reads(path).frame
    assert frame["call"].is_null().all()
    assert sorted(frame.select("case_id", "finding", "score", "arm").rows()) == [
        ("c1", "edema", 80.0, "aided"),
        ("c1", "mass", 1.0, "aided"),
        ("c2", "edema", 5.0, "aided"),
        ("c2", "mass", 0.0, "aided"),
    ]


def test_numbers_one_zero_and_minus_one_are_calls(tmp_path):
    path = write(tmp_path / "r.csv", "case_id,reader,round,Edema\nc1,r1,2,1.0\nc2,r1,1,-1\n")
    frame = read_layouts.reads(path).frame
    assert frame.select("case_id", "round", "call").rows() == [("c1", 2, "present"), ("c2", 1, "uncertain")]


def test_long_reads_pass_through_and_repeats_are_counted(tmp_path):
    for key in ("case_id", "image_id"):
        text = f"reader,{key},finding,call\nr1,1,edema,present\nr1,1,edema,absent\n"
        frame = read_layouts.reads(write(tmp_path / "r.csv", text)).frame
    assert frame.select("arm", "round", "call").rows() == [("unaided", 1, "present"), ("unaided", 2, "absent")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Image ID,Edema\n1,YES\n1,NO\n",
            r"a column that names the reader .*found no such column, and 2 rows of cases",
        ),
        ("Image ID,Readr ID,Edema\n1,r,YES\n", r"Did you mean 'reader id'\?"),
        ("Reader ID,Edema\nr,YES\n", "a case or an image per row"),
        ("Image ID,Reader ID,Efusion\n1,r,YES\n", r"found 'Efusion'. Did you mean 'Effusion'\?"),
        ("Image ID,Reader ID,Edema\n1,,YES\n", "a value in every row of 'reader'; found 1 row"),
        (
            "Image ID,Reader ID,Edema\n1,r,maybe\n",
            r"YES, NO, HEDGE, true, false or nothing .* found 1 other values \(maybe in edema",
        ),
        ("Image ID,Reader ID,Edema\n1,r,80\n1,s,YES\n", r"calls or grades in a .* \(80 in edema, YES in edema\)"),
        ("case_id,reader,arm,round,finding,call\n1,r,x,1,edema,present\n1,r,x,1,edema,absent\n", "one row per reader"),
        ("case_id,finding,call\n1,edema,present\n1,edema,absent\n", r"names the reader.* \(1 edema\)"),
    ],
)
def test_bad_files_are_said(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_layouts.reads(write(tmp_path / "r.csv", text))


def study(reads, labels=None, images=None, **config):
    """Six images of five patients, one model; reads as (reader, case, finding, call) or with more columns."""
    images = images or [(f"c{k}", f"p{min(k, 5)}", "") for k in range(1, 7)]
    frame = pl.DataFrame(images, schema=["image_id", "patient_id", "split"], orient="row")
    frame = frame.with_columns(site=pl.lit(""))
    states = labels or [(f"c{k}", "pneumothorax", "own", "present" if k < 3 else "absent") for k in range(1, 7)]
    truth = pl.DataFrame(states, schema=["case_id", "finding", "source", "state"], orient="row")
    predictions = pl.DataFrame(
        {
            "image_id": frame["image_id"],
            "finding": "pneumothorax",
            "model": "acme",
            "score": [0.9, 0.4, 0.6, 0.2, 0.1, 0.3],
        }
    )
    columns = ["reader", "case_id", "finding", "call", "round", "arm", "score"]
    rows = [(*r, *[1, "unaided", None][len(r) - 4 :]) for r in reads]
    given = pl.DataFrame(
        rows,
        schema=dict.fromkeys(columns[:4], pl.String) | {"round": pl.Int32, "arm": pl.String, "score": pl.Float64},
        orient="row",
    )
    return join_tables(frame, tables.check(truth, "labels"), predictions, EvaluationConfig(**config), reads=given)


def account(joined):
    return {(u, r): n for u, r, n in joined.reads.account.select("unit", "reason", "count").rows()}


def test_what_is_left_out_is_counted():
    reads = [
        ("r1", "c1", "pneumothorax", "present"),
        ("r2", "c1", "pneumothorax", "absent"),
        ("r1", "c2", "pneumothorax", "uncertain"),
        ("r1", "c2", "pneumothorax", "present", 2),
        ("r1", "c9", "pneumothorax", "present"),
        ("r1", "c1", "fracture", "absent"),
    ]
    made = account(study(reads, missing_allowed={"reads": 0.2}))
    assert made["reads", "reads: not in the images table (20% of 5)"] == 1
    assert (
        made[
            "reads",
            "a further reading of a case by the same reader in the same arm: used for intra-reader agreement only",
        ]
        == 1
    )
    assert made["findings", "read, but not scored by any model: evaluated for the readers only"] == 1
    assert made["reads", "pneumothorax: uncertain calls, taken as absent (alternatives are shown beside it)"] == 1
    assert made["cases", "without a read"] == 4
    few = "pneumothorax: no majority of the readers, because no case has the votes of 3 readers"
    assert made["reference standards", few] == 1
    assert not any("read, but not labelled by majority" in reason for _, reason in made)
    assert made["cases", "fracture: read, but not labelled by own"] == 1
    few = "pneumothorax: fewer than two votes of other readers, excluded from the comparison with the other readers"
    assert made["reads", few] == 3
    few = "pneumothorax, unaided, own: fewer than 10 present or absent reads, no interval of the rate among them"
    assert made["readers", few] == 2


def test_ties_and_single_votes_have_no_majority_and_are_counted():
    """c1 has three votes, c2 a tie, c3 one vote, c4 two that agree."""
    votes = {"c1": "ppa", "c2": "pa", "c3": "p", "c4": "aa"}
    words = {"p": "present", "a": "absent"}
    reads = [(f"r{k}", c, "pneumothorax", words[v]) for c, own in votes.items() for k, v in enumerate(own)]
    made = study(reads, references=("majority",))
    assert dict(made.reads.truths.frame.select("case_id", "truth").rows()) == {"c1": True, "c4": False}
    assert account(made)["cases", "pneumothorax: tied vote, excluded"] == 1
    assert account(made)["cases", "pneumothorax: a single vote is no majority, excluded"] == 1
    assert account(made)["cases", "pneumothorax: read, but not labelled by majority"] == 2


def test_the_votes_under_each_policy():
    """c1: present, uncertain, absent. As absent 1 of 3; as present 2 of 3; left out 1 of 2, a tie; else one vote."""
    calls = zip(("r1", "r2", "r3"), ("present", "uncertain", "absent"), strict=True)
    made = study([(r, "c1", "pneumothorax", c) for r, c in calls], references=("majority",))
    said = dict(made.reads.truths.frame.select("uncertain_call", "truth").rows())
    assert said == {"absent": False, "present": True}
    others = made.reads.reads.sort("reader").select("others_absent", "others_present", "others_ignore").rows()
    assert others == [(False, None, None), (None, None, None), (None, True, None)]


def test_labels_of_several_sources_and_an_unstated_part():
    labels = [
        ("c1", "pneumothorax", "own", "absent"),
        ("c1", "pneumothorax", "panel", "uncertain"),
        ("c2", "pneumothorax", "own", "present"),
        ("c2", "pneumothorax", "panel", "present"),
        ("zz", "pneumothorax", "panel", "present"),
    ]
    reads = [("r1", "c1", "pneumothorax", "present"), ("r1", "c2", "pneumothorax", "present")]
    made = study(reads, labels=labels, reference="own", references=("panel", "own"), missing_allowed={"labels": 0.4})
    frame = made.reads.truths.frame.sort("reference", "case_id").select("reference", "case_id", "truth")
    assert frame.rows() == [("own", "c1", False), ("own", "c2", True), ("panel", "c2", True)]
    assert account(made)["cases", "pneumothorax: read, but not labelled by panel"] == 1
    lost = made.account.filter(stage="unmatched").select("unit", "reason", "count").rows()
    assert lost == [
        ("cases", "labels of source 'panel': not in the images table (33% of 3)", 1),
        ("cases", "scored, but not labelled (67% of 6)", 4),
    ]


@pytest.mark.parametrize(
    ("reads", "config", "message"),
    [
        (
            [("r1", "x1", "pneumothorax", "present")],
            {},
            r"test cases of the images table; found 1 cases that are not in it \(x1",
        ),
        ([("r1", "c1", "pneumothorax", None)], {}, "a call or a score in every row; found 1 rows with neither"),
        ([("r1", "c1", "pneumothorax", "present")], {"references": ("majorty",)}, r"Did you mean 'majority'\?"),
        ([("r1", "c1", "pneumothorax", "yes")], {}, "one of 'present', 'absent', 'uncertain' in 'call'"),
        ([(None, "c1", "pneumothorax", "present")], {}, "a value in every row of 'reader'"),
        ([("r1", "c1", "pneumothorx", "present")], {}, r"Did you mean 'pneumothorax'\?"),
        ([("r1", "c1", "pneumothorax", "present")] * 2, {}, "one row per reader, case_id, finding, arm, round"),
        ([("acme", "c1", "pneumothorax", "present")], {}, r"found a reader and a model with the same name \(acme\)"),
        (
            [("r", "c1", "pneumothorax", "present"), ("R", "c2", "pneumothorax", "present")],
            {},
            r"each value of 'reader' in one spelling; found 1 that is spelt in several ways \('R' and 'r'\)",
        ),
        ([("(readers)", "c1", "pneumothorax", "present")], {}, r"readers other than \(readers\) and \(mean\)"),
    ],
)
def test_bad_reads_are_said(reads, config, message):
    with pytest.raises(InputError, match=message):
        study(reads, **config)


def test_reads_of_other_splits_are_counted_and_alone_refused():
    images = [(f"c{k}", f"p{min(k, 5)}", "tune" if k == 4 else "test") for k in range(1, 7)]
    mine, other = ("r1", "c1", "pneumothorax", "present"), ("r1", "c4", "pneumothorax", "present")
    assert account(study([mine, other], images=images))["reads", "of cases of another split"] == 1
    with pytest.raises(InputError, match="1 answers on cases of another split"):
        study([other], images=images)


def test_a_wrong_word_for_uncertain_calls():
    with pytest.raises(InputError, match=r"evaluation\.uncertain_calls: expected one of ignore, absent, present"):
        EvaluationConfig(uncertain_calls="maybe")


def test_arms_that_differ_in_capitals_only_are_refused(made):
    m = made(raters={"acme": 1.5}, sites={"": 40})
    reads = pl.DataFrame(
        {
            "reader": "r",
            "case_id": ["000000", "000001"],
            "finding": "edema",
            "arm": ["Unaided", "unaided"],
            "round": 1,
            "score": None,
            "call": "present",
        }
    )
    with pytest.raises(InputError, match="each value of 'arm' in one spelling; found 1 that is spelt in several ways"):
        join_tables(m.images, m.labels, m.predictions, EvaluationConfig(), reads=reads)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"references": ("majority",)}, r"references: expected reads to make it from; found 'majority' and no reads"),
        ({"references": ("gold",)}, r"references: expected a label source; found 'gold'; sources: expert"),
        ({"reader_made": ("experts",)}, r"reader_made: expected a label source; .* Did you mean 'expert'\?"),
    ],
)
def test_a_reference_that_is_not_there_is_refused(made, config, message):
    m = made(raters={"acme": 1.5}, sites={"": 40})
    with pytest.raises(InputError, match=message):
        ev.evaluate(m.images, m.labels, m.predictions, EvaluationConfig(**config), rng=np.random.default_rng(0))


@pytest.mark.slow
def test_arms_with_cases_of_their_own_are_compared_as_a_split_plot(made):
    m = made(raters={"acme": 1.5}, sites={"": 60}, findings=("edema",))
    cases = m.images["image_id"].to_list()
    rng = np.random.default_rng(1)
    rows = [
        {
            "reader": f"r{k}",
            "case_id": c,
            "finding": "edema",
            "arm": arm,
            "round": 1,
            "score": float(rng.random()),
            "call": None,
        }
        for k in range(3)
        for arm, mine in (("unaided", cases[:60]), ("aided", cases[60:]))
        for c in mine
    ]
    config = EvaluationConfig(replicates=100)
    e = ev.evaluate(m.images, m.labels, m.predictions, config, rng=rng, reads=pl.DataFrame(rows))
    both = e.estimates.filter(pl.col("contrast").str.starts_with("arm:"), metric="auc_difference")
    mean = both.filter(rater="(readers)")
    assert mean.height == 1
    assert mean["estimate"].is_finite().all()
    assert mean["low"].is_finite().all()
    assert "cases within arms" in mean["method"].item()


def test_a_label_source_may_not_be_named_like_what_reads_make(made):
    m = made(raters={"acme": 1.5}, sites={"": 40})
    labels = m.labels.with_columns(source=pl.lit("majority"))
    reads = pl.DataFrame(
        {
            "reader": "r",
            "case_id": ["000000"],
            "finding": "edema",
            "arm": "unaided",
            "round": 1,
            "score": None,
            "call": "present",
        }
    )
    with pytest.raises(InputError, match="label sources of other names; found a source named 'majority'"):
        ev.evaluate(m.images, labels, m.predictions, EvaluationConfig(), rng=np.random.default_rng(0), reads=reads)


def test_a_reference_named_twice():
    with pytest.raises(InputError, match=r"evaluation\.references: expected each name once"):
        EvaluationConfig(references=("own", "own"))


def test_uncertain_beside_grades_is_ambiguous(tmp_path):
    file = write(tmp_path / "r.csv", "image_id,reader,edema\na,r,1\nb,r,-1\nc,r,3\n")
    with pytest.raises(InputError, match=r"not both; found -1 \(uncertain\) beside 1 other numbers \(3 in edema\)"):
        read_layouts.reads(file)


def test_reads_by_image_where_a_case_has_another_name(made):
    m = made(raters={"acme": 1.5}, sites={"": 40})
    images = m.images.with_columns(case_id="study " + pl.col("image_id"))
    labels = m.labels.with_columns(case_id="study " + pl.col("case_id"))
    reads = pl.DataFrame(
        {
            "reader": "r",
            "case_id": ["000000"],
            "finding": "edema",
            "arm": "unaided",
            "round": 1,
            "score": None,
            "call": "present",
        }
    )
    with pytest.raises(InputError, match="These are images, and a case of this table has another name"):
        join_tables(images, labels, m.predictions, EvaluationConfig(), reads=reads)
