"""Statements outside the Methods that were once printed where they did not hold."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from overread import codes, reporting
from overread.reporting.checklists import RULES
from overread.reporting.first_page.answer_limits.study_limits import limitations
from overread.reporting.report_data import at_title, read_evidence
from overread.reporting.sections.duplicate_images import _with_splits
from overread.reporting.sections.model_results.discrimination_section import discrimination
from overread.reporting.sections.model_results.subgroup_section import _subgroups, subgroups
from overread.reporting.sections.study_notes import not_computed
from overread.reporting.sections.summary import study_paragraph

SOURCE = Path(reporting.__file__).parent
OBUCHOWSKI = codes.method("obuchowski")
FEW = codes.note("few_patients_in_all", n=3, least=10)


def auc(population="internal", **more):
    """A row of the AUC of a model."""
    keys = dict.fromkeys(("at", "contrast", "subgroup", "level", "reference", "policy"), "")
    numbers = {"estimate": 0.8, "low": 0.7, "high": 0.9, "se": 0.05, "p": float("nan"), "p_adjusted": float("nan")}
    place = {"analysis": "standalone", "metric": "auc", "finding": "edema", "rater": "acme", "population": population}
    texts = {"method": OBUCHOWSKI, "method_code": "obuchowski", "note": None, "note_codes": ""}
    return {**keys, **numbers, **place, **texts, "arm": "model", **more}


def test_a_pair_within_training_and_tuning_is_no_pair_with_a_test_image():
    images = pl.DataFrame({"image_id": ["a", "b", "c"], "split": ["train", "tune", "test"]})
    pairs = pl.DataFrame(
        {"image_a": ["a", "a"], "image_b": ["b", "c"], "place": ["two sites"] * 2, "correlation": [1.0, 1.0]}
    )
    found = {r["image_b"]: (r["across"], r["tested"]) for r in _with_splits(pairs, images).to_dicts()}
    assert found == {"b": (True, False), "c": (True, True)}


def test_sites_that_are_only_declared_are_said_to_be_declared(evidence_folder):
    paragraph = study_paragraph(read_evidence(evidence_folder([auc(), auc("external:east")]), {}))
    assert "External test: east (declared by the investigators; not verified)." in paragraph
    assert "no model saw" not in paragraph


def test_without_a_declaration_nothing_is_said_about_unseen_hospitals(evidence_folder):
    paragraph = study_paragraph(read_evidence(evidence_folder([auc()]), {}))
    assert "external validity was not assessed" in paragraph
    assert "not seen" not in paragraph


@pytest.mark.slow
def test_an_auc_of_all_pairs_is_not_said_to_be_used_nowhere(evidence_folder):
    section = discrimination(read_evidence(evidence_folder([auc(), auc(at="pairs=all")]), {}))
    folded = next(b for b in section.blocks if getattr(b, "summary", "") == "AUC of all pairs")
    assert "the site-only baseline uses all pairs" in folded.blocks[0].caption


def test_no_threshold_is_called_frozen():
    """A threshold may have been fitted on half of the test patients; its origin is in its note."""
    assert at_title("operating_point=spec90") == "threshold for specificity 0.90"
    texts = [p.read_text(encoding="utf-8") for p in SOURCE.rglob("*") if p.suffix in (".py", ".j2", ".toml")]
    assert len(texts) > 40
    assert not [t for t in texts if "frozen threshold" in t or "threshold frozen" in t]


def line(name, count, **parameters):
    """A line of the account."""
    reason = codes.note(name, **parameters)
    return {"stage": "join", "unit": "labels", "reason": reason, "reason_code": codes.encode(reason), "count": count}


def test_a_scored_finding_whose_labels_are_all_uncertain_is_a_limitation(evidence_folder):
    lines = [line("findings_only_uncertain", 1, n=300, findings=("pleural_effusion",))]
    found = [f"{x.head} {x.text}" for x in limitations(read_evidence(evidence_folder([auc()], account=lines), {}))]
    said = "scored, but not evaluated, because all labels are uncertain and excluded (300): pleural effusion."
    assert f"Findings not evaluated: {said}" in found


def test_estimates_and_their_notes_are_counted_in_words(evidence_folder):
    missing = auc(note=FEW, note_codes=codes.encode(FEW), **dict.fromkeys(("estimate", "low", "high"), float("nan")))
    rows = [auc(), missing | {"finding": "mass"}, auc(finding="fracture", low=float("nan"), note=FEW)]
    text = not_computed(read_evidence(evidence_folder(rows), {})).blocks[0].text
    assert text == (
        "3 estimates in all; 1 could not be computed and 1 has no CI; the reasons follow. 0 others have a note."
    )


def test_the_origin_of_a_threshold_is_not_the_reason_for_a_missing_interval(evidence_folder):
    none = {"low": float("nan"), "high": float("nan")}
    origin = codes.note("fitted_on_half", fitted=50, tested=50)
    at = {"metric": "threshold", "at": "operating_point=spec90", "note": origin, "note_codes": codes.encode(origin)}
    blocks = not_computed(read_evidence(evidence_folder([auc(), auc(**at, **none)]), {})).blocks
    assert "0 have no CI. 1 other has a note." in blocks[0].text
    assert [block.summary for block in blocks[1:]] == ["Notes on estimates (1 estimate)"]


def group(level, subgroup="sex", **more):
    """The AUC of a subgroup."""
    return auc(analysis="subgroups", subgroup=subgroup, level=level, **more)


def test_a_column_of_unknown_values_only_is_no_subgroup_on_the_page(evidence_folder):
    rows = [group("F"), group("M"), group("UNKNOWN", "view")]
    evidence = read_evidence(evidence_folder(rows), {})
    assert _subgroups(evidence.estimates) == ["sex"]


def test_means_of_two_sections_that_differ_are_explained(evidence_folder):
    section = subgroups(
        read_evidence(evidence_folder([group("F", finding="(mean)"), group("M", finding="(mean)")]), {})
    )
    assert "evaluable in every group, with a normal CI" in " ".join(getattr(b, "text", "") for b in section.blocks)
    section = subgroups(read_evidence(evidence_folder([group("F"), group("M")]), {}))
    assert not [b for b in section.blocks if "evaluable in every group" in getattr(b, "text", "")]


def test_every_account_line_of_one_unit_is_singular(evidence_folder):
    lines = [line("label_without_image", 1) | {"unit": "labels"}]
    answer = RULES["missing_data"](read_evidence(evidence_folder([auc()], account=lines), {}))
    assert "left out (1 label)" in answer.text
