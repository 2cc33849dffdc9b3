"""The reporting checklists: every item of every guideline, and an answer only where the study really holds one."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import polars as pl
import pytest

from overread import reporting, tables
from overread.errors import InputError
from overread.reporting import checklists
from overread.reporting.checklists import Found, study_answers
from overread.reporting.report_data import read_evidence

TRIPOD = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 "
    "18a 18b 18c 18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)
STARD = (
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15a 15b 15c 15d 16a 16b 16c 17a 17b 18 19 20 21 22 23 24 25 26a 26b "
    "27 28 29 30 31 32 33 34 35 36 37 38 39 40a 40b"
)
DECIDE = (
    "1 I 2a 2b II III 3a 3b 3c 4a 4b 4c 5a 5b IV 6a 6b 7 8 V VI 9a 9b 10a 10b VII VIII 11 12 13a 13b 14a 14b "
    "15 16 IX 17 X"
)


@pytest.fixture(scope="module")
def whole(made):
    """The evidence of the made-up study with all that it holds, and heat maps on its page."""
    given = {"cohort_folder": made.cohort, "ledger_path": made.ledger, "models": made.models}
    study = {**made.study, "governance": {**made.study["governance"], "data_use": ["as the hospitals allow"]}}
    return replace(read_evidence(made.evidence, study, **given), heatmaps=True)


@pytest.fixture
def bare(evidence_folder):
    """An evaluation of which nothing is known but one number that could not be computed."""
    row = {
        "analysis": "standalone",
        "metric": "auc",
        "finding": "edema",
        "rater": "a",
        "population": "internal",
        **dict.fromkeys(("at", "arm", "contrast", "subgroup", "level", "reference", "policy"), ""),
        **dict.fromkeys(("estimate", "low", "high", "se", "p", "p_adjusted"), float("nan")),
    }
    read = read_evidence(evidence_folder([row]), {})
    return replace(read, run={}, estimates=read.estimates.clear(), account=read.account.clear())


@pytest.mark.parametrize(
    ("name", "numbers", "whole_items"),
    [
        ("TRIPOD+AI", TRIPOD, 27),
        ("STARD-AI", STARD, 40),
        ("CLAIM", " ".join(map(str, range(1, 45))), 44),
        ("DECIDE-AI", DECIDE, 17 + 10),
    ],
)
def test_every_item_number_of_every_guideline_is_there_in_order(name, numbers, whole_items):
    guideline = next(g for g in checklists.guidelines() if g.name == name)
    assert [i.number for i in guideline.items] == numbers.split()
    assert len({re.sub(r"(?<=\d)[a-g]$", "", i.number) for i in guideline.items}) == whole_items


def test_subitems_of_decide_ai_are_28():
    guideline = next(g for g in checklists.guidelines() if g.name == "DECIDE-AI")
    assert sum(i.number[0].isdigit() for i in guideline.items) == 28


def test_words_are_short_and_every_guideline_is_cited():
    for guideline in checklists.guidelines():
        assert guideline.doi.startswith("10.")
        assert str(guideline.year) in guideline.text
        assert all(0 < len(i.words) <= 90 for i in guideline.items)


def test_every_rule_answers_something_that_an_item_asks_for():
    assert set(checklists.RULES) <= set(checklists.topics())


@pytest.mark.slow
@pytest.mark.parametrize("topic", sorted(checklists.RULES))
def test_a_rule_answers_from_the_study_and_is_silent_without(topic, whole, bare):
    assert checklists.RULES[topic](bare) is None
    if topic in ("robustness", "subsets_selected", "agreement"):
        whole = _with(whole, topic)
    found = checklists.RULES[topic](whole)
    assert isinstance(found, Found)
    assert found.text.strip()
    assert not re.search(r"\[@|\bNone\b(?!:)|\bnan\b|  ", found.text), found.text


def _with(evidence, topic):
    """The study with what the made-up one lacks."""
    if topic == "subsets_selected":
        weight = pl.when(pl.int_range(pl.len()) % 2 == 0).then(1.0).otherwise(3.0)
        return replace(evidence, joined=evidence.joined.with_columns(weight=weight))
    analysis = {"robustness": "policies", "agreement": "agreement"}[topic]
    row = evidence.estimates.head(1).with_columns(analysis=pl.lit(analysis), metric=pl.lit("gwet_ac1"))
    return replace(evidence, estimates=pl.concat([evidence.estimates, row]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("topic", "change", "said"),
    [
        ("ethics", {"governance": {"approval_body": "The board", "approval_number": "7"}}, "The board 7"),
        ("ethics", {"governance": {"waiver": "public data"}}, "Waived: public data"),
        ("ethics", {"governance": {"approval_body": "", "waiver": ""}}, ""),
        ("title", {"title": "Evaluation of predictions"}, ""),
        ("title", {"title": "Evaluation of models and readers"}, ""),
        ("title", {"title": "Pneumothorax at two hospitals"}, "Pneumothorax at two hospitals"),
        ("objectives", {"question": "Does it hold?"}, "Does it hold?"),
        ("protocol", {"protocol": {"a": 1}, "protocol_hash": ""}, ""),
        ("protocol", {"protocol": {"a": 1}, "protocol_hash": "ab" * 32}, "abababababab"),
        ("data_availability", {"governance": {"data_use": ["CC0"]}}, "Terms of use: CC0"),
        ("data_availability", {"governance": {"data_use": []}}, ""),
        ("code_availability", {"command": "overread run x"}, ""),  # without a version it cannot be found
    ],
)
def test_what_the_study_states_is_answered_in_its_own_words(topic, change, said, bare):
    found = checklists.RULES[topic](replace(bare, study=change))
    assert (said in found.text) if said else found is None


@pytest.mark.slow
def test_rules_quote_the_numbers_of_the_study(whole):
    images = whole.images
    rows = whole.estimates.filter(
        pl.col("metric") == "auc",
        pl.col("rater") == "pooled",
        pl.col("population") == "internal",
        pl.col("analysis") == "standalone",
        pl.col("finding") == "(mean)",
    )
    assert f"{rows['estimate'][0]:.3f}" in checklists.RULES["internal"](whole).text
    assert f"{images.height:,} images of {images['patient_id'].n_unique():,} patients" in (
        checklists.RULES["flow"](whole).text
    )
    train = images.filter(pl.col("split").cast(pl.String) == "train")
    assert f"train {train.height:,} images" in checklists.RULES["partitions"](whole).text
    assert "uncertain: excluded (61 labels)" in checklists.RULES["missing_data"](whole).text
    assert "Ethics board of the north 2024-17" in checklists.RULES["ethics"](whole).text


@pytest.mark.slow
def test_a_patient_in_two_splits_is_told(whole):
    assert "none in two splits" not in checklists.RULES["disjoint"](whole).text  # images were split one by one here
    one = whole.images.with_columns(patient_id=pl.col("image_id"))
    assert "Patients: none in two splits (counted)." in checklists.RULES["disjoint"](replace(whole, images=one)).text


def test_no_evidence_no_answer(bare):
    rows = checklists.filled(bare, {"top": "First page", "methods": "Methods", "limits": "What limits this"})
    assert {r.item.topic for r in rows if r.answered != "not answered"} == set()
    assert len(rows) == 52 + 48 + 44 + 38


@pytest.mark.slow
def test_an_answer_in_a_section_that_is_left_out_is_none(whole):
    rows = {(r.guideline.name, r.item.number): r for r in checklists.filled(whole, {"top": "First page"})}
    assert rows["TRIPOD+AI", "4"].answered == "answered"
    assert rows["TRIPOD+AI", "17"].answered == "not answered"  # no section on governance


@pytest.mark.slow
def test_what_only_authors_know_is_answered_by_their_statement(whole):
    said = {"funding": "None.", "sample_size": "All there was.", "limitations": "Two sites, one vendor."}
    rows = checklists.filled(replace(whole, study={**whole.study, "statements": said}), {"top": "First page"})
    found = {(r.guideline.name, r.item.number): (r.answered, r.where, r.text) for r in rows}
    for place in (("TRIPOD+AI", "18a"), ("STARD-AI", "38"), ("CLAIM", "44")):
        assert found[place] == ("answered", "stated by the authors", "None.")
    assert found["CLAIM", "40"] == ("answered", "stated by the authors", "Two sites, one vendor.")
    assert found["STARD-AI", "22"][2] == "All there was."


@pytest.mark.slow
def test_a_statement_about_nothing_that_is_asked_for_is_refused(whole):
    with pytest.raises(InputError, match=r"'fundign'.*funding"):
        checklists.filled(replace(whole, study={**whole.study, "statements": {"fundign": "x"}}), {})


@pytest.mark.slow
def test_the_page_counts_the_answers_and_the_file_has_the_same_rows(made, page, read_page, tmp_path):
    reporting.write(made.evidence, tmp_path, **made.arguments())
    with (tmp_path / "checklists.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    reader = read_page(page)
    counted = reader.table("Items of the reporting guidelines")
    for name, items, *counts, _ in counted[1:]:
        own = [r["answered"] for r in rows if name.startswith(r["guideline"])]
        assert int(items) == len(own)
        assert [int(n) for n in counts] == [own.count(w) for w in ("answered", "in part", "not answered")]
    listed = reader.table("STARD-AI 2025: 48 items")
    assert next(r for r in listed if r[0] == "38")[2] == "not answered"
    assert next(r for r in listed if r[0] == "6")[3:] == [
        "Protocol and governance",
        "Ethics board of the north 2024-17",
    ]


def test_the_items_travel_with_the_package(tmp_path):
    from importlib import resources

    held = {p.name for p in resources.files("overread.reporting.checklists").iterdir()}
    assert {"tripod-ai.toml", "stard-ai.toml", "claim.toml", "decide-ai.toml"} <= held
    assert tables.write_text(tmp_path / "x", "").exists()


@pytest.mark.slow
def test_without_a_protocol_that_is_said_and_no_claim_is_an_objective(whole):
    alone = replace(whole, study={"title": "A"})
    assert study_answers.protocol(alone).text == "No protocol was supplied to this evaluation."
    assert study_answers.objectives(alone) is None
    assert study_answers.objectives(replace(whole, study={"protocol_hash": "ab" * 32})) is not None
