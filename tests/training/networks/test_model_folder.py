"""A model folder is opened whole or refused with what is wrong about it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import FINDINGS, record, write_model, written_again
from safetensors.torch import load_file, save_file

from overread import integrity
from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe
from overread.training.networks import model_folder as models


def test_a_folder_that_was_written_is_opened_with_all_it_states(tmp_path: Path):
    model = models.open_model(write_model(tmp_path / "m"))
    assert model.name == "pooled"
    assert model.findings == FINDINGS
    assert model.outputs == ("cardiomegaly", "edema")
    assert model.columns == [0, 1]
    assert model.recipe == Recipe(size=64)
    assert model.train_patients == {"001", "002"}
    assert model.recalibration["edema"]["slope"] == 1.2
    assert model.record["format"] == models.FORMAT


def test_the_network_has_the_weights_of_the_file_and_leaves_the_random_stream_alone(tmp_path: Path):
    folder = write_model(tmp_path / "m", start=5)
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    network = models.load_network(models.open_model(folder))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    stored = load_file(folder / "weights.safetensors")
    assert all(torch.equal(value, stored[key]) for key, value in network.state_dict().items())


def test_no_model_folder(tmp_path: Path):
    with pytest.raises(InputError, match=r"expected a model folder .*; found no folder there"):
        models.open_model(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"found no model.json in it"):
        models.open_model(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path):
    folder = write_model(tmp_path / "m")
    newer = json.loads((folder / "model.json").read_text()) | {"format": 2}
    (folder / "model.json").write_text(json.dumps(newer))
    with pytest.raises(InputError, match=r"expected format 1; found format 2\. It was written by a newer overread"):
        models.open_model(folder)


def test_missing_keys_are_named_together(tmp_path: Path):
    folder = write_model(tmp_path / "m")
    told = record()
    del told["recipe"], told["recalibration"]
    (folder / "model.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"2 missing \(recipe, recalibration\)"):
        models.open_model(folder)


def test_model_json_that_is_no_json(tmp_path: Path):
    (tmp_path / "model.json").write_text('{"name": ')
    with pytest.raises(InputError, match=r"model\.json: expected JSON"):
        models.open_model(tmp_path)


@pytest.mark.parametrize("name", ["weights.safetensors", "train_patients.txt"])
def test_a_missing_file_is_named(tmp_path: Path, name: str):
    folder = write_model(tmp_path / "m")
    (folder / name).unlink()
    with pytest.raises(InputError, match=name):
        models.open_model(folder)


def test_truncated_weights_are_refused(tmp_path: Path):
    folder = write_model(tmp_path / "m")
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    written_again(folder)
    with pytest.raises(InputError, match=r"weights\.safetensors: expected a whole safetensors file; found a damaged"):
        models.load_network(models.open_model(folder))


@pytest.mark.parametrize("claimed", [2**60, 2**63 - 1, 2**64 - 1, 2**40, 200_000_000])
def test_a_header_of_weights_that_claims_more_than_there_is_is_refused(tmp_path: Path, claimed: int):
    folder = write_model(tmp_path / "m")
    path = folder / "weights.safetensors"
    path.write_bytes(claimed.to_bytes(8, "little") + path.read_bytes()[8:])
    written_again(folder)
    with pytest.raises(InputError, match=r"weights\.safetensors: expected a whole safetensors file; found a damaged"):
        models.load_network(models.open_model(folder))


@pytest.mark.parametrize("name", ["weights.safetensors", "train_patients.txt", "model.json"])
@pytest.mark.parametrize("what", ["a pipe", "a device", "too large"])
def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path, name: str, what: str):
    folder = write_model(tmp_path / "m")
    path = folder / name
    if what == "too large":
        with path.open("ab") as file:
            file.truncate(1 << 40)
    else:
        path.unlink()
        if what == "a pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
    with pytest.raises(InputError, match=re.escape(str(folder))):
        models.load_network(models.open_model(folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float):
    folder = write_model(tmp_path / "m")
    weights = load_file(folder / "weights.safetensors")
    weights["classifier.bias"][0] = value
    save_file(weights, folder / "weights.safetensors")
    written_again(folder)
    with pytest.raises(InputError, match=r"weights\.safetensors: expected finite weights; .* \(classifier\.bias\)"):
        models.load_network(models.open_model(folder))


def test_weights_of_another_network_are_refused_by_key(tmp_path: Path):
    folder = write_model(tmp_path / "m")
    weights = load_file(folder / "weights.safetensors")
    weights["classifier.weight"] = weights["classifier.weight"][:2].clone()
    weights["extra"] = weights.pop("classifier.bias")
    save_file(weights, folder / "weights.safetensors")
    written_again(folder)
    expected = r"3 keys that do not match \(classifier.bias missing, extra unknown, classifier.weight \(2, \d+\) for"
    with pytest.raises(InputError, match=expected):
        models.load_network(models.open_model(folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"findings": ["cardiomegaly", "edma"], "not_outputs": []}, "expected findings of the vocabulary"),
        ({"findings": ["edema", "edema"]}, "findings, each once"),
        ({"recalibration": None}, "recalibration: .* found None"),
        ({"architecture": {"network": "densenet-tiny"}}, r"2 missing \(channels, outputs\)"),
        (
            {"architecture": {"network": "densenet-tiny", "channels": 1, "outputs": 7}},
            "an output of the network for every finding; found 7 outputs for 3 findings",
        ),
        ({"kind": "double"}, "'single' or 'ensemble'; found 'double'"),
        ({"recalibration": {"cardiomegaly": {"intercept": 0, "slope": 1}}}, r"a recalibration for every output.*edema"),
        ({"recalibration": {f: {"intercept": 0, "slope": -1} for f in FINDINGS}}, "a positive slope"),
        ({"recalibration": {f: {"intercept": None, "slope": 1} for f in FINDINGS}}, "a finite intercept"),
    ],
)
def test_what_a_record_states_wrongly_is_refused_before_it_is_written(tmp_path: Path, changes: Any, message: str):
    with pytest.raises(InputError, match=message):
        models.write_record(tmp_path, record(**changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"findings": [{}]},
        {"findings": "edema"},
        {"findings": [1, None]},
        {"operating_points": {"edema": []}},
        {"operating_points": {"edema": {"spec90": {"threshold": "x"}}}},
        {"name": ["m"]},
        {"members": [1]},
        {"architecture": {"network": "densenet-tiny", "channels": 2, "outputs": 3}},
        {"architecture": {"network": "densenet-tiny", "channels": True, "outputs": 3}},
        {"architecture": {"network": "densenet-tiny", "channels": 1, "outputs": 10**9}},
        {"recalibration": {"edema": {"intercept": True, "slope": [1]}}},
        {"recipe": {"size": 1e400}},
        {"recipe": {"size": [224]}},
        {"recipe": {"window": []}},
        {"prevalence": 3},
        {"name": "\ud800"},
        {"name": "\x00"},
    ],
)
def test_a_model_json_of_odd_types_is_refused(tmp_path: Path, changes: Any):
    folder = write_model(tmp_path / "m")
    told = json.loads((folder / "model.json").read_text()) | changes
    (folder / "model.json").write_text(json.dumps(told))
    with pytest.raises(InputError):
        models.open_model(folder)


def test_an_ensemble_that_is_its_own_member_is_refused(tmp_path: Path):
    folder = write_ensemble(tmp_path / "e")
    told = json.loads((folder / "model.json").read_text()) | {"members": ["."]}
    integrity.write_sealed(folder / "model.json", told)
    with pytest.raises(InputError, match="an ensemble among them"):
        models.open_model(folder)


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.complex64, torch.uint8])
def test_weights_of_another_type_are_refused(tmp_path: Path, kind: torch.dtype):
    folder = write_model(tmp_path / "m")
    weights = load_file(folder / "weights.safetensors")
    weights["classifier.bias"] = weights["classifier.bias"].to(kind)
    save_file(weights, folder / "weights.safetensors")
    written_again(folder)
    with pytest.raises(InputError, match=r"weights\.safetensors: .*classifier\.bias of torch"):
        models.load_network(models.open_model(folder))


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b'{"a": {"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": 1}',
        b"{" * 5000,
        b"\xff\xfe",
        b"",
        b'{"a": {"dtype": "F32", "shape": [1000000000000], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}',
    ],
)
def test_a_broken_header_of_weights_is_refused(tmp_path: Path, header: bytes):
    folder = write_model(tmp_path / "m")
    (folder / "weights.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(64))
    written_again(folder)
    with pytest.raises(InputError, match=r"weights\.safetensors: expected a whole safetensors file"):
        models.load_network(models.open_model(folder))


def write_ensemble(folder: Path, **changes: Any) -> Path:
    names = ["seed-1", "seed-2"]
    for seed, name in enumerate(names, 1):
        write_model(folder / name, start=seed, name=f"pooled/{name}", patients=(f"00{seed}",))
    (folder / "train_patients.txt").write_text("001\n002\n")
    models.write_record(folder, record(kind="ensemble", members=names, **changes))
    return folder


def test_an_ensemble_is_opened_with_its_members(tmp_path: Path):
    model = models.open_model(write_ensemble(tmp_path / "e"))
    assert [m.name for m in model.singles] == ["pooled/seed-1", "pooled/seed-2"]
    assert sorted(model.files()) == [
        "model.json",
        "seed-1/model.json",
        "seed-1/weights.safetensors",
        "seed-2/model.json",
        "seed-2/weights.safetensors",
    ]
    with pytest.raises(InputError, match="an ensemble, which has the networks of its members"):
        models.load_network(model)


def test_an_ensemble_whose_member_was_trained_again_is_refused(tmp_path: Path):
    folder = write_ensemble(tmp_path / "e", member_weights={"seed-1": "0" * 64})
    with pytest.raises(InputError, match=r"1 members changed since \(seed-1\)"):
        models.open_model(folder)


def test_an_ensemble_of_another_recipe_is_refused(tmp_path: Path):
    folder = write_ensemble(tmp_path / "e", recipe=Recipe(size=128).to_dict())
    with pytest.raises(InputError, match=r"members with its findings and pixel recipe; found 2 others"):
        models.open_model(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "train_patients.txt"])
@pytest.mark.parametrize("way", ["empty", "cut", "byte", "other"])
def test_weights_and_patients_that_were_altered_are_refused_by_name(tmp_path: Path, name: str, way: str):
    folder = write_model(tmp_path / "m")
    other = write_model(tmp_path / "o", start=1, patients=("003",))
    data = (folder / name).read_bytes()
    altered = {"empty": b"", "cut": data[:-1], "byte": data[:-2] + b"9\n", "other": (other / name).read_bytes()}
    (folder / name).write_bytes(altered[way])
    with pytest.raises(InputError, match=rf"1 that differ \({name}: changed\)"):
        models.open_model(folder)


def test_a_threshold_that_was_edited_in_model_json_is_refused(tmp_path: Path):
    folder = write_model(tmp_path / "m")
    path = folder / "model.json"
    path.write_text(path.read_text().replace('"threshold": 0.3', '"threshold": 0.9'))
    with pytest.raises(InputError, match=r"model\.json: expected a record as it was written"):
        models.open_model(folder)


def test_a_model_without_hashes_is_refused(tmp_path: Path):
    folder = write_model(tmp_path / "m")
    told = json.loads((folder / "model.json").read_text())
    for lacking in ("hash", "files"):
        (folder / "model.json").write_text(json.dumps({k: v for k, v in told.items() if k != lacking}, indent=1) + "\n")
        with pytest.raises(InputError, match="one that was changed, or has no hash"):
            models.open_model(folder)


@pytest.mark.parametrize("files", [0.5, None, [], "x", True, {"weights.safetensors": 1}, {"train_patients.txt": None}])
def test_files_that_are_no_hashes_by_name_are_refused_also_in_a_sealed_record(tmp_path: Path, files: Any):
    folder = write_model(tmp_path / "m")
    integrity.write_sealed(folder / "model.json", json.loads((folder / "model.json").read_text()) | {"files": files})
    with pytest.raises(InputError, match=r"model\.json.*files"):
        models.open_model(folder)


@pytest.mark.parametrize("kept", [None, (), ("train_patients.txt",), ("weights.safetensors",)])
def test_a_sealed_record_without_a_hash_says_so_and_names_no_change(tmp_path: Path, kept: Any):
    folder = write_model(tmp_path / "m")
    told = json.loads((folder / "model.json").read_text())
    files = {name: told["files"][name] for name in kept or ()}
    del told["files"]
    integrity.write_sealed(folder / "model.json", told if kept is None else told | {"files": files})
    lacking = {"weights.safetensors", "train_patients.txt"} - set(files)
    said = f"no hash of {lacking.pop()}" if files else "no hashes of its files"
    with pytest.raises(InputError, match=f"model.json records {said}") as caught:
        models.open_model(folder)
    assert "changed" not in str(caught.value)


def test_a_patient_list_of_a_member_that_was_emptied_is_refused_by_the_ensemble(tmp_path: Path):
    folder = write_ensemble(tmp_path / "e")
    (folder / "seed-2/train_patients.txt").write_text("")
    with pytest.raises(InputError, match=r"seed-2: .*train_patients\.txt: changed"):
        models.open_model(folder)
