"""The one join: its policies, its account, and what it refuses."""

import polars as pl
import pytest
from checked_join import join_tables

from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig


def images(**more):
    frame = {"image_id": ["i1", "i2", "i3"], "patient_id": ["p1", "p2", "p3"], "site": ["a", "a", "b"]}
    return pl.DataFrame(frame | more)


def labels(*rows):
    rows = rows or (("i1", "present"), ("i2", "absent"), ("i3", "present"))
    full = [(c, "edema", "expert", s) if len(r) == 0 else (c, "edema", r[0], s) for c, s, *r in rows]
    return pl.DataFrame(full, schema=["case_id", "finding", "source", "state"], orient="row")


def predictions(scores=None, key="image_id", model="acme"):
    scores = {"i1": 0.9, "i2": 0.1, "i3": 0.5} if scores is None else scores
    return pl.DataFrame(
        {key: list(scores), "finding": "edema", "model": model, "score": list(scores.values())},
        schema_overrides={"score": pl.Float64},
    )


def reasons(made):
    return {(r["unit"], r["reason"]): r["count"] for r in made.account.to_dicts()}


def test_every_score_stands_beside_its_truth():
    made = join_tables(images(), labels(), predictions(), EvaluationConfig())
    assert made.scores.select("case_id", "rater", "score", "truth", "source").rows() == [
        ("i1", "acme", 0.9, True, "expert"),
        ("i2", "acme", 0.1, False, "expert"),
        ("i3", "acme", 0.5, True, "expert"),
    ]
    assert made.account.is_empty()


@pytest.mark.parametrize(
    ("policy", "truth", "said"),
    [("ignore", None, "excluded"), ("absent", False, "taken as absent"), ("present", True, "taken as present")],
)
def test_uncertain_is_what_the_policy_says_and_is_counted(policy, truth, said):
    given = labels(("i1", "present"), ("i2", "absent"), ("i3", "uncertain"))
    made = join_tables(images(), given, predictions(), EvaluationConfig(uncertain=policy))
    found = made.scores.filter(pl.col("case_id") == "i3")["truth"].to_list()
    assert found == ([] if truth is None else [truth])
    assert reasons(made)["labels", f"uncertain: {said}"] == 1


def test_nothing_stated_is_not_absent():
    made = join_tables(images(), labels(("i1", "present"), ("i2", "absent")), predictions(), EvaluationConfig())
    assert made.scores["case_id"].to_list() == ["i1", "i2"]
    assert reasons(made)["predictions", "without a label"] == 1
    assert reasons(made)["cases", "no labelled score"] == 1
    assert made.account.filter(stage="unmatched").select("reason", "count", "examples").rows() == [
        ("scored, but not labelled (33% of 3)", 1, "i3")
    ]


def test_cases_that_are_uncertain_have_a_stated_truth():
    given = labels(("i1", "present"), ("i2", "absent"), ("i3", "uncertain"))
    assert join_tables(images(), given, predictions(), EvaluationConfig()).account.filter(stage="unmatched").is_empty()


def test_several_sources_and_none_named():
    given = pl.concat([labels(), labels(("i1", "absent", "nlp"))])
    with pytest.raises(InputError, match=r"2 sources \('expert' \(3\), 'nlp' \(1\)\)\. State it: --reference SOURCE"):
        join_tables(images(), given, predictions(), EvaluationConfig())


def test_a_source_that_does_not_exist():
    with pytest.raises(InputError, match=r"the label source 'export'.*Did you mean 'expert'"):
        join_tables(images(), labels(), predictions(), EvaluationConfig(reference="export"))


def test_the_named_source_decides_and_the_other_is_counted():
    given = pl.concat([labels(), labels(("i1", "absent", "nlp"))])
    made = join_tables(images(), given, predictions(), EvaluationConfig(reference="expert"))
    assert made.scores.filter(case_id="i1")["truth"].item() is True
    assert reasons(made)["labels", "source 'nlp' is not the reference standard"] == 1


