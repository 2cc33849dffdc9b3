"""Readers who made the labels, repeated readings and practice readings: what is not judged, and what is counted."""

import numpy as np
import polars as pl
import pytest

from overread import evaluation as ev
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.counted_reads import first_readings, read_makers, without_practice

MAIN = "uncertain=ignore;uncertain_call=absent"
FINDING = "pneumothorax"


def table(rows, names):
    return pl.DataFrame(rows, schema=names, orient="row")


def reads_of(calls, arm="unaided", rounds=None):
    """Reads from a mapping of reader to calls by case, such as {"a": {"c1": 1}}."""
    rows = [
        (reader, case, FINDING, arm, (rounds or {}).get((reader, case), 1), "present" if call else "absent")
        for reader, mine in calls.items()
        for case, call in mine.items()
    ]
    return table(rows, ["reader", "case_id", "finding", "arm", "round", "call"])


def labels_of(states, source="panel"):
    rows = [(c, FINDING, source, "present" if s else "absent") for c, s in states.items()]
    return table(rows, ["case_id", "finding", "source", "state"])


def evaluated(reads, labels, made_by=None, **settings):
    config = EvaluationConfig(**{"replicates": 100, "subgroups": (), **settings})
    rng = np.random.default_rng(0)
    return ev.evaluate(None, labels, None, config, rng=rng, reads=reads, made_by=made_by)


def value(evidence, **equals):
    where = {"at": "", "contrast": "", "policy": MAIN, "reference": "panel", **equals}
    found = evidence.estimates.filter(**where)
    assert found.height == 1, (where, found.height)
    return found.row(0, named=True)


# Six cases, present c1-c3. Panel readers p1-p5 made the label and are right on every case; benchmark readers b1-b3 read
# the same cases: b1 calls c1, c2; b2 calls c1, c4; b3 calls c1, c2, c3, c5.
TRUTH = {"c1": 1, "c2": 1, "c3": 1, "c4": 0, "c5": 0, "c6": 0}
CALLED = {"b1": ("c1", "c2"), "b2": ("c1", "c4"), "b3": ("c1", "c2", "c3", "c5")}
PANEL = tuple(f"p{k}" for k in range(1, 6))
DESIGN = {r: dict(TRUTH) for r in PANEL} | {r: {c: int(c in called) for c in TRUTH} for r, called in CALLED.items()}


@pytest.mark.slow
def test_five_panel_readers_and_three_benchmark_readers_by_hand():
    """Of the nine present reads of b1-b3 six are called (2 + 1 + 3), of the nine absent ones two (0 + 1 + 1)."""
    evidence = evaluated(reads_of(DESIGN), labels_of(TRUTH), reader_made={"panel": PANEL})
    sensitivity = value(evidence, metric="sensitivity", rater="(readers)")
    assert sensitivity["estimate"] == pytest.approx(6 / 9)
    assert value(evidence, metric="specificity", rater="(readers)")["estimate"] == pytest.approx(7 / 9)
    assert sensitivity["n_readers"] == 3
    assert "reads of those who made this reference standard: p1, p2, p3, p4, p5" in sensitivity["note"]
    assert "favours" not in sensitivity["note"]
    assert value(evidence, metric="sensitivity", rater="b2")["estimate"] == pytest.approx(1 / 3)
    rows = evidence.estimates.filter(pl.col("reference") == "panel")
    assert sorted(rows.filter(pl.col("estimate").is_not_nan())["rater"].unique()) == ["(readers)", "b1", "b2", "b3"]
    assert "this reader made the reference standard" in value(evidence, metric="sensitivity", rater="p1")["note"]
    account = {r: (n, e) for r, n, e in evidence.account.select("reason", "count", "examples").rows()}
    assert account["panel: reads by readers who made this label, not judged by it"] == (30, "p1; p2; p3; p4; p5")
    joined = evidence.joined.filter(pl.col("source") == "panel")
    assert joined.filter(pl.col("rater").is_in(PANEL))["truth"].null_count() == 30
    assert joined.filter(pl.col("rater") == "b1")["truth"].null_count() == 0


@pytest.mark.slow
def test_all_readers_made_it_as_before():
    evidence = evaluated(reads_of(DESIGN), labels_of(TRUTH), reader_made=("panel",))
    pooled = value(evidence, metric="sensitivity", rater="(readers)")
    assert pooled["estimate"] == pytest.approx((15 + 6) / 24)
    assert "which favours them" in pooled["note"]


