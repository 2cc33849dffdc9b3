"""Given thresholds: locked, so that nothing is fitted on test cases and every case is tested."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from overread import evaluation as ev
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig

CONFIG = EvaluationConfig(replicates=100, subgroups=(), minimum_present=5, minimum_absent=5)
SEEDS = tuple(f"seed-{k}" for k in range(5))


def run(m, thresholds=None, *, config=CONFIG, **more):
    return ev.evaluate(
        m.images, m.labels, m.predictions, config, rng=np.random.default_rng(0), thresholds=thresholds, **more
    )


def table(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["model", "finding", "name", "threshold"], orient="row")


def rates_by_hand(m, rater: str, finding: str, threshold: float) -> dict[str, tuple[int, int]]:
    """Correct calls and cases of each rate, counted one by one."""
    truth = dict(m.labels.filter(finding=finding).select("case_id", pl.col("state").cast(pl.String)).rows())
    hits = {"sensitivity": [0, 0], "specificity": [0, 0], "ppv": [0, 0], "npv": [0, 0]}
    for image, score in m.predictions.filter(finding=finding, model=rater).select("image_id", "score").rows():
        present, called = truth[image] == "present", score >= threshold
        for rate, among, right in (
            ("sensitivity", present, called),
            ("specificity", not present, not called),
            ("ppv", called, present),
            ("npv", not called, not present),
        ):
            if among:
                hits[rate][0] += right
                hits[rate][1] += 1
    return {rate: (a, n) for rate, (a, n) in hits.items()}


@pytest.fixture(scope="module")
def five_seeds(made):
    """A published study: five training seeds, each with its own locked threshold for every finding."""
    m = made(raters=dict.fromkeys(SEEDS, 1.4), findings=("edema", "mass", "pneumonia"), sites={"a": 60}, seed=3)
    rng = np.random.default_rng(5)
    rows = [
        (s, f, "youden", float(rng.choice(m.predictions.filter(model=s, finding=f)["score"]).round(3)))
        for s in SEEDS
        for f in ("edema", "mass", "pneumonia")
    ]
    return m, table(*rows)


def test_locked_thresholds_of_five_seeds_reproduce_the_rates_counted_by_hand(five_seeds):
    m, given = five_seeds
    evidence = run(m, given)
    for rater, finding, _, threshold in given.rows():
        rows = evidence.estimates.filter(
            analysis="standalone", rater=rater, finding=finding, at="operating_point=youden"
        )
        found = dict(rows.select("metric", "estimate").rows())
        assert found["threshold"] == threshold
        for rate, (right, n) in rates_by_hand(m, rater, finding, threshold).items():
            assert found[rate] == right / n
        assert set(rows["n_cases"].drop_nulls()) == {120}


def test_nothing_is_fitted_where_every_threshold_is_given(five_seeds):
    evidence = run(*five_seeds)
    assert evidence.tuning_patients == ()
    points = {at for at in evidence.estimates["at"].unique() if at.startswith("operating_point=")}
    assert points == {"operating_point=youden"}
    assert not evidence.estimates["at"].str.contains("recalibration=logistic").any()
    methods = evidence.estimates.filter(metric="threshold")["method"].unique().to_list()
    assert methods == ["given, not fitted here"]
    said = (
        "Thresholds of seed-0: threshold given in a table of thresholds, not fitted here; all test cases are evaluated."
    )
    assert said in evidence.notes


def test_thresholds_of_some_findings_leave_the_others_as_they_are_without_them(made):
    m = made(raters={"acme": 1.5, "beta": 1.0}, sites={"a": 100})
    plain, mixed = run(m), run(m, table(("acme", "edema", "spec90", 0.5)))
    key = ["analysis", "metric", "at", "finding", "rater", "contrast", "population"]
    given = (pl.col("rater") == "acme") & (pl.col("finding").is_in(["edema", "(mean)"]))
    one, other = (
        e.estimates.filter(~given, pl.col("analysis") == "standalone").select(*key, "estimate", "low", "high")
        for e in (plain, mixed)
    )
    assert one.equals(other)
    edema = mixed.estimates.filter(
        analysis="standalone", rater="acme", finding="edema", at="operating_point=spec90", metric="sensitivity"
    )
    right, n = rates_by_hand(m, "acme", "edema", 0.5)["sensitivity"]
    assert edema["estimate"].item() == right / n
    assert edema["n_cases"].item() == 200
    assert len(mixed.tuning_patients) == 50  # for the mass
    assert any(n.startswith("Thresholds of acme for edema: threshold given in") for n in mixed.notes)
    assert any(n.startswith("Thresholds of acme for mass: fitted in a random half") for n in mixed.notes)


def test_given_thresholds_stand_in_place_of_those_of_a_model(made):
    m = made(sites={"a": 40})
    record = {"operating_points": {f: {"spec90": {"threshold": 0.4}} for f in ("edema", "mass")}}
    evidence = run(m, table(("acme", "edema", "youden", 0.3)), models={"acme": record})
    points = evidence.estimates.filter(metric="threshold").select("finding", "at", "estimate").sort("finding").rows()
    assert points == [("edema", "operating_point=youden", 0.3), ("mass", "operating_point=spec90", 0.4)]


def test_the_source_of_a_threshold_is_in_its_note(made):
    m = made(sites={"a": 40})
    given = table(("acme", "edema", "youden", 0.3)).with_columns(pl.lit("Smith 2023, Table 2").alias("source"))
    rows = run(m, given).estimates.filter(metric="threshold", finding="edema")
    assert rows["note"].item().startswith("threshold given in Smith 2023, Table 2, not fitted here")


def test_subgroups_and_underdiagnosis_use_every_case_at_a_given_threshold(made):
    m = made(findings=("no_finding",), sites={"a": 60})
    config = EvaluationConfig(replicates=100, subgroups=("sex",), minimum_present=5, minimum_absent=5)
    rows = run(m, table(("acme", "no_finding", "youden", 0.4)), config=config).estimates
    ill = m.labels.filter(finding="no_finding", state="absent").join(
        m.predictions, left_on="case_id", right_on="image_id"
    )
    found = rows.filter(metric="underdiagnosis", at="operating_point=youden", level="")
    assert found["estimate"].item() == (ill["score"] >= 0.4).mean()
    groups = rows.filter(metric="sensitivity", subgroup="sex", finding="no_finding", at="operating_point=youden")
    assert groups["n_cases"].sum() == 120


def test_underdiagnosis_names_its_findings_where_others_have_another_threshold(made):
    m = made(sites={"a": 60})
    config = EvaluationConfig(replicates=100, subgroups=("sex",), minimum_present=5, minimum_absent=5)
    rows = run(m, table(("acme", "edema", "youden", 0.4)), config=config).estimates.filter(metric="underdiagnosis")
    note = "of the findings with this threshold only, 1 of 2: {}"
    assert rows.filter(at="operating_point=youden")["note"].str.contains(note.format("edema")).all()
    assert rows.filter(at="operating_point=spec90")["note"].str.contains(note.format("mass")).all()
    every = table(*(("acme", f, "youden", 0.4) for f in ("edema", "mass")))
    assert not run(m, every, config=config).estimates["note"].str.contains("with this threshold only").any()


def test_a_threshold_that_no_score_reaches_is_accepted_among_probabilities_and_noted(made):
    m = made(sites={"a": 40})
    rows = run(m, table(("acme", "edema", "strict", 1.0), ("acme", "edema", "lax", 0.0))).estimates
    rows = rows.filter(analysis="standalone", finding="edema", metric="sensitivity")
    assert dict(rows.filter(pl.col("at").str.contains("strict|lax")).select("at", "estimate").rows()) == {
        "operating_point=strict": 0.0,
        "operating_point=lax": 1.0,
    }
    notes = dict(rows.select("at", "note").rows())
    assert "no score reaches the given threshold (scores 0.0" in notes["operating_point=strict"]
    assert "every score reaches the given threshold" in notes["operating_point=lax"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("amce", "edema", "x", 0.5)],
            "expected predictions by 'amce'; found predictions by acme. Did you mean 'acme'",
        ),
        (
            [("acme", "pneumonia", "x", 0.5)],
            "findings that 'acme' scores; found 'pneumonia'; 'acme' scores edema, mass",
        ),
        (
            [("acme", "edema", "x", 30.0)],
            r"on the scale of its scores, which are 0\.\d+ to 0\.\d+; found 30 \(x 30.0\)",
        ),
        ([("acme", "edema", "x", 0.1), ("acme", "edema", "x", 0.2)], "repeated"),
        ([("acme", "edema", "x", float("nan"))], "threshold"),
        ([("acme", "edema", "decision", 0.5)], "names of operating points without ; and =, other than 'decision'"),
        ([("acme", "edema", "a=b", 0.5)], "names of operating points without ; and ="),
        ([("acme", "oedma", "x", 0.5)], "1 unknown"),
    ],
)
def test_thresholds_that_do_not_fit_are_refused(made, rows, message):
    with pytest.raises(InputError, match=message):
        run(made(sites={"a": 40}), table(*rows))


def test_scores_of_another_scale_take_thresholds_within_their_range_only(made):
    m = made(sites={"a": 40})
    m = type(m)(m.images, m.labels, m.predictions.with_columns(pl.col("score") * 100))
    found = run(m, table(("acme", "edema", "x", 50.0))).estimates.filter(metric="threshold", finding="edema")
    assert found["estimate"].to_list() == [50.0]
    with pytest.raises(InputError, match=r"which are \d[\d.]* to \d[\d.]*; found 0.05 to 0.06"):
        run(m, table(("acme", "edema", "x", 0.05), ("acme", "edema", "y", 0.06)))


def test_all_problems_are_in_one_error(made):
    with pytest.raises(InputError, match="3 problems"):
        run(
            made(sites={"a": 40}),
            table(("a", "edema", "x", 0.5), ("acme", "mass", "x", 30.0), ("acme", "edema", ";", 0.5)),
        )


def lesions_read(made, *rows):
    """Calls of three readers for lung lesions, which nodule and mass stand for; the rows of the mapped output."""
    m = made(raters={"acme": 1.5}, findings=("nodule", "mass"), sites={"a": 60}, per_patient=1)
    keys = {"finding": "lung_lesion", "arm": "unaided", "round": 1}
    cases = m.images["case_id"].unique().sort()
    reads = [
        pl.DataFrame({"reader": r, "case_id": cases, "call": ["present", "absent", "absent"] * 20} | keys)
        for r in ("r1", "r2", "r3")
    ]
    whole = {"finding": "lung_lesion", "from": ["nodule", "mass"], "name": "either", "whole": True}
    config = EvaluationConfig(replicates=100, subgroups=(), minimum_present=5, minimum_absent=5, mapping=(whole,))
    e = run(m, table(*rows), config=config, reads=pl.concat(reads)).estimates
    return m, e.filter(analysis="readers", rater="acme [either]", metric="sensitivity", contrast="", reference="expert")


def test_one_given_threshold_of_all_parts_is_that_of_their_maximum(made):
    points = [("acme", f, n, t) for f in ("nodule", "mass") for n, t in (("low", 0.4), ("high", 0.6))]
    m, rows = lesions_read(made, *points)
    assert {at.partition(";")[0] for at in rows["at"]} == {"operating_point=low", "operating_point=high"}
    top = m.predictions.group_by("image_id").agg(pl.col("score").max())
    ill = m.labels.group_by("case_id").agg((pl.col("state").cast(pl.String) == "present").any())
    scores = top.join(ill.filter("state"), left_on="image_id", right_on="case_id")["score"]
    for name, threshold in (("low", 0.4), ("high", 0.6)):
        row = rows.filter(at=f"operating_point={name}").row(0, named=True)
        assert row["estimate"] == pytest.approx((scores >= threshold).mean())
        assert row["n_cases"] == 60
        assert "threshold given in a table of thresholds, not fitted here; all test cases are evaluated" in row["note"]


def test_different_given_thresholds_of_the_parts_are_not_applied_to_their_maximum(made):
    _, rows = lesions_read(made, ("acme", "nodule", "x", 0.4), ("acme", "mass", "x", 0.6))
    assert rows.height
    assert not rows["at"].str.contains("operating_point=x").any()
    assert rows["note"].str.contains("given thresholds x of nodule, mass differ: not applied to their maximum").all()
    _, rows = lesions_read(made, ("acme", "nodule", "x", 0.4))
    assert not rows["at"].str.contains("operating_point=x").any()
    assert not rows["note"].str.contains("differ").any()
