"""Predictions of a frozen model: right, refused where they must be, and going on where they stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from model_files import write_model, written_again
from safetensors.torch import load_file, save_file
from scipy.special import expit

from overread import findings, integrity, runs, tables
from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe
from overread.training.networks.architectures import normalise, to_unit
from overread.training.networks.model_folder import Model, load_network, open_model, write_record
from overread.training.scoring.cohort_scores import score_cohort
from overread.training.scoring.score_parts import Progress

pytestmark = pytest.mark.slow

SIZE = 64
OUTPUTS = ["cardiomegaly", "edema"]


def make_cohort(folder: Path, *, size: int = SIZE, n: int = 30) -> Path:
    """A cohort on disk: a third of the images in each split, two sites, pixels in two parts."""
    (folder / "pixels").mkdir(parents=True)
    pixels = np.random.default_rng(4).integers(0, 256, (n, size, size)).astype(np.uint8)
    cut = n // 2
    np.save(folder / "pixels/part-00000.npy", pixels[:cut])
    np.save(folder / "pixels/part-00001.npy", pixels[cut:])
    tables.write_json(folder / "pixels/recipe.json", Recipe(size=size).to_dict())
    images = pl.DataFrame(
        {
            "image_id": [f"i{k:03d}" for k in range(n)],
            "case_id": [f"i{k:03d}" for k in range(n)],
            "patient_id": [f"p{k:03d}" for k in range(n)],
            "site": ["north" if k % 2 else "south" for k in range(n)],
            "split": [("train", "tune", "test")[k % 3] for k in range(n)],
            "part": [int(k >= cut) for k in range(n)],
            "row": [k - cut * (k >= cut) for k in range(n)],
        }
    )
    labels = images.select("case_id", finding=pl.lit("edema"), source=pl.lit("x"), state=pl.lit("absent"))
    tables.write(images.reverse(), folder / "images.parquet", "images")  # not in the order of the pixels
    tables.write(labels, folder / "labels.parquet", "labels")
    tables.write(tables.empty("regions"), folder / "regions.parquet", "regions")
    tables.write(tables.empty("flow"), folder / "flow.parquet", "flow")
    tables.write_frame(images.select("patient_id", "site", "split"), folder / "splits.parquet")
    with runs.start(folder, "cohort", config={"size": size}):
        pass
    return folder


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    return make_cohort(tmp_path / "cohort")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", patients=("p000", "p003", "elsewhere"))


def expected(model: Model, cohort: Path, ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and raw maps computed one image at a time, straight from the definition."""
    parts = [np.load(p) for p in sorted((cohort / "pixels").glob("*.npy"))]
    places = {r["image_id"]: (r["part"], r["row"]) for r in pl.read_parquet(cohort / "images.parquet").to_dicts()}
    network, logits, maps = load_network(model), [], []
    for image_id in ids:
        part, row = places[image_id]
        x = normalise(to_unit(torch.from_numpy(parts[part][row][None])), model.architecture)
        with torch.no_grad():
            a = network.relu(network.features(x))[0]
            logits.append(network(x)[0, :2].numpy())
            maps.append(torch.relu(torch.einsum("fc,chw->fhw", network.classifier.weight[:2], a)).numpy())
    return np.stack(logits), np.stack(maps)


