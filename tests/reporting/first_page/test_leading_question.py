"""The first page: which question leads, and that its sentences and tables hold the numbers of the rows."""

from __future__ import annotations

import math
from dataclasses import replace

import polars as pl
import pytest

from overread import codes
from overread.reporting.blocks import Section, Table, within
from overread.reporting.first_page.contents import parts
from overread.reporting.first_page.first_page_parts import MOST_ROWS
from overread.reporting.first_page.question import ARMS, MODELS, POOLING, READER_STUDY, leading, leading_page
from overread.reporting.report_data import read_evidence
from overread.reporting.sections import section_answers
from overread.reporting.sections.reader_results import reader_section

READS = {"analysis": "readers", "subgroup": "read", "policy": "uncertain=ignore;uncertain_call=absent"}
NONE = dict.fromkeys(("low", "high"), math.nan)


def row(metric, value, low, high, **more):
    """A row of estimates of models; codes of the note from its text."""
    keys = dict.fromkeys(("at", "contrast", "subgroup", "level", "reference", "policy"), "")
    place = {"analysis": "standalone", "finding": "(mean)", "rater": "acme", "population": "internal", "arm": "model"}
    numbers = {"estimate": value, "low": low, "high": high, "se": 0.01, "p": math.nan, "p_adjusted": math.nan}
    counts = {"n_present": 40, "n_absent": 160, "n_cases": 200, "n_patients": 150, "confidence": 0.95}
    note = more.pop("note", codes.NONE)
    texts = {"method": codes.method("delong"), "method_code": "delong", "note": note, "note_codes": codes.encode(note)}
    return {**keys, **place, "metric": metric, **numbers, **counts, **texts, **more}


def joined(scored, read):
    """Cases that a model scored and cases that a reader read; a case that no model scored has no truth."""
    rows = [(case, "acme", "model", True) for case in scored]
    rows += [(case, "r1", "unaided", True if case in scored else None) for case in read]
    frame = pl.DataFrame(rows, schema=("case_id", "rater", "arm", "truth"), orient="row")
    texts = {"finding": "mass", "population": "internal", "site": "", "shift": "none"}
    frame = frame.with_columns(pl.col("case_id").alias("patient_id"), **{k: pl.lit(v) for k, v in texts.items()})
    return frame.with_columns(score=pl.lit(0.5), call=pl.lit(None, pl.String), weight=pl.lit(1.0))


def over(n):
    """The note of a mean over so many findings."""
    return codes.note("mean_over_findings", n=n, findings=("edema", "mass", "nodule")[:n])


def models(first, second):
    """Two models with mean AUCs, a finding each, and their difference as the second minus the first."""
    rows = [row("auc", v, v - 0.01, v + 0.01, rater=r, note=over(3)) for r, v in (("acme", first), ("beta", second))]
    rows += [row("auc", first, first - 0.02, first + 0.02, finding=f, rater="acme") for f in ("edema", "mass")]
    low, high = second - first - 0.004, second - first + 0.004
    return [
        *rows,
        row("auc_difference", second - first, low, high, analysis="comparison", rater="beta", contrast="rater:acme"),
    ]


def page_of(evidence_folder, rows, **more):
    """The evidence and its first page."""
    evidence = read_evidence(evidence_folder(rows, **more), {})
    return evidence, leading_page(evidence)


def test_of_two_models_the_higher_leads_with_the_difference_turned_round(evidence_folder):
    evidence, page = page_of(evidence_folder, models(0.82, 0.81))
    assert leading(evidence) == MODELS
    assert page.answer == (
        "acme has the higher mean AUC: 0.820 for acme and 0.810 for beta, a difference of +0.010 (95% interval +0.006 "
        "to +0.014)."
    )
    assert [r[0].text for r in page.table.rows] == ["acme", "beta"]
    assert page.table.rows[0][1].text == "0.820 (0.810–0.830)"


def test_an_interval_with_0_is_no_verdict_and_its_small_limit_keeps_a_digit(evidence_folder):
    _, page = page_of(evidence_folder, models(0.8236, 0.82))
    assert "a difference of +0.004 (95% interval −0.0004 to +0.008); the interval includes 0." in page.answer
    assert "equal" not in page.answer
    assert page.verdict == ""