def test_several_sources_named_must_not_state_the_same():
    apart = labels(("i1", "present", "x"), ("i2", "absent", "x"), ("i3", "present", "y"))
    made = join_tables(images(), apart, predictions(), EvaluationConfig(reference=("x", "y")))
    assert made.scores["source"].to_list() == ["x", "x", "y"]
    both = pl.concat([apart, labels(("i1", "absent", "y"))])
    with pytest.raises(InputError, match=r"one reference per case and finding; found 2 labels .*i1 edema"):
        join_tables(images(), both, predictions(), EvaluationConfig(reference=("x", "y")))


def test_predictions_for_unknown_images_are_refused_or_listed():
    given = predictions({"i1": 0.9, "i2": 0.1, "i3": 0.5, "i9": 0.2})
    with pytest.raises(InputError, match=r"1 of 4 images \(25.0%\) .*\('i9'\).*missing_allowed.predictions = 0.26"):
        join_tables(images(), labels(), given, EvaluationConfig())
    made = join_tables(images(), labels(), given, EvaluationConfig(missing_allowed={"predictions": 0.26}))
    assert reasons(made)["images", "predictions: not in the images table (25% of 4)"] == 1


def test_missing_predictions_are_refused_and_counted_where_allowed():
    given = predictions({"i1": 0.9, "i2": 0.1})
    with pytest.raises(InputError, match=r"1 of 3 cases \(33.3%\) .*\(i3 edema\).*missing_allowed.scores = 0.35"):
        join_tables(images(), labels(), given, EvaluationConfig())
    made = join_tables(images(), labels(), given, EvaluationConfig(missing_allowed={"scores": 0.35}))
    assert reasons(made)["cases", "labelled, but not scored by acme (33% of 3)"] == 1
    assert made.account.filter(stage="unmatched")["examples"].to_list() == ["i3 edema"]


def test_cases_without_the_score_of_a_finding_are_counted_apart_from_those_without_any():
    mass = [(labels(), predictions({"i1": 0.9, "i2": 0.1})), (labels(), predictions({"i1": 0.4}))]
    truth, given = (pl.concat([a, b.with_columns(finding=pl.lit("mass"))]) for a, b in zip(*mass, strict=True))
    made = join_tables(images(), truth, given, EvaluationConfig(missing_allowed={"scores": 0.7}))
    assert made.account.filter(stage="unmatched").select("reason", "count", "examples").rows() == [
        ("labelled, but not scored by acme (33% of 3)", 1, "i3 edema; i3 mass"),
        ("labelled, but without a score of acme for mass (33% of 3)", 1, "i2 mass"),
    ]


def test_members_of_an_ensemble_do_not_repeat_its_missing_scores():
    part = {"i1": 0.9, "i2": 0.1}
    given = pl.concat([predictions(part), predictions(part, model="seed1"), predictions({"i1": 0.9}, model="seed2")])
    config = EvaluationConfig(missing_allowed={"scores": 0.7}, members={"acme": ("seed1", "seed2")})
    found = join_tables(images(), labels(), given, config).account.filter(stage="unmatched")
    assert found["reason"].to_list() == [
        "labelled, but not scored by acme (33% of 3)",
        "labelled, but not scored by seed2 (67% of 3)",
    ]


def test_missing_predictions_are_counted_for_each_rater():
    given = pl.concat([predictions(), predictions({"i1": 0.9, "i2": 0.1}, model="other")])
    with pytest.raises(InputError, match="predictions of other"):
        join_tables(images(), labels(), given, EvaluationConfig())


def test_a_finding_that_is_no_output_is_no_missing_prediction():
    more = pl.DataFrame({"case_id": ["i1"], "finding": ["mass"], "source": ["expert"], "state": ["absent"]})
    made = join_tables(images(), pl.concat([labels(), more]), predictions(), EvaluationConfig())
    assert reasons(made)["findings", "labelled, but not an output of acme"] == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite(bad):
    with pytest.raises(InputError, match="numbers in 'score'"):
        join_tables(images(), labels(), predictions({"i1": bad, "i2": 0.1, "i3": 0.5}), EvaluationConfig())


def test_the_same_key_twice():
    with pytest.raises(InputError, match="one row per image_id, finding, model, shift; found 2 rows"):
        join_tables(images(), labels(), pl.concat([predictions(), predictions({"i1": 0.2})]), EvaluationConfig())


def test_an_unknown_state():
    with pytest.raises(InputError, match="Did you mean 'present'"):
        join_tables(images(), labels(("i1", "presnt")), predictions(), EvaluationConfig())


