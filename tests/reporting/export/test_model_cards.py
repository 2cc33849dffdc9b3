"""Model cards: numbers of the estimates, and "not stated" where nobody said it."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from overread import reporting
from overread.reporting.export.model_cards import model_card
from overread.reporting.number_format import interval
from overread.reporting.report_data import read_evidence

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(made):
    return read_evidence(made.evidence, made.study, cohort_folder=made.cohort, models=made.models)


def _part(card: str, title: str) -> str:
    return card.partition(f"## {title}\n\n")[2].partition("\n\n## ")[0]


def test_a_card_holds_the_headline_numbers_with_their_intervals(whole):
    card = _part(model_card(whole, "pooled"), "Metrics")
    rows = whole.estimates.filter(
        pl.col("analysis") == "standalone", pl.col("metric") == "auc", pl.col("rater") == "pooled"
    )
    assert rows.height == 18
    for row in rows.iter_rows(named=True):
        assert interval(row["estimate"], row["low"], row["high"]) in card


def test_a_card_says_what_the_model_json_says(whole):
    card = model_card(whole, "north-only")
    for words in (
        "# Model card: north-only",
        "- Network: densenet-small",
        "- Kind: mean logit of 3 runs",
        "- Sites: north",
        "- Size: 240 images of 120 patients",
        "Not trained, because no training source labels it: Pulmonary fibrosis",
    ):
        assert words in card, words


def test_what_nobody_said_is_not_stated(whole):
    nothing = replace(whole, models={}, study={})
    card = model_card(nothing, "pooled")
    for term in ("Intended use", "Intended users", "Network", "Sites", "Size", "Recalibration"):
        assert f"- {term}: not reported" in card, term
    said = replace(nothing, study={"statements": {"intended_use": "Second reading at night."}})
    assert "- Intended use: Second reading at night." in model_card(said, "pooled")


def test_thresholds_gaps_caveats_and_what_is_missing(whole):
    card = model_card(whole, "pooled")
    assert "| threshold for specificity 0.90 | Internal test | Cardiomegaly | 0.3 |" in card
    assert "0.020 (0.000–0.061)" in _part(card, "Subgroup gaps")
    assert "- The images are simulated." in _part(card, "Caveats")
    rows = whole.estimates.filter(pl.col("rater") == "pooled")
    gone = rows.filter(pl.col("estimate").is_nan()).height
    assert f"{gone} of {rows.height} estimates" in _part(card, "Not computed")


def test_subgroups_that_were_not_evaluated_are_said(whole):
    assert _part(model_card(whole, "pooled-matched"), "Subgroup gaps") == "None was computed."
    assert _part(model_card(whole, "pooled-matched"), "Factors") == "No subgroup was evaluated."


def test_a_card_for_every_model_and_none_of_an_earlier_report(made, tmp_path):
    old = tmp_path / "model-cards" / "gone.md"
    old.parent.mkdir()
    old.write_text("old")
    (tmp_path / "made.json").write_text('{"files": {"model-cards/gone.md": 3}}')
    reporting.write(made.evidence, tmp_path, **made.arguments())
    names = sorted(p.name for p in (tmp_path / "model-cards").iterdir())
    assert names == ["harbour-only.md", "lake-only.md", "north-only.md", "pooled-matched.md", "pooled.md"]
    assert (tmp_path / "methods.md").read_text(encoding="utf-8").startswith("# Methods\n\n**Participants and data.**")


def test_a_name_with_a_bar_keeps_its_table_whole(evidence_folder):
    keys = dict.fromkeys(("at", "arm", "contrast", "subgroup", "level", "reference", "policy"), "")
    numbers = dict.fromkeys(("low", "high", "se", "p", "p_adjusted"), float("nan"))
    row = {"analysis": "standalone", "metric": "auc", "finding": "edema", "rater": "a", "population": "external:x|y"}
    folder = evidence_folder([{**row, **keys, **numbers, "estimate": 0.8}])
    card = model_card(read_evidence(folder, {}), "a")
    assert "AUC, External: x\\|y" in card
