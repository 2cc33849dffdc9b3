"""The first page of training seeds: it speaks of the variants, with mean, SD and the contrast of groups."""

from __future__ import annotations

import math

import pytest

from overread import codes
from overread.reporting.blocks import Table, within
from overread.reporting.first_page.answer_limits.study_limits import limitations
from overread.reporting.first_page.first_page_parts import AUC_WITHIN_TERM
from overread.reporting.first_page.page_facts import made_line
from overread.reporting.first_page.question import MODELS, SEEDS, leading, leading_page
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.model_results import (
    contrasts,
    discrimination_section,
    hypothesis_section,
    operating_section,
    seed_section,
)
from overread.reporting.seed_rows import section_raters, seed_note, seeds_apart, single_seeds
from tests.reporting.first_page.test_leading_question import NONE, over, row

MEMBERS = {"w0": ["a1", "a2"], "w100": ["b1", "b2"]}
NOTE = {"note": codes.note("seeds_range", n=2, of=2, lowest=0.81, highest=0.83)}
GROUPS = {"subgroup": "sex", "analysis": "seeds"}


def mean_and_spread(name, value, sd, metric="auc", **more):
    """The mean over seeds of a headline, and its standard deviation."""
    more = {"analysis": "seeds", "rater": name, **NOTE, **more}
    spread = row(f"{metric}_sd", sd, **{**more, **NONE})
    return [row(metric, value, value - 0.02, value + 0.02, **more), spread]


def of_seeds(members):
    """Every seed alone, as a model and in the analysis of seeds, and the means of every variant."""
    rows = []
    for k, (name, own) in enumerate(members.items()):
        for i, seed in enumerate(own):
            value = 0.81 + 0.02 * i + 0.05 * k
            rows.append(row("auc", value, value - 0.03, value + 0.03, rater=seed))
            rows.append(row("auc", value, value - 0.03, value + 0.03, rater=seed, analysis="seeds"))
        rows += mean_and_spread(name, 0.82 + 0.05 * k, 0.014, note=codes.notes(NOTE["note"], over(3)))
        difference = {"subgroup": "sex", "level": "F", "contrast": "level:M"}
        rows += mean_and_spread(name, -0.1 + 0.18 * k, 0.02, "auc_difference", **difference)
    return rows


def contrast(low=-0.2):
    """The difference of the groups in the first variant minus that in the last."""
    more = {"level": "F − M", "contrast": "rater:w100", "rater": "w0"}
    return row("auc_difference_contrast", -0.18, low, low + 0.04 if low < -0.1 else 0.01, **GROUPS, **more)


def evidence_of(evidence_folder, rows, members):
    """The evidence of a study whose configuration declares these members."""
    evidence = read_evidence(evidence_folder(rows), {})
    object.__setattr__(evidence, "run", {"config": {"members": members}})
    return evidence


def test_variants_lead_with_their_mean_over_seeds_its_interval_and_its_sd(evidence_folder):
    evidence = evidence_of(evidence_folder, [*of_seeds(MEMBERS), contrast()], MEMBERS)
    page = leading_page(evidence)
    assert leading(evidence) == SEEDS
    assert page.answer == (
        "Averaged over 3 findings and 2 seeds, the AUC is 0.820 (95% interval 0.800 to 0.840; SD over seeds 0.014) for "
        "w0 and 0.870 (0.850 to 0.890; SD over seeds 0.014) for w100."
    )
    assert [r[0].text for r in page.table.rows] == ["w0", "w100"]
    assert page.table.rows[0][1].note == "mean of 2 seeds, SD 0.014"
    assert page.table.rows[1][-1].text == "+0.080 (+0.060 to +0.100)"
    assert page.facts[:2] == (("variants", "2"), ("seeds of each", "2"))
    assert made_line(evidence).startswith("2 variants · 4 seeds")


def test_the_contrast_of_the_groups_between_variants_is_one_line(evidence_folder):
    evidence = evidence_of(evidence_folder, [*of_seeds(MEMBERS), contrast()], MEMBERS)
    assert leading_page(evidence).more == (
        "The difference in AUC between groups (sex, F − M) is −0.100 in w0 and +0.080 in w100; w0 minus w100: −0.180 "
        "(95% interval −0.200 to −0.160)."
    )
    evidence = evidence_of(evidence_folder, [*of_seeds(MEMBERS), contrast(-0.01)], MEMBERS)
    assert leading_page(evidence).more.endswith("; the interval includes 0.")


