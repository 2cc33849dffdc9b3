"""The whole evaluation of two networks' real predictions on ChestX-ray14: at most 30 s on 2 cores and 1.5 GB.

    python benchmarks/evaluate.py ../shared/real/predictions [--replicates 2000] [--rounds 1]

22,433 images of 6,187 patients, 14 findings, subgroups by sex, age band and view; every interval knows the patient.
From the files on disk to the tables on disk. The floor named beside it is what no bootstrap of the 28 AUCs can avoid:
one sort of each score array, and one pass over the table of draws (replicates x images, float32) for each.
Peak memory is that of the process, polars and numba with their threads included. A first run compiles the bootstrap's
kernels (kept by numba beside the package) and is timed apart.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from overread import evaluation
from overread.evaluation.join import layouts

ASKED_SECONDS, ASKED_GIGABYTES = 30.0, 1.5
MODELS = ("zech_densenet121", "haooyuee_nih_25")


def whole(folder: Path, replicates: int) -> evaluation.Evidence:
    """Read, evaluate and write, as `overread evaluate` does before the report."""
    images = layouts.images(folder / "truth.csv.gz").frame
    labels = layouts.labels(folder / "truth.csv.gz").frame
    predictions = pl.concat([layouts.predictions(folder / f"{m}.csv.gz").frame for m in MODELS])
    config = evaluation.EvaluationConfig(replicates=replicates)
    made = evaluation.evaluate(images, labels, predictions, config, rng=np.random.default_rng(1))
    with tempfile.TemporaryDirectory() as out:
        evaluation.write(made, out)
    return made


def compile_seconds() -> float:
    """The first call of the bootstrap's kernels on a handful of cases."""
    from overread.stats.resampling import patient_bootstrap

    counts = np.ones((2, 4), dtype=np.uint16)
    begin = time.perf_counter()
    for run in (patient_bootstrap.auc_replicates, lambda y, s, c: patient_bootstrap.rate_replicates(y, s, c, [0.9])):
        run([[1, 0, 1, 0]], [[[4.0, 3.0, 2.0, 1.0]]], counts)
    return time.perf_counter() - begin


def floor_seconds(n_images: int, replicates: int, aucs: int) -> float:
    """A sort and one pass over the table of draws for each AUC."""
    rng = np.random.default_rng(0)
    table = rng.integers(0, 3, (replicates, n_images), dtype=np.uint8).astype(np.float32)
    score = rng.random(n_images)
    begin = time.perf_counter()
    for _ in range(aucs):
        order = np.argsort(score)
        _ = table @ score[order].astype(np.float32)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    print(f"compiling or loading the kernels {compile_seconds():6.1f} s")
    seconds, cpu = [], []
    for _ in range(given.rounds):
        begin, used = time.perf_counter(), time.process_time()
        made = whole(given.folder, given.replicates)
        seconds.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - used)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    aucs = made.estimates.filter(
        pl.col("analysis") == "standalone", pl.col("metric") == "auc", pl.col("finding") != "(mean)", pl.col("at") == ""
    )
    mean = made.estimates.filter(
        pl.col("analysis") == "standalone", pl.col("metric") == "auc", pl.col("finding") == "(mean)"
    )
    floor = floor_seconds(made.joined["case_id"].n_unique(), given.replicates, aucs.height)
    best = min(seconds)
    for row in mean.to_dicts():
        print(f"{row['rater']:20} mean AUC {row['estimate']:.4f} ({row['low']:.4f} to {row['high']:.4f})")
    print(f"{made.estimates.height:,} estimates, {made.curves.height:,} points of curves")
    print(f"whole evaluation {best:6.1f} s (asked {ASKED_SECONDS:.0f}), {min(cpu):.1f} s of processor time")
    print(f"peak memory      {peak:6.2f} GB (asked {ASKED_GIGABYTES})")
    print(f"floor            {floor:6.1f} s ({aucs.height} sorts and passes over the draws): {best / floor:.0f} x that")


if __name__ == "__main__":
    main()
