"""Training as a whole: it learns, repeats itself, goes on where it stopped, and leaves a model that opens."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from planted import make_planted, tiny
from safetensors.torch import load_file

from overread import integrity, runs, tables
from overread.errors import InputError
from overread.stats import roc
from overread.training.fitting import checkpoint
from overread.training.model_training import finish, train
from overread.training.networks.architectures import normalise, to_unit
from overread.training.networks.model_folder import load_network, open_model

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_planted(tmp_path_factory.mktemp("planted") / "cohort")


@pytest.fixture(scope="module")
def straight(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of four epochs that nothing interrupts, its average kept."""
    torch.set_num_threads(1)
    return train(cohort, tmp_path_factory.mktemp("straight") / "model", tiny(ema=0.9))


def same_weights(a: Path, b: Path) -> bool:
    first, second = load_file(a / "weights.safetensors"), load_file(b / "weights.safetensors")
    return first.keys() == second.keys() and all(torch.equal(v, second[k]) for k, v in first.items())


def history(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "history.parquet").drop("seconds", "images_per_second")


class Stop(Exception):
    """What a test stops a training with."""


def stop_at(step: int, error: BaseException | None = None):
    def progress(done: int, total: int, line: str) -> None:
        if done == step and not line:
            raise error or Stop

    return progress


def test_it_learns_what_is_planted(tmp_path: Path):
    cohort = make_planted(tmp_path / "cohort", n=240, seed=1)
    folder = train(cohort, tmp_path / "model", tiny(epochs=10))
    model = open_model(folder)
    network = load_network(model)
    images = pl.read_parquet(cohort / "images.parquet").filter(pl.col("split") == "test").sort("image_id")
    parts = [np.load(p) for p in sorted((cohort / "pixels").glob("*.npy"))]
    pixels = np.stack([parts[p][r] for p, r in images.select("part", "row").iter_rows()])
    labels = tables.read(cohort / "labels.parquet", "labels")
    with torch.no_grad():
        logits = network(normalise(to_unit(torch.from_numpy(pixels)), model.architecture)).numpy()
    for column, finding in enumerate(model.findings):
        states = images.join(
            labels.filter(pl.col("finding") == finding), on="case_id", how="left", maintain_order="left"
        )
        known = (states["state"] != "uncertain").to_numpy()
        truth = (states["state"] == "present").to_numpy()
        assert roc.auc(truth[known], logits[known, column].astype(float)).value > 0.9


def test_the_folder_is_a_model(straight: Path, cohort: Path):
    assert sorted(p.name for p in straight.iterdir()) == [
        "history.parquet",
        "model.json",
        "run.json",
        "train_patients.txt",
        "tune.parquet",
        "weights.safetensors",
    ]
    model, record = open_model(straight), json.loads((straight / "model.json").read_text())
    images = tables.read(cohort / "images.parquet", "images")
    trained = images.filter(pl.col("split") == "train")
    assert model.findings == ("edema", "mass")
    assert model.train_patients == frozenset(trained["patient_id"])
    assert record["n_train_images"] == trained.height
    assert record["n_train_patients"] == trained["patient_id"].n_unique()
    assert record["training_sites"] == ["north", "south"]
    assert record["precision"] == "32-true"
    assert set(record["not_outputs"]) == {"hernia", "fracture", "nodule"}
    assert record["not_outputs_because"]["fracture"] == "not among the findings that were asked for"
    states = (
        tables.read(cohort / "labels.parquet", "labels").join(trained, on="case_id").filter(pl.col("site") == "south")
    )
    edema = states.filter((pl.col("finding") == "edema") & (pl.col("state") != "uncertain"))
    assert record["prevalence"]["south"]["edema"] == pytest.approx((edema["state"] == "present").mean())
    run = runs.read(straight)
    assert run["status"] == "complete"
    assert run["seed"] == 3
    assert run["notes"]["positive_weights"] == record["positive_weights"]
    assert run["config"]["augmentation"]["rotation"] == 7.0
    assert set(run["outputs"]) == {p.name for p in straight.iterdir()} - {"run.json"}


