"""The first page of arms: who was compared, the margin, and a difference that does not vary."""

from __future__ import annotations

import math

from overread import codes
from overread.reporting.first_page.answer_limits.study_limits import limitations
from overread.reporting.first_page.question import leading_page
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.reader_results.arm_pairs import pairs
from overread.reporting.sections.reader_results.arm_sentences import answer, for_paper
from tests.reporting.first_page.test_leading_question import READS, in_two_arms, row


def changed(difference, *, names=None):
    """The rows of two arms with other values in the row of the difference; readers and arms renamed."""
    names = names or {}
    rows = [{**r, **difference} if r["metric"] == "auc_difference" else r for r in in_two_arms()]
    return [{k: names.get(v, v) if isinstance(v, str) else v for k, v in r.items()} for r in rows]


def page_of(evidence_folder, rows, **more):
    """The evidence and its first page."""
    evidence = read_evidence(evidence_folder(rows, **more), {})
    return evidence, leading_page(evidence)


def noted(name, **values):
    """A note of a row, as its codes."""
    return {"note_codes": codes.encode(codes.note(name, **values))}


def test_a_reader_of_one_arm_is_left_out_and_not_counted(evidence_folder):
    rows = changed({"n_readers": 2, **noted("readers_in_one_arm", readers=("5",))})
    rows.append(row("auc", 0.8, 0.7, 0.9, rater="5", **{**READS, "level": "unaided", "arm": "unaided",
                                                       "finding": "mass", "reference": "panel"}))  # fmt: skip
    evidence, page = page_of(evidence_folder, rows)
    assert "Reader 5 read in one arm only and is left out." in page.more
    assert dict(page.facts)["readers"] == "2"
    assert "2 readers" in {x.short for x in limitations(evidence)}


def test_readers_who_made_the_reference_standard_are_not_among_those_judged(evidence_folder):
    _, page = page_of(evidence_folder, changed({"n_readers": 2, **noted("makers_excluded", readers=("1", "2", "3"))}))
    assert "2 of 5 readers judged; the others made the reference standard." in page.more


def test_the_lower_limit_is_set_against_the_margin(evidence_folder):
    tested = [r for r in changed({"p": 0.001, "at": "margin=0.05;test=obuchowski-rockette"}) if r["contrast"]]
    _, page = page_of(evidence_folder, [*tested, *in_two_arms()])
    assert page.answer.endswith(
        " Non-inferiority with a margin of 0.05: the lower limit of the interval, −0.0004, is above −0.050 (one-sided "
        "P = 0.001, tested at 2.5%)."
    )
    assert (page.table.rows[0][0].kind, page.table.rows[0][1].text) == ("strong", "0.897 (0.847–0.947)")


def test_every_measure_is_set_against_the_margin(evidence_folder):
    """The AUC is not inferior; the specificity may be."""
    rows = in_two_arms()
    for at in ("test=obuchowski-rockette", "margin=0.05;test=obuchowski-rockette"):
        rows += [r | {"at": at, "p": 0.001} for r in changed({}) if r["contrast"] and at.startswith("margin")]
        for metric, low, own in (("sensitivity", 0.01, 0.001), ("specificity", -0.08, 0.13)):
            less = {"metric": f"{metric}_difference", "estimate": low + 0.02, "low": low, "high": low + 0.04}
            tested = {"at": at, "p": own if at.startswith("margin") else 0.5}
            rows += [r | less | tested for r in changed({}) if r["contrast"]]
    _, page = page_of(evidence_folder, rows)
    assert page.answer.endswith("is above −0.050 (one-sided P = 0.001, tested at 2.5%).")
    assert (
        "The lower limit for sensitivity, +0.010, is above −0.050 (P = 0.001); the lower limit for specificity, "
        "−0.080, is not above −0.050 (P = 0.13). One-sided P values are not adjusted."
    ) in page.more