def differences(*values):
    """acme (0.856) and other models m0, m1 ..., each with its difference from acme: (estimate, low, high)."""
    rows = [row("auc", 0.856, 0.83, 0.88, note=over(3))]
    for k, (value, low, high) in enumerate(values):
        rows.append(row("auc", 0.856 - value, 0.1, 0.9, rater=f"m{k}", note=over(3)))
        rows.append(
            row("auc_difference", value, low, high, analysis="comparison", rater="acme", contrast=f"rater:m{k}")
        )
    return rows


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            ((0.0, math.nan, math.nan), (0.712, 0.65, 0.77)),
            "acme and m0 have the highest mean AUC, 0.856 (95% interval 0.830 to 0.880); acme lies +0.712 (+0.650 to "
            "+0.770) above m1.",
        ),
        (
            ((0.1, math.nan, math.nan), (0.2, 0.1, 0.3), (0.3, -0.1, 0.7)),
            "acme has the highest mean AUC, 0.856 (95% interval 0.830 to 0.880); it lies +0.100 to +0.300 above the "
            "others, with the whole interval above 0 for 1 of 3 (1 without an interval).",
        ),
        (
            ((0.0, math.nan, math.nan), (0.0, -0.1, 0.1)),
            "acme, m0 and m1 have the same mean AUC, 0.856 (95% interval 0.830 to 0.880).",
        ),
    ],
)
def test_models_with_the_same_auc_share_the_first_place_and_no_difference_is_dropped(evidence_folder, values, told):
    _, page = page_of(evidence_folder, differences(*values))
    assert page.answer == f"Of {len(values) + 1} models, {told}"


def test_a_difference_that_could_not_be_computed_is_counted(evidence_folder):
    rows = [r for r in differences((0.1, 0.05, 0.15), (0.2, 0.1, 0.3)) if r["contrast"] != "rater:m1"]
    _, page = page_of(evidence_folder, rows)
    assert page.answer.endswith(
        "it lies +0.100 above the others, with the whole interval above 0 for 1 of 2 (1 without a difference)."
    )


def test_the_page_of_a_weighted_sample_says_that_its_numbers_are_weighted(evidence_folder):
    evidence = read_evidence(evidence_folder(models(0.82, 0.81), joined=joined(["c1", "c2", "c3"], [])), {})
    assert "weighted" not in leading_page(evidence).more
    drawn = replace(evidence, joined=evidence.joined.with_columns(weight=pl.Series([1.0, 9.0, 1000.0])))
    assert leading_page(drawn).more.endswith(
        "Cases are weighted by the inverse of their sampling probability (3 stand for 1,010); counts of cases are not "
        "weighted."
    )


def test_the_caption_names_the_pair_of_which_no_difference_remains(evidence_folder):
    rows = models(0.82, 0.81)
    more = {"analysis": "comparison", "rater": "acme", "contrast": "rater:beta"}
    rows += [row("auc_difference", 0.01, -0.1, 0.1, finding=f, **more) | {"p_adjusted": 1.0} for f in ("edema", "mass")]
    _, page = page_of(evidence_folder, rows)
    assert "(Holm) no difference between acme and beta remains at the 5% level." in page.figure.caption
    rows = [r | {"confidence": 0.9} | ({"p_adjusted": 0.07} if r["finding"] == "edema" else {}) for r in rows]
    evidence, page = page_of(evidence_folder, rows)
    assert "remains for 1 of 2 findings at the 10% level: pulmonary edema." in page.figure.caption
    assert section_answers.comparison(evidence).endswith("; Holm-adjusted P below 0.1 for 1 of 2 findings.")


def test_a_model_that_left_cases_unscored_has_its_own_cases_in_the_table(evidence_folder):
    rows = [row("auc", 0.8, 0.7, 0.9, finding="mass", rater=r) for r in ("acme", "beta")]
    rows[1] |= {"n_present": 39, "n_absent": 159}
    _, page = page_of(evidence_folder, rows)
    (shown,) = page.detail[0].rows[-1:]
    assert [(c.text, c.note) for c in shown[1:4]] == [
        ("40 / 160", ""),
        ("0.800 (0.700–0.900)", ""),
        ("0.800 (0.700–0.900)", "of 39 / 159"),
    ]


def test_the_table_has_at_most_eight_rows_and_says_so(evidence_folder):
    rows = [row("auc", 0.9 - 0.01 * k, 0.8, 0.95, rater=f"m{k}") for k in range(10)]
    _, page = page_of(evidence_folder, rows)
    assert len(page.table.rows) == MOST_ROWS
    assert page.table.remark.startswith("8 of 10 models")
    assert page.answer.startswith("Of 10 models, m0 has the highest mean AUC, 0.900 (95% interval 0.800 to 0.950)")
    assert len([x for x in page.figure.numbers["row"].unique() if x.startswith("m")]) == 10


def test_a_mean_over_fewer_findings_says_so_in_its_cell(evidence_folder):
    rows = [row("auc", 0.8, 0.7, 0.9, note=over(3)), row("auc", 0.7, 0.6, 0.8, rater="beta", note=over(2))]
    _, page = page_of(evidence_folder, rows)
    assert [r[1].note for r in page.table.rows] == ["", "over 2 of 3 findings"]


def test_hospitals_outside_the_internal_test_lead_the_answer(evidence_folder):
    rows = [row("auc", 0.85, 0.8, 0.9), row("auc", 0.7, 0.65, 0.75, population="external:elm")]
    rows.append(row("auc", 0.8, 0.75, 0.84, population="external:oak"))
    _, page = page_of(evidence_folder, rows)
    assert page.answer == (
        "At 2 hospitals outside the internal test, the mean AUC of acme runs from 0.700 (95% interval 0.650 to 0.750) "
        "at elm to 0.800 (0.750 to 0.840) at oak, against 0.850 (0.800 to 0.900) in the internal test."
    )
    assert "site" not in page.answer