def test_tune_is_what_the_kept_network_gives(straight: Path, cohort: Path):
    model, tune = open_model(straight), tables.read(straight / "tune.parquet", "predictions")
    images = pl.read_parquet(cohort / "images.parquet").filter(pl.col("split") == "tune").sort("image_id")
    assert tune.height == 2 * images.height
    parts = [np.load(p) for p in sorted((cohort / "pixels").glob("*.npy"))]
    pixels = np.stack([parts[p][r] for p, r in images.select("part", "row").iter_rows()])
    with torch.no_grad():
        logits = load_network(model)(normalise(to_unit(torch.from_numpy(pixels)), model.architecture)).numpy()
    for column, finding in enumerate(model.findings):
        rows = tune.filter(pl.col("finding") == finding).sort("image_id")
        np.testing.assert_allclose(rows["logit"].to_numpy(), logits[:, column], atol=1e-5)
        line = model.recalibration[finding]
        expected = 1 / (1 + np.exp(-(line["intercept"] + line["slope"] * rows["logit"].to_numpy())))
        np.testing.assert_allclose(rows["score"].to_numpy(), expected, rtol=1e-12)
    assert tune.filter(pl.col("finding") == "edema")["truth"].null_count() > 0


def test_history_names_the_best_epoch(straight: Path):
    frame, record = pl.read_parquet(straight / "history.parquet"), json.loads((straight / "model.json").read_text())
    assert frame["epoch"].to_list() == [1, 2, 3, 4]
    best = frame.filter(pl.col("tune_auc") == pl.col("tune_auc").max())["epoch"][0]
    assert record["best_epoch"] == best
    assert frame.filter("best")["epoch"][-1] == best
    assert frame["loss"][-1] < frame["loss"][0]


def test_done_once_is_not_done_again(straight: Path, cohort: Path):
    before = (straight / "run.json").stat().st_mtime_ns
    assert train(cohort, straight, tiny(ema=0.9), progress=stop_at(1)) == straight
    assert (straight / "run.json").stat().st_mtime_ns == before


def test_a_finished_model_is_not_written_over(straight: Path, cohort: Path):
    before = {p.name: p.read_bytes() for p in straight.iterdir()}
    with pytest.raises(InputError, match="a model of another training"):
        train(cohort, straight, tiny(ema=0.9, seed=4))
    assert before == {p.name: p.read_bytes() for p in straight.iterdir()}


def test_equal_seeds_equal_weights(straight: Path, cohort: Path, tmp_path: Path):
    torch.rand(7)  # whatever the caller did with chance
    again = train(cohort, tmp_path / "again", tiny(ema=0.9))
    assert same_weights(straight, again)
    assert history(straight).equals(history(again))
    other = train(cohort, tmp_path / "other", tiny(ema=0.9, seed=5))
    assert not same_weights(straight, other)


@pytest.mark.parametrize(("step", "minutes"), [(12, 10.0), (18, 0.001)])
def test_an_interrupted_training_goes_on_to_the_bit(
    straight: Path, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, minutes: float
):
    # 72 images in steps of 16: 5 steps an epoch. With 0.001 minutes and a clock that leaps, each step is saved.
    config = tiny(ema=0.9)
    if minutes < 1:
        clock = iter(range(0, 10**9, 3600))
        monkeypatch.setattr("overread.training.fitting.loop.time.monotonic", lambda: float(next(clock)))
    with pytest.raises(Stop):
        train(cohort, tmp_path / "model", config, progress=stop_at(step))
    assert runs.read(tmp_path / "model")["status"] == "failed"
    assert not (tmp_path / "model/model.json").exists()
    seen: list[int] = []
    train(cohort, tmp_path / "model", config, progress=lambda done, total, line: seen.append(done))
    assert seen[0] == (11 if minutes > 1 else 19)
    assert same_weights(straight, tmp_path / "model")
    assert history(straight).equals(history(tmp_path / "model"))
    assert "equal to the bit" in runs.read(tmp_path / "model")["notes"]["resumed"]
    for name in ("tune.parquet", "model.json"):
        assert (straight / name).read_bytes() == (tmp_path / "model" / name).read_bytes()