def test_a_measure_that_could_not_be_tested_has_a_sentence_of_its_own(evidence_folder):
    rows = in_two_arms()
    of_margin = {"at": "margin=0.05;test=obuchowski-rockette", "p": 0.001}
    rows += [r | of_margin for r in changed({}) if r["contrast"]]
    less = {"metric": "sensitivity_difference", "estimate": 0.0, "low": math.nan, "high": math.nan, "p": math.nan}
    rows += [r | less for r in changed({}) if r["contrast"]]
    _, page = page_of(evidence_folder, rows)
    assert "Non-inferiority in sensitivity could not be tested." in page.more


def test_margins_name_the_finding_and_say_which_of_another_finding_is_not_met(evidence_folder):
    rows = in_two_arms()
    of_margin = {"at": "margin=0.1;test=obuchowski-rockette"}
    rows += [r | of_margin | {"p": 0.001} for r in changed({}) if r["contrast"]]
    less = {"metric": "specificity_difference", "estimate": 0.0, "low": math.nan, "high": math.nan, "p": math.nan}
    rows += [r | less for r in changed({}) if r["contrast"]]
    failed = {"finding": "nodule", "metric": "specificity_difference", "estimate": -0.09, "low": -0.318, "high": 0.13}
    rows += [r | failed | at for r in changed({}) if r["contrast"] for at in ({}, of_margin | {"p": 0.47})]
    _, page = page_of(evidence_folder, rows)
    assert (
        "Non-inferiority in specificity for mass could not be tested. In 1 test for other findings the lower limit is "
        "above minus the margin in 0 and not above it in 1: specificity for nodule (−0.318, P = 0.47). One-sided P "
        "values are not adjusted."
    ) in page.more


def test_a_number_of_one_reader_is_no_mean_and_no_sentence_for_a_paper(evidence_folder):
    why = noted("readers_without_class", classes="with the finding", readers=("2",))
    one = [r | {"n_readers": 1} if r["rater"] == "(readers)" else r for r in changed({"n_readers": 1, **why})]
    evidence, page = page_of(evidence_folder, one)
    assert page.answer.startswith("The AUC of the one reader compared was 0.941 in aided reading (score) and 0.897 in")
    assert "Reader 2 has no read of cases with the finding in one of the arms and is left out." in page.more
    assert (page.table.caption, for_paper(pairs(evidence)[0], "auc")) == ("The one reader in each arm", "")


def test_a_difference_that_does_not_vary_has_no_interval(evidence_folder):
    _, page = page_of(evidence_folder, changed({"estimate": 0.0, "low": 0.0, "high": 0.0, "p": math.nan}))
    assert page.answer.endswith("a difference of 0.000 (no interval: no variation).")
    assert (page.table.rows[0][3].text, page.table.rows[0][3].note) == ("0.000", "no interval (no variation)")


def test_arms_and_readers_with_bare_numbers_say_what_is_numbered(evidence_folder):
    names = {"unaided": "1", "aided:score": "2", "arm:unaided": "arm:1", "r1": "1"}
    rows = changed({}, names=names)
    evidence = read_evidence(evidence_folder(rows), {})
    object.__setattr__(evidence, "run", {"config": {"baseline_arm": "1"}})
    page = leading_page(evidence)
    assert page.question == "Do readers do better in arm 2 than in arm 1?"
    assert "0.941 in arm 2 and 0.897 in arm 1" in page.answer
    assert [c.text for c in page.table.head[0]][1:4] == ["arm 1", "arm 2", "arm 2 minus arm 1"]
    assert "reader 1" in page.figure.numbers["row"].to_list()


def test_only_the_measures_of_the_page_are_explained(evidence_folder):
    _, page = page_of(evidence_folder, in_two_arms())
    assert [t for t, _ in page.terms if t != "P"] == ["AUC", "95% interval", "Filled and hollow marks"]


