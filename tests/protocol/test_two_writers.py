"""Two commands on one folder of results: one works, the other is told who holds it, and nothing is changed."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from planted import make_planted, tiny

from overread import tables
from overread.cohort import CohortConfig, build
from overread.cohort.reader_samples import SampleConfig, sample
from overread.cohort.site_folds import splits
from overread.errors import InputError
from overread.evaluation import EvaluationConfig
from overread.images.deidentification import deidentify, new_key
from overread.images.recipe.pixel_recipe import Recipe
from overread.protocol import evaluate, report, run
from overread.tables.storage.locks import LOCK

pytestmark = pytest.mark.slow

PROTOCOL = """
[study]
title = "T"
[sources.s]
reader = "simulate"
options = { images_per_site = { alder = 2 }, size = 32 }
[sites]
internal = ["alder"]
[models.m]
sites = ["alder"]
"""


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What the commands read: a cohort of two sites, tables of predictions, a model, a DICOM-free folder, a key."""
    folder = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(1)
    rows = [(f"i{k:03d}", f"p{k:03d}", "north" if k % 2 else "south") for k in range(60)]
    images = pl.DataFrame(rows, schema=["image_id", "patient_id", "site"], orient="row")
    for name in images["image_id"]:
        Image.fromarray(rng.integers(0, 255, (9, 9), dtype=np.uint8)).save(folder / f"{name}.png")
    truth = rng.random(60) < 0.5
    labels = images.select(
        case_id="image_id",
        finding=pl.lit("edema"),
        source=pl.lit("s"),
        state=pl.Series(np.where(truth, "present", "absent")),
    )
    images = images.with_columns(path=pl.format("{}.png", "image_id"), split=pl.lit("test"))
    images.write_parquet(folder / "images.parquet")
    labels.write_parquet(folder / "labels.parquet")
    scores = images.select("image_id", finding=pl.lit("edema"), model=pl.lit("m"), score=pl.Series(rng.random(60)))
    scores.write_parquet(folder / "predictions.parquet")
    source = tables.Source(tables.check(images.drop("split"), "images"), tables.check(labels, "labels"))
    build(source, folder, folder / "cohort", CohortConfig(recipe=Recipe(16)))
    (folder / "p.toml").write_text(PROTOCOL)
    (folder / "dicom").mkdir()
    new_key(folder / "key")
    evaluate(
        folder / "images.parquet",
        folder / "labels.parquet",
        [folder / "predictions.parquet"],
        out=folder / "evaluation",
        config=EvaluationConfig(replicates=100),
    )
    return folder


