"""The Methods are the sentences whose cause is in the results; references are numbered by first mention."""

from __future__ import annotations

import re

import polars as pl
import pytest

from overread import codes
from overread.reporting.methods.bibliography import REFERENCES, number_citations
from overread.reporting.methods.methods_section import compose_methods, methods_text, sentences_of
from overread.reporting.report_data import read_evidence


def _text(section) -> str:
    return " ".join(b.text for b in section.blocks if hasattr(b, "text"))


def _row(method: codes.Text, **more) -> dict:
    keys = ("at", "finding", "rater", "arm", "contrast", "population", "subgroup", "level", "reference", "policy")
    numbers = {"estimate": 0.8, "low": 0.7, "high": 0.9, "se": 0.05, "p": float("nan"), "p_adjusted": float("nan")}
    texts = {"method": method, "method_code": codes.encode(method), "note": None, "note_codes": ""}
    given = {"rater": "a", "population": "internal", "finding": "edema"}
    return {"analysis": "standalone", "metric": "auc", **dict.fromkeys(keys, ""), **numbers, **texts, **given, **more}


def _paragraphs(folder) -> dict[str, str]:
    return dict(compose_methods(read_evidence(folder, {}))[1].paragraphs)


def test_a_plain_auc_cites_delong_alone(evidence_folder):
    folder = evidence_folder([_row(codes.methods(codes.method("delong"), codes.method("scale_wald")))])
    section, cited = compose_methods(read_evidence(folder, {}))
    assert "DeLong's variance [1]." in _text(section)
    assert [r.doi for r in cited.references] == ["10.2307/2531595"]
    for absent in ("Obuchowski", "Wilson", "Holm", "Grad-CAM", "Brier", "neural network", "H1", "drop"):
        assert absent not in _text(section)


def test_a_reference_is_cited_before_the_full_stop(evidence_folder):
    folder = evidence_folder([_row(codes.method("wilson"), metric="sensitivity")])
    assert "Proportions have Wilson score intervals [1]." in _paragraphs(folder)["Operating points"]


def test_a_missing_estimate_is_told_as_such_and_by_no_other_sentence(evidence_folder):
    nan = float("nan")
    lost = _row(codes.method("wilson"), metric="sensitivity", estimate=nan, low=nan, high=nan)
    found = _paragraphs(evidence_folder([lost]))
    assert "Operating points" not in found
    assert "shown as “—”" in found["Not estimable"]


def test_the_reference_standard_is_that_of_the_main_analysis(evidence_folder):
    main = _row(codes.method("delong"), reference="report")
    other = _row(codes.method("delong"), analysis="policies", reference="panel")
    found = _paragraphs(evidence_folder([main, other]))["Reference standard"]
    assert "The reference standard of the main analysis was the label source “report”." in found
    assert "repeated with “panel” as reference standard" in found


@pytest.mark.slow
def test_the_whole_study_cites_every_listed_reference_and_lists_every_cited(page):
    listed = page[page.index('<ol class="references">') :].count('<li id="ref-')
    body = page[: page.index('<ol class="references">')]
    cited = {int(n) for n in re.findall(r'href="#ref-(\d+)"', body)}
    assert cited == set(range(1, listed + 1))
    assert listed >= 15


@pytest.mark.slow
def test_the_trained_network_is_told(made):
    section, _ = compose_methods(
        read_evidence(made.evidence, made.study, cohort_folder=made.cohort, models=made.models)
    )
    text = _text(section)
    assert "(densenet-small) with one output per finding" in text
    assert "the logits of 3 networks trained from different seeds were averaged" in text
    assert "batch size 32, at most 6 epochs" in text
    assert "uncertain labels were excluded" in text
    assert "128 x 128 pixels of the whole image" in text


@pytest.mark.slow
def test_the_method_of_every_estimate_that_was_computed_is_in_the_table(made):
    evidence = read_evidence(made.evidence, made.study)
    section, _ = compose_methods(evidence)
    rows = section.blocks[-1].blocks[0].rows
    computed = evidence.estimates.filter(pl.col("estimate").is_finite())
    assert computed.height < evidence.estimates.height
    assert sum(int(row[3].text.replace(",", "")) for row in rows) == computed.height
    assert "calibration in the large" in {row[1].text for row in rows}


@pytest.mark.slow
def test_the_methods_to_paste_hold_every_paragraph_and_reference(made):
    evidence = read_evidence(made.evidence, made.study, cohort_folder=made.cohort, models=made.models)
    _, cited = compose_methods(evidence)
    text = methods_text(cited)
    assert all(f"**{term}.** {words}" in text for term, words in cited.paragraphs)
    assert all(f"\n{n}. {r.text}" in text for n, r in enumerate(cited.references, start=1))
    assert "[@" not in text
    assert len(sentences_of(evidence)) > 30


def test_citations_are_numbered_in_the_order_of_first_mention():
    cited = number_citations([("A", "x [@holm] y [@delong,holm]"), ("B", "[@wilson]")])
    assert cited.paragraphs == (("A", "x [1] y [2,1]"), ("B", "[3]"))
    assert [r.text.split()[0] for r in cited.references] == ["Holm", "DeLong", "Wilson"]


def test_references_have_a_doi_that_looks_like_one():
    for key, reference in REFERENCES.items():
        assert key == "holm" or reference.doi.startswith("10."), key