def test_every_contrast_of_three_variants_is_on_the_page_and_of_many_the_largest(evidence_folder):
    members = {f"w{k}": [f"{k}a"] for k in range(5)}
    three = dict(list(members.items())[:3])

    def against_first(n):
        more = {"level": "F − M", "contrast": "rater:w0", **GROUPS}
        return [
            row("auc_difference_contrast", 0.18 * k, 0.18 * k - 0.2, 0.18 * k + 0.2, rater=f"w{k}", **more)
            for k in range(1, n)
        ]

    page = leading_page(evidence_of(evidence_folder, [*of_seeds(three), *against_first(3)], three))
    assert page.more == (
        "The difference in AUC between groups (sex, F − M) is −0.100 in w0, +0.080 in w1 and +0.260 in w2; w1 minus "
        "w0: +0.180 (95% interval −0.020 to +0.380); the interval includes 0; w2 minus w0: +0.360 (+0.160 to +0.560)."
    )
    page = leading_page(evidence_of(evidence_folder, [*of_seeds(members), *against_first(5)], members))
    assert page.more == (
        "The difference in AUC between groups (sex, F − M) of 5 variants runs from −0.100 in w0 to +0.620 in w4; the "
        "largest of 4 contrasts is w4 minus w0: +0.720 (95% interval +0.520 to +0.920); 0 lies outside the interval of "
        "3."
    )


def at_hospitals(values):
    """The mean over two seeds of one variant for one finding, at each of these hospitals; NaN: not computed."""
    place = {"finding": "mass", "population": "external:ash"}
    rows = [row("auc", 0.8, 0.7, 0.9, rater=r, analysis="seeds", **place) for r in ("s1", "s2")]
    rows.append(row("auc", 0.8, 0.7, 0.9, rater="s1", **place))
    for name, value in values.items():
        mean, spread = mean_and_spread("net", value, 0.01, finding="mass", population=f"external:{name}")
        rows += [mean, spread] if value == value else [mean | NONE]
    return rows


def test_the_answer_names_its_hospital_the_others_and_those_without_an_auc(evidence_folder):
    members = {"net": ["s1", "s2"]}
    rows = at_hospitals({"ash": math.nan, "elm": 0.8, "fir": 0.7, "oak": 0.75, "yew": 0.76, "zen": 0.6})
    page = leading_page(evidence_of(evidence_folder, rows, members))
    assert page.answer == (
        "At elm, averaged over 2 seeds, the AUC for mass is 0.800 (95% interval 0.780 to 0.820; SD over seeds 0.010) "
        "for net."
    )
    assert page.more == (
        "At fir, it is 0.700 (0.680 to 0.720; SD over seeds 0.010) for net. At oak, it is 0.750 (0.730 to 0.770; SD "
        "over seeds 0.010) for net. At yew, it is 0.760 (0.740 to 0.780; SD over seeds 0.010) for net. 1 more "
        "hospital, zen: see the sections below. No mean over seeds could be computed for ash."
    )


def test_the_pairs_of_the_aucs_of_seeds_are_named_with_their_mean_over_all_pairs(evidence_folder):
    members = {"net": ["s1", "s2"]}
    note = codes.note("aggregation_stratified", n_pairs=900, n_sites=3, n_sites_without_pair=0)
    rows = [
        row("auc", v, v - 0.1, v + 0.1, rater=r, finding="mass", at=at, analysis=a, note=codes.NONE if at else note)
        for r, v in (("s1", 0.8), ("s2", 0.82))
        for a, at in (("standalone", ""), ("seeds", ""), ("standalone", "pairs=all"))
    ]
    rows += mean_and_spread("net", 0.81, 0.014, finding="mass")
    page = leading_page(evidence_of(evidence_folder, rows, members))
    assert page.more == (
        "AUC over 900 pairs of cases of the same hospital, 3 hospitals; over all pairs the mean over seeds is 0.810 "
        "for net."
    )
    assert page.terms[0] == AUC_WITHIN_TERM
    assert [[c.text for c in r[:2]] for r in page.detail[0].rows] == [["net", "Mass"]]


def test_one_model_with_seeds_has_no_verdict_on_the_best_seed(evidence_folder):
    members = {"five": ["s1", "s2", "s3", "s4"]}
    evidence = evidence_of(evidence_folder, of_seeds(members), members)
    page = leading_page(evidence)
    assert page.answer == (
        "Averaged over 3 findings and 4 seeds, the AUC is 0.820 (95% interval 0.800 to 0.840; SD over seeds 0.014) for "
        "five."
    )
    assert dict(page.facts)["seeds"] == "4"
    short = [each.short for each in limitations(evidence)]
    assert "intervals do not cover training seeds" in short
    assert not any(each.startswith("best of") for each in short)
    assert page.figure.numbers["row"].to_list() == ["five", "s1", "s2", "s3", "s4"]