def test_means_over_different_findings_are_not_set_against_each_other(evidence_folder):
    """Inside over edema alone, at elm over edema and mass: only the drop over edema compares the two."""
    more = {"population": "external:elm"}
    rows = [row("auc", 0.897, 0.82, 0.94, note=over(1)), row("auc", 0.764, 0.69, 0.83, note=over(2), **more)]
    drop = {"analysis": "drop", "contrast": "population:external:elm"}
    _, page = page_of(evidence_folder, [*rows, row("auc_drop", 0.043, -0.037, 0.123, note=over(1), **drop)])
    assert page.answer == (
        "At elm, the mean AUC of acme is 0.764 (95% interval 0.690 to 0.830); over edema, evaluable in both, internal "
        "minus external is +0.043 (−0.037 to +0.123)."
    )
    _, page = page_of(evidence_folder, rows)
    assert page.answer.endswith("; no finding could be evaluated both there and in the internal test.")
    rows += [row("auc", v, v - 0.1, 0.9, note=over(n), rater="beta", **p) for v, n, p in ((0.8, 1, {}), (0.7, 2, more))]
    less = {"analysis": "comparison", "rater": "acme", "contrast": "rater:beta"}
    rows += [row("auc_difference", 0.097, 0.01, 0.2, note=over(1), **less)]
    rows += [row("auc_difference", 0.064, 0.01, 0.2, note=over(2), **less, **more)]
    _, page = page_of(evidence_folder, rows)
    assert (
        "acme minus beta (at each hospital over the findings evaluable there) runs from +0.064 at elm to +0.097 in the"
        in page.more
    )


def pooled(verdict_hash):
    """Pooled against two single-hospital models at one hospital, with a verdict."""
    rows = [
        row("auc", v, v - 0.02, v + 0.02, rater=r)
        for r, v in (("pooled", 0.8), ("north-only", 0.75), ("lake-only", 0.74))
    ]
    more = {"analysis": "H1", "rater": "pooled", "population": "external:elm"}
    rows.append(row("auc_difference", 0.04, 0.01, 0.07, contrast="rater:north-only", **more))
    rows.append(row("auc_difference", -0.02, -0.05, 0.01, contrast="rater:lake-only", **more))
    verdict = {"hypothesis": "H1", "claim": "Pooling helps.", "rule": "Above 0.", "verdict": "cannot tell"}
    verdicts = pl.DataFrame(
        {**{k: [v] for k, v in verdict.items()}, "reason": ["One site."], "protocol_hash": [verdict_hash]}
    )
    return rows, verdicts


@pytest.mark.parametrize(
    ("sites", "told"),
    [
        (("north", "lake"), "Internal test: patients of north, where models were trained as declared."),
        (
            ("west1", "west2"),
            "Internal test: patients of north; that a model was trained there is not declared (declared: west1 and "
            "west2).",
        ),
    ],
)
def test_the_internal_test_is_of_the_training_hospitals_only_if_that_is_known(evidence_folder, sites, told):
    rows, _ = pooled("")
    roles = {"pooled": "pooled", "single": dict(zip(("north-only", "lake-only"), sites, strict=True))}
    frame = joined(["a", "b"], ["a"]).with_columns(site=pl.lit("north"))
    evidence = read_evidence(evidence_folder(rows, joined=frame), {})
    object.__setattr__(evidence, "cast", replace(evidence.cast, roles=roles))
    assert told in leading_page(evidence).table.note


@pytest.mark.parametrize(("protocol_hash", "pill"), [("ab12", "cannot tell"), ("", "")])
def test_only_a_rule_of_a_protocol_has_a_verdict_on_the_first_page(evidence_folder, protocol_hash, pill):
    rows, verdicts = pooled(protocol_hash)
    evidence = read_evidence(evidence_folder(rows, verdicts=verdicts), {})
    page = leading_page(evidence)
    assert leading(evidence) == POOLING
    assert page.verdict == pill
    assert page.answer == (
        "pooled has the higher mean AUC in 1 of 2 comparisons at hospitals not used in training, with the whole "
        "interval above 0 in 1 and below 0 in none: from −0.020 (95% interval −0.050 to +0.010) against lake-only at "
        "elm to +0.040 (+0.010 to +0.070) against north-only at elm."
    )


