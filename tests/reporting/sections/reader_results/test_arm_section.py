"""Two arms of reads on the page: Van Dyke's study, spin echo and cine."""

from __future__ import annotations

import json

import pytest

from overread import codes, integrity
from overread.reporting.blocks import Figure, Paragraph, Points, Table, within
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.reader_results.arm_pairs import pairs
from overread.reporting.sections.reader_results.arm_section import comparison_of_arms
from overread.reporting.sections.reader_results.arm_sentences import for_paper, margin_sentence
from overread.reporting.sections.reader_results.reader_section import readers
from tests.reporting.sections.reader_results import reader_rows
from tests.reporting.sections.reader_results.reader_rows import NEW, USUAL


@pytest.fixture
def evidence(tmp_path, write_folder):
    """Evidence of given rows; the arm of spin echo is the usual one."""

    def made(rows):
        folder = write_folder(tmp_path / "evaluation", rows)
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        run["config"] |= {"baseline_arm": USUAL, "roles": {}}
        integrity.write_sealed(folder / "run.json", run)
        return read_evidence(folder, {})

    return made


def tables_of(section):
    return [b for b in within(section.blocks) if isinstance(b, Table)]


def texts(section):
    return [b.text for b in within(section.blocks) if isinstance(b, Paragraph)]


def test_the_usual_arm_comes_first_and_the_difference_is_new_minus_usual(evidence):
    section = comparison_of_arms(evidence(reader_rows.arm_rows()))
    means = tables_of(section)[0]
    assert [c.text for c in means.head[0]] == ["Measure", USUAL, NEW, f"{NEW} minus {USUAL}", "P"]
    row = [c.text for c in means.rows[0]]
    assert row[1:] == ["0.897 (0.800–0.950)", "0.941 (0.873–0.974)", "+0.044 (−0.0004 to +0.088)", "0.052"]
    assert section.answer == "cine minus spin echo, mean of the readers: AUC +0.044 (−0.0004 to +0.088)."


def test_the_sentence_for_a_paper_names_method_degrees_of_freedom_readers_and_patients(evidence):
    pair = pairs(evidence(reader_rows.arm_rows()))[0]
    assert for_paper(pair, "auc") == (
        "The mean AUC of the readers for nodule was 0.941 (95% CI 0.873 to 0.974) with cine and 0.897 (95% CI 0.800 "
        "to 0.950) with spin echo; difference, +0.044 (95% CI −0.0004 to +0.088; P = 0.052; Obuchowski–Rockette, "
        "readers and cases random; 15.3 degrees of freedom by Hillis; 5 readers, 114 patients (45 with and 69 without "
        "the finding); reference standard: the label surgery)."
    )
    assert "114 cases (45 with" in for_paper(pair, "auc", patients=False)


def test_reads_that_were_not_planned_are_not_missing(evidence):
    groups = codes.note("reads_in_groups", groups=2, n=24, total=48)
    planned = "2 groups of readers with cases of their own (24 of 48 combinations without a read)"
    lost = codes.note("reads_missing", n=1, total=24)
    for note, said in ((groups, planned), (codes.notes(groups, lost), f"{planned}, 1 of 24 reads missing")):
        sentence = for_paper(pairs(evidence(reader_rows.arm_rows(note=note)))[0], "auc")
        assert f"(45 with and 69 without the finding), {said}; reference" in sentence


def test_the_own_estimator_of_incomplete_designs_is_not_taken_for_that_of_imrmc(evidence):
    centred = codes.methods(codes.method("u_statistics_centred"), codes.method("scale_t", df=9.0))
    rows = [r | {"method_code": codes.encode(centred)} for r in reader_rows.arm_rows()]
    assert "P = 0.052; U-statistics, readers and cases random; 9 degrees" in for_paper(pairs(evidence(rows))[0], "auc")
    lost = {"note_codes": codes.encode(codes.note("reads_missing", n=65, total=750))}
    sentence = for_paper(pairs(evidence([r | lost for r in rows]))[0], "auc")
    assert "U-statistics with centred kernels (overread's estimator, not that of iMRMC), readers and cases" in sentence


def test_a_single_reader_has_no_second_row_as_the_mean_of_the_readers(evidence):
    rows = [r | {"n_readers": 1} for r in reader_rows.arm_rows() if r["rater"] in ("(readers)", "Reader 1")]
    section = comparison_of_arms(evidence(rows))
    each = next(t for t in tables_of(section) if "each reader in both arms" in t.caption)
    assert [row[0].text for row in each.rows] == ["Reader 1"]
    assert "For a manuscript:" not in texts(section)


def test_every_reader_has_both_arms_and_the_difference(evidence):
    section = comparison_of_arms(evidence(reader_rows.arm_rows()))
    own = next(t for t in tables_of(section) if "each reader" in t.caption)
    assert [r[0].text for r in own.rows] == [f"Reader {i}" for i in range(1, 6)] + ["Mean of the readers"]
    assert own.rows[4][3].text.startswith("+0.100")
    assert all(c.text for r in own.rows for c in r)


