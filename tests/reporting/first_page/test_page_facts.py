"""The line below the title and the counts below the answer."""

from __future__ import annotations

import math

from overread import codes
from overread.reporting.first_page.answer_limits.study_limits import limitations
from overread.reporting.first_page.page_facts import facts, made_line
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.summary import study_paragraph
from tests.reporting.first_page.test_leading_question import READS, against_readers, in_two_arms, joined, row
from tests.reporting.first_page.test_study_limits import line


def test_only_readers_whose_reads_are_analysed_are_counted(evidence_folder):
    """r3 has sittings only, such as practice; r4 was left out; the mean and a model are no readers."""
    read = {"analysis": "readers", "finding": "edema", "subgroup": "read", "level": "unaided", "reference": "panel"}
    rows = [
        row("sensitivity", value, value, value, rater=rater, arm=arm, **read)
        for rater, value, arm in (
            ("r1", 0.8, "unaided"),
            ("r2", 0.7, "unaided"),
            ("r4", math.nan, "unaided"),
            ("(readers)", 0.75, "unaided"),
            ("acme", 0.9, "model"),
        )
    ]
    rows.append(row("median_seconds", 40.0, math.nan, math.nan, rater="r3", arm="unaided", **read))
    evidence = read_evidence(evidence_folder(rows), {})
    assert "2 readers" in made_line(evidence)
    assert dict(facts(evidence))["readers"] == "2"


def test_readers_whose_agreement_alone_is_known_are_counted(evidence_folder):
    read = {"analysis": "agreement", "finding": "edema", "subgroup": "read", "level": "unaided", "rater": "(readers)"}
    evidence = read_evidence(evidence_folder([row("fleiss_kappa", 0.6, 0.5, 0.7, n_readers=6, **read)]), {})
    assert "6 readers" in made_line(evidence)


def test_another_reference_standard_with_more_cases_gives_the_counts_as_ranges(evidence_folder):
    more = {"n_cases": 935, "n_patients": 353}
    rows = [{**r, **more} if r["reference"] == "majority" else r for r in against_readers()]
    read = {**READS, "level": "unaided", "arm": "unaided", "rater": "r1", "reference": "panel", "n_cases": 4000}
    rows.append(row("sensitivity", 0.5, 0.4, 0.6, finding="fracture", **read))  # no model scores it
    cases = joined([f"c{k}" for k in range(200)], ["c0"])
    told = dict(facts(read_evidence(evidence_folder(rows, joined=cases), {})))
    assert (told["cases, by reference standard"], told["patients, by reference standard"]) == (
        "200 to 935",
        "150 to 353",
    )
    assert not {"cases", "patients", "cases read"} & set(told)
    told = dict(facts(read_evidence(evidence_folder(against_readers(), joined=cases), {})))
    assert (told["cases"], told["patients"], told["cases read"]) == ("200", "200", "200")


def test_the_study_in_brief_has_the_readers_and_arms_beside_the_models(evidence_folder):
    pooled = codes.note("reads_pooled", n=600)
    rows = [row("auc", 0.8, 0.7, 0.9, finding="mass"), *in_two_arms()]
    rows.append(row("sensitivity", 0.8, 0.7, 0.9, rater="(readers)", finding="mass", level="unaided", arm="unaided",
                    reference="panel", note=pooled, n_cases=120, **READS))  # fmt: skip
    said = study_paragraph(read_evidence(evidence_folder(rows), {}))
    assert said.startswith("Up to 200 test cases of 150 patients per estimate of the models alone; 1 finding (mass). ")
    read = "2 readers; at most 600 reads (of 120 cases) and at most 200 cases per estimate"
    assert f"{read} in 2 arms (unaided and aided:score). " in said
    assert "Reference standard of the reads: the label panel." in said


def test_cases_read_that_not_every_model_scored_are_told_from_those_compared(evidence_folder):
    rows = against_readers()
    rows += [{**r, "rater": "beta"} for r in rows if r["rater"] == "acme"]
    cases = [f"c{k}" for k in range(200)]
    lost = [line("read_not_scored_by_all", 14, "cases", finding="mass")]
    evidence = read_evidence(evidence_folder(rows, joined=joined(cases, [*cases, *"abcdefghijklmn"]), account=lost), {})
    told = dict(facts(evidence))
    assert told["cases compared"] == "200 of 214 read"
    assert "cases read" not in told
    assert "14 of 214 cases read are not compared. Not every model scored them." in study_paragraph(evidence)
    (limit,) = [x for x in limitations(evidence) if x.short == "cases read that are not compared"]
    assert limit.text == (
        "Not every model scored them. The comparison leaves them out for the readers and for every model."
    )


def test_the_study_in_brief_says_how_many_of_all_readers_have_results_beside_models(evidence_folder):
    rows = against_readers()
    rows += [{**r, "rater": "r2", "finding": "fracture"} for r in rows if r["rater"] == "r1"]  # no model scores it
    said = study_paragraph(read_evidence(evidence_folder(rows), {}))
    assert "1 of 2 readers; at most 200 cases per estimate" in said


def test_the_study_in_brief_names_the_findings_of_the_reads_where_they_are_others(evidence_folder):
    rows = [*against_readers()]
    rows += [{**r, "finding": "nodule"} for r in in_two_arms()]  # compared in arms, scored by no model
    read = {**READS, "level": "unaided", "arm": "unaided", "rater": "r1", "reference": "panel"}
    rows.append(row("sensitivity", 0.5, 0.4, 0.6, finding="fracture", **read))  # neither
    said = study_paragraph(read_evidence(evidence_folder(rows), {}))
    assert "; 2 findings (mass and nodule). Reference standard of the reads" in said
    assert "findings (mass" not in study_paragraph(read_evidence(evidence_folder(against_readers()), {}))
