"""Tables of 1,000,000 images x 14 labels: seconds to write, read, check, select, split, sample and join.

    python benchmarks/tables.py [--images 1000000]

The images are of patients with 1 to 40 of them at four sites, with a view, an age and a date, simulated. Beside the
seconds of each step stands their ratio to writing and reading the same tables as Parquet with nothing checked.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from overread import findings, tables
from overread.cohort.cohort_config import CohortConfig
from overread.cohort.patient_split import split, split_hash
from overread.cohort.reader_samples import SampleConfig, select_cases
from overread.cohort.selection import select

FINDINGS = tuple(f for f in findings.load().names() if f != "no_finding")[:14]


def made(n: int, rng: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables of images and labels, unchecked."""
    sizes = np.minimum(1 + rng.geometric(0.3, n), 40)
    patient = np.repeat(np.arange(sizes.size), sizes)[:n]
    ids = pl.Series("image_id", np.arange(n)).cast(pl.String).str.zfill(8)
    people = patient.max() + 1
    days = np.datetime64("2010-01-01") + rng.integers(0, 4000, n).astype("timedelta64[D]")
    images = pl.DataFrame(
        {
            "image_id": ids,
            "patient_id": pl.Series(patient).cast(pl.String).str.zfill(8),
            "site": np.array(["a", "b", "c", "d"])[rng.choice(4, people, p=[0.4, 0.3, 0.2, 0.1])[patient]],
            "view": np.array(["PA", "AP", "LATERAL"])[rng.choice(3, n, p=[0.5, 0.3, 0.2])],
            "age_years": rng.integers(1, 95, people)[patient].astype(float),
            "acquired": days,
        }
    )
    labels = [
        pl.DataFrame(
            {
                "case_id": ids,
                "finding": f,
                "source": "simulated",
                "state": np.where(rng.random(n) < share, "present", "absent"),
            }
        )
        for f, share in zip(FINDINGS, np.geomspace(0.002, 0.18, len(FINDINGS)), strict=True)
    ]
    return images, pl.concat(labels)


class Clock:
    """Prints the seconds of each step as it ends."""

    def __init__(self) -> None:
        self.unit = 1.0

    def __call__(self, name: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = function()
        seconds = time.perf_counter() - start
        if name.startswith("bare"):
            self.unit = seconds
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{name:34} {seconds:7.2f} s   {seconds / self.unit:6.1f} x bare   peak {peak:4.1f} GB", flush=True)
        return result


def bare(images: pl.DataFrame, labels: pl.DataFrame, folder: Path) -> None:
    """Write and read both tables with nothing checked."""
    for name, frame in (("images", images), ("labels", labels)):
        frame.write_parquet(folder / f"bare-{name}.parquet")
        pl.read_parquet(folder / f"bare-{name}.parquet")


def main() -> None:
    """Print the seconds of every step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    n, clock = parser.parse_args().images, Clock()
    images, labels = made(n, np.random.default_rng(1))
    print(f"{n:,} images, {images['patient_id'].n_unique():,} patients, {labels.height:,} labels")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clock("bare: write and read Parquet", lambda: bare(images, labels, folder))
        clock("check and write images", lambda: tables.write(images, folder / "images.parquet", "images"))
        clock("check and write labels", lambda: tables.write(labels, folder / "labels.parquet", "labels"))
        images = clock("read and check images", lambda: tables.read(folder / "images.parquet", "images"))
        labels = clock("read and check labels", lambda: tables.read(folder / "labels.parquet", "labels"))
    config = CohortConfig(views=("PA", "AP"), ages=(18, None))
    chosen, _ = clock("select: view, age", lambda: select(images, config))
    for rule in ("random", "first"):
        one = CohortConfig(one_per="patient", rule=rule)
        clock(f"select: one per patient, {rule}", lambda one=one: select(chosen, one))
    mine = clock("join: labels of the selected", lambda: labels.join(chosen, on="case_id", how="semi"))
    divided, _ = clock("split by patient", lambda: split(chosen, mine, config))
    clock("split by time", lambda: split(chosen, mine, CohortConfig(split_by="time")))
    clock("hash of the split", lambda: split_hash(divided))
    drawn = clock("sample 2,000 test cases", lambda: select_cases(divided, mine, SampleConfig(2000)))
    clock("join: labels of the sample", lambda: mine.join(drawn.images, on="case_id", how="semi"))
    clock("join: images to their labels", lambda: mine.join(divided, on="case_id"))


if __name__ == "__main__":
    main()