def test_one_degree_of_freedom_is_singular(evidence_folder):
    method = codes.encode(codes.method("scale_t", df=1.0))
    joined = codes.encode(codes.method("u_statistics_centred"))
    evidence, _ = page_of(evidence_folder, changed({"method_code": f"{joined} {method}"}))
    assert "; 1 degree of freedom; " in for_paper(pairs(evidence)[0], "auc")


def test_readers_of_both_arms_stand_in_the_order_of_their_numbers(evidence_folder):
    rows = changed({}, names={"r1": "Reader 10", "r2": "Reader 2"})
    alone = {**READS, "level": "unaided", "arm": "unaided", "finding": "mass", "reference": "panel"}
    evidence, page = page_of(evidence_folder, [*rows, row("auc", 0.8, 0.7, 0.9, rater="Reader 3", **alone)])
    names = list(dict.fromkeys(page.figure.numbers["row"]))
    assert names == ["Mean of the readers", "Reader 2", "Reader 10"]  # the third read in one arm only
    assert pairs(evidence)[0].readers() == ["Reader 2", "Reader 3", "Reader 10"]


def test_the_mean_of_an_arm_over_other_readers_does_not_stand_beside_the_difference(evidence_folder):
    difference = {"n_readers": 2, **noted("readers_in_one_arm", readers=("r3",))}
    rows = changed(difference)
    rows = [{**r, "n_readers": 3 if r["arm"] == "unaided" else 2} if r["rater"] == "(readers)" else r for r in rows]
    evidence, page = page_of(evidence_folder, rows)
    assert page.answer == (
        "Aided (score) minus unaided: +0.044 (95% interval −0.0004 to +0.088) in the mean AUC of the readers; the "
        "interval includes 0."
    )
    assert [c.note for c in page.table.rows[0][1:3]] == ["3 readers", ""]
    (pair,) = pairs(evidence)
    assert for_paper(pair, "auc").startswith("The difference in the mean AUC of the readers for mass between")


def in_three_arms():
    """A third arm beside the two, compared with both, and the F test of all arms."""
    rows = changed({"p_adjusted": 0.1, "p": 0.05})
    of = {**READS, "finding": "mass", "reference": "panel", "rater": "(readers)", "at": "test=obuchowski-rockette"}
    new = {**of, "level": "cine", "arm": "cine"}
    rows.append(row("auc", 0.857, 0.8, 0.9, **new))
    rows.append(row("auc_difference", -0.04, -0.08, -0.001, **new, contrast="arm:unaided"))
    rows.append(row("auc_difference", -0.084, -0.12, -0.05, **new, contrast="arm:aided:score"))
    return [*rows, row("f_statistic", 4.1, math.nan, math.nan, **{**of, "level": "all", "arm": "all", "p": 0.03})]


def test_of_three_arms_each_is_compared_with_the_usual_one(evidence_folder):
    _, page = page_of(evidence_folder, in_three_arms())
    assert page.question == "Do readers do better in another arm than in unaided reading?"
    assert page.answer == (
        "The difference in the mean AUC of the readers from that in unaided reading (0.897) runs from −0.040 (95% "
        "interval −0.080 to −0.001) with cine to +0.044 (−0.0004 to +0.088) in aided reading (score), with 0 outside "
        "the unadjusted interval in 1 of 2 and a Holm-adjusted P below 0.05 in none. Equal means in all arms: P = "
        "0.030 (F test)."
    )
    assert [c.text for c in page.table.head[0]][1:4] == ["unaided", "Other arm", "Other arm minus unaided"]
    assert [r[1].text for r in page.table.rows] == ["0.897 (0.847–0.947)"] * 2  # the arm that is subtracted
    assert [r[0].note for r in page.table.rows] == ["aided (score) minus unaided", "cine minus unaided"]
    assert page.table.remark == ("1 other pair of arms is in the sections below. Holm: adjusted over pairs of arms.")


