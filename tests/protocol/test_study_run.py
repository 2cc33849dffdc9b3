"""A whole study: killed and taken up again it ends equal; changed, only what depends on the change is done again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from overread import ledger, runs
from overread.errors import InputError
from overread.protocol import run, verify
from overread.threads import cores

PROTOCOL = """
[study]
title = "Two sites"
seed = 5
training_seeds = [1, 2]
[sources.simulated]
reader = "simulate"
[sources.simulated.options]
images_per_site = { alder = 40, birch = 40, dogwood = 30 }
size = 64
findings = ["cardiomegaly", "pleural_effusion"]
[sites]
internal = ["alder", "birch"]
external = ["dogwood"]
[cohort.recipe]
size = 64
[labels]
learn_from = "report"
reference = "truth"
[training]
network = "densenet-tiny"
epochs = 2
batch_size = 8
[models.pooled]
sites = ["alder", "birch"]
role = "pooled"
[models.alder]
sites = ["alder"]
role = "single"
[models.birch]
sites = ["birch"]
role = "single"
[models.matched]
sites = ["alder", "birch"]
role = "matched"
[evaluation]
findings = ["cardiomegaly", "pleural_effusion"]
replicates = 100
"""


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    path = tmp_path_factory.mktemp("protocol") / "p.toml"
    path.write_text(PROTOCOL)
    return path


@pytest.fixture(scope="module")
def study(protocol, tmp_path_factory):
    """The study done without a stop."""
    out = tmp_path_factory.mktemp("study") / "s"
    run(protocol, out, workers=1)
    return out


def times(out):
    """When each stage was done last."""
    return {str(p.parent.relative_to(out)): p.stat().st_mtime_ns for p in out.rglob("stage.json")}


def estimates(out):
    return pl.read_parquet(out / "evaluation/estimates.parquet")


@pytest.mark.slow
def test_every_stage_leaves_its_folder_and_the_report_is_one_page(study):
    assert set(times(study)) == {
        "simulated",
        "cohort",
        "evaluation",
        "report",
        *(f"models/{m}/{k}" for m in ("pooled", "alder", "birch", "matched") for k in ("seed-1", "seed-2", "ensemble")),
        *(f"predictions/{m}" for m in ("pooled", "alder", "birch", "matched")),
    }
    assert not [p for p in study.rglob(".*") if p.is_dir()], "nothing under way is left"
    assert "Two sites" in (study / "report/report.html").read_text()


@pytest.mark.slow
def test_the_matched_model_learnt_from_as_many_images_as_the_largest_institution(study):
    record = {
        m: runs.read_json(study / f"models/{m}/seed-1/model.json") for m in ("alder", "birch", "matched", "pooled")
    }
    largest = max(record["alder"]["n_train_images"], record["birch"]["n_train_images"])
    assert record["matched"]["n_train_images"] <= largest < record["pooled"]["n_train_images"]


@pytest.mark.slow
def test_a_study_that_is_finished_is_not_done_again(study, protocol):
    before = times(study)
    run(protocol, study, workers=1)
    assert times(study) == before
    assert len(ledger.read(study / "ledger.jsonl")) == 1


ALTERED = (
    "models/pooled/seed-1/train_patients.txt",
    "models/pooled/ensemble/model.json",
    "models/alder/seed-2/tune.parquet",
    "cohort/pixels/part-00000.npy",
    "cohort/labels.parquet",
    "predictions/matched/predictions.parquet",
    "evaluation/estimates.parquet",
    "evaluation/notes.json",
    "report/report.html",
    "simulated/labels.parquet",
    "cohort/run.json",
    "evaluation/stage.json",
)


@pytest.mark.slow
def test_what_is_altered_in_a_finished_study_is_named_and_refused_until_it_is_restored(study, protocol):
    assert [str(f.folder) for f in verify(study) if not f.unchanged] == []
    before = times(study)
    for name in ALTERED:
        path = study / name
        data, state = path.read_bytes(), path.stat()
        for altered in (b"", data[:-1], data.replace(b"0", b"1"), None):
            if altered is None:
                path.unlink()
            else:
                path.write_bytes(altered)
            named = {f.folder / d.name for f in verify(study) for d in f.differences}
            assert path in named, name
            with pytest.raises(InputError, match=path.name):
                run(protocol, study, workers=1)
        path.write_bytes(data)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    run(protocol, study, workers=1)
    assert times(study) == before
    assert [str(f.folder) for f in verify(study) if not f.unchanged] == []


def test_a_folder_of_another_command_is_not_taken_for_a_study(protocol, tmp_path):
    with runs.start(tmp_path / "x", "cohort", config={}):
        pass
    record = (tmp_path / "x/run.json").read_bytes()
    with pytest.raises(InputError, match=r"an earlier run of the command \(run\)"):
        run(protocol, tmp_path / "x")
    assert (tmp_path / "x/run.json").read_bytes() == record


@pytest.mark.slow
def test_a_changed_line_redoes_what_depends_on_it_and_every_look_at_the_test_set_is_kept(study, protocol):
    before = times(study)
    run(protocol, study, workers=1, changes={"evaluation.replicates": 150})
    after = times(study)
    assert {s for s in after if after[s] != before[s]} == {"evaluation", "report"}
    run(protocol, study, workers=1, changes={"evaluation.replicates": 150, "study.title": "Renamed"})
    assert {s for s in times(study) if times(study)[s] != after[s]} == {"report"}
    entries = ledger.read(study / "ledger.jsonl")
    assert len(entries) == 2
    assert entries[0].protocol_hash != entries[1].protocol_hash
    run(protocol, study, workers=1)


@pytest.mark.slow
def test_a_study_killed_again_and_again_ends_equal_to_one_that_was_not(study, protocol, tmp_path):
    # Here the kernels of a cohort have more threads than OMP_NUM_THREADS, which only the first process is given.
    out = tmp_path / "s"
    command = [Path(sys.executable).parent / "overread", "run", str(protocol), "-o", str(out), "--workers", "1"]
    clean = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    environment = clean | {"OMP_NUM_THREADS": os.environ["OMP_NUM_THREADS"]}
    for mark in (
        ".simulated.part/alder/*",
        "models/pooled/.seed-1.part/checkpoints/last.pt",
        "models/birch",
        "predictions/pooled",
    ):
        _killed_when(command, out, mark, environment)
        environment = clean
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    if cores() > 1:
        assert "goes on with 1 thread, as it was begun" in done.stderr
    assert weights(out) == weights(study)
    mine, whole = estimates(out), estimates(study)
    assert mine.drop("note").equals(whole.drop("note"), null_equal=True)


@pytest.mark.slow
def test_other_threads_are_told_of_once_and_only_where_a_stage_is_done(study, protocol, tmp_path, monkeypatch, caplog):
    out = tmp_path / "s"
    shutil.copytree(study, out)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    run(protocol, out, workers=1)
    assert "thread" not in caplog.text
    for name in ("pooled", "alder"):
        shutil.rmtree(out / "predictions" / name)
    run(protocol, out, workers=1)
    assert caplog.text.count("was begun with 1 thread and goes on with 2 threads") == 1


def weights(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*.safetensors")}


def _killed_when(command, out, mark, environment):
    """Start the study and kill it, without warning, once a file that matches the mark is there."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=environment
    )
    patience = time.monotonic() + 120
    while not list(out.glob(mark)) and process.poll() is None and time.monotonic() < patience:
        time.sleep(0.05)
    assert process.poll() is None, f"it ended before {mark} was seen"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_sites_that_the_protocol_and_the_sources_do_not_share_are_named(protocol, tmp_path):
    with pytest.raises(InputError, match=r"expected every site of the sources.*\(dogwood\)"):
        run(protocol, tmp_path / "s", workers=1, changes={"sites.external": []})


