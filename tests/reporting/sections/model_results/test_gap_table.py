"""The gap of a column with two groups is their difference, which is given once."""

from __future__ import annotations

import pytest

from overread import codes
from overread.reporting.report_data import pick, read_evidence
from overread.reporting.sections.model_results.subgroup_section import _gap_table, subgroups
from tests.reporting.first_page.test_leading_question import over, row


def of_column(column, levels, *, signed):
    """The AUCs of the groups of a column, their gap, and the difference of the first two."""
    more = {"analysis": "subgroups", "subgroup": column}
    rows = [row("auc", 0.8, 0.7, 0.9, level=level, **more) for level in levels]
    pair = {"level": levels[0], "contrast": f"level:{levels[1]}"}
    rows.append(row("gap_auc", 0.03, 0.0, 0.08, **pair, **more))
    return [*rows, row("auc_difference", -0.03, -0.08, 0.01, **pair, **more)] if signed else rows


def columns_of(evidence_folder, *rows):
    """The columns of the table of gaps."""
    evidence = read_evidence(evidence_folder([r for own in rows for r in own]), {})
    made = _gap_table(evidence, pick(evidence.estimates, analysis="subgroups"), ["acme"], "internal")
    return [r[0].text for r in made.rows if r[0].kind != "group"] if made else None


def test_a_column_of_two_groups_with_their_difference_has_no_gap_beside_it(evidence_folder):
    sex = of_column("sex", ("F", "M"), signed=True)
    age = of_column("age_band", ("<40", "40-59", "60+"), signed=True)
    assert columns_of(evidence_folder, sex, age) == ["Age"]
    assert columns_of(evidence_folder, sex) is None


def test_a_column_of_two_groups_without_a_difference_keeps_its_gap(evidence_folder):
    assert columns_of(evidence_folder, of_column("site", ("elm", "oak"), signed=False)) == ["Site"]


def test_by_finding_a_column_of_two_groups_has_its_signed_difference_and_no_gap(evidence_folder):
    sex = of_column("sex", ("F", "M"), signed=True)
    age = of_column("age_band", ("<40", "40-59", "60+"), signed=True)
    rows = [r | {"finding": "mass"} for r in (*sex, *age)]
    section = subgroups(read_evidence(evidence_folder(rows), {}))
    folded = section.blocks[-1]
    assert (section.title, folded.summary) == (
        "Subgroups",
        "acme: differences and gaps by finding, and estimates by group",
    )
    signed, gaps, _ = folded.blocks
    assert [[c.text for c in r[:4]] for r in signed.rows[1:]] == [
        ["Mass", "Sex: F − M", "Test set", "−0.030 (−0.080 to +0.010)"],
        ["Mass", "Age: <40 − 40-59", "Test set", "−0.030 (−0.080 to +0.010)"],
    ]
    assert [r[1].text for r in gaps.rows[1:]] == ["Age"]


def test_groups_that_are_left_out_share_one_footnote_and_the_answer_counts_the_others(evidence_folder):
    reasons = {f"Clinic {k}": f"too few patients: {k} with the finding" for k in (2, 10, 1)}
    left = [codes.note("group_excluded", group=g, reason=reason) for g, reason in reasons.items()]
    compared = codes.note("groups_compared", n=2, groups=("Clinic 3", "Clinic 4"))
    rows = of_column("site", ("Clinic 3", "Clinic 4", "Clinic 5"), signed=False)
    note = codes.notes(compared, *left, over(1))
    rows = [{**r, "note_codes": codes.encode(note)} if r["metric"] == "gap_auc" else r for r in rows]
    evidence = read_evidence(evidence_folder(rows), {})
    made = _gap_table(evidence, pick(evidence.estimates, analysis="subgroups"), ["acme"], "internal")
    notes = [text for _, text in made.footnotes]
    assert [text for text in notes if "excluded" in text] == [
        "3 groups excluded (too few patients): Clinic 1, Clinic 2 and Clinic 10"
    ]
    assert subgroups(evidence).answer == (
        "The largest gap in the AUC for edema of acme was 0.030 (95% CI 0.000–0.080), between site Clinic 3 and "
        "Clinic 4, the only 2 of 5 groups with enough patients."
    )


@pytest.mark.parametrize(
    ("columns", "note", "said"),
    [
        (("site",), "aggregation_stratified", ""),
        (("site", "sex"), "aggregation_stratified", "patients of different groups (other than sites) and"),
        (("site",), "aggregation_pooled", "patients of different groups and"),
    ],
)
def test_only_an_auc_that_compares_groups_is_said_to_compare_them(evidence_folder, columns, note, said):
    note = codes.note(note, n_pairs=9, n_sites=2, n_sites_without_pair=0)
    rows = [row("auc", 0.8, 0.7, 0.9, note=note)]
    rows += [r for c in columns for r in of_column(c, ("a", "b", "c"), signed=False)]
    text = subgroups(read_evidence(evidence_folder(rows), {})).blocks[0].text
    assert ("The overall AUC also compares" in text) == bool(said)
    assert said in text