def test_the_ensembles_own_predictions_stand_beside_the_mean(evidence_folder):
    rows = [*of_seeds(MEMBERS), row("auc", 0.9, 0.88, 0.92, rater="w0")]
    page = leading_page(evidence_of(evidence_folder, rows, MEMBERS))
    assert [r[2].text for r in page.table.rows] == ["0.900 (0.880–0.920)", "—"]


def test_a_model_beside_the_seeds_leaves_the_page_to_the_models(evidence_folder):
    rows = [*of_seeds(MEMBERS), row("auc", 0.9, 0.88, 0.92, rater="other")]
    assert leading(evidence_of(evidence_folder, rows, MEMBERS)) == MODELS


def mixed():
    """An ensemble w0 with its seeds, seeds of w100 without an ensemble, and another model."""
    rows = [r for r in of_seeds(MEMBERS) if r["analysis"] == "seeds" or r["rater"].startswith("b")]
    rows += [row("auc", v, v - 0.02, v + 0.02, rater=r) for r, v in (("w0", 0.84), ("other", 0.7))]
    pairs = (("w0", "other"), ("b2", "w0"), ("b1", "b2"))
    return [*rows, *(row("auc_difference", 0.1, 0.05, 0.15, analysis="comparison", rater=a, contrast=f"rater:{b}")
                     for a, b in pairs)]  # fmt: skip


def test_seeds_stand_beside_no_other_model(evidence_folder):
    evidence = read_evidence(evidence_folder(mixed(), settings={"members": MEMBERS}), {})
    assert evidence.cast.raters == ("w0", "other", "b1", "b2")  # seeds come last, in the order of their names
    assert section_raters(evidence) == ("w0", "other")
    page = leading_page(evidence)
    assert page.answer.startswith("w0 has the higher")
    assert "Not listed as models: 2 seeds of w0 and 2 seeds of w100." in page.more
    assert [r[0].text for r in page.table.rows] == ["w0", "other"]
    compared = contrasts.comparison(evidence)
    assert compared.blocks[0].name == "comparison-0"
    folded = compared.blocks[-2]
    assert folded.summary == "Comparisons with single seeds"
    assert [t.caption.split(",")[1].strip() for t in folded.blocks] == ["w0 minus b2", "b1 minus b2"]
    for section in (compared, discrimination_section.discrimination(evidence)):
        assert (section.blocks[-1].text, section.blocks[-1].link) == (
            "Not listed as models: 2 seeds of w0 and 2 seeds of w100. Those of a variant without an ensemble are in "
            "the folded parts. Mean and SD of AUC and rates over the seeds:",
            "seeds",
        )


def test_a_study_of_models_says_nothing_of_seeds(evidence_folder):
    evidence = read_evidence(evidence_folder([row("auc", 0.8, 0.7, 0.9)]), {})
    assert (seeds_apart(evidence), seed_note(evidence)) == ("", ())


def test_seeds_that_are_named_as_such_and_not_declared_are_accounted_for(evidence_folder):
    rows = [row("auc", v, v - 0.1, v + 0.1, rater=r) for r, v in (("acme", 0.8), ("acme/seed-1", 0.81))]
    (note,) = seed_note(read_evidence(evidence_folder(rows), {}))
    assert note.text == "Not listed as models: 1 seed of acme. See estimates.csv."


def test_the_hypothesis_leaves_the_numbers_of_the_seeds_to_their_section(evidence_folder):
    rows = [
        *of_seeds(MEMBERS),
        row("auc_difference", 0.1, 0.05, 0.15, analysis="H1", rater="w0", contrast="rater:w100"),
    ]
    evidence = evidence_of(evidence_folder, rows, MEMBERS)
    (last,) = [b for b in hypothesis_section.h1(evidence).blocks if getattr(b, "link", "")]
    assert (last.text, last.link) == (
        "The SD of the mean AUC over training seeds is 0.014. Each model and each seed:",
        "seeds",
    )
    each = next(b for b in seed_section.seeds(evidence).blocks if getattr(b, "summary", "") == "AUC of each seed")
    assert [[c.text for c in r] for r in each.blocks[0].rows][:2] == [
        ["a1", "w0", "0.810 (0.780–0.840)"], ["a2", "w0", "0.830 (0.800–0.860)"],
    ]  # fmt: skip