def test_over_what_p_values_are_adjusted_is_said(evidence_folder):
    own = {**READS, "level": "aided:score", "arm": "aided:score", "finding": "mass", "reference": "panel"}
    more = {"contrast": "arm:unaided", "rater": "(readers)", "p": 0.01, "p_adjusted": 0.02}
    rates = [row(f"{m}_difference", 0.1, 0.05, 0.15, **own, **more) for m in ("sensitivity", "specificity")]
    _, page = page_of(evidence_folder, [*in_two_arms(), *rates])
    assert page.table.remark == "Holm: adjusted over sensitivity and specificity together."


def test_readers_without_a_number_in_both_arms_have_no_row(evidence_folder):
    rows = changed({})
    of = {**READS, "finding": "mass", "reference": "panel", "rater": "r3"}
    rows.append(row("auc", 0.8, 0.7, 0.9, **{**of, "level": "unaided", "arm": "unaided"}))
    rows.append(row("auc", *3 * [math.nan], **{**of, "level": "aided:score", "arm": "aided:score"}))
    _, page = page_of(evidence_folder, rows)
    assert [r[0].text for r in page.detail[0].rows] == ["r1", "r2"]


def test_a_mean_without_an_interval_says_that_its_variance_is_negative(evidence_folder):
    lost = {"low": math.nan, "high": math.nan, **noted("negative_variance", variance=-1e-6)}
    rows = [{**r, **lost} if (r["rater"], r["arm"]) == ("(readers)", "unaided") else r for r in in_two_arms()]
    _, page = page_of(evidence_folder, rows)
    assert (page.table.rows[0][1].text, page.table.rows[0][1].note) == ("0.897", "no interval (negative variance)")


def test_arms_without_an_interval_of_the_difference_are_still_compared(evidence_folder):
    """Identical arms: the difference has no variance and no interval, and is no reason to report one arm only."""
    _, page = page_of(evidence_folder, changed({"estimate": 0.0, "low": math.nan, "high": math.nan, "p": math.nan}))
    assert page.question.startswith("Do readers do better in aided reading")
    assert "a difference of 0.000 (no interval)" in page.answer


def test_readers_without_a_number_together_have_their_range_and_the_arm(evidence_folder):
    """A label that the same readers made: the arms are not compared, and each reader has an AUC in each arm."""
    nothing = {"estimate": math.nan, "low": math.nan, "high": math.nan, "p": math.nan}
    rows = [
        r | noted("reference_from_readers") for r in changed(nothing) if r["contrast"] or not r["rater"].startswith("(")
    ]
    _, page = page_of(evidence_folder, rows)
    assert page.answer == (
        "The AUC of 2 readers for mass in unaided reading runs from 0.907 (r1) to 0.917 (r2). No number of the readers "
        "together was estimated."
    )
    assert "The arms are not compared: the same readers made the reference standard" in page.more


def test_readers_with_unequal_reads_are_pooled_and_no_mean(evidence_folder):
    """A reader with more reads counts more: the number is not the mean of the readers' values."""
    pooled = noted("readers_pooled")
    rows = [{**r, **pooled} if r["rater"] == "(readers)" else r for r in in_two_arms()]
    evidence, page = page_of(evidence_folder, rows)
    assert page.answer.startswith("The AUC of the pooled readers was 0.941 in aided reading (score) and 0.897 in")
    assert page.table.caption == "The pooled readers in each arm"
    assert ("Pooled readers", "All reads together: a reader with more reads counts more.") in page.terms
    assert page.figure.numbers["row"][0] == "Pooled readers"
    (pair,) = pairs(evidence)
    sentence = for_paper(pair, "auc")
    assert sentence.startswith("The AUC of the pooled readers for mass was 0.941 (95% CI")
    assert "; all reads pooled, so that a reader with more reads counts more; " in sentence
    assert answer(pair, several=False).startswith("aided (score) minus unaided, pooled readers: AUC")