def test_the_internal_test_is_not_called_the_training_hospitals_where_training_is_not_known(evidence_folder):
    rows, _ = pooled("")
    notes = codes.note("mean_over_sites", n=2)
    rows += [row("auc", 0.8, 0.7, 0.9, rater="pooled", population="external:elm")]
    rows += [row("auc", 0.82, 0.8, 0.84, rater="pooled", at="pairs=all")]
    rows[0] |= {"note": notes, "note_codes": codes.encode(notes)}
    inside = joined(["a", "b"], []).with_columns(site=pl.Series(["north", "lake"]), rater=pl.lit("pooled"))
    _, page = page_of(evidence_folder, rows, joined=inside)
    assert page.table.note == (
        "With 95% interval. Internal test: patients of lake and north, where models were trained as declared."
    )
    assert page.more == (
        "The mean AUC of pooled is 0.800 in the internal test, and 0.800 at elm. In the internal test: mean of the "
        "AUCs at 2 hospitals, each with the same weight; over all pairs 0.820."
    )


def test_a_mean_auc_without_an_interval_beside_pooled_training_has_its_number_of_cases(evidence_folder):
    rows, _ = pooled("")
    rows[0] |= {"low": math.nan, "high": math.nan}
    rows += [row("auc", 0.8, rater="pooled", finding="mass", n_cases=32, low=math.nan, high=math.nan)]
    rows += [row("auc", 0.7, 0.6, 0.8, rater="pooled", population="external:elm")]
    _, page = page_of(evidence_folder, rows)
    assert page.more == "The mean AUC of pooled is 0.800 in the internal test (32 cases), and 0.700 at elm."


def against_readers():
    """A model against the pooled readers under the panel's label, which these readers made, and their majority."""
    model = {**READS, "level": "unaided", "finding": "mass", "rater": "acme"}
    people = {**READS, "level": "unaided", "finding": "mass", "rater": "(readers)", "arm": "unaided"}
    rows = [row("auc", 0.8, 0.7, 0.9, finding="mass")]
    for reference, value in (("panel", -0.2), ("majority", 0.1)):
        at = {"reference": reference}
        more = {"at": "specificity=readers", "contrast": "rater:(readers)"}
        rows.append(row("sensitivity_difference", value, value - 0.05, value + 0.05, **model, **more, **at))
        rows.append(row("sensitivity_at_specificity", 0.6, 0.5, 0.7, at="specificity=readers", **model, **at))
        rows += [row(m, 0.8, 0.7, 0.9, **people, **at) for m in ("sensitivity", "specificity")]
        rows.append(row("sensitivity", 0.8, 0.7, 0.9, **{**people, "rater": "r1"}, **at))
    return rows


def test_models_and_readers_lead_with_the_difference_by_reference(evidence_folder):
    evidence, page = page_of(evidence_folder, against_readers())
    assert leading(evidence) == READER_STUDY
    assert page.answer == (
        "It depends on the reference standard: by the label panel the sensitivity of the model is lower (acme for "
        "mass: −0.20, 95% interval −0.25 to −0.15); by the majority of the readers (derived) it is higher (+0.10, "
        "+0.05 to +0.15)."
    )
    assert len([r for r in page.table.rows if r[0].kind != "group"]) <= MOST_ROWS
    part = parts([Section(n, n, ("x",)) for n in ("discrimination", "readers")], READER_STUDY)
    assert [p.sections[0].name for p in part if p.sections] == ["readers", "discrimination"]


def in_two_arms():
    """The rows of readers in two arms, with AUCs and their difference."""
    rows = []
    for arm, value in (("unaided", 0.897), ("aided:score", 0.941)):
        own = {**READS, "level": arm, "arm": arm, "finding": "mass", "reference": "panel"}
        rows.append(
            row("auc", value, value - 0.05, value + 0.05, rater="(readers)", at="test=obuchowski-rockette", **own)
        )
        rows += [row("auc", value + k / 100, 0.8, 0.99, rater=f"r{k}", **own) for k in (1, 2)]
    own = {**READS, "level": "aided:score", "arm": "aided:score", "finding": "mass", "reference": "panel"}
    test = {"at": "test=obuchowski-rockette", "contrast": "arm:unaided", "rater": "(readers)", "p": 0.052}
    return [*rows, row("auc_difference", 0.044, -0.0004, 0.088, **own, **{**test})]


def test_readers_in_two_arms_lead_before_the_models(evidence_folder):
    rows = in_two_arms()
    evidence, page = page_of(evidence_folder, [row("auc", 0.8, 0.7, 0.9, finding="mass"), *rows])
    assert leading(evidence) == ARMS
    assert page.answer == (
        "The mean AUC of the readers was 0.941 in aided reading (score) and 0.897 in unaided reading, a difference of "
        "+0.044 (95% interval −0.0004 to +0.088); the interval includes 0."
    )
    first = page.table.rows[0]
    assert [c.text for c in first[1:]] == [
        "0.897 (0.847–0.947)", "0.941 (0.891–0.991)", "+0.044 (−0.0004 to +0.088)", "0.052",
    ]  # fmt: skip
    reader = page.figure.numbers.filter(pl.col("row") == "r1")
    assert reader["estimate"].to_list()[-1] == pytest.approx(0.044)
    assert math.isnan(reader["low"].to_list()[-1])  # no row has this interval


