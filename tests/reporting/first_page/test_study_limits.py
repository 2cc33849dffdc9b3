"""What limits the answer: each kind is found by its codes and counts, the worst comes first."""

from __future__ import annotations

import math
from dataclasses import replace

import polars as pl
import pytest

from overread import codes
from overread.reporting.first_page.answer_limits.study_limits import limitations
from overread.reporting.first_page.page_facts import facts
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.summary import study_paragraph
from tests.reporting.first_page.test_leading_question import against_readers, joined, row


def line(name, count, unit="labels", **parameters):
    """A line of the account."""
    reason = codes.note(name, **parameters)
    return {"stage": "join", "unit": unit, "reason": reason, "reason_code": codes.encode(reason), "count": count}


def limits_of(evidence_folder, rows, study=None, **more):
    """The limitations, their sentences by their short names."""
    found = limitations(read_evidence(evidence_folder(rows, **more), study or {}))
    assert [x.rank for x in found] == sorted(x.rank for x in found)
    return {x.short: f"{x.head} {x.text}" for x in found}


AUC = ("auc", 0.8, 0.7, 0.9)


def test_what_every_evaluation_without_a_protocol_lacks(evidence_folder):
    found = limits_of(evidence_folder, [row(*AUC)])
    assert list(found)[:3] == ["no other hospital known to be unseen", "no protocol", "reference labels not described"]
    assert "no protocol" not in limits_of(evidence_folder, [row(*AUC)], {"protocol_hash": "ab12"})


def test_an_auc_below_chance_at_another_hospital_comes_first_with_its_cases(evidence_folder):
    rows = [row(*AUC), row("auc", 0.167, 0.05, 0.4, finding="mass", population="external:elm", n_cases=18)]
    found = limits_of(evidence_folder, rows)
    assert next(iter(found)) == "an AUC below 0.5 at another hospital"
    assert "acme, mass, elm (18 cases), 0.167 (0.050 to 0.400)" in found["an AUC below 0.5 at another hospital"]
    rows[1]["high"] = 0.5
    assert "an AUC below 0.5 at another hospital" not in limits_of(evidence_folder, rows)


def test_thresholds_chosen_on_half_are_counted_in_patients(evidence_folder):
    note = codes.note("fitted_on_half", fitted=50, tested=51)
    found = limits_of(
        evidence_folder, [row(*AUC), row("sensitivity", 0.5, 0.4, 0.6, at="operating_point=spec90", note=note)]
    )
    assert "chosen on 50 of 101 patients" in found["thresholds chosen on half of the patients"]


def test_cases_that_were_lost_or_not_scored_are_counted(evidence_folder):
    lines = [line("labelled_not_scored", 7, "cases", rater="acme", share="7%", of=100)]
    found = limits_of(evidence_folder, [row(*AUC)], account=lines)
    assert "7 cases (labelled, but not scored by acme (7% of 100))" in found["cases left out"]


def test_hospitals_that_are_in_no_mean_are_named(evidence_folder):
    note = codes.note("sites_excluded", sites=("elm", "oak"))
    rows = [row(*AUC, note=note), row("auc", math.nan, math.nan, math.nan, population="external:ash")]
    found = limits_of(evidence_folder, rows)
    assert "elm and oak" in found["2 hospitals not evaluable for some findings"]
    assert "ash" in found["1 hospital not evaluable"]


def test_numbers_that_could_not_be_computed_are_counted(evidence_folder):
    found = limits_of(evidence_folder, [row(*AUC), row("auc", math.nan, math.nan, math.nan, finding="mass")])
    assert found["numbers not computed"].startswith("1 of 2 numbers could not be computed.")


def test_references_made_by_the_readers_and_few_readers_are_named(evidence_folder):
    found = limits_of(evidence_folder, against_readers())
    assert "majority of the readers" in found["1 reference standard derived from these reads"]
    assert "1 reader" in found


@pytest.mark.parametrize(
    ("name", "more", "short"),
    [
        ("uncertain_excluded", {}, "uncertain labels"),
        ("case_is_own_patient", {}, "every case taken as its own patient"),
        ("findings_without_label", {"findings": ("mass",)}, "findings not evaluated"),
    ],
)
def test_lines_of_the_account_are_limitations(evidence_folder, name, more, short):
    assert short in limits_of(evidence_folder, [row(*AUC)], account=[line(name, 3, **more)])


def test_the_best_of_many_models_is_said_to_be_chosen(evidence_folder):
    rows = [row("auc", 0.8 - k / 100, 0.7, 0.9, rater=f"m{k}") for k in range(5)]
    assert "best of 5 models" in limits_of(evidence_folder, rows)
    assert "best of 2 models" not in limits_of(evidence_folder, rows[:2])