def test_a_source_on_disk_needs_to_be_told_where(protocol, tmp_path):
    options = {"images": "t.csv", "columns": {}}
    changes = {"sources.simulated.reader": "table", "sources.simulated.options": options}
    with pytest.raises(InputError, match="--data FOLDER"):
        run(protocol, tmp_path / "s", workers=1, changes=changes)


def test_the_options_that_a_source_lacks_are_named_with_their_section(protocol, tmp_path):
    changes = {"sources.simulated.reader": "dicom_folder", "sources.simulated.options": {}}
    with pytest.raises(
        InputError, match=r"'site'; found no such key. Add site = \"…\" under \[sources.simulated.options\]"
    ):
        run(protocol, tmp_path / "s", data=tmp_path, workers=1, changes=changes)


def test_a_source_has_a_share_of_unreadable_images_of_its_own(protocol, tmp_path):
    for site in ("alder", "birch", "dogwood"):
        for n in range(3):
            Image.new("L", (9, 9), 40 * n + 9).save(tmp_path / f"{site}{n}.png")
    rows = [f"{s}{n},{s}{n},{s}" for s in ("alder", "birch", "dogwood") for n in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["image,patient,site", *rows]) + "\n")
    changes = {
        "sources.simulated.reader": "table",
        "cohort.max_unreadable": 0.9,
        "sources.simulated.max_unreadable": 0.2,
        "sources.simulated.options": {
            "images": "t.csv",
            "columns": {"image_id": "image", "patient_id": "patient", "site": "site"},
        },
    }
    expected = (
        r"simulated: expected at most 20 % .*; found 3 of 12 .*max_unreadable under \[sources.simulated\] \(now 0.2\)"
    )
    with pytest.raises(InputError, match=expected):
        run(protocol, tmp_path / "s", data=tmp_path, workers=1, changes=changes)
    with pytest.raises(InputError, match=r"\[sources.simulated\]: expected max_unreadable"):
        run(protocol, tmp_path / "s", workers=1, changes=changes | {"sources.simulated.max_unreadable": 2})


def test_a_study_is_refused_to_the_processes_of_torchrun(protocol, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(InputError, match="expected one process; found one of several that torchrun started"):
        run(protocol, tmp_path / "s")
    assert not (tmp_path / "s").exists()