def test_the_page_of_two_arms_has_the_models_and_the_cases_with_the_finding(evidence_folder):
    rows = [row("auc", 0.8, 0.7, 0.9, finding="mass"), *in_two_arms()]
    _, page = page_of(evidence_folder, rows)
    assert page.more.endswith("Reference standard: the label panel. acme is evaluated in the sections below.")
    assert page.table.note == "With 95% interval. Cases with / without the finding: 40 / 160."
    model = {**READS, "level": "unaided", "finding": "mass", "rater": "acme", "reference": "panel"}
    less = row(
        "auc_difference", 0.009, -0.03, 0.048, at="test=obuchowski-rockette", contrast="rater:(readers)", **model
    )
    _, page = page_of(evidence_folder, [*rows, less])
    assert page.more.endswith(
        "AUC, model minus the mean of the readers in unaided reading: acme +0.009 (95% interval −0.030 to +0.048)."
    )
    _, page = page_of(evidence_folder, [*against_readers(), *in_two_arms()])
    assert page.more.endswith(
        "Models and readers in unaided reading, at the specificity of the readers: It depends on the reference "
        "standard: by the label panel the sensitivity of the model is lower (acme for mass: −0.20, 95% interval −0.25 "
        "to −0.15); by the majority of the readers (derived) it is higher (+0.10, +0.05 to +0.15)."
    )
    two = [{**r, "finding": "nodule", "n_present": 7, "n_absent": 9} for r in in_two_arms()]
    _, page = page_of(evidence_folder, [*in_two_arms(), *two])
    assert page.table.note == "With 95% interval."
    assert [r[0].note for r in page.table.rows] == [
        "Cases with / without the finding: 40 / 160", "Cases with / without the finding: 7 / 9",
    ]  # fmt: skip


def test_a_hypothesis_that_is_asked_first_leads_before_the_arms(evidence_folder):
    rows, verdicts = pooled("ab12")
    folder = evidence_folder([*rows, *in_two_arms()], verdicts=verdicts)
    assert leading(read_evidence(folder, {})) == ARMS
    evidence = read_evidence(folder, {})
    object.__setattr__(evidence, "run", {"config": {"hypotheses": ["H1"]}})
    assert leading(evidence) == POOLING


def test_reads_without_a_model_tell_how_the_readers_do(evidence_folder):
    own = {**READS, "level": "unaided", "arm": "unaided", "finding": "mass", "reference": "panel"}
    rows = [
        row(m, v, v - 0.1, v + 0.1, rater="(readers)", **own) for m, v in (("sensitivity", 0.7), ("specificity", 0.8))
    ]
    rows += [row("sensitivity", 0.7, 0.6, 0.8, rater=r, **own) for r in ("r1", "r2")]
    _, page = page_of(evidence_folder, rows)
    assert page.answer == (
        "The pooled sensitivity of 2 readers for mass is 0.700 (95% interval 0.600 to 0.800), and their specificity "
        "0.800 (0.700 to 0.900)."
    )


def test_only_after_a_prespecified_rule_a_difference_is_called_not_shown(evidence_folder):
    evidence = read_evidence(evidence_folder(in_two_arms()), {"protocol_hash": "ab12"})
    assert leading_page(evidence).answer.endswith("+0.088); a difference is not shown.")


def test_readers_of_several_findings_lead_with_the_range_without_no_finding(evidence_folder):
    rows = []
    for finding, value in (("no_finding", 0.2), ("mass", 0.7), ("nodule", 0.5)):
        own = {**READS, "level": "unaided", "arm": "unaided", "finding": finding, "reference": "panel"}
        rows += [
            row(m, value, value - 0.1, value + 0.1, rater="(readers)", **own) for m in ("sensitivity", "specificity")
        ]
        rows += [row("sensitivity", value, 0.1, 0.8, rater=r, **own) for r in ("r1", "r2")]
    evidence, page = page_of(evidence_folder, rows)
    assert page.answer == (
        "Over 2 findings, the pooled sensitivity of 2 readers runs from 0.500 (95% interval 0.400 to 0.600) for nodule "
        "to 0.700 (0.600 to 0.800) for mass, and their specificity from 0.500 (0.400 to 0.600) for nodule to 0.700 "
        "(0.600 to 0.800) for mass."
    )
    object.__setattr__(evidence, "run", {"config": {"findings": ["nodule"]}})
    assert leading_page(evidence).answer.startswith("The pooled sensitivity of 2 readers for nodule is 0.500")


def test_arms_of_several_findings_have_the_range_of_the_difference(evidence_folder):
    rows = [*in_two_arms(), *({**r, "finding": "nodule", "estimate": r["estimate"] + 0.05, "low": r["low"] + 0.05}
                              for r in in_two_arms())]  # fmt: skip
    _, page = page_of(evidence_folder, rows)
    assert (
        "Over 2 findings the difference in AUC, aided (score) minus unaided, runs from +0.044 (mass) to +0.094 "
        "(nodule), with 0 outside the unadjusted interval in 1 of 2." in page.more
    )


