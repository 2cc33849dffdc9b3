"""Reasons under "Not shown": each from its cause, so that none is printed that the study contradicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from overread import codes
from overread.reporting.report_data import read_evidence
from overread.reporting.sections import absence_reasons
from overread.reporting.sections.model_results.contrasts import comparison, drop, site_alone
from overread.reporting.sections.model_results.decision_section import decision
from overread.reporting.sections.model_results.label_policies import policies

from ..conftest import NONE, estimate

AT = {"finding": "edema", "rater": "acme"}
FEW = codes.note("few_patients_not_estimable", present=6, absent=14, least=20)


def line(name, count=300, **parameters):
    """A line of the account."""
    reason = codes.note(name, **parameters)
    return {"stage": "join", "unit": "labels", "reason": reason, "reason_code": codes.encode(reason), "count": count,
            "examples": ""}  # fmt: skip


@pytest.fixture
def read(evidence_folder):
    """Reads an evaluation of these rows and this account."""

    def made(*rows, account=()):
        return read_evidence(evidence_folder(rows, account=list(account) or [line("no_split")]), {})

    return made


def at(population):
    return estimate("standalone", "auc", 0.8, **AT, population=population)


@pytest.mark.parametrize(
    ("populations", "reason"),
    [
        (["internal"], "no external site"),
        (["external:north", "external:south"], "no internal test set: all test sites are external"),
        (["internal", "external:south"], "no internal-to-external drop was estimated"),
    ],
)
def test_a_drop_is_not_shown_for_the_set_that_is_not_there(read, populations, reason):
    assert drop(read(*map(at, populations))).absent == reason


def test_no_drop_without_a_model_that_has_both_sets(read):
    other = estimate("standalone", "auc", 0.8, finding="edema", rater="beta", population="external:south")
    assert drop(read(at("internal"), other)).absent == "no model has both an internal and an external test set"


def test_decision_curves_of_too_few_patients_are_not_said_to_lack_probabilities(read):
    missing = {"method": None, "note": FEW, "population": "internal", **NONE}
    rows = [
        estimate("decision", "net_benefit", float("nan"), **AT, **missing, at=f"threshold={t}") for t in ("0.1", "0.2")
    ]
    few = "6 patients with the finding and 14 without it (at least 20 of each required)"
    assert decision(read(*rows)).absent == few
    raw = missing | {"note": codes.note("scores_not_probabilities")}
    rows.append(estimate("decision", "net_benefit", float("nan"), **AT, **raw, at="threshold=0.3"))
    assert decision(read(*rows)).absent == f"{few}; the scores are not probabilities"


def test_decision_curves_without_rows_have_no_invented_reason(read):
    assert decision(read(at("internal"))).absent == "no net benefit was estimated"


def test_uncertain_labels_that_changed_nothing_are_counted(read):
    absent = policies(read(at("internal"), account=[line("uncertain_excluded")])).absent
    assert absent.startswith("300 uncertain labels, but none")
    assert "no label of an evaluated case is uncertain" not in absent


def test_label_sources_that_were_not_compared_are_named(read):
    absent = policies(read(at("internal"), account=[line("source_not_reference", source="report")])).absent
    assert absent == (
        "no label of an evaluated case is uncertain; labels of “report” were not compared with the reference standard"
    )


def test_models_of_different_findings_are_not_one_model(read):
    other = estimate("standalone", "auc", 0.8, finding="mass", rater="beta", population="internal")
    assert comparison(read(at("internal"))).absent == "one model only"
    assert comparison(read(at("internal"), other)).absent == "no finding is scored by two models"


def test_a_known_prevalence_is_not_said_to_be_unknown(read):
    evidence = read(at("internal"))
    assert site_alone(evidence).absent == "no record of a model states the prevalence at its training sites"
    known = replace(evidence, models={"acme": {"prevalence": {"north": {"edema": 0.2}}}})
    assert site_alone(known).absent == "the site-only baseline was not evaluated"


def test_no_reason_is_given_for_estimates_that_are_there(read):
    assert absence_reasons.missing_reasons(read(at("internal")).estimates) == ""
