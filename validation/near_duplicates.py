"""Near-duplicates: the share of changed copies that the search finds, and the pairs that it finds among originals.

    python validation/near_duplicates.py FOLDER_OF_IMAGES [--copies 100] [--images 1000] [--size 160] [--fit pad]
    python validation/near_duplicates.py ../shared/real/cxr --table ../shared/real/cxr/metadata.csv --half 1

Images are drawn from the folder and stored by the usual recipe. Copies of some of them are changed at the resolution of
their files, and stored as images of another site. Pairs among the originals are listed with their correlation, so that
a person can look at them. With a table (columns image and patient_id) only the images of one half of the patients are
used: the parameters of the search were chosen on half 0, so that half 1 checks them.
"""

from __future__ import annotations

import argparse
import csv
import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from overread.images.duplicates import near_duplicates
from overread.images.raster.file_content import ImageFile
from overread.images.recipe.pixel_recipe import Recipe, apply_recipe
from overread.images.store.decode_worker import read_image
from overread.images.store.pixel_store import Store

NONE = {
    "crop": (0, 0),
    "border": (0, 0),
    "gamma": (1, 1),
    "contrast": (1, 1),
    "tint": (1, 1),
    "scale": (1, 1),
    "quality": (95, 96),
}
CHANGES = {
    "crop of 5 to 25 % from each side": {"crop": (0.05, 0.25)},
    "border of 0 to 10 %, black or white": {"border": (0, 0.1)},
    "gamma 0.6 to 1.6": {"gamma": (0.6, 1.6)},
    "contrast 0.6 to 1": {"contrast": (0.6, 1)},
    "tint": {"tint": (0.75, 1)},
    "scale 0.5": {"scale": (0.5, 0.5)},
    "JPEG, quality 40": {"quality": (40, 41)},
    "all of these": {
        "crop": (0.05, 0.25),
        "border": (0, 0.1),
        "gamma": (0.6, 1.6),
        "contrast": (0.6, 1),
        "tint": (0.75, 1),
        "scale": (0.5, 1),
        "quality": (40, 95),
    },
}


def changed(grey: np.ndarray, rng: np.random.Generator, **limits: tuple[float, float]) -> np.ndarray:
    """A copy of an 8-bit image, changed by amounts that are drawn between these limits."""
    image = Image.fromarray(grey).convert("RGB")
    left, top, right, bottom = rng.uniform(*limits["crop"], 4)
    width, height = image.size
    image = image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )
    factor = rng.uniform(*limits["scale"])
    small = tuple(max(8, round(factor * n)) for n in image.size)
    greys = (np.asarray(image.resize(small, Image.Resampling.LANCZOS)) / 255.0) ** rng.uniform(*limits["gamma"])
    contrast = rng.uniform(*limits["contrast"])
    greys = (greys * contrast + rng.uniform(0, 1 - contrast)) * rng.uniform(*limits["tint"], 3)
    image = Image.fromarray(np.rint(np.clip(greys, 0, 1) * 255).astype(np.uint8))
    widths = tuple(round(rng.uniform(*limits["border"]) * n) for n in image.size * 2)
    image = ImageOps.expand(image, widths, fill=(int(rng.choice([0, 255])),) * 3)
    held = io.BytesIO()
    image.save(held, "JPEG", quality=int(rng.integers(*limits["quality"])))
    return np.asarray(Image.open(held).convert("L"))


def search(pixels: np.ndarray, sites: list[str], recipe: Recipe) -> dict[tuple[int, int], float]:
    n = len(pixels)
    pairs, _, correlation = near_duplicates.find(Store(recipe, (pixels,)), np.zeros(n, int), np.arange(n), sites)
    return dict(zip(map(tuple, pairs.tolist()), correlation.tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=100)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--fit", default="pad")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1), default=1)
    given = parser.parse_args()
    recipe, rng = Recipe(given.size, given.fit), np.random.default_rng(0)
    files = sorted(p for p in given.folder.rglob("*") if p.suffix in (".png", ".jpg", ".jpeg"))
    if given.table:
        with given.table.open(encoding="utf-8", newline="") as table:
            names = {
                r["image"] for r in csv.DictReader(table) if zlib.crc32(r["patient_id"].encode()) % 2 == given.half
            }
        files = [f for f in files if f.relative_to(given.folder).as_posix() in names]
    chosen = rng.choice(np.array(files, dtype=object), min(given.images, len(files)), replace=False)
    originals = np.stack([read_image(f, recipe) for f in chosen])
    n, few = len(originals), min(given.copies, len(originals))
    copies = []
    for limits in CHANGES.values():
        for file in chosen[:few]:
            copy = changed(np.asarray(Image.open(file).convert("L")), rng, **(NONE | limits))
            copies.append(apply_recipe(ImageFile(copy, 0.0, 255.0, *copy.shape), recipe))
    for number, name in enumerate(CHANGES):
        own = np.stack(copies[number * few : (number + 1) * few])
        found = search(np.concatenate([originals, own]), ["originals"] * n + ["copies"] * few, recipe)
        true = sum((k, n + k) in found for k in range(few))
        print(f"{name:38} found {true} of {few}", flush=True)
    alone = {pair: r for pair, r in found.items() if max(pair) < n}
    total = n * (n - 1) // 2
    print(f"originals: {len(alone)} of {total:,} pairs found")
    for (i, j), r in sorted(alone.items(), key=lambda item: -item[1])[:20]:
        print(f"  {r:.3f} {chosen[i].name} {chosen[j].name}")


if __name__ == "__main__":
    main()
