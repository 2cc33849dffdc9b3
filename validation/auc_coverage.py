"""Coverage of the 95 % intervals of AUCs and their differences under known truths, as a table.

    python validation/auc_coverage.py [--samples 40000]

Scores are normal with equal variances, so that AUC = Phi(separation / sqrt(2)); the Monte-Carlo
standard error of a coverage of 0.95 is 0.0011 at 40,000 samples. The tests repeat the main cells with 2,000 samples and
assert on them.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from scipy.stats import norm

from overread.stats import roc
from overread.stats.estimate import Estimate

KINDS = ("wald", "logit", "logit-t")


def covers(estimate: Estimate, truth: float) -> bool:
    """NaN limits cover nothing: an interval that cannot be given is counted against the method."""
    return bool(estimate.low <= truth <= estimate.high)


def single(samples: int, rng: np.random.Generator) -> None:
    print("| present | absent | AUC | " + " | ".join(KINDS) + " |\n|---|---|---|---|---|---|")
    for present, absent, separation in (
        (10, 90, 0.5),
        (10, 90, 1.2),
        (10, 500, 2.326),
        (10, 990, 1.2),
        (20, 180, 1.2),
        (30, 170, 1.2),
        (50, 150, 0.5),
        (50, 150, 1.2),
        (50, 150, 2.0),
        (100, 300, 1.2),
        (100, 300, 2.0),
    ):
        y = np.arange(present + absent) < present
        truth, hits = float(norm.cdf(separation / np.sqrt(2))), Counter()
        for _ in range(samples):
            score = rng.normal(size=y.size) + separation * y
            hits.update({kind: covers(roc.auc(y, score, interval=kind), truth) for kind in KINDS})
        shares = " | ".join(f"{hits[kind] / samples:.3f}" for kind in KINDS)
        print(f"| {present} | {absent} | {truth:.2f} | {shares} |", flush=True)


def clustered(samples: int, rng: np.random.Generator) -> None:
    print("\n| patients | images each | correlation | wald | logit | logit-t | wald, images as if independent |")
    print("|---|---|---|---|---|---|---|")
    truth = float(norm.cdf(1 / np.sqrt(2)))
    for patients, images, correlation in ((40, 3, 0.7), (100, 3, 0.7), (200, 3, 0.7), (200, 8, 0.5)):
        cluster, hits = np.repeat(np.arange(patients), images), Counter()
        for _ in range(samples):
            y = (rng.random(patients) < 0.5)[cluster]
            score = np.sqrt(correlation) * rng.normal(size=patients)[cluster] + y
            score += np.sqrt(1 - correlation) * rng.normal(size=y.size)
            hits.update({k: covers(roc.auc(y, score, cluster=cluster, interval=k), truth) for k in KINDS})
            hits["naive"] += covers(roc.auc(y, score), truth)
        shares = " | ".join(f"{hits[kind] / samples:.3f}" for kind in (*KINDS, "naive"))
        print(f"| {patients} | {images} | {correlation} | {shares} |", flush=True)


def differences(samples: int, rng: np.random.Generator) -> None:
    print("\n| present | absent | AUC A | AUC B | paired | independent (t) |\n|---|---|---|---|---|---|")
    for present, absent, a, b in ((20, 80, 1.2, 0.8), (50, 150, 1.2, 0.8), (50, 150, 2.0, 1.5), (100, 300, 1.2, 1.2)):
        y, hits = np.arange(present + absent) < present, Counter()
        truth = [float(norm.cdf(separation / np.sqrt(2))) for separation in (a, b)]
        for _ in range(samples):
            common = 0.8 * rng.normal(size=y.size)
            first, second = (common + 0.6 * rng.normal(size=y.size) + separation * y for separation in (a, b))
            other = rng.normal(size=y.size) + b * y
            hits["paired"] += covers(roc.compare_aucs(y, first, second), truth[0] - truth[1])
            hits["independent"] += covers(roc.compare_independent_aucs(y, first, y, other), truth[0] - truth[1])
        shares = " | ".join(f"{hits[kind] / samples:.3f}" for kind in ("paired", "independent"))
        print(f"| {present} | {absent} | {truth[0]:.2f} | {truth[1]:.2f} | {shares} |", flush=True)


def partial(samples: int, rng: np.random.Generator) -> None:
    print("\n| present | absent | specificity | partial AUC |\n|---|---|---|---|")
    for present, absent, reach in ((50, 150, 0.1), (100, 300, 0.1), (100, 300, 0.3), (200, 2000, 0.1)):
        u = (np.arange(20_000) + 0.5) / 20_000 * reach
        truth = float(norm.cdf(1.2 + norm.ppf(u)).mean() * reach)
        y, hits = np.arange(present + absent) < present, 0
        for _ in range(samples):
            got = roc.partial_auc(y, rng.normal(size=y.size) + 1.2 * y, specificity=(1 - reach, 1))
            hits += covers(got, truth)
        print(f"| {present} | {absent} | {1 - reach:g} to 1 | {hits / samples:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=40_000)
    samples = parser.parse_args().samples
    rng = np.random.default_rng(20261123)
    for study in (single, clustered, differences, partial):
        study(samples, rng)


if __name__ == "__main__":
    main()
