"""The page as a whole: its numbers are those of the estimates, nothing is loaded from elsewhere, nothing is hidden."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import polars as pl
import pytest

from overread import codes, findings, ledger, reporting, tables
from overread.errors import InputError
from overread.reporting.number_format import interval
from overread.reporting.report_data import finding_heading, read_evidence
from overread.reporting.sections import summary
from overread.reporting.sections.study_participants import participants

pytestmark = pytest.mark.slow


def _estimates(made) -> pl.DataFrame:
    return tables.read(made.evidence / "estimates.parquet", "estimates")


def test_headline_numbers_are_those_of_the_estimates(made, page, read_page):
    rows = read_page(page).table("AUC of pooled per finding")
    shown = {r[0]: r[1:] for r in rows[2:]}
    auc = _estimates(made).filter(
        pl.col("analysis") == "standalone", pl.col("metric") == "auc", pl.col("rater") == "pooled"
    )
    for row in auc.iter_rows(named=True):
        place = ["internal", "external:hill", "external:valley"].index(row["population"])
        want = interval(row["estimate"], row["low"], row["high"])
        cells = shown[finding_heading(row["finding"], findings.load())][2 * place : 2 * place + 2]
        assert cells[1] == want
        if row["finding"] != "(mean)":
            assert cells[0] == f"{row['n_present']:,} / {row['n_absent']:,}"


def test_rates_at_the_frozen_threshold_are_those_of_the_estimates(made, page, read_page):
    rows = read_page(page).table("pooled, threshold for specificity 0.90")
    first = rows[2 : 2 + 5]  # the five findings of the internal test
    frame = _estimates(made).filter(
        pl.col("at") == "operating_point=spec90", pl.col("rater") == "pooled", pl.col("population") == "internal"
    )
    for cells in first:
        for column, metric in ((3, "sensitivity"), (4, "specificity"), (5, "ppv"), (6, "npv"), (7, "f1")):
            row = next(
                r
                for r in frame.to_dicts()
                if r["metric"] == metric and finding_heading(r["finding"], findings.load()) == cells[0]
            )
            assert cells[column] == interval(row["estimate"], row["low"], row["high"])


def test_every_note_of_a_number_that_is_missing_stands_on_the_page(made, page, read_page):
    text = read_page(page).text
    missing = _estimates(made).filter(pl.col("estimate").is_nan())
    assert missing.height > 40
    for note in missing["note"].unique().to_list():
        assert note in text


def test_missing_numbers_are_counted(made, page, read_page):
    estimates = _estimates(made)
    missing = estimates.filter(pl.col("estimate").is_nan()).height
    assert f"{estimates.height:,} estimates in all; {missing} could not be computed" in read_page(page).text
    rows = read_page(page).table("Not computed, by reason.")
    assert sum(int(r[1].replace(",", "")) for r in rows[1:]) == missing


def test_nothing_is_loaded_from_elsewhere(page, read_page):
    for tag, attributes in read_page(page).tags:
        assert tag not in ("script", "link", "iframe", "object", "base")
        for name in ("src", "srcset", "poster", "data"):
            assert attributes.get(name, "data:").startswith("data:")
        link = attributes.get("href", "#")
        assert link.startswith(("#", "https://doi.org/")), link
        if not link.startswith("#"):
            assert tag == "a"
    style = page[page.index("<style>") : page.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style


def test_page_is_light_and_always_the_same(made, page, tmp_path):
    assert len(page.encode()) < 3_000_000
    assert reporting.write(made.evidence, tmp_path, **made.arguments()).read_text(encoding="utf-8") == page


def test_ids_are_unique_and_links_lead_somewhere(page, read_page):
    tags = read_page(page).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    inside = {a["href"][1:] for t, a in tags if t == "a" and a.get("href", "").startswith("#")}
    assert inside <= set(ids)


def test_figures_speak_to_those_who_do_not_see_them(page, read_page):
    tags = read_page(page).tags
    svgs = [a for t, a in tags if t == "svg" and "aria-hidden" not in a]  # the samples of a key are hidden
    titles = {a.get("id") for t, a in tags if t == "title"}
    assert len(svgs) > 8
    assert all(a.get("role") == "img" and a["aria-labelledby"] in titles for a in svgs)
    assert all(a.get("alt") for t, a in tags if t == "img")
    assert "Forest plot. AUC of pooled with CIs, internal test against external sites." in page


def test_tables_have_captions_and_scoped_heads(page, read_page):
    reader = read_page(page)
    assert all(t["caption"].strip() for t in reader.tables)
    heads = [a for t, a in reader.tags if t == "th"]
    assert all(a.get("scope") in ("col", "colgroup", "row", "rowgroup") for a in heads)


def test_page_says_what_the_study_was_and_by_whose_leave(page, read_page):
    text = read_page(page).text
    for words in (
        "Does a model trained at three hospitals hold at two others?",
        "Shown",
        "The images are simulated.",
        "Ethics board of the north 2024-17",
        "ab12" * 16,
        "1 time, on",
        "overread run five-hospitals.toml -o study",
        "90 images, 25 patients: lateral view",
        "uncertain: excluded",
        "not trained: Pulmonary fibrosis",
    ):
        assert words in text, words


def test_estimates_beside_the_page_are_the_estimates(made, page, tmp_path):
    reporting.write(made.evidence, tmp_path, **made.arguments())
    estimates = _estimates(made)
    assert tables.read(tmp_path / "estimates.parquet", "estimates").equals(estimates, null_equal=True)
    rows = json.loads((tmp_path / "estimates.json").read_text(encoding="utf-8"))
    assert len(rows) == estimates.height
    for said, row in zip(rows, estimates.iter_rows(named=True), strict=True):
        for key, value in row.items():
            gone = value is None or (isinstance(value, float) and not math.isfinite(value))
            assert said[key] == (None if gone else value)


def test_names_are_escaped(evidence_folder, made, tmp_path, read_page):
    name = '<b>&"'
    rows = [
        _auc("pooled", "internal", 0.8),
        _auc("pooled", f"external:{name}", 0.7, note=codes.note("threshold_note_of_model", text=f"at {name}")),
    ]
    study = {"title": f"Study of {name}", "question": f"Does {name} differ?", "warnings": [f"{name}!"]}
    text = reporting.write(evidence_folder(rows), tmp_path, study=study).read_text(encoding="utf-8")
    assert "<b>&" not in text
    reader = read_page(text)
    assert f"External: {name}" in reader.text
    assert f"Study of {name}" in reader.text
    assert f"{name}!" in reader.text
    assert f"at {name}" in reader.text


def _auc(rater: str, population: str, value: float, **more) -> dict:
    keys = {
        "analysis": "standalone",
        "metric": "auc",
        "at": "",
        "finding": "edema",
        "arm": "model",
        "contrast": "",
        "subgroup": "",
        "level": "",
        "reference": "",
        "policy": "",
    }
    numbers = {"low": value - 0.1, "high": value + 0.1, "se": 0.05, "p": math.nan, "p_adjusted": math.nan}
    texts = {"method_code": codes.encode(more.get("method") or ""), "note_codes": codes.encode(more.get("note") or "")}
    return {**keys, "rater": rater, "population": population, "estimate": value, **numbers, **texts, **more}


def test_one_model_and_no_external_site_is_told_and_what_is_lacking_is_named(evidence_folder, tmp_path, read_page):
    folder = evidence_folder([_auc("acme", "internal", 0.8, method=codes.method("delong"), confidence=0.95)])
    reader = read_page(reporting.write(folder, tmp_path, study={}).read_text(encoding="utf-8"))
    assert "No hospital known to be external." in reader.text
    assert "Not asked or without data: " in reader.text
    for words in (
        "participants (no cohort was supplied",
        "comparison of models (one model only",
        "no subgroup was evaluated",
        "training (no record of a model",
        "heat maps (no heat maps",
    ):
        assert words in reader.text, words
    assert "0.800 (0.700–0.900)" in reader.text
    assert "no ledger was given: the number of accesses" in reader.text
    assert "Test set" in reader.text  # no site is internal to a model whose training is not known


def test_a_folder_without_estimates_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"estimates\.parquet"):
        reporting.write(tmp_path, tmp_path / "out", study={})
    assert not (tmp_path / "out").exists()


def test_cannot_tell_shows_the_reason(evidence_folder, tmp_path, read_page):
    verdict = pl.DataFrame(
        {
            "hypothesis": ["H1"],
            "claim": ["Pooling helps."],
            "rule": ["Lower limit above 0."],
            "verdict": ["cannot tell"],
            "protocol_hash": [""],
            "reason": ["0 of 2 external sites are evaluable. Not evaluable: x: edema: one class"],
        }
    )
    given = {"present": 40, "absent": 0, "least_present": 20, "least_absent": 20}
    note = codes.notes(codes.note("not_evaluable"), codes.note("few_patients_evaluable", **given))
    more = {"analysis": "H1", "metric": "auc_difference", "contrast": "rater:single", "note": note}
    lone = _auc("pooled", "external:x", math.nan, **more)
    folder = evidence_folder([_auc("pooled", "internal", 0.8), lone], verdicts=verdict)
    text = reporting.write(folder, tmp_path, study={}).read_text(encoding="utf-8")
    reader = read_page(text)
    assert 'class="tag' not in text  # no protocol states the rule
    assert "Outcome of the rule, not prespecified" in reader.text
    assert "0 of 2 external sites are evaluable." in reader.text
    rows = reader.table("Evaluable findings")
    assert rows[1] == ["Pulmonary edema", "no"]
    assert "too few patients: 40 with the finding and 0 without it (20 and 20 required)" in reader.text


def test_simulated_images_are_called_so_before_anything_else(evidence_folder, tmp_path, read_page):
    study = {"protocol": {"sources": {"a": {"reader": "simulate"}}}, "warnings": ["Another."]}
    text = reporting.write(evidence_folder([_auc("pooled", "internal", 0.8)]), tmp_path, study=study).read_text("utf-8")
    first = read_page(text).text.index("The images are simulated")
    assert first < read_page(text).text.index("Another.")


def test_populations_of_the_pooled_model_head_the_page_though_others_have_more(made, page, read_page):
    rows = read_page(page).table("Mean AUC of each model")
    assert rows[0] == ["Model", "Training images", "Internal test", "hill", "valley"]
    assert [r[0] for r in rows[1:]] == ["pooled", "north-only", "lake-only", "harbour-only", "pooled-matched"]


def test_prevalence_counts_the_labels_of_the_cohort(made, page, read_page):
    rows = read_page(page).table("Findings, by site and split (1 of 2)")
    images = tables.read(made.cohort / "images.parquet", "images")
    labels = tables.read(made.cohort / "labels.parquet", "labels").join(
        images.select("case_id", "site", pl.col("split").cast(pl.String)), on="case_id"
    )
    train = labels.filter(pl.col("site") == "harbour", pl.col("split") == "train", pl.col("finding") == "cardiomegaly")[
        "state"
    ].cast(pl.String)
    present, absent = (train == "present").sum(), (train == "absent").sum()
    assert rows[2][0] == "Cardiomegaly"
    assert rows[2][1].startswith(f"{present} / {absent} (")


def test_the_findings_of_a_weighted_sample_say_whose_shares_they_are(made):
    whole = read_evidence(made.evidence, made.study, cohort_folder=made.cohort)
    told = "proportions are those of the sample, not of the population"
    assert told not in participants(whole).blocks[-1].remark
    weights = pl.Series("weight", [1.0 if i % 2 else 4.0 for i in range(whole.images.height)])
    drawn = replace(whole, images=whole.images.with_columns(weights))
    assert told in participants(drawn).blocks[-1].remark


def test_a_weighted_sample_says_how_many_it_stands_for(made):
    whole = read_evidence(made.evidence, made.study, cohort_folder=made.cohort)
    assert "weighted sample" not in summary.study_paragraph(whole)
    ids = whole.joined["case_id"].unique().sort()
    weights = pl.DataFrame({"case_id": ids, "weight": [1.0 if i % 2 else 4.0 for i in range(len(ids))]})
    joined = whole.joined.drop("weight").join(weights, on="case_id")
    stands = round(weights["weight"].sum())
    said = summary.study_paragraph(replace(whole, joined=joined))
    assert f"a weighted sample of {len(ids):,} of {stands:,} cases; estimates are weighted" in said


def test_a_ledger_whose_tail_was_cut_off_is_a_warning(evidence_folder, tmp_path, read_page):
    folder, book = evidence_folder([_auc("acme", "internal", 0.8)]), tmp_path / "ledger.jsonl"
    access = {"analysis": "evaluate", "models": ["acme"], "cases": 9, "labels_hash": "l", "protocol_hash": "p"}
    heads = [ledger.append(book, **access).head for _ in range(2)]
    tables.write_json(folder / "notes.json", {"notes": [], "opened": [], "ledger": heads[1]})

    def page(name):
        return read_page(reporting.write(folder, tmp_path / name, study={}, ledger=book).read_text("utf-8")).text

    whole = page("whole")
    assert f"entry of this evaluation: 2, hash {heads[1]['hash'][:12]}" in whole
    assert "The ledger does not contain" not in whole
    book.write_text(book.read_text().splitlines(keepends=True)[0])
    assert f"The ledger does not contain entry 2 (hash {heads[1]['hash'][:12]})" in page("cut")
    book.unlink()
    assert "There is no ledger: entry 2, written by this evaluation, was not checked." in page("gone")


def test_the_page_has_one_title_and_headings_in_order(page, read_page):
    levels = [int(t[1]) for t, _ in read_page(page).tags if t in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_section_of_numbers_opens_with_its_answer(page, read_page):
    tags = read_page(page).tags
    wanted = {
        "discrimination",
        "operating",
        "calibration",
        "comparison",
        "h1",
        "drop",
        "matrix",
        "not-computed",
        "account",
    }
    for name in wanted:
        at = next(i for i, (t, a) in enumerate(tags) if t == "section" and a.get("id") == name)
        assert tags[at + 1][0] == "h3"
        assert tags[at + 2] == ("p", {"class": "result"})


def test_what_is_printed_only_with_the_appendix_is_counted(page, read_page):
    tags = read_page(page).tags
    assert sum(t == "details" and a.get("class") == "appendix" for t, a in tags) > 5
    assert "Not printed here: " in read_page(page).text
    assert "body:not(:target) .appendix" in page