def test_missing_reads_limit_the_answer_with_their_number_in_each_arm(evidence_folder):
    lost = codes.notes(
        codes.note("reads_missing", n=227, total=1500),
        codes.note("reads_missing_by_arm", arms=("unaided 227 of 750", "aided 0 of 750")),
        codes.note("reads_of_practice", n=58, total=1500),
    )
    evidence, _ = page_of(evidence_folder, changed({"note_codes": codes.encode(lost)}))
    (limit,) = [x for x in limitations(evidence) if x.short == "227 of 1,500 reads missing"]
    assert limit.text == (
        "By arm: unaided 227 of 750 and aided 0 of 750. 58 others were practice and are excluded. The comparison "
        "assumes that they are missing at random, and not because a case was hard or easy."
    )
    sentence = for_paper(pairs(evidence)[0], "auc")
    assert (
        "227 of 1,500 reads missing (unaided 227 of 750 and aided 0 of 750), 58 of 1,500 reads excluded (prac"
        in sentence
    )


def test_arms_with_readers_of_their_own_are_not_compared_within_readers(evidence_folder):
    rows = [r | {"n_readers": 3} if r["rater"] == "(readers)" else r for r in in_two_arms()]
    within = {"n_readers": 6, **noted("readers_within_arms")}
    rows = [r | within if r["rater"] == "(readers)" and r["contrast"] else r for r in rows]
    rows = [r for r in rows if r["rater"] != "r1" or r["arm"] == "unaided"]  # r1 unaided, r2 aided
    rows = [r for r in rows if r["rater"] != "r2" or (r["arm"] != "unaided" and not r["contrast"])]
    evidence, page = page_of(evidence_folder, rows)
    assert page.answer.startswith("The mean AUC of the readers was 0.941 in aided reading (score) and 0.897 in unaided")
    assert page.more.startswith(
        "Every reader read in one arm only (3 readers in aided reading (score), 3 others in unaided reading): the "
        "difference is also one between readers."
    )
    assert page.table.rows[0][1].note == "3 readers"
    assert page.figure.title.startswith("Each reader in his or her own arm: AUC")
    assert list(dict.fromkeys(page.figure.numbers["row"])) == ["Mean of the readers", "r1", "r2"]
    said = "other readers in each arm, 3 in aided reading (score) and 3 in unaided reading; 6 readers, "
    assert said in for_paper(pairs(evidence)[0], "auc")


def test_readers_who_read_a_case_in_one_arm_only_miss_no_read(evidence_folder):
    evidence, page = page_of(evidence_folder, changed(noted("reads_in_one_arm")))
    assert page.more.startswith("Each reader read a case in one arm only: the two arms of a reader are of different")
    assert not [x for x in limitations(evidence) if "missing" in x.short]
    assert "each reader read a case in one arm only; reference standard" in for_paper(pairs(evidence)[0], "auc")


def test_the_sentence_for_a_paper_says_that_tied_votes_leave_the_arms_on_different_cases(evidence_folder):
    tied = codes.notes(
        codes.note("reads_without_majority", n=92, total=600),
        codes.note("reads_without_majority_by_arm", arms=("unaided 92 of 300", "aided 0 of 300")),
    )
    evidence, _ = page_of(evidence_folder, changed({"note_codes": codes.encode(tied)}))
    assert (
        "92 of 600 reads excluded (no majority of the others; unaided 92 of 300 and aided 0 of 300), so that the arms "
        "rest on different cases; reference standard"
    ) in for_paper(pairs(evidence)[0], "auc")


def test_weighted_cases_are_named_in_the_answer_and_in_the_sentence_for_a_paper(evidence_folder):
    method = codes.methods(codes.method("u_statistics_centred"), codes.method("weighted"))
    evidence, page = page_of(evidence_folder, changed({"method_code": codes.encode(method)}))
    assert "Cases are weighted by the inverse of their sampling probability." in page.more
    assert "; cases weighted by the inverse of their sampling probability; " in for_paper(pairs(evidence)[0], "auc")