@pytest.mark.slow
def test_makers_of_each_case_are_not_judged_on_that_case_only():
    """a made the label of c1, b those of c2 and c4: of present reads b of c1, a of c2 and both of c3 are left."""
    calls = {"a": {"c1": 0, "c2": 1, "c3": 1, "c4": 0}, "b": {"c1": 1, "c2": 0, "c3": 0, "c4": 1}}
    truth = {c: TRUTH[c] for c in ("c1", "c2", "c3", "c4")}
    made_by = table([("panel", "c1", "a"), ("panel", "c2", "b"), ("panel", "c4", "b")], ["source", "case_id", "reader"])
    evidence = evaluated(reads_of(calls), labels_of(truth), made_by)
    assert value(evidence, metric="sensitivity", rater="(readers)")["estimate"] == pytest.approx(3 / 4)
    assert value(evidence, metric="sensitivity", rater="a")["estimate"] == 1.0
    assert value(evidence, metric="sensitivity", rater="b")["estimate"] == 0.5
    assert value(evidence, metric="specificity", rater="(readers)")["n_absent"] == 1


@pytest.mark.slow
def test_a_maker_of_one_finding_is_judged_on_another():
    made_by = table([("panel", "c1", "b1", "Edema")], ["source", "case_id", "reader", "finding"])
    evidence = evaluated(reads_of(DESIGN), labels_of(TRUTH), made_by)
    assert value(evidence, metric="sensitivity", rater="b1")["n_present"] == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"panel": (*PANEL, "b1", "b2", "b3")}, "reads by others to judge"),
        ({"panel": ("x", "y")}, "none of its readers in the reads"),
        ({"panel": ("P1", "p2")}, "Did you mean 'p1'"),
        ({"pannel": PANEL}, "Did you mean 'panel'"),
        ({"panel": ()}, "readers"),
        ({"panel": ("p1", "p1")}, "each name once"),
    ],
)
@pytest.mark.slow
def test_makers_that_cannot_be_are_refused(made, message):
    with pytest.raises(InputError, match=message):
        evaluated(reads_of(DESIGN), labels_of(TRUTH), reader_made=made)


@pytest.mark.slow
def test_a_source_with_its_readers_in_two_places_is_refused():
    made_by = table([("panel", "c1", "p1")], ["source", "case_id", "reader"])
    with pytest.raises(InputError, match="the readers of a source once"):
        evaluated(reads_of(DESIGN), labels_of(TRUTH), made_by, reader_made={"panel": PANEL})


@pytest.mark.slow
def test_panel_readers_without_reads_are_counted():
    reads = reads_of({r: DESIGN[r] for r in ("p1", "b1", "b2", "b3")})
    evidence = evaluated(reads, labels_of(TRUTH), reader_made={"panel": PANEL})
    lacking = evidence.account.filter(reason="made a reference standard, but have no reads")
    assert lacking.select("count", "examples").rows() == [(4, "panel: p2; panel: p3; panel: p4; panel: p5")]


@pytest.mark.slow
def test_graded_reads_of_makers_have_no_area():
    reads = reads_of(DESIGN).with_columns(score=pl.Series([float(k % 5) for k in range(48)]))
    evidence = evaluated(reads.drop("call"), labels_of(TRUTH), reader_made={"panel": PANEL})
    areas = evidence.estimates.filter(analysis="readers", metric="auc", reference="panel")
    assert not set(areas["rater"]) & set(PANEL)
    assert {"b1", "b2", "b3"} <= set(areas["rater"])


@pytest.mark.slow
def test_stated_references_come_before_derived_ones():
    labels = pl.concat([labels_of(TRUTH), labels_of(TRUTH, "adjudicated")])
    for settings, wanted in (
        ({}, ["adjudicated", "panel", "majority", "dawid-skene"]),
        ({"reference": "panel"}, ["panel", "adjudicated", "majority", "dawid-skene"]),
        ({"references": ("majority", "panel")}, ["panel", "majority"]),
    ):
        evidence = evaluated(reads_of(DESIGN), labels, **settings)
        identified = [r for r in wanted if r != "dawid-skene"]
        assert f"Reference standards side by side: {', '.join(identified)}." in evidence.notes
        shown = evidence.estimates.filter(analysis="readers")["reference"].unique(maintain_order=True).to_list()
        assert [r for r in shown if r in wanted] == wanted


