"""Subgroups on the page: the plot says every number and its gap, groups left out are named, under-diagnosis stands."""

from __future__ import annotations

from math import nan

import polars as pl
import pytest

from overread import codes
from overread.reporting.figures.forest_drawing import Mark
from overread.reporting.figures.subgroup_forest import Band, Level, group_forest
from overread.reporting.sections.model_results.subgroup_section import _findings_of_means

pytestmark = pytest.mark.slow

ALL = Level("Sex", "250", (Mark(0, 0.82, 0.80, 0.84, "0.820 (0.800–0.840)"),))
BAND = Band(
    "Sex",
    ALL,
    (
        Level("F", "120", (Mark(0, 0.81, 0.78, 0.84, "0.810 (0.780–0.840)"),)),
        Level("M", "3", (Mark(0, nan, nan, nan, "—"),), "too few patients"),
    ),
    ("0.030 (0.000–0.061), p 0.09",),
)


def test_the_plot_holds_every_number_and_its_gap():
    made = group_forest([BAND], ["acme"], label="Mean AUC", name="s", caption="By sex.")
    for words in (
        "Sex",
        "250",
        "F",
        "120",
        "0.810 (0.780–0.840)",
        "too few patients",
        "0.030 (0.000–0.061), p 0.09",
        "Patients",
    ):
        assert f">{words}</text>" in made.svg
    assert (
        "Forest plot. By sex. Sex 0.820 (0.800–0.840); F 0.810 (0.780–0.840); M too few patients; "
        "difference or gap 0.030" in made.svg
    )
    assert made.svg == group_forest([BAND], ["acme"], label="Mean AUC", name="s", caption="By sex.").svg
    assert made.numbers is not None
    assert made.numbers.select("column", "group", "estimate").rows()[:2] == [("Sex", "all", 0.82), ("Sex", "F", 0.81)]
    assert made.numbers.filter(group="M")["estimate"].is_nan().item()


def test_the_section_shows_gaps_with_adjusted_p_and_names_who_is_left_out(page, read_page):
    read = read_page(page)
    gaps = read.table("Gaps between groups, internal test: mean over findings; rates at the threshold for")
    said = [" ".join(row) for row in gaps]
    assert any("Age" in row and "0.020 (0.000–0.061)" in row and "0.090" in row for row in said), said
    assert "80+ excluded (fewer than half of the findings are evaluable in this group, 0 of 5)" in read.text
    assert "too few patients" in page
    missed = read.table(
        "Underdiagnosis, internal test: proportion of cases with at least one finding in which no finding was called"
    )
    assert any(row[0] == "Sex: F" and "0.120" in " ".join(row) for row in missed), missed


def test_a_page_without_a_mean_shows_findings_instead(made, evidence_folder, tmp_path):
    from overread import reporting

    estimates = pl.read_parquet(made.evidence / "estimates.parquet")
    single = estimates.filter(~((pl.col("analysis") == "subgroups") & (pl.col("finding") == "(mean)")))
    folder = evidence_folder(single)
    text = reporting.write(folder, tmp_path / "out", study={}).read_text(encoding="utf-8")
    assert "Subgroups of pooled, internal test: AUC for " in text


def _mean(subgroup, findings, rater="acme"):
    note = codes.note("mean_over_findings", n=len(findings), findings=tuple(findings))
    return {"subgroup": subgroup, "rater": rater, "level": "all", "estimate": 0.8, "note_codes": codes.encode(note)}


def test_the_caption_says_over_which_findings_the_means_of_each_column_are():
    same = pl.DataFrame([_mean("sex", ["mass", "edema"]), _mean("age_band", ["mass", "edema"])])
    assert _findings_of_means(same) == " Mean over 2 findings: mass, edema."
    apart = pl.DataFrame([_mean("sex", ["mass", "edema"]), _mean("age_band", ["edema", "fracture"])])
    assert _findings_of_means(apart) == (
        " Sex: mean over 2 findings: mass, edema. Age: mean over 2 findings: edema, fracture. Means of different "
        "findings cannot be compared."
    )
    raters = pl.DataFrame([_mean("sex", ["mass", "edema"]), _mean("sex", ["mass", "hernia"], "other")])
    assert "Sex (other): mean over 2 findings: mass, hernia." in _findings_of_means(raters)