COMMANDS = {
    "run": lambda given, out: run(given / "p.toml", out),
    "cohort": lambda given, out: build(
        tables.Source(tables.read(given / "images.parquet", "images"), tables.read(given / "labels.parquet", "labels")),
        given,
        out,
        CohortConfig(recipe=Recipe(16)),
    ),
    "evaluate": lambda given, out: evaluate(
        given / "images.parquet",
        given / "labels.parquet",
        [given / "predictions.parquet"],
        out=out,
        config=EvaluationConfig(replicates=100),
    ),
    "report": lambda given, out: report(given / "evaluation", out, title="T"),
    "sample": lambda given, out: sample(given / "cohort", out, SampleConfig(n=10, by=("site",))),
    "splits": lambda given, out: splits(given / "cohort", out, CohortConfig()),
    "deidentify": lambda given, out: deidentify(given / "dicom", out, given / "key"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_second_writer_is_refused_and_changes_nothing(given, tmp_path, command):
    out = tmp_path / "out"
    held = tmp_path / "out-work" if command == "deidentify" else out
    with tables.holding(held, "of the first"):
        before = everything(tmp_path)
        with pytest.raises(InputError, match="found 'overread of the first', process"):
            COMMANDS[command](given, out)
        assert everything(tmp_path) == before
    assert not list(tmp_path.rglob(LOCK))


@pytest.mark.parametrize("command", ["cohort", "evaluate", "report", "sample", "splits"])
def test_a_killed_writer_does_not_keep_the_next_one_out(given, tmp_path, command):
    out = tmp_path / "out"
    hold = "import sys, os, signal\nfrom overread.tables import holding\n"
    hold += "with holding(sys.argv[1], sys.argv[2]):\n    os.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run([sys.executable, "-c", hold, str(out), command], check=False)
    assert done.returncode == -9
    assert (out / LOCK).is_file()
    (out / ".run.json.0123abcd.part").write_text("half")
    COMMANDS[command](given, out)
    COMMANDS[command](given, out)
    assert not [p for p in out.rglob(".*") if p.is_file()]


@pytest.mark.parametrize("command", ["cohort", "evaluate", "report", "sample", "splits"])
def test_results_of_another_command_are_not_replaced(given, tmp_path, command):
    for other in COMMANDS:
        if other not in (command, "run", "deidentify"):
            out = tmp_path / other
            COMMANDS[other](given, out)
            before = everything(out)
            with suppress(InputError):  # sample and cohort write tables of the same names: refused
                COMMANDS[command](given, out)
            after = everything(out)
            assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(("command", "other"), [("sample", "cohort"), ("cohort", "sample"), ("splits", "evaluate")])
def test_the_refusal_names_the_files_that_are_in_the_way(given, tmp_path, command, other):
    COMMANDS[other](given, tmp_path)
    with pytest.raises(InputError, match=r"other files that it would replace \(.*run\.json"):
        COMMANDS[command](given, tmp_path)


@pytest.mark.parametrize("name", ["report", "ledger.jsonl", "estimates.parquet", "report/figures"])
def test_a_link_in_the_folder_of_an_evaluation_is_not_followed(given, tmp_path, name):
    out, precious = tmp_path / "out", tmp_path / "precious"
    precious.mkdir()
    (precious / "a").write_text("mine")
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to(precious)
    with pytest.raises(InputError, match="link"):
        COMMANDS["evaluate"](given, out)
    assert everything(precious) == {"a": b"mine"}
    assert not (out / "run.json").exists()


def test_training_and_prediction_are_refused_too(tmp_path):
    from overread.training.model_training import train
    from overread.training.scoring.cohort_scores import score_cohort

    cohort = make_planted(tmp_path / "cohort", n=60)
    with (
        tables.holding(tmp_path / "model", "of the first"),
        pytest.raises(InputError, match="found 'overread of the first'"),
    ):
        train(cohort, tmp_path / "model", tiny(epochs=1))
    assert list((tmp_path / "model").iterdir()) == []
    train(cohort, tmp_path / "model", tiny(epochs=1))
    with (
        tables.holding(tmp_path / "predictions", "of the first"),
        pytest.raises(InputError, match="found 'overread of the first'"),
    ):
        score_cohort(tmp_path / "model", cohort, tmp_path / "predictions", splits=("test",), heatmaps=False)
    assert list((tmp_path / "predictions").iterdir()) == []
    with pytest.raises(InputError, match="it would replace"):
        score_cohort(tmp_path / "model", cohort, tmp_path / "model", splits=("test",), heatmaps=False)


def test_the_loser_ends_with_2_and_without_a_traceback(given, tmp_path):
    command = [Path(sys.executable).parent / "overread", "splits", given / "cohort", "-o", tmp_path / "out"]
    with tables.holding(tmp_path / "out", "sample"):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "overread sample" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["", " ", "\u200b", "\0"])
def test_predictions_without_the_name_of_a_model_are_refused(given, tmp_path, name):
    scores = pl.read_parquet(given / "predictions.parquet").with_columns(model=pl.lit(name))
    scores.write_parquet(tmp_path / "predictions.parquet")
    tables_given = (given / "images.parquet", given / "labels.parquet", [tmp_path / "predictions.parquet"])
    with pytest.raises(InputError, match="the name of the model in every row; found 60 rows without"):
        evaluate(*tables_given, out=tmp_path / "out", config=EvaluationConfig(replicates=100))
