"""The cases of `mutations.py`: which file a kind, a seed and a number make."""

from __future__ import annotations

import io
import json
import tempfile
import tomllib
import zlib
from importlib import resources
from pathlib import Path
from typing import Any

import mutated_dicom as dicom
import mutated_files as files
import numpy as np


def case(kind: str, seed: int, number: int, real: list[Path]) -> tuple[str, str, bytes]:
    """The harm, the name of the file and its content."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
    if kind == "dicom":
        if real and rng.random() < 0.3:
            data = files.pick(rng, real).read_bytes()
        else:
            data = dicom.picture(files.pick(rng, (*dicom.PLAIN, *dicom.ENCODE)), rng)
        return _named("x.dcm", dicom.mutated(data, rng))
    if kind in ("png", "jpeg"):
        data = files.picture_bytes(rng, kind.upper())
        chunks = kind == "png" and rng.random() < 0.6
        return _named(f"x.{kind}", (files.harmed_chunks if chunks else files.harmed_bytes)(data, rng))
    if kind in ("csv", "parquet"):
        name, frame = files.pick(rng, list(files.frames(rng).items()))
        make = files.csv_bytes if kind == "csv" else files.parquet_bytes
        return _named(f"{name.split()[-1]}.{kind}", make(frame, rng))
    if kind == "toml":
        name, value = files.pick(rng, list(_configurations().items()))
        return _named(name, files.toml_bytes(value, rng))
    if kind == "json":
        name, value = files.pick(rng, list(_records().items()))
        return _named(name, files.json_bytes(value, rng))
    if kind == "npy":
        return _named("part-00000.npy", files.harmed_bytes(_array(rng), rng))
    name = files.pick(rng, ("model.json", "model.json", "weights.safetensors", "train_patients.txt"))
    if name == "model.json":
        return _named(name, files.json_bytes(_model_record(), rng))
    return _named(name, files.harmed_bytes((model_folder() / name).read_bytes(), rng))


def _named(name: str, harmed: tuple[str, bytes]) -> tuple[str, str, bytes]:
    return harmed[0], name, harmed[1]


def _configurations() -> dict[str, dict[str, Any]]:
    demo = resources.files("overread.protocols").joinpath("demo.toml").read_text(encoding="utf-8")
    sections = {
        "cohort": {"views": ["PA"], "ages": [18, 90], "fractions": [0.7, 0.1, 0.2], "seed": 3, "recipe": {"size": 64}},
        "evaluation": {
            "findings": ["edema"],
            "replicates": 100,
            "confidence": 0.95,
            "subgroups": ["sex"],
            "seed": 1,
            "missing_allowed": {"labels": 0.5},
            "specificities": [0.9],
            "age_bands": [40, 60],
            "spellings": {"sex": {"1": "M"}},
            "roles": {"pooled": "a", "single": {"b": "north"}},
            "mapping": [{"finding": "edema", "outputs": ["edema"]}],
            "references": ["majority"],
        },
        "training": {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "augmentation": {"rotation": 5.0}, "seed": 0},
        "sample": {"n": 100, "by": ["finding", "site"], "floor": 2, "seed": 1},
        "deidentification": {},
    }
    return {"study.toml": tomllib.loads(demo), **{f"{k}.toml": {k: v} for k, v in sections.items()}}


def _records() -> dict[str, Any]:
    entry = _entry()
    return {
        "run.json": {
            "command": "evaluate",
            "status": "complete",
            "fingerprint": "ab",
            "config": {"seed": 1, "findings": []},
            "inputs": {"images": "ab"},
            "seed": 1,
            "started": "2026-01-01T00:00:00+00:00",
            "versions": {"x": "2"},
            "machine": {"cores": 2},
            "notes": {},
            "outputs": {"a.parquet": {"bytes": 4, "sha256": "ab"}},
            "seconds": 1.5,
        },
        "notes.json": {
            "notes": ["a"],
            "opened": [{"analysis": "x", "models": ["a"], "cases": 3}],
            "ledger": {"number": 1, "hash": "ab"},
        },
        "stage.json": {"done": "ab"},
        "heatmaps.json": {"findings": ["edema"], "method": "Grad-CAM"},
        "recipe.json": {"size": 32, "fit": "pad", "window": "full"},
        "ledger.jsonl": entry,
        "model.json": _model_record(),
    }


def _entry() -> dict[str, Any]:
    from overread import ledger

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        ledger.append(path, analysis="evaluate", models=["a"], cases=3, labels_hash="ab", protocol_hash="")
        entry: dict[str, Any] = json.loads(path.read_text())
    return entry


def _model_record() -> dict[str, Any]:
    point = {"threshold": 0.5, "specificity": 0.9, "sensitivity": 0.8, "target": 0.9, "at": "x", "note": ""}
    return {
        "format": 1,
        "name": "m",
        "kind": "single",
        "findings": ["edema", "mass"],
        "not_outputs": [],
        "architecture": {"network": "densenet-tiny", "channels": 1, "outputs": 2, "normalisation": "unit"},
        "recipe": {"size": 32, "fit": "crop", "window": "full"},
        "training_sites": ["north"],
        "recalibration": {f: {"intercept": 0.0, "slope": 1.0, "note": ""} for f in ("edema", "mass")},
        "operating_points": {f: {"spec90": point} for f in ("edema", "mass")},
        "n_train_images": 9,
        "positive_weights": {"edema": 1.5},
        "protocol_hash": "ab",
        "members": ["."],
    }


def _array(rng: np.random.Generator) -> bytes:
    held = io.BytesIO()
    array = files.pick(rng, (np.zeros((4, 32, 32), np.uint8), np.zeros((4, 1, 7, 7), np.float16)))
    np.save(held, array)
    return held.getvalue()


_FOLDERS: dict[str, tempfile.TemporaryDirectory[str]] = {}  # removed when the process ends


def model_folder() -> Path:
    """A whole model folder, made once in every process."""
    if "model" not in _FOLDERS:
        from safetensors.torch import save_file

        from overread.training.networks.architectures import Architecture, build
        from overread.training.networks.model_folder import write_record

        _FOLDERS["model"] = tempfile.TemporaryDirectory(prefix="mutations-")
        folder = Path(_FOLDERS["model"].name)
        save_file(build(Architecture("densenet-tiny", 1, 2)).state_dict(), folder / "weights.safetensors")
        (folder / "train_patients.txt").write_text("p1\np2\n")
        write_record(folder, {k: v for k, v in _model_record().items() if k not in ("format", "members")})
    return Path(_FOLDERS["model"].name)
