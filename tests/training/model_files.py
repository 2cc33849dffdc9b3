"""Model folders as a training writes them, with small random networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from overread.images.recipe.pixel_recipe import Recipe
from overread.training.networks import model_folder as models
from overread.training.networks.architectures import Architecture, build

FINDINGS = ("cardiomegaly", "edema", "nodule")


def record(**changes: Any) -> dict[str, Any]:
    line = {"intercept": -0.5, "slope": 1.2, "note": ""}
    point = {"threshold": 0.3, "specificity": 0.9, "sensitivity": 0.7, "target": 0.9, "at": "operating_point=spec90"}
    made = {
        "name": "pooled",
        "kind": "single",
        "findings": list(FINDINGS),
        "not_outputs": ["nodule"],
        "architecture": Architecture("densenet-tiny", channels=1, outputs=3).to_dict(),
        "recipe": Recipe(size=64).to_dict(),
        "training_sites": ["a", "b"],
        "recalibration": dict.fromkeys(FINDINGS, line),
        "operating_points": {f: {"spec90": point} for f in FINDINGS},
    }
    return made | changes


def write_model(folder: Path, *, start: int = 0, patients: tuple[str, ...] = ("001", "002"), **changes: Any) -> Path:
    folder.mkdir(parents=True)
    told = record(**changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(start)
        network = build(Architecture.from_dict(told["architecture"]))
        network.classifier.bias.data.normal_()
    save_file(network.state_dict(), folder / "weights.safetensors")
    (folder / "train_patients.txt").write_text("".join(f"{p}\n" for p in patients))
    models.write_record(folder, told)
    return folder


def written_again(folder: Path) -> None:
    """Write model.json anew, with the hashes of the files as they are now."""
    models.write_record(folder, json.loads((folder / "model.json").read_text()))