def test_a_reference_standard_that_was_asked_for_and_is_not_identified_is_a_limitation(evidence_folder):
    evidence = read_evidence(
        evidence_folder([row(*AUC)], account=[line("dawid_skene_refused", 1, "findings", finding="mass")]), {}
    )
    asked = replace(evidence, run={"config": {"references": ["own", "dawid-skene"]}})
    assert "Dawid–Skene not identified" in [x.short for x in limitations(asked)]
    assert "Dawid–Skene not identified" not in [x.short for x in limitations(evidence)]


@pytest.mark.parametrize(("asked", "told"), [(["dawid-skene"], True), ([], False)])
def test_a_refused_dawid_skene_that_was_asked_for_is_a_limit_from_the_note_of_its_row(evidence_folder, asked, told):
    place = {"analysis": "readers", "subgroup": "read", "level": "unaided", "arm": "unaided", "rater": "(readers)"}
    note = codes.note("dawid_skene_refused", finding="mass")
    rows = [row(*AUC), row("sensitivity", *3 * [math.nan], reference="dawid-skene", finding="mass", note=note, **place)]
    evidence = read_evidence(evidence_folder(rows), {})
    evidence = replace(evidence, run={"config": {"references": asked}})
    assert ("Dawid–Skene not identified" in [x.short for x in limitations(evidence)]) == told


def test_the_findings_for_which_dawid_skene_is_not_identified_are_named(evidence_folder):
    place = {"analysis": "readers", "subgroup": "read", "level": "unaided", "arm": "unaided", "rater": "(readers)"}
    lost = {"finding": "mass", "note": codes.note("dawid_skene_refused", finding="mass")}
    rows = [row("sensitivity", *3 * [math.nan], reference="dawid-skene", **lost, **place)]
    rows += [row("sensitivity", 0.8, 0.7, 0.9, reference="dawid-skene", finding="nodule", **place), row(*AUC)]
    evidence = replace(read_evidence(evidence_folder(rows), {}), run={"config": {"references": ["dawid-skene"]}})
    assert "Dawid–Skene not identified for mass" in [x.short for x in limitations(evidence)]


def test_how_labels_were_made_is_not_missing_where_it_is_stated_or_there_are_none(evidence_folder):
    name = "reference labels not described"
    rows = against_readers()
    assert name in limits_of(evidence_folder, rows)
    made = [line("makers_not_judged", 6, "reads", reference="panel")]
    assert name not in limits_of(evidence_folder, rows, account=made)
    derived = [r for r in rows if r["reference"] == "majority"]
    assert name not in limits_of(evidence_folder, derived)


def test_all_derived_references_count_as_made_by_the_readers(evidence_folder):
    rows = against_readers()
    rows += [{**r, "reference": "majority of the others"} for r in rows if r["reference"] == "majority"]
    found = limits_of(evidence_folder, rows)["2 reference standards derived from these reads"]
    assert found.startswith("2 of 3 reference standards are derived from reads of these readers.")
    assert found.endswith("The majority of the other readers (derived) leaves out the reader who is evaluated.")


def test_where_the_training_sites_are_unknown_no_hospital_is_called_internal(evidence_folder):
    evidence = read_evidence(evidence_folder([row("auc", 0.8, 0.7, 0.9)]), {})
    (found,) = [each for each in limitations(evidence) if each.short == "no other hospital known to be unseen"]
    assert found.head == "No hospital known to be external."


def test_cases_that_were_taken_as_patients_are_not_counted_as_patients(evidence_folder):
    own = [line("case_is_own_patient", 200, "cases")]
    rows = [row("auc", 0.8, 0.7, 0.9)]
    taken, known = (read_evidence(evidence_folder(rows, account=account), {}) for account in (own, None))
    assert "patients" in dict(facts(known))
    assert "patients" not in dict(facts(taken))
    assert study_paragraph(known).startswith("Up to 200 test cases of 150 patients per estimate;")
    assert study_paragraph(taken).startswith("Up to 200 test cases per estimate;")


def test_uncertain_labels_are_counted_by_what_they_were_taken_for(evidence_folder):
    lines = [line("uncertain_excluded", 61, "labels"), line("uncertain_recoded", 5, state="absent")]
    policies = row("auc_difference", 0.1, 0.0, 0.2, analysis="policies", contrast="policy:ignore", finding="mass")
    for rows, text in (([], ""), ([policies], "Results with other ways of handling them:")):
        evidence = read_evidence(evidence_folder([row("auc", 0.8, 0.7, 0.9), *rows], account=lines), {})
        (found,) = [each for each in limitations(evidence) if each.short == "uncertain labels"]
        assert found.head == "61 uncertain labels left out and 5 uncertain labels taken as absent."
        assert (found.text, found.link) == (text, "policies" if rows else "")