def test_control_c_leaves_what_can_be_resumed(straight: Path, cohort: Path, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        train(cohort, tmp_path / "model", tiny(ema=0.9), progress=stop_at(8, KeyboardInterrupt()))
    assert runs.read(tmp_path / "model")["status"] == "interrupted"
    assert sorted(p.name for p in (tmp_path / "model/checkpoints").iterdir()) == ["best.safetensors", "last.pt"]
    train(cohort, tmp_path / "model", tiny(ema=0.9))
    assert same_weights(straight, tmp_path / "model")


SCRIPT = """
import sys, torch
torch.set_num_threads(1)
sys.path.insert(0, {here!r})
from planted import tiny
from overread.training.model_training import train
train({cohort!r}, {out!r}, tiny(ema=0.9), progress=lambda done, total, line: print(done, flush=True))
"""


def test_a_killed_process_goes_on_to_the_bit(straight: Path, cohort: Path, tmp_path: Path):
    script = SCRIPT.format(here=str(HERE), cohort=str(cohort), out=str(tmp_path / "model"))
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 13:
            child.send_signal(signal.SIGKILL)
            break
    child.wait()
    child.stdout.close()
    assert runs.read(tmp_path / "model")["status"] == "running"
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)
    assert same_weights(straight, tmp_path / "model")