@pytest.mark.slow
def test_a_repeated_reading_enters_no_rate_and_gives_intra_reader_agreement():
    """b1 reads c1-c4 again and changes c2 and c4: agreed 2 of 4; by chance 1/2 x 1/4 + 1/2 x 3/4, so kappa is 0."""
    once = reads_of(DESIGN)
    again = reads_of({"b1": {"c1": 1, "c2": 0, "c3": 0, "c4": 0}}).with_columns(round=pl.lit(2, pl.Int64))
    again = again.with_columns(call=pl.Series(["absent", "present", "absent", "absent"]))
    plain = evaluated(once, labels_of(TRUTH))
    both = evaluated(pl.concat([once, again]), labels_of(TRUTH))
    extra = both.estimates.filter(pl.col("at").str.contains("readings="))
    rest = both.estimates.filter(~pl.col("at").str.contains("readings="))
    assert rest.equals(plain.estimates)
    of = {"analysis": "agreement", "reference": "", "at": "readings=first,second"}
    # First readings of c1-c4: 1 1 0 0; second: 0 1 0 0.
    for rater in ("b1", "(readers)"):
        agreed = value(both, metric="percent_agreement", rater=rater, **of)
        assert (agreed["estimate"], agreed["n_cases"], agreed["n_readers"]) == (0.75, 4, 1)
        # Chance: present 1/2 x 1/4, absent 1/2 x 3/4, together 1/2: kappa (3/4 - 1/2) / (1/2).
        assert value(both, metric="cohen_kappa", rater=rater, **of)["estimate"] == pytest.approx(0.5)
    assert extra.height == 4
    assert "used for intra-reader agreement only" in " ".join(both.account["reason"])


def test_first_readings_are_the_lowest_round_of_a_reader_case_and_arm():
    """A case that was read in rounds 2 and 3 has its first reading in round 2; another arm has its own rounds."""
    rows = [("a", "1", "x", 2), ("a", "1", "x", 3), ("a", "1", "y", 3), ("a", "2", "x", 1)]
    reads = table(rows, ["reader", "case_id", "arm", "round"])
    dropped = []
    first, again = first_readings(reads, dropped)
    assert first.rows() == [rows[0], rows[2], rows[3]]
    assert again.rows() == rows[:2]
    assert [(d.unit, d.count) for d in dropped] == [("reads", 1)]


@pytest.mark.slow
def test_graded_repeats_have_weighted_kappa():
    rng = np.random.default_rng(3)
    cases = [f"c{k}" for k in range(40)]
    grades = rng.integers(0, 5, 40)
    second = np.clip(grades + rng.integers(-1, 2, 40), 0, 4)
    rows = [
        ("a", c, FINDING, "unaided", k, float(g))
        for k, each in ((1, grades), (2, second))
        for c, g in zip(cases, each, strict=True)
    ]
    reads = table(rows, ["reader", "case_id", "finding", "arm", "round", "score"])
    labels = labels_of({c: k % 2 for k, c in enumerate(cases)})
    evidence = evaluated(reads, labels)
    found = value(evidence, metric="cohen_kappa", rater="a", at="readings=first,second;weights=linear", reference="")
    observed, chance = np.abs(grades - second).mean(), np.abs(grades[:, None] - second[None]).mean()
    assert found["estimate"] == pytest.approx(1 - observed / chance)
    assert (found["n_cases"], found["n_patients"]) == (40, 40)
    assert found["low"] < found["estimate"] < found["high"]


def test_practice_reads_are_left_out_and_counted():
    reads = reads_of(DESIGN)
    sittings = reads.select("reader", "case_id", "arm", "round").with_columns(
        role=pl.when((pl.col("reader") == "b1") & (pl.col("case_id") == "c1"))
        .then(pl.lit("practice"))
        .otherwise(pl.lit("main"))
    )
    dropped = []
    left, sat = without_practice(reads, sittings, dropped)
    assert left.height == reads.height - 1
    assert left.filter(reader="b1", case_id="c1").is_empty()
    assert sat.height == sittings.filter(role="main").height
    assert sat.filter(role="practice").is_empty()
    assert [(d.unit, str(d.reason), d.count, d.examples) for d in dropped] == [
        ("reads", "reads in practice sittings excluded", 1, "b1 c1"),
        ("sittings", "practice sittings excluded", sittings.height - sat.height, "b1 c1"),
    ]
    assert without_practice(reads, sittings.drop("role"), dropped)[0].equals(reads)


def test_the_table_of_makers_is_read_with_its_own_column_names(tmp_path):
    path = tmp_path / "made.csv"
    path.write_text("Source,Study ID,Radiologist\npanel,c1,p1\npanel,c1,p2\n")
    frame = read_makers(path, notes=[])
    assert frame.rows() == [("panel", "c1", "p1", ""), ("panel", "c1", "p2", "")]
    path.write_text("Source,Study ID\npanel,c1\n")
    with pytest.raises(InputError, match="the reader who made the label"):
        read_makers(path, notes=[])
