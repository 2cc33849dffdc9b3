"""Planning a study: rows are what the statistics say, sentences hold the table's numbers, bad guesses are told."""

from __future__ import annotations

import polars as pl
import pytest

from overread.errors import InputError
from overread.protocol import Expected, plan
from overread.stats import power


def test_each_row_is_what_the_statistic_says():
    e = Expected(auc=0.9, prevalence=0.2, images_per_patient=3, image_correlation=0.4, sensitivity=0.85)
    rows = {r["question"]: r for r in plan(e).table.iter_rows(named=True)}
    effect = 1 + 2 * 0.4
    width = power.auc_sample_size(0.9, width=0.1, ratio=4, design_effect=effect)
    assert rows["AUC: width of its interval"]["present"] == width.present
    least = power.auc_sample_size(0.9, null=0.75, ratio=4, power=0.8, design_effect=effect)
    assert rows["AUC against the least acceptable"]["cases"] == least.total
    pair = power.assumed_pair(0.9, 0.8, correlation=0.5, ratio=4)
    two = power.paired_auc_sample_size(pair, null="delong", design_effect=effect)
    assert rows["two models' AUCs, same cases"]["absent"] == two.absent
    rate = power.rate_sample_size(0.85, half_width=0.05, share=0.2, interval="wilson", design_effect=effect)
    assert rows["sensitivity: precision"]["present"] == rate.cases
    assert rows["sensitivity: precision"]["cases"] == rate.total
    calls = power.mcnemar_sample_size(0.12, 0.05, share=0.2, design_effect=effect)
    assert rows["two raters' sensitivity, same cases"]["present"] == calls.cases
    guess = power.ReaderGuess(between=0.06, within=0.02, same_reader=0.47)
    study = power.mrmc_plan(0.8, 0.06, n_readers=10, guess=guess)
    assert rows["readers in two arms, every case read in both"]["cases"] == study.n_cases


def test_sentences_hold_the_numbers_and_name_their_source():
    made = plan(Expected(images_per_patient=2))
    for row, said in zip(made.table.iter_rows(named=True), made.sentences, strict=True):
        assert f"{row['present'] if 'specificity' not in row['question'] else row['absent']:,}" in said
        assert "doi:10." in said
    assert "inflated by 1.50 for 2 images per patient" in made.sentences[0]


def test_a_study_that_no_number_of_cases_saves_is_said():
    made = plan(Expected(readers=4, reader_range=0.3))
    row = made.table.row(-1, named=True)
    assert row["cases"] is None
    assert "cannot reach the power however many cases" in row["note"]
    assert made.sentences[-1].startswith("No plan: 4 readers")


def test_a_plan_is_written_whole(tmp_path):
    made = plan(Expected())
    folder = made.write(tmp_path / "study")
    assert pl.read_csv(folder / "plan.csv")["present"].to_list() == made.table["present"].to_list()
    assert (folder / "plan.txt").read_text().split("\n\n")[0] == made.sentences[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prevalence": 0}, "plan: prevalence: expected a number between 0 and 1; found 0"),
        ({"auc_other": 0.85}, "plan: auc_other: expected an AUC other than the model's; found 0.85"),
        ({"sensitivity_gain": 0.3}, "more discordant cases than the gain alone; found a gain of 0.3 among 0.17"),
        ({"reader_gain": 0.3}, "plan: reader_gain: expected an aided AUC below 1; found 0.8 and 0.3 more"),
        ({"images_per_patient": 0.5}, "design_effect: expected 1 image or more"),
    ],
)
def test_what_no_study_can_have_is_refused(wrong, message):
    with pytest.raises(InputError) as caught:
        plan(Expected(**wrong))
    assert message in str(caught.value)


def test_every_problem_is_said_at_once():
    with pytest.raises(InputError, match="2 problems"):
        plan(Expected(prevalence=1.0, auc=1.2))