def test_derived_references_nobody_asked_for_come_last_and_only_those_with_results_count(evidence_folder):
    rows = against_readers()
    lost = {"estimate": math.nan, "reference": "dawid-skene"}
    rows += [{**r, **lost} for r in rows if r["reference"] == "majority"]
    evidence = read_evidence(evidence_folder(rows), {})
    last = limitations(evidence)[-1]
    assert last.head == "1 of 2 reference standards is derived from reads of these readers."
    assert last.text == "Results under the majority of the readers (derived) favour the readers."
    asked = replace(evidence, run={"config": {"references": ["majority"]}})
    (found,) = [x for x in limitations(asked) if "reference standard" in x.short and "made" in x.short]
    assert (found.short, found.rank) == ("1 reference standard made by these readers", 3)


def test_why_dawid_skene_is_not_identified_is_said_without_the_list_of_readers(evidence_folder):
    apart = codes.note("blocks_apart", n=2, low=0.1, high=0.2, low_readers=("a", "b"), high_readers=("c", "d"))
    reason = codes.notes(codes.note("dawid_skene_refused", finding="mass"), apart, codes.note("nothing_identifies"))
    lost = {"stage": "reads", "unit": "reference standards", "reason": reason, "reason_code": codes.encode(reason)}
    evidence = read_evidence(evidence_folder([row(*AUC)], account=[{**lost, "count": 1}]), {})
    evidence = replace(evidence, run={"config": {"references": ["dawid-skene"]}})
    (found,) = [x for x in limitations(evidence) if x.short.startswith("Dawid")]
    assert found.text == (
        "It was asked for and is not used, because the reads do not determine it: 2 blocks of readers read nearly "
        "disjoint cases with different shares of present calls."
    )


def test_cases_read_that_no_model_scored_do_not_count_as_test_cases(evidence_folder):
    cases = joined([f"c{k}" for k in range(10)], ["c0", "c1", "c2", *(f"read-{k}" for k in range(6))])
    folder = evidence_folder(against_readers(), joined=cases)
    evidence = read_evidence(folder, {})
    (found,) = [each for each in limitations(evidence) if each.short == "a selected sample was read"]
    assert found.head == "3 of 10 test cases were read."
    assert dict(facts(evidence))["cases"] == "10"
    every = joined(["c0", "c1"], ["c0", "c1", "read-0"])
    found = limits_of(evidence_folder, against_readers(), joined=every)
    assert "a selected sample was read" not in found


def test_cases_read_without_a_stated_label_are_counted_once_for_each_label(evidence_folder):
    lines = [
        line("read_not_labelled", n, "cases", finding=finding, reference=reference)
        for n, finding, reference in ((2, "mass", "panel"), (9, "nodule", "panel"), (5, "mass", "majority"))
    ]
    found = limits_of(evidence_folder, against_readers(), account=lines)
    assert found["cases read without a label"] == (
        "Read, but without a label: 2 cases by the label panel. Not in any result by that reference standard."
    )


def test_rare_findings_with_and_without_an_interval_are_told_apart(evidence_folder):
    settings = {"roles": {}}
    rows = [row("auc", 0.8, 0.7, 0.9, finding="edema", n_present=12), row(*AUC, finding="hernia")]
    rows.append(row("auc", 0.4, finding="mass", n_present=1, low=math.nan, high=math.nan))
    found = limits_of(evidence_folder, rows, settings=settings)
    assert found["few cases of some findings"] == (
        "Fewer than 50 cases present: mass (1), pulmonary edema (12) and hiatal hernia (40). The intervals are wide; "
        "mass has none."
    )
    found = limits_of(evidence_folder, rows[2:], settings=settings)
    assert found["few cases of some findings"].endswith("No interval of AUC or sensitivity could be computed.")


def test_a_finding_of_one_class_has_its_hospital_only_where_there_are_several(evidence_folder):
    none = {"finding": "mass", "n_present": 0, "low": math.nan, "high": math.nan}
    rows = [row(*AUC, finding="edema"), row("auc", math.nan, **none)]
    short = "findings with cases of one class"
    assert limits_of(evidence_folder, rows)[short] == "All cases of one class: mass. No AUC can be estimated."
    rows.append(row("auc", math.nan, population="external:elm", **none))
    told = "All cases of one class: mass (the internal test) and mass (elm). No AUC can be estimated."
    assert limits_of(evidence_folder, rows)[short] == told


def test_roles_that_name_hospitals_without_a_case_are_a_limit(evidence_folder):
    inside = joined(["a", "b"], []).with_columns(site=pl.lit("west"))
    roles = {"single": {"acme": "west1", "beta": "west2"}}
    short = "roles that name other hospitals"
    assert limits_of(evidence_folder, [row(*AUC)], joined=inside, settings={"roles": roles})[short] == (
        "Hospitals of the roles are not those of the test. The roles name west1 and west2, of which the test has no "
        "case; the internal test is of west, which no role names."
    )
    roles = {"single": {"acme": "west", "beta": "west2"}}
    assert short not in limits_of(evidence_folder, [row(*AUC)], joined=inside, settings={"roles": roles})