def test_a_stated_label_leads_before_a_derived_reference_in_answer_figure_and_table(evidence_folder):
    rows = [{**r, "reference": "truth"} if r["reference"] == "panel" else r for r in against_readers()]
    rows = [
        {**r, "note_codes": "", "estimate": -r["estimate"], "low": -r["high"], "high": -r["low"]}
        if r["metric"] == "sensitivity_difference" else r
        for r in rows
    ]  # fmt: skip
    _, page = page_of(evidence_folder, rows)
    assert page.answer == (
        "It depends on the reference standard: by the label truth the sensitivity of the model is higher (acme for "
        "mass: +0.20, 95% interval +0.15 to +0.25); by the majority of the readers (derived) it is lower (−0.10, "
        "−0.15 to −0.05)."
    )
    assert page.more.endswith("which favours them; the label truth is not stated to be made from their reads.")
    blocks = [r[0].text for r in page.detail[0].rows if r[0].kind == "group"]
    assert blocks[0].startswith("truth: labels not stated as from these reads")
    assert page.table.rows[0][0].text == "By the label truth"


def test_a_reference_without_a_number_is_not_drawn_and_named(evidence_folder):
    nan = float("nan")
    rows = against_readers()
    lost = [r | {"reference": "dawid-skene"} for r in rows if r["reference"] == "majority"]
    lost = [r | {"estimate": nan, "low": nan, "high": nan} if r["contrast"] else r for r in lost]
    _, page = page_of(evidence_folder, [*rows, *lost])
    assert not any("Dawid" in name for name in page.figure.numbers["row"])
    assert " Not drawn, because no difference could be computed: Dawid–Skene (derived)." in page.figure.caption
    assert "favours them: Majority of the readers (derived)." in page.figure.caption


def test_under_the_majority_of_the_others_no_case_is_counted_twice(evidence_folder):
    rows = [{**r, "reference": "majority of the others"} for r in against_readers() if r["reference"] == "majority"]
    _, page = page_of(evidence_folder, [row("auc", 0.8, 0.7, 0.9, finding="mass"), *rows])
    assert page.table.rows[1][1].text == ""
    assert "Cases with a tied vote are excluded." in page.table.note


def at_hospitals(*sites):
    """One finding at external hospitals (name, AUC, cases); the mean of a small one is not evaluable."""
    rows = []
    for site, value, n in sites:
        place, ends = {"population": f"external:{site}"}, (value, value - 0.05, value + 0.05)
        numbers = dict(zip(("value", "low", "high"), ends if n > 100 else [math.nan] * 3, strict=True))
        rows.append(row("auc", **numbers, note=over(1), n_cases=None, **place))
        rows.append(row("auc", *ends, finding="edema", n_cases=n, **place))
    return rows


def test_with_one_finding_a_small_hospital_is_in_the_range_and_each_has_its_cases(evidence_folder):
    _, page = page_of(evidence_folder, at_hospitals(("big", 0.9, 540), ("small", 0.1, 60)))
    assert page.answer == (
        "At 2 external hospitals, the AUC for pulmonary edema of acme runs from 0.100 (95% interval 0.050 to 0.150) at "
        "small (60 cases) to 0.900 (0.850 to 0.950) at big (540 cases)."
    )


def test_the_only_hospital_with_an_auc_is_named_with_its_cases_and_the_others_after_it(evidence_folder):
    rows = at_hospitals(("big", 0.9, 540), ("small", math.nan, 60))
    _, page = page_of(evidence_folder, rows)
    assert page.answer == (
        "At big (540 cases), acme has an AUC for pulmonary edema of 0.900 (95% interval 0.850 to 0.950); at small it "
        "could not be computed."
    )


def test_an_auc_of_a_part_of_the_cases_says_of_how_many(evidence_folder):
    cases = joined([f"c{k}" for k in range(8)], []).with_columns(finding=pl.lit("edema"))
    note = codes.notes(codes.note("mean_over_sites", n=2), codes.note("sites_excluded", sites=("elm", "oak")))
    rows = [row("auc", 0.9, 0.85, 0.95, finding="edema", n_cases=5, note=note)]
    _, page = page_of(evidence_folder, rows, joined=cases)
    assert page.answer == "On 5 of 8 cases, acme has an AUC for pulmonary edema of 0.900 (95% interval 0.850 to 0.950)."
    assert page.more == (
        "Mean of the AUCs at 2 hospitals, each with the same weight; 2 hospitals with too few patients are not in it."
    )