def test_the_section_lists_mean_sd_and_range_of_every_headline(evidence_folder):
    rows = [*of_seeds(MEMBERS), contrast()]
    rows += mean_and_spread("w0", 0.7, 0.01, "sensitivity", at="operating_point=spec90", finding="mass")
    section = seed_section.seeds(evidence_of(evidence_folder, rows, MEMBERS))
    assert section.answer == (
        "Over 2 seeds of each variant, the largest SD of the AUC is 0.014 (w0: mean 0.820, 95% interval 0.800 to "
        "0.840)."
    )
    assert [c.text for c in section.blocks[0].rows[0]] == ["w0", "2", "0.820 (0.800–0.840)", "0.014", "0.810 to 0.830"]
    folded = section.blocks[1]
    assert folded.summary == "Seeds of w0"
    assert [c.text for c in folded.blocks[0].rows[0][1:]] == ["AUC", "0.820 (0.800–0.840)", "0.014", "0.810 to 0.830"]
    assert folded.blocks[1].blocks[0].rows[0][1].text == "Sensitivity"
    assert folded.blocks[2].blocks[0].rows[0][1].text == "AUC: sex, F − M"
    assert section.blocks[-1].rows[0][0].text == "w0 minus w100"


def test_without_declared_members_there_is_no_section(evidence_folder):
    assert seed_section.seeds(evidence_of(evidence_folder, of_seeds(MEMBERS), {})).absent


@pytest.mark.parametrize("members", [MEMBERS, {}])
def test_single_seeds_are_folded_in_the_sections_of_models(evidence_folder, members):
    rows = of_seeds(MEMBERS)
    rows.append(row("sensitivity", 0.7, 0.6, 0.8, rater="a1", finding="mass", at="operating_point=spec90"))
    evidence = evidence_of(evidence_folder, rows, members)
    assert bool(single_seeds(evidence)) == bool(members)
    for section in (discrimination_section.discrimination(evidence), operating_section.operating(evidence)):
        folded = [b.summary for b in section.blocks if getattr(b, "summary", "").endswith("of each seed")]
        assert len(folded) == bool(members)
        assert bool(section.answer) == bool(members)


def test_given_thresholds_lead_and_a_mean_over_fewer_findings_says_so(evidence_folder):
    members = {"net": ["s1", "s2"]}
    given, fitted = codes.note("threshold_given", source="t.csv"), codes.note("fitted_on_tuning", n=50)
    rows = of_seeds(members)
    for at, note, n, value in (("spec90", fitted, 1, 0.7), ("youden", given, 2, 0.86)):
        notes = {"at": f"operating_point={at}", "note": codes.notes(NOTE["note"], note, over(n))}
        rows += mean_and_spread("net", value, 0.05, "sensitivity", **notes)
        rows += mean_and_spread("net", value + 0.05, 0.02, "specificity", **notes)
        called = codes.note("called_findings", n=n, of=3, findings=("pleural_effusion", "mass")[:n])
        missed = {**notes, "note": codes.notes(NOTE["note"], note, called), "finding": ""}
        rows += mean_and_spread("net", 1 - value, 0.05, "underdiagnosis", **missed)
    evidence = evidence_of(evidence_folder, rows, members)
    shown = leading_page(evidence).table
    assert [c.text for c in shown.head[0]][2:4] == ["Sensitivity, given threshold “youden”", "Specificity there"]
    assert shown.rows[0][2].text == "0.860 (0.840–0.880)"
    assert shown.rows[0][2].note == "over 2 of 3 findings; mean of 2 seeds, SD 0.050"
    tables = [b for b in within(seed_section.seeds(evidence).blocks) if isinstance(b, Table)]
    first = next(t for t in tables if "specificity 0.90" in t.caption)
    assert first.rows[0][2].note == "over 1 of 3 findings"
    assert [r[0].text for t in tables for r in t.rows if r[1].text == "Under-diagnosis"] == [
        "Pleural effusion",
        "Pleural effusion and mass",
    ]


def test_a_mean_over_seeds_at_a_hospital_has_its_number_of_cases(evidence_folder):
    rows = []
    for name, (n, other) in {"elm": (500, 490), "tiny": (32, 32)}.items():
        at = {"finding": "mass", "population": f"external:{name}"}
        rows += mean_and_spread("net", 0.8, 0.01, **at)
        seeds = [row("auc", 0.8, 0.7, 0.9, rater=m, n_cases=k, **at) for m, k in (("a1", n), ("a2", other))]
        rows += [*seeds, *({**seed, "analysis": "seeds"} for seed in seeds)]
    page = leading_page(evidence_of(evidence_folder, rows, {"net": ["a1", "a2"]}))
    assert page.answer.startswith("At elm (up to 500 cases), averaged over 2 seeds, the AUC for mass is 0.800 (95% ")
    assert page.more.startswith("At tiny (32 cases), it is 0.800 (0.780 to 0.820; SD over seeds 0.010) for net.")
