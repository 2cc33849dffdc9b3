"""Planning a study: rows are what the statistics say, sentences hold the table's numbers, bad guesses are told."""

from __future__ import annotations

import re
from dataclasses import fields
from math import ceil, exp, inf, nan, sqrt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from overread.errors import InputError
from overread.protocol import Expected, plan
from overread.stats import rates
from overread.stats.sample_size import accuracy_size, paired_size, reader_size


def test_each_row_is_what_the_statistic_says():
    e = Expected(auc=0.9, prevalence=0.2, images_per_patient=3, image_correlation=0.4, sensitivity=0.85)
    rows = {r["question"]: r for r in plan(e).table.iter_rows(named=True)}
    effect = 1 + 2 * 0.4
    width = accuracy_size.auc_sample_size(0.9, width=0.1, ratio=4, design_effect=effect)
    assert rows["AUC: width of its interval"]["present"] == width.present
    least = accuracy_size.auc_sample_size(0.9, null=0.75, ratio=4, power=0.8, design_effect=effect)
    assert rows["AUC against the least acceptable"]["cases"] == least.total
    pair = paired_size.assumed_pair(0.9, 0.8, correlation=0.5, ratio=4)
    two = paired_size.paired_auc_sample_size(pair, null="delong", design_effect=effect)
    assert rows["two models' AUCs, same cases"]["absent"] == two.absent
    rate = accuracy_size.rate_sample_size(0.85, half_width=0.05, share=0.2, interval="wilson", design_effect=effect)
    assert rows["sensitivity: precision"]["present"] == rate.cases
    assert rows["sensitivity: precision"]["cases"] == rate.total
    calls = accuracy_size.mcnemar_sample_size(0.12, 0.05, share=0.2, design_effect=effect)
    assert rows["two raters' sensitivity, same cases"]["present"] == calls.cases
    guess = reader_size.ReaderGuess(between=0.06, within=0.02, same_reader=0.47)
    study = reader_size.mrmc_plan(0.8, 0.06, n_readers=10, guess=guess)
    assert rows["readers in two arms"]["cases"] == study.n_cases


def test_sentences_hold_the_numbers_and_name_their_source():
    made = plan(Expected(images_per_patient=2))
    for row, said in zip(made.table.iter_rows(named=True), made.sentences, strict=True):
        assert f"{row['present'] if 'specificity' not in row['question'] else row['absent']:,}" in said
        assert "doi:10." in said
    assert "inflated by 1.50 for 2 images per patient" in made.sentences[0]
    patients = made.table["patients"].to_list()
    assert f"{made.table['cases'][0]:,} images of {patients[0]:,} patients" in made.sentences[0]
    assert all("level 0.05" in made.sentences[i] for i in (1, 2, 5, 6))


def test_sizes_by_hand():
    """Connor's and Obuchowski's formulas written out; two images of a patient need fewer patients, more images."""
    z, z80 = 1.959963984540054, 0.8416212335729143
    one, two = plan(Expected()).table, plan(Expected(images_per_patient=2, image_correlation=0.5)).table
    pairs = ceil(((z * sqrt(0.17) + z80 * sqrt(0.17 - 0.07**2)) / 0.07) ** 2)
    assert one.row(5, named=True)["present"] == pairs
    assert two.row(5, named=True)["present"] == ceil(1.5 * ((z * sqrt(0.17) + z80 * sqrt(0.17 - 0.07**2)) / 0.07) ** 2)
    a = [1.414 * q for q in (1.0364333894937898, 0.8416212335729143)]  # probits of 0.85 and 0.80
    v = [0.0099 * exp(-x * x / 2) * (5 * x * x + 8 + (x * x + 8) / 9) for x in a]
    together = [0.0099 * exp(-(a[0] ** 2 + a[1] ** 2) / 4) * sqrt(f(a[0]) * f(a[1])) for f in (_present, _absent)]
    spread = sqrt(v[0] + v[1] - 2 * 0.5 * (together[0] + together[1] / 9))
    assert one.row(2, named=True)["present"] == ceil(((z + z80) * spread / 0.05) ** 2)
    assert one["patients"].to_list() == one["cases"].to_list()
    assert two["patients"][:6].to_list() == [ceil(n / 2) for n in two["cases"][:6]]
    assert two.row(6) == one.row(6)  # readers read one image of each patient


