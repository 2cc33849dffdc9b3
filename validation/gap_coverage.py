"""Coverage of the interval for the gap between groups, best minus worst, and of what others do, as a table.

    python validation/gap_coverage.py [--studies 2000]

Groups of different patients, or patients with an image in every group; normal scores, AUC = Phi(separation / sqrt(2)).
"bootstrap" is the percentile interval of best minus worst in 1,000 resamples of the estimates' joint normal
distribution, which is what the bootstrap of patients tends to. The Monte-Carlo standard error of a coverage of 0.95 is
0.005 at 2,000 studies.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import norm

from overread.stats.roc.influence_values import influence, influence_covariance
from overread.stats.simultaneous import largest_gap

Groups = list[tuple[np.ndarray, np.ndarray]]  # by group the truth and the score of its images


def apart(rng: np.random.Generator, separations: list[float], present: int, absent: int) -> tuple[Groups, None]:
    """Every group has its own patients, one image each."""
    made = []
    for separation in separations:
        y = np.arange(present + absent) < present
        made.append((y, rng.normal(size=y.size) + separation * y))
    return made, None


def shared(rng: np.random.Generator, separations: list[float], present: int, absent: int) -> tuple[Groups, np.ndarray]:
    """Every patient has one image in every group, and what a patient is shows in all of them."""
    y = np.arange(present + absent) < present
    own = rng.normal(size=y.size)
    noise = rng.normal(size=(len(separations), y.size))
    return [(y, 0.8 * own + 0.6 * n + s * y) for n, s in zip(noise, separations, strict=True)], np.arange(y.size)


def estimates(groups: Groups, patient: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    made = [influence(y, score) for y, score in groups]
    values = np.array([value for value, _ in made])
    if patient is not None:
        return values, influence_covariance(np.array([i for _, i in made]))
    return values, np.diag([float(influence_covariance(i)[0, 0]) for _, i in made])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    studies = parser.parse_args().studies
    rng = np.random.default_rng(20261125)
    print("| groups | patients | present | absent | AUCs | true gap | coverage | bootstrap | equality refuted |")
    print("|---|---|---|---|---|---|---|---|---|")
    cells = [
        (apart, (1.2,) * k, 50, 50) for k in (2, 3, 5, 8)
    ] + [
        (apart, (1.2,) * 3, 20, 80), (apart, (1.8,) * 5, 50, 150), (apart, (1.2,) * 5, 100, 400),
        (shared, (1.2,) * 2, 50, 50), (shared, (1.2,) * 4, 50, 150),
        (apart, (1.2, 1.0), 50, 50), (apart, (1.2, 1.1, 0.9), 50, 50), (apart, (1.2, 1.2, 1.2, 1.2, 0.8), 50, 150),
        (apart, (0.6, 0.8, 1.0, 1.2, 1.4), 100, 100), (apart, (0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5), 50, 150),
        (shared, (1.2, 1.0), 50, 50), (shared, (1.2, 1.1, 1.0, 0.9), 50, 150),
    ]  # fmt: skip
    for draw, separations, present, absent in cells:
        true = norm.cdf(np.array(separations) / np.sqrt(2))
        gap, hits, naive, refuted = float(true.max() - true.min()), 0, 0, 0
        for _ in range(studies):
            values, covariance = estimates(*draw(rng, list(separations), present, absent))
            found = largest_gap(values, covariance).gap
            hits += found.low <= gap <= found.high
            refuted += found.p < 0.05
            again = rng.multivariate_normal(values, covariance, size=1000)
            low, high = np.quantile(again.max(axis=1) - again.min(axis=1), [0.025, 0.975])
            naive += low <= gap <= high
        aucs = f"all {true[0]:.2f}" if gap == 0 else ", ".join(f"{a:.2f}" for a in true)
        shares = " | ".join(f"{n / studies:.3f}" for n in (hits, naive, refuted))
        words = "their own" if draw is apart else "in every group"
        print(f"| {len(true)} | {words} | {present} | {absent} | {aucs} | {gap:.3f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
