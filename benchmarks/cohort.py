"""Building a cohort of 1,000, 10,000 and 200,000 images: peak memory of the process that leads, and the rate.

    python benchmarks/cohort.py [--images 1000 10000 200000] [--size 64] [--workers 2]

Every image is a picture of its own in a PNG file of 256 x 256 pixels; two findings, patients with five images each.
Each size is built in a process of its own. Memory that grew with the pixels would show as gigabytes: 200,000 images at
64 px are 0.8 GB of them. Polars' allocator keeps what is freed for a while: _RJEM_MALLOC_CONF=dirty_decay_ms:0 in the
environment gives it back at once, and shows what is held.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from overread.cohort import CohortConfig, build
from overread.images.recipe.pixel_recipe import Recipe
from overread.tables import Source, check


def write_files(root: Path, n: int) -> None:
    """n PNG files in folders of a thousand, each of a picture of its own."""
    rng = np.random.default_rng(1)
    for i in range(n):
        if i % 1000 == 0:
            (root / f"{i // 1000:03d}").mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(rng.integers(0, 255, (32, 32), dtype=np.uint8)).resize((256, 256))
        picture.save(root / f"{i // 1000:03d}" / f"{i:06d}.png", "PNG", compress_level=1)


def source(n: int) -> Source:
    """The tables of these files."""
    rng = np.random.default_rng(2)
    name = [f"{i:06d}" for i in range(n)]
    images = pl.DataFrame(
        {
            "image_id": name,
            "patient_id": [f"p{i // 5}" for i in range(n)],
            "site": np.where(np.arange(n) // 5 % 3 == 0, "south", "north"),
            "view": "PA",
            "path": [f"{i // 1000:03d}/{i:06d}.png" for i in range(n)],
        }
    )
    labels = [
        pl.DataFrame({"case_id": name, "finding": finding, "source": "made", "state": state})
        for finding, share in (("edema", 0.1), ("nodule", 0.05))
        if (state := np.where(rng.random(n) < share, "present", "absent")) is not None
    ]
    return Source(check(images, "images"), check(pl.concat(labels), "labels"))


def one(root: Path, n: int, size: int, workers: int) -> dict[str, float]:
    """Build the cohort in this process."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=root.parent) as out:
        build(source(n), root, Path(out) / "cohort", CohortConfig(recipe=Recipe(size)), workers=workers)
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 200_000])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--one", type=Path, help="(used by itself)")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.one, arguments.images[0], arguments.size, arguments.workers)))
        return
    with tempfile.TemporaryDirectory() as held:
        root = Path(held) / "files"
        write_files(root, max(arguments.images))
        print(f"{'images':>8} {'seconds':>8} {'images/s':>9} {'peak MB':>8}")
        for n in arguments.images:
            command = [
                sys.executable,
                __file__,
                "--one",
                str(root),
                "--images",
                str(n),
                "--size",
                str(arguments.size),
                "--workers",
                str(arguments.workers),
            ]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"{n:8,} {found['seconds']:8.1f} {n / found['seconds']:9,.0f} {found['megabytes']:8,.0f}")


if __name__ == "__main__":
    main()
