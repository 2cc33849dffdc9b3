"""Reading times that a protocol names: refused before the first stage, evaluated with the reads, part of the stage."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from overread import ledger, runs, tables
from overread.errors import InputError
from overread.protocol import load, run, study_run

PROTOCOL = """
[study]
title = "Two sites"
training_seeds = [1]
[sources.s]
reader = "simulate"
[sites]
internal = ["a"]
[reads]
sittings = "times.csv"
[models.acme]
sites = ["a"]
[evaluation]
replicates = 100
subgroups = []
baseline_arm = "film"
"""
CASES = [f"c{i:02d}" for i in range(40)]


@pytest.fixture
def protocol(tmp_path):
    (tmp_path / "p.toml").write_text(PROTOCOL)
    return tmp_path / "p.toml"


def test_the_file_is_part_of_the_protocol_and_checked_before_the_first_stage(protocol, tmp_path):
    without = tmp_path / "without.toml"
    without.write_text(PROTOCOL.replace('[reads]\nsittings = "times.csv"\n', ""))
    assert load(protocol).hash != load(without).hash
    for data, changes, said in (
        (None, {}, r"\[reads\] sittings: expected the folder of its data; found none given"),
        (tmp_path, {}, r"\[reads\] sittings: expected a file; found no file .*times.csv"),
        (tmp_path, {"reads.sittings": "../times.csv"}, r"\[reads\] sittings: expected a file below"),
        (tmp_path, {"reads.sitting": "t.csv"}, r"\[reads\]: .*unknown key 'sitting'. Did you mean 'sittings'"),
    ):
        with pytest.raises(InputError, match=said):
            run(protocol, tmp_path / "out", data=data, changes=changes)
    assert not (tmp_path / "out").exists()


def test_times_without_reads_are_refused_before_training(protocol, tmp_path, monkeypatch):
    (tmp_path / "times.csv").write_text("reader,case_id,seconds\nr1,c00,20\n")
    source = SimpleNamespace(images=pl.DataFrame({"site": ["a"]}), reads=None)
    monkeypatch.setattr(study_run, "_load_source", lambda *given: (source, tmp_path))
    with pytest.raises(InputError, match=r"\[reads\] sittings: expected a source with reads; found none"):
        run(protocol, tmp_path / "out", data=tmp_path)


def test_the_times_are_evaluated_and_another_file_evaluates_again(protocol, tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    keys = {"finding": "edema", "round": 1}
    images = pl.DataFrame({"image_id": CASES, "case_id": CASES, "patient_id": CASES, "site": "a", "split": "test"})
    labels = pl.DataFrame({"case_id": CASES, "finding": "edema", "source": "x", "state": ["present", "absent"] * 20})
    reads = pl.concat(
        pl.DataFrame({"reader": r, "case_id": CASES, "arm": arm, "score": rng.integers(1, 6, 40).astype(float)} | keys)
        for r in ("r1", "r2", "r3")
        for arm in ("film", "screen")
    )
    scores = pl.DataFrame({"image_id": CASES, "finding": "edema", "model": "acme", "score": rng.random(40)})
    frames = {"images": images, "labels": labels, "reads": reads}
    cohort = SimpleNamespace(**{name: tables.check(frame, name) for name, frame in frames.items()})
    monkeypatch.setattr(study_run.cohorts, "open_cohort", lambda folder: cohort)
    monkeypatch.setattr(study_run, "_models", lambda study: {})
    out = tmp_path / "out"
    (out / "predictions" / "acme").mkdir(parents=True)
    tables.write(tables.check(scores.with_columns(shift=pl.lit("none")), "predictions"),
                 out / "predictions" / "acme" / "predictions.parquet", "predictions")  # fmt: skip
    study = study_run._Study(load(protocol), out, tmp_path, 0, lambda *_: None)
    for seconds in (20.0, 30.0):
        times = reads.select("reader", "case_id", "arm", seconds=pl.lit(seconds), note=pl.lit("x"))
        times.write_csv(tmp_path / "times.csv")
        for _ in range(2):  # the second time nothing has changed
            study_run._evaluate(study)
        found = pl.read_parquet(out / "evaluation" / "estimates.parquet").filter(metric="median_seconds")
        assert set(found["estimate"]) == {seconds}
        assert set(found["arm"]) == {"film", "screen"}
        account = pl.read_parquet(out / "evaluation" / "account.parquet")
        assert account.filter(unit="columns").select("count", "examples").rows() == [(1, "note")]
        assert "sittings" in runs.read(out / "evaluation")["inputs"]
    assert len(ledger.read(out / "ledger.jsonl")) == 2
