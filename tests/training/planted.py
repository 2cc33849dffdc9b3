"""A small cohort on disk in which two findings can be seen: one bright at the left, one dark below; and some traps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from overread import runs, tables
from overread.images.recipe.pixel_recipe import Recipe
from overread.training.training_config import TrainingConfig

SIZE = 64
SPLITS = ("train", "train", "train", "tune", "test")


def make_planted(folder: Path, *, n: int = 120, size: int = SIZE, signal: float = 90.0, seed: int = 0) -> Path:
    """n images of n / 2 patients of two sites.

    Edema and mass are planted and stated everywhere, edema of every sixth case at the site "south" as uncertain;
    hernia is stated only as absent, fracture only of test images, nodule only at "north".
    """
    rng = np.random.default_rng(seed)
    patient = np.arange(n) // 2
    edema, mass = rng.random(n) < 0.4, rng.random(n) < 0.3
    pixels = rng.normal(110, 25, (n, size, size))
    pixels[edema, size // 4 : size // 2, size // 8 : size // 2] += signal
    pixels[mass, size // 2 + size // 8 : -size // 8, size // 4 : -size // 4] -= signal
    (folder / "pixels").mkdir(parents=True)
    cut = n // 3
    stored = pixels.clip(0, 255).astype(np.uint8)
    np.save(folder / "pixels/part-00000.npy", stored[:cut])
    np.save(folder / "pixels/part-00001.npy", stored[cut:])
    tables.write_json(folder / "pixels/recipe.json", Recipe(size=size).to_dict())
    site = np.where(patient % 2 == 0, "north", "south")
    split = np.array(SPLITS)[(patient // 2) % len(SPLITS)]
    images = pl.DataFrame(
        {
            "image_id": [f"{i:04d}" for i in range(n)],
            "case_id": [f"c{i:04d}" for i in range(n)],
            "patient_id": [f"p{p:04d}" for p in patient],
            "site": site,
            "split": split,
            "part": [0 if i < cut else 1 for i in range(n)],
            "row": [i if i < cut else i - cut for i in range(n)],
        }
    )
    labels = []
    for i in range(n):
        south = site[i] == "south"
        labels.append((i, "edema", "uncertain" if south and i % 6 == 2 else "present" if edema[i] else "absent"))
        labels.append((i, "mass", "present" if mass[i] else "absent"))
        labels.append((i, "hernia", "absent"))
        if split[i] == "test":
            labels.append((i, "fracture", "present" if i % 2 else "absent"))
        if not south:
            labels.append((i, "nodule", "present" if edema[i] else "absent"))
    frame = pl.DataFrame(labels, schema=["case", "finding", "state"], orient="row").select(
        "finding", "state", case_id=pl.lit("c") + pl.col("case").cast(pl.String).str.zfill(4), source=pl.lit("report")
    )
    tables.write(tables.fill(images.sort("row"), "images"), folder / "images.parquet", "images")
    tables.write(frame, folder / "labels.parquet", "labels")
    with runs.start(folder, "cohort", config={}):
        pass
    return folder


def tiny(**changes: object) -> TrainingConfig:
    """A training of seconds."""
    settings: dict[str, object] = {
        "network": "densenet-tiny",
        "epochs": 4,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "precision": "32-true",
        "patience": 0,
        "seed": 3,
        "findings": ("edema", "mass"),
    }
    return TrainingConfig(**(settings | changes))  # type: ignore[arg-type]
