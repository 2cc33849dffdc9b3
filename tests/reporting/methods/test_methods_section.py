"""The methods name what was run and nothing else; references are numbered in the order of their first mention."""

from __future__ import annotations

import re

import pytest

from overread.reporting.methods.bibliography import REFERENCES, number_citations
from overread.reporting.methods.methods_section import methods
from overread.reporting.report_data import read_evidence


def _text(section) -> str:
    return " ".join(b.text for b in section.blocks if hasattr(b, "text"))


def _row(**more) -> dict:
    keys = ("at", "finding", "rater", "arm", "contrast", "population", "subgroup", "level", "reference", "policy")
    nothing = dict.fromkeys(("low", "high", "se", "p", "p_adjusted"), float("nan"))
    return {"analysis": "standalone", "metric": "auc", **dict.fromkeys(keys, ""), "estimate": 0.8, **nothing, **more}


def test_a_plain_auc_cites_delong_alone(evidence_folder):
    folder = evidence_folder([_row(finding="edema", rater="a", population="internal", method="DeLong, Wald")])
    section, cited = methods(read_evidence(folder, {}))
    assert "DeLong's [1]" in _text(section)
    assert [r.doi for r in cited.references] == ["10.2307/2531595"]
    for absent in ("Obuchowski", "Wilson", "Holm", "Grad-CAM", "Brier", "Network", "H1", "Drop"):
        assert absent not in _text(section)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"method": "DeLong, clustered by patient (Obuchowski 1997), Wald"}, "obuchowski"),
        ({"method": "DeLong, logit, t with 8.1 df"}, "satterthwaite"),
        ({"finding": "(mean)", "method": "bootstrap, percentile, 2000 replicates"}, "efron"),
        ({"metric": "sensitivity", "method": "Wilson at the effective n 20.1, clustered by patient"}, "rao"),
        ({"metric": "f1", "method": "delta method"}, "f1"),
        ({"metric": "sensitivity_at_specificity", "method": "attainable step"}, "rutter"),
        ({"metric": "calibration_slope", "method": "logistic"}, "cox"),
        ({"metric": "brier", "method": "mean"}, "brier"),
        ({"metric": "ece", "at": "binning=mass;bins=15", "method": "bins"}, "ece"),
        ({"analysis": "comparison", "metric": "auc_difference", "method": "paired DeLong, normal"}, "holm"),
        ({"analysis": "H1", "metric": "auc_difference", "method": "influence"}, "berger"),
        ({"analysis": "site_alone", "method": "DeLong"}, "zech"),
    ],
)
def test_every_method_brings_its_reference_and_only_when_it_was_used(evidence_folder, row, key):
    first = _row(finding="edema", rater="a", population="internal", method="none")
    _, without = methods(read_evidence(evidence_folder([first]), {}))
    assert REFERENCES[key] not in without.references
    second = _row(**{"finding": "mass", "rater": "a", "population": "internal", **row})
    _, cited = methods(read_evidence(evidence_folder([first, second]), {}))
    assert REFERENCES[key] in cited.references


@pytest.mark.slow
def test_the_whole_study_cites_every_listed_reference_and_lists_every_cited(page):
    listed = page[page.index('<ol class="references">') :].count('<li id="ref-')
    body = page[: page.index('<ol class="references">')]
    cited = {int(n) for n in re.findall(r'href="#ref-(\d+)"', body)}
    assert cited == set(range(1, listed + 1))
    assert listed >= 15


@pytest.mark.slow
def test_the_trained_network_is_told(made):
    section, _ = methods(read_evidence(made.evidence, made.study, cohort_folder=made.cohort, models=made.models))
    text = _text(section)
    assert "Network: densenet-small" in text
    assert "mean logit of 3 networks" in text
    assert "batch 32, at most 6 epochs" in text
    assert "uncertain labels left out" in text
    assert "128 x 128 pixels of the whole image" in text


@pytest.mark.slow
def test_every_method_that_made_a_number_is_in_the_table(made):
    evidence = read_evidence(made.evidence, made.study)
    section, _ = methods(evidence)
    table = section.blocks[-1].blocks[0]
    assert sum(int(row[3].text.replace(",", "")) for row in table.rows) == evidence.estimates.height
    assert any("effective n," in row[2].text for row in table.rows)  # numbers that differ per row are left out


def test_citations_are_numbered_in_the_order_of_first_mention():
    cited = number_citations([("A", "x [@holm] y [@delong,holm]"), ("B", "[@wilson]")])
    assert cited.paragraphs == (("A", "x [1] y [2,1]"), ("B", "[3]"))
    assert [r.text.split()[0] for r in cited.references] == ["Holm", "DeLong", "Wilson"]


def test_references_have_a_doi_that_looks_like_one():
    for key, reference in REFERENCES.items():
        assert key == "holm" or reference.doi.startswith("10."), key