def test_the_analysis_of_variance_is_that_of_the_reference_software(evidence):
    section = comparison_of_arms(evidence(reader_rows.arm_rows()))
    squares, components = (t for t in tables_of(section) if "variance" in t.caption)
    assert [c.text for c in squares.rows[0]] == ["Arm", "0.004796", "4.46", "1, 15.3", "0.052"]
    found = {r[0].text.partition(":")[0]: r[1].text for r in components.rows}
    assert found["Reader"] == "0.001535"
    assert found["Covariance 3"] == "0.0002390"


def test_what_was_not_asked_for_is_not_there(evidence):
    section = comparison_of_arms(evidence(reader_rows.arm_rows()))
    assert not any(isinstance(b, Points) for b in section.blocks)  # no margin was stated
    assert not {"Reading time", "Trust", "Not compared"} & set(texts(section))
    assert not any("Sensitivity" in r[0].text for t in tables_of(section) for r in t.rows)
    assert all(c.text and c.text != "—" for r in tables_of(section)[0].rows for c in r)


def test_a_margin_gives_the_one_sided_test(evidence):
    pair = pairs(evidence([*reader_rows.arm_rows(), reader_rows.margin_row()]))[0]
    assert margin_sentence(pair, "auc") == (
        "One-sided test of non-inferiority of cine to spin echo in AUC (margin 0.05): P < 0.001 (level 2.5%, "
        "unadjusted); the lower limit of the two-sided CI was −0.0004."
    )
    assert pair.difference("auc")["p"] == reader_rows.DIFFERENCE[3]


def test_reads_of_one_arm_have_no_comparison(evidence):
    section = comparison_of_arms(evidence(reader_rows.call_rows()))
    assert section.absent == "reads of one arm only"


def test_arms_by_a_reference_of_the_same_readers_are_named_with_the_reason(evidence):
    why = {"note": codes.note("arms_not_judged_by_own_reads"), "reference": "majority", "method": None}
    lost = reader_rows.row(
        "auc_difference", float("nan"), at="test=u-statistic", arm=NEW, contrast=f"arm:{USUAL}", **why
    )
    section = comparison_of_arms(evidence([*reader_rows.arm_rows(), lost]))
    said = next(b for b in section.blocks if isinstance(b, Points))
    start = "Nodule by the majority of the readers (derived): arms not compared: the same readers made"
    assert said.items[0].startswith(start)
    assert sum("majority" in t.caption for t in tables_of(section)) == 0


def test_readers_are_not_shown_again_where_the_arms_are(evidence):
    section = readers(evidence(reader_rows.arm_rows()))
    assert section.absent == "all results are in the comparison of arms"


def test_reading_time_is_a_ratio_said_in_per_cent(evidence):
    seconds = {"finding": "", "reference": "", "policy": "", "method": codes.method("mixed_model")}
    rows = [
        reader_rows.row("median_seconds", 41.5, arm=USUAL, **seconds),
        reader_rows.row("median_seconds", 50.0, arm=NEW, **seconds),
        reader_rows.row("reading_time_ratio", 1.2, 1.1, 1.31, 0.002, arm=NEW, contrast=f"arm:{USUAL}", **seconds),
    ]
    section = comparison_of_arms(evidence([*reader_rows.arm_rows(), *rows]))
    said = "Reading took 20% more time with cine than with spin echo (95% CI +10% to +31%), P = 0.002."
    assert said in texts(section)
    undecided = rows[2] | {"estimate": 0.97, "low": 0.92, "high": 1.02, "p": 0.22}
    section = comparison_of_arms(evidence([*reader_rows.arm_rows(), *rows[:2], undecided]))
    said = next(t for t in texts(section) if t.startswith("Difference in reading time with cine from that with spin"))
    assert said.endswith(" echo: −3% (95% CI −8% to +2%), P = 0.22; the interval includes 0.")


def test_a_difference_in_trust_within_cases_is_not_that_of_the_means(evidence):
    own = {"finding": "", "reference": "", "policy": ""}
    own |= {"arm": NEW, "contrast": f"arm:{USUAL}"}
    less = reader_rows.row("trust_difference", -0.15, -0.5, 0.2, 0.27, **own, method=codes.method("cases_in_both_arms"))
    every = less | {"method_code": codes.encode(codes.method("all_reads"))}
    tables = [tables_of(comparison_of_arms(evidence([row])))[0] for row in (less, every)]
    assert tables[0].remark.startswith(
        "A mean is over all cases of an arm, a difference within the cases that a reader"
    )
    assert tables[1].remark == ""


def test_a_figure_shows_both_arms_of_every_reader(evidence):
    section = comparison_of_arms(evidence(reader_rows.arm_rows()))
    figure = next(b for b in section.blocks if isinstance(b, Figure) and b.name.startswith("arms-"))
    drawn = figure.numbers.filter(figure.numbers["row"] == "Reader 4")
    assert drawn["estimate"].to_list() == pytest.approx([0.973108, 0.999356, 0.026248])


def test_the_analysis_of_variance_of_all_arms_is_shown_once(evidence):
    third = [
        reader_rows.row("auc_difference", 0.01, -0.02, 0.04, 0.5, at=reader_rows.TEST, arm="film", contrast=f"arm:{a}")
        for a in (USUAL, NEW)
    ]
    section = comparison_of_arms(evidence([*reader_rows.arm_rows(), *third]))
    assert str(section.blocks).count("analysis of variance of the AUC") == 1