def test_nothing_in_common():
    with pytest.raises(InputError, match="none of the same case and finding"):
        join_tables(images(), labels(("x", "present")), predictions(), EvaluationConfig(missing_allowed=1))


@pytest.mark.parametrize(("how", "score"), [("mean", 0.5), ("max", 0.9)])
def test_the_images_of_a_case_become_one_score(how, score):
    frame = images(case_id=["c1", "c1", "c2"]).with_columns(pl.Series("patient_id", ["p1", "p1", "p3"]))
    given = labels(("c1", "present"), ("c2", "absent"))
    made = join_tables(frame, given, predictions(), EvaluationConfig(case_score=how))
    assert made.scores.filter(case_id="c1")["score"].item() == pytest.approx(score)
    assert reasons(made)["cases", f"scores of several images combined by their {how}"] == 1
    assert made.several_images


def test_a_case_scored_from_some_of_its_images_is_counted():
    frame = images(case_id=["c1", "c1", "c2"]).with_columns(pl.Series("patient_id", ["p1", "p1", "p3"]))
    frame = pl.concat(
        [frame, pl.DataFrame({"image_id": ["i4"], "patient_id": ["p3"], "site": ["b"], "case_id": ["c2"]})]
    )
    given = labels(("c1", "present"), ("c2", "absent"))
    made = join_tables(frame, given, predictions(), EvaluationConfig())
    assert reasons(made)["cases", "scored from some of their images"] == 1


def test_predictions_by_case():
    made = join_tables(images(), labels(), predictions(key="case_id"), EvaluationConfig())
    assert made.scores["score"].to_list() == [0.9, 0.1, 0.5]


def test_a_case_of_two_patients_is_refused():
    with pytest.raises(InputError, match=r"one patient_id per case; found 1 cases whose images differ \(c1\)"):
        join_tables(images(case_id=["c1", "c1", "c2"]), labels(("c1", "present")), predictions(), EvaluationConfig())


def test_only_test_images_are_evaluated_and_the_others_counted():
    made = join_tables(images(split=["test", "tune", "test"]), labels(), predictions(), EvaluationConfig())
    assert made.scores["case_id"].to_list() == ["i1", "i3"]
    assert reasons(made)["images", "split tune: not evaluated"] == 1
    tune = join_tables(
        images(split=["test", "tune", "test"]), labels(), predictions(), EvaluationConfig(), split="tune"
    )
    assert tune.scores["case_id"].to_list() == ["i2"]


def test_shifted_predictions_are_another_analysis():
    shifted = predictions({"i1": 0.1}).with_columns(pl.lit("noise-2").alias("shift"))
    given = pl.concat([predictions().with_columns(pl.lit("none").alias("shift")), shifted], how="diagonal")
    made = join_tables(images(), labels(), given, EvaluationConfig())
    assert made.scores.height == 3
    assert reasons(made)["predictions", "of shifted images: not evaluated here"] == 1


def test_labels_of_cases_that_are_no_images_are_counted():
    given = pl.concat([labels(), labels(("i9", "present"))])
    with pytest.raises(InputError, match=r"labels of source 'expert': .* found 1 of 4 cases \(25.0%\) .*\('i9'\)"):
        join_tables(images(), given, predictions(), EvaluationConfig())
    made = join_tables(images(), given, predictions(), EvaluationConfig(missing_allowed={"labels": 0.26}))
    assert reasons(made)["cases", "labels of source 'expert': not in the images table (25% of 4)"] == 1


def test_what_other_policies_depend_on_is_stated_by_value_and_not_read_from_the_account():
    plain = join_tables(images(), labels(), predictions(), EvaluationConfig())
    assert (plain.several_images, plain.uncertain, plain.unscored) == (False, 0, ())
    given = labels(("i1", "present"), ("i2", "absent"), ("i3", "uncertain"))
    config = EvaluationConfig(uncertain="present", missing_allowed={"scores": 0.5})
    made = join_tables(images(), given, predictions({"i1": 0.9, "i2": 0.1}), config)
    assert made.uncertain == 1
    assert [(line.unit, line.count) for line in made.unscored] == [("cases", 1)]
    assert made.unscored[0].reason in made.account["reason"].to_list()