def test_intervals_that_are_not_on_opposite_sides_are_two_results_and_no_dependence(evidence_folder):
    rows = against_readers()
    rows = [{**r, "reference": "nih"} if r["reference"] == "majority" else {**r, "reference": "adjudicated"} if
            r["reference"] == "panel" else r for r in rows]  # fmt: skip
    for r in rows:
        if r["metric"] == "sensitivity_difference" and r["reference"] == "nih":
            r |= {"estimate": 0.1, "low": -0.06, "high": 0.3}
    folder = evidence_folder(rows, settings={"reference": "nih"})
    page = leading_page(read_evidence(folder, {}))
    assert page.answer == (
        "By the label nih the sensitivity of the model is not shown to differ: the interval includes 0 (acme for "
        "mass: +0.10, 95% interval −0.06 to +0.30). By the label adjudicated it is lower (−0.20, −0.25 to −0.15). The "
        "difference between the two reference standards was not tested."
    )
    assert [r[0].text for r in page.table.rows if r[0].kind == "group"] == [
        "By the label nih",
        "By the label adjudicated",
    ]
    assert next(r for r in page.figure.numbers["row"] if r in ("nih", "adjudicated")) == "nih"
    assert page.detail[0].rows[0][0].text.startswith("nih: ")


def test_the_reference_that_leads_comes_first_though_these_readers_made_it(evidence_folder):
    rows = [{**r, "reference": "truth"} if r["reference"] == "majority" else r for r in against_readers()]
    folder = evidence_folder(rows, settings={"reference": "panel", "reader_made": ["panel"]})
    page = leading_page(read_evidence(folder, {}))
    assert page.answer.startswith("It depends on the reference standard: by the label panel")
    assert page.detail[0].rows[0][0].text == "panel: labels made from reads of these readers"


def test_of_several_comparisons_one_stands_as_an_example(evidence_folder):
    rows = against_readers()
    rows += [{**r, "rater": "beta"} for r in rows if r["rater"] == "acme"]
    _, page = page_of(evidence_folder, rows)
    assert "is lower in both comparisons (for example, acme for mass: −0.20, 95% interval" in page.answer


def test_a_derived_reference_that_tells_the_same_is_not_in_the_answer(evidence_folder):
    rows = against_readers()
    rows += [{**r, "rater": "beta"} for r in rows if r["rater"] == "acme"]
    for r in rows:
        if r["metric"] == "sensitivity_difference" and r["reference"] == "majority":
            value = -0.3 if r["rater"] == "acme" else -0.01
            r |= {"estimate": value, "low": value - 0.05, "high": value + 0.05}
    _, page = page_of(evidence_folder, rows)  # lower in both comparisons by the label, in one by the majority
    assert page.answer.startswith("By the label panel the sensitivity of the models is lower in both comparisons (for ")
    assert "majority" not in page.answer


def test_only_intervals_on_opposite_sides_make_the_answer_depend_on_the_reference(evidence_folder):
    rows = [
        {**r, "low": -0.35, "high": 0.05}
        if r["metric"] == "sensitivity_difference" and r["reference"] == "panel"
        else r
        for r in against_readers()
    ]
    _, page = page_of(evidence_folder, rows)
    assert page.answer.startswith("By the label panel the sensitivity of the model is not shown to differ: the int")


def under(reference, value, *, half=0.05, **more):
    """The rows of `against_readers` under one reference with this difference."""
    rows = [{**r, "reference": reference, **more} for r in against_readers() if r["reference"] == "panel"]
    ends = {"estimate": value, "low": value - half, "high": value + half}
    return [{**r, **ends} if r["metric"] == "sensitivity_difference" else r for r in rows]


def test_the_second_label_is_called_the_furthest_of_the_labels_and_the_range_is_over_all(evidence_folder):
    rows = [row("auc", 0.8, 0.7, 0.9, finding="mass")]
    rows += [*under("ct", -0.03), *under("panel", 0.004), *under("report", -0.05), *under("majority", -0.14)]
    page = leading_page(read_evidence(evidence_folder(rows, settings={"reference": "ct"}), {}))
    assert "By the label panel it is" in page.answer
    assert page.table.note == (
        "With 95% interval. By the reference standard that leads and, of the other labels, the one whose difference is "
        "furthest from its own."
    )
    said = "Over 4 reference standards the difference runs from −0.14 (the majority of the readers (derived)) to 0.00 "
    assert page.more.endswith(f"{said}(the label panel).")
    _, page = page_of(evidence_folder, [rows[0], *under("ct", -0.03), *under("panel", 0.004)])
    assert page.table.note == "With 95% interval."
    assert "Over" not in page.more


def test_labels_of_other_cases_and_readers_say_so(evidence_folder):
    people = [{**r, "rater": "r2"} for r in under("ct", -0.3) if r["rater"] == "r1"]
    rows = [row("auc", 0.8, 0.7, 0.9, finding="mass"), *under("ct", -0.3, n_readers=1), *people]
    rows += under("nih", 0.1, n_readers=2, n_cases=935, n_present=57)
    _, page = page_of(evidence_folder, rows)
    groups = ["By the label ct: 1 of 2 readers", "By the label nih"]
    assert [r[0].text for r in page.table.rows if r[0].kind == "group"] == groups
    assert page.detail[0].rows[0][0].text == "ct: labels not stated as from these reads; 1 of 2 readers"
    assert (
        "The two reference standards are not on the same cases (mass: by the label ct 200, 40 with it; by the label "
        "nih 935, 57 with it)."
    ) in page.more