def heat_maps(out: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Image ids, scaled maps and maxima, read as the report reads them."""
    places = pl.read_parquet(out / "heatmaps.parquet")
    parts = [np.load(p, mmap_mode="r") for p in sorted((out / "heatmaps").glob("part-*.npy"))]
    maxima = [np.load(p) for p in sorted((out / "heatmaps").glob("maximum-*.npy"))]
    where = list(zip(places["part"], places["row"], strict=True))
    return (
        places["image_id"].to_list(),
        np.stack([parts[p][r] for p, r in where]),
        np.stack([maxima[p][r] for p, r in where]),
    )


def everything(out: Path) -> dict[str, bytes]:
    """Every file but run.json, which tells the time."""
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name != "run.json"}


def stop_after(images: int) -> Progress:
    def progress(done: int, total: int) -> None:
        if done >= images:
            raise KeyboardInterrupt

    return progress


def test_scores_and_logits_are_those_of_the_network(model: Path, cohort: Path, tmp_path: Path):
    out = score_cohort(model, cohort, tmp_path / "out", batch_size=7, part_size=8)
    rows = tables.read(out / "predictions.parquet", "predictions")
    ids = sorted(f"i{k:03d}" for k in range(30) if k % 3)
    assert rows["image_id"].unique().sort().to_list() == ids
    assert rows["finding"].unique().sort().to_list() == OUTPUTS  # "nodule" is not an output
    assert rows.select("model", "shift").unique().rows() == [("pooled", "none")]
    logits, _ = expected(open_model(model), cohort, ids)
    wide = rows.pivot(on="finding", index="image_id", values="logit").sort("image_id").select(OUTPUTS).to_numpy()
    np.testing.assert_allclose(wide, logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(rows["score"], expit(-0.5 + 1.2 * rows["logit"].to_numpy()), rtol=1e-14)
    assert runs.read(out)["status"] == "complete"
    notes = runs.read(out)["notes"]
    assert notes.pop("computing")["threads"] == str(torch.get_num_threads())
    vocabulary = findings.record_of(findings.load("chest"))
    assert notes == {"scale": "probability", "images": 20, "findings": OUTPUTS, "vocabulary": vocabulary}


def test_heat_maps_belong_to_their_image_and_are_scaled_to_one(model: Path, cohort: Path, tmp_path: Path):
    out = score_cohort(model, cohort, tmp_path / "out", batch_size=7, part_size=8)
    ids, maps, maxima = heat_maps(out)
    _, raw = expected(open_model(model), cohort, ids)
    assert maps.dtype == np.float16
    assert maps.shape == (20, 2, 8, 8)
    assert maps.max() == 1.0
    np.testing.assert_allclose(maxima, raw.max((2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(maps * maxima[..., None, None], raw, atol=2e-3 * raw.max())
    told = json.loads((out / "heatmaps.json").read_text())
    assert told["findings"] == OUTPUTS
    assert told["shape"] == [8, 8]
    assert told["recipe"] == Recipe(size=SIZE).to_dict()
    assert told["module"] == ["relu"]
    assert "closed form" in told["method"]


def test_maps_do_not_change_the_scores(model: Path, cohort: Path, tmp_path: Path):
    with_maps = score_cohort(model, cohort, tmp_path / "a")
    without = score_cohort(model, cohort, tmp_path / "b", heatmaps=False)
    assert (with_maps / "predictions.parquet").read_bytes() == (without / "predictions.parquet").read_bytes()
    assert sorted(p.name for p in without.iterdir()) == ["predictions.parquet", "run.json"]


def test_splits_and_sites_choose_the_images(model: Path, cohort: Path, tmp_path: Path):
    out = score_cohort(model, cohort, tmp_path / "out", splits=["test"], sites=["north"], heatmaps=False)
    ids = pl.read_parquet(out / "predictions.parquet")["image_id"].unique().sort().to_list()
    assert ids == [f"i{k:03d}" for k in range(30) if k % 3 == 2 and k % 2]


def test_an_interrupted_prediction_goes_on_and_ends_bit_for_bit_the_same(model: Path, cohort: Path, tmp_path: Path):
    options: dict[str, Any] = {"batch_size": 3, "part_size": 6}
    whole = everything(score_cohort(model, cohort, tmp_path / "whole", **options))
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        score_cohort(model, cohort, out, progress=stop_after(9), **options)  # within the second part
    assert runs.read(out)["status"] == "interrupted"
    assert not (out / "predictions.parquet").exists()
    assert len(list(out.rglob("logits-*.npy"))) == 1
    seen: list[int] = []
    score_cohort(model, cohort, out, progress=lambda done, _: seen.append(done), **options)
    assert seen[:2] == [6, 9]  # the first part is there at once
    assert everything(out) == whole
    assert not list(out.glob(".partial-*"))


def test_kill_9_costs_one_part(model: Path, cohort: Path, tmp_path: Path):
    options: dict[str, Any] = {"batch_size": 3, "part_size": 6}
    whole = everything(score_cohort(model, cohort, tmp_path / "whole", **options))
    program = (
        "import os, signal, sys\nimport torch\ntorch.set_num_threads(int(sys.argv[4]))\n"
        "from overread.training.scoring.cohort_scores import score_cohort\n"
        "def progress(done, total):\n    if done >= 15: os.kill(os.getpid(), signal.SIGKILL)\n"
        "score_cohort(sys.argv[1], sys.argv[2], sys.argv[3], batch_size=3, part_size=6, progress=progress)\n"
    )
    out = tmp_path / "out"
    arguments = [sys.executable, "-c", program, str(model), str(cohort), str(out), str(torch.get_num_threads())]
    killed = subprocess.run(arguments, check=False, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert killed.returncode == -signal.SIGKILL
    assert len(list(out.rglob("logits-*.npy"))) == 2
    (next(out.glob(".partial-*")) / "heatmaps" / ".part-00002.npy.0123abcd.part").write_bytes(b"torn")
    seen: list[int] = []
    score_cohort(model, cohort, out, progress=lambda done, _: seen.append(done), **options)
    assert seen[:3] == [6, 12, 15]
    assert everything(out) == whole


@pytest.mark.parametrize("name", ["logits-00000.npy", "heatmaps/part-00000.npy", "done-00000.json"])
def test_a_part_that_was_altered_while_a_prediction_was_interrupted_is_refused(
    model: Path, cohort: Path, tmp_path: Path, name: str
):
    options: dict[str, Any] = {"batch_size": 3, "part_size": 6}
    with pytest.raises(KeyboardInterrupt):
        score_cohort(model, cohort, tmp_path / "out", progress=stop_after(9), **options)
    path = next((tmp_path / "out").glob(".partial-*")) / name
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=Path(name).name):
        score_cohort(model, cohort, tmp_path / "out", **options)


@pytest.mark.parametrize("name", ["predictions.parquet", "heatmaps/part-00000.npy", "run.json"])
def test_a_finished_prediction_that_was_altered_is_refused_not_made_again(
    model: Path, cohort: Path, tmp_path: Path, name: str
):
    out = score_cohort(model, cohort, tmp_path / "out")
    data = bytearray((out / name).read_bytes())
    data[len(data) // 2] ^= 1
    (out / name).write_bytes(data)
    with pytest.raises(InputError, match=Path(name).name):
        score_cohort(model, cohort, out)
    assert (out / name).read_bytes() == data


def test_a_cohort_that_was_altered_is_not_predicted(model: Path, cohort: Path, tmp_path: Path):
    with runs.start(cohort, "cohort", config={}) as run:
        for path in (cohort / "labels.parquet", cohort / "pixels/part-00001.npy"):
            run.output(path)
    score_cohort(model, cohort, tmp_path / "fine")
    pixels = np.load(cohort / "pixels/part-00001.npy")
    np.save(cohort / "pixels/part-00001.npy", 255 - pixels)
    with pytest.raises(InputError, match=r"pixels/part-00001\.npy: changed"):
        score_cohort(model, cohort, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Killed(Exception):
    """What a test stops a prediction with."""


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("moves", range(6))
def test_a_kill_while_results_are_put_in_place_costs_nothing(
    model: Path, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int, earlier: bool
):
    whole = everything(score_cohort(model, cohort, tmp_path / "whole"))
    out, real, done = tmp_path / "out", tables.move, []
    if earlier:
        score_cohort(model, cohort, out, splits=["test"])

    def move(source: Path, target: Path) -> None:
        if len(done) == moves:
            raise Killed
        done.append(target)
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(tables, "move", move)
        with suppress(Killed):
            score_cohort(model, cohort, out)
    record = runs.read(out) | {"status": "running", "outputs": {}}  # what a kill leaves
    integrity.write_sealed(out / "run.json", record)
    score_cohort(model, cohort, out)
    assert everything(out) == whole
    assert not list(out.glob(".partial-*"))


@pytest.mark.parametrize(("users", "used"), [(None, "1"), ("2", "2")])
def test_a_prediction_goes_on_with_the_threads_it_was_begun_with_or_says_so(
    model: Path,
    cohort: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    users: str | None,
    used: str,
):
    options: dict[str, Any] = {"batch_size": 3, "part_size": 6}
    monkeypatch.setattr("overread.threads.cores", lambda: 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(KeyboardInterrupt):
        score_cohort(model, cohort, tmp_path / "out", progress=stop_after(9), **options)
    monkeypatch.delenv("OMP_NUM_THREADS")
    if users:
        monkeypatch.setenv("OMP_NUM_THREADS", users)
    notes = runs.read(score_cohort(model, cohort, tmp_path / "out", **options))["notes"]
    assert notes["computing"]["threads"] == used
    assert ("threads 1 -> 2" in notes.get("resumed", "")) == (used == "2")
    assert ("was begun with 1 thread and goes on with 2" if users else "as it was begun") in caplog.text


def test_what_is_there_and_unchanged_is_not_done_again(model: Path, cohort: Path, tmp_path: Path):
    out = score_cohort(model, cohort, tmp_path / "out")
    written = (out / "run.json").read_bytes()
    score_cohort(model, cohort, out, progress=stop_after(0))
    assert (out / "run.json").read_bytes() == written


def test_a_changed_model_is_predicted_anew_and_old_parts_go(model: Path, cohort: Path, tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        score_cohort(model, cohort, out, part_size=4, progress=stop_after(8))
    weights = load_file(model / "weights.safetensors")
    weights["classifier.bias"] += 1
    save_file(weights, model / "weights.safetensors")
    written_again(model)
    score_cohort(model, cohort, out, part_size=4)
    fresh = score_cohort(model, cohort, tmp_path / "fresh", part_size=4)
    assert everything(out) == everything(fresh)


def test_a_second_prediction_without_maps_leaves_none_of_the_first(model: Path, cohort: Path, tmp_path: Path):
    out = score_cohort(model, cohort, tmp_path / "out")
    score_cohort(model, cohort, out, heatmaps=False)
    assert sorted(p.name for p in out.iterdir()) == ["predictions.parquet", "run.json"]


def test_pixels_of_another_recipe_are_refused_and_both_are_named(model: Path, tmp_path: Path):
    other = make_cohort(tmp_path / "other", size=32)
    message = r"expected pixels as the model 'pooled' was trained on \(64 x 64 .*; found .* another recipe \(32 x 32"
    with pytest.raises(InputError, match=message):
        score_cohort(model, other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_truncated_weights_are_refused_and_nothing_is_written(model: Path, cohort: Path, tmp_path: Path):
    path = model / "weights.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    written_again(model)
    with pytest.raises(InputError, match=r"expected a whole safetensors file; found a damaged one"):
        score_cohort(model, cohort, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_test_patient_who_was_in_training_is_refused_by_name(cohort: Path, tmp_path: Path):
    trained = tuple(f"p{k:03d}" for k in range(30) if k % 3 == 0)
    assert score_cohort(write_model(tmp_path / "a", patients=trained), cohort, tmp_path / "fine")
    leaked = write_model(tmp_path / "b", patients=(*trained, *(f"p{k:03d}" for k in (2, 5, 8, 11, 14, 17))))
    with pytest.raises(InputError, match=r"found 6 of 20 patients.*\(p002, p005, p008, p011, p014, …\)"):
        score_cohort(leaked, cohort, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    score_cohort(leaked, cohort, tmp_path / "train", splits=["train"], heatmaps=False)


def test_outputs_that_are_not_finite_are_refused_and_the_old_result_survives(model: Path, cohort: Path, tmp_path: Path):
    out = score_cohort(model, cohort, tmp_path / "out")
    before = everything(out)
    weights = load_file(model / "weights.safetensors")
    weights["classifier.weight"][0] = 3e38  # finite itself
    save_file(weights, model / "weights.safetensors")
    written_again(model)
    with pytest.raises(InputError, match=r"finite outputs.*20 images with NaN or infinite outputs of pooled \(i001,"):
        score_cohort(model, cohort, out)
    assert {k: v for k, v in everything(out).items() if not k.startswith(".partial")} == before
    assert runs.read(out)["status"] == "failed"


def test_a_full_disk_is_said_and_the_old_result_survives(
    model: Path, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = score_cohort(model, cohort, tmp_path / "out")
    before = everything(out)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("overread.training.scoring.score_parts.np.save", full)
    with pytest.raises(InputError, match="free space on the disk"):
        score_cohort(model, cohort, out, batch_size=5)
    assert {k: v for k, v in everything(out).items() if not k.startswith(".partial")} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"splits": ["tset"]},
            r"splits: expected some of 'train', .*; found 'tset'. Did you mean 'test'",
        ),
        ({"sites": ["nort"]}, r"sites: expected some of 'north', 'south'; found 'nort'. Did you mean 'north'"),
        ({"splits": [""]}, r"images of splits '' at any site; found none. The cohort has 5 of north in 'train'"),
    ],
)
def test_what_selects_nothing_is_refused(
    model: Path, cohort: Path, tmp_path: Path, options: dict[str, Any], message: str
):
    with pytest.raises(InputError, match=message):
        score_cohort(model, cohort, tmp_path / "out", **options)


def write_ensemble(folder: Path) -> Path:
    for seed in (1, 2):
        write_model(folder / f"seed-{seed}", start=seed, name=f"pooled/seed-{seed}", patients=(f"p{seed * 3:03d}",))
    told = dict(open_model(folder / "seed-1").record)
    lines = {f: {"intercept": 0.25, "slope": 0.5, "note": ""} for f in told["findings"]}
    own = {"name": "pooled", "kind": "ensemble", "members": ["seed-1", "seed-2"], "recalibration": lines}
    (folder / "train_patients.txt").write_text("p003\np006\n")
    write_record(folder, told | own)
    return folder


def test_an_ensemble_predicts_its_mean_logit_and_every_member(cohort: Path, tmp_path: Path):
    ensemble = write_ensemble(tmp_path / "ensemble")
    rows = pl.read_parquet(score_cohort(ensemble, cohort, tmp_path / "out") / "predictions.parquet")
    assert rows["model"].unique().sort().to_list() == ["pooled", "pooled/seed-1", "pooled/seed-2"]
    wide = rows.pivot(on="model", index=["image_id", "finding"], values=["logit", "score"])
    mean = (wide["logit_pooled/seed-1"] + wide["logit_pooled/seed-2"]) / 2
    np.testing.assert_allclose(wide["logit_pooled"], mean, rtol=1e-12)
    np.testing.assert_allclose(wide["score_pooled"], expit(0.25 + 0.5 * mean.to_numpy()), rtol=1e-12)
    alone = pl.read_parquet(score_cohort(ensemble / "seed-2", cohort, tmp_path / "alone") / "predictions.parquet")
    both = alone.join(wide, on=["image_id", "finding"])
    assert both["logit"].to_list() == both["logit_pooled/seed-2"].to_list()
    assert both["score"].to_list() == both["score_pooled/seed-2"].to_list()


def test_the_heat_map_of_an_ensemble_is_the_mean_of_the_members_raw_maps(cohort: Path, tmp_path: Path):
    ensemble = write_ensemble(tmp_path / "ensemble")
    out = score_cohort(ensemble, cohort, tmp_path / "out")
    ids, maps, maxima = heat_maps(out)
    raw = np.mean([expected(m, cohort, ids)[1] for m in open_model(ensemble).members], axis=0)
    np.testing.assert_allclose(maxima, raw.max((2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(maps * maxima[..., None, None], raw, atol=2e-3 * raw.max())
    assert "mean over 2 members before scaling" in json.loads((out / "heatmaps.json").read_text())["method"]


def test_a_patient_of_any_member_is_refused(cohort: Path, tmp_path: Path):
    ensemble = write_ensemble(tmp_path / "ensemble")
    (ensemble / "seed-2" / "train_patients.txt").write_text("p004\n")
    written_again(ensemble / "seed-2")
    with pytest.raises(InputError, match=r"1 of 20 patients in its train_patients.txt \(p004\)"):
        score_cohort(ensemble, cohort, tmp_path / "out")


@pytest.mark.parametrize("name", ["predictions.parquet", "heatmaps/mine.npy", "heatmaps.json"])
def test_files_that_no_prediction_wrote_are_refused_and_stay(model: Path, cohort: Path, tmp_path: Path, name: str):
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    with pytest.raises(InputError, match="other files that it would replace"):
        score_cohort(model, cohort, out)
    assert {p.relative_to(out).as_posix(): p.read_text() for p in out.rglob("*") if p.is_file()} == {name: "mine"}


def test_a_file_among_the_heat_maps_is_named_and_stays(model: Path, cohort: Path, tmp_path: Path):
    score_cohort(model, cohort, tmp_path / "out")
    mine = tmp_path / "out" / "heatmaps" / "mine.txt"
    mine.write_text("mine")
    with pytest.raises(InputError, match=r"heat maps alone; found 1 others \(mine\.txt\)"):
        score_cohort(model, cohort, tmp_path / "out", splits=("test",))
    assert mine.read_text() == "mine"