def _present(x):
    return 5 * x * x + 8


def _absent(x):
    return x * x + 8


def test_a_study_that_no_number_of_cases_saves_is_said():
    made = plan(Expected(readers=4, reader_range=0.3))
    row = made.table.row(-1, named=True)
    assert row["cases"] is None
    assert "do not reach the power with any number of cases" in row["note"]
    assert made.sentences[-1].startswith("No plan. NE: 4 readers")


@pytest.mark.parametrize(("out", "table"), [("study", "study/plan.csv"), ("made/sizes.csv", "made/sizes.csv")])
def test_a_plan_is_written_whole(tmp_path, out, table):
    made = plan(Expected())
    where = made.write(tmp_path / out)
    assert where == tmp_path / table
    assert pl.read_csv(where)["patients"].to_list() == made.table["patients"].to_list()
    assert where.with_suffix(".txt").read_text().strip().split("\n\n") == list(made.sentences)
    assert {p.suffix for p in where.parent.iterdir()} == {".csv", ".txt"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prevalence": 0}, "plan: prevalence: expected a number between 0 and 1; found 0"),
        ({"auc_other": 0.85}, "plan: auc_other: expected an AUC other than the model's; found 0.85"),
        ({"sensitivity_gain": 0.3}, "more discordant cases than the gain alone; found a gain of 0.3 among 0.17"),
        ({"reader_gain": 0.3}, "plan: reader_gain: expected an aided AUC below 1; found 0.8 and 0.3 more"),
        ({"images_per_patient": 0.5}, "plan: images_per_patient: expected a number from 1 to 1,000; found 0.5"),
        ({"images_per_patient": inf}, "plan: images_per_patient: expected a number from 1 to 1,000; found inf"),
        ({"image_correlation": 1.5}, "plan: image_correlation: expected a number from 0 to 1; found 1.5"),
        ({"auc_least": 0.85}, "plan: auc_least: expected an AUC below the model's; found 0.85"),
        ({"readers": 1}, "plan: readers: expected a whole number from 2 to 1,000; found 1"),
        ({"power": nan}, "plan: power: expected a number between 0 and 1; found nan"),
        (
            {"auc_width": 1e-7},
            "sample size: expected at most 1,000,000,000 cases; found more. Choose a larger width or difference.",
        ),
    ],
)
def test_what_no_study_can_have_is_refused(wrong, message):
    with pytest.raises(InputError) as caught:
        plan(Expected(**wrong))
    assert message in str(caught.value)


@pytest.mark.parametrize("name", [f.name for f in fields(Expected)])
def test_no_number_is_taken_that_cannot_be(name):
    with pytest.raises(InputError, match=f"plan: {name}: expected "):
        plan(Expected(**{name: -1}))


def test_every_problem_is_said_at_once():
    with pytest.raises(InputError, match="2 problems"):
        plan(Expected(prevalence=1.0, auc=1.2))


def test_the_page_on_planning_names_no_option_that_is_not_there():
    page = Path(__file__).resolve().parents[2] / "docs/how-to/plan-a-study.md"
    named = {name.replace("-", "_") for name in re.findall(r"--([a-z][a-z-]+)", page.read_text())}
    assert named - {"help", "out"} < {f.name for f in fields(Expected)}


def test_what_the_page_takes_from_a_pilot_is_what_a_plan_asks_for():
    """Two images of a patient alike with probability 0.4: the standard errors give it back."""
    rng, patients = np.random.default_rng(5), 20_000
    cluster = np.repeat(np.arange(patients), 3)
    alike = (rng.random(patients) < 0.4)[cluster]
    right = np.where(alike, (rng.random(patients) < 0.8)[cluster], rng.random(cluster.size) < 0.8)
    clustered = rates.clustered_proportion(right, cluster=cluster)
    simple = clustered.value * (1 - clustered.value) / cluster.size
    assert (clustered.se**2 / simple - 1) / 2 == pytest.approx(0.4, abs=0.02)
    guess = reader_size.ReaderGuess(between=0.06, within=0.02, same_reader=0.47)
    parts = reader_size.mrmc_plan(0.8, 0.06, n_readers=10, guess=guess).components
    assert parts.cov1 / parts.error == pytest.approx(0.47)