def test_differences_without_an_interval_are_counted_or_given(evidence_folder):
    rows = [row("auc", 0.8, 0.7, 0.9, finding="mass"), *under("ct", -0.3)]
    lone = [r | NONE if r["metric"] == "sensitivity_difference" else r for r in rows]
    _, page = page_of(evidence_folder, lone)
    assert page.answer.endswith("a difference of −0.30. It has no interval.")
    rows += [{**r, "rater": "beta"} for r in lone if r["rater"] == "acme"]
    evidence, page = page_of(evidence_folder, rows)
    assert "is lower (acme for mass: −0.30, 95% interval −0.35 to −0.25; 1 more without an interval)" in page.answer
    assert section_answers.readers(evidence) == (
        "Sensitivity of the models at the specificity of the readers, minus that of the readers: by the label ct the "
        "interval lies below 0 in 1 and above 0 in none of 1 comparison (1 more without an interval)."
    )


def test_intervals_that_all_include_0_are_told_as_such(evidence_folder):
    rows = [row("auc", 0.8, 0.7, 0.9, finding="mass"), *under("ct", -0.02)]
    rows += [{**r, "rater": "beta"} for r in rows if r["rater"] == "acme"]
    evidence, page = page_of(evidence_folder, rows)
    assert page.answer.startswith(
        "By the label ct the sensitivity of the models is not shown to differ: the interval includes 0 in both "
        "comparisons (for example, acme for mass: −0.02, 95% interval −0.07 to +0.03)."
    )
    assert "lower or higher" not in page.more
    assert section_answers.readers(evidence).endswith("by the label ct the interval includes 0 in both comparisons.")


def decisions_against_readers():
    """Decisions of a model beside the pooled readers, under the panel's label."""
    model = {**READS, "level": "unaided", "finding": "mass", "rater": "cad", "reference": "panel", "at": "decision"}
    people = {**READS, "level": "unaided", "finding": "mass", "arm": "unaided", "reference": "panel"}
    rows = [
        row(m, 0.8, 0.7, 0.9, rater=r, **people) for m in ("sensitivity", "specificity") for r in ("(readers)", "r1")
    ]
    for metric, value in (("sensitivity", 0.05), ("specificity", -0.12)):
        rows.append(row(metric, 0.8 + value, 0.7 + value, 0.9 + value, **model))
        less = {"contrast": "rater:(readers)"}
        rows.append(row(f"{metric}_difference", value, value - 0.06, value + 0.06, **model, **less))
        rows.append(row(metric, 0.8 + value, 0.7, 0.95, rater="cad", finding="mass", at="decision"))
    return rows


def test_decisions_beside_readers_lead_with_both_differences(evidence_folder):
    evidence, page = page_of(evidence_folder, decisions_against_readers())
    assert leading(evidence) == READER_STUDY
    said = (
        "By the label panel, decisions minus the reader: cad, sensitivity +0.05 (95% interval −0.01 to +0.11), "
        "specificity −0.12 (−0.18 to −0.06)."
    )
    assert page.answer == said
    assert [[c.text for c in r] for r in page.table.rows[1:]] == [
        ["The reader", "0.80 (0.70–0.90)", "", "0.80 (0.70–0.90)", ""],
        ["cad", "0.85 (0.75–0.95)", "+0.05 (−0.01 to +0.11)", "0.68 (0.58–0.78)", "−0.12 (−0.18 to −0.06)"],
    ]
    assert page.figure.numbers["estimate"].to_list() == pytest.approx([0.8, 0.8, 0.85, 0.68])
    assert section_answers.readers(evidence) == said


def test_decisions_are_no_row_of_dashes_beside_scores_and_readers(evidence_folder):
    own = [{**r, "population": "internal"} for r in decisions_against_readers() if r["rater"] == "cad"]
    evidence, page = page_of(evidence_folder, [*against_readers(), *own])
    assert [c.text for c in page.table.head[0]][-1] == "acme"
    assert page.beside.rows[-1][0].text == "cad"
    assert "decisions minus the reader: cad, sensitivity +0.05" in page.more
    assert [c.text for c in page.detail[0].head[0]] == ["Finding", "acme"]
    tables = [b for b in within(reader_section.readers(evidence).blocks) if isinstance(b, Table)]
    matched = next(t for t in tables if "each model against the reader, by reference" in t.caption)
    assert "cad" not in [r[0].text for r in matched.rows]
    decided = next(t for t in tables if "decisions as given" in t.caption)
    assert [r[0].text for r in decided.rows] == ["Label panel", "The reader", "cad"]  # there is one
    assert [c.text for c in decided.rows[-1][1:3]] == ["0.850 (0.750–0.950)", "+0.050 (−0.010 to +0.110)"]
