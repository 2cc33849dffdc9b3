"""What an AUC with its DeLong error costs beside the sort that none can avoid; paired, at most 3x is asked.

    python benchmarks/delong.py [--cases 1000000] [--rounds 7]

Every round times np.argsort of the scores (default kind) and each statistic in turn, so that a machine that slows down
slows all; the ratio of the medians is printed. Scores are continuous, prevalence 20 %, truth and scores are checked
inside the time. These statistics compile nothing. The bootstrap by patient does: its first call is timed apart.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from overread.stats import roc
from overread.stats.resampling import patient_bootstrap


def medians(programs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each program, run in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            begin = time.perf_counter()
            program()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in seconds.items()}


def delong(n: int, rounds: int) -> None:
    rng = np.random.default_rng(1)
    y = rng.random(n) < 0.2
    common = rng.normal(size=n)
    a, b = (0.7 * common + 0.7 * rng.normal(size=n) + y for _ in range(2))
    patients = rng.integers(0, max(n // 2, 1), n)
    rounded = np.round(a, 2)
    times = medians(
        {
            "np.argsort of one score": lambda: np.argsort(a),
            "np.argsort of two scores": lambda: (np.argsort(a), np.argsort(b)),
            "np.argsort, two decimals": lambda: np.argsort(rounded),
            "auc, DeLong": lambda: roc.auc(y, a),
            "auc, clustered by patient": lambda: roc.auc(y, a, cluster=patients),
            "auc, two decimals": lambda: roc.auc(y, rounded),
            "compare_aucs, DeLong": lambda: roc.compare_aucs(y, a, b),
            "compare_aucs, clustered": lambda: roc.compare_aucs(y, a, b, cluster=patients),
        },
        rounds,
    )
    print(f"{n:,} cases, {rounds} rounds, median")
    for name, seconds in times.items():
        sort = "two scores" if "compare" in name or "two scores" in name else "one score"
        floor = times["np.argsort, two decimals" if "decimals" in name else f"np.argsort of {sort}"]
        print(f"  {name:28} {1000 * seconds:8.1f} ms   {seconds / floor:5.2f} x its sort")


def resampling(rounds: int) -> None:
    rng = np.random.default_rng(2)
    n, n_patients, findings = 22_433, 2_797, 14
    cluster = rng.integers(0, n_patients, n)
    y = (rng.random((findings, n)) < rng.uniform(0.002, 0.2, findings)[:, None]).astype(float)
    begin = time.perf_counter()
    patient_bootstrap.bootstrap_auc(y[:1], y[None, :1], rng=rng, cluster=cluster, replicates=16)
    print(
        f"bootstrap: first call {time.perf_counter() - begin:.1f} s (compiles, or reads the compiled program from disk)"
    )
    for raters in (1, 2):
        scores = rng.normal(size=(raters, findings, n)) + y
        counts = patient_bootstrap.draw_counts(cluster, rng=rng)
        times = medians(
            {
                "draws of 2,000 replicates": lambda: patient_bootstrap.draw_counts(cluster, rng=rng),
                "AUC": lambda s=scores, c=counts: patient_bootstrap.auc_replicates(y, s, c, cluster=cluster),
                "sensitivity at 2 specificities": lambda s=scores, c=counts: patient_bootstrap.rate_replicates(
                    y, s, c, [0.9, 0.95], cluster=cluster
                ),
            },
            rounds,
        )
        for name, seconds in times.items():
            print(f"  {raters} raters x {findings} findings x {n:,} images: {name:32} {seconds:6.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    delong(given.cases, given.rounds)
    resampling(min(given.rounds, 3))


if __name__ == "__main__":
    main()
