"""Several trainings as one model, frozen on the mean of their tune logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from model_files import FINDINGS, record, write_model
from scipy.special import expit

from overread import runs, tables
from overread.errors import InputError
from overread.training.fitting.operating_choice import freeze
from overread.training.networks.ensemble import combine, matrices
from overread.training.networks.model_folder import open_model

OUTPUTS = FINDINGS[:2]
N = 200
TRUTH = np.random.default_rng(8).random((N, 2)) < 0.3


def write_tune(folder: Path, *, seed: int, name: str, truth: np.ndarray = TRUTH) -> np.ndarray:
    """A tune.parquet as training writes it; every 7th truth of the second finding is not stated."""
    logits = np.random.default_rng(seed).normal(TRUTH * 1.5 - 1, 1.0)
    rows = [
        {
            "image_id": f"i{k:03d}",
            "patient_id": f"p{k // 2}",
            "finding": finding,
            "model": name,
            "shift": "none",
            "score": float(expit(logits[k, j])),
            "logit": float(logits[k, j]),
            "truth": None if j == 1 and k % 7 == 0 else float(truth[k, j]),
        }
        for k in range(N)
        for j, finding in enumerate(OUTPUTS)
    ]
    tables.write(pl.DataFrame(rows), folder / "tune.parquet", "predictions")
    return logits


@pytest.fixture
def members(tmp_path: Path) -> list[Path]:
    return [member(tmp_path, k) for k in (1, 2, 3)]


def member(root: Path, seed: int, **changes: Any) -> Path:
    name = f"pooled/seed-{seed}"
    told = {"name": name, "seed": seed, "protocol_hash": "abc", "n_train_images": 300} | changes
    folder = write_model(root / "pooled" / f"seed-{seed}", start=seed, patients=(f"t{seed}", "both"), **told)
    write_tune(folder, seed=seed, name=name)
    return folder


def mean_logits() -> np.ndarray:
    return np.mean([np.random.default_rng(s).normal(TRUTH * 1.5 - 1, 1.0) for s in (1, 2, 3)], axis=0)


def test_the_mean_of_the_logits_is_frozen_anew(members: list[Path], tmp_path: Path):
    out = combine(tmp_path / "pooled", members, "pooled")
    truth = TRUTH.astype(float)
    truth[::7, 1] = np.nan
    expected = freeze(OUTPUTS, mean_logits(), truth, cluster=np.arange(N) // 2, specificities=[0.9], sensitivities=[])
    made = json.loads((out / "model.json").read_text())
    for finding in OUTPUTS:
        for key in ("intercept", "slope"):
            assert made["recalibration"][finding][key] == pytest.approx(expected["recalibration"][finding][key])
        assert set(made["operating_points"][finding]) == {"spec90"}
        got, wanted = made["operating_points"][finding]["spec90"], expected["operating_points"][finding]["spec90"]
        assert got == pytest.approx(wanted, nan_ok=True) if not wanted["note"] else got["note"] == wanted["note"]


def test_the_folder_is_a_model_that_can_be_opened(members: list[Path], tmp_path: Path):
    model = open_model(combine(tmp_path / "pooled", members, "pooled"))
    assert model.kind == "ensemble"
    assert model.record["members"] == ["seed-1", "seed-2", "seed-3"]
    assert model.train_patients == {"t1", "t2", "t3", "both"}
    assert model.outputs == OUTPUTS
    assert model.record["seed"] == [1, 2, 3]  # a fact in which members differ is kept as a list
    assert model.record["n_train_images"] == 300
    assert model.record["protocol_hash"] == "abc"
    assert runs.read(tmp_path / "pooled")["status"] == "complete"


def test_its_tune_predictions_are_the_mean_logit_and_its_own_probability(members: list[Path], tmp_path: Path):
    out = combine(tmp_path / "elsewhere" / "pooled", members, "pooled")
    tune = tables.read(out / "tune.parquet", "predictions")
    assert tune["model"].unique().to_list() == ["pooled"]
    logits, truth, patients = matrices(tune, findings=OUTPUTS)
    np.testing.assert_allclose(logits, mean_logits(), rtol=1e-12)
    assert np.isnan(truth[::7, 1]).all()
    assert patients[3] == "p1"
    line = open_model(out).recalibration["edema"]
    edema = tune.filter(pl.col("finding") == "edema")
    np.testing.assert_allclose(edema["score"], expit(line["intercept"] + line["slope"] * edema["logit"].to_numpy()))


def test_unchanged_members_are_not_combined_again(members: list[Path], tmp_path: Path):
    out = combine(tmp_path / "pooled", members, "pooled")
    written = (out / "run.json").read_bytes()
    combine(out, members, "pooled")
    assert (out / "run.json").read_bytes() == written


def test_members_of_other_findings_sites_or_recipes_are_refused_together(members: list[Path], tmp_path: Path):
    odd = tmp_path / "odd"
    write_model(odd, **(record(training_sites=["c"], not_outputs=[]) | {"name": "odd", "protocol_hash": "abc"}))
    write_tune(odd, seed=4, name="odd")
    with pytest.raises(InputError, match=r"(?s)2 problems.*the not_outputs of pooled/seed-1.*the training_sites of"):
        combine(tmp_path / "e", [*members, odd], "e")
    assert not (tmp_path / "e").exists()


def test_members_tuned_on_other_truths_are_refused(members: list[Path], tmp_path: Path):
    write_tune(members[1], seed=2, name="pooled/seed-2", truth=~TRUTH)
    with pytest.raises(InputError, match=r"seed-2/tune\.parquet: expected the tune images and truths of .*seed-1"):
        combine(tmp_path / "e", members, "e")
    assert not (tmp_path / "e").exists()


def test_a_tune_file_without_truth_is_refused(members: list[Path], tmp_path: Path):
    frame = pl.read_parquet(members[0] / "tune.parquet").drop("truth")
    frame.write_parquet(members[0] / "tune.parquet")
    with pytest.raises(InputError, match=r"columns missing \(truth\)"):
        combine(tmp_path / "e", members, "e")


def test_one_member_or_one_name_twice_is_refused(members: list[Path], tmp_path: Path):
    with pytest.raises(InputError, match="at least two members; found 1"):
        combine(tmp_path / "e", members[:1], "e")
    with pytest.raises(InputError, match=r"different names; found the same name \(seed-1\)"):
        combine(tmp_path / "e", [members[0], members[0]], "e")


def test_an_ensemble_is_no_member(members: list[Path], tmp_path: Path):
    first = combine(tmp_path / "pooled", members, "pooled")
    with pytest.raises(InputError, match="a single model as member of an ensemble; found an ensemble"):
        combine(tmp_path / "e", [members[0], first], "e")