def test_a_resumed_run_says_what_changed(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    with pytest.raises(Stop):
        train(cohort, tmp_path / "model", tiny(epochs=2), progress=stop_at(7))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    before: list[int] = []
    train(cohort, tmp_path / "model", tiny(epochs=2), progress=lambda *_: before.append(len(caplog.messages)))
    assert runs.read(tmp_path / "model")["notes"]["resumed"].endswith("threads 1 -> 3")
    assert before[0] == 1, "it is said before training goes on"
    assert "was begun with 1 thread and goes on with 3 threads" in caplog.messages[0]
    assert runs.read(tmp_path / "model")["notes"]["computing"]["threads"] == "3"


def test_a_training_goes_on_with_the_threads_it_was_begun_with(
    straight: Path, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(Stop):
        train(cohort, tmp_path / "model", tiny(ema=0.9), progress=stop_at(7))
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("overread.threads.cores", lambda: 3)
    torch.set_num_threads(2)  # whatever ran before
    train(cohort, tmp_path / "model", tiny(ema=0.9))
    assert torch.get_num_threads() == 2
    assert same_weights(straight, tmp_path / "model")
    note = runs.read(tmp_path / "model")["notes"]
    assert "equal to the bit" in note["resumed"]
    assert note["computing"].keys() >= {"threads", "cpu capability", "torch", "numba threading layer"}


def test_a_kill_before_run_json_costs_no_epoch(
    straight: Path, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_: object, **__: object) -> None:
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr("overread.training.model_training.finish", lambda *a, **k: (finish(*a, **k), killed()))
        with pytest.raises(Stop):
            train(cohort, tmp_path / "model", tiny(ema=0.9))
    record = runs.read(tmp_path / "model") | {"status": "running", "outputs": {}}  # what a kill leaves
    integrity.write_sealed(tmp_path / "model/run.json", record)
    steps: list[int] = []
    train(cohort, tmp_path / "model", tiny(ema=0.9), progress=lambda done, *_: steps.append(done))
    assert not steps
    assert same_weights(straight, tmp_path / "model")
    assert not (tmp_path / "model/checkpoints").exists()


def test_a_full_disk_is_said_and_the_last_state_stays(
    straight: Path, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real, saves = checkpoint.torch.save, []

    def full(state: object, file: object) -> None:
        saves.append(1)
        if len(saves) == 3:
            raise OSError(28, "No space left on device")
        real(state, file)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.torch, "save", full)
        with pytest.raises(InputError, match="free space on the disk"):
            train(cohort, tmp_path / "model", tiny(ema=0.9))
    train(cohort, tmp_path / "model", tiny(ema=0.9))
    assert "resumed at epoch 3, step 1" in runs.read(tmp_path / "model")["notes"]["resumed"]
    assert same_weights(straight, tmp_path / "model")


def test_early_stopping(cohort: Path, tmp_path: Path):
    config = tiny(epochs=30, patience=1, learning_rate=1e-8, warmup_fraction=0)
    folder = train(cohort, tmp_path / "model", config)
    frame = pl.read_parquet(folder / "history.parquet")
    assert frame.height < 30
    assert not frame["best"][-1]
    assert runs.read(folder)["notes"]["stopped"] == f"no better on tune for 1 epochs after epoch {frame.height - 1}"


def test_one_site_and_fewer_images(cohort: Path, tmp_path: Path):
    folder = train(cohort, tmp_path / "model", tiny(epochs=1), sites=["north"], max_images=20, name="north")
    record = json.loads((folder / "model.json").read_text())
    assert (record["name"], record["training_sites"], record["n_train_images"]) == ("north", ["north"], 20)
    tune = pl.read_parquet(folder / "tune.parquet")
    north = pl.read_parquet(cohort / "images.parquet").filter(pl.col("site") == "north")
    assert set(tune["image_id"]) <= set(north["image_id"])
    assert set(tune["model"]) == {"north"}


def test_a_tune_of_one_class_is_chosen_by_its_loss(tmp_path: Path):
    cohort = make_planted(tmp_path / "cohort")
    images, labels = (tables.read(cohort / f"{t}.parquet", t) for t in ("images", "labels"))
    tuned = labels.join(images.filter(pl.col("split") == "tune").select("case_id"), on="case_id", how="semi")
    rest = labels.join(tuned.select("case_id").unique(), on="case_id", how="anti")
    absent = tuned.with_columns(state=pl.lit("absent").cast(tuned["state"].dtype))
    tables.write(pl.concat([rest, absent]), cohort / "labels.parquet", "labels")
    folder = train(cohort, tmp_path / "model", tiny(epochs=2))
    notes = runs.read(folder)["notes"]
    assert notes["chosen_by"].startswith("tune loss")
    frame = pl.read_parquet(folder / "history.parquet")
    assert notes["best_epoch"]["epoch"] == frame["epoch"][int(frame["tune_loss"].arg_min())]


def test_a_diverged_training_stops_within_twenty_steps_and_saves_only_numbers(cohort: Path, tmp_path: Path):
    config = tiny(epochs=3, learning_rate=10.0, clip=0, weight_decay=10.0, batch_size=2, checkpoint_minutes=0.001)
    seen: list[int] = []
    told = r"(a loss that is a number|weights that are numbers); found (nan|inf).*epoch 1, with \d+ images \(.*lower"
    with pytest.raises(InputError, match=told):
        train(cohort, tmp_path / "model", config, progress=lambda done, total, line: seen.append(done))
    state = tmp_path / "model/checkpoints/last.pt"
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        assert all(bool(v.isfinite().all()) for v in saved["network"].values())
        assert seen[-1] - saved["position"]["step"] <= 20
    with pytest.raises(InputError, match=told):  # goes on from numbers, and says the same
        train(cohort, tmp_path / "model", config)


def test_steps_cut_the_last_epoch_and_are_not_stopped_early(cohort: Path, tmp_path: Path):
    # 72 images in steps of 16: 5 steps an epoch.
    seen: list[tuple[int, int]] = []
    config = tiny(epochs=1, steps=12, patience=1)
    folder = train(cohort, tmp_path / "model", config, progress=lambda done, total, line: seen.append((done, total)))
    assert seen[-1] == (12, 12)
    assert [done for done, _ in seen] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10, 11, 12, 12]
    assert history(folder)["epoch"].to_list() == [1, 2, 3]
    assert runs.read(folder)["notes"]["stopped"] == "all 12 steps done"
    assert history(folder)["learning_rate"][-1] < history(folder)["learning_rate"][0]
    whole = history(train(cohort, tmp_path / "whole", tiny(epochs=3)))
    assert history(folder)["loss"][0] != whole["loss"][0]  # another schedule: 12 steps and not 15


def test_as_many_steps_as_the_epochs_have_are_the_same_training(cohort: Path, tmp_path: Path):
    by_epochs = train(cohort, tmp_path / "epochs", tiny(epochs=2, patience=0))
    by_steps = train(cohort, tmp_path / "steps", tiny(epochs=9, steps=10))
    assert same_weights(by_epochs, by_steps)
    assert history(by_epochs).equals(history(by_steps))


def test_a_patient_in_train_and_tune_is_refused(tmp_path: Path):
    cohort = make_planted(tmp_path / "cohort")
    images = tables.read(cohort / "images.parquet", "images")
    moved = images.with_columns(split=pl.when(pl.col("image_id") == "0001").then(pl.lit("tune")).otherwise("split"))
    tables.write(moved, cohort / "images.parquet", "images")
    with pytest.raises(InputError, match=r"1 patients in both train and tune \(p0000\)"):
        train(cohort, tmp_path / "model", tiny())
    assert not (tmp_path / "model/model.json").exists()


def test_no_cohort(tmp_path: Path):
    with pytest.raises(InputError, match=r"3 files missing \(images.parquet"):
        train(tmp_path / "nowhere", tmp_path / "model", tiny())
    assert not (tmp_path / "model").exists()


def test_starting_from_a_weight_file(cohort: Path, straight: Path, tmp_path: Path):
    config = tiny(epochs=1, weights=str(straight / "weights.safetensors"), normalisation="unit", findings=("mass",))
    folder = train(cohort, tmp_path / "model", config)
    notes = runs.read(folder)["notes"]
    assert notes["weights"] == ["The classifier was kept for 1 of 1 outputs (mass)."]
    assert runs.read(folder)["inputs"]["weights"] == integrity.file_hash(straight / "weights.safetensors")


PROCESSES = """
import sys, torch
torch.set_num_threads(1)
sys.path.insert(0, {here!r})
from planted import tiny
from overread.training.model_training import train
train({cohort!r}, {out!r}, tiny(epochs=2))
"""


def test_two_processes_train_one_model(cohort: Path, tmp_path: Path):
    script = tmp_path / "train_two.py"
    script.write_text(PROCESSES.format(here=str(HERE), cohort=str(cohort), out=str(tmp_path / "model")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert time.monotonic() - began < 120
    record = json.loads((tmp_path / "model/model.json").read_text())
    frame = pl.read_parquet(tmp_path / "model/history.parquet")
    assert frame.height == 2
    tune = pl.read_parquet(tmp_path / "model/tune.parquet").filter(pl.col("truth").is_not_null())
    north = pl.read_parquet(cohort / "images.parquet").select("image_id", "site")
    aucs = [
        roc.auc((group["truth"] == 1).to_numpy(), group["logit"].to_numpy()).value
        for _, group in tune.join(north, on="image_id").group_by("site", "finding")
    ]
    # What both processes tuned together is what the weights that one of them wrote give.
    assert frame["tune_auc"][record["best_epoch"] - 1] == pytest.approx(np.mean(aucs), abs=1e-9)
